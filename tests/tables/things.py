"""A small table, and targets that need no Airflow."""

from __future__ import annotations

import datetime as dt
import sqlite3
from typing import Any

from upath import UPath

from airflow_trtc.tables.files import Files
from airflow_trtc.tables.schema import Column, Interval, Part, Row, Schema

UTC = dt.timezone.utc
DAY = dt.timedelta(days=1)
START = dt.datetime(2026, 1, 1, tzinfo=UTC)
THINGS = Schema(
    "things",
    (
        Column("app", "integer", None, "The application."),
        Column("name", "text", None, "What."),
        Column("at", "instant", None, "When."),
        Column("minutes", "number", "minutes", "How long."),
        Column("is_new", "flag", None, "Whether it is new.", nullable=True),
        Column("note", "text", None, "More.", nullable=True),
    ),
    key=("app", "name", "at"),
    instant="at",
    scope=("app",),
)


def part(day: int = 0, days: int = 1, app: int = 1) -> Part:
    return Part(Interval(START + day * DAY, START + (day + days) * DAY), {"app": app})


def rows(of: Part, count: int = 3, minutes: float = 1.0) -> list[Row]:
    app = of.scope["app"]
    return [
        {
            "app": app,
            "name": f"n{number}",
            "at": of.interval.start + dt.timedelta(milliseconds=number),
            "minutes": minutes,
            "is_new": None if number % 3 == 0 else number % 3 == 1,
            "note": None if number % 2 else 'é, "quoted"\n',
        }
        for number in range(count)
    ]


class SqliteHook:
    """As Airflow's, of a file."""

    placeholder = "?"
    dialect_name = "sqlite"
    escape_word_format = '"{}"'
    supports_autocommit = False

    def __init__(self, path: str) -> None:
        self.path = path

    def get_conn(self) -> Any:
        return sqlite3.connect(self.path)


def files(folder: Any, format: str = "jsonl") -> Files:
    path: Any = UPath(f"file://{folder}")
    return Files(path, format)
