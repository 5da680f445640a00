"""What relays and ingests may be started and changed with.

Sources: the models and texts of tencentcloud-sdk-python 3.1.195, StartPublishCdnStream
(tencentcloud.com/document/product/647/48247). The names inside objects are the service's own. What stands
deeper than the tables here is compared with the SDK's models before it is sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_trtc import bounds
from airflow_trtc.recording.fields import (
    Later,
    Table,
    decoded,
    did_you_mean,
    flag,
    never,
    number,
    one,
    read_number,
    read_object,
)
from airflow_trtc.recording.rooms import NUMERIC, STRING

# RoomIdType of relays: the opposite of that of recordings and ingests.
RELAY_ROOM_TYPES = {NUMERIC: 0, STRING: 1}
MIXES, RELAYS_ONE = 1, 0  # WithTranscoding
MAX_URLS = 10
MAX_URL = 2_048  # characters
LONG_SEGMENT = 12  # characters from which the last part of a path counts as a key
SAMPLE_RATES = (48_000, 44_100, 32_000, 24_000, 16_000, 8_000)
TEMPOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
FOREVER = -1  # RepeatNum
RELAY_SCHEMES = ("rtmp", "rtmps")
DEFAULT_AUDIO: Mapping[str, Any] = {"AudioEncode": {"SampleRate": 48_000, "Channel": 2, "BitRate": 64}}

_AUDIO_ENCODE: Table = {
    "SampleRate": number(8_000, 48_000, required=True),
    "Channel": number(1, 2, required=True),
    "BitRate": number(8, 500, required=True),
    "Codec": number(0, 2),
}
_VIDEO_ENCODE: Table = {
    "Width": number(0, 1920, required=True),
    "Height": number(0, 1920, required=True),
    "Fps": number(1, 60, required=True),
    "BitRate": number(1, 10_000, required=True),
    "Gop": number(1, 5, required=True),
}
_AUDIO_NAMES = ("AudioEncode", "SubscribeAudioList", "UnSubscribeAudioList")
_VIDEO_NAMES = (
    "VideoEncode",
    "LayoutParams",
    "BackGroundColor",
    "BackgroundImageUrl",
    "WaterMarkList",
    "BackgroundRenderMode",
)
_MAX_IDLE = number(5, 86_400)

# What has no argument of its own.
RELAY_START_PARAMS = (
    "PublishCdnParams",
    "SingleSubscribeParams",
    "SeiParams",
    "FeedBackRoomParams",
    "RecordParams",
)
RELAY_UPDATE_PARAMS = ("PublishCdnParams", "SingleSubscribeParams", "SeiParams", "FeedBackRoomParams")
_INGEST_START: Table = {
    "SeekSecond": number(0),
    "AutoPush": flag(),
    "RepeatNum": number(FOREVER, 1_000),
    "MaxDuration": number(1, 10_080),
    "Volume": number(0, 200),
    "EnableProgress": flag(),
    "IdleTimeout": number(0, 600),
}
_INGEST_UPDATE: Table = {"Volume": number(0, 200), "IsPause": flag(), "EnableProgress": flag()}


def read_urls(path: str, value: Any) -> list[str] | None:
    """Read the addresses that a relay publishes to: one or a list, a list as JSON text too.

    :raises ValueError: there are more than ten, or one is no address of RTMP.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = json.loads(value) if _is_json(value) else value
    urls = [value] if isinstance(value, str) else value
    if not isinstance(urls, list | tuple) or not urls:
        raise ValueError(f"{path} must be an address that begins with rtmp://, or a list of them")
    if len(urls) > MAX_URLS:
        raise ValueError(f"{path} takes at most {MAX_URLS} addresses, not {len(urls)}")
    return [_url(f"{path}[{index}]", each, RELAY_SCHEMES) for index, each in enumerate(urls)]


def read_stream_url(path: str, value: Any) -> str | None:
    """Read the address of a stream that is to be played into a room.

    :raises ValueError: it is no address.
    """
    if value is None or value == "":
        return None
    return _url(path, value, ())


