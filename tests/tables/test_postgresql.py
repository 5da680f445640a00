"""The same on PostgreSQL, through Airflow's own hook: types, transactions, and two that write at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc.tables.database import Database
from airflow_trtc.tables.writing import Written, write
from tests.tables.things import THINGS, part, rows

if TYPE_CHECKING:
    from tests.stack.postgresql import PostgreSql


@pytest.fixture
def hook(postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    monkeypatch.setenv("AIRFLOW_CONN_PG", postgresql.url)
    hook = PostgresHook("pg")
    yield hook
    hook.run(["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"])


def test_rows_arrive_with_their_types(hook: Any) -> None:
    database = Database(hook)
    assert database.written(THINGS, part()) is None
    assert write(database, THINGS, part(), rows(part(), 2500)) == Written("things", 2500)
    assert database.written(THINGS, part()) == Written("things", 2500)
    found = hook.get_records("SELECT * FROM things ORDER BY at LIMIT 2")
    assert [tuple(row) for row in found] == [tuple(row.values()) for row in rows(part(), 2)]
    types = hook.get_records(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'things'"
    )
    assert {tuple(row) for row in types} == {
        ("app", "bigint", "NO"),
        ("name", "character varying", "NO"),
        ("at", "timestamp with time zone", "NO"),
        ("minutes", "double precision", "NO"),
        ("is_new", "boolean", "YES"),
        ("note", "text", "YES"),
    }


def test_a_part_is_replaced_and_no_other(hook: Any) -> None:
    database = Database(hook)
    for of in (part(0), part(1), part(0, app=2)):
        write(database, THINGS, of, rows(of))
    write(database, THINGS, part(0), rows(part(0), 1, 9.0))
    found = hook.get_records("SELECT minutes, COUNT(*) FROM things GROUP BY minutes ORDER BY 1")
    assert [tuple(row) for row in found] == [(1.0, 6), (9.0, 1)]
    write(database, THINGS, part(0, days=2), [])
    assert database.written(THINGS, part(1)) == Written("things", None)
    assert hook.get_first("SELECT COUNT(*) FROM things")[0] == 3  # those of the other application


def test_a_table_of_another_schema(hook: Any) -> None:
    hook.run("CREATE SCHEMA IF NOT EXISTS analytics")
    try:
        database = Database(hook, "analytics.usage")
        write(database, THINGS, part(), rows(part()))
        assert database.written(THINGS, part()) == Written("analytics.usage", 3)
        assert hook.get_first("SELECT COUNT(*) FROM analytics.trtc_written")[0] == 1
    finally:
        hook.run("DROP SCHEMA analytics CASCADE")


def test_a_failed_insert_leaves_everything_as_it_was(hook: Any) -> None:
    database = Database(hook)
    write(database, THINGS, part(), rows(part()))
    wrong = rows(part(), 5, 2.0)
    with pytest.raises(Exception, match="duplicate key"):
        database.replace(THINGS, part(), [*wrong, wrong[0]])
    assert hook.get_first("SELECT COUNT(*), MAX(minutes) FROM things") == (3, 1.0)
    assert database.written(THINGS, part()) == Written("things", 3)


def test_a_backend_that_dies_in_the_midst_leaves_everything_as_it_was(
    hook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(hook)
    write(database, THINGS, part(), rows(part()))
    insert = Database._insert

    def dying(self: Database, cursor: Any, table: str, schema: Any, given: Any) -> None:
        insert(self, cursor, table, schema, given)
        if table == "things":
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(Database, "_insert", dying)
    with pytest.raises(Exception, match=r"(?i)terminat"):
        write(database, THINGS, part(), rows(part(), 4000, 2.0))
    monkeypatch.undo()
    monkeypatch.setenv("AIRFLOW_CONN_PG", hook.get_uri())
    assert hook.get_first("SELECT COUNT(*), MAX(minutes) FROM things") == (3, 1.0)
    assert database.written(THINGS, part()) == Written("things", 3)


def test_of_two_that_write_at_once_the_table_holds_one(hook: Any) -> None:
    """As a task that was taken for dead and its retry may do, even where the table does not exist yet."""
    together = threading.Barrier(2)
    outcomes: list[Any] = []

    def fill(minutes: float) -> None:
        database = Database(hook)
        together.wait(10)
        try:
            outcomes.append(write(database, THINGS, part(), rows(part(), 3000, minutes)).rows)
        except Exception as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=fill, args=(minutes,)) for minutes in (1.0, 2.0)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert 3000 in outcomes
    assert set(outcomes) <= {3000, "UniqueViolation"}
    found = hook.get_records("SELECT minutes, COUNT(*) FROM things GROUP BY minutes")
    assert len(found) == 1
    assert found[0][1] == 3000
    assert Database(hook).written(THINGS, part()) == Written("things", 3000)
