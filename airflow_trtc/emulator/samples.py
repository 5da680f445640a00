"""A plausible event of each type, to try a receiver with. Pure functions."""

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
_OTHERS: Mapping[int, Mapping[str, Any]] = {
    105: {**_USER, "Role": 21},
    202: {**_USER, "Reason": 0},
    204: {**_USER, "Reason": 0},
    205: _USER,
    206: {**_USER, "Reason": 0},
    401: {
        "RoomType": 1,
        **_USER,
        "Payload": {"Url": "rtmp://x", "Status": 2, "ErrorCode": 0, "ErrorMsg": ""},
    },
    701: {"Status": 0},
    702: {"Status": 0},
    801: {"Payload": {"Status": 1, "EventMessage": "Success"}},
    802: {"Payload": {"Status": 1, "EventMessage": ""}},
    803: {"Payload": {"Status": 1, "EventMessage": "PageRefresh"}},
    804: {"Payload": {"Status": 1, "EventMessage": ""}},
    902: {"RoomIdType": 0, "Payload": {"LeaveCode": 0}},
    1002: {"Payload": {"LeaveCode": 0}},
    1102: {"Payload": {"LeaveCode": 0}},
}
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
    """Return an event of this type that happened now; ``payload`` replaces the usual one."""
    found = _from_a_life(event_type, recording_id, room_id, sdk_app_id, now)
    event = found or _from_the_table(event_type, recording_id, room_id, now)
    info = dict(event.info) if payload is None else {**event.info, "Payload": dict(payload)}
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
