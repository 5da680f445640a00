"""The journal against stores that work, fail, or are not there."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.records import Record, Records
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn, to_json
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.journal import plans
from airflow_trtc.journal import store as journal_store
from airflow_trtc.journal.index import IndexEntry, Phase, index_plan
from airflow_trtc.journal.journal import Journal
from airflow_trtc.journal.keys import ITEMS_PER_PAGE, LOG_KEY, Rows, due_key
from airflow_trtc.journal.plans import Get, announce, drive, load_plan, read_log_end, save_plan
from airflow_trtc.journal.store import acarry_out, worker_store

JOB = JobRef("recording", 1400000001, "ap-guangzhou", "rid")
ROWS = Rows(JOB)
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class DictStore:
    """Keeps what passes through JSON, as the database does; counts writes."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.writes: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.rows[key]) if key in self.rows else default

    def set(self, key: str, value: Any) -> None:
        assert value is not None
        self.writes.append(key)
        self.rows[key] = json.dumps(value)

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.set(key, value)


class BrokenStore(DictStore):
    """Raises at every touch, as an inactive asset does on writing."""

    def get(self, key: str, default: Any = None) -> Any:
        raise RuntimeError("database is away")

    set = get  # type: ignore[assignment]


def save(
    store: DictStore, state: JobState, *, rows: Rows = ROWS, only_news: bool = True
) -> tuple[JobState, bool]:
    return drive(Journal(rows, is_available=True).save(state, only_news=only_news), store)


def load(store: DictStore, state: JobState, *, rows: Rows = ROWS, is_same_try: bool = False) -> JobState:
    return drive(Journal(rows, is_available=True).load(state, is_same_try=is_same_try), store)


def state_with(*names: str, at: datetime = NOW, begin: int | None = None) -> JobState:
    files = tuple(RecordedFile(name, "u", "audio", begin) for name in names)
    return learn(JobState("rid"), Snapshot("rid", "InProgress", files), at)


def names(value: JobState) -> list[str]:
    return [file.file_name for file in value.files]


def test_what_was_saved_is_loaded() -> None:
    store = DictStore()
    saved, ok = save(store, state_with("a", "b"))
    assert ok
    assert load(store, JobState("rid")) == saved == state_with("a", "b")


def test_two_waits_read_each_other() -> None:
    store = DictStore()
    save(store, state_with("a"))
    save(store, state_with("b", at=NOW + timedelta(seconds=9)))
    assert names(load(store, JobState("rid"))) == ["a", "b"]


def test_saving_joins_what_another_waiter_wrote_meanwhile() -> None:
    store = DictStore()
    save(store, state_with("a", "b"))
    joined, _ = save(store, state_with("a", "c", at=NOW + timedelta(seconds=1)))
    assert names(joined) == ["a", "b", "c"]


def test_a_trigger_writes_nothing_that_is_there_but_for_the_time_of_the_look() -> None:
    store = DictStore()
    save(store, state_with("a", "b"))
    store.writes.clear()
    later = state_with("a", "b", at=NOW + timedelta(hours=1))
    joined, ok = save(store, later)
    assert ok
    assert joined.last_seen_at == later.last_seen_at
    assert store.writes == []
    save(store, state_with("a", "b", "c", at=NOW + timedelta(hours=2)))
    assert store.writes
    assert names(load(store, JobState("rid"))) == ["a", "b", "c"]


def test_with_an_end_the_look_that_repeats_another_is_written_too() -> None:
    store = DictStore()
    gone = learn(state_with("a"), Absence("ResourceNotFound"), NOW + timedelta(minutes=1))
    save(store, gone)
    again = learn(gone, Absence("ResourceNotFound"), NOW + timedelta(minutes=2))
    save(store, again, only_news=False)
    assert load(store, JobState("rid")).absent_at == again.absent_at


def test_a_recording_that_is_gone_stays_gone_for_the_next_waiter() -> None:
    store = DictStore()
    gone = learn(state_with("a"), Absence("ResourceNotFound"), NOW + timedelta(minutes=1))
    save(store, gone)
    loaded = load(store, JobState("rid"))
    assert loaded.is_gone
    assert names(loaded) == ["a"]


def test_fifteen_hundred_files_fit_into_small_rows_and_full_pages_are_written_once() -> None:
    store = DictStore()
    many = [f"20032332_1038631851__UserId_s_{n:044d}__UserId_e_main_audio.m3u8" for n in range(1500)]
    save(store, state_with(*many[:1450]))
    store.writes.clear()
    save(store, state_with(*many, at=NOW + timedelta(seconds=1)))
    assert store.writes == [f"{ROWS.polls}/files/{1450 // ITEMS_PER_PAGE}", ROWS.polls]
    assert max(len(row) for row in store.rows.values()) < 65_535
    assert names(load(store, JobState("rid"))) == many


def test_a_page_that_was_lost_costs_only_its_files() -> None:
    store = DictStore()
    save(store, state_with(*map(str, range(250))))
    del store.rows[f"{ROWS.polls}/files/1"]
    assert len(load(store, JobState("rid")).files) == 150


