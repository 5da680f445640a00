"""Tables in any database with an Airflow connection, through the common SQL hook.

A part's rows are deleted and inserted in one transaction, which also notes in the table ``trtc_written`` that
the part is complete. Whoever looks sees the old rows or the new ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from hashlib import blake2b
from typing import Any

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.tables.schema import LONGEST_KEY_TEXT, Column, Interval, Part, Row, Schema, Value
from airflow_trtc.tables.writing import Written

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
BATCH = 1_000

# By the dialect's name; the others keep instants as ISO 8601 text in UTC, which sorts as it should.
_TYPES = {"flag": "BOOLEAN", "instant": "VARCHAR(32)", "integer": "BIGINT", "number": "DOUBLE PRECISION"}
_INSTANTS = {"postgresql": "TIMESTAMP WITH TIME ZONE"}

WRITTEN = Schema(
    "trtc_written",
    (
        Column("table_name", "text", None, "The table."),
        Column("kind", "text", None, "What it holds: the name of the schema."),
        Column("scope", "text", None, "Which of its rows: the values of the columns of its scope."),
        Column("from_at", "instant", None, "When the interval begins."),
        Column("to_at", "instant", None, "When it ends."),
        Column("row_count", "integer", "rows", "How many rows there are."),
        Column("written_at", "instant", None, "When they were written."),
    ),
    key=("table_name", "scope", "from_at", "to_at"),
    instant="from_at",
    scope=("table_name", "scope"),
)
"""Which parts are complete."""


class Database:
    """One table of a database.

    :param hook: Airflow's hook of the connection, a ``DbApiHook``.
    :param table: its name, with that of a schema before a dot if wanted; None is the name of what is written.
    :param create: whether the table is made if there is none.
    """

    def __init__(self, hook: Any, table: str | None = None, *, create: bool = True) -> None:
        self._hook = hook
        self._table = table
        self._create = create

    def check(self, schema: Schema, part: Part) -> None:
        """Refuse a table that lacks columns, or holds what these rows must not stand beside.

        :raises TrtcSetupError: it does.
        """
        table = self._name(schema)
        if not self._exists(table):
            return
        is_noted = self._exists(self._beside(table))
        with self._cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self._quoted(table)} WHERE 1 = 0")
            found = {str(each[0]).lower() for each in cursor.description}
            if missing := [name for name in schema.names if name not in found]:
                raise TrtcSetupError(
                    f"The table {table} is there and has other columns: it lacks {', '.join(missing)}. Choose"
                    " another table, or remove that one."
                )
            if is_noted:
                self._check_kind(cursor, table, schema)
            self._check_overlap(cursor, table, schema, part)

    def written(self, schema: Schema, part: Part) -> Written | None:
        """What was noted of a write whose interval holds this one, if all its rows are still there."""
        table = self._name(schema)
        if not (self._exists(self._beside(table)) and self._exists(table)):
            return None
        asked = part.interval
        where = "table_name = ? AND kind = ? AND scope = ? AND from_at <= ? AND to_at >= ?"
        with self._cursor() as cursor:
            cursor.execute(
                self._marked(
                    f"SELECT from_at, to_at, row_count FROM {self._quoted(self._beside(table))} WHERE {where}"
                ),
                (table, schema.name, _scope(part), self._value(asked.start), self._value(asked.end)),
            )
            found = cursor.fetchone()
            if found is None:
                return None
            interval = Interval(_instant(found[0]), _instant(found[1]))
            where, given = self._where(schema, Part(interval, part.scope))
            cursor.execute(self._marked(f"SELECT COUNT(*) FROM {self._quoted(table)} WHERE {where}"), given)
            count = int(cursor.fetchone()[0])
        if count != int(found[2]):
            return None
        return Written(table, count if interval == asked else None)

    def replace(self, schema: Schema, part: Part, rows: Sequence[Row]) -> Written:
        """Delete and insert the part's rows in one transaction, and note that they are complete."""
        table = self._name(schema)
        self._make(table, schema)
        self._make(self._beside(table), WRITTEN)
        interval, scope = part.interval, _scope(part)
        noted: Row = {
            "table_name": table,
            "kind": schema.name,
            "scope": scope,
            "from_at": interval.start,
            "to_at": interval.end,
            "row_count": len(rows),
            "written_at": datetime.now(timezone.utc),
        }
        with self._cursor(commit=True) as cursor:
            self._check_kind(cursor, table, schema)
            self._check_overlap(cursor, table, schema, part)
            self._delete(cursor, table, schema, part)
            self._delete_notes(cursor, table, part)
            self._insert(cursor, table, schema, rows)
            self._insert(cursor, self._beside(table), WRITTEN, [noted])
        return Written(table, len(rows))

    def _check_kind(self, cursor: Any, table: str, schema: Schema) -> None:
        """Refuse a table of another kind of rows: with the same columns they would be taken for these."""
        notes = self._quoted(self._beside(table))
        statement = f"SELECT kind FROM {notes} WHERE table_name = ? AND kind <> ?"
        cursor.execute(self._marked(statement), (table, schema.name))
        if (other := cursor.fetchone()) is not None:
            raise TrtcSetupError(
                f"The table {table} holds {other[0]}, and must not hold {schema.name} too: nothing would tell"
                " their rows apart. Give each its own table."
            )

    def _check_overlap(self, cursor: Any, table: str, schema: Schema, part: Part) -> None:
        """Refuse sums over a time that reaches beyond the interval: one to be replaced only in part."""
        if schema.ends is None:
            return
        start, end = self._quoted(schema.instant), self._quoted(schema.ends)
        tests = [*(f"{self._quoted(name)} = ?" for name in part.scope), f"{start} < ?", f"{end} > ?"]
        first, last = map(self._value, (part.interval.start, part.interval.end))
        cursor.execute(
            self._marked(
                f"SELECT {start}, {end} FROM {self._quoted(table)}"
                f" WHERE {' AND '.join(tests)} AND ({start} < ? OR {end} > ?)"
            ),
            (*part.scope.values(), last, first, first, last),
        )
        if (other := cursor.fetchone()) is not None:
            raise TrtcSetupError(
                f"The table {table} has rows from {other[0]} to {other[1]}, which overlap the interval {part}"
                " and reach beyond it, as of a schedule with other intervals or another time zone. Read the"
                " same intervals as before, longer ones that hold them whole, or into another table."
            )

    def _delete(self, cursor: Any, table: str, schema: Schema, part: Part) -> None:
        where, given = self._where(schema, part)
        cursor.execute(self._marked(f"DELETE FROM {self._quoted(table)} WHERE {where}"), given)

    def _where(self, schema: Schema, part: Part) -> tuple[str, tuple[Any, ...]]:
        """The condition that finds a part's rows, and its values."""
        instant = self._quoted(schema.instant)
        tests = [*(f"{self._quoted(name)} = ?" for name in part.scope), f"{instant} >= ?", f"{instant} < ?"]
        given = (*part.scope.values(), *map(self._value, (part.interval.start, part.interval.end)))
        return " AND ".join(tests), given

    def _delete_notes(self, cursor: Any, table: str, part: Part) -> None:
        """Delete the notes of all intervals that share an instant with this one."""
        notes = self._quoted(self._beside(table))
        statement = f"DELETE FROM {notes} WHERE table_name = ? AND scope = ? AND from_at < ? AND to_at > ?"
        given = (table, _scope(part), *map(self._value, (part.interval.end, part.interval.start)))
        cursor.execute(self._marked(statement), given)

    def _insert(self, cursor: Any, table: str, schema: Schema, rows: Sequence[Row]) -> None:
        names = ", ".join(map(self._quoted, schema.names))
        marks = ", ".join("?" * len(schema.names))
        statement = self._marked(f"INSERT INTO {self._quoted(table)} ({names}) VALUES ({marks})")
        for first in range(0, len(rows), BATCH):
            batch = rows[first : first + BATCH]
            cursor.executemany(
                statement, [tuple(self._value(row[name]) for name in schema.names) for row in batch]
            )

    def _make(self, table: str, schema: Schema) -> None:
        """Make the table unless there is one; another task may do so at the same time."""
        if not self._create or self._exists(table):
            return
        columns = [f"{self._quoted(each.name)} {self._type(schema, each)}" for each in schema.columns]
        key = ", ".join(map(self._quoted, schema.key))
        try:
            with self._cursor(commit=True) as cursor:
                cursor.execute(
                    f"CREATE TABLE {self._quoted(table)} ({', '.join(columns)}, PRIMARY KEY ({key}))"
                )
        except Exception:  # each driver has its own class for a table that is there already
            if not self._exists(table):
                raise

    def _exists(self, table: str) -> bool:
        with self._cursor() as cursor:
            try:
                cursor.execute(f"SELECT 1 FROM {self._quoted(table)} WHERE 1 = 0")
            except Exception:  # each driver has its own class for it; writing shows what else it may be
                return False
            return True

    def _type(self, schema: Schema, column: Column) -> str:
        if column.type == "text":
            found = f"VARCHAR({LONGEST_KEY_TEXT})" if column.name in schema.key else "TEXT"
        elif column.type == "instant":
            found = _INSTANTS.get(self._hook.dialect_name, _TYPES["instant"])
        else:
            found = _TYPES[column.type]
        return found if column.nullable else f"{found} NOT NULL"

    def _value(self, value: Value) -> Any:
        if isinstance(value, datetime) and self._hook.dialect_name not in _INSTANTS:
            return value.isoformat()
        return value

    def _name(self, schema: Schema) -> str:
        return self._table or schema.name

    def _beside(self, table: str) -> str:
        """The name of the notes' table, in the same schema."""
        schema, dot, _ = table.rpartition(".")
        return f"{schema}{dot}{WRITTEN.name}"

    def _quoted(self, name: str) -> str:
        return ".".join(self._hook.escape_word_format.format(each) for each in name.split("."))

    def _marked(self, statement: str) -> str:
        """The statement with the driver's own marks for values; no name has a question mark in it."""
        return statement.replace("?", self._hook.placeholder)

    @contextmanager
    def _cursor(self, *, commit: bool = False) -> Iterator[Any]:
        """A cursor of a connection of its own; without commit, or after an error, nothing stays."""
        connection = self._hook.get_conn()
        try:
            if self._hook.supports_autocommit:
                self._hook.set_autocommit(connection, False)
            cursor = connection.cursor()
            try:
                yield cursor
            finally:
                with suppress(Exception):  # its own error would hide the one that matters
                    cursor.close()
            if commit:
                connection.commit()
            else:
                connection.rollback()
        except BaseException:
            with suppress(Exception):
                connection.rollback()
            raise
        finally:
            connection.close()


def table_name(name: str, value: Any) -> str | None:
    """A table's name, with that of its schema before a dot if wanted; None and "" are absent.

    :raises ValueError: it could be no name, or is a part of SQL.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not 1 <= len(parts := value.split(".")) <= 2:
        raise ValueError(
            f"{name} must be the name of a table, such as usage or analytics.usage, not {value!r}"
        )
    if not all(map(NAME.fullmatch, parts)):
        raise ValueError(
            f"{name} must be made of letters, digits and _, begin with none of the digits, and have at most"
            f" 63 characters: {value!r:.200}"
        )
    if parts[-1].lower() == WRITTEN.name:
        raise ValueError(f"{name} must not be {value}: that table notes what is written to the others")
    return value


def _instant(value: Any) -> datetime:
    """An instant as the database gives it back: a datetime, or the text that was written."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _scope(part: Part) -> str:
    text = " ".join(f"{name}={value}" for name, value in part.scope.items())
    return text if len(text) <= LONGEST_KEY_TEXT else blake2b(text.encode()).hexdigest()
