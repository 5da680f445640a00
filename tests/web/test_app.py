"""The app as Airflow's API server runs it, on Airflow's database."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from airflow.sdk import Asset

from airflow_trtc.assets import finished_recordings
from airflow_trtc.jobs.callback import sign
from airflow_trtc.journal import prune
from airflow_trtc.journal.keys import LOG_KEY, connections_key
from airflow_trtc.journal.reception import refused_key
from airflow_trtc.web.app import create_app
from airflow_trtc.web.processing import database
from airflow_trtc.web.processing.housekeeping import FIRST_AFTER_SECONDS, RETRY_SECONDS, Housekeeping
from airflow_trtc.web.processing.processor import CallbackProcessor
from airflow_trtc.web.receiving import answers, connections
from tests.web.conftest import APP, START_MS, Store, event, story

Connect = Callable[..., None]


async def deliver(bodies: list[dict[str, Any]], *, key: str = "key", path: str = "trtc_default") -> list[int]:
    """Post all at once, to one app, which is then shut down."""
    app = create_app()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:

            async def post(body: bytes) -> int:
                headers = {"Sign": sign(key, body), "SdkAppId": str(APP)}
                return (await client.post(f"/callbacks/{path}", content=body, headers=headers)).status_code

            return list(await asyncio.gather(*(post(json.dumps(body).encode()) for body in bodies)))


def test_what_is_answered_is_stored_and_worked_through(store: Store, connection: Connect) -> None:
    connection(callback_secret="key", sdk_app_id=APP)
    store.activate(finished_recordings())
    sent = [one for name in "abcdefgh" for one in [*story(name), *story(name)]]
    assert set(asyncio.run(deliver(sent))) == {200}
    CallbackProcessor().work()
    assert len(store.rows("ev/")) == 40
    assert not store.rows("in/")
    assert len(store.rows("cb/")) == 16
    # The page "TRTC health" shows by it that callbacks come through the connection.
    assert store.rows("conns/") == {connections_key(APP): {"v": 1, "conn_ids": ["trtc_default"]}}


def test_a_slash_at_the_end_of_the_address_does_no_harm(store: Store, connection: Connect) -> None:
    connection(callback_secret="key")
    assert asyncio.run(deliver(story("a"), path="trtc_default/")) == [200] * 5


def test_two_servers_share_the_work(store: Store, connection: Connect) -> None:
    connection(callback_secret="key")

    async def both() -> list[list[int]]:
        return list(await asyncio.gather(deliver(story("a") * 5), deliver(story("a") * 5)))

    assert {status for statuses in asyncio.run(both()) for status in statuses} == {200}
    CallbackProcessor().work()
    assert len(store.rows("ev/")) == 5
    assert store.rows("log")["log"]["seq"] == 5


def test_a_wrong_key_stores_nothing(store: Store, connection: Connect) -> None:
    connection(callback_secret="key")
    assert asyncio.run(deliver(story("a"), key="wrong")) == [401] * 5
    assert set(store.rows()) <= {LOG_KEY, refused_key("trtc_default")}


def test_refused_callbacks_are_counted_and_the_processor_writes_how_many(
    store: Store, connection: Connect
) -> None:
    connection(callback_secret="key")
    app = create_app()

    async def post() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return (await client.post("/callbacks/trtc_default", content=b"{}")).status_code

    assert asyncio.run(post()) == 401
    assert app.state.inbox.processor._work_once() > 0
    row = store.rows("refused/")[refused_key("trtc_default")]
    assert (row["conn_id"], row["count"], row["reason"]) == ("trtc_default", 1, "unsigned")


def test_without_a_dag_that_listens_the_service_is_asked_to_repeat(
    store: Store, connection: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connection(callback_secret="key")
    store.deactivate()
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(deliver(story("a"))) == [503] * 5
    assert caplog.text.count("no DAG has a task with the journal") == 1
    assert "TrtcRecordingSensor" in caplog.text
    assert not store.rows()


@pytest.mark.parametrize("section, option", [("workers", "state_store_backend"), ("state_store", "backend")])
def test_another_store_is_noticed(
    store: Store,
    connection: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    section: str,
    option: str,
) -> None:
    connection(callback_secret="key")
    if section == "state_store":
        monkeypatch.setattr("airflow.state.get_state_backend", object)
    else:
        monkeypatch.setenv(f"AIRFLOW__{section.upper()}__{option.upper()}", "x.Y")
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(deliver(story("a"))) == [503] * 5
    assert f"[{section}] {option} is set" in caplog.text
    assert not store.rows()


def test_an_older_airflow_is_noticed(monkeypatch: pytest.MonkeyPatch, connection: Connect) -> None:
    connection(callback_secret="key")
    monkeypatch.setattr("airflow.sdk.__version__", "1.2.2")
    assert database.why_no_store() == database.NO_STORE
    assert asyncio.run(deliver(story("a"))) == [503] * 5


@pytest.mark.parametrize("conn_type, problem", [("trtc", ""), ("http", "it is of type 'http', not 'trtc'")])
def test_connections_come_from_airflow(
    airflow_db: object, connection: Connect, conn_type: str, problem: str
) -> None:
    connection("one", conn_type, callback_secret="a,b", sdk_app_id=str(APP), region="ap-mumbai")
    found = connections.look_up("one")
    assert found.problem == problem
    if not problem:
        assert (found.keys, found.sdk_app_id, found.region) == (("a", "b"), APP, "ap-mumbai")
    assert "no such connection" in connections.look_up("nobody").problem


def test_a_database_that_fails_is_answered_with_503(
    store: Store, connection: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection(callback_secret="key")

    def fail(*_: object) -> None:
        raise RuntimeError("insert of 'secret'")

    monkeypatch.setattr(database, "insert_new", fail)
    with caplog.at_level(logging.ERROR):
        assert asyncio.run(deliver(story("a"))) == [503] * 5
    assert "Cannot store 5 callbacks, error " in caplog.text
    assert "secret" not in caplog.text


def test_an_unreachable_database_is_no_missing_connection(
    airflow_db: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("away")

    monkeypatch.setattr(database, "transaction", fail)
    assert asyncio.run(deliver(story("a"), path="nobody")) == [503] * 5


def test_old_rows_are_pruned_and_what_is_needed_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.asset_state_store import AssetStateStoreModel as Row
    from airflow.utils.session import create_session
    from sqlalchemy import update

    old = ["ev/1/-/a", "cb/recording/1/a", "cb/recording/1/a/files/0", "poll/recording/1/a/r"]
    old += ["done/recording/1/a/recording", "bad/x", "job/0/1/2/3", "at/recording/1/a"]
    kept = ["in/0000000000001/a", "due/0000000000001/1/a", "log"]
    store.write(dict.fromkeys([*old, *kept, "log/0000000000"], "{}"))
    ages = dict.fromkeys([*old, *kept], 70) | {"log/0000000000": 2}
    with create_session() as session:
        for key, days in ages.items():
            at = datetime.now(timezone.utc) - timedelta(days=days)
            session.execute(update(Row).where(Row.key == key).values(updated_at=at))
    store.write({"cb/1/fresh": "{}", "log/0000000001": "{}"})
    monkeypatch.setenv("AIRFLOW__TRTC__JOURNAL_DAYS", "60")
    now = 0.0
    housekeeping = Housekeeping(lambda: now)
    housekeeping()
    assert len(store.rows()) == 14
    now = FIRST_AFTER_SECONDS + 1
    housekeeping()
    assert set(store.rows()) == {*kept, "cb/1/fresh", "log/0000000001"}


@pytest.mark.parametrize(
    "value, days", [(None, 60), ("90", 90), ("1", 31), ("soon", 60), (str(10**30), 36_500)]
)
def test_how_long_rows_stay_is_configured(
    airflow_db: object, monkeypatch: pytest.MonkeyPatch, value: str | None, days: int
) -> None:
    if value is not None:
        monkeypatch.setenv("AIRFLOW__TRTC__JOURNAL_DAYS", value)
    assert prune.journal_days() == days


def test_a_name_that_is_no_connection_costs_no_error(airflow_db: object) -> None:
    assert asyncio.run(deliver([event(301, at_ms=START_MS)], path="nobody")) == [401]
    assert answers.REFUSED.status == 401


def test_a_start_that_fails_is_tried_again(
    store: Store, connection: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else callbacks would be stored, and never processed."""
    connection(callback_secret="key")
    load_models, failures = database.load_models, ["once", "twice"]

    def fail_twice() -> None:
        if failures:
            raise RuntimeError(failures.pop())
        load_models()

    monkeypatch.setattr(database, "load_models", fail_twice)
    statuses = asyncio.run(deliver([*story("a"), *story("b")]))  # all at once; one of them begins
    assert sorted(statuses) == [200] * 9 + [503]
    assert "Cannot start the receiver" in caplog.text


