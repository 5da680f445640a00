"""What signs the requests: one class per kind of credentials, with its fields and how it gets its keys.

A new kind is a new class and a row in `KINDS`. The form of the connection, the checks of its fields and
the tests of the documentation follow from the fields that are made with `extra`.
An identity that cannot be used is an error; nothing falls back to another one.
"""

from __future__ import annotations

import configparser
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from airflow_trtc import bounds
from airflow_trtc.cloud.endpoint import DEFAULT_REGION, STS_HOST, is_loopback, parse_endpoint
from airflow_trtc.cloud.key_source import BROKEN_CREDENTIALS, Keys, temporary_keys
from airflow_trtc.errors import TrtcSetupError, TrtcTransientError

METADATA_URL = "http://metadata.tencentyun.com/latest/meta-data/cam/security-credentials/"
METADATA_TIMEOUT_SECONDS = 3.0
DEFAULT_ROLE_DURATION_SECONDS = 7200
MIN_ROLE_DURATION_SECONDS, MAX_ROLE_DURATION_SECONDS = 900, 43200
PROFILE_FILES = ("~/.tencentcloud/credentials", "/etc/tencentcloud/credentials")
MAX_TOKEN_BYTES = 65_536
_JSON_WEB_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)

Text: TypeAlias = Callable[[str], str | None]


class Identity(Protocol):
    """What gets keys; equal identities get the same ones."""

    def fetch(self) -> Keys:
        """Get keys once. May read the environment, a file or the network, so it may block.

        :raises TrtcSetupError: the identity cannot be used as described.
        :raises TrtcTransientError: the service that issues its keys does not answer.
        """


def extra(label: str, description: str, default: Any = None, **options: Any) -> Any:
    """A field of an identity that users fill in as an extra field of the same name.

    :param label: the field's title in the form.
    :param description: its meaning; the kinds that have it are put in front.
    :param options: ``type`` (``string`` unless given) and what else the field's JSON schema says.
    """
    is_secret = options.get("format") == "password"
    form = {"label": label, "description": description, "schema": {"type": "string", **options}}
    return field(default=default, repr=not is_secret, metadata=form)


@dataclass(frozen=True)
class StaticKeys:
    """A key pair written into the connection, with the session token of temporary keys."""

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = extra("Session token", "Only for temporary keys.", format="password")

    def fetch(self) -> Keys:
        """The pair itself."""
        return Keys(self.secret_id, self.secret_key, self.token)


@dataclass(frozen=True)
class EnvironmentKeys:
    """``TENCENTCLOUD_SECRET_ID``, ``TENCENTCLOUD_SECRET_KEY`` and ``TENCENTCLOUD_TOKEN``."""

    def fetch(self) -> Keys:
        """Read the variables."""
        names = ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN")
        secret_id, secret_key, token = (os.environ.get(name, "").strip() for name in names)
        if not secret_id or not secret_key:
            raise TrtcSetupError(
                "The environment variables TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY must both be"
                " set where this runs."
            )
        return Keys(secret_id, secret_key, token or None)


@dataclass(frozen=True)
class ProfileKeys:
    """A section of the credentials file that the vendor's tools share.

    :param profile_file: None reads ``~/.tencentcloud/credentials`` and then
        ``/etc/tencentcloud/credentials``.
    """

    profile_name: str = extra("Profile", "Section of the credentials file. Default default.", "default")
    profile_file: str | None = extra("Profile file", f"Default {PROFILE_FILES[0]}.")

    def fetch(self) -> Keys:
        """Read the file."""
        candidates = [self.profile_file] if self.profile_file else PROFILE_FILES
        path = next((p for p in (Path(c).expanduser() for c in candidates) if p.is_file()), None)
        if path is None:
            raise TrtcSetupError(f"There is no credentials file at {' or '.join(candidates)}.")
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            raise TrtcSetupError(
                f"The credentials file {path} cannot be read ({type(error).__name__})."
            ) from None
        if not parser.has_section(self.profile_name):
            raise TrtcSetupError(f"The credentials file {path} has no section [{self.profile_name}].")
        values = {name: value.strip().strip("\"'") for name, value in parser[self.profile_name].items()}
        secret_id, secret_key = values.get("secret_id"), values.get("secret_key")
        if not secret_id or not secret_key:
            raise TrtcSetupError(f"Section [{self.profile_name}] of {path} lacks secret_id or secret_key.")
        return Keys(secret_id, secret_key, values.get("token") or None)


