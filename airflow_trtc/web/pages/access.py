"""Who asks, and what they may see: the only module of the pages that knows Airflow's auth manager.

A user who may not see something gets the answer that there is no such thing, so that ids cannot be probed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import (
    ConnectionDetails,
    DagAccessEntity,
    DagDetails,
)
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from airflow_trtc._compat import conf
from airflow_trtc.web import teams
from airflow_trtc.web.pages.memory import Memory

KEEP_SECONDS = 15.0  # some auth managers ask another server about each DAG
# What the pages show of a DAG; the auth manager may allow some of it only.
SHOWN = (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)


_memory = Memory(KEEP_SECONDS)


class Reader:
    """A user who is logged in, and what this user may see.

    :param user: as Airflow's auth manager knows it.
    """

    def __init__(self, user: Any, memory: Memory | None = None) -> None:
        self._user = user
        self._manager = get_auth_manager()
        self._memory = _memory if memory is None else memory
        # What the token says: a user with another role may have the same name.
        self._who = json.dumps(self._manager.serialize_user(user), sort_keys=True, default=str)

    def readable(self, dag_ids: Collection[str]) -> frozenset[str]:
        """Those of the DAGs whose task instances and XComs the user may read."""
        asked = frozenset(dag_ids)
        return self._memory.get((self._who, asked), lambda: self._ask(asked)) if asked else asked

    def may_read(self, dag_id: str) -> bool:
        """Whether the user may read a DAG's task instances and XComs."""
        return dag_id in self.readable((dag_id,))

    @property
    def may_read_connections(self) -> bool:
        """Whether the user may read connections in general: what is known of accounts is for these only."""
        return self._memory.get(
            (self._who, "connections"),
            lambda: bool(self._manager.is_authorized_connection(method="GET", user=self._user)),
        )

    def readable_connections(self, conn_ids: Collection[str]) -> frozenset[str]:
        """Those of the connections that the user may read; some auth managers decide about each."""
        return frozenset(conn_id for conn_id in conn_ids if self.may_read_connection(conn_id))

    def may_read_connection(self, conn_id: str) -> bool:
        """Whether the user may read this connection, which need not be there."""
        return self._memory.get((self._who, "connection", conn_id), lambda: self._ask_connection(conn_id))

    def _ask_connection(self, conn_id: str) -> bool:
        from airflow.models.connection import Connection

        team = Connection.get_team_name(conn_id) if teams.has_teams() else None
        details = ConnectionDetails(conn_id=conn_id, **({} if team is None else {"team_name": team}))
        allowed = self._manager.is_authorized_connection(method="GET", details=details, user=self._user)
        return bool(allowed)

    @property
    def may_read_assets(self) -> bool:
        """Whether the user may read assets: Airflow itself shows these the whole journal."""
        return self._memory.get(
            (self._who, "assets"),
            lambda: bool(self._manager.is_authorized_asset(method="GET", user=self._user)),
        )

    def _ask(self, dag_ids: frozenset[str]) -> frozenset[str]:
        found: set[str] = set()
        for team, owned in _by_team(dag_ids).items():
            named: dict[str, Any] = {} if team is None else {"team_name": team}
            allowed = self._manager.filter_authorized_dag_ids(dag_ids=owned, user=self._user, **named)
            found |= {dag_id for dag_id in allowed & owned if self._may_read_all_of(dag_id, named)}
        return frozenset(found)

    def _may_read_all_of(self, dag_id: str, named: Mapping[str, Any]) -> bool:
        details = DagDetails(id=dag_id, **named)
        return all(
            self._manager.is_authorized_dag(
                method="GET", access_entity=entity, details=details, user=self._user
            )
            for entity in SHOWN
        )


def _by_team(dag_ids: Iterable[str]) -> dict[str | None, set[str]]:
    names: Mapping[str, str | None] = {}
    if teams.has_teams():
        from airflow.models.dag import DagModel

        names = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
    found: dict[str | None, set[str]] = {}
    for dag_id in dag_ids:
        found.setdefault(names.get(dag_id), set()).add(dag_id)
    return found


def _reader(user: GetUserDep) -> Reader:
    return Reader(user)


ReaderDep = Annotated[Reader, Depends(_reader)]


async def _reader_if_any(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> Reader | None:
    if "authorization" not in request.headers and COOKIE_NAME_JWT_TOKEN not in request.cookies:
        return None
    return Reader(await get_user(request, None, bearer))


# None for whoever shows no token at all; one that is not valid is refused as elsewhere.
ReaderIfAnyDep = Annotated["Reader | None", Depends(_reader_if_any)]


def require_own_page(request: Request) -> None:
    """Refuse a POST that did not come from a page of ours: for every route that changes something.

    Cookies go along with requests from pages of other origins of the same site.

    :raises HTTPException: 403; it came from elsewhere, or cannot show that it did not.
    """
    hosts = {request.url.netloc, urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
    if not is_own(request.headers, hosts):
        raise HTTPException(403, "This request did not come from a page of this Airflow")


def is_own(headers: Mapping[str, str], hosts: Collection[str]) -> bool:
    """Whether a page of one of these hosts sent a request with these headers. Pure.

    :param headers: names in lower case.
    :param hosts: each with its port, where that is not the default.
    """
    # No form can set this header or send this type, and no script of another origin without being asked for.
    is_script = headers.get("x-trtc") == "1" and headers.get("content-type", "").startswith(
        "application/json"
    )
    site = headers.get("sec-fetch-site")  # browsers send it over https, and to the machine itself
    if site is not None:
        return is_script and site == "same-origin"
    try:
        host = urlsplit(headers.get("origin", "")).netloc
    except ValueError:
        return False
    return is_script and host != "" and host in hosts
