"""The tabs ``TRTC`` of task instances and of runs in Airflow's UI."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.owners import TaskId
from airflow_trtc.web.pages import job_page, queries, shell, stored
from airflow_trtc.web.pages.access import Reader, ReaderDep
from airflow_trtc.web.pages.job_view import MAX_LINES, run_view_of
from airflow_trtc.web.pages.stored import Named

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TITLE = "TRTC"
NOT_OURS = "This task does not wait for a recording."
NOTHING_YET = "The wait has shown nothing yet: it has not begun, or has not polled for the first time."
NO_JOBS = "No task of this run waits for a recording."


def show_task(request: Request, reader: ReaderDep) -> Response:
    """Answer with the tab of the task instance: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``."""
    task = _asked(request.query_params, reader)
    began_at, now = time.thread_time(), datetime.now(timezone.utc)
    with queries.reading() as session:
        task = task._replace(run_id=stored.run_id_of(session, task.dag_id, task.run_id))
        named = stored.named_by(session, [task])
        if named:
            life = job_page.read_life(session, named[0].job, named[:1], now)
            return job_page.answer(request, life, named[:1], now, "task", task._asdict(), began_at)
        if task.map_index < 0:  # perhaps all instances of a mapped task
            mapped = stored.tasks_of_run(session, task.dag_id, task.run_id, task.task_id)
            named = stored.named_by(session, mapped[:MAX_LINES])
            if named:
                return _answer_run(request, session, named, len(mapped), now, began_at)
        waits = stored.waits(session, task)
    return _nothing(request, NOTHING_YET if waits else NOT_OURS, is_live=waits)


def show_run(request: Request, reader: ReaderDep) -> Response:
    """Answer with the tab of the run that ``dag_id`` and ``run_id`` name."""
    # What does not matter for a run is any task.
    run = _asked({**request.query_params, "task_id": "-"}, reader)
    began_at, now = time.thread_time(), datetime.now(timezone.utc)
    with queries.reading() as session:
        run_id = stored.run_id_of(session, run.dag_id, run.run_id)
        tasks = stored.tasks_of_run(session, run.dag_id, run_id)
        named = stored.named_by(session, tasks[:MAX_LINES])
        if named:
            return _answer_run(request, session, named, len(tasks), now, began_at)
    return _nothing(request, NO_JOBS, is_live=True)


def _asked(query: Mapping[str, str], reader: Reader) -> TaskId:
    task = job_page.read_task(query)
    if task is None or not reader.may_read(task.dag_id):
        raise HTTPException(404)
    return task


def _answer_run(
    request: Request,
    session: Session,
    named: Sequence[Named],
    number: int,
    now: datetime,
    began_at: float,
) -> Response:
    of_job: dict[JobRef, list[Named]] = {}
    for each in named:
        of_job.setdefault(each.job, []).append(each)
    lives = stored.read_lives(session, of_job, now)
    known = stored.read_tasks(session, [each.task for each in named], is_whole=False)
    pairs = [
        (known[each.task], lives[each.job].joined((), (known[each.task],)))
        for each in named
        if each.task in known
    ]
    view = run_view_of(pairs, max(0, number - MAX_LINES), now)
    seconds = job_page.LIVE_SECONDS if view.is_live else job_page.QUIET_SECONDS
    dag_id = named[0].task.dag_id
    return shell.page(
        request,
        "run.html",
        title=TITLE,
        now=now,
        refresh_seconds=seconds,
        began_at=began_at,
        view=view,
        dag_id=dag_id,
    )


def _nothing(request: Request, text: str, *, is_live: bool) -> Response:
    seconds = job_page.QUIET_SECONDS if is_live else None
    return shell.page(request, "nothing.html", title=TITLE, refresh_seconds=seconds, text=text)
