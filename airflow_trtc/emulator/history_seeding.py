"""Calls as tests and users describe them become calls of the past. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.emulator.history import (
    MEASURES,
    STEP_SECONDS,
    Happening,
    PastCall,
    Session,
    Trouble,
    ends,
    room_number,
)
from airflow_trtc.emulator.options import (
    built,
    check_choice,
    check_count,
    check_numbers,
    check_seconds,
    check_texts,
)
from airflow_trtc.emulator.rooms import looks_like_string_room

LONGEST_DAYS = 60
LATEST = 4_102_444_800  # 2100
_DEVICES = ("iOS", "Android", "Windows", "macOS", "Web")


@dataclass(frozen=True)
class UserSeed:
    """One stay of a user; the package docstring explains the options."""

    user_id: str
    joins_after_seconds: float = 0
    stays_seconds: float | None = None
    device_type: str = ""
    sdk_version: str = "12.0.0"
    client_ip: str = "10.0.0.1"
    measured: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] | None = None
    unusual: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        check_texts(self, "user_id", "device_type", "sdk_version", "client_ip")
        check_numbers(self)
        if not self.user_id:
            raise ValueError("user_id is empty")
        for name in self.measured:
            if name not in MEASURES:
                raise ValueError(f"measured: {name} is none of {', '.join(MEASURES)}")


@dataclass(frozen=True)
class CallSeed:
    """The options of ``add_call``; the package docstring explains them."""

    room_id: str
    users: int | Sequence[Any] = 1
    began_at: float | None = None
    began_seconds_ago: float = 3600
    lasts_seconds: float | None = 600
    creator_id: str | None = None
    sdk_app_id: int | None = None
    step_seconds: int = STEP_SECONDS

    def __post_init__(self) -> None:
        check_texts(self, "room_id", "creator_id")
        if not self.room_id:
            raise ValueError("room_id is empty")
        for name in ("began_seconds_ago", "lasts_seconds"):
            if (value := getattr(self, name)) is not None:
                check_seconds(name, value)
        if self.began_at is not None and not 0 <= self.began_at <= LATEST:
            raise ValueError("began_at must be Unix seconds")
        if check_count("step_seconds", self.step_seconds) == 0:
            raise ValueError("step_seconds must be 1 or more")


@dataclass(frozen=True)
class HistorySeed:
    """The options of ``add_history``; the package docstring explains them."""

    calls: int = 20
    days: int = 7
    most_users: int = 4
    longest_seconds: int = 5400
    seed: int = 0
    sdk_app_id: int | None = None
    step_seconds: int = 60

    def __post_init__(self) -> None:
        for name, most in (("calls", 10_000), ("days", LONGEST_DAYS), ("most_users", 100)):
            check_count(name, getattr(self, name), most)
        check_count("longest_seconds", self.longest_seconds)
        check_count("seed", self.seed)
        check_count("step_seconds", self.step_seconds)
        if 0 in (self.days, self.most_users, self.longest_seconds, self.step_seconds):
            raise ValueError("days, most_users, longest_seconds and step_seconds must be 1 or more")


def call_of(seed: CallSeed, sdk_app_id: int, now: float) -> PastCall:
    """Return the call that a seed describes, or raise ``ValueError``.

    :param sdk_app_id: of the account, unless the seed names another.
    """
    created_at = int(now - seed.began_seconds_ago if seed.began_at is None else seed.began_at)
    if created_at > now:
        raise ValueError("began_at lies in the future")
    destroyed_at = None if seed.lasts_seconds is None else created_at + int(seed.lasts_seconds)
    users = [_user(each) for each in _listed(seed.users)]
    sessions = tuple(_session(each, created_at, destroyed_at) for each in users)
    _check_apart(sessions)
    return PastCall(
        sdk_app_id=seed.sdk_app_id or sdk_app_id,
        room_id=seed.room_id,
        room_number=room_number(seed.room_id, is_string_room=looks_like_string_room(seed.room_id)),
        creator_id=seed.creator_id or (users[0].user_id if users else ""),
        created_at=created_at,
        destroyed_at=destroyed_at,
        sessions=sessions,
        step_seconds=seed.step_seconds,
    )


def history_of(seed: HistorySeed, now: float) -> Iterator[CallSeed]:
    """Yield random calls of the last days, the same for the same seed and hour; all are over by now."""
    chance = random.Random(seed.seed)
    end = int(now) // 3600 * 3600
    for number in range(seed.calls):
        lasts = chance.randint(min(60, seed.longest_seconds), seed.longest_seconds)
        began_at = end - lasts - chance.randrange(max(1, seed.days * 86400 - lasts))
        # Each number is another room, so that no two calls have one id.
        room_id = str(8000 + number) if chance.random() < 0.5 else f"room-{number}"
        people = range(chance.randint(1, seed.most_users))
        yield CallSeed(
            room_id=room_id,
            began_at=began_at,
            lasts_seconds=lasts,
            users=[_random_user(chance, index, lasts) for index in people],
            sdk_app_id=seed.sdk_app_id,
            step_seconds=seed.step_seconds,
        )


def _random_user(chance: random.Random, index: int, lasts: int) -> dict[str, Any]:
    joins = 0 if index == 0 else chance.randrange(lasts)
    stays = lasts if index == 0 else chance.randint(1, lasts - joins)
    user: dict[str, Any] = {
        "user_id": f"user-{chance.randrange(1000)}-{index}",
        "joins_after_seconds": joins,
        "stays_seconds": stays,
        "device_type": chance.choice(_DEVICES),
        "client_ip": f"10.0.{chance.randrange(256)}.{chance.randrange(1, 255)}",
    }
    if chance.random() < 0.2:
        user["measured"] = {"aLoss": chance.randint(10, 60), "bigvBlock": [0, chance.randint(200, 900)]}
        trouble = {"after_seconds": chance.randrange(stays), "experience_id": 4, "causes": [2007, 2024]}
        user["unusual"] = [trouble]
    return user


def _listed(users: object) -> Sequence[Any]:
    if isinstance(users, (list, tuple)):
        return users
    return [f"user-{number}" for number in range(check_count("users", users, 1000))]


def _user(given: object) -> UserSeed:
    if isinstance(given, str):
        return UserSeed(given)
    if not isinstance(given, Mapping):
        raise ValueError("users must be a number, or a list of ids or of objects with a user_id")
    return built(UserSeed, given)


def _session(seed: UserSeed, created_at: int, destroyed_at: int | None) -> Session:
    joined_at = created_at + int(seed.joins_after_seconds)
    left_at = destroyed_at if seed.stays_seconds is None else joined_at + int(seed.stays_seconds)
    if destroyed_at is not None and not joined_at <= (left_at or 0) <= destroyed_at:
        raise ValueError(f"{seed.user_id} is not in the room within the call's life")
    return Session(
        user_id=seed.user_id,
        joined_at=joined_at,
        left_at=left_at,
        device_type=seed.device_type,
        sdk_version=seed.sdk_version,
        client_ip=seed.client_ip,
        measured={name: _numbers(name, value) for name, value in seed.measured.items()},
        happenings=_happenings(seed, joined_at, left_at),
        troubles=tuple(_trouble(each, joined_at) for each in seed.unusual),
    )


def _check_apart(sessions: Sequence[Session]) -> None:
    """Raise unless no user is in the room twice at a time."""
    until: dict[str, float] = {}
    for each in sorted(sessions, key=lambda one: one.joined_at):
        if each.joined_at < until.get(each.user_id, 0.0):
            raise ValueError(f"{each.user_id} is in the room twice at a time")
        until[each.user_id] = float("inf") if each.left_at is None else each.left_at


def _numbers(name: str, value: object) -> tuple[float, ...]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return tuple(check_seconds(name, each) for each in values)


@dataclass(frozen=True)
class _EventSeed:
    event_id: int
    after_seconds: float = 0
    peer_id: str = ""
    stream_type: int = 0
    first: int = -1
    second: int = -1

    def __post_init__(self) -> None:
        check_count("event_id", self.event_id)
        check_seconds("after_seconds", self.after_seconds)
        check_texts(self, "peer_id")
        check_choice(self, "stream_type", (0, 2, 3, 7))


def _happenings(seed: UserSeed, joined_at: int, left_at: int | None) -> tuple[Happening, ...]:
    if seed.events is None:
        return ends(joined_at, left_at)
    events = [built(_EventSeed, each) for each in seed.events]
    return tuple(
        Happening(
            joined_at * 1000 + round(each.after_seconds * 1000),
            each.event_id,
            each.peer_id,
            each.stream_type,
            each.first,
            each.second,
        )
        for each in events
    )


@dataclass(frozen=True)
class _TroubleSeed:
    experience_id: int
    after_seconds: float = 0
    causes: Sequence[Any] = ()

    def __post_init__(self) -> None:
        check_count("experience_id", self.experience_id)
        check_seconds("after_seconds", self.after_seconds)


def _trouble(given: Mapping[str, Any], joined_at: int) -> Trouble:
    seed = built(_TroubleSeed, given)
    causes = tuple(_cause(each) for each in seed.causes)
    return Trouble(joined_at + int(seed.after_seconds), seed.experience_id, causes)


def _cause(given: object) -> tuple[int, str]:
    event_id, peer_id = given if isinstance(given, (list, tuple)) else (given, "")
    if not isinstance(peer_id, str):
        raise ValueError("causes: an event's number, or a pair of it and the id of a peer")
    return check_count("causes", event_id), peer_id
