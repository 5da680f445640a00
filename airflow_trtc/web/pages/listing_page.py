"""The page "TRTC recordings": what is read for it, and how often."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from fastapi import Request
from starlette.responses import Response

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.pulse import PollTimes, poll_times
from airflow_trtc.kinds import KINDS
from airflow_trtc.web.pages import figures, listing, queries, shell
from airflow_trtc.web.pages.access import Reader, ReaderDep
from airflow_trtc.web.pages.listing import LINES_PER_PAGE, ListQuery, Paging
from airflow_trtc.web.pages.memory import LONGEST_SECONDS, Memory
from airflow_trtc.web.processing import database

TITLE = "TRTC recordings"
DAGS_SECONDS = 5.0
COUNTS_SECONDS = 2.0

# What all users share; counts are kept by the DAGs that are counted.
_dags = Memory(DAGS_SECONDS, LONGEST_SECONDS)
_counts = Memory(COUNTS_SECONDS, LONGEST_SECONDS)
_pulses = Memory(COUNTS_SECONDS, LONGEST_SECONDS)


@dataclass(frozen=True, slots=True)
class Listing:
    """All that the page shows.

    :param dags: the DAGs to choose from, which are those that the user may read.
    :param hidden: there are others that wait, which the user may not read.
    :param lacks: what this Airflow lacks, a sentence; empty when nothing.
    """

    query: ListQuery
    dags: tuple[str, ...]
    hidden: bool
    lines: list[listing.Line]
    paging: Paging
    tiles: tuple[figures.Tile, ...]
    accounts: list[figures.Account]
    heard: list[figures.Heard]
    lacks: str


def show(request: Request, reader: ReaderDep) -> Response:
    """Answer with the list of what this user's DAGs wait for, or have waited for lately."""
    began_at, now = time.thread_time(), datetime.now(timezone.utc)
    found = read(listing.read_query(request.query_params), reader, now)
    kinds = {name: kind.label for name, kind in KINDS.items()}
    context: dict[str, Any] = {"list": found, "heads": listing.heads(found.query), "kinds": kinds}
    words: dict[str, Any] = {"show_labels": listing.SHOW_LABELS, "tracks_of": listing.describe_tracks}
    return shell.page(request, "listing.html", title=TITLE, now=now, began_at=began_at, **context, **words)


def read(query: ListQuery, reader: Reader, now: datetime) -> Listing:
    """Read what a query asks for, as far as a user may see it."""
    with queries.reading() as session:
        all_dags = _dags.get("dags", lambda: queries.find_dags(session, now))
        dags = reader.readable(all_dags)
        rows, total = queries.select_waits(session, query, dags, now, LINES_PER_PAGE)
        lacks = "" if queries.has_journal(session) else why_no_journal()
        values = _pulses.get("pulses", lambda: queries.select_journal(session, queries.PULSES, queries.HEARD))
    counts = _counts.get(dags, lambda: _count(dags, now))
    shown = listing.lines(rows, _poll_times(values, now))
    return Listing(
        query,
        tuple(sorted(dags)),
        len(dags) < len(all_dags),
        shown,
        listing.paging(query, len(shown), total),
        figures.tiles(counts, query),
        *(_of_accounts(values, reader, now) if reader.may_read_connections else ([], [])),
        lacks,
    )


def _count(dag_ids: frozenset[str], now: datetime) -> figures.Counts | None:
    """Count in a session of its own: where that takes too long, the page comes without the numbers."""
    try:
        with queries.reading(queries.COUNT_SECONDS) as session:
            return queries.count_all(session, dag_ids, now)
    except Exception as error:
        if database.is_passing(error):
            return None
        raise


def _of_accounts(
    values: Mapping[str, Any], reader: Reader, now: datetime
) -> tuple[list[figures.Account], list[figures.Heard]]:
    pulses = (value for key, value in values.items() if key.startswith("pulse/"))
    heard = (value for key, value in values.items() if key.startswith("heard/"))
    accounts = figures.accounts(pulses, now)
    readable = reader.readable_connections({name for one in accounts for name in one.conn_ids})
    return figures.named_by(accounts, readable), figures.heard(heard, now)


def _poll_times(values: Mapping[str, Any], now: datetime) -> Callable[[JobRef], PollTimes]:
    pages = [value for key, value in values.items() if "/jobs/" in key]
    return lambda job: poll_times(pages, job, now)


def why_no_journal() -> str:
    """What to do, in words for users, where no journal is kept."""
    why = database.why_no_store()
    if why is not None:
        return (
            f"{why[0].upper()}{why[1:]}. This page shows what tasks say of their waits; callbacks, times of"
            " polls and figures of accounts are missing."
        )
    return (
        "No DAG has a task that keeps the journal: callbacks are not received. Add a DAG with one of the"
        " sensors of airflow_trtc, and have the DAG processor parse it."
    )
