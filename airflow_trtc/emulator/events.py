"""From the life of a recording to the events the service sends of it. Pure: nothing here reads a clock.

Sources: "Cloud Recording and Web Page Recording Webhooks" (trtc.io/document/54914), "Room & Media Webhooks"
(trtc.io/document/39558), and a log of real events of January 2026. The types of fields are as loose here as
they are there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.emulator.callback_plan import FAILED
from airflow_trtc.emulator.files import File, conversions
from airflow_trtc.emulator.recordings import Recording, keeps_index_files
from airflow_trtc.emulator.rooms import Room

ROOM, MEDIA, RECORDING = 1, 2, 3
STREAM_INGEST = 7
"""The one group whose events carry ``CallbackMsTs``."""

LEFT, REMOVED = 1, 3
"""Why a user is no longer in a room: ``Reason`` of 104."""

NAMES: Mapping[int, str] = {
    101: "room created",
    102: "room dismissed",
    103: "entered",
    104: "left",
    201: "video on",
    203: "audio on",
    301: "recorder started",
    302: "recorder left",
    303: "upload started",
    304: "index file uploaded",
    305: "upload over",
    306: "failover",
    307: "index file made",
    308: "upload error",
    309: "image error",
    310: "media files uploaded",
    311: "file on VOD",
    312: "VOD over",
    105: "role changed",
    202: "video off",
    204: "audio off",
    205: "substream on",
    206: "substream off",
    401: "relay",
    701: "ingest started",
    702: "ingest over",
    801: "page recorder",
    802: "page recorded",
    803: "page status",
    804: "page limit",
    901: "AI task started",
    902: "AI task over",
    903: "sentence",
    904: "speech began",
    905: "AI spoke",
    906: "AI metric",
    908: "AI error",
    909: "AI session",
    1001: "slicing started",
    1002: "slicing left",
    1003: "slice upload started",
    1004: "slice uploaded",
    1005: "slice upload over",
    1006: "slice upload error",
    1101: "moderation started",
    1102: "moderation left",
    1103: "moderation sends",
    1104: "moderation result",
    1105: "moderation over",
    1106: "moderation error",
    1401: "transcription started",
    1402: "transcription over",
    1403: "transcribed sentence",
}

_LEAVE_CODES = {"removed": 1, "dismissed": 2, "idle": 99, "replaced": 101}
_TYPES_WITH_TIME_AS_TEXT = frozenset({301, 302, 307})
_MISHAPS = frozenset({306, 308, 309})
_STREAMS = {0: (203, 201), 1: (203,), 2: (201,)}
_STEP_SECONDS = 0.001
"""Between events that come together, so that their times show their order."""

_SAMPLE_UPLOAD_ERROR = {"Code": "InvalidParameter", "Message": "AccessKey invalid"}
_SAMPLE_IMAGE_URL = "http://images.example/watermark-{}.png"

Payload = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One event: what it is, when it happened (Unix seconds), and the inside of ``EventInfo``."""

    group: int
    type: int
    at: float
    info: Mapping[str, Any]


@dataclass
class Timeline:
    """What was reported of a recording, and what is still to come (a heap of instant, number, event)."""

    recording: Recording
    coming: list[tuple[float, int, Event]] = field(default_factory=list)
    count: int = 0
    is_begun: bool = False
    is_started: bool = False
    is_uploading: bool = False
    files_reported: int = 0
    is_ended: bool = False


def due_events(timeline: Timeline, now: float) -> list[Event]:
    """Return the events due by now, oldest first, each once. The recording was advanced to now before."""
    _learn(timeline)
    due = []
    while timeline.coming and timeline.coming[0][0] <= now:
        due.append(heapq.heappop(timeline.coming)[2])
    return [each for each in due if not _is_told_by_the_room(each, timeline.recording)]


