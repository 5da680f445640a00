"""Exchanges a damaged spool for a new file with every row that can still be read. Standard library only.

The copy is complete under one name before the damaged file gives way to it, and `finish` goes on where a
machine stopped in between, so that no moment leaves less than there was.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

SIDE_FILES = ("-wal", "-shm", "")  # the database itself goes last: it says that there is work left
MAX_ID = 2**62  # a damaged number must leave room for more
_ERRORS = ("malformed", "not a database")
_READ_ERRORS = (*_ERRORS, "disk I/O error")


@dataclass(frozen=True, slots=True)
class Copied:
    """What could be copied.

    :param count: how many rows the new file has.
    :param lost: keys of rows that cannot be read any more; "?" where the key cannot be read either.
    """

    count: int
    lost: Sequence[str]


def is_damage(error: sqlite3.Error, *, while_reading: bool = False) -> bool:
    """Whether the file is damaged, as opposed to busy, away or out of space."""
    return any(words in str(error) for words in (_READ_ERRORS if while_reading else _ERRORS))


def copy(path: Path, tables: str, columns: Mapping[str, str]) -> Copied:
    """Copy what can be read, for `finish` to exchange the files; no other process may have them open.

    :param tables: SQL that creates the tables.
    :param columns: the columns of each table, with commas; the rows' ids are kept.
    :raises sqlite3.Error: the copy cannot be written; everything is as before.
    """
    draft = _beside(path, "draft")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_WRONLY, 0o600))
    count, lost = 0, []
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(draft)) as new:
        old.text_factory = lambda raw: raw.decode("utf-8", "replace")
        new.executescript(tables)
        for table, names in columns.items():
            keys = _row_ids(old, table)
            for row_id in sorted(keys):
                if _copy(old, new, table, names, row_id):
                    count += 1
                else:
                    lost.append(keys[row_id])
        _raise_ids(old, new)
        new.commit()
    draft.rename(_beside(path, "mended"))
    return Copied(count, lost)


def finish(path: Path) -> Path | None:
    """Put a complete copy in the place of the damaged file, which must be closed.

    :return: where the damaged file is now; None when there is no such copy.
    """
    mended = _beside(path, "mended")
    if not mended.exists():
        return None
    damaged = _beside(path, f"damaged-{time.time_ns() // 1_000_000}")
    for suffix in SIDE_FILES:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{damaged}{suffix}")
    mended.rename(path)
    return damaged


def carry_over(old: sqlite3.Connection, new: sqlite3.Connection, columns: Mapping[str, str]) -> int:
    """Copy all rows into another open file, in one transaction; return how many there were.

    :raises sqlite3.Error: one of the files fails; the new one is as before.
    """
    count = 0
    new.execute("begin immediate")
    try:
        _raise_ids(old, new)
        for table, names in columns.items():
            marks = ", ".join("?" for _ in names.split(","))
            for row in old.execute(f"select {names} from {table} order by rowid"):
                count += new.execute(
                    f"insert or ignore into {table} ({names}) values ({marks})", row
                ).rowcount
        new.execute("commit")
    except BaseException:
        new.execute("rollback")
        raise
    return count


def _raise_ids(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Make new ids higher than all before, as the forwarder counts on, whatever the clock says."""
    highest = time.time_ns() // 1000
    for file in (old, new):
        with suppress(sqlite3.Error):  # of a damaged file
            for (last,) in file.execute("select seq from sqlite_sequence where typeof(seq) = 'integer'"):
                highest = max(highest, min(last, MAX_ID) + 1)
    new.execute("delete from sqlite_sequence where name = 'waiting'")
    new.execute("insert into sqlite_sequence values ('waiting', ?)", (highest,))


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}.{what}")


def _row_ids(old: sqlite3.Connection, table: str) -> dict[int, str]:
    """All ids that the index or the table itself still shows, and their keys where the index does.

    One damaged page breaks a scan off. The index does not share pages with the table, and a scan from the
    other end reaches what stands behind the damage.
    """
    found: dict[int, str] = {}
    for query in (
        f"select rowid, '?' from {table} not indexed order by rowid",
        f"select rowid, '?' from {table} not indexed order by rowid desc",
        f"select rowid, key from {table} indexed by sqlite_autoindex_{table}_1 order by key",
        f"select rowid, key from {table} indexed by sqlite_autoindex_{table}_1 order by key desc",
    ):
        found.update(_until_error(old, query))
    return found


def _until_error(old: sqlite3.Connection, query: str) -> Iterator[tuple[int, str]]:
    with suppress(sqlite3.Error):
        for row_id, key in old.execute(query):
            yield row_id, str(key)


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, names: str, row_id: int) -> bool:
    try:
        row = old.execute(f"select {names} from {table} where rowid = ?", (row_id,)).fetchone()
    except sqlite3.Error:
        return False
    if row is None:
        return False
    marks = ", ".join("?" for _ in row)
    try:
        new.execute(f"insert into {table} (rowid, {names}) values (?, {marks})", (row_id, *row))
    except sqlite3.IntegrityError:  # what was read is no row
        return False
    return True
