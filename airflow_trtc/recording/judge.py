"""Where a recording stands: its state in, waiting, finished or failed out.

The rules of this file:

* Pure and total. It reads no clock: what has to last (a grace period, a settle time) is measured
  between answers, so an outage of the service ends no wait. Only what callbacks leave open is measured
  up to the time that the caller gives.
* Only a recording that was seen and is now not there, that answered ``Exited`` and had time to list its
  last files, or whose callbacks prove its end, has finished. Right after its first sight "not there" has
  to be said twice. Undocumented statuses, codes and answers only prolong the wait.
* ``Exited`` means "is exiting"; it lasts milliseconds and is usually never seen.
* What is made after the end (the upload, an mp4, a file in VOD) only callbacks report.

Vendor facts: On-Cloud Recording, trtc.io/document/45169, DescribeCloudRecording,
trtc.io/document/46958, and Cloud Recording Webhooks, trtc.io/document/54914, all as of 2026.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from airflow_trtc.jobs.events import ABOUT_FILES, LEFT
from airflow_trtc.jobs.judge import conclude, ended_badly, judge_polls, running
from airflow_trtc.jobs.problem import LINGERING, NO_CALLBACK, Problem
from airflow_trtc.jobs.state import EXITED, JobState
from airflow_trtc.jobs.verdict import Failed, Failure, Finished, Rules, Verdict, Waiting
from airflow_trtc.recording.milestones import Output, output

FORGOTTEN_AFTER = "its ResourceExpiredHour (72 hours unless set at the start)"


def judge(state: JobState, rules: Rules, at: datetime) -> Verdict:
    """Say where the recording stands after the last poll and the last callback.

    :param at: the present time; matters only for what is waited for without polling.
    """
    end = conclude("recording", state, rules, _judge_end(state, rules, at), at)
    if rules.wait_for == "recording" or not isinstance(end, Finished):
        return end
    return _judge_output(state, rules, end, at)


def _judge_end(state: JobState, rules: Rules, at: datetime) -> Verdict:
    if (proof := state.history.end or state.history.failed_start) is not None:
        return _judge_proven_end(state, rules, proof.received_at, at)
    if (verdict := judge_polls("recording", state, rules, FORGOTTEN_AFTER)) is not None:
        return verdict
    if state.exited_at is not None and state.last_seen_at is not None:
        return _judge_exit(state, state.exited_at, state.last_seen_at, rules)
    return running("recording", state)


def _judge_proven_end(state: JobState, rules: Rules, reported_at: datetime, at: datetime) -> Verdict:
    until = reported_at + timedelta(seconds=rules.order_seconds)
    if at < until and not state.is_gone:
        # Polls continue: should the receiver's clock be ahead, they end the wait.
        return Waiting(
            "a callback reports the end; waiting for those that it may have overtaken", until=until
        )
    return Finished("callback", state.files, reported_at)


def _judge_output(state: JobState, rules: Rules, end: Finished, at: datetime) -> Verdict:
    made = output(state, rules)
    lingering = [problem for problem in end.problems if problem.kind == LINGERING]
    if made.complete_at is not None and (not lingering or LINGERING not in rules.fail_on):
        if at >= made.complete_at:
            return replace(end, finished_at=made.reported_at or end.finished_at)
        return Waiting(made.state, until=made.complete_at, asks=False)
    last = max([end.finished_at, state.history.last_received_at or end.finished_at])
    until = last + timedelta(seconds=rules.callback_timeout_seconds)
    if at < until:
        progress = "; ".join([made.state, *(problem.message for problem in lingering)])
        return Waiting(f"the recording has ended; {progress}", until=until, asks=False)
    if lingering and LINGERING in rules.fail_on:
        return Failed(Failure.RECORDING, ended_badly("recording", state, lingering))
    is_empty = seems_empty(state)
    missing = _empty(state, rules) if is_empty else _no_callback(state, rules, made)
    if rules.finish_if_no_callback or (is_empty and rules.finish_if_empty):
        return replace(end, finished_at=until, problems=(*end.problems, Problem(NO_CALLBACK, missing)))
    return Failed(Failure.EMPTY if is_empty else Failure.NO_CALLBACK, missing)


def seems_empty(state: JobState) -> bool:
    """Whether callbacks report the recorder's leaving, and nothing at all speaks of a file."""
    end, types = state.history.end, {fact.type for fact in state.history.facts}
    return end is not None and end.type == LEFT and not state.files and not types & ABOUT_FILES


def _empty(state: JobState, rules: Rules) -> str:
    return (
        f'waited for "{rules.wait_for}", but nothing seems to have been recorded: the recorder left, and '
        "neither a poll nor a callback named a file or an upload within "
        f"{rules.callback_timeout_seconds:g} s. {_received(state)}\n"
        "(1) Nobody published in the room, or nobody to whom the recording subscribes "
        "(SubscribeStreamUserIds): such a recording has no files. To continue without them, set "
        'if_no_callback="finish_if_empty" or "skip_if_empty";\n'
        "(2) people did publish: then callbacks were lost. The service tries each for a minute; the API "
        f"server's log names refused ones.\nId: {state.job_id}"
    )


def _received(state: JobState) -> str:
    types = ", ".join(str(fact.type) for fact in state.history.facts) or "none"
    return f"Callbacks received for this recording: {types}."


def _no_callback(state: JobState, rules: Rules, made: Output) -> str:
    return (
        f'waited for "{rules.wait_for}", and no callback completed it within '
        f"{rules.callback_timeout_seconds:g} s of the end or of the last callback: {made.state}. "
        f"{_received(state)}\n"
        "(1) None at all: check the callback address in the console (recording callback of the "
        "application), that the service reaches it, and that the keys are equal; the API server's log "
        "names refused ones. Try it with: python -m airflow_trtc.emulator send-callback --help\n"
        "(2) Some: Airflow may have been away for more than a minute, which is how long the service tries; "
        "or the recording makes no such files: wait_for does not fit its StorageParams and OutputFormat, or "
        "no user published in the room;\n"
        "(3) the service takes longer: raise callback_timeout, and clear the task.\n"
        'To continue with the files found, set if_no_callback="finish" or "skip".\n'
        f"Id: {state.job_id}"
    )


def _judge_exit(state: JobState, exited_at: datetime, last_seen_at: datetime, rules: Rules) -> Verdict:
    if (last_seen_at - exited_at).total_seconds() >= rules.settle_seconds:
        return Finished("exited", state.files, exited_at)
    return Waiting(f"the recording is {EXITED}; waiting for its last files", rules.hurry_seconds)
