"""What to read and write, written once as generators of steps. Pure: no Airflow, no I/O."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from airflow_trtc import bounds, steps
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import (
    JobState,
    combine,
    files_from_json,
    files_to_json,
    from_json,
    is_news,
    merge_files,
    to_json,
)
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.journal.keys import FILES_PER_PAGE, LOG_KEY, Rows, due_key, due_value, head_value, page_key

MAX_PAGES = 1000  # rows may hold made-up numbers, which must not keep readers busy for ever

_Result = TypeVar("_Result")


class Store(Protocol):
    """The verbs of Airflow's store that the worker uses."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default when there is no such key."""

    def set(self, key: str, value: Any) -> Any:
        """Write the value."""


@dataclass(frozen=True, slots=True)
class Get:
    """Read a row; the answer is its value, None when there is none."""

    key: str


@dataclass(frozen=True, slots=True)
class Set:
    """Write a row."""

    key: str
    value: Any


# What to read and write, written once; `drive` and `adrive` do it.
Plan: TypeAlias = Generator[Get | Set, Any, _Result]


def _pages(state: JobState) -> list[list[dict[str, Any]]]:
    rows = files_to_json(state.files)
    return [rows[start : start + FILES_PER_PAGE] for start in range(0, len(rows), FILES_PER_PAGE)]


def page_count(head: object) -> int:
    """How many pages a head row says it has; never more than could be."""
    return min(bounds.count(bounds.mapping(head).get("pages")), MAX_PAGES)


def load_plan(key: str, job_id: str) -> Plan[JobState]:
    """Read a head row with its pages; what cannot be read is left out."""
    head = yield Get(key)
    state = from_json(head, job_id)
    pages = page_count(head)
    files: list[Any] = []
    page, is_full = 0, False
    # Of two writers at the same time the slower may shorten the head: read one page beyond a full one.
    while page < pages or (is_full and page < MAX_PAGES):
        rows = bounds.items((yield Get(page_key(key, page))), FILES_PER_PAGE)
        files += rows
        page, is_full = page + 1, len(rows) >= FILES_PER_PAGE
    return replace(state, files=files_from_json(files))


def save_plan(
    key: str, job: JobRef, state: JobState, *, only_news: bool = False
) -> Plan[tuple[JobState, JobState]]:
    """Join the state with what is stored, and write what differs: pages first, then the head.

    :param only_news: write nothing if only times and the number of polls differ.
    :return: what was stored, and what is known now.
    """
    stored = yield from load_plan(key, job.job_id)
    joined = combine(state, stored)
    # Stored files stay in front, so that full pages never change.
    joined = replace(joined, files=merge_files(stored.files, joined.files))
    # The writer has just polled; machines' clocks may differ, so times do not decide which state is newer.
    if state.last_seen_at is not None:
        joined = replace(joined, status=state.status, exited_at=state.exited_at)
    if state.last_seen_at is not None or state.is_gone:
        joined = replace(joined, absent_since=state.absent_since, absent_at=state.absent_at)
    if only_news and not is_news(stored, joined):
        return stored, joined
    old, new = _pages(stored), _pages(joined)
    for page, rows in enumerate(new):
        if old[page : page + 1] != [rows]:
            yield Set(page_key(key, page), rows)
    head = to_json(replace(joined, files=()))
    yield Set(key, head_value(job, head, len(new), len(joined.files)))
    return stored, joined


def load_all(rows: Rows) -> Plan[JobState]:
    """Read what polls showed and what callbacks reported."""
    polled = yield from load_plan(rows.polls, rows.job.job_id)
    reported = yield from load_plan(rows.callbacks, rows.job.job_id)
    return combine(polled, reported)


def read_log_end() -> Plan[int]:
    """Read the number of the change log's last entry."""
    head = yield Get(LOG_KEY)
    return bounds.count(bounds.mapping(head).get("seq"))


def announce(job: JobRef, end: Finished, at: datetime) -> Plan[bool]:
    """Report an end that polls found to the API server."""
    yield Set(due_key(round(at.timestamp() * 1000), job), due_value(job, end))
    return True


def drive(plan: Plan[_Result], store: Store) -> _Result:
    """Carry a plan out; what the store raises is raised inside the plan."""
    return steps.drive(plan, lambda step: carry_out(step, store))


def carry_out(step: Get | Set, store: Store) -> Any:
    """Read or write one row."""
    return store.get(step.key) if isinstance(step, Get) else store.set(step.key, step.value)
