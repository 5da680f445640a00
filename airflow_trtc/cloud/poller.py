"""One schedule of looks for everybody who waits for recordings of one account in an event loop.

Ten thousand waiters that ask for themselves would throttle one another. Here each says when it wants to
know, and the looks go out one after the other as the account's budget allows: the longest due first, those
in a hurry before the others, one request for all who wait for the same recording. When there are more
wishes than requests, all of them get later by the same time, so nobody starves.

While the service is out of reach nothing is sent but a request now and then to see whether it is back; the
waiters only notice that their answers are late.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from airflow_trtc.cloud import calls, failures
from airflow_trtc.cloud.client import AsyncTrtcClient
from airflow_trtc.cloud.health import Health
from airflow_trtc.cloud.pacing import Budget
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.errors import TrtcError, TrtcThrottledError
from airflow_trtc.recording.model import Snapshot

Answer: TypeAlias = Snapshot | TrtcError

MOST_UNDER_WAY = 32
URGENT_IN_A_ROW = 3  # then one that is only due, if there is any
REFUSED_PAUSE_SECONDS = 1.0  # the service counts by the second
REFUSALS_TO_TELL = 3  # of one recording, in a row
EMPTY = float("inf")

log = logging.getLogger(__name__)


class Subscription:
    """One waiter's wish to know of one recording."""

    __slots__ = ("_answers", "_poller", "_recording", "_wake", "due_at", "is_urgent")

    def __init__(self, poller: Poller, recording: _Recording, wake: Callable[[], None]) -> None:
        self._poller = poller
        self._recording = recording
        self._wake = wake
        self._answers: list[Answer] = []
        self.due_at = EMPTY
        self.is_urgent = False

    def ask(self, seconds: float, *, urgent: bool = False) -> None:
        """Wish for an answer in so many seconds, instead of what was wished before.

        An answer that somebody else wished for earlier fulfils the wish as well.

        :param urgent: before those who are not.
        """
        self.due_at, self.is_urgent = self._poller.now() + max(seconds, 0.0), urgent
        self._poller.plan(self._recording)

    def rest(self) -> None:
        """Wish for nothing."""
        self.due_at, self.is_urgent = EMPTY, False
        self._poller.plan(self._recording)

    def take(self) -> list[Answer]:
        """The answers since the last time, oldest first; the waiter is woken when there are any."""
        answers, self._answers = self._answers, []
        return answers

    def answer(self, answer: Answer) -> None:
        """Hand an answer over, which fulfils the wish."""
        self.due_at, self.is_urgent = EMPTY, False
        self._answers.append(answer)
        self._wake()

    def close(self) -> None:
        """Leave; a request that nobody else waits for is given up."""
        self._poller.leave(self._recording, self)

    @property
    def outage(self) -> str | None:
        """Why nothing is answered just now, for people; None when all is well."""
        return self._poller.outage


class _Recording:
    """All wishes to know of one recording."""

    __slots__ = ("key", "look", "refusals", "subscriptions", "ticket")

    def __init__(self, key: tuple[int, str]) -> None:
        self.key = key
        self.subscriptions: set[Subscription] = set()
        self.look: asyncio.Task[None] | None = None
        self.refusals = 0
        self.ticket = 0  # of its one valid entry in the queues


