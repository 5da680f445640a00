"""People who enter and leave rooms while recordings run: idle ends, files, and events of the room."""

from __future__ import annotations

import pytest

from airflow_trtc.emulator import ControlError, EmulatorClient
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State

APP = 1400000001


def a_state(**options):
    return State(Settings(time_scale=0, rate_limit=0, seed=7, callback_url="http://127.0.0.1:9/", **options))


@pytest.fixture
def create(ask, create_values):
    def create(state, **changes):
        return ask({**create_values, **changes}, of=state, action="CreateCloudRecording")["TaskId"]

    return create


def room(state, room_id="8001", **options):
    return run(state, "POST", "room", {"room_id": room_id, **options})["users"]


def truth(state, recording_id):
    return run(state, "GET", "truth", {"recording_id": recording_id})


def told(state):
    """All events so far: type, and who it is about or its payload."""
    state.collect_callbacks()
    events = [each.event for each in state.callbacks.ledger.records]
    return [
        (each.type, each.info["Payload"] if each.group == 3 else each.info.get("UserId")) for each in events
    ]


def of_rooms(state):
    return [each for each in told(state) if each[0] < 300]


def test_a_recording_whose_last_anchor_left_ends_after_its_idle_time(create):
    state = a_state()
    recording_id = create(state, RecordParams={"RecordMode": 1, "MaxIdleTime": 60})
    state.clock.advance(100)
    assert room(state, leave=["anchor_1"]) == []
    state.clock.advance(59)
    assert truth(state, recording_id)["status"] == "InProgress"
    state.clock.advance(1)
    facts = truth(state, recording_id)
    assert (facts["end_reason"], round(facts["ended_at"] - facts["created_at"], 3)) == ("idle", 160)
    assert (302, {"LeaveCode": 99}) in told(state)


def test_an_anchor_who_comes_in_time_keeps_it_going(create):
    state = a_state()
    recording_id = create(state)
    room(state, leave=["anchor_1"])
    state.clock.advance(29)
    assert room(state, enter=["bob"]) == ["bob"]
    state.clock.advance(1000)
    assert truth(state, recording_id)["status"] == "InProgress"
    room(state, leave=["bob"])
    state.clock.advance(30)
    assert truth(state, recording_id)["end_reason"] == "idle"


def test_one_who_comes_too_late_changes_nothing(create):
    state = a_state()
    recording_id = create(state)
    room(state, leave=["anchor_1"])
    state.clock.advance(31)
    assert room(state, enter=["bob"]) == ["bob"]
    facts = truth(state, recording_id)
    assert (facts["end_reason"], round(facts["ended_at"] - facts["created_at"], 3)) == ("idle", 30)


def test_a_robot_that_waits_in_an_empty_room_records_the_first_who_enters(create):
    state = a_state(new_recordings={"participants": 0, "idle_seconds": 2})
    recording_id = create(state)
    state.clock.advance(20)
    room(state, enter=["bob"])
    state.clock.advance(1)
    assert truth(state, recording_id)["status"] == "Idle"
    state.clock.advance(1)
    facts = truth(state, recording_id)
    assert (facts["status"], round(facts["started_at"] - facts["created_at"], 3)) == ("InProgress", 22)
    assert [each["UserId"] for each in facts["files"]] == ["bob", "bob"]
    assert [each for each, _ in told(state)][:2] == [301, 303]


def test_who_enters_gets_files_that_begin_then(create):
    state = a_state()
    recording_id = create(state)
    state.clock.advance(50)
    room(state, enter=["bob", "bob"], leave=[])
    state.clock.advance(50)
    room(state, leave="bob")
    room(state, enter="bob")
    facts = truth(state, recording_id)
    begins = [
        (each["UserId"], round(each["BeginTimeStamp"] / 1000 - facts["created_at"]))
        for each in facts["files"]
    ]
    assert begins == [("anchor_1", 0), ("anchor_1", 0), ("bob", 50), ("bob", 50)]


