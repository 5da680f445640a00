"""The writer of the pulse: what it writes of waits in a triggerer and on a worker, and that it harms none."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc import metrics
from airflow_trtc.aio import loop_time
from airflow_trtc.cloud.client import AsyncTrtcClient
from airflow_trtc.cloud.poller import LaneView, Poller
from airflow_trtc.cloud.settings import TrtcSettings, from_connection
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.owners import TaskId
from airflow_trtc.journal.pulse import (
    JOBS_PER_PAGE,
    AccountPulse,
    PollTimes,
    account_pulse_from,
    job_digest,
    job_polls_from,
    poll_times,
    task_process,
)
from airflow_trtc.kinds import RECORDING
from airflow_trtc.waiting import pulse
from airflow_trtc.waiting.pulse import PulseWriter, WorkerPulse, account_pulses, reported

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
TASK = TaskId("d", "r", "t", -1)


class Store:
    """Keeps rows; fails while told to."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.tries = 0
        self.error: Exception | None = None

    async def aget(self, key: str, default: Any = None) -> Any:
        raise AssertionError("the pulse reads nothing")

    async def aset(self, key: str, value: Any) -> None:
        self.set(key, value)

    def get(self, key: str, default: Any = None) -> Any:
        raise AssertionError("the pulse reads nothing")

    def set(self, key: str, value: Any) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error
        self.rows[key] = value

    @property
    def accounts(self) -> list[AccountPulse]:
        return [found for row in self.rows.values() if (found := account_pulse_from(row)) is not None]

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)


class Wait:
    """One wait, as the pulse sees it."""

    def __init__(
        self, number: int, poller: Poller | None = None, conn_id: str = "trtc_default", **times: Any
    ) -> None:
        self.job = JobRef("recording", 1400000001, "ap-guangzhou", f"job-{number}")
        self.poller = poller
        self.conn_id = conn_id
        self.polled_at: datetime | None = times.get("polled_at")
        self.next_at: float = times.get("next_at", math.inf)


def play(story: Callable[[PulseWriter, Store], Awaitable[None]], **options: float) -> None:
    async def main() -> None:
        store, before = Store(), asyncio.all_tasks()
        writer = PulseWriter(store, **{"beat_seconds": 0.0, "first_seconds": 0.0, **options})
        await story(writer, store)
        for wait in tuple(writer._waits):
            writer.remove(wait)
        await store.until(lambda: asyncio.all_tasks() == before)

    asyncio.run(asyncio.wait_for(main(), 30))


def settings(**extra: Any) -> TrtcSettings:
    return from_connection(login="AKIDx", password="secret", extra={"region": "ap-guangzhou", **extra})


def test_all_jobs_are_on_pages_with_their_times() -> None:
    async def story(writer: PulseWriter, store: Store) -> None:
        waits = [Wait(number) for number in range(JOBS_PER_PAGE + 1)]
        waits[0].polled_at, waits[0].next_at = AT, loop_time() + 3600.0
        waits[1].next_at = 1e300
        for wait in waits:
            writer.add(wait)
        await store.until(lambda: len(store.rows) >= 2)
        now = datetime.now(timezone.utc)
        pages = [page for row in store.rows.values() if (page := job_polls_from(row)) is not None]
        assert [(page.page, len(page.times), page.waits) for page in pages] == [
            (0, JOBS_PER_PAGE, JOBS_PER_PAGE + 1),
            (1, 1, JOBS_PER_PAGE + 1),
        ]
        last_at, next_at = poll_times(store.rows.values(), waits[0].job, now)
        assert last_at == AT
        assert next_at is not None
        assert abs(next_at - now - timedelta(hours=1)) < timedelta(seconds=30)
        assert poll_times(store.rows.values(), waits[1].job, now) == PollTimes()
        assert job_digest(waits[-1].job) in pages[1].times

    play(story)


def test_two_waits_for_one_job_are_one_entry() -> None:
    async def story(writer: PulseWriter, store: Store) -> None:
        writer.add(Wait(1, polled_at=AT))
        writer.add(Wait(1, polled_at=AT + timedelta(seconds=1)))
        await store.until(lambda: store.rows)
        (page,) = map(job_polls_from, store.rows.values())
        assert page is not None
        assert page.times == {job_digest(Wait(1).job): PollTimes(AT + timedelta(seconds=1))}

    play(story)


def test_accounts_come_with_every_beat_and_jobs_with_every_second_one() -> None:
    async def story(writer: PulseWriter, store: Store) -> None:
        poller = Poller(settings())
        wait = Wait(1, poller)
        with ExitStack() as stack:
            subscription = poller.subscribe(RECORDING, wait.job, lambda: None)
            stack.callback(subscription.close)
            writer.add(wait)
            order: list[bool] = []
            set_row = store.set
            store.set = lambda key, value: (order.append("/jobs/" in key), set_row(key, value))  # type: ignore[assignment, func-returns-value]
            await store.until(lambda: len(order) >= 6)
            assert order[:6] == [False, True, False, False, True, False]
            (found,) = store.accounts
            assert (found.action, found.waiting, found.conn_ids) == (
                "DescribeCloudRecording",
                1,
                ("trtc_default",),
            )
            assert (found.endpoint, found.region) == (poller.settings.endpoint, "ap-guangzhou")
            assert "AKIDx" not in str(store.rows)
        await poller.aclose()

    play(story)


