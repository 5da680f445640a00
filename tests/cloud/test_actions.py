"""The table of actions and the SDK's module tell the same, and so does the vendor's command line tool."""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from tencentcloud.trtc.v20190722 import models, trtc_client

from airflow_trtc.cloud.actions import ACTIONS, action_of, effect_of
from airflow_trtc.cloud.nested import REQUIRED_INSIDE
from airflow_trtc.cloud.parameters import _types, _types_of
from airflow_trtc.errors import TrtcSetupError

METHODS = inspect.getmembers(trtc_client.TrtcClient, inspect.isfunction)
IN_SDK = {name for name, _ in METHODS if name[0].isupper()}
NOT_IN_SDK = {"SetUserBlocked", "SetUserBlockedByStrRoomId"}
# The model says that TaskId is required; its text, that it is empty beside a SessionId.
DIFFERENT = {"DescribeAITranscription"}


def test_every_action_of_the_sdk_is_there_and_the_two_that_it_lacks() -> None:
    assert set(ACTIONS) == IN_SDK | NOT_IN_SDK
    assert len(IN_SDK) == 86
    assert {name for name, row in ACTIONS.items() if row.own_types} == NOT_IN_SDK
    assert all(name == row.name for name, row in ACTIONS.items())


@pytest.mark.parametrize("name", ACTIONS)
def test_every_name_in_a_row_is_one_of_the_action_s_parameters(name: str) -> None:
    row = ACTIONS[name]
    types = _types(row)
    named = {*row.required, *row.limits, *(each for one in row.alternatives for each in one)}
    assert named | {row.app_param, row.key_param} - {""} <= set(types)
    spelt = [each for each in types if each.lower() == "sdkappid"]
    assert spelt == ([row.app_param] if row.app_param else [])
    if row.app_param:
        assert types[row.app_param].kind == ("str" if row.app_as_text else "int")
    if row.find_action:
        assert {row.key_param, "TaskId"} <= set(_types(ACTIONS[row.find_action]))
    if row.id_field:
        assert row.id_field in _types_of(getattr(models, f"{name}Response"))


def test_every_parameter_of_every_action_has_a_type_and_numbers_are_limited_as_numbers() -> None:
    for row in ACTIONS.values():
        for name, wanted in _types(row).items():
            assert wanted.kind is not None, (row.name, name)
        for name, limit in row.limits.items():
            if limit.low is not None or limit.high is not None:
                assert _types(row)[name].kind == "int"
            if limit.most is not None:
                assert _types(row)[name].kind == "str" or _types(row)[name].in_list


def vendors_model() -> dict[str, Any]:
    found = importlib.util.find_spec("tccli")
    if found is None or found.origin is None:
        pytest.skip("tccli is not installed")
    path = Path(found.origin).parent / "services" / "trtc" / "v20190722" / "api.json"
    model: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return model


def required_of(members: list[dict[str, Any]]) -> set[str]:
    return {one["name"] for one in members if one.get("required")}


def test_what_is_required_is_what_the_vendor_s_command_line_tool_requires() -> None:
    model = vendors_model()
    objects = model["objects"]
    for name in model["actions"]:
        if name not in DIFFERENT:
            assert set(ACTIONS[name].required) == required_of(objects[f"{name}Request"]["members"]), name
    for name, required in REQUIRED_INSIDE.items():
        assert set(required) == required_of(objects[name]["members"]), name


def test_no_object_that_requires_something_was_forgotten() -> None:
    objects = vendors_model()["objects"]
    seen: set[str] = set()
    todo = [f"{name}Request" for name in IN_SDK]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += [each["member"] for each in objects[one]["members"] if each["member"] in objects]
    requiring = {one for one in seen if required_of(objects[one]["members"]) and not one.endswith("Request")}
    assert requiring == set(REQUIRED_INSIDE)


@pytest.mark.parametrize(
    "action, effect",
    [
        ("DescribeCloudRecording", "read"),
        ("GetRecognizeVocabV3", "read"),
        ("DownloadRecognizeVocabV3", "read"),
        ("StopWebRecord", "idempotent"),
        ("SetUserBlocked", "idempotent"),
        ("RemoveUser", "idempotent"),
        ("UpdatePublishCdnStream", "idempotent"),
        ("CreateCloudRecording", "create"),
        ("ControlAIConversation", "create"),
        ("TextToSpeech", "create"),
        ("NewActionOfTomorrow", "create"),
    ],
)
def test_the_effect_is_that_of_the_row_and_create_when_in_doubt(action: str, effect: str) -> None:
    assert effect_of(action) == effect


def test_effects_agree_with_the_verbs() -> None:
    verbs = {"Describe": "read", "Get": "read", "Start": "create", "Create": "create", "Stop": "idempotent"}
    verbs |= {"Delete": "idempotent", "Modify": "idempotent", "Dismiss": "idempotent", "Register": "create"}
    for name, row in ACTIONS.items():
        for verb, effect in verbs.items():
            if name.startswith(verb):
                assert row.effect == effect, name


def test_what_is_filled_in_later_is_not_missed() -> None:
    row = action_of("DescribeWebRecord")
    assert row.missing({"RecordId": "x"}, ["SdkAppId"]) == ()
    assert row.missing({"RecordId": "", "SdkAppId": 1}) == ("TaskId, or SdkAppId and RecordId",)
    assert action_of("DismissRoom").missing({}, ["SdkAppId"]) == ("RoomId",)


@pytest.mark.parametrize("name", [None, 7, "", "x" * 10_000, "DescribeCloudRecordin"])
def test_an_unknown_action_is_an_error_of_ours_whatever_it_is(name: Any) -> None:
    with pytest.raises(TrtcSetupError, match="There is no action") as caught:
        action_of(name)
    assert ("did you mean 'DescribeCloudRecording'?" in str(caught.value)) == (
        name == "DescribeCloudRecordin"
    )
    assert len(str(caught.value)) < 500
