"""How triggers hear of callbacks at once: one reader of the change log for all that wait in an event loop.

Airflow's supervisor answers a trigger's questions one after the other, 10 to 25 ms each, so a thousand
triggers cannot ask for themselves. One reader asks for the number of the last entry, once a second for
all, and fetches a page of a hundred entries only when there are new ones; an entry holds the callback itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from airflow_trtc.aio import loop_time, start_apart
from airflow_trtc.journal.keys import ENTRIES_PER_PAGE, log_page
from airflow_trtc.journal.store import Entry, LogReader, trigger_store

READ_SECONDS = 1.0
LATE_SECONDS = 3.0  # since the last reading began
LONGEST_PAUSE_SECONDS = 30.0  # between two tries to read a store that fails
MOST_PAGES = 50  # farther behind, each recording's own row is the shorter way
MOST_KEPT = 2000  # entries in memory, for triggers that start after they were read

log = logging.getLogger(__name__)


class Log(Protocol):
    """What is read: see `LogReader`."""

    async def end(self) -> int:
        """Number of the last entry."""

    async def page(self, page: int) -> list[Entry]:
        """The entries of a page, as far as they were written; empty when it is gone."""


class FeedSubscription:
    """What one trigger hears.

    :param wake: called when there is something to take.
    :ivar missed: entries may have been missed; the recording's own row has them. Who reads it resets this.
    :ivar is_unavailable: nothing can be heard just now.
    :ivar hub: whose reading it hears.
    """

    def __init__(
        self, sdk_app_id: int, recording_id: str, since: int, wake: Callable[[], None] = lambda: None
    ) -> None:
        self.recording = (sdk_app_id, recording_id)
        self.since = since
        self.missed = False
        self.is_unavailable = False
        self.hub: FeedReader | None = None
        self._entries: list[Entry] = []
        self._wake = wake

    @property
    def is_behind(self) -> bool:
        """Whether callbacks that were stored seconds ago may not have been heard yet."""
        return self.is_unavailable or self.hub is None or self.hub.is_behind

    def take(self) -> list[Entry]:
        """What was heard since the last time."""
        entries, self._entries = self._entries, []
        return entries

    def hear(self, entry: Entry) -> None:
        """Take an entry, unless it is older than what the trigger began with, or heard already."""
        if entry.seq <= self.since:
            return
        self.since = entry.seq
        if entry.callback is None:
            self.missed = True
        else:
            self._entries.append(entry)
        self._wake()

    def miss(self) -> None:
        """Wake the trigger: something may have been missed."""
        self.missed = True
        self._wake()

    def set_unavailable(self, is_unavailable: bool) -> None:
        """Wake the trigger: it can rely on hearing no more, or again."""
        self.is_unavailable = is_unavailable
        self._wake()


class FeedReader:
    """The reader of one event loop. It reads while anybody listens."""

    def __init__(self, changes: Log) -> None:
        self._changes = changes
        self._ears: dict[tuple[int, str], set[FeedSubscription]] = {}
        self._kept: deque[Entry] = deque(maxlen=MOST_KEPT)
        self._end: int | None = None  # number of the last entry that was read
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False
        self._read_at = -math.inf  # when the last reading that reached the end began

    @property
    def is_behind(self) -> bool:
        """Whether it has not reached the end of the log for seconds, as when it starts."""
        return loop_time() - self._read_at >= LATE_SECONDS

    def add(self, ear: FeedSubscription) -> None:
        """Let it hear everything since the entry that it names."""
        self._ears.setdefault(ear.recording, set()).add(ear)
        ear.hub, ear.is_unavailable = self, self._is_failing
        if self._end is not None:
            self._catch_up(ear)
        self._go_on()

    def remove(self, ear: FeedSubscription) -> None:
        """Forget it."""
        ears = self._ears.get(ear.recording, set())
        ears.discard(ear)
        if not ears:
            self._ears.pop(ear.recording, None)

    def _go_on(self) -> None:
        if self._task is None:
            self._task = start_apart(self._read_on())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None  # or it would hold the event loop whose reader this is
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("What callbacks tell is heard no more until another wait begins", exc_info=error)
        elif self._ears:  # of those that came in the moment between
            self._go_on()

    def _catch_up(self, ear: FeedSubscription) -> None:
        first_kept = self._kept[0].seq if self._kept else (self._end or 0) + 1
        if ear.since < first_kept - 1:
            ear.miss()
        for entry in self._kept:
            if (entry.sdk_app_id, entry.recording_id) == ear.recording:
                ear.hear(entry)

    async def _read_on(self) -> None:
        pause = READ_SECONDS
        while self._ears:
            began_at = loop_time()
            try:
                await self._read()
            except Exception as error:
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                if not self._is_failing:
                    message = "Callbacks cannot be heard of just now (%s: %s); waits go on by asking"
                    log.warning(message, type(error).__name__, error)
                self._fail(True)
            else:
                if self._is_failing:
                    log.info("Callbacks are heard of again")
                    self._fail(False)
                pause, self._read_at = READ_SECONDS, began_at
            await asyncio.sleep(pause)
        # Whoever listens next is told what was missed in between.
        self._end, self._read_at = None, -math.inf
        self._kept.clear()

    def _fail(self, is_failing: bool) -> None:
        if is_failing == self._is_failing:
            return
        self._is_failing = is_failing
        for ear in self._all():
            ear.set_unavailable(is_failing)

    async def _read(self) -> None:
        end = await self._changes.end()
        for ear in self._all():
            if ear.since > end:  # the journal was deleted, and began anew
                ear.since = 0
                ear.miss()
        if self._end is None:
            self._begin(end)
        elif end < self._end or log_page(end) - log_page(self._end) > MOST_PAGES:
            self._skip_to(end)
        assert self._end is not None
        while self._end < end:
            await self._read_page(log_page(self._end + 1), end)

    def _begin(self, end: int) -> None:
        """Begin with the oldest entry that anybody needs, if it is not too far back."""
        oldest = min((ear.since for ear in self._all()), default=end)
        self._end = max(oldest, end - MOST_KEPT, 0)
        for ear in self._all():
            if ear.since < self._end:
                ear.miss()

    async def _read_page(self, page: int, end: int) -> None:
        assert self._end is not None
        last = min(end, (page + 1) * ENTRIES_PER_PAGE)
        for entry in await self._changes.page(page):
            if not self._end < entry.seq <= last:
                continue
            if entry.seq > self._end + 1:
                self._skip_to(entry.seq - 1)
            self._kept.append(entry)
            self._end = entry.seq
            for ear in tuple(self._ears.get((entry.sdk_app_id, entry.recording_id), ())):
                ear.hear(entry)
        if self._end < last:  # the page was pruned, or cannot be read
            self._skip_to(last)

    def _skip_to(self, end: int) -> None:
        self._end = end
        self._kept.clear()
        for ear in self._all():
            ear.miss()

    def _all(self) -> list[FeedSubscription]:
        return [ear for ears in self._ears.values() for ear in ears]


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, FeedReader] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def listening(
    sdk_app_id: int, recording_id: str, since: int | None, wake: Callable[[], None]
) -> Iterator[FeedSubscription]:
    """An ear for one recording, as long as the block lasts. Below Airflow 3.3 it hears nothing.

    :param since: number of the last entry that the worker could know; None when it could not read that.
    :param wake: see `FeedSubscription`.
    """
    ear = FeedSubscription(sdk_app_id, recording_id, since or 0, wake)
    store = trigger_store()
    if store is None:
        ear.is_unavailable = True
        yield ear
        return
    if since is None:
        ear.miss()
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = FeedReader(LogReader(store))
    hub = _hubs[loop]
    hub.add(ear)
    try:
        yield ear
    finally:
        hub.remove(ear)
