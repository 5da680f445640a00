"""Signatures, against values of the vendor's own algorithm."""

from __future__ import annotations

import base64
import json
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
import TLSSigAPIv2  # type: ignore[import-untyped]

from airflow_trtc.cloud.user_sig import Privilege, Signer
from airflow_trtc.errors import TrtcSetupError

# The key of the vendor's public sample.
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
SIGNER = Signer(1400000000, KEY)
NOW, SECONDS = 1_600_000_000, 15_552_000


def opened(text: str) -> dict[str, Any]:
    ticket: dict[str, Any] = json.loads(
        zlib.decompress(base64.b64decode(text.translate(str.maketrans("*-_", "+/="))))
    )
    return ticket


def test_a_user_sig_is_the_vendors() -> None:
    text = SIGNER.user_sig("xiaojun", now=NOW + 0.9, seconds=SECONDS)
    assert text.startswith("eJ")
    assert not set(text) & set("+/=")
    assert opened(text) == {
        "TLS.ver": "2.0",
        "TLS.identifier": "xiaojun",
        "TLS.sdkappid": 1400000000,
        "TLS.expire": SECONDS,
        "TLS.time": NOW,
        "TLS.sig": "1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M=",
    }


@pytest.mark.parametrize("room_id", [None, 7, "a room"])
def test_the_vendors_package_signs_the_same(
    room_id: int | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TLSSigAPIv2, "time", SimpleNamespace(time=lambda: NOW))
    theirs = TLSSigAPIv2.TLSSigAPIv2(1400000000, KEY)
    if room_id is None:
        ours = SIGNER.user_sig("robot", now=NOW, seconds=60)
        assert opened(ours) == opened(theirs.gen_sig("robot", 60))
        return
    ours = SIGNER.private_map_key("robot", room_id, now=NOW, seconds=60)
    permission = base64.b64decode(opened(ours)["TLS.userbuf"])
    assert opened(ours) == opened(theirs.gen_sig_with_userbuf("robot", 60, permission))


@pytest.mark.parametrize(
    "room_id, permission, signature",
    [
        (
            10000,
            "AAAHeGlhb2p1blNyTgAAACcQYEteAAAAAP8AAAAA",
            "QQY8WpPtnz7YZSG2peQjkXFqylqgPMeZmrrJaErpMxE=",
        ),
        (
            "adbjkl",
            "AQAHeGlhb2p1blNyTgAAAAAAYEteAAAAAP8AAAAAAAZhZGJqa2w=",
            "xsgTsaF3yYq1ToNbBvh6jUO+9ejfBcpwG6oaUtMfPJ0=",
        ),
    ],
)
def test_a_private_map_key_is_the_vendors(room_id: int | str, permission: str, signature: str) -> None:
    ticket = opened(SIGNER.private_map_key("xiaojun", room_id, now=NOW, seconds=SECONDS))
    assert ticket["TLS.userbuf"] == permission
    assert ticket["TLS.sig"] == signature


def test_privileges_are_those_asked_for() -> None:
    text = SIGNER.private_map_key(
        "robot", 7, now=NOW, seconds=60, privileges=Privilege.ENTER_ROOM | Privilege.RECEIVE_AUDIO
    )
    permission = base64.b64decode(opened(text)["TLS.userbuf"])
    assert int.from_bytes(permission[-8:-4], "big") == 2 + 8


@pytest.mark.parametrize("user_id", ["", "a" * 33, "a b", "é", None, 7])
def test_a_user_id_that_the_service_refuses_is_refused(user_id: Any) -> None:
    for sign in (SIGNER.user_sig, lambda user, **times: SIGNER.private_map_key(user, 1, **times)):
        with pytest.raises(TrtcSetupError, match="cannot be signed"):
            sign(user_id, now=NOW, seconds=60)


@pytest.mark.parametrize("room_id", [0, -1, 2**32, "", "r" * 65, True, 1.5, None])
def test_a_room_that_cannot_be_is_refused(room_id: Any) -> None:
    with pytest.raises(TrtcSetupError, match="cannot be signed"):
        SIGNER.private_map_key("robot", room_id, now=NOW, seconds=60)


@pytest.mark.parametrize("seconds", [0, -1, 1.5, "60", True, 2**32])
def test_a_time_that_cannot_be_is_refused(seconds: Any) -> None:
    with pytest.raises(TrtcSetupError, match="whole number of seconds"):
        SIGNER.user_sig("robot", now=NOW, seconds=seconds)


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(SIGNER)
