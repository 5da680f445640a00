"""Stories of a recording, told poll by poll, and what they mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.bounds import EARLIEST, LATEST
from airflow_trtc.errors import (
    TrtcError,
    TrtcFailedError,
    TrtcSetupError,
    TrtcThrottledError,
    TrtcTransientError,
)
from airflow_trtc.jobs.observation import Absence, Observation, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.state import JobState, combine, from_json, is_news, learn, to_json
from airflow_trtc.jobs.verdict import Failed, Failure, Finished, Rules, Waiting, describe_news, interpret
from airflow_trtc.recording.judge import judge

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
LATER = START + timedelta(days=30)
EARLIEST_MS, LATEST_MS = (round(each.timestamp() * 1000) for each in (EARLIEST, LATEST))
RID = "-gCTFWtU+7t7DUlo."
A, B, C = (RecordedFile(f"{name}.m3u8", name, "audio", 1730087526709 + n) for n, name in enumerate("abc"))
GONE = Absence("ResourceNotFound")
THROTTLED = Trouble("passing", "RequestLimitExceeded", "too fast")
REFUSED = Trouble("refused", "FailedOperation", "no")
SETUP = Trouble("setup", "AuthFailure.SignatureFailure", "wrong key")


def seen(*files: RecordedFile, status: str = "InProgress", job_id: str = RID) -> Snapshot:
    return Snapshot(job_id, status, files)


def tell(*polls: Observation, every: float = 10.0, state: JobState | None = None) -> JobState:
    state = state or JobState(RID)
    for number, poll in enumerate(polls):
        state = learn(state, poll, START + timedelta(seconds=number * every))
    return state


def verdict(*polls: Observation, every: float = 10.0, rules: Rules | None = None) -> object:
    return judge(tell(*polls, every=every), rules or Rules(), LATER)


def test_in_progress_then_gone_is_the_normal_end_with_every_file_ever_listed() -> None:
    """Files are merged over all polls, although a later list left one out."""
    end = verdict(seen(A), seen(B), seen(B, C), GONE)
    assert isinstance(end, Finished)
    assert (end.outcome, end.files) == ("gone", (A, B, C))


def test_the_last_file_of_the_exiting_answer_is_in() -> None:
    end = verdict(seen(A), seen(A, B, status="Exited"), GONE)
    assert isinstance(end, Finished)
    assert (end.outcome, end.files) == ("exited", (A, B))


def test_exited_is_asked_again_in_haste_until_it_has_settled() -> None:
    first = verdict(seen(A, status="Exited"))
    assert isinstance(first, Waiting)
    assert first.hurry_seconds == Rules().hurry_seconds
    settled = verdict(seen(A, status="Exited"), seen(A, B, status="Exited"), every=10.0)
    assert isinstance(settled, Finished)
    assert (settled.outcome, settled.files) == ("exited", (A, B))


def test_exited_does_not_settle_while_nothing_can_be_learnt() -> None:
    """An outage during the settle time must not cut off the last files."""
    assert isinstance(verdict(seen(status="Exited"), THROTTLED, THROTTLED, THROTTLED), Waiting)


def test_in_progress_after_exited_takes_the_exit_back() -> None:
    state = tell(seen(status="Exited"), seen(A), GONE, GONE)
    end = judge(state, Rules(), LATER)
    assert isinstance(end, Finished)
    assert end.outcome == "gone"


def test_a_recording_that_reappears_is_not_over() -> None:
    assert isinstance(verdict(seen(A), GONE, seen(A)), Waiting)


def test_never_seen_waits_out_the_grace_period_first() -> None:
    waiting = verdict(GONE, GONE, every=20.0)
    assert isinstance(waiting, Waiting)
    assert waiting.hurry_seconds is not None
    assert waiting.hurry_seconds <= Rules().grace_seconds


def test_never_seen_fails_with_every_possible_cause_named() -> None:
    failed = verdict(GONE, GONE, every=30.0)
    assert isinstance(failed, Failed)
    assert failed.failure is Failure.NEVER_SEEN
    for word in (RID, "recording id", "SdkAppId", "region", "first poll", "72 hours", "if_never_seen"):
        assert word in failed.reason


def test_never_seen_finishes_without_files_when_asked_to() -> None:
    end = verdict(GONE, GONE, every=30.0, rules=Rules(finish_if_never_seen=True))
    assert isinstance(end, Finished)
    assert (end.outcome, end.files) == ("never_seen", ())


def test_a_recording_created_during_the_grace_period_is_waited_for() -> None:
    assert isinstance(verdict(GONE, GONE, seen(status="Idle"), every=14.0), Waiting)


def test_an_outage_does_not_use_up_the_grace_period() -> None:
    """Only the service's own answers, not the passing of time, may end a wait."""
    assert isinstance(verdict(THROTTLED, THROTTLED, GONE, every=60.0), Waiting)


