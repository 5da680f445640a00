"""Looks at one account for real: reads its connection, sends one call that changes nothing, compares clocks.

Neither Airflow nor the SDK is loaded before something is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_trtc import findings
from airflow_trtc.cloud import calls, checkup
from airflow_trtc.cloud.client import TrtcClient
from airflow_trtc.cloud.plain_http import fetch
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.errors import NO_CONNECTION, TrtcError, TrtcSetupError
from airflow_trtc.findings import Finding
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import RECORDING


def check(
    conn_id: str, read: Callable[[], TrtcSettings], timeout_seconds: float = checkup.TIMEOUT_SECONDS
) -> list[Finding]:
    """Connection, keys, permission, region and clock. Raises nothing.

    :param read: reads the settings of the connection; may raise anything.
    :param timeout_seconds: for each wait for the service, of which there are a few.
    """
    try:
        settings = read()
    except TrtcSetupError as error:
        return [findings.no_connection(conn_id, error.message, is_missing=error.code == NO_CONNECTION)]
    except TrtcError as error:
        return [findings.no_connection(conn_id, str(error), is_missing=False)]
    except Exception as error:  # a value that cannot be decrypted, a database that is away, a secrets backend
        message = f"Airflow cannot read {conn_id!r} ({type(error).__name__})"
        return [findings.no_connection(conn_id, message, is_missing=False)]
    failure = probe(settings, timeout_seconds)
    works, message = checkup.verdict(failure, settings)
    told = findings.service(
        None if works or failure is None else checkup.subject(failure),
        message,
        endpoint=settings.endpoint,
        region=settings.region,
        sdk_app_id=settings.sdk_app_id,
    )
    clock = findings.clock(_ahead_of(settings.endpoint, settings.proxy, timeout_seconds))
    return [*findings.connection(conn_id, settings.sdk_app_id, settings.warnings), *told, clock]


def probe(settings: TrtcSettings, timeout_seconds: float = checkup.TIMEOUT_SECONDS) -> TrtcError | None:
    """What asking for a recording that cannot exist raises; see :mod:`airflow_trtc.cloud.checkup`."""
    quick = checkup.quick(settings, timeout_seconds)
    app = quick.sdk_app_id or checkup.IMPOSSIBLE_APP
    job = JobRef(RECORDING.name, app, quick.region, checkup.IMPOSSIBLE_RECORDING)
    try:
        TrtcClient(quick, attempts=1).run(calls.describe(RECORDING, job))
    except TrtcError as error:
        return error
    return None


def _ahead_of(endpoint: str, proxy: str | None, timeout_seconds: float) -> float | None:
    began_at = time.time()
    try:
        date = fetch(f"{endpoint}/", timeout_seconds=timeout_seconds, proxy=proxy).date
    except (OSError, ValueError, TrtcError):
        return None
    # A date of whole seconds is half a second too early on average.
    return None if date is None else (began_at + time.time()) / 2 - (date + 0.5)
