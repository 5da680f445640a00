"""Mixing and relays to CDNs: what is started, changed and stopped, and the callbacks that report it.

A relay has no call that describes it; 401 callbacks are all there is to see. Sources: the models and texts of
tencentcloud-sdk-python 3.1.195, and "Relay to CDN webhooks" (trtc.io/document/54913). Unsure, and here so: a
start with the robot of another relay in the room ends that one; an update of a relay that is over is
``FailedOperation.TaskFinished``, one that never was ``ResourceNotFound``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.admission import check_robot
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.events import Event, with_times
from airflow_trtc.emulator.options import check_choice, check_numbers
from airflow_trtc.emulator.parameters import (
    Schema,
    Values,
    integer,
    out_of_range,
    structure,
    structures,
    text,
)
from airflow_trtc.emulator.recordings import Origin
from airflow_trtc.emulator.rooms import Room, looks_like_string_room
from airflow_trtc.emulator.schemas import MAX_NUMERIC_ROOM
from airflow_trtc.emulator.state import State, without_secrets

RELAY, REPORT = 4, 401
"""Group and type of the event."""
IDLE, CONNECTING, RUNNING, RECOVERING, FAILURE, DISCONNECTING = range(6)
REGIONS = frozenset({"ap-beijing", "ap-guangzhou", "ap-hongkong", "ap-shanghai", "ap-singapore"})
"""Pages of different years name different ones."""
MAX_URLS = MAX_ROOMS = 10
MAX_SEQUENCE_NUMBER = 2**63 - 1
_STEP_SECONDS = 0.001


@dataclass(frozen=True)
class UrlStep:
    """One status that a URL comes to, so many seconds after the one before."""

    status: int
    after_seconds: float = 0.0
    error_code: int = 0
    error_msg: str = ""

    def __post_init__(self) -> None:
        check_numbers(self)
        check_choice(self, "status", range(6))


@dataclass
class Relay:
    """One relay: what it is, and all that happened to it."""

    relay_id: str
    room: Room
    agent_id: str
    max_idle_seconds: float
    created_at: float
    content: dict[str, Any]
    """The parameters as the last request left them, without secrets."""
    started_by: Origin | None = None
    stopped_by: Origin | None = None
    sequence_number: int = 0
    updates: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    """Of each URL the status now."""
    history: list[dict[str, Any]] = field(default_factory=list)
    empty_since: float | None = None
    ended_at: float | None = None
    end_reason: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it still costs money."""
        return self.ended_at is None


@dataclass
class Relays:
    """All relays there ever were, how URLs fare in relays to come, and which rooms are mixed the old way."""

    by_id: dict[str, Relay] = field(default_factory=dict)
    fates: dict[str, Sequence[UrlStep]] = field(default_factory=dict)
    mixes: dict[Room, dict[str, Any]] = field(default_factory=dict)
    follows: bool = False


def start(state: State, call: Call) -> Values:
    """Start a relay."""
    values, agent = call.values, call.values["AgentParams"]
    room = Room(values["SdkAppId"], values["RoomId"], values["RoomIdType"] == 1)
    if not room.is_string_room and looks_like_string_room(room.room_id):
        raise out_of_range("RoomId must be a number of 32 bits unless RoomIdType is 1")
    _check_content(values)
    if not ({"PublishCdnParams", "FeedBackRoomParams"} & set(values)):
        raise ApiError("MissingParameter", "PublishCdnParams")
    if "AudioParams" not in values:
        raise ApiError("MissingParameter", "AudioParams")
    now = state.wall() + state.clock_skew_seconds
    for where, user in ((room, agent), *_feedback_rooms(values)):
        check_robot(state.settings, where, user, now=now, private_map_key=False)
    for each in list(running(state, call.now)):
        if (each.room, each.agent_id) == (room, agent["UserId"]):
            end(state, each, call.now, "replaced")
    relay = Relay(
        relay_id=state.new_id(),
        room=room,
        agent_id=agent["UserId"],
        max_idle_seconds=agent.get("MaxIdleTime", 30),
        created_at=call.now,
        content=without_secrets(values),
        started_by=call.origin,
    )
    _all(state).by_id[relay.relay_id] = relay
    _connect(state, relay, _urls(values), call.now)
    if state.rooms.get(room) == []:
        _empty(state, relay, call.now)
    return {"TaskId": relay.relay_id}


