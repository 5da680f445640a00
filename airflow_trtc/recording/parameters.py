"""What a recording may be started and changed with: tables of fields, and the rules between them.

Sources: CreateCloudRecording (trtc.io/document/46960), On-Cloud Recording (trtc.io/document/45169), and the
models of tencentcloud-sdk-python 3.1.195. The names are the service's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_trtc.recording.fields import (
    Later,
    Table,
    decoded,
    flag,
    many,
    never,
    number,
    one,
    read_number,
    read_object,
    text,
    texts,
)

SINGLE, MIXED = 1, 2  # RecordMode
AUDIO_ONLY = 1  # StreamType
CUSTOM_LAYOUT = 4  # MixLayoutMode
AUDIO_MEDIA_TYPES = (2, 4)  # MediaType of VOD: aac, hls and aac
MAX_PICTURE = 1920 * 1080
MAX_IDS, MAX_LAYOUTS, MAX_WATERMARKS = 32, 25, 25
MIN_EXPIRED_HOURS, DEFAULT_EXPIRED_HOURS, MAX_EXPIRED_HOURS = 6, 72, 720
DEFAULT_RECORD_PARAMS: Mapping[str, Any] = {"RecordMode": MIXED}

_URL_LETTERS = r"[a-zA-Z0-9\-._~:/?#\[\]@!&()*+,%=]+"
_USER_IDS = (
    r"[a-zA-Z0-9_-]{0,32}\.\*\$|[a-zA-Z0-9_-]{1,32}",
    "a user id (1 to 32 of a-z, A-Z, 0-9, _ and -) or the beginning of one and .*$, such as 1.*$",
)
_IMAGE = (_URL_LETTERS, "an address of letters, digits and - . _ ~ : / ? # [ ] @ ! & ( ) * + , % =")
_COLOR = (r"(#[0-9a-fA-F]{6})?", "a colour such as #FFA500")
_FONT = (r"Tencent|SourceHanSans", "Tencent or SourceHanSans")

SUBSCRIPTIONS: Table = {
    name: texts(*_USER_IDS, most=MAX_IDS)
    for name in (
        "SubscribeAudioUserIds",
        "UnSubscribeAudioUserIds",
        "SubscribeVideoUserIds",
        "UnSubscribeVideoUserIds",
    )
}

RECORD_PARAMS: Table = {
    "RecordMode": number(SINGLE, MIXED, required=True),
    "MaxIdleTime": number(5, 86_400),
    "StreamType": number(0, 2),
    "SubscribeStreamUserIds": one(SUBSCRIPTIONS),
    "OutputFormat": number(0, 4),
    "AvMerge": number(0, 1),
    "MaxMediaFileDuration": number(1, 1440),
    "MediaId": number(0, 2),
    "FillType": number(0, 1),
    "SubscribeAbility": number(0, 1),
}

# Without the key pair, which comes from a connection.
CLOUD_STORAGE: Table = {
    "Vendor": number(0, 1, required=True),
    "Region": text(r"[a-zA-Z0-9-]+", "the name of a region, such as ap-guangzhou", required=True),
    "Bucket": text(r"[a-zA-Z0-9._-]+", "the name of a bucket", required=True),
    "FileNamePrefix": texts(r"[a-zA-Z0-9_-]+", "of the characters a-z, A-Z, 0-9, _ and -"),
}

TENCENT_VOD: Table = {
    "Procedure": text(),
    "ExpireTime": number(0),
    "StorageRegion": text(),
    "ClassId": number(0),
    "SubAppId": number(0),
    "SessionContext": text(),
    "SourceContext": text(),
    "MediaType": number(0, 4),
    "UserDefineRecordId": text(r"[a-zA-Z0-9_-]*", "of the characters a-z, A-Z, 0-9, _ and -", most=64),
}

STORAGE: Table = {
    "CloudStorage": one(CLOUD_STORAGE),
    "CloudVod": one({"TencentVod": one(TENCENT_VOD)}),
}

MIX_TRANSCODE: Table = {
    "VideoParams": one(
        {
            "Width": number(1, 1920, required=True),
            "Height": number(1, 1920, required=True),
            "Fps": number(1, 60, required=True),
            "BitRate": number(64_000, 8_192_000, required=True),
            "Gop": number(1, required=True),
        }
    ),
    "AudioParams": one(
        {
            "SampleRate": number(1, 3, required=True),
            "Channel": number(1, 2, required=True),
            "BitRate": number(32_000, 128_000, required=True),
        }
    ),
}


def _box(high: int | None) -> Table:
    return {name: number(0, high, required=True) for name in ("Top", "Left", "Width", "Height")}


_PICTURE: Table = {
    **_box(1920),
    "UserId": text(),
    "Alpha": number(0, 255),
    "RenderMode": number(0, 3),
    "MediaId": number(0, 1),
    "ImageLayer": number(0),
    "SubBackgroundImage": text(*_IMAGE),
}

_WATERMARK: Table = {
    "WaterMarkType": number(0, 2),
    "WaterMarkImage": one({"WaterMarkUrl": text(*_IMAGE, required=True), **_box(2560)}),
    "WaterMarkChar": one(
        {
            **_box(None),
            "Chars": text(required=True),
            "FontSize": number(1),
            "FontColor": text(),
            "BackGroundColor": text(r".*", "a colour"),
            "Font": text(*_FONT),
        }
    ),
    "WaterMarkTimestamp": one(
        {"Pos": number(0, 6, required=True), "TimeZone": number(-12, 14), "Font": text(*_FONT)}
    ),
}
_WATERMARK_OF_TYPE = ("WaterMarkImage", "WaterMarkChar", "WaterMarkTimestamp")

MIX_LAYOUT: Table = {
    "MixLayoutMode": number(1, 4, required=True),
    "MixLayoutList": many(_PICTURE, most=MAX_LAYOUTS),
    "BackGroundColor": text(*_COLOR),
    "MaxResolutionUserId": text(),
    "MediaId": number(0, 1),
    "BackgroundImageUrl": text(*_IMAGE),
    "PlaceHolderMode": number(0, 1),
    "BackgroundImageRenderMode": number(0, 3),
    "DefaultSubBackgroundImage": text(*_IMAGE),
    "WaterMarkList": many(_WATERMARK, most=MAX_WATERMARKS),
    "RenderMode": number(0, 3),
    "MaxResolutionUserAlign": number(0, 1),
    "PureAudioDisableLayout": flag(),
}

_EXPIRED_HOURS = number(MIN_EXPIRED_HOURS, MAX_EXPIRED_HOURS)


def read_record_params(path: str, value: Any, later: Later = never) -> dict[str, Any]:
    """Read ``RecordParams``.

    :raises ValueError: a field breaks a limit; the message names both.
    """
    found = read_object(path, decoded(value), RECORD_PARAMS, later)
    _check_subscriptions(f"{path}.SubscribeStreamUserIds", found.get("SubscribeStreamUserIds"))
    return found


def read_subscriptions(path: str, value: Any, later: Later = never) -> dict[str, Any]:
    """Read ``SubscribeStreamUserIds``; see `read_record_params`."""
    found = read_object(path, decoded(value), SUBSCRIPTIONS, later)
    _check_subscriptions(path, found)
    return found


def read_mix_transcode(path: str, value: Any, later: Later = never) -> dict[str, Any]:
    """Read ``MixTranscodeParams``; see `read_record_params`."""
    found = read_object(path, decoded(value), MIX_TRANSCODE, later)
    video = found.get("VideoParams")
    if isinstance(video, Mapping):
        width, height = video["Width"], video["Height"]
        if isinstance(width, int) and isinstance(height, int) and width * height > MAX_PICTURE:
            raise ValueError(
                f"{path}.VideoParams: Width times Height is at most 1920 times 1080, not {width} times"
                f" {height}"
            )
    return found


def read_mix_layout(path: str, value: Any, later: Later = never) -> dict[str, Any]:
    """Read ``MixLayoutParams``; see `read_record_params`."""
    found = read_object(path, decoded(value), MIX_LAYOUT, later)
    if found["MixLayoutMode"] == CUSTOM_LAYOUT and not found.get("MixLayoutList"):
        raise ValueError(
            f"{path}.MixLayoutList is missing: MixLayoutMode 4 shows what it lists, and nothing else"
        )
    marks = found.get("WaterMarkList")
    for index, mark in enumerate(marks if isinstance(marks, list) else ()):
        if not isinstance(mark, Mapping):  # a template yet
            continue
        mark_type = mark.get("WaterMarkType", 0)
        if isinstance(mark_type, int) and _WATERMARK_OF_TYPE[mark_type] not in mark:
            needed = _WATERMARK_OF_TYPE[mark_type]
            raise ValueError(
                f"{path}.WaterMarkList[{index}] lacks {needed}, which WaterMarkType {mark_type} needs"
            )
    return found


def read_expired_hours(path: str, value: Any) -> int | None:
    """Read ``ResourceExpiredHour``; None and "" stand for the service's default, 72.

    :raises ValueError: it is not from 6 to 720.
    """
    if value is None or value == "":
        return None
    return read_number(path, value, _EXPIRED_HOURS)


def check_together(
    record_params: Any, storage: Any, *, mix_transcode: Any = None, mix_layout: Any = None
) -> None:
    """Check what depends on several arguments; one that is a template yet is left out of it.

    :param record_params: as `read_record_params` returns it.
    :param storage: ``StorageParams``.
    :param mix_transcode: given or None; so is `mix_layout`.
    :raises ValueError: they do not fit together.
    """
    params = record_params if isinstance(record_params, Mapping) else {}
    mode, stream_type = params.get("RecordMode"), params.get("StreamType", 0)
    for name, value in (("mix_transcode", mix_transcode), ("mix_layout", mix_layout)):
        if value is not None and mode == SINGLE:
            raise ValueError(
                f"{name} is for mixed recordings; set record_params.RecordMode to 2, or leave it out"
            )
    vod = _inner(storage, "CloudVod", "TencentVod")
    media_type = vod.get("MediaType", 0)
    if media_type in AUDIO_MEDIA_TYPES and "RecordMode" in params and stream_type in (0, 2):
        raise ValueError(
            f"storage: MediaType {media_type} (aac) needs record_params.StreamType 1, which records audio"
            " only"
        )


def _inner(value: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _check_subscriptions(path: str, lists: Any) -> None:
    if not isinstance(lists, Mapping):
        return
    for kind in ("Audio", "Video"):
        allowed, denied = f"Subscribe{kind}UserIds", f"UnSubscribe{kind}UserIds"
        if lists.get(allowed) and lists.get(denied):
            raise ValueError(f"{path}: {allowed} and {denied} exclude each other; give one of them")
