"""Call quality and history: what the official SDK is told is what happened, within the documented limits."""

from __future__ import annotations

import pytest
from tencentcloud.common.exception import TencentCloudSDKException

from airflow_trtc.emulator import ControlError
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.history import MEASURES

APP = 1400000001
HOUR, DAY = 3600, 86_400


@pytest.fixture
def now(emulator):
    return int(emulator.health()["now"])


def refused(call, action, values):
    with pytest.raises(TencentCloudSDKException) as caught:
        call(action, values)
    return caught.value.get_code()


def span(start, end, **more):
    return {"SdkAppId": APP, "StartTime": int(start), "EndTime": int(end), **more}


def test_rooms_are_those_of_the_truth(call, emulator, now):
    over = emulator.add_call("8001", users=["ann", "bob"], began_at=now - 5000, lasts_seconds=100)
    running = emulator.add_call("stage", users=1, began_at=now - 900, lasts_seconds=None, creator_id="host")
    emulator.add_call("elsewhere", began_at=now - 3 * DAY)
    rooms = call("DescribeRoomInfo", span(now - 6000, now))
    assert rooms["Total"] == 2
    first, second = rooms["RoomList"]  # the newest first
    assert (first["CommId"], first["IsFinished"], first["UserId"]) == (running, False, "host")
    assert first["DestroyTime"] == pytest.approx(now, abs=2)
    assert over == f"{APP}_8001_{now - 5000}"
    assert second == {
        "CommId": over,
        "RoomString": "8001",
        "CreateTime": now - 5000,
        "DestroyTime": now - 4900,
        "IsFinished": True,
        "UserId": "ann",
    }
    only = call("DescribeRoomInfo", span(now - 6000, now, RoomId="8001"))
    assert [each["CommId"] for each in only["RoomList"]] == [over]


def test_a_call_goes_on_until_its_time_comes(emulator, call, now):
    comm_id = emulator.add_call("8001", users=["ann"], began_at=now - 10, lasts_seconds=100)
    wanted = span(now - HOUR, now + HOUR, CommId=comm_id)
    assert call("DescribeUserInfo", wanted)["UserList"][0]["Finished"] is False
    assert emulator.calls()[0]["destroyed_at"] is None
    emulator.advance(200)
    user = call("DescribeUserInfo", wanted)["UserList"][0]
    assert (user["Finished"], user["LeaveTs"]) == (True, now + 90)
    assert emulator.calls()[0]["sessions"][0]["left_at"] == now + 90


def test_pages(call, emulator, now):
    ids = [emulator.add_call(str(8000 + n), began_at=now - 5000 + n) for n in range(25)]
    found = []
    for number in range(4):
        page = call("DescribeRoomInfo", span(now - 6000, now, PageNumber=number, PageSize=10))
        assert page["Total"] == len(page["RoomList"] or [])  # documented: of this page
        found += [each["CommId"] for each in page["RoomList"] or []]
    assert found == ids[::-1]
    assert len(call("DescribeRoomInfo", span(now - 6000, now, PageSize=20))["RoomList"]) == 10
    comm_id = emulator.add_call("many", users=15)
    wanted = span(now - 2 * HOUR, now, CommId=comm_id)
    assert len(call("DescribeUserInfo", wanted)["UserList"]) == 6
    last = call("DescribeUserInfo", {**wanted, "PageNumber": 1, "PageSize": 10})
    assert (last["Total"], len(last["UserList"])) == (15, 5)


def test_details_are_those_of_the_truth(call, emulator, now):
    loud = {"user_id": "ann", "measured": {"aLoss": [10, 20.5]}}
    late = {"user_id": "bob", "joins_after_seconds": 60, "stays_seconds": 60}
    comm_id = emulator.add_call("8001", users=[loud, late], began_at=now - 1000, lasts_seconds=300)
    wanted = span(now - 1000, now, CommId=comm_id, DataType=["all"])
    answer = call("DescribeCallDetailInfo", wanted)
    told = {
        (each["UserId"], each["PeerId"], each["DataType"]): [(p["Time"], p["Value"]) for p in each["Content"]]
        for each in answer["Data"]
    }
    truth = {
        (each["user_id"], each["peer_id"], each["data_type"]): [tuple(point) for point in each["points"]]
        for each in emulator.calls(details=True)[0]["series"]
    }
    assert told == truth
    assert {name for _, _, name in told} == set(MEASURES)
    assert [value for _, value in told["ann", "", "aLoss"][:3]] == [10, 20.5, 10]
    met = [at for at, _ in told["ann", "bob", "bigvBlock"]]
    assert (met[0], met[-1]) == (now - 940, now - 890)
    alone = call("DescribeCallDetailInfo", {**wanted, "DataType": ["rtt"], "UserIds": ["bob"]})
    assert [(each["UserId"], each["DataType"]) for each in alone["Data"]] == [("bob", "rtt")]
    assert call("DescribeCallDetailInfo", span(now - 1000, now, CommId=comm_id))["Data"] in ([], None)


