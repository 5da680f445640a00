"""Where a wait stands, and what its user decides about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal, TypeAlias, get_args

from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.callback import Callback
from airflow_trtc.jobs.events import row
from airflow_trtc.jobs.observation import Absence, Observation, RecordedFile, Trouble
from airflow_trtc.jobs.problem import FAIL_ON, NO_CALLBACK, Problem
from airflow_trtc.jobs.state import JobState

ABSENT_CODES = ("ResourceNotFound", "FailedOperation.TaskNotExist", "FailedOperation.TaskFinished")
WRONG_CLOCK = "AuthFailure.SignatureExpire"
Outcome: TypeAlias = Literal["exited", "gone", "callback", "never_seen"]
WaitFor: TypeAlias = Literal["recording", "upload", "mp4", "vod"]
MILESTONES: tuple[WaitFor, ...] = get_args(WaitFor)
CALLBACK_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user decides about a wait.

    :param finish_if_never_seen: a job that no poll ever showed counts as finished, without files.
    :param grace_seconds: how long the service has to go on answering "not there" for a job that was never
        seen, before that is believed: it may be that new.
    :param settle_seconds: how long to keep polling after ``Exited``, so that the last files are listed.
    :param hurry_seconds: seconds between polls while one of these two is running.
    :param refusals: how many refused polls in a row fail the wait.
    :param wait_for: ``recording``, its end; or what is made of it: ``upload``, the index files are in the
        bucket; ``mp4``, the conversions (aac too); ``vod``, the files are in VOD.
    :param fail_on: the kinds of problems that fail the wait, see `Problem`.
    :param order_seconds: callbacks overtake one another: how long, after one that proves the end, to
        wait for those that it overtook.
    :param callback_timeout_seconds: how long, after the end and after each callback, to wait for the one
        that completes what is waited for.
    :param finish_if_no_callback: when it does not come, finish with what there is.
    :param finish_if_empty: the same, but only if nothing was recorded, as far as polls and callbacks show.
    """

    finish_if_never_seen: bool = False
    grace_seconds: float = 30.0
    settle_seconds: float = 10.0
    hurry_seconds: float = 2.0
    refusals: int = 3
    wait_for: WaitFor = "recording"
    fail_on: Collection[str] = FAIL_ON
    order_seconds: float = 2.0
    callback_timeout_seconds: float = CALLBACK_TIMEOUT_SECONDS
    finish_if_no_callback: bool = False
    finish_if_empty: bool = False


class Failure(Enum):
    """Why a wait failed.

    `RECORDING` stands for any job that did not end well, `EMPTY` for a missing callback about the files of a
    recording that seems to have none.
    """

    NEVER_SEEN = "never_seen"
    SETUP = "setup"
    REFUSED = "refused"
    RECORDING = "recording"
    NO_CALLBACK = "no_callback"
    EMPTY = "empty"

    @property
    def is_missing_callback(self) -> bool:
        """Whether the wait ends because a callback did not come."""
        return self in (Failure.NO_CALLBACK, Failure.EMPTY)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The wait continues.

    :param hurry_seconds: ask again after this many seconds; None leaves it to the waiter's own interval.
    :param until: judge again then, even if nothing has come until then; None for no such time.
    :param asks: can a poll still show anything?
    """

    reason: str
    hurry_seconds: float | None = None
    until: datetime | None = None
    asks: bool = True


@dataclass(frozen=True, slots=True)
class Finished:
    """What was waited for is there; these are all files that any poll or callback showed.

    :param outcome: ``exited``, an answer showed the end; ``gone``, the job was seen, and then the service
        knew it no more; ``callback``, a callback proved the end; ``never_seen``, no poll ever showed it.
    :param finished_at: when that was noticed.
    :param problems: what went wrong, as far as callbacks reported.
    """

    outcome: Outcome
    files: tuple[RecordedFile, ...]
    finished_at: datetime
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """The wait cannot succeed; `reason` says why and what to do, for a person to read."""

    failure: Failure
    reason: str


Verdict: TypeAlias = Waiting | Finished | Failed


def misses_callback(verdict: Verdict) -> bool:
    """Whether the wait ends because a callback did not come."""
    match verdict:
        case Failed(failure=failure):
            return failure.is_missing_callback
        case Finished(problems=problems):
            return any(problem.kind == NO_CALLBACK for problem in problems)
    return False


def interpret(error: TrtcError, absent_codes: Collection[str] = ABSENT_CODES) -> Absence | Trouble:
    """Say what a failed poll means for the job.

    A code of ours (``Client.…``) is about the way to the service; an HTTP status that the service never
    sends, for one, may come from a proxy, so it does not count as a wrong set-up at once.

    :param absent_codes: the codes that mean "not there", each also with anything after a further dot.
    """
    code = error.code or type(error).__name__
    if isinstance(error, TrtcTransientError | TrtcThrottledError):
        return Trouble("passing", code, str(error), error.request_id)
    if is_absent(code, absent_codes):
        return Absence(code, error.request_id)
    is_setup = isinstance(error, TrtcSetupError) and not code.startswith("Client.Http")
    kind: Literal["setup", "refused"] = "setup" if is_setup else "refused"
    return Trouble(kind, code, str(error), error.request_id)


def is_absent(code: str | None, absent_codes: Collection[str] = ABSENT_CODES) -> bool:
    """Whether an error code means "not there": it is one of these, or continues one after a dot."""
    return code is not None and any(code == gone or code.startswith(f"{gone}.") for gone in absent_codes)


def describe_news(before: JobState, after: JobState, observation: Observation) -> list[str]:
    """What a poll or a callback changed, a line each for the log; empty when all is as it was."""
    news = []
    # Of thousands of sentences each line would be the same; what was said is for no log.
    is_record = isinstance(observation, Callback) and row(observation.type).record is not None
    if isinstance(observation, Callback) and after != before and not is_record:
        news.append(_describe_callback(before, after, observation))
    if after.status != before.status:
        news.append(
            f"status {before.status} -> {after.status}" if before.status else f"status {after.status}"
        )
    known_names = {file.file_name for file in before.files}
    news += [f"new file {file.file_name}" for file in after.files if file.file_name not in known_names]
    if after.records.left_out and not before.records.left_out:
        news.append(f"{len(after.records.kept)} records are kept; further ones are only counted")
    if after.is_gone and not before.is_gone and isinstance(observation, Absence):
        verb = "no longer knows" if after.was_seen else "does not know"
        news.append(f"the service {verb} it ({observation.code})")
    if after.trouble and (before.trouble is None or after.trouble.code != before.trouble.code):
        news.append(f"polling failed: {after.trouble.message}")
    if before.trouble and after.trouble is None:
        news.append("the service answers again")
    return news


def _describe_callback(before: JobState, after: JobState, callback: Callback) -> str:
    event = row(callback.type)
    new = [fact for fact in after.history.facts if fact not in before.history.facts]
    code = new[0].code if new else None
    meaning = "" if code is None else f": {event.codes.get(code, 'undocumented code')}"
    return f"{event.name or 'undocumented event'}{meaning} (callback {event.label(code)})"
