"""Jobs of all kinds but recordings: their calls, and the lives of what they start.

What differs between the kinds stands in :mod:`airflow_trtc.emulator.natures`; the rest is here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any

from airflow_trtc.emulator import admission, jobs, lives, presence, schemas
from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.families.job_schemas import job_schema
from airflow_trtc.emulator.jobs import Job
from airflow_trtc.emulator.lives import Life, LifeSeed
from airflow_trtc.emulator.natures import NATURES, TASK_EXIST, TASK_NOT_EXIST, Nature
from airflow_trtc.emulator.options import built
from airflow_trtc.emulator.parameters import Values, out_of_range
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.state import SECRET_PARAMETERS, State

SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60, 3600
_MAX_SECONDS = {"MaxDuration": SECONDS_PER_MINUTE, "MaxDurationLimit": 1}
"""Parameters that limit a job, and the seconds of their unit."""
_IN_FOREVER = -1
"""``RepeatNum`` of a stream that is repeated until it is stopped."""


def answer_of(job: Job, call: Call) -> Values | None:
    """Return what a describe call of this job answers, None if it is not there; or raise a scripted error."""
    step = jobs.read(job, call.now)
    if step.error:
        raise ApiError(step.error, message=step.message)
    if step.gone:
        return None
    call.fault = step.fault
    return dict(step.answer)


# -- starting ---------------------------------------------------------------------------------------------


def start(nature: Nature, state: State, call: Call) -> Values:
    """Start a job, unless the service would say that it runs."""
    values, now = call.values, call.now
    room = _room_of(nature, values)
    _check_admission(nature, state, room, values)
    is_refused = _is_storage_refused(nature, state, values)
    twins = [each for each in state.lives(now, nature.kind) if _is_twin(each, nature, room, values)]
    if twins and nature.second_start == "refused":
        raise ApiError(TASK_EXIST)
    for each in twins if nature.second_start == "replaces" else ():
        _stop(state, call, each, "replaced")
    life = _new_life(nature, state, call, room)
    life.is_storage_refused = is_refused
    state.add_life(life, now)
    return {"TaskId": life.job_id}


def _room_of(nature: Nature, values: Values) -> Room | None:
    if nature.numeric_room is None:
        return None
    is_string = values.get("RoomIdType", nature.default_room_type) != nature.numeric_room
    room_id = values["RoomId"]
    if not is_string and not schemas.is_numeric_room(room_id):
        raise out_of_range("RoomId must be a number of 32 bits unless RoomIdType is that of a string room")
    return Room(values["SdkAppId"], room_id, is_string)


def _robot_of(nature: Nature, values: Values) -> Values:
    """Where the robot's UserId and UserSig are."""
    found: Values = values[nature.robot_path] if nature.robot_path else values
    return found


def _check_admission(nature: Nature, state: State, room: Room | None, values: Values) -> None:
    if nature.robot_path is None or room is None:
        return
    takes_key = "PrivateMapKey" in job_schema(nature.start)
    admission.check_robot(
        state.settings,
        room,
        _robot_of(nature, values),
        now=state.wall() + state.clock_skew_seconds,
        private_map_key=values.get("PrivateMapKey") if takes_key else False,
    )


def _is_storage_refused(nature: Nature, state: State, values: Values) -> bool:
    param, bucket = nature.storage or ("", "")
    storage = values.get(param)
    if storage is None:
        return False
    if bucket not in storage and "CloudVod" not in storage:
        raise ApiError(f"MissingParameter.{bucket}", f"{param}.{bucket}")
    return admission.is_storage_refused(state.settings, {"CloudStorage": storage.get(bucket)})


def _is_twin(life: Life, nature: Nature, room: Room | None, values: Values) -> bool:
    """Whether a running job is the one that this request asks for once more."""
    if life.sdk_app_id != values["SdkAppId"]:
        return False
    key = values.get(nature.key_param) if nature.key_param else None
    if key is not None and life.key == key:
        return True
    is_of_robot = nature.robot_path is not None and room is not None
    return is_of_robot and (life.room, life.robot_id) == (room, _robot_of(nature, values)["UserId"])