def test_a_mixed_recording_keeps_its_one_file(create):
    state = a_state()
    recording_id = create(state, RecordParams={"RecordMode": 2})
    room(state, enter=["bob"])
    assert len(truth(state, recording_id)["files"]) == 1


def test_files_that_come_one_by_one_wait_for_their_user(create):
    state = a_state(new_recordings={"file_every_seconds": 10})
    recording_id = create(state)
    state.clock.advance(15)
    room(state, enter=["bob"])
    facts = truth(state, recording_id)
    assert [each["UserId"] for each in facts["files"]] == ["anchor_1", "anchor_1"]
    state.clock.advance(15)
    facts = truth(state, recording_id)
    begins = [round(each["BeginTimeStamp"] / 1000 - facts["created_at"]) for each in facts["files"]]
    assert begins == [0, 10, 20, 30]


def test_the_room_comes_first_for_recordings_that_begin_later(create):
    state = a_state()
    room(state, enter=["alice", "bob"])
    room(state, "9", enter=["carol"])
    room(state, "9", leave=["carol"])
    full, empty = create(state), create(state, RoomId="9")
    state.clock.advance(30)
    assert {each["UserId"] for each in truth(state, full)["files"]} == {"alice", "bob"}
    assert [truth(state, each)["end_reason"] for each in (full, empty)] == [None, "idle"]


def test_recordings_added_by_hand_join_too_unless_they_say_who_is_there():
    state = a_state()
    room(state, enter=["alice"])
    (joins, has_own) = run(state, "POST", "seed", {"recordings": [{}, {"participants": ["zoe"]}]})[
        "recording_ids"
    ]
    assert {each["UserId"] for each in truth(state, joins)["files"]} == {"alice"}
    assert {each["UserId"] for each in truth(state, has_own)["files"]} == {"zoe"}


def test_an_empty_room_was_empty_since_the_recording_began():
    state = a_state()
    room(state, enter=["alice"])
    room(state, leave=["alice"])
    recording_id = run(state, "POST", "seed", {"started_seconds_ago": 20})["recording_id"]
    state.clock.advance(10)
    assert truth(state, recording_id)["end_reason"] == "idle"


def test_plans_of_leaving_are_over_once_people_are_moved(create):
    state = a_state(new_recordings={"room_empty_after_seconds": 10})
    recording_id = create(state)
    state.clock.advance(5)
    room(state, enter=["bob"])
    state.clock.advance(1000)
    assert truth(state, recording_id)["status"] == "InProgress"


def test_those_who_left_as_planned_are_not_there_any_more(create):
    state = a_state(new_recordings={"room_empty_after_seconds": 10})
    recording_id = create(state)
    state.clock.advance(20)
    assert room(state) == []
    state.clock.advance(19)
    assert room(state, enter=["bob"], leave=[]) == ["bob"]
    state.clock.advance(100)
    assert truth(state, recording_id)["status"] == "InProgress"


@pytest.mark.parametrize(
    "options, is_ended", [({}, True), ({"is_string_room": False}, True), ({"is_string_room": True}, False)]
)
def test_a_numeric_and_a_string_room_of_one_name_are_two_rooms(create, options, is_ended):
    state = a_state()
    recording_id = create(state)
    room(state, enter=["x"], **options)
    room(state, leave=["anchor_1", "x"] if is_ended else ["x"], **options)
    state.clock.advance(30)
    assert (truth(state, recording_id)["end_reason"] == "idle") is is_ended


def test_looking_who_is_there_changes_nothing(create):
    state = a_state(new_recordings={"room_empty_after_seconds": 10})
    recording_id = create(state)
    assert room(state) == ["anchor_1"]
    state.clock.advance(40)
    assert truth(state, recording_id)["end_reason"] == "idle"


ARRIVES = [103, 203, 201]


