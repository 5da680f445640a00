"""The results of a wait: plain JSON that downstream tasks map over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import pendulum

from airflow_trtc import bounds
from airflow_trtc.jobs.events import LEFT, row
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.records import Record
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.recording.files import object_key

SUMMARY_FIELDS = (
    "recording_id",
    "sdk_app_id",
    "region",
    "outcome",
    "wait_for",
    "file_count",
    "first_seen_at",
    "ended_at",
    "finished_at",
    "problems",
    "polls",
)


RECORD_FIELDS = tuple(each.name for each in fields(Record) if each.name not in ("identity", "at_ms"))


def file_results(
    files: Sequence[RecordedFile], recording_id: str, prefix: str | Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The files as plain dicts, in the order in which they began.

    Keys: ``file_name``, ``format`` (``hls``, ``mp4``, ``aac``, ``ogg``, ``png``), ``user_id`` (None when
    mixed), ``track_type``, ``media_id``, ``begin_at`` and ``end_at`` (ISO 8601, UTC), ``begin_timestamp_ms``,
    ``object_key`` (prefix, recording id and file name; None for a file in VOD), ``vod_file_id``,
    ``vod_url`` and ``recording_id``. ``end_at``, ``media_id`` and the two of VOD are None unless callbacks
    report them.
    """
    ordered = sorted(files, key=lambda file: (file.begin_timestamp_ms or 0, file.file_name))
    return [_file_result(file, recording_id, prefix) for file in ordered]


def _file_result(file: RecordedFile, recording_id: str, prefix: str | Sequence[str] | None) -> dict[str, Any]:
    return {
        "file_name": file.file_name,
        "format": file.format,
        "user_id": file.user_id,
        "track_type": file.track_type,
        "media_id": file.media_id,
        "begin_at": _time(file.begin_timestamp_ms),
        "end_at": _time(file.end_timestamp_ms),
        "begin_timestamp_ms": file.begin_timestamp_ms,
        "object_key": None if file.is_in_vod else object_key(recording_id, file.file_name, prefix),
        "vod_file_id": file.vod_file_id,
        "vod_url": file.vod_url,
        "recording_id": recording_id,
    }


def _time(timestamp_ms: int | None) -> str | None:
    instant_ms = bounds.instant_ms(timestamp_ms)
    return None if instant_ms is None else iso(bounds.moment(instant_ms))


def recording_result(
    state: JobState, finished: Finished, job: JobRef, *, wait_for: str = "recording", polls: int | None = None
) -> dict[str, Any]:
    """The summary of a finished recording, with times in ISO 8601, UTC.

    ``outcome`` is ``exited`` (an answer showed its end), ``gone`` (it was seen, and then the service knew it
    no more), ``callback`` (callbacks proved its end) or ``never_seen``; ``ended_at`` is when the recorder
    left, None unless a callback reported it; ``finished_at`` is when the end was noticed; ``problems`` are
    those that callbacks reported, with ``kind`` and ``message`` (see `Problem`); ``polls`` counts the polls.

    :param job: the recording; without a region when only callbacks reported it.
    :param polls: instead of the number in `state`.
    """
    end = state.history.end
    return {
        "recording_id": job.job_id,
        "sdk_app_id": job.sdk_app_id,
        "region": job.region,
        "outcome": finished.outcome,
        "wait_for": wait_for,
        "file_count": len(finished.files),
        "first_seen_at": iso(state.first_seen_at),
        "ended_at": iso(end.happened_at) if end is not None and end.type == LEFT else None,
        "finished_at": iso(finished.finished_at),
        "problems": [asdict(problem) for problem in finished.problems],
        "polls": state.polls if polls is None else polls,
    }


def job_result(
    state: JobState, finished: Finished, job: JobRef, *, polls: int | None = None
) -> dict[str, Any]:
    """The summary of a finished job of any kind, with times in ISO 8601, UTC.

    ``kind``, ``job_id``, ``sdk_app_id`` and ``region`` name the job; ``status`` is the last one that the
    service answered; ``outcome``, ``ended_at``, ``finished_at``, ``problems`` and ``polls`` are those of
    `recording_result`; ``detail`` is what else the last answer held, None when that is nothing. What
    callbacks brought: ``files``, those of `file_results`, with ``job_id`` instead of ``recording_id``;
    ``records``, see `record_results`; ``records_left_out``, how many more there were than are kept.

    :param polls: instead of the number in `state`.
    """
    end = state.history.end
    return {
        **asdict(job),
        "status": state.status,
        "outcome": finished.outcome,
        "first_seen_at": iso(state.first_seen_at),
        "ended_at": iso(end.happened_at) if end is not None and row(end.type).is_exit else None,
        "finished_at": iso(finished.finished_at),
        "problems": [asdict(problem) for problem in finished.problems],
        "polls": state.polls if polls is None else polls,
        "detail": None if state.detail is None else dict(state.detail),
        "files": [_of_job(file) for file in file_results(finished.files, job.job_id)],
        "records": record_results(state.records.kept),
        "records_left_out": state.records.left_out,
    }


def _of_job(file: dict[str, Any]) -> dict[str, Any]:
    return {"job_id" if name == "recording_id" else name: value for name, value in file.items()}


def record_results(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Sentences and moderation hits as plain dicts, in the order in which they happened.

    Keys: ``kind`` (``sentence`` or ``moderation``), ``at`` (when the service reported it, ISO 8601, UTC),
    ``user_id`` (who speaks or is seen), ``text`` (what was said, or read in an image). Of a sentence also
    ``start_ms`` and ``end_ms`` (as the service counts them) and ``round_id``; of a hit ``media`` (``speech``
    or ``image``), ``suggestion`` (``review`` or ``block``), ``label`` (the service's word, such as
    ``Porn``), ``score`` (0 to 100), ``url`` (of the file, without any signature) and ``data_id``. What is not
    said is None. What passed the moderation is no hit.
    """
    ordered = sorted(records, key=lambda record: (record.at_ms, record.start_ms or 0))
    return [
        {"at": _time(record.at_ms), **{name: getattr(record, name) for name in RECORD_FIELDS}}
        for record in ordered
    ]


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC, by pendulum."""
    return None if time is None else pendulum.instance(time).in_timezone("UTC").isoformat()
