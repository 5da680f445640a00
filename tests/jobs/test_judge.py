"""The judge of the simple kinds, and the row that a kind is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.judge import judge, verdict_of
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Observation, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.jobs.verdict import Failed, Failure, Finished, Rules, Verdict, Waiting
from airflow_trtc.kinds import KINDS, RECORDING

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
KIND = JobKind(
    name="slicing",
    describe_action="DescribeCloudSliceTask",
    ends_well=frozenset({"Done", "Fine"}),
    ends_badly=frozenset({"Broken"}),
)
A = RecordedFile("a.ogg")
GONE = Absence("ResourceNotFound")
PASSING = Trouble("passing", "RequestLimitExceeded", "too fast")
REFUSED = Trouble("refused", "FailedOperation", "no")
SETUP = Trouble("setup", "AuthFailure.SignatureFailure", "wrong key")


def seen(status: str, *files: RecordedFile) -> Snapshot:
    return Snapshot("jid", status, files)


def verdict(*polls: Observation, every: float = 10.0, **rules: Any) -> Verdict:
    state = JobState("jid")
    for number, poll in enumerate(polls):
        state = learn(state, poll, START + timedelta(seconds=number * every))
    return judge(KIND, state, Rules(**rules), START + timedelta(days=1))


@pytest.mark.parametrize("status", ["Idle", "Running", "done", "", "Paused"])
def test_every_other_status_only_waits(status: str) -> None:
    assert verdict(*[seen(status)] * 9, every=3600.0) == Waiting(
        f"the slicing is {status}" if status else "not polled yet"
    )


def test_a_job_that_was_not_polled_yet_waits() -> None:
    assert verdict() == Waiting("not polled yet")


@pytest.mark.parametrize("status", ["Done", "Fine"])
def test_a_status_that_ends_well_finishes_at_the_time_of_its_last_sight(status: str) -> None:
    end = verdict(seen("Running", A), seen(status))
    assert end == Finished("exited", (A,), START + timedelta(seconds=10))


def test_a_status_that_ends_badly_fails_and_names_the_job() -> None:
    failed = verdict(seen("Running"), seen("Broken"))
    assert failed == Failed(Failure.RECORDING, "the slicing failed: its status is Broken.\nId: jid")


@pytest.mark.parametrize("after", [GONE, PASSING, REFUSED, SETUP])
def test_what_polls_meet_after_the_end_changes_nothing(after: Observation) -> None:
    assert isinstance(verdict(seen("Done"), after, after, after), Finished)
    assert isinstance(verdict(seen("Broken"), after), Failed)


def test_a_job_that_was_seen_and_is_not_there_has_ended() -> None:
    end = verdict(seen("Running", A), seen("Running"), seen("Running"), seen("Running"), GONE)
    assert end == Finished("gone", (A,), START + timedelta(seconds=40))


def test_right_after_the_first_sight_not_there_is_said_twice() -> None:
    assert isinstance(first := verdict(seen("Running"), GONE), Waiting)
    assert first.hurry_seconds == Rules().hurry_seconds
    assert verdict(seen("Running"), GONE, GONE) == Finished("gone", (), START + timedelta(seconds=10))
    assert isinstance(verdict(seen("Running"), GONE, every=Rules().grace_seconds), Finished)
    assert isinstance(verdict(seen("Running"), GONE, every=Rules().grace_seconds - 0.1), Waiting)


def test_a_job_that_was_never_seen_is_given_up_after_the_grace_period() -> None:
    assert isinstance(soon := verdict(GONE, GONE, every=29.9), Waiting)
    assert soon.hurry_seconds == 2 * Rules().hurry_seconds
    failed = verdict(GONE, GONE, every=30.0)
    assert isinstance(failed, Failed)
    assert failed.failure is Failure.NEVER_SEEN
    for words in (
        "this slicing for 30 s",
        "slicing id",
        "SdkAppId",
        "region",
        "first poll",
        "if_never_seen",
        "jid",
    ):
        assert words in failed.reason
    assert "ResourceExpiredHour" not in failed.reason  # of recordings only
    state = learn(learn(JobState("jid"), GONE, START), GONE, START + timedelta(seconds=30))
    forgetful = judge(replace(KIND, forgotten_after="3 days"), state, Rules(), START)
    assert isinstance(forgetful, Failed)
    assert "(3) more than 3 days has passed since it was created.\n" in forgetful.reason
    end = verdict(GONE, GONE, every=30.0, finish_if_never_seen=True)
    assert end == Finished("never_seen", (), START + timedelta(seconds=30))


def test_haste_is_never_longer_than_the_grace_period() -> None:
    waiting = verdict(GONE, grace_seconds=1.0, hurry_seconds=5.0)
    assert isinstance(waiting, Waiting)
    assert waiting.hurry_seconds == 2.0


def test_trouble_that_passes_only_waits_and_says_why() -> None:
    assert verdict(*[PASSING] * 100) == Waiting("the last poll failed: too fast")


def test_a_wrong_set_up_fails() -> None:
    assert verdict(seen("Running"), SETUP) == Failed(Failure.SETUP, "wrong key")


def test_refusals_in_a_row_fail() -> None:
    assert isinstance(verdict(REFUSED, REFUSED), Waiting)
    failed = verdict(REFUSED, REFUSED, REFUSED)
    assert failed == Failed(Failure.REFUSED, "the service refused 3 polls in a row; the last time: no")
    assert isinstance(verdict(REFUSED, refusals=1), Failed)


@pytest.mark.parametrize("code", ["Client.Http407", "AuthFailure.SignatureExpire"])
@pytest.mark.parametrize("kind", ["setup", "refused"])
def test_what_worked_before_may_work_again(code: str, kind: Any) -> None:
    trouble = Trouble(kind, code, "m")
    assert verdict(seen("Running"), *[trouble] * 9) == Waiting("the last poll failed: m")
    assert isinstance(verdict(*[trouble] * 9), Failed)


def test_a_kind_may_bring_its_own_judge() -> None:
    state = learn(JobState("jid"), seen("Done"), START)
    assert isinstance(verdict_of(KIND, state, Rules(), START), Finished)
    assert isinstance(verdict_of(RECORDING, state, Rules(), START), Waiting)
    own = replace(KIND, judge=lambda state, rules, at: Waiting(f"{state.job_id} {rules.refusals} {at:%Y}"))
    assert verdict_of(own, state, Rules(), START) == Waiting("jid 3 2026")


@pytest.mark.parametrize(
    "first, second",
    [("ends_well", "ends_badly"), ("ends_well", "absent_statuses"), ("ends_badly", "absent_statuses")],
)
def test_a_status_means_one_thing(first: str, second: str) -> None:
    rows: dict[str, Any] = {first: frozenset({"A", "B"}), second: frozenset({"B", "C"})}
    with pytest.raises(ValueError, match="of x these statuses mean two things: B"):
        JobKind(name="x", describe_action="DescribeX", **rows)


@pytest.mark.parametrize(
    "region, words", [("r", "recording j (application 5, region r)"), (None, "recording j (application 5)")]
)
def test_a_job_is_named_with_all_that_finds_it(region: str | None, words: str) -> None:
    assert str(JobRef("recording", 5, region, "j")) == words


@pytest.mark.parametrize(
    "name, file_format",
    [("a.m3u8", "hls"), ("a.b.MP4", "mp4"), ("a.aac", "aac"), ("a.ts", None), ("mp4", "mp4"), ("a", None)],
)
def test_the_format_of_a_file_follows_from_its_name(name: str, file_format: str | None) -> None:
    assert RecordedFile(name).format == file_format


def test_a_kind_names_its_parameters_as_most_actions_do() -> None:
    assert (KIND.id_param, KIND.app_param, KIND.status_param) == ("TaskId", "SdkAppId", "Status")


def test_the_table_of_kinds_is_keyed_by_their_names() -> None:
    assert KINDS["recording"] is RECORDING
    assert RECORDING.describe_action == "DescribeCloudRecording"
    assert all(kind.name == name for name, kind in KINDS.items())
