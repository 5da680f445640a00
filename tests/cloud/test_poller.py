"""The shared schedule: with a client that is told what to answer, and with the real one over HTTP."""

import asyncio
import logging
from datetime import datetime, timezone
from typing import cast

import pytest

from airflow_trtc.cloud import poller
from airflow_trtc.cloud.budget import Budget
from airflow_trtc.cloud.client import AsyncTrtcClient
from airflow_trtc.cloud.health import Health
from airflow_trtc.cloud.poller import Poller
from airflow_trtc.cloud.settings import from_connection
from airflow_trtc.emulator import DEFAULT_SDK_APP_ID
from airflow_trtc.errors import TrtcFailedError, TrtcSetupError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import RECORDING

APP = DEFAULT_SDK_APP_ID
GONE = TrtcFailedError("no such recording", code="ResourceNotFound")
BROKEN = TrtcTransientError("no answer", code="Client.Timeout")
REFUSED = TrtcThrottledError("too many", code="RequestLimitExceeded")


SLICE = JobKind(name="slice", describe_action="DescribeCloudSliceTask")


class Client:
    """Answers every poll with the next of its answers, or that it runs; notes the polls."""

    def __init__(self, requests_per_second):
        self.requests_per_second = requests_per_second
        self.polls, self.answers, self.cancelled = [], [], []
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.closed = False
        self._budgets = {}

    def budget(self, action):
        return self._budgets.setdefault(action, Budget(self.requests_per_second))

    async def poll(self, call):
        self.polls.append(call.job_id)
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(call.job_id)
            raise
        answer = self.answers.pop(0) if self.answers else Snapshot(call.job_id, "InProgress", (), None)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def until(self, holds):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)

    async def aclose(self):
        self.closed = True


def job(job_id, *, kind="recording", sdk_app_id=APP):
    return JobRef(kind, sdk_app_id, "ap-guangzhou", job_id)


class Waiter:
    def __init__(self, polling, job_id, kind=RECORDING):
        self.news = asyncio.Event()
        self.subscription = polling.subscribe(kind, job(job_id, kind=kind.name), self.news.set)

    async def answers(self, seconds=60.0):
        await asyncio.wait_for(self.news.wait(), seconds)
        self.news.clear()
        return [answer.value for answer in self.subscription.drain()]

    def request(self, seconds=0.0, **options):
        self.subscription.request(seconds, **options)


def play(story, **extra):
    """Run a story with a poller whose client is a fake; nothing may be left of it afterwards."""

    async def main():
        before = asyncio.all_tasks()
        values = {"requests_per_second": 1000, **extra}
        settings = from_connection(login="AKIDx", password="secret", extra=values)
        client = Client(settings.requests_per_second)
        polling = Poller(
            settings, client=cast("AsyncTrtcClient", client), make_health=hasty_health, retry_seconds=0.01
        )
        await story(polling, client)
        await polling.aclose()
        assert client.closed
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 120))


def hasty_health():
    return Health(silence_seconds=0.0, first_pause_seconds=0.01, max_pause_seconds=0.02)


def lane(polling, kind=RECORDING):
    return polling._lanes[kind.describe_action]


def test_two_waiters_for_one_recording_cost_one_request():
    async def story(polling, client):
        one, two = Waiter(polling, "a"), Waiter(polling, "a")
        one.request(0.05)
        two.request(600.0)
        assert await one.answers() == await two.answers()
        assert client.polls == ["a"]

    play(story)


def test_the_same_id_of_another_application_is_another_recording():
    async def story(polling, client):
        one, two = Waiter(polling, "a"), Waiter(polling, "a")
        other = polling.subscribe(RECORDING, job("a", sdk_app_id=APP + 1), asyncio.Event().set)
        for each in (one.subscription, two.subscription, other):
            each.request(0.0)
        await one.answers()
        await client.until(lambda: client.polls == ["a", "a"])

    play(story)


def test_a_waiter_that_comes_while_a_poll_is_under_way_gets_its_answer():
    async def story(polling, client):
        client.let_go.clear()
        one = Waiter(polling, "a")
        one.request()
        await client.until(lambda: client.polls)
        two = Waiter(polling, "a")
        two.request()
        client.let_go.set()
        assert len(await one.answers()) == len(await two.answers()) == 1
        await asyncio.sleep(0.05)
        assert client.polls == ["a"]

    play(story)


