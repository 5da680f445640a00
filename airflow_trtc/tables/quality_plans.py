"""What to ask about call quality and history, and what to write: generators of steps that do no I/O.

A plan yields parts of a table that it begins, calls of the service, whose values it gets back, and rows to
write. It keeps to the limits of the calls that it makes: a day of rooms, four hours of users, an hour of
measurements of six users. :func:`airflow_trtc.steps.drive` carries it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Any, TypeAlias, TypeVar

from airflow_trtc import bounds
from airflow_trtc.cloud.calls import Call
from airflow_trtc.errors import TrtcFailedError
from airflow_trtc.tables import quality
from airflow_trtc.tables.quality import Details, Page, Pages, Point, Question, Room, Session, Unusual
from airflow_trtc.tables.schema import Interval, Part, Row, Schema
from airflow_trtc.tables.windows import DAY, check_age, check_grid, check_whole_days, split, split_days

KEPT = timedelta(days=14)
"""How long the service keeps it; with a small plan seven days."""
ROOMS_SPAN = DAY
USERS_SPAN = timedelta(hours=4)
DETAILS_SPAN = timedelta(minutes=59)
"""The documentation says of one limit "less than an hour" and "not more than an hour"; longer is null."""
UNUSUAL_SPAN = timedelta(hours=1)
SECOND = timedelta(seconds=1)
MOST_UNUSUAL = 20
PAGE_SIZE = 100
DETAILS_PAGE_SIZE = 6
LONGEST_CALL = DAY
_COMM_ID = re.compile(r"(\d{1,10})_[^\s]+_(\d{10})")

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Reading:
    """What is to be read.

    :param sdk_app_id: the application.
    :param interval: whose rows are wanted.
    :param zone: whose days the service counts.
    :param since: before it nothing is asked for, since the service does not keep it.
    :param calls: only these; None for all of the interval.
    :param longest_call: how long before the interval a call may have begun that goes on in it.
    :param data_types: what is read of measurements.
    """

    sdk_app_id: int
    interval: Interval
    zone: tzinfo
    since: datetime
    calls: tuple[Room, ...] | None = None
    longest_call: timedelta = LONGEST_CALL
    data_types: tuple[str, ...] = tuple(quality.DATA_TYPES)

    def from_(self, at: datetime) -> datetime:
        """The instant, unless the service keeps nothing of it."""
        return max(at, self.since)


@dataclass(frozen=True)
class Begin:
    """A part comes next; the answer is whether it has to be read, or is written already."""

    part: Part


@dataclass(frozen=True)
class Write:
    """Put these rows in the place of what the part held; the answer is nothing."""

    part: Part
    rows: list[Row] = field(repr=False)


Step: TypeAlias = "Begin | Call[Any] | Write"
Plan: TypeAlias = Generator["Begin | Call[Any] | Write", Any, _Value]


@dataclass(frozen=True)
class Table:
    """One kind of table: its schema, and the plan that reads it.

    :param by_call: whether single calls may be asked for.
    """

    name: str
    schema: Schema
    plan: Callable[[Reading], Plan[None]]
    by_call: bool = False


def check(table: Table, interval: Interval, zone: tzinfo, now: datetime) -> None:
    """Refuse an interval that cannot be read whole.

    :raises TrtcSetupError: it is not over, the service does not keep it any more, or, for the scale, it is
        not made of whole days of the zone.
    """
    check_grid(interval, SECOND)
    if table.name == "scale":
        check_whole_days(interval, zone)
    check_age(interval, now, KEPT, f"the table {table.name!r}")


def named_call(sdk_app_id: int, comm_id: str) -> Room:
    """What the id of a call says: when it began.

    :raises ValueError: it is none, or that of another application's call.
    """
    match = _COMM_ID.fullmatch(comm_id)
    created_ms = bounds.instant_ms(match[2], 1000) if match else None
    if match is None or created_ms is None:
        raise ValueError(f"{comm_id!r:.100} is no comm_id such as {sdk_app_id}_8001_1790000000")
    if int(match[1]) != sdk_app_id:
        raise ValueError(f"the call {comm_id} belongs to the application {match[1]}, not to {sdk_app_id}")
    return Room(comm_id, "", bounds.moment(created_ms), None, None)


def rooms(reading: Reading) -> Plan[None]:
    """Read the calls that began in the interval."""
    part, app = _part(reading), reading.sdk_app_id
    if (yield Begin(part)):
        found = yield from _rooms(app, reading.interval)
        began = [each for each in found.values() if each.created_at in reading.interval]
        yield Write(part, [quality.room_row(app, each) for each in began])


def users(reading: Reading) -> Plan[None]:
    """Read the stays that began in the interval, of each call a part."""
    for room in (yield from _calls(reading)):
        part, app = _part(reading, room), reading.sdk_app_id
        if (yield Begin(part)):
            found = yield from _sessions(app, room, _life(reading, room))
            joined = [each for each in found if each.joined_at in reading.interval]
            yield Write(part, [quality.user_row(app, room.comm_id, each) for each in joined])


def details(reading: Reading) -> Plan[None]:
    """Read what was measured in the interval, of each call and hour a part."""
    for room in (yield from _calls(reading)):
        for window in split(_life(reading, room), DETAILS_SPAN):
            part, app = _part(reading, room, window), reading.sdk_app_id
            if not _is_over(room, window) and (yield Begin(part)):
                points = yield from _points(reading, room, window)
                yield Write(part, [quality.detail_row(app, room.comm_id, each) for each in points])


def events(reading: Reading) -> Plan[None]:
    """Read the events of the interval, of each call a part."""
    for room in (yield from _calls(reading)):
        part = _part(reading, room)
        if (yield Begin(part)):
            rows = yield from _events(reading, room)
            yield Write(part, rows)


def unusual(reading: Reading) -> Plan[None]:
    """Read the bad experiences of the interval, of each hour a part."""
    for window in split(reading.interval, UNUSUAL_SPAN):
        part, app = _part(reading, window=window), reading.sdk_app_id
        if (yield Begin(part)):
            found = yield from _unusual(app, window)
            yield Write(part, list(quality.unusual_rows(app, found)))


def scale(reading: Reading) -> Plan[None]:
    """Read the sums of the interval's days.

    :raises TrtcTransientError: the service has none of a day that had calls.
    """
    part, app, interval = _part(reading), reading.sdk_app_id, reading.interval
    if not (yield Begin(part)):
        return
    question = Question("DescribeScaleInfo", app, interval)
    told = yield _call(question, quality.read_scale)
    by_day = {each.day_at: each for each in told if each.day_at in interval}
    days = {each.start: each for each in split_days(interval, reading.zone)}
    if other := sorted(by_day.keys() - days.keys()):
        what = f"a day begins at {other[0].isoformat()}, not at midnight of {reading.zone}"
        raise quality.inconsistent(question, f"{what}: give the operator another time_zone")
    for at, day in days.items():
        if at not in by_day:
            if (yield from _rooms(app, day)):
                raise quality.inconsistent(question, f"the day of {at.isoformat()} had calls, and is missing")
            by_day[at] = quality.Scale(at, 0, 0, 0)
    yield Write(part, [quality.scale_row(app, by_day[at]) for at in days])


_ROWS = (
    Table("rooms", quality.ROOMS, rooms),
    Table("users", quality.USERS, users, by_call=True),
    Table("details", quality.DETAILS, details, by_call=True),
    Table("events", quality.EVENTS, events, by_call=True),
    Table("unusual", quality.UNUSUAL, unusual),
    Table("scale", quality.SCALE, scale),
)

TABLES: Mapping[str, Table] = {each.name: each for each in _ROWS}
"""All kinds of tables, by name."""


def _part(reading: Reading, room: Room | None = None, window: Interval | None = None) -> Part:
    scope: dict[str, str | int] = {"sdk_app_id": reading.sdk_app_id}
    return Part(window or reading.interval, {**scope, "comm_id": room.comm_id} if room else scope)


def _calls(reading: Reading) -> Plan[list[Room]]:
    """The calls that touch the interval, in the order in which they began."""
    if reading.calls is not None:
        return [each for each in reading.calls if each.created_at < reading.interval.end]
    start = reading.from_(reading.interval.start - reading.longest_call)
    found = yield from _rooms(reading.sdk_app_id, Interval(start, reading.interval.end))
    touching = [each for each in found.values() if not _is_over(each, reading.interval)]
    return sorted(touching, key=lambda each: (each.created_at, each.comm_id))


def _is_over(room: Room, window: Interval) -> bool:
    """Whether a call does not touch a window."""
    if room.created_at >= window.end:
        return True
    return room.destroyed_at is not None and room.destroyed_at < window.start


def _life(reading: Reading, room: Room) -> Interval:
    """The interval from the call's begin on; its end is not cut, so that a part stays the same part."""
    return Interval(max(room.created_at, reading.interval.start), reading.interval.end)


