"""The usage calls answer the sums of what happened, within the service's limits."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest

from airflow_trtc.emulator import DEFAULT_SDK_APP_ID
from airflow_trtc.emulator.control import ControlError, run
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State

APP, OTHER_APP, FOREIGN_APP = DEFAULT_SDK_APP_ID, 1400000009, 1400000002
BEIJING = dt.timezone(dt.timedelta(hours=8))
DAY, HOUR = 86_400, 3_600
DATES = {"StartTime": "2026-01-01", "EndTime": "2026-01-03"}
NEW_YEAR = dt.datetime(2026, 1, 1, tzinfo=BEIJING).timestamp()


@pytest.fixture
def state():
    return State(Settings(time_scale=0, rate_limit=0, more_sdk_app_ids=(OTHER_APP,)))


@pytest.fixture
def usage(ask, state):
    """Call a usage action; returns what is in the answer, without the id of the request."""

    def call(action="DescribeTrtcUsage", **values):
        named = values if "SdkAppid" in values else {"SdkAppId": APP, **values}
        answer = ask({k: v for k, v in named.items() if v is not None}, of=state, action=action)
        answer.pop("RequestId")
        return answer

    return call


def add(state, began_at, seconds=60.0, **more):
    given = {"usage": "trtc", "key": "Audio", "began_at": began_at, "seconds": seconds, **more}
    run(state, "POST", "usage", given)


def column(answer, key="Audio"):
    index = answer["UsageKey"].index(key)
    return [each["UsageValue"][index] for each in answer["UsageList"]]


def test_days_are_those_of_beijing_and_the_last_one_is_included(state, usage):
    add(state, NEW_YEAR - 30, seconds=60)  # half of it is in the year before
    add(state, NEW_YEAR + 3 * DAY - 60, seconds=120, amount=2)
    answer = usage(**DATES)
    assert answer["UsageKey"] == ["Audio", "SD", "HD", "FullHD", "2K", "4K"]
    assert [each["TimeKey"] for each in answer["UsageList"]] == [
        f"2026-01-0{day} 00:00:00" for day in (1, 2, 3)
    ]
    assert answer["UsageList"][0]["TimeStampKey"] == NEW_YEAR
    assert column(answer) == [0.5, 0, 2]


def test_one_day_is_288_points_whose_sum_is_the_day(state, usage):
    add(state, NEW_YEAR + 280, seconds=50, key="HD")
    answer = usage(StartTime="2026-01-01", EndTime="2026-01-01")
    points = column(answer, "HD")
    assert len(points) == 288
    assert points[:2] == [pytest.approx(20 / 60), 0.5]
    assert sum(points) == pytest.approx(50 / 60)
    assert answer["UsageList"][-1]["TimeKey"] == "2026-01-01 23:55:00"


def test_applications_are_kept_apart_and_summed_without_one(state, usage):
    add(state, NEW_YEAR)
    add(state, NEW_YEAR, sdk_app_id=OTHER_APP, amount=10)
    add(state, NEW_YEAR, sdk_app_id=FOREIGN_APP, amount=100)
    assert column(usage(**DATES))[0] == 1
    assert column(usage(**DATES, SdkAppId=OTHER_APP))[0] == 10
    assert column(usage(**DATES, SdkAppId=None))[0] == 11
    assert usage(**DATES, SdkAppId=FOREIGN_APP)["Error"]["Code"] == "UnauthorizedOperation.SdkAppId"


def test_bandwidth_is_a_peak(state, usage):
    for start, seconds, amount in ((0, 600, 3.0), (300, 600, 4.5), (900, 60, 5.0)):
        add(state, NEW_YEAR + start, seconds, usage="relay", key="Bandwidth", amount=amount)
    points = column(usage("DescribeRelayUsage", StartTime="2026-01-01", EndTime="2026-01-01"), "Bandwidth")
    assert points[:5] == [3, 7.5, 4.5, 5, 0]
    assert column(usage("DescribeRelayUsage", **DATES), "Bandwidth") == [7.5, 0, 0]


@pytest.mark.parametrize("mix_type", ["single", "multi"])
def test_recordings_count_from_their_start_to_their_end(state, usage, mix_type):
    yesterday = 30 * HOUR
    run(
        state,
        "POST",
        "seed",
        {
            "mixed": mix_type == "multi",
            "participants": 3,
            "started_seconds_ago": yesterday,
            "idle_seconds": 60,
            "ends_after_seconds": 600,
        },
    )
    began = dt.datetime.fromtimestamp(state.clock.now() - yesterday, BEIJING)
    dates = {"StartTime": f"{began:%Y-%m-%d}", "EndTime": f"{began + dt.timedelta(days=1):%Y-%m-%d}"}
    found = {
        each: sum(column(usage("DescribeRecordingUsage", **dates, MixType=each), "HD"))
        for each in ("single", "multi")
    }
    expected = 10 if mix_type == "multi" else 30
    assert found.pop(mix_type) == pytest.approx(expected)
    assert list(found.values()) == [0]


def test_people_in_rooms_count_from_entering_to_leaving(state, usage):
    run(state, "POST", "room", {"room_id": "8001", "enter": ["a", "b"]})
    state.clock.advance(120)
    run(state, "POST", "room", {"room_id": "8001", "leave": ["a"], "enter": ["b"]})
    state.clock.advance(60)
    today = dt.datetime.fromtimestamp(state.clock.now(), BEIJING)
    dates = [f"{today + dt.timedelta(days=n):%Y-%m-%d}" for n in (-1, 1)]
    assert sum(column(usage(StartTime=dates[0], EndTime=dates[1]))) == pytest.approx(2 + 3)
    spells = run(state, "GET", "usage", {})["spells"]
    assert sorted(each["seconds"] for each in spells) == [pytest.approx(120), pytest.approx(180)]
    assert {each["room_id"] for each in spells} == {"8001"}


def test_rooms_are_csv_in_seconds(state, usage):
    now = state.clock.now()
    start = dt.datetime.fromtimestamp(now - 2 * DAY, BEIJING).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    add(state, start.timestamp() + 90, 30, room_id='a, "b"', amount=2)
    add(state, start.timestamp() + 90, 30, room_id="8001", key="HD")
    add(state, start.timestamp() + 90, 30)  # in no room
    span = {"StartTime": f"{start:%Y-%m-%d} 00:00", "EndTime": f"{start:%Y-%m-%d} 00:02"}
    data = usage("DescribeTrtcRoomUsage", SdkAppid=APP, **span)["Data"]
    assert list(csv.reader(io.StringIO(data))) == [
        ["RoomId", "Audio", "SD", "hd", "FullHD", "2K", "4K"],
        ["8001", "0", "0", "30", "0", "0", "0"],
        ['a, "b"', "60", "0", "0", "0", "0", "0"],
    ]
    assert data.endswith("\n")


def test_rooms_are_asked_for_once_in_15_seconds(ask):
    now = [0.0]
    state = State(Settings(time_scale=0, rate_limit=0), ticks=lambda: now[0])
    today = dt.datetime.fromtimestamp(state.clock.now(), BEIJING)
    values = {
        "SdkAppid": APP,
        "StartTime": f"{today - dt.timedelta(days=1):%Y-%m-%d} 00:00",
        "EndTime": f"{today:%Y-%m-%d} 00:00",
    }
    codes = []
    for at in (0.0, 14.9, 15.0, 29.0, 30.1):
        now[0] = at
        answer = ask(values, of=state, action="DescribeTrtcRoomUsage")
        codes.append(answer.get("Error", {}).get("Code"))
    refused = "OperationDenied.FreqOverLimit"
    assert codes == [None, refused, None, refused, None]


def test_the_other_calls_add_up_their_totals(state, usage):
    add(state, NEW_YEAR, 600, usage="ai", key="Asr")
    add(state, NEW_YEAR, 60, usage="slicing", key="Picture")
    add(state, NEW_YEAR, 60, usage="moderation", key="Picture", amount=7)
    add(state, NEW_YEAR + DAY, 60, usage="acceleration", key="Time")
    span = {"StartTime": "2026-01-01 00:00:00", "EndTime": "2026-01-03 00:00:00"}
    ai = usage("DescribeTRTCAIRecognitionUsage", **span, SdkAppId=str(APP), AuType=["conversation", "asr"])
    assert (ai["UsageKey"], ai["TotalUsage"]) == (["Conversation", "Asr"], [0, 10])
    assert [each["UsageValue"] for each in ai["UsageList"]] == [[0, 10], [0, 0]]
    segments = usage("DescribeTRTCSegmentModerationUsage", **span, Type="picture", Business=1)
    assert (segments["UsageKey"], segments["TotalUsage"]) == (["Picture"], [1])
    segments = usage("DescribeTRTCSegmentModerationUsage", **span, Type="picture", Business=0)
    assert segments["TotalUsage"] == [7]
    assert column(usage("DescribeTRTCDedicatedCloudAccUsage", **span), "Time") == [0, 1]


@pytest.mark.parametrize(
    "action, values, code",
    [
        (
            "DescribeTrtcUsage",
            {"StartTime": "2026-01-01", "EndTime": "2026-02-01"},
            "InvalidParameter.QueryScaleOversize",
        ),
        ("DescribeTrtcUsage", {"StartTime": "2026-01-02", "EndTime": "2026-01-01"}, "InvalidParameter"),
        ("DescribeTrtcUsage", {"StartTime": "01.02.2026", "EndTime": "2026-01-01"}, "InvalidParameter"),
        ("DescribeTrtcUsage", {"EndTime": "2026-01-01"}, "MissingParameter"),
        ("DescribeRecordingUsage", DATES, "MissingParameter"),
        ("DescribeRecordingUsage", {**DATES, "MixType": "both"}, "InvalidParameter.OutOfRange"),
        (
            "DescribeTrtcRoomUsage",
            {"SdkAppid": APP, "StartTime": "2026-01-01 00:00", "EndTime": "2026-01-02 00:01"},
            "InvalidParameter",
        ),
        (
            "DescribeTrtcRoomUsage",
            {"SdkAppid": APP, "StartTime": "2020-01-01 00:00", "EndTime": "2020-01-01 01:00"},
            "InvalidParameter",
        ),
        (
            "DescribeTRTCAIRecognitionUsage",
            {
                "SdkAppId": str(APP),
                "StartTime": "2026-01-01 00:00:00",
                "EndTime": "2026-01-02 00:00:00",
                "AuType": ["singing"],
            },
            "InvalidParameter",
        ),
    ],
)
def test_what_the_service_refuses(usage, action, values, code):
    assert usage(action, **values)["Error"]["Code"] == code


def test_31_days_are_answered(usage):
    assert len(usage(StartTime="2026-01-01", EndTime="2026-01-31")["UsageList"]) == 31


def test_the_usual_limit_is_lower_here(ask):
    state = State(Settings(time_scale=0), ticks=lambda: 50.0)
    codes = [
        ask({"SdkAppId": APP, **DATES}, of=state, action="DescribeTrtcUsage").get("Error", {}).get("Code")
        for _ in range(6)
    ]
    assert codes == [None] * 5 + ["RequestLimitExceeded"]


def test_a_history_is_the_same_for_the_same_seed_and_ends_before_today(state):
    for seed in (1, 1, 2):
        run(state, "POST", "usage-history", {"days": 5, "seed": seed})
    spells = run(state, "GET", "usage", {})["spells"]
    doubled = [each for each in spells if spells.count(each) == 2]
    assert len(spells) > len(doubled) > len(spells) / 2
    now = state.clock.now()
    today = now - (now + 8 * HOUR) % DAY
    assert all(today - 5 * DAY - 1 <= each["began_at"] < today for each in spells)
    assert run(state, "GET", "usage", {"sdk_app_id": OTHER_APP})["spells"] == []


@pytest.mark.parametrize(
    "options, words",
    [
        ({"usage": "tea", "key": "Audio", "began_at": 1, "seconds": 1}, "no usage 'tea'"),
        ({"usage": "trtc", "key": "audio", "began_at": 1, "seconds": 1}, "with a key 'audio'"),
        ({"usage": "trtc", "key": "Audio", "began_at": -1, "seconds": 1}, "began_at must be"),
        ({"usage": "trtc", "key": "Audio", "began_at": 1, "seconds": -1}, "seconds must be"),
        ({"usage": "trtc", "key": "Audio", "began_at": 1, "seconds": 1, "room": "x"}, "unknown option room"),
    ],
)
def test_odd_usage_is_refused(state, options, words):
    with pytest.raises(ControlError, match=words):
        run(state, "POST", "usage", options)


def test_both_clients_and_the_controls_work(call, emulator):
    emulator.add_usage("trtc", "Audio", began_at=NEW_YEAR, seconds=60)
    emulator.make_usage_history(days=1, rooms=1)
    assert len(emulator.usage()) >= 1
    assert emulator.usage(sdk_app_id=OTHER_APP) == []
    answer = call("DescribeTrtcUsage", {"SdkAppId": APP, **DATES})
    assert column(answer)[0] == 1


def test_the_usage_is_forgotten_with_the_rest(state):
    add(state, NEW_YEAR)
    state.reset()
    assert run(state, "GET", "usage", {})["spells"] == []
