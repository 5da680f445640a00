"""From the life of a job to the events the service sends of it. Pure: nothing here reads a clock.

Sources: Push Online Media Stream Webhooks (trtc.io/document/62717), Cloud Recording and Web Page Recording
Webhooks (54914), Conversational AI & Speech-to-Text Callbacks (66149), Realize Cloud Slicing (73393), cloud
moderation (73394), and the events of transcription 2.0 (cloud.tencent.com/document/product/647/129976; of
its payloads only that of 1401 was readable, those of 1402 and 1403 are taken as alike to 902 and 903).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.emulator.events import Event, with_times
from airflow_trtc.emulator.lives import Life, advance, next_change_at
from airflow_trtc.emulator.spans import earliest

_STEP_SECONDS = 0.001
"""Between events that come together, so that their times show their order."""
_LEAVE_CODES = {"deleted": 0, "removed": 1, "dismissed": 2, "idle": 99, "replaced": 101, "failed": 98}
_RETRY_SECONDS = (0.0, 1.0, 3.0)
"""When a stream that cannot be pulled is tried again."""
_UPLOAD_SECONDS = 0.033
_VOD_SECONDS = 2.6

Payload = dict[str, Any]
Events = Iterator[Event]


@dataclass
class LifeTimeline:
    """What was reported of a life, and what is still to come (a heap of instant, number, event)."""

    life: Life
    coming: list[tuple[float, int, Event]] = field(default_factory=list)
    count: int = 0
    is_begun: bool = False
    outputs_reported: int = 0
    is_ended: bool = False

    @property
    def job_id(self) -> str:
        """Whose events these are."""
        return self.life.job_id

    @property
    def sdk_app_id(self) -> int:
        """In whose name they are sent."""
        return self.life.sdk_app_id

    def trouble_of(self, event_type: int) -> str | float | None:
        """Return what shall happen to events of this type."""
        return self.life.trouble_of(event_type)

    def due(self, now: float, until: float) -> list[Event]:
        """Advance to now and return the events due until then, oldest first, each once."""
        advance(self.life, now)
        self._learn()
        due = []
        while self.coming and self.coming[0][0] <= until:
            due.append(heapq.heappop(self.coming)[2])
        return due

    def skip(self, instant: float, now: float) -> None:
        """Advance to now and leave out every event before this instant."""
        self.due(now, instant)

    def next_at(self, now: float) -> float | None:
        """Return when there may be an event to report."""
        self._learn()
        return earliest(next_change_at(self.life), self.coming[0][0] if self.coming else None)

    def _learn(self) -> None:
        life = self.life
        reports = _REPORTS.get(life.nature.kind)
        if reports is None:
            return
        # The robot enters at once, or tries to until it gives up.
        started_at = life.ended_at if life.plan.start_fails else life.created_at
        if not self.is_begun and started_at is not None:
            self.is_begun = True
            self._add(reports.start(life, started_at))
        for number, output in enumerate(life.outputs[self.outputs_reported :], self.outputs_reported):
            at = output["at"] + (number + 3) * _STEP_SECONDS
            self._add(reports.output(life, number, output, at))
        self.outputs_reported = len(life.outputs)
        if not self.is_ended and life.ended_at is not None:
            self.is_ended = True
            self._add(reports.end(life, life.ended_at))

    def _add(self, events: Events) -> None:
        for event in events:
            self.count += 1
            heapq.heappush(self.coming, (event.at, self.count, event))


@dataclass(frozen=True)
class _Reports:
    """What a kind reports at its start, of each output and at its end."""

    start: Callable[[Life, float], Events]
    output: Callable[[Life, int, Mapping[str, Any], float], Events]
    end: Callable[[Life, float], Events]


def _event(life: Life, event_type: int, at: float, info: Payload) -> Event:
    group = life.nature.group
    assert group is not None, "kinds without a group report nothing"
    times = with_times(group, event_type, at + life.clock_skew_seconds, {})
    return Event(group, event_type, at, {**times, **info})


def _in_cloud(life: Life, event_type: int, at: float, payload: Payload, **more: Any) -> Event:
    """An event of slicing and moderation: with the robot, and the time in seconds too."""
    room = {} if life.room is None else {"RoomId": _room_id(life)}
    robot = {} if life.robot_id is None else {"UserId": life.robot_id}
    seconds = {"EventTs": int(at + life.clock_skew_seconds)}
    return _event(
        life, event_type, at, {**room, **seconds, **robot, "TaskId": life.job_id, **more, "Payload": payload}
    )


def _of_ai(life: Life, event_type: int, at: float, payload: Payload, **more: Any) -> Event:
    room_type = 0 if life.room is None or not life.room.is_string_room else 1
    room_id = "" if life.room is None else life.room.room_id
    info = {"TaskId": life.job_id, "RoomId": room_id, "RoomIdType": room_type, **more, "Payload": payload}
    return _event(life, event_type, at, info)


def _room_id(life: Life) -> str | int:
    assert life.room is not None
    return life.room.room_id if life.room.is_string_room else int(life.room.room_id)


def _leave_code(life: Life) -> int:
    code = life.plan.leave_code
    return _LEAVE_CODES.get(life.end_reason or "", 0) if code is None else code


def _has_failed(life: Life) -> bool:
    return life.plan.start_fails


# -- slicing ----------------------------------------------------------------------------------------------


def _slicing_start(life: Life, at: float) -> Events:
    yield _in_cloud(life, 1001, at, {"Status": int(_has_failed(life))})
    if not _has_failed(life):
        yield _in_cloud(life, 1003, at + _STEP_SECONDS, {"Status": int(life.is_storage_refused)})
    if life.is_storage_refused:
        error = {"Code": 1, "Message": "AccessKey invalid"}
        yield _in_cloud(life, 1006, at + 2 * _STEP_SECONDS, error)


def _slicing_output(life: Life, number: int, output: Mapping[str, Any], at: float) -> Events:
    if life.is_storage_refused:
        return
    name = output["value"] or _slice_name(life, number, output)
    yield _in_cloud(life, 1004, at, {"FileName": name, "StreamUserId": output["user_id"]})


def _slice_name(life: Life, number: int, output: Mapping[str, Any]) -> str:
    """Audio and pictures in turn, as the service lays them out in a bucket."""
    user, room = output["user_id"], life.room.room_id if life.room else ""
    prefix = "/".join([*life.destination.get("FileNamePrefix", ()), life.job_id, user])
    stem = f"{life.sdk_app_id}_{room}_{user}_{round((output['at']) * 1000)}"
    return f"{prefix}/images/{stem}.png" if number % 2 else f"{prefix}/audios/{stem}.ogg"


def _slicing_end(life: Life, at: float) -> Events:
    if _has_failed(life):
        return
    yield _in_cloud(life, 1002, at, {"LeaveCode": _leave_code(life)})
    yield _in_cloud(life, 1005, at + _UPLOAD_SECONDS, {"Status": int(life.is_storage_refused)})


# -- moderation -------------------------------------------------------------------------------------------


def _moderation_start(life: Life, at: float) -> Events:
    yield _in_cloud(life, 1101, at, {"Status": int(_has_failed(life))})
    if not _has_failed(life):
        yield _in_cloud(life, 1103, at + _STEP_SECONDS, {"Status": 0})


def _moderation_output(life: Life, number: int, output: Mapping[str, Any], at: float) -> Events:
    usual = {
        "DataId": f"{life.job_id}_{number}",
        "RequestId": f"{life.job_id}-{number}",
        "MediaType": 1 + number % 2,
        "Suggest": 2,
        "Label": "Abuse",
        "Score": 97,
        "CheckDetail": [],
    }
    given = output["value"] if isinstance(output["value"], Mapping) else {}
    yield _in_cloud(life, 1104, at, {**usual, **given}, StreamerUserId=output["user_id"])


def _moderation_end(life: Life, at: float) -> Events:
    if _has_failed(life):
        return
    yield _in_cloud(life, 1105, at, {"Status": 0})
    yield _in_cloud(life, 1102, at + _STEP_SECONDS, {"LeaveCode": _leave_code(life)})


# -- AI and transcription ---------------------------------------------------------------------------------


def _ai_start(life: Life, at: float) -> Events:
    yield _of_ai(life, 901, at, {"Status": int(_has_failed(life))})


def _sentence(life: Life, number: int, output: Mapping[str, Any]) -> Payload:
    begin_ms = round((output["at"] + life.clock_skew_seconds) * 1000)
    return {
        "UserId": output["user_id"],
        "Text": str(output["value"] or f"Sentence {number + 1}."),
        "StartTimeMs": begin_ms,
        "EndTimeMs": begin_ms + 900,
        "RoundId": f"{life.job_id}-{number}",
    }


def _ai_output(life: Life, number: int, output: Mapping[str, Any], at: float) -> Events:
    yield _of_ai(life, 903, at, _sentence(life, number, output))


def _ai_end(life: Life, at: float) -> Events:
    if not _has_failed(life):
        yield _of_ai(life, 902, at, {"LeaveCode": _leave_code(life)})


def _transcription_start(life: Life, at: float) -> Events:
    yield _of_ai(life, 1401, at, {"Status": int(_has_failed(life))}, RobotId=life.robot_id)


def _transcription_output(life: Life, number: int, output: Mapping[str, Any], at: float) -> Events:
    yield _of_ai(life, 1403, at, _sentence(life, number, output), RobotId=life.robot_id)


def _transcription_end(life: Life, at: float) -> Events:
    if not _has_failed(life):
        yield _of_ai(life, 1402, at, {"LeaveCode": _leave_code(life)}, RobotId=life.robot_id)


# -- ingest -----------------------------------------------------------------------------------------------


def _ingest(life: Life, event_type: int, at: float, status: int) -> Event:
    return _event(life, event_type, at, {"TaskId": life.job_id, "Status": status})


def _ingest_start(life: Life, at: float) -> Events:
    if not _has_failed(life):
        yield _ingest(life, 701, at, 0)
        return
    yield _ingest(life, 701, at, 1)
    for seconds in _RETRY_SECONDS:
        yield _ingest(life, 701, at + seconds + _STEP_SECONDS, 2)


def _ingest_output(life: Life, number: int, output: Mapping[str, Any], at: float) -> Events:
    yield from ()


def _ingest_end(life: Life, at: float) -> Events:
    later = _RETRY_SECONDS[-1] + 2 * _STEP_SECONDS if _has_failed(life) else 0.0
    yield _ingest(life, 702, at + later, 0)


# -- web page recording -----------------------------------------------------------------------------------


def _web(life: Life, event_type: int, at: float, payload: Payload) -> Event:
    return _event(life, event_type, at, {"TaskId": life.job_id, "Payload": payload})


def _web_start(life: Life, at: float) -> Events:
    status, message = (2, "Goto url timeout") if _has_failed(life) else (1, "Success")
    yield _web(life, 801, at, {"Status": status, "EventMessage": message})


def _web_output(life: Life, number: int, output: Mapping[str, Any], at: float) -> Events:
    yield from ()  # its files are reported once it has ended


def _web_end(life: Life, at: float) -> Events:
    if _has_failed(life):
        return
    if life.end_reason == "limit":
        yield _web(life, 804, at, {"Status": 1, "EventMessage": "MaxDuration"})
    yield _web(life, 802, at + _STEP_SECONDS, {"Status": 1, "EventMessage": "Success"})
    begin_ms = round(((life.started_at or life.created_at) + life.clock_skew_seconds) * 1000)
    for number, output in enumerate(life.outputs):
        name = str(output["value"] or f"{life.job_id}_{number}.mp4")
        vod = {
            "UserId": "",
            "TrackType": "audio_video",
            "MediaId": "main",
            "FileId": f"5285890{number:012d}",
            "VideoUrl": f"http://vod.example/{name}",
            "CacheFile": name,
            "StartTimeStamp": begin_ms,
            "EndTimeStamp": round((at + life.clock_skew_seconds) * 1000),
        }
        yield _web(life, 311, at + _VOD_SECONDS + number * _STEP_SECONDS, {"Status": 0, "TencentVod": vod})
    yield _web(life, 312, at + _VOD_SECONDS + 0.1, {"Status": 0})


_REPORTS: Mapping[str, _Reports] = {
    "slicing": _Reports(_slicing_start, _slicing_output, _slicing_end),
    "moderation": _Reports(_moderation_start, _moderation_output, _moderation_end),
    "live_moderation": _Reports(_moderation_start, _moderation_output, _moderation_end),
    "ai_transcription": _Reports(_ai_start, _ai_output, _ai_end),
    "ai_conversation": _Reports(_ai_start, _ai_output, _ai_end),
    "transcription": _Reports(_transcription_start, _transcription_output, _transcription_end),
    "ingest": _Reports(_ingest_start, _ingest_output, _ingest_end),
    "web_recording": _Reports(_web_start, _web_output, _web_end),
}
