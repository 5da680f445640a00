"""Readers of call quality and history: whole answers become rows, others are errors that name themselves."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.errors import TrtcTransientError
from airflow_trtc.jobs.answers import UnreadableAnswer
from airflow_trtc.tables import quality
from airflow_trtc.tables.event_names import CAUSES, EVENTS, EXPERIENCES, event_name
from airflow_trtc.tables.quality import Page, Pages, Question
from airflow_trtc.tables.schema import Interval, Part, check_rows

APP = 1400000001
START = datetime(2026, 11, 28, tzinfo=timezone.utc)
AT = int(START.timestamp())
HOUR = timedelta(hours=1)
QUESTION = Question("DescribeRoomInfo", APP, Interval(START, START + HOUR), "call 1400000001_8001_1")

ROOM = {
    "CommId": f"{APP}_8001_{AT}",
    "RoomString": "8001",
    "CreateTime": AT,
    "DestroyTime": AT + 60,
    "IsFinished": True,
    "UserId": "ann",
}
USER = {
    "RoomStr": "8001",
    "UserId": "ann",
    "JoinTs": AT,
    "LeaveTs": AT + 60,
    "Finished": True,
    "DeviceType": "",
    "SdkVersion": "4.3.14",
    "ClientIp": "10.4.1.13",
}
EVENT = {"Type": 0, "Time": AT * 1000 + 5, "EventId": 5003, "ParamOne": 1, "ParamTwo": -1}
EXPERIENCE = {
    "UserId": "ann",
    "RoomId": "8001",
    "EventTime": AT + 60,
    "ExperienceId": 4,
    "AbnormalEventList": [
        {"AbnormalEventId": 2024, "PeerId": "bob"},
        {"AbnormalEventId": 2011, "PeerId": ""},
    ],
}
DAY = {"Time": AT, "RoomNumbers": 3, "UserNumber": 5, "UserCount": 9}


def series(**changes: Any) -> dict[str, Any]:
    content = [{"Time": AT + 2, "Value": 0}, {"Time": AT + 4, "Value": 1.5}]
    return {"UserId": "ann", "PeerId": "", "DataType": "rtt", "Content": content, **changes}


def details(**changes: Any) -> dict[str, Any]:
    return {"Total": 1, "UserList": [USER], "Data": [series()], **changes}


def fits(name: str, *rows: dict[str, Any]) -> list[Any]:
    schema = quality.SCHEMAS[name]
    scope = {each: rows[0][each] for each in schema.scope}
    return check_rows(schema, Part(Interval(START - HOUR, START + 24 * HOUR), scope), rows)


def test_rows_of_rooms() -> None:
    over, running = ROOM, {**ROOM, "CommId": "b", "IsFinished": False, "UserId": ""}
    page = quality.read_rooms(QUESTION, {"Total": 2, "RoomList": [over, running]})
    rows = fits("rooms", *(quality.room_row(APP, each) for each in page.items))
    assert rows[0] == {
        "sdk_app_id": APP,
        "comm_id": ROOM["CommId"],
        "room_id": "8001",
        "created_at": START,
        "destroyed_at": START + timedelta(minutes=1),
        "finished": True,
        "creator_id": "ann",
    }
    assert (rows[1]["destroyed_at"], rows[1]["finished"], rows[1]["creator_id"]) == (None, False, None)


def test_rows_of_users() -> None:
    page = quality.read_users(QUESTION, {"Total": 1, "UserList": [USER]})
    (row,) = fits("users", quality.user_row(APP, "c", page.items[0]))
    assert row["joined_at"] == START
    assert row["left_at"] == START + timedelta(minutes=1)
    assert (row["device_type"], row["sdk_version"], row["client_ip"]) == (None, "4.3.14", "10.4.1.13")


def test_rows_of_measurements() -> None:
    page = quality.read_details(QUESTION, details(Data=[series(), series(PeerId="bob")]))
    rows = fits("details", *(quality.detail_row(APP, "c", each) for each in page.points))
    assert [(row["peer_id"], row["value"]) for row in rows] == [
        ("", 0.0),
        ("", 1.5),
        ("bob", 0.0),
        ("bob", 1.5),
    ]
    assert rows[0]["at"] == START + timedelta(seconds=2)


def test_rows_of_events_have_names_and_positions() -> None:
    answer = {
        "Data": [
            {"PeerId": "bob", "Content": [{**EVENT, "EventId": 99}, EVENT]},
            {"PeerId": "", "Content": [{**EVENT, "Time": AT * 1000}, EVENT]},
        ]
    }
    events = quality.read_events(QUESTION, answer)
    rows = fits("events", *quality.event_rows(APP, "c", "8001", "ann", events))
    told = [(row["peer_id"], row["event_id"], row["event"], row["position"]) for row in rows]
    assert told == [
        ("", 5003, "entered", 0),
        ("", 5003, "entered", 0),
        ("bob", 99, None, 1),
        ("bob", 5003, "entered", 2),
    ]
    assert rows[1]["at"] == START + timedelta(milliseconds=5)


def test_rows_of_bad_experiences() -> None:
    none = {**EXPERIENCE, "AbnormalEventList": None, "ExperienceId": 77}
    page = quality.read_unusual(
        QUESTION, {"Total": 3, "AbnormalExperienceList": [EXPERIENCE, none, EXPERIENCE]}
    )
    rows = fits("unusual", *quality.unusual_rows(APP, page.items))
    told = [(row["experience"], row["position"], row["cause"], row["peer_id"]) for row in rows]
    assert told == [
        ("video freezes", 0, "small picture capture rate wrong", ""),
        ("video freezes", 1, "downstream big picture freezes", "bob"),
        ("video freezes", 2, "small picture capture rate wrong", ""),
        ("video freezes", 3, "downstream big picture freezes", "bob"),
        (None, 0, None, ""),
    ]


def test_rows_of_days() -> None:
    yesterday = {**DAY, "Time": AT - 1800}
    told = quality.read_scale(QUESTION, {"Total": 2, "ScaleList": [DAY, yesterday]})
    rows = fits("scale", *(quality.scale_row(APP, each) for each in told))
    assert [row["day_at"] for row in rows] == [START - timedelta(minutes=30), START]
    assert (rows[1]["rooms"], rows[1]["users"], rows[1]["visits"]) == (3, 5, 9)


Read = Callable[[Question, dict[str, Any]], Any]
READERS: dict[str, tuple[Read, Callable[..., dict[str, Any]]]] = {
    "rooms": (quality.read_rooms, lambda **changes: {"Total": 1, "RoomList": [{**ROOM, **changes}]}),
    "users": (quality.read_users, lambda **changes: {"Total": 1, "UserList": [{**USER, **changes}]}),
    "series": (quality.read_details, lambda **changes: details(Data=[series(**changes)])),
    "details": (quality.read_details, details),
    "events": (
        quality.read_events,
        lambda **changes: {"Data": [{"PeerId": "", "Content": [{**EVENT, **changes}]}]},
    ),
    "unusual": (
        quality.read_unusual,
        lambda **changes: {"Total": 1, "AbnormalExperienceList": [{**EXPERIENCE, **changes}]},
    ),
    "scale": (quality.read_scale, lambda **changes: {"Total": 1, "ScaleList": [{**DAY, **changes}]}),
}


@pytest.mark.parametrize("name", READERS)
def test_the_unchanged_answers_are_read(name: str) -> None:
    read, answer = READERS[name]
    assert read(QUESTION, answer())


@pytest.mark.parametrize(
    "name, changes, words",
    [
        ("rooms", {"CommId": ""}, "CommId is ''"),
        ("rooms", {"CommId": "c" * 256}, "CommId is 'ccc"),
        ("rooms", {"RoomString": None}, "RoomString is None"),
        ("rooms", {"CreateTime": 0}, "CreateTime is 0"),
        ("rooms", {"CreateTime": AT * 1000}, "CreateTime is"),
        ("rooms", {"DestroyTime": AT - 1}, "DestroyTime .* lies before"),
        ("rooms", {"IsFinished": "true"}, "IsFinished is 'true'"),
        ("users", {"UserId": 5}, "UserId is 5"),
        ("users", {"JoinTs": "soon"}, "JoinTs is 'soon'"),
        ("users", {"Finished": None}, "Finished is None"),
        ("series", {"Content": None}, "Content is no list"),
        ("series", {"DataType": ""}, "DataType is ''"),
        ("series", {"Content": [{"Time": AT + 2, "Value": None}]}, "a value of rtt is None"),
        ("series", {"Content": [{"Time": AT + 2, "Value": float("nan")}]}, "a value of rtt is nan"),
        ("series", {"Content": [{"Time": AT - 1, "Value": 1}]}, "a measurement of rtt is of 2026-11-27"),
        ("series", {"Content": [{"Time": AT + 2, "Value": 1}] * 2}, "is there twice"),
        ("details", {"Data": None}, "Data is no list"),
        ("details", {"UserList": None}, "UserList is no list"),
        ("details", {"Total": None}, "Total is None"),
        ("details", {"Total": -1}, "Total is -1"),
        ("events", {"Time": AT}, "Time is"),
        ("events", {"EventId": True}, "EventId is True"),
        ("events", {"ParamOne": None}, "ParamOne is None"),
        ("unusual", {"ExperienceId": "x"}, "ExperienceId is 'x'"),
        ("unusual", {"AbnormalEventList": ["x"]}, "AbnormalEventList has an entry 'x'"),
        ("scale", {"UserCount": None}, "UserCount is None"),
    ],
)
def test_what_is_not_an_answer_is_refused(name: str, changes: dict[str, Any], words: str) -> None:
    read, answer = READERS[name]
    with pytest.raises(UnreadableAnswer, match=words) as caught:
        read(QUESTION, answer(**changes))
    assert f"DescribeRoomInfo of application {APP}, call 1400000001_8001_1, 2026-11-28" in str(caught.value)


ODD: list[Any] = [
    None,
    True,
    "",
    " ",
    "x" * 300,
    "\0",
    "\ud800",
    -1,
    0,
    1.5,
    2**64,
    float("nan"),
    float("inf"),
    [],
    [[]],
    {},
]


def paths(value: Any) -> list[list[Any]]:
    """The way to each value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [[], *([key, *path] for key, each in inner for path in paths(each))]