def test_events_of_a_room_from_the_first_to_the_last():
    state = a_state(room_events=True)
    room(state, enter=["alice", "bob"])
    room(state, leave=["alice"])
    room(state, enter=["alice"])
    room(state, leave=["bob", "alice"])
    room(state, enter=["carol"])
    assert of_rooms(state) == [
        (101, "alice"),
        *((each, "alice") for each in ARRIVES),
        *((each, "bob") for each in ARRIVES),
        (104, "alice"),
        *((each, "alice") for each in ARRIVES),
        (104, "bob"),
        (104, "alice"),
        (102, None),
        (101, "carol"),
        *((each, "carol") for each in ARRIVES),
    ]
    first = state.callbacks.ledger.records[0]
    assert (first.event.info["RoomId"], first.sdk_app_id) == (8001, APP)


def test_recordings_do_not_repeat_what_the_room_reports(create):
    state = a_state(room_events=True)
    room(state, enter=["alice"])
    create(state)
    state.clock.advance(5)
    room(state, enter=["bob"])
    room(state, leave=["alice", "bob"])
    state.clock.advance(100)
    assert [each for each, _ in of_rooms(state)] == [101, *ARRIVES, *ARRIVES, 104, 104, 102]


def test_a_recordings_own_people_are_reported_once(create):
    state = a_state(new_recordings={"room_events": True, "room_empty_after_seconds": 60})
    create(state)
    room(state, enter=["bob"])
    state.clock.advance(100)
    room(state, leave=["anchor_1", "bob"])
    state.clock.advance(100)
    assert sorted(of_rooms(state), key=lambda each: each[0]) == [
        (101, "anchor_1"),
        (102, None),
        (103, "bob"),
        (103, "anchor_1"),
        (104, "anchor_1"),
        (104, "bob"),
        (201, "bob"),
        (201, "anchor_1"),
        (203, "bob"),
        (203, "anchor_1"),
    ]


def test_people_of_a_recording_that_has_not_begun_are_reported_when_they_are_moved(create):
    state = a_state(room_events=True, new_recordings={"idle_seconds": 60})
    create(state)
    room(state, leave=["anchor_1"])
    state.clock.advance(100)
    assert of_rooms(state) == [
        (101, "anchor_1"),
        *((each, "anchor_1") for each in ARRIVES),
        (104, "anchor_1"),
        (102, None),
    ]


def test_without_room_events_nothing_is_sent(create):
    state = a_state()
    create(state)
    room(state, enter=["bob"])
    room(state, leave=["bob", "anchor_1"])
    state.clock.advance(100)
    assert of_rooms(state) == []


def test_without_a_receiver_people_move_all_the_same():
    state = State(Settings(time_scale=0, room_events=True))
    assert room(state, enter=["bob"]) == ["bob"]


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"leave": ["bob"]}, "bob not in numeric room '8001'; there are: none"),
        ({"enter": [1]}, "enter must be"),
        ({"enter": [""]}, "enter must be"),
        ({"enters": ["x"]}, "unknown option enters"),
        ({"room_id": 8001}, "room_id must be a text"),
        ({"room_id": ""}, "room_id must be a text"),
        ({"room_id": "lobby", "is_string_room": False}, "no number of a room"),
        ({"is_string_room": "yes"}, "true or false"),
    ],
)
def test_moves_that_cannot_be_made(options, reason):
    with pytest.raises(ControlError, match=reason):
        room(a_state(), **options)


def test_moves_in_process_and_over_http(emulator):
    for controls in (emulator, EmulatorClient(emulator.url)):
        assert controls.room("lobby", enter="alice") == ["alice"]
        assert controls.room("lobby", leave=["alice"], enter=("bob",)) == ["bob"]
        assert controls.room("lobby", leave="bob") == []
        with pytest.raises(ControlError, match="bob not in"):
            controls.room("lobby", leave="bob")


def test_a_reset_empties_the_rooms():
    state = a_state()
    room(state, enter=["bob"])
    run(state, "POST", "reset", {})
    assert room(state) == []