class _Queue:
    """Recordings by the time at which they are due; an entry whose ticket is not its recording's is void."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, _Recording]] = []

    def push(self, due_at: float, recording: _Recording) -> None:
        heapq.heappush(self._entries, (due_at, recording.ticket, recording))

    def due_at(self) -> float:
        while self._entries and self._entries[0][1] != self._entries[0][2].ticket:
            heapq.heappop(self._entries)
        return self._entries[0][0] if self._entries else EMPTY

    def pop(self) -> _Recording:
        return heapq.heappop(self._entries)[2]


class Poller:
    """Looks at recordings for all who subscribe; see the module.

    To be used in one event loop. Looks while anybody subscribes.

    :param settings: of the account; the application comes with each subscription.
    """

    def __init__(self, settings: TrtcSettings) -> None:
        self.settings = settings
        self._client = AsyncTrtcClient(settings)
        self._recordings: dict[tuple[int, str], _Recording] = {}
        self._urgent, self._patient = _Queue(), _Queue()
        self._urgent_in_a_row = 0
        self._tickets = itertools.count(1)
        self._news = asyncio.Event()
        self._under_way = 0
        self._task: asyncio.Task[None] | None = None
        self._health = Health()

    def subscribe(self, sdk_app_id: int, recording_id: str, wake: Callable[[], None]) -> Subscription:
        """Begin to wait; nothing is asked before the subscription does.

        :param wake: called, in the event loop, when there is an answer to take.
        """
        key = (sdk_app_id, recording_id)
        recording = self._recordings.setdefault(key, _Recording(key))
        subscription = Subscription(self, recording, wake)
        recording.subscriptions.add(subscription)
        self._go_on()
        return subscription

    @property
    def outage(self) -> str | None:
        """Why nothing is answered just now, for people; None when all is well."""
        return self._health.outage

    async def aclose(self) -> None:
        """Stop, and close all connections."""
        tasks = [self._task, *(recording.look for recording in self._recordings.values())]
        self._recordings.clear()
        running = [task for task in tasks if task is not None and not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._client.aclose()

    # -- for subscriptions ------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds of the event loop's clock."""
        return asyncio.get_running_loop().time()

    def plan(self, recording: _Recording) -> None:
        """Put a recording where its wishes want it."""
        recording.ticket = next(self._tickets)
        if recording.look is not None:
            return  # its answer fulfils all wishes
        wishes = [each for each in recording.subscriptions if each.due_at < EMPTY]
        if not wishes:
            return
        is_urgent = any(wish.is_urgent for wish in wishes)
        due_at = min(wish.due_at for wish in wishes if wish.is_urgent or not is_urgent)
        (self._urgent if is_urgent else self._patient).push(due_at, recording)
        self._news.set()

    def leave(self, recording: _Recording, subscription: Subscription) -> None:
        """Forget a subscription."""
        recording.subscriptions.discard(subscription)
        if recording.subscriptions:
            self.plan(recording)
            return
        recording.ticket = 0
        if self._recordings.get(recording.key) is recording:
            del self._recordings[recording.key]
        if recording.look is not None:
            recording.look.cancel()
        self._news.set()

    # -- looking ----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._recordings and self._task is None:
            self._task = _start(self._run())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("Looking at recordings failed, and goes on in a second", exc_info=error)
            task.get_loop().call_later(1.0, self._go_on)
        else:
            self._go_on()  # for those that came in the moment between

    async def _run(self) -> None:
        budget = self._client.budget(calls.DESCRIBE_RECORDING)
        while self._recordings:
            self._news.clear()
            seconds = min(self._urgent.due_at(), self._patient.due_at()) - self.now()
            if seconds > 0 or self._under_way >= MOST_UNDER_WAY:
                await self._wait_for_news(seconds)
            elif self.outage:
                await self._try_once(budget)
            else:
                await self._look_on(budget)

    async def _look_on(self, budget: Budget) -> None:
        await asyncio.sleep(budget.reserve(self.settings.requests_per_second))
        # Chosen now: somebody may have got in a hurry, or all is in vain.
        if not self.outage and (recording := self._pick()) is not None:
            self._begin(recording)

    async def _try_once(self, budget: Budget) -> None:
        """After a while, see whether the service is back."""
        await asyncio.sleep(self._health.pause_seconds(random.random()))
        if (recording := self._pick()) is not None:
            await asyncio.wait([self._begin(recording)])
        if not self.outage:
            budget.restart()  # or all that waited would ask at once

    async def _wait_for_news(self, seconds: float) -> None:
        timer = None
        if 0 < seconds < EMPTY:
            timer = asyncio.get_running_loop().call_later(seconds, self._news.set)
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _pick(self) -> _Recording | None:
        """The one that is to be looked at next; None when nobody wants that any more."""
        now = self.now()
        is_urgent, is_due = self._urgent.due_at() <= now, self._patient.due_at() <= now
        if is_urgent and not (is_due and self._urgent_in_a_row >= URGENT_IN_A_ROW):
            self._urgent_in_a_row += 1
            return self._urgent.pop()
        self._urgent_in_a_row = 0
        return self._patient.pop() if is_due else None

    def _begin(self, recording: _Recording) -> asyncio.Task[None]:
        self._under_way += 1
        recording.look = _start(self._look(recording))
        return recording.look

    async def _look(self, recording: _Recording) -> None:
        sdk_app_id, recording_id = recording.key
        answer: Answer | None = None
        try:
            answer = await self._client.look(recording_id, sdk_app_id)
        except Exception as error:  # whatever it is: who waits must not wait for ever
            answer = failures.classify(
                error,
                action=calls.DESCRIBE_RECORDING,
                recording_id=recording_id,
                endpoint=self.settings.endpoint,
            )
        finally:
            self._under_way -= 1
            recording.look = None
            self._news.set()
            if answer is not None:  # else cancelled
                self._hear(recording, answer)

    def _hear(self, recording: _Recording, answer: Answer) -> None:
        if news := self._health.note(answer, at=self.now(), waiting=len(self._recordings)):
            log.log(logging.WARNING if self._health.outage else logging.INFO, news)
        is_refused = isinstance(answer, TrtcThrottledError)
        recording.refusals = recording.refusals + 1 if is_refused else 0
        if is_refused and recording.refusals < REFUSALS_TO_TELL:
            self._ask_again(recording)
            return
        recording.refusals = 0
        for subscription in tuple(recording.subscriptions):
            subscription.answer(answer)

    def _ask_again(self, recording: _Recording) -> None:
        """Before all others: it has had its turn, and got nothing for it."""
        for subscription in recording.subscriptions:
            if subscription.due_at < EMPTY:
                subscription.ask(REFUSED_PAUSE_SECONDS, urgent=True)


def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin a task in an empty context: in a trigger's it would log into that one's file for ever."""
    start = asyncio.get_running_loop().create_task
    return contextvars.Context().run(start, work)
