"""Which recordings have events to report, and when. An event enters the ledger once it is due.

Knows no sockets and reads no clock: the caller says what time it is. Guarded by the state's lock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from airflow_trtc.emulator import events
from airflow_trtc.emulator.events import Event, Timeline
from airflow_trtc.emulator.ledger import Delivery, Ledger, Trouble, trouble_of
from airflow_trtc.emulator.messages import check_key, check_url
from airflow_trtc.emulator.recordings import Recording, advance, next_change_at
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.spans import TOLERANCE_SECONDS, earliest


class Callbacks:
    """The receiver's address, the trouble on the way to it, and all that is due or will be."""

    def __init__(self, settings: Settings, seed: object) -> None:
        self.url = settings.callback_url
        self.key = settings.callback_key
        self.trouble: Trouble = trouble_of(settings.callback_trouble)
        self.ledger = Ledger(seed)
        self.outbox: deque[Delivery] = deque()
        self._sdk_app_id = settings.sdk_app_id
        self._timelines: dict[str, Timeline] = {}
        self._agenda: list[tuple[float, int, Timeline]] = []
        self._booked: dict[str, float | None] = {}
        self._numbers = count()
        self._alarms: list[tuple[float, int, Callable[[float], None]]] = []

    def set_receiver(
        self, url: str | None, key: str | None, recordings: Iterable[Recording], now: float
    ) -> None:
        """Send to this address from now on, signed with this key; what happened before is not reported."""
        if url is not None:
            check_url(url)
        if key is not None:
            check_key(key)
        was_on, self.url, self.key = self.url is not None, url, key
        if url is None:
            self._timelines.clear()
            self._agenda.clear()
            self._booked.clear()
        elif not was_on:
            for recording in recordings:
                self.begin(recording, now)

    def begin(self, recording: Recording, now: float, *, is_over: bool = False) -> None:
        """Report a recording's events from now on; none of one that is over."""
        if self.url is None:
            return
        advance(recording, now)
        timeline = self._timelines[recording.recording_id] = Timeline(recording)
        if is_over:
            events.skip(timeline, float("inf"))
        else:
            events.skip(timeline, now - TOLERANCE_SECONDS)
        self._book(timeline, now)

    def follow(self, recording: Recording, now: float) -> None:
        """Notice what a read or a command changed in a recording."""
        if timeline := self._timelines.get(recording.recording_id):
            self._book(timeline, now)

    def next_at(self) -> float | None:
        """Return the instant at which :meth:`collect` will have something to do."""
        return earliest(*(each[0][0] for each in (self._agenda, self._alarms) if each))

    def book(self, instant: float, act: Callable[[float], None]) -> None:
        """Have something done at an instant, which it is given, when :meth:`collect` is called."""
        heapq.heappush(self._alarms, (instant, next(self._numbers), act))

    def collect(self, now: float, limit: int | None = None) -> None:
        """Enter what is due by now, of at most so many recordings, and put it in the outbox."""
        while self._alarms and self._alarms[0][0] <= now + TOLERANCE_SECONDS:
            instant, _, act = heapq.heappop(self._alarms)
            act(instant)
        handled = 0
        while self._agenda and self._agenda[0][0] <= now + TOLERANCE_SECONDS and handled != limit:
            instant, _, timeline = heapq.heappop(self._agenda)
            recording = timeline.recording
            if self._booked.get(recording.recording_id) != instant:
                continue
            handled += 1
            advance(recording, now)
            for event in events.due_events(timeline, now + TOLERANCE_SECONDS):
                self._enter(event, recording)
            self._booked[recording.recording_id] = None
            self._book(timeline, now)

    def send(self, event: Event, recording_id: str | None, sdk_app_id: int | None) -> dict[str, Any]:
        """Enter one event that was made by hand, and return its record."""
        if self.url is None:
            raise ValueError("there is no callback URL: set_callback(url, key)")
        self.outbox += self.ledger.enter(
            event, self.trouble, sdk_app_id=sdk_app_id or self._sdk_app_id, recording_id=recording_id
        )
        return self.ledger.records[-1].describe()

    def resume(self) -> None:
        """Put everything that is on its way into the outbox again, after its carrier was stopped."""
        self.outbox = deque(sorted(self.ledger.on_their_way, key=lambda each: each.record.number))

    def _enter(self, event: Event, recording: Recording) -> None:
        self.outbox += self.ledger.enter(
            event,
            self.trouble,
            sdk_app_id=recording.recipe.sdk_app_id,
            recording_id=recording.recording_id,
            scripted=recording.callback_plan.trouble_of(event.type),
        )

    def _book(self, timeline: Timeline, now: float) -> None:
        recording_id = timeline.recording.recording_id
        instant = earliest(next_change_at(timeline.recording, now), events.next_event_at(timeline))
        if instant is not None and instant != self._booked.get(recording_id):
            heapq.heappush(self._agenda, (instant, next(self._numbers), timeline))
        self._booked[recording_id] = instant
