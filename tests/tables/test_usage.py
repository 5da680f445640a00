"""What is asked for, and what answers say: exactly that, or an error."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.cloud.calls import Call
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.answers import UnreadableAnswer
from airflow_trtc.tables.schema import Interval, Part, Row, check_rows
from airflow_trtc.tables.usage import ROOMS_SINCE, USAGES, Usage, check, requests, scope

UTC = dt.timezone.utc
ZONE = ZoneInfo("Asia/Shanghai")
APP = 1400000001
MEDIA = ["Audio", "SD", "HD", "FullHD", "2K", "4K"]
MIX = ["Audio", *(q + codec for codec in ("H264", "H265") for q in ("SD", "HD", "FullHD", "2K", "4K"))]
KEYS = {"trtc": MEDIA, "recording": MEDIA, "mix_transcoding": MIX, "relay": ["Bandwidth"]}


def days(count: int, first: dt.date = dt.date(2026, 1, 1)) -> Interval:
    start = dt.datetime.combine(first, dt.time(), ZONE)
    return Interval(start, start + dt.timedelta(days=count))


def calls(name: str, interval: Interval, granularity: Any = "day") -> list[Call[list[Row]]]:
    return list(requests(USAGES[name], interval, APP, zone=ZONE, granularity=granularity))


def points(interval: Interval, step: dt.timedelta) -> list[dt.datetime]:
    return [interval.start + n * step for n in range(interval.length // step)]


def answer_of(interval: Interval, keys: list[str], step: dt.timedelta, **more: Any) -> dict[str, Any]:
    """An answer of the service whose every value is another number."""
    entries = [
        {
            "TimeKey": at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S"),
            "TimeStampKey": int(at.timestamp()),
            "UsageValue": [number * 100 + index for index in range(len(keys))],
        }
        for number, at in enumerate(points(interval, step))
    ]
    return {"UsageKey": list(keys), "UsageList": entries, "RequestId": "r", **more}


DAY, STEP = dt.timedelta(days=1), dt.timedelta(minutes=5)


def check_fit(usage: Usage, interval: Interval, granularity: Any, rows: list[Row]) -> None:
    part = Part(interval, scope(usage, APP, granularity))
    assert check_rows(usage.schema, part, rows) == rows


@pytest.mark.parametrize("name", KEYS)
def test_days_become_a_row_for_each_day_and_key(name: str) -> None:
    interval, keys = days(3), KEYS[name]
    (call, *others) = calls(name, interval)
    rows = call.read(answer_of(interval, keys, DAY))
    check_fit(USAGES[name], interval, "day", rows)
    assert len(rows) == 3 * len(keys)
    amount = USAGES[name].schema.names[-1]
    last = rows[-1]
    assert (last["usage_key"], last[amount]) == (keys[-1].lower(), 200.0 + len(keys) - 1)
    assert (last["from_at"], last["to_at"]) == (interval.end - DAY, interval.end)
    assert len(others) == (1 if name == "recording" else 0)


def test_parameters_are_those_of_the_page() -> None:
    (call,) = calls("trtc", days(2))
    assert call.action == "DescribeTrtcUsage"
    assert call.effect == "read"
    assert call.params == {"StartTime": "2026-01-01", "EndTime": "2026-01-02", "SdkAppId": APP}
    mix_types = [each.params["MixType"] for each in calls("recording", days(2))]
    assert mix_types == ["single", "multi"]
    (call,) = calls("room", days(1))
    assert call.params == {
        "StartTime": "2026-01-01 00:00",
        "EndTime": "2026-01-02 00:00",
        "SdkAppid": APP,
    }
    (call,) = calls("ai", days(2))
    assert call.params["SdkAppId"] == str(APP)
    assert call.params["EndTime"] == "2026-01-03 00:00:00"


def test_an_interval_is_split_by_the_limits_of_the_api() -> None:
    spans = [(each.params["StartTime"], each.params["EndTime"]) for each in calls("trtc", days(63))]
    assert spans == [
        ("2026-01-01", "2026-01-31"),
        ("2026-02-01", "2026-03-03"),
        ("2026-03-04", "2026-03-04"),
    ]
    assert len(calls("trtc", days(63), "5min")) == 63
    assert len(calls("room", days(7))) == 7


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("has_stamps", [True, False])
def test_the_five_minutes_of_a_day_become_rows_of_their_own(name: str, has_stamps: bool) -> None:
    interval, keys = days(1), KEYS[name]
    answer = answer_of(interval, keys, STEP)
    if not has_stamps:
        for entry in answer["UsageList"]:
            del entry["TimeStampKey"]
    rows = calls(name, interval, "5min")[0].read(answer)
    check_fit(USAGES[name], interval, "5min", rows)
    assert len(rows) == 288 * len(keys)
    assert {row["to_at"] - row["from_at"] for row in rows} == {STEP}  # type: ignore[operator]


@pytest.mark.parametrize(
    "name, expected", [("trtc", sum(n * 100.0 for n in range(288))), ("relay", 28_700.0)]
)
def test_a_single_day_is_the_sum_of_its_five_minutes_or_their_peak(name: str, expected: float) -> None:
    interval = days(1)
    rows = calls(name, interval)[0].read(answer_of(interval, KEYS[name], STEP))
    check_fit(USAGES[name], interval, "day", rows)
    assert len(rows) == len(KEYS[name])
    assert rows[0][USAGES[name].schema.names[-1]] == expected
    assert (rows[0]["from_at"], rows[0]["to_at"]) == (interval.start, interval.end)


def spoilt(change: Any) -> dict[str, Any]:
    answer = answer_of(days(3), MEDIA, DAY)
    change(answer)
    return answer


def put(path: str, value: Any) -> Any:
    """A change of one value of an answer, by the way to it."""
    *way, last = [int(each) if each.isdecimal() else each for each in path.split(".")]

    def change(answer: dict[str, Any]) -> None:
        place: Any = answer
        for each in way:
            place = place[each]
        place[last] = value

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda a: a["UsageList"].pop(), "lacks 1 of 3 points, the first 2026-01-02T16:00:00"),
        (lambda a: a["UsageList"].pop(0), "lacks 1 of 3 points, the first 2025-12-31T16:00:00"),
        (lambda a: a["UsageList"].clear(), "lacks 3 of 3 points"),
        (lambda a: a["UsageList"].append(a["UsageList"][0]), "4 points instead of 3"),
        (lambda a: put("UsageList.1", a["UsageList"][0])(a), "is there twice"),
        (put("UsageList", None), "no list of points"),
        (put("UsageList", "abc"), "no list of points"),
        (put("UsageList.0", None), "TimeKey is None"),
        (put("UsageList.0.TimeKey", "2026-01-01"), "TimeKey is '2026-01-01'"),
        (put("UsageList.0.TimeKey", "2026-02-30 00:00:00"), "is no time"),
        (put("UsageList.0.TimeStampKey", 1767196800 + 3600), "not those of the time zone Asia/Shanghai"),
        (put("UsageList.0.UsageValue", [1, 2, 3]), "has 3 values for 6 keys"),
        (put("UsageList.0.UsageValue", [1] * 7), "has 7 values for 6 keys"),
        (put("UsageList.0.UsageValue", None), "has 0 values"),
        (put("UsageList.0.UsageValue.2", -1), "is -1"),
        (put("UsageList.0.UsageValue.2", "7"), "is '7'"),
        (put("UsageList.0.UsageValue.2", float("nan")), "is nan"),
        (put("UsageList.0.UsageValue.2", 10**400), "a value of"),
        (put("UsageList.0.UsageValue.2", True), "is True"),
        (put("UsageKey", None), "its keys are None"),
        (put("UsageKey", []), "its keys are"),
        (put("UsageKey.0", "SD"), "is there twice"),
        (put("UsageKey.0", "Sound"), "lacks the keys audio"),
        (put("UsageKey.0", 5), "one is none"),
        (put("UsageKey.0", "x" * 65), "one is none"),
        (put("TotalUsage", [1, 2, 3, 4, 5, 6]), "its TotalUsage is"),
    ],
)
def test_a_truncated_or_changed_answer_is_an_error_with_ids_and_advice(change: Any, words: str) -> None:
    (call,) = calls("trtc", days(3))
    with pytest.raises(UnreadableAnswer, match=words) as error:
        call.read(spoilt(change))
    text = str(error.value)
    assert f"DescribeTrtcUsage of application {APP}, 2025-12-31T16:00:00+00:00 to 2026-01-03" in text
    assert "Nothing was written; run the task again later" in text


def test_a_point_of_another_day_is_an_error() -> None:
    (call,) = calls("trtc", days(3))
    with pytest.raises(UnreadableAnswer, match="not asked for, 2026-01-03T16:00:00"):
        call.read(answer_of(days(3, dt.date(2026, 1, 2)), MEDIA, DAY))


def test_points_in_another_order_and_a_further_key_are_fine() -> None:
    answer = answer_of(days(3), [*MEDIA, "8K"], DAY)
    answer["UsageList"].reverse()
    rows = calls("trtc", days(3))[0].read(answer)
    check_fit(USAGES["trtc"], days(3), "day", rows)
    assert [row["usage_key"] for row in rows[:7]] == ["audio", "sd", "hd", "fullhd", "2k", "4k", "8k"]
    assert [row["minutes"] for row in rows if row["usage_key"] == "8k"] == [6.0, 106.0, 206.0]


@given(
    values=st.lists(
        st.lists(st.floats(0, 1e9, allow_nan=False), min_size=6, max_size=6), min_size=2, max_size=31
    ),
    damage=st.data(),
)
def test_every_value_arrives_and_no_damage_passes(values: list[list[float]], damage: st.DataObject) -> None:
    interval = days(len(values))
    (call,) = calls("trtc", interval)
    answer = answer_of(interval, MEDIA, DAY)
    for entry, amounts in zip(answer["UsageList"], values, strict=True):
        entry["UsageValue"] = amounts
    rows = call.read(answer)
    assert [row["minutes"] for row in rows] == [each for amounts in values for each in amounts]
    broken = copy.deepcopy(answer)
    index = damage.draw(st.integers(0, len(values) - 1))
    harm = damage.draw(st.sampled_from(["drop", "double", "shorten"]))
    if harm == "drop":
        del broken["UsageList"][index]
    elif harm == "double":
        broken["UsageList"].insert(index, broken["UsageList"][index])
    else:
        broken["UsageList"][index]["UsageValue"] = values[index][:-1]
    with pytest.raises(UnreadableAnswer):
        call.read(broken)


CSV = "RoomId,Audio,SD,hd,FullHD,2K,4K\ntest_room,1,2,3,4,5,6\n8001,10,0,0,0,0,0.5\n"


def rooms(data: Any) -> list[Row]:
    return calls("room", days(1))[0].read({"Data": data})


def test_rooms_become_a_row_for_each_room_and_key() -> None:
    rows = rooms(CSV)
    check_fit(USAGES["room"], days(1), "day", rows)
    assert len(rows) == 12
    assert rows[2] == {
        "sdk_app_id": APP,
        "room_id": "test_room",
        "usage_key": "hd",
        "from_at": days(1).start,
        "to_at": days(1).end,
        "seconds": 3.0,
    }
    assert rows[-1]["seconds"] == 0.5


def test_no_rooms_are_a_header_alone() -> None:
    assert rooms("RoomId,Audio,SD,hd,FullHD,2K,4K\n") == []


def test_names_of_rooms_may_hold_commas_and_quotes() -> None:
    rows = rooms(CSV + '"a, ""b""",1,1,1,1,1,1\n')
    assert rows[-1]["room_id"] == 'a, "b"'


