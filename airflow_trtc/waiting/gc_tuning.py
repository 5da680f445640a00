"""Tunes Python's garbage collector while thousands of jobs are waited for.

A full collection walks through all objects and stops the event loop meanwhile: for a second or so when ten
thousand triggers wait (``make bench/triggerer``), only to find them all alive. So while there are many waits,
what has outlived a full collection is frozen, as Airflow's own processes do before they fork (``gc.freeze``),
and the next one, which comes sooner, walks through what came since. A process with few waits is left alone.
``[trtc] gc_tuning = False`` switches this off.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from airflow_trtc._compat import gc_tuning_enabled

MIN_WAITS = 500  # from which on it is worth it
OLDEST_GENERATION = 2  # the one that full collections are about
FULL_COLLECTION_THRESHOLD = 2  # collections of younger ones between two full ones; Python's default is 10
ENDS_PER_WAIT = 10  # that still runs, until one full collection of everything, which takes 0.15 s or more


class Collector(Protocol):
    """What is used of the module `gc`."""

    callbacks: list[Any]

    def freeze(self) -> None:
        """Freeze all objects that there are."""

    def unfreeze(self) -> None:
        """Thaw them."""

    def get_threshold(self) -> tuple[int, int, int]:
        """How often each generation is collected."""

    def set_threshold(self, threshold0: int, threshold1: int = ..., threshold2: int = ..., /) -> None:
        """Set that."""

    def collect(self) -> int:
        """Walk through all objects but those."""


class GcTuning:
    """Counts the waits of a process and, while they are many, freezes what lives long.

    A frozen object is freed as soon as nothing refers to it, unless it is part of a cycle. A wait that ends
    leaves next to none of these; for all others, whenever ten times as many waits have ended as still run,
    one full collection walks through everything.

    :param is_enabled: asked when the waits become many.
    """

    def __init__(self, collector: Collector = gc, is_enabled: Callable[[], bool] = lambda: True) -> None:
        self._collector = collector
        self._is_enabled = is_enabled
        self._waiting = 0
        self._ended = 0  # since the last collection of everything
        self._are_many = False
        self._thresholds = (0, 0, 0)  # those of before

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count as one wait."""
        self._waiting += 1
        if self._waiting == MIN_WAITS and not self._are_many and self._is_enabled():
            self._begin()
        try:
            yield
        finally:
            self._waiting -= 1
            self._ended += 1
            most = MIN_WAITS if self._waiting < MIN_WAITS else ENDS_PER_WAIT * self._waiting
            if self._are_many and self._ended >= most:
                self._collect_everything()

    def _begin(self) -> None:
        self._are_many, self._ended = True, 0
        self._thresholds = self._collector.get_threshold()
        self._collector.set_threshold(
            *self._thresholds[:2], min(self._thresholds[2], FULL_COLLECTION_THRESHOLD)
        )
        self._collector.callbacks.append(self._collected)
        self._collector.freeze()

    def _collect_everything(self) -> None:
        self._ended = 0
        self._collector.unfreeze()
        if self._waiting >= MIN_WAITS:
            self._collector.collect()
        else:
            self._are_many = False
            self._collector.callbacks.remove(self._collected)
            self._collector.set_threshold(*self._thresholds)

    def _collected(self, phase: str, details: dict[str, int]) -> None:
        if phase == "stop" and details["generation"] == OLDEST_GENERATION:
            self._collector.freeze()


gc_tuning = GcTuning(is_enabled=gc_tuning_enabled)
