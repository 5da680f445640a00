"""The rows that a table has to have, from what the emulator says really happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from airflow_trtc.tables.event_names import CAUSES, EXPERIENCES, event_name
from airflow_trtc.tables.quality import SCHEMAS
from airflow_trtc.tables.schema import Interval

Told = Sequence[Mapping[str, Any]]
Rows = list[dict[str, Any]]
CHINA = ZoneInfo("Asia/Shanghai")


def at(seconds: float | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def expected(name: str, calls: Told, interval: Interval) -> Rows:
    """The rows of a table for an interval, sorted by all that they hold."""
    instant = {"rooms": "created_at", "users": "joined_at", "scale": "day_at"}.get(name, "at")
    found = TRUTHS[name](calls, interval)
    return in_order(row for row in found if row[instant] in interval)


def read_columns(what: str, row: dict[str, Any]) -> None:
    """Make values again of what files and databases hold."""
    for column in SCHEMAS[what].columns:
        value = row[column.name]
        if column.type == "instant" and value is not None:
            found = datetime.fromisoformat(value) if isinstance(value, str) else value
            row[column.name] = found.astimezone(timezone.utc)
        elif column.type == "flag":
            row[column.name] = bool(value)


def in_order(rows: Any) -> Rows:
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def _rooms(calls: Told, interval: Interval) -> Iterator[dict[str, Any]]:
    for call in calls:
        yield {
            "sdk_app_id": call["sdk_app_id"],
            "comm_id": call["comm_id"],
            "room_id": call["room_id"],
            "created_at": at(call["created_at"]),
            "destroyed_at": at(call["destroyed_at"]),
            "finished": call["destroyed_at"] is not None,
            "creator_id": call["creator_id"],
        }


def _stays(calls: Told) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    for call in calls:
        of = {"sdk_app_id": call["sdk_app_id"], "comm_id": call["comm_id"], "room_id": call["room_id"]}
        for session in call["sessions"]:
            yield of, session


def _users(calls: Told, interval: Interval) -> Iterator[dict[str, Any]]:
    for of, session in _stays(calls):
        yield {
            **of,
            "user_id": session["user_id"],
            "joined_at": at(session["joined_at"]),
            "left_at": at(session["left_at"]),
            "finished": session["left_at"] is not None,
            "device_type": session["device_type"] or None,
            "sdk_version": session["sdk_version"],
            "client_ip": session["client_ip"],
        }


def _details(calls: Told, interval: Interval) -> Iterator[dict[str, Any]]:
    for call in calls:
        for series in call["series"]:
            for seconds, value in series["points"]:
                yield {
                    "sdk_app_id": call["sdk_app_id"],
                    "comm_id": call["comm_id"],
                    "at": at(seconds),
                    "user_id": series["user_id"],
                    "peer_id": series["peer_id"],
                    "data_type": series["data_type"],
                    "value": float(value),
                }


def _events(calls: Told, interval: Interval) -> Iterator[dict[str, Any]]:
    found = [
        {
            **of,
            "user_id": session["user_id"],
            "at": at(0) + timedelta(milliseconds=event["at_ms"]),
            "position": 0,
            "peer_id": event["peer_id"],
            "event_id": event["event_id"],
            "event": event_name(event["event_id"], event["first"]),
            "stream_type": event["stream_type"],
            "param_one": event["first"],
            "param_two": event["second"],
        }
        for of, session in _stays(calls)
        for event in session["events"]
    ]
    columns = ("comm_id", "user_id", "at", "peer_id", "event_id", "stream_type", "param_one", "param_two")
    yield from _numbered(found, columns, same=3)


def _unusual(calls: Told, interval: Interval) -> Iterator[dict[str, Any]]:
    found = [
        {
            "sdk_app_id": of["sdk_app_id"],
            "room_id": of["room_id"],
            "user_id": session["user_id"],
            "at": at(trouble["at"]),
            "experience_id": trouble["experience_id"],
            "experience": EXPERIENCES.get(trouble["experience_id"]),
            "position": 0,
            "cause_id": cause_id,
            "cause": CAUSES.get(cause_id),
            "peer_id": peer_id,
        }
        for of, session in _stays(calls)
        for trouble in session["unusual"]
        for cause_id, peer_id in trouble["causes"] or [(None, "")]
    ]
    columns = ("room_id", "user_id", "at", "experience_id", "cause_id", "peer_id")
    yield from _numbered(found, columns, same=4)


def _numbered(rows: Rows, columns: Sequence[str], same: int) -> Iterator[dict[str, Any]]:
    rows = sorted(rows, key=lambda row: [row[name] for name in columns])
    for _, alike in groupby(rows, key=lambda row: [row[name] for name in columns[:same]]):
        for position, row in enumerate(alike):
            yield {**row, "position": position}


def _scale(calls: Told, interval: Interval) -> Iterator[dict[str, Any]]:
    day = interval.start
    while day < interval.end:
        end = (day.astimezone(CHINA) + timedelta(days=1)).astimezone(timezone.utc)
        rooms = {call["room_id"] for call in calls if day <= at(call["created_at"]) < end}
        stays = [
            (of["room_id"], session["user_id"])
            for of, session in _stays(calls)
            if day <= at(session["joined_at"]) < end
        ]
        yield {
            "sdk_app_id": calls[0]["sdk_app_id"],
            "day_at": day,
            "rooms": len(rooms),
            "users": len(set(stays)),
            "visits": len(stays),
        }
        day = end


TRUTHS: Mapping[str, Callable[[Told, Interval], Iterator[dict[str, Any]]]] = {
    "rooms": _rooms,
    "users": _users,
    "details": _details,
    "events": _events,
    "unusual": _unusual,
    "scale": _scale,
}
