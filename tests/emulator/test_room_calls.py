"""Rooms that are dismissed, users who are removed and blocked, and what becomes of robots."""

from __future__ import annotations

import pytest

from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State

APP = 1400000001
GONE = "FailedOperation.RoomNotExist"
# Action and room: of a numeric room, and of the string room of the same name.
BOTH = pytest.mark.parametrize("by, room_id", [("", 8001), ("ByStrRoomId", "8001")])


def a_state(**options):
    url = "http://127.0.0.1:9/"
    return State(Settings(time_scale=0, rate_limit=0, seed=7, callback_url=url, room_events=True, **options))


@pytest.fixture
def act(ask):
    def act(state, action, **values):
        answer = ask({"SdkAppId": APP, **values}, of=state, action=action)
        return answer.get("Error", {}).get("Code", "OK")

    return act


def enter(state, *users, room_id="8001"):
    run(
        state,
        "POST",
        "room",
        {"room_id": str(room_id), "enter": list(users), "is_string_room": isinstance(room_id, str)},
    )


def people(state, room_id):
    where = {"room_id": str(room_id), "is_string_room": isinstance(room_id, str)}
    return run(state, "POST", "room", where)["users"]


def record(state, room_id, **options):
    where = {"room_id": str(room_id), "is_string_room": isinstance(room_id, str)}
    return run(state, "POST", "seed", {**where, **options})["recording_id"]


def told(state):
    state.collect_callbacks()
    return [each.event for each in state.callbacks.ledger.records]


@BOTH
def test_a_room_without_anybody_is_not_there(act, by, room_id):
    state = a_state()
    assert act(state, f"DismissRoom{by}", RoomId=room_id) == GONE
    assert act(state, f"RemoveUser{by}", RoomId=room_id, UserIds=["alice"]) == GONE
    assert act(state, f"SetUserBlocked{by}", RoomId=room_id, UserId="alice", IsMute=1) == GONE


@BOTH
def test_a_dismissed_room_is_empty_and_reports_it(act, by, room_id):
    state = a_state()
    enter(state, "alice", "bob", room_id=room_id)
    assert act(state, f"DismissRoom{by}", RoomId=room_id) == "OK"
    assert people(state, room_id) == []
    left = [(each.type, each.info.get("UserId"), each.info.get("Reason")) for each in told(state)[-3:]]
    assert left == [(104, "alice", 3), (104, "bob", 3), (102, None, None)]
    assert act(state, f"DismissRoom{by}", RoomId=room_id) == GONE


def test_numeric_and_string_rooms_of_one_name_are_two(act):
    state = a_state()
    enter(state, "alice", room_id=8001)
    assert act(state, "DismissRoomByStrRoomId", RoomId="8001") == GONE
    assert people(state, 8001) == ["alice"]
    assert act(state, "DismissRoom", RoomId="8001") == "InvalidParameter"


def test_a_recording_keeps_its_room_and_ends_with_it(act):
    state = a_state()
    recording_id = record(state, 8001, participants=2)
    state.clock.advance(5)
    assert act(state, "DismissRoom", RoomId=8001) == "OK"
    facts = run(state, "GET", "truth", {"job_id": recording_id})
    assert facts["end_reason"] == "dismissed"
    events = [each for each in told(state) if each.type in (102, 104, 302)]
    assert [each.type for each in events].count(104) == 2
    assert [each.type for each in events].count(102) == 1
    (end,) = (each for each in events if each.type == 302)
    assert end.info["Payload"] == {"LeaveCode": 2}
    assert act(state, "DismissRoom", RoomId=8001) == GONE


def test_recordings_of_other_rooms_go_on(act):
    state = a_state()
    other = record(state, "8001")
    record(state, 8001)
    act(state, "DismissRoom", RoomId=8001)
    assert run(state, "GET", "truth", {"job_id": other})["end_reason"] is None


def test_those_who_are_removed_leave_and_others_stay(act):
    state = a_state()
    enter(state, "alice", "bob", "carol", room_id=8001)
    assert act(state, "RemoveUser", RoomId=8001, UserIds=["bob", "nobody"]) == "OK"
    assert people(state, 8001) == ["alice", "carol"]
    last = told(state)[-1]
    assert (last.type, last.info["UserId"], last.info["Reason"]) == (104, "bob", 3)
    assert act(state, "RemoveUser", RoomId=8001, UserIds=["alice", "carol"]) == "OK"
    assert told(state)[-1].type == 102
    assert act(state, "RemoveUser", RoomId=8001, UserIds=["alice"]) == GONE


def test_a_recorder_that_is_removed_ends_its_recording(act):
    state = a_state()
    recording_id = record(state, 8001, robot_id="recorder_7")
    assert act(state, "RemoveUser", RoomId=8001, UserIds=["recorder_7"]) == "OK"
    assert run(state, "GET", "truth", {"job_id": recording_id})["end_reason"] == "removed"
    (end,) = (each for each in told(state) if each.type == 302)
    assert end.info["Payload"] == {"LeaveCode": 1}


@pytest.mark.parametrize(
    "users, code",
    [
        ([], "InvalidParameter.UserIds"),
        (["x"] * 11, "InvalidParameter.UserIds"),
        (None, "MissingParameter.UserIds"),
        ("alice", "InvalidParameter"),
    ],
)
def test_lists_of_users_have_a_limit(act, users, code):
    state = a_state()
    enter(state, "alice", room_id=8001)
    assert act(state, "RemoveUser", RoomId=8001, UserIds=users) == code


def test_blocks_are_remembered_until_they_end(act):
    state = a_state()
    enter(state, "alice", room_id=8001)
    for mode, left in ((1, {"alice": 1}), (2, {"alice": 2}), (3, {"alice": 3}), (0, None)):
        assert act(state, "SetUserBlocked", RoomId=8001, UserId="alice", IsMute=mode) == "OK"
        blocked = run(state, "GET", "rooms", {})["blocked"]
        assert [each["users"] for each in blocked] == ([left] if left else [])
    for wrong in (4, -1):
        code = act(state, "SetUserBlocked", RoomId=8001, UserId="alice", IsMute=wrong)
        assert code == "InvalidParameter.OutOfRange"


def test_what_was_done_to_rooms_is_remembered(act):
    state = a_state()
    enter(state, "alice", room_id=8001)
    act(state, "RemoveUser", RoomId=8001, UserIds=["bob"])
    act(state, "SetUserBlocked", RoomId=8001, UserId="alice", IsMute=1)
    act(state, "DismissRoom", RoomId=8001)
    shown = run(state, "GET", "rooms", {})
    assert [(each["room_id"], each["users"], each.get("is_mute")) for each in shown["actions"]] == [
        ("8001", ["bob"], None),
        ("8001", ["alice"], 1),
        ("8001", ["alice"], None),
    ]
    assert shown["blocked"] == []
    assert shown["rooms"] == [{"sdk_app_id": APP, "room_id": "8001", "is_string_room": False, "users": []}]
