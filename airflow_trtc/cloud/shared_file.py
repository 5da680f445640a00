"""A small record in a file that processes of one machine share; only one reads and writes it at a time.

Nothing here waits: a record that another process has locked is :class:`Busy`. A process that dies gives its
lock back. Everything else that goes wrong is an ``OSError``.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # no disk that is full, slow or across a network, and empty after a reboot
SUFFIX = ".pace"
OLD_SECONDS = 86_400.0
_OPTIONAL_FLAGS = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
_FLAGS = os.O_RDWR | os.O_CREAT | sum(getattr(os, name, 0) for name in _OPTIONAL_FLAGS)


class Busy(Exception):
    """Another process has locked the record."""


def default_directory() -> str:
    """Where the records of this user's processes are unless another directory is chosen."""
    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    is_usable = IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK | os.X_OK)
    parent = IN_MEMORY if is_usable else Path(tempfile.gettempdir())
    return str(parent / f"airflow-trtc-{user}")


class SharedFile:
    """One record.

    It is opened for each exchange: a process that was forked must not share its parent's lock, and what
    cleans up temporary files may have removed it.

    :param directory: made if it is missing; only its owner, who must be this user, may write there.
    :param name: of the file, without directory and suffix.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.directory = Path(directory)
        self.path = self.directory / f"{name}{SUFFIX}"

    def exchange(self, change: Callable[[bytes], bytes], size: int) -> None:
        """Replace the record by what `change` makes of it. Takes microseconds.

        :param change: gets at most one byte more than `size`, and none from a new file.
        :raises Busy: another process is just doing so.
        :raises OSError: the file cannot be read or written, or belongs to someone else.
        """
        self._prepare_directory()
        file = os.open(self.path, _FLAGS, 0o600)
        try:
            _check(os.fstat(file), stat.S_ISREG, self.path)
            _lock(file)
            found = os.pread(file, size + 1, 0)
            record = change(found)
            if record != found:
                if os.pwrite(file, record, 0) != len(record):
                    raise OSError("the record was not written as a whole")
                if len(found) > len(record):
                    os.ftruncate(file, len(record))
        finally:
            os.close(file)  # gives the lock back
        if not found:
            self._remove_old()

    def _prepare_directory(self) -> None:
        try:
            found = os.lstat(self.directory)
        except FileNotFoundError:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = os.lstat(self.directory)
        _check(found, stat.S_ISDIR, self.directory)

    def _remove_old(self) -> None:
        """Remove what was not used for a day, such as records of before a reboot."""
        oldest = time.time() - OLD_SECONDS
        with contextlib.suppress(OSError):
            for path in self.directory.glob(f"*{SUFFIX}"):
                if path.lstat().st_mtime < oldest:
                    path.unlink()


def _lock(file: int) -> None:
    try:
        from fcntl import LOCK_EX, LOCK_NB, lockf
    except ImportError:
        raise OSError("this system has no fcntl") from None
    try:
        lockf(file, LOCK_EX | LOCK_NB)  # unlike flock, no child that is forked meanwhile keeps it
    except (BlockingIOError, PermissionError):  # POSIX allows either
        raise Busy from None


def _check(found: os.stat_result, is_kind: Callable[[int], bool], path: Path) -> None:
    """Whoever else can write there could stop or hurry this user's requests."""
    if not is_kind(found.st_mode):
        raise OSError(f"{path} is of the wrong kind")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise OSError(f"{path} belongs to user {found.st_uid}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(f"others may write to {path}")
