"""Misspelt actions and parameters are found before anything is sent."""

import contextlib
import subprocess
import sys
from typing import Any

import pytest

from airflow_trtc.cloud.parameters import check, with_app_id
from airflow_trtc.errors import TrtcSetupError

CREATE = {
    "RoomId": "r",
    "RecordParams": {"RecordMode": 1, "SubscribeStreamUserIds": {"SubscribeAudioUserIds": ["a"]}},
    "StorageParams": {"CloudStorage": {"Vendor": 0, "FileNamePrefix": ["a"]}},
    "MixLayoutParams": {"MixLayoutMode": 4, "MixLayoutList": [{"Top": 1}, {"Left": 2}]},
}


@pytest.mark.parametrize(
    "action, params",
    [
        ("CreateCloudRecording", CREATE),
        ("DescribeCloudRecording", {"SdkAppId": 1, "TaskId": "x", "RecorderKey": None}),
        ("SetUserBlocked", {"SdkAppId": 1, "RoomId": 2, "UserId": "u", "IsMute": 1}),
        ("DescribeTrtcRoomUsage", {"SdkAppid": 1}),
        ("CreateAudioModerationSync", {"Sdkappid": 1}),
    ],
)
def test_right_names_pass(action, params):
    check(action, params)


@pytest.mark.parametrize(
    "params, path, right",
    [
        ({"SdkAppID": 1}, "'SdkAppID'", "'SdkAppId'"),
        ({"Taskid": "x"}, "'Taskid'", "'TaskId'"),
        ({"RecordParams": {"MaxIdletime": 1}}, "'RecordParams.MaxIdletime'", "'MaxIdleTime'"),
        (
            {"StorageParams": {"CloudStorage": {"Buket": "b"}}},
            "'StorageParams.CloudStorage.Buket'",
            "'Bucket'",
        ),
        (
            {"MixLayoutParams": {"MixLayoutList": [{"Top": 1}, {"Lfet": 1}]}},
            "'MixLayoutParams.MixLayoutList[1].Lfet'",
            "'Left'",
        ),
    ],
)
def test_a_misspelt_name_is_named_with_its_path_and_the_right_one(params, path, right):
    action = "DescribeCloudRecording" if "Taskid" in params else "CreateCloudRecording"
    with pytest.raises(TrtcSetupError) as caught:
        check(action, params)
    assert path in str(caught.value)
    assert f"did you mean {right}?" in str(caught.value)


@pytest.mark.parametrize(
    "params, words",
    [
        ({"StorageParams": [{"CloudStorage": {}}]}, "'StorageParams' .* must be an object, not list"),
        ({"StorageParams": "text"}, "'StorageParams' .* must be an object, not str"),
        ({"StorageParams": {"CloudStorage": []}}, "'StorageParams.CloudStorage' .* an object, not list"),
        ({"MixLayoutParams": {"MixLayoutList": {"Top": 1}}}, "MixLayoutList' .* a list of objects, not dict"),
        ({"MixLayoutParams": {"MixLayoutList": [1]}}, r"MixLayoutList\[0\]' .* an object, not int"),
    ],
)
def test_a_wrong_type_is_named_with_its_path(params, words):
    with pytest.raises(TrtcSetupError, match=words):
        check("CreateCloudRecording", params)


@pytest.mark.parametrize("params", [None, "text", [("SdkAppId", 1)]])
def test_parameters_that_are_no_dictionary_are_refused(params):
    for use in (check, lambda action, given: with_app_id(action, given, 1)):
        with pytest.raises(TrtcSetupError, match="dictionary"):
            use("CreateCloudRecording", params)


def test_every_parameter_of_every_action_takes_a_wrong_type_without_a_crash():
    from airflow_trtc.cloud.parameters import _actions, _top_level

    for action in _actions():
        for name in _top_level(action):
            values: list[Any] = [[{}], {}, "x", None, [None]]
            for value in values:
                with contextlib.suppress(TrtcSetupError):
                    check(action, {name: value})


@pytest.mark.parametrize(
    "action, right",
    [
        ("DescribeCloudRecordings", "DescribeCloudRecording"),
        ("setUserBlocked", "SetUserBlocked"),
        ("Zzz", None),
    ],
)
def test_an_unknown_action_is_refused(action, right):
    with pytest.raises(TrtcSetupError, match="no action") as caught:
        check(action, {})
    assert (f"did you mean '{right}'?" in str(caught.value)) == (right is not None)


def test_an_action_that_answers_with_a_stream_is_refused():
    with pytest.raises(TrtcSetupError, match="stream"):
        check("TextToSpeechSSE", {})


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, b"x"])
def test_a_value_that_json_cannot_carry_is_refused(value):
    with pytest.raises(TrtcSetupError, match="JSON"):
        check("DescribeCloudRecording", {"TaskId": value})


@pytest.mark.parametrize(
    "action, params, filled",
    [
        ("DescribeCloudRecording", {"TaskId": "x"}, {"TaskId": "x", "SdkAppId": 7}),
        ("DescribeCloudRecording", {"SdkAppId": 8}, {"SdkAppId": 8}),
        ("DescribeTrtcUsage", {"SdkAppId": None}, {}),
        ("DescribeTrtcRoomUsage", {}, {"SdkAppid": 7}),
        ("CreateAudioModerationSync", {}, {"Sdkappid": 7}),
        ("DescribeTRTCRealTimeScaleData", {}, {"SdkAppId": "7"}),
        ("DescribeTRTCMarketScaleData", {}, {"SdkAppId": "7"}),
        ("SetUserBlocked", {}, {"SdkAppId": 7}),
        ("StopWebRecord", {"TaskId": "x"}, {"TaskId": "x"}),
    ],
)
def test_the_application_is_filled_in_as_the_action_wants_it(action, params, filled):
    assert with_app_id(action, params, 7) == filled


def test_nested_names_are_checked_without_docstrings(pytestconfig):
    """Python run with -OO has no docstrings."""
    program = (
        "from airflow_trtc.cloud.parameters import check\n"
        "try: check('CreateCloudRecording', {'RecordParams': {'Wrong': 1}})\n"
        "except Exception as error: print(error)"
    )
    command = [sys.executable, "-OO", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=pytestconfig.rootpath)
    assert "RecordParams.Wrong" in done.stdout