def update(state: State, call: Call) -> Values:
    """Change a running relay, if no later update was here before."""
    relay = _known(state, call)
    if not relay.is_running:
        raise ApiError("FailedOperation.TaskFinished")
    _check_content(call.values)
    if call.values["SequenceNumber"] <= relay.sequence_number:
        raise ApiError("FailedOperation.RequestOutdated")
    relay.sequence_number = call.values["SequenceNumber"]
    changes = {name: value for name, value in call.values.items() if name in _CONTENT_NAMES}
    if "PublishCdnParams" in changes:
        wanted, there = _urls(changes), [url for url, status in relay.statuses.items() if status != IDLE]
        _disconnect(state, relay, [url for url in there if url not in wanted], call.now)
        _connect(state, relay, [url for url in wanted if url not in there], call.now)
    relay.content.update(without_secrets(changes))
    relay.updates.append(
        {"at": call.now, "sequence_number": relay.sequence_number, "changes": sorted(changes)}
    )
    return {"TaskId": relay.relay_id}


def stop(state: State, call: Call) -> Values:
    """Stop a running relay."""
    relay = _known(state, call)
    if not relay.is_running:
        raise ApiError("ResourceNotFound")
    relay.stopped_by = call.origin
    end(state, relay, call.now, "stopped")
    return {"TaskId": relay.relay_id}


def start_mix(state: State, call: Call) -> Values:
    """Mix a room the old way, where a second start changes the first."""
    _all(state).mixes[_room_of_mix(call.values)] = without_secrets(call.values)
    return {}


def stop_mix(state: State, call: Call) -> Values:
    """Stop mixing a room the old way."""
    _all(state).mixes.pop(_room_of_mix(call.values), None)
    return {}


def find(state: State, relay_id: str) -> Relay | None:
    """Return the relay of this id, brought to now."""
    state.collect_callbacks()
    return _all(state).by_id.get(relay_id)


def running(state: State, now: float) -> Iterator[Relay]:
    """Yield the relays that have not ended."""
    for relay in _all(state).by_id.values():
        if relay.is_running and not _has_idled(relay, now):
            yield relay


def started(state: State) -> list[Relay]:
    """Return all relays that were started, brought to now."""
    state.collect_callbacks()
    return list(_all(state).by_id.values())


def end(state: State, relay: Relay, now: float, reason: str) -> None:
    """End a relay now: each URL that is not idle disconnects."""
    if relay.is_running:
        relay.ended_at, relay.end_reason = now, reason
        _disconnect(state, relay, [url for url, status in relay.statuses.items() if status != IDLE], now)


def play(
    state: State, steps: Sequence[UrlStep], *, relay_id: str | None, url: str | None, now: float
) -> None:
    """Bring the URLs of a relay, or that one, to these statuses; without a relay, that URL in relays to come.

    :raises ValueError: there is no such relay, or it has no such URL; or neither is given.
    """
    relays = _all(state)
    if relay_id is None:
        if url is None:
            raise ValueError("job_id or url is missing")
        relays.fates[url] = steps
        return
    relay = relays.by_id.get(relay_id)
    if relay is None or (url is not None and url not in relay.statuses):
        raise ValueError(
            f"no relay {relay_id!r}" if relay is None else f"no URL {url!r} in relay {relay_id!r}"
        )
    for each in relay.statuses if url is None else [url]:
        _run(state, relay, each, steps, now)


def truth(relay: Relay) -> dict[str, Any]:
    """Return all that happened to a relay, as JSON."""
    facts = asdict(relay)
    room = facts.pop("room")
    return {**facts, **room, "job_id": relay.relay_id, "is_running": relay.is_running}