def test_csv_that_is_cut_within_a_line_is_an_error() -> None:
    for cut in range(len(CSV)):
        if not CSV[:cut].endswith("\n"):  # whole lines cannot be told from fewer rooms
            with pytest.raises(UnreadableAnswer):
                rooms(CSV[:cut])


@pytest.mark.parametrize(
    "data, words",
    [
        (None, "cut off, or no CSV"),
        ("", "cut off, or no CSV"),
        ("\n", "the header"),
        ("Room,Audio\na,1\n", "the header"),
        ("RoomId\na\n", "the header"),
        ("RoomId,Audio,SD\na,1,1\n", "lacks the keys 2k, 4k, fullhd, hd"),
        (CSV + "a,1\n", "other columns"),
        (CSV + "8001,1,1,1,1,1,1\n", "there twice"),
        (CSV + ",1,1,1,1,1,1\n", "other columns"),
        (CSV + "a,1,1,1,1,1,x\n", "is 'x'"),
        (CSV + "a,1,1,1,1,1,-1\n", "is '-1'"),
        (CSV + "a,1,1,1,1,1,\n", "is ''"),
        (CSV + 'a,1,1,1,1,1,"1\n', "no CSV"),
    ],
)
def test_rooms_that_cannot_be_read_are_an_error(data: Any, words: str) -> None:
    with pytest.raises(UnreadableAnswer, match=words):
        rooms(data)


