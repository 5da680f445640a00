"""The shared schedule: with a client that is told what to answer, and with the real one over HTTP."""

import asyncio
import logging
from datetime import datetime, timezone

import pytest

from airflow_trtc.cloud import health, poller
from airflow_trtc.cloud.budget import Budget
from airflow_trtc.cloud.poller import Poller
from airflow_trtc.cloud.settings import from_connection
from airflow_trtc.emulator import DEFAULT_SDK_APP_ID
from airflow_trtc.errors import TrtcFailedError, TrtcSetupError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.observation import Snapshot

APP = DEFAULT_SDK_APP_ID
GONE = TrtcFailedError("no such recording", code="ResourceNotFound")
BROKEN = TrtcTransientError("no answer", code="Client.Timeout")
REFUSED = TrtcThrottledError("too many", code="RequestLimitExceeded")


class Client:
    """Answers every look with the next of its answers, or that it runs; notes the looks."""

    def __init__(self):
        self.looks, self.answers, self.cancelled = [], [], []
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.closed = False
        self._budget = Budget()

    def budget(self, action):
        return self._budget

    async def look(self, recording_id, sdk_app_id):
        self.looks.append(recording_id)
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.append(recording_id)
            raise
        answer = self.answers.pop(0) if self.answers else Snapshot(recording_id, "InProgress", (), None)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def until(self, holds):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)

    async def aclose(self):
        self.closed = True


class Waiter:
    def __init__(self, polling, recording_id):
        self.news = asyncio.Event()
        self.subscription = polling.subscribe(APP, recording_id, self.news.set)

    async def answers(self, seconds=5.0):
        await asyncio.wait_for(self.news.wait(), seconds)
        self.news.clear()
        return [answer.value for answer in self.subscription.take()]

    def ask(self, seconds=0.0, **options):
        self.subscription.ask(seconds, **options)


