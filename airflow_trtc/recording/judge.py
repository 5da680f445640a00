"""Where a recording stands: what is known of it in, waiting, finished or failed out.

The rules of this file:

* Pure and total. It reads no clock: what has to last (a grace period, a settle time) is measured
  between answers, so an outage of the service ends no wait. Only what callbacks leave open is measured
  up to the time that the caller gives.
* Only a recording that was seen and is now not there, that told ``Exited`` and had time to list its
  last files, or whose callbacks tell its end, has finished. Right after its first sight "not there" has
  to be said twice. Statuses, codes and answers that nobody has documented only prolong the wait.
* ``Exited`` means "is exiting"; it lasts milliseconds and is usually never seen.
* What is made after the end (the upload, an mp4, a file in VOD) only callbacks can tell.

Vendor facts: On-Cloud Recording, trtc.io/document/45169, DescribeCloudRecording,
trtc.io/document/46958, and Cloud Recording Webhooks, trtc.io/document/54914, all as of 2026.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from airflow_trtc.jobs.observation import Trouble
from airflow_trtc.jobs.problem import LINGERING, NO_CALLBACK, Problem
from airflow_trtc.jobs.state import EXITED, JobState
from airflow_trtc.jobs.verdict import (
    WRONG_CLOCK,
    Failed,
    Failure,
    Finished,
    Rules,
    Verdict,
    Waiting,
)
from airflow_trtc.recording.milestones import Output, output
from airflow_trtc.recording.problems import problems_of


def judge(known: JobState, rules: Rules, at: datetime) -> Verdict:
    """Say where the recording stands after the last look and the last callback.

    :param at: the present time; matters only for what is waited for without asking.
    """
    end = _judge_end(known, rules, at)
    if not isinstance(end, Finished):
        return end
    if known.history.facts and end.outcome in ("exited", "gone"):
        until = end.finished_at + timedelta(seconds=rules.settle_seconds)
        if at < until:
            # A look was quicker than the callback, which tells how it ended, and perhaps of more files.
            return Waiting("it has ended; its callback should be on the way", until=until, asks=False)
    end = replace(end, problems=problems_of(known))
    if bad := [problem for problem in end.problems if problem.kind in rules.fail_on and problem.is_final]:
        return Failed(Failure.RECORDING, _ended_badly(known, bad))
    return end if rules.wait_for == "recording" else _judge_output(known, rules, end, at)


def _judge_end(known: JobState, rules: Rules, at: datetime) -> Verdict:
    if (told := known.history.end or known.history.failed_start) is not None:
        return _judge_told_end(known, rules, told.received_at, at)
    if known.trouble is not None:
        return _judge_trouble(known, known.trouble, rules)
    if known.absent_since is not None and known.absent_at is not None:
        return _judge_absence(known, known.absent_since, known.absent_at, rules)
    if known.exited_at is not None and known.last_seen_at is not None:
        return _judge_exit(known, known.exited_at, known.last_seen_at, rules)
    return Waiting(f"the recording is {known.status}" if known.status else "nobody has looked yet")


def _judge_told_end(known: JobState, rules: Rules, told_at: datetime, at: datetime) -> Verdict:
    until = told_at + timedelta(seconds=rules.order_seconds)
    if at < until and not known.is_gone:
        # PollSubscription go on: should the receiver's clock be ahead, they end the wait.
        return Waiting("a callback told the end; waiting for those that it may have overtaken", until=until)
    return Finished("callback", known.files, told_at)


def _judge_output(known: JobState, rules: Rules, end: Finished, at: datetime) -> Verdict:
    made = output(known, rules.wait_for, rules.settle_seconds)
    lingering = [problem for problem in end.problems if problem.kind == LINGERING]
    if made.complete_at is not None and (not lingering or LINGERING not in rules.fail_on):
        if at >= made.complete_at:
            return replace(end, finished_at=made.told_at or end.finished_at)
        return Waiting(made.state, until=made.complete_at, asks=False)
    last = max([end.finished_at, known.history.last_received_at or end.finished_at])
    until = last + timedelta(seconds=rules.callback_timeout_seconds)
    if at < until:
        state = "; ".join([made.state, *(problem.message for problem in lingering)])
        return Waiting(f"the recording has ended; {state}", until=until, asks=False)
    if lingering and LINGERING in rules.fail_on:
        return Failed(Failure.RECORDING, _ended_badly(known, lingering))
    missing = _no_callback(known, rules, made)
    if rules.finish_if_no_callback:
        return replace(end, finished_at=until, problems=(*end.problems, Problem(NO_CALLBACK, missing)))
    return Failed(Failure.NO_CALLBACK, missing)


def _ended_badly(known: JobState, problems: Collection[Problem]) -> str:
    kinds = ", ".join(dict.fromkeys(problem.kind for problem in problems))
    return (
        "the service reports that the recording did not end well: "
        + "; ".join(problem.message for problem in problems)
        + f". Files known: {len(known.files)}. To go on all the same, leave {kinds} out of fail_on and clear "
        f"the task; nothing is lost.\nRecording: {known.recording_id}"
    )


def _no_callback(known: JobState, rules: Rules, made: Output) -> str:
    heard = ", ".join(str(sign.type) for sign in known.history.facts) or "none"
    return (
        f'waited for "{rules.wait_for}", and no callback completed it within '
        f"{rules.callback_timeout_seconds:g} s of the end or of the last callback: {made.state}. "
        f"Callbacks received for this recording: {heard}.\n"
        "(1) None at all: check the callback address in the console (recording callback of the "
        "application), that the service reaches it, and that the keys are equal; the API server's log "
        "names refused ones. Try it with: python -m airflow_trtc.emulator send-callback --help\n"
        "(2) Some: Airflow may have been away for more than a minute, which is how long the service tries; "
        "or the recording makes nothing of this kind: compare wait_for with its StorageParams and "
        "OutputFormat;\n"
        "(3) the service takes longer: raise callback_timeout, and clear the task.\n"
        'To go on with what there is, set if_no_callback="finish" or "skip".\n'
        f"Recording: {known.recording_id}"
    )


def _judge_trouble(known: JobState, trouble: Trouble, rules: Rules) -> Verdict:
    if known.was_seen and (trouble.code.startswith("Client.") or trouble.code == WRONG_CLOCK):
        # What worked before may work again: a proxy or a key store restarts, a clock is set.
        return Waiting(f"nothing learnt: {trouble.message}")
    if trouble.kind == "setup":
        return Failed(Failure.SETUP, trouble.message)
    if trouble.kind == "refused" and known.refusals >= rules.refusals:
        times = f"the service refused {known.refusals} looks in a row"
        return Failed(Failure.REFUSED, f"{times}; the last time: {trouble.message}")
    return Waiting(f"nothing learnt: {trouble.message}")


def _judge_absence(known: JobState, since: datetime, at: datetime, rules: Rules) -> Verdict:
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
    if known.history.facts:
        # It exists, so the wait asks in the wrong place, or asks too late and a callback is missing.
        heard_at = known.history.last_received_at or since
        if at < heard_at + timedelta(seconds=rules.callback_timeout_seconds):
            return Waiting("callbacks tell of the recording, but the service does not know it")
    return Failed(Failure.NEVER_SEEN, _never_seen(known, rules))


def _never_seen(known: JobState, rules: Rules) -> str:
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


def _judge_exit(known: JobState, exited_at: datetime, last_seen_at: datetime, rules: Rules) -> Verdict:
    if (last_seen_at - exited_at).total_seconds() >= rules.settle_seconds:
        return Finished("exited", known.files, exited_at)
    return Waiting(f"the recording told {EXITED}; waiting for its last files", rules.hurry_seconds)
