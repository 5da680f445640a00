"""Recording ids and file names as the service writes them. Pure functions.

Source: "On-Cloud Recording" (trtc.io/document/45169), names of real files of January 2026.
"""

from __future__ import annotations

import base64
import random
import uuid
from datetime import datetime, timezone


def encode(text: str) -> str:
    """Encode a user id or string room id for a file name: ``1686119`` is ``MTY4NjExOQ..``."""
    return _encode_bytes(text.encode())


def decode(name: str) -> str:
    """Undo :func:`encode`."""
    return base64.b64decode(name.replace("-", "/").replace(".", "=")).decode()


def recording_id(source: random.Random) -> str:
    """Return a new id of 76 to 84 characters; it may hold ``+``, ``-`` and end with dots."""
    return _encode_bytes(source.randbytes(source.randint(55, 62)))


def job_id(source: random.Random, shape: str, now: float) -> str:
    """Return a new id as each family's samples have it.

    :param shape: ``cloud`` as recordings; ``long``, alike with some 115 characters; ``url_safe``; ``ai``,
        ``v2_<date>_<random>``; ``uuid``.
    :param now: Unix seconds.
    """
    if shape == "long":
        return _encode_bytes(source.randbytes(source.randint(84, 88)))
    if shape == "url_safe":
        return base64.urlsafe_b64encode(source.randbytes(57)).decode()
    if shape == "ai":
        return f"v2_{datetime.fromtimestamp(now, timezone.utc):%Y%m%d}_{source.randbytes(10).hex()}"
    if shape == "uuid":
        return str(uuid.UUID(bytes=source.randbytes(16), version=4))
    return recording_id(source)


def room_part(room_id: str, *, is_string_room: bool) -> str:
    """Return the room as it stands in file names: only string rooms are encoded."""
    return encode(room_id) if is_string_room else room_id


def single_stem(sdk_app_id: int, room: str, user_id: str, media: str) -> str:
    """Return the common part of all names of one user's stream in a single-stream recording."""
    return f"{sdk_app_id}_{room}__UserId_s_{encode(user_id)}__UserId_e_{media}"


def mixed_stem(sdk_app_id: int, room: str) -> str:
    """Return the common part of all names of a mixed recording."""
    return f"{sdk_app_id}_{room}"


def index_name(stem: str, *, track: str | None = None, recovery: int = 0) -> str:
    """Return the name of an m3u8 file; ``track`` only in single-stream mode, ``recovery`` 1 to 3."""
    return f"{_recovered(recovery)}{stem}{_suffix(track)}.m3u8"


def segment_name(stem: str, begin_ms: int, *, track: str | None = None, recovery: int = 0) -> str:
    """Return the name of the ts segment that starts at this Unix millisecond."""
    return f"{_recovered(recovery)}{stem}{_suffix(track)}_{utc_stamp(begin_ms)}.ts"


def media_name(stem: str, extension: str, *, part: int | None = None) -> str:
    """Return the name of an mp4 or aac file; ``part`` counts from 1 when the file was cut."""
    return f"{stem}{'' if part is None else f'_{part}'}.{extension}"


def user_defined_name(prefix: str, name: str) -> str:
    """Return the name of a VOD file with a UserDefineRecordId."""
    return f"{prefix}__UserDefine_u_{name}"


def utc_stamp(unix_ms: int) -> str:
    """Return ``yyyyMMddHHmmssSSS`` in UTC."""
    seconds, milliseconds = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y%m%d%H%M%S}{milliseconds:03d}"


def _encode_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode().replace("/", "-").replace("=", ".")


def _recovered(recovery: int) -> str:
    return f"ha{recovery}_" if recovery else ""


def _suffix(track: str | None) -> str:
    return f"_{track}" if track else ""
