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

import hashlib
import logging
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from airflow.sdk import Asset

from airflow_trtc.bell import within
from airflow_trtc.recording.callback import Callback, parse_event
from airflow_trtc.recording.judge import Finished
from airflow_trtc.recording.known import (
    Known,
    combine,
    files_from_json,
    files_to_json,
    from_json,
    is_news,
    merge_files,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

JOURNAL = Asset(name="trtc_recordings", uri="trtc://recordings")

FILES_PER_PAGE = 100
MOST_PAGES = (
    1000  # anybody may write rows: a number that somebody made up must not keep readers busy for ever
)
LOG_KEY = "log"
ENTRIES_PER_PAGE = 100
LONGEST_KEY = 480  # the store takes 512; pages add a suffix
_PAGES = "/files/"  # between the key of a head and the number of its page
STORE_TIMEOUT_SECONDS = 30.0  # a triggerer's first request after its start took 8 to 13 seconds

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


def journal_key(sdk_app_id: int, region: str, recording_id: str) -> str:
    """Key of the head row. Region and app are part of it: elsewhere the same id may be unknown."""
    key = f"poll/{sdk_app_id}/{region}/{recording_id}"
    if len(key) <= LONGEST_KEY and _PAGES not in recording_id:
        return key
    return f"poll/{hashlib.sha256(key.encode()).hexdigest()}"


def callback_key(sdk_app_id: int, recording_id: str) -> str:
    """Key of the head row of what callbacks told; no region: a callback does not name one."""
    return _bounded("cb", f"cb/{sdk_app_id}/{recording_id}")


def inbox_key(received_at_ms: int, sdk_app_id: int, identity: str) -> str:
    """Key of a callback that was stored and not yet looked at; such keys sort by time.

    The identity alone is not enough: rooms of two applications may have equal names and end together.
    """
    return f"in/{received_at_ms:013d}/{sdk_app_id}/{identity}"


def event_key(sdk_app_id: int, subject: str, identity: str) -> str:
    """Key of one event as it was received; `subject` is ``task:<id>``, ``room:<id>`` or ``-``."""
    return _bounded("ev", f"ev/{sdk_app_id}/{subject}/{identity}")


def log_page(seq: int) -> int:
    """The page of the change log that holds entry number `seq`; the first entry is 1."""
    return (seq - 1) // ENTRIES_PER_PAGE


def log_page_key(page: int) -> str:
    """Key of a page of the change log."""
    return f"log/{page:010d}"


def due_key(at_ms: int, sdk_app_id: int, recording_id: str, region: str | None = None) -> str:
    """Key of the wish to judge a recording, as it is known in a region, at that time; sorts by time."""
    place = f"{sdk_app_id}/{recording_id}" if region is None else f"{sdk_app_id}/{recording_id}/{region}"
    return _bounded(f"due/{at_ms:013d}", f"due/{at_ms:013d}/{place}")


def due_value(
    sdk_app_id: int, recording_id: str, region: str | None, finished: Finished | None = None
) -> dict[str, Any]:
    """Value of such a row; it repeats the key, which may be a digest.

    :param region: where the recording was asked about; None when only callbacks told of it.
    :param finished: how a wait found that it has ended, by the rules of its user.
    """
    value = {"v": 1, "app": sdk_app_id, "recording_id": recording_id, "region": region}
    if finished is not None:
        value |= {"outcome": finished.outcome, "finished_at": finished.finished_at.isoformat()}
    return value


def done_key(sdk_app_id: int, recording_id: str, milestone: str) -> str:
    """Key of the note that the asset event of this milestone was emitted."""
    return _bounded("done", f"done/{sdk_app_id}/{recording_id}/{milestone}")


def bad_key(key: str) -> str:
    """Key of a row that could not be dealt with and was set aside."""
    return _bounded("bad", f"bad/{key}")


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys that begin with `prefix` and stand from `first` to `last`.

    The bounds are for the index and hold in every collation, because only digits differ; whether
    punctuation counts depends on the database, so the prefix has to be asked as well.
    """

    prefix: str
    first: str
    last: str


INBOX = KeyRange("in/", f"in/{0:013d}", f"in/{10**13 - 1:013d}")
LOG_PAGES = KeyRange("log/", f"log/{0:010d}", f"log/{10**10 - 1:010d}")
# What nobody has written for long may go; not the counter of the log, nor what is still to be dealt with.
LASTING_PREFIXES = ("poll/", "cb/", "ev/", "done/", "bad/")


def due_range(now_ms: int) -> KeyRange:
    """Keys of what is due at that time."""
    return KeyRange("due/", f"due/{0:013d}", f"due/{now_ms + 1:013d}")


def _bounded(prefix: str, key: str) -> str:
    # Some databases keep no character beyond U+FFFF in a key. No head may have the key of another one's page.
    if len(key) <= LONGEST_KEY and key.isascii() and _PAGES not in key:
        return key
    return f"{prefix}/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one recording.

    :param region: where it is asked about; elsewhere the same id may be unknown.
    """

    sdk_app_id: int
    region: str
    recording_id: str

    @property
    def seen(self) -> str:
        """Key of what looks showed."""
        return journal_key(self.sdk_app_id, self.region, self.recording_id)

    @property
    def told(self) -> str:
        """Key of what callbacks told."""
        return callback_key(self.sdk_app_id, self.recording_id)


def with_journal(inlets: Any) -> list[Any]:
    """The inlets and, once, the journal: being an inlet keeps Airflow from deleting its rows."""
    given = inlets if isinstance(inlets, list | tuple) else [] if inlets is None else [inlets]
    return [*(inlet for inlet in given if inlet != JOURNAL), JOURNAL]


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
_Plan: TypeAlias = Generator[_Get | _Set, Any, _Result]


def page_key(key: str, page: int) -> str:
    """Key of a page of the files of a head row."""
    return f"{key}{_PAGES}{page}"


def _pages(known: Known) -> list[list[dict[str, Any]]]:
    rows = files_to_json(known.files)
    return [rows[start : start + FILES_PER_PAGE] for start in range(0, len(rows), FILES_PER_PAGE)]


def page_count(head: object) -> int:
    """How many pages a head row says it has; never more than could be."""
    count = head.get("pages") if isinstance(head, Mapping) else 0
    return max(0, min(count, MOST_PAGES)) if type(count) is int else 0


def load_plan(key: str, recording_id: str) -> _Plan[Known]:
    """Read a recording's row with its pages; what cannot be read is left out."""
    head = yield _Get(key)
    known = from_json(head, recording_id)
    pages = page_count(head)
    files: list[Any] = []
    page, is_full = 0, False
    # Of two who write at the same time the slower one may shorten the head: look behind a full page.
    while page < pages or is_full:
        rows = yield _Get(page_key(key, page))
        rows = rows if isinstance(rows, list) else []
        files += rows
        page, is_full = page + 1, len(rows) >= FILES_PER_PAGE
    return replace(known, files=files_from_json(files))


def save_plan(key: str, known: Known, *, only_news: bool = False) -> _Plan[Known]:
    """Join what is known with what is stored, and write what differs: pages first, then the head.

    :param only_news: write nothing if only the times and the number of looks differ.
    """
    stored = yield from load_plan(key, known.recording_id)
    joined = combine(known, stored)
    # Stored files stay in front, so that full pages never change.
    joined = replace(joined, files=merge_files(stored.files, joined.files))
    # Who writes has just looked; hosts' clocks may differ, so times do not decide who knows better.
    if known.last_seen_at is not None:
        joined = replace(joined, status=known.status, exited_at=known.exited_at)
    if known.last_seen_at is not None or known.is_gone:
        joined = replace(joined, absent_since=known.absent_since, absent_at=known.absent_at)
    if only_news and not is_news(stored, joined):
        return joined
    old, new = _pages(stored), _pages(joined)
    for page, rows in enumerate(new):
        if old[page : page + 1] != [rows]:
            yield _Set(page_key(key, page), rows)
    head = to_json(replace(joined, files=()))
    yield _Set(key, {**head, "pages": len(new), "file_count": len(joined.files)})
    return joined


def _load_all(rows: Rows) -> _Plan[Known]:
    seen = yield from load_plan(rows.seen, rows.recording_id)
    told = yield from load_plan(rows.told, rows.recording_id)
    return combine(seen, told)


def _log_end() -> _Plan[int]:
    head = yield _Get(LOG_KEY)
    seq = head.get("seq") if isinstance(head, Mapping) else None
    return seq if type(seq) is int else 0


def _announce(rows: Rows, end: Finished, at: datetime) -> _Plan[bool]:
    key = due_key(round(at.timestamp() * 1000), rows.sdk_app_id, rows.recording_id, rows.region)
    yield _Set(key, due_value(rows.sdk_app_id, rows.recording_id, rows.region, end))
    return True


def drive(plan: _Plan[_Result], store: Store) -> _Result:
    """Carry a plan out; raises what the store raises."""
    answer = None
    try:
        while True:
            step = plan.send(answer)
            answer = store.get(step.key) if isinstance(step, _Get) else store.set(step.key, step.value)
    except StopIteration as stop:
        result: _Result = stop.value
        return result


async def _adrive(plan: _Plan[_Result], store: AsyncStore) -> _Result:
    answer = None
    try:
        while True:
            step = plan.send(answer)
            call = store.aget(step.key) if isinstance(step, _Get) else store.aset(step.key, step.value)
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

    def __init__(self, store: Store | None, rows: Rows) -> None:
        super().__init__(store, rows)

    @classmethod
    def of_task(cls, context: Mapping[str, Any], rows: Rows) -> Journal:
        """The journal as a running task reaches it; empty and silent below Airflow 3.3."""
        return cls(_worker_store(context), rows)

    def load(self, known: Known, *, same_try: bool = False) -> Known:
        """`known`, joined with what the journal holds.

        :param same_try: the row was written by this try, before it was rescheduled; go on counting.
        """
        stored = self._read(_load_all(self._rows))
        return known if stored is None else self._loaded(known, stored, same_try=same_try)

    def load_told(self, known: Known) -> Known:
        """`known`, joined with what callbacks told."""
        stored = self._read(load_plan(self._rows.told, known.recording_id))
        return known if stored is None else combine(known, stored)

    def log_end(self) -> int | None:
        """Number of the last entry in the change log; None when that cannot be read."""
        return self._read(_log_end())

    def save(self, known: Known) -> tuple[Known, bool]:
        """Write; return what is known now, with what others wrote meanwhile, and whether it is written."""
        if self._store is None:
            return known, True
        joined = self._read(save_plan(self._rows.seen, known))
        return (known, False) if joined is None else (joined, True)

    def announce(self, end: Finished, at: datetime) -> bool:
        """Tell the API server of an end that looks found out and that is saved; return whether it knows."""
        return bool(self._read(_announce(self._rows, end, at)))

    def _read(self, plan: _Plan[_Result]) -> _Result | None:
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

    async def load(self, known: Known) -> Known:
        """See `Journal`; what callbacks told is read by `load_told`, or comes through the change log."""
        stored = await self._read(load_plan(self._rows.seen, known.recording_id))
        return known if stored is None else self._loaded(known, stored, same_try=False)

    async def load_told(self, known: Known) -> Known:
        """See `Journal`."""
        stored = await self._read(load_plan(self._rows.told, known.recording_id))
        return known if stored is None else combine(known, stored)

    async def save(self, known: Known, *, only_news: bool = True) -> tuple[Known, bool]:
        """See `Journal`.

        :param only_news: see `save_plan`: thousands of restarted triggers find that they wrote it before.
        """
        if self._store is None:
            return known, True
        joined = await self._read(save_plan(self._rows.seen, known, only_news=only_news))
        return (known, False) if joined is None else (joined, True)

    async def announce(self, end: Finished, at: datetime) -> bool:
        """See `Journal`."""
        return bool(await self._read(_announce(self._rows, end, at)))

    async def _read(self, plan: _Plan[_Result]) -> _Result | None:
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
        return await _adrive(_log_end(), self._store)

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
    return Entry(item["seq"], item["app"], item["recording_id"], received_at, callback)


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
