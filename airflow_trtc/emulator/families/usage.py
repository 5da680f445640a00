"""The usage statistics: minutes that were used, from what happened here.

Sources: tencentcloud.com/document/api/647/54137 to 54140 and 54327, samples of the CLI (``tccli``) 3.1.155.
The time zone of the days is in no page [unsure]; it is a setting here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.parameters import Schema, Values, integer, text, texts
from airflow_trtc.emulator.state import State
from airflow_trtc.emulator.usage import DAY_SECONDS, KEYS, Book, Spell, minutes, overlap, peaks

REGIONS = frozenset({"ap-guangzhou", "ap-singapore"})
LIMIT = 5
STEP_SECONDS = 300
MAX_DAYS = 31
KEPT_DAYS = 90
AU_TYPES = {"conversation": "Conversation", "asr": "Asr", "translation": "Translation", "tts": "Tts"}
BUSINESS = ("moderation", "slicing")
_DATE = "%Y-%m-%d"
_TIME = "%Y-%m-%d %H:%M:%S"
_MINUTE = "%Y-%m-%d %H:%M"

_Choice = Callable[[Values], tuple[str, tuple[str, ...]]]


def _usage(choose: _Choice, *, format: str = _DATE, has_total: bool = False) -> Callable[..., Values]:
    """Return a call: what `choose` names, in points of five minutes or of days."""

    def run(state: State, call: Call) -> Values:
        usage, keys = choose(call.values)
        start, end = _span(state, call.values, format, days_included=format == _DATE)
        if end - start > MAX_DAYS * DAY_SECONDS:
            raise ApiError("InvalidParameter.QueryScaleOversize", f"at most {MAX_DAYS} days")
        step = DAY_SECONDS if end - start > DAY_SECONDS else STEP_SECONDS
        points = [
            (at, min(at + step, end)) for at in (start + n * step for n in range(-int((start - end) // step)))
        ]
        spells = [each for each in _spells(state, call, usage) if overlap(each, start, end)]
        count = peaks if usage == "relay" else minutes
        columns = [count(spells, key, points) for key in keys]
        rows = [list(row) for row in zip(*columns, strict=True)]
        answer: Values = {
            "UsageKey": list(keys),
            "UsageList": [
                {**_time_of(state, at, has_total=has_total), "UsageValue": [_number(each) for each in row]}
                for (at, _), row in zip(points, rows, strict=True)
            ],
        }
        if has_total:
            answer["TotalUsage"] = [_number(sum(column)) for column in columns]
        return answer

    return run


def by_room(state: State, call: Call) -> Values:
    """Return the seconds in each room as CSV, at most once in a while for each key pair."""
    _check_pace(state, call)
    start, end = _span(state, call.values, _MINUTE)
    if end - start > DAY_SECONDS or start < call.now - KEPT_DAYS * DAY_SECONDS:
        raise ApiError("InvalidParameter", f"at most a day, of the last {KEPT_DAYS}")
    seconds: dict[str, dict[str, float]] = {}
    keys = KEYS["trtc"]
    for each in _spells(state, call, "trtc"):
        if each.room_id and (used := overlap(each, start, end)):
            room = seconds.setdefault(each.room_id, dict.fromkeys(keys, 0.0))
            room[each.key] += used * each.amount
    data = io.StringIO(newline="")
    writer = csv.writer(data, lineterminator="\n")
    writer.writerow(["RoomId", *("hd" if key == "HD" else key for key in keys)])  # the vendor's spelling
    for name, room in sorted(seconds.items()):
        writer.writerow([name, *map(_number, room.values())])
    return {"Data": data.getvalue()}


def _check_pace(state: State, call: Call) -> None:
    asked_at, now = state.part(Book).room_asked_at, state.ticks()
    pause = state.settings.room_usage_seconds
    if now - asked_at.get(call.origin.secret_id, -pause) < pause:
        raise ApiError("OperationDenied.FreqOverLimit", f"{pause:g}")
    asked_at[call.origin.secret_id] = now


def _spells(state: State, call: Call, usage: str) -> Iterable[Spell]:
    given = next((call.values[name] for name in ("SdkAppId", "SdkAppid") if name in call.values), None)
    apps = state.settings.own_sdk_app_ids if given is None else {int(given)}
    every = state.part(Book).all(state.recordings.values(), call.now)
    return [each for each in every if each.usage == usage and each.sdk_app_id in apps]


def _span(state: State, values: Values, format: str, *, days_included: bool = False) -> tuple[float, float]:
    """Return the instants that are meant; the end of days is that of the last one."""
    zone = timezone(timedelta(hours=state.settings.usage_zone_hours))
    try:
        start, end = (
            datetime.strptime(values[name], format).replace(tzinfo=zone).timestamp()
            for name in ("StartTime", "EndTime")
        )
    except (ValueError, OverflowError):
        raise ApiError("InvalidParameter", f"StartTime and EndTime must be {format}") from None
    end += DAY_SECONDS if days_included else 0
    if start >= end:
        raise ApiError("InvalidParameter", "EndTime must not be before StartTime")
    return start, end


def _time_of(state: State, at: float, *, has_total: bool) -> Values:
    zone = timezone(timedelta(hours=state.settings.usage_zone_hours))
    key = datetime.fromtimestamp(at, zone).strftime(_TIME)
    return {"TimeKey": key} if has_total else {"TimeKey": key, "TimeStampKey": int(at)}


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _fixed(usage: str) -> _Choice:
    return lambda values: (usage, KEYS[usage])


def _of_recordings(values: Values) -> tuple[str, tuple[str, ...]]:
    usage = f"recording_{values['MixType']}"
    return usage, KEYS[usage]


def _of_ai(values: Values) -> tuple[str, tuple[str, ...]]:
    if not values["AuType"] or set(values["AuType"]) - set(AU_TYPES):
        raise ApiError("InvalidParameter", f"AuType must be some of {', '.join(AU_TYPES)}")
    return "ai", tuple(AU_TYPES[each] for each in dict.fromkeys(values["AuType"]))


def _of_segments(values: Values) -> tuple[str, tuple[str, ...]]:
    return BUSINESS[values["Business"]], (values["Type"].capitalize(),)


def _schema(more: Mapping[str, Any] | None = None, *, is_text: bool = False) -> Schema:
    app = text(pattern=r"\d{1,10}") if is_text else integer()
    return {"StartTime": text(required=True), "EndTime": text(required=True), **(more or {}), "SdkAppId": app}


ACTIONS: Mapping[str, Action] = {
    "DescribeTrtcUsage": Action(_usage(_fixed("trtc")), _schema(), REGIONS, limit=LIMIT),
    "DescribeRecordingUsage": Action(
        _usage(_of_recordings),
        _schema({"MixType": text(required=True, pattern="single|multi")}),
        REGIONS,
        limit=LIMIT,
    ),
    "DescribeMixTranscodingUsage": Action(_usage(_fixed("mix_transcoding")), _schema(), REGIONS, limit=LIMIT),
    "DescribeRelayUsage": Action(_usage(_fixed("relay")), _schema(), REGIONS, limit=LIMIT),
    "DescribeTrtcRoomUsage": Action(
        by_room,
        {
            "SdkAppid": integer(required=True),
            "StartTime": text(required=True),
            "EndTime": text(required=True),
        },
        REGIONS,
    ),
    "DescribeTRTCAIRecognitionUsage": Action(
        _usage(_of_ai, format=_TIME, has_total=True),
        _schema({"AuType": texts(required=True)}, is_text=True),
        REGIONS,
        limit=LIMIT,
    ),
    "DescribeTRTCSegmentModerationUsage": Action(
        _usage(_of_segments, format=_TIME, has_total=True),
        _schema(
            {
                "Type": text(required=True, pattern="audio|picture"),
                "Business": integer(0, 1, required=True),
            }
        ),
        REGIONS,
        limit=LIMIT,
    ),
    "DescribeTRTCDedicatedCloudAccUsage": Action(
        _usage(_fixed("acceleration"), format=_TIME, has_total=True), _schema(), REGIONS, limit=LIMIT
    ),
}
