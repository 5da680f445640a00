"""Counts refused callbacks in memory, so that a flood of them costs the database next to nothing.

Only of connections that exist, and of each at most once a minute something is written.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime, timezone

from airflow_trtc.journal.reception import Reason, Refused
from airflow_trtc.web.receiving.writer import describe

PAUSE_SECONDS = 60.0  # between two writings of one connection
MAX_CONNECTIONS = 1000

log = logging.getLogger(__name__)

Add = Callable[[Collection[Refused]], bool]


class Refusals:
    """The refusals that are not written yet. Safe for threads.

    :param add: adds to the rows of the journal; returns whether that was done. May raise.
    :param monotonic: seconds of a clock that is never set back.
    :param clock: the present time, aware.
    """

    def __init__(
        self,
        add: Add,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._add = add
        self._monotonic = monotonic
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Refused] = {}
        self._due_at: dict[str, float] = {}
        self._is_failing = False

    def note(self, conn_id: str, reason: Reason) -> None:
        """One callback was refused."""
        now = self._clock()
        self._keep(Refused(conn_id, 1, now, now, reason))

    def write_due(self) -> None:
        """Write what may be written now. Never raises; what cannot be written is kept."""
        due = self._take_due()
        if not due:
            return
        try:
            is_done, why = self._add(due), None
        except Exception as error:
            is_done, why = False, describe(error)
        if why is not None and not self._is_failing:
            log.warning("Cannot write how many callbacks were refused; retrying (%s)", why)
        self._is_failing = why is not None
        if not is_done:
            for refused in due:
                self._keep(refused)

    def _keep(self, refused: Refused) -> None:
        with self._lock:
            other = self._waiting.get(refused.key)
            if other is not None or len(self._waiting) < MAX_CONNECTIONS:
                self._waiting[refused.key] = refused.after(other)

    def _take_due(self) -> list[Refused]:
        now = self._monotonic()
        with self._lock:
            due = [key for key in self._waiting if self._due_at.get(key, -math.inf) <= now]
            self._due_at = {key: at for key, at in self._due_at.items() if at > now}
            self._due_at |= dict.fromkeys(due, now + PAUSE_SECONDS)
            return [self._waiting.pop(key) for key in due]
