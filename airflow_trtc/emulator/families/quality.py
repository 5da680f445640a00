"""Call quality and history, from what happened here.

Sources: docstrings of tencentcloud-sdk-python 3.1.195, cloud.tencent.com/document/api/647/77745 (rooms; the
regions) and its neighbours. Which rooms and users lie in a span is documented nowhere: here it is all that
were there at any time of it, both ends included [unsure].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.families import dashboards
from airflow_trtc.emulator.history import MEASURES, History, PastCall, Session, series
from airflow_trtc.emulator.parameters import Schema, Values, integer, text, texts
from airflow_trtc.emulator.state import State

REGIONS = frozenset({"ap-beijing", "ap-guangzhou", "ap-mumbai", "ap-singapore", "na-toronto"})
DAY, HOUR = 86_400, 3_600
KEPT_SECONDS = 14 * DAY
MOST_UNUSUAL = 20
MOST_USERS_WITH_DATA = 6
LARGEST_PAGE = 100
CHINA_SECONDS = 8 * HOUR
"""Days of DescribeScaleInfo begin at midnight in UTC+8, as the times in the vendor's sample do."""

_Item = TypeVar("_Item")

_SPAN: Schema = {
    "SdkAppId": integer(0, required=True, missing="MissingParameter.SdkAppId"),
    "StartTime": integer(required=True, missing="MissingParameter.StartTs"),
    "EndTime": integer(required=True, missing="MissingParameter.EndTs"),
}
_PAGE: Schema = {"PageNumber": integer(), "PageSize": integer()}
_COMM_ID: Schema = {"CommId": text(required=True, missing="MissingParameter.CommId")}


def describe_rooms(state: State, call: Call) -> Values:
    """Return a page of rooms; ``Total`` is the number on this page."""
    start, end = _span(call, longest=DAY)
    calls = [
        each
        for each in _history(state).of_application(call.values["SdkAppId"])
        if each.is_alive(start, end, call.now) and each.room_id == call.values.get("RoomId", each.room_id)
    ]
    page = _page(call.values, calls, usual=10, largest=LARGEST_PAGE)
    return {"Total": len(page), "RoomList": [_room(each, call.now) for each in page]}


def describe_users(state: State, call: Call) -> Values:
    """Return a page of a call's users, one entry for each stay; ``Total`` is that of all pages."""
    start, end = _span(call, longest=4 * HOUR)
    past = _past_call(state, call)
    sessions = _sessions(past, call, start, end)
    page = _page(call.values, sessions, usual=6, largest=LARGEST_PAGE)
    return {"Total": len(sessions), "UserList": [_user(past, each, call.now) for each in page]}


def describe_details(state: State, call: Call) -> Values:
    """Return a page of a call's users, and what they measured if data types are asked for.

    ``Data`` is null for a span longer than an hour, as documented.
    """
    data_types = _data_types(call.values)
    start, end = _span(call)
    past = _past_call(state, call)
    if data_types and len(call.values.get("UserIds", ())) > MOST_USERS_WITH_DATA:
        raise ApiError("InvalidParameter.UserIdsMorethanSix")
    sessions = _sessions(past, call, start, end)
    largest = MOST_USERS_WITH_DATA if data_types else LARGEST_PAGE
    page = _page(call.values, sessions, usual=6, largest=largest)
    users = [_user(past, each, call.now) for each in page]
    answer: Values = {"Total": len(sessions), "UserList": users, "Data": []}
    if data_types:
        end = min(end, int(call.now))
        data = None if end - start > HOUR else _data(past, page, data_types, (start, end))
        answer["Data"] = data
    return answer


