"""One schedule of polls for all that wait for jobs of one account in an event loop.

Ten thousand waiters that poll for themselves would throttle one another. Here each requests its next poll,
and the polls go out one after the other as the account's budget for the action allows: the longest due
first, urgent ones before the others, one for all that wait for the same job. When more is requested than
the budget allows, all polls get later by the same time, so none starves.

While an action fails for everything, only a poll now and then goes out to see whether it works again; the
waiters only notice that their results are late. Each action has its own budget, queues and outages, so
trouble with one never holds up another.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import logging
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from airflow_trtc import metrics
from airflow_trtc.aio import WakeUp, loop_time, start_apart
from airflow_trtc.cloud import failures, outcomes
from airflow_trtc.cloud.calls import describe
from airflow_trtc.cloud.client import AsyncTrtcClient
from airflow_trtc.cloud.health import Health
from airflow_trtc.cloud.recent import Recent
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.errors import TrtcError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef

MAX_UNDER_WAY = 32  # of one action
MAX_URGENT_IN_A_ROW = 3  # then one that is only due, if there is any
FAILURES_TO_TELL = 3  # of one job, in a row; fewer say nothing
RETRY_SECONDS = 1.0  # after a failure; the service counts requests by the second
NEVER = float("inf")
MIN_ENTRIES = 64  # of a queue, before void ones are cleared out

log = logging.getLogger(__name__)


class PollResult(NamedTuple):
    """What a poll brought, and when; it may be taken later."""

    value: Snapshot | Absence | TrtcError
    at: datetime


class PollRequest(NamedTuple):
    """When a waiter wants a poll.

    :param due_at: seconds of the event loop's clock.
    :param urgent: it comes before those that are not.
    """

    due_at: float
    urgent: bool


@dataclass(frozen=True, slots=True)
class LaneView:
    """How the polls of one action go at present, for people to read.

    :param waiting: how many jobs are polled.
    :param due: how many of them should have been polled by now.
    :param rate: requests a second that are allowed now, as far as this process knows.
    :param ceiling: requests a second that are allowed at most.
    :param sent: polls of the last 60 seconds.
    :param throttled: those of them that were refused because there were too many.
    :param outage: why no poll is answered; None when all is well.
    :param slowest_seconds: how late the latest poll of the last 60 seconds went out, or is by now.
    """

    action: str
    waiting: int
    due: int
    rate: float
    ceiling: float
    sent: int
    throttled: int
    outage: str | None
    slowest_seconds: float


class Subscription:
    """One waiter's share in the polls of one job."""

    __slots__ = ("_job", "_lane", "_results", "_wake", "requested")

    def __init__(self, lane: _Lane, job: _Job, wake: Callable[[], None]) -> None:
        self._lane = lane
        self._job = job
        self._wake = wake
        self._results: list[PollResult] = []
        self.requested: PollRequest | None = None

    def request(self, seconds: float, *, urgent: bool = False) -> None:
        """Request a poll in so many seconds, instead of what was requested before.

        A result that another waiter requested earlier fulfils the request as well.

        :param urgent: before those that are not.
        """
        self.requested = PollRequest(loop_time() + max(seconds, 0.0), urgent)
        self._lane.plan(self._job, self.requested)

    def cancel(self) -> None:
        """Request nothing."""
        self.requested = None

    def drain(self) -> list[PollResult]:
        """The results since the last time, oldest first; the waiter is woken when there are any."""
        results, self._results = self._results, []
        return results

    def push(self, result: PollResult) -> None:
        """Hand a result over, which fulfils the request."""
        self.requested = None
        self._results.append(result)
        self._wake()

    def close(self) -> None:
        """Leave; a poll that no other waiter needs is given up."""
        self._lane.leave(self._job, self)

    @property
    def outage(self) -> str | None:
        """Why polls bring no results at present, for users; None when all is well."""
        return self._lane.health.outage


class _Job:
    """All subscriptions to one job."""

    __slots__ = ("failures", "kind", "poll", "ref", "subscriptions")

    def __init__(self, kind: JobKind, ref: JobRef) -> None:
        self.kind = kind
        self.ref = ref
        self.subscriptions: set[Subscription] = set()
        self.poll: asyncio.Task[PollResult] | None = None
        self.failures = 0

    def requests(self) -> list[PollRequest]:
        """What is requested."""
        return [each.requested for each in self.subscriptions if each.requested is not None]