def test_more_than_an_hour_of_details_is_null(call, emulator, now):
    comm_id = emulator.add_call("8001", began_at=now - 3 * HOUR, lasts_seconds=2 * HOUR)
    wanted = span(now - 3 * HOUR, now - HOUR, CommId=comm_id, DataType=["rtt"])
    answer = call("DescribeCallDetailInfo", wanted)
    assert (answer["Total"], answer["Data"]) == (1, None)


def test_events_of_a_user(call, emulator, now):
    switch = {"event_id": 4003, "after_seconds": 1.5, "peer_id": "bob", "stream_type": 2}
    events = [{"event_id": 5003, "first": 1}, {**switch, "first": 640, "second": 360}]
    users = [{"user_id": "ann", "events": events}, "bob"]
    comm_id = emulator.add_call("8001", users=users, began_at=now - 100, lasts_seconds=50)
    wanted = span(now - 100, now, CommId=comm_id, RoomId="8001")
    ann = call("DescribeUserEvent", {**wanted, "UserId": "ann"})["Data"]
    assert [(each["PeerId"], each["Content"][0]["EventId"]) for each in ann] == [("", 5003), ("bob", 4003)]
    assert ann[1]["Content"] == [
        {"Type": 2, "Time": (now - 100) * 1000 + 1500, "EventId": 4003, "ParamOne": 640, "ParamTwo": 360}
    ]
    bob = call("DescribeUserEvent", {**wanted, "UserId": "bob"})["Data"]
    assert [each["EventId"] for each in bob[0]["Content"]] == [5003, 5008]
    assert call("DescribeUserEvent", {**wanted, "UserId": "eve"})["Data"] in ([], None)


def test_unusual_events_are_at_most_twenty(call, emulator, now):
    unusual = [{"experience_id": 4, "after_seconds": n, "causes": [2024, [2017, "bob"]]} for n in range(30)]
    emulator.add_call("8001", users=[{"user_id": "ann", "unusual": unusual}], began_at=now - 100)
    answer = call("DescribeUnusualEvent", span(now - 100, now))
    assert (answer["Total"], len(answer["AbnormalExperienceList"])) == (20, 20)
    assert answer["AbnormalExperienceList"][0] == {
        "UserId": "ann",
        "RoomId": "8001",
        "ExperienceId": 4,
        "EventTime": now - 100,
        "AbnormalEventList": [
            {"AbnormalEventId": 2024, "PeerId": ""},
            {"AbnormalEventId": 2017, "PeerId": "bob"},
        ],
    }
    assert call("DescribeUnusualEvent", span(now - 100, now, RoomId="9"))["Total"] == 0


def test_scale_counts_whole_days_of_china(call, emulator, now):
    today = (now + 8 * HOUR) // DAY * DAY - 8 * HOUR
    first = {"user_id": "ann", "stays_seconds": 10}
    twice = [first, {"user_id": "ann", "joins_after_seconds": 60}, "bob"]
    emulator.add_call("8001", users=twice, began_at=today - 100)
    emulator.add_call("8001", users=["ann"], began_at=today - 50)
    emulator.add_call("8002", users=["ann"], began_at=today - DAY - 100)
    emulator.add_call("8003", began_at=today)
    scale = call("DescribeScaleInfo", span(today - 2 * DAY, now))
    assert scale["Total"] == 2
    assert scale["ScaleList"] == [
        {"Time": today - DAY, "RoomNumbers": 1, "UserNumber": 2, "UserCount": 4},
        {"Time": today - 2 * DAY, "RoomNumbers": 1, "UserNumber": 1, "UserCount": 1},
    ]