def test_an_asset_that_another_one_keeps_inactive_is_named_with_what_to_do(
    store: Store, connection: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.models.asset import AssetModel, DagScheduleAssetReference, TaskInletAssetReference
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    connection(callback_secret="key")
    journal = store.asset_id
    store.deactivate()
    store.activate(Asset("trtc_recordings", "s3://mine/recordings"), finished_recordings())
    with create_session() as session:
        if session.get(DagBundleModel, "b") is None:
            session.add(DagBundleModel(name="b"))
            session.flush()
        session.add(DagModel(dag_id="lessons", bundle_name="b"))
        session.flush()
        copy = AssetModel(name="my_recordings", uri="trtc://recordings/finished")
        session.add(copy)
        session.flush()
        session.add(DagScheduleAssetReference(asset_id=copy.id, dag_id="lessons"))
        session.add(TaskInletAssetReference(asset_id=journal, dag_id="lessons", task_id="wait"))
    try:
        assert set(asyncio.run(deliver(story("a")))) == {503}
        assert "The asset 'trtc_recordings' (trtc://recordings/) of DAG lessons is inactive" in caplog.text
        assert "'trtc_recordings' (s3://mine/recordings) has the same name" in caplog.text
        assert "The asset 'my_recordings' (trtc://recordings/finished) of DAG lessons is" in caplog.text
        assert "'trtc_recordings_finished' (trtc://recordings/finished) has the same URI" in caplog.text
    finally:
        with create_session() as session:
            for table in (DagScheduleAssetReference, TaskInletAssetReference, DagModel):
                session.execute(delete(table).where(table.dag_id == "lessons"))


def test_housekeeping_that_fails_delays_no_callbacks(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> int:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(prune, "delete_batch", fail)
    now = 0.0
    housekeeping = Housekeeping(lambda: now)
    for now in (FIRST_AFTER_SECONDS + 1, FIRST_AFTER_SECONDS + 2, FIRST_AFTER_SECONDS + 3):  # noqa: B007
        housekeeping()
    assert caplog.text.count("Cannot delete old rows of the journal") == 1
    monkeypatch.undo()
    now += RETRY_SECONDS
    housekeeping()  # goes on
    assert caplog.text.count("Cannot delete old rows of the journal") == 1
