"""Which recordings and jobs have events to report, and when. An event enters the ledger once it is due.

Knows no sockets and reads no clock: the caller says what time it is. Guarded by the state's lock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Protocol

from airflow_trtc.emulator import events
from airflow_trtc.emulator.events import Event, Timeline
from airflow_trtc.emulator.ledger import Delivery, Ledger, Trouble, trouble_of
from airflow_trtc.emulator.messages import check_key, check_url
from airflow_trtc.emulator.recordings import Recording, advance, next_change_at
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.spans import TOLERANCE_SECONDS, earliest


class Source(Protocol):
    """Something that has events to report: a recording, or a job of another kind."""

    @property
    def job_id(self) -> str:
        """Whose events these are."""

    @property
    def sdk_app_id(self) -> int:
        """In whose name they are sent."""

    def trouble_of(self, event_type: int) -> str | float | None:
        """Return what shall happen to events of this type."""

    def due(self, now: float, until: float) -> list[Event]:
        """Advance to now and return the events due until then, oldest first, each once."""

    def skip(self, instant: float, now: float) -> None:
        """Advance to now and leave out every event before this instant."""

    def next_at(self, now: float) -> float | None:
        """Return when there may be an event to report."""


class RecordingSource:
    """A recording that has events to report."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._timeline = Timeline(recording)

    @property
    def job_id(self) -> str:
        """See :class:`Source`."""
        return self._recording.recording_id

    @property
    def sdk_app_id(self) -> int:
        """See :class:`Source`."""
        return self._recording.recipe.sdk_app_id

    def trouble_of(self, event_type: int) -> str | float | None:
        """See :class:`Source`."""
        return self._recording.callback_plan.trouble_of(event_type)

    def due(self, now: float, until: float) -> list[Event]:
        """See :class:`Source`."""
        advance(self._recording, now)
        return events.due_events(self._timeline, until)

    def skip(self, instant: float, now: float) -> None:
        """See :class:`Source`."""
        advance(self._recording, now)
        events.skip(self._timeline, instant)

    def next_at(self, now: float) -> float | None:
        """See :class:`Source`."""
        return earliest(next_change_at(self._recording, now), events.next_event_at(self._timeline))


class Callbacks:
    """The receiver's address, the trouble on the way to it, and all that is due or will be."""

    def __init__(self, settings: Settings, seed: object) -> None:
        self.url = settings.callback_url
        self.key = settings.callback_key
        self.trouble: Trouble = trouble_of(settings.callback_trouble)
        self.ledger = Ledger(seed)
        self.outbox: deque[Delivery] = deque()
        self._sdk_app_id = settings.sdk_app_id
        self._sources: dict[str, Source] = {}
        self._agenda: list[tuple[float, int, Source]] = []
        self._booked: dict[str, float | None] = {}
        self._numbers = count()
        self._alarms: list[tuple[float, int, Callable[[float], None]]] = []

    def set_receiver(self, url: str | None, key: str | None, sources: Iterable[Source], now: float) -> None:
        """Send to this address from now on, signed with this key; what happened before is not reported."""
        if url is not None:
            check_url(url)
        if key is not None:
            check_key(key)
        was_on, self.url, self.key = self.url is not None, url, key
        if url is None:
            self._sources.clear()
            self._agenda.clear()
            self._booked.clear()
        elif not was_on:
            for source in sources:
                self.begin(source, now)

    def begin(self, source: Source, now: float, *, is_over: bool = False) -> None:
        """Report the events of a recording or job from now on; none of one that is over."""
        if self.url is None:
            return
        self._sources[source.job_id] = source
        source.skip(float("inf") if is_over else now - TOLERANCE_SECONDS, now)
        self._book(source, now)

    def follow(self, job_id: str, now: float) -> None:
        """Notice what a read or a command changed in a recording or job."""
        if source := self._sources.get(job_id):
            self._book(source, now)

    def next_at(self) -> float | None:
        """Return the instant at which :meth:`collect` will have something to do."""
        return earliest(*(each[0][0] for each in (self._agenda, self._alarms) if each))

    def book(self, instant: float, act: Callable[[float], None]) -> None:
        """Have something done at an instant, which it is given, when :meth:`collect` is called."""
        heapq.heappush(self._alarms, (instant, next(self._numbers), act))

    def collect(self, now: float, limit: int | None = None) -> None:
        """Enter what is due by now, of at most so many recordings and jobs, and put it in the outbox."""
        while self._alarms and self._alarms[0][0] <= now + TOLERANCE_SECONDS:
            instant, _, act = heapq.heappop(self._alarms)
            act(instant)
        handled = 0
        while self._agenda and self._agenda[0][0] <= now + TOLERANCE_SECONDS and handled != limit:
            instant, _, source = heapq.heappop(self._agenda)
            if self._booked.get(source.job_id) != instant:
                continue
            handled += 1
            for event in source.due(now, now + TOLERANCE_SECONDS):
                self._enter(event, source)
            self._booked[source.job_id] = None
            self._book(source, now)

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

    def _enter(self, event: Event, source: Source) -> None:
        self.outbox += self.ledger.enter(
            event,
            self.trouble,
            sdk_app_id=source.sdk_app_id,
            recording_id=source.job_id,
            scripted=source.trouble_of(event.type),
        )

    def _book(self, source: Source, now: float) -> None:
        instant = source.next_at(now)
        if instant is not None and instant != self._booked.get(source.job_id):
            heapq.heappush(self._agenda, (instant, next(self._numbers), source))
        self._booked[source.job_id] = instant