def test_while_it_runs_the_wait_says_how_it_stands() -> None:
    assert verdict(seen(A)) == Waiting("the recording is InProgress")


@pytest.mark.parametrize("status", ["Idle", "InProgress", "Finished", "Stopped", "exited", "EXITED", ""])
def test_no_status_but_exited_ever_ends_a_wait(status: str) -> None:
    assert isinstance(verdict(*[seen(A, status=status)] * 50, every=3600.0), Waiting)


def test_an_answer_for_another_recording_teaches_nothing() -> None:
    state = tell(seen(A), seen(B, status="Exited", job_id="other"))
    assert state.files == (A,)
    assert state.status == "InProgress"
    assert isinstance(judge(state, Rules(), LATER), Waiting)


def test_a_wrong_set_up_fails_at_once_even_when_the_recording_was_seen() -> None:
    failed = verdict(seen(A), SETUP)
    assert isinstance(failed, Failed)
    assert (failed.failure, failed.reason) == (Failure.SETUP, "wrong key")


def test_three_refusals_in_a_row_fail_but_not_three_in_all() -> None:
    assert isinstance(verdict(REFUSED, REFUSED, seen(A), REFUSED), Waiting)
    failed = verdict(seen(A), REFUSED, REFUSED, REFUSED)
    assert isinstance(failed, Failed)
    assert failed.failure is Failure.REFUSED


def test_trouble_for_days_only_waits() -> None:
    assert isinstance(verdict(*[THROTTLED] * 100, every=3600.0), Waiting)


def test_what_a_later_list_tells_of_a_file_fills_gaps_and_never_erases() -> None:
    bare = RecordedFile(A.file_name)
    assert tell(seen(bare), seen(A)).files == (A,)
    assert tell(seen(A), seen(bare)).files == (A,)


def test_right_after_the_first_sight_not_there_has_to_be_said_twice() -> None:
    """Just after its start, not every part of the service may know the recording."""
    first = verdict(seen(A), GONE, every=2.0)
    assert isinstance(first, Waiting)
    assert first.hurry_seconds is not None
    assert isinstance(verdict(seen(A), GONE, seen(A, B), every=2.0), Waiting)
    assert isinstance(verdict(seen(A), GONE, GONE, every=2.0), Finished)
    assert isinstance(verdict(seen(A), GONE, every=60.0), Finished)


OURS = "Client.Http407"


def test_a_clock_that_is_wrong_for_a_while_fails_only_waits_that_have_seen_nothing() -> None:
    wrong_clock = Trouble("setup", "AuthFailure.SignatureExpire", "set the clock")
    assert isinstance(verdict(seen(A), wrong_clock), Waiting)
    assert isinstance(verdict(wrong_clock), Failed)


def test_trouble_on_the_way_never_fails_a_wait_that_has_seen_its_recording() -> None:
    """A proxy that restarts says odd things; it worked before."""
    for kind in ("setup", "refused"):
        trouble = Trouble(kind, OURS, "proxy says no")
        assert isinstance(verdict(seen(A), *[trouble] * 9), Waiting)
    assert isinstance(verdict(*[Trouble("refused", OURS, "m")] * 3), Failed)


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, meaning",
    [
        (TrtcFailedError("m", code="ResourceNotFound"), "Absence"),
        (TrtcFailedError("m", code="ResourceNotFound.TaskId"), "Absence"),
        (TrtcFailedError("m", code="FailedOperation.TaskNotExist"), "Absence"),
        (TrtcFailedError("m", code="FailedOperation.TaskFinished"), "Absence"),
        (TrtcFailedError("m", code="ResourceNotFoundX"), "refused"),
        (TrtcFailedError("m", code="FailedOperation"), "refused"),
        (TrtcFailedError("m"), "refused"),
        (TrtcError("m", code="Whatever"), "refused"),
        (TrtcThrottledError("m", code="RequestLimitExceeded"), "passing"),
        (TrtcTransientError("m", code="InternalError.CRInternalError"), "passing"),
        (TrtcTransientError("m", code="ResourceNotFound"), "passing"),
        (TrtcSetupError("m", code="AuthFailure.SecretIdNotFound"), "setup"),
        (TrtcSetupError("m", code="Client.NoMetadata"), "setup"),
        (TrtcSetupError("m", code="Client.Http403"), "refused"),
    ],
)
def test_what_an_error_means_for_the_wait(error: TrtcError, meaning: str) -> None:
    observation = interpret(error)
    assert meaning in (type(observation).__name__, getattr(observation, "kind", None))