@pytest.mark.parametrize("junk", [1, "x", [], {}, {"v": 1}, {"v": 1, "job_id": "rid", "pages": "many"}])
def test_junk_in_the_store_reads_as_nothing_known(junk: Any) -> None:
    store = DictStore()
    store.set(ROWS.polls, junk)
    assert names(load(store, JobState("rid"))) == []


def test_a_store_that_fails_is_reported_once_and_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    journal, store = Journal(ROWS, is_available=True), BrokenStore()
    assert drive(journal.load(state_with("a")), store) == state_with("a")
    assert drive(journal.save(state_with("a"), only_news=True), store) == (state_with("a"), False)
    assert drive(journal.feed_end(), store) is None
    assert not drive(journal.announce(Finished("gone", (), NOW), NOW), store)
    assert journal.is_failing
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    drive(journal.load(state_with("a")), DictStore())
    assert not journal.is_failing


def test_without_a_store_everything_is_known_only_in_memory() -> None:
    assert worker_store({}) is None
    journal, store = Journal(ROWS, is_available=False), BrokenStore()
    assert drive(journal.save(state_with("a"), only_news=True), store) == (state_with("a"), True)
    assert drive(journal.load(state_with("a")), store) == state_with("a")
    assert journal.is_loaded


def test_a_task_whose_inlets_lost_the_journal_goes_without() -> None:
    assert worker_store({"asset_state_store": {}}) is None


def test_a_hanging_store_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(DictStore):
        async def aget(self, key: str, default: Any = None) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(journal_store, "STORE_TIMEOUT_SECONDS", 0.01)
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(acarry_out(Get("k"), Hanging()))


def test_an_id_that_looks_like_a_page_is_no_page_of_another_recording() -> None:
    store = DictStore()
    for recording_id in ("rid", "rid/files/0"):
        seen = learn(
            JobState(recording_id),
            Snapshot(recording_id, "InProgress", (RecordedFile(f"{recording_id}.a"),)),
            NOW,
        )
        save(store, seen, rows=Rows(JobRef("recording", 1, "r", recording_id)))
    for recording_id in ("rid", "rid/files/0"):
        loaded = load(store, JobState(recording_id), rows=Rows(JobRef("recording", 1, "r", recording_id)))
        assert names(loaded) == [f"{recording_id}.a"]


def test_a_head_names_its_job() -> None:
    store = DictStore()
    save(store, state_with("a"))
    head = json.loads(store.rows[ROWS.polls])
    assert {name: head[name] for name in ("kind", "sdk_app_id", "region", "job_id")} == asdict(JOB)
    assert (head["pages"], head["file_count"]) == (1, 1)


def test_the_writer_knows_better_than_a_row_from_a_host_whose_clock_is_ahead() -> None:
    """Otherwise an exit would be taken back by every save and never settle."""
    store = DictStore()
    save(store, state_with("a", at=NOW + timedelta(hours=1)))
    exiting = learn(state_with("a"), Snapshot("rid", "Exited"), NOW + timedelta(seconds=5))
    joined, _ = save(store, exiting)
    assert (joined.status, joined.exited_at) == ("Exited", NOW + timedelta(seconds=5))
    gone = learn(exiting, Absence("ResourceNotFound"), NOW + timedelta(seconds=9))
    assert save(store, gone)[0].is_gone


@pytest.mark.parametrize(
    "writer, is_gone",
    [
        (state_with("a", at=NOW + timedelta(seconds=5)), False),
        (learn(JobState("rid"), Absence("ResourceNotFound"), NOW), True),
        (learn(state_with("a"), Absence("ResourceNotFound"), NOW + timedelta(seconds=5)), True),
        (JobState("rid"), None),  # it has not polled yet: what is stored stays
    ],
    ids=["shown", "never seen", "gone", "not polled"],
)
@pytest.mark.parametrize("was_gone", [False, True])
def test_whether_a_job_is_gone_is_for_the_writer_to_say_if_it_has_polled(
    writer: JobState, is_gone: bool | None, was_gone: bool
) -> None:
    """The stored row is from a host whose clock is an hour ahead."""
    store = DictStore()
    stored = state_with("a", at=NOW + timedelta(hours=1))
    if was_gone:
        stored = learn(stored, Absence("ResourceNotFound"), NOW + timedelta(hours=1, seconds=1))
    save(store, stored)
    joined, _ = save(store, writer, only_news=False)
    assert joined.is_gone is (was_gone if is_gone is None else is_gone)


class CountingStore(DictStore):
    """Has rows for every page, and counts what is read."""

    def __init__(self, page: Any = None) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.page = page

    def get(self, key: str, default: Any = None) -> Any:
        self.reads.append(key)
        return self.page if "/files/" in key else super().get(key, default)


def test_a_job_without_files_is_one_row() -> None:
    store = CountingStore()
    save(store, state_with())
    store.reads.clear()
    assert drive(load_plan(ROWS.polls, "rid"), store) == state_with()
    assert store.reads == [ROWS.polls]


