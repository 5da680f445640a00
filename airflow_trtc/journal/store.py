"""Where what is known of recordings outlives tries, runs and killed processes.

On Airflow 3.3 and later the journal is the asset state store of one constant asset, which every sensor
has as inlet; this is the only module that knows the store and the names of its rows. What looks showed of a
recording, and what callbacks told of it, are two rows, since each row has one kind of writers: tasks and
triggers the one, the API server the other. Readers join them. Each has a head and one row more for each
hundred files, so that rows stay small and old pages are never written again. Older Airflow has no such
store; then there is no journal, and what is known travels in the trigger's arguments and XComs.

The rows are readable by every author of a DAG: they hold no secrets and no signed addresses. They are
working state: Airflow deletes them all when the last DAG with a sensor is deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow.sdk import Asset

from airflow_trtc.aio import within
from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.state import JobState, combine
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.journal.keys import JOURNAL_NAME, JOURNAL_URI, Rows, job_from, log_page_key
from airflow_trtc.journal.plans import (
    Get,
    Plan,
    Store,
    announce_plan,
    drive,
    load_all_plan,
    load_plan,
    log_end_plan,
    save_plan,
)

if TYPE_CHECKING:
    from collections.abc import Callable

JOURNAL = Asset(name=JOURNAL_NAME, uri=JOURNAL_URI)
STORE_TIMEOUT_SECONDS = 30.0  # a triggerer's first request after its start took 8 to 13 seconds

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def with_journal(inlets: Any) -> list[Any]:
    """The inlets and, once, the journal: being an inlet keeps Airflow from deleting its rows."""
    given = inlets if isinstance(inlets, list | tuple) else [] if inlets is None else [inlets]
    return [*(inlet for inlet in given if inlet != JOURNAL), JOURNAL]


class AsyncStore(Protocol):
    """The same verbs for a trigger."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default when there is no such key."""

    async def aset(self, key: str, value: Any) -> None:
        """Write the value."""


async def _adrive(plan: Plan[_Result], store: AsyncStore) -> _Result:
    answer = None
    try:
        while True:
            step = plan.send(answer)
            call = store.aget(step.key) if isinstance(step, Get) else store.aset(step.key, step.value)
            answer = await within(STORE_TIMEOUT_SECONDS, call)
    except StopIteration as stop:
        result: _Result = stop.value
        return result


class _Journal:
    """What worker and trigger have in common.

    Nothing here raises: a store that is missing or fails is reported once in the log, and the wait goes on.

    :ivar is_available: whether this Airflow has a store.
    :ivar is_loaded: whether the journal was read, or there is none to read.
    """

    def __init__(self, store: Any, rows: Rows) -> None:
        self._store = store
        self._rows = rows
        self._is_failing = False
        self.is_available = store is not None
        self.is_loaded = store is None

    @property
    def is_failing(self) -> bool:
        """Whether the last try to read or write failed."""
        return self._is_failing

    def _loaded(self, known: JobState, stored: JobState, *, same_try: bool) -> JobState:
        self.is_loaded, self._is_failing = True, False
        joined = combine(known, stored)
        return replace(joined, refusals=stored.refusals) if same_try else joined

    def _failed(self, error: Exception) -> None:
        if not self._is_failing:
            message = "The journal of recordings failed (%s: %s); the wait goes on"
            log.warning(message, type(error).__name__, error)
        self._is_failing = True


class Journal(_Journal):
    """What is known of one recording, in the store, seen from a worker."""

    def __init__(self, store: Store | None, rows: Rows) -> None:
        super().__init__(store, rows)

    @classmethod
    def of_task(cls, context: Mapping[str, Any], rows: Rows) -> Journal:
        """The journal as a running task reaches it; empty and silent below Airflow 3.3."""
        return cls(_worker_store(context), rows)

    def load(self, known: JobState, *, same_try: bool = False) -> JobState:
        """`known`, joined with what the journal holds.

        :param same_try: the row was written by this try, before it was rescheduled; go on counting.
        """
        stored = self._read(load_all_plan(self._rows))
        return known if stored is None else self._loaded(known, stored, same_try=same_try)

    def load_callbacks(self, known: JobState) -> JobState:
        """`known`, joined with what callbacks told."""
        stored = self._read(load_plan(self._rows.callbacks, known.recording_id))
        return known if stored is None else combine(known, stored)

    def log_end(self) -> int | None:
        """Number of the last entry in the change log; None when that cannot be read."""
        return self._read(log_end_plan())

    def save(self, known: JobState) -> tuple[JobState, bool]:
        """Write; return what is known now, with what others wrote meanwhile, and whether it is written."""
        if self._store is None:
            return known, True
        joined = self._read(save_plan(self._rows.polls, known))
        return (known, False) if joined is None else (joined, True)

    def announce(self, end: Finished, at: datetime) -> bool:
        """Tell the API server of an end that looks found out and that is saved; return whether it knows."""
        return bool(self._read(announce_plan(self._rows, end, at)))

    def _read(self, plan: Plan[_Result]) -> _Result | None:
        if self._store is None:
            return None
        try:
            result = drive(plan, self._store)
        except Exception as error:
            self._failed(error)
            return None
        self._is_failing = False
        return result


