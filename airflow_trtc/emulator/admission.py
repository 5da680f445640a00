"""Whether a robot may enter its room, and whether its bucket takes its files. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.parameters import Values
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.user_sig import Door, NotValidError


def check_robot(
    settings: Settings,
    room: Room,
    robot: Values,
    *,
    now: float,
    private_map_key: object = None,
    stream_type: int = 0,
) -> None:
    """Raise unless a robot may enter a room at this Unix time.

    :param robot: its UserId and UserSig.
    :param private_map_key: as the request has it; False for calls that take none.
    :param stream_type: what it receives, as StreamType of recordings.
    """
    door = Door(room, robot["UserId"], settings.sdk_secret_key, now)
    if settings.check_user_sig:
        _check("UserSig", settings.user_sig_code, lambda: door.check_user_sig(robot["UserSig"]))
    if settings.advanced_permission_control and private_map_key is not False:
        key, code = str(private_map_key or ""), settings.private_map_key_code
        if not key:
            raise ApiError(code, "PrivateMapKey is missing: advanced permission control is on.")
        _check("PrivateMapKey", code, lambda: door.check_private_map_key(key, stream_type=stream_type))


def is_storage_refused(settings: Settings, storage: Values) -> bool:
    """Return whether the bucket will refuse this key pair; raise if that is found at once."""
    bucket = storage.get("CloudStorage")
    if bucket is None or settings.storage_access_key is None:
        return False
    given = f"{bucket['AccessKey']}\n{bucket['SecretKey']}"
    expected = f"{settings.storage_access_key}\n{settings.storage_secret_key}"
    if hmac.compare_digest(given.encode(), expected.encode()):
        return False
    if settings.refuse_storage == "at_create":
        raise ApiError(settings.storage_code, "AccessKey invalid.")
    return True


def _check(name: str, code: str, check: Callable[[], None]) -> None:
    try:
        check()
    except NotValidError as error:
        raise ApiError(code, f"{name} is not valid: {error}.") from None
