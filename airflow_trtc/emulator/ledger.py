"""What is reported to the receiver of callbacks: every event, what was done to it on purpose, every attempt.

Knows no sockets and reads no clock. Times of attempts are real Unix seconds, those of events emulated ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.emulator.callback_plan import DOUBLED, LOST
from airflow_trtc.emulator.events import Event
from airflow_trtc.emulator.options import built, check_numbers

WAITING = "waiting"
DELIVERED = "delivered"
DROPPED = "dropped"


@dataclass(frozen=True)
class Trouble:
    """What happens to callbacks at random. Shares are from 0 to 1, seconds are real ones."""

    loss: float = 0.0
    doubled: float = 0.0
    shuffle_seconds: float = 0.0
    delay_seconds: float = 0.0
    lose_types: Sequence[int] = ()

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("loss", "doubled"):
            share = getattr(self, name)
            if type(share) not in (int, float) or not 0 <= share <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1")
        if any(type(each) is not int for each in self.lose_types):
            raise ValueError("lose_types must be a list of event types, as numbers")


@dataclass(frozen=True)
class Fate:
    """What was decided for one event before it is sent."""

    copies: int
    delays: tuple[float, ...]
    """Real seconds each copy is late."""
    is_indented: tuple[bool, bool]
    """How the odd and the even attempts are written."""


@dataclass
class Attempt:
    """One time a callback was sent: the answer's status, or why there was none."""

    copy: int
    at: float
    seconds: float
    status: int | None = None
    error: str | None = None


@dataclass
class Record:
    """One event of the ledger. ``settled`` counts the copies that need no further attempt."""

    number: int
    event: Event
    sdk_app_id: int
    recording_id: str | None
    fate: Fate
    attempts: list[Attempt] = field(default_factory=list)
    delivered: int = 0
    settled: int = 0

    @property
    def status(self) -> str:
        """How it stands: waiting, delivered (at least once), dropped after all attempts, or lost."""
        if not self.fate.copies:
            return LOST
        if self.delivered:
            return DELIVERED
        return DROPPED if self.settled == self.fate.copies else WAITING

    def describe(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return {
            "number": self.number,
            "event_group": self.event.group,
            "event_type": self.event.type,
            "recording_id": self.recording_id,
            "at": self.event.at,
            "payload": self.event.info.get("Payload"),
            "event_info": dict(self.event.info),
            "status": self.status,
            "copies": self.fate.copies,
            "delivered": self.delivered,
            "delay_seconds": max(self.fate.delays, default=0.0),
            "attempts": [vars(each) for each in self.attempts],
        }


@dataclass(eq=False)
class Delivery:
    """One copy of one event on its way."""

    record: Record
    copy: int
    attempts: int = 0
    first_attempt_at: float = 0.0


class Ledger:
    """All events since the start or the last reset, in the order in which they happened."""

    def __init__(self, seed: object) -> None:
        self.records: list[Record] = []
        self.of_recording: dict[str | None, list[Record]] = {}
        self.on_their_way: set[Delivery] = set()
        self.counters: Counter[str] = Counter()
        self._seed = seed

    def enter(
        self,
        event: Event,
        trouble: Trouble,
        *,
        sdk_app_id: int,
        recording_id: str | None = None,
        scripted: str | float | None = None,
    ) -> list[Delivery]:
        """Note one event and return its copies to be sent, none for one that is lost."""
        records = self.of_recording.setdefault(recording_id, [])
        chance = random.Random(f"{self._seed}/{recording_id}/{len(records)}")
        fate = _fate(event.type, trouble, scripted, chance)
        record = Record(len(self.records) + 1, event, sdk_app_id, recording_id, fate)
        self.records.append(record)
        records.append(record)
        self.counters["events"] += 1
        self.counters["lost"] += fate.copies == 0
        self.counters["doubled"] += fate.copies == 2
        deliveries = [Delivery(record, copy) for copy in range(1, fate.copies + 1)]
        self.on_their_way.update(deliveries)
        return deliveries

    def note(self, delivery: Delivery, attempt: Attempt) -> None:
        """Note one attempt; an answer other than 200 is a failure."""
        delivery.attempts += 1
        delivery.record.attempts.append(attempt)
        is_delivered = attempt.error is None
        self.counters["attempts"] += 1
        self.counters["failures"] += not is_delivered
        if is_delivered:
            self.counters["delivered"] += not delivery.record.delivered
            delivery.record.delivered += 1
            self._settle(delivery)

    def drop(self, delivery: Delivery) -> None:
        """Give a copy up."""
        self._settle(delivery)
        self.counters["dropped"] += delivery.record.status == DROPPED

    def describe(self) -> dict[str, int]:
        """Return the counters: of events all but ``attempts`` and ``failures``, ``waiting`` of copies."""
        names = ("events", "delivered", "lost", "doubled", "dropped", "attempts", "failures")
        return {**{name: self.counters[name] for name in names}, "waiting": len(self.on_their_way)}

    def _settle(self, delivery: Delivery) -> None:
        delivery.record.settled += 1
        self.on_their_way.discard(delivery)


def described(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return records as JSON."""
    return [each.describe() for each in records]


def trouble_of(options: Mapping[str, Any]) -> Trouble:
    """Return the trouble of these options, or raise ``ValueError``."""
    return built(Trouble, options)


def _fate(event_type: int, trouble: Trouble, scripted: str | float | None, chance: random.Random) -> Fate:
    # All numbers are drawn whatever is set, so that one option does not change what another one decides.
    loss, doubling, *rest = (chance.random() for _ in range(6))
    copies = 1
    if scripted == LOST or event_type in trouble.lose_types or (scripted is None and loss < trouble.loss):
        copies = 0
    elif scripted == DOUBLED or (scripted is None and doubling < trouble.doubled):
        copies = 2
    extra = scripted if isinstance(scripted, (int, float)) else 0.0
    delays = tuple(trouble.delay_seconds + extra + part * trouble.shuffle_seconds for part in rest[:copies])
    return Fate(copies, delays, (rest[2] < 0.5, rest[3] < 0.5))