def _new_life(nature: Nature, state: State, call: Call, room: Room | None) -> Life:
    values = call.values
    progress = {**_limits(nature, values), **state.settings.new_jobs.get(nature.kind, {})}
    where = {} if room is None else {"room_id": room.room_id, "is_string_room": room.is_string_room}
    robot = {} if nature.robot_path is None else {"robot_id": _robot_of(nature, values)["UserId"]}
    seed = built(
        LifeSeed,
        {
            "kind": nature.kind,
            "sdk_app_id": values["SdkAppId"],
            "key": values.get(nature.key_param) if nature.key_param else None,
            **where,
            **robot,
            **progress,
        },
    )
    life = jobs.life_of(
        seed,
        state.settings,
        state.new_id(nature.id_shape),
        call.now,
        clock_skew_seconds=state.clock_skew_seconds,
    )
    life.started_by = call.origin
    life.destination = _destination(nature, values)
    presence.join_life(state, life, call.now)
    return life


def _limits(nature: Nature, values: Values) -> dict[str, Any]:
    """What the request says about its end."""
    found: dict[str, Any] = {}
    idle = values.get(nature.idle_path, {}).get("MaxIdleTime") if nature.idle_path else None
    if idle is not None:
        found["max_idle_seconds"] = idle
    if (hours := values.get("ResourceExpiredHour")) is not None:
        # Of the streams of others it is how long the job lives, else how long it takes orders.
        lives_on = nature.max_seconds is None
        found |= {"expires_after_hours": hours} if lives_on else {"max_seconds": hours * SECONDS_PER_HOUR}
    for name, unit in _MAX_SECONDS.items():
        # A stream's limit counts only while it is repeated for ever.
        if name in values and values.get("RepeatNum", _IN_FOREVER) == _IN_FOREVER:
            found["max_seconds"] = values[name] * unit
    return found


def _destination(nature: Nature, values: Values) -> dict[str, Any]:
    param, bucket = nature.storage or ("", "")
    kept = values.get(param, {}).get(bucket, {})
    return {name: value for name, value in kept.items() if name not in SECRET_PARAMETERS}


# -- asking, changing, stopping ---------------------------------------------------------------------------


def describe(nature: Nature, state: State, call: Call) -> Values:
    """Return the status of a job as it is now."""
    job = _asked_for(nature, state, call.values)
    if job is None:
        return _absent(nature, state)
    found = answer_of(job, call)
    state.follow_id(job.job_id, call.now)
    return _absent(nature, state) if found is None else {**_names(nature, job, call.values), **found}


def _asked_for(nature: Nature, state: State, values: Values) -> Job | None:
    """The job that a describe call means: by its id, or by the caller's own name for it."""
    if not values.get("TaskId") and nature.key_param:
        key = values.get(nature.key_param)
        if not key or "SdkAppId" not in values:
            raise ApiError("InvalidParameter.TaskId", "TaskId")
        mine = [each for each in state.jobs.values() if each.life is not None and each.life.key == key]
        of_kind = [each for each in mine if each.action == nature.describe]
        return next((each for each in reversed(of_kind) if each.sdk_app_id == values["SdkAppId"]), None)
    job = state.jobs.get(values.get("TaskId") or "")
    is_mine = job is not None and job.action == nature.describe
    return job if is_mine and values.get("SdkAppId") in (None, job and job.sdk_app_id) else None


def _absent(nature: Nature, state: State) -> Values:
    if nature.absent_status is not None:
        return {"Status": nature.absent_status}
    raise ApiError(nature.absent_code or state.settings.absent_code)


