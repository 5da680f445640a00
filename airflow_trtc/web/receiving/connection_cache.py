"""What the receiver needs of connections, remembered for a few seconds.

Looking a connection up costs a query or a call to a key store. Knowing the receiver's address must not be
enough to cause more than a trickle of them: names that are no connection are remembered too, and wait for
each other in a queue of their own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

REMEMBERED_SECONDS = 5.0
RETRY_SECONDS = 1.0  # after a wrong signature: the key may have changed since
MAX_NAMES = 1000
MAX_UNKNOWN_WAITING = 100
WARNING_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """What the receiver needs of one connection.

    :param keys: each may have signed; empty when there is none.
    :param sdk_app_id: the only application that may send; None for any.
    :param region: where the connection polls.
    :param problem: why nothing can be received with it, for the log; empty when something can.
    :param advice: what should be changed although callbacks are accepted, for the log; empty for nothing.
    """

    keys: tuple[str, ...] = field(default=(), repr=False)
    accepts_unsigned: bool = False
    sdk_app_id: int | None = None
    region: str | None = None
    problem: str = ""
    advice: str = ""


class LookupUnavailable(Exception):
    """A connection cannot be looked up now: too many unknown names wait, or the database is away."""


LookUp = Callable[[str], ReceiverConfig]


class ConnectionCache:
    """Remembers what `look_up` found.

    :param look_up: runs in threads; returns a problem for what is no connection, and raises only
        `LookupUnavailable`.
    """

    def __init__(self, look_up: LookUp, clock: Callable[[], float] = time.monotonic) -> None:
        self._look_up = look_up
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, ReceiverConfig]] = OrderedDict()
        self._running: dict[str, asyncio.Future[ReceiverConfig]] = {}
        self._unknown_waiting = 0
        self._known_thread = ThreadPoolExecutor(1, "trtc-connections")
        self._unknown_thread = ThreadPoolExecutor(1, "trtc-unknown-names")
        self._warned_at: dict[str, float] = {}

    def remembered(self, conn_id: str, seconds: float = REMEMBERED_SECONDS) -> ReceiverConfig | None:
        """What was found in the last `seconds`; None when that is nothing."""
        found = self._found.get(conn_id)
        return found[1] if found and self._clock() - found[0] < seconds else None

    async def find(self, conn_id: str, seconds: float = REMEMBERED_SECONDS) -> ReceiverConfig:
        """What was found in the last `seconds`; otherwise looks the connection up.

        :raises LookupUnavailable: try again later.
        """
        if (found := self.remembered(conn_id, seconds)) is not None:
            return found
        running = self._running.get(conn_id)
        if running is None:
            running = asyncio.ensure_future(self._find(conn_id))
            self._running[conn_id] = running
            running.add_done_callback(lambda _: self._running.pop(conn_id, None))
        return await asyncio.shield(running)

    async def _find(self, conn_id: str) -> ReceiverConfig:
        before = self._found.get(conn_id)
        is_known = before is not None and not before[1].problem
        if not is_known and self._unknown_waiting >= MAX_UNKNOWN_WAITING:
            raise LookupUnavailable
        thread = self._known_thread if is_known else self._unknown_thread
        self._unknown_waiting += not is_known
        try:
            found = await asyncio.get_running_loop().run_in_executor(thread, self._look_up, conn_id)
        finally:
            self._unknown_waiting -= not is_known
        self._remember(conn_id, found)
        return found

    def _remember(self, conn_id: str, found: ReceiverConfig) -> None:
        before = self._found.get(conn_id)
        if found.advice and (before is None or before[1].advice != found.advice):
            log.warning("Connection %r accepts callbacks, but %s", conn_id, found.advice)
        self._found[conn_id] = self._clock(), found
        self._found.move_to_end(conn_id)
        while len(self._found) > MAX_NAMES:
            # Unknown names go first, so that a flood of them does not wash out the real ones.
            unknown = (name for name, (_, one) in self._found.items() if one.problem)
            del self._found[next(unknown, next(iter(self._found)))]

    def warn_refused(self, conn_id: str, found: ReceiverConfig, signature: str | None) -> None:
        """Log, once a minute, why callbacks are refused; all unknown names share one line."""
        why = found.problem or ("it is not signed" if not signature else "its signature matches no key")
        name = conn_id if not found.problem or not found.problem.startswith("there is no") else ""
        now = self._clock()
        if now - self._warned_at.get(name, -WARNING_SECONDS) >= WARNING_SECONDS:
            self._warned_at[name] = now
            message = "Refused a callback for connection %r: %s (logged at most once a minute)"
            log.warning(message, conn_id[:100], why)
        if len(self._warned_at) > MAX_NAMES:
            self._warned_at.clear()

    def close(self) -> None:
        """Let the threads end."""
        self._known_thread.shutdown(wait=False, cancel_futures=True)
        self._unknown_thread.shutdown(wait=False, cancel_futures=True)
