"""A trigger's share in the looks: what it hands on, when it asks for the connection anew, and how it ends."""

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
from airflow_trtc.waiting import polls
from airflow_trtc.waiting.polls import PollSubscription

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
SEEN = PollResult(Snapshot("a", "InProgress", (), None), AT)
WRONG_KEY = PollResult(TrtcSetupError("wrong key", code="AuthFailure.SignatureFailure"), AT)


class Subscription:
    outage: str | None = None

    def __init__(self) -> None:
        self.asked: list[tuple[float, bool]] = []
        self.answers: list[PollResult] = []
        self.is_closed = False

    def request(self, seconds: float, *, urgent: bool = False) -> None:
        self.asked.append((seconds, urgent))

    def drain(self) -> list[PollResult]:
        answers, self.answers = self.answers, []
        return answers

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

    def job(self, kind: str, job_id: str) -> JobRef:
        return JobRef(kind, 1, "ap-guangzhou", job_id)

    def subscribe(self, kind: JobKind, job: JobRef, wake: Callable[[], None]) -> Subscription:
        self.wake = wake
        return self.subscription

    async def arenew(self) -> None:
        self.renewed += 1


def play(story: Callable[[PollSubscription, Hook], Awaitable[None]]) -> None:
    async def main() -> None:
        hook = Hook()
        before = asyncio.all_tasks()
        await story(PollSubscription(hook, "a", WakeUp()), hook)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_wrong_key_is_believed_when_the_connection_as_it_is_now_has_it_too() -> None:
    async def story(share: PollSubscription, hook: Hook) -> None:
        believed = []
        for _ in range(4):
            assert await share.share() == []
            hook.subscription.answers = [WRONG_KEY]
            believed.append(await share.take())
        assert believed == [[], [WRONG_KEY], [], [WRONG_KEY]]
        assert hook.renewed == 2

    play(story)


def test_what_was_seen_before_the_key_was_refused_is_handed_on() -> None:
    async def story(share: PollSubscription, hook: Hook) -> None:
        await share.share()
        hook.subscription.answers = [SEEN, WRONG_KEY]
        assert await share.take() == [SEEN]
        assert hook.subscription.is_closed
        assert not share.are_shared

    play(story)


def test_a_connection_that_cannot_be_had_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "SHARE_SECONDS", 0.05)

    async def story(share: PollSubscription, hook: Hook) -> None:
        hook.error = TrtcSetupError("no such connection", code="Client.NoConnection")
        assert [answer.value for answer in await share.share()] == [hook.error]
        hook.error, hook.hangs = None, True
        (answer,) = await share.share()
        assert isinstance(answer.value, TrtcTransientError)
        assert answer.value.code == "Client.ConnectionUnavailable"

    play(story)


def test_who_is_cancelled_while_it_shares_is_cancelled() -> None:
    async def story(share: PollSubscription, hook: Hook) -> None:
        hook.hangs = True
        sharing = asyncio.create_task(share.share())
        await asyncio.sleep(0.02)
        sharing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sharing

    play(story)


def test_the_same_wish_is_not_made_twice_until_it_was_fulfilled() -> None:
    async def story(share: PollSubscription, hook: Hook) -> None:
        at = loop_time() + 60
        share.ask(at, urgent=False)  # nobody is there yet
        await share.share()
        for urgent in (False, False, True):
            share.ask(at, urgent=urgent)
        hook.subscription.answers = [SEEN]
        await share.take()
        share.ask(at, urgent=True)
        assert [urgent for _, urgent in hook.subscription.asked] == [False, True, True]

    play(story)


@pytest.mark.parametrize("outage", [None, "the service is away"])
def test_the_last_look_does_not_take_long(monkeypatch: pytest.MonkeyPatch, outage: str | None) -> None:
    monkeypatch.setattr(polls, "LAST_LOOK_SECONDS", 0.1)

    async def story(share: PollSubscription, hook: Hook) -> None:
        hook.subscription.outage = outage
        (answer,) = await share.last()
        assert isinstance(answer.value, TrtcTransientError)
        assert (outage or "took more than 0.1 s") in str(answer.value)
        [(seconds, urgent)] = hook.subscription.asked
        assert seconds <= 0.0
        assert urgent

    play(story)


def test_the_last_look_hands_on_all_there_is() -> None:
    async def story(share: PollSubscription, hook: Hook) -> None:
        hook.subscription.answers = [SEEN, SEEN]
        share._bell.wake()
        assert await share.last() == [SEEN, SEEN]

    play(story)


@pytest.mark.parametrize("answers", [[[WRONG_KEY], [SEEN]], [[WRONG_KEY], [WRONG_KEY]]])
def test_the_last_look_takes_keys_over_that_were_changed_as_well(answers: list[list[PollResult]]) -> None:
    async def story(share: PollSubscription, hook: Hook) -> None:
        last = asyncio.create_task(share.last())
        for each in answers:
            await asyncio.sleep(0.01)
            hook.subscription.answers = each
            hook.wake()
        assert await last == answers[-1]
        assert hook.renewed == 1

    play(story)


def test_who_is_cancelled_the_moment_that_it_shares_is_cancelled_and_leaves() -> None:
    async def story(share: PollSubscription, hook: Hook) -> None:
        for turns in range(6):
            sharing = asyncio.create_task(share.share())
            for _ in range(turns):
                await asyncio.sleep(0)
            sharing.cancel()
            await asyncio.wait([sharing])
            assert sharing.cancelled() or share.are_shared
            share.close()

    play(story)


def test_waiting_for_something_ends_in_time_or_by_being_cancelled() -> None:
    async def story() -> None:
        assert await within(5.0, asyncio.sleep(0.01, "done")) == "done"
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, asyncio.sleep(600))
        done = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(within(600.0, done))  # type: ignore[var-annotated]
        await asyncio.sleep(0)
        done.set_result("too late")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):  # wait_for would return, up to Python 3.11
            await waiting

    asyncio.run(asyncio.wait_for(story(), 10))


def test_a_bell_wakes_when_it_is_rung_and_when_it_is_time() -> None:
    async def ring() -> None:
        bell = WakeUp()
        bell.wake()
        await bell.wait(600.0)
        await bell.wait(0.01)
        await bell.wait(-1.0)
        asyncio.get_running_loop().call_later(0.01, bell.wake)
        await bell.wait(float("inf"))

    asyncio.run(asyncio.wait_for(ring(), 10))
