"""The keys that callbacks of a connection are signed with, remembered for a few seconds.

Looking a connection up costs a query or a call to a key store. Who knows nothing but the address must not
be able to cause more than a trickle of them: names that are no connection are remembered too, and wait for
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
LOOK_AGAIN_SECONDS = 1.0  # after a wrong signature: the key may have been changed just now
MOST_NAMES = 1000
MOST_STRANGERS_WAITING = 100
COMPLAINT_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receiving:
    """What the receiver has to know of a connection.

    :param keys: each may have signed; empty when there is none.
    :param sdk_app_id: the only application that may send; None for any.
    :param region: where the connection asks about recordings.
    :param problem: why nothing can be received with it, for the log; empty when something can.
    """

    keys: tuple[str, ...] = field(default=(), repr=False)
    accepts_unsigned: bool = False
    sdk_app_id: int | None = None
    region: str | None = None
    problem: str = ""


class NotNow(Exception):
    """It cannot be looked up now: too many unknown names wait, or nobody can be asked."""


LookUp = Callable[[str], Receiving]


class Keyring:
    """Remembers what `look_up` found.

    :param look_up: runs in threads; returns a problem for what is no connection, and raises only `NotNow`.
    """

    def __init__(self, look_up: LookUp, clock: Callable[[], float] = time.monotonic) -> None:
        self._look_up = look_up
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, Receiving]] = OrderedDict()
        self._running: dict[str, asyncio.Future[Receiving]] = {}
        self._strangers_waiting = 0
        self._known_thread = ThreadPoolExecutor(1, "trtc-keys")
        self._stranger_thread = ThreadPoolExecutor(1, "trtc-strangers")
        self._complaints: dict[str, float] = {}

    def remembered(self, conn_id: str, seconds: float = REMEMBERED_SECONDS) -> Receiving | None:
        """What was found not longer ago than that; None when that is nothing."""
        found = self._found.get(conn_id)
        return found[1] if found and self._clock() - found[0] < seconds else None

    async def find(self, conn_id: str, seconds: float = REMEMBERED_SECONDS) -> Receiving:
        """What was found not longer ago than that; else look now.

        :raises NotNow: look again later.
        """
        if (found := self.remembered(conn_id, seconds)) is not None:
            return found
        running = self._running.get(conn_id)
        if running is None:
            running = asyncio.ensure_future(self._find(conn_id))
            self._running[conn_id] = running
            running.add_done_callback(lambda _: self._running.pop(conn_id, None))
        return await asyncio.shield(running)

    async def _find(self, conn_id: str) -> Receiving:
        before = self._found.get(conn_id)
        is_known = before is not None and not before[1].problem
        if not is_known and self._strangers_waiting >= MOST_STRANGERS_WAITING:
            raise NotNow
        thread = self._known_thread if is_known else self._stranger_thread
        self._strangers_waiting += not is_known
        try:
            found = await asyncio.get_running_loop().run_in_executor(thread, self._look_up, conn_id)
        finally:
            self._strangers_waiting -= not is_known
        self._remember(conn_id, found)
        return found

    def _remember(self, conn_id: str, found: Receiving) -> None:
        self._found[conn_id] = self._clock(), found
        self._found.move_to_end(conn_id)
        while len(self._found) > MOST_NAMES:
            # Strangers go first, so that a flood of names does not wash out the real ones.
            strangers = (name for name, (_, one) in self._found.items() if one.problem)
            del self._found[next(strangers, next(iter(self._found)))]

    def complain(self, conn_id: str, found: Receiving, signature: str | None) -> None:
        """Tell the log, once a minute, why callbacks are refused; strangers share one line."""
        why = found.problem or ("it is not signed" if not signature else "its signature fits no key")
        name = conn_id if not found.problem or not found.problem.startswith("there is no") else ""
        now = self._clock()
        if now - self._complaints.get(name, -COMPLAINT_SECONDS) >= COMPLAINT_SECONDS:
            self._complaints[name] = now
            message = "A callback for the connection %r was refused: %s (said once a minute)"
            log.warning(message, conn_id[:100], why)
        if len(self._complaints) > MOST_NAMES:
            self._complaints.clear()

    def close(self) -> None:
        """Let the threads end."""
        self._known_thread.shutdown(wait=False, cancel_futures=True)
        self._stranger_thread.shutdown(wait=False, cancel_futures=True)
