"""The judge that the simple kinds of jobs share, and what it shares with richer ones.

Pure and total, as :mod:`airflow_trtc.recording.judge`: it reads no clock, statuses that no row names only
prolong the wait, and "not there" ends it only for a job that was seen, or that is given up as the rules say.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Trouble
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import WRONG_CLOCK, Failed, Failure, Finished, Rules, Verdict, Waiting


def verdict_of(kind: JobKind, state: JobState, rules: Rules, at: datetime) -> Verdict:
    """Say where a job stands, by its kind's own judge or by the shared one.

    :param at: the present time.
    """
    return kind.judge(state, rules, at) if kind.judge is not None else judge(kind, state, rules, at)


def judge(kind: JobKind, state: JobState, rules: Rules, at: datetime) -> Verdict:
    """Say where a job of a simple kind stands after the last poll.

    A status that ends the job decides, whatever the polls after it met with.

    :param at: the present time.
    """
    if state.last_seen_at is not None and state.status in kind.ends_well:
        return Finished("exited", state.files, state.last_seen_at)
    if state.status in kind.ends_badly:
        reason = f"the {kind.label} failed: its status is {state.status}"
        return Failed(Failure.RECORDING, f"{reason}.\nId: {state.job_id}")
    verdict = judge_polls(kind.label, state, rules, kind.forgotten_after) or running(kind.label, state)
    if isinstance(verdict, Finished) and verdict.outcome == "gone" and not kind.ends_by_absence:
        reason = f"the service no longer knows the {kind.label}, of which it never said how it ended"
        return Failed(Failure.RECORDING, f"{reason}; the last status was {state.status}.\nId: {state.job_id}")
    return verdict


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
