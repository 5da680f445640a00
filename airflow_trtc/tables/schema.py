"""What a table is: columns with types and units, what makes a row one, and what a write replaces.

A row is a plain dict with a value for each column. Knows no API and no target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, TypeAlias

from airflow_trtc import bounds
from airflow_trtc.errors import TrtcFailedError

Type: TypeAlias = Literal["flag", "instant", "integer", "number", "text"]
Value: TypeAlias = "bool | datetime | int | float | str | None"
Row: TypeAlias = "dict[str, Value]"

BAD_ROW = "Client.BadRow"
LONGEST_KEY_TEXT = 255
"""Characters of a text that is part of a key: what every database can index."""


@dataclass(frozen=True)
class Column:
    """One column.

    :param name: in lower case, as it stands in files and databases.
    :param type: ``instant`` is an aware datetime in UTC, ``number`` a finite float, ``integer`` fits 64 bits.
    :param unit: what a number counts, e.g. ``minutes``; None for what is no quantity.
    :param doc: what it says, one line.
    :param nullable: whether None is allowed.
    """

    name: str
    type: Type
    unit: str | None
    doc: str
    nullable: bool = False


@dataclass(frozen=True)
class Schema:
    """One table.

    :param name: what tables and folders are called unless the user chooses another name.
    :param columns: in the order in which files have them.
    :param key: the columns that no two rows have alike.
    :param instant: the column that says to which interval a row belongs.
    :param scope: the columns that are the same in all rows of one write: a write replaces what the interval
        holds for these values, and leaves all other rows alone.
    :param ends: the column that says when a row's time ends, where a row is a sum over some time: two rows
        that share some of it would count it twice.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    instant: str
    scope: tuple[str, ...]
    ends: str | None = None

    def column(self, name: str) -> Column:
        """The column of this name."""
        return next(each for each in self.columns if each.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(each.name for each in self.columns)


@dataclass(frozen=True)
class Interval:
    """From one instant on, up to another one that is no longer in it; both aware, kept in UTC.

    :raises ValueError: it has no time zone, or does not last.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"an interval needs time zones: {self.start} to {self.end}")
        object.__setattr__(self, "start", _in_utc(self.start))
        object.__setattr__(self, "end", _in_utc(self.end))
        if self.start >= self.end:
            raise ValueError(f"the interval ends before it begins, or at once: {self}")

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def __str__(self) -> str:
        return f"{self.start.isoformat()} to {self.end.isoformat()}"


def _in_utc(at: datetime) -> datetime:
    """The same instant as a plain datetime: those of pendulum, which Airflow hands out, reckon otherwise."""
    utc = at.astimezone(timezone.utc)
    return datetime.combine(utc.date(), utc.time(), timezone.utc)


@dataclass(frozen=True)
class Part:
    """What one write replaces: the rows of an interval that have these values in the schema's scope.

    :param interval: each row's instant lies in it.
    :param scope: a value for each column of the schema's scope, in that order.
    """

    interval: Interval
    scope: Mapping[str, str | int]

    def __str__(self) -> str:
        of = ", ".join(f"{name} {value}" for name, value in self.scope.items())
        return f"{self.interval} of {of}" if of else str(self.interval)


def check_rows(schema: Schema, part: Part, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return the rows, each with its columns in the schema's order.

    :raises TrtcFailedError: a row lacks a column or has one more, a value has another type, an instant lies
        outside the interval, a scope differs, or two rows have one key. Nothing may be written then.
    """
    checked: list[Row] = []
    names, keys = set(schema.names), set()
    for row in rows:
        if row.keys() != names:
            differing = ", ".join(sorted(row.keys() ^ names))
            raise _bad(schema, part, f"a row lacks columns or has others: {differing}")
        for column in schema.columns:
            if not _fits(column, row[column.name], in_key=column.name in schema.key):
                raise _bad(schema, part, f"{column.name} is {row[column.name]!r:.100}, no {column.type}")
        if row[schema.instant] not in part.interval:
            raise _bad(schema, part, f"{schema.instant} {row[schema.instant]} lies outside")
        if any(row[name] != value for name, value in part.scope.items()):
            raise _bad(schema, part, f"a row is about something else: { {n: row[n] for n in part.scope} }")
        key = tuple(row[name] for name in schema.key)
        if key in keys:
            raise _bad(schema, part, f"two rows have one key: {key}")
        keys.add(key)
        checked.append({name: row[name] for name in schema.names})
    return checked


def _fits(column: Column, value: Any, *, in_key: bool) -> bool:
    if value is None:
        return column.nullable and not in_key
    if column.type == "text":
        longest = LONGEST_KEY_TEXT if in_key else bounds.LONGEST_TEXT
        return isinstance(value, str) and len(value) <= longest and bounds.valid(value) == value
    return _FITS[column.type](value)


_FITS = {
    "flag": lambda value: isinstance(value, bool),
    "instant": lambda value: isinstance(value, datetime) and value.utcoffset() == timedelta(0),
    "integer": lambda value: isinstance(value, int) and bounds.number(value) == value,
    "number": lambda value: isinstance(value, float) and -float("inf") < value < float("inf"),
}


def _bad(schema: Schema, part: Part, what: str) -> TrtcFailedError:
    return TrtcFailedError(
        f"Rows for {schema.name}, {part}, do not fit the table: {what}. Nothing was written.", code=BAD_ROW
    )
