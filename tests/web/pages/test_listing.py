"""What the list asks for and says, by values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.pulse import PollTimes
from airflow_trtc.kinds import KINDS
from airflow_trtc.waiting.engine import TimedOut, outcome_word
from airflow_trtc.web.pages.listing import (
    COLUMNS,
    ENDED_BADGES,
    LAST_PAGE,
    OUTCOMES,
    TASK_WORDS,
    Badge,
    ListQuery,
    Paging,
    Show,
    Sort,
    WaitRow,
    describe_tracks,
    heads,
    line,
    paging,
    read_query,
)

NOW = datetime(2026, 1, 21, 10, tzinfo=timezone.utc)
JOB = JobRef("recording", 1400000001, "ap-guangzhou", "rec-1")
ROW = WaitRow("dag", "run", "wait", -1, "deferred", 1, NOW - timedelta(minutes=5), None, None)
KNOWN: dict[str, Any] = {
    "kind": "recording",
    "sdk_app_id": 1400000001,
    "region": "ap-guangzhou",
    "job_id": "rec-1",
    "state": "InProgress",
    "file_count": 3,
    "tracks": {"audio": 2, "screen": 1, "made_up": 9},
    "user_count": 2,
    "room_id": "lesson-7",
    "callback_count": 5,
    "problem_count": 12,
    "problems": ["upload: it failed"],
    "last_polled_at": "2026-01-21T09:59:30+00:00",
    "started_at": "2026-01-21T09:00:00+00:00",
    "console_url": "https://console.example.com/x",
}

queries = st.builds(
    ListQuery,
    st.sampled_from(Show),
    st.text(max_size=20).map(str.strip).filter(lambda text: "\0" not in text and _is_valid(text)),
    st.sampled_from(["", "a", "b.c-d"]),
    st.sampled_from(["", *KINDS]),
    st.none() | st.integers(1, 2**40),
    st.sampled_from(Sort),
    st.booleans(),
    st.integers(1, LAST_PAGE),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def _is_valid(text: str) -> bool:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") == text


@given(queries)
def test_the_address_of_a_query_is_read_as_the_same_query(query: ListQuery) -> None:
    address = {key: str(value) for key, value in query.address(page=query.page).items() if value is not None}
    assert read_query(address) == query


@given(st.dictionaries(st.sampled_from(["state", "q", "dag_id", "kind", "app", "sort", "page"]), st.text()))
def test_any_address_is_a_query(given: dict[str, str]) -> None:
    query = read_query(given)
    assert 1 <= query.page <= LAST_PAGE
    assert query.kind in ("", *KINDS)
    assert len(query.text) <= 200


def test_a_change_begins_with_the_first_page_again() -> None:
    query = replace(ListQuery(), page=3)
    assert query.address(show=Show.FAILED)["page"] is None
    assert query.address(page=4)["page"] == 4


def test_only_what_leaves_something_out_is_a_filter() -> None:
    assert not ListQuery(sort=Sort.FILES, page=2).is_filtered
    assert all(
        query.is_filtered
        for query in (
            ListQuery(show=Show.FAILED),
            ListQuery(text="a"),
            ListQuery(app=1),
            ListQuery(kind="speech"),
        )
    )


def test_a_line_says_what_the_progress_says() -> None:
    one = line(replace(ROW, value=KNOWN), lambda job: PollTimes(None, NOW) if job == JOB else PollTimes())
    assert one.badge == Badge("InProgress", "going")
    assert (one.task_word, one.job, one.kind, one.room) == ("deferred", JOB, "recording", "lesson-7")
    assert one.since == datetime(2026, 1, 21, 9, tzinfo=timezone.utc)
    assert (one.until, one.is_waiting) == (None, True)
    assert (one.files, one.users, one.callbacks) == (3, 2, 5)
    assert one.tracks == (("audio", 2), ("screen", 1))
    assert describe_tracks(one) == "2 audio files, 1 screen file, 2 users"
    assert one.polls == PollTimes(datetime(2026, 1, 21, 9, 59, 30, tzinfo=timezone.utc), NOW)
    assert (one.problems, one.problem_count) == (("upload: it failed",), 12)
    assert one.console == "https://console.example.com/x"


def test_what_a_process_says_of_polls_is_newer_than_what_the_progress_says() -> None:
    one = line(replace(ROW, value=KNOWN), lambda _: PollTimes(NOW, None))
    assert one.polls.last_at == NOW


@pytest.mark.parametrize(
    "state,known,badge",
    [
        ("deferred", None, Badge("starting", "idle")),
        ("running", None, Badge("starting", "idle")),
        ("scheduled", None, Badge("planned", "idle")),
        ("up_for_retry", None, Badge("planned", "idle")),
        ("deferred", "Idle", Badge("Idle", "idle")),
        ("deferred", "never seen", Badge("never seen", "idle")),
        ("up_for_reschedule", "started", Badge("started", "going")),
        ("deferred", "What is new", Badge("What is new", "going")),
        ("deferred", "ended", Badge("ended", "ended")),
        ("success", "InProgress", Badge("ended", "ended")),
        ("failed", "ended", Badge("failed", "trouble")),
        ("skipped", None, Badge("skipped", "idle")),
    ],
)
def test_the_badge(state: str, known: str | None, badge: Badge) -> None:
    assert line(replace(ROW, state=state, end_date=NOW, value={"state": known})).badge == badge


def test_an_ended_wait_has_an_end_and_an_outcome_and_no_next_poll() -> None:
    ended = replace(ROW, state="success", end_date=NOW, value={**KNOWN, "outcome": "gone"})
    one = line(ended, lambda _: PollTimes(NOW, NOW))
    assert (one.until, one.is_waiting, one.outcome) == (NOW, False, "seen, then gone")
    assert one.polls.next_at is None
    assert line(replace(ended, state="deferred")).outcome == ""
    assert line(replace(ended, value={"outcome": "a new word"})).outcome == "a new word"


def test_every_way_in_which_a_wait_can_end_has_words() -> None:
    from airflow_trtc.jobs.verdict import Failed, Failure, Finished

    endings = [Failed(failure, "") for failure in Failure]
    endings += [Finished(outcome, (), NOW) for outcome in ("exited", "gone", "callback", "never_seen")]  # type: ignore[misc]
    endings += [TimedOut(limit) for limit in ("timeout", "execution_timeout")]  # type: ignore[misc]
    assert {outcome_word(ending) for ending in endings} == set(OUTCOMES)


def test_a_progress_that_was_set_as_text_is_read_too() -> None:
    assert line(replace(ROW, value='{"room_id": 88}')).room == "88"


@given(st.dictionaries(st.sampled_from(sorted({*KNOWN, "outcome", "record_count"})), json_values))
def test_any_progress_makes_a_line(value: dict[str, Any]) -> None:
    for state in (*TASK_WORDS, *ENDED_BADGES, "unheard_of"):
        one = line(replace(ROW, state=state, value=value))
        assert one.console is None or one.console.startswith(("http://", "https://"))
        assert len(one.problems) <= 10
        assert all(len(text) <= 200 for text in (*one.problems, one.badge.word, one.outcome, one.room or ""))


@given(json_values)
def test_any_value_makes_a_line(value: object) -> None:
    assert line(replace(ROW, value=value)).row.value is value


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.com",
        "/x",
        "https://",
        "http:///x",
        "https://a b\n",
        7,
    ],
)
def test_only_addresses_of_other_sites_become_links(url: object) -> None:
    assert line(replace(ROW, value={"console_url": url})).console is None


def test_heads_turn_the_order_of_the_present_column_and_choose_the_others() -> None:
    found = {head.column.name: head for head in heads(ListQuery(sort=Sort.FILES, page=3, text="x"))}
    assert len(found) == len(COLUMNS)
    assert found["files"].order == "descending"
    assert found["files"].address == {**ListQuery(text="x").address(), "sort": "files"}
    assert (found["since"].order, found["since"].address) == ("none", ListQuery(text="x").address())
    assert (found["polls"].order, found["polls"].address) == ("", None)


@pytest.mark.parametrize(
    "page,shown,total,expected",
    [
        (1, 0, 0, Paging(0, 0, 0, None, None)),
        (1, 50, 120, Paging(1, 50, 120, None, 2)),
        (3, 20, 120, Paging(101, 120, 120, 2, None)),
        (LAST_PAGE, 50, 10**6, Paging(19_951, 20_000, 10**6, LAST_PAGE - 1, None)),
        (9, 0, 0, Paging(0, 400, 0, 8, None)),
    ],
)
def test_paging(page: int, shown: int, total: int, expected: Paging) -> None:
    assert paging(ListQuery(page=page), shown, total) == expected
