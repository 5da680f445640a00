"""The settings of a connection, as the API server finds it. Loads Airflow and the SDK only when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_trtc.errors import NO_CONNECTION, TrtcSetupError
from airflow_trtc.web import teams

if TYPE_CHECKING:
    from airflow.models.connection import Connection

    from airflow_trtc.cloud.settings import TrtcSettings


def find_connection(conn_id: str) -> Connection:
    """The only connection of this name.

    :raises TrtcSetupError: there is none, or Airflow cannot read it, or several teams have one.
    """
    found = list(teams.find_connection(conn_id).values())
    if len(found) == 1:
        return found[0]
    if found:
        raise TrtcSetupError(f"connection {conn_id!r}: several teams have one of this name")
    why = f"connection {conn_id!r}: there is none, or Airflow cannot read it"
    raise TrtcSetupError(why, code=NO_CONNECTION)


def settings_of(connection: Connection) -> TrtcSettings:
    """What a client needs to know.

    :raises TrtcSetupError: a field of the connection is wrong.
    """
    from airflow_trtc.cloud.settings import from_connection, read_extra

    return from_connection(
        host=connection.host,
        port=connection.port,
        schema=connection.schema,
        login=connection.login,
        password=connection.password,
        extra=read_extra(connection.extra),
    )
