"""Teams, for an Airflow that has several: which one owns a connection, and whose DAGs an event may start.

Airflow lets an event that belongs to no team start no team's DAG. So an event belongs to the team that owns
the connection its callbacks came through; without such an owner, to all teams. Loads Airflow only when
called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.models.connection import Connection


def has_teams() -> bool:
    """Whether ``[core] multi_team`` is on."""
    from airflow_trtc._compat import conf

    return bool(conf.getboolean("core", "multi_team", fallback=False))


def find_connection(conn_id: str) -> dict[str | None, Connection]:
    """The connection of this name by the team that owns it; None owns what all teams may use.

    Several when teams have connections of the same name, none when there is no such connection.
    A key store that fails counts as one without this connection.
    """
    shared = _find(conn_id, None)
    if shared is not None:
        return {None: shared}
    owned = {team: _find(conn_id, team) for team in sorted(_all_teams())} if has_teams() else {}
    return {team: found for team, found in owned.items() if found is not None}


def teams_to_start(conn_ids: Iterable[str]) -> set[str]:
    """The teams whose DAGs may be started by what came through these connections.

    Empty without teams. DAGs that belong to no team are started by every event.
    """
    if not has_teams():
        return set()
    owners = {owner for conn_id in conn_ids for owner in find_connection(conn_id)}
    return _all_teams() if not owners or None in owners else {owner for owner in owners if owner is not None}


def _find(conn_id: str, team: str | None) -> Connection | None:
    from airflow.models.connection import Connection

    from airflow_trtc._compat import AirflowNotFoundException

    try:
        return Connection.get_connection_from_secrets(
            conn_id, **({} if team is None else {"team_name": team})
        )
    except AirflowNotFoundException:
        return None


def _all_teams() -> set[str]:
    from airflow.models.team import Team

    return set(Team.get_all_team_names())
