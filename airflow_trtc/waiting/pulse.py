"""Writes the pulse: how waits get on, for people to read. Nothing that waits depends on it.

In a triggerer one task per event loop writes for all waits there, since Airflow's supervisor answers all
triggers one after the other, 25 ms a row: a row an account and action every 15 s, a page for each five
hundred jobs every half a minute. A task that waits on a worker writes one row of its own. What cannot be
written is said once in the log, and written again later. :mod:`airflow_trtc.journal.pulse` has the rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import math
import os
import socket
import weakref
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from airflow_trtc import metrics
from airflow_trtc.aio import WakeUp, loop_time, start_apart
from airflow_trtc.cloud.identities import account_of
from airflow_trtc.cloud.poller import LaneView, Poller
from airflow_trtc.cloud.recent import RECENT_SECONDS
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.owners import TaskId
from airflow_trtc.journal.plans import Set, Store, carry_out
from airflow_trtc.journal.pulse import (
    JOBS_PER_PAGE,
    JOBS_SECONDS,
    MAX_PAGES,
    AccountPulse,
    JobPolls,
    PollTimes,
    digest,
    job_digest,
    joined_times,
    task_process,
)
from airflow_trtc.journal.store import AsyncStore, acarry_out

BEAT_SECONDS = 15.0
BEATS_PER_JOBS = round(JOBS_SECONDS / BEAT_SECONDS)  # with how many beats the pages of jobs are written once
FIRST_SECONDS = 5.0  # until the first: when a triggerer starts, its supervisor is busy
FARTHEST_SECONDS = 10 * 365 * 86_400.0  # a poll that is due later than that is never due
MAX_PAUSE_SECONDS = 300.0  # between two tries to write to a store that fails
_FAILS = "Cannot write the pulse; pages about waits do not show how polls go (%s: %s)"

log = logging.getLogger(__name__)


class Polled(Protocol):
    """What is reported of a wait: see `SharedPolls`."""

    job: JobRef
    polled_at: datetime | None
    next_at: float

    @property
    def conn_id(self) -> str:
        """Id of the connection."""

    @property
    def poller(self) -> Poller | None:
        """What the polls are shared with; None before the first."""


class PulseWriter:
    """The writer of one event loop. It writes while there are waits.

    :param store: the journal's; None below Airflow 3.3, where only metrics are set.
    :param beat_seconds: between two writings.
    :param first_seconds: until the first.
    """

    def __init__(
        self,
        store: AsyncStore | None,
        *,
        beat_seconds: float = BEAT_SECONDS,
        first_seconds: float = FIRST_SECONDS,
    ) -> None:
        self._store = store
        self._beat_seconds = beat_seconds
        self._first_seconds = first_seconds
        self._waits: dict[Polled, None] = {}  # in the order in which they came
        self._wake_up = WakeUp()
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False
        self._actions: set[str] = set()  # of which there is a gauge

    def add(self, wait: Polled) -> None:
        """Report it too."""
        self._waits[wait] = None
        self._go_on()

    def remove(self, wait: Polled) -> None:
        """Report it no more; with the last one, the writer ends."""
        self._waits.pop(wait, None)
        if not self._waits:
            self._wake_up.wake()

    def _go_on(self) -> None:
        if self._task is None:
            self._task = start_apart(self._run())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None  # or it would hold the event loop whose writer this is
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("The pulse stopped until another wait begins", exc_info=error)
        elif self._waits:  # of those that came in the moment between
            self._go_on()

    async def _run(self) -> None:
        pause = self._beat_seconds
        await self._wake_up.wait(self._first_seconds)
        for number in itertools.count():
            if not self._waits:
                break
            try:
                await self._beat(with_jobs=number % BEATS_PER_JOBS == 0)
            except Exception as error:
                if not self._is_failing:
                    log.warning(_FAILS, type(error).__name__, error)
                self._is_failing = True
            pause = min(pause * 2, MAX_PAUSE_SECONDS) if self._is_failing else self._beat_seconds
            await self._wake_up.wait(pause)
        for action in self._actions:
            _set_gauges(action, [])

    async def _beat(self, *, with_jobs: bool) -> None:
        pulses = account_pulses(self._waits, datetime.now(timezone.utc))
        self._actions |= {pulse.action for pulse in pulses}
        for action in self._actions:
            _set_gauges(action, [pulse for pulse in pulses if pulse.action == action])
        if self._store is None:
            return
        # One page at a time: a thousand digests and more at once would hold up all waits.
        pages = self._pages() if with_jobs else ()
        for row in itertools.chain[AccountPulse | JobPolls](pulses, pages):
            await acarry_out(Set(row.key, row.value), self._store)
            self._is_failing = False

    def _pages(self) -> Iterator[JobPolls]:
        waits = list(self._waits)
        for page, first in enumerate(range(0, len(waits), JOBS_PER_PAGE)[:MAX_PAGES]):
            at, now = datetime.now(timezone.utc), loop_time()
            times: dict[str, PollTimes] = {}
            for wait in waits[first : first + JOBS_PER_PAGE]:
                name, seconds = job_digest(wait.job), wait.next_at - now
                next_at = at + timedelta(seconds=seconds) if seconds < FARTHEST_SECONDS else None
                own, other = PollTimes(wait.polled_at, next_at), times.get(name)
                times[name] = own if other is None else joined_times([own, other])
            yield JobPolls(_process(), _host(), page, at, len(waits), times)


def account_pulses(waits: Iterable[Polled], at: datetime) -> list[AccountPulse]:
    """How the polls of these waits go, by account and action."""
    conn_ids: dict[Poller, set[str]] = {}
    for wait in waits:
        if (poller := wait.poller) is not None:
            conn_ids.setdefault(poller, set()).add(wait.conn_id)
    pulses: dict[str, AccountPulse] = {}
    for poller, names in conn_ids.items():
        for view in poller.views():
            pulse = _pulse(poller.settings, tuple(sorted(names)), view, at)
            # Connections that differ in a proxy, for one, share the budget of their account.
            other = pulses.get(pulse.key)
            pulses[pulse.key] = pulse if other is None else pulse.joined(other)
    return list(pulses.values())


def _pulse(settings: TrtcSettings, conn_ids: tuple[str, ...], view: LaneView, at: datetime) -> AccountPulse:
    return AccountPulse(
        _process(),
        _host(),
        conn_ids,
        settings.endpoint,
        digest(account_of(settings.identity)),
        view.action,
        at,
        waiting=view.waiting,
        due=view.due,
        rate=round(view.rate, 3),
        ceiling=view.ceiling,
        sent=view.sent,
        throttled=view.throttled,
        outage=view.outage,
        slowest_seconds=round(view.slowest_seconds, 3),
        region=settings.region,
    )


def _set_gauges(action: str, pulses: Iterable[AccountPulse]) -> None:
    used = max((pulse.sent / (pulse.ceiling * RECENT_SECONDS) for pulse in pulses), default=0.0)
    metrics.gauge(metrics.BUDGET_USED, used, action=action)
    metrics.gauge(metrics.POLLS_DUE, sum(pulse.due for pulse in pulses), action=action)


@functools.cache
def _host() -> str:
    return socket.gethostname()


def _process() -> str:
    return digest(f"{_host()}/{os.getpid()}")


_writers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, PulseWriter] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def reported(store: AsyncStore | None, wait: Polled) -> Iterator[None]:
    """Report a wait in the pulse of the running event loop, as long as the block lasts.

    :param store: the journal's; None below Airflow 3.3.
    """
    loop = asyncio.get_running_loop()
    writer = _writers.get(loop) or _writers.setdefault(loop, PulseWriter(store))
    writer.add(wait)
    try:
        yield
    finally:
        writer.remove(wait)


class WorkerPulse:
    """The row of one task that waits on a worker.

    :param store: the journal's; None when there is none.
    :param monotonic: seconds of a clock that is never set back.
    """

    def __init__(
        self, store: Store | None, task: TaskId, job: JobRef, monotonic: Callable[[], float], log: Any
    ) -> None:
        self._store = store
        self._task = task
        self._job = job
        self._monotonic = monotonic
        self._log = log
        self._due_at = -math.inf
        self._has_failed = False

    def beat(self, last_at: datetime | None, next_at: datetime | None, now: datetime) -> None:
        """Write, unless that was done a moment ago. Never raises."""
        if self._store is None or self._monotonic() < self._due_at:
            return
        times = {job_digest(self._job): PollTimes(last_at, next_at)}
        page = JobPolls(task_process(self._task), _host(), 0, now, 1, times)
        try:
            carry_out(Set(page.key, page.value), self._store)
        except Exception as error:
            if not self._has_failed:
                self._log.warning(_FAILS, type(error).__name__, error)
            self._has_failed = True
        self._due_at = self._monotonic() + BEAT_SECONDS
