"""How fast requests may be sent: a rate that gives way when the account's limit is reached, and comes back.

The service limits requests per account and action, whichever machine sends them, and does not say how many
are left. So each machine watches for refusals: its rate falls by a quarter at once, returns within a minute
or so to just below where it was refused, and only later feels its way beyond (the cubic curve of RFC 9438,
with seconds for round trips). The first refusal, and one right after another, take half: then the rate is far
too high. Machines that do so share the limit without knowing of one another. No I/O, no clock.
"""

from __future__ import annotations

import math
from typing import NamedTuple

# Found by simulating one to six senders that share a limit of 20 a second (tests/cloud/test_budget.py).
CUT = 0.25  # share of the rate that a refusal takes
DEEP_CUT = 0.5  # the same at the start, which doubled, and when the last cut was not enough
SOON_SECONDS = 5.0  # after the last cut
HEADROOM = 0.05  # how far below the refused rate to stay afterwards
RETURN_SECONDS = 75.0  # until that is reached again
PROBE_SECONDS = 50.0  # then until the rate has grown by PROBE_SHARE of the ceiling, ever faster
PROBE_SHARE = 0.05
USUAL_CEILING = 19.0  # below, all this takes longer: the fewer requests, the more of them would be refused
LOWEST_RATE, LOWEST_SHARE = 0.5, 0.025  # the smaller one, of the ceiling
START_RATE, START_SHARE = 2.0, 0.1  # the greater one, of the ceiling, doubled again and again until refused:
DOUBLING_SECONDS = 4.0  # slow enough not to run far beyond what the others on the account leave
# Refusals of requests that were already on their way say nothing new.
SAME_REFUSAL_SECONDS = 1.5


class Pace(NamedTuple):
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
        seconds /= max(math.sqrt(USUAL_CEILING / ceiling), 1.0)
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
        lowest = min(LOWEST_RATE, LOWEST_SHARE * ceiling)
        low = max(rate * (1.0 - (DEEP_CUT if is_far_off else CUT)), lowest)
        # Refused below the last plateau: another process needs more, so leave it some.
        is_crowded = self.plateau is not None and rate < self.plateau
        plateau = rate * (1.0 - (CUT / 2 if is_crowded else HEADROOM))
        return Pace(now, low, max(plateau, low))

    def restarted(self, now: float) -> Pace:
        """The pace after a time in which little was asked: slow, then towards the limit as far as found."""
        if self.plateau is None:
            return Pace(now)
        return Pace(now, min(START_RATE, self.plateau), self.plateau)
