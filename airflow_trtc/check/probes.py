"""Finds out the facts; all I/O of the check is here. What may be wrong on a machine raises nothing."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import socket
from typing import Any
from urllib.parse import urlsplit

from airflow_trtc import __version__, findings
from airflow_trtc.errors import TrtcError
from airflow_trtc.findings import Finding

PROVIDER = "airflow-trtc"
TIMEOUT_SECONDS = 5.0
DOCUMENTED_BASE_URL = "http://localhost:8080"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def installation() -> list[Finding]:
    """Versions, what they make possible, and where else the package is needed."""
    airflow = _version("apache-airflow") or _version("apache-airflow-core")
    found = {
        "Python": platform.python_version(),
        PROVIDER: __version__,
        "apache-airflow": airflow,
        "tencentcloud-sdk-python": _version("tencentcloud-sdk-python"),
    }
    here = findings.package(__version__, socket.gethostname())
    return [*findings.versions(found), findings.abilities(airflow), here]


def registration() -> list[Finding]:
    """Whether Airflow finds the package in this environment."""
    from airflow.providers_manager import ProvidersManager

    plugins = importlib.metadata.entry_points(group="airflow.plugins")
    has_plugin = any(one.value.startswith("airflow_trtc.") for one in plugins)
    known = ProvidersManager().providers  # type: ignore[no-untyped-call]
    return findings.provider(PROVIDER in known, has_plugin)


def journal() -> list[Finding]:
    """Whether what is seen of recordings is kept."""
    from airflow_trtc.web.processing import database

    if (why := database.why_no_store()) is not None:
        return [findings.journal(why, None)]
    try:
        with database.transaction() as session:
            is_active = database.journal_asset_id(session) is not None
    except Exception as error:  # no database, another one, or not migrated: the text may quote an address
        return [findings.journal(None, None, type(error).__name__)]
    return [findings.journal(None, is_active)]


def base_url(given: str | None) -> str:
    """Where Airflow's API server is, without a slash at the end, and without a user."""
    from airflow_trtc._compat import conf

    configured = conf.get("api", "base_url", fallback="") or ""
    execution = conf.get("core", "execution_api_server_url", fallback="") or ""
    url = given or configured or execution.rstrip("/").removesuffix("/execution") or DOCUMENTED_BASE_URL
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def triggerers(airflow_url: str) -> list[Finding]:
    """Whether deferred tasks go on."""
    return [findings.triggerer(_json(f"{airflow_url}/api/v2/monitor/health"), airflow_url)]


def _json(url: str) -> Any:
    from airflow_trtc.cloud.plain_http import fetch

    try:
        return json.loads(fetch(url, timeout_seconds=TIMEOUT_SECONDS).body)
    except (OSError, ValueError, TrtcError):
        return None


def can_receive_callbacks() -> bool:
    """Whether this Airflow has a place for them."""
    from airflow_trtc._compat import has_state_store

    return has_state_store()


def callbacks(conn_id: str, airflow_url: str) -> list[Finding]:
    """Whether callbacks can be received: the connection's key, and the receiver in the API server."""
    from airflow_trtc.jobs.callback import sign
    from airflow_trtc.web.receiving import connections

    if not can_receive_callbacks():
        return [findings.NO_CALLBACKS]
    config = connections.look_up(conn_id)
    url = f"{airflow_url}/trtc/callbacks/{conn_id}"
    status = _status(url)
    is_wanted = bool(config.keys) or config.accepts_unsigned
    told = [
        findings.callback_key(config.problem, config.advice, is_unsigned=config.accepts_unsigned),
        findings.receiver(status, url, is_wanted=is_wanted),
    ]
    if status == 405 and config.keys:
        no_event = b"{}"
        trial = findings.signed(_status(url, no_event, {"Sign": sign(config.keys[0], no_event)}))
        told += [] if trial is None else [trial]
    return told


def _status(url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> int | None:
    from airflow_trtc.cloud.plain_http import fetch

    sent = {"Content-Type": "application/json", **(headers or {})}
    try:
        return fetch(url, data=data, headers=sent, timeout_seconds=TIMEOUT_SECONDS).status
    except (OSError, ValueError, TrtcError):
        return None
