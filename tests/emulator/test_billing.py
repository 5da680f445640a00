"""What was started over the API, by whom, and for how long it ran."""

from __future__ import annotations

import pytest

from airflow_trtc.emulator import DEFAULT_SDK_APP_ID, DEFAULT_SECRET_ID, EmulatorClient
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State

APP, OTHER_APP = DEFAULT_SDK_APP_ID, 1400000009


@pytest.fixture
def state():
    return State(Settings(time_scale=0, rate_limit=0, check_user_sig=False, more_sdk_app_ids=(OTHER_APP,)))


@pytest.fixture
def create(ask, create_values):
    return lambda **changes: ask({**create_values, **changes}, action="CreateCloudRecording")


def lines(state, **options):
    return run(state, "GET", "bill", options)["recordings"]


def ended(state):
    return [(each["end_reason"], round(each["seconds"], 3)) for each in lines(state)]


def test_a_line_says_who_started_and_who_stopped_it(state, create, ask):
    began = state.clock.now()
    made = create()
    state.clock.advance(90)
    values = {"SdkAppId": APP, "TaskId": made["TaskId"]}
    stopped = ask(values, action="DeleteCloudRecording")
    state.clock.advance(1000)
    (line,) = lines(state)
    assert line == {
        "recording_id": made["TaskId"],
        "sdk_app_id": APP,
        "room_id": "8001",
        "is_string_room": False,
        "robot_id": "robot",
        "created_at": pytest.approx(began),
        "ended_at": pytest.approx(began + 90),
        "end_reason": "deleted",
        "seconds": pytest.approx(90),
        "started_by": {"secret_id": DEFAULT_SECRET_ID, "request_id": made["RequestId"]},
        "stopped_by": {"secret_id": DEFAULT_SECRET_ID, "request_id": stopped["RequestId"]},
    }


def test_how_recordings_end(state, create):
    create(RoomId="1")
    create(RoomId="2", RecordParams={"RecordMode": 1, "MaxIdleTime": 5})
    run(state, "POST", "room", {"room_id": "2", "leave": ["anchor_1"]})
    by_control = create(RoomId="3")["TaskId"]
    state.clock.advance(10)
    run(state, "POST", "end", {"recording_id": by_control})
    replacing = create(RoomId="1")
    state.clock.advance(7)
    assert ended(state) == [("replaced", 10), ("idle", 5), ("ended", 10), (None, 7)]
    assert [each["stopped_by"] and each["stopped_by"]["request_id"] for each in lines(state)] == [
        replacing["RequestId"],
        None,
        None,
        None,
    ]
    assert run(state, "GET", "bill", {})["running"] == [replacing["TaskId"]]


def test_sums_by_application_and_room(state, create):
    first = create()["TaskId"]
    create(UserId="r2")
    create(RoomIdType=0)
    create(SdkAppId=OTHER_APP)
    state.clock.advance(10)
    run(state, "POST", "end", {"recording_id": first})
    state.clock.advance(10)
    bill = run(state, "GET", "bill", {})
    assert bill["by_application"] == [
        {"sdk_app_id": APP, "recordings": 3, "running": 2, "seconds": pytest.approx(50)},
        {"sdk_app_id": OTHER_APP, "recordings": 1, "running": 1, "seconds": pytest.approx(20)},
    ]
    rooms = [
        (each["sdk_app_id"], each["is_string_room"], each["recordings"], round(each["seconds"]))
        for each in bill["by_room"]
    ]
    assert rooms == [(APP, False, 2, 30), (APP, True, 1, 20), (OTHER_APP, False, 1, 20)]
    assert bill["seconds"] == pytest.approx(70)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, 3),
        ({"room_id": "8001"}, 2),
        ({"room_id": "9"}, 1),
        ({"sdk_app_id": OTHER_APP}, 1),
        ({"sdk_app_id": str(OTHER_APP), "room_id": "9"}, 0),
    ],
)
def test_the_bill_of_one_room_or_application(state, create, options, expected):
    create()
    create(RoomId="9")
    create(SdkAppId=OTHER_APP)
    assert len(lines(state, **options)) == expected


def test_what_was_not_started_over_the_api_is_not_billed(state):
    run(state, "POST", "seed", {})
    assert run(state, "GET", "bill", {}) == {
        "recordings": [],
        "running": [],
        "seconds": 0,
        "by_application": [],
        "by_room": [],
        "jobs": [],
        "running_jobs": [],
        "by_kind": [],
    }


def test_a_recorder_that_failed_to_start_costs_nothing(ask, create_values):
    state = State(Settings(time_scale=0, new_recordings={"start_fails": True, "idle_seconds": 5}))
    ask(create_values, of=state, action="CreateCloudRecording")
    state.clock.advance(10)
    assert ended(state) == [("failed", 0)]


def test_a_reset_empties_the_bill(state, create):
    create()
    run(state, "POST", "reset", {})
    assert lines(state) == []


def test_the_bill_in_process_and_over_http(emulator, caller, create_values):
    made = caller(emulator, "sync")("CreateCloudRecording", create_values)["TaskId"]
    for controls in (emulator, EmulatorClient(emulator.url)):
        assert [each["recording_id"] for each in controls.bill("8001")["recordings"]] == [made]
        assert len(controls.bill(sdk_app_id=APP)["running"]) == 1
        assert controls.bill("9")["recordings"] == []
