"""The least that each action takes: its documented required parameters, with plausible values."""

from __future__ import annotations

import base64
from typing import Any

from airflow_trtc.cloud.action import Action
from airflow_trtc.cloud.nested import REQUIRED_INSIDE
from airflow_trtc.cloud.parameters import Type, _types, _types_of

NOW = 1_767_225_600  # 2026-01-01 00:00 UTC
SOUND = base64.b64encode(b"sound").decode()
# By name; whatever is not here has a value by its type.
VALUES: dict[str, Any] = {
    "Audio": SOUND,
    "AudioFormat": 0,
    "AuType": ["Conversation"],
    "Business": 1,
    "Command": "TransparentData",
    "Content": SOUND,
    "DescribeMode": 1,
    "EndTime": NOW + 3600,
    "FileUrl": "https://example.com/a.wav",
    "MixType": "single",
    "Period": "d",
    "PromptAudio": SOUND,
    "PublishCdnUrl": "rtmp://example.com/live/stream",
    "RecordMode": 2,
    "RecordUrl": "https://example.com/lesson",
    "RoomId": "7",
    "RoomIdType": 0,
    "StartTime": NOW,
    "StrRoomId": "room",
    "Type": "Audio",
    "Url": "rtmp://example.com/live/stream",
    "UserId": "robot",
    "Weight": 5,
}
# What the models do not say, and the service asks for all the same.
MORE: dict[str, dict[str, Any]] = {
    "ControlAIConversation": {"TransparentData": {"Data": "x"}},
    "CreateCloudRecording": {"StorageParams": {"CloudVod": {"TencentVod": {}}}},
    "StartWebRecord": {"StorageParams": {"CloudVod": {"TencentVod": {}}}},
}
TIMES = {
    "DescribeTrtcRoomUsage": "2026-01-01 00:00",
    "DescribeTRTCAIRecognitionUsage": "2026-01-01 00:00:00",
    "DescribeTRTCSegmentModerationUsage": "2026-01-01 00:00:00",
    "DescribeTRTCDedicatedCloudAccUsage": "2026-01-01 00:00:00",
}


def least(row: Action, user_sig: str = "sig") -> dict[str, Any]:
    """Its required parameters, but for the application."""
    types = _types(row)
    names = [*row.required, *(row.alternatives[0] if row.alternatives else ())]
    needed = {
        name: _value(row, name, types[name], user_sig)
        for name in dict.fromkeys(names)
        if name != row.app_param
    }
    return {**needed, **MORE.get(row.name, {})}


def _value(row: Action, name: str, wanted: Type, user_sig: str) -> Any:
    if wanted.model is not None:
        inner = _types_of(wanted.model)
        needed = REQUIRED_INSIDE.get(wanted.model.__name__, ())
        made = {each: _value(row, each, inner[each], user_sig) for each in needed}
        return [made] if wanted.in_list else made
    if name == "UserSig":
        return user_sig
    if wanted.kind == "str" and name in ("StartTime", "EndTime"):
        return TIMES.get(row.name, "2026-01-01")
    value = VALUES.get(name, 1 if wanted.kind in ("int", "float") else f"a-{name}")
    if wanted.in_list and not isinstance(value, list):
        return [value]
    return int(value) if wanted.kind == "int" else value
