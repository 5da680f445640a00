"""Tables in a database: a part is replaced in one transaction, and known to be complete."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.tables.database import Database, table_name
from airflow_trtc.tables.quality import UNUSUAL
from airflow_trtc.tables.schema import Interval, Part, Row
from airflow_trtc.tables.usage import USAGES
from airflow_trtc.tables.writing import Written, write
from tests.tables.killing import killed_at
from tests.tables.things import START, THINGS, SqliteHook, part, rows

Select = Callable[[str], list[Any]]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "usage.db")


@pytest.fixture
def database(path: str) -> Database:
    return Database(SqliteHook(path))


@pytest.fixture
def select(path: str) -> Select:
    def run(statement: str) -> list[Any]:
        connection = sqlite3.connect(path)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    return run


def fill(database: Database, of: Part, **more: Any) -> Written:
    return write(database, THINGS, of, rows(of, **more))


def test_a_table_is_made_and_filled(database: Database, select: Select) -> None:
    assert database.written(THINGS, part()) is None
    assert fill(database, part(), count=2500) == Written("things", 2500)
    assert select("SELECT COUNT(*), COUNT(DISTINCT at) FROM things") == [(2500, 2500)]
    assert select("SELECT * FROM things WHERE name = 'n1'") == [
        (1, "n1", "2026-01-01T00:00:00.001000+00:00", 1.0, 1, None)
    ]
    assert database.written(THINGS, part()) == Written("things", 2500)


def test_writing_again_replaces_a_part_and_no_other(database: Database, select: Select) -> None:
    for of in (part(0), part(1), part(0, app=2)):
        fill(database, of)
    fill(database, part(0), count=1, minutes=9.0)
    assert select("SELECT minutes, COUNT(*) FROM things GROUP BY minutes") == [(1.0, 6), (9.0, 1)]
    assert database.written(THINGS, part(0)) == Written("things", 1)


def test_a_part_without_rows_is_known_to_be_complete(database: Database) -> None:
    write(database, THINGS, part(), [])
    assert database.written(THINGS, part()) == Written("things", 0)
    assert database.written(THINGS, part(1)) is None
    assert database.written(THINGS, part(app=2)) is None


def test_a_longer_interval_covers_shorter_ones_until_one_is_replaced(database: Database) -> None:
    fill(database, part(0, days=7), count=10)
    assert database.written(THINGS, part(3)) == Written("things", None)
    fill(database, part(0), count=1)
    assert database.written(THINGS, part(0)) == Written("things", 1)
    assert database.written(THINGS, part(3)) is None  # nothing proves it any more


def test_rows_that_somebody_removed_are_missed(database: Database, path: str) -> None:
    fill(database, part())
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM things WHERE name = 'n1'")
    connection.commit()
    assert database.written(THINGS, part()) is None
    connection.execute("DROP TABLE things")
    connection.commit()
    connection.close()
    assert database.written(THINGS, part()) is None
    fill(database, part())
    assert database.written(THINGS, part()) == Written("things", 3)


def test_a_failed_insert_leaves_everything_as_it_was(database: Database, select: Select) -> None:
    fill(database, part())
    wrong = rows(part(), count=5, minutes=2.0)
    with pytest.raises(sqlite3.IntegrityError):
        database.replace(THINGS, part(), [*wrong, wrong[0]])
    assert select("SELECT minutes, COUNT(*) FROM things GROUP BY minutes") == [(1.0, 3)]
    assert database.written(THINGS, part()) == Written("things", 3)


def test_another_table_may_be_chosen(path: str, select: Select) -> None:
    fill(Database(SqliteHook(path), "main.lessons"), part())
    assert select("SELECT COUNT(*) FROM lessons") == [(3,)]
    assert select("SELECT table_name FROM trtc_written") == [("main.lessons",)]


def test_a_table_is_not_made_where_that_is_not_wanted(path: str) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        fill(Database(SqliteHook(path), create=False), part())


def test_a_table_that_another_task_made_in_between_is_used(
    database: Database, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(Database(SqliteHook(path)), part(app=2))
    exists = Database._exists
    answers = iter([False, True, False, True])
    monkeypatch.setattr(Database, "_exists", lambda self, table: next(answers, None) or exists(self, table))
    fill(database, part())
    monkeypatch.undo()
    assert database.written(THINGS, part()) == Written("things", 3)


def test_a_table_of_other_columns_is_refused_before_anything_is_read(database: Database, path: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (at TEXT, App INTEGER, extra TEXT, name TEXT)")
    with pytest.raises(TrtcSetupError, match="lacks minutes, is_new, note"):
        database.check(THINGS, part())


def test_two_kinds_of_rows_never_share_a_table(path: str, select: Select) -> None:
    """Some have the same columns: one would be taken for the other, and never be read."""
    shared = Database(SqliteHook(path), "minutes")
    calls, mixing = USAGES["trtc"].schema, USAGES["mix_transcoding"].schema
    assert calls.names == mixing.names
    of = Part(part().interval, {"sdk_app_id": 1, "granularity": "day"})
    write(shared, calls, of, [])
    assert shared.written(mixing, of) is None
    for refused in (lambda: shared.check(mixing, of), lambda: write(shared, mixing, of, [])):
        with pytest.raises(TrtcSetupError, match="holds trtc_usage, and must not hold trtc_mix_transcoding"):
            refused()
    assert shared.written(calls, of) == Written("minutes", 0)
    shared.check(calls, of)


ROOM = USAGES["room"].schema


def hours(first: int, last: int) -> Part:
    start = START + dt.timedelta(hours=first)
    return Part(Interval(start, START + dt.timedelta(hours=last)), {"sdk_app_id": 1})


def room_rows(of: Part) -> list[Row]:
    given: Row = {"sdk_app_id": 1, "room_id": "r", "usage_key": "audio", "seconds": 1.0}
    return [{**given, "from_at": of.interval.start, "to_at": of.interval.end}]


@pytest.mark.parametrize("first, last", [(0, 1), (5, 6), (23, 24), (-1, 1), (23, 25)])
def test_sums_over_a_time_are_never_replaced_in_part_nor_counted_twice(
    database: Database, select: Select, first: int, last: int
) -> None:
    day, other = hours(0, 24), hours(first, last)
    write(database, ROOM, day, room_rows(day))
    for refused in (
        lambda: database.check(ROOM, other),
        lambda: write(database, ROOM, other, room_rows(other)),
    ):
        with pytest.raises(TrtcSetupError, match="reach beyond it"):
            refused()
    assert select("SELECT COUNT(*), SUM(seconds) FROM trtc_room_usage") == [(1, 1.0)]
    assert database.written(ROOM, day) == Written("trtc_room_usage", 1)


def test_shorter_sums_are_replaced_by_one_that_holds_them(database: Database, select: Select) -> None:
    for number in (0, 1, 23, 24):
        write(database, ROOM, hours(number, number + 1), room_rows(hours(number, number + 1)))
    database.check(ROOM, hours(0, 24))
    write(database, ROOM, hours(0, 24), room_rows(hours(0, 24)))
    assert select("SELECT COUNT(*) FROM trtc_room_usage") == [(2,)]
    database.check(ROOM, replace(hours(3, 4), scope={"sdk_app_id": 2}))


def test_users_of_two_applications_may_have_the_same_names(database: Database, select: Select) -> None:
    row: Row = {column.name: None for column in UNUSUAL.columns}
    row |= {"room_id": "1", "user_id": "ann", "at": START, "experience_id": 4, "position": 0, "peer_id": ""}
    for app in (1, 2):
        write(database, UNUSUAL, Part(part().interval, {"sdk_app_id": app}), [{**row, "sdk_app_id": app}])
    assert select("SELECT COUNT(*) FROM trtc_unusual_events") == [(2,)]


def test_a_long_scope_is_known_again(database: Database, select: Select) -> None:
    of, other = (part(app="é" * 250 + end) for end in ("a", "b"))  # type: ignore[arg-type]
    write(database, THINGS, of, [])
    assert database.written(THINGS, of) == Written("things", 0)
    assert database.written(THINGS, other) is None
    assert select("SELECT MAX(LENGTH(scope)) <= 255 FROM trtc_written") == [(1,)]


CHILD = """
import sqlite3, sys
from airflow_trtc.tables.database import Database
from airflow_trtc.tables.writing import write
from tests.tables.killing import reached
from tests.tables.things import THINGS, SqliteHook, part, rows

