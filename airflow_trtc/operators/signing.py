"""The passes with which a robot enters its room. Airflow masks each of them wherever it would show it."""

from __future__ import annotations

from airflow.sdk.log import mask_secret

from airflow_trtc.cloud.user_sig import Privilege
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.recording.rooms import Room


def user_sig(hook: TrtcHook, user_id: str, given: str | None, *, seconds: int) -> str:
    """A robot's UserSig.

    :param given: one from elsewhere; None has the hook sign one.
    :raises TrtcSetupError: the connection cannot sign.
    """
    signature = given or hook.user_sig(user_id, seconds=seconds)
    mask_secret(signature)
    return signature


def private_map_key(
    hook: TrtcHook,
    user_id: str,
    room: Room,
    is_wanted: bool | None,
    *,
    seconds: int,
    privileges: Privilege = Privilege.ALL,
) -> dict[str, str]:
    """A robot's PrivateMapKey by its name; nothing where the room asks for none.

    :param is_wanted: whether the room asks for one; None as the connection says.
    :raises TrtcSetupError: the connection cannot sign.
    """
    if not (hook.settings.advanced_permission_control if is_wanted is None else is_wanted):
        return {}
    key = hook.private_map_key(user_id, room.value, seconds=seconds, privileges=privileges)
    mask_secret(key)
    return {"PrivateMapKey": key}
