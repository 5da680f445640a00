"""Spares thousands of waits the long pauses of Python's garbage collector.

A full collection walks through all objects that there are, and stops the event loop meanwhile: for a second
or so when ten thousand triggers wait (``make bench/triggerer``), only to find them all alive. So while many
wait, what has outlived a full collection is put aside, as Airflow's own processes do before they fork
(``gc.freeze``), and the next one, which comes sooner, walks through what came since. A process in which few
wait is left alone.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

FEWEST = 500  # waits from which on it is worth it
OLDEST = 2  # the generation of objects that full collections are about
SOONER = 2  # collections of younger ones between two full ones; 10 unless somebody chose otherwise
ENDS_FOR_EACH = 10  # wait that goes on, until everything is looked through, which takes 0.15 s or more


class Collector(Protocol):
    """What is used of the module `gc`."""

    callbacks: list[Any]

    def freeze(self) -> None:
        """Put aside all objects that there are."""

    def unfreeze(self) -> None:
        """Take them back."""

    def get_threshold(self) -> tuple[int, int, int]:
        """How often each generation is collected."""

    def set_threshold(self, threshold0: int, threshold1: int = ..., threshold2: int = ..., /) -> None:
        """Choose that."""

    def collect(self) -> int:
        """Walk through all objects but those."""


class GcTuning:
    """Counts the waits of a process and, while they are many, puts aside what lives long.

    What was put aside is freed as soon as nobody holds it, but for objects that hold one another. A wait
    that ends leaves next to none of these; for all others, whenever ten times as many waits have ended as
    go on, one full collection sees to everything.
    """

    def __init__(self, collector: Collector = gc) -> None:
        self._collector = collector
        self._waiting = 0
        self._ended = 0  # since the last collection of everything
        self._are_many = False
        self._thresholds = (0, 0, 0)  # those of before

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Be one of those who wait."""
        self._waiting += 1
        if self._waiting >= FEWEST and not self._are_many:
            self._begin()
        try:
            yield
        finally:
            self._waiting -= 1
            self._ended += 1
            most = FEWEST if self._waiting < FEWEST else ENDS_FOR_EACH * self._waiting
            if self._are_many and self._ended >= most:
                self._see_to_everything()

    def _begin(self) -> None:
        self._are_many, self._ended = True, 0
        self._thresholds = self._collector.get_threshold()
        self._collector.set_threshold(*self._thresholds[:2], min(self._thresholds[2], SOONER))
        self._collector.callbacks.append(self._collected)
        self._collector.freeze()

    def _see_to_everything(self) -> None:
        self._ended = 0
        self._collector.unfreeze()
        if self._waiting >= FEWEST:
            self._collector.collect()
        else:
            self._are_many = False
            self._collector.callbacks.remove(self._collected)
            self._collector.set_threshold(*self._thresholds)

    def _collected(self, phase: str, details: dict[str, int]) -> None:
        if phase == "stop" and details["generation"] == OLDEST:
            self._collector.freeze()


calm = GcTuning()
