"""Carries a wait in the triggerer, for a deferred task, without ever blocking its event loop."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Any

from airflow_trtc.aio import WakeUp, loop_time
from airflow_trtc.cloud.poller import PollResult
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.feed import FeedSubscription
from airflow_trtc.journal.plans import Get, Set
from airflow_trtc.journal.store import AsyncStore, acarry_out
from airflow_trtc.metrics import Presence
from airflow_trtc.steps import adrive
from airflow_trtc.waiting.engine import (
    Drain,
    Ending,
    Heard,
    Listen,
    Poll,
    ReadProgress,
    Say,
    Seen,
    ShowProgress,
    Step,
    Stop,
    Wait,
)
from airflow_trtc.waiting.polls import SharedPolls, observe
from airflow_trtc.waiting.progress import SharedProgress


class LoopClock:
    """The clocks of an event loop, and chance."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds of the loop's clock, which is never set back."""
        return loop_time()

    def random(self) -> float:
        """A number from 0 to 1."""
        return random.random()


class TriggererWait:
    """One leg of a wait in the triggerer.

    :param store: the journal's; None when there is none.
    :param feed: what callbacks come from.
    :param polls: what answers to polls come from.
    :param progress: shows the state to users.
    :param stop: stops the job; returns why that failed, None when it is over.
    :param wake_up: wakes this wait; feed and polls do so.
    :param absent_codes: the service's error codes that mean "not there".
    :param presence: counts this wait, by its state.
    """

    def __init__(  # noqa: PLR0913 - each by name, and made in one place
        self,
        wait: Wait,
        *,
        store: AsyncStore | None,
        feed: FeedSubscription,
        polls: SharedPolls,
        progress: SharedProgress,
        stop: Callable[[], Awaitable[str | None]],
        wake_up: WakeUp,
        absent_codes: tuple[str, ...],
        presence: Presence,
        log: Any,
    ) -> None:
        self._wait = wait
        self._store = store
        self._feed = feed
        self._polls = polls
        self._progress = progress
        self._stop = stop
        self._wake_up = wake_up
        self._absent_codes = absent_codes
        self._presence = presence
        self._log = log

    async def run(self) -> Ending:
        """Wait until the job has ended, the wait has failed, or a limit is reached."""
        return await adrive(self._wait.run(), self._carry_out)

    async def _carry_out(self, step: Step) -> Any:
        match step:
            case Listen():
                return await self._listen(step)
            case Poll():
                return self._seen(await self._polls.last())
            case Stop():
                return await self._stop()
            case Drain():
                return self._heard([])
            case Get() | Set():
                assert self._store is not None, "a journal without a store reads and writes nothing"
                return await acarry_out(step, self._store)
            case ShowProgress(state=state, ending=ending):
                return ending is not None or self._progress.request(state)  # at the end the worker shows it
            case ReadProgress():
                return await self._progress.read()
            case Say(line=line):
                return self._log.info("%s", line)

    async def _listen(self, step: Listen) -> Heard:
        self._presence.move(state=presence_state(self._wait.state))
        judged_at = loop_time() + step.seconds
        if step.polls:
            self._polls.request(step.turn_at, urgent=step.is_urgent)
        else:
            self._polls.cancel()
        # The answer to a shared poll wakes this wait; its own turn is for what is not shared.
        turn_at = math.inf if step.polls and self._polls.is_subscribed else step.turn_at
        await self._wake_up.wait(min(judged_at, turn_at, self._progress.due_at) - loop_time())
        await self._progress.write_if_due()
        results = await self._polls.drain()
        is_quiet = not (results or self._feed.has_gap or self._feed.has_entries)
        if (
            is_quiet
            and step.polls
            and not self._polls.is_subscribed
            and step.turn_at <= loop_time() < judged_at
        ):
            results = await self._polls.subscribe()
        return self._heard(results)

    def _heard(self, results: list[PollResult]) -> Heard:
        has_gap, self._feed.has_gap = self._feed.has_gap, False
        callbacks = [
            Seen(entry.callback, entry.received_at)
            for entry in self._feed.drain()
            if entry.callback is not None
        ]
        return Heard(
            self._seen(results),
            callbacks,
            has_gap=has_gap,
            is_behind=self._feed.is_behind,
            is_unavailable=self._feed.is_unavailable,
            is_outage=self._polls.outage is not None,
        )

    def _seen(self, results: list[PollResult]) -> list[Seen]:
        return [Seen(observe(result.value, self._absent_codes), result.at) for result in results]


def presence_state(state: JobState) -> str:
    """One word for the metric `WAITS`."""
    if state.trouble is not None:
        return "unanswered"
    if state.is_over:
        return "ended"
    return "running" if state.was_seen or state.history.facts else "never_seen"
