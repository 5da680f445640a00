"""From stored callbacks to the state of jobs: one batch's reads and writes, worked out without a database.

A batch comes with every row it needs; what is to be written is collected. What cannot be read, or fails,
is set aside with its reason and holds nothing else up.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import learn
from airflow_trtc.journal.keys import (
    ENTRIES_PER_PAGE,
    LOG_KEY,
    MAX_APP,
    Rows,
    bad_key,
    connections_key,
    due_key,
    due_value,
    event_key,
    job_fields,
    log_page,
    log_page_key,
    page_key,
)
from airflow_trtc.journal.plans import PARTS, drive, load_plan, page_count, save_plan
from airflow_trtc.journal.reception import Heard, heard_from, heard_key
from airflow_trtc.kinds import kind_of_group

MAX_LOGGED_EVENT = 2000  # characters; readers of the log fetch longer ones themselves
MAX_SEQ = 10**12  # more pages than their keys have digits for
MAX_CONNECTIONS = 100  # of one application
DAY_MS = 86_400_000
LATE_MS = 5_000  # what waited longer counts from when it is processed

log = logging.getLogger(__name__)

StoredRows = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Received:
    """One row of the inbox, read.

    :param text: the row's value as it is stored.
    :param counts_from_ms: from when on further callbacks of the job are waited for: when this one was
        received, unless it had to wait since (then so did those that follow), or a receiver's clock is ahead.
    :param conn_id: the connection it came through.
    """

    key: str
    text: str
    sdk_app_id: int
    region: str | None
    received_at_ms: int
    counts_from_ms: int
    callback: Callback
    conn_id: str | None = None

    @property
    def event_key(self) -> str:
        """The key under which the event is kept, equal for each delivery of it."""
        return event_key(self.sdk_app_id, self.callback.subject, self.callback.identity)

    @property
    def received_at(self) -> datetime:
        """When it was received, as an aware datetime."""
        return bounds.moment(self.received_at_ms)

    @property
    def counts_from(self) -> datetime:
        """See `counts_from_ms`."""
        return bounds.moment(self.counts_from_ms)

    @property
    def job(self) -> JobRef | None:
        """The job it is about, in the region of the connection; None when it is about none.

        Its kind is the first that has such events; the family is certain.
        """
        kind, job_id = kind_of_group(self.callback.group), self.callback.task_id
        if kind is None or job_id is None:
            return None
        return JobRef(kind.name, self.sdk_app_id, self.region, job_id)


@dataclass(slots=True)
class Batch:
    """Rows of the inbox, and what comes of them.

    :param received: what could be read, each event once.
    :param repeated: further deliveries of these.
    :param bad: rows to set aside, by the key they had.
    """

    received: list[Received] = field(default_factory=list)
    repeated: list[Received] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)


def read_inbox(rows: StoredRows, now_ms: int) -> Batch:
    """Read rows of the inbox; of several deliveries of one event the first counts. Total."""
    batch = Batch()
    seen: set[str] = set()
    for key, text in rows.items():
        try:
            received = read_row(key, text, now_ms)
        except Exception as error:  # whatever it is, it is in this row
            batch.bad[key] = bad_value(key, text, str(error) or type(error).__name__)
            continue
        is_first = received.event_key not in seen
        seen.add(received.event_key)
        (batch.received if is_first else batch.repeated).append(received)
    return batch


def read_row(key: str, text: str, now_ms: int) -> Received:
    """Read one row of the inbox.

    :raises ValueError: it says something else than rows of the inbox do.
    :raises RecursionError: it nests too deeply.
    """
    value = json.loads(text)
    if not isinstance(value, Mapping) or value.get("v") != 1:
        raise ValueError("the row is not of version 1")
    sdk_app_id = bounds.number(value.get("sdk_app_id"), 1, MAX_APP)
    if sdk_app_id is None:
        raise ValueError("the row names no application")
    # A receiver whose clock was never set has answered the service all the same.
    received_at_ms = bounds.instant_ms(value.get("received_at_ms")) or now_ms
    # Receivers bound what they store, but anything with access to Airflow's API may write rows.
    callback = parse_event(bounds.plain(value.get("event")), bounds.plain(value.get("wrapper")))
    counts_from_ms = received_at_ms if 0 <= now_ms - received_at_ms < LATE_MS else now_ms
    region = bounds.job_id(value.get("region"))
    conn_id = bounds.job_id(value.get("conn_id"))
    return Received(key, text, sdk_app_id, region, received_at_ms, counts_from_ms, callback, conn_id)


def by_time(new: Iterable[Received], now_ms: int, journal_days: int) -> tuple[list[Received], list[Received]]:
    """Those that may decide something, and those that are only kept.

    A signature has no end: whoever once saw a callback can send it again. As long as the journal remembers
    the event that changes nothing, so what is older than its memory decides nothing. The limit is a day
    below what is remembered, since an event may be a day ahead of the clock when it comes first.
    """
    earliest_ms = now_ms - (journal_days - 1) * DAY_MS
    in_time: list[Received] = []
    out_of_time: list[Received] = []
    for received in new:
        at_ms = received.callback.happened_at_ms or received.callback.sent_at_ms or now_ms
        (in_time if earliest_ms <= at_ms <= now_ms + DAY_MS else out_of_time).append(received)
    return in_time, out_of_time


def bad_value(key: str, text: str, why: str) -> str:
    """What is kept of a row that is set aside."""
    return json.dumps({"v": 1, "key": key, "why": why[:500], "value": text})


class Overlay:
    """The rows a batch reads, as a store: what is written stays in here until it is collected.

    :param fetch: reads rows that were not fetched before; None for those that are not there.
    """

    def __init__(self, fetch: Callable[[Collection[str]], StoredRows]) -> None:
        self._fetch = fetch
        self._rows: dict[str, str | None] = {}
        self._undone: list[tuple[str, str | None, str | None]] = []
        self.changed: dict[str, str] = {}

    def prefetch(self, keys: Iterable[str]) -> None:
        """Read these with one statement."""
        missing = {key for key in keys if key not in self._rows}
        found = self._fetch(missing) if missing else {}
        for key in missing:
            self._rows[key] = found.get(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The row's value, read; what is no JSON counts as not there."""
        self.prefetch([key])
        text = self._rows[key]
        if text is None:
            return default
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            log.warning("Row %r of the journal is not JSON; replacing it", key)
            return default

    def set(self, key: str, value: Any) -> None:
        """Write the value."""
        text = json.dumps(value, separators=(",", ":"))
        if self._rows.get(key) != text:
            self._undone.append((key, self._rows.get(key), self.changed.get(key)))
            self._rows[key] = self.changed[key] = text

    def undo(self, mark: int) -> None:
        """Take back what was written since a :meth:`mark`."""
        while len(self._undone) > mark:
            key, row, change = self._undone.pop()
            self._rows[key] = row
            if change is None:
                del self.changed[key]
            else:
                self.changed[key] = change

    def mark(self) -> int:
        """Where to go back to."""
        return len(self._undone)

    def prefetch_jobs(self, heads: Collection[str]) -> None:
        """Read head rows, and then all their pages with one more statement."""
        self.prefetch(heads)
        pages = []
        for head in heads:
            # One more than the head says: see `load_plan`, which reads on behind a full page.
            row = self.get(head)
            for part in PARTS:
                if (count := page_count(row, part)) or part == "files":
                    pages += [page_key(head, page, part) for page in range(count + 1)]
        self.prefetch(pages)


