"""The index of jobs in a real database: what keeps it, and pages of thousands without reading every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc import bounds
from airflow_trtc.assets import finished_recordings
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.journal import index
from airflow_trtc.journal.index import IndexEntry, Phase
from airflow_trtc.journal.keys import Rows, due_key, due_value
from airflow_trtc.journal.plans import drive, save_plan
from airflow_trtc.web.processing import database, folding
from airflow_trtc.web.processing.job_index import JobPage, page_of_jobs
from airflow_trtc.web.processing.processor import CallbackProcessor
from tests.web.conftest import APP, START_MS, Store, event, story

NOW = datetime(2026, 1, 21, 2, 2, 25, tzinfo=timezone.utc)
APPS = (APP, APP + 1, 20000000000)


def page(store: Store, **wanted: Any) -> JobPage:
    with database.transaction() as session:
        return page_of_jobs(session, store.asset_id, **wanted)


def phases(store: Store) -> dict[str, Phase]:
    return {one.job.job_id: one.phase for one in page(store).entries}


def work(at: datetime = NOW) -> None:
    assert CallbackProcessor(clock=lambda: at).work()


def put(store: Store, *events: dict[str, Any], at: datetime = NOW) -> None:
    store.put(*events, received_at_ms=bounds.unix_ms(at))


def save_polled(store: Store, state: JobState, job: JobRef) -> None:
    """As a wait does: the head, and at first sight a row of the index."""
    overlay = folding.Overlay(lambda keys: {})
    drive(save_plan(Rows(job).polls, job, state), overlay)
    assert state.first_seen_at is not None
    with database.transaction() as session:
        stored = folding.Overlay(lambda keys: database.select_keys(session, store.asset_id, keys))
        drive(index.index_plan(IndexEntry(job, Phase.RUNNING, state.first_seen_at)), stored)
    store.write({**overlay.changed, **stored.changed})


def test_callbacks_move_a_job_from_phase_to_phase(store: Store) -> None:
    put(store, event(301, "rec", Status=0))
    work()
    (running,) = page(store).entries
    assert (running.phase, running.at, running.outcome) == (Phase.RUNNING, NOW, None)
    assert running.job == JobRef("recording", APP, "ap-guangzhou", "rec")
    later = NOW + timedelta(minutes=5)
    put(store, event(302, "rec", bounds.unix_ms(later), LeaveCode=0), at=later)
    work(later)  # callbacks that it may have overtaken are waited for
    assert phases(store) == {"rec": Phase.RUNNING}
    work(later + timedelta(seconds=10))
    (ended,) = page(store).entries
    assert (ended.phase, ended.at, ended.outcome) == (Phase.ENDED, later, "callback")
    assert len(store.rows("job/")) == len(store.rows("at/")) == 1
    assert not store.rows("due/")


def test_what_goes_wrong_is_failed_and_what_is_mended_is_not(store: Store) -> None:
    put(store, event(301, "rec", Status=0), event(302, "rec", START_MS + 1, LeaveCode=0))
    put(store, event(308, "rec", START_MS + 2, Code="Denied"), at=NOW + timedelta(seconds=1))
    work(NOW + timedelta(minutes=1))
    assert phases(store) == {"rec": Phase.FAILED}
    put(store, event(305, "rec", START_MS + 3, Status=0), at=NOW + timedelta(minutes=2))
    work(NOW + timedelta(minutes=3))
    assert phases(store) == {"rec": Phase.ENDED}
    assert len(store.rows("job/")) == 1


def test_a_job_that_only_polls_know_runs_until_a_wait_finds_its_end(store: Store) -> None:
    job = JobRef("recording", APP, "ap-mumbai", "polled")
    state = learn(JobState("polled"), Snapshot("polled", "InProgress"), NOW)
    save_polled(store, state, job)
    assert phases(store) == {"polled": Phase.RUNNING}
    later = NOW + timedelta(hours=1)
    state = learn(state, Absence("ResourceNotFound"), later)
    save_polled(store, state, job)
    end = Finished("gone", (), later)
    at_ms = bounds.unix_ms(later)
    store.write({due_key(at_ms, job): json.dumps(due_value(job, end))})
    work(later)
    (ended,) = page(store).entries
    assert (ended.phase, ended.at, ended.outcome, ended.job) == (Phase.ENDED, later, "gone", job)
    assert len(store.rows("job/")) == 1


def test_a_job_that_callbacks_and_polls_know_is_one(store: Store) -> None:
    job = JobRef("recording", APP, "ap-guangzhou", "rec")
    save_polled(store, learn(JobState("rec"), Snapshot("rec", "InProgress"), NOW), job)
    put(store, event(301, "rec", Status=0), at=NOW + timedelta(seconds=3))
    work(NOW + timedelta(seconds=4))
    (running,) = page(store).entries
    assert (running.phase, running.at) == (Phase.RUNNING, NOW)
    put(store, *story("rec")[1:], at=NOW + timedelta(minutes=1))
    work(NOW + timedelta(minutes=2))
    assert phases(store) == {"rec": Phase.ENDED}
    assert len(store.rows("job/")) == 1


def test_two_regions_in_one_batch_leave_one_row(store: Store) -> None:
    put(store, *story("rec"))
    job = JobRef("recording", APP, "ap-mumbai", "rec")
    store.write({due_key(START_MS, job): json.dumps(due_value(job))})
    work(NOW + timedelta(minutes=1))
    assert len(store.rows("job/")) == 1
    assert phases(store) == {"rec": Phase.ENDED}


def test_a_job_that_nothing_is_known_of_is_not_listed(store: Store) -> None:
    job = JobRef("recording", APP, "ap-mumbai", "unknown")
    store.write({due_key(START_MS, job): json.dumps(due_value(job))})
    work(NOW)
    assert page(store) == JobPage((), None)
    assert not store.rows("due/")


def test_a_job_of_an_unknown_kind_is_set_aside(store: Store) -> None:
    job = JobRef("hovercraft", APP, None, "x")
    store.write({due_key(START_MS, job): json.dumps(due_value(job))})
    work(NOW)
    assert [row["why"] for row in store.rows("bad/").values()] == ["the row names no job"]


def test_a_failed_emission_moves_no_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_trtc.web.processing import emitting

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(emitting, "_register", fail)
    store.activate(finished_recordings())
    put(store, *story("rec"))
    work(NOW + timedelta(minutes=1))
    assert not store.rows("job/")
    assert not store.rows("at/")
    assert len(store.rows("bad/")) == 1


def test_of_a_job_that_two_wrote_at_once_only_the_noted_row_is_shown(store: Store) -> None:
    put(store, *story("rec"))
    work(NOW + timedelta(minutes=1))
    stale = IndexEntry(JobRef("recording", APP, None, "rec"), Phase.RUNNING, NOW + timedelta(hours=1))
    store.write({stale.key: json.dumps(stale.value)})
    assert phases(store) == {"rec": Phase.ENDED}
    assert page(store, phase=Phase.RUNNING) == JobPage((), None)


def test_rows_that_cannot_be_read_are_skipped_and_counted(store: Store) -> None:
    good = IndexEntry(JobRef("recording", APP, None, "rec"), Phase.RUNNING, NOW)
    odd = IndexEntry(JobRef("recording", APP, None, "odd"), Phase.RUNNING, NOW)
    store.write(
        {odd.key: "[" * 100_000, good.key: json.dumps(good.value), index.note_key(good.job): "no JSON"}
    )
    store.write({f"job/0/{1:018d}": "{}", f"job/0/{APP:018d}/5": "{}"})
    assert page(store) == JobPage((good,), None, skipped=1)


def many(count: int) -> list[IndexEntry]:
    """Jobs of three applications in all phases, the newest first."""
    return [
        IndexEntry(
            JobRef("recording", APPS[number % 3], "ap-guangzhou", f"job{number}"),
            Phase(number % 10 // 4),
            NOW - timedelta(seconds=number),
            "exited" if number % 10 // 4 == Phase.ENDED else None,
        )
        for number in range(count)
    ]


def write_index(store: Store, entries: list[IndexEntry]) -> None:
    rows = {one.key: json.dumps(one.value) for one in entries}
    rows |= {index.note_key(one.job): json.dumps(index.note_value(one)) for one in entries}
    rows |= {f"cb/recording/1/{number}": "{}" for number in range(len(entries))}
    store.write(rows)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """The queries in the block."""
    from sqlalchemy import Engine
    from sqlalchemy import event as sqlalchemy_event

    found: list[tuple[str, Any]] = []

    def remember(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT"):
            found.append((statement, parameters))

    sqlalchemy_event.listen(Engine, "before_cursor_execute", remember)
    try:
        yield found
    finally:
        sqlalchemy_event.remove(Engine, "before_cursor_execute", remember)


def test_five_thousand_jobs_are_paged_through_the_primary_key(store: Store) -> None:
    entries = many(5000)
    write_index(store, entries)
    with statements() as queries:
        first = page(store)
    assert list(first.entries) == entries[:50]
    # A step an application and phase, a range each, then the rows of the page.
    assert len(queries) <= 3 * 4 + 3 * 3 + 2
    with database.transaction() as session:
        for statement, parameters in queries:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            details = " ".join(row[3] for row in plan)
            assert "SEARCH" in details
            assert "PRIMARY KEY" in details or "autoindex" in details
            assert "SCAN" not in details
            assert "TEMP B-TREE" not in details


@pytest.mark.parametrize("sdk_app_id", [None, APP])
@pytest.mark.parametrize("phase", [None, *Phase])
def test_pages_hold_every_job_once_in_order(
    store: Store, sdk_app_id: int | None, phase: Phase | None
) -> None:
    entries = many(300)
    write_index(store, entries)
    wanted = [
        one for one in entries if sdk_app_id in (None, one.job.sdk_app_id) and phase in (None, one.phase)
    ]
    found: list[IndexEntry] = []
    after = None
    for _ in range(100):
        some = page(store, sdk_app_id=sdk_app_id, phase=phase, after=after, limit=7)
        found += some.entries
        after = some.after
        if after is None:
            break
        assert len(some.entries) == 7
    assert found == wanted


def test_a_page_begins_at_a_time(store: Store) -> None:
    entries = many(100)
    write_index(store, entries)
    some = page(store, after=index.cursor_at(entries[40].at), limit=5)
    assert list(some.entries) == entries[40:45]


@pytest.mark.parametrize("after", ["", "x", "'; drop table", "9" * 5000])
def test_a_cursor_that_is_none_begins_with_the_newest(store: Store, after: str) -> None:
    entries = many(10)
    write_index(store, entries)
    assert list(page(store, after=after, limit=3).entries) == entries[:3]


def test_many_keys_are_asked_for_in_chunks(store: Store) -> None:
    """Some databases take 999 variables in a statement, and heads may claim a thousand pages."""
    rows = {f"cb/recording/1/{number}": "{}" for number in range(1200)}
    store.write(rows)
    with database.transaction() as session, statements() as queries:
        missing = {f"cb/recording/2/{number}" for number in range(3000)}
        assert database.select_keys(session, store.asset_id, {*rows, *missing}) == rows
        assert database.existing_keys(session, store.asset_id, {*rows, *missing}) == set(rows)
        database.delete_keys(session, store.asset_id, {*rows, *missing})
        assert max(len(parameters) for _, parameters in queries) <= database.KEYS_PER_STATEMENT + 1
    assert not store.rows("cb/")
