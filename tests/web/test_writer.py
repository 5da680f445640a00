"""Storing in batches: what is answered, and when."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest

from airflow_trtc.web.receiving import answers
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.receiver import Row
from airflow_trtc.web.receiving.writer import Writer


class Disk:
    """Where rows go; may be slow, or fail."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.is_free = threading.Event()
        self.is_free.set()
        self.is_busy = threading.Event()
        self.error: Exception | None = None
        self.answer: Answer | None = None

    def insert(self, rows: Sequence[Row]) -> Answer | None:
        self.is_busy.set()
        self.is_free.wait(30)
        if self.error is not None:
            raise self.error
        self.batches.append([row.key for row in rows])
        return self.answer


def rows(count: int) -> list[Row]:
    return [Row(f"in/{number}", "{}") for number in range(count)]


async def store_all(one: Writer, count: int) -> list[Answer | None]:
    return list(await asyncio.gather(*(one.store(row) for row in rows(count))))


def test_all_that_wait_share_a_transaction_of_limited_size() -> None:
    disk = Disk()
    one = Writer(disk.insert)

    async def main() -> list[Answer | None]:
        disk.is_free.clear()
        first = asyncio.ensure_future(one.store(Row("first", "{}")))
        await asyncio.to_thread(disk.is_busy.wait, 30)
        rest = asyncio.ensure_future(store_all(one, 450))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        disk.is_free.set()
        return [await first, *await rest]

    assert set(asyncio.run(main())) == {None}
    assert [len(batch) for batch in disk.batches] == [1, 200, 200, 50]
    one.stop()


def test_nothing_is_answered_before_it_is_stored() -> None:
    disk = Disk()
    one = Writer(disk.insert)

    async def main() -> None:
        disk.is_free.clear()
        waiting = asyncio.ensure_future(one.store(Row("a", "{}")))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        disk.is_free.set()
        assert await waiting is None
        assert disk.batches == [["a"]]

    asyncio.run(main())
    one.stop()


def test_a_failure_is_the_answer_to_all_and_is_logged_once_without_data(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk()
    disk.error = RuntimeError("insert of 'secret' failed")
    one = Writer(disk.insert)
    with caplog.at_level(logging.ERROR):
        assert set(asyncio.run(store_all(one, 5))) == {answers.RETRY_LATER}
        assert set(asyncio.run(store_all(one, 5))) == {answers.RETRY_LATER}
        disk.error = None
        assert set(asyncio.run(store_all(one, 5))) == {None}
    assert len(caplog.records) == 1
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text
    one.stop()


def test_what_the_store_answers_reaches_all() -> None:
    disk = Disk()
    disk.answer = answers.NO_JOURNAL
    one = Writer(disk.insert)
    assert set(asyncio.run(store_all(one, 3))) == {answers.NO_JOURNAL}
    one.stop()


def test_what_takes_too_long_is_to_come_again_and_is_stored_all_the_same() -> None:
    disk = Disk()
    disk.is_free.clear()
    one = Writer(disk.insert, wait_seconds=0.05)
    assert asyncio.run(one.store(Row("late", "{}"))) is answers.RETRY_LATER
    disk.is_free.set()
    one.stop()
    assert disk.batches == [["late"]]


def test_a_full_queue_is_answered_at_once() -> None:
    disk = Disk()
    one = Writer(disk.insert, max_waiting=3)

    async def main() -> list[Answer | None]:
        disk.is_free.clear()
        asyncio.get_running_loop().call_later(0.1, disk.is_free.set)
        return await store_all(one, 30)

    given = asyncio.run(main())
    assert given.count(answers.RETRY_LATER) >= 26
    assert given.count(None) == sum(len(batch) for batch in disk.batches)
    one.stop()


def test_each_commit_wakes_what_comes_next() -> None:
    woken: list[int] = []
    one = Writer(Disk().insert, lambda: woken.append(1))
    asyncio.run(store_all(one, 1))
    one.stop()
    assert woken


def test_stopping_writes_what_waits_and_it_can_start_again() -> None:
    disk = Disk()
    one = Writer(disk.insert)
    asyncio.run(store_all(one, 2))
    one.stop()
    assert asyncio.run(one.store(Row("again", "{}"))) is None
    one.stop()
    assert [key for batch in disk.batches for key in batch] == ["in/0", "in/1", "again"]
