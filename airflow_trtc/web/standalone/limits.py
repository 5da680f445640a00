"""What a client may cost before its request is complete.

With h11, uvicorn limits the size of the lines before the body; the other parser it has, httptools, does not.
It limits neither how long they may take nor how many connections may wait for them: both are here. And it
logs each request that is none, so that whoever sends them fills the disk: here, each such line comes once a
minute.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
MOST_CONNECTIONS = 1_000
WARNING_SECONDS = 60.0
RESERVED_FILES = 64  # for the spool, for connections to Airflow, for what Python itself opens


def max_connections() -> int:
    """How many connections this process may hold: as its limit of open files allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MOST_CONNECTIONS, max(16, files - RESERVED_FILES))


class LimitedProtocol(H11Protocol):
    """A connection that is closed when its request does not arrive in time, or others need its place."""

    max_connections = max_connections()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; the one that has waited longest for its request makes room."""
        super().connection_made(transport)
        self.began_at = self.loop.time()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._close_unless_served)
        if len(self.connections) > self.max_connections:
            # Many may come at once, and those that are closed already leave only later.
            ours = [one for one in self.connections if isinstance(one, LimitedProtocol)]
            left = [one for one in ours if not one.transport.is_closing()]
            if len(left) > self.max_connections:
                waiting = [one for one in left if not one.is_complete]
                min(waiting, key=lambda one: one.began_at, default=self).transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether it holds no request that is being answered."""
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is None or bool(cycle.response_complete)

    @property
    def is_complete(self) -> bool:
        """Whether it holds a request that has arrived to its last byte and is being answered."""
        return not self.is_idle and not self.cycle.more_body

    def on_response_complete(self) -> None:
        """Give the next request its time."""
        super().on_response_complete()
        self.began_at = self.loop.time()
        self._deadline.cancel()
        # uvicorn closes idle connections sooner; this is for one whose next request began.
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._close_unless_served)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def _close_unless_served(self) -> None:
        if self.is_idle:
            self.transport.abort()


class OncePerMinute(logging.Filter):
    """Lets each text of the server's warnings pass once a minute; they hold nothing of a request."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is to be logged."""
        if record.levelno != logging.WARNING:
            return True
        now, text = self._clock(), str(record.msg)
        if now - self._passed_at.get(text, now - WARNING_SECONDS) < WARNING_SECONDS:
            return False
        self._passed_at[text] = now
        return True


OPTIONS: dict[str, Any] = {"http": LimitedProtocol, "h11_max_incomplete_event_size": HEAD_BYTES, "ws": "none"}
