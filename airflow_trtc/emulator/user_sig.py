"""UserSig and PrivateMapKey, judged as the room's door would judge them. Pure functions.

Source: ``TLSSigAPIv2.py`` of tencentyun/tls-sig-api-v2-python (version 2.0, HMAC-SHA256); checked against
vectors computed with it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_trtc.emulator.rooms import Room

MAX_TICKET_BYTES = 65_536
"""Unpacked; a text that unpacks to more is no ticket."""

_ALPHABET = str.maketrans("*-_", "+/=")
_FIELDS: Mapping[str, type] = {
    "TLS.ver": str,
    "TLS.identifier": str,
    "TLS.sdkappid": int,
    "TLS.time": int,
    "TLS.expire": int,
    "TLS.sig": str,
}
_ENTER_ROOM, _RECEIVE_AUDIO, _RECEIVE_VIDEO = 2, 8, 32
_RIGHTS = {_ENTER_ROOM: "enter room", _RECEIVE_AUDIO: "receive audio", _RECEIVE_VIDEO: "receive video"}
_NEEDED = {
    0: _ENTER_ROOM | _RECEIVE_AUDIO | _RECEIVE_VIDEO,
    1: _ENTER_ROOM | _RECEIVE_AUDIO,
    2: _ENTER_ROOM | _RECEIVE_VIDEO,
}
"""What a robot must be allowed, by StreamType."""


class NotValidError(ValueError):
    """A ticket that lets nobody in; the text says which check failed and shows nothing of the ticket."""


@dataclass(frozen=True)
class Door:
    """Who wants to enter as whom, and the key that must have signed for it.

    :param key: the application's secret key, as text.
    :param now: Unix time in seconds by the service's clock.
    """

    room: Room
    user_id: str
    key: str
    now: float

    def check_user_sig(self, text: str) -> None:
        """Raise :class:`NotValidError` unless this UserSig is the user's, signed, and not expired."""
        self._checked_ticket(text)

    def check_private_map_key(self, text: str, *, stream_type: int) -> None:
        """Raise :class:`NotValidError` unless the user may record this type of stream in the room."""
        ticket = self._checked_ticket(text)
        permission = _permission(ticket.get("TLS.userbuf"))
        if (permission.user_id, permission.sdk_app_id) != (self.user_id, self.room.sdk_app_id):
            raise NotValidError("its permission is for another user or application")
        if permission.room != self.room:
            raise NotValidError(f"it is for {permission.room}, not for {self.room}")
        if self.now >= permission.expires_at:
            raise NotValidError(
                f"its permission expired at {permission.expires_at}, server time {int(self.now)}"
            )
        missing = _NEEDED[stream_type] & ~permission.privileges
        if missing:
            names = ", ".join(name for bit, name in _RIGHTS.items() if missing & bit)
            raise NotValidError(f"it lacks the privilege to {names}")

    def _checked_ticket(self, text: str) -> dict[str, Any]:
        ticket = _unpacked(text)
        if not hmac.compare_digest(_signature(ticket, self.key), ticket["TLS.sig"].encode()):
            raise NotValidError(
                f"its signature is not made with the key of application {self.room.sdk_app_id}"
            )
        if ticket["TLS.sdkappid"] != self.room.sdk_app_id:
            raise NotValidError(f"it is for another application, not for {self.room.sdk_app_id}")
        if ticket["TLS.identifier"] != self.user_id:
            raise NotValidError(f"it is for another user, not for UserId {self.user_id!r:.100}")
        expires_at = ticket["TLS.time"] + ticket["TLS.expire"]
        if self.now >= expires_at:
            raise NotValidError(f"it expired at {expires_at}, server time {int(self.now)}")
        return ticket


@dataclass(frozen=True)
class _Permission:
    user_id: str
    sdk_app_id: int
    room: Room
    expires_at: int
    privileges: int


def _unpacked(text: str) -> dict[str, Any]:
    try:
        packed = base64.b64decode(text.translate(_ALPHABET), validate=True)
        unpacker = zlib.decompressobj()
        ticket = json.loads(unpacker.decompress(packed, MAX_TICKET_BYTES))
    except (ValueError, zlib.error, RecursionError):
        raise NotValidError("it is not well-formed") from None
    if not (unpacker.eof and isinstance(ticket, dict)):
        raise NotValidError("it is not well-formed")
    for name, kind in _FIELDS.items():
        if type(ticket.get(name)) is not kind:
            raise NotValidError(f"it is not well-formed: {name} is missing or wrong")
    return ticket


def _signature(ticket: Mapping[str, Any], key: str) -> bytes:
    signed = ("TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire", "TLS.userbuf")
    content = "".join(f"{name}:{ticket[name]}\n" for name in signed if name in ticket)
    return base64.b64encode(hmac.digest(key.encode(), content.encode(errors="replace"), "sha256"))


def _permission(userbuf: object) -> _Permission:
    """Return what a userbuf says (big-endian): kind of room, user, application, room, end, privileges."""
    try:
        packed = base64.b64decode(userbuf if isinstance(userbuf, str) else "", validate=True)
        is_string, length = struct.unpack_from(">BH", packed)
        user_id = struct.unpack_from(f"{length}s", packed, 3)[0].decode()
        fixed = struct.unpack_from(">5I", packed, 3 + length)
        name, rest = str(fixed[1]), packed[3 + length + 20 :]
        if is_string:
            (length,) = struct.unpack_from(">H", rest)
            name = struct.unpack_from(f"{length}s", rest, 2)[0].decode()
    except (struct.error, binascii.Error, ValueError):
        raise NotValidError("it holds no well-formed permission for a room") from None
    sdk_app_id, _, expires_at, privileges, _ = fixed
    return _Permission(user_id, sdk_app_id, Room(sdk_app_id, name, bool(is_string)), expires_at, privileges)
