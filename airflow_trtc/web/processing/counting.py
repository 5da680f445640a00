"""What one transaction made of callbacks, counted once it is committed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from airflow_trtc import bounds, metrics
from airflow_trtc.jobs.events import EVENTS
from airflow_trtc.journal.keys import inbox_ms
from airflow_trtc.web.processing.folding import Batch, Received

OTHER = "other"


@dataclass(slots=True)
class Tally:
    """Callbacks by what became of them; what could not be read has no event."""

    fates: list[tuple[str, Received | None]] = field(default_factory=list)

    def note(self, batch: Batch, new: Collection[Received], in_time: Collection[Received]) -> None:
        """Note a batch.

        :param new: those that the journal did not have.
        :param in_time: those of them that may decide something.
        """
        fresh, late = {one.key for one in in_time}, {one.key for one in new}
        for received in batch.received:
            if received.key not in batch.bad:
                in_journal = "out_of_time" if received.key in late else "repeated"
                self.fates.append(("new" if received.key in fresh else in_journal, received))
        self.fates += [("repeated", received) for received in batch.repeated]
        self.note_bad(len(batch.bad))

    def note_bad(self, number: int) -> None:
        """Note callbacks that were set aside."""
        self.fates += [("set_aside", None)] * number


@contextmanager
def counting(now: datetime) -> Iterator[Tally]:
    """Count what the block notes, unless it fails: so it has to hold the whole transaction."""
    tally = Tally()
    yield tally
    for fate, received in tally.fates:
        event = OTHER if received is None else _event(received)
        metrics.count(metrics.CALLBACKS, event=event, fate=fate)
        if received is not None and fate == "new":
            _time(received, event, bounds.unix_ms(now))


def count_backlog(oldest: str | None, now: datetime) -> None:
    """Note how long the callback has waited that waits longest.

    :param oldest: its key; None when none waits.
    """
    since_ms = None if oldest is None else inbox_ms(oldest)
    waited_ms = 0 if since_ms is None else max(bounds.unix_ms(now) - since_ms, 0)
    metrics.gauge(metrics.CALLBACK_BACKLOG, waited_ms / 1000)


def _event(received: Received) -> str:
    """Undocumented types are not told apart: whoever sends them decides how many there are."""
    return str(received.callback.type) if received.callback.type in EVENTS else OTHER


def _time(received: Received, event: str, now_ms: int) -> None:
    metrics.timing(metrics.CALLBACK_LAG, (now_ms - received.received_at_ms) / 1000)
    if (happened_at_ms := received.callback.happened_at_ms) is not None:
        seconds = (received.received_at_ms - happened_at_ms) / 1000
        metrics.timing(metrics.CALLBACK_DELAY, seconds, event=event)
