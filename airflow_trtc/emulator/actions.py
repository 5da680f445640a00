"""The calls of cloud recording and of scripted jobs, and where all others are: parameters in, answers out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_trtc.emulator import admission, families, presence, schemas
from airflow_trtc.emulator.action import REGIONS, Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.families.jobs import answer_of
from airflow_trtc.emulator.files import MAX_RECOVERIES
from airflow_trtc.emulator.options import built
from airflow_trtc.emulator.parameters import Values, text
from airflow_trtc.emulator.polls import Polls
from airflow_trtc.emulator.recordings import Recording, View, advance, end, read
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.seeding import Seed, recording_of
from airflow_trtc.emulator.state import SECRET_PARAMETERS, State

VERSION = "2019-07-22"
CREATE_REGIONS = REGIONS - {"ap-mumbai"}
REGION_NAME = re.compile(
    r"ap-(bangkok|beijing|chengdu|chongqing|guangzhou|hongkong|jakarta|mumbai|nanjing|seoul|shanghai|singapore"
    r"|tokyo)|eu-frankfurt|na-(ashburn|siliconvalley|toronto)|sa-saopaulo"
)
"""The vendor's regions; any other text is no region at all, which is another error."""
DESCRIBE = "DescribeCloudRecording"
_SDK_APP_ID_SPELLINGS = ("SdkAppId", "SdkAppid", "Sdkappid")
"""As the SDK's models of different calls have it; some send it as text."""


def create(state: State, call: Call) -> Values:
    """Start a recording. The same robot in the same room ends its earlier recording."""
    schemas.check_create_rules(call.values)
    settings, room = state.settings, _room(call.values)
    admission.check_robot(
        settings,
        room,
        call.values,
        now=state.wall() + state.clock_skew_seconds,
        private_map_key=call.values.get("PrivateMapKey"),
        stream_type=call.values["RecordParams"].get("StreamType", 0),
    )
    is_storage_refused = admission.is_storage_refused(settings, call.values["StorageParams"])
    running = list(state.running(call.now))
    replaced = [
        each for each in running if (each.recipe.room, each.robot_id) == (room, call.values["UserId"])
    ]
    if 0 < settings.concurrency_limit <= len(running) - len(replaced):
        raise ApiError("FailedOperation.RestrictedConcurrency", settings.concurrency_limit)
    recording = _new_recording(state, call)
    if is_storage_refused:
        recording.is_storage_refused = True
        recording.callback_plan = recording.callback_plan.with_refused_storage()
    for each in replaced:
        _stop(state, call, each, "replaced")
    state.add(recording, call.now)
    return {"TaskId": recording.recording_id}


def describe(state: State, call: Call) -> Values:
    """Return status and files as the recording shows them now."""
    recording = _known_recording(state, call)
    view = read(recording, call.now)
    state.follow(recording, call.now)
    if view.error:
        raise ApiError(view.error, message=view.message)
    if view.is_gone:
        raise ApiError(state.settings.absent_code)
    call.fault = view.fault
    return _description(recording, view)


def modify(state: State, call: Call) -> Values:
    """Overwrite layout and subscriptions of a running recording; what is not given is no longer set."""
    schemas.check_layout(call.values.get("MixLayoutParams", {}))
    schemas.check_subscriptions(call.values.get("SubscribeStreamUserIds", {}))
    recording = _running_recording(state, call)
    recording.layout = call.values.get("MixLayoutParams")
    recording.subscriptions = call.values.get("SubscribeStreamUserIds")
    recording.modifications += 1
    return {"TaskId": recording.recording_id}


def delete(state: State, call: Call) -> Values:
    """Stop a running recording."""
    recording = _running_recording(state, call)
    _stop(state, call, recording, "deleted")
    return {"TaskId": recording.recording_id}


RECORDINGS: Mapping[str, Action] = {
    "CreateCloudRecording": Action(create, schemas.CREATE, CREATE_REGIONS),
    DESCRIBE: Action(describe, schemas.DESCRIBE),
    "ModifyCloudRecording": Action(modify, schemas.MODIFY),
    "DeleteCloudRecording": Action(delete, schemas.DELETE),
}
ACTIONS: Mapping[str, Action] = {**families.ACTIONS, **RECORDINGS}


def find(state: State, name: str) -> Action | None:
    """Return the action of this name: one that the API has, or a made-up one for which a job was added."""
    id_param = state.job_actions.get(name)
    return ACTIONS.get(name) if id_param is None else _job_action(name, id_param)


