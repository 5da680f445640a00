"""Who signs the requests: descriptions of an identity, and the keys that follow from it.

Stands in for the SDK's own credential classes, which swallow errors, wait without a timeout, refresh
at the wrong time or ignore session tokens (tencentcloud-sdk-python 3.1.195, ``common/credential.py``).
An identity that cannot be had is an error; nothing falls back to another one.
"""

from __future__ import annotations

import configparser
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcTransientError

log = logging.getLogger(__name__)

METADATA_URL = "http://metadata.tencentyun.com/latest/meta-data/cam/security-credentials/"
METADATA_TIMEOUT_SECONDS = 3.0
STS_HOST = "sts.tencentcloudapi.com"
DEFAULT_ROLE_DURATION_SECONDS = 7200
PROFILE_FILES = ("~/.tencentcloud/credentials", "/etc/tencentcloud/credentials")
_ROLE_FIELDS = {"role_arn", "role_session_name", "role_duration_seconds", "sts_endpoint"}
FIELDS_OF_KIND: dict[str, set[str]] = {
    "static": {"token"},
    "environment": set(),
    "profile": {"profile_name", "profile_file"},
    "cvm_role": {"role_name"},
    "assume_role": {"token", *_ROLE_FIELDS},
    "oidc": {"oidc_provider_id", "oidc_token_file", *_ROLE_FIELDS},
}
KINDS = tuple(FIELDS_OF_KIND)

REFRESH_AHEAD_SECONDS = 600.0
UNUSABLE_AHEAD_SECONDS = 30.0
FAILURE_HOLDS_SECONDS = 5.0
REFUSED_AGAIN_SECONDS = 5.0  # between two fetches because keys were refused
TRY_AGAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Keys:
    """One generation of keys.

    :param expires_at: Unix seconds; None when they never end.
    """

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    obtained_at: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class StaticKeys:
    """A key pair written into the connection, with the session token of temporary keys."""

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EnvironmentKeys:
    """``TENCENTCLOUD_SECRET_ID``, ``TENCENTCLOUD_SECRET_KEY`` and ``TENCENTCLOUD_TOKEN``."""


@dataclass(frozen=True)
class ProfileKeys:
    """A section of the credentials file that the vendor's tools share.

    :param file: None looks at ``~/.tencentcloud/credentials`` and then ``/etc/tencentcloud/credentials``.
    """

    profile: str = "default"
    file: str | None = None


@dataclass(frozen=True)
class CvmRole:
    """The role bound to the virtual machine this runs on.

    :param role_name: None asks the machine for the name of its role.
    """

    role_name: str | None = None


@dataclass(frozen=True)
class AssumedRole:
    """A role that another identity may assume (``sts:AssumeRole``).

    :param source: whose keys ask for the role.
    :param duration_seconds: how long one generation of keys lives, 900 to 43200.
    :param sts_endpoint: None is the public STS.
    """

    source: StaticKeys
    role_arn: str
    session_name: str
    duration_seconds: int
    sts_endpoint: str | None = None
    region: str = "ap-guangzhou"


@dataclass(frozen=True)
class OidcRole:
    """A role for the holder of an identity provider's token, e.g. a pod's service account in TKE.

    What is None comes from the environment that TKE prepares: ``TKE_PROVIDER_ID``,
    ``TKE_WEB_IDENTITY_TOKEN_FILE``, ``TKE_ROLE_ARN``, ``TKE_REGION``.
    """

    session_name: str
    duration_seconds: int
    provider_id: str | None = None
    token_file: str | None = None
    role_arn: str | None = None
    sts_endpoint: str | None = None


Identity = StaticKeys | EnvironmentKeys | ProfileKeys | CvmRole | AssumedRole | OidcRole


