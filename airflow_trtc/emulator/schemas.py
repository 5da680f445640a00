"""The parameters of the four recording calls as tables, and the rules between parameters.

Sources: CreateCloudRecording (trtc.io/document/46960), the models of tencentcloud-sdk-python 3.1.195.
Where a documented rule names no code, breaking it is ``InvalidParameter.OutOfRange``.
"""

from __future__ import annotations

from typing import Any

from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.parameters import (
    Field,
    Schema,
    flag,
    integer,
    out_of_range,
    structure,
    structures,
    text,
    texts,
)

MAX_NUMERIC_ROOM = 4294967294

SUBSCRIPTIONS: Schema = {
    "SubscribeAudioUserIds": texts(max_items=32),
    "UnSubscribeAudioUserIds": texts(max_items=32),
    "SubscribeVideoUserIds": texts(max_items=32),
    "UnSubscribeVideoUserIds": texts(max_items=32),
}

RECORD_PARAMS: Schema = {
    "RecordMode": integer(1, 2, required=True, missing="MissingParameter.RecordMode"),
    "MaxIdleTime": integer(5, 86400),
    "StreamType": integer(0, 2),
    "SubscribeStreamUserIds": structure(SUBSCRIPTIONS),
    "OutputFormat": integer(0, 4),
    "AvMerge": integer(0, 1),
    "MaxMediaFileDuration": integer(1, 1440),
    "MediaId": integer(0, 2),
    "FillType": integer(0, 1),
    "SubscribeAbility": integer(0, 1),
}

CLOUD_STORAGE: Schema = {
    "Vendor": integer(0, 1, required=True, missing="MissingParameter.Vendor"),
    "Region": text(required=True, missing="MissingParameter.Region"),
    "Bucket": text(required=True, missing="MissingParameter.Bucket"),
    "AccessKey": text(required=True, missing="MissingParameter.AccessKey"),
    "SecretKey": text(required=True, missing="MissingParameter.SecretKey"),
    "FileNamePrefix": texts(pattern=r"[a-zA-Z0-9_-]+"),
}

TENCENT_VOD: Schema = {
    "Procedure": text(),
    "ExpireTime": integer(0),
    "StorageRegion": text(),
    "ClassId": integer(0),
    "SubAppId": integer(0),
    "SessionContext": text(),
    "SourceContext": text(),
    "MediaType": integer(0, 4),
    "UserDefineRecordId": text(max_bytes=64, pattern=r"[a-zA-Z0-9_-]*"),
}

VIDEO_PARAMS: Schema = {
    "Width": integer(1, 1920, required=True),
    "Height": integer(1, 1920, required=True),
    "Fps": integer(1, 60, required=True),
    "BitRate": integer(64000, 8192000, required=True),
    "Gop": integer(1, required=True),
}

AUDIO_PARAMS: Schema = {
    "SampleRate": integer(1, 3, required=True),
    "Channel": integer(1, 2, required=True),
    "BitRate": integer(32000, 128000, required=True),
}


def _box(high: int | None = None) -> dict[str, Field]:
    return {name: integer(0, high, required=True) for name in ("Top", "Left", "Width", "Height")}


MIX_LAYOUT: Schema = {
    **_box(1920),
    "UserId": text(),
    "Alpha": integer(0, 255),
    "RenderMode": integer(0, 3),
    "MediaId": integer(0, 1),
    "ImageLayer": integer(0),
    "SubBackgroundImage": text(),
}

WATERMARK: Schema = {
    "WaterMarkType": integer(0, 2),
    "WaterMarkImage": structure({"WaterMarkUrl": text(required=True), **_box(2560)}),
    "WaterMarkChar": structure(
        {
            **_box(),
            "Chars": text(required=True),
            "FontSize": integer(1),
            "FontColor": text(),
            "BackGroundColor": text(),
            "Font": text(),
        }
    ),
    "WaterMarkTimestamp": structure(
        {"Pos": integer(0, 6, required=True), "TimeZone": integer(), "Font": text()},
    ),
}
_WATERMARK_KINDS = ("WaterMarkImage", "WaterMarkChar", "WaterMarkTimestamp")

MIX_LAYOUT_PARAMS: Schema = {
    "MixLayoutMode": integer(1, 4, required=True),
    "MixLayoutList": structures(MIX_LAYOUT, max_items=25),
    "BackGroundColor": text(pattern=r"(#[0-9a-fA-F]{6})?"),
    "MaxResolutionUserId": text(),
    "MediaId": integer(0, 1),
    "BackgroundImageUrl": text(),
    "PlaceHolderMode": integer(0, 1),
    "BackgroundImageRenderMode": integer(0, 3),
    "DefaultSubBackgroundImage": text(),
    "WaterMarkList": structures(WATERMARK, max_items=25),
    "RenderMode": integer(0, 3),
    "MaxResolutionUserAlign": integer(0, 1),
    "PureAudioDisableLayout": flag(),
}

