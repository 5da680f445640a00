"""Two small pages for people: all recordings, and one. They stand in for the vendor's console in demos."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from html import escape
from typing import Any
from urllib.parse import quote

from airflow_trtc.emulator.control import ControlError
from airflow_trtc.emulator.events import NAMES
from airflow_trtc.emulator.state import State, ledger_of, truth

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b2733}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;
border-bottom:1px solid #e3e8ee;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600;color:#5b6b7b;white-space:nowrap}
.status{display:inline-block;white-space:nowrap;padding:.1rem .6rem;border-radius:1rem;background:#e3e8ee}
.InProgress{background:#d3f2dd}.Exited{background:#fdeec5}.note{color:#5b6b7b}a{color:#1659c7}
"""
_FILE_KINDS = {
    "files": "Index files",
    "mp4_files": "MP4 files",
    "aac_files": "AAC files",
    "vod_files": "VOD files",
    "failed_files": "Files that failed",
}


def recording_page(state: State, recording_id: str) -> str:
    """Return the page of one recording, or raise :class:`ControlError` if there is none."""
    recording = state.recordings.get(recording_id)
    if recording is None:
        raise ControlError(f"no recording {recording_id!r}", 404)
    told = truth(recording, state.clock.now())
    parts = [f"<h1>{escape(recording_id)}</h1>", _badge(told["status"]), _facts(told)]
    parts += [_files(title, told[kind]) for kind, title in _FILE_KINDS.items() if told[kind]]
    if state.callbacks.url is not None:
        parts += ["<h2>Callbacks</h2>", _callbacks(state, recording_id)]
    parts += [
        "<h2>History</h2>",
        _table(("When", "Status"), _history(told)),
        '<p><a href="./">All recordings</a></p>',
    ]
    return _page(f"Recording in room {told['room_id']}", parts)


def overview_page(state: State) -> str:
    """Return the list of all recordings."""
    now = state.clock.now()
    all_told = [truth(recording, now) for recording in state.recordings.values()]
    rows = [
        (_link(told["recording_id"]), escape(told["room_id"]), _badge(told["status"]), str(told["reads"]))
        for told in all_told
    ]
    body = _table(("Recording", "Room", "Status", "Queries"), rows) if rows else "<p>No recordings yet.</p>"
    parts = ["<h1>Recordings</h1>", body]
    if state.callbacks.url is not None:
        state.collect_callbacks()
        counters = state.callbacks.ledger.describe().items()
        parts += [
            f"<h2>Callbacks to {escape(state.callbacks.url)}</h2>",
            _table((), [(name.capitalize(), str(number)) for name, number in counters]),
        ]
    return _page("Recordings", parts)


def _facts(told: dict[str, Any]) -> str:
    rows = (
        ("Room", escape(told["room_id"])),
        ("Application", str(told["sdk_app_id"])),
        ("Mode", "mixed" if told["mixed"] else "single stream"),
        ("Storage", escape(_storage(told))),
        ("Started", _when(told["started_at"])),
        (
            "Ended",
            _when(told["ended_at"]) + (f" ({escape(told['end_reason'])})" if told["end_reason"] else ""),
        ),
        ("Queries", str(told["reads"])),
    )
    return _table((), rows)


def _storage(told: dict[str, Any]) -> str:
    destination = told["destination"]
    prefix = "/".join([*destination.get("FileNamePrefix", []), told["recording_id"]])
    return f"{destination.get('Bucket', told['storage'])}/{prefix}/" if told["storage"] == "cos" else "VOD"


def _files(title: str, files: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            escape(each["FileName"]),
            escape(each["UserId"] or "-"),
            escape(each["TrackType"] or "-"),
            _when((each["BeginTimeStamp"] or 0) / 1000),
        )
        for each in files
    ]
    return f"<h2>{title}</h2>" + _table(("Name", "User", "Track", "Begins"), rows)


def _callbacks(state: State, recording_id: str) -> str:
    rows = [
        (
            _when(each["at"]),
            f"{each['event_type']} {NAMES.get(each['event_type'], '')}",
            escape(_fate(each)),
            escape(json.dumps(each["payload"], ensure_ascii=False)) if each["payload"] else "-",
        )
        for each in ledger_of(state, recording_id)
    ]
    return _table(("When", "Event", "Became", "Payload"), rows)


def _fate(told: dict[str, Any]) -> str:
    """Return in words what became of an event."""
    attempts = told["attempts"]
    words = [told["status"]]
    if told["copies"] == 2:
        words.append("sent twice on purpose")
    if len(attempts) > 1:
        words.append(f"{len(attempts)} attempts")
    if failure := next((each["error"] for each in reversed(attempts) if each["error"]), None):
        words.append(failure)
    return ", ".join(words)


def _history(told: dict[str, Any]) -> Iterable[tuple[str, str]]:
    return ((_when(each["at"]), escape(each["status"])) for each in told["history"])


def _when(at: float | None) -> str:
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if at else "-"


def _badge(status: str) -> str:
    return f'<span class="status {escape(status)}">{escape(status)}</span>'


def _link(recording_id: str) -> str:
    return f'<a href="{escape(quote(recording_id, safe=""))}">{escape(recording_id)}</a>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = f"<tr>{''.join(f'<th>{each}</th>' for each in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{titles}{body}</table>"


def _page(title: str, parts: Iterable[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f'<body>{"".join(parts)}<p class="note">TRTC recording emulator</p></body></html>\n'
    )
