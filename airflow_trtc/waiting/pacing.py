"""When a waiter asks again."""

from __future__ import annotations

LONGEST_TROUBLE_SECONDS = 300.0
LONGEST_TROUBLE_INTERVALS = 10.0
SAFETY_NET_INTERVALS = 10.0
LONGEST_SAFETY_NET_SECONDS = 900.0


def safety_net_seconds(interval_seconds: float) -> float:
    """The interval for a recording whose callbacks arrive: looks only make up for those that are lost.

    :param interval_seconds: the user's ``poke_interval``, which the result is never below.
    """
    return max(interval_seconds, min(interval_seconds * SAFETY_NET_INTERVALS, LONGEST_SAFETY_NET_SECONDS))


def next_look_seconds(
    interval_seconds: float,
    *,
    looks: int,
    exponential: bool,
    longest_seconds: float | None,
    troubles: int,
    chance: float,
) -> float:
    """Seconds until the next look.

    :param interval_seconds: the user's ``poke_interval``.
    :param looks: looks made so far, from 1; matters when `exponential`.
    :param exponential: double the interval with each look, as ``exponential_backoff`` of Airflow's sensors.
    :param longest_seconds: the user's ``max_wait``; None for no limit.
    :param troubles: looks in a row that taught nothing; each doubles the pause, up to ten times the interval
        or five minutes, so that a service in trouble is left alone. A longer pause that the user chose stays.
    :param chance: from 0 to 1; spreads waiters that began together over a tenth of the pause.
    """
    pause = interval_seconds
    if exponential:
        pause = max(interval_seconds, 1.0) * 2.0 ** min(max(looks - 2, 0), 30)
        if longest_seconds is not None:
            pause = min(pause, longest_seconds)
    if troubles > 0:
        longest = min(LONGEST_TROUBLE_INTERVALS * max(interval_seconds, 1.0), LONGEST_TROUBLE_SECONDS)
        pause = max(pause, min(pause * 2.0 ** min(troubles - 1, 30), longest))
    return pause * (1.0 + 0.1 * chance)
