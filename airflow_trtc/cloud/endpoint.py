"""Where requests go: addresses, regions and the way there, from plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from airflow_trtc.errors import TrtcSetupError

PUBLIC_HOST = "trtc.tencentcloudapi.com"
STS_HOST = "sts.tencentcloudapi.com"
DEFAULT_REGION = "ap-guangzhou"
DEFAULT_INTERNATIONAL_REGION = "ap-singapore"
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_REGION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REGION_IN_HOST = re.compile(r"trtc\.([a-z]+-[a-z0-9-]+)\.")


@dataclass(frozen=True)
class Route:
    """What a transport has to know of the way to a service.

    :param scheme: ``https``, or ``http`` for a stand-in on this machine.
    :param host: with its port if it has one, without scheme.
    :param timeout_seconds: for connecting and for each wait for data; not a limit of the whole call.
    :param proxy: URL of an HTTP proxy; None follows the usual environment variables.
    """

    scheme: str
    host: str
    region: str
    timeout_seconds: float
    proxy: str | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """The address with its scheme."""
        return f"{self.scheme}://{self.host}"


def default_region(host: str) -> str:
    """The region when none is named: a regional host's own; the international endpoint has another one."""
    if named := _REGION_IN_HOST.search(host):
        return named.group(1)
    return DEFAULT_INTERNATIONAL_REGION if ".intl." in host else DEFAULT_REGION


def region_name(value: str | None, where: str) -> str | None:
    """Read a region; None and "" are absent.

    Which regions there are is left to the service.

    :param where: what to call it in the message.
    :raises TrtcSetupError: it cannot be the name of a region.
    """
    name = (value or "").strip()
    if name and not _REGION.fullmatch(name):
        raise TrtcSetupError(f"The {where} must be a region such as {DEFAULT_REGION}, not {name!r}.")
    return name or None


def parse_endpoint(
    host: str | None, *, port: int | None = None, scheme: str | None = None, default: str = PUBLIC_HOST
) -> tuple[str, str]:
    """Return scheme and ``host[:port]``; an empty host is the public API.

    :raises TrtcSetupError: it is no address of an HTTP service.
    """
    given = (host or "").strip() or default
    url = given if "://" in given else f"{(scheme or '').strip() or 'https'}://{given}"
    try:
        parts = urlsplit(url)
        number = parts.port or port
    except ValueError as error:
        raise _bad_endpoint(given, str(error)) from None
    if parts.scheme not in ("http", "https"):
        raise _bad_endpoint(given, f"the scheme {parts.scheme!r} is neither http nor https")
    if parts.username or parts.password:
        raise _bad_endpoint("@", "")
    if not parts.hostname or not _is_host(parts.hostname):
        raise _bad_endpoint(given, "there is no host name in it")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _bad_endpoint(given, "it must be a host without a path")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, f"{name}:{number}" if number else name


def is_loopback(host: str) -> bool:
    """Whether ``host[:port]`` is this machine, which no proxy can reach for us."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _is_host(name: str) -> bool:
    if ":" in name:  # an IPv6 address, which urlsplit has looked into
        return True
    return len(name) <= 253 and all(_LABEL.fullmatch(label) for label in name.removesuffix(".").split("."))


def _bad_endpoint(given: str, why: str) -> TrtcSetupError:
    if "@" in given:  # what stands before it may be keys
        given, why = "the given host", "keys belong into login and password, not into the host"
    return TrtcSetupError(
        f"The API endpoint {given!r} cannot be used: {why}. Leave the host empty for {PUBLIC_HOST}."
    )
