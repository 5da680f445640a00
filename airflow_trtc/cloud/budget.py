"""How fast one process may ask: a rate that gives way when the account's limit is reached, and comes back.

The service limits requests per account and action, whichever process sends them, and does not say how many
are left. So each process watches for refusals: its rate falls by a quarter at once, returns within a minute
or so to just below where it was refused, and only later feels its way beyond (the cubic curve of RFC 9438,
with seconds for round trips). The first refusal, and one right after another, take half: then the rate is far
too high. Processes that do so share the limit without knowing of one another.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass

# Found by simulating one to six processes that share a limit of 20 a second (tests/cloud/test_budget.py).
CUT = 0.25  # share of the rate that a refusal takes
DEEP_CUT = 0.5  # the same at the start, which doubled, and when the last cut was not enough
SOON_SECONDS = 5.0  # after the last cut
HEADROOM = 0.05  # how far below the refused rate to stay afterwards
RETURN_SECONDS = 75.0  # until that is reached again
PROBE_SECONDS = 50.0  # then until the rate has grown by PROBE_SHARE of the ceiling, ever faster
PROBE_SHARE = 0.05
LOWEST_RATE = 0.5
START_RATE, START_SHARE = 2.0, 0.1  # the greater one, of the ceiling, doubled again and again until refused:
DOUBLING_SECONDS = 4.0  # slow enough not to run far beyond what the others on the account leave
# Refusals of requests that were already on their way say nothing new.
SAME_REFUSAL_SECONDS = 1.5


@dataclass(frozen=True)
class Pace:
    """A rate as a function of time.

    :param since: when it began or was cut, seconds.
    :param low: requests a second at that time; None for the start, which depends on the ceiling.
    :param plateau: what it returns to; None before the first refusal.
    """

    since: float
    low: float | None = None
    plateau: float | None = None

    def rate(self, now: float, ceiling: float) -> float:
        """Requests a second, at most `ceiling`."""
        seconds = max(now - self.since, 0.0)
        if self.low is None or self.plateau is None:
            doublings: float = 2.0 ** min(seconds / DOUBLING_SECONDS, 10.0)
            return min(max(START_RATE, START_SHARE * ceiling) * doublings, ceiling)
        if seconds < RETURN_SECONDS:
            missing = (self.plateau - self.low) * (1.0 - seconds / RETURN_SECONDS) ** 3
            return min(self.plateau - missing, ceiling)
        probed = ((seconds - RETURN_SECONDS) / PROBE_SECONDS) ** 3
        return min(self.plateau + PROBE_SHARE * ceiling * probed, ceiling)

    def refused(self, now: float, ceiling: float) -> Pace:
        """The pace after a refusal."""
        if self.low is not None and now - self.since < SAME_REFUSAL_SECONDS:
            return self
        rate = self.rate(now, ceiling)
        is_far_off = self.low is None or now - self.since < SOON_SECONDS
        low = max(rate * (1.0 - (DEEP_CUT if is_far_off else CUT)), LOWEST_RATE)
        # Refused below the last plateau: another process needs more, so leave it some.
        is_crowded = self.plateau is not None and rate < self.plateau
        plateau = rate * (1.0 - (CUT / 2 if is_crowded else HEADROOM))
        return Pace(now, low, max(plateau, low))

    def restarted(self, now: float) -> Pace:
        """The pace after a time in which little was asked: slow, then towards the limit as far as found."""
        if self.plateau is None:
            return Pace(now)
        return Pace(now, min(START_RATE, self.plateau), self.plateau)


class Budget:
    """Assigns the moments at which requests may be sent. Safe for threads and event loops: it never waits.

    Requests are spread evenly; time that was not used is not saved up.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._pace: Pace | None = None

    def reserve(self, ceiling: float) -> float:
        """Take the next moment and return how many seconds to wait for it; 0.0 is now.

        :param ceiling: requests a second at most, whatever the service lets through.
        """
        with self._lock:
            now = self._clock()
            self._pace = self._pace or Pace(now)
            starts_at = max(self._free_at, now)
            self._free_at = starts_at + 1.0 / self._pace.rate(now, ceiling)
        return starts_at - now

    def rate(self, ceiling: float) -> float:
        """Requests a second as of now."""
        with self._lock:
            now = self._clock()
            return (self._pace or Pace(now)).rate(now, ceiling)

    def refused(self, ceiling: float) -> None:
        """Take note that the service refused a request because there were too many."""
        with self._lock:
            now = self._clock()
            self._pace = (self._pace or Pace(now)).refused(now, ceiling)

    def restart(self) -> None:
        """Begin slowly again, as after an outage, so that not all that waited ask at once."""
        with self._lock:
            now = self._clock()
            self._pace = (self._pace or Pace(now)).restarted(now)


_budgets: weakref.WeakValueDictionary[Hashable, Budget] = weakref.WeakValueDictionary()
_budgets_lock = threading.Lock()


def shared_budget(key: Hashable) -> Budget:
    """The budget that this process shares under a key, as long as anything holds it."""
    with _budgets_lock:
        return _budgets.setdefault(key, Budget())
