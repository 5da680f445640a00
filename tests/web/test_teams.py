"""An Airflow with several teams: whose connections receive, and whose DAGs an event may start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc.assets import events, finished_recordings
from airflow_trtc.web import teams
from airflow_trtc.web.processing.processor import CallbackProcessor
from airflow_trtc.web.receiving import connections
from tests.versions import HAS_STATE_STORE
from tests.web.conftest import APP, START_MS, Store, event, in_row, story

pytestmark = pytest.mark.skipif(not HAS_STATE_STORE, reason="callbacks need Airflow 3.3")

team_models = pytest.importorskip("airflow.models.team", reason="this Airflow has no teams")

CONSUMERS = {"red": "red_dag", "blue": "blue_dag", None: "shared_dag"}


@pytest.fixture
def red_and_blue(airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two teams; the environment holds a connection of red, one of both, and one of none."""
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    for name in ("_RED___TRTC_RED", "_RED___TRTC_BOTH", "_BLUE___TRTC_BOTH", "TRTC_SHARED"):
        value = {"conn_type": "trtc", "extra": {"callback_secret": "k" * 16, "sdk_app_id": APP}}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    with create_session() as session:
        session.add_all([team_models.Team(name="red"), team_models.Team(name="blue")])
    yield
    with create_session() as session:
        session.execute(delete(team_models.Team))


@pytest.mark.usefixtures("red_and_blue")
def test_a_connection_receives_whichever_team_owns_it() -> None:
    assert set(teams.find_connection("trtc_red")) == {"red"}
    assert set(teams.find_connection("trtc_shared")) == {None}
    for conn_id in ("trtc_red", "trtc_shared"):
        assert connections.look_up(conn_id).keys == ("k" * 16,)
    assert "no such connection" in connections.look_up("trtc_green").problem
    both = connections.look_up("trtc_both")
    assert "blue, red; rename them" in both.problem
    assert not both.keys


@pytest.mark.usefixtures("red_and_blue")
def test_a_connection_in_the_database_belongs_to_its_team() -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    extra = json.dumps({"callback_secret": "s" * 16})
    with create_session() as session:
        session.add(Connection("of_blue", conn_type="trtc", extra=extra, team_name="blue"))
    try:
        assert connections.look_up("of_blue").keys == ("s" * 16,)
        assert teams.teams_to_start(["of_blue"]) == {"blue"}
    finally:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == "of_blue"))


@pytest.mark.usefixtures("red_and_blue")
@pytest.mark.parametrize(
    "conn_ids, expected",
    [
        (["trtc_red"], {"red"}),
        (["trtc_both"], {"red", "blue"}),
        (["trtc_red", "trtc_shared"], {"red", "blue"}),
        (["trtc_shared"], {"red", "blue"}),
        (["long_gone"], {"red", "blue"}),
        ([], {"red", "blue"}),
    ],
)
def test_events_are_of_the_owning_team_or_of_all(conn_ids: list[str], expected: set[str]) -> None:
    assert teams.teams_to_start(conn_ids) == expected


def test_without_teams_nothing_is_asked(airflow_db: Path) -> None:
    assert teams.teams_to_start(["whatever"]) == set()


@pytest.mark.usefixtures("red_and_blue")
@pytest.mark.parametrize(
    "conn_id, started", [("trtc_red", {"red_dag", "shared_dag"}), ("trtc_shared", set(CONSUMERS.values()))]
)
def test_an_event_starts_the_dags_of_the_team_whose_connection_it_came_through(
    store: Store, monkeypatch: pytest.MonkeyPatch, conn_id: str, started: set[str]
) -> None:
    """Airflow itself picks them, from what it is told of the event's teams."""
    from airflow.assets.manager import AssetManager
    from airflow.models.dag import DagModel

    picked: list[tuple[str, set[str]]] = []
    owners = {dag_id: team for team, dag_id in CONSUMERS.items()}
    monkeypatch.setattr(DagModel, "get_dag_id_to_team_name_mapping", lambda *_, **__: owners)

    def register(
        *, asset: Any, session: Any, source_is_api: bool, api_user_teams: set[str], **_: Any
    ) -> None:
        chosen = AssetManager._filter_dags_by_team(
            {DagModel(dag_id=dag_id) for dag_id in owners},
            api_user_teams,
            asset,
            source_is_api,
            session=session,
        )
        picked.append((asset.name, {dag.dag_id for dag in chosen}))

    monkeypatch.setattr("airflow.assets.manager.asset_manager.register_asset_change", register)
    finished, dismissed = finished_recordings(), events(102)
    store.activate(finished, dismissed)
    bodies = [*story("rec"), event(102, None, group=1)]
    rows = [in_row(body, START_MS + number) for number, body in enumerate(bodies)]
    store.write({key: json.dumps({**json.loads(text), "conn_id": conn_id}) for key, text in rows})
    CallbackProcessor().work()
    assert sorted(picked) == [(dismissed.name, started), (finished.name, started)]
    assert list(store.rows("conns/").values()) == [{"v": 1, "conn_ids": [conn_id]}]