class AsyncJournal(_Journal):
    """The same for a trigger."""

    def __init__(self, store: AsyncStore | None, rows: Rows) -> None:
        super().__init__(store, rows)

    @classmethod
    def of_trigger(cls, rows: Rows) -> AsyncJournal:
        """The journal as a trigger reaches it; empty and silent below Airflow 3.3."""
        return cls(trigger_store(), rows)

    async def load(self, known: JobState) -> JobState:
        """See `Journal`; what callbacks told is read by `load_callbacks`, or comes through the change log."""
        stored = await self._read(load_plan(self._rows.polls, known.recording_id))
        return known if stored is None else self._loaded(known, stored, same_try=False)

    async def load_callbacks(self, known: JobState) -> JobState:
        """See `Journal`."""
        stored = await self._read(load_plan(self._rows.callbacks, known.recording_id))
        return known if stored is None else combine(known, stored)

    async def save(self, known: JobState, *, only_news: bool = True) -> tuple[JobState, bool]:
        """See `Journal`.

        :param only_news: see `save_plan`: thousands of restarted triggers find that they wrote it before.
        """
        if self._store is None:
            return known, True
        joined = await self._read(save_plan(self._rows.polls, known, only_news=only_news))
        return (known, False) if joined is None else (joined, True)

    async def announce(self, end: Finished, at: datetime) -> bool:
        """See `Journal`."""
        return bool(await self._read(announce_plan(self._rows, end, at)))

    async def _read(self, plan: Plan[_Result]) -> _Result | None:
        if self._store is None:
            return None
        try:
            result = await _adrive(plan, self._store)
        except Exception as error:
            self._failed(error)
            return None
        self._is_failing = False
        return result


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the change log: a callback that was stored.

    :param seq: its number; they begin with 1 and leave none out.
    :param callback: None when it is too long for the log: the recording's row has it.
    """

    seq: int
    sdk_app_id: int
    recording_id: str
    received_at: datetime
    callback: Callback | None


class LogReader:
    """Reads the change log page by page; raises what the store raises."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store

    async def end(self) -> int:
        """Number of the last entry."""
        return await _adrive(log_end_plan(), self._store)

    async def page(self, page: int) -> list[Entry]:
        """The entries of a page, as far as they were written; empty when it is gone."""
        value = await within(STORE_TIMEOUT_SECONDS, self._store.aget(log_page_key(page)))
        items = value.get("entries") if isinstance(value, Mapping) else None
        return [entry for item in items or () if (entry := _entry(item)) is not None]


def _entry(item: Mapping[str, Any]) -> Entry | None:
    try:
        return _read_entry(item)
    except (KeyError, TypeError, ValueError):
        return None  # the reader notices the hole


def _read_entry(item: Mapping[str, Any]) -> Entry:
    seconds, milliseconds = divmod(item["received_at_ms"], 1000)
    received_at = datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=milliseconds * 1000)
    callback = None if item["event"] is None else parse_event(item["event"])
    if (job := job_from(item)) is None:
        raise ValueError("the entry names no job")
    return Entry(item["seq"], job.sdk_app_id, job.job_id, received_at, callback)


def _worker_store(context: Mapping[str, Any]) -> Store | None:
    stores = context.get("asset_state_store")
    if stores is None:
        return None
    try:
        # Always by asset: the shortcut without it fails as soon as the task has other inlets.
        store: Store = stores[JOURNAL]
    except (KeyError, TypeError):
        return None
    return store


class _TriggerStore:
    """Airflow's accessor in a triggerer; ``dag.test()`` offers only its synchronous half."""

    def __init__(self, accessor: Any, is_async: Callable[[], bool]) -> None:
        self._accessor = accessor
        self._is_async = is_async

    async def aget(self, key: str, default: Any = None) -> Any:
        if self._is_async():
            return await self._accessor.aget(key, default)
        return self._accessor.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        if self._is_async():
            await self._accessor.aset(key, value)
        else:
            self._accessor.set(key, value)


def trigger_store() -> AsyncStore | None:
    """The store as triggers reach it; None below Airflow 3.3 and outside Airflow."""
    try:
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.context import AssetStateStoreAccessor
    except ImportError:
        return None
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if comms is None:
        return None
    return _TriggerStore(AssetStateStoreAccessor(name=JOURNAL.name), lambda: hasattr(comms, "asend"))
