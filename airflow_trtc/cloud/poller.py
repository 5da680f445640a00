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
import functools
import heapq
import itertools
import logging
import random
from collections.abc import Callable
from datetime import datetime, timezone
from typing import NamedTuple

from airflow_trtc.aio import WakeUp, loop_time, start_apart
from airflow_trtc.cloud import calls, failures
from airflow_trtc.cloud.budget import Budget
from airflow_trtc.cloud.client import AsyncTrtcClient
from airflow_trtc.cloud.health import Health
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.errors import TrtcError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.observation import Snapshot

MOST_UNDER_WAY = 32
URGENT_IN_A_ROW = 3  # then one that is only due, if there is any
FAILURES_TO_TELL = 3  # of one recording, in a row; fewer say nothing
AGAIN_SECONDS = 1.0  # after a failure; the service counts requests by the second
NEVER = float("inf")
LEAST_ENTRIES = 64  # of a queue, before void ones are cleared out

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What a look brought, and when; who takes it may be late."""

    value: Snapshot | TrtcError
    at: datetime


class Wish(NamedTuple):
    """When somebody wants to know.

    :param due_at: seconds of the event loop's clock.
    :param is_urgent: it comes before those that are not.
    """

    due_at: float
    is_urgent: bool


class Subscription:
    """One waiter's wish to know of one recording."""

    __slots__ = ("_answers", "_poller", "_recording", "_wake", "wish")

    def __init__(self, poller: Poller, recording: _Recording, wake: Callable[[], None]) -> None:
        self._poller = poller
        self._recording = recording
        self._wake = wake
        self._answers: list[Answer] = []
        self.wish: Wish | None = None

    def ask(self, seconds: float, *, urgent: bool = False) -> None:
        """Wish for an answer in so many seconds, instead of what was wished before.

        An answer that somebody else wished for earlier fulfils the wish as well.

        :param urgent: before those who are not.
        """
        self.wish = Wish(loop_time() + max(seconds, 0.0), urgent)
        self._poller.plan(self._recording, self.wish)

    def rest(self) -> None:
        """Wish for nothing."""
        self.wish = None

    def take(self) -> list[Answer]:
        """The answers since the last time, oldest first; the waiter is woken when there are any."""
        answers, self._answers = self._answers, []
        return answers

    def answer(self, answer: Answer) -> None:
        """Hand an answer over, which fulfils the wish."""
        self.wish = None
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

    __slots__ = ("failures", "key", "look", "subscriptions")

    def __init__(self, key: tuple[int, str]) -> None:
        self.key = key
        self.subscriptions: set[Subscription] = set()
        self.look: asyncio.Task[Answer] | None = None
        self.failures = 0

    def wishes(self) -> list[Wish]:
        """What is wished for."""
        return [each.wish for each in self.subscriptions if each.wish is not None]


class _Queue:
    """Recordings by the time at which they are due, each once.

    Wishes that were given up are noticed when their time comes.
    """

    def __init__(self, *, is_urgent: bool) -> None:
        self.is_urgent = is_urgent
        self._due: dict[_Recording, float] = {}
        self._entries: list[tuple[float, int, _Recording]] = []  # void where `_due` says otherwise
        self._numbers = itertools.count()
        self._most = LEAST_ENTRIES

    def plan(self, recording: _Recording, due_at: float) -> bool:
        """Put it there; return False when it is due sooner already."""
        if due_at >= self._due.get(recording, NEVER):
            return False
        self._due[recording] = due_at
        heapq.heappush(self._entries, (due_at, next(self._numbers), recording))
        if len(self._entries) > self._most:
            self._entries = [entry for entry in self._entries if self._is_valid(entry)]
            heapq.heapify(self._entries)
            self._most = max(2 * len(self._entries), LEAST_ENTRIES)
        return True

    def forget(self, recording: _Recording) -> None:
        self._due.pop(recording, None)

    def due_at(self) -> float:
        while self._entries and not self._is_valid(self._entries[0]):
            heapq.heappop(self._entries)
        return self._entries[0][0] if self._entries else NEVER

    def pop(self) -> _Recording:
        recording = heapq.heappop(self._entries)[2]
        del self._due[recording]
        return recording

    def _is_valid(self, entry: tuple[float, int, _Recording]) -> bool:
        return self._due.get(entry[2]) == entry[0]


