"""The least that each action takes: its documented required parameters, with plausible values."""

from __future__ import annotations

import base64
import time
from datetime import datetime, timezone
from typing import Any

from airflow_trtc.cloud.action import Action
from airflow_trtc.cloud.nested import REQUIRED_INSIDE
from airflow_trtc.cloud.parameters import Type, _types, _types_of

SOUND = base64.b64encode(b"sound").decode()
# By name; whatever is not here has a value by its type.
VALUES: dict[str, Any] = {
    "Audio": SOUND,
    "AudioFormat": 0,
    "AuType": ["conversation"],
    "Business": 1,
    "Command": "TransparentData",
    "Content": SOUND,
    "DescribeMode": 1,
    "FileUrl": "https://example.com/a.wav",
    "MixType": "single",
    "Period": "d",
    "PromptAudio": SOUND,
    "PublishCdnUrl": "rtmp://example.com/live/stream",
    "RecordMode": 2,
    "RecordUrl": "https://example.com/lesson",
    "RoomId": "7",
    "RoomIdType": 0,
    "StrRoomId": "room",
    "Type": "audio",
    "Url": "rtmp://example.com/live/stream",
    "UserId": "robot",
    "Weight": 5,
    "WithTranscoding": 0,
}
BUCKET = {"Vendor": 0, "Region": "ap-guangzhou", "Bucket": "b-1", "AccessKey": "AK", "SecretKey": "SK"}
# What the models do not say, and the service asks for all the same.
MORE: dict[str, dict[str, Any]] = {
    "ControlAIConversation": {"TransparentData": {"Data": "x"}},
    "CreateCloudRecording": {"StorageParams": {"CloudVod": {"TencentVod": {}}}},
    "CreateCloudSliceTask": {"SliceStorageParams": {"CloudSliceStorage": BUCKET}},
    "StartAIConversation": {"LLMConfig": '{"LLMType": "openai"}', "TTSConfig": '{"TTSType": "flow"}'},
    "StartPublishCdnStream": {
        "PublishCdnParams": [{"PublishCdnUrl": VALUES["PublishCdnUrl"]}],
        "AudioParams": {"AudioEncode": {"SampleRate": 48000, "Channel": 2, "BitRate": 64}},
    },
    "StartStreamIngest": {"StreamUrl": "https://example.com/lesson.mp4"},
    "StartWebRecord": {"StorageParams": {"CloudVod": {"TencentVod": {}}}},
}
FORMATS = {
    "DescribeTrtcRoomUsage": "%Y-%m-%d %H:%M",
    "DescribeTRTCAIRecognitionUsage": "%Y-%m-%d %H:%M:%S",
    "DescribeTRTCSegmentModerationUsage": "%Y-%m-%d %H:%M:%S",
    "DescribeTRTCDedicatedCloudAccUsage": "%Y-%m-%d %H:%M:%S",
}
SPAN = {"StartTime": 2 * 3600, "EndTime": 3600}
"""How long ago, in seconds, so that every action answers for it."""


def least(row: Action, user_sig: str = "sig") -> dict[str, Any]:
    """Its required parameters, but for the application."""
    types = _types(row)
    names = [*row.required, *(row.alternatives[0] if row.alternatives else ())]
    needed = {
        name: _value(row, name, types[name], user_sig)
        for name in dict.fromkeys(names)
        if name != row.app_param
    }
    if "AgentParams" in needed:  # the model takes it as optional
        needed["AgentParams"]["UserSig"] = user_sig
    return {**needed, **MORE.get(row.name, {})}


def _value(row: Action, name: str, wanted: Type, user_sig: str) -> Any:
    if wanted.model is not None:
        inner = _types_of(wanted.model)
        needed = REQUIRED_INSIDE.get(wanted.model.__name__, ())
        made = {each: _value(row, each, inner[each], user_sig) for each in needed}
        return [made] if wanted.in_list else made
    if name == "UserSig":
        return user_sig
    if name in SPAN:
        at = time.time() - SPAN[name]
        shown = datetime.fromtimestamp(at, timezone.utc).strftime(FORMATS.get(row.name, "%Y-%m-%d"))
        return shown if wanted.kind == "str" else int(at)
    value = VALUES.get(name, 1 if wanted.kind in ("int", "float") else f"a-{name}")
    if wanted.in_list and not isinstance(value, list):
        return [value]
    return int(value) if wanted.kind == "int" else value
