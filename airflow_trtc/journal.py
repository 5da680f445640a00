"""Where what is known of recordings outlives tries, runs and killed processes.

On Airflow 3.3 and later the journal is the asset state store of one constant asset, which every sensor
has as inlet; this is the only module that knows the store. A recording has one head row and one row for
each hundred files, so that rows stay small and old pages are never written again. Older Airflow has no
such store; then there is no journal, and what is known travels in the trigger's arguments and XComs.

The rows are readable by every author of a DAG: they hold no secrets and no signed addresses. They are
working state: Airflow deletes them all when the last DAG with a sensor is deleted.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import Asset

from airflow_trtc.recording.known import (
    Known,
    combine,
    files_from_json,
    files_to_json,
    from_json,
    merge_files,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

JOURNAL = Asset(name="trtc_recordings", uri="trtc://recordings")

FILES_PER_PAGE = 100
LOG_KEY = "log"
ENTRIES_PER_PAGE = 100
LONGEST_KEY = 480  # the store takes 512; pages add a suffix
STORE_TIMEOUT_SECONDS = 30.0  # a triggerer's first request after its start took 8 to 13 seconds

log = logging.getLogger(__name__)


def journal_key(sdk_app_id: int, region: str, recording_id: str) -> str:
    """Key of the head row. Region and app are part of it: elsewhere the same id may be unknown."""
    key = f"poll/{sdk_app_id}/{region}/{recording_id}"
    if len(key) <= LONGEST_KEY:
        return key
    return f"poll/{hashlib.sha256(key.encode()).hexdigest()}"


def callback_key(sdk_app_id: int, recording_id: str) -> str:
    """Key of the head row of what callbacks told; no region: a callback does not name one."""
    return _bounded("cb", f"cb/{sdk_app_id}/{recording_id}")


def inbox_key(received_at_ms: int, identity: str) -> str:
    """Key of a callback that was stored and not yet looked at; such keys sort by time."""
    return f"in/{received_at_ms:013d}/{identity}"


def event_key(sdk_app_id: int, subject: str, identity: str) -> str:
    """Key of one event as it was received; `subject` is ``task:<id>``, ``room:<id>`` or ``-``."""
    return _bounded("ev", f"ev/{sdk_app_id}/{subject}/{identity}")


def log_page(seq: int) -> int:
    """The page of the change log that holds entry number `seq`; the first entry is 1."""
    return (seq - 1) // ENTRIES_PER_PAGE


def log_page_key(page: int) -> str:
    """Key of a page of the change log."""
    return f"log/{page:010d}"


def due_key(at_ms: int, sdk_app_id: int, recording_id: str) -> str:
    """Key of the wish to judge a recording at that time; such keys sort by time."""
    return _bounded(f"due/{at_ms:013d}", f"due/{at_ms:013d}/{sdk_app_id}/{recording_id}")


def due_value(sdk_app_id: int, recording_id: str, region: str | None) -> dict[str, Any]:
    """Value of such a row; it repeats the key, which may be a digest.

    :param region: where the recording was asked about; None when only callbacks told of it.
    """
    return {"v": 1, "app": sdk_app_id, "recording_id": recording_id, "region": region}


def done_key(sdk_app_id: int, recording_id: str, milestone: str) -> str:
    """Key of the note that the asset event of this milestone was emitted."""
    return _bounded("done", f"done/{sdk_app_id}/{recording_id}/{milestone}")


def _bounded(prefix: str, key: str) -> str:
    # Some databases keep no character beyond U+FFFF in a key.
    if len(key) <= LONGEST_KEY and key.isascii():
        return key
    return f"{prefix}/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


class Store(Protocol):
    """The verbs of Airflow's store that the worker uses."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default when there is no such key."""

    def set(self, key: str, value: Any) -> Any:
        """Write the value."""


class AsyncStore(Protocol):
    """The same verbs for a trigger."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default when there is no such key."""

    async def aset(self, key: str, value: Any) -> None:
        """Write the value."""


@dataclass(frozen=True, slots=True)
class _Get:
    key: str


@dataclass(frozen=True, slots=True)
class _Set:
    key: str
    value: Any


# What to read and write, written once; `_drive` and `_adrive` do it.
_Plan = Generator[_Get | _Set, Any, Known]


def _page_key(key: str, page: int) -> str:
    return f"{key}/files/{page}"


def _pages(known: Known) -> list[list[dict[str, Any]]]:
    rows = files_to_json(known.files)
    return [rows[start : start + FILES_PER_PAGE] for start in range(0, len(rows), FILES_PER_PAGE)]


def _load(key: str, recording_id: str) -> _Plan:
    head = yield _Get(key)
    known = from_json(head, recording_id)
    count = head.get("pages") if isinstance(head, Mapping) else 0
    pages = count if type(count) is int else 0
    files: list[Any] = []
    page, is_full = 0, False
    # Of two who write at the same time the slower one may shorten the head: look behind a full page.
    while page < pages or is_full:
        rows = yield _Get(_page_key(key, page))
        rows = rows if isinstance(rows, list) else []
        files += rows
        page, is_full = page + 1, len(rows) >= FILES_PER_PAGE
    return replace(known, files=files_from_json(files))


