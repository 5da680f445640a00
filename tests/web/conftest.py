"""Callbacks to send, and a journal to keep them in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc.journal.store import JOURNAL

APP = 1400000001
START_MS = 1768960945000


def event(
    kind: int, task: str | None = "rec", at_ms: int = START_MS, *, group: int = 3, **payload: Any
) -> dict[str, Any]:
    """One event as the service sends it."""
    info: dict[str, Any] = {"RoomId": "77", "EventTs": str(at_ms // 1000), "EventMsTs": at_ms}
    info |= {"TaskId": task} if task is not None else {}
    info |= {"Payload": payload} if payload else {}
    return {"EventGroupId": group, "EventType": kind, "CallbackTs": at_ms + 10, "EventInfo": info}


def story(task: str) -> list[dict[str, Any]]:
    """A recording to a bucket, from its start to the end of its upload."""
    return [
        event(301, task, Status=0),
        event(303, task, START_MS + 1, Status=0),
        event(307, task, START_MS + 2, FileName=f"{task}.m3u8", UserId="u", TrackType="audio"),
        event(302, task, START_MS + 3, LeaveCode=0),
        event(305, task, START_MS + 4, Status=0),
    ]


def in_row(body: dict[str, Any], received_at_ms: int) -> tuple[str, str]:
    """Key and value of the row that the receiver writes for an event."""
    from airflow_trtc.jobs.callback import parse
    from airflow_trtc.journal.keys import inbox_key

    callback = parse(json.dumps(body).encode())
    value = {"v": 1, "sdk_app_id": APP, "conn_id": "trtc_default", "region": "ap-guangzhou"}
    value |= {"received_at_ms": received_at_ms, "event": body, "wrapper": None}
    return inbox_key(received_at_ms, APP, callback.identity), json.dumps(value)


class Store:
    """The journal in Airflow's database, as a test looks at it."""

    def __init__(self) -> None:
        self.asset_ids: dict[str, int] = {}

    @property
    def asset_id(self) -> int:
        return self.asset_ids[JOURNAL.name]

    def activate(self, *assets: Any) -> None:
        from airflow.models.asset import AssetActive, AssetModel
        from airflow.utils.session import create_session

        with create_session() as session:
            for asset in assets:
                model = AssetModel(name=asset.name, uri=asset.uri)
                session.add(model)
                session.flush()
                session.add(AssetActive.for_asset(model))
                self.asset_ids[asset.name] = model.id

    def deactivate(self) -> None:
        from airflow.models.asset import AssetActive
        from airflow.utils.session import create_session
        from sqlalchemy import delete

        with create_session() as session:
            session.execute(delete(AssetActive))

    def put(self, *events: dict[str, Any], received_at_ms: int = START_MS) -> None:
        self.write(dict(in_row(one, received_at_ms + number) for number, one in enumerate(events)))

    def write(self, rows: dict[str, str]) -> None:
        from airflow_trtc.web.processing import database

        with database.transaction() as session:
            database.write(session, self.asset_id, rows)

    def rows(self, prefix: str = "") -> dict[str, Any]:
        from airflow.models.asset_state_store import AssetStateStoreModel as Row
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            rows = session.execute(select(Row.key, Row.value).where(Row.key.like(f"{prefix}%"))).all()
            return {key: json.loads(value) for key, value in rows}

    def emitted(self) -> list[tuple[str, str | None, Any]]:
        from airflow.models.asset import AssetEvent
        from airflow.utils.session import create_session
        from sqlalchemy import select

        names = {number: name for name, number in self.asset_ids.items()}
        with create_session() as session:
            events = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()
            return [(names[one.asset_id], one.partition_key, one.extra) for one in events]


def _clear() -> None:
    from airflow.models.asset import AssetActive, AssetEvent, AssetModel
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for table in (AssetStateStoreModel, AssetEvent, AssetActive, AssetModel):
            session.execute(delete(table))


@pytest.fixture
def store(airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty, active journal; callbacks may come from `START_MS`, without being late or too old."""
    pytest.importorskip("airflow.models.asset_state_store", reason="Airflow below 3.3 keeps no journal")
    monkeypatch.setattr("airflow_trtc.web.processing.folding.LATE_MS", 10**13)
    monkeypatch.setenv("AIRFLOW__TRTC__JOURNAL_DAYS", "20000")
    _clear()
    one = Store()
    one.activate(JOURNAL)
    yield one
    _clear()


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set connections: ``connection("trtc_default", callback_secret="key")``."""

    def put(conn_id: str = "trtc_default", conn_type: str = "trtc", **extra: Any) -> None:
        value = json.dumps({"conn_type": conn_type, "extra": extra})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)

    return put
