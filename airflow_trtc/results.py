"""What a wait hands on: plain JSON that downstream tasks map over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pendulum

from airflow_trtc.recording.files import object_key
from airflow_trtc.recording.model import RecordedFile


def file_results(
    files: Sequence[RecordedFile], recording_id: str, prefix: str | Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The files as plain dicts, in the order in which they began.

    Keys: ``file_name``, ``user_id`` (None when mixed), ``track_type``, ``begin_at`` (ISO 8601, UTC),
    ``begin_timestamp_ms``, ``object_key`` (prefix, recording id and file name) and ``recording_id``.
    """
    ordered = sorted(files, key=lambda file: (file.begin_timestamp_ms or 0, file.file_name))
    return [_file_result(file, recording_id, prefix) for file in ordered]


def _file_result(file: RecordedFile, recording_id: str, prefix: str | Sequence[str] | None) -> dict[str, Any]:
    return {
        "file_name": file.file_name,
        "user_id": file.user_id,
        "track_type": file.track_type,
        "begin_at": _begin_at(file.begin_timestamp_ms),
        "begin_timestamp_ms": file.begin_timestamp_ms,
        "object_key": object_key(recording_id, file.file_name, prefix),
        "recording_id": recording_id,
    }


def _begin_at(timestamp_ms: int | None) -> str | None:
    if timestamp_ms is None:
        return None
    try:
        # Whole numbers only: a float of seconds would round the milliseconds.
        second = pendulum.from_timestamp(timestamp_ms // 1000, tz="UTC")
    except (OverflowError, ValueError, OSError):
        return None
    return second.add(microseconds=timestamp_ms % 1000 * 1000).isoformat()


def recording_result(
    *,
    recording_id: str,
    sdk_app_id: int,
    region: str,
    outcome: str,
    file_count: int,
    first_seen_at: datetime | None,
    finished_at: datetime,
    polls: int,
) -> dict[str, Any]:
    """The summary of a finished recording, with times in ISO 8601, UTC.

    ``outcome`` is ``exited`` (its end was seen), ``gone`` (it was seen, and then the service knew it no
    more) or ``never_seen``; ``finished_at`` is when a look noticed; ``polls`` counts the looks.
    """
    return {
        "recording_id": recording_id,
        "sdk_app_id": sdk_app_id,
        "region": region,
        "outcome": outcome,
        "file_count": file_count,
        "first_seen_at": iso(first_seen_at),
        "finished_at": iso(finished_at),
        "polls": polls,
    }


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, by pendulum."""
    return None if time is None else pendulum.instance(time).in_timezone("UTC").isoformat()
