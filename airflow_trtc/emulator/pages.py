"""Small pages for users: all there is, and one of it. They stand in for the vendor's console in demos."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from html import escape
from typing import Any
from urllib.parse import quote

from airflow_trtc.emulator import jobs
from airflow_trtc.emulator.billing import bill
from airflow_trtc.emulator.control import ControlError
from airflow_trtc.emulator.events import NAMES
from airflow_trtc.emulator.families import publishing
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.state import State, ledger_of, truth

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b2733}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1rem;margin-top:2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}table.facts{width:auto}
td,th{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #e3e8ee;vertical-align:top}
.facts td:first-child{color:#5b6b7b;white-space:nowrap;padding-right:2rem}
.long{overflow-wrap:anywhere;min-width:12rem}
th{font-weight:600;color:#5b6b7b;white-space:nowrap}
.status{display:inline-block;white-space:nowrap;padding:.1rem .6rem;border-radius:1rem;background:#e3e8ee}
.InProgress{background:#d3f2dd}.Exited{background:#fdeec5}.note{color:#5b6b7b}a{color:#1659c7}
"""
LONG_WORD = 24  # characters without a blank or a hyphen; such a word may be broken anywhere
_FILE_KINDS = {
    "files": "Index files",
    "mp4_files": "MP4 files",
    "aac_files": "AAC files",
    "vod_files": "VOD files",
    "failed_files": "Files that failed",
}

# What the numbers of an address's state in a 401 mean.
_URL_STATUSES = {
    publishing.IDLE: "over",
    publishing.CONNECTING: "connecting",
    publishing.RUNNING: "running",
    publishing.RECOVERING: "connecting again",
    publishing.FAILURE: "failed",
    publishing.DISCONNECTING: "disconnecting",
}


class Html(str):
    """Text that is HTML already; all other text is escaped where a page is put together."""

    __slots__ = ()


def recording_page(state: State, recording_id: str) -> str:
    """Return the page of one recording, job or relay, or raise :class:`ControlError` if there is none."""
    if recording_id in state.jobs:
        return _job_page(state, recording_id)
    if relay := publishing.find(state, recording_id):
        return _relay_page(state, relay)
    recording = state.recordings.get(recording_id)
    if recording is None:
        raise ControlError(f"no recording {recording_id!r}", 404)
    facts = truth(recording, state.clock.now())
    parts: list[str] = [_heading(1, recording_id), _badge(facts["status"]), _facts(facts)]
    for kind, title in _FILE_KINDS.items():
        if facts[kind]:
            parts += [_heading(2, title), _files(facts[kind])]
    if state.callbacks.url is not None:
        parts += [_heading(2, "Callbacks"), _callbacks(state, recording_id) or "None yet."]
    history = ((_when(each["at"]), each["status"]) for each in facts["history"])
    parts += [_heading(2, "History"), _table(("When", "Status"), history)]
    parts.append(Html('<p><a href="./">All recordings</a></p>'))
    return _page(f"Recording in room {facts['room_id']}", parts)


def overview_page(state: State) -> str:
    """Return the list of all recordings, and of jobs, relays and rooms if there are any."""
    now = state.clock.now()
    recordings = [truth(recording, now) for recording in state.recordings.values()]
    rows = [
        (
            _link(each["recording_id"]),
            _room_of(each),
            each["robot_id"],
            _badge(each["status"]),
            _key_pair(each["started_by"]),
            each["reads"],
        )
        for each in recordings
    ]
    head = ("Recording", "Room", "Robot", "Status", "Started by", "Polls")
    body = _table(head, rows) if rows else "No recordings yet."
    parts = [_heading(1, "Recordings"), body]
    if state.jobs:
        parts += [_heading(2, "Jobs of other kinds"), _jobs(state, now)]
    if relays := publishing.started(state):
        parts += [_heading(2, "Relays"), _relays(relays)]
    if rooms := _rooms(state, now):
        head = ("Room", "Application", "In it", "Recordings", "Running", "Ran")
        parts += [_heading(2, "Rooms"), _table(head, rooms)]
    if state.callbacks.url is not None:
        state.collect_callbacks()
        counters = state.callbacks.ledger.describe().items()
        parts.append(_heading(2, f"Callbacks to {state.callbacks.url}"))
        parts.append(_table((), [(name.capitalize(), number) for name, number in counters]))
    return _page("Recordings", parts)


