"""From stored callbacks to what is known: reads and writes of one batch, worked out without a database.

A batch comes with every row it needs; what is to be written is collected. What cannot be read, or fails,
is set aside with its reason and holds nothing else up.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_trtc.jobs.callback import Callback, CallbackError, parse_event
from airflow_trtc.jobs.state import learn
from airflow_trtc.journal.keys import (
    ENTRIES_PER_PAGE,
    LOG_KEY,
    bad_key,
    callback_key,
    due_key,
    due_value,
    event_key,
    log_page,
    log_page_key,
    page_key,
)
from airflow_trtc.journal.plans import drive, load_plan, page_count, save_plan

LONGEST_LOGGED_EVENT = 2000  # characters; readers of the log fetch longer ones themselves
LATE_MS = 5_000  # what waited longer counts as heard when it is worked through
LONGEST_RECORDING_ID = 400  # more is no id of the service; such events are kept, but tell of no recording

log = logging.getLogger(__name__)

Rows = Mapping[str, str]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Received:
    """One row of the inbox, read.

    :param text: the row's value as it is stored.
    :param heard_at_ms: from when on further callbacks of the recording are waited for: when this one was
        received, unless it had to wait since (then so did those that follow), or a receiver's clock is ahead.
    """

    key: str
    text: str
    sdk_app_id: int
    region: str | None
    received_at_ms: int
    heard_at_ms: int
    callback: Callback

    @property
    def event_key(self) -> str:
        """The key under which the event is kept, equal for each delivery of it."""
        return event_key(self.sdk_app_id, self.callback.subject, self.callback.identity)

    @property
    def received_at(self) -> datetime:
        """When it was received, as an aware datetime."""
        return _EPOCH + timedelta(milliseconds=self.received_at_ms)

    @property
    def heard_at(self) -> datetime:
        """See `heard_at_ms`."""
        return _EPOCH + timedelta(milliseconds=self.heard_at_ms)

    @property
    def recording(self) -> tuple[int, str] | None:
        """Application and id of the recording it tells of."""
        recording_id = self.callback.recording_id
        if recording_id is None or len(recording_id) > LONGEST_RECORDING_ID:
            return None
        return self.sdk_app_id, recording_id


@dataclass(slots=True)
class Batch:
    """Rows of the inbox, and what comes of them.

    :param received: what could be read, each event once.
    :param bad: rows to set aside, by the key they had.
    """

    received: list[Received] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)


def read_inbox(rows: Rows, now_ms: int) -> Batch:
    """Read rows of the inbox; of several deliveries of one event the first counts."""
    batch = Batch()
    seen: set[str] = set()
    for key, text in rows.items():
        try:
            received = read_row(key, text, now_ms)
        except (ValueError, RecursionError) as error:
            batch.bad[key] = bad_value(key, text, str(error) or type(error).__name__)
            continue
        if received.event_key not in seen:
            seen.add(received.event_key)
            batch.received.append(received)
    return batch


def read_row(key: str, text: str, now_ms: int) -> Received:
    """Read one row of the inbox.

    :raises ValueError: it cannot be read.
    """
    value = json.loads(text)
    if not isinstance(value, Mapping) or value.get("v") != 1:
        raise ValueError("the row is not of version 1")
    sdk_app_id, received_at_ms, region = value.get("app"), value.get("received_at_ms"), value.get("region")
    if type(sdk_app_id) is not int or not 0 < sdk_app_id < 10**18:
        raise ValueError("the row names no application")
    if type(received_at_ms) is not int or not 0 < received_at_ms < 10**13:
        raise ValueError("the row has no time")
    event, wrapper = value.get("event"), value.get("wrapper")
    if not isinstance(event, Mapping):
        raise CallbackError("the row has no event")
    callback = parse_event(event, wrapper)
    heard_at_ms = received_at_ms if 0 <= now_ms - received_at_ms < LATE_MS else now_ms
    region = region if isinstance(region, str) else None
    return Received(key, text, sdk_app_id, region, received_at_ms, heard_at_ms, callback)


def bad_value(key: str, text: str, why: str) -> str:
    """What is kept of a row that is set aside."""
    return json.dumps({"v": 1, "key": key, "why": why[:500], "value": text})


class Overlay:
    """The rows a batch reads, as a store: what is written stays in here until somebody collects it.

    :param fetch: reads rows that were not fetched before; None for those that are not there.
    """

    def __init__(self, fetch: Callable[[Collection[str]], Rows]) -> None:
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
            log.warning("The journal's row %s is not JSON; it is written anew", key)
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

    def prefetch_recordings(self, heads: Collection[str]) -> None:
        """Read head rows, and then all their pages with one more statement."""
        self.prefetch(heads)
        pages = []
        for head in heads:
            # One more than told: see `journal`, which looks behind a full page.
            pages += [page_key(head, page) for page in range(page_count(self.get(head)) + 1)]
        self.prefetch(pages)


def learn_all(overlay: Overlay, batch: Batch, new: list[Received]) -> list[Received]:
    """Add new events to what is known of their recordings.

    :return: those that were added, in the order in which they were received.
    """
    recordings: dict[tuple[int, str], list[Received]] = {}
    for received in new:
        if received.recording is not None:
            recordings.setdefault(received.recording, []).append(received)
    overlay.prefetch_recordings([callback_key(*recording) for recording in recordings])
    learnt: list[Received] = []
    for recording, events in recordings.items():
        mark = overlay.mark()
        try:
            _learn(overlay, recording, events)
        except Exception as error:
            log.exception(
                "Callbacks of the recording %s could not be added; they are set aside", recording[1]
            )
            overlay.undo(mark)
            for event in events:
                batch.bad[event.key] = bad_value(event.key, event.text, f"{type(error).__name__}: {error}")
        else:
            learnt += events
    order = {id(received): number for number, received in enumerate(new)}
    return sorted(learnt, key=lambda received: order[id(received)])


def _learn(overlay: Overlay, recording: tuple[int, str], events: list[Received]) -> None:
    sdk_app_id, recording_id = recording
    key = callback_key(sdk_app_id, recording_id)
    known = drive(load_plan(key, recording_id), overlay)
    for event in events:
        known = learn(known, event.callback, event.heard_at)
    drive(save_plan(key, known), overlay)


def append_log(overlay: Overlay, counter: str, learnt: list[Received]) -> None:
    """Add one entry an event to the change log."""
    if not learnt:
        return
    seq = read_counter(counter)
    pages: dict[int, list[Any]] = {}
    for received in learnt:
        seq += 1
        page = log_page(seq)
        if page not in pages:
            pages[page] = _entries(overlay, page, seq)
        pages[page].append(_entry(seq, received))
    for page, entries in pages.items():
        overlay.set(log_page_key(page), {"v": 1, "entries": entries})
    overlay.set(LOG_KEY, {"v": 1, "seq": seq})


def read_counter(counter: str) -> int:
    """The number of the log's last entry; a counter that somebody broke begins anew."""
    try:
        value = json.loads(counter)
    except ValueError:
        return 0
    seq = value.get("seq") if isinstance(value, Mapping) else 0
    return seq if type(seq) is int and seq >= 0 else 0


