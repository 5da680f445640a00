"""When requests may be sent: all processes of a machine keep to one pace for each account and action.

The pace (:mod:`airflow_trtc.cloud.pace`) and the line of those that wait (:mod:`airflow_trtc.cloud.line`) are
in a small file that the processes share. When it cannot be used, a process keeps to a pace of its own for a
while, as machines do that know nothing of one another: the account's limit is then found by refusals.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import random
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Generator
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TypeVar

from airflow_trtc.cloud.line import RECORD_BYTES, Line, Ticket, decode, encode
from airflow_trtc.cloud.pace import Pace
from airflow_trtc.cloud.shared_file import Busy, SharedFile

PATIENCE_SECONDS = 1.0  # while another process has locked the file: a busy machine may pause it
MAX_BUSY_NAP_SECONDS = 0.01
NOTE_ATTEMPTS = 5
ALONE_SECONDS = 30.0  # until the file is tried again
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class BudgetKey(NamedTuple):
    """What shares a budget. It holds no secret key.

    :param account: see :func:`airflow_trtc.cloud.identities.account_of`.
    :param ceiling: requests a second at most, whatever the service lets through. Budgets with different
        ones know nothing of one another.
    :param directory: of the machine's file; None for a budget of this process alone.
    """

    endpoint: str
    region: str
    account: str
    action: str
    ceiling: float
    directory: str | None = None

    def file(self) -> SharedFile | None:
        """The machine's file; its name says nothing of the account, and is another one after a reboot."""
        if self.directory is None:
            return None
        named = repr(self._replace(directory=None)).encode()
        return SharedFile(self.directory, blake2b(named, key=_boot_id(), digest_size=16).hexdigest())