def _save(key: str, known: Known) -> _Plan:
    """Join what is known with what is stored, and write what differs: pages first, then the head."""
    stored = yield from _load(key, known.recording_id)
    joined = combine(known, stored)
    # Stored files stay in front, so that full pages never change.
    joined = replace(joined, files=merge_files(stored.files, joined.files))
    # Who writes has just looked; hosts' clocks may differ, so times do not decide who knows better.
    if known.last_seen_at is not None:
        joined = replace(joined, status=known.status, exited_at=known.exited_at)
    if known.last_seen_at is not None or known.is_gone:
        joined = replace(joined, absent_since=known.absent_since, absent_at=known.absent_at)
    old, new = _pages(stored), _pages(joined)
    for page, rows in enumerate(new):
        if old[page : page + 1] != [rows]:
            yield _Set(_page_key(key, page), rows)
    head = to_json(replace(joined, files=()))
    yield _Set(key, {**head, "pages": len(new), "file_count": len(joined.files)})
    return joined


def _drive(plan: _Plan, store: Store) -> Known:
    answer = None
    try:
        while True:
            step = plan.send(answer)
            answer = store.get(step.key) if isinstance(step, _Get) else store.set(step.key, step.value)
    except StopIteration as stop:
        return _result(stop)


async def _adrive(plan: _Plan, store: AsyncStore) -> Known:
    answer = None
    try:
        while True:
            step = plan.send(answer)
            call = store.aget(step.key) if isinstance(step, _Get) else store.aset(step.key, step.value)
            answer = await asyncio.wait_for(call, STORE_TIMEOUT_SECONDS)
    except StopIteration as stop:
        return _result(stop)


def _result(stop: StopIteration) -> Known:
    known: Known = stop.value
    return known


class _Journal:
    """What worker and trigger have in common.

    Nothing here raises: a store that is missing or fails is reported once in the log, and the wait goes on.

    :ivar is_available: whether this Airflow has a store.
    :ivar is_loaded: whether the journal was read, or there is none to read.
    """

    def __init__(self, store: Any, key: str) -> None:
        self._store = store
        self._key = key
        self._is_failing = False
        self.is_available = store is not None
        self.is_loaded = store is None

    def _loaded(self, known: Known, stored: Known, *, same_try: bool) -> Known:
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

    def __init__(self, store: Store | None, key: str) -> None:
        super().__init__(store, key)

    @classmethod
    def of_task(cls, context: Mapping[str, Any], key: str) -> Journal:
        """The journal as a running task reaches it; empty and silent below Airflow 3.3."""
        return cls(_worker_store(context), key)

    def load(self, known: Known, *, same_try: bool = False) -> Known:
        """`known`, joined with what the journal holds.

        :param same_try: the row was written by this try, before it was rescheduled; go on counting.
        """
        if self._store is None:
            return known
        try:
            stored = _drive(_load(self._key, known.recording_id), self._store)
        except Exception as error:
            self._failed(error)
            return known
        return self._loaded(known, stored, same_try=same_try)

    def save(self, known: Known) -> tuple[Known, bool]:
        """Write; return what is known now, with what others wrote meanwhile, and whether it is written."""
        if self._store is None:
            return known, True
        try:
            joined = _drive(_save(self._key, known), self._store)
        except Exception as error:
            self._failed(error)
            return known, False
        return joined, True


class AsyncJournal(_Journal):
    """The same for a trigger."""

    def __init__(self, store: AsyncStore | None, key: str) -> None:
        super().__init__(store, key)

    @classmethod
    def of_trigger(cls, key: str) -> AsyncJournal:
        """The journal as a trigger reaches it; empty and silent below Airflow 3.3."""
        return cls(_trigger_store(), key)

    async def load(self, known: Known) -> Known:
        """`known`, joined with what the journal holds."""
        if self._store is None:
            return known
        try:
            stored = await _adrive(_load(self._key, known.recording_id), self._store)
        except Exception as error:
            self._failed(error)
            return known
        return self._loaded(known, stored, same_try=False)

    async def save(self, known: Known) -> tuple[Known, bool]:
        """Write; return what is known now, with what others wrote meanwhile, and whether it is written."""
        if self._store is None:
            return known, True
        try:
            joined = await _adrive(_save(self._key, known), self._store)
        except Exception as error:
            self._failed(error)
            return known, False
        return joined, True


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


def _trigger_store() -> AsyncStore | None:
    try:
        from airflow.sdk.execution_time import task_runner
        from airflow.sdk.execution_time.context import AssetStateStoreAccessor
    except ImportError:
        return None
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if comms is None:
        return None
    return _TriggerStore(AssetStateStoreAccessor(name=JOURNAL.name), lambda: hasattr(comms, "asend"))