def play(story, **extra):
    """Run a story with a poller whose client is a fake; nothing may be left of it afterwards."""

    async def main():
        before = asyncio.all_tasks()
        values = {"requests_per_second": 1000, **extra}
        polling = Poller(from_connection(login="AKIDx", password="secret", extra=values))
        polling._client = client = Client()
        await story(polling, client)
        await polling.aclose()
        assert client.closed
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(poller, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(health, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(health, "LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(health, "SILENCE_OF_AN_OUTAGE_SECONDS", 0.0)


def test_two_who_wait_for_one_recording_cost_one_request():
    async def story(polling, client):
        one, two = Waiter(polling, "a"), Waiter(polling, "a")
        one.ask(0.05)
        two.ask(600.0)
        assert await one.answers() == await two.answers()
        assert client.looks == ["a"]

    play(story)


def test_the_same_id_of_another_application_is_another_recording():
    async def story(polling, client):
        one, two = Waiter(polling, "a"), Waiter(polling, "a")
        other = polling.subscribe(APP + 1, "a", asyncio.Event().set)
        for each in (one.subscription, two.subscription, other):
            each.ask(0.0)
        await one.answers()
        await asyncio.sleep(0.05)
        assert client.looks == ["a", "a"]

    play(story)


def test_who_comes_while_a_look_is_under_way_gets_its_answer():
    async def story(polling, client):
        client.let_go.clear()
        one = Waiter(polling, "a")
        one.ask()
        await asyncio.sleep(0.05)
        two = Waiter(polling, "a")
        two.ask()
        client.let_go.set()
        assert len(await one.answers()) == len(await two.answers()) == 1
        await asyncio.sleep(0.05)
        assert client.looks == ["a"]

    play(story)


def test_the_longest_due_is_asked_first_and_who_is_in_a_hurry_before_that():
    async def story(polling, client):
        client.let_go.clear()
        waiters = {name: Waiter(polling, name) for name in "abcdefg"}
        for number, name in enumerate("cab"):
            waiters[name].ask(0.001 * number)
        for name in "defg":
            waiters[name].ask(0.02, urgent=True)
        await asyncio.sleep(0.03)  # all are due, and the first is on its way at most
        client.let_go.set()
        await asyncio.gather(*(waiter.answers() for waiter in waiters.values()))
        patient = [name for name in client.looks if name in "abc"]
        assert patient == ["c", "a", "b"]
        # Three in a hurry, then one that is only due: nobody starves.
        assert client.looks.index("g") > client.looks.index("a")

    play(story, requests_per_second=5)


def test_when_there_are_more_wishes_than_requests_everybody_has_a_turn():
    async def story(polling, client):
        async def wait(name, interval):
            waiter = Waiter(polling, name)
            while len(client.looks) < 100:
                waiter.ask(interval)
                await waiter.answers(20.0)

        names = [f"r{number}" for number in range(20)]
        await asyncio.gather(*(wait(name, 0.0 if name == "r0" else 0.01) for name in names))
        counts = [client.looks[:100].count(name) for name in names]
        assert min(counts) >= 4
        assert max(counts) <= 6

    play(story, requests_per_second=100)


def test_a_later_wish_replaces_an_earlier_one_and_none_at_all_is_possible():
    async def story(polling, client):
        one, two = Waiter(polling, "a"), Waiter(polling, "b")
        one.ask(0.01)
        one.ask(0.2)
        two.ask(0.01)
        two.subscription.rest()
        await asyncio.sleep(0.1)
        assert client.looks == []
        await one.answers()
        assert client.looks == ["a"]

    play(story)


@pytest.mark.parametrize("first", ["urgent", "patient"])
def test_who_is_in_a_hurry_later_delays_nobody_who_wants_to_know_now(first):
    async def story(polling, client):
        urgent, patient = Waiter(polling, "a"), Waiter(polling, "a")
        if first == "urgent":
            urgent.ask(600.0, urgent=True)
            patient.ask()
        else:
            patient.ask(0.01)
            urgent.ask(600.0, urgent=True)
        assert await patient.answers() == await urgent.answers()
        assert client.looks == ["a"]

    play(story)


def test_a_refused_look_is_repeated_before_others_and_tells_nobody():
    async def story(polling, client):
        client.answers = [REFUSED, REFUSED]
        waiter = Waiter(polling, "a")
        waiter.ask()
        (answer,) = await waiter.answers()
        assert isinstance(answer, Snapshot)
        assert client.looks == ["a"] * 3
        assert client._budget.rate(1000) <= 1000

    play(story)


@pytest.mark.parametrize("error", [REFUSED, BROKEN], ids=["refused", "broken"])
def test_a_recording_that_meets_trouble_again_and_again_is_told_so(error):
    async def story(polling, client):
        client.answers = [error] * poller.FAILURES_TO_TELL
        waiter = Waiter(polling, "a")
        waiter.ask()
        assert await waiter.answers() == [error]
        waiter.ask()
        assert isinstance((await waiter.answers())[0], Snapshot)

    play(story)


def test_what_the_service_says_of_a_recording_is_told_as_it_is():
    async def story(polling, client):
        client.answers = [GONE, TrtcSetupError("wrong key", code="AuthFailure.SignatureFailure")]
        waiter = Waiter(polling, "a")
        codes = []
        for _ in range(2):
            waiter.ask()
            codes += [answer.code for answer in await waiter.answers()]
        assert codes == ["ResourceNotFound", "AuthFailure.SignatureFailure"]

    play(story)


def test_a_bug_in_a_look_is_an_answer_too():
    async def story(polling, client):
        client.answers = [ValueError("a bug")] * poller.FAILURES_TO_TELL
        waiter = Waiter(polling, "a")
        waiter.ask()
        assert (await waiter.answers())[0].code == "Client.BrokenAnswer"

    play(story)


def test_an_answer_knows_when_it_was_given_not_when_it_was_taken():
    async def story(polling, client):
        waiter = Waiter(polling, "a")
        waiter.ask()
        await waiter.news.wait()
        given_by = datetime.now(timezone.utc)
        await asyncio.sleep(0.05)
        (answer,) = waiter.subscription.take()
        assert answer.at <= given_by

    play(story)


def test_looks_that_are_cancelled_before_they_begin_are_not_under_way_for_ever():
    async def story(polling, client):
        client.let_go.clear()
        stays = Waiter(polling, "stays")
        for number in range(poller.MOST_UNDER_WAY * 3):
            leaves = Waiter(polling, f"r{number}")
            leaves.ask()
            await client.until(lambda leaves=leaves: leaves.subscription._recording.look)
            leaves.subscription.close()  # in the moment between the task's making and its first step
        client.let_go.set()
        stays.ask()
        assert len(await stays.answers()) == 1
        assert not polling._looks

    play(story)


def test_a_look_that_is_cancelled_by_nobody_who_waits_is_repeated():
    async def story(polling, client):
        client.answers = [asyncio.CancelledError()]
        waiter = Waiter(polling, "a")
        waiter.ask()
        assert isinstance((await waiter.answers())[0], Snapshot)

    play(story)


def test_thousands_who_wait_for_one_recording_cost_little():
    async def story(polling, client):
        waiters = [Waiter(polling, "a") for _ in range(3000)]
        for _ in range(3):
            for waiter in waiters:
                waiter.ask(0.01)
            await asyncio.gather(*(waiter.answers() for waiter in waiters))
        assert client.looks == ["a"] * 3
        assert len(polling._patient._entries) <= poller.LEAST_ENTRIES

    play(story)


def test_what_was_planned_for_wishes_that_were_given_up_does_not_pile_up():
    async def story(polling, client):
        waiters = [Waiter(polling, name) for name in "ab"]
        waiters[1].ask(3600.0)
        for number in range(2000):
            waiters[0].ask(3600.0 - number)
        assert len(polling._patient._entries) <= 2 * poller.LEAST_ENTRIES

    play(story)


def test_an_outage_is_logged_once_and_few_are_asked_until_it_is_over(caplog):
    async def story(polling, client):
        waiters = [Waiter(polling, f"r{number}") for number in range(200)]
        client.answers = [BROKEN] * 40
        for waiter in waiters:
            waiter.ask()
        answers = await asyncio.gather(*(waiter.answers(20.0) for waiter in waiters))
        assert 1 <= sum(answer == [BROKEN] for answer in answers) <= 40 / poller.FAILURES_TO_TELL
        assert polling.outage is None

    caplog.set_level(logging.INFO, "airflow_trtc.cloud.poller")
    play(story)
    begun, ended = [record for record in caplog.records if record.name == "airflow_trtc.cloud.poller"]
    assert (begun.levelname, ended.levelname) == ("WARNING", "INFO")
    assert "no answer" in begun.message


def test_in_an_outage_one_request_goes_at_a_time():
    async def story(polling, client):
        waiters = [Waiter(polling, f"r{number}") for number in range(100)]
        client.answers = [BROKEN] * 3
        for waiter in waiters:
            waiter.ask()
        await client.until(lambda: polling.outage)
        under_way = len(polling._looks)
        client.let_go.clear()
        await asyncio.sleep(0.2)
        assert len(polling._looks) <= max(under_way, 1)
        assert polling.outage
        client.let_go.set()
        await asyncio.gather(*(waiter.answers(20.0) for waiter in waiters))

    play(story)


def test_a_look_that_nobody_waits_for_any_more_is_given_up():
    async def story(polling, client):
        client.let_go.clear()
        one, two, three = Waiter(polling, "a"), Waiter(polling, "a"), Waiter(polling, "b")
        for waiter in (one, two, three):
            waiter.ask()
        await asyncio.sleep(0.05)
        one.subscription.close()
        three.subscription.close()
        await asyncio.sleep(0.05)
        assert client.cancelled == ["b"]
        client.let_go.set()
        assert len(await two.answers()) == 1
        two.subscription.close()
        await asyncio.sleep(0.05)
        assert polling._recordings == {}
        assert polling._task is None

    play(story)


def test_who_comes_after_all_have_left_is_served():
    async def story(polling, client):
        for _ in range(3):
            waiter = Waiter(polling, "a")
            waiter.ask()
            await waiter.answers()
            waiter.subscription.close()
        assert client.looks == ["a"] * 3

    play(story)


def test_a_bug_in_the_schedule_lets_nobody_wait_for_ever(monkeypatch, caplog):
    async def story(polling, client):
        picks = iter([RuntimeError("a bug")])
        real = polling._pick

        def pick():
            for error in picks:
                raise error
            return real()

        polling._pick = pick
        waiter = Waiter(polling, "a")
        waiter.ask()
        assert len(await waiter.answers()) == 1

    play(story)
    assert "goes on in a second" in caplog.text


def test_hundreds_wait_through_one_client(settings_for, emulator):
    """The real client over HTTP: the emulator sees what all of them do together."""
    recording_ids = [emulator.add_recording(files=1) for _ in range(60)]

    async def main():
        polling = Poller(settings_for({"requests_per_second": 200}).account)
        waiters = [Waiter(polling, recording_id) for recording_id in recording_ids * 5]
        for _ in range(2):
            for waiter in waiters:
                waiter.subscription._recording.key = (
                    emulator.sdk_app_id,
                    waiter.subscription._recording.key[1],
                )
                waiter.ask()
            answers = await asyncio.gather(*(waiter.answers(20.0) for waiter in waiters))
            assert all(answer.status == "InProgress" for (answer,) in answers)
        await polling.aclose()

    asyncio.run(main())
    assert emulator.state()["counters"]["DescribeCloudRecording"] == {"OK": 120}