@dataclass(frozen=True)
class CvmRole:
    """The role bound to the virtual machine this runs on.

    :param role_name: None asks the machine for the name of its role.
    :param metadata_url: where the machine answers; for tests.
    """

    role_name: str | None = extra("CVM role", "Empty for the role bound to the virtual machine.")
    metadata_url: str = METADATA_URL

    def fetch(self) -> Keys:
        """Ask the virtual machine's metadata service."""
        role = self.role_name or self._read("").strip()
        if not role or "<" in role:
            raise TrtcSetupError(
                "No role is bound to this virtual machine; bind one or use other credentials."
            )
        try:
            answer = json.loads(self._read(role))
            if answer.get("Code") != "Success":
                raise TrtcSetupError(f"The metadata service returns no keys for the role {role!r}.")
            return temporary_keys(answer, answer["ExpiredTime"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TrtcTransientError(
                "The virtual machine's metadata service gave an answer that cannot be read.",
                code=BROKEN_CREDENTIALS,
            ) from None

    def _read(self, path: str) -> str:
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.parse import quote
        from urllib.request import ProxyHandler, build_opener

        url = self.metadata_url + quote(path, safe="")
        try:
            with build_opener(ProxyHandler({})).open(url, timeout=METADATA_TIMEOUT_SECONDS) as answer:
                text: str = answer.read(MAX_TOKEN_BYTES).decode("utf-8", "replace")
                return text
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError) and error.code < 500:
                raise TrtcSetupError(
                    "The virtual machine has no such role; bind it, or correct the extra field role_name.",
                    code=f"Client.Http{error.code}",
                ) from error
            raise TrtcTransientError(
                "The virtual machine's metadata service does not answer; credential_kind 'cvm_role' works"
                " only on Tencent Cloud's virtual machines.",
                code="Client.NoMetadata",
            ) from error


@dataclass(frozen=True, kw_only=True)
class _Role:
    """A role, and how its keys are asked for."""

    role_arn: str | None = extra("Role ARN", "E.g. qcs::cam::uin/100000000001:roleName/airflow.")
    role_session_name: str = extra("Role session name", "Shown in audits. Default airflow.", "airflow")
    role_duration_seconds: int = extra(
        "Role duration (s)",
        f"How long one generation of keys lives. Default {DEFAULT_ROLE_DURATION_SECONDS}.",
        DEFAULT_ROLE_DURATION_SECONDS,
        type="integer",
        minimum=MIN_ROLE_DURATION_SECONDS,
        maximum=MAX_ROLE_DURATION_SECONDS,
    )
    sts_endpoint: str | None = extra("STS endpoint", f"Default {STS_HOST}.")

    def __post_init__(self) -> None:
        parse_endpoint(self.sts_endpoint)

    def _params(self, role_arn: str) -> dict[str, Any]:
        return {
            "RoleArn": role_arn,
            "RoleSessionName": self.role_session_name,
            "DurationSeconds": self.role_duration_seconds,
        }


@dataclass(frozen=True)
class AssumedRole(StaticKeys, _Role):
    """A role that the holder of a key pair may assume (``sts:AssumeRole``)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.role_arn:
            raise TrtcSetupError("credential_kind is 'assume_role', but the extra field role_arn is missing.")

    def fetch(self) -> Keys:
        """Ask STS."""
        from airflow_trtc.cloud import sts

        pair = Keys(self.secret_id, self.secret_key, self.token)
        params = self._params(self.role_arn or "")
        return sts.assume_role(params, endpoint=self.sts_endpoint, region=DEFAULT_REGION, keys=pair)


@dataclass(frozen=True, kw_only=True)
class OidcRole(_Role):
    """A role for the holder of an identity provider's token, e.g. a pod's service account in TKE.

    What is None comes from the environment that TKE prepares: ``TKE_PROVIDER_ID``,
    ``TKE_WEB_IDENTITY_TOKEN_FILE``, ``TKE_ROLE_ARN``, ``TKE_REGION``.
    """

    oidc_provider_id: str | None = extra("OIDC provider", "Empty for what TKE puts into the environment.")
    oidc_token_file: str | None = extra("OIDC token file", "Empty for what TKE puts into the environment.")

    def __post_init__(self) -> None:
        super().__post_init__()
        scheme, host = parse_endpoint(self.sts_endpoint)
        if scheme != "https" and not is_loopback(host):
            raise TrtcSetupError("The extra field sts_endpoint must be https, since a token is sent there.")

    def fetch(self) -> Keys:
        """Ask STS, with the token as it is now."""
        from airflow_trtc.cloud import sts

        params = {
            "ProviderId": self.oidc_provider_id or _from_tke("TKE_PROVIDER_ID", "oidc_provider_id"),
            "WebIdentityToken": self._token(),
            **self._params(self.role_arn or _from_tke("TKE_ROLE_ARN", "role_arn")),
        }
        region = os.environ.get("TKE_REGION") or DEFAULT_REGION
        return sts.assume_role_with_web_identity(params, endpoint=self.sts_endpoint, region=region)

    def _token(self) -> str:
        path = self.oidc_token_file or _from_tke("TKE_WEB_IDENTITY_TOKEN_FILE", "oidc_token_file")
        try:
            with Path(path).open(encoding="utf-8") as file:
                token = file.read(MAX_TOKEN_BYTES).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TrtcSetupError(
                f"The identity provider's token file {path} cannot be read ({type(error).__name__})."
            ) from None
        if not _JSON_WEB_TOKEN.fullmatch(token):  # or any file of the machine could be sent away
            raise TrtcSetupError(
                f"The file {path} holds no token of an identity provider (three dotted parts)."
            )
        return token


def _from_tke(variable: str, name: str) -> str:
    if value := os.environ.get(variable):
        return value
    raise TrtcSetupError(
        f"credential_kind is 'oidc', but neither the extra field {name} nor the variable {variable} is set."
    )


KINDS: dict[str, type[Any]] = {
    "static": StaticKeys,
    "environment": EnvironmentKeys,
    "profile": ProfileKeys,
    "cvm_role": CvmRole,
    "assume_role": AssumedRole,
    "oidc": OidcRole,
}

# The variables of the environment that decide, beside its fields, whose keys an identity gets.
_CHOSEN_BY: dict[type[Any], tuple[str, ...]] = {
    EnvironmentKeys: ("TENCENTCLOUD_SECRET_ID",),
    ProfileKeys: ("HOME",),
    OidcRole: ("TKE_PROVIDER_ID", "TKE_ROLE_ARN"),
}


def account_of(identity: Identity) -> str:
    """What tells the account of an identity from others on this machine; it holds no secret."""
    return repr((identity, *(os.environ.get(name) for name in _CHOSEN_BY.get(type(identity), ()))))


def permanent_keys(identity: Identity) -> Keys | None:
    """The key pair of an identity that keeps one for good; None for those with temporary keys.

    Asks no service: what may have to do so is never permanent.

    :raises TrtcSetupError: the identity cannot be used as described.
    """
    if type(identity) not in (StaticKeys, EnvironmentKeys, ProfileKeys):
        return None
    keys = identity.fetch()
    return keys if keys.token is None and keys.expires_at is None else None


def extra_fields(kind: str) -> dict[str, Mapping[str, Any]]:
    """The extra fields of a kind of credentials, each with its label, description and schema."""
    return {each.name: each.metadata for each in fields(KINDS[kind]) if each.metadata}


FORM: dict[str, Mapping[str, Any]] = {
    name: form for kind in KINDS for name, form in extra_fields(kind).items()
}


def kinds_with(name: str) -> list[str]:
    """The kinds of credentials that have an extra field."""
    return [kind for kind in KINDS if name in extra_fields(kind)]


def identity_from(text: Text, *, login: str | None, password: str | None) -> Identity:
    """Choose the identity that a connection describes.

    :param text: reads one extra field.
    :raises TrtcSetupError: the kind is unknown, or a field of it is missing.
    """
    kind = text("credential_kind") or ("static" if login or password else None)
    if kind is None:
        raise TrtcSetupError(
            "There is no SecretId: fill in login and password, or set the extra field credential_kind"
            f" to one of {', '.join(KINDS)}."
        )
    if kind not in KINDS:
        raise TrtcSetupError(
            f"The extra field credential_kind is {kind!r}; the kinds are {', '.join(KINDS)}."
        )
    signs_with_pair = issubclass(KINDS[kind], StaticKeys)
    if login and not signs_with_pair:
        raise TrtcSetupError(f"credential_kind is {kind!r}, but there is a SecretId (login) too; remove one.")
    for name in sorted(FORM.keys() - extra_fields(kind)):
        if text(name):
            raise TrtcSetupError(
                f"The extra field {name} means nothing with credential_kind {kind!r}; change one of the two."
            )
    values = {name: _value(name, form, text) for name, form in extra_fields(kind).items()}
    given = {name: value for name, value in values.items() if value is not None}
    if not signs_with_pair:
        found: Identity = KINDS[kind](**given)
        return found
    if not login:
        raise TrtcSetupError("The connection's login is empty; it must hold the SecretId.")
    if not password:
        raise TrtcSetupError("The connection's password is empty; it must hold the SecretKey.")
    pair: StaticKeys = KINDS[kind](login, password, **given)
    Keys(pair.secret_id, pair.secret_key, pair.token)  # found wrong now rather than when it is used
    return pair


def _value(name: str, form: Mapping[str, Any], text: Text) -> str | int | None:
    value, schema = text(name), form["schema"]
    if value is None or schema["type"] != "integer":
        return value

    lowest, highest = schema["minimum"], schema["maximum"]
    number = bounds.number(value, lowest, highest)
    if number is None:
        raise TrtcSetupError(f"The extra field {name} must be from {lowest} to {highest}, not {value!r}.")
    return number