def _job_page(state: State, job_id: str) -> str:
    facts = jobs.truth(state.jobs[job_id], state.clock.now())
    shown = ("kind", "action", "status", "room_id", "sdk_app_id", "robot_id", "key", "end_reason", "reads")
    rows = [
        (name.replace("_", " ").capitalize(), facts[name]) for name in shown if facts.get(name) is not None
    ]
    parts: list[str] = [_heading(1, job_id), _table((), rows)]
    if state.callbacks.url is not None:
        parts += [_heading(2, "Callbacks"), _callbacks(state, job_id)]
    if "history" in facts:
        history = ((_when(each["at"]), each["stage"]) for each in facts["history"])
        parts += [_heading(2, "History"), _table(("When", "Stage"), history)]
    parts.append(Html('<p><a href="./">All recordings and jobs</a></p>'))
    return _page("Job", parts)


def _relay_page(state: State, relay: publishing.Relay) -> str:
    facts = publishing.truth(relay)
    reason = f" ({relay.end_reason})" if relay.end_reason else ""
    rows = (
        ("Room", _room_of(facts)),
        ("Application", facts["sdk_app_id"]),
        ("Robot", relay.agent_id),
        ("Started by", _key_pair(facts["started_by"])),
        ("Stopped by", _key_pair(facts["stopped_by"])),
        ("Started", _when(relay.created_at)),
        ("Ended", _when(relay.ended_at) + reason),
        ("Updates", len(relay.updates)),
    )
    parts: list[str] = [_heading(1, relay.relay_id), _badge(_life_of(relay)), _table((), rows)]
    addresses = ((_address(url), _URL_STATUSES[status]) for url, status in relay.statuses.items())
    parts += [_heading(2, "Addresses"), _table(("Address", "State"), addresses)]
    if state.callbacks.url is not None:
        parts += [_heading(2, "Callbacks"), _callbacks(state, relay.relay_id) or "None yet."]
    history = (
        (_when(each["at"]), _address(each["url"]), _URL_STATUSES[each["status"]]) for each in relay.history
    )
    parts += [_heading(2, "History"), _table(("When", "Address", "State"), history)]
    parts.append(Html('<p><a href="./">All recordings and jobs</a></p>'))
    return _page(f"Relay of room {relay.room.room_id}", parts)


def _facts(facts: dict[str, Any]) -> Html:
    reason = f" ({facts['end_reason']})" if facts["end_reason"] else ""
    rows = (
        ("Room", _room_of(facts)),
        ("Application", facts["sdk_app_id"]),
        ("Robot", facts["robot_id"]),
        ("Started by", _key_pair(facts["started_by"])),
        ("Stopped by", _key_pair(facts["stopped_by"])),
        ("Mode", "mixed" if facts["mixed"] else "single stream"),
        ("Storage", _storage(facts)),
        ("Started", _when(facts["started_at"])),
        ("Ended", _when(facts["ended_at"]) + reason),
        ("Polls", facts["reads"]),
    )
    return _table((), rows)


def _rooms(state: State, now: float) -> list[tuple[object, ...]]:
    """Rooms into which people were moved, and those for which something was started: what the bill says."""
    started = [each for each in state.recordings.values() if each.started_by is not None]
    sums = {
        Room(each["sdk_app_id"], each["room_id"], each["is_string_room"]): each
        for each in bill(started, now)["by_room"]
    }
    return [
        (
            _room_of(asdict(room)),
            room.sdk_app_id,
            ", ".join(state.rooms[room]) or "nobody" if room in state.rooms else "as each recording plans",
            sums[room]["recordings"] if room in sums else 0,
            sums[room]["running"] if room in sums else 0,
            f"{sums[room]['seconds'] if room in sums else 0:.0f} s",
        )
        for room in dict.fromkeys([*state.rooms, *sums])
    ]


def _room_of(facts: dict[str, Any]) -> str:
    """The room, and which kind: the numeric room 8001 and the string room "8001" are two."""
    return f"{facts['room_id']} ({'string' if facts['is_string_room'] else 'numeric'})"


def _key_pair(origin: dict[str, Any] | None) -> str:
    return f"{origin['secret_id']}, request {origin['request_id']}" if origin else "-"


