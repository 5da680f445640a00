"""What may be sent twice, and how long it waits in between."""

import asyncio
import random

import pytest

from airflow_trtc.cloud.actions import effect_of
from airflow_trtc.cloud.retries import (
    MAX_TOTAL_THROTTLED_SECONDS,
    MAX_TOTAL_WAIT_SECONDS,
    aretrying,
    may_repeat,
    retrying,
)
from airflow_trtc.errors import TrtcFailedError, TrtcSetupError, TrtcThrottledError, TrtcTransientError

DESCRIBE = "DescribeCloudRecording"
THROTTLED = TrtcThrottledError("slow down")
NOT_SENT = TrtcTransientError("refused")
UNKNOWN = TrtcTransientError("no answer", outcome_unknown=True)


@pytest.mark.parametrize(
    "action, error, repeated",
    [
        ("DescribeCloudRecording", THROTTLED, True),
        ("DescribeCloudRecording", NOT_SENT, True),
        ("DescribeCloudRecording", UNKNOWN, True),
        ("GetRecognizeVocabV3", UNKNOWN, True),
        ("DeleteCloudRecording", UNKNOWN, True),
        ("StopWebRecord", UNKNOWN, True),
        ("ModifyCloudRecording", UNKNOWN, True),
        ("CreateCloudRecording", THROTTLED, True),
        ("CreateCloudRecording", NOT_SENT, True),
        ("CreateCloudRecording", UNKNOWN, False),
        ("StartWebRecord", UNKNOWN, False),
        ("UpdatePublishCdnStream", UNKNOWN, True),
        ("ControlAIConversation", UNKNOWN, False),
        ("TextToSpeech", UNKNOWN, False),
        ("DescribeCloudRecording", TrtcSetupError("key"), False),
        ("DescribeCloudRecording", TrtcFailedError("gone"), False),
        ("DescribeCloudRecording", ValueError("bug"), False),
    ],
)
def test_only_what_is_harmless_is_repeated(action, error, repeated):
    assert may_repeat(effect_of(action), error) is repeated


def attempts_of(action, errors, attempts, *, is_async, sleeps=None):
    """Run a call that raises these errors one by one and then succeeds; return sleeps and outcome."""
    sleeps = [] if sleeps is None else sleeps
    left = list(errors)

    def once():
        if left:
            raise left.pop(0)
        return "done"

    async def aonce():
        return once()

    async def asleep(seconds):
        sleeps.append(seconds)

    if is_async:
        outcome = asyncio.run(aretrying(effect_of(action), attempts, asleep)(aonce))
    else:
        outcome = retrying(effect_of(action), attempts, sleeps.append)(once)
    return sleeps, outcome


@pytest.mark.parametrize("is_async", [False, True])
class TestBothWays:
    @pytest.mark.parametrize(
        "pick, error, expected",
        [
            (min, UNKNOWN, [0.5, 1, 2, 4, 4, 4, 4]),
            (max, UNKNOWN, [1, 2, 4, 8]),
            (max, THROTTLED, [2, 3, 5, 9]),
        ],
    )
    def test_how_long_waits_are(self, is_async, monkeypatch, pick, error, expected):
        """All together twenty seconds at most."""
        monkeypatch.setattr(random, "uniform", pick)
        sleeps: list[float] = []
        with pytest.raises(type(error)):
            attempts_of(DESCRIBE, [error] * 99, 99, is_async=is_async, sleeps=sleeps)
        assert sleeps == pytest.approx(expected)

    @pytest.mark.parametrize("error, seconds, count", [(UNKNOWN, 1.0, 20), (THROTTLED, 0.0, 600)])
    def test_when_it_gives_up(self, is_async, monkeypatch, error, seconds, count):
        """After twenty seconds, and only after ten minutes when the service asks for patience."""
        monkeypatch.setattr(random, "uniform", lambda shortest, longest: seconds)
        sleeps: list[float] = []
        attempts = None if error is THROTTLED else 99
        with pytest.raises(type(error)):
            attempts_of(DESCRIBE, [error] * 999, attempts, is_async=is_async, sleeps=sleeps)
        assert len(sleeps) == count

    def test_there_are_four_attempts_unless_told(self, is_async):
        sleeps: list[float] = []
        with pytest.raises(TrtcTransientError):
            attempts_of(DESCRIBE, [UNKNOWN] * 9, None, is_async=is_async, sleeps=sleeps)
        assert len(sleeps) == 3

    def test_waits_grow_and_differ(self, is_async):
        sleeps, outcome = attempts_of(DESCRIBE, [UNKNOWN] * 3, 4, is_async=is_async)
        assert outcome == "done"
        assert 0.5 <= sleeps[0] <= 1.0 <= sleeps[1] <= 2.0 <= sleeps[2] <= 4.0

    def test_a_throttled_call_waits_for_another_second(self, is_async):
        sleeps, _ = attempts_of(DESCRIBE, [THROTTLED], 2, is_async=is_async)
        assert 1.5 <= sleeps[0] <= 2.0

    def test_the_last_error_is_raised_itself(self, is_async):
        last = TrtcTransientError("still")
        with pytest.raises(TrtcTransientError) as caught:
            attempts_of(DESCRIBE, [UNKNOWN, last], 2, is_async=is_async)
        assert caught.value is last

    def test_throttled_attempts_do_not_count_unless_told_but_end_after_a_while(self, is_async):
        _, outcome = attempts_of("CreateX", [THROTTLED] * 50, None, is_async=is_async)
        assert outcome == "done"
        sleeps: list[float] = []
        with pytest.raises(TrtcThrottledError):
            attempts_of("CreateX", [THROTTLED] * 1000, None, is_async=is_async, sleeps=sleeps)
        assert MAX_TOTAL_THROTTLED_SECONDS / 2 < sum(sleeps) <= MAX_TOTAL_THROTTLED_SECONDS

    def test_what_was_throttled_before_does_not_count_when_there_is_other_trouble(self, is_async):
        errors = [THROTTLED] * 8 + [UNKNOWN, THROTTLED, UNKNOWN]
        _, outcome = attempts_of(DESCRIBE, errors, None, is_async=is_async)
        assert outcome == "done"

    @pytest.mark.parametrize("attempts", [1, 3])
    def test_a_number_of_attempts_holds_for_throttled_ones_too(self, is_async, attempts):
        sleeps: list[float] = []
        with pytest.raises(TrtcThrottledError):
            attempts_of(DESCRIBE, [THROTTLED] * attempts, attempts, is_async=is_async, sleeps=sleeps)
        assert len(sleeps) == attempts - 1

    def test_one_attempt_never_sleeps(self, is_async):
        with pytest.raises(TrtcTransientError):
            attempts_of(DESCRIBE, [UNKNOWN], 1, is_async=is_async)

    def test_all_waits_together_are_bounded(self, is_async):
        sleeps: list[float] = []
        with pytest.raises(TrtcTransientError):
            attempts_of(DESCRIBE, [UNKNOWN] * 1000, 1000, is_async=is_async, sleeps=sleeps)
        assert MAX_TOTAL_WAIT_SECONDS / 2 < sum(sleeps) <= MAX_TOTAL_WAIT_SECONDS