def add_all(overlay: Overlay, batch: Batch, new: list[Received]) -> list[Received]:
    """Add new events to the states of their jobs.

    :return: those that were added, in the order in which they were received.
    """
    jobs: dict[str, list[Received]] = {}
    for received in new:
        if received.job is not None:
            jobs.setdefault(Rows(received.job).callbacks, []).append(received)
    overlay.prefetch_jobs(jobs)
    added: list[Received] = []
    for head, events in jobs.items():
        mark = overlay.mark()
        try:
            _add(overlay, head, events)
        except Exception as error:
            log.exception("Cannot add %d callbacks to %s; setting them aside", len(events), events[0].job)
            overlay.undo(mark)
            for event in events:
                batch.bad[event.key] = bad_value(event.key, event.text, f"{type(error).__name__}: {error}")
        else:
            added += events
    order = {id(received): number for number, received in enumerate(new)}
    return sorted(added, key=lambda received: order[id(received)])


def _add(overlay: Overlay, head: str, events: list[Received]) -> None:
    job = events[0].job
    assert job is not None
    state = drive(load_plan(head, job.job_id), overlay)
    for event in events:
        state = learn(state, event.callback, event.counts_from)
    drive(save_plan(head, job, state), overlay)


def note_heard(overlay: Overlay, batch: Batch, now_ms: int) -> None:
    """Count the callbacks of each application, repeated ones too."""
    received: dict[int, list[int]] = {}
    for one in (*batch.received, *batch.repeated):
        received.setdefault(one.sdk_app_id, []).append(one.received_at_ms)
    overlay.prefetch(map(heard_key, received))
    for sdk_app_id, times in received.items():
        before = heard_from(overlay.get(heard_key(sdk_app_id))) or Heard(sdk_app_id)
        after = before.added(times, now_ms)
        overlay.set(after.key, after.value)


