"""The rows of the pulse: what they say, what is old, and that no input breaks them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc import bounds
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.pulse import (
    FRESH_SECONDS,
    JOBS_PER_PAGE,
    MAX_WORDS,
    AccountPulse,
    JobPolls,
    PollTimes,
    account_pulse_from,
    is_fresh,
    job_digest,
    job_polls_from,
    poll_times,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
JOB = JobRef("recording", 1400000001, "ap-guangzhou", "-m+n/o=")
PULSE = AccountPulse(
    "0123456789ab",
    "triggerer-1",
    ("trtc_default", "trtc_lessons"),
    "https://trtc.tencentcloudapi.com",
    "ba9876543210",
    "DescribeCloudRecording",
    NOW,
    waiting=5000,
    due=12,
    rate=18.2,
    ceiling=19.0,
    sent=1090,
    throttled=3,
    outage="no answer",
    slowest_seconds=2.5,
    region="ap-guangzhou",
)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def page(times: dict[str, PollTimes], *, at: datetime = NOW, number: int = 0) -> JobPolls:
    return JobPolls("0123456789ab", "triggerer-1", number, at, 5000, times)


def stored(value: dict[str, Any]) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def test_an_account_s_row_is_read_back() -> None:
    assert account_pulse_from(stored(PULSE.value)) == PULSE
    quiet = replace(PULSE, outage=None, region=None, conn_ids=())
    assert account_pulse_from(stored(quiet.value)) == quiet


@pytest.mark.parametrize("name", ["endpoint", "region", "account", "action", "process"])
def test_what_has_a_pace_of_its_own_has_a_row_of_its_own(name: str) -> None:
    other: Any = {name: "other"}
    assert replace(PULSE, **other).key != PULSE.key
    assert PULSE.key.startswith("pulse/0123456789ab/")


def test_what_changes_from_beat_to_beat_is_not_in_the_key() -> None:
    assert replace(PULSE, at=later(15), waiting=0, conn_ids=("x",), host="h", ceiling=1.0).key == PULSE.key


def test_words_of_an_outage_have_a_length() -> None:
    found = account_pulse_from(stored(replace(PULSE, outage="x" * 10_000).value))
    assert found is not None
    assert found.outage == "x" * MAX_WORDS


@pytest.mark.parametrize(
    "field, value",
    [("v", 2), ("process", ""), ("endpoint", None), ("account", 5), ("action", []), ("at_ms", 0)],
)
def test_a_row_without_its_names_or_time_is_none(field: str, value: Any) -> None:
    assert account_pulse_from({**PULSE.value, field: value}) is None


@pytest.mark.parametrize("bad", [-1, "many", True, None, 1e300, float("nan"), [1]])
def test_an_amount_that_cannot_be_is_zero(bad: Any) -> None:
    found = account_pulse_from({**PULSE.value, "rate": bad, "waiting": bad, "slowest_seconds": bad})
    assert found is not None
    assert (found.rate, found.waiting, found.slowest_seconds) == (0.0, 0, 0.0)


def test_a_page_of_jobs_is_read_back() -> None:
    polls = page({job_digest(JOB): PollTimes(later(-5), later(10)), "0" * 12: PollTimes()})
    assert job_polls_from(stored(polls.value)) == polls
    assert polls.key == "pulse/0123456789ab/jobs/0"


@pytest.mark.parametrize(
    "change", [{"kind": "slicing"}, {"sdk_app_id": 1}, {"region": None}, {"region": "x"}, {"job_id": "-m+n"}]
)
def test_each_job_has_its_own_digest(change: dict[str, Any]) -> None:
    assert job_digest(replace(JOB, **change)) != job_digest(JOB)


def test_of_several_waits_for_a_job_the_last_and_the_next_poll_count() -> None:
    name = job_digest(JOB)
    pages = [
        page({name: PollTimes(later(-5), later(60))}),
        page({name: PollTimes(later(-9), later(2))}, number=1),
        page({name: PollTimes(None, None)}, number=2),
        page({"0" * 12: PollTimes(later(-1), later(1))}, number=3),
    ]
    found = poll_times([stored(each.value) for each in pages], JOB, NOW)
    assert found == PollTimes(later(-5), later(2))


def test_a_page_of_a_process_that_ended_says_nothing() -> None:
    value = stored(page({job_digest(JOB): PollTimes(later(-5), later(10))}).value)
    assert poll_times([value], JOB, later(FRESH_SECONDS)) == PollTimes(later(-5), later(10))
    assert poll_times([value], JOB, later(FRESH_SECONDS + 1)) == PollTimes()
    assert is_fresh(NOW, later(-FRESH_SECONDS))
    assert not is_fresh(NOW, later(-FRESH_SECONDS - 1))


def test_what_cannot_be_read_on_a_page_is_left_out() -> None:
    name = job_digest(JOB)
    jobs = {name: [bounds.unix_ms(NOW), "soon"], "a": [1], "b": None, "c": 5}
    value = {**page({}).value, "jobs": jobs}
    found = job_polls_from(value)
    assert found is not None
    assert found.times == {name: PollTimes(NOW, None)}
    assert poll_times([value, None, 5, {"jobs": 3}], JOB, NOW) == PollTimes(NOW, None)


def test_a_page_with_more_jobs_than_a_page_has_is_none() -> None:
    value = page({f"{number:012d}": PollTimes() for number in range(JOBS_PER_PAGE + 1)}).value
    assert job_polls_from(value) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([PULSE.value, page({"a": PollTimes(NOW, NOW)}).value]), st.data())
def test_any_stored_row_is_read(value: dict[str, Any], data: st.DataObject) -> None:
    changed = {**value, data.draw(st.sampled_from(sorted(value))): data.draw(json_values)}
    for found in (account_pulse_from(changed), job_polls_from(changed)):
        assert found is None or stored(found.value)
    poll_times([changed], JOB, NOW)
