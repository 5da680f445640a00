"""Keys: unambiguous, plain, short; and values that name a job."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import combinations
from typing import Any

import pytest

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.journal import keys
from airflow_trtc.journal.index import note_key
from airflow_trtc.journal.keys import Rows, head_value, job_fields, job_from, make_key, page_key
from airflow_trtc.journal.store import JOURNAL

JOB = JobRef("recording", 1400000001, "ap-guangzhou", "-m2YEoSJsaxCQvkrjdKp+b/c=")
# Each of these could be taken for another one if parts were only put side by side.
JOBS = [
    JOB,
    JobRef("recording", 1, None, "a"),
    JobRef("recording", 1, "r", "a"),
    JobRef("recording", 1, "a/b", "c"),
    JobRef("recording", 1, "a", "b/c"),
    JobRef("recording", 1, "b/c", "a"),
    JobRef("recording", 1, None, "a/files/0"),
    JobRef("recording", 1, "files/0", "a"),
    JobRef("recording", 1, None, "a%2Ffiles%2F0"),
    JobRef("recording/1", 1, None, "a"),
    JobRef("slicing", 1, None, "a"),
    JobRef("recording", 11, None, "a"),
    JobRef("recording", 1, None, "A"),
    JobRef("recording", 1, None, "ü" * 200),
    JobRef("recording", 1, None, "ü" * 199 + "u"),
    JobRef("recording", 1, None, "x" * 1000),
    JobRef("recording", 1, "r", "x" * 1000),
    JobRef("recording", 1, None, "\ud800"),
    JobRef("recording", 1, None, "\0"),
    JobRef("recording", 1, None, "\N{REPLACEMENT CHARACTER}"),
]


def all_keys(job: JobRef) -> list[str]:
    rows = Rows(job)
    found = [rows.polls, keys.due_key(1768960945000, job)]
    return [*found, page_key(rows.polls, 0), page_key(rows.polls, 999)]


def all_keys_without_region(job: JobRef) -> list[str]:
    head = Rows(job).callbacks
    return [head, page_key(head, 0), keys.done_key(job, "upload"), keys.done_key(job, "mp4"), note_key(job)]


@pytest.mark.parametrize("of", [all_keys, all_keys_without_region])
def test_two_rows_never_share_a_key(of: Any) -> None:
    jobs = [*JOBS]
    if of is all_keys_without_region:
        jobs = list({(job.kind, job.sdk_app_id, job.job_id): job for job in JOBS}.values())
    for one, other in combinations(jobs, 2):
        assert not set(of(one)) & set(of(other)), (one, other)
    for job in jobs:
        assert len(set(of(job))) == len(of(job))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: repr(job)[:60])
def test_every_store_takes_a_key_as_it_is(job: JobRef) -> None:
    found = [*all_keys(job), *all_keys_without_region(job), keys.event_key(1, f"task:{job.job_id}", "0" * 32)]
    found += [keys.bad_key(key) for key in found] + [keys.inbox_key(1768960945000, 10**18 - 1, "0" * 32)]
    for key in found:
        assert key.isascii()
        assert key.isprintable()
        assert len(key) <= 500
        assert len(key) <= keys.MAX_KEY or "/files/" in key


def test_ids_of_the_service_can_be_read_in_keys() -> None:
    assert Rows(JOB).callbacks == "cb/recording/1400000001/-m2YEoSJsaxCQvkrjdKp+b%2Fc="
    assert Rows(JOB).polls.endswith("/ap-guangzhou")
    assert keys.event_key(1, "task:rec", "ab") == "ev/1/task:rec/ab"


def test_keys_with_a_time_sort_by_it_also_when_they_are_digests() -> None:
    long = JobRef("recording", 1, "r", "x" * 5000)
    assert keys.due_key(1768960945000, long) < keys.due_key(1768960945001, JOB)
    assert keys.due_key(1768960945001, long) > keys.due_key(1768960945000, JOB)


def test_what_is_too_long_ends_in_a_digest_of_all_parts() -> None:
    assert make_key("cb", "x" * 1000).startswith("cb/")
    assert len({make_key("cb", "x" * 1000, end) for end in "abc"}) == 3
    assert len(make_key("cb", "x" * (keys.MAX_KEY - 3))) == keys.MAX_KEY
    assert len(make_key("cb", "x" * (keys.MAX_KEY - 2))) == 67


@pytest.mark.parametrize(
    "job", [job for job in JOBS if "\ud800" not in job.job_id and "\0" not in job.job_id]
)
def test_a_value_names_its_job(job: JobRef) -> None:
    end = Finished("gone", (), datetime(2026, 1, 1, tzinfo=timezone.utc))
    state = {"v": 1, "recording_id": job.job_id, "polls": 3, "files": []}
    for value in (
        job_fields(job),
        keys.due_value(job),
        keys.due_value(job, end),
        head_value(job, state, 2, 150),
    ):
        assert job_from(value) == job
    assert head_value(job, state, 2, 150) == {**state, **job_fields(job), "pages": 2, "file_count": 150}


@pytest.mark.parametrize(
    "value",
    [
        None, [], "x", 5, {}, {"kind": "recording"},
        {**job_fields(JOB), "kind": None}, {**job_fields(JOB), "kind": 3}, {**job_fields(JOB), "job_id": ""},
        {**job_fields(JOB), "job_id": ["x"]}, {**job_fields(JOB), "job_id": "x" * 2000},
        {**job_fields(JOB), "sdk_app_id": 0}, {**job_fields(JOB), "sdk_app_id": 10**30},
        {**job_fields(JOB), "sdk_app_id": True}, {**job_fields(JOB), "sdk_app_id": "x"},
    ],
)  # fmt: skip
def test_a_value_that_names_no_job_names_none(value: Any) -> None:
    assert job_from(value) is None


@pytest.mark.parametrize("region", [None, "", 5, [], "x" * 2000])
def test_a_region_that_is_none_counts_as_none(region: Any) -> None:
    found = job_from({**job_fields(JOB), "region": region})
    assert found is not None
    assert found.region is None


def test_the_journal_is_named_as_airflow_spells_it() -> None:
    assert (JOURNAL.name, JOURNAL.uri) == (keys.JOURNAL_NAME, keys.JOURNAL_URI)
