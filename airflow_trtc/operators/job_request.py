"""What a job is to be started with: checked, and filled up with room, robot, signatures and bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.arguments import is_template
from airflow_trtc.cloud import parameters as checks
from airflow_trtc.cloud.actions import action_of
from airflow_trtc.cloud.user_sig import Privilege
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.hooks import DAY_SECONDS, RECORDS, TrtcHook
from airflow_trtc.jobs.kind import JobKind, StartForm
from airflow_trtc.kinds import KINDS, RECORDING
from airflow_trtc.operators import signing
from airflow_trtc.operators.storage_keys import storage_params
from airflow_trtc.recording.rooms import NUMERIC, Room
from airflow_trtc.recording.storage import Storage, read_storage

ROBOT_NAMES = ("UserId", "UserSig")
# How long a UserSig is valid at least; the robot may have to enter its room again.
SIGNED_HOURS = 72
_OWN_ARGUMENTS = {
    "SdkAppId": "sdk_app_id",
    "RoomId": "room_id",
    "RoomIdType": "room_id_type",
    "UserId": "user_id",
    "UserSig": "user_sig",
    "PrivateMapKey": "advanced_permission_control",
}


def startable_kind(name: str, value: Any) -> str:
    """The name of a kind that is started here.

    :raises ValueError: it is none.
    """
    if value == RECORDING.name:
        raise ValueError(f"{name} is recording, which has an operator of its own: TrtcRecordRoomOperator")
    found = [kind.name for kind in KINDS.values() if kind.starts is not None]
    if value not in found:
        raise ValueError(f"{name} must be one of {', '.join(found)}, not {value!r:.100}")
    return str(value)


def form_of(kind: JobKind) -> StartForm:
    """What the start of a kind takes.

    :raises ValueError: nothing here starts one.
    """
    if kind.starts is None:
        raise ValueError(f"kind must be one that this operator starts, not {kind.name}")
    return kind.starts


def check_parameters(kind: JobKind, parameters: Mapping[str, Any]) -> None:
    """Check what stands in the DAG file: nothing is given twice, nothing is missing. Needs no SDK.

    :param parameters: of the start, without what has arguments of its own; values may be templates.
    :raises ValueError: see there.
    """
    form, row = form_of(kind), action_of(kind.start_action)
    _check_own(form, parameters)
    filled_in = _filled_in(form)
    given = {name: value for name, value in parameters.items() if not is_template(value)}
    try:
        checks.check_required(row, parameters, filled_in)
        checks.check_limits(row, given)
    except TrtcSetupError as error:
        raise ValueError(error.message.rstrip(".")) from None


def _check_own(form: StartForm, parameters: Mapping[str, Any]) -> None:
    robot = parameters.get(form.robot) if form.robot else None
    for name, argument in _OWN_ARGUMENTS.items():
        if name in parameters:
            raise ValueError(f"parameters.{name} is filled in; give the argument {argument} instead")
        if isinstance(robot, Mapping) and name in ROBOT_NAMES and name in robot:
            raise ValueError(
                f"parameters.{form.robot}.{name} is filled in; give the argument {argument} instead"
            )
    if form.storage is not None and form.storage[0] in parameters:
        raise ValueError(f"parameters.{form.storage[0]} is filled in; give the argument storage instead")


def _filled_in(form: StartForm) -> set[str]:
    robot = set(ROBOT_NAMES) if form.robot == "" else {form.robot} if form.robot else set()
    storage = {form.storage[0]} if form.storage is not None else set()
    return {"SdkAppId", "RoomId", "RoomIdType", *storage, *robot}


def check_arguments_of(kind: JobKind, given: Mapping[str, Any]) -> None:
    """Check that the kind has the arguments that are given, and is given those it needs.

    :param given: name of an argument to its value, of those that only some kinds take.
    :raises ValueError: see there.
    """
    form = form_of(kind)
    takes = {
        "room_id": form.numeric_room is not None,
        "room_id_type": form.numeric_room is not None,
        "user_id": form.robot is not None,
        "user_sig": form.robot is not None,
        "advanced_permission_control": form.takes_map_key,
        "storage": form.storage is not None,
        "storage_conn_id": form.storage is not None,
        "stop_after": kind.can_stop,
    }
    needs = {"room_id": form.numeric_room is not None, "storage": form.needs_storage}
    for name, value in given.items():
        is_given = value is not None and value != ""
        if is_given and not takes[name]:
            why = "which nothing stops" if name == "stop_after" else "which has none"
            raise ValueError(f"{name} is not for the kind {kind.name}, {why}; leave it out")
        if needs.get(name) and not is_given:
            raise ValueError(f"{name} is missing; the kind {kind.name} needs it")


def read_job_storage(kind: JobKind, value: Any, later: Any = is_template) -> Storage:
    """Read where a job's files go.

    :raises ValueError: it is no such place, or the kind cannot take it.
    """
    storage = read_storage("storage", value, later)
    if storage.vendor == "vod" and not form_of(kind).takes_vod:
        raise ValueError(f"storage is in VOD, and the kind {kind.name} takes buckets only")
    return storage


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What a job is to be started with, all of it checked.

    :param parameters: those of the user.
    :param rendered_paths: which of them were templates, so that their texts may be numbers.
    :param room: None for kinds without.
    :param user_id: the robot; None for kinds without.
    :param user_sig: the robot's, from elsewhere; None has the hook sign one.
    :param storage: where files go; None for nowhere.
    :param advanced_permission_control: whether the room asks for a PrivateMapKey; None as the connection
        says.
    """

    kind: JobKind
    parameters: Mapping[str, Any] = field(repr=False)
    rendered_paths: frozenset[str] = frozenset()
    room: Room | None = None
    user_id: str | None = None
    user_sig: str | None = field(default=None, repr=False)
    storage: Storage | None = None
    storage_conn_id: str | None = None
    advanced_permission_control: bool | None = None

    def params(self, hook: TrtcHook, log: Any) -> dict[str, Any]:
        """The parameters as they are sent, but for the application; they hold secrets.

        :raises TrtcSetupError: a signature or the bucket's keys are not to be had.
        """
        form = form_of(self.kind)
        action = self.kind.start_action
        found = checks.typed(action, self.parameters, self.rendered_paths)
        checks.check_types(action, found)
        checks.check_limits(action_of(action), found)
        signed_seconds = _signed_seconds(found)
        if self.room is not None and form.numeric_room is not None:
            is_numeric = self.room.room_id_type == NUMERIC
            found["RoomId"] = self.room.room_id
            found["RoomIdType"] = form.numeric_room if is_numeric else 1 - form.numeric_room
        if form.robot is not None and self.user_id is not None:
            sig = signing.user_sig(hook, self.user_id, self.user_sig, seconds=signed_seconds)
            robot = dict(zip(ROBOT_NAMES, (self.user_id, sig), strict=True))
            if form.robot:
                found[form.robot] = {**(found.get(form.robot) or {}), **robot}
            else:
                found.update(robot)
        found.update(self._map_key(form, hook, signed_seconds))
        if self.storage is not None and form.storage is not None:
            param, bucket = form.storage
            sent = storage_params(self.storage, self.storage_conn_id, hook, log)
            found[param] = {bucket if name == "CloudStorage" else name: each for name, each in sent.items()}
        return found

    def _map_key(self, form: StartForm, hook: TrtcHook, signed_seconds: int) -> dict[str, str]:
        if not form.takes_map_key or self.room is None or self.user_id is None:
            return {}
        return signing.private_map_key(
            hook,
            self.user_id,
            self.room,
            self.advanced_permission_control,
            seconds=signed_seconds,
            privileges=Privilege.ALL if form.publishes else RECORDS,
        )


def _signed_seconds(params: Mapping[str, Any]) -> int:
    """As for recordings: the time in which the service takes orders, and a day more."""
    hours: int = params.get("ResourceExpiredHour") or SIGNED_HOURS
    return hours * 3600 + DAY_SECONDS
