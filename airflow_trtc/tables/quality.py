"""Call quality and history as tables: their columns, and the readers that make rows of the service's answers.

Bounded and strict: an answer that is cut short, or about something else, is an error and never a gap.
Sources: docstrings of tencentcloud-sdk-python 3.1.195, cloud.tencent.com/document/api/647/77745 and its
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from airflow_trtc import bounds
from airflow_trtc.errors import TrtcTransientError
from airflow_trtc.jobs.answers import BROKEN_ANSWER, UnreadableAnswer
from airflow_trtc.tables.event_names import CAUSES, EXPERIENCES, event_name
from airflow_trtc.tables.schema import LONGEST_KEY_TEXT, Column, Interval, Row, Schema

_Item = TypeVar("_Item")
SECOND = timedelta(seconds=1)
MOST_POINTS = 5_000_000
"""Measurements in one answer: what keeps a made-up answer from filling the memory."""
MOST_ENTRIES = 1_000_000

_APP = Column("sdk_app_id", "integer", None, "The application.")
_COMM = Column("comm_id", "text", None, "The call: application, number of the room, and when it began.")
_ROOM = Column("room_id", "text", None, "The room; numeric and string rooms alike.")
_USER = Column("user_id", "text", None, "The user.")

ROOMS = Schema(
    "trtc_rooms",
    (
        _APP,
        _COMM,
        _ROOM,
        Column("created_at", "instant", None, "When the first user entered."),
        Column("destroyed_at", "instant", None, "When the last one left; null if that is to come.", True),
        Column("finished", "flag", None, "Whether the call was over when it was read."),
        Column("creator_id", "text", None, "The user who entered first.", True),
    ),
    key=("comm_id",),
    instant="created_at",
    scope=("sdk_app_id",),
)

USERS = Schema(
    "trtc_call_users",
    (
        _APP,
        _COMM,
        _ROOM,
        _USER,
        Column("joined_at", "instant", None, "When the stay began; a user who comes back has another row."),
        Column("left_at", "instant", None, "When it ended; null if that is to come.", True),
        Column("finished", "flag", None, "Whether the stay was over when it was read."),
        Column("device_type", "text", None, "The kind of device, as the service calls it.", True),
        Column("sdk_version", "text", None, "The version of the user's SDK.", True),
        Column("client_ip", "text", None, "The user's address.", True),
    ),
    key=("comm_id", "user_id", "joined_at"),
    instant="joined_at",
    scope=("sdk_app_id", "comm_id"),
)

DETAILS = Schema(
    "trtc_call_details",
    (
        _APP,
        _COMM,
        Column("at", "instant", None, "When it was measured."),
        Column("user_id", "text", None, "The user who measured it."),
        Column("peer_id", "text", None, "Whose stream was received; empty for what the user sends."),
        Column("data_type", "text", None, "What was measured: see the list of data types."),
        Column("value", "number", "see `data_type`", "The measurement."),
    ),
    key=("comm_id", "at", "user_id", "peer_id", "data_type"),
    instant="at",
    scope=("sdk_app_id", "comm_id"),
)

EVENTS = Schema(
    "trtc_call_events",
    (
        _APP,
        _COMM,
        _ROOM,
        _USER,
        Column("at", "instant", None, "When it happened, to the millisecond."),
        Column("position", "integer", None, "Tells events of one user and instant apart; from 0 on."),
        Column("peer_id", "text", None, "Whose stream it is about; empty for the user's own."),
        Column("event_id", "integer", None, "The vendor's number of the event."),
        Column("event", "text", None, "Its name; null for a number without one.", True),
        Column("stream_type", "integer", None, "0: none, 2: big video, 3: small video, 7: relayed."),
        Column("param_one", "integer", None, "The event's first parameter, -1 for none.", True),
        Column("param_two", "integer", None, "Its second parameter, -1 for none.", True),
    ),
    key=("comm_id", "user_id", "at", "position"),
    instant="at",
    scope=("sdk_app_id", "comm_id"),
)

UNUSUAL = Schema(
    "trtc_unusual_events",
    (
        _APP,
        _ROOM,
        _USER,
        Column("at", "instant", None, "When the bad experience was reported."),
        Column("experience_id", "integer", None, "The vendor's number of the experience."),
        Column("experience", "text", None, "Its name; null for a number without one.", True),
        Column("position", "integer", None, "Tells rows of one user, instant and experience apart."),
        Column("cause_id", "integer", None, "The vendor's number of what may have caused it.", True),
        Column("cause", "text", None, "Its name; null for a number without one.", True),
        Column("peer_id", "text", None, "The other user who may be the cause; empty for none."),
    ),
    key=("sdk_app_id", "room_id", "user_id", "at", "experience_id", "position"),
    instant="at",
    scope=("sdk_app_id",),
)

SCALE = Schema(
    "trtc_scale",
    (
        _APP,
        Column("day_at", "instant", None, "When the day began; midnight in UTC+8 is 16:00 in UTC."),
        Column("rooms", "integer", "rooms", "Rooms of the day."),
        Column("users", "integer", "users", "Users of each room, summed over rooms."),
        Column("visits", "integer", "visits", "How often a user entered a room."),
    ),
    key=("sdk_app_id", "day_at"),
    instant="day_at",
    scope=("sdk_app_id",),
)

SCHEMAS: Mapping[str, Schema] = {
    "rooms": ROOMS,
    "users": USERS,
    "details": DETAILS,
    "events": EVENTS,
    "unusual": UNUSUAL,
    "scale": SCALE,
}
"""The tables, by what they are about."""

DATA_TYPES: Mapping[str, tuple[str, str]] = {
    "appCpu": ("%", "CPU that the app used"),
    "sysCpu": ("%", "CPU that the whole device used"),
    "aBit": ("bit/s", "bitrate of audio, sent and received"),
    "aBlock": ("ms", "how long audio stood still"),
    "bigvBit": ("bit/s", "bitrate of video, sent and received"),
    "bigvCapFps": ("frames/s", "frames captured"),
    "bigvEncFps": ("frames/s", "frames sent"),
    "bigvDecFps": ("frames/s", "frames rendered"),
    "bigvBlock": ("ms", "how long video stood still"),
    "aLoss": ("%", "audio packets lost, sent and received"),
    "bigvLoss": ("%", "video packets lost, sent and received"),
    "bigvWidth": ("pixels", "width of the picture, sent and received"),
    "bigvHeight": ("pixels", "height of the picture, sent and received"),
    "aCapEnergy": ("no unit", "volume captured"),
    "aPlayEnergy": ("no unit", "volume played"),
    "rtt": ("ms", "round trip between SDK and cloud"),
    "bigvRecFps": ("frames/s", "frames that arrived from the cloud"),
}
"""The data types of DescribeCallDetailInfo, with unit and meaning. That rates of loss and use are per cent is
not said [unsure]."""


@dataclass(frozen=True)
class Question:
    """What a request asks for; names it in errors.

    :param action: the API action.
    :param sdk_app_id: the application.
    :param window: of the request.
    :param about: what else it is about, e.g. ``call 1400000001_8001_1790000000``.
    """

    action: str
    sdk_app_id: int
    window: Interval
    about: str = ""

    def __str__(self) -> str:
        about = f", {self.about}" if self.about else ""
        return f"{self.action} of application {self.sdk_app_id}{about}, {self.window}"


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """One page of an answer.

    :param total: what the service says there are: on this page, or on all of them; see `Pages`.
    """

    total: int
    items: tuple[_Item, ...]


@dataclass(frozen=True)
class Room:
    """One life of a room."""

    comm_id: str
    room_id: str
    created_at: datetime
    destroyed_at: datetime | None
    creator_id: str | None


@dataclass(frozen=True)
class Session:
    """One stay of a user in a call."""

    room_id: str
    user_id: str
    joined_at: datetime
    left_at: datetime | None
    device_type: str | None
    sdk_version: str | None
    client_ip: str | None


@dataclass(frozen=True)
class Point:
    """One measurement."""

    user_id: str
    peer_id: str
    data_type: str
    at: datetime
    value: float


@dataclass(frozen=True)
class Details(Page[Session]):
    """A page of users, and what they measured."""

    points: tuple[Point, ...]


@dataclass(frozen=True, order=True)
class UserEvent:
    """One event of a user."""

    at: datetime
    peer_id: str
    event_id: int
    stream_type: int
    param_one: int
    param_two: int


@dataclass(frozen=True)
class Unusual:
    """One bad experience, and the numbers and peers of what may have caused it."""

    room_id: str
    user_id: str
    at: datetime
    experience_id: int
    causes: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Scale:
    """What one day had."""

    day_at: datetime
    rooms: int
    users: int
    visits: int


def unreadable(question: Question, what: str) -> UnreadableAnswer:
    """The error for an answer that is not what was asked for."""
    return UnreadableAnswer(
        f"The answer of {question} is not what was asked for: {what}. Run the task again later. If it stays"
        " so, the service has changed its answers: report it."
    )


def inconsistent(question: Question, what: str) -> TrtcTransientError:
    """The error for several answers that contradict one another."""
    message = f"The answers of {question} do not fit together: {what}. Run the task again later."
    return TrtcTransientError(message, action=question.action, code=BROKEN_ANSWER)


def read_rooms(question: Question, answer: Mapping[str, Any]) -> Page[Room]:
    """Read what ``DescribeRoomInfo`` answered.

    :raises UnreadableAnswer: it is not that.
    """
    return _page(question, answer, [_room(question, each) for each in _listed(question, answer, "RoomList")])


def read_users(question: Question, answer: Mapping[str, Any]) -> Page[Session]:
    """Read what ``DescribeUserInfo`` answered.

    :raises UnreadableAnswer: it is not that.
    """
    return _page(
        question, answer, [_session(question, each) for each in _listed(question, answer, "UserList")]
    )


def read_details(question: Question, answer: Mapping[str, Any]) -> Details:
    """Read what ``DescribeCallDetailInfo`` answered for data types.

    :raises UnreadableAnswer: it is not that; or there are users, and null instead of a list of data: that is
        how the service answers when it is asked for more than an hour.
    """
    page = read_users(question, answer)
    if not page.items and answer.get("Data") is None:
        return Details(page.total, page.items, ())
    points: list[Point] = []
    for each in _listed(question, answer, "Data"):
        points += _points(question, each)
        if len(points) > MOST_POINTS:
            raise unreadable(
                question, f"it has more than {MOST_POINTS} measurements; ask for fewer data types"
            )
    seen = {(each.user_id, each.peer_id, each.data_type, each.at) for each in points}
    if len(seen) < len(points):
        raise unreadable(question, "a measurement is there twice")
    return Details(page.total, page.items, tuple(points))


def read_events(question: Question, answer: Mapping[str, Any]) -> list[UserEvent]:
    """Read what ``DescribeUserEvent`` answered, in the order of time.

    :raises UnreadableAnswer: it is not that.
    """
    found = [
        _event(question, peer_id, each)
        for entry in _listed(question, answer, "Data")
        for peer_id in [_text_or_empty(question, entry, "PeerId")]
        for each in _listed(question, entry, "Content")
    ]
    if len(found) > MOST_ENTRIES:
        raise unreadable(question, f"it has more than {MOST_ENTRIES} events")
    return sorted(found)


def read_unusual(question: Question, answer: Mapping[str, Any]) -> Page[Unusual]:
    """Read what ``DescribeUnusualEvent`` answered.

    :raises UnreadableAnswer: it is not that.
    """
    entries = _listed(question, answer, "AbnormalExperienceList")
    return _page(question, answer, [_unusual(question, each) for each in entries])


def read_scale(question: Question, answer: Mapping[str, Any]) -> list[Scale]:
    """Read what ``DescribeScaleInfo`` answered, in the order of time.

    :raises UnreadableAnswer: it is not that, or a day is there twice.
    """
    page = _page(
        question, answer, [_scale(question, each) for each in _listed(question, answer, "ScaleList")]
    )
    if page.total != len(page.items):
        raise unreadable(question, f"it has {len(page.items)} days, and says {page.total}")
    if len({each.day_at for each in page.items}) < len(page.items):
        raise unreadable(question, "a day is there twice")
    return sorted(page.items, key=lambda each: each.day_at)


@dataclass
class Pages(Generic[_Item]):
    """Takes the pages of one question in, and says when all are there.

    For rooms the documentation says that ``Total`` is the number on the page, elsewhere it is that of all
    pages. A page with fewer entries than its ``Total`` shows which: from then on it has to stay the same, and
    all pages together have to have so many.

    :param question: for errors.
    :param size: entries on a full page.
    """

    question: Question
    size: int
    found: dict[Any, _Item] = field(default_factory=dict)
    total: int | None = None

    def take(self, page: Page[_Item], keys: Iterable[Any]) -> bool:
        """Take the next page in, and return whether it was the last.

        :param keys: what no two entries have alike, one for each.
        :raises TrtcTransientError: pages contradict one another, or entries are missing.
        """
        count = len(page.items)
        if len(self.found) > MOST_ENTRIES:
            raise inconsistent(self.question, f"there is no end after {len(self.found)} entries")
        if count > self.size:
            raise inconsistent(self.question, f"a page has {count} entries instead of {self.size} at most")
        if self.total is None and page.total > count:
            self.total = page.total
        elif self.total is not None and page.total != self.total:
            raise inconsistent(self.question, f"Total was {self.total}, and is {page.total} on a later page")
        for key, item in zip(keys, page.items, strict=True):
            if key in self.found:
                raise inconsistent(self.question, f"{key} is there twice: the list changed while it was read")
            self.found[key] = item
        if self.total is not None and len(self.found) >= self.total:
            if len(self.found) > self.total:
                raise inconsistent(self.question, f"it has more than the {self.total} entries of its Total")
            return True
        if count == self.size:
            return False
        if self.total is not None:
            raise inconsistent(
                self.question, f"its pages have {len(self.found)} entries together, and Total is {self.total}"
            )
        return True


def room_row(sdk_app_id: int, room: Room) -> Row:
    """The row of a room."""
    return {
        "sdk_app_id": sdk_app_id,
        "comm_id": room.comm_id,
        "room_id": room.room_id,
        "created_at": room.created_at,
        "destroyed_at": room.destroyed_at,
        "finished": room.destroyed_at is not None,
        "creator_id": room.creator_id,
    }


def user_row(sdk_app_id: int, comm_id: str, session: Session) -> Row:
    """The row of a stay."""
    return {
        "sdk_app_id": sdk_app_id,
        "comm_id": comm_id,
        "room_id": session.room_id,
        "user_id": session.user_id,
        "joined_at": session.joined_at,
        "left_at": session.left_at,
        "finished": session.left_at is not None,
        "device_type": session.device_type,
        "sdk_version": session.sdk_version,
        "client_ip": session.client_ip,
    }


def detail_row(sdk_app_id: int, comm_id: str, point: Point) -> Row:
    """The row of a measurement."""
    return {
        "sdk_app_id": sdk_app_id,
        "comm_id": comm_id,
        "at": point.at,
        "user_id": point.user_id,
        "peer_id": point.peer_id,
        "data_type": point.data_type,
        "value": point.value,
    }


def event_rows(
    sdk_app_id: int, comm_id: str, room_id: str, user_id: str, events: Iterable[UserEvent]
) -> Iterator[Row]:
    """The rows of a user's events, which come in the order of time."""
    last, position = None, 0
    for each in events:
        position = position + 1 if each.at == last else 0
        last = each.at
        yield {
            "sdk_app_id": sdk_app_id,
            "comm_id": comm_id,
            "room_id": room_id,
            "user_id": user_id,
            "at": each.at,
            "position": position,
            "peer_id": each.peer_id,
            "event_id": each.event_id,
            "event": event_name(each.event_id, each.param_one),
            "stream_type": each.stream_type,
            "param_one": each.param_one,
            "param_two": each.param_two,
        }


