"""Judges what is due: emits the asset events of milestones that are reached, and keeps the index of jobs.

A milestone that is reached, that an active asset stands for, and that has no note of it yet, gets the note
and one asset event an asset, in one transaction. So its event is emitted once, when it is reached, to the
assets that DAGs refer to at that time. A DAG that comes later gets no runs for older recordings, unless a
further callback or poll is about one whose event was never emitted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_trtc import bounds
from airflow_trtc.jobs.judge import verdict_of
from airflow_trtc.jobs.problem import LINGERING
from airflow_trtc.jobs.problems import problems_of
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, combine
from airflow_trtc.jobs.verdict import MILESTONES, Failed, Failure, Finished, Outcome, Rules, Verdict, Waiting
from airflow_trtc.journal.index import (
    IndexEntry,
    Phase,
    note_key,
    note_value,
    noted_key,
    noted_kind,
    phase_of,
)
from airflow_trtc.journal.keys import (
    Rows,
    bad_key,
    done_key,
    due_key,
    due_range,
    due_value,
    job_from,
    kind_key,
)
from airflow_trtc.journal.plans import drive, load_plan
from airflow_trtc.kinds import KINDS
from airflow_trtc.recording.judge import judge
from airflow_trtc.web.processing import database, emitting, folding
from airflow_trtc.web.processing.emitting import ScheduledAssets
from airflow_trtc.web.processing.folding import Overlay, StoredRows
from airflow_trtc.web.receiving.writer import describe
from airflow_trtc.web.teams import teams_to_start

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DUE_PER_TRANSACTION = 25
MIN_WAIT = timedelta(seconds=1)
ENDS_THAT_POLLS_FIND: tuple[Outcome, ...] = ("exited", "gone")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """One request to judge a job.

    :param end: how and when a wait found that the job has ended; None when none did.
    """

    key: str
    job: JobRef
    end: tuple[Outcome, datetime] | None

    @property
    def heads(self) -> list[str]:
        """Keys of the rows that hold the job's state."""
        rows = Rows(self.job)
        return [rows.callbacks] if self.job.region is None else [rows.callbacks, rows.polls]


def read_due(rows: StoredRows) -> tuple[list[Due], dict[str, str]]:
    """Read rows, each job and region once; and what to set aside. Total."""
    due: dict[JobRef, Due] = {}
    bad: dict[str, str] = {}
    for key, text in rows.items():
        try:
            one = _read_one(key, text)
        except Exception as error:  # whatever it is, it is in this row
            log.error("Set row %r aside: %r", key, error)
            bad[bad_key(key)] = folding.bad_value(key, text, str(error))
        else:
            if one.end is not None or one.job not in due:
                due[one.job] = one
    return list(due.values()), bad


def _read_one(key: str, text: str) -> Due:
    value = bounds.mapping(json.loads(text))
    if value.get("v") != 1:
        raise ValueError("the row is not of version 1")
    job = job_from(value)
    if job is None or job.kind not in KINDS:
        raise ValueError("the row names no job")
    outcome, finished_at = value.get("outcome"), bounds.time(value.get("finished_at"))
    found_by = next((one for one in ENDS_THAT_POLLS_FIND if one == outcome), None)
    end = (found_by, finished_at) if found_by is not None and finished_at is not None else None
    return Due(key, job, end)


def emit(
    asset_id: int, now: datetime, is_passing: Callable[[BaseException], bool] = database.is_passing
) -> int | None:
    """Judge what is due; what cannot be judged is set aside.

    :param is_passing: whether an error says that the same may succeed later; it is raised.
    :return: how many rows; None when another API worker has the lock.
    """
    with database.transaction() as session:
        if database.claim(session, asset_id) is None:
            return None
        rows = database.select_within(session, asset_id, due_range(bounds.unix_ms(now)), DUE_PER_TRANSACTION)
        if not rows:
            return 0
        due, bad = read_due(rows)
        work = _start_round(session, asset_id, now, due)
        for one in due:
            mark = work.overlay.mark()
            try:
                with session.begin_nested():
                    changes = _judge(work, one)
            except Exception as error:
                if is_passing(error):
                    raise
                log.exception("Cannot judge %s; setting its row aside", one.job)
                work.overlay.undo(mark)
                bad[bad_key(one.key)] = folding.bad_value(one.key, rows[one.key], describe(error))
            else:
                work.add(changes)
        database.delete_keys(session, asset_id, [*rows, *work.total.stale])
        database.write(session, asset_id, bad | work.total.rows | work.overlay.changed)
        return len(rows)


@dataclass(slots=True)
class _Changes:
    """What comes of judging.

    :param rows: further requests to judge.
    :param notes: keys of the notes that events were emitted.
    :param stale: keys of rows of the index to delete.
    """

    rows: dict[str, str] = field(default_factory=dict)
    notes: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Round:
    """One transaction, and what has come of it so far."""

    session: Session
    asset_id: int
    now: datetime
    assets: ScheduledAssets
    overlay: Overlay
    done: set[str]
    total: _Changes = field(default_factory=_Changes)

    def add(self, changes: _Changes) -> None:
        self.done.update(changes.notes)
        self.total.rows.update(changes.rows)
        self.total.stale.update(changes.stale)
        for key in changes.stale:  # of the same job in another region, a moment before
            self.overlay.changed.pop(key, None)


