"""Reads what the service answers about a job: bounded values, or the reason why the answer is of no use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot

BROKEN_ANSWER = "Client.BrokenAnswer"
OTHER_JOB = "Client.OtherJob"
MAX_FILES = 10_000
MAX_STATUS = 100  # characters


class UnreadableAnswer(ValueError):
    """The answer says nothing about the job.

    :param code: one of ours, which begins with ``Client.``.
    """

    def __init__(self, message: str, code: str = BROKEN_ANSWER) -> None:
        super().__init__(message)
        self.code = code


def read_answer(kind: JobKind, answer: Mapping[str, Any], job_id: str) -> Snapshot | Absence:
    """Read what the kind's describe action answered.

    :param answer: what is inside ``Response``.
    :raises UnreadableAnswer: there is no status in it, or it is about another job.
    """
    seen = kind.read(answer, job_id) if kind.read is not None else _read_simple(kind, answer, job_id)
    return Absence(seen.status, seen.request_id) if seen.status in kind.absent_statuses else seen


def _read_simple(kind: JobKind, answer: Mapping[str, Any], job_id: str) -> Snapshot:
    status = bounds.label(answer.get(kind.status_param), MAX_STATUS)  # some kinds answer a number
    key = kind.key_of(job_id)
    names = kind.details
    if key is None:
        seen = _snapshot(answer, job_id, status, kind.id_param)
    else:
        seen = replace(_snapshot(answer, key, status, kind.key_param), job_id=job_id)
        names = (kind.id_param, *names)  # what callbacks and stops know it by
    found = {name: value for name in names if (value := answer.get(name)) not in (None, "")}
    return replace(seen, detail=found) if found else seen


def read_recording(answer: Mapping[str, Any], job_id: str) -> Snapshot:
    """Read what ``DescribeCloudRecording`` answered.

    A status that the documentation lacks is kept as it is, unknown fields are ignored. Of the files, an
    entry without a usable name is left out; the others stay.

    :raises UnreadableAnswer: see :func:`read_answer`.
    """
    status = bounds.text(answer.get("Status"), MAX_STATUS)
    listed = map(_file, bounds.items(answer.get("StorageFileList"), MAX_FILES))
    files = tuple(file for file in listed if file is not None)
    return _snapshot(answer, job_id, status, "TaskId", files)


def read_id(value: object) -> str:
    """Read the id that a call answered which started a job.

    :raises UnreadableAnswer: there is none, or it is too long to be one.
    """
    job_id = bounds.job_id(value)
    if job_id is None:
        raise UnreadableAnswer("The answer names no job: whether one was started is not known.")
    return job_id


def read_found(kind: JobKind, answer: Mapping[str, Any], key: str) -> str:
    """Read the id of the job that has this key.

    :raises UnreadableAnswer: the answer names none, or is about another job.
    """
    answered = bounds.text(answer.get(kind.key_param))
    if answered is not None and answered != key:
        raise UnreadableAnswer("The answer is about another job.", OTHER_JOB)
    job_id = bounds.job_id(answer.get(kind.id_param))
    if job_id is None:
        raise UnreadableAnswer("The answer names no job.")
    return job_id


def _snapshot(
    answer: Mapping[str, Any],
    job_id: str,
    status: str | None,
    id_param: str,
    files: tuple[RecordedFile, ...] = (),
) -> Snapshot:
    if status is None:
        raise UnreadableAnswer("The answer has no status.")
    answered_id = bounds.text(answer.get(id_param))
    if answered_id is not None and answered_id != job_id:
        raise UnreadableAnswer("The answer is about another job.", OTHER_JOB)
    return Snapshot(job_id, status, files, bounds.text(answer.get("RequestId"), bounds.LONGEST_ID))


def _file(entry: object) -> RecordedFile | None:
    form = bounds.mapping(entry)
    name = bounds.job_id(form.get("FileName"))  # one that is cut would name another file
    if name is None:
        return None
    return RecordedFile(
        file_name=name,
        user_id=bounds.text(form.get("UserId"), bounds.LONGEST_ID),
        track_type=bounds.text(form.get("TrackType"), MAX_STATUS),
        begin_timestamp_ms=bounds.instant_ms(form.get("BeginTimeStamp")),
    )
