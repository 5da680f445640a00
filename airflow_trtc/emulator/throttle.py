"""The frequency limit of the API gateway. Pure given the time."""

from __future__ import annotations


class RateLimiter:
    """Allows ``limit`` requests per key in a second; the second begins with its first request."""

    def __init__(self, limit: int, *, window_seconds: float = 1.0) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def excess(self, key: tuple[str, str], now: float, own_limit: int | None = None) -> int:
        """Count one request and return how many the window has seen if that is too many, else 0.

        ``own_limit`` counts where it is lower; without any limit it does not either.
        """
        if self.limit <= 0:
            return 0
        limit = self.limit if own_limit is None else min(self.limit, own_limit)
        opened_at, seen = self._windows.get(key, (now, 0))
        if now - opened_at >= self.window_seconds:
            opened_at, seen = now, 0
        self._windows[key] = (opened_at, seen + 1)
        return seen + 1 if seen + 1 > limit else 0
