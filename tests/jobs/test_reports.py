"""What callbacks make of jobs of simple kinds: of those that polls know too, and of the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs import history as module
from airflow_trtc.jobs.callback import Callback, parse_event, stream_name
from airflow_trtc.jobs.events import row
from airflow_trtc.jobs.judge import judge
from airflow_trtc.jobs.observation import Absence, Observation, Snapshot
from airflow_trtc.jobs.problem import NO_CALLBACK
from airflow_trtc.jobs.problems import problems_of
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.jobs.verdict import Failed, Failure, Finished, Rules, Verdict, Waiting, misses_callback
from airflow_trtc.kinds import INGEST, KINDS, RELAY, SLICING

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
START_MS = round(START.timestamp() * 1000)
RULES = Rules(settle_seconds=10.0, order_seconds=2.0, callback_timeout_seconds=600.0)
GONE = Absence("ResourceNotFound")
A, B = "rtmp://h/live/a", "rtmp://h/live/b"


def event(kind: int, payload: dict[str, Any], *, at: float = 0.0) -> Callback:
    info: dict[str, Any] = {"TaskId": "jid", "EventMsTs": START_MS + round(at * 1000)}
    info |= payload if row(kind).is_flat else {"Payload": payload}
    return parse_event({"EventGroupId": min(row(kind).groups), "EventType": kind, "EventInfo": info})


def relay(status: int, at: float, url: str = A, **more: Any) -> Callback:
    return event(401, {"Url": url, "Status": status, **more}, at=at)


def learnt(*observations: tuple[float, Observation]) -> JobState:
    """What was observed, and how many seconds after the start it was received."""
    state = JobState("jid", waiting_since=START)
    for at, observation in observations:
        state = learn(state, observation, START + timedelta(seconds=at))
    return state


def reported(*callbacks: Callback) -> JobState:
    """Callbacks that were received when they happened."""
    return learnt(*(((one.happened_at_ms or 0) / 1000 - START_MS / 1000, one) for one in callbacks))


def verdict(name: str, state: JobState, at: float, **rules: Any) -> Verdict:
    return judge(KINDS[name], state, replace(RULES, **rules), START + timedelta(seconds=at))


def seen(status: str = "InProgress") -> Snapshot:
    return Snapshot("jid", status)


# -- of those that polls know too -----------------------------------------------------------------------


def test_an_end_that_a_callback_proves_is_believed_once_it_is_quiet() -> None:
    left = event(1002, {"LeaveCode": 0}, at=20)
    state = learnt((0, seen()), (20, left), (25, event(1004, {"Name": "a.png"}, at=19)))
    waiting = verdict("slicing", state, 34.9)
    assert isinstance(waiting, Waiting)
    assert (waiting.until, waiting.asks) == (START + timedelta(seconds=35), True)
    assert "a callback reports the end of the cloud slicing" in waiting.reason
    end = verdict("slicing", state, 35)
    assert isinstance(end, Finished)
    assert (end.outcome, end.finished_at) == ("callback", START + timedelta(seconds=20))
    assert [file.file_name for file in end.files] == ["a.png"]


def test_what_is_gone_is_asked_about_no_more() -> None:
    state = learnt((0, seen()), (20, event(1002, {"LeaveCode": 0}, at=20)), (22, GONE))
    waiting = verdict("slicing", state, 25)
    assert isinstance(waiting, Waiting)
    assert not waiting.asks


def test_a_poll_that_shows_the_end_first_waits_for_its_callback() -> None:
    state = learnt((0, event(1001, {"Status": 0})), (5, seen()), (60, seen("Exited")))
    waiting = verdict("slicing", state, 69.9)
    assert isinstance(waiting, Waiting)
    assert (waiting.until, waiting.asks) == (START + timedelta(seconds=70), False)
    assert waiting.reason == "the cloud slicing has ended; its callback should be on the way"
    assert isinstance(end := verdict("slicing", state, 70), Finished)
    assert end.outcome == "exited"
    badly = learn(state, event(1002, {"LeaveCode": 100}, at=58), START + timedelta(seconds=61))
    failed = verdict("slicing", badly, 71)
    assert isinstance(failed, Failed)
    assert failed.failure is Failure.RECORDING
    for words in (
        "the cloud slicing did not end well: the robot left early",
        "Files found: 0",
        "interrupted",
        "jid",
    ):
        assert words in failed.reason


def test_without_any_callback_a_poll_decides_alone() -> None:
    assert isinstance(verdict("slicing", learnt((0, seen()), (5, seen("Exited"))), 5), Finished)


def test_problems_that_are_allowed_are_listed() -> None:
    state = learnt(
        (0, seen()), (9, event(1006, {"Code": 403}, at=9)), (20, event(1002, {"LeaveCode": 0}, at=20))
    )
    assert isinstance(verdict("slicing", state, 40), Failed)
    end = verdict("slicing", state, 40, fail_on=frozenset({"start"}))
    assert isinstance(end, Finished)
    assert [problem.kind for problem in end.problems] == ["upload"]


def test_a_status_that_ends_badly_goes_before_all_callbacks() -> None:
    kind = replace(SLICING, ends_badly=frozenset({"Broken"}))
    state = learnt((0, seen("Broken")), (1, event(1002, {"LeaveCode": 0}, at=1)))
    assert isinstance(judge(kind, state, RULES, START + timedelta(hours=1)), Failed)


@pytest.mark.parametrize(
    "observations, at, fails",
    [
        ([(0, seen())], 500, False),
        ([(0, seen()), (9, GONE)], 30, True),
        ([(0, seen())], 601, True),  # polls may show for ever what never started
        ([], 30, False),
        ([(9, GONE)], 30, True),
    ],
)
def test_a_start_that_failed_counts_once_the_service_does_not_show_the_job(
    observations: list[tuple[float, Observation]], at: float, fails: bool
) -> None:
    state = learnt((1, event(1001, {"Status": 1}, at=1)), *observations)
    found = verdict("slicing", state, at)
    assert isinstance(found, Failed) == fails
    if isinstance(found, Failed):
        assert "the slicing did not start (1001, Status 1)" in found.reason


def test_an_ingest_that_tries_again_has_started_once_it_says_so() -> None:
    tries = [event(701, {"Status": status}, at=at) for at, status in ((1, 1), (1.5, 2), (4, 2))]
    assert [problem.kind for problem in problems_of(reported(*tries))] == ["start"]
    assert problems_of(reported(*tries, event(701, {"Status": 0}, at=5))) == ()
    assert INGEST.describe_action
    late = [*tries, event(701, {"Status": 0}, at=0.5)]
    assert len(problems_of(reported(*late))) == 1


# -- of those that they do not --------------------------------------------------------------------------


def test_before_the_first_callback_it_is_waited_for() -> None:
    state = learnt()
    waiting = verdict("relay", state, 599)
    assert waiting == Waiting(
        "the relay was not reported by any callback yet", until=START + timedelta(seconds=600), asks=False
    )
    failed = verdict("relay", state, 600)
    assert isinstance(failed, Failed)
    assert failed.failure is Failure.NO_CALLBACK
    assert misses_callback(failed)
    for words in ("no callback at all came within 600 s", "console", "the relay;", "Stop it", "jid"):
        assert words in failed.reason


def test_where_nothing_waits_nothing_is_missing() -> None:
    """The API server judges what callbacks are about, and has no wait."""
    state = replace(learnt(), waiting_since=None)
    waiting = verdict("relay", state, 10**6)
    assert isinstance(waiting, Waiting)
    assert (waiting.until, waiting.asks) == (None, False)


@pytest.mark.parametrize("last", [1, 3, 5])
def test_a_state_that_does_not_last_is_followed_soon(last: int) -> None:
    state = reported(relay(2, 0), relay(last, 50))
    assert state.history.is_passing
    waiting = verdict("relay", state, 649)
    assert isinstance(waiting, Waiting)
    assert (waiting.until, waiting.asks) == (START + timedelta(seconds=650), False)
    assert waiting.reason == "the relay is in between two states"
    failed = verdict("relay", state, 650)
    assert isinstance(failed, Failed)
    assert "no further callback came within 600 s" in failed.reason


@pytest.mark.parametrize("last", [2, 7])
def test_a_state_that_may_last_does(last: int) -> None:
    state = reported(relay(1, 0), relay(last, 50))
    assert not state.history.is_passing
    waiting = verdict("relay", state, 10**7)
    assert waiting == Waiting("the relay is running, as far as callbacks report", asks=False)


@pytest.mark.parametrize(
    "statuses, problem",
    [
        ([1, 2, 5, 0], None),
        ([1, 5, 0], None),
        ([2, 0], None),
        ([1, 2, 3, 2, 5, 0], None),
        ([1, 2, 3, 4, 0], "a relay failed"),
        ([1, 2, 3, 4], "a relay failed"),
        ([4, 1, 2, 5, 0], None),  # it was tried again, and then ran
        ([1, 2, 3, 0], "a relay was over while it tried to connect again"),
        ([1, 0], "a relay was over before it ran"),
        ([0], "a relay is over, and nothing says how it ended"),
    ],
)
def test_how_a_relay_ended_follows_from_its_last_states(statuses: list[int], problem: str | None) -> None:
    state = reported(*(relay(status, 5.0 * number) for number, status in enumerate(statuses)))
    last = 5.0 * (len(statuses) - 1)
    waiting = verdict("relay", state, last + 9)
    assert isinstance(waiting, Waiting)
    assert not waiting.asks
    end = verdict("relay", state, last + 10)
    if problem is None:
        assert isinstance(end, Finished)
        assert (end.outcome, end.problems) == ("callback", ())
        return
    assert isinstance(end, Failed)
    assert f"{problem}: {stream_name(A)}" in end.reason
    lenient = verdict("relay", state, last + 10, fail_on=frozenset())
    assert isinstance(lenient, Finished)
    assert [one.kind for one in lenient.problems] == ["relay"]


def test_each_address_has_states_of_its_own() -> None:
    running = [relay(2, 0, A), relay(2, 0, B)]
    one_over = reported(*running, relay(5, 8, A), relay(0, 9, A))
    assert one_over.history.end is None
    assert isinstance(verdict("relay", one_over, 10**6), Waiting)
    both = reported(*running, relay(5, 8, A), relay(0, 9, A), relay(4, 30, B))
    assert both.history.end is not None
    assert [problem.message for problem in problems_of(both)] == [
        f"a relay failed: {stream_name(B)} (401, Status 4)"
    ]
    again = reported(*running, relay(0, 9, A), relay(0, 9, B), relay(2, 12, B))
    assert again.history.end is None


def test_of_two_states_in_one_millisecond_the_end_came_last() -> None:
    for order in ([5, 0], [0, 5]):
        state = reported(relay(2, 0), *(relay(status, 9) for status in order))
        assert state.history.end is not None
        assert problems_of(state) == ()


def test_a_state_after_the_end_that_is_not_documented_takes_it_back() -> None:
    assert reported(relay(5, 8), relay(0, 9), relay(8, 10)).history.end is None
    assert reported(relay(5, 8), relay(0, 9), event(401, {"Url": A}, at=10)).history.end is not None


def test_the_last_states_of_many_addresses_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STATES", 4)
    state = reported(*(relay(2, float(number), f"rtmp://h/{number}") for number in range(9)))
    assert [fact.happened_at_ms - START_MS for fact in state.history.facts] == [5000, 6000, 7000, 8000]


def test_a_missing_callback_is_no_problem_of_the_job() -> None:
    failed = verdict("relay", learnt(), 600)
    assert isinstance(failed, Failed)
    assert NO_CALLBACK not in failed.reason
    assert RELAY.describe_action == ""
