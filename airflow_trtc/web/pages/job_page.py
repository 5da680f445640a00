"""The page of one recording, or of one job of another kind."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from airflow_trtc import bounds
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.owners import TaskId
from airflow_trtc.web.pages import queries, shell, stored
from airflow_trtc.web.pages.access import Reader, ReaderDep
from airflow_trtc.web.pages.job_view import LONGEST_ID, job_parameters, read_job, read_view, view_of
from airflow_trtc.web.pages.life import JobLife, merge_facts
from airflow_trtc.web.pages.memory import LONGEST_SECONDS, Memory
from airflow_trtc.web.pages.stored import Named

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LIVE_SECONDS, QUIET_SECONDS = 5.0, 15.0
# The tasks of a job are looked for among many XComs.
_found = Memory(10.0, LONGEST_SECONDS)


def show(request: Request, reader: ReaderDep) -> Response:
    """Answer with the page of the job that ``kind``, ``app``, ``region`` and ``id`` name.

    ``dag_id``, ``run_id``, ``task_id`` and ``map_index`` may name a task that waits for it.
    """
    job = read_job(request.query_params)
    if job is None:
        raise HTTPException(404)
    began_at, now = time.thread_time(), datetime.now(timezone.utc)
    with queries.reading() as session:
        named, may_see_all = find_tasks(session, job, reader, now, read_task(request.query_params))
        if not named and not may_see_all:
            raise HTTPException(404)
        # What a task says is exact; an address may lack the region, and then means one of them.
        job = next((each.job for each in named if each.job.kind == job.kind and each.job.region), job)
        named = [each for each in named if stored.is_same(each.job, job)]
        life = read_life(session, job, named, now)
    if not named and not life.is_known:
        raise HTTPException(404)
    return answer(request, life, named, now, "job", job_parameters(job), began_at)


def find_tasks(
    session: Session, job: JobRef, reader: Reader, now: datetime, hint: TaskId | None
) -> tuple[list[Named], bool]:
    """The tasks that wait for a job, of those that the reader may see; and whether the reader may see all.

    :param hint: a task that may be one of them.
    """
    dag_ids = _found.get("dags", lambda: queries.find_dags(session, now))
    readable = reader.readable(dag_ids)
    tasks = _found.get((job, readable), lambda: tuple(stored.tasks_of_job(session, job, readable, now)))
    if hint is not None and hint not in tasks and reader.may_read(hint.dag_id):
        tasks = (hint, *tasks)
    named = [each for each in stored.named_by(session, tasks) if stored.is_same(each.job, job)]
    return named, readable == dag_ids and reader.may_read_assets


def read_task(query: Mapping[str, str]) -> TaskId | None:
    """The task instance that the parameters of an address name; None for none.

    Airflow leaves ``{MAP_INDEX}`` as it is for a task that is not mapped.
    """
    names = [bounds.text(query.get(name), LONGEST_ID + 1) for name in ("dag_id", "run_id", "task_id")]
    if any(name is None or len(name) > LONGEST_ID for name in names):
        return None
    dag_id, run_id, task_id = map(str, names)
    map_index = query.get("map_index", "")
    is_mapped = map_index.isascii() and map_index.isdigit() and len(map_index) < 10
    return TaskId(dag_id, run_id, task_id, int(map_index) if is_mapped else -1)


def read_life(session: Session, job: JobRef, named: Sequence[Named], now: datetime) -> JobLife:
    """All that is known of a job, with each event and with the tries of its tasks."""
    life = stored.read_lives(session, {job: named}, now)[job]
    tasks = stored.read_tasks(session, [each.task for each in named], is_whole=True)
    facts = merge_facts(life.facts, stored.read_events(session, job, now))
    return life.joined(facts, tuple(tasks[each.task] for each in named if each.task in tasks))


def answer(
    request: Request,
    life: JobLife,
    named: Sequence[Named],
    now: datetime,
    place: str,
    parameters: Mapping[str, object],
    began_at: float,
) -> Response:
    """The page, or the tab of a task, that shows a job.

    :param place: which of our pages it is.
    :param parameters: those of its own address, besides the view's.
    :param began_at: see `shell.page`.
    """
    console = next((each.progress.get("console_url") for each in named), None)
    view = view_of(life, now, read_view(request.query_params), console)
    return shell.page(
        request,
        "job.html",
        title=view.title,
        now=now,
        refresh_seconds=LIVE_SECONDS if view.is_live else QUIET_SECONDS,
        began_at=began_at,
        view=view,
        place=place,
        parameters=parameters,
        job_parameters=job_parameters(life.job),
    )
