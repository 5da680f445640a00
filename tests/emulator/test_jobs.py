"""Scripted jobs of any describe action: with the official SDK over real HTTP, and without sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException

from airflow_trtc.emulator import (
    DEFAULT_DENIED_SECRET_ID,
    DEFAULT_DENIED_SECRET_KEY,
    DEFAULT_FOREIGN_SDK_APP_ID,
    DEFAULT_SDK_APP_ID,
    ControlError,
    Emulator,
    EmulatorClient,
)
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State
from tests.emulator.conftest import sdk_profile

APP = DEFAULT_SDK_APP_ID
MADE_UP = "DescribeMadeUpTask"
RUNNING = {"Status": "Running"}
DONE = {"Status": "Done"}


@pytest.fixture(params=["in process", "over HTTP"])
def controls(request, emulator):
    return emulator if request.param == "in process" else EmulatorClient(emulator.url)


@pytest.fixture(params=["sync", "async"])
def call_json(request, emulator):
    """Call any action as the SDK's ``call_json`` does, with each of its clients."""

    def call(action, params, *, region="ap-guangzhou", secret_id=None, secret_key=None, **options):
        from tencentcloud.trtc.v20190722 import trtc_client, trtc_client_async

        credential = Credential(secret_id or emulator.secret_id, secret_key or emulator.secret_key)
        arguments = (credential, region, sdk_profile(emulator, **options))
        if request.param == "sync":
            return trtc_client.TrtcClient(*arguments).call_json(action, params)["Response"]

        async def run():
            async with trtc_client_async.TrtcClient(*arguments) as client:
                return (await client.call_and_deserialize(action, params))["Response"]

        return asyncio.run(run())

    return call


@pytest.fixture
def describe(call_json):
    """Ask for a job; returns the answer, or the code of the refusal."""

    def describe(job_id, *, action=MADE_UP, id_param="TaskId", app=APP, **options):
        params = {id_param: job_id} if app is None else {"SdkAppId": app, id_param: job_id}
        try:
            answer = call_json(action, params, **options)
        except TencentCloudSDKException as error:
            return error.get_code()
        assert answer.pop("RequestId")
        return answer

    return describe


def test_steps_answer_one_after_the_other_and_the_last_one_stays(emulator, describe):
    job = emulator.add_job(MADE_UP, steps=[RUNNING, {"Status": "Running", "Progress": 50, "reads": 2}, DONE])
    expected: list[Any] = [RUNNING, *[{"Status": "Running", "Progress": 50}] * 2, DONE, DONE, DONE]
    assert [describe(job) for _ in range(6)] == [{"TaskId": job, **each} for each in expected]
    assert emulator.truth(job)["reads"] == 6


def test_steps_end_by_seconds_of_the_emulators_clock(emulator, describe):
    job = emulator.add_job(MADE_UP, steps=[{**RUNNING, "seconds": 60}, {"gone": True}])
    assert describe(job)["Status"] == "Running"
    emulator.advance(59)
    assert describe(job)["Status"] == "Running"
    emulator.advance(1)
    assert [describe(job) for _ in range(2)] == ["ResourceNotFound"] * 2


def test_the_last_step_stays_even_with_limits(emulator, describe):
    job = emulator.add_job(MADE_UP, steps=[{**DONE, "reads": 1, "seconds": 1}])
    emulator.advance(100)
    assert [describe(job)["Status"] for _ in range(3)] == ["Done"] * 3


def test_errors_and_absence(emulator, call_json, describe):
    error = {"Code": "InternalError.MadeUp", "Message": "out of order"}
    job = emulator.add_job(
        MADE_UP, steps=[{"error": error}, {"error": "FailedOperation"}, {"gone": True, "reads": 1}, RUNNING]
    )
    with pytest.raises(TencentCloudSDKException) as caught:
        call_json(MADE_UP, {"TaskId": job})
    assert (caught.value.get_code(), caught.value.get_message()) == ("InternalError.MadeUp", "out of order")
    assert caught.value.get_request_id()
    assert [describe(job) for _ in range(2)] == ["FailedOperation", "ResourceNotFound"]
    assert describe(job)["Status"] == "Running"
    assert describe("no-such-job") == "ResourceNotFound"


