"""What the calls about jobs of all kinds but recordings take: the vendor's models, with their texts' limits.

Limits that no text names are not checked. Sources: the texts of tencentcloud-sdk-python 3.1.195, and the
vendor's lists of error codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from airflow_trtc.emulator import schemas
from airflow_trtc.emulator.families.models import models
from airflow_trtc.emulator.parameters import Schema

# Whose absence has an error code of its own, wherever they stand.
_OWN_CODES = {
    **{
        name: name
        for name in ("SdkAppId", "RoomId", "UserId", "UserSig", "SliceParams", "SliceStorageParams")
    },
    **{name: name for name in ("SliceParams", "SliceStorageParams", "TranscriptionParam", "AsrParam")},
    "Lang": "ASRLang",
}
# Objects that are the same in recordings.
_SHARED: Mapping[str, Schema] = {
    "SubscribeStreamUserIds": schemas.SUBSCRIPTIONS,
    "CloudStorage": schemas.CLOUD_STORAGE,
    "CloudSliceStorage": schemas.CLOUD_STORAGE,
    "CloudModerationStorage": schemas.CLOUD_STORAGE,
    "TencentVod": schemas.TENCENT_VOD,
}
_SWITCH = (0, 1)
# By action and the path of a parameter: the lowest and the highest number, or what else differs.
_LIMITS: Mapping[str, Mapping[str, Any]] = {
    "CreateCloudSliceTask": {
        "SliceParams.SliceType": (1, 3),
        "SliceParams.MaxIdleTime": (5, 86_400),
        "SliceParams.SliceAudio": (15, 60),
        "SliceParams.SliceVideo": (5, 60),
        "SliceParams.SliceImageType": _SWITCH,
        "ResourceExpiredHour": (6, 720),
    },
    "CreateCloudModeration": {
        "ModerationParams.ModerationType": (1, 3),
        "ModerationParams.MaxIdleTime": (5, 1800),
        "ModerationParams.SliceAudio": (15, 60),
        "ModerationParams.SliceVideo": (1, 60),
        "ModerationParams.SaveModerationFile": (0, 2),
        "ModerationParams.CallbackAllResults": _SWITCH,
        "ResourceExpiredHour": (6, 72),
    },
    "CreateLiveStreamModeration": {
        "LiveModerationParams.ModerationType": (1, 3),
        "LiveModerationParams.MaxIdleTime": (30, 1800),
        "LiveModerationParams.SliceVideo": (1, 60),
        "LiveModerationParams.SliceAudio": (5, 60),
        "LiveModerationParams.SaveModerationFile": (0, 2),
        "LiveModerationParams.CallbackAllResults": _SWITCH,
        "SourceInfo.RoomIdType": _SWITCH,
        "ResourceExpiredHour": (1, 72),
    },
    "CreateCloudTranscription": {
        "TranscriptionParam.MaxIdleTime": (5, 86_400),
        "TranscriptionParam.SendCustomMode": _SWITCH,
    },
    "StartAITranscription": {
        "RecognizeConfig.VadSilenceTime": (240, 2000),
        "RecognizeConfig.VadLevel": (0, 5),
    },
    "StartAIConversation": {
        "STTConfig.VadSilenceTime": (240, 2000),
        "STTConfig.VadLevel": (0, 5),
        "LLMConfig": {"required": True},
        "TTSConfig": {"required": True},
    },
    "StartStreamIngest": {
        "StreamUrl": {"required": True},
        "SeekSecond": (0, None),
        "RepeatNum": (-1, 1000),
        "MaxDuration": (1, 10_080),
        "Volume": (0, 200),
        "IdleTimeout": (0, 600),
    },
    "StartWebRecord": {
        "MaxDurationLimit": (1800, 86_400),
        "RecordId": {"max_bytes": 31},
        "PublishCdnParams": {"max_items": 10},
        "PublishCdnParams.IsTencentCdn": _SWITCH,
        "ReadyTimeout": (0, 60),
    },
    "UpdateStreamIngest": {"Volume": (0, 200)},
}


@cache
def job_schema(action: str) -> Schema:
    """What a call takes."""
    schema = models().schema(action)
    limits = {"RoomIdType": _SWITCH, **_LIMITS.get(action, {})}
    # Calls that name no application have no codes of their own.
    codes = {**_OWN_CODES, "TaskId": "TaskId"} if "SdkAppId" in schema else {}
    return _limited(schema, limits, codes)


def _limited(schema: Schema, limits: Mapping[str, Any], codes: Mapping[str, str], path: str = "") -> Schema:
    found = {}
    for name, one in schema.items():
        changes = limits.get(path + name, {})
        if isinstance(changes, tuple):
            changes = dict(zip(("low", "high"), changes, strict=True))
        if name in codes:
            changes = {**changes, "missing": f"MissingParameter.{codes[name]}"}
        inside = _SHARED.get(name) or _limited(one.fields, limits, codes, f"{path}{name}.")
        found[name] = replace(one, fields=inside, **changes)
    return found
