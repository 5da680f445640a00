"""Which control requests that change something are accepted: none that another site's web page sent."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

_READING = ("GET", "HEAD")
_CONTENT_TYPES = ("application/json", "application/x-www-form-urlencoded", "")
"""The second is what ``curl -d`` says of everything; a page that sends it has an Origin."""


def refusal(method: str, headers: Mapping[str, str], hosts: Collection[str] = ()) -> tuple[int, str] | None:
    """Return HTTP status and reason of the refusal, None to accept. Header names are lower-case.

    A browser names the page's site as Origin. A page whose name was made to point here (DNS rebinding) has
    the same Origin as Host, so a Host that is a public name has to be among ``hosts``.
    """
    if method in _READING:
        return None
    host = headers.get("host", "")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != (host or None):
        return 403, f"a page of {origin[:200]!r} may not control the emulator"
    if not (_is_local(_name_of(host)) or _name_of(host) in hosts):
        return 403, f"the Host {host[:200]!r} is not known; the setting control_hosts allows more names"
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in _CONTENT_TYPES:
        return 415, f"the body must be application/json, not {content_type[:200]!r}"
    return None


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_local(name: str) -> bool:
    """Return whether this name can belong to no site of the Internet: an address, or a name without a dot."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(".localhost")
    return True
