"""What the receiver needs of connections, remembered for a few seconds.

Looking a connection up costs a query or a call to a key store. Knowing the receiver's address must not be
enough to cause more than a trickle of them: names that are no connection are remembered too, and wait for
each other in a queue of their own, which those of real connections never enter. What is remembered answers
while it is looked up anew, so that a slow key store delays the first callback only.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from airflow_trtc.aio import take_error
from airflow_trtc.journal.reception import Reason

REMEMBERED_SECONDS = 5.0
REFRESHED_SECONDS = 60.0  # so long may a key be used that was replaced, unless callbacks keep coming
KNOWN_SECONDS = 60.0
RETRY_SECONDS = 1.0  # after a wrong signature: the key may have changed since
MAX_NAMES = 1000
MAX_UNKNOWN_WAITING = 100
WARNING_SECONDS = 60.0
MAX_WARNINGS = 20  # in that time: one connection of the environment has many spellings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """What the receiver needs of one connection.

    :param keys: each may have signed; empty when there is none.
    :param sdk_app_id: the only application that may send; None for any.
    :param region: where the connection polls.
    :param problem: why nothing can be received with it, for the log; empty when something can.
    :param reason: the same in one word; None where nobody needs to know, as of what is no connection of ours.
    :param advice: what should be changed although callbacks are accepted, for the log; empty for nothing.
    """

    keys: tuple[str, ...] = field(default=(), repr=False)
    accepts_unsigned: bool = False
    sdk_app_id: int | None = None
    region: str | None = None
    problem: str = ""
    reason: Reason | None = None
    advice: str = ""


class LookupUnavailable(Exception):
    """A connection cannot be looked up now: too many unknown names wait, or the database is away."""


LookUp = Callable[[str], ReceiverConfig]
KnownNames = Callable[[], Collection[str]]


class ConnectionCache:
    """Remembers what `look_up` found.

    :param look_up: runs in threads; returns a problem for what is no connection, and raises only
        `LookupUnavailable`.
    :param known_names: runs in a thread; names that belong to connections, as far as they can be listed.
    """

    def __init__(
        self,
        look_up: LookUp,
        clock: Callable[[], float] = time.monotonic,
        known_names: KnownNames = tuple,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._list_names = known_names
        self._names: frozenset[str] = frozenset()
        self._names_at = -math.inf
        self._listing: asyncio.Future[Collection[str]] | None = None
        self._found: OrderedDict[str, tuple[float, ReceiverConfig]] = OrderedDict()
        self._running: dict[str, asyncio.Future[ReceiverConfig]] = {}
        self._unknown_waiting = 0
        self._known_thread = ThreadPoolExecutor(1, "trtc-connections")
        self._unknown_thread = ThreadPoolExecutor(1, "trtc-unknown-names")
        self._warned: set[str] = set()
        self._advised: set[tuple[str, str]] = set()  # as few as there are connections
        self._warned_at = -math.inf

    @property
    def is_flooded(self) -> bool:
        """Whether so many unknown names wait that no further one is looked up."""
        return self._unknown_waiting >= MAX_UNKNOWN_WAITING

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
        looking = self._begin(conn_id)
        if seconds >= REMEMBERED_SECONDS:
            before = self.remembered(conn_id, REFRESHED_SECONDS)
            if before is not None and not before.problem:
                return before
        return await asyncio.shield(looking)

    def _begin(self, conn_id: str) -> asyncio.Future[ReceiverConfig]:
        running = self._running.get(conn_id)
        if running is None:
            running = asyncio.ensure_future(self._find(conn_id))
            self._running[conn_id] = running
            running.add_done_callback(lambda _: self._running.pop(conn_id, None))
            running.add_done_callback(take_error)
        return running

    async def _find(self, conn_id: str) -> ReceiverConfig:
        before = self._found.get(conn_id)
        is_known = before is not None and not before[1].problem
        is_known = is_known or conn_id.upper() in await self._known_names()
        if not is_known and self.is_flooded:
            raise LookupUnavailable
        thread = self._known_thread if is_known else self._unknown_thread
        self._unknown_waiting += not is_known
        try:
            found = await asyncio.get_running_loop().run_in_executor(thread, self._look_up, conn_id)
        finally:
            self._unknown_waiting -= not is_known
        self._remember(conn_id, found)
        return found

    async def _known_names(self) -> frozenset[str]:
        if self._clock() - self._names_at >= KNOWN_SECONDS:
            self._names_at = self._clock()
            self._listing = asyncio.get_running_loop().run_in_executor(self._known_thread, self._list_names)
        try:
            if self._listing is not None:
                self._names = frozenset(name.upper() for name in await asyncio.shield(self._listing))
        except Exception as error:  # then all are unknown until the next list
            log.warning("Cannot list connections: %s", type(error).__name__)
            self._listing = None
        return self._names

    def _remember(self, conn_id: str, found: ReceiverConfig) -> None:
        if found.advice and (conn_id.upper(), found.advice) not in self._advised:
            self._advised.add((conn_id.upper(), found.advice))
            log.warning("Connection %r accepts callbacks, but %s", conn_id, found.advice)
        self._found[conn_id] = self._clock(), found
        self._found.move_to_end(conn_id)
        while len(self._found) > MAX_NAMES:
            # Unknown names go first, so that a flood of them does not wash out the real ones.
            unknown = (name for name, (_, one) in self._found.items() if one.problem)
            del self._found[next(unknown, next(iter(self._found)))]

    def warn_refused(self, conn_id: str, found: ReceiverConfig, signature: str | None) -> None:
        """Log, once a minute, why callbacks are refused; all unknown names share one line.

        Spellings that the environment does not tell apart share one too, and no minute has many lines.
        """
        why = found.problem or ("it is not signed" if not signature else "its signature matches no key")
        name = conn_id.upper() if not found.problem.startswith("there is no") else ""
        if self._clock() - self._warned_at >= WARNING_SECONDS:
            self._warned_at = self._clock()
            self._warned.clear()
        if name not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add(name)
            message = "Refused a callback for connection %r: %s (logged at most once a minute)"
            log.warning(message, conn_id[:100], why)

    def close(self) -> None:
        """Let the threads end."""
        self._known_thread.shutdown(wait=False, cancel_futures=True)
        self._unknown_thread.shutdown(wait=False, cancel_futures=True)