def test_connections_of_one_account_share_a_row_and_others_have_their_own() -> None:
    views = [LaneView("DescribeCloudRecording", 2, 1, 10.0, 19.0, 5, 1, None, 0.5)]

    class Views(Poller):
        def views(self) -> list[LaneView]:
            return views

    def poller(**extra: Any) -> Poller:
        given = settings(**extra)
        return Views(given.account, client=AsyncTrtcClient(given))

    same, proxied = poller(), poller(proxy="http://proxy:1")
    elsewhere = poller(region="ap-singapore")
    waits = [
        Wait(1, same, "b"),
        Wait(2, same, "a"),
        Wait(3, proxied, "c"),
        Wait(4, elsewhere, "d"),
        Wait(5),
    ]
    found = sorted(account_pulses(waits, AT), key=lambda each: str(each.region))
    assert [(each.region, each.conn_ids, each.waiting, each.sent) for each in found] == [
        ("ap-guangzhou", ("a", "b", "c"), 4, 10),
        ("ap-singapore", ("d",), 2, 5),
    ]
    assert len({each.key for each in found}) == 2


def test_a_store_that_fails_is_said_once_and_written_to_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story(writer: PulseWriter, store: Store) -> None:
        store.error = RuntimeError("away")
        writer.add(Wait(1))
        await store.until(lambda: store.tries >= 3)
        store.error = None
        await store.until(lambda: store.rows)

    with caplog.at_level(logging.INFO, pulse.__name__):
        play(story)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "away" in caplog.text


def test_it_ends_with_the_last_wait_and_begins_again_with_the_next() -> None:
    async def story(writer: PulseWriter, store: Store) -> None:
        first, second = Wait(1), Wait(2)
        for wait in (first, second):
            writer.add(wait)
        await store.until(lambda: store.rows)
        writer.remove(first)
        assert writer._task is not None
        writer.remove(second)
        await store.until(lambda: writer._task is None)
        tries = store.tries
        writer.add(first)
        await store.until(lambda: store.tries > tries)

    play(story)


def test_a_short_wait_writes_nothing() -> None:
    async def story(writer: PulseWriter, store: Store) -> None:
        wait = Wait(1)
        writer.add(wait)
        await asyncio.sleep(0)
        writer.remove(wait)
        await store.until(lambda: writer._task is None)
        assert store.tries == 0

    play(story, first_seconds=3600.0)


def test_all_waits_of_an_event_loop_share_a_writer() -> None:
    async def main() -> None:
        store = Store()
        with reported(store, Wait(1)), reported(store, Wait(2)):
            (writer,) = (each for loop, each in pulse._writers.items() if loop is asyncio.get_running_loop())
            assert len(writer._waits) == 2
        assert not writer._waits
        await store.until(lambda: writer._task is None)

    asyncio.run(main())


def test_below_airflow_33_there_are_metrics_and_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    gauges: list[tuple[str, float]] = []
    monkeypatch.setattr(metrics, "gauge", lambda metric, value, **tags: gauges.append((metric.name, value)))

    async def main() -> None:
        poller = Poller(settings())
        wait = Wait(1, poller)
        subscription = poller.subscribe(RECORDING, wait.job, lambda: None)
        writer = PulseWriter(None, beat_seconds=0.001, first_seconds=0.0)
        writer.add(wait)
        await Store().until(lambda: gauges)
        assert gauges[:2] == [("trtc.budget_used", 0.0), ("trtc.polls_due", 0)]
        subscription.close()
        writer.remove(wait)
        await Store().until(lambda: writer._task is None)
        await poller.aclose()

    asyncio.run(main())


# -- on a worker --------------------------------------------------------------------------------------


def test_a_task_on_a_worker_has_a_row_of_its_own_and_writes_it_seldom() -> None:
    store, times = Store(), itertools.count(100.0, 5.0)
    job = Wait(1).job
    row = WorkerPulse(store, TASK, job, lambda: next(times), logging.getLogger())
    later = AT + timedelta(seconds=60)
    for _ in range(5):  # the clock is asked once or twice each time
        row.beat(AT, later, AT)
    assert store.tries == 2
    assert list(store.rows) == [f"pulse/{task_process(TASK)}/jobs/0"]
    assert poll_times(store.rows.values(), job, AT) == PollTimes(AT, later)


def test_a_worker_waits_on_though_its_row_cannot_be_written(caplog: pytest.LogCaptureFixture) -> None:
    store, times = Store(), itertools.count(0.0, 1000.0)
    store.error = RuntimeError("away")
    row = WorkerPulse(store, TASK, Wait(1).job, lambda: next(times), logging.getLogger("task"))
    for _ in range(3):
        row.beat(None, None, AT)
    assert store.tries == 3
    assert len(caplog.records) == 1
    WorkerPulse(None, TASK, Wait(1).job, lambda: 0.0, logging.getLogger("task")).beat(None, None, AT)


def test_each_task_instance_has_its_own_row() -> None:
    tasks = [TASK, TASK._replace(map_index=0), TASK._replace(run_id="r/t", task_id="")]
    assert len({task_process(task) for task in tasks}) == 3