def unusual_rows(sdk_app_id: int, found: Iterable[Unusual]) -> Iterator[Row]:
    """The rows of bad experiences: one for each cause, or one without."""
    positions: dict[tuple[Any, ...], int] = {}
    for each in sorted(
        found, key=lambda one: (one.at, one.room_id, one.user_id, one.experience_id, one.causes)
    ):
        for cause_id, peer_id in each.causes or ((None, ""),):
            key = each.room_id, each.user_id, each.at, each.experience_id
            position = positions[key] = positions.get(key, -1) + 1
            yield {
                "sdk_app_id": sdk_app_id,
                "room_id": each.room_id,
                "user_id": each.user_id,
                "at": each.at,
                "experience_id": each.experience_id,
                "experience": EXPERIENCES.get(each.experience_id),
                "position": position,
                "cause_id": cause_id,
                "cause": None if cause_id is None else CAUSES.get(cause_id),
                "peer_id": peer_id,
            }


def scale_row(sdk_app_id: int, scale: Scale) -> Row:
    """The row of a day."""
    return {
        "sdk_app_id": sdk_app_id,
        "day_at": scale.day_at,
        "rooms": scale.rooms,
        "users": scale.users,
        "visits": scale.visits,
    }


def _page(question: Question, answer: Mapping[str, Any], items: list[_Item]) -> Page[_Item]:
    return Page(_number(question, answer, "Total", lowest=0), tuple(items))