def _job_action(name: str, id_param: str) -> Action:
    def describe_job(state: State, call: Call) -> Values:
        """Return the answer of the step that is due."""
        job = state.jobs.get(call.values[id_param])
        if job is None or job.action != name or sdk_app_id_of(call.values) not in (None, job.sdk_app_id):
            raise ApiError(state.settings.absent_code)
        if (found := answer_of(job, call)) is None:
            raise ApiError(state.settings.absent_code)
        return {id_param: job.job_id, **found}

    schema = {id_param: text(required=True)}
    return Action(describe_job, schema, regions=None, id_param=id_param, takes_more=True)


def polls_of(state: State, action: str, job_id: str) -> Polls | None:
    """Return where a describe call for this recording or job is to be logged."""
    if action == DESCRIBE and (recording := state.recordings.get(job_id)):
        return recording.polls
    job = state.jobs.get(job_id)
    return job.polls if job and job.action == action else None


def sdk_app_id_of(values: Values) -> object:
    """Return the application that a request names, None if it names none."""
    given = next((values[name] for name in _SDK_APP_ID_SPELLINGS if name in values), None)
    return int(given) if isinstance(given, str) and re.fullmatch(r"[0-9]{1,10}", given) else given


def check_sdk_app_id(state: State, sdk_app_id: object) -> None:
    """Raise unless the application belongs to the account."""
    if sdk_app_id in state.settings.foreign_sdk_app_ids:
        raise ApiError("UnauthorizedOperation.SdkAppId", sdk_app_id)
    if type(sdk_app_id) is not int or sdk_app_id not in state.settings.own_sdk_app_ids:
        raise ApiError("InvalidParameter.SdkAppId", sdk_app_id)


def _known_recording(state: State, call: Call) -> Recording:
    recording = state.recordings.get(call.values["TaskId"])
    if recording is None or recording.recipe.sdk_app_id != call.values["SdkAppId"]:
        raise ApiError(state.settings.absent_code)
    return recording


def _running_recording(state: State, call: Call) -> Recording:
    recording = _known_recording(state, call)
    advance(recording, call.now)
    if not recording.is_running or call.now >= recording.expires_at:
        raise ApiError(state.settings.absent_code)
    return recording


def _description(recording: Recording, view: View) -> Values:
    answer: Values = {"TaskId": view.task_id, "Status": view.status}
    if view.files or view.file_list == "list":
        answer["StorageFileList"] = [dict(each) for each in view.files]
    elif view.file_list == "null":
        answer["StorageFileList"] = None
    if recording.recorder_key is not None:
        answer["RecorderKey"] = recording.recorder_key
    return answer


def _stop(state: State, call: Call, recording: Recording, reason: str) -> None:
    end(recording, call.now, reason)
    recording.stopped_by = call.origin
    state.follow(recording, call.now)


def _room(values: Values) -> Room:
    return Room(values["SdkAppId"], values["RoomId"], values.get("RoomIdType", 1) == 0)


def _new_recording(state: State, call: Call) -> Recording:
    progress = dict(state.settings.new_recordings)
    if call.values["RecordParams"]["RecordMode"] == 2 and isinstance(progress.get("files"), int):
        progress["files"] = min(progress["files"], MAX_RECOVERIES + 1)
    if (anchors := state.rooms.get(_room(call.values))) is not None:
        progress["participants"] = list(anchors)
    seed = built(Seed, {**_seed_options(call.values), **progress})
    recording = recording_of(
        seed,
        state.settings,
        state.new_id(),
        call.now,
        clock_skew_seconds=state.clock_skew_seconds,
    )
    recording.started_by = call.origin
    recording.layout = call.values.get("MixLayoutParams")
    recording.subscriptions = call.values["RecordParams"].get("SubscribeStreamUserIds")
    presence.join(state, recording, call.now)
    return recording


def _seed_options(values: Values) -> dict[str, Any]:
    params = values["RecordParams"]
    storage = values["StorageParams"]
    vod = storage.get("CloudVod", {}).get("TencentVod", {})
    kept = vod if "CloudVod" in storage else storage["CloudStorage"]
    return {
        "sdk_app_id": values["SdkAppId"],
        "room_id": values["RoomId"],
        "is_string_room": values.get("RoomIdType", 1) == 0,
        "robot_id": values["UserId"],
        "mixed": params["RecordMode"] == 2,
        "storage": "vod" if "CloudVod" in storage else "cos",
        "stream_type": params.get("StreamType", 0),
        "output_format": params.get("OutputFormat", 0),
        "media_id": params.get("MediaId", 0),
        "av_merge": params.get("AvMerge", 0),
        "max_idle_seconds": params.get("MaxIdleTime", 30),
        "max_media_seconds": params.get("MaxMediaFileDuration", 1440) * 60,
        "vod_media_type": vod.get("MediaType", 0),
        "user_define_record_id": vod.get("UserDefineRecordId", ""),
        "expires_after_hours": values.get("ResourceExpiredHour", 72),
        "destination": {name: value for name, value in kept.items() if name not in SECRET_PARAMETERS},
    }
