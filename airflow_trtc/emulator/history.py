"""Calls of the past: who was in a room and when, how good it was, and what happened. Reads no clock.

What a user measured is not kept but computed when it is asked for, always the same for the same call.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_trtc.emulator.rooms import Room

STEP_SECONDS = 10
ENTERED, LEFT = (5003, 1), (5008, 1)
"""Numbers and first parameters of two events (Event ID Mapping Table, trtc.io/document/37906)."""


@dataclass(frozen=True)
class Measure:
    """One data type: who has it, and between which values it lies unless a test says otherwise.

    :param up: whether users measure it of what they send, or of their device.
    :param down: whether they measure it of each other user whom they receive.
    """

    up: bool
    down: bool
    low: int
    high: int


MEASURES: Mapping[str, Measure] = {
    "appCpu": Measure(True, False, 5, 40),
    "sysCpu": Measure(True, False, 10, 60),
    "aBit": Measure(True, True, 30_000, 60_000),
    "aBlock": Measure(False, True, 0, 40),
    "bigvBit": Measure(True, True, 400_000, 1_200_000),
    "bigvCapFps": Measure(True, False, 14, 16),
    "bigvEncFps": Measure(True, False, 13, 15),
    "bigvDecFps": Measure(False, True, 13, 15),
    "bigvBlock": Measure(False, True, 0, 60),
    "aLoss": Measure(True, True, 0, 3),
    "bigvLoss": Measure(True, True, 0, 3),
    "bigvWidth": Measure(True, True, 640, 640),
    "bigvHeight": Measure(True, True, 360, 360),
    "aCapEnergy": Measure(True, False, 20, 80),
    "aPlayEnergy": Measure(False, True, 20, 80),
    "rtt": Measure(True, False, 20, 80),
    "bigvRecFps": Measure(False, True, 13, 15),
}
"""The data types of DescribeCallDetailInfo (docstrings of tencentcloud-sdk-python 3.1.195). Which of them are
measured up, which down, and what is usual, are guesses [unsure]."""


@dataclass(frozen=True)
class Happening:
    """One event of a user: its number in the vendor's table, and with what."""

    at_ms: int
    event_id: int
    peer_id: str = ""
    stream_type: int = 0
    first: int = -1
    second: int = -1


