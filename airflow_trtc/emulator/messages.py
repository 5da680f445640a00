"""A callback on the wire: its JSON, its signature, its headers. Pure functions.

Source: "Cloud Recording and Web Page Recording Webhooks" (trtc.io/document/54914).
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_trtc.emulator.events import STREAM_INGEST, Event

_KEY = re.compile(r"[A-Za-z0-9]{1,32}")


def sign(key: str, body: bytes) -> str:
    """Return the ``Sign`` header for exactly these bytes."""
    return base64.b64encode(hmac.digest(key.encode(), body, "sha256")).decode()


def headers(body: bytes, sdk_app_id: int, key: str | None) -> dict[str, str]:
    """Return the headers the service sends; without a key there is no ``Sign``."""
    signed = {} if key is None else {"Sign": sign(key, body)}
    return {"Content-Type": "application/json", **signed, "SdkAppId": str(sdk_app_id)}


def envelope(event: Event, sent_at: float) -> dict[str, Any]:
    """Return the whole message of an event that is sent at this Unix time."""
    sent_field = "CallbackMsTs" if event.group == STREAM_INGEST else "CallbackTs"
    return {
        "EventGroupId": event.group,
        "EventType": event.type,
        sent_field: round(sent_at * 1000),
        "EventInfo": event.info,
    }


def body_of(message: Mapping[str, Any], *, is_indented: bool) -> bytes:
    """Return the JSON of a message: compact, or with the tabs the service likes in some families."""
    if is_indented:
        text = json.dumps(message, ensure_ascii=False, indent="\t", separators=(",", ":\t"))
    else:
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def check_url(url: str) -> None:
    """Raise ``ValueError`` unless callbacks can be sent there."""
    if not _is_address(url):
        raise ValueError(f"callback_url must be an address such as http://127.0.0.1:8080/path, not {url!r}")


def _is_address(url: object) -> bool:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        is_port_right = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_port_right and " " not in url


def check_key(key: str) -> None:
    """Raise ``ValueError`` unless the console would take this key."""
    if not _KEY.fullmatch(key):
        raise ValueError("callback_key must be 1 to 32 letters and digits")
