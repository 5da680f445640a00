"""What the pages read from Airflow's database: columns, a page at a time, never whole tables.

A wait is a task instance of one of our operators, with its XCom ``progress`` where it has one. It is waiting,
or it has ended lately.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_trtc import bounds
from airflow_trtc._compat import has_state_store
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.keys import JOURNAL_NAME, JOURNAL_URI, KeyRange
from airflow_trtc.waiting.progress import PROGRESS_XCOM, ShownWait, progress
from airflow_trtc.web.pages.figures import Counts
from airflow_trtc.web.pages.listing import LATELY, ListQuery, Show, Sort, WaitRow
from airflow_trtc.web.processing import database

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select, Subquery
    from sqlalchemy.orm import Session

STATEMENT_SECONDS = 10.0
COUNT_SECONDS = 2.0
MOST_ROWS = 2_000
# What processes say of themselves; digits come before letters in every order that databases know.
PULSES = KeyRange("pulse/", "pulse/0", "pulse/g")
HEARD = KeyRange("heard/", "heard/0", "heard/a")
# By their names, since Airflow notes no more of a task instance; others are found by the journal among their
# inlets, which Airflow notes from 3.3 on.
WAITING_OPERATORS = (
    "TrtcRecordingSensor",
    "TrtcJobSensor",
    "TrtcRecordRoomOperator",
    "TrtcRunJobOperator",
)
OTHER_OPERATORS = ("TrtcTriggeringRecordingOperator",)  # keeps the journal, and waits for nothing
WAITING = (
    "deferred",
    "running",
    "up_for_reschedule",
    "queued",
    "scheduled",
    "up_for_retry",
    "restarting",
)
ENDED = ("success", "failed", "skipped")
# A run of today may have been due before: Airflow ends waits after a week, unless told otherwise.
LONGEST_WAIT = timedelta(days=7)
_ROW = tuple(each.name for each in fields(WaitRow))


@contextmanager
def reading(seconds: float = STATEMENT_SECONDS) -> Iterator[Session]:
    """A session to read with.

    :param seconds: a statement that takes longer fails, where the database can be told so: PostgreSQL.
    """
    from sqlalchemy import text

    database.load_models()
    with database.transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text(f"SET LOCAL statement_timeout = {round(seconds * 1000)}"))
        yield session


def find_dags(session: Session, now: datetime) -> frozenset[str]:
    """The DAGs that have tasks of ours; where Airflow does not note inlets, those that waited lately."""
    from airflow.models.taskinstance import TaskInstance as Task
    from sqlalchemy import select

    if has_state_store():
        return frozenset(session.scalars(_inlets().with_only_columns(_inlet_table().dag_id).distinct()))
    named = Task.operator.in_(WAITING_OPERATORS)
    waiting = session.scalars(select(Task.dag_id).where(Task.state.in_(WAITING), named).distinct())
    ended = session.scalars(_of_late_runs(select(Task.dag_id), now).where(named).distinct())
    return frozenset((*waiting, *ended))


def select_waits(
    session: Session, query: ListQuery, dag_ids: Collection[str], now: datetime, limit: int
) -> tuple[list[WaitRow], int]:
    """The waits on a query's page, in its order, and how many it asks for in all; 0 behind the last page.

    :param dag_ids: those that the user may read.
    """
    from airflow.models.xcom import XComModel as XCom
    from sqlalchemy import func, select

    if not dag_ids:
        return [], 0
    waits = _waits(query, dag_ids, now)
    # All of them have to be ordered in any case; to count them besides costs nothing.
    some = select(waits, func.count().over().label("total")).order_by(*_order(waits, query))
    few = some.limit(limit).offset(query.offset).subquery("few")
    # Only now, for these few, what is known of each.
    rows = session.execute(_with_progress(few, XCom.value).order_by(*_order(few, query))).mappings().all()
    return [WaitRow(**{name: row[name] for name in _ROW}) for row in rows], rows[0]["total"] if rows else 0


def count_all(session: Session, dag_ids: Collection[str], now: datetime) -> Counts:
    """The key figures of these DAGs."""
    from sqlalchemy import case, func, select

    if not dag_ids:
        return Counts()
    problem = case((_field("problem_count") != "0", 1), else_=0)
    waits = _with_progress(_waits(ListQuery(), dag_ids, now), problem.label("problem")).subquery()
    state = waits.c.state
    counted = session.execute(select(state, func.count(), func.sum(waits.c.problem)).group_by(state)).all()
    by_state = {name: number for name, number, _ in counted}
    return Counts(
        sum(by_state.get(name, 0) for name in WAITING),
        sum(by_state.get(name, 0) for name in ENDED),
        by_state.get("failed", 0),
        sum(int(problems or 0) for _, _, problems in counted),
    )


def select_journal(session: Session, *ranges: KeyRange) -> dict[str, Any]:
    """The values of these rows of the journal by their keys; none where there is no journal."""
    asset_id = database.journal_asset_id(session) if has_state_store() else None
    if asset_id is None:
        return {}
    rows = (database.select_within(session, asset_id, keys, MOST_ROWS) for keys in ranges)
    return {key: bounds.json_value(value) for some in rows for key, value in some.items()}


def has_journal(session: Session) -> bool:
    """Whether a DAG refers to the journal; below Airflow 3.3 none can."""
    return has_state_store() and database.journal_asset_id(session) is not None


def _inlet_table() -> Any:
    from airflow.models.asset import TaskInletAssetReference

    return TaskInletAssetReference


def _inlets() -> Select[Any]:
    """The tasks that have the journal among their inlets."""
    from airflow.models.asset import AssetModel
    from sqlalchemy import select

    inlet = _inlet_table()
    named = AssetModel.name == JOURNAL_NAME, AssetModel.uri == JOURNAL_URI
    return select(inlet.dag_id, inlet.task_id).join(AssetModel, AssetModel.id == inlet.asset_id).where(*named)


def is_ours() -> ColumnElement[bool]:
    """The condition that a task instance is one of ours that wait."""
    from airflow.models.taskinstance import TaskInstance as Task
    from sqlalchemy import and_, or_, tuple_

    named = Task.operator.in_(WAITING_OPERATORS)
    if not has_state_store():
        return named
    has_inlet = tuple_(Task.dag_id, Task.task_id).in_(_inlets())
    return or_(named, and_(Task.operator.not_in(OTHER_OPERATORS), has_inlet))


def select_late_runs(dag_ids: Collection[str], now: datetime) -> Select[Any]:
    """The numbers of those runs of these DAGs that run, or were due not too long ago."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    return select(DagRun.id).where(DagRun.dag_id.in_(sorted(dag_ids)), _is_late(now))


