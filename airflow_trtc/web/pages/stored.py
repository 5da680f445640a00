"""Reads what is stored about jobs and the task instances that wait for them: SQL in, `JobLife` out.

Columns are selected, never entities, and every statement has a limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

from airflow_trtc import bounds
from airflow_trtc._compat import has_state_store
from airflow_trtc.jobs.history import CallbackFact
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, combine, from_json
from airflow_trtc.journal.keys import Rows, events_range, job_from
from airflow_trtc.journal.owners import FINAL_STATES, TaskId
from airflow_trtc.journal.plans import drive, load_all
from airflow_trtc.journal.pulse import poll_times
from airflow_trtc.web.pages import queries
from airflow_trtc.web.pages.life import Attempt, JobLife, StateChange, TaskLife, read_facts
from airflow_trtc.web.processing import database
from airflow_trtc.web.processing.folding import Overlay

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Table
    from sqlalchemy.orm import Session

# XComs that name a job: of a wait that goes on, of one that ended, of what starts one.
PROGRESS = "progress"
XCOMS = (PROGRESS, "job", "recording")
MAX_EVENTS = 500
MAX_TASKS = 50  # of one job
MAX_MAPPED = 10_000  # task instances of one run
MAX_CHANGES = 400  # of one task instance
_PASSING = ("scheduled", "queued", "running", "deferred", "up_for_reschedule", "up_for_retry", "restarting")
_STATES = FINAL_STATES.union(_PASSING)  # the audit log has other events, too


@dataclass(frozen=True, slots=True)
class Named:
    """A task instance with the job that its XComs name.

    :param values: the XComs, by their keys.
    """

    task: TaskId
    job: JobRef
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def progress(self) -> Mapping[str, Any]:
        """What the wait showed last; empty where it showed nothing."""
        return self.values.get(PROGRESS, {})

    @property
    def outcome(self) -> str | None:
        """How the wait ended; None while it goes on."""
        found = (bounds.text(self.values.get(key, {}).get("outcome"), 40) for key in XCOMS)
        return next((each for each in found if each is not None), None)


def job_named_by(key: str, value: Mapping[str, Any]) -> JobRef | None:
    """The job that the value of an XCom names; None for whatever names none."""
    if key == "recording":
        return job_from({**value, "kind": "recording", "job_id": value.get("recording_id")})
    return job_from(value)


def tasks_of_run(session: Session, dag_id: str, run_id: str, task_id: str | None = None) -> list[TaskId]:
    """The task instances of a run, or of one task in it, whose XComs name a job, in their order.

    Other packages have XComs of these names, too: ours name an application, or are JSON in a text.
    """
    from sqlalchemy import String, cast, or_

    xcom = _xcom()
    is_ours = or_(
        queries.text_of(xcom.c.value, "sdk_app_id").is_not(None), cast(xcom.c.value, String()).like('"%')
    )
    which = [xcom.c.dag_id == dag_id, xcom.c.run_id == run_id, xcom.c.key.in_(XCOMS), is_ours]
    if task_id is not None:
        which.append(xcom.c.task_id == task_id)
    ordered = _names().distinct().where(*which).order_by(xcom.c.task_id, xcom.c.map_index)
    return [TaskId(*row) for row in session.execute(ordered.limit(MAX_MAPPED))]


def run_id_of(session: Session, dag_id: str, run_id: str) -> str:
    """The run that is meant: Airflow 3.1 puts ids into addresses as they are, and a + arrives as a blank."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    runs, meant = DagRun.__table__, run_id.replace(" ", "+")
    if meant == run_id:
        return run_id
    known = select(runs.c.run_id).where(runs.c.dag_id == dag_id, runs.c.run_id.in_([run_id, meant]))
    found = set(session.scalars(known))
    return meant if meant in found and run_id not in found else run_id


def tasks_of_job(session: Session, job: JobRef, dag_ids: Collection[str], now: datetime) -> list[TaskId]:
    """Those task instances of these DAGs whose XComs name the job, the latest first.

    They are looked for in runs of the last days, and only where none is found in all that Airflow has kept.
    """
    from sqlalchemy import and_, or_

    if not dag_ids:
        return []
    xcom = _xcom()
    # By the index of keys the XComs of all runs would be read; what is computed has none.
    key = xcom.c.key + ""
    by_id = queries.text_of(xcom.c.value, "job_id") == job.job_id
    is_named = and_(key.in_((PROGRESS, "job")), by_id)
    if job.kind == "recording":
        by_recording = queries.text_of(xcom.c.value, "recording_id") == job.job_id
        is_named = or_(is_named, and_(key == "recording", by_recording))
    named = _names().where(is_named).order_by(xcom.c.timestamp.desc()).limit(MAX_TASKS * len(XCOMS))
    places = (
        xcom.c.dag_run_id.in_(queries.select_late_runs(dag_ids, now)),
        xcom.c.dag_id.in_(sorted(dag_ids)),
    )
    for place in places:
        if found := session.execute(named.where(place)).all():
            return list(dict.fromkeys(TaskId(*row) for row in found))[:MAX_TASKS]
    return []