@pytest.mark.parametrize(
    "action, changes, code",
    [
        ("DescribeRoomInfo", {"EndTime": DAY + 1}, "InvalidParameter.QueryScaleOversize"),
        ("DescribeRoomInfo", {"StartTime": -14 * DAY - 60}, "InvalidParameter.StartTsOversize"),
        ("DescribeRoomInfo", {"EndTime": -DAY}, "InvalidParameter.EndTs"),
        ("DescribeRoomInfo", {"PageSize=": 101, "PageNumber=": 0}, "InvalidParameter.PageSizeOversize"),
        ("DescribeRoomInfo", {"PageSize=": 0, "PageNumber=": 0}, "InvalidParameter.PageSize"),
        ("DescribeRoomInfo", {"PageNumber=": -1}, "InvalidParameter.PageNumber"),
        ("DescribeRoomInfo", {"StartTime=": None}, "MissingParameter.StartTs"),
        ("DescribeUserInfo", {"CommId=": None}, "MissingParameter.CommId"),
        ("DescribeUserInfo", {"EndTime": 4 * HOUR}, "InvalidParameter.QueryScaleOversize"),
        (
            "DescribeCallDetailInfo",
            {"UserIds=": list("abcdefg"), "DataType=": ["rtt"]},
            "InvalidParameter.UserIdsMorethanSix",
        ),
        (
            "DescribeCallDetailInfo",
            {"DataType=": ["rtt"], "PageNumber=": 0, "PageSize=": 7},
            "InvalidParameter.PageSizeOversize",
        ),
        ("DescribeUserEvent", {"UserId=": None}, "MissingParameter.UserId"),
        ("DescribeUnusualEvent", {"EndTime": HOUR}, "InvalidParameter.QueryScaleOversize"),
        ("DescribeUnusualEvent", {"StartTime": -15 * DAY}, "InvalidParameter.StartTimeExpire"),
        ("DescribeScaleInfo", {"StartTime": -15 * DAY}, "InvalidParameter.StartTsOversize"),
    ],
)
def test_limits(caller, emulator, now, action, changes, code):
    values = {"SdkAppId": APP, "StartTime": now - 100, "EndTime": now}
    if action in ("DescribeUserInfo", "DescribeCallDetailInfo", "DescribeUserEvent"):
        values["CommId"] = emulator.add_call("8001")
    if action == "DescribeUserEvent":
        values |= {"UserId": "ann", "RoomId": "8001"}
    for name, value in changes.items():
        if name.endswith("="):
            values[name[:-1]] = value
        else:
            values[name] += value
    assert refused(caller(emulator, "sync"), action, values) == code


def test_dashboards(call, emulator, now):
    emulator.add_call("8001", users=["ann", "bob"], began_at=now - 600, lasts_seconds=300)
    emulator.add_call("8002", users=["eve"], began_at=now - 400, lasts_seconds=200)
    real = {"SdkAppId": str(APP), "StartTime": now - 700, "EndTime": now}
    scale = call("DescribeTRTCRealTimeScaleData", real)["Data"]["Series"][0]
    assert scale["Columns"] == ["time", "userCount", "roomCount"]
    seen = {row["RowValue"][0]: row["RowValue"][1:] for row in scale["Values"]}
    at = (now - 350) // 10 * 10
    assert (seen[at], seen[at - 200], seen[at + 300]) == ([3, 2], [2, 1], [0, 0])
    quality = call("DescribeTRTCRealTimeQualityData", {**real, "RoomId": "8001"})["Data"]["Series"][0]
    assert quality["Columns"] == ["time", "videoFreezeRate", "audioFreezeRate"]
    market = {"SdkAppId": str(APP), "Period": "d", "StartTime": day(now - DAY), "EndTime": day(now)}
    days = call("DescribeTRTCMarketScaleData", market)["Data"]["Series"][0]["Values"]
    assert len(days) == 2
    assert sum(each["RowValue"][3] for each in days) >= 3
    rates = call("DescribeTRTCMarketQualityData", {**market, "IsFloat": True})["Data"]["Series"][0]
    assert all(0 <= value <= 100 for each in rates["Values"] for value in each["RowValueFloat"][1:3])


def day(at):
    from datetime import datetime, timedelta, timezone

    return datetime.fromtimestamp(at, timezone(timedelta(hours=8))).strftime("%Y-%m-%d")


