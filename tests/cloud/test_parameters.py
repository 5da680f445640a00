"""Misspelt actions and parameters are found before anything is sent."""

import contextlib
import copy
import subprocess
import sys
from typing import Any

import pytest

from airflow_trtc.cloud.actions import ACTIONS
from airflow_trtc.cloud.parameters import (
    _types,
    answer_types,
    check,
    inner_types,
    secrets_in,
    typed,
    with_app_id,
)
from airflow_trtc.errors import TrtcSetupError

CREATE: dict[str, Any] = {
    "SdkAppId": 1,
    "RoomId": "r",
    "UserId": "robot",
    "UserSig": "sig",
    "RecordParams": {"RecordMode": 1, "SubscribeStreamUserIds": {"SubscribeAudioUserIds": ["a"]}},
    "StorageParams": {
        "CloudStorage": {
            "Vendor": 0,
            "Region": "ap-guangzhou",
            "Bucket": "b",
            "AccessKey": "key",
            "SecretKey": "hidden",
            "FileNamePrefix": ["a"],
        }
    },
    "MixLayoutParams": {
        "MixLayoutMode": 4,
        "MixLayoutList": [{"Top": 1, "Left": 2, "Width": 3, "Height": 4}] * 2,
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """`CREATE` with another value at a path such as ``MixLayoutParams.MixLayoutMode``."""
    made = copy.deepcopy(CREATE)
    *parents, last = path.split(".")
    inner = made
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return made


@pytest.mark.parametrize(
    "action, params",
    [
        ("CreateCloudRecording", CREATE),
        ("DescribeCloudRecording", {"SdkAppId": 1, "TaskId": "x", "RecorderKey": None}),
        ("SetUserBlocked", {"SdkAppId": 1, "RoomId": 2, "UserId": "u", "IsMute": 1}),
        ("DescribeTrtcRoomUsage", {"SdkAppid": 1, "StartTime": "a", "EndTime": "b"}),
        ("CreateAudioModerationSync", {"Sdkappid": 1, "FileUrl": "https://example.com/a.wav"}),
        ("DescribeWebRecord", {"SdkAppId": 1, "RecordId": "x"}),
        ("TextToSpeech", {"SdkAppId": 1, "Text": "x", "Voice": {"VoiceId": "v", "Speed": 1}}),
    ],
)
def test_right_parameters_pass(action, params):
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
    "path, value, words",
    [
        ("StorageParams", [{"CloudStorage": {}}], "'StorageParams' .* must be an object, not a list"),
        ("StorageParams", "text", "'StorageParams' .* must be an object, not a text"),
        ("StorageParams.CloudStorage", [], "'StorageParams.CloudStorage' .* an object, not a list"),
        ("StorageParams.CloudStorage.FileNamePrefix", "a", "FileNamePrefix' .* a list of texts, not a text"),
        ("StorageParams.CloudStorage.FileNamePrefix", [1], r"FileNamePrefix\[0\]' .* a text, not a whole"),
        ("MixLayoutParams.MixLayoutList", {"Top": 1}, "MixLayoutList' .* a list of objects, not an object"),
        ("MixLayoutParams.MixLayoutList", [1], r"MixLayoutList\[0\]' .* an object, not a whole number"),
        ("MixLayoutParams.MixLayoutMode", "4", r"MixLayoutMode' .* a whole number, not a text \('4'\)"),
        ("MixLayoutParams.MixLayoutMode", True, r"a whole number, not a boolean \(True\)"),
        ("MixLayoutParams.MixLayoutMode", 4.5, r"a whole number, not a number with a fraction \(4.5\)"),
        ("MixLayoutParams.PureAudioDisableLayout", 1, r"true or false, not a whole number \(1\)"),
        ("RoomId", 7, "'RoomId' .* must be a text, not a whole number"),
        ("UserSig", {"a": "hidden"}, "'UserSig' .* must be a text .*, not an object"),
        ("ResourceExpiredHour", "x", "Documented limit: 6 to 720 hours"),
    ],
)
def test_a_wrong_type_is_named_with_its_path_and_no_secret(path, value, words):
    with pytest.raises(TrtcSetupError, match=words) as caught:
        check("CreateCloudRecording", changed(path, value))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in CREATE if name != "MixLayoutParams"])
def test_what_is_required_is_missed(name):
    params = {**CREATE, name: None}
    with pytest.raises(TrtcSetupError, match=f"lacks {name}. It requires SdkAppId, RoomId"):
        check("CreateCloudRecording", params)