def _entries(overlay: Overlay, page: int, seq: int) -> list[Any]:
    """What is on a page before entry number `seq`; what is not, is of a log whose counter was lost."""
    value = overlay.get(log_page_key(page))
    entries = value.get("entries") if isinstance(value, Mapping) else None
    before = range(page * ENTRIES_PER_PAGE + 1, seq)
    return [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and entry.get("seq") in before
    ]


def _entry(seq: int, received: Received) -> dict[str, Any]:
    event = received.callback.event
    assert received.recording is not None
    sdk_app_id, recording_id = received.recording
    is_short = len(json.dumps(event, separators=(",", ":"))) <= LONGEST_LOGGED_EVENT
    return {
        "seq": seq,
        "app": sdk_app_id,
        "recording_id": recording_id,
        "received_at_ms": received.heard_at_ms,
        "event": event if is_short else None,
    }


def due_rows(learnt: list[Received], now_ms: int) -> dict[str, str]:
    """The wish to judge each recording that was heard of, now."""
    rows = {}
    for received in learnt:
        assert received.recording is not None
        value = due_value(*received.recording, received.region)
        rows[due_key(now_ms, *received.recording, received.region)] = json.dumps(value)
    return rows


def bad_rows(batch: Batch) -> dict[str, str]:
    """The rows to set aside under their new keys."""
    return {bad_key(key): value for key, value in batch.bad.items()}
