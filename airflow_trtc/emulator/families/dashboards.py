"""The monitoring dashboards: how many were online and how well they fared, from the calls there were.

Sources: docstrings of tencentcloud-sdk-python 3.1.195 and samples of tccli 3.1.155. In the samples days begin
at midnight in UTC+8, although the docstrings say UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.history import History, PastCall, Session, series
from airflow_trtc.emulator.parameters import Schema, Values, flag, integer, text
from airflow_trtc.emulator.state import State

REAL_TIME_STEP = 10
REAL_TIME_KEPT = 12 * 3_600
"""What the advanced plan shows; the basic one shows three hours."""
MARKET_KEPT_DAYS = 60
CHINA = timezone(timedelta(hours=8))
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PERIODS = {"d": 86_400, "h": 3_600}

Stays: TypeAlias = "list[tuple[PastCall, Session]]"
Row: TypeAlias = "list[float]"

_REAL_TIME: Schema = {
    "SdkAppId": text(required=True, missing="MissingParameter.SdkAppId"),
    "StartTime": integer(required=True, missing="MissingParameter.StartTs"),
    "EndTime": integer(required=True, missing="MissingParameter.EndTs"),
    "RoomId": text(),
}
_MARKET: Schema = {
    "SdkAppId": text(required=True, missing="MissingParameter.SdkAppId"),
    "StartTime": text(required=True, missing="MissingParameter.StartTs"),
    "EndTime": text(required=True, missing="MissingParameter.EndTs"),
    "Period": text(required=True),
}


def real_time_scale(state: State, call: Call) -> Values:
    """Return how many users and rooms there were, every ten seconds."""
    rows = [[at, *_online(stays, at)] for at, stays in _moments(state, call)]
    return _result(("time", "userCount", "roomCount"), rows)


def real_time_quality(state: State, call: Call) -> Values:
    """Return which parts of the time stood still, in per cent, every ten seconds."""
    rows = [[at, *_freeze_rates(stays, at, at + REAL_TIME_STEP)] for at, stays in _moments(state, call)]
    return _result(("time", "videoFreezeRate", "audioFreezeRate"), rows)


def market_scale(state: State, call: Call) -> Values:
    """Return peaks and sums of each day or hour."""
    rows = []
    for start, _, stays in _periods(state, call):
        edges = sorted({start, *(each.joined_at for _, each in stays if each.joined_at >= start)})
        online = [_online(stays, at) for at in edges]
        peaks = (max(users for users, _ in online), max(rooms for _, rooms in online))
        users = {(past.room_id, each.user_id) for past, each in stays}
        rows.append([float(start), *peaks, len(users), len({past.comm_id for past, _ in stays})])
    return _result(("time", "peakCurrentUsers", "peakCurrentChannels", "userCount", "roomCount"), rows)


def market_quality(state: State, call: Call) -> Values:
    """Return quality of each day or hour, in per cent and milliseconds. Everybody enters at once here."""
    rows = []
    for start, end, stays in _periods(state, call):
        delays = list(_values(stays, "rtt", start, end))
        delay = sum(delays) / len(delays) if delays else 0.0
        rows.append([float(start), *_freeze_rates(stays, start, end), delay, 100.0, 100.0])
    columns = ("time", "videoFreezeRate", "audioFreezeRate", "networkDelay", "joinSuccessRate")
    return _result((*columns, "joinSuccessIn5sRate"), rows, as_float=bool(call.values.get("IsFloat")))


def _moments(state: State, call: Call) -> Iterator[tuple[int, Stays]]:
    start, end = call.values["StartTime"], call.values["EndTime"]
    if start <= 0:
        raise ApiError("InvalidParameter.StartTs", start)
    if end < start:
        raise ApiError("InvalidParameter.EndTs", end)
    if start < call.now - REAL_TIME_KEPT:
        raise ApiError("InvalidParameter.StartTimeOversize", start)
    stays = _stays(state, call, start, end)
    for at in range(
        -(-start // REAL_TIME_STEP) * REAL_TIME_STEP, min(end, int(call.now)) + 1, REAL_TIME_STEP
    ):
        yield at, [(past, each) for past, each in stays if each.is_there(at)]


def _periods(state: State, call: Call) -> Iterator[tuple[int, int, Stays]]:
    length = _PERIODS.get(call.values["Period"])
    if length is None:
        raise ApiError("InvalidParameter", "Period")
    first, last = _date(call, "StartTime"), _date(call, "EndTime")
    if last < first:
        raise ApiError("InvalidParameter.EndTs", call.values["EndTime"])
    if first < call.now - MARKET_KEPT_DAYS * 86_400:
        raise ApiError("InvalidParameter.StartTimeOversize", call.values["StartTime"])
    for start in range(first, min(last + 86_400, int(call.now)), length):
        yield start, start + length, _stays(state, call, start, start + length - 1)


def _date(call: Call, name: str) -> int:
    given = call.values[name]
    try:
        day = datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=CHINA) if _DATE.fullmatch(given) else None
    except ValueError:
        day = None
    if day is None:
        raise ApiError("InvalidParameter.StartTs" if name == "StartTime" else "InvalidParameter.EndTs", given)
    return int(day.timestamp())


def _stays(state: State, call: Call, start: int, end: int) -> Stays:
    """All stays that touch a span, its ends included."""
    room_id = call.values.get("RoomId")
    return [
        (past, each)
        for past in state.part(History).of_application(int(call.values["SdkAppId"]))
        if room_id in (None, past.room_id)
        for each in past.sessions
        if each.joined_at <= min(end, call.now) and (each.left_at is None or each.left_at > start)
    ]


def _online(stays: Stays, at: float) -> tuple[int, int]:
    there = [(past.room_id, each.user_id) for past, each in stays if each.is_there(at)]
    return len(set(there)), len({room_id for room_id, _ in there})


def _freeze_rates(stays: Stays, start: int, end: int) -> tuple[float, float]:
    return _freeze_rate(stays, "bigvBlock", start, end), _freeze_rate(stays, "aBlock", start, end)


def _freeze_rate(stays: Stays, data_type: str, start: int, end: int) -> float:
    still = whole = 0.0
    for past, session in stays:
        for one in series(past, session, data_type, (start, end - 1)):
            still += sum(value for _, value in one.points)
            whole += len(one.points) * past.step_seconds * 1000
    return min(100.0, 100 * still / whole) if whole else 0.0


def _values(stays: Stays, data_type: str, start: int, end: int) -> Iterator[float]:
    for past, session in stays:
        for one in series(past, session, data_type, (start, end - 1)):
            yield from (value for _, value in one.points)


def _result(columns: Sequence[str], rows: Sequence[Sequence[float]], *, as_float: bool = False) -> Values:
    name = "RowValueFloat" if as_float else "RowValue"
    kind: Callable[[float], Any] = float if as_float else round
    values = [{name: [kind(each) for each in row]} for row in rows]
    return {"Data": {"StatementID": 0, "Series": [{"Columns": list(columns), "Values": values}], "Total": 1}}


ACTIONS: Mapping[str, Action] = {
    "DescribeTRTCRealTimeScaleData": Action(real_time_scale, _REAL_TIME, None),
    "DescribeTRTCRealTimeQualityData": Action(real_time_quality, _REAL_TIME, None),
    "DescribeTRTCMarketScaleData": Action(market_scale, _MARKET, None),
    "DescribeTRTCMarketQualityData": Action(market_quality, {**_MARKET, "IsFloat": flag()}, None),
}