@pytest.mark.parametrize(
    "path, missing",
    [
        ("StorageParams.CloudStorage.SecretKey", "StorageParams.CloudStorage.SecretKey"),
        ("MixLayoutParams.MixLayoutList", r"MixLayoutParams.MixLayoutList\[0\].Left, .*Width"),
        ("RecordParams.RecordMode", "RecordParams.RecordMode"),
    ],
)
def test_what_is_required_inside_of_objects_is_missed(path, missing):
    value = [{"Top": 1}] if path.endswith("List") else None
    with pytest.raises(TrtcSetupError, match=f"CreateCloudRecording lacks {missing}"):
        check("CreateCloudRecording", changed(path, value))


@pytest.mark.parametrize(
    "action, params, words",
    [
        ("DescribeWebRecord", {"RecordId": "x"}, "lacks TaskId, or SdkAppId and RecordId"),
        ("DescribeAIConversation", {}, "lacks TaskId, or SdkAppId and SessionId"),
        ("CreateAudioModerationSync", {"FileContent": "x"}, "lacks FileUrl, or FileContent and FileFormat"),
    ],
)
def test_one_of_several_sets_is_enough_and_needed(action, params, words):
    with pytest.raises(TrtcSetupError, match=words):
        check(action, params)


@pytest.mark.parametrize(
    "action, params, words",
    [
        ("RemoveUser", {"RoomId": 1, "UserIds": ["u"] * 11}, "'UserIds' .* at most 10 user ids, not 11 long"),
        ("RemoveUser", {"RoomId": 0, "UserIds": ["u"]}, "'RoomId' .* must be 1 to 4.*, not 0"),
        ("DescribeRoomInfo", {"StartTime": 1, "EndTime": 2, "PageSize": 101}, "'PageSize' .* 1 to 100"),
    ],
)
def test_documented_limits_are_told(action, params, words):
    with pytest.raises(TrtcSetupError, match=words):
        check(action, {"SdkAppId": 1, **params})


@pytest.mark.parametrize(
    "path, text, value",
    [
        ("RecordParams.RecordMode", "2", 2),
        ("RecordParams.RecordMode", "two", "two"),
        ("RecordParams.SubscribeStreamUserIds", "2", "2"),
        ("MixLayoutParams.PureAudioDisableLayout", "True", True),
        ("RoomId", "7", "7"),
    ],
)
def test_texts_from_templates_become_what_the_action_wants(path, text, value):
    made = typed("CreateCloudRecording", changed(path, text), [path])
    assert made == changed(path, value)
    assert typed("CreateCloudRecording", changed(path, text), []) == changed(path, text)


def test_secrets_are_found_wherever_they_stand():
    found = {"UserSig": "a", "Deep": [{"SecretKey": "b"}], "LLMConfig": '{"APIKey": "c", "Model": "m"}'}
    assert sorted(secrets_in({**found, "TTSConfig": '{"APIKey', "Text": "{}"})) == ["a", "b", "c"]


@pytest.mark.parametrize("params", [None, "text", [("SdkAppId", 1)]])
def test_parameters_that_are_no_dictionary_are_refused(params):
    for use in (check, lambda action, given: with_app_id(action, given, 1)):
        with pytest.raises(TrtcSetupError, match="dictionary"):
            use("CreateCloudRecording", params)


def test_every_parameter_of_every_action_takes_a_wrong_type_without_a_crash():
    for action, row in ACTIONS.items():
        for name in _types(row):
            values: list[Any] = [[{}], {}, "x", None, [None], 1, True, 0.5]
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


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x"])
def test_a_value_that_is_no_json_is_of_a_wrong_type(value):
    with pytest.raises(TrtcSetupError, match="must be a text"):
        check("DescribeCloudRecording", {"TaskId": value})


def test_a_number_that_json_cannot_carry_is_refused():
    voice = {"VoiceId": "v", "Speed": float("nan")}
    with pytest.raises(TrtcSetupError, match="JSON"):
        check("TextToSpeech", {"SdkAppId": 1, "Text": "x", "Voice": voice})


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
        ("DescribeTRTCAIRecognitionUsage", {}, {"SdkAppId": "7"}),
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


def test_an_sdk_that_is_too_old_for_an_action_is_told(monkeypatch):
    from types import SimpleNamespace

    from airflow_trtc.cloud import parameters

    monkeypatch.setattr(parameters, "_models", lambda: SimpleNamespace())
    with pytest.raises(TrtcSetupError, match=r"has no VoiceClone; install 3\.1\.195 or a newer release"):
        check("VoiceClone", {})
    check("SetUserBlocked", {"SdkAppId": 1, "RoomId": 2, "UserId": "u", "IsMute": 1})


def test_the_fields_of_answers_are_known():
    fields = answer_types("DescribeRoomInfo")
    assert str(fields["RoomList"]) == "a list of objects"
    assert inner_types(fields["RoomList"])["CommId"].kind == "str"
    assert inner_types(fields["Total"]) == {}
    assert answer_types("SetUserBlocked") == {}
