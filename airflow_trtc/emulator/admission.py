"""Whether a robot may enter its room, and whether its bucket takes its files. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.parameters import Values
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.user_sig import Door, NotValidError


def check_robot(settings: Settings, room: Room, values: Values, *, now: float) -> None:
    """Raise unless the robot of this CreateCloudRecording may enter its room at this Unix time."""
    door = check_user_sig(settings, room, values, now=now)
    if settings.advanced_permission_control:
        key, stream_type = values.get("PrivateMapKey"), values["RecordParams"].get("StreamType", 0)
        code = settings.private_map_key_code
        if not key:
            raise ApiError(code, "PrivateMapKey is missing: advanced permission control is on.")
        _check("PrivateMapKey", code, lambda: door.check_private_map_key(key, stream_type=stream_type))


def check_user_sig(settings: Settings, room: Room, values: Values, *, now: float) -> Door:
    """Raise unless this ``UserSig`` is that of ``UserId``; return the door that the user stands at."""
    door = Door(room, values["UserId"], settings.sdk_secret_key, now)
    if settings.check_user_sig:
        _check("UserSig", settings.user_sig_code, lambda: door.check_user_sig(values["UserSig"]))
    return door


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