def test_the_longest_due_is_polled_first_and_urgent_ones_before_that():
    async def story(polling, client):
        client.let_go.clear()
        waiters = {name: Waiter(polling, name) for name in "abcdefg"}
        for number, name in enumerate("cab"):
            waiters[name].request(0.001 * number)
        for name in "defg":
            waiters[name].request(0.02, urgent=True)
        await asyncio.sleep(0.03)  # all are due, and the first is on its way at most
        client.let_go.set()
        await asyncio.gather(*(waiter.answers() for waiter in waiters.values()))
        patient = [name for name in client.polls if name in "abc"]
        assert patient == ["c", "a", "b"]
        # Three in a hurry, then one that is only due: nobody starves.
        assert client.polls.index("g") > client.polls.index("a")

    play(story, requests_per_second=5)


def test_when_more_is_requested_than_the_budget_allows_all_have_a_turn():
    async def story(polling, client):
        async def wait(name, interval):
            waiter = Waiter(polling, name)
            while len(client.polls) < 100:
                waiter.request(interval)
                await waiter.answers(20.0)

        names = [f"r{number}" for number in range(20)]
        await asyncio.gather(*(wait(name, 0.0 if name == "r0" else 0.01) for name in names))
        counts = [client.polls[:100].count(name) for name in names]
        assert min(counts) >= 4
        assert max(counts) <= 6

    play(story, requests_per_second=100)


def test_a_later_request_replaces_an_earlier_one_and_none_at_all_is_possible():
    async def story(polling, client):
        one, two = Waiter(polling, "a"), Waiter(polling, "b")
        one.request(0.01)
        one.request(600.0)
        two.request(0.01)
        two.subscription.cancel()
        await asyncio.sleep(0.05)
        assert client.polls == []
        one.request()
        await one.answers()
        assert client.polls == ["a"]

    play(story)


@pytest.mark.parametrize("first", ["urgent", "patient"])
def test_an_urgent_request_for_later_delays_none_for_now(first):
    async def story(polling, client):
        urgent, patient = Waiter(polling, "a"), Waiter(polling, "a")
        if first == "urgent":
            urgent.request(600.0, urgent=True)
            patient.request()
        else:
            patient.request(0.01)
            urgent.request(600.0, urgent=True)
        assert await patient.answers() == await urgent.answers()
        assert client.polls == ["a"]

    play(story)


def test_a_refused_poll_is_repeated_before_others_and_is_not_told():
    async def story(polling, client):
        client.answers = [REFUSED, REFUSED]
        waiter = Waiter(polling, "a")
        waiter.request()
        (answer,) = await waiter.answers()
        assert isinstance(answer, Snapshot)
        assert client.polls == ["a"] * 3

    play(story)


@pytest.mark.parametrize("error", [REFUSED, BROKEN], ids=["refused", "broken"])
def test_a_recording_that_meets_trouble_again_and_again_is_told_so(error):
    async def story(polling, client):
        client.answers = [error] * poller.FAILURES_TO_TELL
        waiter = Waiter(polling, "a")
        waiter.request()
        assert await waiter.answers() == [error]
        waiter.request()
        assert isinstance((await waiter.answers())[0], Snapshot)

    play(story)


def test_what_the_service_says_of_a_recording_is_told_as_it_is():
    async def story(polling, client):
        client.answers = [GONE, TrtcSetupError("wrong key", code="AuthFailure.SignatureFailure")]
        waiter = Waiter(polling, "a")
        codes = []
        for _ in range(2):
            waiter.request()
            codes += [answer.code for answer in await waiter.answers()]
        assert codes == ["ResourceNotFound", "AuthFailure.SignatureFailure"]

    play(story)


def test_a_bug_in_a_poll_is_an_answer_too():
    async def story(polling, client):
        client.answers = [ValueError("a bug")] * poller.FAILURES_TO_TELL
        waiter = Waiter(polling, "a")
        waiter.request()
        assert (await waiter.answers())[0].code == "Client.BrokenAnswer"

    play(story)


def test_an_answer_knows_when_it_was_given_not_when_it_was_taken():
    async def story(polling, client):
        waiter = Waiter(polling, "a")
        waiter.request()
        await waiter.news.wait()
        given_by = datetime.now(timezone.utc)
        await asyncio.sleep(0.05)
        (answer,) = waiter.subscription.drain()
        assert answer.at <= given_by

    play(story)


def test_polls_that_are_cancelled_before_they_begin_are_not_under_way_for_ever():
    async def story(polling, client):
        client.let_go.clear()
        stays = Waiter(polling, "stays")
        for number in range(poller.MAX_UNDER_WAY * 3):
            leaves = Waiter(polling, f"r{number}")
            leaves.request()
            await client.until(lambda leaves=leaves: leaves.subscription._job.poll)
            leaves.subscription.close()  # in the moment between the task's making and its first step
        client.let_go.set()
        stays.request()
        assert len(await stays.answers()) == 1
        assert not lane(polling)._polls

    play(story)