class _Queue:
    """Jobs by the time at which they are due, each once.

    Requests that were cancelled are noticed when their time comes.
    """

    def __init__(self, *, urgent: bool) -> None:
        self.urgent = urgent
        self._due: dict[_Job, float] = {}
        self._entries: list[tuple[float, int, _Job]] = []  # void where `_due` says otherwise
        self._numbers = itertools.count()
        self._most = MIN_ENTRIES

    def plan(self, job: _Job, due_at: float) -> bool:
        """Put it there; return False when it is due sooner already."""
        if due_at >= self._due.get(job, NEVER):
            return False
        self._due[job] = due_at
        heapq.heappush(self._entries, (due_at, next(self._numbers), job))
        if len(self._entries) > self._most:
            self._entries = [entry for entry in self._entries if self._is_valid(entry)]
            heapq.heapify(self._entries)
            self._most = max(2 * len(self._entries), MIN_ENTRIES)
        return True

    def forget(self, job: _Job) -> None:
        self._due.pop(job, None)

    def due_by(self, now: float) -> dict[_Job, float]:
        """The jobs that should have been polled by now, and since when."""
        return {job: due_at for job, due_at in self._due.items() if due_at <= now}

    def due_at(self) -> float:
        while self._entries and not self._is_valid(self._entries[0]):
            heapq.heappop(self._entries)
        return self._entries[0][0] if self._entries else NEVER

    def pop(self) -> _Job:
        job = heapq.heappop(self._entries)[2]
        del self._due[job]
        return job

    def _is_valid(self, entry: tuple[float, int, _Job]) -> bool:
        return self._due.get(entry[2]) == entry[0]