def line(relay: Relay, now: float) -> dict[str, Any]:
    """Return what a bill says of a relay."""
    return {
        "job_id": relay.relay_id,
        "kind": "relay",
        **asdict(relay.room),
        "robot_id": relay.agent_id,
        "key": None,
        "created_at": relay.created_at,
        "ended_at": relay.ended_at,
        "end_reason": relay.end_reason,
        "seconds": (now if relay.ended_at is None else relay.ended_at) - relay.created_at,
        "started_by": relay.started_by and asdict(relay.started_by),
        "stopped_by": relay.stopped_by and asdict(relay.stopped_by),
    }


def _all(state: State) -> Relays:
    relays = state.part(Relays)
    if not relays.follows:
        relays.follows = True
        state.room_followers.append(partial(_follow_room, state))
    return relays


def _known(state: State, call: Call) -> Relay:
    relay = find(state, call.values["TaskId"])
    if relay is None or relay.room.sdk_app_id != call.values["SdkAppId"]:
        raise ApiError("ResourceNotFound")
    return relay


def _follow_room(state: State, room: Room, people: Sequence[str], now: float) -> None:
    """Notice that a room has become empty, or is empty no more."""
    for relay in list(running(state, now)):
        if relay.room != room:
            continue
        if people:
            relay.empty_since = None
        elif relay.empty_since is None:
            _empty(state, relay, now)


def _empty(state: State, relay: Relay, now: float) -> None:
    relay.empty_since = now
    state.callbacks.book(now + relay.max_idle_seconds, partial(_end_idle, state, relay))
    state.on_news()


def _end_idle(state: State, relay: Relay, now: float) -> None:
    if relay.is_running and _has_idled(relay, now):
        end(state, relay, now, "idle")


def _has_idled(relay: Relay, now: float) -> bool:
    return relay.empty_since is not None and now >= relay.empty_since + relay.max_idle_seconds


def _connect(state: State, relay: Relay, urls: Iterable[str], now: float) -> None:
    usual = (UrlStep(CONNECTING), UrlStep(RUNNING))
    for url in urls:
        _run(state, relay, url, _all(state).fates.get(url, usual), now)


def _disconnect(state: State, relay: Relay, urls: Iterable[str], now: float) -> None:
    for url in urls:
        _run(state, relay, url, (UrlStep(DISCONNECTING), UrlStep(IDLE)), now)


def _run(state: State, relay: Relay, url: str, steps: Sequence[UrlStep], now: float) -> None:
    """Let a URL come to these statuses, those that are due at once."""
    at = now
    relay.statuses.setdefault(url, IDLE)
    for number, step in enumerate(steps):
        at += step.after_seconds
        event_at = at + number * _STEP_SECONDS
        if at <= now:
            _come_to(state, relay, url, step, event_at)
        else:
            state.callbacks.book(event_at, partial(_come_to_later, state, relay, url, step))
    state.on_news()


def _come_to_later(state: State, relay: Relay, url: str, step: UrlStep, now: float) -> None:
    if relay.is_running:  # its end has told the rest
        _come_to(state, relay, url, step, now)


def _come_to(state: State, relay: Relay, url: str, step: UrlStep, at: float) -> None:
    relay.statuses[url] = step.status
    relay.history.append({"at": at, "url": url, "status": step.status})
    payload = {"Url": url, "Status": step.status, "ErrorCode": step.error_code, "ErrorMsg": step.error_msg}
    info = {
        "RoomId": relay.room.room_id,
        "RoomType": int(relay.room.is_string_room),
        **with_times(RELAY, REPORT, at + state.clock_skew_seconds, {}),
        "UserId": relay.agent_id,
        "TaskId": relay.relay_id,
        "Payload": payload,
    }
    if state.callbacks.url is not None:
        state.callbacks.send(Event(RELAY, REPORT, at, info), relay.relay_id, relay.room.sdk_app_id)
        state.on_news()
    if step.status == IDLE and relay.is_running and not any(relay.statuses.values()):
        relay.ended_at, relay.end_reason = at, "failed"