class Poller:
    """PollSubscription at recordings for all who subscribe; see the module.

    To be used in one event loop. PollSubscription while anybody subscribes.

    :param settings: of the account; the application comes with each subscription.
    """

    def __init__(self, settings: TrtcSettings) -> None:
        self.settings = settings
        self._client = AsyncTrtcClient(settings)
        self._recordings: dict[tuple[int, str], _Recording] = {}
        self._urgent, self._patient = _Queue(is_urgent=True), _Queue(is_urgent=False)
        self._urgent_in_a_row = 0
        self._bell = WakeUp()
        self._looks: set[asyncio.Task[Answer]] = set()
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
        self._recordings.clear()
        tasks = [*self._looks, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await self._client.aclose()

    # -- for subscriptions ------------------------------------------------------------------------

    def plan(self, recording: _Recording, wish: Wish) -> None:
        """Put a recording where a new wish wants it; a look that is under way fulfils all wishes."""
        if recording.look is None:
            queue = self._urgent if wish.is_urgent else self._patient
            if queue.plan(recording, wish.due_at):
                self._bell.ring()

    def leave(self, recording: _Recording, subscription: Subscription) -> None:
        """Forget a subscription."""
        recording.subscriptions.discard(subscription)
        if recording.subscriptions:
            return
        self._forget(recording)
        if self._recordings.get(recording.key) is recording:
            del self._recordings[recording.key]
        if recording.look is not None:
            recording.look.cancel()
        self._bell.ring()

    def _forget(self, recording: _Recording) -> None:
        for queue in (self._urgent, self._patient):
            queue.forget(recording)

    # -- looking ----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._recordings and self._task is None:
            self._task = start_apart(self._run())
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
            seconds = min(self._urgent.due_at(), self._patient.due_at()) - loop_time()
            if seconds > 0 or len(self._looks) >= MOST_UNDER_WAY:
                # Nothing is due, or too much is under way, whose end rings.
                await self._bell.wait(seconds if seconds > 0 else NEVER)
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
        if self.outage and (recording := self._pick()) is not None:
            await asyncio.wait([self._begin(recording)])
        if not self.outage:
            budget.restart()  # or all that waited would ask at once

    def _pick(self) -> _Recording | None:
        """The one that is to be looked at next; None when nobody wants that any more."""
        now = loop_time()
        while True:
            is_urgent, is_due = self._urgent.due_at() <= now, self._patient.due_at() <= now
            if not (is_urgent or is_due):
                return None
            has_turn = is_urgent and not (is_due and self._urgent_in_a_row >= URGENT_IN_A_ROW)
            queue = self._urgent if has_turn else self._patient
            recording = queue.pop()
            wishes = [wish.due_at for wish in recording.wishes() if wish.is_urgent == queue.is_urgent]
            if min(wishes, default=NEVER) <= now:
                self._urgent_in_a_row = self._urgent_in_a_row + 1 if has_turn else 0
                self._forget(recording)
                return recording
            if wishes:  # the one that it was planned for was given up
                queue.plan(recording, min(wishes))

    def _begin(self, recording: _Recording) -> asyncio.Task[Answer]:
        look = recording.look = start_apart(self._look(*recording.key))
        self._looks.add(look)
        look.add_done_callback(functools.partial(self._looked, recording))
        return look

    async def _look(self, sdk_app_id: int, recording_id: str) -> Answer:
        value: Snapshot | TrtcError
        try:
            value = await self._client.look(recording_id, sdk_app_id)
        except Exception as error:  # whatever it is: who waits must not wait for ever
            value = failures.classify(
                error,
                action=calls.DESCRIBE_RECORDING,
                recording_id=recording_id,
                endpoint=self.settings.endpoint,
            )
        return Answer(value, datetime.now(timezone.utc))

    def _looked(self, recording: _Recording, look: asyncio.Task[Answer]) -> None:
        """The end of every look, also of one that was cancelled before it began."""
        self._looks.discard(look)
        recording.look = None
        self._bell.ring()
        if not look.cancelled():
            self._hear(recording, look.result())
        else:  # not by those who wait for it
            for wish in recording.wishes():
                self.plan(recording, wish)

    def _hear(self, recording: _Recording, answer: Answer) -> None:
        waiting = len(self._recordings)
        if news := self._health.note(answer.value, recording.key, at=loop_time(), waiting=waiting):
            log.log(logging.WARNING if self.outage else logging.INFO, news)
        has_failed = isinstance(answer.value, TrtcThrottledError | TrtcTransientError)
        recording.failures = recording.failures + 1 if has_failed else 0
        if 0 < recording.failures < FAILURES_TO_TELL:
            # Before all others: it has had its turn, and got nothing for it.
            for subscription in recording.subscriptions:
                if subscription.wish is not None:
                    subscription.ask(AGAIN_SECONDS, urgent=True)
            return
        recording.failures = 0
        for subscription in tuple(recording.subscriptions):
            subscription.answer(answer)
