"""A trigger's share in the polls: what it hands on, when it asks for the connection anew, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone

import pytest

from airflow_trtc.aio import WakeUp, loop_time, within
from airflow_trtc.cloud.poller import PollResult
from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcTransientError
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import RECORDING
from airflow_trtc.waiting import polls
from airflow_trtc.waiting.polls import SharedPolls

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
JOB = JobRef("recording", 1, "ap-guangzhou", "a")
SEEN = PollResult(Snapshot("a", "InProgress", (), None), AT)
WRONG_KEY = PollResult(TrtcSetupError("wrong key", code="AuthFailure.SignatureFailure"), AT)


class Subscription:
    outage: str | None = None

    def __init__(self) -> None:
        self.asked: list[tuple[float, bool]] = []
        self.results: list[PollResult] = []
        self.is_closed = False

    def request(self, seconds: float, *, urgent: bool = False) -> None:
        self.asked.append((seconds, urgent))

    def drain(self) -> list[PollResult]:
        results, self.results = self.results, []
        return results

    def close(self) -> None:
        self.is_closed = True


class Hook:
    """Subscribes at once, never, or with an error."""

    def __init__(self) -> None:
        self.subscription = Subscription()
        self.renewed = 0
        self.error: TrtcError | None = None
        self.hangs = False
        self.wake: Callable[[], None] = lambda: None

    async def aprepare(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    def subscribe(self, kind: JobKind, job: JobRef, wake: Callable[[], None]) -> Subscription:
        self.wake = wake
        return self.subscription

    async def arenew(self) -> None:
        self.renewed += 1


def play(story: Callable[[SharedPolls, Hook], Awaitable[None]]) -> None:
    async def main() -> None:
        hook = Hook()
        before = asyncio.all_tasks()
        await story(SharedPolls(hook, RECORDING, JOB, WakeUp()), hook)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_wrong_key_is_believed_when_the_connection_as_it_is_now_has_it_too() -> None:
    async def story(shared: SharedPolls, hook: Hook) -> None:
        believed = []
        for _ in range(4):
            assert await shared.subscribe() == []
            hook.subscription.results = [WRONG_KEY]
            believed.append(await shared.drain())
        assert believed == [[], [WRONG_KEY], [], [WRONG_KEY]]
        assert hook.renewed == 2

    play(story)


def test_what_was_seen_before_the_key_was_refused_is_handed_on() -> None:
    async def story(shared: SharedPolls, hook: Hook) -> None:
        await shared.subscribe()
        hook.subscription.results = [SEEN, WRONG_KEY]
        assert await shared.drain() == [SEEN]
        assert hook.subscription.is_closed
        assert not shared.is_subscribed

    play(story)


def test_a_connection_that_cannot_be_read_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "SUBSCRIBE_SECONDS", 0.02)
    monkeypatch.setattr(polls, "CONNECTION_SECONDS", 0.05)

    async def story(shared: SharedPolls, hook: Hook) -> None:
        hook.error = TrtcSetupError("no such connection", code="Client.NoConnection")
        assert [answer.value for answer in await shared.subscribe()] == [hook.error]
        hook.error, hook.hangs = None, True
        results = [await shared.subscribe() for _ in range(5)]
        (answer,) = next(each for each in results if each)
        assert isinstance(answer.value, TrtcTransientError)
        assert answer.value.code == "Client.ConnectionUnavailable"

    play(story)


def test_a_connection_that_takes_its_time_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor of thousands of triggers that start answers none of them for half a minute."""
    monkeypatch.setattr(polls, "SUBSCRIBE_SECONDS", 0.02)

    async def story(shared: SharedPolls, hook: Hook) -> None:
        hook.hangs = True
        assert await shared.subscribe() == [] == await shared.subscribe()
        assert not shared.is_subscribed
        hook.hangs = False
        assert await shared.subscribe() == []
        assert shared.is_subscribed

    play(story)


def test_a_trigger_cancelled_while_it_subscribes_is_cancelled() -> None:
    async def story(shared: SharedPolls, hook: Hook) -> None:
        hook.hangs = True
        subscribing = asyncio.create_task(shared.subscribe())
        await asyncio.sleep(0.02)
        subscribing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await subscribing

    play(story)


def test_the_same_request_is_not_made_twice_until_it_was_answered() -> None:
    async def story(shared: SharedPolls, hook: Hook) -> None:
        at = loop_time() + 60
        shared.request(at, urgent=False)  # it is not subscribed yet
        await shared.subscribe()
        for urgent in (False, False, True):
            shared.request(at, urgent=urgent)
        hook.subscription.results = [SEEN]
        await shared.drain()
        shared.request(at, urgent=True)
        assert [urgent for _, urgent in hook.subscription.asked] == [False, True, True]

    play(story)


@pytest.mark.parametrize("outage", [None, "the service is away"])
def test_the_last_poll_does_not_take_long(monkeypatch: pytest.MonkeyPatch, outage: str | None) -> None:
    monkeypatch.setattr(polls, "LAST_POLL_SECONDS", 0.1)

    async def story(shared: SharedPolls, hook: Hook) -> None:
        hook.subscription.outage = outage
        (answer,) = await shared.last()
        assert isinstance(answer.value, TrtcTransientError)
        assert (outage or "took more than 0.1 s") in str(answer.value)
        [(seconds, urgent)] = hook.subscription.asked
        assert seconds <= 0.0
        assert urgent

    play(story)


def test_the_last_poll_hands_on_all_there_is() -> None:
    async def story(shared: SharedPolls, hook: Hook) -> None:
        hook.subscription.results = [SEEN, SEEN]
        shared._wake_up.wake()
        assert await shared.last() == [SEEN, SEEN]

    play(story)


@pytest.mark.parametrize("answers", [[[WRONG_KEY], [SEEN]], [[WRONG_KEY], [WRONG_KEY]]])
def test_the_last_poll_takes_keys_over_that_were_changed_as_well(answers: list[list[PollResult]]) -> None:
    async def story(shared: SharedPolls, hook: Hook) -> None:
        last = asyncio.create_task(shared.last())
        for each in answers:
            await asyncio.sleep(0.01)
            hook.subscription.results = each
            hook.wake()
        assert await last == answers[-1]
        assert hook.renewed == 1

    play(story)


def test_a_trigger_cancelled_the_moment_it_subscribes_is_cancelled_and_leaves() -> None:
    async def story(shared: SharedPolls, hook: Hook) -> None:
        for turns in range(6):
            subscribing = asyncio.create_task(shared.subscribe())
            for _ in range(turns):
                await asyncio.sleep(0)
            subscribing.cancel()
            await asyncio.wait([subscribing])
            assert subscribing.cancelled() or shared.is_subscribed
            shared.close()

    play(story)


def test_waiting_for_something_ends_in_time_or_by_being_cancelled() -> None:
    async def story() -> None:
        assert await within(5.0, asyncio.sleep(0.01, "done")) == "done"
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, asyncio.sleep(600))
        done = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(within(600.0, done))
        await asyncio.sleep(0)
        done.set_result("too late")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):  # wait_for would return, up to Python 3.11
            await waiting

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_coroutine_wakes_when_asked_to_and_when_it_is_time() -> None:
    async def story() -> None:
        wake_up = WakeUp()
        wake_up.wake()
        await wake_up.wait(600.0)
        await wake_up.wait(0.01)
        await wake_up.wait(-1.0)
        asyncio.get_running_loop().call_later(0.01, wake_up.wake)
        await wake_up.wait(float("inf"))

    asyncio.run(asyncio.wait_for(story(), 60))