@dataclass(frozen=True)
class Trouble:
    """One abnormal experience of a user, and the events that may have caused it, with their peers."""

    at: int
    experience_id: int
    causes: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Session:
    """One stay of a user in a call; times in Unix seconds, None for one that has no end yet."""

    user_id: str
    joined_at: int
    left_at: int | None
    device_type: str = ""
    sdk_version: str = "12.0.0"
    client_ip: str = "10.0.0.1"
    measured: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    happenings: tuple[Happening, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    def is_there(self, at: float) -> bool:
        """Whether the user is in the room at this instant."""
        return self.joined_at <= at and (self.left_at is None or at < self.left_at)


@dataclass(frozen=True)
class PastCall:
    """One life of a room, from the first user to the last."""

    sdk_app_id: int
    room_id: str
    room_number: int
    creator_id: str
    created_at: int
    destroyed_at: int | None
    sessions: tuple[Session, ...]
    step_seconds: int

    @property
    def comm_id(self) -> str:
        """How the service names it."""
        return f"{self.sdk_app_id}_{self.room_number}_{self.created_at}"

    def is_alive(self, start: float, end: float, now: float) -> bool:
        """Whether the room existed at any time between these instants."""
        destroyed_at = now if self.destroyed_at is None else self.destroyed_at
        return self.created_at <= end and destroyed_at >= start


class History:
    """All calls there were, by their ids: those that were added, and those of people who were moved."""

    def __init__(self) -> None:
        self.calls: dict[str, PastCall] = {}
        self._going_on: dict[Room, str] = {}

    def add(self, call: PastCall) -> None:
        """Take a call in; a second one of the same room and second is a ``ValueError``."""
        if call.comm_id in self.calls:
            raise ValueError(f"there is a call {call.comm_id} already")
        self.calls[call.comm_id] = call

    def move(self, room: Room, *, there: Collection[str], now: float) -> None:
        """Note who is in a room from now on: the first to enter begins a call, the last to leave ends it."""
        at = int(now)
        call = self.calls.get(self._going_on.get(room, ""))
        if call is None:
            if not there:
                return
            number = room_number(room.room_id, is_string_room=room.is_string_room)
            begun = PastCall(
                room.sdk_app_id, room.room_id, number, next(iter(there)), at, None, (), STEP_SECONDS
            )
            call = self.calls.get(begun.comm_id, begun)  # one that began in this second goes on
        sessions = [_left(each, at) if each.user_id not in there else each for each in call.sessions]
        inside = {each.user_id for each in sessions if each.left_at is None}
        for user_id in there:
            if user_id not in inside:
                sessions = [each for each in sessions if (each.user_id, each.joined_at) != (user_id, at)]
                sessions.append(Session(user_id, at, None, happenings=(_end(at, ENTERED),)))
        call = replace(call, sessions=tuple(sessions), destroyed_at=None if there else at)
        self.calls[call.comm_id] = call
        self._going_on[room] = call.comm_id
        if not there:
            del self._going_on[room]

    def of_application(self, sdk_app_id: int) -> Iterator[PastCall]:
        """Yield an application's calls, the newest first."""
        found = (each for each in self.calls.values() if each.sdk_app_id == sdk_app_id)
        yield from sorted(found, key=lambda each: (each.created_at, each.comm_id), reverse=True)


def room_number(room_id: str, *, is_string_room: bool) -> int:
    """A numeric room's number; that of a string room is some other number [unsure]."""
    return zlib.crc32(room_id.encode()) if is_string_room else int(room_id)


def ends(joined_at: int, left_at: int | None) -> tuple[Happening, ...]:
    """The events of a stay unless others are given: entered, and left."""
    return (_end(joined_at, ENTERED), *(() if left_at is None else (_end(left_at, LEFT),)))


def _end(at: int, event: tuple[int, int]) -> Happening:
    return Happening(at * 1000, event[0], first=event[1])


def _left(session: Session, at: int) -> Session:
    if session.left_at is not None:
        return session
    return replace(session, left_at=at, happenings=(*session.happenings, _end(at, LEFT)))


@dataclass(frozen=True)
class Series:
    """What one user measured of one data type: of itself, or of a peer."""

    user_id: str
    peer_id: str
    data_type: str
    points: tuple[tuple[int, float], ...]


def series(call: PastCall, session: Session, data_type: str, window: tuple[int, int]) -> Iterator[Series]:
    """Yield what a user measured in a stay within a window, both its ends included."""
    measure = MEASURES[data_type]
    instants = _instants(call, session, window)
    if measure.up:
        yield _series(call, session, "", data_type, instants)
    if measure.down:
        for peer_id in dict.fromkeys(each.user_id for each in call.sessions):
            if peer_id != session.user_id:
                there = [each for each in call.sessions if each.user_id == peer_id]
                met = [at for at in instants if any(each.is_there(at) for each in there)]
                yield _series(call, session, peer_id, data_type, met)


def _instants(call: PastCall, session: Session, window: tuple[int, int]) -> list[int]:
    first, last = window
    begun = max(0, -(-(first - session.joined_at) // call.step_seconds))
    start = session.joined_at + begun * call.step_seconds
    end = last + 1 if session.left_at is None else min(last + 1, session.left_at)
    return list(range(start, end, call.step_seconds))


def _series(call: PastCall, session: Session, peer_id: str, data_type: str, instants: list[int]) -> Series:
    points = tuple((at, _value(call, session, peer_id, data_type, at)) for at in instants)
    return Series(session.user_id, peer_id, data_type, points)


def _value(call: PastCall, session: Session, peer_id: str, data_type: str, at: int) -> float:
    if given := session.measured.get(data_type):
        return given[(at - session.joined_at) // call.step_seconds % len(given)]
    measure = MEASURES[data_type]
    name = f"{call.comm_id} {session.user_id} {peer_id} {data_type} {at}"
    return measure.low + zlib.crc32(name.encode()) % (measure.high - measure.low + 1)


def truth(call: PastCall, now: int, *, details: bool) -> dict[str, Any]:
    """Return all that happened in a call up to now, as JSON; what was measured only on demand."""
    shown: dict[str, Any] = {
        "comm_id": call.comm_id,
        "sdk_app_id": call.sdk_app_id,
        "room_id": call.room_id,
        "creator_id": call.creator_id,
        "created_at": call.created_at,
        "destroyed_at": _past(call.destroyed_at, now),
        "sessions": [_session(each, now) for each in call.sessions if each.joined_at <= now],
    }
    if details:
        shown["series"] = [
            {"user_id": one.user_id, "peer_id": one.peer_id, "data_type": one.data_type, "points": one.points}
            for session in call.sessions
            for data_type in MEASURES
            for one in series(call, session, data_type, (call.created_at, now))
        ]
    return shown


def _session(session: Session, now: int) -> dict[str, Any]:
    return {
        "user_id": session.user_id,
        "joined_at": session.joined_at,
        "left_at": _past(session.left_at, now),
        "device_type": session.device_type,
        "sdk_version": session.sdk_version,
        "client_ip": session.client_ip,
        "events": [vars(each) for each in session.happenings if each.at_ms <= now * 1000],
        "unusual": [vars(each) for each in session.troubles if each.at <= now],
    }


def _past(at: int | None, now: int) -> int | None:
    return at if at is not None and at <= now else None