def describe_events(state: State, call: Call) -> Values:
    """Return the events of one user in a call, by peer."""
    start, end = _span(call)
    past = _past_call(state, call)
    by_peer: dict[str, list[Values]] = {}
    for session in past.sessions:
        if session.user_id == call.values["UserId"] and past.room_id == call.values["RoomId"]:
            for each in session.happenings:
                if start * 1000 <= each.at_ms <= min(end, call.now) * 1000:
                    event = {"Type": each.stream_type, "Time": each.at_ms, "EventId": each.event_id}
                    parameters = {"ParamOne": each.first, "ParamTwo": each.second}
                    by_peer.setdefault(each.peer_id, []).append({**event, **parameters})
    return {"Data": [{"Content": found, "PeerId": peer_id} for peer_id, found in by_peer.items()]}


def describe_unusual(state: State, call: Call) -> Values:
    """Return abnormal experiences, at most twenty of them."""
    start, end = _span(call, longest=HOUR, too_old="InvalidParameter.StartTimeExpire")
    wanted = call.values.get("RoomId")
    found = [
        (past, session, each)
        for past in _history(state).of_application(call.values["SdkAppId"])
        if wanted in (None, past.room_id)
        for session in past.sessions
        for each in session.troubles
        if start <= each.at <= min(end, call.now)
    ]
    listed = [
        {
            "UserId": session.user_id,
            "ExperienceId": each.experience_id,
            "RoomId": past.room_id,
            "EventTime": each.at,
            "AbnormalEventList": [
                {"AbnormalEventId": event_id, "PeerId": peer_id} for event_id, peer_id in each.causes
            ],
        }
        for past, session, each in found[:MOST_UNUSUAL]
    ]
    return {"Total": len(listed), "AbnormalExperienceList": listed}


def describe_scale(state: State, call: Call) -> Values:
    """Return how many rooms and users the days had, the newest first; none for a day that is not over."""
    start, end = _span(call)
    calls = list(_history(state).of_application(call.values["SdkAppId"]))
    first = (start + CHINA_SECONDS) // DAY * DAY - CHINA_SECONDS
    days = [day for day in range(first, end, DAY) if day + DAY <= call.now]
    scale = [_scale(calls, day) for day in reversed(days)]
    return {"Total": len(scale), "ScaleList": scale}


def _history(state: State) -> History:
    return state.part(History)


def _span(
    call: Call, longest: int | None = None, too_old: str = "InvalidParameter.StartTsOversize"
) -> tuple[int, int]:
    """Return the span that a request asks for, checked as documented."""
    start, end = call.values["StartTime"], call.values["EndTime"]
    if start <= 0:
        raise ApiError("InvalidParameter.StartTs", start)
    if end <= 0 or end < start:
        raise ApiError("InvalidParameter.EndTs", end)
    if start < int(call.now) - KEPT_SECONDS:
        raise ApiError(too_old, start)
    if longest is not None and end - start > longest:
        raise ApiError("InvalidParameter.QueryScaleOversize", end - start)
    return start, end


def _page(values: Mapping[str, Any], items: Sequence[_Item], *, usual: int, largest: int) -> Sequence[_Item]:
    """Return one page; if either of number and size is missing, the first of the usual size."""
    number, size = values.get("PageNumber"), values.get("PageSize")
    if number is not None and number < 0:
        raise ApiError("InvalidParameter.PageNumber", number)
    if size is not None and size < 1:
        raise ApiError("InvalidParameter.PageSize", size)
    if size is not None and size > largest:
        raise ApiError("InvalidParameter.PageSizeOversize", size)
    if number is None or size is None:
        number, size = 0, usual
    return items[number * size : (number + 1) * size]


def _past_call(state: State, call: Call) -> PastCall:
    """Return the call that is asked for; one that never was has no users and no data."""
    comm_id, sdk_app_id = call.values["CommId"], call.values["SdkAppId"]
    past = _history(state).calls.get(comm_id)
    if past is None or past.sdk_app_id != sdk_app_id:
        return PastCall(sdk_app_id, "", 0, "", 0, 0, (), 1)
    return past