def _names() -> Select[Any]:
    from sqlalchemy import select

    xcom = _xcom()
    return select(xcom.c.dag_id, xcom.c.run_id, xcom.c.task_id, xcom.c.map_index)


def _is_one_of(table: Table, tasks: Iterable[TaskId]) -> ColumnElement[bool]:
    """The condition that a row is of one of the tasks; for a list of tuples SQLite would read all rows."""
    from sqlalchemy import and_, or_

    numbers: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for task in tasks:
        numbers[task.dag_id, task.run_id, task.task_id].append(task.map_index)
    return or_(
        *(
            and_(
                table.c.dag_id == dag_id,
                table.c.run_id == run_id,
                table.c.task_id == task_id,
                table.c.map_index.in_(some),
            )
            for (dag_id, run_id, task_id), some in numbers.items()
        )
    )


def named_by(session: Session, tasks: Sequence[TaskId]) -> list[Named]:
    """The task instances with the jobs that their XComs name, in order, without those that name none."""
    xcom = _xcom()
    values: dict[TaskId, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for start in range(0, len(tasks), database.TASKS_PER_STATEMENT):
        some = tasks[start : start + database.TASKS_PER_STATEMENT]
        statement = _names().add_columns(xcom.c.key, xcom.c.value)
        for row in session.execute(statement.where(_is_one_of(xcom, some), xcom.c.key.in_(XCOMS))):
            task = TaskId(row.dag_id, row.run_id, row.task_id, row.map_index)
            values[task][row.key] = bounds.mapping(bounds.json_value(row.value))
    found = []
    for task in tasks:
        named = (job_named_by(key, values[task][key]) for key in XCOMS if key in values[task])
        job = next((each for each in named if each is not None), None)
        if job is not None:
            found.append(Named(task, job, values[task]))
    return found


def is_same(one: JobRef, other: JobRef) -> bool:
    """Whether both name one job; where one does not say the region, it may be any."""
    same = (one.family, one.sdk_app_id, one.job_id) == (other.family, other.sdk_app_id, other.job_id)
    return same and (one.region == other.region or None in (one.region, other.region))


def waits(session: Session, task: TaskId) -> bool:
    """Whether the task instance is one of ours that wait."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    table = TaskInstance.__table__
    names = zip((table.c.dag_id, table.c.run_id, table.c.task_id), task[:3], strict=True)
    which = [column == value for column, value in names]
    return (
        session.execute(select(table.c.task_id).where(*which, queries.is_ours()).limit(1)).first() is not None
    )


# --- jobs


def read_lives(
    session: Session, jobs: Mapping[JobRef, Sequence[Named]], now: datetime
) -> dict[JobRef, JobLife]:
    """What is known of jobs, by the XComs of the tasks that name them and by the journal."""
    states = {job: _shown_state(job, named) for job, named in jobs.items()}
    asset_id = _journal(session)
    if asset_id is not None:
        overlay = Overlay(lambda keys: database.select_keys(session, asset_id, keys))
        overlay.prefetch_jobs([key for job in jobs for key in (Rows(job).polls, Rows(job).callbacks)])
        for job in jobs:
            states[job] = combine(states[job], drive(load_all(Rows(job)), overlay))
    pulses = queries.select_journal(session, queries.PULSES)
    pages = [value for key, value in pulses.items() if "/jobs/" in key]
    return {
        job: JobLife(
            job,
            states[job],
            polled_at=poll_times(pages, job, now).last_at,
            next_poll_at=poll_times(pages, job, now).next_at,
            outcome=next((each.outcome for each in named if each.outcome), None),
        )
        for job, named in jobs.items()
    }


def read_events(session: Session, job: JobRef, now: datetime) -> tuple[CallbackFact, ...]:
    """What callbacks reported of a job one by one, the latest of them."""
    keys, asset_id = events_range(job.sdk_app_id, f"task:{job.job_id}"), _journal(session)
    if keys is None or asset_id is None:
        return ()
    rows = database.select_within(session, asset_id, keys, MAX_EVENTS, is_latest=True)
    return read_facts({key: text for key, text in rows.items() if key in keys}, job, bounds.unix_ms(now))


def _shown_state(job: JobRef, named: Iterable[Named]) -> JobState:
    state = JobState(job.job_id)
    for each in named:
        state = combine(state, from_json(each.progress, job.job_id))
    return state


def _journal(session: Session) -> int | None:
    return database.journal_asset_id(session) if has_state_store() else None


# --- task instances


def read_tasks(session: Session, tasks: Collection[TaskId], *, is_whole: bool) -> dict[TaskId, TaskLife]:
    """The task instances as they are and were.

    :param is_whole: with all their tries and changes of state.
    """
    from airflow.models.taskinstance import TaskInstance

    now = _rows_of(session, TaskInstance.__table__, tasks)
    found = {}
    for task in tasks:
        rows = now.get(task)
        if not rows:
            continue
        last = rows[0]
        attempts = [*(_earlier(session, task) if is_whole else ()), _attempt(last)]
        changes = _changes(session, task, last.id) if is_whole else ()
        latest = {attempt.number: attempt for attempt in attempts}
        found[task] = TaskLife(
            *task, last.rendered_map_index or "", tuple(latest[number] for number in sorted(latest)), changes
        )
    return found


def _rows_of(session: Session, table: Table, tasks: Collection[TaskId]) -> dict[TaskId, list[Any]]:
    from sqlalchemy import select

    names = (table.c.dag_id, table.c.run_id, table.c.task_id, table.c.map_index)
    wanted = ("state", "try_number", "scheduled_dttm", "queued_dttm", "start_date", "end_date", "operator")
    columns = [*names, *(table.c[name] for name in wanted), table.c.rendered_map_index, *_ids(table)]
    found: dict[TaskId, list[Any]] = defaultdict(list)
    ordered = sorted(tasks)
    for start in range(0, len(ordered), database.TASKS_PER_STATEMENT):
        some = ordered[start : start + database.TASKS_PER_STATEMENT]
        statement = select(*columns).where(_is_one_of(table, some)).order_by(table.c.try_number)
        for row in session.execute(statement.limit(MAX_CHANGES * len(some))):
            found[TaskId(row.dag_id, row.run_id, row.task_id, row.map_index)].append(row)
    return found


def _ids(table: Table) -> list[Any]:
    return [table.c.id] if "id" in table.c else []


def _attempt(row: Any) -> Attempt:
    state = None if row.state is None else str(row.state)
    times = (_utc(each) for each in (row.scheduled_dttm, row.queued_dttm, row.start_date, row.end_date))
    return Attempt(row.try_number or 0, state, *times)


def _earlier(session: Session, task: TaskId) -> list[Attempt]:
    from airflow.models.taskinstancehistory import TaskInstanceHistory

    return [_attempt(row) for row in _rows_of(session, TaskInstanceHistory.__table__, [task])[task]]


def _changes(session: Session, task: TaskId, ti_id: Any) -> tuple[StateChange, ...]:
    from airflow.models.log import Log
    from airflow.models.taskreschedule import TaskReschedule
    from sqlalchemy import select

    log, again = Log.__table__, TaskReschedule.__table__
    names = zip((log.c.dag_id, log.c.run_id, log.c.task_id, log.c.map_index), task, strict=True)
    which: list[ColumnElement[bool]] = [column == value for column, value in names]
    columns = (log.c.dttm, log.c.event, log.c.try_number)
    noted = select(*columns).where(*which, log.c.event.in_(_STATES)).order_by(log.c.dttm.desc())
    changes = [
        StateChange(at, row.event, row.try_number)
        for row in session.execute(noted.limit(MAX_CHANGES))
        if (at := _utc(row.dttm)) is not None
    ]
    rests = select(again.c.start_date, again.c.end_date).where(again.c.ti_id == ti_id)
    for row in session.execute(rests.order_by(again.c.id.desc()).limit(MAX_CHANGES)):
        begin, end = _utc(row.start_date), _utc(row.end_date)
        changes += [StateChange(begin, "running")] if begin is not None else []
        changes += [StateChange(end, "up_for_reschedule")] if end is not None else []
    return tuple(sorted(changes, key=lambda change: change.at))


def _utc(at: datetime | None) -> datetime | None:
    """A time as databases give it; those of SQLite have no zone where a core table is read."""
    if at is None:
        return None
    return at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)


def _xcom() -> Table:
    from airflow.models.xcom import XComModel

    return cast("Table", XComModel.__table__)