def _touches(session: Session, interval: Interval) -> bool:
    is_over = session.left_at is not None and session.left_at < interval.start
    return session.joined_at < interval.end and not is_over


def _rooms(sdk_app_id: int, interval: Interval) -> Plan[dict[str, Room]]:
    """All rooms that the service lists for an interval, by id; one may be listed for several days."""
    found: dict[str, Room] = {}
    for window in split(interval, ROOMS_SPAN):
        question = Question("DescribeRoomInfo", sdk_app_id, window)
        page = yield from _pages(question, PAGE_SIZE, {}, quality.read_rooms, lambda room: room.comm_id)
        found.update(page)
    return found


def _sessions(sdk_app_id: int, room: Room, interval: Interval) -> Plan[list[Session]]:
    """All stays that the service lists for a call; one may be listed for several windows."""
    found: dict[Any, Session] = {}
    for window in split(interval, USERS_SPAN):
        if not _is_over(room, window):
            question = Question("DescribeUserInfo", sdk_app_id, window, f"call {room.comm_id}")
            more = {"CommId": room.comm_id}
            found.update((yield from _pages(question, PAGE_SIZE, more, quality.read_users, _stay)))
    return sorted(found.values(), key=lambda each: (each.joined_at, each.user_id))


def _stay(session: Session) -> tuple[str, datetime]:
    return session.user_id, session.joined_at