def test_the_codes_that_mean_gone_are_the_users_to_choose() -> None:
    error = TrtcSetupError("m", code="InvalidParameter.OutOfRange")
    assert isinstance(interpret(error), Trouble)
    assert isinstance(interpret(error, ["InvalidParameter.OutOfRange"]), Absence)
    assert isinstance(interpret(TrtcTransientError("m", code="InternalError"), ["InternalError"]), Trouble)


# -- for all stories --------------------------------------------------------------------------------

files = st.builds(
    RecordedFile,
    st.sampled_from(["a", "b", "c", "d"]),
    st.none() | st.sampled_from(["u", "v"]),
    st.none() | st.sampled_from(["audio", "video"]),
    st.none() | st.integers(EARLIEST_MS, LATEST_MS - 1),
)
statuses = st.sampled_from(["Idle", "InProgress", "Exited", "Strange"])
polls = st.builds(
    Snapshot, st.sampled_from([RID, "other"]), statuses, st.lists(files, max_size=4).map(tuple)
) | st.sampled_from([GONE, THROTTLED, REFUSED, SETUP])
stories = st.lists(polls, max_size=12)


def listed(story: list[Observation]) -> set[str]:
    mine = (poll for poll in story if isinstance(poll, Snapshot) and poll.job_id == RID)
    return {file.file_name for poll in mine for file in poll.files}


@given(stories)
def test_no_file_that_was_listed_is_ever_forgotten_and_none_invented(story: list[Observation]) -> None:
    assert {file.file_name for file in tell(*story).files} == listed(story)


@given(stories, st.floats(0.1, 1000))
def test_only_absence_or_a_settled_exit_finishes(story: list[Observation], every: float) -> None:
    end = verdict(*story, every=every)
    if isinstance(end, Finished):
        last_answer = [poll for poll in story if not isinstance(poll, Trouble)][-1]
        assert story[-1] == last_answer
        assert isinstance(last_answer, Absence) or (
            isinstance(last_answer, Snapshot) and last_answer.status == "Exited"
        )
        assert tell(*story).was_seen


@given(stories)
def test_what_is_known_survives_its_json_form(story: list[Observation]) -> None:
    state = tell(*story)
    assert from_json(to_json(state), RID) == state


@given(stories, stories)
def test_joining_two_waiters_knows_the_files_of_both(
    one: list[Observation], other: list[Observation]
) -> None:
    joined = combine(tell(*one), tell(*other))
    assert {file.file_name for file in joined.files} == listed(one) | listed(other)
    assert joined.was_seen == (tell(*one).was_seen or tell(*other).was_seen)


@given(stories)
def test_joining_with_an_older_self_changes_nothing_that_lasts(story: list[Observation]) -> None:
    state = tell(*story)
    for end in range(len(story)):
        joined = combine(state, tell(*story[:end]))
        assert not is_news(state, replace(joined, refusals=state.refusals))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.sampled_from([*to_json(JobState(RID))]))
def test_any_json_is_read_without_an_error(value: object, field: str) -> None:
    assert from_json(value, RID).job_id == RID
    assert from_json({**to_json(tell(seen(A))), field: value}, RID).job_id == RID


def test_the_json_of_another_recording_or_version_is_left_out() -> None:
    assert from_json(to_json(tell(seen(A))), "other") == JobState("other")
    assert from_json({**to_json(tell(seen(A))), "v": 2}, RID) == JobState(RID)


# -- news -------------------------------------------------------------------------------------------


def test_a_poll_that_shows_nothing_new_is_no_news() -> None:
    before = tell(seen(A))
    after = learn(before, seen(A), START + timedelta(minutes=5))
    assert not is_news(before, after)
    assert describe_news(before, after, seen(A)) == []


def test_each_change_is_told_once() -> None:
    before = tell(seen(A))
    trouble = learn(before, THROTTLED, START)
    assert describe_news(before, trouble, THROTTLED) == ["polling failed: too fast"]
    assert describe_news(trouble, learn(trouble, THROTTLED, START), THROTTLED) == []
    back = learn(trouble, seen(A, B, status="Exited"), START)
    assert describe_news(trouble, back, seen(A, B, status="Exited")) == [
        "status InProgress -> Exited",
        "new file b.m3u8",
        "the service answers again",
    ]
    gone = learn(back, GONE, START)
    assert describe_news(back, gone, GONE) == ["the service no longer knows it (ResourceNotFound)"]
