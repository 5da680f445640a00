"""Spares thousands of waits the long pauses of Python's garbage collector.

A full collection walks through all objects that there are, and stops the event loop meanwhile: for more than
half a second when ten thousand triggers wait (``make bench/triggerer``), only to find them all alive. So
what lives while many wait is put aside, as Airflow's own processes do before they fork (``gc.freeze``); what
is made later is collected as ever. A process in which few wait is left alone.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

FEWEST = 500  # waits from which on it is worth it
GROWTH = 1.25  # times as many as at the last time: the collector's own measure


class Collector(Protocol):
    """What is used of the module `gc`."""

    def freeze(self) -> None:
        """Put aside all objects that there are."""

    def unfreeze(self) -> None:
        """Take them back."""

    def collect(self) -> int:
        """Walk through all objects but those."""


class Calm:
    """Counts the waits of a process and puts aside what lives when they have become many more.

    What is put aside and then forms cycles that nobody holds is not freed. So when as many waits have ended
    as were put aside, one full collection sees to all of it.
    """

    def __init__(self, collector: Collector = gc) -> None:
        self._collector = collector
        self._waiting = 0
        self._aside = 0  # waits when objects were put aside last
        self._ended = 0  # waits that have ended since

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Be one of those who wait."""
        self._waiting += 1
        if self._waiting >= FEWEST and self._waiting >= self._aside * GROWTH:
            self._put_aside()
        try:
            yield
        finally:
            self._waiting -= 1
            self._ended += 1
            if self._aside and self._ended >= self._aside:
                self._begin_anew()

    def _put_aside(self) -> None:
        self._collector.freeze()
        self._aside, self._ended = self._waiting, 0

    def _begin_anew(self) -> None:
        self._collector.unfreeze()
        self._aside = 0
        if self._waiting >= FEWEST:
            self._collector.collect()
            self._put_aside()


calm = Calm()
