"""The files that an event of cloud slicing names.

The documentation says no more of the event than that it holds the result and the user's id, and how the files
are called: ``<prefix>/<TaskId>/<user>/audios/<application>_<room>_<user>_<UTC time>.ogg``, and the same with
``images`` and ``.png``. So every text that is the name, the path or the address of such a file counts,
wherever in the event it stands. Source: Realize Cloud Slicing, trtc.io/document/73393, as of 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_trtc import bounds
from airflow_trtc.jobs.callback import Callback, without_signature
from airflow_trtc.jobs.observation import RecordedFile

MAX_SLICES = 1_000  # of one event
DEEPEST = 4
_FOLDERS = {"ogg": "audios", "png": "images"}
_FILE = re.compile(r"(?i)[^?#\s]+\.(ogg|png)")
_TIME = re.compile(r"_(\d{14})\.\w+")


def slices_of(callback: Callback) -> tuple[RecordedFile, ...]:
    """The slices that an event names, each once."""
    info = bounds.mapping(callback.event.get("EventInfo"))
    places = (callback.payload, info)
    named = (bounds.label(place.get(name)) for place in places for name in ("StreamUserId", "StreamerUserId"))
    user_id = next((user for user in named if user is not None), None)
    files: dict[str, RecordedFile] = {}
    for text in _texts(callback.payload, DEEPEST):
        file = _slice(text, callback.task_id or "", user_id)
        if file is not None and len(files) < MAX_SLICES:
            files.setdefault(file.file_name, file)
    return tuple(files.values())


def _texts(value: Any, deepest: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif deepest and isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner, deepest - 1)


def _slice(text: str, job_id: str, user_id: str | None) -> RecordedFile | None:
    if "://" in text:
        text = unquote(urlsplit(without_signature(text) or "").path)
    found = _FILE.fullmatch(text)
    if found is None:
        return None
    name = _within_job(text, job_id).strip("/")
    folder = _FOLDERS[found[1].lower()]
    parts = name.split("/")
    if len(parts) == 1 and user_id is not None:
        name = f"{user_id}/{folder}/{name}"
    if len(parts) == 3 and parts[1] == folder:
        user_id = user_id or parts[0]
    file_name = bounds.job_id(name)  # one that is cut would name another file
    if file_name is None:
        return None
    track = "audio" if folder == "audios" else "video"
    return RecordedFile(file_name, user_id, track, _begin_ms(name))


def _within_job(path: str, job_id: str) -> str:
    """The path behind the job's own folder, if it is in it."""
    _, folder, inner = path.rpartition(f"{job_id}/") if job_id else ("", "", "")
    return inner if folder else path


def _begin_ms(name: str) -> int | None:
    found = _TIME.search(name)
    if found is None:
        return None
    try:
        at = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return bounds.instant_ms(round(at.timestamp() * 1000))