@pytest.mark.parametrize("params", [{}, {"TaskId": ""}, {"TaskId": None}, {"Other": "x"}])
def test_the_id_is_needed(emulator, call_json, params):
    emulator.add_job(MADE_UP, steps=[RUNNING])
    with pytest.raises(TencentCloudSDKException) as caught:
        call_json(MADE_UP, params)
    assert caught.value.get_code() == "MissingParameter"


def test_an_action_is_known_when_a_job_was_added_for_it(emulator, describe):
    assert describe("x") == "InvalidAction"
    emulator.add_job(MADE_UP, steps=[RUNNING])
    assert describe("x") == "ResourceNotFound"
    emulator.reset()
    assert describe("x") == "InvalidAction"


def test_an_action_that_the_sdk_knows(emulator, caller):
    answers = [{"Status": "InProgress", "SliceStorageParams": {"Vendor": 0}}, {"gone": True}]
    job = emulator.add_job("DescribeCloudSliceTask", steps=answers)
    call = caller(emulator, "sync")
    assert call("DescribeCloudSliceTask", {"SdkAppId": APP, "TaskId": job})["Status"] == "InProgress"
    with pytest.raises(TencentCloudSDKException, match="ResourceNotFound"):
        call("DescribeCloudSliceTask", {"SdkAppId": APP, "TaskId": job})


def test_another_name_of_the_id_parameter(emulator, describe):
    job = emulator.add_job(MADE_UP, id_param="JobId", steps=[RUNNING, {"JobId": "another"}])
    assert describe(job, id_param="JobId") == {"JobId": job, **RUNNING}
    assert describe(job, id_param="JobId") == {"JobId": "another"}
    assert describe(job) == "MissingParameter"
    with pytest.raises(ControlError, match="id_param of DescribeMadeUpTask is JobId"):
        emulator.add_job(MADE_UP, steps=[RUNNING])


def test_jobs_of_one_action_are_unknown_to_another(emulator, describe):
    one = emulator.add_job(MADE_UP, steps=[RUNNING])
    other = emulator.add_job("DescribeOther", steps=[DONE])
    assert describe(one, action="DescribeOther") == describe(other) == "ResourceNotFound"
    assert describe(one, action="DescribeCloudRecording") == "ResourceNotFound"
    assert describe(other, action="DescribeOther")["Status"] == "Done"
    assert (emulator.truth(one)["reads"], emulator.truth(other)["reads"]) == (0, 1)


@pytest.mark.parametrize(
    "app, expected",
    [
        (None, "Running"),
        (APP, "Running"),
        (str(APP), "Running"),
        (5, "InvalidParameter.SdkAppId"),
        ("five", "InvalidParameter.SdkAppId"),
        ([APP], "InvalidParameter.SdkAppId"),
        (DEFAULT_FOREIGN_SDK_APP_ID, "UnauthorizedOperation.SdkAppId"),
    ],
)
def test_the_application_is_checked_where_it_is_named(emulator, describe, app, expected):
    answer = describe(emulator.add_job(MADE_UP, steps=[RUNNING]), app=app)
    assert (answer if isinstance(answer, str) else answer["Status"]) == expected


@pytest.mark.parametrize(
    "options, code",
    [
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        (
            {"secret_id": DEFAULT_DENIED_SECRET_ID, "secret_key": DEFAULT_DENIED_SECRET_KEY},
            "AuthFailure.UnauthorizedOperation",
        ),
        ({"region": ""}, "MissingParameter"),
    ],
)
def test_the_gateway_checks_it_as_any_other_call(emulator, describe, options, code):
    job = emulator.add_job(MADE_UP, steps=[RUNNING])
    assert describe(job, **options) == code
    assert emulator.truth(job)["reads"] == 0
    assert [each["code"] for each in emulator.truth(job)["polls"]] == [code]


