"""The reader of the change log, against a log that grows, loses pages, begins anew, and fails."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.callback import parse_event
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.feed import Entry, FeedReader, FeedSubscription, StoredLog, read_entry
from airflow_trtc.journal.keys import ENTRIES_PER_PAGE, log_page

APP = 1400000001
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def job(recording_id: str) -> JobRef:
    return JobRef("recording", APP, None, recording_id)


class FakeLog:
    """A change log in memory; counts how often it is read."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.lost_pages: set[int] = set()
        self.reads = 0
        self.is_broken = False

    def write(self, recording_id: str, *, long: bool = False) -> int:
        seq = len(self.entries) + 1
        event = {"EventGroupId": 3, "EventType": 302, "EventInfo": {"TaskId": recording_id, "EventMsTs": seq}}
        self.entries.append(Entry(seq, job(recording_id), NOW, None if long else parse_event(event)))
        return seq

    async def end(self) -> int:
        self.reads += 1
        if self.is_broken:
            raise RuntimeError("database is away")
        return len(self.entries)

    async def page(self, page: int) -> list[Entry]:
        self.reads += 1
        if page in self.lost_pages:
            return []
        return [entry for entry in self.entries if log_page(entry.seq) == page]


def run(story: Callable[[FakeLog, FeedReader], Awaitable[None]], **options: Any) -> None:
    async def play() -> None:
        log = FakeLog()
        await story(log, FeedReader(log, read_seconds=0.01, **options))

    asyncio.run(asyncio.wait_for(play(), 120))


async def until(holds: Callable[[], Any]) -> None:
    """Wait for it; the story's own limit ends what never comes."""
    while not holds():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.005)


class Listener(FeedSubscription):
    """A subscription that can be waited for."""

    def __init__(self, job_id: str, position: int) -> None:
        self.news = asyncio.Event()
        super().__init__(job(job_id), position, self.news.set)

    async def wait(self, seconds: float) -> list[Entry]:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.news.wait(), seconds)
        self.news.clear()
        return self.drain()


def subscribe(reader: FeedReader, job_id: str, position: int = 0) -> Listener:
    new = Listener(job_id, position)
    reader.add(new)
    return new


async def heard(listener: Listener) -> list[int]:
    return [entry.seq for entry in await listener.wait(60)]


def test_each_hears_its_own_recording_and_nothing_else() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        a, b = subscribe(reader, "a"), subscribe(reader, "b")
        for recording_id in "aba":
            log.write(recording_id)
        assert await heard(a) == [1, 3]
        assert await heard(b) == [2]
        assert not a.has_gap

    run(story)


def test_waiting_ends_when_its_time_is_up() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        assert await subscribe(reader, "a").wait(0.05) == []

    run(story)


def test_a_thousand_listeners_cost_no_more_reads_than_one() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listeners = [subscribe(reader, f"r{number}") for number in range(1000)]
        for number in range(1000):
            log.write(f"r{number}")
        for number, listener in enumerate(listeners):
            assert await heard(listener) == [number + 1]
        assert log.reads <= 2 * 1000 / ENTRIES_PER_PAGE + 10

    run(story)


def test_what_came_between_the_workers_look_and_the_start_of_the_trigger_is_heard() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        log.write("a")
        known_until = log.write("b")
        log.write("a")
        assert await heard(subscribe(reader, "a", position=known_until)) == [3]

    run(story)


def test_a_late_listener_hears_from_memory_what_the_reader_read_before() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        first = subscribe(reader, "a")
        log.write("a")
        log.write("b")
        assert await heard(first) == [1]
        late = subscribe(reader, "b")
        assert await heard(late) == [2]
        assert not late.has_gap

    run(story)


def test_a_listener_from_before_the_readers_memory_is_told_that_it_missed_something() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        for _ in range(5):
            log.write("a")
        current = subscribe(reader, "x", position=5)
        log.write("x")
        assert await heard(current) == [6]
        old = subscribe(reader, "a", position=2)
        assert await heard(old) == []
        assert old.has_gap

    run(story)


def test_a_lost_page_makes_everybody_look_for_themselves() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listener = subscribe(reader, "a")
        log.lost_pages = {0}
        for _ in range(ENTRIES_PER_PAGE + 1):
            log.write("a")
        assert await heard(listener) == [ENTRIES_PER_PAGE + 1]
        assert listener.has_gap

    run(story)