def note_connections(overlay: Overlay, new: Collection[Received]) -> None:
    """Keep the names of the connections through which an application's callbacks come."""
    overlay.prefetch({connections_key(received.sdk_app_id) for received in new})
    for received in new:
        key, known = connections_key(received.sdk_app_id), connections_of(overlay, received.sdk_app_id)
        if received.conn_id is not None and received.conn_id not in known and len(known) < MAX_CONNECTIONS:
            overlay.set(key, {"v": 1, "conn_ids": [*known, received.conn_id]})


def connections_of(overlay: Overlay, sdk_app_id: int) -> list[str]:
    """The names that `note_connections` kept."""
    stored = bounds.mapping(overlay.get(connections_key(sdk_app_id)))
    names = (bounds.job_id(name) for name in bounds.items(stored.get("conn_ids"), MAX_CONNECTIONS))
    return [name for name in names if name is not None]


def append_log(overlay: Overlay, counter: str, added: list[Received]) -> None:
    """Add one entry an event to the change log."""
    if not added:
        return
    seq = read_counter(counter)
    pages: dict[int, list[Any]] = {}
    for received in added:
        seq += 1
        page = log_page(seq)
        if page not in pages:
            pages[page] = _entries(overlay, page, seq)
        pages[page].append(_entry(seq, received))
    for page, entries in pages.items():
        overlay.set(log_page_key(page), {"v": 1, "entries": entries})
    overlay.set(LOG_KEY, {"v": 1, "seq": seq})


def read_counter(counter: str) -> int:
    """The number of the log's last entry; a counter that cannot be read begins anew."""
    try:
        value = json.loads(counter)
    except (ValueError, RecursionError):
        return 0
    seq = bounds.count(bounds.mapping(value).get("seq"))
    return seq if seq < MAX_SEQ else 0


def _entries(overlay: Overlay, page: int, seq: int) -> list[Any]:
    """What is on a page before entry number `seq`; what is not, is of a log whose counter was lost."""
    value = bounds.mapping(overlay.get(log_page_key(page)))
    first = page * ENTRIES_PER_PAGE + 1
    return [
        bounds.plain(entry)
        for entry in bounds.items(value.get("entries"), ENTRIES_PER_PAGE)
        if bounds.number(bounds.mapping(entry).get("seq"), first, seq - 1) is not None
    ]


def _entry(seq: int, received: Received) -> dict[str, Any]:
    event = received.callback.event
    assert received.job is not None
    is_short = len(json.dumps(event, separators=(",", ":"))) <= MAX_LOGGED_EVENT
    return {
        "seq": seq,
        **job_fields(received.job),
        "received_at_ms": received.counts_from_ms,
        "event": event if is_short else None,
    }


def due_rows(added: list[Received], now_ms: int) -> dict[str, str]:
    """The request to judge each job that callbacks are about, now."""
    rows = {}
    for received in added:
        assert received.job is not None
        rows[due_key(now_ms, received.job)] = json.dumps(due_value(received.job))
    return rows


def bad_rows(batch: Batch) -> dict[str, str]:
    """The rows to set aside under their new keys."""
    return {bad_key(key): value for key, value in batch.bad.items()}