@pytest.mark.parametrize("region", ["ap-guangzhou", "eu-frankfurt"])
def test_it_is_offered_in_every_region(emulator, describe, region):
    assert describe(emulator.add_job(MADE_UP, steps=[RUNNING]), region=region)["Status"] == "Running"


def test_the_limit_is_its_own():
    with Emulator(rate_limit=1) as emulator:
        emulator._state.ticks = lambda: 5.0
        job = emulator.add_job(MADE_UP, steps=[RUNNING])
        other = emulator.add_job("DescribeOther", steps=[RUNNING])
        client = _sync_client(emulator)
        client.call_json(MADE_UP, {"TaskId": job})
        with pytest.raises(TencentCloudSDKException, match="RequestLimitExceeded"):
            client.call_json(MADE_UP, {"TaskId": job})
        client.call_json("DescribeOther", {"TaskId": other})
        state = emulator.state(requests=True)
        assert (state["throttled"], emulator.truth(job)["reads"]) == (1, 1)
        assert [(each["action"], each["job_id"], each["code"]) for each in state["requests"]] == [
            (MADE_UP, job, "OK"),
            (MADE_UP, job, "RequestLimitExceeded"),
            ("DescribeOther", other, "OK"),
        ]
        assert state["counters"][MADE_UP] == {"OK": 1, "RequestLimitExceeded": 1}


def _sync_client(emulator):
    from tencentcloud.trtc.v20190722.trtc_client import TrtcClient

    credential = Credential(emulator.secret_id, emulator.secret_key)
    return TrtcClient(credential, "ap-guangzhou", sdk_profile(emulator))


def test_faults_can_be_aimed_at_jobs_and_their_actions(emulator, describe):
    one = emulator.add_job(MADE_UP, id_param="JobId", steps=[RUNNING])
    other = emulator.add_job(MADE_UP, id_param="JobId", steps=[RUNNING])
    emulator.fault("error", code="FailedOperation.Aimed", job_id=one, count=1)
    assert describe(other, id_param="JobId")["Status"] == "Running"
    assert describe(one, id_param="JobId") == "FailedOperation.Aimed"
    emulator.fault("throttle", action=MADE_UP, count=1)
    assert describe(emulator.new_recording_id(), action="DescribeCloudRecording") == "ResourceNotFound"
    assert describe(one, id_param="JobId") == "RequestLimitExceeded"
    polls = emulator.truth(one)["polls"]
    assert [(poll["code"], poll["fault"]) for poll in polls] == [
        ("FailedOperation.Aimed", "error"),
        ("RequestLimitExceeded", "throttle"),
    ]


def test_a_step_may_spoil_its_answer(emulator):
    job = emulator.add_job(MADE_UP, steps=[{**RUNNING, "fault": "http"}, DONE])
    client = _sync_client(emulator)
    with pytest.raises(TencentCloudSDKException, match="ServerNetworkError"):
        client.call_json(MADE_UP, {"TaskId": job})
    assert client.call_json(MADE_UP, {"TaskId": job})["Response"]["Status"] == "Done"
    assert [poll["fault"] for poll in emulator.truth(job)["polls"]] == ["http", None]


def test_a_query_by_get(emulator, describe):
    job = emulator.add_job(MADE_UP, steps=[RUNNING], job_id="a+b-c..")
    assert describe(job, method="GET")["TaskId"] == "a+b-c.."


def test_the_steps_can_be_replaced(emulator, describe):
    job = emulator.add_job(MADE_UP, steps=[RUNNING])
    emulator.script(job, [{"Status": "Paused"}, DONE])
    assert [describe(job)["Status"] for _ in range(3)] == ["Paused", "Done", "Done"]
    with pytest.raises(ControlError, match="at least one"):
        emulator.script(job, [])