def _pages(
    question: Question,
    size: int,
    more: Mapping[str, Any],
    read: Callable[[Question, Mapping[str, Any]], Page[_Value]],
    key: Callable[[_Value], Any],
) -> Plan[dict[Any, _Value]]:
    pages: Pages[_Value] = Pages(question, size)
    number, is_last = 0, False
    while not is_last:
        page = yield _call(question, read, **more, PageNumber=number, PageSize=size)
        is_last = pages.take(page, map(key, page.items))
        number += 1
    return pages.found


def _points(reading: Reading, room: Room, window: Interval) -> Plan[list[Point]]:
    """All that was measured in a window of a call.

    A user who came back may be listed on two pages, and what was measured come twice.
    """
    question = Question("DescribeCallDetailInfo", reading.sdk_app_id, window, f"call {room.comm_id}")
    more = {"CommId": room.comm_id, "DataType": list(reading.data_types)}
    pages: Pages[Session] = Pages(question, DETAILS_PAGE_SIZE)
    found: dict[tuple[str, str, str, datetime], Point] = {}
    number, is_last = 0, False
    while not is_last:
        page: Details = yield _call(
            question, quality.read_details, **more, PageNumber=number, PageSize=DETAILS_PAGE_SIZE
        )
        is_last = pages.take(page, map(_stay, page.items))
        number += 1
        for each in page.points:
            known = found.setdefault((each.user_id, each.peer_id, each.data_type, each.at), each)
            if known != each:
                raise quality.inconsistent(question, f"{known} has the value {each.value} on another page")
    kept = [each for each in found.values() if each.at in window]
    return sorted(kept, key=lambda each: (each.at, each.user_id, each.peer_id, each.data_type))


def _events(reading: Reading, room: Room) -> Plan[list[Row]]:
    """The rows of all users of a call. They are looked for from its begin on, for they may have stayed."""
    app, whole = reading.sdk_app_id, Interval(reading.from_(room.created_at), reading.interval.end)
    found = yield from _sessions(app, room, whole)
    there = {each.user_id: each for each in found if _touches(each, reading.interval)}
    rows: list[Row] = []
    for user_id, session in sorted(there.items()):
        told = yield _ask_events(app, room, session, _life(reading, room))
        kept = [each for each in told if each.at in reading.interval]
        rows += quality.event_rows(app, room.comm_id, session.room_id, user_id, kept)
    return rows


def _ask_events(sdk_app_id: int, room: Room, session: Session, window: Interval) -> Call[Any]:
    about = f"call {room.comm_id}, user {session.user_id}"
    question = Question("DescribeUserEvent", sdk_app_id, window, about)
    more = {"CommId": room.comm_id, "RoomId": session.room_id, "UserId": session.user_id}
    return _call(question, quality.read_events, **more)


def _unusual(sdk_app_id: int, window: Interval) -> Plan[list[Unusual]]:
    """All bad experiences of a window. A full answer may not be all: then its halves are asked for.

    :raises TrtcFailedError: even a second has too many.
    """
    question = Question("DescribeUnusualEvent", sdk_app_id, window)
    page: Page[Unusual] = yield _call(question, quality.read_unusual)
    if page.total < MOST_UNUSUAL and len(page.items) < MOST_UNUSUAL:
        if page.total > len(page.items):
            what = f"it has {len(page.items)} entries, and Total is {page.total}"
            raise quality.inconsistent(question, what)
        return [each for each in page.items if each.at in window]
    if window.length <= SECOND:
        raise TrtcFailedError(
            f"The service gives at most {MOST_UNUSUAL} bad experiences an answer, and {window} had more: they"
            f" cannot be read whole for the application {sdk_app_id}. Read 'details' and 'events' instead.",
            action=question.action,
            code="Client.TooMany",
        )
    middle = window.start + window.length // 2 // SECOND * SECOND
    found = yield from _unusual(sdk_app_id, Interval(window.start, middle))
    found += yield from _unusual(sdk_app_id, Interval(middle, window.end))
    return found


def _call(
    question: Question, read: Callable[[Question, Mapping[str, Any]], _Value], **more: Any
) -> Call[_Value]:
    window = question.window
    span = {"StartTime": int(window.start.timestamp()), "EndTime": int(window.end.timestamp())}
    params = {"SdkAppId": question.sdk_app_id, **span, **more}
    return Call(question.action, params, partial(read, question), "read")
