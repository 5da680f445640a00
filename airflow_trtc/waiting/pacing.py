"""When a wait polls again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_TROUBLE_SECONDS = 300.0
LONGEST_TROUBLE_INTERVALS = 10.0
SAFETY_NET_INTERVALS = 10.0
LONGEST_SAFETY_NET_SECONDS = 900.0
SHORTEST_READING_SECONDS = 1.0  # between reads of the journal; a poll takes its time, whatever the interval


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a user wants a job to be polled.

    :param interval_seconds: between polls, the sensor's ``poke_interval``.
    :param is_exponential: double the interval with each poll, as ``exponential_backoff`` of Airflow's
        sensors.
    :param longest_seconds: the user's ``max_wait`` for that; None for no limit.
    """

    interval_seconds: float = 60.0
    is_exponential: bool = False
    longest_seconds: float | None = None

    def seconds(
        self,
        *,
        hurry_seconds: float | None,
        reads_only: bool,
        is_backed: bool,
        turns: int,
        failures: int,
        chance: float,
    ) -> float:
        """Seconds until the next turn.

        :param hurry_seconds: what the judge asks for; None leaves it to the user's interval.
        :param reads_only: nothing is polled, only the journal is read.
        :param is_backed: callbacks arrive, so polls only make up for lost ones.
        :param turns: polls made so far, from 1; matters for an exponential pace.
        :param failures: polls in a row that taught nothing; each doubles the pause, up to ten times the
            interval or five minutes, so that a service in trouble is left alone. A longer pause that the
            user chose stays.
        :param chance: from 0 to 1; spreads waits that began together over a tenth of the pause.
        """
        interval = self.interval_seconds
        if hurry_seconds is not None:
            return min(hurry_seconds, interval)
        if reads_only:
            interval = max(interval, SHORTEST_READING_SECONDS)
        elif is_backed:
            interval = safety_net_seconds(interval)
        pause = interval
        if self.is_exponential:
            pause = max(interval, 1.0) * 2.0 ** min(max(turns - 2, 0), 30)
            if self.longest_seconds is not None:
                pause = min(pause, self.longest_seconds)
        longest = min(LONGEST_TROUBLE_INTERVALS * max(interval, 1.0), LONGEST_TROUBLE_SECONDS)
        pause = max(pause, min(pause * 2.0 ** min(failures - 1, 30), longest))
        return pause * (1.0 + 0.1 * chance)

    def first_seconds(self, since_seconds: float, chance: float) -> float:
        """Seconds until the first turn of a trigger.

        :param since_seconds: how long ago the task deferred, right after a poll; below 0 where clocks
            disagree.
        """
        due = min(self.interval_seconds - since_seconds, self.interval_seconds)
        # After a restart the turn may be long over: spread the waits.
        return due if due > 0 else chance * min(self.interval_seconds, 10.0)


def safety_net_seconds(interval_seconds: float) -> float:
    """The interval for a job whose callbacks arrive: polls only make up for those that are lost.

    :param interval_seconds: the user's ``poke_interval``, which the result is never below.
    """
    return max(interval_seconds, min(interval_seconds * SAFETY_NET_INTERVALS, LONGEST_SAFETY_NET_SECONDS))