class Budget:
    """Assigns turns to requests. Safe for threads and event loops: it never waits.

    Requests are spread evenly; time that was not used is not saved up.

    :param ceiling: requests a second at most, whatever the service lets through.
    :param file: what other processes of the machine share; None for a budget of this process alone.
    :param clock: seconds of a clock that is never set back, the same for all that share the file.
    :param chance: a number from 0 to 1; keeps processes from trying at the same moment.
    """

    def __init__(
        self,
        ceiling: float,
        file: SharedFile | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.ceiling = ceiling
        self._file = file
        self._clock = clock
        self._chance = chance
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._notes: list[Callable[[Line], Line]] = []  # what the file does not say yet
        self._alone_until = 0.0
        self._is_alone = False

    def turn(self) -> Generator[float, None, None]:
        """Yield how many seconds to rest, again and again, until the caller may send one request.

        To be closed by who leaves before that: then it takes no turn from the others.
        """
        ticket: Ticket | None = None
        now, busy_seconds = self._clock(), 0.0
        if (seconds := self._seconds_until_free(now)) > 0.0:
            yield seconds  # one exchange with the others then does, instead of two
            now = max(self._clock(), now + seconds)
        ask = partial(Line.ask, ceiling=self.ceiling, has_rested=seconds > 0.0)
        try:
            while True:
                try:
                    rest = self._change(now, partial(ask, ticket=ticket, now=now))
                except Busy:
                    seconds = MAX_BUSY_NAP_SECONDS * self._chance()
                    busy_seconds += seconds
                    if busy_seconds >= PATIENCE_SECONDS:
                        self._stand_alone(now, "another process keeps the file locked")
                else:
                    busy_seconds = 0.0
                    ticket, seconds = rest or (None, 0.0)
                    if ticket is None:
                        return
                yield seconds
                now = max(self._clock(), now + seconds)  # a clock may be coarser than a rest
        finally:
            if ticket is not None:
                self._note(partial(Line.left, ticket=ticket))

    def refused(self) -> None:
        """Take note that the service refused a request because there were too many."""
        self._note(partial(Line.refused, now=self._clock(), ceiling=self.ceiling))

    def restart(self) -> None:
        """Begin slowly again, as after an outage, so that not all that waited ask at once."""
        self._note(partial(Line.restarted, now=self._clock()))

    def rate(self) -> float:
        """Requests a second as of now, as far as this process knows."""
        now = self._clock()
        with self._lock:
            return self._known(now).pace.rate(now, self.ceiling)

    def _seconds_until_free(self, now: float) -> float:
        """As far as this process knows; if others took the turn, it takes a number behind them."""
        with self._lock:
            return self._line.seconds_until_free(now) if self._line is not None else 0.0

    def _note(self, note: Callable[[Line], Line]) -> None:
        """Change the line, at the next opportunity if the file is locked."""
        with self._lock:
            self._notes.append(note)
        for _ in range(NOTE_ATTEMPTS):
            with contextlib.suppress(Busy):
                return self._change(self._clock(), lambda line: (line, None))

    def _change(self, now: float, change: Callable[[Line], tuple[Line, _Value]]) -> _Value:
        """Change the machine's line, or this process's own.

        :raises Busy: another process has locked the machine's.
        """
        with self._lock:
            if self._file is None or now < self._alone_until:
                return self._change_own(now, change)
            try:
                value = self._exchange(self._file, now, change)
            except OSError as error:
                self._go_alone(now, str(error))
                return self._change_own(now, change)
            if self._is_alone:
                log.info("The pace of requests is shared again with other processes of this machine")
            self._is_alone = False
            self._notes.clear()
            return value

    def _exchange(
        self, file: SharedFile, now: float, change: Callable[[Line], tuple[Line, _Value]]
    ) -> _Value:
        changed: list[tuple[Line, _Value]] = []

        def renew(record: bytes) -> bytes:
            line = decode(record)
            if line is None or not line.is_of(now):
                line = self._known(now)
            changed.append(change(self._noted(line.resumed(now))))
            return encode(changed[0][0])

        file.exchange(renew, RECORD_BYTES)
        ((self._line, value),) = changed  # only now: it may not have been written
        return value

    def _change_own(self, now: float, change: Callable[[Line], tuple[Line, _Value]]) -> _Value:
        line = self._noted(self._known(now).resumed(now))
        self._notes.clear()
        self._line, value = change(line)
        return value

    def _noted(self, line: Line) -> Line:
        for note in self._notes:
            line = note(line)
        return line

    def _known(self, now: float) -> Line:
        """The line as this process saw it last."""
        return self._line or Line(secrets.randbits(63), Pace(now))

    def _stand_alone(self, now: float, why: str) -> None:
        with self._lock:
            self._go_alone(now, why)

    def _go_alone(self, now: float, why: str) -> None:
        """Keep to an own pace for a while; slowly, as others may do the same at this moment."""
        self._alone_until = now + ALONE_SECONDS
        if self._is_alone:
            return
        self._is_alone = True
        known = self._known(now).restarted(now)
        self._line = known._replace(name=secrets.randbits(63), served=known.issued)
        log.warning(
            "This process cannot share the pace of its requests with others of this machine (%s); it keeps"
            " a pace of its own, and tries again every %g s. [trtc] shared_pace_directory names another"
            " directory, shared_pace = False switches this off",
            why,
            ALONE_SECONDS,
        )


_budgets: weakref.WeakValueDictionary[BudgetKey, Budget] = weakref.WeakValueDictionary()
_budgets_lock = threading.Lock()


def shared_budget(key: BudgetKey) -> Budget:
    """The budget that this process has under a key, as long as anything holds it."""
    with _budgets_lock:
        return _budgets.setdefault(key, Budget(key.ceiling, key.file()))


def _forget() -> None:
    """In a process that was forked: a lock may have been held by a thread that is not here."""
    global _budgets, _budgets_lock
    _budgets, _budgets_lock = weakref.WeakValueDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@functools.cache
def _boot_id() -> bytes:
    try:
        return BOOT_ID.read_bytes()[:64]
    except OSError:  # only Linux has it; elsewhere the clock tells, which begins anew
        return b""