def _listed(question: Question, answer: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list; null is one without any where ``Total`` is 0."""
    found = answer.get(name)
    if found is None and answer.get("Total") == 0:
        return []
    if not isinstance(found, list):
        raise unreadable(question, f"{name} is no list, but {found!r:.100}")
    for each in found:
        if not isinstance(each, Mapping):
            raise unreadable(question, f"{name} has an entry {each!r:.100}")
    return found


def _room(question: Question, entry: Mapping[str, Any]) -> Room:
    created_at = _instant(question, entry, "CreateTime")
    return Room(
        comm_id=_text(question, entry, "CommId"),
        room_id=_text(question, entry, "RoomString"),
        created_at=created_at,
        destroyed_at=_end(question, entry, "DestroyTime", "IsFinished", created_at),
        creator_id=_optional(entry, "UserId"),
    )


def _session(question: Question, entry: Mapping[str, Any]) -> Session:
    joined_at = _instant(question, entry, "JoinTs")
    return Session(
        room_id=_text(question, entry, "RoomStr"),
        user_id=_text(question, entry, "UserId"),
        joined_at=joined_at,
        left_at=_end(question, entry, "LeaveTs", "Finished", joined_at),
        device_type=_optional(entry, "DeviceType"),
        sdk_version=_optional(entry, "SdkVersion"),
        client_ip=_optional(entry, "ClientIp"),
    )


def _points(question: Question, entry: Mapping[str, Any]) -> Iterator[Point]:
    user_id, data_type = _text(question, entry, "UserId"), _text(question, entry, "DataType")
    peer_id = _text_or_empty(question, entry, "PeerId")
    start, end = question.window.start, question.window.end
    for each in _listed(question, entry, "Content"):
        at = _instant(question, each, "Time")
        value = each.get("Value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= bounds.HIGHEST:
            raise unreadable(question, f"a value of {data_type} is {value!r:.100}")
        if not start <= at <= end:
            raise unreadable(question, f"a measurement of {data_type} is of {at.isoformat()}")
        yield Point(user_id, peer_id, data_type, at, float(value))


def _event(question: Question, peer_id: str, entry: Mapping[str, Any]) -> UserEvent:
    return UserEvent(
        at=_instant(question, entry, "Time", unit_ms=1),
        peer_id=peer_id,
        event_id=_number(question, entry, "EventId", lowest=0),
        stream_type=_number(question, entry, "Type", lowest=0),
        param_one=_number(question, entry, "ParamOne"),
        param_two=_number(question, entry, "ParamTwo"),
    )


def _unusual(question: Question, entry: Mapping[str, Any]) -> Unusual:
    causes = [
        (_number(question, each, "AbnormalEventId", lowest=0), _text_or_empty(question, each, "PeerId"))
        for each in _listed(question, {"AbnormalEventList": [], **_given(entry)}, "AbnormalEventList")
    ]
    return Unusual(
        room_id=_text(question, entry, "RoomId"),
        user_id=_text(question, entry, "UserId"),
        at=_instant(question, entry, "EventTime"),
        experience_id=_number(question, entry, "ExperienceId", lowest=0),
        causes=tuple(sorted(causes)),
    )


def _scale(question: Question, entry: Mapping[str, Any]) -> Scale:
    return Scale(
        day_at=_instant(question, entry, "Time"),
        rooms=_number(question, entry, "RoomNumbers", lowest=0),
        users=_number(question, entry, "UserNumber", lowest=0),
        visits=_number(question, entry, "UserCount", lowest=0),
    )


def _end(
    question: Question, entry: Mapping[str, Any], name: str, flag: str, began_at: datetime
) -> datetime | None:
    """When something ended; None while it goes on, for which the service gives the time of the answer."""
    is_over = entry.get(flag)
    if not isinstance(is_over, bool):
        raise unreadable(question, f"{flag} is {is_over!r:.100}")
    if not is_over:
        return None
    end = _instant(question, entry, name)
    if end < began_at:
        raise unreadable(question, f"{name} {end.isoformat()} lies before {began_at.isoformat()}")
    return end


def _given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without what is null."""
    return {name: value for name, value in entry.items() if value is not None}


def _text(question: Question, entry: Mapping[str, Any], name: str) -> str:
    """A text that is part of a key: neither empty nor cut."""
    found = bounds.text(entry.get(name), LONGEST_KEY_TEXT + 1)
    if found is None or len(found) > LONGEST_KEY_TEXT:
        raise unreadable(question, f"{name} is {entry.get(name)!r:.300}")
    return found


def _text_or_empty(question: Question, entry: Mapping[str, Any], name: str) -> str:
    return "" if entry.get(name) in (None, "") else _text(question, entry, name)


def _optional(entry: Mapping[str, Any], name: str) -> str | None:
    return bounds.text(entry.get(name), LONGEST_KEY_TEXT)


def _number(question: Question, entry: Mapping[str, Any], name: str, *, lowest: int = bounds.LOWEST) -> int:
    found = bounds.number(entry.get(name), lowest)
    if found is None:
        raise unreadable(question, f"{name} is {entry.get(name)!r:.100}")
    return found


def _instant(question: Question, entry: Mapping[str, Any], name: str, *, unit_ms: int = 1000) -> datetime:
    found = bounds.instant_ms(entry.get(name), unit_ms)
    if found is None:
        raise unreadable(question, f"{name} is {entry.get(name)!r:.100}")
    return bounds.moment(found)
