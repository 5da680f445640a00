"""Callbacks on this machine's disk, until Airflow has them. Standard library only."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from airflow_trtc.web.receiving.receiver import Row
from airflow_trtc.web.standalone import salvage

OPEN_SECONDS = 30.0  # how long another program, such as a backup, may lock the file while this one starts
LOCK_SECONDS = 3.0
RESERVE_BYTES = 64 * 1024 * 1024  # forgetting what Airflow has takes some space as well
MAX_NAMED = 20

_TABLES = """
create table if not exists waiting (
    id integer primary key autoincrement,
    key text not null unique,
    value text not null,
    stored_at real not null
);
create table if not exists refused (key text primary key, value text not null, why text not null);
"""
_COLUMNS = {"waiting": "key, value, stored_at", "refused": "key, value, why"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spooled:
    """One row of the spool.

    :param id: grows with each row, and is never given twice.
    """

    id: int
    key: str
    value: str


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

    A damaged file is set aside, and what can be read of it goes into a new one. When the file is deleted or
    exchanged meanwhile, what it held goes into the one that is there, for nobody would find it any more.

    :raises sqlite3.Error: the file cannot be used.
    :raises OSError: the folder cannot be used.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()  # to SQLite, ":memory:" is no file
        self._lock = threading.Lock()
        self._users = _open_private(Path(f"{self._path}.lock"))
        try:
            with self._alone() as is_alone:
                self._file = self._open_sound() if is_alone else self._open()
                self._opened = self._file_ids()
        except BaseException:
            os.close(self._users)
            raise

    @property
    def has_room(self) -> bool:
        """Whether the disk has more space than must stay free."""
        return shutil.disk_usage(self._path.parent).free >= RESERVE_BYTES

    def insert(self, rows: Sequence[Row]) -> None:
        """Keep these; they are on the disk when this returns."""
        now = time.time()
        with self._transaction() as file:
            file.executemany(
                "insert or ignore into waiting (key, value, stored_at) values (?, ?, ?)",
                [(row.key, row.value, now) for row in rows],
            )

    def after(self, last_id: int, limit: int) -> list[Spooled]:
        """The oldest rows behind this id."""
        with self._reading() as file:
            rows = file.execute(
                "select id, key, value from waiting where id > ? order by id limit ?", (last_id, limit)
            )
            return [Spooled(*row) for row in rows]

    def get(self, ids: Sequence[int]) -> list[Spooled]:
        """The rows with these ids, as far as there are any."""
        marks = ", ".join("?" for _ in ids)
        with self._reading() as file:
            rows = file.execute(f"select id, key, value from waiting where id in ({marks})", ids)
            return [Spooled(*row) for row in rows]

    def delete(self, ids: Sequence[int]) -> None:
        """Forget these: Airflow has them."""
        with self._transaction() as file:
            file.executemany("delete from waiting where id = ?", [(one,) for one in ids])

    def set_aside(self, row: Spooled, why: str) -> None:
        """Keep a row that Airflow will not take, out of the way of the others."""
        with self._transaction() as file:
            file.execute("insert or replace into refused values (?, ?, ?)", (row.key, row.value, why))
            file.execute("delete from waiting where id = ?", (row.id,))

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
        with self._reading() as file:
            (waiting,) = file.execute("select count(*) from waiting").fetchone()
            # A damaged row may hold anything.
            times = "select stored_at from waiting where typeof(stored_at) = 'real' order by id limit 1"
            oldest = file.execute(times).fetchone()
            (refused,) = file.execute("select count(*) from refused").fetchone()
        return Counts(waiting, refused, None if oldest is None else max(0.0, time.time() - oldest[0]))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
            os.close(self._users)

    def _open_sound(self) -> sqlite3.Connection:
        salvage.finish(self._path)
        file = None
        try:
            file = self._open()
            (found,) = file.execute("pragma quick_check(1)").fetchone()
        except sqlite3.Error as error:
            if not salvage.is_damage(error, while_reading=True):
                raise
            found = str(error)
        return file if file is not None and found == "ok" else self._mend(file, found)

    def _open(self) -> sqlite3.Connection:
        # Callbacks tell who was in which room; SQLite gives its other files the same mode.
        os.close(_open_private(self._path))
        file = sqlite3.connect(
            self._path, check_same_thread=False, isolation_level=None, timeout=OPEN_SECONDS
        )
        # One byte that is no text must not hide its row; who reads the value notices.
        file.text_factory = lambda raw: raw.decode("utf-8", "replace")
        file.execute("pragma journal_mode=wal")
        file.execute("pragma synchronous=full")  # a commit is on the disk when it returns
        file.executescript(_TABLES)
        file.execute(f"pragma busy_timeout={round(LOCK_SECONDS * 1000)}")
        return file

    def _mend(self, file: sqlite3.Connection | None, why: str) -> sqlite3.Connection:
        copied = salvage.copy(self._path, _TABLES, _COLUMNS)
        if file is not None:
            file.close()
        damaged = salvage.finish(self._path)
        message = "The spool %s was damaged (%s). It is now %s; %d callbacks could be read and go on"
        log.error(message, self._path, why, damaged, copied.count)
        if copied.lost:
            names = ", ".join(repr(key) for key in copied.lost[:MAX_NAMED])
            log.error("%d callbacks cannot be read any more, with the keys %s", len(copied.lost), names)
        return self._open()

    def _file_ids(self) -> dict[str, tuple[int, int] | None]:
        """Which files stand where the spool and its side files should; None where there is none."""
        ids: dict[str, tuple[int, int] | None] = dict.fromkeys(salvage.SIDE_FILES)
        for suffix in ids:
            with suppress(FileNotFoundError):
                status = os.stat(f"{self._path}{suffix}")
                ids[suffix] = status.st_dev, status.st_ino
        return ids

    def _follow(self) -> None:
        """Continue in the file that is there now, if it is another one than was opened."""
        if self._file_ids()[""] == self._opened[""]:
            return
        # One process at a time, or one would delete what another has just made.
        fcntl.lockf(self._users, fcntl.LOCK_EX)
        try:
            self._exchange()
        finally:
            fcntl.lockf(self._users, fcntl.LOCK_UN)

    def _exchange(self) -> None:
        ids = self._file_ids()
        for suffix in ("-wal", "-shm"):  # SQLite would take those of the old file for the new one's
            if ids[suffix] is not None and ids[suffix] == self._opened[suffix]:
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        old, new = self._file, self._open()
        try:
            count = salvage.carry_over(old, new, _COLUMNS)
        except sqlite3.Error as error:
            if not salvage.is_damage(error, while_reading=True):
                new.close()
                raise
            count = 0  # who exchanged it has copied what can be read
        self._file, self._opened = new, self._file_ids()
        old.close()
        message = (
            "The spool %s was deleted or exchanged while it was open; %d callbacks are now in the new one"
        )
        log.error(message, self._path, count)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Keep other processes from opening the file; false when one has it open, which is not mending it."""
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fcntl.flock(self._users, fcntl.LOCK_SH)
            is_alone = False
        else:
            is_alone = True
        try:
            yield is_alone
        finally:
            fcntl.flock(self._users, fcntl.LOCK_SH)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._follow()
                yield self._file
            except sqlite3.Error as error:
                self._after_error(error, while_reading=True)
                raise

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._follow()
                self._file.execute("begin immediate")
                yield self._file
                self._file.execute("commit")
            except BaseException as error:
                # Also after a commit that failed; after some errors SQLite has done it already.
                with suppress(sqlite3.Error):
                    if self._file.in_transaction:
                        self._file.execute("rollback")
                if isinstance(error, sqlite3.Error):
                    self._after_error(error)
                raise

    def _after_error(self, error: sqlite3.Error, *, while_reading: bool = False) -> None:
        """Exchange the file if it is damaged; whoever met the error tries again."""
        if not salvage.is_damage(error, while_reading=while_reading):
            return
        with self._alone() as is_alone:
            if not is_alone:
                log.error("The spool %s is damaged; restart all processes that use it", self._path)
                return
            try:
                self._file = self._mend(self._file, str(error))
                self._opened = self._file_ids()
            except (sqlite3.Error, OSError) as why:
                log.error("Cannot copy the damaged spool %s yet: %s", self._path, why)


def _open_private(path: Path) -> int:
    """Open or create a file that only its owner may read and write."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    with suppress(PermissionError):  # another user's file that this one may use
        os.fchmod(handle, 0o600)
    return handle
