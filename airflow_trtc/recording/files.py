"""Where the files of a recording lie in the bucket, and what their names say."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

_NAME = re.compile(
    r"(?:ha(?P<recovery>\d)_)?\d+_(?P<room>[^_]+)(?:__UserId_s_(?P<user>[^_]+)__UserId_e_(?P<media>main|aux))?"
    r"(?:_(?P<track>audio|video|audio_video))?(?:_(?P<part>\d{1,3}))?\.\w+"
)


@dataclass(frozen=True, slots=True)
class NameParts:
    """What the name of a file says; all None for a name of another form.

    :param user_id: whose stream it is; None also when the file mixes several users.
    :param media_id: ``main`` or ``aux``; None also when the file mixes several users.
    :param track: ``audio``, ``video`` or ``audio_video``; only names of index files say so.
    :param part: number of the part, from 1, of a file that was cut.
    :param room_id: the room.
    :param recovery: how often the recording had gone over to another machine before; 0 for never.
    """

    user_id: str | None = None
    media_id: str | None = None
    track: str | None = None
    part: int | None = None
    room_id: str | None = None
    recovery: int = 0


def read_name(file_name: str) -> NameParts:
    """Read ``<application>_<room>[__UserId_s_<user>__UserId_e_<media>][_<track>][_<part>].<format>``.

    Source: On-Cloud Recording, trtc.io/document/45169.
    """
    found = _NAME.fullmatch(file_name)
    if found is None:
        return NameParts()
    user, part, room = found["user"], found["part"], found["room"]
    return NameParts(
        user and _decoded(user),
        found["media"],
        found["track"],
        int(part) if part else None,
        room if room.isdecimal() else _decoded(room),  # the name of a string room is encoded, as a user's
        int(found["recovery"] or 0),
    )


def _decoded(user: str) -> str | None:
    try:
        return base64.b64decode(user.replace("-", "/").replace(".", "="), validate=True).decode()
    except ValueError:  # also of UTF-8
        return None


def object_key(recording_id: str, file_name: str, prefix: str | Sequence[str] | None = None) -> str:
    """Key of a file in the bucket: ``<prefix>/<recording id>/<file name>``.

    :param prefix: what was given as ``FileNamePrefix`` when the recording was started: its parts, or
        one text with ``/`` between them; None or empty for none.

    Source: On-Cloud Recording, trtc.io/document/45169.
    """
    parts = prefix.split("/") if isinstance(prefix, str) else list(prefix or ())
    return "/".join([*(part for part in parts if part), recording_id, file_name])


def object_url(base_url: str, key: str) -> str:
    """URL of a key in a bucket; ids and names may hold ``+`` and ``=``, which a URL must escape.

    :param base_url: the bucket's own, e.g. ``https://lessons-1250000000.cos.ap-guangzhou.myqcloud.com``.
    """
    return f"{base_url.rstrip('/')}/{quote(key, safe='/-._~')}"
