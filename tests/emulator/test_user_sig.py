"""Who may enter a room: tickets as the vendor's library makes them, and all that is wrong with others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest

from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.user_sig import Door, NotValidError

# Computed with TLSSigAPIv2.py; the key is the vendor's public sample.
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
APP, USER, NOW, SECONDS = 1400000000, "xiaojun", 1600000000, 15552000
NUMERIC, STRING = Room(APP, "10000"), Room(APP, "adbjkl", True)
OFFICIAL: dict[str, tuple[Room, str, str]] = {
    "user sig": (NUMERIC, "", "1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M="),
    "numeric room": (
        NUMERIC,
        "AAAHeGlhb2p1blNyTgAAACcQYEteAAAAAP8AAAAA",
        "QQY8WpPtnz7YZSG2peQjkXFqylqgPMeZmrrJaErpMxE=",
    ),
    "string room": (
        STRING,
        "AQAHeGlhb2p1blNyTgAAAAAAYEteAAAAAP8AAAAAAAZhZGJqa2w=",
        "xsgTsaF3yYq1ToNbBvh6jUO+9ejfBcpwG6oaUtMfPJ0=",
    ),
}
DOOR = Door(NUMERIC, USER, KEY, NOW)


def packed(ticket):
    text = base64.b64encode(zlib.compress(json.dumps(ticket).encode())).decode()
    return text.translate(str.maketrans("+/=", "*-_"))


def ticket_of(sig, userbuf="", **changes):
    ticket: dict[str, Any] = {
        "TLS.ver": "2.0",
        "TLS.identifier": USER,
        "TLS.sdkappid": APP,
        "TLS.expire": SECONDS,
        "TLS.time": NOW,
        **({"TLS.userbuf": userbuf} if userbuf else {}),
        "TLS.sig": sig,
    }
    return {name: value for name, value in {**ticket, **changes}.items() if value is not None}


def permission(room=NUMERIC, user=USER, app=APP, end=NOW + SECONDS, privileges=255):
    """A ticket with this permission, signed here as the algorithm is described."""
    number = 0 if room.is_string_room else int(room.room_id)
    name = room.room_id.encode()
    userbuf = struct.pack(">BH", room.is_string_room, len(user)) + user.encode()
    userbuf += struct.pack(">5I", app, number, end, privileges, 0)
    userbuf += struct.pack(">H", len(name)) + name if room.is_string_room else b""
    return signed(base64.b64encode(userbuf).decode())


def signed(userbuf):
    content = f"TLS.identifier:{USER}\nTLS.sdkappid:{APP}\nTLS.time:{NOW}\nTLS.expire:{SECONDS}\n"
    content += f"TLS.userbuf:{userbuf}\n"
    digest = hmac.new(KEY.encode(), content.encode(), hashlib.sha256).digest()
    return packed(ticket_of(base64.b64encode(digest).decode(), userbuf))


USER_SIG = packed(ticket_of(OFFICIAL["user sig"][2]))


@pytest.mark.parametrize("name", OFFICIAL)
def test_tickets_of_the_vendors_library_are_valid(name):
    room, userbuf, sig = OFFICIAL[name]
    text, door = packed(ticket_of(sig, userbuf)), replace(DOOR, room=room)
    door.check_user_sig(text)
    if userbuf:
        door.check_private_map_key(text, stream_type=0)


def test_a_ticket_is_valid_to_its_last_second():
    replace(DOOR, now=NOW + SECONDS - 1).check_user_sig(USER_SIG)


@pytest.mark.parametrize(
    "door, text, reason",
    [
        (replace(DOOR, now=NOW + SECONDS), USER_SIG, f"expired at {NOW + SECONDS}"),
        (replace(DOOR, user_id="other"), USER_SIG, "another user"),
        (replace(DOOR, room=Room(1400000001, "10000")), USER_SIG, "another application"),
        (replace(DOOR, key="deadbeef"), USER_SIG, "not made with the key"),
        (DOOR, packed(ticket_of("x" + OFFICIAL["user sig"][2][1:])), "not made with the key"),
        (DOOR, packed(ticket_of(OFFICIAL["user sig"][2], **{"TLS.expire": SECONDS + 1})), "not made with"),
        (DOOR, packed(ticket_of(OFFICIAL["user sig"][2], **{"TLS.time": str(NOW)})), "TLS.time"),
        (DOOR, packed(ticket_of(OFFICIAL["user sig"][2], **{"TLS.sdkappid": True})), "TLS.sdkappid"),
        (DOOR, packed(ticket_of(None)), "TLS.sig"),
        (DOOR, packed([]), "not well-formed"),
        (DOOR, packed("x" * 70_000), "not well-formed"),
        (DOOR, USER_SIG[:-8], "not well-formed"),
        (DOOR, "sig", "not well-formed"),
        (DOOR, "票", "not well-formed"),
    ],
)
def test_what_is_wrong_with_a_user_sig_is_said(door, text, reason):
    with pytest.raises(NotValidError, match=reason) as caught:
        door.check_user_sig(text)
    assert OFFICIAL["user sig"][2] not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("room", [NUMERIC, STRING])
@pytest.mark.parametrize("stream_type, needed", [(0, 42), (1, 10), (2, 34)])
def test_a_robot_needs_to_enter_and_to_receive_what_it_records(room, stream_type, needed):
    door = replace(DOOR, room=room)
    door.check_private_map_key(permission(room, privileges=needed), stream_type=stream_type)
    for bit in (2, 8, 32):
        if needed & bit:
            with pytest.raises(NotValidError, match="lacks the privilege to"):
                door.check_private_map_key(permission(room, privileges=255 & ~bit), stream_type=stream_type)


@pytest.mark.parametrize(
    "text, reason",
    [
        (permission(Room(APP, "10001")), "numeric room '10001', not for numeric room '10000'"),
        (permission(Room(APP, "10000", True)), "string room '10000', not for numeric room"),
        (permission(user="other"), "another user"),
        (permission(app=APP + 1), "another user or application"),
        (permission(end=NOW), "permission expired"),
        (permission(privileges=2), "receive audio, receive video"),
        (USER_SIG, "no well-formed permission"),
        (signed("AAAHeGlh"), "no well-formed permission"),
        (signed("%%"), "no well-formed permission"),
    ],
)
def test_what_is_wrong_with_a_private_map_key_is_said(text, reason):
    with pytest.raises(NotValidError, match=reason):
        DOOR.check_private_map_key(text, stream_type=0)
