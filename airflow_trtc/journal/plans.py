"""What to read and write, written once as generators of steps. Pure: no Airflow, no I/O."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from airflow_trtc import bounds, steps
from airflow_trtc.jobs.records import counts_from_json, merge_records, records_from_json, records_to_json
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
from airflow_trtc.journal.keys import ITEMS_PER_PAGE, LOG_KEY, Rows, due_key, due_value, head_value, page_key

MAX_PAGES = 1000  # rows may hold made-up numbers, which must not keep readers busy for ever

Part: TypeAlias = Literal["files", "records"]
PARTS: Mapping[Part, str] = {
    "files": "pages",
    "records": "record_pages",
}  # where the head says how many pages

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


def _in_pages(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [rows[start : start + ITEMS_PER_PAGE] for start in range(0, len(rows), ITEMS_PER_PAGE)]


def page_count(head: object, part: Part) -> int:
    """How many pages of a part a head row says it has; never more than could be."""
    return min(bounds.count(bounds.mapping(head).get(PARTS[part])), MAX_PAGES)


def load_plan(key: str, job_id: str) -> Plan[JobState]:
    """Read a head row with its pages; what cannot be read is left out."""
    head = yield Get(key)
    state = from_json(head, job_id)
    files = yield from _load_pages(key, "files", page_count(head, "files"))
    records = yield from _load_pages(key, "records", page_count(head, "records"))
    beyond = bounds.mapping(head).get("records_beyond")
    return replace(
        state,
        files=files_from_json(files),
        records=counts_from_json(beyond, records_from_json(records)),
    )


def _load_pages(key: str, part: Part, pages: int) -> Plan[list[Any]]:
    items: list[Any] = []
    page, is_full = 0, False
    # Of two writers at the same time the slower may shorten the head: read one page beyond a full one.
    while page < pages or (is_full and page < MAX_PAGES):
        rows = bounds.items((yield Get(page_key(key, page, part))), ITEMS_PER_PAGE)
        items += rows
        page, is_full = page + 1, len(rows) >= ITEMS_PER_PAGE
    return items


def save_plan(
    key: str, job: JobRef, state: JobState, *, only_news: bool = False
) -> Plan[tuple[JobState, JobState]]:
    """Join the state with what is stored, and write what differs: pages first, then the head.

    :param only_news: write nothing if only times and the number of polls differ.
    :return: what was stored, and what is known now.
    """
    stored = yield from load_plan(key, job.job_id)
    joined = combine(state, stored)
    # What is stored stays in front, so that full pages never change.
    joined = replace(
        joined,
        files=merge_files(stored.files, joined.files),
        records=merge_records(stored.records, joined.records),
    )
    # The writer has just polled; machines' clocks may differ, so times do not decide which state is newer.
    if state.last_seen_at is not None:
        joined = replace(joined, status=state.status, exited_at=state.exited_at)
    if state.last_seen_at is not None or state.is_gone:
        joined = replace(joined, absent_since=state.absent_since, absent_at=state.absent_at)
    if only_news and not is_news(stored, joined):
        return stored, joined
    counts = {"file_count": len(joined.files)}
    old, new = _parts(stored), _parts(joined)
    for part, field in PARTS.items():
        pages = yield from _save_pages(key, part, _in_pages(old[part]), _in_pages(new[part]))
        if pages or part == "files":
            counts[field] = pages
    head = to_json(replace(joined, files=(), records=replace(joined.records, kept=())))
    yield Set(key, head_value(job, head, counts))
    return stored, joined


def _parts(state: JobState) -> dict[Part, list[dict[str, Any]]]:
    return {"files": files_to_json(state.files), "records": records_to_json(state.records.kept)}


def _save_pages(key: str, part: Part, old: list[Any], new: list[Any]) -> Plan[int]:
    for page, rows in enumerate(new):
        if old[page : page + 1] != [rows]:
            yield Set(page_key(key, page, part), rows)
    return len(new)


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
