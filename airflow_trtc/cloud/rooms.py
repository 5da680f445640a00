"""The calls about rooms and their users.

A numeric room and a string room of the same name are two rooms, and each call is two actions. The type of the
room's id chooses: an int is a numeric room, a text a string room. All of them leave the same behind when they
are carried out twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_trtc.cloud.calls import Call

ROOM_NOT_EXIST = "FailedOperation.RoomNotExist"
BY_NAME = "ByStrRoomId"


def dismiss(sdk_app_id: int, room_id: int | str) -> Call[None]:
    """Dismiss a room: everybody in it leaves, recordings end."""
    return _call("DismissRoom", sdk_app_id, room_id)


def remove_users(sdk_app_id: int, room_id: int | str, users: Sequence[str]) -> Call[None]:
    """Remove users from a room; they may enter again.

    :param users: at most ten, see `airflow_trtc.jobs.users.MAX_USERS_A_CALL`.
    """
    return _call("RemoveUser", sdk_app_id, room_id, {"UserIds": list(users)})


def block_user(sdk_app_id: int, room_id: int | str, user_id: str, is_mute: int) -> Call[None]:
    """Say what of a user the room no longer passes on.

    :param is_mute: a value of `airflow_trtc.jobs.users.BLOCKS`.
    """
    return _call("SetUserBlocked", sdk_app_id, room_id, {"UserId": user_id, "IsMute": is_mute})


def _call(
    action: str, sdk_app_id: int, room_id: int | str, more: Mapping[str, Any] | None = None
) -> Call[None]:
    params = {"SdkAppId": sdk_app_id, "RoomId": room_id, **(more or {})}
    name = action if isinstance(room_id, int) else action + BY_NAME
    return Call(name, params, _read_nothing, "idempotent")


def _read_nothing(answer: dict[str, Any]) -> None:
    """The service says no more than that it was done."""
