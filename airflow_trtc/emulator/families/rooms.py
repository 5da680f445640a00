"""Room management: dismiss a room, remove and block its users.

A room is there while someone is in it: a person, or a robot that records or relays it. Sources: the models of
tencentcloud-sdk-python 3.1.195, and SetUserBlocked (tencentcloud.com/document/product/647/51289). No page
says what an id does that is not in the room: here nothing, and it is no error [unsure].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_trtc.emulator import lives, presence
from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.events import REMOVED
from airflow_trtc.emulator.families import publishing
from airflow_trtc.emulator.parameters import Field, Schema, Values, integer, text, texts
from airflow_trtc.emulator.recordings import end
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.schemas import MAX_NUMERIC_ROOM
from airflow_trtc.emulator.state import State

MAX_USERS = 10
REGIONS = frozenset({"ap-beijing", "ap-guangzhou", "ap-mumbai", "ap-singapore"})
"""Two pages differ in the last two."""

_USER_MISSING = "MissingParameter.UserIds"


@dataclass(frozen=True)
class Robot:
    """One robot in a room, and how it is sent out: an instant and the reason."""

    user_id: str
    leave: Callable[[float, str], None]


RobotFinder = Callable[[State, Room, float], Iterable[Robot]]


@dataclass
class Doors:
    """What was done to rooms: who is blocked how, and which actions were carried out."""

    blocked: dict[Room, dict[str, int]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)


def _recorders(state: State, room: Room, now: float) -> Iterator[Robot]:
    for recording in state.running(now):
        if recording.recipe.room == room:

            def leave(at: float, reason: str, recording: Any = recording) -> None:
                end(recording, at, reason)
                state.follow(recording, at)

            yield Robot(recording.robot_id, leave)


def _relays(state: State, room: Room, now: float) -> Iterator[Robot]:
    for relay in publishing.running(state, now):
        if relay.room == room:

            def leave(at: float, reason: str, relay: Any = relay) -> None:
                publishing.end(state, relay, at, reason)

            yield Robot(relay.agent_id, leave)


def _others(state: State, room: Room, now: float) -> Iterator[Robot]:
    for life in state.lives(now):
        if life.room == room and life.robot_id is not None:

            def leave(at: float, reason: str, life: Any = life) -> None:
                lives.end(life, at, reason)
                state.follow_id(life.job_id, at)

            yield Robot(life.robot_id, leave)


ROBOTS: tuple[RobotFinder, ...] = (_recorders, _relays, _others)
"""Who knows of robots in rooms: each is asked for those in one room."""


def dismiss(state: State, call: Call) -> Values:
    """Send everybody out of a room; robots end their work."""
    room = _present(state, call)
    people = presence.move(state, room, now=call.now)
    robots = _robots(state, room, call.now)
    presence.move(state, room, leave=people, now=call.now, reason=REMOVED)
    for robot in robots:
        robot.leave(call.now, "dismissed")
    doors = state.part(Doors)
    doors.blocked.pop(room, None)
    _log(state, call, room, users=people)
    return {}


def remove(state: State, call: Call) -> Values:
    """Send those of the users out who are in the room, robots too."""
    users: Sequence[str] = call.values["UserIds"]
    if not 1 <= len(users) <= MAX_USERS:
        raise ApiError("InvalidParameter.UserIds", f"UserIds takes 1 to {MAX_USERS} users")
    room = _present(state, call)
    there = presence.move(state, room, now=call.now)
    presence.move(state, room, leave=[each for each in there if each in users], now=call.now, reason=REMOVED)
    for robot in _robots(state, room, call.now):
        if robot.user_id in users:
            robot.leave(call.now, "removed")
    _log(state, call, room, users=list(users))
    return {}


def block(state: State, call: Call) -> Values:
    """Note what of a user is no longer passed on."""
    room = _present(state, call)
    user, mode = call.values["UserId"], call.values["IsMute"]
    blocked = state.part(Doors).blocked.setdefault(room, {})
    if mode:
        blocked[user] = mode
    else:
        blocked.pop(user, None)
    _log(state, call, room, users=[user])
    return {}


def truth(state: State) -> dict[str, Any]:
    """Return the actions carried out so far, and who is blocked in which room, as JSON."""
    doors = state.part(Doors)
    blocked = [{**asdict(room), "users": dict(users)} for room, users in doors.blocked.items() if users]
    return {"actions": [dict(each) for each in doors.log], "blocked": blocked}


def _present(state: State, call: Call) -> Room:
    """Return the room of a call, or raise if nobody is in it."""
    room_id = call.values["RoomId"]
    room = Room(call.values["SdkAppId"], str(room_id), isinstance(room_id, str))
    if not (presence.move(state, room, now=call.now) or _robots(state, room, call.now)):
        raise ApiError("FailedOperation.RoomNotExist")
    return room


def _robots(state: State, room: Room, now: float) -> list[Robot]:
    return [robot for find in ROBOTS for robot in find(state, room, now)]


def _log(state: State, call: Call, room: Room, *, users: Sequence[str]) -> None:
    entry = {"at": call.now, **asdict(room), "users": list(users), "request_id": call.origin.request_id}
    if "IsMute" in call.values:
        entry["is_mute"] = call.values["IsMute"]
    state.part(Doors).log.append(entry)


_APP = integer(required=True, missing="MissingParameter.SdkAppId")
_NUMBER = integer(1, MAX_NUMERIC_ROOM, required=True, missing="MissingParameter.RoomId")
_NAME = text(required=True, missing="MissingParameter.RoomId", max_bytes=64)
_USERS: Schema = {"UserIds": texts(required=True, missing=_USER_MISSING)}
_BLOCK: Schema = {"UserId": text(required=True), "IsMute": integer(0, 3, required=True)}


def _both(name: str, run: Callable[[State, Call], Values], more: Schema) -> dict[str, Action]:
    """The action for numeric rooms, and the one for string rooms."""
    rooms: dict[str, Field] = {name: _NUMBER, f"{name}ByStrRoomId": _NAME}
    return {
        each: Action(run, {"SdkAppId": _APP, "RoomId": room, **more}, REGIONS) for each, room in rooms.items()
    }


ACTIONS: Mapping[str, Action] = {
    **_both("DismissRoom", dismiss, {}),
    **_both("RemoveUser", remove, _USERS),
    **_both("SetUserBlocked", block, _BLOCK),
}
