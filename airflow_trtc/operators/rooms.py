"""Operators that act on rooms: dismiss one, remove its users, block what a user sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

from airflow.sdk import BaseOperator

from airflow_trtc._compat import AirflowFailException, AirflowSkipException
from airflow_trtc.arguments import Check, ChecksArguments, is_template, name_of, one_of, required_name
from airflow_trtc.hooks import TrtcHook, read_app_id
from airflow_trtc.jobs.users import read_block, read_present_user, read_present_users
from airflow_trtc.operators.attempt_store import tries_of
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.recording.rooms import Room, check_room_id, read_room, read_room_word

if TYPE_CHECKING:
    from airflow.sdk import Context

IfNoRoom: TypeAlias = Literal["fail", "finish", "skip"]


def room_of(task: Any) -> Room:
    """The room that a task's arguments name, once these are checked; warns of a text that is a number."""
    room = read_room("room_id", task.room_id, task.room_id_type)
    if room.may_be_mistaken and task.room_id_type is None:
        task.log.warning(
            "room_id is the text %r, so the string room of that name is meant. Set room_id_type to 'numeric'"
            " if the clients enter a numeric room, or to 'string' if this is right.",
            room.room_id,
        )
    return room


def check_room(task: Any) -> None:
    """Check a task's `room_id` and `room_id_type` together, unless one of them is a template yet.

    :raises ValueError: there is no such room.
    """
    if not (is_template(task.room_id) or is_template(task.room_id_type)):
        read_room("room_id", task.room_id, task.room_id_type)