def secrets_of(url: Any) -> list[str]:
    """What of an address may let somebody publish: its query, or else a long last part of its path."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return []
    if parts is None:
        return []
    last = parts.path.rpartition("/")[2]
    found = [parts.query] if parts.query else [last] if len(last) >= LONG_SEGMENT else []
    return [*found, *([parts.password] if parts.password else [])]


def read_audio(path: str, value: Any, later: Later = never) -> dict[str, Any] | None:
    """Read ``AudioParams``.

    :raises ValueError: a field of it is unknown, or breaks a limit.
    """
    found = _part(path, value, _AUDIO_NAMES, "AudioEncode", _AUDIO_ENCODE, later)
    encode = (found or {}).get("AudioEncode")
    rate = encode.get("SampleRate") if isinstance(encode, Mapping) else None
    if isinstance(rate, int) and rate not in SAMPLE_RATES:
        rates = ", ".join(map(str, SAMPLE_RATES))
        raise ValueError(f"{path}.AudioEncode.SampleRate must be one of {rates}, not {rate}")
    return found


def read_video(path: str, value: Any, later: Later = never) -> dict[str, Any] | None:
    """Read ``VideoParams``; see `read_audio`."""
    return _part(path, value, _VIDEO_NAMES, "VideoEncode", _VIDEO_ENCODE, later)


def read_max_idle(path: str, value: Any) -> int | None:
    """Read ``MaxIdleTime``, 5 to 86,400 seconds.

    :raises ValueError: it is something else.
    """
    return None if value is None or value == "" else read_number(path, value, _MAX_IDLE)


def read_relay_start_params(path: str, value: Any) -> dict[str, Any]:
    """Read the service's own parameters of a start that have no argument.

    :raises ValueError: one of them has an argument, or does not exist.
    """
    return _named(path, value, RELAY_START_PARAMS)


def read_relay_update_params(path: str, value: Any) -> dict[str, Any]:
    """The same of an update."""
    return _named(path, value, RELAY_UPDATE_PARAMS)


def read_ingest_start_params(path: str, value: Any, later: Later = never) -> dict[str, Any]:
    """The same of the start of an ingest, with the limits of each.

    :raises ValueError: as `read_relay_start_params`; or one breaks a limit.
    """
    found = _ingest(path, value, _INGEST_START, later)
    repeats = found.get("RepeatNum")
    if repeats == 0:
        raise ValueError(f"{path}.RepeatNum must be from 1 to 1000, or -1 for again and again, not 0")
    if "MaxDuration" in found and repeats != FOREVER and not later(repeats):
        raise ValueError(f"{path}.MaxDuration needs RepeatNum -1")
    return found


def read_ingest_update_params(path: str, value: Any, later: Later = never) -> dict[str, Any]:
    """The same of an update of an ingest."""
    return _ingest(path, value, _INGEST_UPDATE, later)


def cdn_params(urls: list[str] | None, *, is_tencent_cdn: bool) -> dict[str, Any]:
    """``PublishCdnParams`` of addresses; nothing for none."""
    if urls is None:
        return {}
    flag_value = int(is_tencent_cdn)
    return {"PublishCdnParams": [{"PublishCdnUrl": url, "IsTencentCdn": flag_value} for url in urls]}


def single_stream(user_id: str | None) -> dict[str, Any]:
    """``SingleSubscribeParams`` of one user's camera and microphone; nothing for None."""
    if user_id is None:
        return {}
    return {"SingleSubscribeParams": {"UserMediaStream": {"UserInfo": {"UserId": user_id}}}}


def transcoding(given: bool | None, params: Mapping[str, Any]) -> int:
    """``WithTranscoding``: as the user says; else one user's stream goes as it is, and others are mixed."""
    if given is not None:
        return MIXES if given else RELAYS_ONE
    return RELAYS_ONE if "SingleSubscribeParams" in params else MIXES


def check_relay(params: Mapping[str, Any], *, with_transcoding: int) -> None:
    """Check what depends on several parameters of a start.

    :raises ValueError: they do not fit together.
    """
    if not ({"PublishCdnParams", "FeedBackRoomParams"} & set(params)):
        raise ValueError("urls is missing: say where to publish, or give extra_params.FeedBackRoomParams")
    if "SingleSubscribeParams" in params and with_transcoding == MIXES:
        raise ValueError(
            "transcode is for mixed streams; the stream of one user goes as it is, so leave it out"
        )


def digest(params: Mapping[str, Any]) -> str:
    """A digest of parameters, by which two tries know whether they want the same; it shows none of them."""
    text = json.dumps(bounds.plain(params), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _url(path: str, value: Any, schemes: tuple[str, ...]) -> str:
    """The address; the error does not show it, since it may have keys in it."""
    text = value.strip() if isinstance(value, str) else ""
    if text in ("", "None"):
        raise ValueError(f"{path} is no address, or a template rendered to nothing")
    try:
        parts = urlsplit(text)
        is_address = bool(parts.scheme and parts.hostname)
    except ValueError:
        is_address = False
    if not is_address or len(text) > MAX_URL or any(each.isspace() for each in text):
        raise ValueError(f"{path} is no address such as rtmp://host/app/stream")
    if schemes and parts.scheme.lower() not in schemes:
        raise ValueError(
            f"{path} must begin with rtmp://, not {parts.scheme:.20}://: no CDN takes anything else"
        )
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _named(path: str, value: Any, known: tuple[str, ...]) -> dict[str, Any]:
    value = decoded(value)
    if value is None or value == "":
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must be an object with {', '.join(known)}, not {value!r:.60}")
    for name in value:
        if name not in known:
            raise ValueError(f"{path} has no field {name!r:.60}{did_you_mean(str(name), known)}")
    return {name: inner for name, inner in value.items() if inner is not None}


def _part(
    path: str, value: Any, known: tuple[str, ...], encode: str, table: Table, later: Later
) -> dict[str, Any] | None:
    if value is None or value == "":
        return None
    found = _named(path, value, known)
    if encode in found:
        found.update(read_object(path, {encode: found[encode]}, {encode: one(table)}, later))
    return found


def _ingest(path: str, value: Any, table: Table, later: Later) -> dict[str, Any]:
    given = _named(path, value, (*table, "Tempo"))
    tempo = given.pop("Tempo", None)
    found = read_object(path, given, table, later)
    if tempo is not None:
        found["Tempo"] = tempo if later(tempo) else _tempo(f"{path}.Tempo", tempo)
    return found


def _tempo(path: str, value: Any) -> float:
    try:
        tempo = float(value) if not isinstance(value, bool) else 0.0
    except (TypeError, ValueError):
        tempo = 0.0
    if tempo not in TEMPOS:
        raise ValueError(f"{path} must be one of {', '.join(map(str, TEMPOS))}, not {value!r:.60}")
    return tempo