def test_a_poll_that_no_waiter_cancelled_is_repeated():
    async def story(polling, client):
        client.answers = [asyncio.CancelledError()]
        waiter = Waiter(polling, "a")
        waiter.request()
        assert isinstance((await waiter.answers())[0], Snapshot)

    play(story)


def test_thousands_that_wait_for_one_recording_cost_little():
    async def story(polling, client):
        waiters = [Waiter(polling, "a") for _ in range(3000)]
        for _ in range(3):
            for waiter in waiters:
                waiter.request(0.01)
            await asyncio.gather(*(waiter.answers() for waiter in waiters))
        assert client.polls == ["a"] * 3
        assert len(lane(polling)._patient._entries) <= poller.MIN_ENTRIES

    play(story)


def test_what_was_planned_for_cancelled_requests_does_not_pile_up():
    async def story(polling, client):
        waiters = [Waiter(polling, name) for name in "ab"]
        waiters[1].request(3600.0)
        for number in range(2000):
            waiters[0].request(3600.0 - number)
        assert len(lane(polling)._patient._entries) <= 2 * poller.MIN_ENTRIES

    play(story)


def test_an_outage_is_logged_once_and_few_are_asked_until_it_is_over(caplog):
    async def story(polling, client):
        waiters = [Waiter(polling, f"r{number}") for number in range(200)]
        client.answers = [BROKEN] * 40
        for waiter in waiters:
            waiter.request()
        answers = await asyncio.gather(*(waiter.answers(20.0) for waiter in waiters))
        assert 1 <= sum(answer == [BROKEN] for answer in answers) <= 40 / poller.FAILURES_TO_TELL
        assert lane(polling).health.outage is None

    caplog.set_level(logging.INFO, "airflow_trtc.cloud.poller")
    play(story)
    begun, ended = [record for record in caplog.records if record.name == "airflow_trtc.cloud.poller"]
    assert (begun.levelname, ended.levelname) == ("WARNING", "INFO")
    assert "no answer" in begun.message


def test_in_an_outage_one_request_goes_at_a_time():
    async def story(polling, client):
        waiters = [Waiter(polling, f"r{number}") for number in range(100)]
        client.answers = [BROKEN] * 1000
        for waiter in waiters:
            waiter.request()
        await client.until(lambda: lane(polling).health.outage and not lane(polling)._polls)
        client.let_go.clear()
        await client.until(lambda: lane(polling)._polls)
        await asyncio.sleep(0.1)
        assert len(lane(polling)._polls) == 1
        assert lane(polling).health.outage
        client.answers = []
        client.let_go.set()
        await asyncio.gather(*(waiter.answers(20.0) for waiter in waiters))

    play(story)


def test_a_poll_that_no_waiter_needs_any_more_is_given_up():
    async def story(polling, client):
        client.let_go.clear()
        one, two, three = Waiter(polling, "a"), Waiter(polling, "a"), Waiter(polling, "b")
        for waiter in (one, two, three):
            waiter.request()
        await client.until(lambda: sorted(client.polls) == ["a", "b"])
        one.subscription.close()
        three.subscription.close()
        await client.until(lambda: client.cancelled)
        assert client.cancelled == ["b"]
        client.let_go.set()
        assert len(await two.answers()) == 1
        two.subscription.close()
        await client.until(lambda: lane(polling)._task is None)
        assert lane(polling)._jobs == {}

    play(story)


def test_a_waiter_that_comes_after_all_have_left_is_served():
    async def story(polling, client):
        for _ in range(3):
            waiter = Waiter(polling, "a")
            waiter.request()
            await waiter.answers()
            waiter.subscription.close()
        assert client.polls == ["a"] * 3

    play(story)


def test_a_bug_in_the_schedule_lets_no_waiter_wait_for_ever(caplog):
    async def story(polling, client):
        picks = iter([RuntimeError("a bug")])
        waiter = Waiter(polling, "a")
        real = lane(polling)._pick

        def pick():
            for error in picks:
                raise error
            return real()

        lane(polling)._pick = pick
        waiter.request()
        assert len(await waiter.answers()) == 1

    play(story)
    assert "Polling failed; retrying" in caplog.text


def test_a_job_that_has_ended_without_an_error_is_told_as_absent():
    async def story(polling, client):
        client.answers = [Absence("4", "req")]
        waiter = Waiter(polling, "a", SLICE)
        waiter.request()
        assert await waiter.answers() == [Absence("4", "req")]

    play(story)


def test_the_same_id_of_another_kind_is_another_job():
    async def story(polling, client):
        one, two = Waiter(polling, "a"), Waiter(polling, "a", SLICE)
        for waiter in (one, two):
            waiter.request()
        await asyncio.gather(one.answers(), two.answers())
        assert client.polls == ["a", "a"]

    play(story)