_SDK_APP_ID = integer(required=True, missing="MissingParameter.SdkAppId")
_TASK_ID = text(required=True, missing="MissingParameter.TaskId")

CREATE: Schema = {
    "SdkAppId": _SDK_APP_ID,
    "RoomId": text(required=True, missing="MissingParameter.RoomId"),
    "UserId": text(required=True, missing="MissingParameter.UserId"),
    "UserSig": text(required=True, missing="MissingParameter.UserSig"),
    "RecordParams": structure(RECORD_PARAMS, required=True, missing="MissingParameter.RecordParams"),
    "StorageParams": structure(
        {
            "CloudStorage": structure(CLOUD_STORAGE),
            "CloudVod": structure({"TencentVod": structure(TENCENT_VOD)}),
        },
        required=True,
        missing="MissingParameter.StorageParams",
    ),
    "RoomIdType": integer(0, 1),
    "MixTranscodeParams": structure(
        {"VideoParams": structure(VIDEO_PARAMS), "AudioParams": structure(AUDIO_PARAMS)}
    ),
    "MixLayoutParams": structure(MIX_LAYOUT_PARAMS),
    "ResourceExpiredHour": integer(6, 720),
    "PrivateMapKey": text(),
}
DESCRIBE: Schema = {"SdkAppId": _SDK_APP_ID, "TaskId": _TASK_ID, "RecorderKey": text()}
MODIFY: Schema = {
    "SdkAppId": _SDK_APP_ID,
    "TaskId": _TASK_ID,
    "MixLayoutParams": structure(MIX_LAYOUT_PARAMS),
    "SubscribeStreamUserIds": structure(SUBSCRIPTIONS),
}
DELETE: Schema = {"SdkAppId": _SDK_APP_ID, "TaskId": _TASK_ID}


def check_create_rules(values: dict[str, Any]) -> None:
    """Raise for combinations CreateCloudRecording does not allow; ``values`` passed :data:`CREATE`."""
    params = values["RecordParams"]
    _check_room(values)
    _check_storage(values["StorageParams"], stream_type=params.get("StreamType", 0))
    check_subscriptions(params.get("SubscribeStreamUserIds", {}))
    _check_mix(values, is_mixed=params["RecordMode"] == 2)


def check_subscriptions(lists: dict[str, Any]) -> None:
    """Raise if a kind of stream is both allowed and denied."""
    for kind in ("Audio", "Video"):
        if lists.get(f"Subscribe{kind}UserIds") and lists.get(f"UnSubscribe{kind}UserIds"):
            raise out_of_range(f"Subscribe{kind}UserIds and UnSubscribe{kind}UserIds exclude each other")


def check_layout(layout: dict[str, Any]) -> None:
    """Raise if a watermark lacks the object for its type."""
    for index, mark in enumerate(layout.get("WaterMarkList", [])):
        needed = _WATERMARK_KINDS[mark.get("WaterMarkType", 0)]
        if needed not in mark:
            raise ApiError("MissingParameter", f"MixLayoutParams.WaterMarkList.{index}.{needed}")


def is_numeric_room(room: str) -> bool:
    """Return whether this can be the number of a room."""
    return room.isascii() and room.isdigit() and 1 <= int(room[:11]) <= MAX_NUMERIC_ROOM


def _check_room(values: dict[str, Any]) -> None:
    if values.get("RoomIdType", 1) == 1 and not is_numeric_room(values["RoomId"]):
        raise out_of_range("RoomId must be a number of 32 bits unless RoomIdType is 0")


def _check_storage(storage: dict[str, Any], *, stream_type: int) -> None:
    if not {"CloudStorage", "CloudVod"} & set(storage):
        raise ApiError("MissingParameter.CloudStorage", "StorageParams.CloudStorage")
    if {"CloudStorage", "CloudVod"} <= set(storage):
        raise out_of_range("CloudStorage and CloudVod exclude each other")
    media_type = storage.get("CloudVod", {}).get("TencentVod", {}).get("MediaType", 0)
    if media_type in (2, 4) and stream_type != 1:
        raise out_of_range("MediaType 2 and 4 need StreamType 1")


def _check_mix(values: dict[str, Any], *, is_mixed: bool) -> None:
    for name in ("MixTranscodeParams", "MixLayoutParams"):
        if name in values and not is_mixed:
            raise out_of_range(f"{name} needs RecordMode 2")
    video = values.get("MixTranscodeParams", {}).get("VideoParams")
    if video and video["Width"] * video["Height"] > 1920 * 1080:
        raise out_of_range("MixTranscodeParams.VideoParams: Width times Height")
    check_layout(values.get("MixLayoutParams", {}))
