"""What a client has to know: endpoint, region, application, identity and limits, from plain values.

Everything is checked here, before anything is sent. Nothing in here reads the environment or a file.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from airflow_trtc import bounds
from airflow_trtc.cloud.endpoint import Route, default_region, parse_endpoint, region_name
from airflow_trtc.cloud.identities import FORM, Identity, identity_from
from airflow_trtc.errors import TrtcSetupError

DEFAULT_REQUESTS_PER_SECOND = 19.0  # of the 20 that the service allows: a little is left to others
DEFAULT_TIMEOUT_SECONDS = 10.0
MAX_FIELD = 4_000  # characters

EXTRA_FIELDS = (
    "region",
    "sdk_app_id",
    "sdk_secret_key",
    "advanced_permission_control",
    "credential_kind",
    *FORM,
    "requests_per_second",
    "timeout_seconds",
    "proxy",
    "console_url",
    # What follows is for the receiver of callbacks; no client reads it.
    "callback_secret",
    "callback_unsigned",
)
FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}
CONSOLE_URL_FIELDS = ("sdk_app_id", "region", "recording_id", "kind", "job_id")


@dataclass(frozen=True)
class TrtcSettings:
    """Everything a client needs; equal settings may share one client.

    :param host: API host with its port if it has one, without scheme.
    :param scheme: ``https``, or ``http`` for a stand-in on this machine.
    :param region: region every call is sent to, e.g. ``ap-guangzhou``.
    :param sdk_app_id: the TRTC application; None when the connection names none.
    :param identity: where the keys come from.
    :param sdk_secret_key: the application's secret key, which signs for users; no client reads it.
    :param requests_per_second: how fast this machine may ask at most; the service allows the whole account
        20 a second and action, see :mod:`airflow_trtc.cloud.budget`.
    :param timeout_seconds: for connecting and for each wait for data; not a limit of the whole call.
    :param proxy: URL of an HTTP proxy; None follows the usual environment variables.
    :param console_url: template of a page about one job, see :func:`from_connection`.
    :param advanced_permission_control: whether the application's rooms ask for a PrivateMapKey; no client
        reads it.
    :param pace_directory: where this machine's processes share the pace of their requests; None keeps this
        process to a pace of its own.
    :param warnings: what seems wrong but could be ignored, one sentence each.
    """

    host: str
    scheme: str
    region: str
    sdk_app_id: int | None
    identity: Identity
    requests_per_second: float = DEFAULT_REQUESTS_PER_SECOND
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    proxy: str | None = field(default=None, repr=False)
    console_url: str | None = None
    sdk_secret_key: str | None = field(default=None, repr=False)
    advanced_permission_control: bool = False
    pace_directory: str | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def route(self) -> Route:
        """The way to the API."""
        return Route(self.scheme, self.host, self.region, self.timeout_seconds, self.proxy)

    @property
    def endpoint(self) -> str:
        """The API's address with its scheme."""
        return self.route.endpoint

    @property
    def account(self) -> TrtcSettings:
        """The same without what calls of one account may differ in; waits with equal ones share polls."""
        return replace(
            self,
            sdk_app_id=None,
            sdk_secret_key=None,
            advanced_permission_control=False,
            console_url=None,
            warnings=(),
        )