def test_made_up_pages_keep_no_reader_busy_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CountingStore([])
    store.set(ROWS.polls, {**to_json(JobState("rid")), "pages": 5000})
    drive(load_plan(ROWS.polls, "rid"), store)
    assert len(store.reads) == 1 + 1000

    monkeypatch.setattr(plans, "MAX_PAGES", 5)  # full pages take their time
    store = CountingStore([None] * ITEMS_PER_PAGE)
    store.set(ROWS.polls, {**to_json(JobState("rid")), "pages": 1})
    drive(load_plan(ROWS.polls, "rid"), store)
    assert len(store.reads) == 1 + 5


def test_nothing_is_written_only_if_that_was_asked_for() -> None:
    store = DictStore()
    drive(save_plan(ROWS.polls, JOB, state_with("a")), store)
    store.writes.clear()
    drive(save_plan(ROWS.polls, JOB, state_with("a")), store)
    assert store.writes == [ROWS.polls]
    drive(save_plan(ROWS.polls, JOB, state_with("a"), only_news=True), store)
    assert store.writes == [ROWS.polls]


def test_an_end_that_polls_found_is_announced_at_its_time() -> None:
    store = DictStore()
    assert drive(announce(JOB, Finished("gone", (), NOW), NOW + timedelta(seconds=2)), store) is True
    key = due_key(round(NOW.timestamp()) * 1000 + 2000, JOB)
    assert store.get(key)["outcome"] == "gone"


@pytest.mark.parametrize("row, end", [({"seq": 7}, 7), ({}, 0), (None, 0), ({"seq": -1}, 0)])
def test_the_end_of_the_change_log(row: Any, end: int) -> None:
    store = DictStore()
    if row is not None:
        store.set(LOG_KEY, row)
    assert drive(read_log_end(), store) == end


def test_a_head_that_a_slower_writer_shortened_hides_no_page() -> None:
    store = DictStore()
    many = list(map(str, range(ITEMS_PER_PAGE + 1)))
    save(store, state_with(*many))
    store.set(ROWS.polls, {**store.get(ROWS.polls), "pages": 1})
    assert names(load(store, JobState("rid"))) == many


def test_refusals_are_counted_on_only_within_a_try() -> None:
    store = DictStore()
    refused = learn(state_with("a"), Trouble("refused", "FailedOperation", "no"), NOW)
    save(store, refused)
    assert load(store, JobState("rid"), is_same_try=True).refusals == 1
    assert load(store, JobState("rid")).refusals == 0


def test_whether_it_was_read_is_known() -> None:
    for store, is_loaded in ((DictStore(), True), (BrokenStore(), False)):
        journal = Journal(ROWS, is_available=True)
        assert not journal.is_loaded
        drive(journal.load(JobState("rid")), store)
        assert journal.is_loaded is is_loaded


# -- what callbacks bring besides files ----------------------------------------------------------------


def said(*numbers: int) -> Records:
    return Records(
        tuple(
            Record(f"{number:032d}", "sentence", 1_767_225_600_000 + number, text=f"sentence {number}")
            for number in numbers
        )
    )


def test_records_have_pages_of_their_own_and_full_ones_are_written_once() -> None:
    store, head = DictStore(), ROWS.callbacks
    first = replace(state_with("a"), records=said(*range(150)))
    drive(save_plan(head, JOB, first), store)
    store.writes.clear()
    drive(save_plan(head, JOB, replace(first, records=said(*range(140, 160)))), store)
    assert store.writes == [f"{head}/records/1", head]
    row = store.get(head)
    assert (row["record_pages"], row["pages"], "records" in row) == (2, 1, False)
    loaded = drive(load_plan(head, "rid"), store)
    assert [record.text for record in loaded.records.kept] == [f"sentence {number}" for number in range(160)]


def test_how_many_were_left_out_is_kept_too() -> None:
    store, head = DictStore(), ROWS.callbacks
    beyond = Records(said(1).kept, 7, ("a", "b"))
    drive(save_plan(head, JOB, JobState("rid", records=beyond)), store)
    assert drive(load_plan(head, "rid"), store).records == beyond


def test_a_wait_leaves_records_to_those_who_receive_them() -> None:
    """They are in the row of callbacks, all of them, and may be many."""
    store = DictStore()
    state, _ = save(store, replace(state_with("a"), records=said(1, 2)))
    assert len(state.records.kept) == 2
    assert not [key for key in store.rows if "/records/" in key]
    drive(save_plan(ROWS.callbacks, JOB, JobState("rid", records=said(1, 2, 3))), store)
    assert len(load(store, state).records.kept) == 3


@pytest.mark.parametrize("kind, writes", [("recording", 0), ("relay", 0), ("ai_conversation", 1)])
def test_a_wait_says_of_which_kind_its_job_is_where_callbacks_do_not(kind: str, writes: int) -> None:
    store, job = DictStore(), replace(JOB, kind=kind)
    drive(index_plan(IndexEntry(job, Phase.RUNNING, NOW)), store)
    assert len([key for key in store.rows if key.startswith("kind/")]) == writes