def _sessions(past: PastCall, call: Call, start: int, end: int) -> list[Session]:
    wanted = call.values.get("UserIds") or None
    if wanted is not None and len(wanted) > LARGEST_PAGE:
        raise ApiError("InvalidParameter.UserIds", len(wanted))
    return [
        each
        for each in past.sessions
        if each.joined_at <= min(end, call.now)
        and (each.left_at is None or each.left_at >= start)
        and (wanted is None or each.user_id in wanted)
    ]


def _data_types(values: Mapping[str, Any]) -> list[str]:
    given = values.get("DataType") or []
    if "all" in given:
        return list(MEASURES)
    for name in given:
        if name not in MEASURES:
            raise ApiError("InvalidParameter", f"DataType {name}")
    return list(given)


def _data(
    past: PastCall, page: Sequence[Session], data_types: Sequence[str], window: tuple[int, int]
) -> list[Values]:
    """What the users of a page measured: all their stays together, also those on other pages."""
    points: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    users = {each.user_id for each in page}
    for session in past.sessions:
        if session.user_id in users:
            for data_type in data_types:
                for one in series(past, session, data_type, window):
                    points.setdefault((one.user_id, one.peer_id, one.data_type), []).extend(one.points)
    return [
        {
            "UserId": user_id,
            "PeerId": peer_id,
            "DataType": data_type,
            "Content": [{"Time": at, "Value": value} for at, value in sorted(found)],
        }
        for (user_id, peer_id, data_type), found in points.items()
        if found
    ]


def _room(past: PastCall, now: float) -> Values:
    is_finished = past.destroyed_at is not None and past.destroyed_at <= now
    return {
        "CommId": past.comm_id,
        "RoomString": past.room_id,
        "CreateTime": past.created_at,
        "DestroyTime": past.destroyed_at if is_finished else int(now),
        "IsFinished": is_finished,
        "UserId": past.creator_id,
    }


def _user(past: PastCall, session: Session, now: float) -> Values:
    is_finished = session.left_at is not None and session.left_at <= now
    return {
        "RoomStr": past.room_id,
        "UserId": session.user_id,
        "JoinTs": session.joined_at,
        "LeaveTs": session.left_at if is_finished else int(now),
        "Finished": is_finished,
        "DeviceType": session.device_type,
        "SdkVersion": session.sdk_version,
        "ClientIp": session.client_ip,
    }


def _scale(calls: Sequence[PastCall], day: int) -> Values:
    """Count what a day had: rooms and stays that began in it, and different users of each room."""
    rooms = {each.room_id for each in calls if day <= each.created_at < day + DAY}
    stays = [
        (past.room_id, each.user_id)
        for past in calls
        for each in past.sessions
        if day <= each.joined_at < day + DAY
    ]
    return {"Time": day, "RoomNumbers": len(rooms), "UserNumber": len(set(stays)), "UserCount": len(stays)}


ACTIONS: Mapping[str, Action] = {
    "DescribeRoomInfo": Action(describe_rooms, {**_SPAN, "RoomId": text(), **_PAGE}, REGIONS),
    "DescribeUserInfo": Action(describe_users, {**_COMM_ID, **_SPAN, "UserIds": texts(), **_PAGE}, REGIONS),
    "DescribeCallDetailInfo": Action(
        describe_details, {**_COMM_ID, **_SPAN, "UserIds": texts(), "DataType": texts(), **_PAGE}, REGIONS
    ),
    "DescribeUserEvent": Action(
        describe_events,
        {
            **_COMM_ID,
            **_SPAN,
            "UserId": text(required=True, missing="MissingParameter.UserId"),
            "RoomId": text(required=True, missing="MissingParameter.RoomId"),
        },
        REGIONS,
    ),
    "DescribeUnusualEvent": Action(describe_unusual, {**_SPAN, "RoomId": text()}, REGIONS),
    "DescribeScaleInfo": Action(describe_scale, _SPAN, REGIONS),
    **dashboards.ACTIONS,
}