def test_an_action_whose_budget_is_used_up_holds_up_no_other():
    async def story(polling, client):
        crowd = [client.budget(RECORDING.describe_action).turn() for _ in range(50)]
        assert [next(turn, 0.0) for turn in crowd][-1] > 20.0
        stuck, free = Waiter(polling, "a"), Waiter(polling, "b", SLICE)
        for waiter in (stuck, free):
            waiter.request(urgent=True)
        await free.answers()
        assert client.polls == ["b"]
        stuck.subscription.close()

    play(story, requests_per_second=1)


def test_an_action_that_is_refused_again_and_again_holds_up_no_other():
    async def story(polling, client):
        refused, other = Waiter(polling, "a"), Waiter(polling, "b", SLICE)
        client.answers = [REFUSED] * 30
        for _ in range(10):
            refused.request()
            await client.until(lambda: lane(polling).health.outage or refused.news.is_set())
            refused.news.clear()
        assert refused.subscription.outage
        assert other.subscription.outage is None
        client.answers = []
        other.request()
        assert len(await other.answers()) == 1

    play(story)


def test_an_id_that_cannot_be_one_is_refused_before_anything_is_asked():
    async def story(polling, client):
        with pytest.raises(TrtcSetupError, match="empty"):
            polling.subscribe(RECORDING, job(" "), asyncio.Event().set)
        assert client.polls == []

    play(story)


def test_a_refusal_lowers_the_pace_of_all_that_wait(settings_for, emulator):
    """By the real client, whose budget the poller keeps to; once, however many are refused at a time."""
    recording_id = emulator.add_recording()
    emulator.fault("throttle", count=2)

    async def main():
        polling = Poller(settings_for({"requests_per_second": 1000}).account, retry_seconds=0.01)
        budget = polling.client.budget(RECORDING.describe_action)
        before = budget.rate()
        waiter = Waiter(polling, recording_id)
        waiter.request()
        (answer,) = await waiter.answers()
        after = budget.rate()
        await polling.aclose()
        return before, answer, after

    before, answer, after = asyncio.run(main())
    assert isinstance(answer, Snapshot)
    assert 0.4 * before < after < 0.9 * before


def test_hundreds_wait_through_one_client(settings_for, emulator, brisk_start):
    """The real client over HTTP: the emulator sees what all of them do together."""
    recording_ids = [emulator.add_recording(files=1) for _ in range(60)]

    async def main():
        polling = Poller(settings_for({"requests_per_second": 200}).account)
        waiters = [Waiter(polling, recording_id) for recording_id in recording_ids * 5]
        for _ in range(2):
            for waiter in waiters:
                waiter.request()
            answers = await asyncio.gather(*(waiter.answers(20.0) for waiter in waiters))
            assert all(answer.status == "InProgress" for (answer,) in answers)
        await polling.aclose()

    asyncio.run(main())
    assert emulator.state()["counters"]["DescribeCloudRecording"] == {"OK": 120}


# -- what is shown of it ------------------------------------------------------------------------------


def test_a_view_says_how_the_polls_of_an_action_go():
    async def story(polling, client):
        waiters = [Waiter(polling, name) for name in "abc"]
        other = Waiter(polling, "d", SLICE)
        assert [(view.action, view.waiting, view.due, view.sent) for view in polling.views()] == [
            ("DescribeCloudRecording", 3, 0, 0),
            ("DescribeCloudSliceTask", 1, 0, 0),
        ]
        client.answers = [REFUSED]
        waiters[0].request()
        await waiters[0].answers()
        waiters[1].request(600.0)
        other.request()
        await other.answers()
        view, of_slices = polling.views()
        assert (view.sent, view.throttled, view.due, view.outage) == (2, 1, 0, None)
        assert (of_slices.sent, of_slices.throttled) == (1, 0)
        assert view.ceiling == 1000
        assert 0 < view.rate <= 1000
        assert 0 <= view.slowest_seconds < 5

    play(story)


def test_what_is_due_is_counted_once_and_is_late_until_it_is_polled():
    async def story(polling, client):
        waiter, other = Waiter(polling, "a"), Waiter(polling, "b")
        waiter.request(-1.0)
        waiter.request(-1.0, urgent=True)
        other.request(600.0)
        (view,) = polling.views()
        assert (view.waiting, view.due, view.sent) == (2, 1, 0)
        assert view.slowest_seconds >= 0
        await waiter.answers()
        (view,) = polling.views()
        assert (view.due, view.sent) == (0, 1)

    play(story)


def test_a_view_says_why_nothing_is_answered():
    async def story(polling, client):
        client.answers = [BROKEN] * 100
        waiter = Waiter(polling, "a")
        waiter.request()
        await client.until(lambda: polling.views()[0].outage)
        assert polling.views()[0].outage == BROKEN.message

    play(story)