path, stage = sys.argv[1:]

class Cursor(sqlite3.Cursor):
    batches = 0
    def executemany(self, statement, batch):
        super().executemany(statement, batch)
        Cursor.batches += 1
        if Cursor.batches == int(stage):
            reached()

class Connection(sqlite3.Connection):
    def cursor(self):
        return super().cursor(Cursor)
    def commit(self):
        if stage == "commit" and self.in_transaction:
            reached()
        super().commit()
        if stage == "after" and Cursor.batches:
            reached()

class Hook(SqliteHook):
    def get_conn(self):
        return sqlite3.connect(self.path, factory=Connection)

if not stage.isdigit():
    def executemany(self, statement, batch):
        sqlite3.Cursor.executemany(self, statement, batch)
        Cursor.batches += 1
    Cursor.executemany = executemany
write(Database(Hook(path)), THINGS, part(), rows(part(), 5000, 2.0))
"""


@pytest.mark.parametrize("stage", ["1", "3", "6", "commit", "after"])
def test_a_killed_writer_leaves_the_old_rows_or_the_new_ones(
    database: Database, path: str, select: Select, stage: str
) -> None:
    fill(database, part(), count=7)
    fill(database, part(1), count=2)
    killed_at(CHILD, path, stage)
    expected = (2.0, 5000) if stage == "after" else (1.0, 7)
    assert select("SELECT minutes, COUNT(*) FROM things WHERE at < '2026-01-02' GROUP BY minutes") == [
        expected
    ]
    assert database.written(THINGS, part()) == Written("things", expected[1])
    fill(database, part(), count=4)
    assert select("SELECT COUNT(*) FROM things") == [(6,)]


@pytest.mark.parametrize("name", ["usage", "analytics.trtc_usage", "_u2"])
def test_names_of_tables(name: str) -> None:
    assert table_name("table", name) == name


@pytest.mark.parametrize(
    "name", ["a b", 'a"b', "a;b", "1a", "a.b.c", "a.", "", "ü", "x" * 64, 5, "a--", "a.TRTC_Written"]
)
def test_what_is_no_name_of_a_table_is_refused(name: Any) -> None:
    if name == "":
        assert table_name("table", name) is None
    else:
        with pytest.raises(ValueError, match="table must"):
            table_name("table", name)