def test_the_other_calls_prove_their_sums() -> None:
    interval = days(2)
    (call,) = calls("ai", interval)
    keys = ["Conversation", "Asr"]
    assert len(call.read(answer_of(interval, keys, DAY, TotalUsage=[100, 102]))) == 4
    with pytest.raises(UnreadableAnswer, match="sum up to"):
        call.read(answer_of(interval, keys, DAY, TotalUsage=[100, 103]))
    with pytest.raises(UnreadableAnswer, match="sum up to"):
        call.read(answer_of(interval, keys, DAY, TotalUsage=[100]))


def test_the_kinds_of_slicing_are_kept_apart() -> None:
    interval = days(2)
    rows = [
        row
        for call in calls("slicing", interval)
        for row in call.read(answer_of(interval, [call.params["Type"].capitalize()], DAY))
    ]
    check_fit(USAGES["slicing"], interval, "day", rows)
    assert len(rows) == 8
    assert {(row["business"], row["media"]) for row in rows} == {
        (business, media) for business in ("moderation", "slicing") for media in ("audio", "picture")
    }


def test_intervals_are_checked_as_each_kind_needs_it() -> None:
    later = days(1).end + dt.timedelta(days=1)
    check(USAGES["trtc"], days(1), ZONE, later)
    check(USAGES["trtc"], days(1, dt.date(2023, 1, 1)), ZONE, later)
    hour = Interval(days(1).start, days(1).start + dt.timedelta(hours=1))
    check(USAGES["room"], hour, ZONE, later)
    for usage, interval, words in (
        ("trtc", hour, "whole days"),
        ("room", Interval(hour.start, hour.start + dt.timedelta(seconds=30)), "multiple"),
        ("room", days(1, dt.date(2025, 1, 1)), "for 90 days"),
        ("trtc", days(3), "is not over"),
    ):
        with pytest.raises(TrtcSetupError, match=words):
            check(USAGES[usage], interval, ZONE, later)
    long_ago = Interval(ROOMS_SINCE - dt.timedelta(days=1), ROOMS_SINCE)
    with pytest.raises(TrtcSetupError, match="from then on only"):
        check(USAGES["room"], long_ago, ZONE, ROOMS_SINCE)


def test_a_part_of_a_day_of_rooms_is_asked_for_as_such() -> None:
    start = days(1).start + dt.timedelta(hours=20)
    spans = [
        (each.params["StartTime"], each.params["EndTime"])
        for each in calls("room", Interval(start, start + dt.timedelta(hours=6)))
    ]
    assert spans == [("2026-01-01 20:00", "2026-01-02 00:00"), ("2026-01-02 00:00", "2026-01-02 02:00")]
