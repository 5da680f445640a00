"""When recordings end, and how soon an ideal client could know. Pure.

The floor is that of a round-robin at exactly the limit among a constant number of waits: a round takes the
waits over the limit, or the poll interval if that is longer. An end falls anywhere into a round, so it is
noticed after half of one in the median, and after 95 % of one in the 95th percentile.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence


def round_seconds(waits: int, limit: float, poll_seconds: float) -> float:
    """How long an ideal round takes while nobody leaves."""
    return max(waits / limit, poll_seconds)


def floor(waits: int, limit: float, poll_seconds: float) -> tuple[float, float]:
    """Median and 95th percentile, in seconds."""
    seconds = round_seconds(waits, limit, poll_seconds)
    return seconds / 2, seconds * 0.95


def ends(recording_ids: Sequence[str], count: int, seconds: float, seed: int) -> dict[str, float]:
    """Which recordings end, and when in so many seconds: chosen at random, repeatable, earliest first."""
    chance = random.Random(seed)
    chosen = chance.sample(list(recording_ids), count)
    times = sorted(chance.uniform(0.0, seconds) for _ in chosen)
    return dict(zip(chosen, times, strict=True))


def ends_of_each(groups: Iterable[Sequence[str]], count: int, seconds: float, seed: int) -> dict[str, float]:
    """The same for several groups, so many of each group."""
    plans = [ends(ids, min(count, len(ids)), seconds, seed + number) for number, ids in enumerate(groups)]
    return dict(sorted((end for plan in plans for end in plan.items()), key=lambda end: end[1]))


def ideal_lags(
    recording_ids: Sequence[str],
    ended_at: Mapping[str, float],
    limit: float,
    poll_seconds: float,
    *,
    begin_at: float,
    seed: int = 0,
) -> list[float]:
    """How late a round-robin at exactly the limit notices these ends.

    It asks in an order that has nothing to do with the ends, about none more often than every
    `poll_seconds`, and about no recording again that it knows to be over.

    :param ended_at: the ends of some of the recordings, on the same clock as `begin_at`.
    """
    order = random.Random(seed).sample(list(recording_ids), len(recording_ids))
    left = dict(ended_at)
    lags = []
    for recording_id, at in _asked(order, limit, poll_seconds, begin_at, left):
        if recording_id in left and left[recording_id] <= at:
            lags.append(at - left.pop(recording_id))
    return lags


def _asked(
    order: Sequence[str], limit: float, poll_seconds: float, begin_at: float, left: Mapping[str, float]
) -> Iterator[tuple[str, float]]:
    """Yield who is asked about and when, until nobody is left to notice."""
    due = [(begin_at, number, recording_id) for number, recording_id in enumerate(order)]
    at = begin_at
    while left:
        due_at, number, recording_id = heapq.heappop(due)
        at = max(at, due_at)
        was_left = recording_id in left
        yield recording_id, at
        if not was_left or recording_id in left:
            heapq.heappush(due, (at + poll_seconds, number, recording_id))
        at += 1.0 / limit