def _storage(facts: dict[str, Any]) -> str:
    if facts["storage"] != "cos":
        return "VOD"
    prefix = facts["destination"].get("FileNamePrefix")
    folders = map(str, prefix if isinstance(prefix, list) else ())
    bucket = facts["destination"].get("Bucket", "cos")
    return "/".join([str(bucket), *folders, facts["recording_id"], ""])


def _files(files: Sequence[dict[str, Any]]) -> Html:
    rows = [
        (
            each["FileName"],
            each["UserId"] or "-",
            each["TrackType"] or "-",
            _when((each["BeginTimeStamp"] or 0) / 1000),
        )
        for each in files
    ]
    return _table(("Name", "User", "Track", "Begins"), rows)


def _jobs(state: State, now: float) -> Html:
    facts = (jobs.truth(job, now) for job in state.jobs.values())
    rows = [
        (
            _link(each["job_id"]),
            each.get("kind", each["action"]),
            json.dumps(each["step"]) if "step" in each else each["status"],
            each["reads"],
        )
        for each in facts
    ]
    return _table(("Job", "Kind", "Answers", "Polls"), rows)


def _relays(relays: Iterable[publishing.Relay]) -> Html:
    rows = [
        (
            _link(each.relay_id),
            _room_of(asdict(each.room)),
            each.agent_id,
            _life_of(each),
            ", ".join(f"{_address(url)} {_URL_STATUSES[status]}" for url, status in each.statuses.items()),
        )
        for each in relays
    ]
    return _table(("Relay", "Room", "Robot", "State", "Addresses"), rows)


def _life_of(relay: publishing.Relay) -> str:
    return "running" if relay.is_running else relay.end_reason or "over"


def _address(url: str) -> str:
    """An address without what lets others publish there: user, query, and the name of the stream."""
    scheme, _, rest = url.partition("://")
    folder, _, _ = re.split("[?#]", rest, maxsplit=1)[0].rpartition("/")
    host, *folders = folder.split("/")
    return "/".join([f"{scheme}://{host.rpartition('@')[2]}", *folders, "..."])


def _shown_payload(payload: dict[str, Any] | None) -> str:
    if not payload:
        return "-"
    hidden = {"Url": _address(payload["Url"])} if isinstance(payload.get("Url"), str) else {}
    return json.dumps({**payload, **hidden}, ensure_ascii=False)


def _callbacks(state: State, recording_id: str) -> str:
    rows = [
        (
            _when(each["at"]),
            f"{each['event_type']} {NAMES.get(each['event_type'], '')}",
            _fate(each),
            _shown_payload(each["payload"]),
        )
        for each in ledger_of(state, recording_id)
    ]
    return _table(("When", "Event", "Became", "Payload"), rows) if rows else ""


def _fate(record: dict[str, Any]) -> str:
    """Return in words what became of an event."""
    attempts = record["attempts"]
    words = [record["status"]]
    if record["copies"] == 2:
        words.append("sent twice on purpose")
    if len(attempts) > 1:
        words.append(f"{len(attempts)} attempts")
    if failure := next((each["error"] for each in reversed(attempts) if each["error"]), None):
        words.append(failure)
    return ", ".join(words)


def _when(at: float | None) -> str:
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M:%S} UTC" if at else "-"


def _html(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))


def _heading(level: int, text: str) -> Html:
    return Html(f"<h{level}>{_html(text)}</h{level}>")


def _badge(status: str) -> Html:
    return Html(f'<span class="status {_html(status)}">{_html(status)}</span>')


def _link(recording_id: str) -> Html:
    return Html(f'<a href="{_html(quote(recording_id, safe=""))}">{_html(recording_id)}</a>')


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    titles = f"<tr>{''.join(f'<th>{_html(each)}</th>' for each in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    opening = "<table>" if head else '<table class="facts">'
    return Html(f'<div class="wide">{opening}{titles}{body}</table></div>')


def _cell(value: object) -> str:
    is_long = any(len(word) > LONG_WORD for word in re.split(r"[\s-]", str(value)))
    opening = '<td class="long">' if is_long else "<td>"
    return f"{opening}{_html(value)}</td>"


def _page(title: str, parts: Iterable[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_html(title)}</title><style>{_STYLE}</style></head>"
        f'<body>{"".join(map(_html, parts))}<p class="note">TRTC emulator</p></body></html>\n'
    )
