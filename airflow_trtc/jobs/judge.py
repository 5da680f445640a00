"""The judge that the simple kinds of jobs share, and what it shares with richer ones.

Pure and total, as :mod:`airflow_trtc.recording.judge`: it reads no clock, statuses that no row names only
prolong the wait, and "not there" ends it only for a job that was seen, or that is given up as the rules say.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from airflow_trtc.jobs.history import CallbackFact
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Trouble
from airflow_trtc.jobs.problem import Problem
from airflow_trtc.jobs.problems import problems_of
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import WRONG_CLOCK, Failed, Failure, Finished, Rules, Verdict, Waiting


def verdict_of(kind: JobKind, state: JobState, rules: Rules, at: datetime) -> Verdict:
    """Say where a job stands, by its kind's own judge or by the shared one.

    :param at: the present time.
    """
    return kind.judge(state, rules, at) if kind.judge is not None else judge(kind, state, rules, at)


def judge(kind: JobKind, state: JobState, rules: Rules, at: datetime) -> Verdict:
    """Say where a job of a simple kind stands after the last poll and the last callback.

    A status that ends the job decides, whatever the polls after it met with.
    """
    if state.status in kind.ends_badly:
        reason = f"the {kind.label} failed: its status is {state.status}"
        return Failed(Failure.RECORDING, f"{reason}.\nId: {state.job_id}")
    end = (
        _judge_end(kind, state, rules, at) if kind.describe_action else _judge_reports(kind, state, rules, at)
    )
    return conclude(kind.label, state, rules, end, at)


def conclude(name: str, state: JobState, rules: Rules, end: Verdict, at: datetime) -> Verdict:
    """What follows from the end of any job: how it ended, as far as callbacks report.

    :param name: what to call the job.
    :param end: the verdict on whether it has ended; any but `Finished` stays.
    """
    if not isinstance(end, Finished):
        return end
    if state.history.facts and end.outcome in ("exited", "gone"):
        until = end.finished_at + timedelta(seconds=rules.settle_seconds)
        if at < until:
            # A poll was quicker than the callback, which says how it ended, and perhaps names more files.
            return Waiting(
                f"the {name} has ended; its callback should be on the way", until=until, asks=False
            )
    end = replace(end, problems=problems_of(state))
    if bad := [problem for problem in end.problems if problem.kind in rules.fail_on and problem.is_final]:
        return Failed(Failure.RECORDING, ended_badly(name, state, bad))
    return end


def ended_badly(name: str, state: JobState, problems: Collection[Problem]) -> str:
    """Why such a job fails its wait, and what to do, for a person to read."""
    kinds = ", ".join(dict.fromkeys(problem.kind for problem in problems))
    return (
        f"the service reports that the {name} did not end well: "
        + "; ".join(problem.message for problem in problems)
        + f". Files found: {len(state.files)}. To continue anyway, leave {kinds} out of fail_on and clear "
        f"the task; nothing is lost.\nId: {state.job_id}"
    )


def _judge_end(kind: JobKind, state: JobState, rules: Rules, at: datetime) -> Verdict:
    if (end := state.history.end) is not None:
        return _judge_reported_end(kind, state, rules, end, at)
    if state.last_seen_at is not None and state.status in kind.ends_well:
        return Finished("exited", state.files, state.last_seen_at)
    failed = state.history.failed_start
    if failed is not None and _is_believed(failed, state, rules, at):
        return _judge_reported_end(kind, state, rules, failed, at)
    verdict = judge_polls(kind.label, state, rules, kind.forgotten_after) or running(kind.label, state)
    if isinstance(verdict, Finished) and verdict.outcome == "gone" and not kind.ends_by_absence:
        reason = f"the service no longer knows the {kind.label}, of which it never said how it ended"
        return Failed(Failure.RECORDING, f"{reason}; the last status was {state.status}.\nId: {state.job_id}")
    return verdict


def _is_believed(failed: CallbackFact, state: JobState, rules: Rules, at: datetime) -> bool:
    """Whether a start that failed is the end: some kinds try again, and polls show them meanwhile."""
    return state.is_gone or at >= failed.received_at + timedelta(seconds=rules.callback_timeout_seconds)


def _judge_reported_end(
    kind: JobKind, state: JobState, rules: Rules, proof: CallbackFact, at: datetime
) -> Verdict:
    """What a callback proves, once those had time to come that it may have overtaken.

    Files and sentences may follow an end; and a relay that gets other addresses has for a moment none.
    """
    last = state.history.last_received_at or proof.received_at
    until = last + timedelta(seconds=rules.settle_seconds)
    if at < until:
        # Polls continue: should the receiver's clock be ahead, they end the wait.
        asks = bool(kind.describe_action) and not state.is_gone
        why = f"a callback reports the end of the {kind.label}; waiting for those that it may have overtaken"
        return Waiting(why, until=until, asks=asks)
    return Finished("callback", state.files, proof.received_at)


def _judge_reports(kind: JobKind, state: JobState, rules: Rules, at: datetime) -> Verdict:
    """The verdict on a job of which only callbacks report: nothing can be polled."""
    history, limit = state.history, timedelta(seconds=rules.callback_timeout_seconds)
    if (proof := history.end or history.failed_start) is not None:
        return _judge_reported_end(kind, state, rules, proof, at)
    last = history.last_received_at if history.is_passing else None
    since = last if history.facts else state.waiting_since
    if since is None:
        return Waiting(f"the {kind.label} is running, as far as callbacks report", asks=False)
    if at < since + limit:
        what = "is in between two states" if last is not None else "was not reported by any callback yet"
        return Waiting(f"the {kind.label} {what}", until=since + limit, asks=False)
    return Failed(Failure.NO_CALLBACK, _no_callback(kind.label, state, rules))


def _no_callback(name: str, state: JobState, rules: Rules) -> str:
    seen = "no further callback" if state.history.facts else "no callback at all"
    return (
        f"only callbacks report on a {name}, and {seen} came within {rules.callback_timeout_seconds:g} s.\n"
        "(1) None at all: check in the console that callbacks of this kind are on and lead to the receiver "
        "in Airflow's API server, and that the keys are equal; the API server's log names refused ones. "
        "Try it with: python -m airflow_trtc.emulator send-callback --help\n"
        f"(2) the id or the application is wrong: compare it with the answer of the call that started the "
        f"{name};\n"
        "(3) Airflow was away for more than a minute, which is how long the service tries: whether it still "
        f"runs is not known. Stop it if it should not.\nId: {state.job_id}"
    )


def running(name: str, state: JobState) -> Waiting:
    """The verdict on a job of which no end is known.

    :param name: what to call the job, e.g. ``recording``.
    """
    return Waiting(f"the {name} is {state.status}" if state.status else "not polled yet")


def judge_polls(name: str, state: JobState, rules: Rules, forgotten_after: str = "") -> Verdict | None:
    """What follows from trouble and absence alike for every kind; None if the last poll showed the job.

    :param name: what to call the job.
    :param forgotten_after: see `JobKind`.
    """
    if state.trouble is not None:
        return _judge_trouble(state, state.trouble, rules)
    if state.absent_since is not None and state.absent_at is not None:
        verdict = _judge_absence(name, state, state.absent_since, state.absent_at, rules)
        return verdict or Failed(Failure.NEVER_SEEN, _never_seen(name, state, rules, forgotten_after))
    return None


def _judge_trouble(state: JobState, trouble: Trouble, rules: Rules) -> Verdict:
    if state.was_seen and (trouble.code.startswith("Client.") or trouble.code == WRONG_CLOCK):
        # What worked before may work again: a proxy or a key store restarts, a clock is set.
        return Waiting(f"the last poll failed: {trouble.message}")
    if trouble.kind == "setup":
        return Failed(Failure.SETUP, trouble.message)
    if trouble.kind == "refused" and state.refusals >= rules.refusals:
        times = f"the service refused {state.refusals} polls in a row"
        return Failed(Failure.REFUSED, f"{times}; the last time: {trouble.message}")
    return Waiting(f"the last poll failed: {trouble.message}")


def _judge_absence(name: str, state: JobState, since: datetime, at: datetime, rules: Rules) -> Verdict | None:
    """None: it was never seen, and is given up."""
    hurry = min(rules.hurry_seconds, rules.grace_seconds)
    if state.first_seen_at is not None:
        is_fresh = (since - state.first_seen_at).total_seconds() < rules.grace_seconds
        if is_fresh and since == at and not state.exited_at:
            return Waiting("the service does not know it so soon after its first sight; polling again", hurry)
        return Finished("exited" if state.exited_at else "gone", state.files, since)
    if (at - since).total_seconds() < rules.grace_seconds:
        return Waiting(f"the service does not know the {name} (yet)", hurry * 2)
    if rules.finish_if_never_seen:
        return Finished("never_seen", state.files, at)
    if state.history.facts:
        # It exists, so the wait polls in the wrong place, or polls too late and a callback is missing.
        received_at = state.history.last_received_at or since
        if at < received_at + timedelta(seconds=rules.callback_timeout_seconds):
            return Waiting(f"callbacks report the {name}, but the service does not know it")
    return None


def _never_seen(name: str, state: JobState, rules: Rules, forgotten_after: str) -> str:
    third = f";\n(3) more than {forgotten_after} has passed since it was created" if forgotten_after else ""
    return (
        f"the service has not known this {name} for {rules.grace_seconds:g} s, and no poll ever "
        "showed it. It gives the same answer in each of these cases:\n"
        f"(1) the {name} id, the SdkAppId or the region is wrong: compare each with the call that started it "
        "and its answer;\n"
        f"(2) the {name} ended before the first poll: start waiting while it runs{third}.\n"
        f'If it may be over before the wait begins, set if_never_seen="finish" or "skip".\nId: {state.job_id}'
    )
