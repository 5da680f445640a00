"""The official SDK, both clients, over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence

import httpx
import pytest
from tencentcloud.common.exception import TencentCloudSDKException

from airflow_trtc.emulator import (
    DEFAULT_DENIED_SECRET_ID,
    DEFAULT_DENIED_SECRET_KEY,
    DEFAULT_SDK_APP_ID,
    Emulator,
)
from airflow_trtc.emulator.server import _listen

APP = DEFAULT_SDK_APP_ID


def refused(call, *args, **options):
    """The code with which the call fails."""
    with pytest.raises(TencentCloudSDKException) as caught:
        call(*args, **options)
    return caught.value.get_code()


def test_a_whole_life(call, emulator, create_values):
    made = call("CreateCloudRecording", create_values)
    rid = made["TaskId"]
    seen = call.describe(rid)
    assert (seen["TaskId"], seen["Status"]) == (rid, "InProgress")
    assert [file["TrackType"] for file in seen["StorageFileList"]] == ["audio", "video"]
    changes = {"SdkAppId": APP, "TaskId": rid, "SubscribeStreamUserIds": {"SubscribeAudioUserIds": ["a"]}}
    assert call("ModifyCloudRecording", changes)["TaskId"] == rid
    assert call("DeleteCloudRecording", {"SdkAppId": APP, "TaskId": rid})["TaskId"] == rid
    assert refused(call.describe, rid) == "ResourceNotFound"
    assert refused(call, "DeleteCloudRecording", {"SdkAppId": APP, "TaskId": rid}) == "ResourceNotFound"
    truth = emulator.truth(rid)
    assert (truth["status"], truth["end_reason"], truth["reads"]) == ("Gone", "deleted", 2)
    assert truth["files"] == truth["listed_files"] == seen["StorageFileList"]


@pytest.mark.parametrize("options", [{"method": "GET"}, {"unsigned": True}])
def test_other_ways_to_sign(call, emulator, options):
    rid = emulator.add_recording(recording_id="a+b-c..")
    assert call.describe(rid, **options)["TaskId"] == rid
    assert refused(call.describe, rid, secret_key="wrong", **options) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    "options,code",
    [
        ({"secret_id": "AKIDnobody"}, "AuthFailure.SecretIdNotFound"),
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"token": "stray"}, "AuthFailure.TokenFailure"),
        (
            {"secret_id": DEFAULT_DENIED_SECRET_ID, "secret_key": DEFAULT_DENIED_SECRET_KEY},
            "AuthFailure.UnauthorizedOperation",
        ),
        ({"region": ""}, "MissingParameter"),
        ({"region": "eu-frankfurt"}, "UnsupportedRegion"),
        ({"region": "ap-guangzou"}, "InvalidParameterValue"),
    ],
)
def test_who_may_not_ask(call, emulator, options, code):
    assert refused(call.describe, emulator.add_recording(), **options) == code


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_clock_that_is_wrong(caller, kind):
    with Emulator(clock_skew_seconds=-1000) as emulator:
        assert refused(caller(emulator, kind).describe, "x") == "AuthFailure.SignatureExpire"


def test_messages_follow_the_language(call, emulator):
    with pytest.raises(TencentCloudSDKException) as caught:
        call.describe("x", language="zh-CN")
    assert caught.value.get_message() == "任务不存在。"


def test_too_many_requests(caller):
    with Emulator(rate_limit=1) as emulator:
        sync = caller(emulator, "sync")
        emulator._state.ticks = lambda: 5.0
        rid = emulator.add_recording()
        assert sync.describe(rid)["Status"] == "InProgress"
        assert refused(sync.describe, rid) == "RequestLimitExceeded"
        assert emulator.state()["throttled"] == 1


# The two clients fail differently; this is what tencentcloud-sdk-python 3.1.195 does.
TRANSPORT: dict[str, Sequence[str | type[Exception]]] = {
    "reset": ("ClientNetworkError", httpx.TransportError),
    "outage": ("ClientNetworkError", httpx.TransportError),
    "lost_answer": ("ClientNetworkError", httpx.TransportError),
    "truncated": ("ChunkedEncodingError", httpx.RemoteProtocolError),
    "html": ("JSONDecodeError", json.JSONDecodeError),
    "empty": ("JSONDecodeError", json.JSONDecodeError),
    "broken_json": ("JSONDecodeError", json.JSONDecodeError),
    "http": ("ServerNetworkError", "ServerNetworkError"),
    "throttle": ("RequestLimitExceeded", "RequestLimitExceeded"),
    "error": ("InternalError", "InternalError"),
}


@pytest.mark.parametrize("kind", TRANSPORT)
def test_faults_as_the_clients_feel_them(call, emulator, kind):
    rid = emulator.add_recording()
    emulator.fault(kind, count=1)
    expected = TRANSPORT[kind][call.kind == "async"]
    if isinstance(expected, str):
        assert refused(call.describe, rid) == expected
    else:
        with pytest.raises(expected):
            call.describe(rid)
    assert call.describe(rid)["Status"] == "InProgress"
    was_carried_out = kind in ("lost_answer", "truncated", "broken_json")
    assert emulator.truth(rid)["reads"] == 1 + was_carried_out


def test_a_service_that_hangs_answers_when_it_is_asked_again(call, emulator, until_seen):
    rid = emulator.add_recording()
    emulator.fault("hang", count=1)
    with pytest.raises((TencentCloudSDKException, httpx.ReadTimeout)):
        call.describe(rid, timeout=0.3)
    until_seen("DescribeCloudRecording")
    assert call.describe(rid)["Status"] == "InProgress"
    truth = emulator.truth(rid)
    assert [(poll["code"], poll["fault"]) for poll in truth["polls"]] == [
        ("fault:hang", "hang"),
        ("OK", None),
    ]
    assert truth["reads"] == 1


def test_no_content_type(call, emulator):
    rid = emulator.add_recording()
    emulator.fault("no_content_type", count=1)
    if call.kind == "sync":
        assert call.describe(rid)["Status"] == "InProgress"
        return
    with pytest.raises(KeyError, match="Content-Type"):
        call.describe(rid)


def test_a_charset_makes_the_clients_take_an_error_for_success(call, emulator):
    rid = emulator.add_recording()
    emulator.fault("charset", count=1)
    assert call.describe(rid)["Status"] == "InProgress"
    broken = call.describe("no-such-recording")
    assert (broken["Status"], broken["TaskId"]) == (None, None)
    assert refused(call.describe, "no-such-recording") == "ResourceNotFound"


def test_slow_answers_run_into_the_clients_timeout(call, emulator):
    rid = emulator.add_recording()
    emulator.fault("slow", delay_seconds=30, count=1)
    if call.kind == "sync":
        assert refused(call.describe, rid, timeout=0.3) == "ClientNetworkError"
        return
    with pytest.raises(httpx.ReadTimeout):
        call.describe(rid, timeout=0.3)


def test_a_lost_answer_to_create_leaves_a_recording_behind(call, emulator, create_values):
    emulator.fault("lost_answer", action="CreateCloudRecording", count=1)
    with pytest.raises((TencentCloudSDKException, httpx.TransportError)):
        call("CreateCloudRecording", create_values)
    (left,) = emulator.state()["recordings"].values()
    assert left["status"] == "InProgress"


def test_faults_can_be_aimed(call, emulator):
    one, other = emulator.add_recording(), emulator.add_recording()
    emulator.fault("error", code="InternalError.CRInternalError", recording_id=one)
    emulator.fault("error", code="FailedOperation", action="DeleteCloudRecording")
    assert refused(call.describe, one) == "InternalError.CRInternalError"
    assert call.describe(other)["Status"] == "InProgress"
    assert refused(call, "DeleteCloudRecording", {"SdkAppId": APP, "TaskId": other}) == "FailedOperation"
    emulator.clear_faults()
    assert call.describe(one)["Status"] == "InProgress"


def test_a_script_may_spoil_single_answers(call, emulator):
    rid = emulator.add_recording()
    emulator.script(
        rid, [{"fault": "http"}, {"fault": "html"}, {"status": "Exited", "reads": 1}, {"gone": True}]
    )
    assert refused(call.describe, rid) == "ServerNetworkError"
    with pytest.raises((TencentCloudSDKException, json.JSONDecodeError)):
        call.describe(rid)
    assert call.describe(rid)["Status"] == "Exited"
    assert refused(call.describe, rid) == "ResourceNotFound"


def test_two_polls_that_never_see_the_end_coming(call, emulator):
    rid = emulator.add_recording(files=3, file_every_seconds=10, ends_after_seconds=25)
    assert len(call.describe(rid)["StorageFileList"]) == 1
    emulator.advance(20)
    assert len(call.describe(rid)["StorageFileList"]) == 3
    emulator.advance(20)
    assert refused(call.describe, rid) == "ResourceNotFound"
    truth = emulator.truth(rid)
    assert truth["ended_at"] - truth["started_at"] == pytest.approx(25)


def test_many_clients_at_once(emulator, caller):
    emulator.reset()
    rid = emulator.add_recording()
    answers: list[str] = []

    def ask():
        answers.extend(caller(emulator, "sync").describe(rid)["Status"] for _ in range(2))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["InProgress"] * 16
    assert emulator.truth(rid)["reads"] == 16


def test_a_reset_is_a_real_one(emulator):
    emulator.fault("reset")
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=60) as plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        with pytest.raises(ConnectionResetError):
            plain.recv(1)


def test_answers_are_not_held_back_by_nagle():
    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize("fault", [{"kind": "slow", "delay_seconds": 60}, {"kind": "hang"}])
def test_stopping_does_not_wait_for_slow_answers(caller, caplog, fault):
    with Emulator() as emulator:
        emulator.fault(**fault)
        waiting = threading.Thread(target=lambda: refused(caller(emulator, "sync").describe, "x"))
        waiting.start()
        while not emulator.state()["counters"]:
            time.sleep(0.01)
    waiting.join(60)
    assert not waiting.is_alive()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
