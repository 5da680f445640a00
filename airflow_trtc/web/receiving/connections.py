"""What an Airflow connection says about callbacks. Loads Airflow only when a connection is looked up."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from airflow_trtc import bounds
from airflow_trtc.cloud.endpoint import default_region
from airflow_trtc.cloud.settings import app_id
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.journal.keys import MAX_APP
from airflow_trtc.web import teams
from airflow_trtc.web.processing import database
from airflow_trtc.web.receiving.connection_cache import LookupUnavailable, ReceiverConfig

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CONNECTION_TYPE = "trtc"
CONN_ENV = "AIRFLOW_CONN_"
MAX_LISTED = 1000
MIN_KEY = 16  # characters
_TRUE = {"true", "yes", "on", "1"}


def receiver_config(connection_type: str | None, host: str | None, extra: str | None) -> ReceiverConfig:
    """Read the fields of a connection. Total: what is wrong with them is a problem for the log."""
    if connection_type != CONNECTION_TYPE:
        return ReceiverConfig(problem=f"it is of type {connection_type!r}, not {CONNECTION_TYPE!r}")
    try:
        fields = json.loads(extra) if extra and extra.strip() else {}
    except (ValueError, RecursionError):
        return _unusable("its extra is not valid JSON")
    if not isinstance(fields, dict):
        return _unusable("its extra is not a JSON object")
    try:
        sdk_app_id = app_id(fields.get("sdk_app_id"), "extra field sdk_app_id")
        keys = callback_keys(fields.get("callback_secret"))
    except TrtcSetupError as error:
        return _unusable(error.message)
    if sdk_app_id is not None and sdk_app_id > MAX_APP:
        return _unusable("its extra field sdk_app_id has too many digits")
    accepts_unsigned = not keys and _flag(fields.get("callback_unsigned"))
    is_short = any(len(key) < MIN_KEY for key in keys)
    return ReceiverConfig(
        keys=keys,
        accepts_unsigned=accepts_unsigned,
        sdk_app_id=sdk_app_id,
        region=(bounds.label(fields.get("region")) or "").strip() or default_region(host or ""),
        problem="" if keys or accepts_unsigned else "its field callback_secret is empty",
        reason=None if keys or accepts_unsigned else "no_key",
        advice=f"its callback_secret has fewer than {MIN_KEY} characters; use a longer one"
        if is_short
        else "",
    )


def _unusable(problem: str) -> ReceiverConfig:
    return ReceiverConfig(problem=problem, reason="unusable")


def callback_keys(value: Any) -> tuple[str, ...]:
    """The keys in a text, separated by blanks or commas, or in a list of such texts.

    :raises TrtcSetupError: it is neither. What was meant is unknown then, so nothing may be accepted.
    """
    texts = [""] if value is None else [value] if isinstance(value, str) else value
    is_list_of_texts = isinstance(texts, list) and bool(texts) and all(isinstance(one, str) for one in texts)
    if not is_list_of_texts or (texts is value and not all(map(_split, texts))):
        raise TrtcSetupError(
            "its field callback_secret must be a text or a list of non-empty texts;"
            " put a key of digits only in quotes"
        )
    return tuple(key for one in texts for key in _split(one))


def _split(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _flag(value: Any) -> bool:
    return value is True or str(value).strip().lower() in _TRUE


def look_up(conn_id: str) -> ReceiverConfig:
    """Ask Airflow for the connection: environment, key stores, database.

    :raises LookupUnavailable: the database does not answer.
    """
    try:
        found = teams.find_connection(conn_id)
    except Exception as error:
        _check_database()
        why = type(error).__name__
        return ReceiverConfig(problem=f"there is no such connection, or Airflow cannot read it ({why})")
    if not found:
        _check_database()
        return ReceiverConfig(problem="there is no such connection, or Airflow cannot read it")
    if len(found) > 1:
        owners = ", ".join(sorted(map(str, found)))
        return _unusable(f"several teams have a connection of this name: {owners}; rename them")
    (connection,) = found.values()
    try:
        return receiver_config(connection.conn_type, connection.host, connection.extra)
    except Exception as error:  # a value that cannot be decrypted
        return _unusable(f"its fields cannot be read ({type(error).__name__})")


def known_names() -> set[str]:
    """Names of connections that can be listed: those in the environment and, of our type, in the database.

    Key stores cannot be asked for a list.
    """
    names = {name.removeprefix(CONN_ENV) for name in os.environ if name.startswith(CONN_ENV)}
    with database.transaction() as session:
        return names | stored_names(session)


def stored_names(session: Session) -> set[str]:
    """Names of the connections of our type in the database."""
    from airflow.models.connection import Connection
    from sqlalchemy import select

    ours = select(Connection.conn_id).where(Connection.conn_type == CONNECTION_TYPE).limit(MAX_LISTED)
    return set(session.scalars(ours))


def _check_database() -> None:
    """Airflow says "not found" also when its database is away."""
    from sqlalchemy import text

    try:
        with database.transaction() as session:
            session.execute(text("SELECT 1"))
    except Exception as error:
        raise LookupUnavailable from error
