"""Rows that say which task owns a running job, and what to do about a job whose owner is gone. Pure.

A task that starts a job writes ``own/<digest of the task and the job>``, and closes the row when the job is
over. While the row is open, the API server looks now and then whether the task still goes about its job. If
not, which no process of the task's may have noticed, it stops the job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

from airflow_trtc import bounds
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.keys import KeyRange, job_fields, job_from, make_key

VERSION = 1
# Long enough for a task that has just been marked to stop its job by itself, and to close its row.
GRACE_MS = 10_000
FIRST_RETRY_MS = 15_000
LONGEST_RETRY_MS = 600_000
MAX_FAILURES = 100  # more than half a day

# States of Airflow's task instances in which nothing of the task will run again by itself.
FINAL_STATES = frozenset({"success", "failed", "skipped", "removed", "upstream_failed"})

# "keep": nothing to do; "note": remember that the owner is gone; "unnote": it is back; "stop": stop the job;
# "give up": delete the row, with a word about the job that may run on.
Action: TypeAlias = Literal["keep", "note", "unnote", "stop", "give up"]

OWNERS = KeyRange("own/", f"own/{0:039d}", f"own/{10**39 - 1:039d}")
CLOSED: Mapping[str, Any] = {"v": VERSION, "closed": True}


class TaskNow(NamedTuple):
    """A task instance as Airflow's database has it."""

    state: str | None
    try_number: int
    max_tries: int


class TaskId(NamedTuple):
    """What names a task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


@dataclass(frozen=True, slots=True)
class Owner:
    """A task instance that owns a running job.

    :param try_number: the try that started the job, or took it over.
    :param max_tries: how far tries may count, as that try saw it; a clear raises it.
    :param conn_id: the connection with which the job can be stopped.
    :param gone_since_ms: since when the owner is known to be gone, Unix milliseconds; None while it is there.
    :param failures: how often the API server has failed to stop the job.
    :param retry_at_ms: not before that it tries again, Unix milliseconds.
    """

    task: TaskId
    job: JobRef
    try_number: int
    max_tries: int
    conn_id: str
    gone_since_ms: int | None = None
    failures: int = 0
    retry_at_ms: int = 0

    @property
    def key(self) -> str:
        """Key of its row."""
        return owner_key(self.task, self.job)

    @property
    def value(self) -> dict[str, Any]:
        """Value of its row."""
        counts = {name: value for name, value in asdict(self).items() if name not in ("task", "job")}
        return {"v": VERSION, **self.task._asdict(), **job_fields(self.job), **counts}


def owner_key(task: TaskId, job: JobRef) -> str:
    """Key of a row; digits only, so that every database sorts such keys alike."""
    named = make_key("", *task, job.kind, job.sdk_app_id, job.job_id)
    return f"own/{int(hashlib.sha256(named.encode()).hexdigest()[:32], 16):039d}"


def how_to_stop(job: JobRef) -> str:
    """What a person can do about a job that nothing here could stop."""
    operator = "TrtcStopRecordingOperator, " if job.kind == "recording" else ""
    return (
        f"Stop it by hand, with {operator}TrtcHook.stop() or in the console. Id: {job.job_id}, application"
        f" {job.sdk_app_id}, region {job.region}"
    )


def owner_from(value: object) -> Owner | None:
    """Read a row. Total: None for what is no open row of this version."""
    row = bounds.mapping(value)
    job = job_from(row)
    names = [bounds.text(row.get(name)) for name in ("dag_id", "run_id", "task_id", "conn_id")]
    map_index = bounds.number(row.get("map_index"), -1)
    if row.get("v") != VERSION or row.get("closed") or job is None or map_index is None or None in names:
        return None
    dag_id, run_id, task_id, conn_id = map(str, names)
    return Owner(
        TaskId(dag_id, run_id, task_id, map_index),
        job,
        bounds.count(row.get("try_number")),
        bounds.count(row.get("max_tries")),
        conn_id,
        bounds.number(row.get("gone_since_ms"), 0),
        bounds.count(row.get("failures")),
        bounds.count(row.get("retry_at_ms")),
    )


def is_closed(value: object) -> bool:
    """Whether a row's job is over, so that the row may go."""
    return bounds.mapping(value).get("closed") is True


def is_gone(owner: Owner, task: TaskNow | None) -> bool:
    """Whether no try of the task goes about this job any more.

    :param task: the task instance at present; None when Airflow has deleted it. States that this version
        does not know count as being there.
    """
    if task is None or task.state in FINAL_STATES:
        return True
    # Tries can only count that far after a clear, and then the next try starts a job of its own.
    return task.max_tries > owner.max_tries or task.try_number > owner.max_tries + 1


def decide(owner: Owner, task: TaskNow | None, now_ms: int) -> Action:
    """Say what to do about a job, of which the row is open."""
    if not is_gone(owner, task):
        return "keep" if owner.gone_since_ms is None else "unnote"
    if owner.gone_since_ms is None:
        return "note"
    if now_ms < max(owner.gone_since_ms + GRACE_MS, owner.retry_at_ms):
        return "keep"
    return "stop" if owner.failures < MAX_FAILURES else "give up"


def noted(owner: Owner, now_ms: int | None) -> Owner:
    """The owner, gone since then; None for one that is back."""
    return replace(owner, gone_since_ms=now_ms, failures=0, retry_at_ms=0)


def failed(owner: Owner, now_ms: int) -> Owner:
    """The owner, after one more failure to stop its job; the pause doubles up to ten minutes."""
    pause = min(FIRST_RETRY_MS * 2 ** min(owner.failures, 10), LONGEST_RETRY_MS)
    return replace(owner, failures=owner.failures + 1, retry_at_ms=now_ms + pause)