def _is_late(now: datetime) -> ColumnElement[bool]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import or_

    is_recent = DagRun.run_after > now - LATELY - LONGEST_WAIT
    return or_(is_recent, DagRun.state == "running", DagRun.state == "queued")  # an index each


def _of_late_runs(statement: Select[Any], now: datetime) -> Select[Any]:
    """The task instances that ended lately: of runs that run, or were due not too long ago."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance as Task
    from sqlalchemy import and_, func

    same_run = and_(Task.dag_id == DagRun.dag_id, Task.run_id == DagRun.run_id)
    # Not the state itself: by its index SQLite would go through all that ever ended, and the runs afterwards.
    ended = func.coalesce(Task.state, "").in_(ENDED), Task.end_date > now - LATELY
    return statement.join(DagRun, same_run).where(_is_late(now), *ended)


def _columns() -> list[Any]:
    from airflow.models.taskinstance import TaskInstance as Task

    columns = Task.__table__.c
    names = ("dag_id", "run_id", "task_id", "map_index", "state", "try_number", "start_date", "end_date")
    return [*(columns[name] for name in names), columns["rendered_map_index"].label("map_label")]


def _waits(query: ListQuery, dag_ids: Collection[str], now: datetime) -> Subquery:
    """The waits that a query asks for, without an order; with ``file_count`` where that decides about it."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance as Task
    from sqlalchemy import select, union_all

    wanted = {query.dag_id} & set(dag_ids) if query.dag_id else set(dag_ids)
    mine = Task.dag_id.in_(sorted(wanted)), is_ours()
    halves = []
    if query.show in (Show.ALL, Show.WAITING, Show.PROBLEMS):
        halves.append(select(*_columns()).where(Task.state.in_(WAITING), *mine))
    if query.show is not Show.WAITING:
        half = _of_late_runs(select(*_columns()), now).where(*mine, DagRun.dag_id.in_(sorted(wanted)))
        halves.append(half.where(Task.state == "failed") if query.show is Show.FAILED else half)
    waits = (union_all(*halves) if len(halves) > 1 else halves[0]).subquery("waits")
    if not query.needs_progress:
        return waits
    more = [_field("file_count").label("file_count")] if query.sort is Sort.FILES else []
    return _with_progress(waits, *more).where(*_conditions(waits, query)).subquery("known")


