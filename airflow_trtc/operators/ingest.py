"""Operators that play a stream from elsewhere into a room: start, change and stop an ingest."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_trtc.arguments import Check, is_template, revealed, switch
from airflow_trtc.errors import TrtcFailedError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.observation import Absence
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.kinds import INGEST
from airflow_trtc.operators import signing
from airflow_trtc.operators.failing import cannot_change, no_retry_of_wrong_setup
from airflow_trtc.operators.leaves import HoldsSecrets
from airflow_trtc.operators.streams import (
    SIGNATURE_SECONDS,
    NamesStream,
    StartsStream,
    StopsStream,
    hiding_urls,
    mask_urls,
)
from airflow_trtc.publishing.parameters import (
    read_ingest_start_params,
    read_ingest_update_params,
    read_stream_url,
)
from airflow_trtc.recording.rooms import Room

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrtcStartIngestOperator(StartsStream):
    """Play a stream from elsewhere into a room, once for each run of the task.

    It plays on when the task has succeeded: until `TrtcStopIngestOperator` stops it, or until the stream is
    over. It costs money until then. `TrtcJobSensor` with ``kind="ingest"`` waits for its end.

    Tries, lost answers and cleared tasks are dealt with as `TrtcStartRelayOperator` tells; whether an ingest
    of an earlier try plays, ``DescribeStreamIngest`` says.

    XComs: ``return_value`` is the ingest's id, ``job`` what else is known, see `StartedStream`; both without
    the address.

    :param room_id: the room: an int for a numeric room, a text for a string room. (templated)
    :param stream_url: the address of the stream. Its picture may have 1080p and 30 frames a second at most.
        Airflow stores and shows ``***`` for one with keys in it, but for values that are mapped over.
        (templated)
    :param room_id_type: ``string`` or ``numeric``: for a room that a template delivers as text. Default: by
        the type of `room_id`. (templated)
    :param user_id: the robot that plays; at most 32 letters, digits, ``_`` and ``-``. Default: made from
        DAG, run, task and map index. Nobody else in the room may have the same. (templated)
    :param user_sig: the UserSig of `user_id`. Default: signed with the connection's ``sdk_secret_key``, valid
        for 30 days. (templated)
    :param advanced_permission_control: whether the room asks for a PrivateMapKey, which is then signed too.
        Default: as the connection says.
    :param parameters: what has no argument of its own, by the service's names: ``SeekSecond``, ``AutoPush``,
        ``RepeatNum``, ``MaxDuration``, ``Volume``, ``EnableProgress``, ``Tempo``, ``IdleTimeout``.
        (templated)
    :param sdk_app_id: the TRTC application; default: the connection's ``sdk_app_id``. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: an argument breaks a limit of the service.
    :raises AirflowFailException: the set-up is wrong, or the service refuses a parameter; no retry would
        help.
    :raises TrtcError: a retry may help.
    """

    kind: ClassVar[str] = INGEST.name
    robot_prefix: ClassVar[str] = "airflow-ing-"
    template_fields: Sequence[str] = (*StartsStream.template_fields, "stream_url", "parameters")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **StartsStream.argument_checks,
        "stream_url": hiding_urls(lambda name, value: _required_url(name, value)),
        "advanced_permission_control": switch,
        "parameters": read_ingest_start_params,
    }
    partial_checks: ClassVar[Mapping[str, Check]] = {
        "parameters": functools.partial(read_ingest_start_params, later=is_template)
    }

    def __init__(
        self,
        *,
        stream_url: str,
        advanced_permission_control: bool | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stream_url = stream_url
        self.advanced_permission_control = advanced_permission_control
        self.parameters: Any = parameters or {}
        self.check_arguments()

    def content(self) -> dict[str, Any]:
        """See the base class."""
        return {"StreamUrl": revealed(self.stream_url), **self.parameters}

    def whole(self, hook: TrtcHook, room: Room, user_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """See the base class."""
        return {
            "RoomId": room.room_id,
            "RoomIdType": room.room_id_type,  # as for recordings: 0 is a string room
            "UserId": user_id,
            "UserSig": self.sign(hook, user_id),
            **content,
            **signing.private_map_key(
                hook, user_id, room, self.advanced_permission_control, seconds=SIGNATURE_SECONDS
            ),
        }

    def runs(self, hook: TrtcHook, job_id: str) -> bool:
        """See the base class."""
        try:
            return not isinstance(hook.describe(INGEST.name, job_id), Absence)
        except TrtcFailedError as error:
            if is_absent(error.code, INGEST.absent_codes):
                return False
            raise

    def mask(self) -> None:
        """See the base class."""
        super().mask()
        mask_urls(self.stream_url)


def _required_url(name: str, value: Any) -> str:
    if (url := read_stream_url(name, value)) is None:
        raise ValueError(f"{name} is empty")
    return url


class TrtcUpdateIngestOperator(HoldsSecrets, NamesStream):
    """Change what is played into a room: address, volume, speed, or a pause, which costs money too.

    A pause of 12 hours ends the ingest. Returns its id.

    :param job_id: the ingest's id. Give either this or `job`. (templated)
    :param job: the XCom ``job`` of the task that started it. (templated)
    :param stream_url: the address of the stream from now on. (templated)
    :param parameters: what else is to change, by the service's names: ``Volume``, ``IsPause``,
        ``EnableProgress``, ``Tempo``. (templated)
    :param sdk_app_id: the TRTC application; default: that of `job`, or the connection's. (templated)
    :param region: the API region; default: that of `job`, or the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: an argument breaks a limit of the service, or nothing is to
        change.
    :raises AirflowFailException: the ingest is over, or the set-up is wrong; no retry would help.
    :raises TrtcError: a retry may help.
    """

    kind: ClassVar[str] = INGEST.name
    template_fields: Sequence[str] = (*NamesStream.template_fields, "stream_url", "parameters")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **NamesStream.argument_checks,
        "stream_url": hiding_urls(read_stream_url),
        "parameters": read_ingest_update_params,
    }
    partial_checks: ClassVar[Mapping[str, Check]] = {
        "parameters": functools.partial(read_ingest_update_params, later=is_template)
    }

    def __init__(
        self,
        *,
        stream_url: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stream_url = stream_url
        self.parameters: Any = parameters or {}
        self.check_arguments()

    def check_all(self) -> None:
        """See the base class."""
        super().check_all()
        if self.stream_url is None and not self.parameters:
            raise ValueError("Nothing is to change: give stream_url or parameters")

    def execute(self, context: Context) -> str:
        """Change it; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            named = self.named()
            hook = self.hook_for(named)
            job = hook.job(INGEST.name, named.job_id or "")
            params = {"StreamUrl": revealed(self.stream_url), **self.parameters}
            given = {name: value for name, value in params.items() if value is not None}
            try:
                is_over = hook.update_ingest(job.job_id, given) in INGEST.absent_statuses
            except TrtcFailedError as error:
                if not is_absent(error.code, INGEST.absent_codes):
                    raise
                is_over = True
            if is_over:
                raise cannot_change(job)
        self.log.info("Changed %s: %s", job, ", ".join(sorted(given)))
        return job.job_id

    def mask(self) -> None:
        """See the base class."""
        mask_urls(self.stream_url)


class TrtcStopIngestOperator(StopsStream):
    """Stop an ingest. One that is over, or that the service does not know, counts as stopped.

    ``stop.as_teardown(setups=start)`` stops it whatever happens to the tasks in between, and succeeds when
    the start handed on no id.

    Returns ``kind``, ``job_id``, ``sdk_app_id``, ``region``, and ``was_running``: whether it ran until now;
    None where the answer to the start was lost, so that its robot was sent out of the room instead.

    :param job_id: the ingest's id. Give either this or `job`. (templated)
    :param job: the XCom ``job`` of the task that started it; it also names application and region.
        (templated)
    :param sdk_app_id: the TRTC application; default: that of `job`, or the connection's. (templated)
    :param region: the API region; default: that of `job`, or the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises AirflowFailException: the set-up is wrong; no retry would help.
    :raises TrtcError: it may run on, and a retry may help.
    """

    kind: ClassVar[str] = INGEST.name

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_arguments()
