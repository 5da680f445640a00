"""Which jobs the API server stops, as a table of the states of their owners."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal import keys
from airflow_trtc.journal.owners import (
    CLOSED,
    FIRST_RETRY_MS,
    GRACE_MS,
    LONGEST_RETRY_MS,
    MAX_FAILURES,
    OWNERS,
    Owner,
    TaskId,
    TaskNow,
    decide,
    failed,
    is_closed,
    is_gone,
    noted,
    owner_from,
)

NOW = 1_768_960_945_000
JOB = JobRef("recording", 1400000001, "ap-guangzhou", "-gCT+x..")
OWNER = Owner(TaskId("lessons", "manual__1", "record", -1), JOB, 1, 2, "trtc_default")
GONE = replace(OWNER, gone_since_ms=NOW - GRACE_MS)

ALIVE = (
    *(None, "scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", "deferred"),
    *("awaiting_input", "a_state_of_airflow_4"),
)
FINAL = ("success", "failed", "skipped", "removed", "upstream_failed")


@pytest.mark.parametrize("state", ALIVE)
def test_a_task_that_still_goes_about_it_keeps_its_job(state: str | None) -> None:
    assert decide(OWNER, TaskNow(state, 1, 2), NOW) == "keep"
    assert decide(OWNER, TaskNow(state, 3, 2), NOW) == "keep"  # the last retry, which takes it over
    assert decide(GONE, TaskNow(state, 1, 2), NOW) == "unnote"


@pytest.mark.parametrize("state", FINAL)
def test_the_job_of_a_task_that_has_ended_is_stopped_after_a_while(state: str) -> None:
    task = TaskNow(state, 1, 2)
    assert decide(OWNER, task, NOW) == "note"
    assert decide(noted(OWNER, NOW), task, NOW + GRACE_MS - 1) == "keep"
    assert decide(noted(OWNER, NOW), task, NOW + GRACE_MS) == "stop"


def test_a_task_instance_that_was_deleted_has_ended() -> None:
    assert decide(OWNER, None, NOW) == "note"
    assert decide(GONE, None, NOW) == "stop"


@pytest.mark.parametrize("state", ALIVE)
def test_after_a_clear_the_next_try_has_a_job_of_its_own(state: str | None) -> None:
    assert is_gone(OWNER, TaskNow(state, 1, 3))
    assert is_gone(replace(OWNER, max_tries=0), TaskNow(state, 2, 0))  # cleared while it ran
    assert not is_gone(OWNER, TaskNow(state, 2, 2))  # a retry


def test_failures_wait_longer_and_longer_and_end_one_day() -> None:
    owner, pauses = GONE, []
    for _ in range(MAX_FAILURES):
        assert decide(owner, None, max(NOW, owner.retry_at_ms)) == "stop"
        before = max(NOW, owner.retry_at_ms)
        owner = failed(owner, before)
        assert decide(owner, None, owner.retry_at_ms - 1) == "keep"
        pauses.append(owner.retry_at_ms - before)
    assert pauses[:3] == [FIRST_RETRY_MS, 2 * FIRST_RETRY_MS, 4 * FIRST_RETRY_MS]
    assert max(pauses) == pauses[-1] == LONGEST_RETRY_MS
    assert decide(owner, None, owner.retry_at_ms) == "give up"


def test_an_owner_that_is_back_begins_anew() -> None:
    assert noted(failed(GONE, NOW), None) == OWNER


def test_a_row_survives_being_stored() -> None:
    for owner in (OWNER, GONE, failed(GONE, NOW)):
        assert owner_from(json.loads(json.dumps(owner.value))) == owner
    assert owner_from(CLOSED) is None
    assert is_closed(json.loads(json.dumps(CLOSED)))
    assert not is_closed(OWNER.value)


def test_keys_are_of_one_task_and_one_job_whatever_they_are_named() -> None:
    others = [
        replace(OWNER, task=OWNER.task._replace(map_index=0)),
        replace(OWNER, task=OWNER.task._replace(dag_id="lessons/manual__1", run_id="")),
        replace(OWNER, job=replace(JOB, job_id="other")),
    ]
    assert len({owner.key for owner in (OWNER, *others)}) == 4
    assert all(OWNERS.first <= owner.key <= OWNERS.last for owner in (OWNER, *others))
    assert replace(GONE, try_number=2, max_tries=7, failures=3).key == OWNER.key
    assert OWNERS.prefix in keys.LASTING_PREFIXES  # rows that nobody closes go one day


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from([*OWNER.value, "closed"]), inner),
    )
)
def test_whatever_a_row_holds_reading_it_raises_nothing(value: Any) -> None:
    found = owner_from(value)
    assert found is None or isinstance(found, Owner)
    is_closed(value)
