"""When the service counts as out of reach, and what is said about it."""

import pytest

from airflow_trtc.cloud.health import (
    FAILURES_OF_AN_OUTAGE,
    MAX_PAUSE_SECONDS,
    REFUSALS_OF_AN_OUTAGE,
    SILENCE_OF_ALL_SECONDS,
    SILENCE_OF_AN_OUTAGE_SECONDS,
    Health,
)
from airflow_trtc.errors import TrtcFailedError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.observation import Snapshot

SEEN = Snapshot("id", "InProgress", (), None)
GONE = TrtcFailedError("no such recording", code="ResourceNotFound")
BROKEN = TrtcTransientError("no answer", code="Client.Timeout")
INTERNAL = TrtcTransientError("internal error", code="InternalError", request_id="r-1")
REFUSED = TrtcThrottledError("too many", code="RequestLimitExceeded")


def tell(health, *answers):
    """Each answer is about another recording."""
    return [health.note(answer, at, at=float(at), waiting=7) for at, answer in enumerate(answers)]


def test_an_outage_and_its_end_are_told_once():
    health = Health()
    said = tell(health, *[BROKEN] * 10, SEEN, SEEN)
    begun, ended = [line for line in said if line]
    assert said.index(begun) == FAILURES_OF_AN_OUTAGE - 1
    assert "no answer" in begun
    assert "7 jobs" in begun
    assert "after 8 s" in ended
    assert health.outage is None


@pytest.mark.parametrize("answer", [SEEN, GONE], ids=["seen", "gone"])
def test_any_answer_of_the_service_itself_shows_that_it_is_there(answer):
    health = Health()
    assert not any(tell(health, *[BROKEN, BROKEN, answer] * 10))
    assert health.outage is None


def test_refused_requests_are_an_outage_only_when_nothing_passes_for_long():
    health = Health()
    assert not any(tell(health, *[REFUSED] * (REFUSALS_OF_AN_OUTAGE - 1), SEEN))
    assert sum(map(bool, tell(health, *[REFUSED] * REFUSALS_OF_AN_OUTAGE))) == 1


def test_a_blip_that_many_requests_meet_at_once_is_no_outage():
    health = Health()
    assert not any(health.note(BROKEN, number, at=10.0, waiting=7) for number in range(30))
    assert health.note(BROKEN, 30, at=10.0 + SILENCE_OF_AN_OUTAGE_SECONDS, waiting=7)


@pytest.mark.parametrize(
    "error, whose, waiting, is_outage",
    [
        (INTERNAL, "aaaaaa", 2, False),  # that one is broken
        (INTERNAL, "aabaab", 2, True),
        (INTERNAL, "aaaaaa", 1, True),  # nobody can tell
        (BROKEN, "aaaaaa", 2, True),  # the service has not answered at all
    ],
)
def test_one_recording_that_the_service_fails_on_is_no_outage(error, whose, waiting, is_outage):
    health = Health()
    said = [health.note(error, of, at=float(at), waiting=waiting) for at, of in enumerate(whose)]
    assert any(said) is is_outage
    late = health.note(error, whose[-1], at=SILENCE_OF_ALL_SECONDS, waiting=waiting)
    assert bool(late) is not is_outage  # for so long nobody was answered


def test_pauses_grow_to_a_limit_and_begin_anew_with_the_next_outage():
    health = Health()
    tell(health, *[BROKEN] * 3)
    pauses = [health.pause_seconds(1.0) for _ in range(8)]
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert set(pauses[4:]) == {MAX_PAUSE_SECONDS}
    tell(health, SEEN, *[BROKEN] * 3)
    assert health.pause_seconds(0.0) == 0.5


@pytest.mark.parametrize(
    "answers, at, is_outage",
    [
        ([BROKEN] * 2, [0.0, 60.0], False),
        ([BROKEN] * 3, [0.0, 1.0, 2.0], True),
        ([BROKEN] * 3, [0.0, 1.0, 1.9], False),
        ([REFUSED] * 19, range(19), False),
        ([REFUSED] * 20, range(20), True),
        ([INTERNAL] * 3, [0.0, 1.0, 59.9], False),  # all of one job
        ([INTERNAL] * 3, [0.0, 1.0, 60.0], True),
    ],
)
def test_how_many_answers_that_teach_nothing_are_an_outage(answers, at, is_outage):
    """From the start as well as after a time in which all went well."""
    health = Health()
    for start in (0.0, 200.0):
        said = [
            health.note(answer, "a", at=start + each, waiting=2)
            for answer, each in zip(answers, at, strict=True)
        ]
        assert [bool(line) for line in said] == [False] * (len(said) - 1) + [is_outage]
        health.note(SEEN, "a", at=start + 100.0, waiting=2)


def test_the_first_pause_is_short_and_the_longest_a_quarter_of_a_minute():
    health = Health()
    assert [health.pause_seconds(1.0) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert health.pause_seconds(0.0) == 7.5
