"""Keys: unambiguous, plain, short; and values that name a job."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import combinations
from typing import Any

import pytest

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.journal import keys, pulse, reception
from airflow_trtc.journal.index import IndexEntry, Phase, note_key
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


AT_MS = 1768960945000


@pytest.mark.parametrize(
    "key, spelt",
    [
        (Rows(JobRef("recording", 1, "r", "a")).polls, "poll/recording/1/a/r"),
        (Rows(JobRef("recording", 1, None, "a")).polls, "poll/recording/1/a"),
        (Rows(JobRef("recording", 1, "r", "a")).callbacks, "cb/recording/1/a"),
        (page_key("cb/recording/1/a", 7), "cb/recording/1/a/files/7"),
        (keys.inbox_key(AT_MS, 1, "ab"), "in/1768960945000/1/ab"),
        (keys.inbox_key(5, 1, "ab"), "in/0000000000005/1/ab"),
        (keys.due_key(AT_MS, JobRef("recording", 1, "r", "a")), "due/1768960945000/recording/1/a/r"),
        (keys.done_key(JobRef("recording", 1, "r", "a"), "mp4"), "done/recording/1/a/mp4"),
        (keys.event_key(1, "room:r", "ab"), "ev/1/room:r/ab"),
        (keys.bad_key("in/5"), "bad/in%2F5"),
        (note_key(JobRef("recording", 1, "r", "a")), "at/recording/1/a"),
        (keys.LOG_KEY, "log"),
        (keys.log_page_key(3), "log/0000000003"),
    ],
)
def test_a_key_is_spelt_as_older_versions_spelt_it(key: str, spelt: str) -> None:
    """Rows outlive an update."""
    assert key == spelt


@pytest.mark.parametrize("seq, page", [(1, 0), (100, 0), (101, 1), (200, 1), (201, 2)])
def test_a_page_of_the_log_holds_a_hundred_entries(seq: int, page: int) -> None:
    assert keys.log_page(seq) == page
    assert keys.ENTRIES_PER_PAGE == keys.ITEMS_PER_PAGE == 100


def test_what_is_due_is_everything_up_to_now() -> None:
    due = keys.due_range(AT_MS)
    for at_ms, is_due in ((0, True), (AT_MS, True), (AT_MS + 1, False), (AT_MS + 2, False)):
        key = keys.due_key(at_ms, JOB)
        assert (key.startswith(due.prefix) and due.first <= key <= due.last) is is_due


@pytest.mark.parametrize(
    "within, key",
    [
        (keys.INBOX, keys.inbox_key(0, 1, "0")),
        (keys.INBOX, keys.inbox_key(AT_MS, 10**18 - 1, "f" * 32)),
        (keys.LOG_PAGES, keys.log_page_key(0)),
        (keys.LOG_PAGES, keys.log_page_key(10**9)),
    ],
)
def test_ranges_hold_their_keys(within: keys.KeyRange, key: str) -> None:
    assert key.startswith(within.prefix)
    assert within.first <= key <= within.last
    assert not keys.LOG_KEY.startswith(within.prefix)


def test_what_is_old_may_go_but_for_what_is_still_needed() -> None:
    lasting = [*all_keys_without_region(JOB), Rows(JOB).polls, keys.event_key(1, "-", "a"), keys.bad_key("x")]
    lasting.append(IndexEntry(JOB, Phase.ENDED, datetime(2026, 1, 1, tzinfo=timezone.utc)).key)
    assert all(key.startswith(keys.LASTING_PREFIXES) for key in lasting)
    needed = [keys.LOG_KEY, keys.log_page_key(1), keys.inbox_key(1, 1, "a"), keys.due_key(1, JOB)]
    assert not any(key.startswith(keys.LASTING_PREFIXES + keys.FLEETING_PREFIXES) for key in needed)
    fleeting = [
        reception.refused_key("trtc_default"),
        pulse.JobPolls("p", "h", 0, datetime(2026, 1, 1, tzinfo=timezone.utc), 0).key,
    ]
    assert all(key.startswith(keys.FLEETING_PREFIXES) for key in fleeting)
    assert not any(key.startswith(keys.LASTING_PREFIXES) for key in fleeting)
    assert reception.heard_key(1).startswith(keys.LASTING_PREFIXES)


def test_what_a_request_to_judge_says() -> None:
    end = Finished("gone", (), datetime(2026, 1, 1, tzinfo=timezone.utc))
    fields = {
        "v": 1,
        "kind": "recording",
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "job_id": JOB.job_id,
    }
    assert keys.due_value(JOB) == fields
    assert keys.due_value(JOB, end) == {
        **fields,
        "outcome": "gone",
        "finished_at": "2026-01-01T00:00:00+00:00",
    }


@pytest.mark.parametrize("number, is_one", [(0, False), (1, True), (10**18 - 1, True), (10**18, False)])
def test_the_numbers_that_an_application_may_have(number: int, is_one: bool) -> None:
    assert (job_from({**job_fields(JOB), "sdk_app_id": number}) is not None) is is_one


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
    assert len(make_key("cb", "x" * (keys.MAX_KEY - 3))) == keys.MAX_KEY == 480
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
        head_value(job, state, {"pages": 2, "file_count": 150}),
    ):
        assert job_from(value) == job
    assert head_value(job, state, {"pages": 2, "file_count": 150}) == {
        **state,
        **job_fields(job),
        "pages": 2,
        "file_count": 150,
    }


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
    assert (keys.JOURNAL_NAME, keys.JOURNAL_URI) == ("trtc_recordings", "trtc://recordings/")
