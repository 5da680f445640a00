"""What was started over the API and for how long it ran: a line each, and sums. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from airflow_trtc.emulator.lives import Life
from airflow_trtc.emulator.lives import advance as advance_life
from airflow_trtc.emulator.recordings import Recording, advance

Line = dict[str, Any]

_APPLICATION = ("sdk_app_id",)
_ROOM = ("sdk_app_id", "room_id", "is_string_room")
_KIND = ("kind",)


def bill(recordings: Iterable[Recording], now: float, jobs: Sequence[Line] = ()) -> dict[str, Any]:
    """Return the lines of these recordings, their sums, and the ids of those that run at this instant.

    :param jobs: the lines of jobs of other kinds.
    """
    lines = [_line(each, now) for each in recordings]
    return {
        "recordings": lines,
        "running": [each["recording_id"] for each in lines if each["ended_at"] is None],
        "seconds": sum(each["seconds"] for each in lines),
        "by_application": _sums(lines, _APPLICATION),
        "by_room": _sums(lines, _ROOM),
        "jobs": list(jobs),
        "running_jobs": [each["job_id"] for each in jobs if each["ended_at"] is None],
        "by_kind": _sums(jobs, _KIND, "jobs"),
    }


def job_lines(lives: Iterable[Life], now: float) -> list[Line]:
    """Return a line for each of these jobs: what it is, and for how long it ran."""
    return [_job_line(each, now) for each in lives]


def _job_line(life: Life, now: float) -> Line:
    advance_life(life, now)
    room, ended_at = life.room, life.ended_at
    until = life.created_at if life.plan.start_fails else now if ended_at is None else ended_at
    return {
        "job_id": life.job_id,
        "kind": life.nature.kind,
        "sdk_app_id": life.sdk_app_id,
        "room_id": room and room.room_id,
        "is_string_room": room and room.is_string_room,
        "robot_id": life.robot_id,
        "key": life.key,
        "created_at": life.created_at,
        "ended_at": ended_at,
        "end_reason": life.end_reason,
        "seconds": until - life.created_at,
        "started_by": life.started_by and asdict(life.started_by),
        "stopped_by": life.stopped_by and asdict(life.stopped_by),
    }


def _line(recording: Recording, now: float) -> Line:
    advance(recording, now)
    room, ended_at = recording.recipe.room, recording.ended_at
    # A recorder that never started has cost nothing. An empty room costs as long as the robot waits in it.
    until = recording.created_at if recording.plan.start_fails else now if ended_at is None else ended_at
    return {
        "recording_id": recording.recording_id,
        **asdict(room),
        "robot_id": recording.robot_id,
        "created_at": recording.created_at,
        "ended_at": ended_at,
        "end_reason": recording.end_reason,
        "seconds": until - recording.created_at,
        "started_by": recording.started_by and asdict(recording.started_by),
        "stopped_by": recording.stopped_by and asdict(recording.stopped_by),
    }


def _sums(lines: Iterable[Line], names: tuple[str, ...], counted: str = "recordings") -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for each in lines:
        groups.setdefault(tuple(each[name] for name in names), []).append(each)
    return [{**dict(zip(names, key, strict=True)), **_sum(group, counted)} for key, group in groups.items()]


def _sum(lines: list[Line], counted: str) -> Mapping[str, Any]:
    return {
        counted: len(lines),
        "running": sum(each["ended_at"] is None for each in lines),
        "seconds": sum(each["seconds"] for each in lines),
    }