class Poller:
    """Polls jobs of all kinds for all that subscribe; see the module.

    To be used in one event loop. It works while there are subscriptions.

    :param settings: of the account; the application comes with each job.
    :param client: sends the polls; for tests.
    :param make_health: one for each action; for tests.
    :param retry_seconds: pause after an unexpected failure, before the schedule continues.
    """

    def __init__(
        self,
        settings: TrtcSettings,
        *,
        client: AsyncTrtcClient | None = None,
        make_health: Callable[[], Health] = Health,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.settings = settings
        self.client = client or AsyncTrtcClient(settings)
        self.make_health = make_health
        self.retry_seconds = retry_seconds
        self._lanes: dict[str, _Lane] = {}

    def subscribe(self, kind: JobKind, job: JobRef, wake: Callable[[], None]) -> Subscription:
        """Begin to wait; nothing is polled before the subscription requests it.

        :param wake: called, in the event loop, when there is a result to take.
        :raises TrtcSetupError: the job's id cannot be one.
        """
        action = describe(kind, job).action
        if action not in self._lanes:
            self._lanes[action] = _Lane(self, action)
        return self._lanes[action].subscribe(kind, job, wake)

    def views(self) -> list[LaneView]:
        """How the polls of each action go."""
        return [lane.view() for lane in self._lanes.values()]

    async def aclose(self) -> None:
        """Stop, and close all connections."""
        try:
            await asyncio.gather(*(lane.aclose() for lane in self._lanes.values()))
        finally:
            await self.client.aclose()


class _Lane:
    """The polls of one action."""

    def __init__(self, poller: Poller, action: str) -> None:
        self.health = poller.make_health()
        self._action = action
        self._poller = poller
        self._budget = poller.client.budget(action)
        self._jobs: dict[JobRef, _Job] = {}
        self._urgent, self._patient = _Queue(urgent=True), _Queue(urgent=False)
        self._urgent_in_a_row = 0
        self._wake_up = WakeUp()
        self._polls: set[asyncio.Task[PollResult]] = set()
        self._sent, self._throttled = Recent(), Recent()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, kind: JobKind, ref: JobRef, wake: Callable[[], None]) -> Subscription:
        """See `Poller.subscribe`."""
        job = self._jobs.get(ref) or self._jobs.setdefault(ref, _Job(kind, ref))
        subscription = Subscription(self, job, wake)
        job.subscriptions.add(subscription)
        self._go_on()
        return subscription

    def view(self) -> LaneView:
        """How its polls go."""
        now = loop_time()
        due = {**self._patient.due_by(now), **self._urgent.due_by(now)}
        return LaneView(
            self._action,
            waiting=len(self._jobs),
            due=len(due),
            rate=self._budget.rate(),
            ceiling=self._budget.ceiling,
            sent=self._sent.count(now),
            throttled=self._throttled.count(now),
            outage=self.health.outage,
            slowest_seconds=max(self._sent.highest(now), now - min(due.values(), default=now)),
        )

    async def aclose(self) -> None:
        """Stop."""
        self._jobs.clear()
        tasks = [*self._polls, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- for subscriptions ------------------------------------------------------------------------

    def plan(self, job: _Job, request: PollRequest) -> None:
        """Put a job where a new request wants it; a poll that is under way fulfils all requests."""
        if job.poll is None:
            queue = self._urgent if request.urgent else self._patient
            if queue.plan(job, request.due_at):
                self._wake_up.wake()

    def leave(self, job: _Job, subscription: Subscription) -> None:
        """Forget a subscription."""
        job.subscriptions.discard(subscription)
        if job.subscriptions:
            return
        self._forget(job)
        if self._jobs.get(job.ref) is job:
            del self._jobs[job.ref]
        if job.poll is not None:
            job.poll.cancel()
        self._wake_up.wake()

    def _forget(self, job: _Job) -> None:
        for queue in (self._urgent, self._patient):
            queue.forget(job)

    # -- polling ----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._jobs and self._task is None:
            self._task = start_apart(self._run())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("Polling failed; retrying in %g s", self._poller.retry_seconds, exc_info=error)
            task.get_loop().call_later(self._poller.retry_seconds, self._go_on)
        else:
            self._go_on()  # for those that came in the moment between

    async def _run(self) -> None:
        while self._jobs:
            seconds = min(self._urgent.due_at(), self._patient.due_at()) - loop_time()
            if seconds > 0 or len(self._polls) >= MAX_UNDER_WAY:
                # Nothing is due, or too much is under way, whose end rings.
                await self._wake_up.wait(seconds if seconds > 0 else NEVER)
            elif self.health.outage:
                await self._try_once()
            else:
                await self._poll_next()

    async def _poll_next(self) -> None:
        with closing(self._budget.turn()) as turn:
            for seconds in turn:
                await asyncio.sleep(seconds)
        # Chosen now: a request may have become urgent, or all were cancelled.
        if not self.health.outage and (job := self._pick()) is not None:
            self._begin(job)

    async def _try_once(self) -> None:
        """After a while, see whether the service is back."""
        await asyncio.sleep(self.health.pause_seconds(random.random()))
        if self.health.outage and (job := self._pick()) is not None:
            await asyncio.wait([self._begin(job)])
        if not self.health.outage:
            self._budget.restart()  # or all that waited would be polled at once

    def _pick(self) -> _Job | None:
        """The job to poll next; None when none is due any more."""
        now = loop_time()
        while True:
            is_urgent, is_due = self._urgent.due_at() <= now, self._patient.due_at() <= now
            if not (is_urgent or is_due):
                return None
            has_turn = is_urgent and not (is_due and self._urgent_in_a_row >= MAX_URGENT_IN_A_ROW)
            queue = self._urgent if has_turn else self._patient
            job = queue.pop()
            requested = [each.due_at for each in job.requests() if each.urgent == queue.urgent]
            if min(requested, default=NEVER) <= now:
                self._urgent_in_a_row = self._urgent_in_a_row + 1 if has_turn else 0
                self._forget(job)
                self._sent.add(now, now - min(requested))
                metrics.timing(metrics.POLL_DELAY, now - min(requested), kind=job.kind.name)
                return job
            if requested:  # the one that it was planned for was cancelled
                queue.plan(job, min(requested))

    def _begin(self, job: _Job) -> asyncio.Task[PollResult]:
        poll = job.poll = start_apart(self._poll(job))
        self._polls.add(poll)
        poll.add_done_callback(functools.partial(self._polled, job))
        return poll

    async def _poll(self, job: _Job) -> PollResult:
        call = describe(job.kind, job.ref)
        value: Snapshot | Absence | TrtcError
        try:
            value = await self._poller.client.poll(call)
        except Exception as error:  # whatever it is: no waiter must wait for ever
            value = failures.classify(error, call, endpoint=self._poller.settings.endpoint)
        return PollResult(value, datetime.now(timezone.utc))

    def _polled(self, job: _Job, poll: asyncio.Task[PollResult]) -> None:
        """The end of every poll, also of one that was cancelled before it began."""
        self._polls.discard(poll)
        job.poll = None
        self._wake_up.wake()
        if not poll.cancelled():
            self._push_results(job, poll.result())
        else:  # not by those that wait for it
            for request in job.requests():
                self.plan(job, request)

    def _push_results(self, job: _Job, result: PollResult) -> None:
        outcomes.count_poll(job.kind, result.value)
        if isinstance(result.value, TrtcThrottledError):
            self._throttled.add(loop_time())
        if news := self.health.note(result.value, job.ref, at=loop_time(), waiting=len(self._jobs)):
            log.log(logging.WARNING if self.health.outage else logging.INFO, news)
            if self.health.outage:
                metrics.count(metrics.OUTAGES, action=self._action)
        has_failed = isinstance(result.value, TrtcThrottledError | TrtcTransientError)
        job.failures = job.failures + 1 if has_failed else 0
        if 0 < job.failures < FAILURES_TO_TELL:
            # Before all others: it has had its turn, and got nothing for it.
            for subscription in job.subscriptions:
                if subscription.requested is not None:
                    subscription.request(self._poller.retry_seconds, urgent=True)
            return
        job.failures = 0
        for subscription in tuple(job.subscriptions):
            subscription.push(result)
