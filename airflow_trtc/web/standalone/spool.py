"""Callbacks on this machine's disk, until Airflow has them. Standard library only."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_trtc.web.receiving.receiver import Row

_TABLES = """
create table if not exists waiting (
    id integer primary key autoincrement,
    key text not null unique,
    value text not null,
    stored_at real not null
);
create table if not exists refused (key text primary key, value text not null, why text not null);
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is in the spool.

    :param oldest_seconds: for how long the oldest row has been waiting; None when none is.
    """

    waiting: int
    refused: int
    oldest_seconds: float | None


class Spool:
    """A SQLite file; safe for several threads, and for a machine that stops at any moment.

    :raises sqlite3.Error: the file cannot be used.
    """

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=3)
        self._file.execute("pragma journal_mode=wal")
        self._file.execute("pragma synchronous=full")  # a commit is on the disk when it returns
        self._file.executescript(_TABLES)

    def insert(self, rows: Sequence[Row]) -> None:
        """Keep these; they are on the disk when this returns."""
        now = time.time()
        with self._transaction() as file:
            file.executemany(
                "insert or ignore into waiting (key, value, stored_at) values (?, ?, ?)",
                [(row.key, row.value, now) for row in rows],
            )

    def oldest(self, limit: int) -> list[Row]:
        """The rows that have waited longest."""
        with self._lock:
            rows = self._file.execute("select key, value from waiting order by id limit ?", (limit,))
            return [Row(key, value) for key, value in rows]

    def delete(self, keys: Sequence[str]) -> None:
        """Forget these: Airflow has them."""
        with self._transaction() as file:
            file.executemany("delete from waiting where key = ?", [(key,) for key in keys])

    def set_aside(self, row: Row, why: str) -> None:
        """Keep a row that Airflow will not take, out of the way of the others."""
        with self._transaction() as file:
            file.execute("insert or replace into refused values (?, ?, ?)", (row.key, row.value, why))
            file.execute("delete from waiting where key = ?", (row.key,))

    def retry_refused(self) -> int:
        """Move refused rows back to the waiting ones; return how many there were."""
        with self._transaction() as file:
            count = file.execute(
                "insert or ignore into waiting (key, value, stored_at) select key, value, ? from refused",
                (time.time(),),
            ).rowcount
            file.execute("delete from refused")
            return count

    def counts(self) -> Counts:
        """How much there is."""
        with self._lock:
            waiting, oldest = self._file.execute("select count(*), min(stored_at) from waiting").fetchone()
            (refused,) = self._file.execute("select count(*) from refused").fetchone()
        return Counts(waiting, refused, None if oldest is None else max(0.0, time.time() - oldest))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._file.execute("begin immediate")
            try:
                yield self._file
            except BaseException:
                self._file.execute("rollback")
                raise
            self._file.execute("commit")
