"""The journal against stores that work, fail, or are not there."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.journal import store as journal_store
from airflow_trtc.journal.keys import FILES_PER_PAGE, Rows
from airflow_trtc.journal.store import AsyncJournal, Journal

ROWS = Rows(JobRef("recording", 1400000001, "ap-guangzhou", "rid"))
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


def known(*names: str, at: datetime = NOW, begin: int | None = None) -> JobState:
    files = tuple(RecordedFile(name, "u", "audio", begin) for name in names)
    return learn(JobState("rid"), Snapshot("rid", "InProgress", files), at)


def names(value: JobState) -> list[str]:
    return [file.file_name for file in value.files]


def test_what_was_saved_is_loaded() -> None:
    store = DictStore()
    saved, ok = Journal(store, ROWS).save(known("a", "b"))
    assert ok
    assert Journal(store, ROWS).load(JobState("rid")) == saved == known("a", "b")


def test_trigger_and_worker_read_each_other() -> None:
    store = DictStore()
    asyncio.run(AsyncJournal(store, ROWS).save(known("a")))
    Journal(store, ROWS).save(known("b", at=NOW + timedelta(seconds=9)))
    assert names(asyncio.run(AsyncJournal(store, ROWS).load(JobState("rid")))) == ["a", "b"]


def test_saving_joins_what_another_waiter_wrote_meanwhile() -> None:
    store = DictStore()
    Journal(store, ROWS).save(known("a", "b"))
    joined, _ = Journal(store, ROWS).save(known("a", "c", at=NOW + timedelta(seconds=1)))
    assert names(joined) == ["a", "b", "c"]


def test_a_trigger_writes_nothing_that_is_there_but_for_the_time_of_the_look() -> None:
    store = DictStore()
    Journal(store, ROWS).save(known("a", "b"))
    store.writes.clear()
    later = known("a", "b", at=NOW + timedelta(hours=1))
    joined, ok = asyncio.run(AsyncJournal(store, ROWS).save(later))
    assert ok
    assert joined.last_seen_at == later.last_seen_at
    assert store.writes == []
    asyncio.run(AsyncJournal(store, ROWS).save(known("a", "b", "c", at=NOW + timedelta(hours=2))))
    assert store.writes
    assert names(Journal(store, ROWS).load(JobState("rid"))) == ["a", "b", "c"]


def test_with_an_end_the_look_that_repeats_another_is_written_too() -> None:
    store = DictStore()
    gone = learn(known("a"), Absence("ResourceNotFound"), NOW + timedelta(minutes=1))
    Journal(store, ROWS).save(gone)
    again = learn(gone, Absence("ResourceNotFound"), NOW + timedelta(minutes=2))
    asyncio.run(AsyncJournal(store, ROWS).save(again, only_news=False))
    assert Journal(store, ROWS).load(JobState("rid")).absent_at == again.absent_at


def test_a_recording_that_is_gone_stays_gone_for_the_next_waiter() -> None:
    store = DictStore()
    gone = learn(known("a"), Absence("ResourceNotFound"), NOW + timedelta(minutes=1))
    Journal(store, ROWS).save(gone)
    loaded = Journal(store, ROWS).load(JobState("rid"))
    assert loaded.is_gone
    assert names(loaded) == ["a"]


def test_fifteen_hundred_files_fit_into_small_rows_and_full_pages_are_written_once() -> None:
    store = DictStore()
    many = [f"20032332_1038631851__UserId_s_{n:044d}__UserId_e_main_audio.m3u8" for n in range(1500)]
    Journal(store, ROWS).save(known(*many[:1450]))
    store.writes.clear()
    Journal(store, ROWS).save(known(*many, at=NOW + timedelta(seconds=1)))
    assert store.writes == [f"{ROWS.polls}/files/{1450 // FILES_PER_PAGE}", ROWS.polls]
    assert max(len(row) for row in store.rows.values()) < 65_535
    assert names(Journal(store, ROWS).load(JobState("rid"))) == many


def test_a_page_that_was_lost_costs_only_its_files() -> None:
    store = DictStore()
    Journal(store, ROWS).save(known(*map(str, range(250))))
    del store.rows[f"{ROWS.polls}/files/1"]
    assert len(Journal(store, ROWS).load(JobState("rid")).files) == 150


@pytest.mark.parametrize("junk", [1, "x", [], {}, {"v": 1}, {"v": 1, "recording_id": "rid", "pages": "many"}])
def test_junk_in_the_store_reads_as_nothing_known(junk: Any) -> None:
    store = DictStore()
    store.set(ROWS.polls, junk)
    assert names(Journal(store, ROWS).load(JobState("rid"))) == []


def test_a_store_that_fails_is_reported_once_and_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    broken = Journal(BrokenStore(), ROWS)
    assert broken.load(known("a")) == known("a")
    assert broken.save(known("a")) == (known("a"), False)
    assert asyncio.run(AsyncJournal(BrokenStore(), ROWS).save(known("a"))) == (known("a"), False)
    assert [record.levelname for record in caplog.records].count("WARNING") == 2  # one for each of the two


def test_without_a_store_everything_is_known_only_in_memory() -> None:
    none = Journal.of_task({}, ROWS)
    assert not none.is_available
    assert none.save(known("a")) == (known("a"), True)


def test_a_task_whose_inlets_lost_the_journal_goes_without() -> None:
    assert not Journal.of_task({"asset_state_store": {}}, ROWS).is_available


def test_a_hanging_store_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(DictStore):
        async def aget(self, key: str, default: Any = None) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(journal_store, "STORE_TIMEOUT_SECONDS", 0.01)
    assert asyncio.run(AsyncJournal(Hanging(), ROWS).load(known("a"))) == known("a")


def test_keys_differ_by_app_region_and_recording_and_stay_short() -> None:
    ids: list[tuple[int, str, str]] = [(1, "r", "a"), (2, "r", "a"), (1, "s", "a"), (1, "r", "b")]
    keys = {Rows(JobRef("recording", *each)).polls for each in ids}
    assert len(keys) == 4
    assert len(Rows(JobRef("recording", 1, "r", "x" * 10_000)).polls) < 100


def test_an_id_that_looks_like_a_page_is_no_page_of_another_recording() -> None:
    store = DictStore()
    for recording_id in ("rid", "rid/files/0"):
        seen = learn(
            JobState(recording_id),
            Snapshot(recording_id, "InProgress", (RecordedFile(f"{recording_id}.a"),)),
            NOW,
        )
        Journal(store, Rows(JobRef("recording", 1, "r", recording_id))).save(seen)
    for recording_id in ("rid", "rid/files/0"):
        loaded = Journal(store, Rows(JobRef("recording", 1, "r", recording_id))).load(JobState(recording_id))
        assert names(loaded) == [f"{recording_id}.a"]


def test_rows_of_the_version_without_callbacks_are_read() -> None:
    store = DictStore()
    head = {
        "v": 1, "recording_id": "rid", "status": "InProgress", "looks": 3, "refusals": 0, "files": [],
        "pages": 1, "file_count": 1, "first_seen_at": NOW.isoformat(), "last_seen_at": NOW.isoformat(),
        "exited_at": None, "absent_since": None, "absent_at": None,
    }  # fmt: skip
    file = {"file_name": "a", "user_id": "u", "track_type": "audio", "begin_timestamp_ms": None}
    store.rows = {ROWS.polls: json.dumps(head), f"{ROWS.polls}/files/0": json.dumps([file])}
    loaded = Journal(store, ROWS).load(JobState("rid"))
    assert loaded == replace(known("a"), looks=3)
    saved, is_saved = Journal(store, ROWS).save(loaded)
    assert is_saved
    assert saved == loaded


def test_the_writer_knows_better_than_a_row_from_a_host_whose_clock_is_ahead() -> None:
    """Otherwise an exit would be taken back by every save and never settle."""
    store = DictStore()
    Journal(store, ROWS).save(known("a", at=NOW + timedelta(hours=1)))
    exiting = learn(known("a"), Snapshot("rid", "Exited"), NOW + timedelta(seconds=5))
    joined, _ = Journal(store, ROWS).save(exiting)
    assert (joined.status, joined.exited_at) == ("Exited", NOW + timedelta(seconds=5))
    gone = learn(exiting, Absence("ResourceNotFound"), NOW + timedelta(seconds=9))
    assert Journal(store, ROWS).save(gone)[0].is_gone


def test_a_head_that_a_slower_writer_shortened_hides_no_page() -> None:
    store = DictStore()
    many = list(map(str, range(FILES_PER_PAGE + 1)))
    Journal(store, ROWS).save(known(*many))
    store.set(ROWS.polls, {**store.get(ROWS.polls), "pages": 1})
    assert names(Journal(store, ROWS).load(JobState("rid"))) == many


def test_refusals_are_counted_on_only_within_a_try() -> None:
    store = DictStore()
    refused = learn(known("a"), Trouble("refused", "FailedOperation", "no"), NOW)
    Journal(store, ROWS).save(refused)
    assert Journal(store, ROWS).load(JobState("rid"), same_try=True).refusals == 1
    assert Journal(store, ROWS).load(JobState("rid")).refusals == 0


def test_whether_it_was_read_is_known() -> None:
    for store, loaded in ((DictStore(), True), (BrokenStore(), False)):
        one = Journal(store, ROWS)
        assert not one.is_loaded
        one.load(JobState("rid"))
        assert one.is_loaded is loaded
    assert Journal(None, ROWS).is_loaded
