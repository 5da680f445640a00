"""Answers that are kept for a short time in this process. No Airflow, no I/O but the clock it is given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

SHARE = 200  # what costs a second is asked every 200 seconds: half a percent of a processor
LONGEST_SECONDS = 60.0
MAX_KEPT = 1_000

_Value = TypeVar("_Value")


class Memory:
    """Keeps answers to questions.

    :param seconds: how long an answer is kept at least, from when it was there.
    :param longest: how long at most; between these an answer is kept the longer, the longer it took.
    :param clock: seconds that only ever grow.
    """

    def __init__(
        self, seconds: float, longest: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._longest = seconds if longest is None else longest
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, ask: Callable[[], _Value]) -> _Value:
        """The answer to a question; asked anew when there is none, or it is too old."""
        began_at = self._clock()
        with self._lock:
            until, value = self._kept.get(key, (began_at, None))
        if until > began_at:
            return value  # type: ignore[no-any-return]
        answer = ask()
        ended_at = self._clock()
        with self._lock:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[key] = (ended_at + pause(ended_at - began_at, self._seconds, self._longest), answer)
        return answer


def pause(cost: float, least: float, longest: float = LONGEST_SECONDS) -> float:
    """Seconds until what took `cost` seconds is done again."""
    return min(longest, max(least, SHARE * cost))
