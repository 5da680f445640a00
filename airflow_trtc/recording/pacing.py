"""When a waiter asks again."""

from __future__ import annotations

LONGEST_TROUBLE_SECONDS = 300.0


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
    :param troubles: looks in a row that taught nothing; each doubles the pause, up to five minutes, so that
        a service in trouble is left alone. A pause the user chose longer than that stays.
    :param chance: from 0 to 1; spreads waiters that began together over a tenth of the pause.
    """
    pause = interval_seconds
    if exponential:
        pause = max(interval_seconds, 1.0) * 2.0 ** min(max(looks - 2, 0), 30)
        if longest_seconds is not None:
            pause = min(pause, longest_seconds)
    if troubles > 0:
        pause = max(pause, min(max(pause, 1.0) * 2.0 ** min(troubles - 1, 30), LONGEST_TROUBLE_SECONDS))
    return pause * (1.0 + 0.1 * chance)