@pytest.mark.parametrize(
    "action, changes, code",
    [
        (
            "DescribeTRTCRealTimeScaleData",
            {"StartTime": 5, "EndTime": 6},
            "InvalidParameter.StartTimeOversize",
        ),
        ("DescribeTRTCMarketScaleData", {"StartTime": "2020-01-01"}, "InvalidParameter.StartTimeOversize"),
        ("DescribeTRTCMarketScaleData", {"StartTime": "today"}, "InvalidParameter.StartTs"),
        ("DescribeTRTCMarketScaleData", {"Period": "y"}, "InvalidParameter"),
    ],
)
def test_limits_of_dashboards(caller, emulator, now, action, changes, code):
    values = {"SdkAppId": str(APP), "StartTime": day(now), "EndTime": day(now), "Period": "d", **changes}
    if "RealTime" in action:
        del values["Period"]
    assert refused(caller(emulator, "sync"), action, values) == code


def test_people_who_were_moved_make_calls(call, emulator, now):
    emulator.room("8001", enter=["ann", "bob"])
    emulator.advance(60)
    emulator.room("8001", leave="ann")
    emulator.advance(60)
    emulator.room("8001", enter="ann", leave="bob")
    emulator.advance(30)
    emulator.room("8001", leave="ann")
    (comm_id,) = {each["CommId"] for each in call("DescribeRoomInfo", span(now - 10, now + 200))["RoomList"]}
    users = call("DescribeUserInfo", span(now - 10, now + 200, CommId=comm_id))["UserList"]
    begun = int(comm_id.split("_")[2])
    told = [(each["UserId"], each["JoinTs"] - begun, each["LeaveTs"] - begun) for each in users]
    assert told == [("ann", 0, 60), ("bob", 0, 120), ("ann", 120, 150)]
    events = span(now - 10, now + 200, CommId=comm_id, RoomId="8001", UserId="ann")
    content = call("DescribeUserEvent", events)["Data"][0]["Content"]
    assert [each["EventId"] for each in content] == [5003, 5008, 5003, 5008]


def test_a_room_that_everybody_left_is_over(state):
    for options in ({"enter": ["ann"]}, {"leave": ["ann"]}, {"enter": ["ann"]}):
        run(state, "POST", "room", {"room_id": "stage", **options})
    (again,) = run(state, "GET", "calls", {})["calls"]  # all in one second
    assert [each["left_at"] for each in again["sessions"]] == [None]
    state.clock.advance(5)
    run(state, "POST", "room", {"room_id": "stage", "leave": ["ann"]})
    run(state, "POST", "room", {"room_id": "stage", "is_string_room": True, "enter": ["bob"]})
    first, second = run(state, "GET", "calls", {})["calls"]
    assert first["destroyed_at"] - first["created_at"] == 5
    assert second["created_at"] == first["destroyed_at"]
    assert [each["user_id"] for each in second["sessions"]] == ["bob"]


def test_a_random_history_is_the_same_each_time(state):
    def stories():
        state.reset()
        ids = run(state, "POST", "history", {"calls": 50, "days": 3, "seed": 5})["comm_ids"]
        found = run(state, "GET", "calls", {})["calls"]
        assert [each["comm_id"] for each in found] == ids
        return found

    once = stories()
    assert once == stories()
    assert len({each["comm_id"] for each in once}) == 50
    assert any(session["unusual"] for each in once for session in each["sessions"])


@pytest.mark.parametrize(
    "options, words",
    [
        ({"room_id": ""}, "room_id is empty"),
        ({"room_id": "8001", "usrs": 1}, "unknown option usrs"),
        ({"room_id": "8001", "users": ["ann", 5]}, "users must be a number, or a list"),
        ({"room_id": "8001", "users": [{"user_id": "a", "stays_seconds": 700}]}, "not in the room"),
        ({"room_id": "8001", "users": [{"user_id": "a", "measured": {"loss": 1}}]}, "loss is none of appCpu"),
        ({"room_id": "8001", "users": ["ann", "ann"]}, "ann is in the room twice at a time"),
        ({"room_id": "8001", "step_seconds": 0}, "step_seconds must be 1"),
        ({"room_id": "8001", "began_at": 4e9}, "future"),
    ],
)
def test_wrong_calls_are_refused(state, options, words):
    with pytest.raises(ControlError, match=words):
        run(state, "POST", "calls", options)


def test_one_room_has_one_call_a_second(state):
    run(state, "POST", "calls", {"room_id": "8001", "began_at": 100})
    with pytest.raises(ControlError, match="there is a call 1400000001_8001_100 already"):
        run(state, "POST", "calls", {"room_id": "8001", "began_at": 100})


def test_reset_forgets_calls(state):
    run(state, "POST", "calls", {"room_id": "8001"})
    state.reset()
    assert run(state, "GET", "calls", {}) == {"calls": []}