def from_connection(
    *,
    host: str | None = None,
    port: int | None = None,
    schema: str | None = None,
    login: str | None = None,
    password: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> TrtcSettings:
    """Read the fields of a connection.

    Numbers may be written as strings, as they are in a URI. Empty values count as absent. Extra fields
    that have no meaning end up in ``warnings``, with the name that was probably meant.

    :param host: empty for the public API; a host name, ``host:port`` or a URL.
    :param schema: ``http`` or ``https`` when the host does not say it itself.
    :param extra: the fields of :data:`EXTRA_FIELDS`. ``console_url`` may contain ``{sdk_app_id}``,
        ``{region}``, ``{kind}`` and ``{job_id}``, or ``{recording_id}`` for a page of recordings only.
    :raises TrtcSetupError: a value is missing, of the wrong kind or out of range.
    """
    fields = _Fields(extra)
    scheme, address = parse_endpoint(_text(host, "host"), port=port, scheme=_text(schema, "schema"))
    return TrtcSettings(
        host=address,
        scheme=scheme,
        region=region_name(fields.text("region"), "extra field region") or default_region(address),
        sdk_app_id=app_id(fields.get("sdk_app_id"), "extra field sdk_app_id"),
        identity=identity_from(
            fields.text, login=_text(login, "login"), password=_text(password, "password")
        ),
        requests_per_second=fields.number("requests_per_second", DEFAULT_REQUESTS_PER_SECOND, 0.01, 1000),
        timeout_seconds=fields.number("timeout_seconds", DEFAULT_TIMEOUT_SECONDS, 0.01, 300),
        proxy=_proxy(fields.text("proxy")),
        console_url=_console_url(fields.text("console_url")),
        sdk_secret_key=fields.text("sdk_secret_key"),
        advanced_permission_control=fields.flag("advanced_permission_control"),
        warnings=fields.unknown(),
    )


def read_extra(text: str | None) -> Any:
    """Parse a connection's extra; Airflow's own reading would turn what cannot be read into nothing.

    :raises TrtcSetupError: it is not JSON.
    """
    try:
        return json.loads(text) if text and text.strip() else None
    except (ValueError, RecursionError) as error:
        why = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise TrtcSetupError(f"The extra is not valid JSON ({why or type(error).__name__}).") from None


def app_id(value: object, where: str) -> int | None:
    """Read an application id (``SdkAppId``); None and "" are absent.

    :param where: what to call it in the message.
    :raises TrtcSetupError: it is not a positive whole number.
    """
    if value is None or value == "":
        return None
    number = None if isinstance(value, float) else bounds.number(_stripped(value), 1)
    if number is None:
        raise TrtcSetupError(f"The {where} must be a whole number such as 1400000001, not {value!r:.100}.")
    return number


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _text(value: object, name: str) -> str | None:
    text = "" if value is None else str(value).strip()
    if len(text) > MAX_FIELD or text != bounds.valid(text):
        raise TrtcSetupError(f"The {name} is too long, or holds what is no valid text.")
    return text or None


def _proxy(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise TrtcSetupError("The extra field proxy must be a URL such as http://proxy.example:3128.")
    return url


def _console_url(template: str | None) -> str | None:
    if template is None:
        return None
    fixed = re.sub("|".join(rf"\{{{name}\}}" for name in CONSOLE_URL_FIELDS), "", template)
    if "{" in fixed or "}" in fixed:
        known = ", ".join(f"{{{name}}}" for name in CONSOLE_URL_FIELDS)
        raise TrtcSetupError(f"The extra field console_url may contain {known} and nothing else in braces.")
    if not fixed.startswith(("http://", "https://")):
        raise TrtcSetupError("The extra field console_url must begin with http:// or https://.")
    return template


class _Fields:
    """A connection's extra, read field by field."""

    def __init__(self, extra: Mapping[str, Any] | None) -> None:
        if extra is not None and not isinstance(extra, Mapping):
            raise TrtcSetupError("The connection's extra must be a JSON object.")
        self._values = dict(extra or {})

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        if isinstance(value, (Mapping, list, bool)):
            raise TrtcSetupError(f"The extra field {name} must be a text, not {type(value).__name__}.")
        return _text(value, f"extra field {name}")

    def number(self, name: str, default: float, lowest: float, highest: float) -> float:
        value = self._values.get(name)
        if value is None or value == "":
            return default
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not lowest <= number <= highest:
            raise TrtcSetupError(
                f"The extra field {name} must be a number from {lowest:g} to {highest:g}, not {value!r:.100}."
            )
        return number

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        found = FLAGS.get(str(value).strip().lower()) if isinstance(value, str | int) else None
        if found is None and value is not None:
            raise TrtcSetupError(f"The extra field {name} must be true or false, not {value!r:.100}.")
        return bool(found)

    def unknown(self) -> tuple[str, ...]:
        """A warning for each field that has no meaning."""
        return tuple(_unknown(str(name)) for name in self._values if name not in EXTRA_FIELDS)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower()[:100], EXTRA_FIELDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the extra fields are {', '.join(EXTRA_FIELDS)}."
    return f"The connection's extra field {name[:100]!r} is not used; {hint}"
