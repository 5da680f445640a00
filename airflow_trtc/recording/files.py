"""Where the files of a recording lie in the bucket."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote


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
