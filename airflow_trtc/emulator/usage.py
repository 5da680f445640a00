"""What is used, and its sums by time: recordings, people in rooms, and whatever was added by hand. Pure.

A spell is one stretch of time in which something was used. All figures that the usage calls answer are sums
of spells, so a test that knows the spells knows every answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_trtc.emulator.options import (
    MAX_APPLICATION,
    MAX_TEXT,
    check_count,
    check_numbers,
    check_seconds,
    check_texts,
)
from airflow_trtc.emulator.recordings import Recording, advance
from airflow_trtc.emulator.rooms import Room

DAY_SECONDS = 86_400
MINUTE_SECONDS = 60
MAX_DAYS = 1_000
MAX_UNIX_SECONDS = 4e9  # in the next century
_QUALITIES = ("SD", "HD", "FullHD", "2K", "4K")
_MEDIA = ("Audio", *_QUALITIES)

KEYS: dict[str, tuple[str, ...]] = {
    "trtc": _MEDIA,
    "recording_single": _MEDIA,
    "recording_multi": _MEDIA,
    "mix_transcoding": ("Audio", *(f"{each}{codec}" for codec in ("H264", "H265") for each in _QUALITIES)),
    "relay": ("Bandwidth",),
    "ai": ("Conversation", "Asr", "Translation", "Tts"),
    "moderation": ("Audio", "Picture"),
    "slicing": ("Audio", "Picture"),
    "acceleration": ("Time",),
}
"""What there is to use, and the keys under which it is counted."""


@dataclass(frozen=True, kw_only=True)
class Spell:
    """One stretch of use: the options of ``add_usage``.

    ``amount`` is how many used it at the same time; of ``relay`` the bandwidth in Mbit/s.
    """

    usage: str
    key: str
    began_at: float
    seconds: float
    amount: float = 1.0
    sdk_app_id: int = 0
    room_id: str = ""

    def __post_init__(self) -> None:
        if self.key not in KEYS.get(self.usage, ()):
            known = "; ".join(f"{usage}: {', '.join(keys)}" for usage, keys in KEYS.items())
            raise ValueError(f"no usage {self.usage!r} with a key {self.key!r}; there are {known}")
        check_numbers(self)
        check_texts(self, "room_id")
        for name in ("began_at", "amount"):
            check_seconds(name, getattr(self, name), most=MAX_UNIX_SECONDS)
        check_count("sdk_app_id", self.sdk_app_id, MAX_APPLICATION)

    @property
    def ended_at(self) -> float:
        """When it was over."""
        return self.began_at + self.seconds


@dataclass
class Book:
    """The spells that were added by hand, and the stays of people in rooms into which they were moved."""

    spells: list[Spell] = field(default_factory=list)
    since: dict[tuple[Room, str], float] = field(default_factory=dict)
    room_asked_at: dict[str, float] = field(default_factory=dict)
    """When each key pair asked for the usage by room last, by the clock of the limits."""

    def move(self, room: Room, *, entered: Iterable[str], left: Iterable[str], now: float) -> None:
        """Note who entered a room and who left it."""
        for user in left:
            began_at = self.since.pop((room, user), None)
            if began_at is not None:
                self.spells.append(_stay(room, began_at, now))
        for user in entered:
            self.since.setdefault((room, user), now)

    def all(self, recordings: Iterable[Recording], now: float) -> list[Spell]:
        """Return every spell up to now."""
        staying = [_stay(room, began_at, now) for (room, _), began_at in self.since.items()]
        recorded = [spell for each in recordings for spell in _recorded(each, now)]
        return [*self.spells, *staying, *recorded]


def history(days: int, seed: int, sdk_app_id: int, today: float, rooms: int) -> Iterator[Spell]:
    """Yield made-up spells for the days before one, the same for the same seed; in whole minutes.

    :param today: the instant at which the day after the last one begins.
    """
    dice = random.Random(f"{seed} {sdk_app_id}")
    for number in range(days, 0, -1):
        midnight = today - number * DAY_SECONDS
        for usage, keys in KEYS.items():
            for _ in range(dice.randint(0, rooms)):
                minutes = dice.randint(1, 180)
                yield Spell(
                    usage=usage,
                    key=dice.choice(keys),
                    began_at=midnight + MINUTE_SECONDS * dice.randint(0, 24 * 60 - 1),
                    seconds=float(MINUTE_SECONDS * minutes),  # some last over midnight
                    amount=float(dice.randint(1, 5)),
                    sdk_app_id=sdk_app_id,
                    room_id=f"room_{dice.randint(1, rooms)}" if usage == "trtc" else "",
                )


def minutes(spells: Iterable[Spell], key: str, points: list[tuple[float, float]]) -> list[float]:
    """Return what was used of a key between each two instants, in minutes."""
    chosen = [each for each in spells if each.key == key]
    return [sum(each.amount * overlap(each, *point) for each in chosen) / MINUTE_SECONDS for point in points]


def peaks(spells: Iterable[Spell], key: str, points: list[tuple[float, float]]) -> list[float]:
    """Return the highest sum of amounts at one time between each two instants."""
    chosen = [each for each in spells if each.key == key]
    return [_peak(chosen, *point) for point in points]


def overlap(spell: Spell, start: float, end: float) -> float:
    """Return how many seconds of the spell lie between two instants."""
    return max(0.0, min(spell.ended_at, end) - max(spell.began_at, start))


def described(spells: Iterable[Spell]) -> list[dict[str, Any]]:
    """Return the spells as JSON, the earliest first."""
    return sorted(map(asdict, spells), key=lambda each: (each["began_at"], each["usage"], each["key"]))


def _peak(spells: list[Spell], start: float, end: float) -> float:
    there = [each for each in spells if overlap(each, start, end)]
    begins = {max(each.began_at, start) for each in there}  # the sum only grows where one begins
    return max((sum(s.amount for s in there if s.began_at <= at < s.ended_at) for at in begins), default=0.0)


def _stay(room: Room, began_at: float, now: float) -> Spell:
    return Spell(
        usage="trtc",
        key="Audio",
        began_at=began_at,
        seconds=max(now - began_at, 0.0),
        sdk_app_id=room.sdk_app_id,
        room_id=room.room_id[:MAX_TEXT],
    )


def _recorded(recording: Recording, now: float) -> Iterator[Spell]:
    """Yield what a recording used from its start to its end: mixed as one, else for each user."""
    advance(recording, now)
    amount = 1 if recording.recipe.mixed else len(recording.users)
    if recording.started_at is None or not amount:
        return
    until = now if recording.ended_at is None else recording.ended_at
    yield Spell(
        usage="recording_multi" if recording.recipe.mixed else "recording_single",
        key="Audio" if recording.recipe.stream_type == 1 else "HD",
        began_at=recording.started_at,
        seconds=max(until - recording.started_at, 0.0),
        amount=float(amount),
        sdk_app_id=recording.recipe.sdk_app_id,
        room_id=recording.recipe.room_id,
    )
