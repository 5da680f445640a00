"""Where a recording stands: what is known of it in, waiting, finished or failed out.

The rules of this file:

* Pure and total. It reads no clock: what has to last (a grace period, a settle time) is measured
  between answers, so an outage of the service ends no wait.
* Only a recording that was seen and is now not there, or that told ``Exited`` and had time to list its
  last files, has finished. Right after its first sight "not there" has to be said twice. Statuses, codes
  and answers that nobody has documented only prolong the wait.
* ``Exited`` means "is exiting"; it lasts milliseconds and is usually never seen.

Vendor facts: On-Cloud Recording, trtc.io/document/45169, and DescribeCloudRecording,
trtc.io/document/46958, both as of 2026.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal

from airflow_trtc.errors import (
    TrtcError,
    TrtcSetupError,
    TrtcThrottledError,
    TrtcTransientError,
)
from airflow_trtc.recording.known import EXITED, Known
from airflow_trtc.recording.model import Absence, Observation, RecordedFile, Trouble

GONE_CODES = ("ResourceNotFound", "FailedOperation.TaskNotExist", "FailedOperation.TaskFinished")

Outcome = Literal["exited", "gone", "never_seen"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user decides about a wait.

    :param finish_if_never_seen: a recording that no look ever showed counts as finished, without files.
    :param grace_seconds: how long the service has to go on answering "not there" for a recording that
        was never seen, before that is believed: it may have been created just now.
    :param settle_seconds: how long to go on asking after ``Exited``, so that the last files are listed.
    :param hurry_seconds: pause between looks while one of these two is running.
    :param refusals: how many refused looks in a row fail the wait.
    """

    finish_if_never_seen: bool = False
    grace_seconds: float = 30.0
    settle_seconds: float = 10.0
    hurry_seconds: float = 2.0
    refusals: int = 3


class Failure(Enum):
    """Why a wait failed."""

    NEVER_SEEN = "never_seen"
    SETUP = "setup"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Go on.

    :param hurry_seconds: ask again after this many seconds; None leaves it to the waiter's own interval.
    """

    reason: str
    hurry_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The recording has ended; these are all files that any look listed."""

    outcome: Outcome
    files: tuple[RecordedFile, ...]
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The wait cannot succeed; `reason` says why and what to do, for a person to read."""

    failure: Failure
    reason: str


Verdict = Waiting | Finished | Failed


def judge(known: Known, rules: Rules = Rules()) -> Verdict:
    """Say where the recording stands after the last look."""
    if known.trouble is not None:
        return _judge_trouble(known, known.trouble, rules)
    if known.absent_since is not None and known.absent_at is not None:
        return _judge_absence(known, known.absent_since, known.absent_at, rules)
    if known.exited_at is not None and known.last_seen_at is not None:
        return _judge_exit(known, known.exited_at, known.last_seen_at, rules)
    return Waiting(f"the recording is {known.status}" if known.status else "nobody has looked yet")


def _judge_trouble(known: Known, trouble: Trouble, rules: Rules) -> Verdict:
    if known.was_seen and trouble.code.startswith("Client."):
        # Not the service said so. What worked before may work again: a proxy or a key store restarts.
        return Waiting(f"nothing learnt: {trouble.message}")
    if trouble.kind == "setup":
        return Failed(Failure.SETUP, trouble.message)
    if trouble.kind == "refused" and known.refusals >= rules.refusals:
        times = f"the service refused {known.refusals} looks in a row"
        return Failed(Failure.REFUSED, f"{times}; the last time: {trouble.message}")
    return Waiting(f"nothing learnt: {trouble.message}")


def _judge_absence(known: Known, since: datetime, at: datetime, rules: Rules) -> Verdict:
    hurry = min(rules.hurry_seconds, rules.grace_seconds)
    if known.first_seen_at is not None:
        fresh = (since - known.first_seen_at).total_seconds() < rules.grace_seconds
        if fresh and since == at and not known.exited_at:
            return Waiting("the service does not know it so soon; asking once more", hurry)
        return Finished("exited" if known.exited_at else "gone", known.files, since)
    if (at - since).total_seconds() < rules.grace_seconds:
        return Waiting("the service does not know the recording (yet)", hurry * 2)
    if rules.finish_if_never_seen:
        return Finished("never_seen", known.files, at)
    return Failed(Failure.NEVER_SEEN, _never_seen(known, rules))


def _never_seen(known: Known, rules: Rules) -> str:
    return (
        f"the service has not known this recording for {rules.grace_seconds:g} s, and no look ever "
        "showed it. It gives the same answer in each of these cases:\n"
        "(1) the recording id, the SdkAppId or the region is wrong: compare each with the "
        "CreateCloudRecording call and its answer;\n"
        "(2) the recording ended before the first look: start waiting while it runs;\n"
        "(3) more than its ResourceExpiredHour (72 hours unless set at the start) has passed since it was "
        "created.\n"
        'If recordings may be over before the wait begins, set if_never_seen="finish" or "skip".\n'
        f"Recording: {known.recording_id}"
    )


def _judge_exit(known: Known, exited_at: datetime, last_seen_at: datetime, rules: Rules) -> Verdict:
    if (last_seen_at - exited_at).total_seconds() >= rules.settle_seconds:
        return Finished("exited", known.files, exited_at)
    return Waiting(f"the recording told {EXITED}; waiting for its last files", rules.hurry_seconds)


def interpret(error: TrtcError, gone_codes: Collection[str] = GONE_CODES) -> Absence | Trouble:
    """Say what a failed look tells of the recording.

    A code of ours (``Client.…``) tells of the way to the service; an HTTP status that the service never
    sends, for one, may come from a proxy, so it does not count as a wrong set-up at once.

    :param gone_codes: the codes that mean "not there", each also with anything after a further dot.
    """
    code = error.code or type(error).__name__
    if isinstance(error, TrtcTransientError | TrtcThrottledError):
        return Trouble("passing", code, str(error), error.request_id)
    if any(code == gone or code.startswith(f"{gone}.") for gone in gone_codes):
        return Absence(code, error.request_id)
    is_setup = isinstance(error, TrtcSetupError) and not code.startswith("Client.Http")
    kind: Literal["setup", "refused"] = "setup" if is_setup else "refused"
    return Trouble(kind, code, str(error), error.request_id)


def describe_news(before: Known, after: Known, observation: Observation) -> list[str]:
    """What a look changed, a sentence each, for the log; empty when all is as it was."""
    news = []
    if after.status != before.status:
        news.append(f"status {before.status or 'unknown'} -> {after.status}")
    known_names = {file.file_name for file in before.files}
    news += [f"new file {file.file_name}" for file in after.files if file.file_name not in known_names]
    if after.is_gone and not before.is_gone and isinstance(observation, Absence):
        news.append(
            f"the service no longer knows it ({observation.code})"
            if after.was_seen
            else f"the service does not know it ({observation.code})"
        )
    if after.trouble and (before.trouble is None or after.trouble.code != before.trouble.code):
        news.append(f"no answer of use: {after.trouble.message}")
    if before.trouble and after.trouble is None:
        news.append("the service answers again")
    return news