class ActsOnRoom(ChecksArguments, BaseOperator):
    """For operators that act on a room: the arguments that name it, and what to do when it is not there.

    A constructor that builds on this one ends with `check_arguments`, when all its arguments are set.
    """

    template_fields: Sequence[str] = ("room_id", "room_id_type", "sdk_app_id", "region", "trtc_conn_id")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "trtc_conn_id": required_name,
        "region": name_of,
        "sdk_app_id": read_app_id,
        "room_id": check_room_id,
        "room_id_type": read_room_word,
        "if_no_room": one_of(get_args(IfNoRoom)),
    }
    ui_color = "#ffe3d7"

    def __init__(
        self,
        *,
        room_id: int | str,
        room_id_type: str | None = None,
        if_no_room: IfNoRoom = "fail",
        sdk_app_id: int | str | None = None,
        region: str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.room_id = room_id
        self.room_id_type = room_id_type
        self.if_no_room = if_no_room
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id

    def check_together(self) -> None:
        """See the base class."""
        check_room(self)

    def act(self, hook: TrtcHook, room_id: int | str) -> bool | None:
        """Do it, and return whether the room was there; None when the service was not asked."""
        raise NotImplementedError

    def done(self) -> dict[str, Any]:
        """What the result says besides the room."""
        return {}

    def line(self, where: str) -> str:
        """What the log says when it is done."""
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Do it; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            room = room_of(self)
            app_id: Any = self.sdk_app_id  # rendered from a template it is a text; the hook reads both
            hook = TrtcHook(self.trtc_conn_id, region=self.region, sdk_app_id=app_id)
            where = f"{room} (application {hook.required_app_id}, region {hook.settings.region})"
            was_there = self.act(hook, room.value)
        if was_there:
            self.log.info("%s", self.line(where))
        elif was_there is False:
            self._without_room(where, is_first_try=tries_of(context).number == 1)
        return {
            "room_id": room.room_id,
            "room_type": room.word,
            "sdk_app_id": hook.required_app_id,
            "region": hook.settings.region,
            "was_there": was_there,
            **self.done(),
        }

    def _without_room(self, where: str, *, is_first_try: bool) -> None:
        """Fail, skip, or go on: the room that is not there may be gone since an earlier try."""
        if self.if_no_room == "skip":
            raise AirflowSkipException(f"There is no {where}")
        if self.if_no_room == "finish":
            self.log.info("There is no %s, so there is nothing to do", where)
        elif not is_first_try:
            self.log.warning("There is no %s any more; an earlier try of this task may have ended it", where)
        else:
            raise AirflowFailException(
                f"There is no {where}: nobody is in it. A numeric room and a string room of one name are two"
                " rooms: compare room_id_type with what the clients enter. Where an empty room is as good,"
                ' set if_no_room="finish".'
            )


class TrtcDismissRoomOperator(ActsOnRoom):
    """Dismiss a room: everybody in it is sent out, and what records or relays it ends.

    Returns ``room_id``, ``room_type`` (``numeric`` or ``string``), ``sdk_app_id``, ``region`` and
    ``was_there``: whether the room was there to be dismissed.

    :param room_id: the room: an int for a numeric room (1 to 4294967294), a text for a string room (at most
        64 bytes). (templated)
    :param room_id_type: ``string`` or ``numeric``: for a room that a template delivers as text. Default: by
        the type of `room_id`. (templated)
    :param if_no_room: what to do when there is no such room: ``fail`` (default), ``finish``, since nobody is
        in it, or ``skip``. In later tries ``fail`` finishes too: an earlier one may have dismissed it.
    :param sdk_app_id: the TRTC application; default: the connection's ``sdk_app_id``. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: an argument breaks a limit of the service.
    :raises AirflowFailException: there is no such room, or the set-up is wrong; no retry would help.
    :raises TrtcError: a retry may help.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_arguments()

    def act(self, hook: TrtcHook, room_id: int | str) -> bool:
        """See the base class."""
        return hook.dismiss_room(room_id)

    def line(self, where: str) -> str:
        """See the base class."""
        return f"Dismissed {where}"


class TrtcRemoveUsersOperator(ActsOnRoom):
    """Remove users from a room, ten with each request. They may enter again, unless the clients prevent it.

    Returns what `TrtcDismissRoomOperator` returns, and ``users``: whom the service was asked to remove, each
    once. It does not say who of them was there. ``was_there`` is None when there was nobody to remove.

    :param user_ids: the user's id or a list of them, at most 10,000; an empty list removes nobody.
        (templated)
    :param if_no_room: see `TrtcDismissRoomOperator`.
    :param kwargs: see `TrtcDismissRoomOperator`; `room_id` is required.
    :raises ValueError: as `TrtcDismissRoomOperator`.
    :raises AirflowFailException: as `TrtcDismissRoomOperator`.
    :raises TrtcError: a retry may help; some users may be removed already.
    """

    template_fields: Sequence[str] = (*ActsOnRoom.template_fields, "user_ids")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **ActsOnRoom.argument_checks,
        "user_ids": read_present_users,
    }

    def __init__(self, *, user_ids: str | Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_ids = user_ids
        self.check_arguments()

    def check_all(self) -> None:
        """See the base class; a list that is empty in the DAG's own text is a mistake."""
        super().check_all()
        if self.user_ids == []:
            raise ValueError("user_ids is empty")

    def act(self, hook: TrtcHook, room_id: int | str) -> bool | None:
        """See the base class."""
        if not self.user_ids:
            self.log.info("There is nobody to remove: user_ids is empty")
            return None
        return hook.remove_users(room_id, self.user_ids)

    def done(self) -> dict[str, Any]:
        """See the base class."""
        return {"users": self.user_ids}

    def line(self, where: str) -> str:
        """See the base class."""
        return f"Removed users from {where}; named were {len(self.user_ids)}"


class TrtcBlockUserOperator(ActsOnRoom):
    """Block a user's sound, picture or both in a room, or pass them on again.

    Returns what `TrtcDismissRoomOperator` returns, ``user`` and ``block``.

    :param user_id: the user's id. (templated)
    :param block: what the room no longer passes on: ``audio``, ``video`` or ``both``; ``none`` ends every
        block. (templated)
    :param if_no_room: see `TrtcDismissRoomOperator`.
    :param kwargs: see `TrtcDismissRoomOperator`; `room_id` is required.
    :raises ValueError: as `TrtcDismissRoomOperator`.
    :raises AirflowFailException: as `TrtcDismissRoomOperator`.
    :raises TrtcError: a retry may help.
    """

    template_fields: Sequence[str] = (*ActsOnRoom.template_fields, "user_id", "block")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **ActsOnRoom.argument_checks,
        "user_id": read_present_user,
        "block": read_block,
    }

    def __init__(self, *, user_id: str, block: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_id = user_id
        self.block = block
        self.check_arguments()

    def act(self, hook: TrtcHook, room_id: int | str) -> bool:
        """See the base class."""
        return hook.block_user(room_id, self.user_id, self.block)

    def done(self) -> dict[str, Any]:
        """See the base class."""
        return {"user": self.user_id, "block": self.block}

    def line(self, where: str) -> str:
        """See the base class."""
        return f"Set what is blocked of user {self.user_id!r} to {self.block!r} in {where}"
