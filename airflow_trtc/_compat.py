"""Names that moved between Airflow 3.1 and 3.3; the only place that knows where they were."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

try:
    from airflow.sdk import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
    )
except ImportError:  # Airflow 3.1
    from airflow.configuration import conf  # type: ignore[assignment]
    from airflow.exceptions import (  # type: ignore[attr-defined, no-redef]
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
    )

# What looking up a connection raises; PermissionError when the API server denies it.
CONNECTION_ERRORS: tuple[type[Exception], ...] = (
    AirflowRuntimeError,
    AirflowNotFoundException,
    PermissionError,
)


async def amask_extra(connection: Any) -> None:
    """Mask the secrets in a connection's extra, where Airflow can do so without blocking.

    Before 3.3 masking asks the supervisor from a second event loop, which ends the whole triggerer
    ("Response read out of order"). There the extra stays unmasked in triggers; nothing here logs it.
    """
    if hasattr(connection, "aextra_dejson"):
        await connection.aextra_dejson()


__all__ = [
    "CONNECTION_ERRORS",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "TaskDeferralError",
    "amask_extra",
    "conf",
]
