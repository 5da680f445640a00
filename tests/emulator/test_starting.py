"""CreateCloudRecording: who may start one, what is refused, and what stays behind when no answer comes."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from tencentcloud.common.exception import TencentCloudSDKException

from airflow_trtc.cloud.user_sig import Privilege, Signer
from airflow_trtc.emulator import DEFAULT_SDK_APP_ID, DEFAULT_SDK_SECRET_KEY
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State

APP = DEFAULT_SDK_APP_ID
CREATE = "CreateCloudRecording"
SIGNER = Signer(APP, DEFAULT_SDK_SECRET_KEY)
VOD: dict[str, Any] = {"StorageParams": {"CloudVod": {"TencentVod": {}}}}


def with_settings(**options):
    return State(Settings(**{"time_scale": 0, "rate_limit": 0, "seed": 7, **options}))


@pytest.fixture
def create(ask, create_values):
    """Start a recording, changed as the test wants; returns the inside of Response."""

    def create(state, **changes):
        return ask({**create_values, **changes}, of=state, action=CREATE)

    return create


def sig(user_id="robot", *, app=APP, key=DEFAULT_SDK_SECRET_KEY, ago=0, seconds=60):
    return Signer(app, key).user_sig(user_id, now=time.time() - ago, seconds=seconds)


@pytest.mark.parametrize(
    "user_sig, reason",
    [
        ("sig", "not well-formed"),
        (sig("other"), "another user"),
        (sig(app=APP + 1), "another application"),
        (sig(key="k"), "key of application"),
        (sig(ago=61), "expired"),
    ],
)
def test_a_user_sig_that_is_not_valid(create, user_sig, reason):
    state = with_settings()
    error = create(state, UserSig=user_sig)["Error"]
    assert error["Code"] == "InvalidParameter.UserSig"
    assert error["Message"].startswith("The UserSig is expired or wrong. UserSig is not valid: ")
    assert reason in error["Message"]
    assert state.recordings == {}
    assert create(with_settings(user_sig_code="FailedOperation.X"), UserSig=user_sig)["Error"] == {
        "Code": "FailedOperation.X",
        "Message": f"The operation failed. {error['Message'].partition('wrong. ')[2]}",
    }
    assert "TaskId" in create(with_settings(check_user_sig=False), UserSig=user_sig)


def test_a_user_sig_expires_by_the_services_clock(create):
    state = with_settings(clock_skew_seconds=200)
    assert "expired" in create(state, UserSig=sig(seconds=190))["Error"]["Message"]
    assert "TaskId" in create(state, UserSig=sig(seconds=220))


def test_a_private_map_key_is_asked_for_only_if_the_console_says_so(create):
    now = time.time()
    audio = Privilege.ENTER_ROOM | Privilege.RECEIVE_AUDIO
    whole = SIGNER.private_map_key("robot", 8001, now=now, seconds=60)
    elsewhere = SIGNER.private_map_key("robot", "8001", now=now, seconds=60)
    deaf = SIGNER.private_map_key("robot", 8001, now=now, seconds=60, privileges=audio)
    state = with_settings(advanced_permission_control=True)
    for given, reason in (
        ({}, "is missing"),
        ({"PrivateMapKey": "x"}, "not well-formed"),
        ({"PrivateMapKey": elsewhere}, "string room '8001', not for numeric room '8001'"),
        ({"PrivateMapKey": deaf}, "receive video"),
    ):
        error = create(state, **given)["Error"]
        assert (error["Code"], reason in error["Message"]) == ("FailedOperation", True)
        assert "TaskId" in create(with_settings(), **given)
    other = with_settings(advanced_permission_control=True, private_map_key_code="A.B")
    assert create(other)["Error"]["Code"] == "A.B"
    assert "TaskId" in create(state, PrivateMapKey=whole)
    assert "TaskId" in create(state, PrivateMapKey=elsewhere, RoomIdType=0)
    audio_only = {"RecordParams": {"RecordMode": 1, "StreamType": 1}}
    assert "TaskId" in create(state, PrivateMapKey=deaf, **audio_only)


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"RoomId": "lobby"}, "InvalidParameter.OutOfRange"),
        ({"StorageParams": {}}, "MissingParameter.CloudStorage"),
        ({"UserSig": "x", "RoomId": "lobby"}, "InvalidParameter.OutOfRange"),
    ],
)
def test_parameters_are_checked_first(create, changes, code):
    assert create(with_settings(), **changes)["Error"]["Code"] == code


ANSWERS = {
    "FailedOperation.RestrictedConcurrency": "Restricted concurrency: at most 100 recordings at one time.",
    "InternalError.CRInternalError": "An internal error has occurred.",
    "FailedOperation.CRUnsupportMethod": "The application does not support this method of cloud recording.",
    "UnsupportedOperation": "The operation is not supported.",
    "ResourceInsufficient.RequestRejection": "Insufficient resources.",
    "FailedOperation": "The operation failed.",
    "Some.Other": "The request failed: Some.Other.",
}


@pytest.mark.parametrize("code", ANSWERS)
def test_every_error_of_a_start_can_be_made(create, code):
    state = with_settings()
    run(state, "POST", "faults", {"kind": "error", "code": code, "action": CREATE, "count": 2})
    for _ in range(2):
        assert create(state)["Error"] == {"Code": code, "Message": ANSWERS[code]}
    assert "TaskId" in create(state)
    assert len(run(state, "GET", "bill", {})["recordings"]) == 1


def test_a_refused_start_replaces_nothing(create, robot):
    state = with_settings(concurrency_limit=1)
    run(state, "POST", "seed", {"recordings": [{"room_id": "1"}, {"room_id": "8001", "robot_id": "robot"}]})
    assert create(state)["Error"]["Code"] == "FailedOperation.RestrictedConcurrency"
    assert all(each.is_running for each in state.recordings.values())


def test_a_replacement_needs_no_slot_of_its_own(create):
    state = with_settings(concurrency_limit=1)
    first, second = create(state)["TaskId"], create(state)["TaskId"]
    assert [state.recordings[each].end_reason for each in (first, second)] == ["replaced", None]


def test_what_ended_by_itself_does_not_count(create, robot):
    state = with_settings(concurrency_limit=1, new_recordings={"ends_after_seconds": 10})
    create(state)
    state.clock.advance(9)
    assert "Error" in create(state, **robot("r2"))
    state.clock.advance(1)
    assert "TaskId" in create(state, **robot("r2"))


def storage(access, secret):
    bucket = {"Vendor": 0, "Region": "r", "Bucket": "b", "AccessKey": access, "SecretKey": secret}
    return {"StorageParams": {"CloudStorage": bucket}}


KEYS: dict[str, Any] = {"storage_access_key": "AK", "storage_secret_key": "SK"}
URL = "http://127.0.0.1:9/"


def events_of(state, recording_id):
    state.collect_callbacks()
    found = state.callbacks.ledger.of_recording[recording_id]
    return [(each.event.type, each.event.info["Payload"]) for each in found]


@pytest.mark.parametrize("pair", [("AK", "wrong"), ("wrong", "SK"), ("A", "K\nSK")])
def test_a_bucket_that_refuses_the_keys_gets_no_file(create, pair):
    state = with_settings(**KEYS, callback_url=URL)
    params = {"RecordParams": {"RecordMode": 2, "OutputFormat": 1}}
    recording_id = create(state, **storage(*pair), **params)["TaskId"]
    state.clock.advance(60)
    run(state, "POST", "end", {"recording_id": recording_id})
    state.clock.advance(60)
    told = events_of(state, recording_id)
    assert [each for each, _ in told] == [301, 303, 307, 308, 302, 305, 310]
    statuses = {each: payload["Status"] for each, payload in told if "Status" in payload}
    assert statuses == {301: 0, 303: 1, 305: 1, 310: 2}
    assert dict(told)[308] == {"Code": "InvalidParameter", "Message": "AccessKey invalid"}
    truth = run(state, "GET", "truth", {"recording_id": recording_id})
    assert (truth["storage_refused"], truth["mp4_files"], len(truth["failed_files"])) == (True, [], 1)


def test_the_right_keys_and_vod_are_taken(create):
    state = with_settings(**KEYS, callback_url=URL)
    for given in (storage("AK", "SK"), VOD):
        recording_id = create(state, **given)["TaskId"]
        assert not run(state, "GET", "truth", {"recording_id": recording_id})["storage_refused"]


def test_keys_can_be_refused_at_once(create):
    state = with_settings(**KEYS, refuse_storage="at_create")
    assert create(state)["Error"] == {
        "Code": "FailedOperation",
        "Message": "The operation failed. AccessKey invalid.",
    }
    assert state.recordings == {}
    other = with_settings(**KEYS, refuse_storage="at_create", storage_code="A.B")
    assert create(other)["Error"]["Code"] == "A.B"


@pytest.mark.parametrize(
    "options", [{"storage_access_key": "x"}, {"storage_secret_key": "x"}, {"refuse_storage": "never"}]
)
def test_settings_that_make_no_sense(options):
    with pytest.raises(ValueError, match=r"storage_secret_key|refuse_storage"):
        Settings(**options)


NO_ANSWER = (TencentCloudSDKException, httpx.TransportError)


@pytest.mark.parametrize(
    "fault, started",
    [({"kind": "hang"}, 0), ({"kind": "slow", "delay_seconds": 30}, 1), ({"kind": "lost_answer"}, 1)],
)
def test_a_start_whose_answer_never_comes(call, emulator, create_values, until_seen, fault, started):
    rid = emulator.add_recording()
    emulator.fault(**fault, action=CREATE, count=1)
    assert call.describe(rid)["Status"] == "InProgress"
    with pytest.raises(NO_ANSWER):
        call(CREATE, create_values, timeout=0.3)
    until_seen(CREATE)
    assert len(emulator.bill()["running"]) == started
    call(CREATE, create_values)
    reasons = [each["end_reason"] for each in emulator.bill("8001")["recordings"]]
    assert reasons == ["replaced"] * started + [None]


def test_modify_overwrites_while_the_recording_runs(ask, create):
    state = with_settings()
    lists = {"SubscribeAudioUserIds": ["a"]}
    params = {"RecordMode": 2, "SubscribeStreamUserIds": lists}
    recording_id = create(state, RecordParams=params, MixLayoutParams={"MixLayoutMode": 3})["TaskId"]
    values = {"SdkAppId": APP, "TaskId": recording_id}
    seen = []
    for change in ({}, {"MixLayoutParams": {"MixLayoutMode": 1}}, {"SubscribeStreamUserIds": lists}):
        truth = run(state, "GET", "truth", {"recording_id": recording_id})
        seen.append((truth["layout"], truth["subscriptions"]))
        ask({**values, **change}, of=state, action="ModifyCloudRecording")
    assert seen == [({"MixLayoutMode": 3}, lists), (None, None), ({"MixLayoutMode": 1}, None)]
    assert "TaskId" in ask(values, of=state, action="DeleteCloudRecording")
    for action in ("ModifyCloudRecording", "DeleteCloudRecording"):
        assert ask(values, of=state, action=action)["Error"]["Code"] == "ResourceNotFound"
    assert run(state, "GET", "truth", {"recording_id": recording_id})["modifications"] == 3


def test_requests_are_logged_with_their_id_and_without_secrets(create):
    state = with_settings()
    made = create(state, PrivateMapKey="private", **storage("AKstorage", "SKstorage"))
    (logged,) = run(state, "GET", "state", {"requests": "1"})["requests"]
    assert logged["request_id"] == made["RequestId"]
    assert not {"private", "AKstorage", "SKstorage"} & set(json.dumps(logged).replace('"', " ").split())