def skip(timeline: Timeline, instant: float) -> None:
    """Leave out every event before this instant; those known to come are reported."""
    _learn(timeline)
    while timeline.coming and timeline.coming[0][0] < instant:
        heapq.heappop(timeline.coming)


def next_event_at(timeline: Timeline) -> float | None:
    """Return when the next event known so far is due."""
    _learn(timeline)
    return timeline.coming[0][0] if timeline.coming else None


def with_times(group: int, event_type: int, at: float, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inside of an event with the times it lacks, each in the type the service uses for it."""
    milliseconds = round(at * 1000)
    seconds = milliseconds // 1000
    is_text = group == RECORDING and event_type in _TYPES_WITH_TIME_AS_TEXT
    times = {"EventTs": str(seconds) if is_text else seconds, "EventMsTs": milliseconds}
    if group not in (ROOM, MEDIA, RECORDING):
        del times["EventTs"]
    return {**{name: value for name, value in times.items() if name not in info}, **info}


def _learn(timeline: Timeline) -> None:
    recording = timeline.recording
    if not timeline.is_begun:
        timeline.is_begun = True
        _add(timeline, _beginning(recording))
    if not timeline.is_started and recording.started_at is not None:
        timeline.is_started = True
        since = recording.in_room_since
        if recording.callback_plan.room_events and (since is None or recording.started_at < since):
            _add(timeline, _people_come(recording, recording.started_at))
    if not timeline.is_uploading and recording.planned_files and not recording.plan.start_fails:
        timeline.is_uploading = True
        _add(timeline, _upload_start(recording))
    if timeline.files_reported < len(recording.files):
        if keeps_index_files(recording):
            _add(timeline, _index_files(recording, timeline.files_reported))
        timeline.files_reported = len(recording.files)
    if not timeline.is_ended and recording.ended_at is not None:
        timeline.is_ended = True
        _hasten(timeline, recording.ended_at)
        _add(timeline, _ending(recording, recording.ended_at))


def _add(timeline: Timeline, events: Iterator[Event]) -> None:
    for event in events:
        timeline.count += 1
        heapq.heappush(timeline.coming, (event.at, timeline.count, event))


def _hasten(timeline: Timeline, end: float) -> None:
    """Move what is due after the recording's end: files are reported by then, further mishaps never."""
    timeline.coming = [
        (min(at, end), number, _moved(event, min(at, end)))
        for at, number, event in timeline.coming
        if at <= end or event.type not in _MISHAPS
    ]
    heapq.heapify(timeline.coming)


def _moved(event: Event, at: float) -> Event:
    if at == event.at:
        return event
    info = {name: value for name, value in event.info.items() if name not in ("EventTs", "EventMsTs")}
    skew = event.info["EventMsTs"] / 1000 - event.at
    return Event(event.group, event.type, at, with_times(event.group, event.type, at + skew, info))


def _beginning(recording: Recording) -> Iterator[Event]:
    if recording.plan.start_fails:
        return
    at, callback_plan = recording.created_at, recording.callback_plan
    yield _event(recording, 301, at, {"Status": 0})
    for seconds in _listed(callback_plan.failovers, lambda number: number):
        yield _event(recording, 306, at + seconds, {"Status": 0})
    for number, error in enumerate(
        _listed(callback_plan.upload_errors, lambda number: _SAMPLE_UPLOAD_ERROR), 1
    ):
        yield _event(recording, 308, at + number, dict(error))
    for number, url in enumerate(_listed(callback_plan.image_errors, _SAMPLE_IMAGE_URL.format), 1):
        yield _event(recording, 309, at + number, {"Url": url})


def _upload_start(recording: Recording) -> Iterator[Event]:
    if recording.recipe.storage == "cos":
        at = max(recording.created_at, recording.not_before.get(0, 0.0)) + _STEP_SECONDS
        yield _event(recording, 303, at, {"Status": recording.callback_plan.upload_start_status})


def _index_files(recording: Recording, first: int) -> Iterator[Event]:
    made = zip(recording.files[first:], recording.made_at[first:], strict=True)
    # From 2 on: files that are there at once come after 301 and 303.
    for number, (each, made_at) in enumerate(made, 2):
        at = made_at + number * _STEP_SECONDS
        cut = {
            "FileName": each["FileName"],
            "UserId": each["UserId"] or "",
            "TrackType": each["TrackType"],
            "BeginTimeStamp": each["BeginTimeStamp"],
        }
        yield _event(recording, 307, at, cut)
        if not recording.callback_plan.upload_start_status:
            uploaded_at = at + recording.callback_plan.index_after_seconds
            yield _event(recording, 304, uploaded_at, {"FileList": each["FileName"]})


def _ending(recording: Recording, at: float) -> Iterator[Event]:
    if recording.plan.start_fails:
        if recording.end_reason == "failed":
            yield _event(recording, 301, at, {"Status": 1})
        return
    callback_plan = recording.callback_plan
    if callback_plan.room_events and recording.plan.room_empty_after_seconds is None:
        yield from _people_leave(recording, at)
    code = callback_plan.leave_code
    if code is None:
        code = _LEAVE_CODES.get(recording.end_reason or "", 0)
    yield _event(recording, 302, at, {"LeaveCode": code})
    if recording.files:  # of an empty room there is nothing to upload or to convert
        is_vod = recording.recipe.storage == "vod"
        yield from _vod_ending(recording, at) if is_vod else _cos_ending(recording, at)


def _cos_ending(recording: Recording, at: float) -> Iterator[Event]:
    callback_plan = recording.callback_plan
    for stage, status in enumerate(callback_plan.upload_statuses()):
        reported_at = at + callback_plan.upload_after_seconds + stage * callback_plan.recovered_after_seconds
        yield _event(recording, 305, reported_at, {"Status": status})
    for number, batch in enumerate(_batches(_conversions(recording, at), callback_plan.files_per_310)):
        first_at = at + callback_plan.mp4_after_seconds + number * callback_plan.media_every_seconds
        for stage, status in enumerate(callback_plan.mp4_statuses(number)):
            reported = [] if status == FAILED else batch
            payload = {
                "Status": status,
                "FileList": [each["FileName"] for each in reported],
                "FileMessage": [{"FileName": each["FileName"], **_media_facts(each)} for each in reported],
            }
            yield _event(recording, 310, first_at + stage * callback_plan.recovered_after_seconds, payload)


def _vod_ending(recording: Recording, at: float) -> Iterator[Event]:
    callback_plan = recording.callback_plan
    last_at = at + callback_plan.vod_after_seconds
    for number, each in enumerate(_conversions(recording, at)):
        last_at = at + callback_plan.vod_after_seconds + number * callback_plan.media_every_seconds
        for stage, status in enumerate(callback_plan.vod_statuses(number)):
            reported_at = last_at + stage * callback_plan.recovered_after_seconds
            yield _event(recording, 311, reported_at, _vod_payload(each, status))
    end_at = last_at + callback_plan.vod_end_after_seconds
    yield _event(recording, 312, end_at, {"Status": callback_plan.vod_end_status})


def _vod_payload(file: File, status: int) -> Payload:
    facts = _media_facts(file)
    if status == 0:
        place = {name: file[name] for name in ("FileId", "VideoUrl")}
        return {"Status": 0, "TencentVod": {**facts, **place, "CacheFile": file["FileName"]}}
    known = {name: facts[name] for name in ("UserId", "TrackType")}
    text = "the file is still on the server" if status != FAILED else "upload to VOD failed"
    return {"Status": status, "Errmsg": text, "TencentVod": {**known, "CacheFile": file["FileName"]}}


def _media_facts(file: File) -> Payload:
    return {
        "UserId": file["UserId"] or "",
        "TrackType": file["TrackType"],
        "MediaId": file["MediaId"],
        "StartTimeStamp": file["BeginTimeStamp"],
        "EndTimeStamp": file["EndTimeStamp"],
    }


def arrivals(
    room: Room, users: Sequence[str], at: float, *, skew: float, is_first: bool, stream_type: int = 0
) -> Iterator[Event]:
    """Yield the events of anchors who enter and begin to send; the first in an empty room creates it.

    :param at: Unix seconds; the events come a millisecond apart.
    :param skew: seconds by which the service's clock is ahead.
    """
    steps = 0
    for user in users:
        arrived = {"UserId": user, "Role": 20, "TerminalType": 2, "UserType": 3, "Reason": 1}
        happenings = [(ROOM, 103, arrived)]
        if is_first and not steps:
            happenings.insert(0, (ROOM, 101, {"UserId": user}))
        happenings += [(MEDIA, event_type, {"UserId": user}) for event_type in _STREAMS[stream_type]]
        for group, event_type, info in happenings:
            yield _room_event(room, group, event_type, at + steps * _STEP_SECONDS, info, skew)
            steps += 1


def departures(
    room: Room, users: Sequence[str], at: float, *, skew: float, is_last: bool, reason: int = LEFT
) -> Iterator[Event]:
    """Yield the events of anchors who leave; the last one's leaving dismisses the room."""
    for user in users:
        yield _room_event(room, ROOM, 104, at, {"UserId": user, "Role": 20, "Reason": reason}, skew)
    if users and is_last:
        yield _room_event(room, ROOM, 102, at, {}, skew)


def _is_told_by_the_room(event: Event, recording: Recording) -> bool:
    """Return whether the room reports leaving itself, since people move by hand and no longer as planned."""
    since = recording.in_room_since
    return since is not None and event.type in (102, 104) and event.at >= since


def _people_come(recording: Recording, at: float) -> Iterator[Event]:
    recipe, skew = recording.recipe, recording.clock_skew_seconds
    yield from arrivals(
        recipe.room, recording.users, at, skew=skew, is_first=True, stream_type=recipe.stream_type
    )
    empty_after = recording.plan.room_empty_after_seconds
    if empty_after is not None:
        yield from _people_leave(recording, at + empty_after)


def _people_leave(recording: Recording, at: float) -> Iterator[Event]:
    if recording.started_at is None:
        return
    skew = recording.clock_skew_seconds
    yield from departures(recording.recipe.room, recording.users, at, skew=skew, is_last=True)


def _event(recording: Recording, event_type: int, at: float, payload: Payload) -> Event:
    info = {
        "RoomId": recording.recipe.room_id,
        **with_times(RECORDING, event_type, at + recording.clock_skew_seconds, {}),
        "UserId": recording.robot_id,
        "TaskId": recording.recording_id,
        "Payload": payload,
    }
    return Event(RECORDING, event_type, at, info)


def _room_event(room: Room, group: int, event_type: int, at: float, info: Payload, skew: float) -> Event:
    # The documentation's samples have a number for numeric rooms, but a string in that of 102.
    is_text = room.is_string_room or event_type == 102 or not room.room_id.isdigit()
    room_id: str | int = room.room_id if is_text else int(room.room_id)
    return Event(
        group, event_type, at, {"RoomId": room_id, **with_times(group, event_type, at + skew, {}), **info}
    )


def _conversions(recording: Recording, ended_at: float) -> list[File]:
    end = ended_at + recording.clock_skew_seconds
    made = conversions(recording.recipe, recording.recording_id, recording.files, end)
    return [each for files in made.values() for each in files]


def _batches(files: Sequence[File], size: int) -> Iterator[Sequence[File]]:
    size = size or max(len(files), 1)
    for first in range(0, len(files), size):
        yield files[first : first + size]


def _listed(value: Any, sample: Any) -> list[Any]:
    """Return the given values, or as many samples as the number says."""
    return [sample(number) for number in range(1, value + 1)] if isinstance(value, int) else list(value)
