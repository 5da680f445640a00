"""The change feed: one reader per event loop that gives each wait its new callbacks.

Airflow's supervisor answers a trigger's questions one after the other, 10 to 25 ms each, so a thousand
triggers cannot ask for themselves. One reader asks for the number of the last entry, once a second for all,
and fetches a page of a hundred entries only when there are new ones; an entry holds the callback itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from airflow_trtc import bounds, metrics
from airflow_trtc.aio import loop_time, start_apart
from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.keys import ENTRIES_PER_PAGE, job_from, log_page, log_page_key
from airflow_trtc.journal.plans import Get, Set, read_log_end
from airflow_trtc.journal.store import AsyncStore, acarry_out
from airflow_trtc.steps import adrive

READ_SECONDS = 1.0
BEHIND_SECONDS = 3.0  # since the last reading began
MAX_PAUSE_SECONDS = 30.0  # between two tries to read a store that fails
MAX_PAGES = 50
MAX_KEPT = 2000  # entries in memory, for triggers that start after they were read

log = logging.getLogger(__name__)

_Job: TypeAlias = "tuple[str, int, str]"  # family, application and id; callbacks name neither kind nor region


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the feed: a callback that was stored.

    :param seq: its number; they begin with 1 and leave none out.
    :param callback: None when it is too long for the feed: the job's own row has it.
    """

    seq: int
    job: JobRef
    received_at: datetime
    callback: Callback | None


class Log(Protocol):
    """What is read: see `StoredLog`."""

    async def end(self) -> int:
        """Number of the last entry."""

    async def page(self, page: int) -> list[Entry]:
        """The entries of a page, as far as they were written; empty when it is gone."""


class StoredLog:
    """The change log in the journal, page by page; raises what the store raises."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    async def end(self) -> int:
        """Number of the last entry."""
        return await adrive(read_log_end(), self._carry_out)

    async def page(self, page: int) -> list[Entry]:
        """The entries of a page, as far as they were written; empty when it is gone."""
        value = await self._carry_out(Get(log_page_key(page)))
        items = bounds.items(bounds.mapping(value).get("entries"), ENTRIES_PER_PAGE)
        return [entry for item in items if (entry := read_entry(item)) is not None]

    async def _carry_out(self, step: Get | Set) -> Any:
        return await acarry_out(step, self._store)


def read_entry(item: object) -> Entry | None:
    """Read one entry; None for what is none: the reader notices the hole."""
    row = bounds.mapping(item)
    seq, received_at_ms = bounds.number(row.get("seq"), 1), bounds.instant_ms(row.get("received_at_ms"))
    job = job_from(row)
    if seq is None or job is None or received_at_ms is None:
        return None
    try:
        callback = None if row.get("event") is None else parse_event(row["event"])
    except ValueError:
        return None
    return Entry(seq, job, bounds.moment(received_at_ms), callback)


def _subject(job: JobRef) -> _Job:
    return job.family, job.sdk_app_id, job.job_id


class FeedSubscription:
    """What one wait gets.

    :param position: number of the last entry that the wait knows already.
    :param wake: called when there is something to drain.
    :ivar has_gap: entries may have been missed; the job's own row has them. The wait resets this.
    :ivar is_unavailable: nothing can be read at present.
    :ivar reader: the reader that fills it.
    """

    def __init__(self, job: JobRef, position: int, wake: Callable[[], None] = lambda: None) -> None:
        self.job = _subject(job)
        self.position = position
        self.has_gap = False
        self.is_unavailable = False
        self.reader: FeedReader | None = None
        self._entries: list[Entry] = []
        self._wake = wake

    @property
    def is_behind(self) -> bool:
        """Whether callbacks that were stored seconds ago may not have been read yet."""
        return self.is_unavailable or self.reader is None or self.reader.is_behind

    @property
    def has_entries(self) -> bool:
        """Whether there is something to drain."""
        return bool(self._entries)

    def drain(self) -> list[Entry]:
        """The entries since the last time."""
        entries, self._entries = self._entries, []
        return entries

    def add(self, entry: Entry) -> None:
        """Take an entry, unless it is older than the subscription's position."""
        if entry.seq <= self.position:
            return
        self.position = entry.seq
        if entry.callback is None:
            self.has_gap = True
        else:
            self._entries.append(entry)
        self._wake()

    def add_gap(self) -> None:
        """Wake the wait: something may have been missed."""
        self.has_gap = True
        self._wake()

    def set_unavailable(self, is_unavailable: bool) -> None:
        """Wake the wait: it gets no more entries, or gets them again."""
        self.is_unavailable = is_unavailable
        self._wake()