def test_the_truth_of_a_job(controls, describe):
    job = controls.add_job(MADE_UP, steps=[{**RUNNING, "reads": 2}, {"Status": "Done", "Files": ["a"]}])
    describe(job)
    truth = controls.truth(job)
    assert controls.state()["jobs"] == {job: truth}
    (poll,) = truth.pop("polls")
    assert truth.pop("created_at") == pytest.approx(poll["at"])
    assert truth == {
        "job_id": job, "action": MADE_UP, "id_param": "TaskId", "sdk_app_id": APP, "reads": 1,
        "step": {"answer": RUNNING, "reads": 2}, "steps_left": 1,
    }  # fmt: skip
    assert (poll["code"], poll["status"], poll["fault"]) == ("OK", "Running", None)


def test_ids_are_fresh_and_used_once(controls):
    ids = {controls.add_job(MADE_UP, steps=[RUNNING]) for _ in range(3)}
    assert len(ids) == 3
    recording = controls.add_recording(recording_id="mine")
    for taken in (recording, ids.pop()):
        with pytest.raises(ControlError, match="already"):
            controls.add_job(MADE_UP, steps=[RUNNING], job_id=taken)
    with pytest.raises(ControlError, match="already"):
        controls.add_recording(recording_id=ids.pop())


def test_several_jobs_in_one_request(emulator):
    jobs = [{"action": MADE_UP, "steps": [RUNNING]}, {"action": "DescribeOther", "steps": [DONE]}]
    ids = run(emulator._state, "POST", "jobs", {"jobs": jobs})["job_ids"]
    assert list(emulator.state()["jobs"]) == ids


@pytest.mark.parametrize(
    "options, text",
    [
        ({"steps": []}, "at least one"),
        ({"steps": [{"status": "Running"}]}, "unknown option status"),
        ({"steps": [{"answer": {}}]}, "unknown option answer"),
        ({"steps": [{"reads": -1}, DONE]}, "reads"),
        ({"steps": [{"seconds": float("inf")}, DONE]}, "seconds must be a number"),
        ({"steps": [{"fault": "gremlins"}]}, "fault must be"),
        ({"steps": [{"error": {"Message": "no code"}}]}, "error must be"),
        ({"steps": [{"error": {"Code": "X", "Reason": "y"}}]}, "Code and Message"),
        ({"steps": [{"error": 5}]}, "error must be"),
        ({"steps": [{"Status": float("nan")}]}, "Status must be a number that JSON knows"),
        ({"steps": [{"Status": "\ud800"}]}, "surrogate"),
        ({"steps": [RUNNING], "action": "no name"}, "action must be"),
        ({"steps": [RUNNING], "action": "DescribeCloudRecording"}, "add_recording"),
        ({"steps": [RUNNING], "id_param": ""}, "id_param must be"),
        ({"steps": [RUNNING], "sdk_app_id": "x"}, "sdk_app_id"),
        ({"steps": [RUNNING], "job_id": 5}, "job_id"),
        ({"steps": [RUNNING], "region": "x"}, "unknown option region"),
        ({}, "steps"),
    ],
)
def test_wrong_jobs_say_why(options, text):
    state = State(Settings(time_scale=0))
    with pytest.raises(ControlError, match=text):
        run(state, "POST", "jobs", {"action": MADE_UP, **options})
    assert (state.jobs, state.job_actions) == ({}, {})


def test_what_the_caller_does_with_its_steps_later_changes_nothing(state, ask):
    step: dict[str, Any] = {"Status": "Running", "Files": ["a"]}
    run(state, "POST", "jobs", {"action": MADE_UP, "job_id": "j", "steps": [step]})
    step["Files"].append("b")
    assert ask({"TaskId": "j"}, action=MADE_UP)["Files"] == ["a"]


def test_an_id_that_is_no_text_is_refused(state, ask):
    run(state, "POST", "jobs", {"action": MADE_UP, "steps": [RUNNING]})
    assert ask({"TaskId": ["x"]}, action=MADE_UP)["Error"]["Code"] == "InvalidParameter"