def identity_from(text: Callable[[str], str | None], *, login: str | None, password: str | None) -> Identity:
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
        raise TrtcSetupError(f"The extra field credential_kind is {kind!r}; known are {', '.join(KINDS)}.")
    if login and kind not in ("static", "assume_role"):
        raise TrtcSetupError(f"credential_kind is {kind!r}, but there is a SecretId (login) too; remove one.")
    for name in sorted(set().union(*FIELDS_OF_KIND.values()) - FIELDS_OF_KIND[kind]):
        if text(name):
            raise TrtcSetupError(
                f"The extra field {name} means nothing with credential_kind {kind!r}; change one of the two."
            )
    return _identity(kind, text, login, password)


def _identity(
    kind: str, text: Callable[[str], str | None], login: str | None, password: str | None
) -> Identity:
    if kind == "static":
        return _static(login, password, text("token"))
    if kind == "environment":
        return EnvironmentKeys()
    if kind == "profile":
        return ProfileKeys(text("profile_name") or "default", text("profile_file"))
    if kind == "cvm_role":
        return CvmRole(text("role_name"))
    session_name = text("role_session_name") or "airflow"
    duration_seconds = _duration(text("role_duration_seconds"))
    role_arn = text("role_arn")
    if kind == "oidc":
        return OidcRole(
            session_name,
            duration_seconds,
            text("oidc_provider_id"),
            text("oidc_token_file"),
            role_arn,
            text("sts_endpoint"),
        )
    if not role_arn:
        raise TrtcSetupError("credential_kind is 'assume_role', but the extra field role_arn is missing.")
    source = _static(login, password, text("token"))
    return AssumedRole(source, role_arn, session_name, duration_seconds, text("sts_endpoint"))


def _static(login: str | None, password: str | None, token: str | None) -> StaticKeys:
    if not login:
        raise TrtcSetupError("The connection's login is empty; it must hold the SecretId.")
    if not password:
        raise TrtcSetupError("The connection's password is empty; it must hold the SecretKey.")
    return StaticKeys(login, password, token)


def _duration(value: str | None) -> int:
    if value is None:
        return DEFAULT_ROLE_DURATION_SECONDS
    try:
        seconds = int(value)
    except ValueError:
        seconds = 0
    if not 900 <= seconds <= 43200:
        raise TrtcSetupError(
            f"The extra field role_duration_seconds must be from 900 to 43200, not {value!r}."
        )
    return seconds


