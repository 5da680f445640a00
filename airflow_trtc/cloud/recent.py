"""What happened in the last minute, second by second. No clock: times come from outside."""

from __future__ import annotations

from collections import deque

RECENT_SECONDS = 60


class Recent:
    """Counts what happens, and knows the highest value that came with it, of the last 60 seconds.

    Times are seconds of any clock that is never set back; they are taken to the whole second.
    """

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int, float]] = deque()  # second, count, highest value

    def add(self, now: float, value: float = 0.0) -> None:
        """It happened."""
        self._forget(now)
        second, count, highest = int(now), 0, 0.0
        if self._seconds and self._seconds[-1][0] == second:
            _, count, highest = self._seconds.pop()
        self._seconds.append((second, count + 1, max(highest, value)))

    def count(self, now: float) -> int:
        """How often it happened."""
        self._forget(now)
        return sum(count for _, count, _ in self._seconds)

    def highest(self, now: float) -> float:
        """The highest value; 0 when it did not happen."""
        self._forget(now)
        return max((highest for *_, highest in self._seconds), default=0.0)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - RECENT_SECONDS:
            self._seconds.popleft()