def test_a_hole_in_a_page_makes_everybody_look_for_themselves() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listener = subscribe(reader, "a")
        log.write("b")
        log.write("a")
        log.entries[0] = log.entries[1]
        assert await heard(listener) == [2]
        assert listener.has_gap

    run(story)


def test_a_callback_too_long_for_the_log_is_missed_and_not_lost() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listener = subscribe(reader, "a")
        log.write("a", long=True)
        assert await heard(listener) == []
        assert listener.has_gap

    run(story)


def test_a_journal_that_began_anew_is_heard_again() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listener = subscribe(reader, "a", position=500)
        for _ in range(3):
            log.write("a")
        assert await heard(listener) == [1, 2, 3]
        assert listener.has_gap

    run(story)


def test_a_reader_that_is_far_behind_takes_the_short_way() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listener = subscribe(reader, "a")
        log.write("a")
        assert await heard(listener) == [1]
        for _ in range(ENTRIES_PER_PAGE * 5):
            log.write("b")
        assert await heard(listener) == []
        assert listener.has_gap
        assert log.reads < 100

    run(story, max_pages=3)


def test_a_failing_store_is_reported_once_and_overcome(caplog: pytest.LogCaptureFixture) -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listener = subscribe(reader, "a")
        log.is_broken = True
        await listener.wait(60)  # until it is told that nothing can be read
        log.is_broken = False
        log.write("a")
        assert await heard(listener) == [1]

    run(story)
    assert sum("Cannot read callbacks" in record.message for record in caplog.records) == 1


def test_event_loops_that_have_ended_are_not_kept() -> None:
    readers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, FeedReader] = weakref.WeakKeyDictionary()

    async def story(log: FakeLog, reader: FeedReader) -> None:
        readers[asyncio.get_running_loop()] = reader
        listener = subscribe(reader, "a")
        await listener.wait(0.02)
        reader.remove(listener)

    for _ in range(3):
        run(story)
    gc.collect()
    assert len(readers) == 0


def test_it_is_behind_until_the_end_of_the_log_was_read_a_short_while_ago() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        assert FeedSubscription(job("a"), 0).is_behind
        listener = subscribe(reader, "a")
        assert listener.is_behind
        await until(lambda: not listener.is_behind)
        log.is_broken = True
        await until(lambda: listener.is_behind)
        log.is_broken = False
        await until(lambda: not listener.is_behind)
        log.is_broken = True
        reader.remove(listener)
        await asyncio.sleep(0.1)
        assert subscribe(reader, "b").is_behind

    run(story, behind_seconds=0.06)


def test_nobody_reads_when_nobody_listens() -> None:
    async def story(log: FakeLog, reader: FeedReader) -> None:
        listener = subscribe(reader, "a")
        await listener.wait(0.05)
        reader.remove(listener)
        await asyncio.sleep(0.1)
        reads = log.reads
        await asyncio.sleep(0.1)
        assert log.reads == reads
        log.write("a")
        assert await heard(subscribe(reader, "a")) == [1]

    run(story)


@pytest.mark.parametrize(
    "change",
    [
        {"received_at_ms": 10**30},
        {"received_at_ms": 0},
        {"received_at_ms": None},
        {"seq": "one"},
        {"seq": None},
        {"seq": 10**30},
        {"job_id": ["a"]},
        {"sdk_app_id": "app"},
        {"event": 7},
        {"event": {"EventGroupId": "x"}},
    ],
)
def test_a_row_that_cannot_be_understood_is_a_hole(change: dict[str, Any]) -> None:
    event = {
        "EventGroupId": 3,
        "EventType": 302,
        "EventInfo": {"TaskId": "a", "EventMsTs": 1_767_225_600_000},
    }
    good = {
        "seq": 1,
        "kind": "recording",
        "sdk_app_id": APP,
        "job_id": "a",
        "received_at_ms": 1_767_225_600_000,
        "event": event,
    }
    entry = read_entry(good)
    assert entry is not None
    assert (entry.seq, entry.received_at) == (1, NOW)
    assert read_entry({**good, "event": None}) is not None
    assert read_entry({**good, **change}) is None
    assert read_entry(change) is None


def test_a_log_whose_pages_hold_anything_is_read() -> None:
    class Store:
        async def aget(self, key: str, default: Any = None) -> Any:
            return {"log": {"seq": 10**40}, "log/0000000000": {"entries": 3}}.get(key, default)

        async def aset(self, key: str, value: Any) -> None:
            raise AssertionError

    log = StoredLog(Store())
    assert asyncio.run(log.end()) == 0
    assert asyncio.run(log.page(0)) == []
