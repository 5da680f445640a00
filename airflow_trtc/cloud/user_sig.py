"""UserSig and PrivateMapKey: what lets a user, or the robot that records, into a room.

Both are signed with the application's secret key, here and nowhere else; nothing is asked of the service. The
layout is that of the vendor's ``TLSSigAPIv2`` (version 2.0, HMAC-SHA256).
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import json
import struct
import zlib
from dataclasses import dataclass, field

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.users import MAX_USER_ID, is_user_id

MAX_ROOM_NAME = 64  # bytes
MAX_NUMBER = 2**32 - 1  # a numeric room, and an instant, take 32 bits
# The vendor's own alphabet, not the one of RFC 4648.
_ALPHABET = bytes.maketrans(b"+/=", b"*-_")


class Privilege(enum.IntFlag):
    """What a PrivateMapKey allows in its room."""

    CREATE_ROOM = 1
    ENTER_ROOM = 2
    SEND_AUDIO = 4
    RECEIVE_AUDIO = 8
    SEND_VIDEO = 16
    RECEIVE_VIDEO = 32
    SEND_SUBSTREAM = 64
    RECEIVE_SUBSTREAM = 128
    ALL = 255


@dataclass(frozen=True)
class Signer:
    """Signs for one application.

    :param sdk_app_id: the application.
    :param key: its secret key, as the text that the console shows (64 hexadecimal digits).
    """

    sdk_app_id: int
    key: str = field(repr=False)

    def user_sig(self, user_id: str, *, now: float, seconds: int) -> str:
        """Return a UserSig: the user may enter the application's rooms.

        :param user_id: at most 32 letters, digits, ``_`` and ``-``.
        :param now: seconds since 1970 from which it is valid.
        :param seconds: how long it is valid.
        :raises TrtcSetupError: the user id or the time cannot be signed.
        """
        return self._sign(_user(user_id), int(now), _lifetime(seconds), None)

    def private_map_key(
        self,
        user_id: str,
        room_id: int | str,
        *,
        now: float,
        seconds: int,
        privileges: Privilege = Privilege.ALL,
    ) -> str:
        """Return a PrivateMapKey: what the user may do in one room, where advanced permission control is on.

        :param room_id: an int for a numeric room, a str for a string room.
        :param privileges: all by default.
        :raises TrtcSetupError: the user id, the room or the time cannot be signed.
        """
        began_at, seconds = int(now), _lifetime(seconds)
        if began_at + seconds > MAX_NUMBER:
            raise TrtcSetupError("A PrivateMapKey must end before the year 2106.")
        number, name = _room(room_id)
        user = _user(user_id).encode()
        permission = struct.pack(
            f">BH{len(user)}sIIIII",
            bool(name), len(user), user, self.sdk_app_id, number, began_at + seconds, int(privileges), 0,
        ) + (struct.pack(">H", len(name)) + name if name else b"")  # fmt: skip
        return self._sign(user_id, began_at, seconds, base64.b64encode(permission).decode())

    def _sign(self, user_id: str, now: int, seconds: int, permission: str | None) -> str:
        content = f"TLS.identifier:{user_id}\nTLS.sdkappid:{self.sdk_app_id}\n"
        content += f"TLS.time:{now}\nTLS.expire:{seconds}\n"
        ticket = {
            "TLS.ver": "2.0",
            "TLS.identifier": user_id,
            "TLS.sdkappid": self.sdk_app_id,
            "TLS.expire": seconds,
            "TLS.time": now,
        }
        if permission is not None:
            content += f"TLS.userbuf:{permission}\n"
            ticket["TLS.userbuf"] = permission
        # The key is its text: the vendor does not decode the hexadecimal digits either.
        digest = hmac.digest(self.key.encode(), content.encode(), hashlib.sha256)
        ticket["TLS.sig"] = base64.b64encode(digest).decode()
        packed = zlib.compress(json.dumps(ticket).encode())
        return base64.b64encode(packed).translate(_ALPHABET).decode()


def _user(user_id: object) -> str:
    if not is_user_id(user_id):
        raise TrtcSetupError(
            f"The user id {user_id!r:.100} cannot be signed: it takes 1 to {MAX_USER_ID} of the characters"
            " a-z, A-Z, 0-9, _ and -."
        )
    return str(user_id)


def _lifetime(seconds: object) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= MAX_NUMBER:
        raise TrtcSetupError(
            f"A signature is valid for a whole number of seconds above 0, not {seconds!r:.100}."
        )
    return seconds


def _room(room_id: object) -> tuple[int, bytes]:
    """The number of a numeric room and no name, or 0 and the name of a string room."""
    if isinstance(room_id, int) and not isinstance(room_id, bool) and 0 < room_id <= MAX_NUMBER:
        return room_id, b""
    if isinstance(room_id, str) and 0 < len(name := room_id.encode(errors="replace")) <= MAX_ROOM_NAME:
        return 0, name
    raise TrtcSetupError(
        f"The room {room_id!r:.100} cannot be signed: a numeric room is an int from 1 to {MAX_NUMBER}, a"
        f" string room a text of 1 to {MAX_ROOM_NAME} bytes."
    )