class FeedReader:
    """The reader of one event loop. It reads while there are subscriptions.

    :param read_seconds: between two readings.
    :param behind_seconds: since when the last complete reading must have begun for the reader not to be
        behind.
    :param max_pages: farther behind, each job's own row is the shorter way.
    """

    def __init__(
        self,
        changes: Log,
        *,
        read_seconds: float = READ_SECONDS,
        behind_seconds: float = BEHIND_SECONDS,
        max_pages: int = MAX_PAGES,
    ) -> None:
        self._changes = changes
        self._read_seconds = read_seconds
        self._behind_seconds = behind_seconds
        self._max_pages = max_pages
        self._subscriptions: dict[_Job, set[FeedSubscription]] = {}
        self._kept: deque[Entry] = deque(maxlen=MAX_KEPT)
        self._end: int | None = None  # number of the last entry that was read
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False
        self._read_at = -math.inf  # when the last reading that reached the end began

    @property
    def is_behind(self) -> bool:
        """Whether it has not reached the end of the log for seconds, as when it starts."""
        return loop_time() - self._read_at >= self._behind_seconds

    def add(self, subscription: FeedSubscription) -> None:
        """Hand everything over to it that comes after its position."""
        self._subscriptions.setdefault(subscription.job, set()).add(subscription)
        subscription.reader, subscription.is_unavailable = self, self._is_failing
        if self._end is not None:
            self._catch_up(subscription)
        self._go_on()

    def remove(self, subscription: FeedSubscription) -> None:
        """Forget it."""
        others = self._subscriptions.get(subscription.job, set())
        others.discard(subscription)
        if not others:
            self._subscriptions.pop(subscription.job, None)

    def _go_on(self) -> None:
        if self._task is None:
            self._task = start_apart(self._read_on())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None  # or it would hold the event loop whose reader this is
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("Reading callbacks stopped until another wait begins", exc_info=error)
        elif self._subscriptions:  # of those that came in the moment between
            self._go_on()

    def _catch_up(self, subscription: FeedSubscription) -> None:
        first_kept = self._kept[0].seq if self._kept else (self._end or 0) + 1
        if subscription.position < first_kept - 1:
            subscription.add_gap()
        for entry in self._kept:
            if _subject(entry.job) == subscription.job:
                subscription.add(entry)

    async def _read_on(self) -> None:
        pause = self._read_seconds
        while self._subscriptions:
            began_at = loop_time()
            try:
                await self._read()
            except Exception as error:
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
                if not self._is_failing:
                    why = f"{type(error).__name__}: {error}"
                    log.warning("Cannot read callbacks; falling back to polling (%s)", why)
                    metrics.count(metrics.FEED_OUTAGES)
                self._set_failing(True)
            else:
                if self._is_failing:
                    log.info("Reading callbacks again")
                    self._set_failing(False)
                pause, self._read_at = self._read_seconds, began_at
            await asyncio.sleep(pause)
        # The next subscription learns that it may have missed what comes in between.
        self._end, self._read_at = None, -math.inf
        self._kept.clear()

    def _set_failing(self, is_failing: bool) -> None:
        if is_failing == self._is_failing:
            return
        self._is_failing = is_failing
        for subscription in self._all():
            subscription.set_unavailable(is_failing)

    async def _read(self) -> None:
        end = await self._changes.end()
        for subscription in self._all():
            if subscription.position > end:  # the journal was deleted, and began anew
                subscription.position = 0
                subscription.add_gap()
        if self._end is None:
            self._begin(end)
        elif end < self._end or log_page(end) - log_page(self._end) > self._max_pages:
            self._skip_to(end)
        assert self._end is not None
        while self._end < end:
            await self._read_page(log_page(self._end + 1), end)

    def _begin(self, end: int) -> None:
        """Begin with the oldest entry that a wait needs, if it is not too far back."""
        oldest = min((subscription.position for subscription in self._all()), default=end)
        self._end = max(oldest, end - MAX_KEPT, 0)
        for subscription in self._all():
            if subscription.position < self._end:
                subscription.add_gap()

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
            for subscription in tuple(self._subscriptions.get(_subject(entry.job), ())):
                subscription.add(entry)
        if self._end < last:  # the page was pruned, or cannot be read
            self._skip_to(last)

    def _skip_to(self, end: int) -> None:
        self._end = end
        self._kept.clear()
        for subscription in self._all():
            subscription.add_gap()

    def _all(self) -> list[FeedSubscription]:
        return [one for several in self._subscriptions.values() for one in several]


_readers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, FeedReader] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def subscribed(
    store: AsyncStore | None, job: JobRef, position: int | None, wake: Callable[[], None]
) -> Iterator[FeedSubscription]:
    """A subscription for one job, as long as the block lasts.

    :param store: the journal's store; None below Airflow 3.3, where nothing can be read.
    :param position: number of the last entry that the worker could know; None when it could not read that.
    :param wake: see `FeedSubscription`.
    """
    subscription = FeedSubscription(job, position or 0, wake)
    if store is None:
        subscription.is_unavailable = True
        yield subscription
        return
    if position is None:
        subscription.add_gap()
    loop = asyncio.get_running_loop()
    if loop not in _readers:
        _readers[loop] = FeedReader(StoredLog(store))
    reader = _readers[loop]
    reader.add(subscription)
    try:
        yield subscription
    finally:
        reader.remove(subscription)