@pytest.mark.parametrize("name", READERS)
def test_whatever_comes_in_is_rows_that_fit_or_unreadable(name: str) -> None:
    read, answer = READERS[name]
    makers: dict[str, Callable[[Any], Any]] = {
        "rooms": lambda page: [quality.room_row(APP, each) for each in page.items],
        "users": lambda page: [quality.user_row(APP, "c", each) for each in page.items],
        "details": lambda page: [quality.detail_row(APP, "c", each) for each in page.points],
        "events": lambda events: quality.event_rows(APP, "c", "8001", "ann", events),
        "unusual": lambda page: quality.unusual_rows(APP, page.items),
        "scale": lambda days: [quality.scale_row(APP, each) for each in days],
    }
    table = name.replace("series", "details")
    schema = quality.SCHEMAS[table]
    scope: dict[str, Any] = {"sdk_app_id": APP, "comm_id": "c"}
    always = Interval(datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc))
    part = Part(always, {each: scope[each] for each in schema.scope})
    for path in paths(answer())[1:]:
        for odd in ODD:
            changed = place = copy.deepcopy(answer())
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = odd
            with contextlib.suppress(UnreadableAnswer):
                check_rows(schema, part, makers[table](read(QUESTION, changed)))


@pytest.mark.parametrize("total, days", [(2, [DAY]), (2, [DAY, DAY])])
def test_days_that_are_missing_or_there_twice_are_refused(total: int, days: list[Any]) -> None:
    with pytest.raises(UnreadableAnswer, match=r"days, and says 2|there twice"):
        quality.read_scale(QUESTION, {"Total": total, "ScaleList": days})