def _urls(values: Values) -> list[str]:
    return [each["PublishCdnUrl"] for each in values.get("PublishCdnParams", ())]


def _feedback_rooms(values: Values) -> Iterator[tuple[Room, Values]]:
    for each in values.get("FeedBackRoomParams", ()):
        yield Room(values["SdkAppId"], each["RoomId"], each.get("RoomIdType", 0) == 1), each


def _check_content(values: Values) -> None:
    for name in values:
        if name not in _KNOWN:
            raise ApiError("UnknownParameter", name)
    for url in _urls(values):
        if not url.startswith(("rtmp://", "rtmps://")):
            raise ApiError("InvalidParameter", "PublishCdnUrl takes addresses that begin with rtmp://")
    if "SingleSubscribeParams" in values and values["WithTranscoding"] == 1:
        raise ApiError("InvalidParameter", "SingleSubscribeParams needs WithTranscoding 0")


def _room_of_mix(values: Values) -> Room:
    if "StrRoomId" in values:
        return Room(values["SdkAppId"], values["StrRoomId"], is_string_room=True)
    return Room(values["SdkAppId"], str(values["RoomId"]))


_APP = integer(required=True, missing="MissingParameter")
_TASK_ID = text(required=True)
_TRANSCODING = integer(0, 1, required=True)
_CONTENT: Schema = {
    "PublishCdnParams": structures(
        {"PublishCdnUrl": text(required=True), "IsTencentCdn": integer(0, 1)}, max_items=MAX_URLS
    ),
    "FeedBackRoomParams": structures(
        {
            "RoomId": text(required=True),
            "RoomIdType": integer(0, 1, required=True),
            "UserId": text(required=True),
            "UserSig": text(required=True),
        },
        max_items=MAX_ROOMS,
    ),
    "WithTranscoding": _TRANSCODING,
}
_UNCHECKED = ("AudioParams", "VideoParams", "SingleSubscribeParams", "SeiParams", "RecordParams")
_CONTENT_NAMES = frozenset((*_CONTENT, *_UNCHECKED))
START: Schema = {
    "SdkAppId": _APP,
    "RoomId": text(required=True, max_bytes=64),
    "RoomIdType": integer(0, 1, required=True),
    "AgentParams": structure(
        {"UserId": text(required=True), "UserSig": text(required=True), "MaxIdleTime": integer(5, 86400)},
        required=True,
    ),
    **_CONTENT,
}
UPDATE: Schema = {
    "SdkAppId": _APP,
    "TaskId": _TASK_ID,
    "SequenceNumber": integer(0, MAX_SEQUENCE_NUMBER, required=True),
    **_CONTENT,
}
STOP: Schema = {"SdkAppId": _APP, "TaskId": _TASK_ID, "RecordKey": text(max_bytes=128)}
_KNOWN = frozenset((*START, *UPDATE, *_UNCHECKED))


def _mixes(by: str, room: Any) -> dict[str, Action]:
    name: Schema = {"SdkAppId": _APP, "StrRoomId" if by else "RoomId": room}
    return {
        f"StartMCUMixTranscode{by}": Action(start_mix, name, None, takes_more=True),
        f"StopMCUMixTranscode{by}": Action(stop_mix, name, None),
    }


ACTIONS: Mapping[str, Action] = {
    "StartPublishCdnStream": Action(start, START, REGIONS, takes_more=True),
    "UpdatePublishCdnStream": Action(update, UPDATE, REGIONS, takes_more=True),
    "StopPublishCdnStream": Action(stop, STOP, REGIONS),
    **_mixes("", integer(1, MAX_NUMERIC_ROOM, required=True)),
    **_mixes("ByStrRoomId", text(required=True, max_bytes=64)),
}
