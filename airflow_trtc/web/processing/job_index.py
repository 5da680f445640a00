"""Pages of the index of jobs, the newest first, read without reading every row."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_trtc import bounds
from airflow_trtc.journal import index
from airflow_trtc.journal.index import IndexEntry, Phase
from airflow_trtc.journal.keys import MAX_APP
from airflow_trtc.web.processing import database

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_LIMIT = 500
MAX_APPLICATIONS = 100  # each costs a query or two
MAX_ROUNDS = 20  # rows that are out of date are rare; should they not be, a page comes out short

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, the newest first.

    :param after: the cursor of the next page; None when this is the last one.
    :param skipped: how many rows could not be understood.
    """

    entries: tuple[IndexEntry, ...]
    after: str | None
    skipped: int = 0


def page_of_jobs(
    session: Session,
    asset_id: int,
    *,
    sdk_app_id: int | None = None,
    phase: Phase | None = None,
    after: str | None = None,
    limit: int = 50,
) -> JobPage:
    """Jobs by the time since when they are in their phase, the newest first.

    :param sdk_app_id: only those of this application.
    :param phase: only those in this phase.
    :param after: the cursor of a page, or `index.cursor_at` a time; anything else begins with the newest.
    :param limit: how many jobs, from 1 to 500.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    ranges = list(_ranges(session, asset_id, sdk_app_id, phase))
    entries: dict[str, IndexEntry] = {}
    skipped = 0
    for _ in range(MAX_ROUNDS):
        keys = _newest(session, asset_id, ranges, after, limit + 1)
        found = _current(session, asset_id, keys)
        for number, key in enumerate(keys, 1):
            after = index.cursor_after(key)
            if key not in found:
                skipped += 1
            elif (entry := found[key]) is not None:
                entries.setdefault(index.note_key(entry.job), entry)
            if len(entries) == limit:
                return _page(entries, after if number < len(keys) else None, skipped)
        if len(keys) <= limit:
            return _page(entries, None, skipped)
    return _page(entries, after, skipped)


def _page(entries: dict[str, IndexEntry], after: str | None, skipped: int) -> JobPage:
    if skipped:
        log.warning("Skipped %d rows of the index of jobs that cannot be read", skipped)
    return JobPage(tuple(entries.values()), after, skipped)


def _ranges(
    session: Session, asset_id: int, sdk_app_id: int | None, phase: Phase | None
) -> Iterator[tuple[Phase, int]]:
    for one in Phase if phase is None else [phase]:
        apps = _applications(session, asset_id, one) if sdk_app_id is None else [sdk_app_id]
        yield from ((one, app) for app in apps)


def _applications(session: Session, asset_id: int, phase: Phase) -> Iterator[int]:
    """The applications in a phase, each found by one step in the primary key."""
    app: int | None = 0
    for _ in range(MAX_APPLICATIONS):
        # Some more than one, should there be rows that are none of the index.
        keys = database.select_keys_within(session, asset_id, index.later_applications(phase, app or 0), 10)
        app = next((one for key in keys if (one := index.application_of(key)) is not None), None)
        if app is None or app >= MAX_APP:
            return
        yield app


def _newest(
    session: Session, asset_id: int, ranges: Iterable[tuple[Phase, int]], after: str | None, limit: int
) -> list[str]:
    found: list[str] = []
    for phase, app in ranges:
        keys = index.application_range(phase, app, after)
        found += database.select_keys_within(session, asset_id, keys, limit)
    return sorted((key for key in found if index.application_of(key) is not None), key=index.position)[:limit]


def _current(session: Session, asset_id: int, keys: list[str]) -> dict[str, IndexEntry | None]:
    """The rows that can be read; None for what is out of date."""
    rows = database.select_keys(session, asset_id, keys)
    read = {
        key: entry
        for key in keys
        if (entry := index.entry_from(key, bounds.json_value(rows.get(key)))) is not None
    }
    notes = database.select_keys(session, asset_id, [index.note_key(entry.job) for entry in read.values()])
    return {
        key: entry
        if index.noted_key(bounds.json_value(notes.get(index.note_key(entry.job)))) in (None, key)
        else None
        for key, entry in read.items()
    }
