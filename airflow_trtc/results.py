"""What a wait hands on: plain JSON that downstream tasks map over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pendulum

from airflow_trtc.jobs.history import LEFT
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.recording.files import object_key


def file_results(
    files: Sequence[RecordedFile], recording_id: str, prefix: str | Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The files as plain dicts, in the order in which they began.

    Keys: ``file_name``, ``format`` (``hls``, ``mp4``, ``aac``), ``user_id`` (None when mixed),
    ``track_type``, ``media_id``, ``begin_at`` and ``end_at`` (ISO 8601, UTC), ``begin_timestamp_ms``,
    ``object_key`` (prefix, recording id and file name; None for a file in VOD), ``vod_file_id``,
    ``vod_url`` and ``recording_id``. ``end_at``, ``media_id`` and the two of VOD are None unless callbacks
    told them.
    """
    ordered = sorted(files, key=lambda file: (file.begin_timestamp_ms or 0, file.file_name))
    return [_file_result(file, recording_id, prefix) for file in ordered]


def _file_result(file: RecordedFile, recording_id: str, prefix: str | Sequence[str] | None) -> dict[str, Any]:
    is_in_vod = file.vod_file_id is not None
    return {
        "file_name": file.file_name,
        "format": file.format,
        "user_id": file.user_id,
        "track_type": file.track_type,
        "media_id": file.media_id,
        "begin_at": _time(file.begin_timestamp_ms),
        "end_at": _time(file.end_timestamp_ms),
        "begin_timestamp_ms": file.begin_timestamp_ms,
        "object_key": None if is_in_vod else object_key(recording_id, file.file_name, prefix),
        "vod_file_id": file.vod_file_id,
        "vod_url": file.vod_url,
        "recording_id": recording_id,
    }


def _time(timestamp_ms: int | None) -> str | None:
    if timestamp_ms is None:
        return None
    try:
        # Whole numbers only: a float of seconds would round the milliseconds.
        second = pendulum.from_timestamp(timestamp_ms // 1000, tz="UTC")
    except (OverflowError, ValueError, OSError):
        return None
    return second.add(microseconds=timestamp_ms % 1000 * 1000).isoformat()


def recording_result(
    known: JobState,
    finished: Finished,
    *,
    sdk_app_id: int,
    region: str | None,
    wait_for: str = "recording",
    polls: int | None = None,
) -> dict[str, Any]:
    """The summary of a finished recording, with times in ISO 8601, UTC.

    ``outcome`` is ``exited`` (its end was seen), ``gone`` (it was seen, and then the service knew it no
    more), ``callback`` (callbacks told its end) or ``never_seen``; ``ended_at`` is when the recorder left,
    None unless a callback told it; ``finished_at`` is when the end was noticed; ``problems`` are those that
    callbacks told, with ``kind`` and ``message`` (see `Problem`); ``polls`` counts the looks.

    :param region: where it was asked about; None when only callbacks told of it.
    :param polls: instead of the looks that are known of.
    """
    end = known.history.end
    return {
        "recording_id": known.recording_id,
        "sdk_app_id": sdk_app_id,
        "region": region,
        "outcome": finished.outcome,
        "wait_for": wait_for,
        "file_count": len(finished.files),
        "first_seen_at": iso(known.first_seen_at),
        "ended_at": iso(end.happened_at) if end is not None and end.type == LEFT else None,
        "finished_at": iso(finished.finished_at),
        "problems": [asdict(problem) for problem in finished.problems],
        "polls": known.looks if polls is None else polls,
    }


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, by pendulum."""
    return None if time is None else pendulum.instance(time).in_timezone("UTC").isoformat()
