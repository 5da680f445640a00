"""What an Airflow connection says about callbacks."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from airflow_trtc.cloud.endpoint import default_region
from airflow_trtc.cloud.settings import app_id
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.web.processing import database
from airflow_trtc.web.receiving.connection_cache import NotNow, Receiving

CONNECTION_TYPE = "trtc"
_TRUE = {"true", "yes", "on", "1"}

log = logging.getLogger(__name__)


def receiving(connection_type: str | None, host: str | None, extra: str | None) -> Receiving:
    """Read the fields of a connection. Total: what is wrong with them is a problem for the log."""
    if connection_type != CONNECTION_TYPE:
        return Receiving(problem=f"it is of type {connection_type!r}, not {CONNECTION_TYPE!r}")
    try:
        fields = json.loads(extra) if extra and extra.strip() else {}
    except (ValueError, RecursionError):
        return Receiving(problem="its extra is not valid JSON")
    if not isinstance(fields, Mapping):
        return Receiving(problem="its extra is not a JSON object")
    try:
        sdk_app_id = app_id(fields.get("sdk_app_id"), "extra field sdk_app_id")
    except TrtcSetupError as error:
        return Receiving(problem=error.message)
    keys, accepts_unsigned = split_keys(fields.get("callback_secret")), _flag(fields.get("callback_unsigned"))
    return Receiving(
        keys=keys,
        accepts_unsigned=accepts_unsigned and not keys,
        sdk_app_id=sdk_app_id,
        region=str(fields.get("region") or "").strip() or default_region(host or ""),
        problem="" if keys or accepts_unsigned else "its field callback_secret is empty",
    )


def split_keys(value: Any) -> tuple[str, ...]:
    """The keys in a text, separated by blanks or commas."""
    text = value if isinstance(value, str) else "" if value is None or isinstance(value, bool) else str(value)
    return tuple(text.replace(",", " ").split())


def _flag(value: Any) -> bool:
    return value is True or str(value).strip().lower() in _TRUE


def look_up(conn_id: str) -> Receiving:
    """Ask Airflow for the connection: environment, key stores, database.

    :raises NotNow: the database cannot be asked.
    """
    from airflow.models.connection import Connection

    try:
        connection = Connection.get_connection_from_secrets(conn_id)
    except Exception as error:
        _check_database()
        if type(error).__name__ != "AirflowNotFoundException":
            log.warning("Airflow could not look the connection %r up: %s", conn_id, type(error).__name__)
        return Receiving(problem="there is no such connection, or Airflow could not read it")
    try:
        return receiving(connection.conn_type, connection.host, connection.extra)
    except Exception as error:  # a value that cannot be decrypted
        return Receiving(problem=f"its fields cannot be read ({type(error).__name__})")


def _check_database() -> None:
    """Airflow says "not found" also when its database is away."""
    from sqlalchemy import text

    try:
        with database.transaction() as session:
            session.execute(text("SELECT 1"))
    except Exception as error:
        raise NotNow from error
