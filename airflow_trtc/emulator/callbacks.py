"""Which recordings have something to tell, and when. Entered in the ledger once it is due.

Knows no sockets and reads no clock: whoever asks says what time it is. Guarded by the state's lock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from itertools import count
from typing import Any

from airflow_trtc.emulator import events
from airflow_trtc.emulator.events import Event, Tale
from airflow_trtc.emulator.ledger import Delivery, Ledger, Trouble, trouble_of
from airflow_trtc.emulator.messages import check_key, check_url
from airflow_trtc.emulator.recordings import Recording, advance, next_change_at
from airflow_trtc.emulator.settings import Settings

_TOLERANCE_SECONDS = 1e-6
"""More than the rounding of a Unix time in a float, as for the recordings themselves."""


class Callbacks:
    """The receiver's address, the trouble on the way to it, and all that is due or will be."""

    def __init__(self, settings: Settings, seed: object) -> None:
        self.url = settings.callback_url
        self.key = settings.callback_key
        self.trouble: Trouble = trouble_of(settings.callback_trouble)
        self.ledger = Ledger(seed)
        self.outbox: deque[Delivery] = deque()
        self._sdk_app_id = settings.sdk_app_id
        self._tales: dict[str, Tale] = {}
        self._agenda: list[tuple[float, int, Tale]] = []
        self._booked: dict[str, float | None] = {}
        self._numbers = count()

    def set_receiver(
        self, url: str | None, key: str | None, recordings: Iterable[Recording], now: float
    ) -> None:
        """Send to this address from now on, signed with this key; what happened before is not told."""
        if url is not None:
            check_url(url)
        if key is not None:
            check_key(key)
        was_on, self.url, self.key = self.url is not None, url, key
        if url is None:
            self._tales.clear()
            self._agenda.clear()
            self._booked.clear()
        elif not was_on:
            for recording in recordings:
                self.begin(recording, now)

    def begin(self, recording: Recording, now: float, *, is_over: bool = False) -> None:
        """Tell of a recording from now on; of one that is over nothing is told."""
        if self.url is None:
            return
        advance(recording, now)
        tale = self._tales[recording.recording_id] = Tale(recording)
        if is_over:
            events.skip(tale, float("inf"))
        else:
            events.skip(tale, now - _TOLERANCE_SECONDS)
        self._book(tale, now)

    def follow(self, recording: Recording, now: float) -> None:
        """Notice what a read or a command changed in a recording."""
        if tale := self._tales.get(recording.recording_id):
            self._book(tale, now)

    def next_at(self) -> float | None:
        """Return the instant at which :meth:`collect` will have something to do."""
        return self._agenda[0][0] if self._agenda else None

    def collect(self, now: float, limit: int | None = None) -> None:
        """Enter what is due by now, of at most so many recordings, and put it in the outbox."""
        handled = 0
        while self._agenda and self._agenda[0][0] <= now + _TOLERANCE_SECONDS and handled != limit:
            instant, _, tale = heapq.heappop(self._agenda)
            recording = tale.recording
            if self._booked.get(recording.recording_id) != instant:
                continue
            handled += 1
            advance(recording, now)
            for event in events.due_events(tale, now + _TOLERANCE_SECONDS):
                self._enter(event, recording)
            self._booked[recording.recording_id] = None
            self._book(tale, now)

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
            scripted=recording.telling.trouble_of(event.type),
        )

    def _book(self, tale: Tale, now: float) -> None:
        recording_id = tale.recording.recording_id
        instants = (next_change_at(tale.recording, now), events.next_event_at(tale))
        instant = min((each for each in instants if each is not None), default=None)
        if instant is not None and instant != self._booked.get(recording_id):
            heapq.heappush(self._agenda, (instant, next(self._numbers), tale))
        self._booked[recording_id] = instant