def test_no_users_have_no_data() -> None:
    assert quality.read_details(QUESTION, {"Total": 0, "UserList": None, "Data": None}).items == ()
    with pytest.raises(UnreadableAnswer, match="Data is no list"):
        quality.read_events(QUESTION, {"Data": None})


def take(*pages: tuple[int, str], size: int = 3) -> tuple[str, bool]:
    """The entries of all pages, a letter each, and whether the last was the last."""
    taking: Pages[str] = Pages(QUESTION, size)
    is_last = False
    for total, letters in pages:
        assert not is_last
        is_last = taking.take(Page(total, tuple(letters)), letters)
    return "".join(taking.found.values()), is_last


@pytest.mark.parametrize(
    "pages, found, is_last",
    [
        ([(0, "")], "", True),
        ([(2, "ab")], "ab", True),
        ([(3, "abc")], "abc", False),
        # Total is that of the page.
        ([(3, "abc"), (1, "d")], "abcd", True),
        ([(3, "abc"), (0, "")], "abc", True),
        # Total is that of all pages.
        ([(4, "abc"), (4, "d")], "abcd", True),
        ([(6, "abc"), (6, "def")], "abcdef", True),
        ([(3, "abc"), (3, "")], "abc", True),
        # A sample of the vendor's has fewer than there are.
        ([(1, "ab")], "ab", True),
    ],
)
def test_pages_are_whole(pages: list[tuple[int, str]], found: str, is_last: bool) -> None:
    assert take(*pages) == (found, is_last)


@pytest.mark.parametrize(
    "pages, words",
    [
        ([(5, "ab")], "have 2 entries together, and Total is 5"),
        ([(5, "abc"), (5, "d")], "have 4 entries together, and Total is 5"),
        ([(4, "abc"), (5, "de")], "Total was 4, and is 5 on a later page"),
        ([(5, "abc"), (3, "def")], "Total was 5, and is 3"),
        ([(4, "abc"), (4, "c")], "c is there twice: the list changed"),
        ([(4, "abcd")], "a page has 4 entries instead of 3 at most"),
        ([(4, "abc"), (4, "de")], "more than the 4 entries of its Total"),
    ],
)
def test_pages_that_lack_or_repeat_something_are_refused(pages: list[tuple[int, str]], words: str) -> None:
    with pytest.raises(TrtcTransientError, match=words) as caught:
        take(*pages)
    assert (caught.value.action, caught.value.code) == ("DescribeRoomInfo", "Client.BrokenAnswer")


def test_names_of_the_vendors_table() -> None:
    assert event_name(5003, 0) == "failed to enter"
    assert event_name(4003, 640) == "video resolution changed"
    assert event_name(5003, 9) is None
    assert len(EXPERIENCES) == 5
    assert set(CAUSES) == {*range(1001, 1033), *range(2001, 2027)}
    numbers = {each if isinstance(each, int) else each[0] for each in EVENTS}
    assert numbers >= {36864, *range(32768, 32794), *range(4001, 4016), *range(5001, 5010)}


def test_each_table_is_told_by_its_key() -> None:
    for schema in quality.SCHEMAS.values():
        assert {*schema.key, *schema.scope, schema.instant} <= set(schema.names)
        assert schema.column(schema.instant).type == "instant"
        assert not any(schema.column(name).nullable for name in schema.key)
