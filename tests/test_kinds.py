"""The table of kinds against the SDK's models, the table of actions, and the emulator."""

from __future__ import annotations

from typing import Any

import pytest
from tencentcloud.trtc.v20190722 import models

from airflow_trtc.cloud import calls
from airflow_trtc.cloud.actions import ACTIONS
from airflow_trtc.emulator.natures import NATURES
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import KINDS

APP = 1400000001
POLLED = {name: kind for name, kind in KINDS.items() if kind.describe_action}
kinds = pytest.mark.parametrize("kind", POLLED.values(), ids=POLLED)
started = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.starts], ids=lambda kind: kind.name
)


def fields(name: str) -> set[str]:
    model = getattr(models, name)
    return {each for each, value in vars(model).items() if isinstance(value, property)}


def inner(name: str, field: str) -> set[str]:
    """The fields of an object inside a request."""
    probe: Any = getattr(models, name)()
    probe._deserialize({field: {}})
    return fields(type(getattr(probe, f"_{field}")).__name__)


@kinds
def test_each_name_is_one_of_the_sdk(kind: JobKind) -> None:
    asked = fields(f"{kind.describe_action}Request")
    assert {kind.id_param, *([kind.app_param] if kind.app_param else [])} <= asked
    assert {kind.status_param, *kind.details} <= fields(f"{kind.describe_action}Response")
    if kind.key_param:
        assert {kind.key_param, "SdkAppId"} <= asked
        assert kind.key_param in fields(f"{kind.start_action}Request")
    if kind.can_stop:
        stopped = fields(f"{kind.stop_action}Request")
        assert kind.id_param in stopped
        assert bool(kind.app_param) is ("SdkAppId" in stopped)
    assert "SdkAppId" in fields(f"{kind.start_action}Request")


@started
def test_what_is_filled_in_is_there(kind: JobKind) -> None:
    form, start = kind.starts, f"{kind.start_action}Request"
    assert form is not None
    given = fields(start)
    assert (form.numeric_room is not None) is ("RoomId" in given)
    assert form.takes_map_key is ("PrivateMapKey" in given)
    if form.robot is not None:
        assert {"UserId", "UserSig"} <= (inner(start, form.robot) if form.robot else given)
    if form.storage is not None:
        param, bucket = form.storage
        assert bucket in inner(start, param)
        assert form.takes_vod is ("CloudVod" in inner(start, param))
        assert form.needs_storage is (param in ACTIONS[kind.start_action].required)


@kinds
def test_the_table_of_actions_says_the_same(kind: JobKind) -> None:
    start = ACTIONS[kind.start_action]
    assert start.effect == "create"
    assert start.key_param == kind.key_param
    assert start.id_field == kind.id_param
    assert ACTIONS[kind.describe_action].effect == "read"
    assert not kind.can_stop or ACTIONS[kind.stop_action].effect == "idempotent"


@started
def test_the_emulator_says_the_same(kind: JobKind) -> None:
    nature, form = NATURES[kind.name], kind.starts
    assert form is not None
    assert (nature.start, nature.describe, nature.stop) == (
        kind.start_action,
        kind.describe_action,
        kind.stop_action,
    )
    assert (nature.robot_path, nature.numeric_room) == (form.robot, form.numeric_room)
    assert (nature.key_param, nature.storage) == (kind.key_param, form.storage)
    assert (nature.second_start == "replaces") is form.replaces
    assert kind.groups == (frozenset() if nature.group is None else {nature.group})


def test_kinds_that_share_a_group_of_callbacks() -> None:
    shared = {group: [each.name for each in KINDS.values() if group in each.groups] for group in (9, 11)}
    assert shared == {9: ["ai_transcription", "ai_conversation"], 11: ["moderation", "live_moderation"]}


# -- calls ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, job_id, params",
    [
        ("slicing", "jid", {"SdkAppId": APP, "TaskId": "jid"}),
        ("speech", "jid", {"TaskId": "jid"}),
        ("web_recording", "jid", {"TaskId": "jid"}),
        ("web_recording", "RecordId=lesson", {"SdkAppId": APP, "RecordId": "lesson"}),
        ("ai_transcription", "SessionId=s", {"SdkAppId": APP, "TaskId": "", "SessionId": "s"}),
        ("ai_conversation", "SessionId=s", {"SdkAppId": APP, "SessionId": "s"}),
    ],
)
def test_a_job_is_asked_for_by_its_id_or_by_its_name(name: str, job_id: str, params: dict[str, Any]) -> None:
    call = calls.describe(KINDS[name], JobRef(name, APP, "r", job_id))
    assert (call.action, call.params, call.effect) == (KINDS[name].describe_action, params, "read")


def test_a_job_is_found_by_its_name() -> None:
    call = calls.find(KINDS["web_recording"], APP, "lesson")
    assert call.read({"Status": 1, "TaskId": "jid"}) == "jid"
    with pytest.raises(ValueError, match="names no job"):
        call.read({"Status": 1})
    with pytest.raises(ValueError, match="another job"):
        call.read({"Status": 1, "TaskId": "jid", "RecordId": "other"})


def test_what_cannot_be_stopped_says_so() -> None:
    with pytest.raises(TrtcSetupError, match="no call that stops a text to speech"):
        calls.stop(KINDS["speech"], JobRef("speech", APP, "r", "jid"))
    with pytest.raises(
        TrtcSetupError, match="StopWebRecord takes the TaskId, which DescribeWebRecord answers"
    ):
        calls.stop(KINDS["web_recording"], JobRef("web_recording", APP, "r", "RecordId=lesson"))
    assert calls.stop(KINDS["ai_transcription"], JobRef("ai_transcription", APP, "r", "j")).params == {
        "TaskId": "j"
    }
