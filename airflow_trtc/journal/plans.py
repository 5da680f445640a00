"""What to read and write, written once as generators of steps. Pure: no Airflow, no I/O."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

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
from airflow_trtc.journal.keys import FILES_PER_PAGE, LOG_KEY, Rows, due_key, due_value, page_key

MOST_PAGES = (
    1000  # anybody may write rows: a number that somebody made up must not keep readers busy for ever
)

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


def _pages(known: JobState) -> list[list[dict[str, Any]]]:
    rows = files_to_json(known.files)
    return [rows[start : start + FILES_PER_PAGE] for start in range(0, len(rows), FILES_PER_PAGE)]


def page_count(head: object) -> int:
    """How many pages a head row says it has; never more than could be."""
    count = head.get("pages") if isinstance(head, Mapping) else 0
    return max(0, min(count, MOST_PAGES)) if type(count) is int else 0


def load_plan(key: str, recording_id: str) -> Plan[JobState]:
    """Read a recording's row with its pages; what cannot be read is left out."""
    head = yield Get(key)
    known = from_json(head, recording_id)
    pages = page_count(head)
    files: list[Any] = []
    page, is_full = 0, False
    # Of two who write at the same time the slower one may shorten the head: look behind a full page.
    while page < pages or is_full:
        rows = yield Get(page_key(key, page))
        rows = rows if isinstance(rows, list) else []
        files += rows
        page, is_full = page + 1, len(rows) >= FILES_PER_PAGE
    return replace(known, files=files_from_json(files))


def save_plan(key: str, known: JobState, *, only_news: bool = False) -> Plan[JobState]:
    """Join what is known with what is stored, and write what differs: pages first, then the head.

    :param only_news: write nothing if only the times and the number of looks differ.
    """
    stored = yield from load_plan(key, known.recording_id)
    joined = combine(known, stored)
    # Stored files stay in front, so that full pages never change.
    joined = replace(joined, files=merge_files(stored.files, joined.files))
    # Who writes has just looked; hosts' clocks may differ, so times do not decide who knows better.
    if known.last_seen_at is not None:
        joined = replace(joined, status=known.status, exited_at=known.exited_at)
    if known.last_seen_at is not None or known.is_gone:
        joined = replace(joined, absent_since=known.absent_since, absent_at=known.absent_at)
    if only_news and not is_news(stored, joined):
        return joined
    old, new = _pages(stored), _pages(joined)
    for page, rows in enumerate(new):
        if old[page : page + 1] != [rows]:
            yield Set(page_key(key, page), rows)
    head = to_json(replace(joined, files=()))
    yield Set(key, {**head, "pages": len(new), "file_count": len(joined.files)})
    return joined


def load_all_plan(rows: Rows) -> Plan[JobState]:
    """Read what polls and callbacks told."""
    seen = yield from load_plan(rows.polls, rows.job.job_id)
    told = yield from load_plan(rows.callbacks, rows.job.job_id)
    return combine(seen, told)


def log_end_plan() -> Plan[int]:
    """Read the number of the change log's last entry."""
    head = yield Get(LOG_KEY)
    seq = head.get("seq") if isinstance(head, Mapping) else None
    return seq if type(seq) is int else 0


def announce_plan(rows: Rows, end: Finished, at: datetime) -> Plan[bool]:
    """Tell the API server of an end that polls found."""
    yield Set(due_key(round(at.timestamp() * 1000), rows.job), due_value(rows.job, end))
    return True


def drive(plan: Plan[_Result], store: Store) -> _Result:
    """Carry a plan out; raises what the store raises."""
    answer = None
    try:
        while True:
            step = plan.send(answer)
            answer = store.get(step.key) if isinstance(step, Get) else store.set(step.key, step.value)
    except StopIteration as stop:
        result: _Result = stop.value
        return result
