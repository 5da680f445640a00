"""Calls about rooms and streams through both clients, and what a refusal after a lost answer means."""

import pytest

from airflow_trtc.cloud import rooms, streams
from airflow_trtc.emulator import DEFAULT_SDK_APP_ID
from airflow_trtc.errors import TrtcFailedError, TrtcSetupError
from airflow_trtc.jobs.ref import JobRef

APP = DEFAULT_SDK_APP_ID


def counted(emulator):
    return {action: dict(codes) for action, codes in emulator.state()["counters"].items()}


@pytest.mark.parametrize("room_id, by", [(8001, ""), ("8001", "ByStrRoomId")])
def test_the_type_of_the_id_chooses_the_action(emulator, drive, room_id, by):
    emulator.room("8001", enter=["alice", "bob"], is_string_room=bool(by))
    driver = drive()
    driver.run(rooms.block_user(APP, room_id, "alice", 2))
    driver.run(rooms.remove_users(APP, room_id, ["bob"]))
    driver.run(rooms.dismiss(APP, room_id))
    names = ("SetUserBlocked", "RemoveUser", "DismissRoom")
    assert counted(emulator) == {f"{name}{by}": {"OK": 1} for name in names}


def test_the_other_room_of_the_same_name_is_not_meant(emulator, drive):
    emulator.room("8001", enter=["alice"])
    with pytest.raises(TrtcFailedError) as caught:
        drive().run(rooms.dismiss(APP, "8001"))
    assert caught.value.code == rooms.ROOM_NOT_EXIST
    assert not caught.value.follows_unknown
    assert emulator.room("8001") == ["alice"]


def test_a_refusal_after_a_lost_answer_says_so(emulator, drive):
    emulator.room("8001", enter=["alice"])
    emulator.fault("lost_answer", action="DismissRoom", count=1)
    driver = drive()
    with pytest.raises(TrtcFailedError) as caught:
        driver.run(rooms.dismiss(APP, 8001))
    assert caught.value.follows_unknown
    assert counted(emulator)["DismissRoom"] == {"OK": 1, "FailedOperation.RoomNotExist": 1}
    with pytest.raises(TrtcFailedError) as caught:  # of another call
        driver.run(rooms.dismiss(APP, 8001))
    assert not caught.value.follows_unknown


def test_a_refusal_after_trouble_before_the_request_was_sent_does_not(emulator, drive):
    emulator.fault("throttle", action="DismissRoom", count=1)
    with pytest.raises(TrtcFailedError) as caught:
        drive().run(rooms.dismiss(APP, 8001))
    assert not caught.value.follows_unknown


@pytest.mark.parametrize("job_id", ["", "x" * 1025])
def test_ids_that_can_be_none_are_not_sent(job_id):
    job = JobRef("relay", APP, "ap-guangzhou", job_id)
    for call in (
        lambda: streams.update_relay(job, {}, 1),
        lambda: streams.update_ingest(job, {}),
        lambda: streams.stop_relay(job),
    ):
        with pytest.raises(TrtcSetupError, match="relay id is empty, or longer than"):
            call()


def test_updates_and_stops_are_repeated_with_the_same_number():
    job = JobRef("relay", APP, "ap-guangzhou", "id")
    update = streams.update_relay(job, {"WithTranscoding": 1, "SequenceNumber": 9}, 5)
    assert (update.effect, update.params["SequenceNumber"]) == ("idempotent", 5)
    assert streams.stop_relay(job, "key").params == {"SdkAppId": APP, "TaskId": "id", "RecordKey": "key"}
