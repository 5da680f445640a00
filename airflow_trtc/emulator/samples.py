"""A plausible event of each type, to try a receiver with. Pure functions.

Sources: those of :mod:`airflow_trtc.emulator.events`, and for the other groups trtc.io/document/54913
(relays), 62717 (ingest), 66149 and 68331 (AI), 73393 (slicing), 73394 (moderation) and 80094 (transcription).
Where a page has no sample, what its table says; 1402 and 1403 are taken as alike to 902 and 903.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_trtc.emulator.events import Event, Timeline, due_events, with_times
from airflow_trtc.emulator.recordings import advance
from airflow_trtc.emulator.seeding import Seed, recording_of
from airflow_trtc.emulator.settings import Settings

_RECORDED_SECONDS = 60.0
_LONG_AFTER_SECONDS = 3600.0
_LIVES: tuple[Mapping[str, Any], ...] = (
    {"output_format": 1, "room_events": True, "failovers": 1, "upload_errors": 1, "image_errors": 1},
    {"storage": "vod"},
)
_USER = {"UserId": "anchor_1"}
_ROBOT = {"UserId": "robot_1"}
_OF_AI = {"RoomIdType": 0}
_ROUND = "070c4908-1057-4ced-a949-356bf11848bc"
_SLICE = "1400000001_8001_anchor_1_20260121020226"
_SAID = {
    "UserId": "anchor_1",
    "Text": "Good morning, everybody.",
    "StartTimeMs": 1234,
    "EndTimeMs": 2269,
    "RoundId": _ROUND,
}
_HIT = {
    "DataId": "547512114953106866",
    "RequestId": "a82e0175-65ed-46b5-a656-45814aea1c60",
    "MediaType": 1,
    "Suggest": 2,
    "Label": "Ad",
    "Rate": 90,
    "Image": "",
    "Audio": "https://bucket.example/547512114835666354.ogg",
    "AudioText": "buy now",
    "CheckDetail": [{"Label": "Ad", "Suggest": 2, "Keywords": ["buy"], "Score": 90}],
}
_OTHERS: Mapping[int, Mapping[str, Any]] = {
    101: _USER,
    102: {},
    103: {**_USER, "Role": 20, "TerminalType": 100, "UserType": 3, "Reason": 1},
    104: {**_USER, "Role": 20, "Reason": 1},
    105: {**_USER, "Role": 21},
    201: _USER,
    202: {**_USER, "Reason": 0},
    203: _USER,
    204: {**_USER, "Reason": 0},
    205: _USER,
    206: {**_USER, "Reason": 0},
    401: {
        "RoomType": 1,
        **_USER,
        "Payload": {
            "Url": "rtmp://push.example/live/lesson",
            "Status": 2,
            "ErrorCode": 0,
            "ErrorMsg": "",
        },
    },
    701: {"Status": 0},
    702: {"Status": 0},
    801: {"Payload": {"Status": 1, "EventMessage": "Success"}},
    802: {"Payload": {"Status": 1, "EventMessage": ""}},
    803: {"Payload": {"Status": 1, "EventMessage": "PageRefresh"}},
    804: {"Payload": {"Status": 1, "EventMessage": ""}},
    901: {**_OF_AI, "Payload": {"Status": 0}},
    902: {**_OF_AI, "Payload": {"LeaveCode": 0}},
    903: {**_OF_AI, "Payload": _SAID},
    904: {**_OF_AI, "Payload": {"UserId": "anchor_1", "RoundId": _ROUND}},
    905: {**_OF_AI, "Payload": {"UserId": "robot_1", "RoundId": _ROUND, "Text": "Good morning."}},
    906: {**_OF_AI, "Payload": {"Metric": "llm_first_token", "Value": 218, "Tag": {"RoundId": _ROUND}}},
    908: {
        **_OF_AI,
        "Payload": {"Metric": "llm_error", "Tag": {"RoundId": _ROUND, "Code": 0, "Message": ""}},
    },
    909: {**_OF_AI, "Payload": {"Status": "session_ready"}},
    1001: {**_ROBOT, "Payload": {"Status": 0}},
    1002: {**_ROBOT, "Payload": {"LeaveCode": 0}},
    1003: {**_ROBOT, "Payload": {"Status": 0}},
    1004: {**_ROBOT, "Payload": {"FileName": f"anchor_1/audios/{_SLICE}.ogg", "StreamUserId": "anchor_1"}},
    1005: {**_ROBOT, "Payload": {"Status": 0}},
    1006: {**_ROBOT, "Payload": {"Code": 403, "Message": "AccessDenied"}},
    1101: {**_ROBOT, "Payload": {"Status": 0}},
    1102: {**_ROBOT, "Payload": {"LeaveCode": 0}},
    1103: {**_ROBOT, "Payload": {"Status": 0}},
    1104: {**_ROBOT, "StreamerUserId": "anchor_1", "Payload": _HIT},
    1105: {**_ROBOT, "Payload": {"Status": 0}},
    1106: {**_ROBOT, "Payload": {"Code": 10002, "Message": "BadRequest"}},
    1401: {**_OF_AI, "RobotId": "robot_1", "Payload": {"Status": 0}},
    1402: {**_OF_AI, "RobotId": "robot_1", "Payload": {"LeaveCode": 0}},
    1403: {**_OF_AI, "RobotId": "robot_1", "Payload": _SAID},
}
_FLAT_GROUPS = (1, 2, 7)
"""Groups whose events have no payload: what they say stands beside the ids."""
_ROOM_GROUPS = (1, 2)
_GROUPS_WITHOUT_ROOM = (7, 8)


def sample(
    event_type: int,
    *,
    recording_id: str,
    room_id: str,
    sdk_app_id: int,
    now: float,
    payload: Mapping[str, Any] | None = None,
) -> Event:
    """Return an event of this type that happened now; ``payload`` replaces the usual one.

    In groups whose events have no payload it adds to what they say, or replaces it, field by field.
    """
    found = _from_a_life(event_type, recording_id, room_id, sdk_app_id, now)
    event = found or _from_the_table(event_type, recording_id, room_id, now)
    given = {} if payload is None else dict(payload)
    is_flat = payload is None or event.group in _FLAT_GROUPS
    info = {**event.info, **(given if is_flat else {"Payload": given})}
    return Event(event.group, event.type, now, {**info, **with_times(event.group, event.type, now, {})})


def _from_a_life(
    event_type: int, recording_id: str, room_id: str, sdk_app_id: int, now: float
) -> Event | None:
    for options in _LIVES:
        seed = Seed(room_id=room_id, ends_after_seconds=_RECORDED_SECONDS, **options)
        settings = Settings(sdk_app_id=sdk_app_id)
        recording = recording_of(seed, settings, recording_id, now - _RECORDED_SECONDS)
        advance(recording, now + _LONG_AFTER_SECONDS)
        due = due_events(Timeline(recording), now + _LONG_AFTER_SECONDS)
        if found := next((event for event in due if event.type == event_type), None):
            return found
    return None


def _from_the_table(event_type: int, recording_id: str, room_id: str, now: float) -> Event:
    group = event_type // 100
    where: dict[str, Any] = {} if group in _GROUPS_WITHOUT_ROOM else {"RoomId": room_id}
    if group in _ROOM_GROUPS:
        where["RoomId"] = int(room_id) if room_id.isdigit() else room_id
    else:
        where["TaskId"] = recording_id
    usual = _OTHERS.get(event_type, {"Payload": {"Status": 0}} if group not in _ROOM_GROUPS else {})
    return Event(group, event_type, now, {**where, **usual})