def _names(nature: Nature, job: Job, values: Values) -> Values:
    """What an answer says of a job besides its status; each kind names other things."""
    life, names = job.life, {"TaskId": job.job_id}
    key = {} if life is None or life.key is None else {nature.key_param: life.key}
    if nature.kind in ("ingest", "speech"):
        return {}
    if nature.kind == "web_recording":
        return names if values.get("RecordId") else key
    if nature.kind in ("ai_transcription", "ai_conversation"):
        began = f"{datetime.fromtimestamp(job.created_at, timezone.utc):%Y-%m-%d %H:%M:%S.%f}"
        return {"StartTime": began, **names, **key}
    if nature.kind == "transcription":
        return {"StartTime": round(job.created_at * 1000), **names}
    lists = life.settings.get("SubscribeStreamUserIds") if life is not None else None
    return {**names, **({"SubscribeStreamUserIds": lists} if lists and nature.kind == "moderation" else {})}


def _running(nature: Nature, state: State, call: Call, code: str) -> Life:
    """The running life that a call is about, or raise."""
    job = _asked_for(nature, state, call.values)
    life = None if job is None else job.life
    if life is None or not _takes_orders(life, call.now):
        raise ApiError(code)
    return life


def _takes_orders(life: Life, now: float) -> bool:
    lives.advance(life, now)
    return life.is_running and (life.expires_at is None or now < life.expires_at)


def stop(nature: Nature, state: State, call: Call) -> Values:
    """Stop a running job."""
    code = nature.stopped_code or nature.absent_code or state.settings.absent_code
    life = _running(nature, state, call, code)
    _stop(state, call, life, "deleted")
    return {} if nature.absent_code is not None else {"TaskId": life.job_id}


def _stop(state: State, call: Call, life: Life, reason: str) -> None:
    lives.end(life, call.now, reason)
    life.stopped_by = call.origin
    state.follow_id(life.job_id, call.now)


def change(nature: Nature, state: State, call: Call) -> Values:
    """Change what a running job does."""
    life = _running(nature, state, call, nature.absent_code or state.settings.absent_code)
    given = {name: value for name, value in call.values.items() if name not in ("SdkAppId", "TaskId")}
    if nature.absent_code is None:
        schemas.check_subscriptions(given.get("SubscribeStreamUserIds", {}))
    life.settings = {**life.settings, **given}
    life.changes += 1
    if nature.kind == "ingest":
        return {"Status": lives.status_of(life)}
    return {"TaskId": life.job_id} if nature.absent_code is None else {}


def control(nature: Nature, state: State, call: Call) -> Values:
    """Tell an AI conversation to say or do something."""
    command = call.values["Command"]
    if command not in ("ServerPushText", "InvokeLLM", "TransparentData"):
        raise ApiError("InvalidParameter", "Command")
    if command not in call.values:
        raise ApiError("MissingParameter", command)
    life = _running(nature, state, call, TASK_NOT_EXIST)
    said = life.settings.setdefault("Commands", [])
    said.append({command: call.values[command]})
    life.changes += 1
    return {}


_CHANGES: Mapping[str, tuple[str, Callable[[Nature, State, Call], Values]]] = {
    "ModifyCloudSliceTask": ("slicing", change),
    "ModifyCloudModeration": ("moderation", change),
    "UpdateStreamIngest": ("ingest", change),
    "UpdateAIConversation": ("ai_conversation", change),
    "ControlAIConversation": ("ai_conversation", control),
}


def _actions() -> dict[str, Action]:
    found: dict[str, Action] = {}
    for nature in NATURES.values():
        for action, run in ((nature.start, start), (nature.describe, describe), (nature.stop, stop)):
            if action:
                found[action] = Action(partial(run, nature), job_schema(action), None)
    for action, (kind, changed) in _CHANGES.items():
        found[action] = Action(partial(changed, NATURES[kind]), job_schema(action), None)
    return found


ACTIONS: Mapping[str, Action] = _actions()