def _with_progress(waits: Subquery, *columns: Any) -> Select[Any]:
    """Waits with these columns of their progress besides their own."""
    from airflow.models.xcom import XComModel as XCom
    from sqlalchemy import and_, select

    names = "dag_id", "run_id", "task_id", "map_index"
    same = (getattr(XCom, name) == waits.c[name] for name in names)
    return select(waits, *columns).outerjoin(XCom, and_(*same, XCom.key == PROGRESS_XCOM))


def _field(name: str) -> ColumnElement[str]:
    """A field of the progress as text; comparing numbers would fail for what is none."""
    from airflow.models.xcom import XComModel as XCom
    from sqlalchemy import String, cast

    return cast(text_of(XCom.value, name), String(250))


def text_of(column: Any, name: str) -> ColumnElement[str]:
    """A field of what a JSON column holds, as text; NULL where there is none.

    On SQLite Airflow writes what is no JSON, such as NaN, and the database fails whenever it looks into that.
    """
    from sqlalchemy import case

    return case((_may_be_read()(column), column[name].as_string()))


@functools.cache
def _may_be_read() -> Callable[[Any], ColumnElement[bool]]:
    """The function that says whether a database can look into what a JSON column holds."""
    from sqlalchemy import Boolean
    from sqlalchemy.ext.compiler import compiles
    from sqlalchemy.sql.functions import FunctionElement

    class MayBeRead(FunctionElement[bool]):
        type = Boolean()
        inherit_cache = True

    @compiles(MayBeRead)
    def compile_for_all(element: Any, compiler: Any, **options: Any) -> str:
        return "1 = 1"

    @compiles(MayBeRead, "sqlite")
    def compile_for_sqlite(element: Any, compiler: Any, **options: Any) -> str:
        return f"json_valid({compiler.process(element.clauses, **options)})"

    return MayBeRead


def _conditions(waits: Subquery, query: ListQuery) -> list[ColumnElement[bool]]:
    exact = (("kind", query.kind), ("sdk_app_id", query.app))
    found: list[ColumnElement[bool]] = [_field(name) == str(value) for name, value in exact if value]
    if query.show is Show.PROBLEMS:
        found.append(_field("problem_count") != "0")
    if query.text:
        found.append(_holds(waits, query.text))
    return found


def _holds(waits: Subquery, text: str) -> ColumnElement[bool]:
    """Whether a wait has this text in what names it, or anywhere in its progress."""
    from airflow.models.xcom import XComModel as XCom
    from sqlalchemy import String, cast, or_

    columns = [waits.c[name] for name in ("dag_id", "run_id", "task_id", "map_label")]
    places = [*columns, _field("job_id"), _field("room_id"), _field("sdk_app_id")]
    if text.lower() in _keywords():
        return or_(*(_like(place, text) for place in places))
    whole = cast(XCom.value, String())
    # JSON as it is stored: SQLite keeps what Python wrote, other databases write it anew.
    written = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    anywhere = (_like(whole, one) for one in sorted(written))
    return or_(*(_like(column, text) for column in columns), *anywhere)


@functools.cache
def _keywords() -> str:
    """Words that are in every progress: whoever looks for one of these does not mean all waits."""
    job = JobRef("", 0, None, "")
    state = JobState("", (RecordedFile("", "", "", 0, 0, "", "", ""),))
    return json.dumps(progress(state, job, ShownWait())).lower()


def _like(place: Any, text: str) -> ColumnElement[bool]:
    plain = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    found: ColumnElement[bool] = place.ilike(f"%{plain}%", escape="!")
    return found


def _order(waits: Subquery, query: ListQuery) -> list[Any]:
    """The order of a query; never by chance, so that no row is on two pages."""
    from sqlalchemy import func

    keys: list[Any] = [waits.c.start_date.is_not(None), waits.c.start_date]
    if query.sort is Sort.ENDED:
        keys = [waits.c.end_date.is_not(None), waits.c.end_date]
    elif query.sort is Sort.TASK:
        keys = [waits.c.dag_id, waits.c.task_id]
    elif query.sort is Sort.STATE:
        keys = [waits.c.state]
    elif query.sort is Sort.FILES:
        count = waits.c.file_count
        keys = [func.coalesce(func.length(count), 0), count]  # orders numbers as such, and fails for none
    directed = [key.desc() if query.is_descending else key.asc() for key in keys]
    return [*directed, waits.c.dag_id, waits.c.run_id, waits.c.task_id, waits.c.map_index]