class KeySource:
    """Keeps the keys of one identity fresh; one thread fetches, the others wait for it.

    :param fetch: gets a new generation of keys; may block, so never call it on an event loop.
    :param clock: Unix seconds, by which keys end.
    :param ticks: seconds of a clock that goes on evenly.
    """

    def __init__(
        self,
        fetch: Callable[[], Keys],
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._ticks = ticks
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._fresh_until = 0.0
        self._failure: TrtcError | None = None
        self._failed_until = 0.0
        self._compared_until = 0.0
        self._not_compared: TrtcError | None = None

    def fresh(self) -> Keys | None:
        """The keys at hand, or None when it is time to fetch. Never blocks."""
        keys = self._keys
        return keys if keys is not None and self._clock() < self._fresh_until else None

    def usable(self) -> Keys | None:
        """The keys at hand, if they serve for a while yet, fresh or not. Never blocks."""
        keys = self._keys
        return keys if keys is not None and self._clock() < _usable_until(keys) else None

    def current(self) -> Keys:
        """Keys that are good for the next request, fetched if need be. May block for seconds.

        :raises TrtcError: they cannot be had, and the last ones are about to end or have ended.
        """
        with self._lock:
            if keys := self.fresh():
                return keys
            if self._failure is not None and self._ticks() < self._failed_until:
                # Whoever waited in line meanwhile need not wait for the same failure again.
                raise copy(self._failure)
            try:
                keys = self._fetch()
            except TrtcError as error:
                return self._last_resort(error)
            return self._keep(keys)

    def instead_of(self, refused: Keys) -> Keys | None:
        """Other keys than those that the service refused; None when there are none. May block for seconds.

        A file may have been written anew, or a session ended before its time.

        :raises TrtcError: nobody can say whether there are.
        """
        with self._lock:
            if self._keys == refused:
                self._compare()
        keys = self.current()
        return None if keys == refused else keys

    def _compare(self) -> None:
        """Fetch beside the keys at hand: whoever refused them may be wrong."""
        if self._ticks() < self._compared_until:
            if self._not_compared is not None:
                raise copy(self._not_compared)
            return
        self._not_compared = None
        try:
            self._keep(self._fetch())
        except TrtcError as error:
            self._not_compared = error
            raise
        finally:
            self._compared_until = self._ticks() + REFUSED_AGAIN_SECONDS

    def _keep(self, keys: Keys) -> Keys:
        self._keys, self._fresh_until = keys, _refresh_at(keys)
        return keys

    def _last_resort(self, error: TrtcError) -> Keys:
        keys = self.usable()
        if keys is None:
            self._failure, self._failed_until = error, self._ticks() + FAILURE_HOLDS_SECONDS
            raise error
        self._fresh_until = min(self._clock() + TRY_AGAIN_SECONDS, _usable_until(keys))
        log.warning("New keys cannot be had, the old ones still serve for a while: %s", error)
        return keys


def _usable_until(keys: Keys) -> float:
    return float("inf") if keys.expires_at is None else keys.expires_at - UNUSABLE_AHEAD_SECONDS


def _refresh_at(keys: Keys) -> float:
    """Ten minutes before the end, or for short-lived keys after four fifths of their life."""
    if keys.expires_at is None:
        return float("inf")
    lifetime = max(0.0, keys.expires_at - keys.obtained_at)
    return keys.expires_at - min(REFRESH_AHEAD_SECONDS, lifetime / 5)


def key_source(identity: Identity) -> KeySource:
    """Make the source of an identity's keys; nothing is fetched yet."""
    return KeySource(lambda: fetch(identity))


def fetch(identity: Identity) -> Keys:
    """Get keys for an identity once. May read the environment, a file or the network.

    :raises TrtcSetupError: the identity cannot be had as described.
    :raises TrtcTransientError: the service that hands out its keys does not answer.
    """
    if isinstance(identity, StaticKeys):
        return Keys(identity.secret_id, identity.secret_key, identity.token)
    if isinstance(identity, EnvironmentKeys):
        return _from_environment()
    if isinstance(identity, ProfileKeys):
        return _from_profile(identity)
    if isinstance(identity, CvmRole):
        return _from_metadata(identity)
    if isinstance(identity, AssumedRole):
        return _from_assumed_role(identity)
    return _from_oidc(identity)


def _from_environment() -> Keys:
    secret_id = os.environ.get("TENCENTCLOUD_SECRET_ID", "").strip()
    secret_key = os.environ.get("TENCENTCLOUD_SECRET_KEY", "").strip()
    if not secret_id or not secret_key:
        raise TrtcSetupError(
            "The environment variables TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY must both be set"
            " where this runs."
        )
    return Keys(secret_id, secret_key, os.environ.get("TENCENTCLOUD_TOKEN", "").strip() or None)


def _from_profile(identity: ProfileKeys) -> Keys:
    candidates = [identity.file] if identity.file else PROFILE_FILES
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
    if not parser.has_section(identity.profile):
        raise TrtcSetupError(f"The credentials file {path} has no section [{identity.profile}].")
    values = {name: value.strip().strip("\"'") for name, value in parser[identity.profile].items()}
    secret_id, secret_key = values.get("secret_id"), values.get("secret_key")
    if not secret_id or not secret_key:
        raise TrtcSetupError(f"Section [{identity.profile}] of {path} lacks secret_id or secret_key.")
    return Keys(secret_id, secret_key, values.get("token") or None)


def _from_metadata(identity: CvmRole, url: str | None = None) -> Keys:
    base = url or METADATA_URL
    role = identity.role_name or _metadata(base).strip()
    if not role or "<" in role:
        raise TrtcSetupError("No role is bound to this virtual machine; bind one or use other credentials.")
    try:
        answer = json.loads(_metadata(base + role))
        if answer.get("Code") != "Success":
            raise TrtcSetupError(f"The virtual machine hands out no keys for the role {role!r}.")
        return _temporary(answer, answer["ExpiredTime"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrtcTransientError(
            "The virtual machine's metadata service gave an answer that cannot be read.",
            code="Client.BrokenCredentials",
        ) from error


def _metadata(url: str) -> str:
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, build_opener

    try:
        with build_opener(ProxyHandler({})).open(url, timeout=METADATA_TIMEOUT_SECONDS) as answer:
            text: str = answer.read(65536).decode("utf-8", "replace")
            return text
    except HTTPError as error:
        if error.code < 500:
            raise TrtcSetupError(
                "The virtual machine knows no such role; bind it, or correct the extra field role_name.",
                code=f"Client.Http{error.code}",
            ) from error
        raise _no_metadata() from error
    except OSError as error:
        raise _no_metadata() from error


def _no_metadata() -> TrtcTransientError:
    return TrtcTransientError(
        "The virtual machine's metadata service does not answer; credential_kind 'cvm_role' works only on"
        " Tencent Cloud's virtual machines.",
        code="Client.NoMetadata",
    )


def _from_assumed_role(identity: AssumedRole) -> Keys:
    params = {
        "RoleArn": identity.role_arn,
        "RoleSessionName": identity.session_name,
        "DurationSeconds": identity.duration_seconds,
    }
    return _from_sts("AssumeRole", params, identity.sts_endpoint, identity.region, fetch(identity.source))


def _from_oidc(identity: OidcRole) -> Keys:
    params = {
        "ProviderId": identity.provider_id or _tke("TKE_PROVIDER_ID", "oidc_provider_id"),
        "WebIdentityToken": _web_identity(identity.token_file),
        "RoleArn": identity.role_arn or _tke("TKE_ROLE_ARN", "role_arn"),
        "RoleSessionName": identity.session_name,
        "DurationSeconds": identity.duration_seconds,
    }
    region = os.environ.get("TKE_REGION") or "ap-guangzhou"
    return _from_sts("AssumeRoleWithWebIdentity", params, identity.sts_endpoint, region, None)


def _web_identity(token_file: str | None) -> str:
    path = token_file or _tke("TKE_WEB_IDENTITY_TOKEN_FILE", "oidc_token_file")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TrtcSetupError(
            f"The identity provider's token file {path} cannot be read ({type(error).__name__})."
        ) from error


def _tke(variable: str, name: str) -> str:
    if value := os.environ.get(variable):
        return value
    raise TrtcSetupError(
        f"credential_kind is 'oidc', but neither the extra field {name} nor the variable {variable} is set."
    )


def _from_sts(
    action: str, params: dict[str, Any], endpoint: str | None, region: str, keys: Keys | None
) -> Keys:
    from airflow_trtc.cloud.failures import translated
    from airflow_trtc.cloud.sdk import call_sts

    host = endpoint or STS_HOST
    try:
        with translated(action, None, host):
            answer = call_sts(action, params, endpoint=host, region=region, keys=keys)
            return _temporary(answer["Credentials"], answer["ExpiredTime"])
    except TrtcTransientError as error:
        error.outcome_unknown = False  # the call that the keys are for was not sent
        raise


def _temporary(values: dict[str, Any], expires_at: Any) -> Keys:
    secret_id, secret_key, token = values["TmpSecretId"], values["TmpSecretKey"], values["Token"]
    if not all(isinstance(value, str) and value for value in (secret_id, secret_key, token)):
        raise ValueError("a key is empty")
    return Keys(secret_id, secret_key, token, float(expires_at), time.time())
