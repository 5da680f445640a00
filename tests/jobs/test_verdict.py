"""What errors mean, what ends for want of a callback, and what the log says."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_trtc.errors import (
    TrtcError,
    TrtcFailedError,
    TrtcSetupError,
    TrtcThrottledError,
    TrtcTransientError,
)
from airflow_trtc.jobs.observation import Absence, Observation, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.problem import Problem
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.jobs.verdict import (
    ABSENT_CODES,
    Failed,
    Failure,
    Finished,
    Rules,
    Verdict,
    Waiting,
    describe_news,
    interpret,
    misses_callback,
)

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
A = RecordedFile("a.m3u8")
CODES: list[
    tuple[str | None, str]
] = [  # a code, and what it means in an error that is neither passing nor setup
    ("ResourceNotFound", "absent"),
    ("ResourceNotFound.TaskId", "absent"),
    ("ResourceNotFound.", "absent"),
    ("ResourceNotFoundX", "refused"),
    ("resourcenotfound", "refused"),
    ("FailedOperation.TaskNotExist", "absent"),
    ("FailedOperation.TaskNotExist.X", "absent"),
    ("FailedOperation.TaskFinished", "absent"),
    ("FailedOperation", "refused"),
    ("FailedOperation.RestrictedConcurrency", "refused"),
    ("Client.Http403", "refused"),
    ("Client.NoMetadata", "refused"),
    ("InvalidParameter.OutOfRange", "refused"),
    (None, "refused"),
]


@pytest.mark.parametrize("code, meaning", CODES)
@pytest.mark.parametrize("error_class", [TrtcError, TrtcFailedError])
def test_a_failure_is_an_absence_or_a_refusal(
    error_class: type[TrtcError], code: str | None, meaning: str
) -> None:
    found = interpret(error_class("m", code=code, request_id="r"))
    if meaning == "absent":
        assert found == Absence(code or "", "r")
    else:
        words = str(error_class("m", code=code, request_id="r"))
        assert found == Trouble("refused", code or error_class.__name__, words, "r")


@pytest.mark.parametrize("code, meaning", CODES)
def test_a_set_up_error_is_one_unless_it_may_come_from_a_proxy(code: str | None, meaning: str) -> None:
    found = interpret(TrtcSetupError("m", code=code))
    if meaning == "absent":
        assert isinstance(found, Absence)
    else:
        assert isinstance(found, Trouble)
        assert found.kind == ("refused" if code == "Client.Http403" else "setup")
        assert found.code == (code or "TrtcSetupError")


@pytest.mark.parametrize("code", [code for code, _ in CODES])
@pytest.mark.parametrize("error_class", [TrtcTransientError, TrtcThrottledError])
def test_what_passes_passes_whatever_its_code(error_class: type[TrtcError], code: str | None) -> None:
    found = interpret(error_class("m", code=code, request_id="r"), [code or "", "Client"])
    assert isinstance(found, Trouble)
    assert (found.kind, found.code, found.request_id) == ("passing", code or error_class.__name__, "r")


def test_the_codes_that_mean_not_there_are_the_callers_to_choose() -> None:
    assert ABSENT_CODES == (
        "ResourceNotFound",
        "FailedOperation.TaskNotExist",
        "FailedOperation.TaskFinished",
    )
    error = TrtcFailedError("m", code="ResourceNotFound.TaskId")
    assert isinstance(interpret(error, []), Trouble)
    assert isinstance(interpret(error, ["Other", "ResourceNotFound.TaskId"]), Absence)


NO_CALLBACK = Problem("no_callback", "m")


@pytest.mark.parametrize(
    "verdict, misses",
    [
        (Waiting("m"), False),
        (Finished("gone", (), START), False),
        (Finished("gone", (), START, (Problem("image", "m"),)), False),
        (Finished("gone", (), START, (Problem("image", "m"), NO_CALLBACK)), True),
        *((Failed(failure, "m"), failure.value in ("no_callback", "empty")) for failure in Failure),
    ],
)
def test_what_ends_for_want_of_a_callback(verdict: Verdict, misses: bool) -> None:
    assert misses_callback(verdict) == misses


def test_the_defaults_of_the_rules() -> None:
    rules = Rules()
    assert not rules.finish_if_never_seen
    assert not rules.finish_if_no_callback
    assert (rules.grace_seconds, rules.settle_seconds, rules.hurry_seconds, rules.refusals) == (30, 10, 2, 3)
    assert (rules.wait_for, rules.order_seconds, rules.callback_timeout_seconds) == ("recording", 2, 3600)
    assert rules.fail_on == {"start", "interrupted", "upload", "lingering", "mp4", "vod", "relay"}
    assert Waiting("m").asks


def test_failures_have_names_that_travel_from_triggers_to_workers() -> None:
    assert [failure.value for failure in Failure] == [
        "never_seen",
        "setup",
        "refused",
        "recording",
        "no_callback",
        "empty",
    ]


@pytest.mark.parametrize(
    "story, news",
    [
        ([Snapshot("j", "Idle")], ["status Idle"]),
        ([Snapshot("j", "Idle"), Snapshot("j", "Idle")], []),
        (
            [Snapshot("j", "Idle"), Snapshot("j", "Exited", (A,))],
            ["status Idle -> Exited", "new file a.m3u8"],
        ),
        ([Snapshot("j", "Idle", (A,)), Snapshot("j", "Idle", (A,))], []),
        ([Absence("NotThere")], ["the service does not know it (NotThere)"]),
        ([Absence("NotThere"), Absence("NotThere")], []),
        ([Snapshot("j", "Idle"), Absence("NotThere")], ["the service no longer knows it (NotThere)"]),
        ([Trouble("passing", "X", "too fast")], ["polling failed: too fast"]),
        ([Trouble("passing", "X", "too fast"), Trouble("passing", "X", "again")], []),
        ([Trouble("passing", "X", "m"), Trouble("passing", "Y", "broken")], ["polling failed: broken"]),
        (
            [Trouble("passing", "X", "m"), Absence("N")],
            ["the service does not know it (N)", "the service answers again"],
        ),
        ([Snapshot("other", "Idle")], ["polling failed: the service answered about another job, other"]),
    ],
)
def test_each_change_is_one_line(story: list[Observation], news: list[str]) -> None:
    before = after = JobState("j")
    for number, observation in enumerate(story):
        before, after = after, learn(after, observation, START + timedelta(seconds=number))
    assert describe_news(before, after, story[-1]) == news
