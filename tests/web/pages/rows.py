"""Waits in Airflow's database as the pages find them: rows of tables, inserted in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.keys import JOURNAL_NAME, JOURNAL_URI
from airflow_trtc.waiting.progress import ShownWait, progress

APP = 1400000001
NOW = datetime.now(timezone.utc).replace(microsecond=0)
SENSOR = "TrtcRecordingSensor"
PER_STATEMENT = 5_000
OF_RUNS = ("dag_run", "task_instance", "xcom")


def shown(job_id: str, *, kind: str = "recording", files: int = 0, **more: Any) -> dict[str, Any]:
    """The XCom ``progress`` of a recording that runs; `more` are keys to set."""
    job = JobRef(kind, more.pop("sdk_app_id", APP), "ap-guangzhou", job_id)
    names = (RecordedFile(f"{job_id}-{number}.m3u8", f"user{number}") for number in range(files))
    state = JobState(job_id, tuple(names), status="InProgress", first_seen_at=NOW)
    return {**progress(state, job, ShownWait(try_number=1)), **more}


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A task instance, and its progress; the run is its own unless it is named."""

    dag_id: str
    task_id: str = "wait"
    run_id: str = "manual__2026-01-21T10:00:00+00:00"
    map_index: int = -1
    state: str | None = "deferred"
    operator: str = SENSOR
    began: timedelta = timedelta(minutes=-10)
    ended: timedelta | None = None
    due: timedelta | None = None
    value: Any = field(default=None)


def insert(
    waits: Sequence[Wait], inlets: Iterable[tuple[str, str]] = (), *, has_dags: bool = False, first: int = 1
) -> None:
    """Insert task instances with their DAGs, runs and progress; and tasks that have the journal as inlet.

    :param has_dags: Airflow knows the DAGs and the journal already: only runs of them are inserted.
    :param first: the lowest number of runs and task instances that is still free.
    """
    from airflow.utils.session import create_session

    inlets = sorted(inlets)
    with create_session() as session:
        for table, rows in _rows(waits, inlets, first):
            if has_dags and table.name not in OF_RUNS:
                continue
            known = [{name: value for name, value in row.items() if name in table.c} for row in rows]
            for start in range(0, len(known), PER_STATEMENT):
                session.execute(table.insert(), known[start : start + PER_STATEMENT])


def _rows(
    waits: Sequence[Wait], inlets: Sequence[tuple[str, str]], first: int
) -> list[tuple[Any, list[dict[str, Any]]]]:
    tables = _tables()
    dags = sorted({wait.dag_id for wait in waits} | {dag_id for dag_id, _ in inlets})
    numbers: dict[tuple[str, str], int] = {}
    for wait in waits:
        numbers.setdefault((wait.dag_id, wait.run_id), len(numbers) + first)
    runs = {numbers[wait.dag_id, wait.run_id]: wait for wait in waits}
    asset = {"id": 1, "name": JOURNAL_NAME, "uri": JOURNAL_URI, "group": "asset", "extra": {}}
    return [
        (tables["dag_bundle"], [{"name": "pages", "active": True}]),
        (tables["dag"], [_dag(dag_id) for dag_id in dags]),
        (tables["asset"], [asset]),
        (tables["asset_active"], [{"name": JOURNAL_NAME, "uri": JOURNAL_URI}]),
        (tables["task_inlet_asset_reference"], [_inlet(*each) for each in inlets]),
        (tables["dag_run"], [_run(number, wait) for number, wait in runs.items()]),
        (tables["task_instance"], [_task(number, wait) for number, wait in enumerate(waits, first)]),
        (tables["xcom"], [_xcom(numbers, wait) for wait in waits if wait.value is not None]),
    ]


def _tables() -> Mapping[str, Any]:
    import airflow.models.asset
    import airflow.models.dagbundle
    import airflow.models.xcom  # noqa: F401
    from airflow.models.base import Base
    from sqlalchemy.orm import configure_mappers

    configure_mappers()
    tables: Mapping[str, Any] = Base.metadata.tables
    return tables


def _dag(dag_id: str) -> dict[str, Any]:
    limits = {
        "max_active_tasks": 16,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": False,
    }
    return {"dag_id": dag_id, "bundle_name": "pages", "is_paused": False, "is_stale": False, **limits}


def _inlet(dag_id: str, task_id: str) -> dict[str, Any]:
    return {"asset_id": 1, "dag_id": dag_id, "task_id": task_id}


def _run(number: int, wait: Wait) -> dict[str, Any]:
    due = NOW + (wait.began if wait.due is None else wait.due)
    return {
        "id": number,
        "dag_id": wait.dag_id,
        "run_id": wait.run_id,
        "run_type": "manual",
        "state": "running" if wait.ended is None else "success",
        "run_after": due,
        "start_date": due,
    }


def _task_id(number: int) -> UUID | str:
    found = UUID(int=number)
    # Airflow 3.1 keeps it as a text in SQLite.
    return found if _tables()["task_instance"].c.id.type.python_type is UUID else str(found)


def _task(number: int, wait: Wait) -> dict[str, Any]:
    return {
        "id": _task_id(number),
        "dag_id": wait.dag_id,
        "run_id": wait.run_id,
        "task_id": wait.task_id,
        "map_index": wait.map_index,
        "state": wait.state,
        "operator": wait.operator,
        "start_date": NOW + wait.began,
        "end_date": None if wait.ended is None else NOW + wait.ended,
        "try_number": 1,
        "max_tries": 0,
        "pool": "default_pool",
        "pool_slots": 1,
    }


def _xcom(numbers: Mapping[tuple[str, str], int], wait: Wait) -> dict[str, Any]:
    return {
        "dag_run_id": numbers[wait.dag_id, wait.run_id],
        "dag_id": wait.dag_id,
        "run_id": wait.run_id,
        "task_id": wait.task_id,
        "map_index": wait.map_index,
        "key": "progress",
        "value": wait.value,
        "timestamp": NOW,
    }


def clear() -> None:
    """Remove all that `insert` inserts, and whatever refers to it."""
    from airflow.utils.session import create_session

    tables = _tables()
    first = "xcom task_instance dag_run task_inlet_asset_reference asset_state_store asset_active asset"
    names = f"{first} dag dag_bundle connection job trigger"
    with create_session() as session:
        for name in names.split():
            if name in tables:
                session.execute(tables[name].delete())
