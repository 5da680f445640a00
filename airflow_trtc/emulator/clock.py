"""The clock the recordings live by. The only place of the emulator's state that reads the time."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_trtc.emulator.options import check_seconds


class Clock:
    """Starts at the real time and then runs ``scale`` times as fast; 0 stands still until moved by hand."""

    def __init__(
        self,
        scale: float = 1.0,
        *,
        epoch: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scale = scale
        self._ticks = ticks
        self._first_tick = ticks()
        self._started_at = epoch()
        self._moved_seconds = 0.0

    def now(self) -> float:
        """Return the emulated Unix time in seconds."""
        return self._started_at + (self._ticks() - self._first_tick) * self.scale + self._moved_seconds

    def real_seconds_until(self, instant: float) -> float | None:
        """Return how many real seconds it takes to reach an emulated time, None if that never comes."""
        seconds = instant - self.now()
        if seconds <= 0:
            return 0.0
        return seconds / self.scale if self.scale else None

    def advance(self, seconds: float) -> float:
        """Move the clock forward by emulated seconds and return the new time."""
        if type(seconds) in (int, float) and seconds < 0:
            raise ValueError("the clock cannot go back: seconds must be 0 or more")
        moved = self._moved_seconds + check_seconds("seconds", seconds)
        self._moved_seconds = check_seconds("all seconds together", moved)
        return self.now()
