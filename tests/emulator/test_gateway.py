"""What the gateway decides before an action runs, without sockets."""

from __future__ import annotations

import contextlib
import json
import re
import time

import pytest

from airflow_trtc.emulator import DEFAULT_DENIED_SECRET_ID, DEFAULT_DENIED_SECRET_KEY, ControlError
from airflow_trtc.emulator.clock import Clock
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.gateway import MAX_BODY_BYTES, respond
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.signature import Request
from airflow_trtc.emulator.state import State
from airflow_trtc.emulator.throttle import RateLimiter

APP = 1400000001
UNKNOWN = {"SdkAppId": APP, "TaskId": "x"}


def code_of(answer):
    return answer["Error"]["Code"]


@pytest.mark.parametrize(
    "options,code",
    [
        ({}, "ResourceNotFound"),
        ({"key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"at": time.time() - 3600}, "AuthFailure.SignatureExpire"),
        ({"at": time.time() + 3600}, "AuthFailure.SignatureExpire"),
        ({"token": "t"}, "AuthFailure.TokenFailure"),
        ({"version": "2018-01-01"}, "NoSuchVersion"),
        ({"version": None}, "MissingParameter"),
        ({"timestamp": None}, "MissingParameter"),
        ({"timestamp": "now"}, "InvalidParameter"),
        ({"region": None}, "MissingParameter"),
        ({"region": "eu-frankfurt"}, "UnsupportedRegion"),
        ({"region": "eu-moon"}, "InvalidParameterValue"),
        ({"region": "ap-mumbai"}, "ResourceNotFound"),
        ({"action": "DescribeSomething"}, "InvalidAction"),
        ({"action": None}, "MissingParameter"),
        ({"body": b"{"}, "InvalidParameter"),
        ({"body": b"[]"}, "InvalidParameter"),
    ],
)
def test_common_errors(ask, options, code):
    assert code_of(ask(UNKNOWN, **options)) == code


def test_create_is_not_offered_in_mumbai(ask, create_values):
    answer = ask(create_values, action="CreateCloudRecording", region="ap-mumbai")
    assert code_of(answer) == "UnsupportedRegion"


def test_unsigned_requests_are_refused(state, sign):
    request = sign(UNKNOWN)
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    answer = json.loads(respond(state, Request("POST", "", headers, request.body)).body)["Response"]
    assert code_of(answer) == "AuthFailure.InvalidAuthorization"


def test_a_body_changed_on_the_way_is_refused(state, sign):
    request = sign(UNKNOWN)
    answer = json.loads(respond(state, Request("POST", "", request.headers, request.body + b" ")).body)
    assert code_of(answer["Response"]) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("token,code", [("right", "ResourceNotFound"), ("wrong", None), (None, None)])
def test_temporary_keys_need_their_token(ask, token, code):
    state = State(Settings(token="right"))
    assert code_of(ask(UNKNOWN, of=state, token=token)) == (code or "AuthFailure.TokenFailure")


def test_a_service_whose_clock_is_ahead_finds_requests_too_old(ask):
    state = State(Settings(clock_skew_seconds=3600))
    assert code_of(ask(UNKNOWN, of=state)) == "AuthFailure.SignatureExpire"


def test_the_clock_of_the_service_can_be_set_and_is_right_again_after_a_reset(ask, state):
    run(state, "POST", "skew", {"seconds": -299})
    assert code_of(ask(UNKNOWN)) == "ResourceNotFound"
    run(state, "POST", "skew", {"seconds": -302})
    assert code_of(ask(UNKNOWN)) == "AuthFailure.SignatureExpire"
    state.reset()
    assert code_of(ask(UNKNOWN)) == "ResourceNotFound"


@pytest.mark.parametrize("seconds", ["60", None, True, float("nan")])
def test_the_clock_is_set_by_a_number(state, seconds):
    with pytest.raises(ControlError, match="seconds must be a number"):
        run(state, "POST", "skew", {"seconds": seconds})


def test_every_poll_is_remembered_with_what_became_of_its_answer(ask, state):
    recording_id = run(state, "POST", "seed", {"files": 2})["recording_id"]
    values = {"SdkAppId": APP, "TaskId": recording_id}
    for fault in (None, "broken_json", "html", "throttle", "slow"):
        if fault:
            run(state, "POST", "faults", {"kind": fault, "count": 1, "delay_seconds": 7})
        respond_to(ask, values)
    polls = run(state, "GET", "truth", {"recording_id": recording_id})["polls"]
    logged = [tuple(poll[name] for name in list(poll)[1:]) for poll in polls]
    assert logged == [
        ("OK", "InProgress", 2, None, 0.0),
        ("OK", "InProgress", 2, "broken_json", 0.0),
        ("fault:html", None, 0, "html", 0.0),
        ("RequestLimitExceeded", None, 0, "throttle", 0.0),
        ("OK", "InProgress", 2, None, 7),
    ]


def respond_to(ask, values):
    """Ask, whatever the answer looks like."""
    with contextlib.suppress(ValueError, AssertionError):
        ask(values)


def test_the_denied_account_may_do_nothing(ask):
    state = State(Settings(secret_id="other", denied_secret_id=DEFAULT_DENIED_SECRET_ID))
    assert code_of(ask(UNKNOWN, of=state)) == "AuthFailure.SecretIdNotFound"
    denied = State(
        Settings(
            denied_secret_id=Settings.secret_id,
            secret_id="other",
            denied_secret_key=DEFAULT_DENIED_SECRET_KEY,
        )
    )
    assert (
        code_of(ask(UNKNOWN, of=denied, key=DEFAULT_DENIED_SECRET_KEY)) == "AuthFailure.UnauthorizedOperation"
    )


@pytest.mark.parametrize("language,expected", [("en-US", "The task does not exist."), (None, "任务不存在。")])
def test_messages_are_chinese_unless_asked_otherwise(ask, language, expected):
    assert ask(UNKNOWN, language=language)["Error"]["Message"] == expected


def test_every_answer_has_a_request_id_of_its_own(ask):
    ids = {ask(UNKNOWN)["RequestId"] for _ in range(3)}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)


def test_the_code_for_what_is_gone_can_be_chosen(ask):
    state = State(Settings(absent_code="FailedOperation.TaskNotExist"))
    assert code_of(ask(UNKNOWN, of=state)) == "FailedOperation.TaskNotExist"


@pytest.mark.parametrize("limit,times,excesses", [(2, 4, [0, 0, 3, 4]), (0, 3, [0, 0, 0])])
def test_the_limiter_counts_within_a_second(limit, times, excesses):
    limiter = RateLimiter(limit)
    assert [limiter.excess(("id", "A"), 100.0 + 0.1 * number) for number in range(times)] == excesses
    assert limiter.excess(("id", "B"), 100.3) == 0
    assert limiter.excess(("id", "A"), 101.0) == 0


def test_the_limit_is_per_action(ask, create_values):
    state = State(Settings(rate_limit=2), ticks=lambda: 50.0)
    codes = [code_of(ask(UNKNOWN, of=state)) for _ in range(3)]
    assert codes == ["ResourceNotFound"] * 2 + ["RequestLimitExceeded"]
    assert code_of(ask(UNKNOWN, of=state, action="DeleteCloudRecording")) == "ResourceNotFound"
    assert state.throttled == 1


@pytest.mark.parametrize(
    "form,expected", [("list", {"StorageFileList": []}), ("null", {"StorageFileList": None}), ("absent", {})]
)
def test_the_form_of_an_empty_list(ask, create_values, form, expected):
    state = State(Settings(empty_file_list=form, new_recordings={"idle_seconds": 60}))
    task_id = ask(create_values, of=state, action="CreateCloudRecording")["TaskId"]
    answer = ask({"SdkAppId": APP, "TaskId": task_id}, of=state)
    del answer["RequestId"]
    assert answer == {"TaskId": task_id, "Status": "Idle", **expected}


def test_the_concurrency_limit_counts_running_recordings_only(ask, create_values, robot):
    state = State(Settings(concurrency_limit=2, time_scale=0))

    def create(name):
        return ask({**create_values, **robot(name)}, of=state, action="CreateCloudRecording")

    first = create("r1")["TaskId"]
    create("r2")
    assert code_of(create("r3")) == "FailedOperation.RestrictedConcurrency"
    ask({"SdkAppId": APP, "TaskId": first}, of=state, action="DeleteCloudRecording")
    assert "TaskId" in create("r3")


@pytest.mark.parametrize(
    "changes,is_kicked",
    [
        ({}, True),
        ({"UserId": "r2"}, False),
        ({"RoomId": "9"}, False),
        ({"RoomIdType": 0}, False),
        ({"RoomIdType": 1}, True),
    ],
)
def test_the_same_robot_in_the_same_room_ends_its_first_recording(
    ask, state, create_values, robot, changes, is_kicked
):
    first = ask(create_values, action="CreateCloudRecording")["TaskId"]
    second = {**create_values, **changes}
    assert "TaskId" in ask({**second, **robot(second["UserId"])}, action="CreateCloudRecording")
    assert (state.recordings[first].end_reason == "replaced") is is_kicked


def test_modify_overwrites_what_is_not_given(ask, state, create_values):
    layout = {"MixLayoutMode": 3}
    mixed = {**create_values, "RecordParams": {"RecordMode": 2}, "MixLayoutParams": layout}
    task_id = ask(mixed, action="CreateCloudRecording")["TaskId"]
    recording = state.recordings[task_id]
    assert recording.layout == layout
    lists = {"SubscribeAudioUserIds": ["a"]}
    ask(
        {"SdkAppId": APP, "TaskId": task_id, "SubscribeStreamUserIds": lists},
        action="ModifyCloudRecording",
    )
    assert (recording.layout, recording.subscriptions, recording.modifications) == (None, lists, 1)


def test_what_create_asked_for_shows_in_the_names(ask, create_values):
    values = {**create_values, "RoomId": "lobby", "RoomIdType": 0}
    values["RecordParams"] = {"RecordMode": 1, "StreamType": 1}
    task_id = ask(values, action="CreateCloudRecording")["TaskId"]
    (file,) = ask({"SdkAppId": APP, "TaskId": task_id})["StorageFileList"]
    assert file["FileName"] == f"{APP}_bG9iYnk.__UserId_s_YW5jaG9yXzE.__UserId_e_main_audio.m3u8"
    assert (file["UserId"], file["TrackType"]) == ("anchor_1", "audio")


@pytest.mark.parametrize(
    "params, storage, expected",
    [
        ({"MaxIdleTime": 7}, None, {"max_idle_seconds": 7}),
        ({}, None, {"max_idle_seconds": 30, "media_id": 0}),
        (
            {"MediaId": 2, "AvMerge": 1, "OutputFormat": 4},
            None,
            {"media_id": 2, "av_merge": 1, "output_format": 4},
        ),
        (
            {},
            {"CloudVod": {"TencentVod": {"MediaType": 3, "UserDefineRecordId": "mine"}}},
            {"storage": "vod", "vod_media_type": 3, "user_define_record_id": "mine"},
        ),
    ],
)
def test_what_create_asked_for_is_kept(ask, state, create_values, params, storage, expected):
    create_values["RecordParams"].update(params)
    values = {**create_values, "StorageParams": storage or create_values["StorageParams"]}
    recording = state.recordings[ask(values, action="CreateCloudRecording")["TaskId"]]
    kept = {**vars(recording.recipe), **vars(recording.plan)}
    assert {name: kept[name] for name in expected} == expected


def test_options_for_new_recordings(ask, create_values):
    state = State(Settings(new_recordings={"files": 9, "file_every_seconds": 5, "max_idle_seconds": 60}))
    create_values["RecordParams"] = {"RecordMode": 2, "MaxIdleTime": 7}
    recording = state.recordings[ask(create_values, of=state, action="CreateCloudRecording")["TaskId"]]
    assert len(recording.planned_files) == 4
    assert (recording.plan.file_every_seconds, recording.plan.max_idle_seconds) == (5, 60)


def test_modify_checks_its_lists(ask):
    lists = {"SubscribeVideoUserIds": ["a"], "UnSubscribeVideoUserIds": ["b"]}
    answer = ask({**UNKNOWN, "SubscribeStreamUserIds": lists}, action="ModifyCloudRecording")
    assert code_of(answer) == "InvalidParameter.OutOfRange"


def test_the_recorder_key_is_answered(ask, state):
    (rid,) = run(state, "POST", "seed", {"recordings": [{"recorder_key": "key-1"}]})["recording_ids"]
    assert ask({"SdkAppId": APP, "TaskId": rid, "RecorderKey": "key-1"})["RecorderKey"] == "key-1"


def test_one_fault_at_a_time_but_slowness_adds_up(ask, state):
    for fault in ({"kind": "error", "code": "X", "count": 1}, {"kind": "truncated", "count": 1}):
        run(state, "POST", "faults", fault)
    run(state, "POST", "faults", {"kind": "slow", "delay_seconds": 2, "count": 1})
    assert code_of(ask(UNKNOWN)) == "X"
    (left,) = state.faults.active(state.ticks())
    assert left.kind == "truncated"


def test_bodies_have_a_limit(ask):
    body = b'{"SdkAppId": "' + b"x" * MAX_BODY_BYTES + b'"}'
    assert code_of(ask(None, body=body)) == "RequestSizeLimitExceeded"


@pytest.mark.parametrize("scale, expected", [(1, 10), (60, 600), (0, 0)])
def test_the_clock_runs_as_fast_as_set(scale, expected):
    ticks = iter([5.0, 15.0, 15.0])
    clock = Clock(scale, epoch=lambda: 1000.0, ticks=lambda: next(ticks))
    assert clock.now() == 1000 + expected
    assert clock.advance(7) == 1007 + expected


def test_queries_end_with_the_resource_but_the_recording_goes_on(ask, state, create_values):
    task_id = ask({**create_values, "ResourceExpiredHour": 6}, action="CreateCloudRecording")["TaskId"]
    state.clock.advance(6 * 3600)
    for action in ("DescribeCloudRecording", "ModifyCloudRecording", "DeleteCloudRecording"):
        assert code_of(ask({"SdkAppId": APP, "TaskId": task_id}, action=action)) == "ResourceNotFound"
    assert state.recordings[task_id].is_running


def test_another_application_of_the_account_does_not_see_the_recording(ask, create_values):
    state = State(Settings(more_sdk_app_ids=(1400000009,)))
    task_id = ask(create_values, of=state, action="CreateCloudRecording")["TaskId"]
    assert code_of(ask({"SdkAppId": 1400000009, "TaskId": task_id}, of=state)) == "ResourceNotFound"


@pytest.mark.parametrize(
    "options",
    [
        {"empty_file_list": "x"},
        {"list_without_hls": "x"},
        {"time_scale": -1},
        {"new_recordings": {"room_id": "1"}},
    ],
)
def test_wrong_settings_are_refused(options):
    with pytest.raises(ValueError, match=r"must be|room_id"):
        State(Settings(**options))
