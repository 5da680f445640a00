"""When the next request may go: one request budget per process and (endpoint, region, identity)."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable


def next_slot(free_at: float, now: float, requests_per_second: float) -> tuple[float, float]:
    """Return when the next request may go, and from when on the one after it may.

    Requests are spread evenly; time that nobody used is not saved up.
    """
    starts_at = max(free_at, now)
    return starts_at, starts_at + 1.0 / requests_per_second


class Budget:
    """Hands out the moments at which requests may go. Safe for threads and event loops: it never waits."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait_seconds(self, requests_per_second: float) -> float:
        """Take the next moment and return how long to wait for it; 0.0 is now."""
        with self._lock:
            now = self._clock()
            starts_at, self._free_at = next_slot(self._free_at, now, requests_per_second)
        return starts_at - now


_budgets: weakref.WeakValueDictionary[Hashable, Budget] = weakref.WeakValueDictionary()
_budgets_lock = threading.Lock()


def shared_budget(key: Hashable) -> Budget:
    """The budget that everybody in this process with the same key shares, as long as anybody holds it."""
    with _budgets_lock:
        return _budgets.setdefault(key, Budget())
