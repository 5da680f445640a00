"""Asks the security token service (STS) for the temporary keys of a role.

The SDK's own helpers for this only speak https and wait for a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_trtc.cloud.calls import Call
from airflow_trtc.cloud.endpoint import STS_HOST, Route, parse_endpoint
from airflow_trtc.cloud.failures import translated, value_of
from airflow_trtc.cloud.key_source import Keys, temporary_keys
from airflow_trtc.cloud.sdk import send_once

STS_VERSION = "2018-08-13"
STS_TIMEOUT_SECONDS = 10.0


def assume_role(params: Mapping[str, Any], *, endpoint: str | None, region: str, keys: Keys) -> Keys:
    """Take on a role that the holder of the keys may assume.

    :raises TrtcError: STS refuses, or does not answer.
    """
    return _ask("AssumeRole", params, endpoint, region, keys)


def assume_role_with_web_identity(params: Mapping[str, Any], *, endpoint: str | None, region: str) -> Keys:
    """The same for the holder of an identity provider's token, which is the proof: nothing is signed.

    :raises TrtcError: STS refuses, or does not answer.
    """
    return _ask("AssumeRoleWithWebIdentity", params, endpoint, region, None)


def _ask(
    action: str, params: Mapping[str, Any], endpoint: str | None, region: str, keys: Keys | None
) -> Keys:
    route = Route(*parse_endpoint(endpoint, default=STS_HOST), region, STS_TIMEOUT_SECONDS)
    # It leaves nothing behind, and the call that the keys are for was not sent: no outcome is unknown.
    call = Call(action, params, _read, "read")
    with translated(call, route.endpoint):
        return value_of(call, send_once("sts", STS_VERSION, call, route, keys))


def _read(answer: dict[str, Any]) -> Keys:
    return temporary_keys(answer["Credentials"], answer["ExpiredTime"])
