"""Plans of call quality: what happened is in the table once, and no request breaks a limit of the service.

The emulator's calls answer without a server, and refuse what the service would refuse.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_trtc.emulator import action, parameters
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.families.quality import ACTIONS
from airflow_trtc.emulator.recordings import Origin
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcSetupError, TrtcTransientError
from airflow_trtc.jobs.answers import UnreadableAnswer
from airflow_trtc.steps import drive
from airflow_trtc.tables.quality_plans import TABLES, Begin, Reading, Write, check, named_call
from airflow_trtc.tables.schema import Interval, check_rows
from tests.tables.quality_truth import expected, in_order

APP = 1400000001
CHINA = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 29, 17, tzinfo=timezone.utc)
SOME_TYPES = ("rtt", "aLoss", "bigvBlock")  # up, both ways, and down
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TODAY = NOW - HOUR  # midnight in China
YESTERDAY = Interval(TODAY - DAY, TODAY)


class Service:
    """The emulator without a server, at a fixed time; counts requests, and may spoil answers."""

    def __init__(self) -> None:
        self.state = State(
            Settings(time_scale=0, rate_limit=0, seed=7), wall=NOW.timestamp, ticks=lambda: 0.0
        )
        self.requests: Counter[str] = Counter()
        self.asked: list[Mapping[str, Any]] = []
        self.spoil: Any = lambda name, answer: answer
        self.rows: list[dict[str, Any]] = []
        self.parts: list[Any] = []
        self.written: set[str] = set()

    def add(self, room_id: str, began_at: datetime, **options: Any) -> str:
        given = {"room_id": room_id, "began_at": began_at.timestamp(), "step_seconds": 60, **options}
        return str(run(self.state, "POST", "calls", given)["comm_id"])

    def history(self, **options: Any) -> None:
        run(self.state, "POST", "history", options)

    def calls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = run(self.state, "GET", "calls", {"details": "1"})["calls"]
        for call in found:
            call["series"] = [each for each in call["series"] if each["data_type"] in SOME_TYPES]
        return found

    def read(self, name: str, interval: Interval = YESTERDAY, **options: Any) -> list[dict[str, Any]]:
        table = TABLES[name]
        since = NOW - timedelta(days=14)

        def carry_out(step: Any) -> Any:
            if isinstance(step, Begin):
                return f"{name} {step.part}" not in self.written
            if isinstance(step, Write):
                self.written.add(f"{name} {step.part}")
                self.parts.append(step.part)
                self.rows += check_rows(table.schema, step.part, step.rows)
                return None
            return self.ask(step)

        self.rows = []
        given = {"data_types": SOME_TYPES, **options}
        drive(table.plan(Reading(APP, interval, CHINA, since, **given)), carry_out)
        return in_order(self.rows)

    def ask(self, call: Any) -> Any:
        self.requests[call.action] += 1
        self.asked.append(call.params)
        known = ACTIONS[call.action]
        values = parameters.check(known.schema, call.params)
        answer = known.run(self.state, action.Call(values, self.state.clock.now(), Origin("id", "request")))
        return call.read(self.spoil(call.action, answer))


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def busy(service: Service) -> Service:
    """Three days of random calls, and those that are odd."""
    service.history(calls=30, days=3, longest_seconds=3 * 3600, most_users=8, step_seconds=2400)
    first = {"user_id": "ann", "stays_seconds": 900}
    twice = [first, {"user_id": "ann", "joins_after_seconds": 9000, "stays_seconds": 3600}]
    service.add("over-midnight", YESTERDAY.start - 5 * HOUR, lasts_seconds=7 * 3600, users=[*twice, "bob"])
    service.add("all-day", YESTERDAY.start - HOUR, lasts_seconds=None, users=7, step_seconds=1800)
    service.add("at-the-end", YESTERDAY.end, users=2)
    service.add("at-the-start", YESTERDAY.start, users=2, lasts_seconds=0)
    troubles = [
        {"experience_id": 4 + n % 3, "after_seconds": n, "causes": [2024, [2017, "x"]]} for n in range(90)
    ]
    service.add("bad", YESTERDAY.start + HOUR / 2, users=[{"user_id": "eve", "unusual": troubles}])
    return service


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_happened(busy: Service, name: str) -> None:
    rows = busy.read(name)
    assert rows == expected(name, busy.calls(), YESTERDAY)
    assert rows


@pytest.mark.parametrize("name", TABLES)
def test_intervals_that_follow_one_another_have_each_row_once(busy: Service, name: str) -> None:
    whole = Interval(TODAY - 3 * DAY, TODAY)
    days = [
        row for n in (3, 2, 1) for row in busy.read(name, Interval(TODAY - n * DAY, TODAY - (n - 1) * DAY))
    ]
    busy.written.clear()
    assert in_order(days) == busy.read(name, whole) == expected(name, busy.calls(), whole)


def test_many_pages_of_rooms_and_users(service: Service) -> None:
    for number in range(230):
        service.add(f"room-{number}", YESTERDAY.start + timedelta(seconds=number), users=1)
    assert len(service.read("rooms")) == 230
    assert service.requests == {"DescribeRoomInfo": 3}
    service.add("crowd", YESTERDAY.start + HOUR, users=205)
    service.requests.clear()
    assert len(service.read("users")) == 435
    assert service.requests["DescribeUserInfo"] == 230 + 3


def test_details_ask_for_six_users_and_less_than_an_hour(service: Service) -> None:
    service.add("crowd", YESTERDAY.start, users=20, lasts_seconds=3 * 3600, step_seconds=1200)
    rows = service.read("details", data_types=("rtt", "aLoss"))
    truth = [
        row for row in expected("details", service.calls(), YESTERDAY) if row["data_type"] in ("rtt", "aLoss")
    ]
    assert rows == truth
    asked = [each for each in service.asked if "DataType" in each]
    assert len(asked) == 4 * 4
    assert all(each["EndTime"] - each["StartTime"] < 3600 and each["PageSize"] == 6 for each in asked)


def test_a_call_is_one_part_however_long_it_went_on_when_it_was_read(service: Service) -> None:
    service.add("going-on", NOW - 2 * HOUR, lasts_seconds=3600)
    earlier = Interval(NOW - 3 * HOUR, NOW)
    service.read("details", earlier)
    first = [str(part) for part in service.parts]
    running = Service()
    running.add("going-on", NOW - 2 * HOUR, lasts_seconds=None)
    running.read("details", earlier)
    assert [str(part) for part in running.parts][: len(first)] == first


def test_written_parts_are_not_read_again(busy: Service) -> None:
    busy.read("details")
    busy.requests.clear()
    assert busy.read("details") == []
    assert set(busy.requests) == {"DescribeRoomInfo"}


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("name", TABLES)
def test_a_run_that_is_killed_at_any_step_loses_nothing_and_writes_nothing_twice(name: str) -> None:
    service = Service()
    for number in range(3):
        users = ["ann", {"user_id": "bob", "unusual": [{"experience_id": 4, "causes": [2024]}]}]
        service.add(f"room-{number}", YESTERDAY.start + number * 5 * HOUR, users=users, step_seconds=300)
    truth = expected(name, service.calls(), YESTERDAY)
    found: list[dict[str, Any]] = []
    tries, left = 0, 0

    def count_down(action: str, answer: dict[str, Any]) -> dict[str, Any]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return answer

    service.spoil = count_down
    while True:
        tries, left = tries + 1, tries
        try:
            service.read(name)
        except Killed:
            found += service.rows
        else:
            found += service.rows
            break
    assert in_order(found) == truth
    assert tries > 1
    assert len(set(map(str, service.parts))) == len(service.parts)


def test_single_calls_need_no_list_of_rooms(busy: Service) -> None:
    comm_id = next(each["comm_id"] for each in busy.calls() if each["room_id"] == "over-midnight")
    calls = (named_call(APP, comm_id),)
    busy.requests.clear()
    for name in ("users", "events", "details"):
        rows = busy.read(name, calls=calls)
        truth = expected(name, busy.calls(), YESTERDAY)
        assert rows == [row for row in truth if row["comm_id"] == comm_id]
    assert "DescribeRoomInfo" not in busy.requests


def test_a_call_that_began_long_before_is_found_if_it_is_looked_for(service: Service) -> None:
    """Also where the service should list a room only in the span in which it began."""
    comm_id = service.add("stage", YESTERDAY.start - 3 * HOUR, lasts_seconds=6 * 3600)

    def only_begun(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        if name != "DescribeRoomInfo":
            return answer
        span = range(service.asked[-1]["StartTime"], service.asked[-1]["EndTime"])
        rooms = [each for each in answer["RoomList"] if each["CreateTime"] in span]
        return {"Total": len(rooms), "RoomList": rooms}

    service.spoil = only_begun
    assert {row["comm_id"] for row in service.read("details")} == {comm_id}
    service.written.clear()
    assert service.read("details", longest_call=HOUR) == []


def test_a_day_without_calls_is_a_row_of_zeros_and_one_that_is_missing_an_error(service: Service) -> None:
    service.add("8001", YESTERDAY.start + HOUR)

    def without_days(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        return {"Total": 0, "ScaleList": []} if name == "DescribeScaleInfo" else answer

    service.spoil = without_days
    rows = service.read("scale", Interval(TODAY - 2 * DAY, TODAY - DAY))
    assert [(row["rooms"], row["users"], row["visits"]) for row in rows] == [(0, 0, 0)]
    with pytest.raises(TrtcTransientError, match=r"the day of 2026-11-28T16:00:00\+00:00 had calls"):
        service.read("scale")


def test_days_of_another_zone_are_refused(service: Service) -> None:
    def of_utc(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        days = [{**each, "Time": each["Time"] + 8 * 3600} for each in answer["ScaleList"]]
        return {**answer, "ScaleList": days}

    service.spoil = of_utc
    with pytest.raises(
        TrtcTransientError, match="not at midnight of Asia/Shanghai: give the operator another"
    ):
        service.read("scale")


def shorter(key: str) -> Any:
    def spoil(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, key: answer[key][:-1]} if len(answer.get(key) or ()) > 1 else answer

    return spoil


@pytest.mark.parametrize("name", ["users", "details", "events"])
def test_a_list_of_users_that_is_cut_short_is_an_error(service: Service, name: str) -> None:
    service.add("8001", YESTERDAY.start, users=3)
    service.spoil = shorter("UserList")
    with pytest.raises(TrtcTransientError, match="have 2 entries together, and Total is 3"):
        service.read(name)
    assert service.rows == []


def test_a_list_of_bad_experiences_that_is_cut_short_is_an_error(busy: Service) -> None:
    busy.spoil = shorter("AbnormalExperienceList")
    with pytest.raises(TrtcTransientError, match="and Total is"):
        busy.read("unusual")


def test_more_bad_experiences_in_a_second_than_the_service_tells(service: Service) -> None:
    unusual = [{"experience_id": 4, "after_seconds": 5}] * 25
    service.add("8001", YESTERDAY.start, users=[{"user_id": "ann", "unusual": unusual}])
    with pytest.raises(TrtcFailedError, match=r"at most 20 .*cannot be read whole for the application"):
        service.read("unusual")


def test_a_measurement_with_two_values_is_an_error(service: Service) -> None:
    first = {"user_id": "u0", "stays_seconds": 120}
    users = [first, *(f"u{n}" for n in range(1, 6)), {"user_id": "u0", "joins_after_seconds": 300}]
    service.add("8001", YESTERDAY.start, users=users)
    assert service.read("details") == expected("details", service.calls(), YESTERDAY)
    service.written.clear()
    count = itertools.count()

    def other_values(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        for each in answer.get("Data") or ():
            each["Content"][0]["Value"] += next(count)
        return answer

    service.spoil = other_values
    with pytest.raises(TrtcTransientError, match="on another page"):
        service.read("details")


def test_null_instead_of_measurements_is_an_error(service: Service) -> None:
    service.add("8001", YESTERDAY.start)
    service.spoil = lambda name, answer: {**answer, "Data": None} if "Data" in answer else answer
    with pytest.raises(UnreadableAnswer, match="Data is no list"):
        service.read("details")


@pytest.mark.parametrize(
    "name, start, end, words",
    [
        ("rooms", NOW - HOUR, NOW + HOUR, "is not over"),
        ("rooms", NOW - 15 * DAY, NOW - 14 * DAY, "keeps the table 'rooms' for 14 days"),
        ("rooms", NOW - HOUR - timedelta(microseconds=1), NOW, "multiple"),
        ("scale", NOW - DAY, NOW, "not made of whole days of the time zone Asia/Shanghai"),
    ],
)
def test_intervals_that_cannot_be_read(name: str, start: datetime, end: datetime, words: str) -> None:
    with pytest.raises(TrtcSetupError, match=words):
        check(TABLES[name], Interval(start, end), CHINA, NOW)


@pytest.mark.parametrize(
    "comm_id, words", [("8001", "is no comm_id"), ("5_8001_1790000000", "belongs to the application 5")]
)
def test_ids_of_calls(comm_id: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        named_call(APP, comm_id)
    assert isinstance(named_call(APP, f"{APP}_8001_1790000000").created_at, datetime)


def test_errors_are_of_our_family() -> None:
    assert issubclass(TrtcFailedError, TrtcError)
