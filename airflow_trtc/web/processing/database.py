"""Rows of the journal in Airflow's database: the few statements that the API server needs.

Everything works on many rows with few statements. Nothing here decides anything, and importing it does not
load Airflow.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

from airflow_trtc.journal.keys import INBOX, JOURNAL_NAME, JOURNAL_URI, LOG_KEY, KeyRange, due_range
from airflow_trtc.journal.owners import TaskId, TaskNow

if TYPE_CHECKING:
    from airflow.models.asset import AssetModel
    from sqlalchemy import ColumnElement, Select, Table
    from sqlalchemy.orm import Session

KEYS_PER_STATEMENT = 500  # some databases take 999 variables
TASKS_PER_STATEMENT = 200  # with four each

LOCK_SECONDS = 60

log = logging.getLogger(__name__)

NO_STORE = "this Airflow is older than 3.3 and has no store for callbacks"
OTHER_BACKEND = (
    "callbacks need Airflow's own store, but {option} is set; with another one the API server cannot read"
    " what workers write"
)


def why_no_store() -> str | None:
    """Why callbacks cannot be stored in this Airflow at all; None when they can."""
    from airflow_trtc._compat import conf, state_store_model

    if state_store_model() is None:
        return NO_STORE
    from airflow.state import get_state_backend
    from airflow.state.metastore import MetastoreBackend

    if not isinstance(get_state_backend(), MetastoreBackend):
        return OTHER_BACKEND.format(option="[state_store] backend")
    if conf.get("workers", "state_store_backend", fallback=""):
        return OTHER_BACKEND.format(option="[workers] state_store_backend")
    return None


def load_models() -> None:
    """Import all of Airflow's models now, in the calling thread.

    The first query of a process makes SQLAlchemy do so, under a lock. In a thread of ours, while another
    thread is importing one of them, that ends in each waiting for the other's lock, for ever.
    """
    from sqlalchemy.orm import configure_mappers

    configure_mappers()


@contextmanager
def transaction() -> Iterator[Session]:
    """A session of its own, committed at the end; for threads, never for the event loop.

    It waits for a lock for a minute at most: a session that died on another machine may hold it for hours.
    """
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session(scoped=False) as session:
        if _dialect(session) == "postgresql":  # MySQL and SQLite give up by themselves
            session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        yield session


def is_passing(error: BaseException) -> bool:
    """Whether the database is away or busy, so that the same may succeed later."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError

    if isinstance(error, OperationalError | InterfaceError | TimeoutError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to process.

    :param asset_id: the journal's asset; None when no DAG refers to it.
    :param oldest_callback: the key of the callback that has waited longest; None when none waits.
    """

    asset_id: int | None
    oldest_callback: str | None = None
    has_due: bool = False


def find_work(session: Session, now_ms: int) -> Work:
    """What there is to process at that time. Locks nothing."""
    from airflow.models.asset import AssetModel
    from sqlalchemy import exists, func, select

    table = _table()
    oldest = select(func.min(table.c.key)).where(table.c.asset_id == AssetModel.id, *_within(INBOX))
    due = exists().where(table.c.asset_id == AssetModel.id, *_within(due_range(now_ms)))
    row = session.execute(_active_journal().add_columns(oldest.scalar_subquery(), due)).first()
    return Work(None) if row is None else Work(*row)


def journal_asset_id(session: Session) -> int | None:
    """Id of the journal's asset, if a DAG refers to it; rows of another would be swept away."""
    return cast("int | None", session.scalar(_active_journal()))


def _active_journal() -> Select[Any]:
    from airflow.models.asset import AssetModel
    from sqlalchemy import select

    named = AssetModel.name == JOURNAL_NAME, AssetModel.uri == JOURNAL_URI
    return select(AssetModel.id).where(*named, AssetModel.active.has())


def active_assets(session: Session) -> list[AssetModel]:
    """All assets of our scheme that a DAG refers to."""
    from airflow.models.asset import AssetModel
    from sqlalchemy import select

    return list(
        session.scalars(select(AssetModel).where(AssetModel.uri.like("trtc://%"), AssetModel.active.has()))
    )


@dataclass(frozen=True, slots=True)
class AssetConflict:
    """An asset of our scheme that Airflow keeps inactive for the sake of another one; as text a sentence.

    :param dag_ids: the DAGs that refer to it, which are those that suffer.
    """

    name: str
    uri: str
    dag_ids: tuple[str, ...]
    rival_name: str
    rival_uri: str

    def __str__(self) -> str:
        shared = "name" if self.rival_name == self.name else "URI"
        return (
            f"The asset {self.name!r} ({self.uri}) of DAG {', '.join(self.dag_ids[:10])} is inactive, because"
            f" the asset {self.rival_name!r} ({self.rival_uri}) has the same {shared}: DAGs scheduled on the"
            " former get no runs, and tasks with it as inlet fail. Give the one that is your own another name"
            " and URI; in schedules use what finished_recordings() and events() return."
        )


def asset_conflicts(session: Session) -> list[AssetConflict]:
    """Assets of our scheme that Airflow keeps inactive for the sake of another one.

    Of two assets with one name, or with one URI, Airflow activates the first it comes across.
    """
    from airflow.models.asset import AssetActive, AssetModel
    from sqlalchemy import or_, select

    inactive = select(AssetModel).where(AssetModel.uri.like("trtc://%"), ~AssetModel.active.has())
    conflicts = []
    for asset in session.scalars(inactive):
        rivals = or_(AssetActive.name == asset.name, AssetActive.uri == asset.uri)
        rival = session.scalars(select(AssetActive).where(rivals)).first()
        dags = sorted({each.dag_id for each in (*asset.scheduled_dags, *asset.consuming_tasks)})
        if rival is not None and dags:
            conflicts.append(AssetConflict(asset.name, asset.uri, tuple(dags), rival.name, rival.uri))
    return conflicts


def claim(session: Session, asset_id: int) -> str | None:
    """Lock the journal against other API workers, until the end of the transaction.

    :return: the value of the log's counter; None when another one has the lock.
    """
    from sqlalchemy import select, update

    table = _table()
    mine = table.c.asset_id == asset_id, table.c.key == LOG_KEY
    if _dialect(session) == "sqlite":
        # SQLite has one writer and no row locks: write first, or two readers block one another.
        session.execute(update(table).where(*mine).values(value=table.c.value))
    locked = select(table.c.value).where(*mine).with_for_update(skip_locked=True)
    if (value := session.scalar(locked)) is not None:
        return cast("str", value)
    if session.scalar(select(table.c.value).where(*mine)) is not None:
        return None
    insert_new(session, asset_id, {LOG_KEY: '{"v": 1, "seq": 0}'})
    return cast("str | None", session.scalar(locked))


def select_within(
    session: Session, asset_id: int, keys: KeyRange, limit: int, *, is_latest: bool = False
) -> dict[str, str]:
    """The first rows of a range, in the order of their keys.

    :param is_latest: those that were written last instead, the last one first.
    """
    from sqlalchemy import select

    table = _table()
    order = (table.c.updated_at.desc(), table.c.key) if is_latest else (table.c.key,)
    rows = session.execute(
        select(table.c.key, table.c.value)
        .where(table.c.asset_id == asset_id, *_within(keys))
        .order_by(*order)
        .limit(limit)
    )
    return {key: value for key, value in rows}  # noqa: C416 - a Row is no pair to a type checker


def select_keys_within(session: Session, asset_id: int, keys: KeyRange, limit: int) -> list[str]:
    """The first keys of a range, in their order; their values are not read."""
    from sqlalchemy import select

    table = _table()
    statement = select(table.c.key).where(table.c.asset_id == asset_id, *_within(keys))
    return list(session.scalars(statement.order_by(table.c.key).limit(limit)))


def select_keys(session: Session, asset_id: int, keys: Collection[str]) -> dict[str, str]:
    """The rows with these keys."""
    from sqlalchemy import select

    table = _table()
    found: dict[str, str] = {}
    for some in _in_chunks(keys):
        rows = session.execute(
            select(table.c.key, table.c.value).where(table.c.asset_id == asset_id, table.c.key.in_(some))
        )
        found |= {key: value for key, value in rows}  # noqa: C416 - a Row is no pair to a type checker
    return found


def existing_keys(session: Session, asset_id: int, keys: Collection[str]) -> set[str]:
    """Those of the keys that have a row."""
    from sqlalchemy import select

    table = _table()
    return {
        key
        for some in _in_chunks(keys)
        for key in session.scalars(
            select(table.c.key).where(table.c.asset_id == asset_id, table.c.key.in_(some))
        )
    }


def insert_new(session: Session, asset_id: int, rows: Mapping[str, str]) -> None:
    """Insert rows; a key that has one keeps it."""
    if rows:
        session.execute(_insert(session, ignore=True), _parameters(asset_id, rows))


def write(session: Session, asset_id: int, rows: Mapping[str, str]) -> None:
    """Insert or replace rows."""
    if rows:
        session.execute(_insert(session, ignore=False), _parameters(asset_id, rows))


def delete_keys(session: Session, asset_id: int, keys: Collection[str]) -> None:
    """Delete the rows with these keys."""
    from sqlalchemy import delete

    table = _table()
    for some in _in_chunks(keys):
        session.execute(delete(table).where(table.c.asset_id == asset_id, table.c.key.in_(some)))


def exchange(session: Session, asset_id: int, key: str, before: str, after: str | None) -> None:
    """Replace a row's value, or delete the row, unless another one has changed it meanwhile.

    :param after: None to delete it.
    """
    from sqlalchemy import delete, update

    table = _table()
    same = table.c.asset_id == asset_id, table.c.key == key, table.c.value == before
    if after is None:
        session.execute(delete(table).where(*same))
    else:
        changes = {"value": after, "updated_at": datetime.now(timezone.utc), "last_updated_by_kind": "api"}
        session.execute(update(table).where(*same).values(changes))


def select_tasks(session: Session, tasks: Collection[TaskId]) -> dict[TaskId, TaskNow]:
    """Those of the task instances that there are, as they are now."""
    from airflow.models.taskinstance import TaskInstance as Task
    from sqlalchemy import select, tuple_

    names = Task.dag_id, Task.run_id, Task.task_id, Task.map_index
    found = {}
    ordered = sorted(tasks)
    for start in range(0, len(ordered), TASKS_PER_STATEMENT):
        some = [tuple(task) for task in ordered[start : start + TASKS_PER_STATEMENT]]
        statement = select(*names, Task.state, Task.try_number, Task.max_tries)
        for row in session.execute(statement.where(tuple_(*names).in_(some))):
            state = None if row.state is None else str(row.state)
            task = TaskId(row.dag_id, row.run_id, row.task_id, row.map_index)
            found[task] = TaskNow(state, row.try_number, row.max_tries)
    return found


def _in_chunks(keys: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(set(keys))
    return (
        ordered[start : start + KEYS_PER_STATEMENT] for start in range(0, len(ordered), KEYS_PER_STATEMENT)
    )


def encode(value: Any) -> str:
    """JSON text that every database takes: plain ASCII."""
    return json.dumps(value, separators=(",", ":"))


def _table() -> Table:
    from airflow.models.asset_state_store import AssetStateStoreModel

    return cast("Table", AssetStateStoreModel.__table__)


def _within(keys: KeyRange) -> Iterable[ColumnElement[bool]]:
    key = _table().c.key
    return key >= keys.first, key <= keys.last, key.like(f"{keys.prefix}%")


def _parameters(asset_id: int, rows: Mapping[str, str]) -> list[dict[str, Any]]:
    now = datetime.now(timezone.utc)
    # Sorted: transactions that lock several rows do so in the same order.
    return [
        {
            "asset_id": asset_id,
            "key": key,
            "value": rows[key],
            "updated_at": now,
            "last_updated_by_kind": "api",
        }
        for key in sorted(rows)
    ]


def _insert(session: Session, *, ignore: bool) -> Any:
    dialect, table = _dialect(session), _table()
    changed = ("value", "updated_at", "last_updated_by_kind")
    if dialect == "mysql":
        from sqlalchemy.dialects.mysql import insert as mysql_insert

        if ignore:
            return mysql_insert(table).prefix_with("IGNORE")
        statement = mysql_insert(table)
        return statement.on_duplicate_key_update({name: statement.inserted[name] for name in changed})
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    upsert = insert(table)
    if ignore:
        return upsert.on_conflict_do_nothing()
    return upsert.on_conflict_do_update(
        index_elements=["asset_id", "key"], set_={name: upsert.excluded[name] for name in changed}
    )


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name