def _start_round(session: Session, asset_id: int, now: datetime, due: Iterable[Due]) -> _Round:
    assets = emitting.scheduled_assets(database.active_assets(session))
    overlay = Overlay(lambda keys: database.select_keys(session, asset_id, keys))
    overlay.prefetch([key(one.job) for one in due for key in (kind_key, note_key)])
    due = [_with_kind(one, overlay) for one in due]
    overlay.prefetch_jobs([key for one in due for key in one.heads])
    notes = [done_key(one.job, milestone) for one in due for milestone in MILESTONES]
    return _Round(session, asset_id, now, assets, overlay, database.existing_keys(session, asset_id, notes))


def _with_kind(due: Due, overlay: Overlay) -> Due:
    """The same with the kind that a wait said, if one did: from a callback it may be guessed."""
    kind = noted_kind(overlay.get(kind_key(due.job)))
    said = replace(due.job, kind=kind) if kind in KINDS else due.job
    return replace(due, job=said) if said.family == due.job.family else due


def _judge(work: _Round, due: Due) -> _Changes:
    due, changes = _with_kind(due, work.overlay), _Changes()
    job = due.job
    state = JobState(job.job_id)
    for head in due.heads:
        state = combine(state, drive(load_plan(head, job.job_id), work.overlay))
    verdict = _or_found_end(verdict_of(KINDS[job.kind], state, Rules(), work.now), state, due)
    changes.stale |= _index(work.overlay, job, state, verdict, work.now)
    _judge_later(changes, job, verdict, work.now)
    for milestone, assets in work.assets.milestones(job).items():
        note = done_key(job, milestone)
        if note in work.done:
            continue
        verdict = _lenient_verdict(state, Rules(wait_for=milestone), work.now)
        if milestone == "recording":
            verdict = _or_found_end(verdict, state, due)
        _judge_later(changes, job, verdict, work.now)
        if isinstance(verdict, Finished):
            value = json.dumps({"v": 1, "at_ms": bounds.unix_ms(work.now)})
            database.write(work.session, work.asset_id, {note: value})
            extra = emitting.finished_extra(state, verdict, job, milestone)
            teams = teams_to_start(folding.connections_of(work.overlay, job.sdk_app_id))
            emitting.emit_finished(work.session, assets, emitting.finished_key(job.job_id), extra, teams)
            changes.notes.add(note)
    return changes


def _judge_later(changes: _Changes, job: JobRef, verdict: Verdict, now: datetime) -> None:
    if isinstance(verdict, Waiting) and verdict.until is not None:
        at_ms = bounds.unix_ms(max(verdict.until, now + MIN_WAIT))
        changes.rows[due_key(at_ms, job)] = json.dumps(due_value(job))


def _lenient_verdict(state: JobState, rules: Rules, now: datetime) -> Verdict:
    """On a recording, also one of a web page: no problem keeps an event back.

    But files that linger are waited for, since they usually arrive.
    """
    verdict = judge(state, replace(rules, fail_on=frozenset({LINGERING})), now)
    if isinstance(verdict, Failed) and verdict.failure is Failure.RECORDING:
        return judge(state, replace(rules, fail_on=frozenset()), now)
    return verdict


def _or_found_end(verdict: Verdict, state: JobState, due: Due) -> Verdict:
    """The end that a wait found, unless the job's end or its failure is known anyway.

    The rules of that wait were stricter or laxer than these; for its user the job has ended.
    """
    is_certain = isinstance(verdict, Finished) or _is_failed(verdict)
    if due.end is None or is_certain:
        return verdict
    return Finished(due.end[0], state.files, due.end[1], problems_of(state))


def _is_failed(verdict: Verdict) -> bool:
    return isinstance(verdict, Failed) and verdict.failure is Failure.RECORDING


def _index(overlay: Overlay, job: JobRef, state: JobState, verdict: Verdict, now: datetime) -> set[str]:
    """Move the job to its phase in the index; return keys of rows that are out of date then."""
    entry = _entry(job, state, verdict, now)
    note = overlay.get(note_key(job))
    noted = noted_key(note)
    if entry is None:
        return set()
    if noted is not None and phase_of(noted) is entry.phase and noted_kind(note) in (job.kind, None):
        return set()
    overlay.set(entry.key, entry.value)
    overlay.set(note_key(job), note_value(entry))
    stale = {noted} if noted is not None else set()
    if state.first_seen_at is not None:  # as the wait that saw it first wrote it
        stale.add(IndexEntry(job, Phase.RUNNING, state.first_seen_at).key)
    return stale - {entry.key}


def _entry(job: JobRef, state: JobState, verdict: Verdict, now: datetime) -> IndexEntry | None:
    if isinstance(verdict, Finished):
        return IndexEntry(job, Phase.ENDED, verdict.finished_at, verdict.outcome)
    if _is_failed(verdict):
        return IndexEntry(job, Phase.FAILED, state.history.last_received_at or now)
    times: list[Any] = [state.first_seen_at, state.history.first_received_at]
    began_at = min((time for time in times if time is not None), default=None)
    return None if began_at is None else IndexEntry(job, Phase.RUNNING, began_at)
