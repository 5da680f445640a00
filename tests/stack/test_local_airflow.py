import sqlite3
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from tests.stack import local_airflow, redis
from tests.stack.doubles import DOUBLES
from tests.stack.local_airflow import CLUSTER, LocalAirflow, LocalAirflowError, inherited, never_reuse_ids


def test_another_airflows_settings_are_not_inherited() -> None:
    environment = {
        "AIRFLOW_HOME": "/elsewhere",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_CONN_TRTC_DEFAULT": "{}",
        "_AIRFLOW_SOMETHING": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": "/bin",
    }
    kept = inherited(environment)
    assert kept.pop("NO_PROXY") == kept.pop("no_proxy") == "127.0.0.1,localhost"
    assert kept == {"PATH": "/bin"}


def test_exceptions_to_a_proxy_are_kept() -> None:
    assert inherited({"no_proxy": "intern.example"})["NO_PROXY"].endswith(",intern.example")


def test_a_program_that_dies_at_start_is_an_error_with_the_end_of_its_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    airflow = LocalAirflow(tmp_path, config={("database", "sql_alchemy_conn"): "nonsense://"}, home=tmp_path)
    with pytest.raises(LocalAirflowError, match=r"(?s)db-migrate ended with exit code 1.*nonsense"), airflow:
        pass
    assert str(tmp_path) in caplog.text


def is_running(pid: int) -> bool:
    """Whether it can still do anything; one that ended may wait a while for its parent to take notice."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def workers(pids: list[int]) -> list[int]:
    """Those that the API server started to serve requests."""
    return [pid for pid in pids if "spawn_main" in " ".join(psutil.Process(pid).cmdline())]


@pytest.mark.postgres
def test_airflow_on_postgresql_survives_the_death_of_all_its_api_servers(tmp_path: Path) -> None:
    (tmp_path / "doubles.py").write_text(DOUBLES)
    with LocalAirflow(tmp_path, database="postgresql", api_workers=2, task_api=True) as airflow:
        database_url = airflow.database_url.replace("+psycopg2", "")
        airflow.unpause("doubles")
        first = airflow.trigger("doubles")
        pids = airflow.pids("api-server")
        assert len(workers(pids)) == 2
        airflow.kill("api-server")
        assert not any(map(is_running, pids))
        airflow.start("api-server")
        assert airflow.wait_for_run("doubles", first) == "success"
        assert airflow.wait_for_run("doubles", airflow.trigger("doubles")) == "success"
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        psycopg2.connect(database_url)


def test_airflow_needs_postgresql_for_more_than_one_of_a_kind(tmp_path: Path) -> None:
    for options in ({"triggerers": 2}, {"api_servers": 2}, {"executor": "celery"}):
        with pytest.raises(ValueError, match="need database='postgresql'"):
            LocalAirflow(tmp_path, **options)
    LocalAirflow(tmp_path, workers=2, task_api=True)  # the local executor has no workers


def test_ids_of_deleted_rows_are_not_given_again(tmp_path: Path) -> None:
    database = tmp_path / "airflow.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            'CREATE TABLE "trigger" (id INTEGER NOT NULL, name TEXT, team TEXT,'
            " CONSTRAINT trigger_pkey PRIMARY KEY (id), UNIQUE (team));"
            'CREATE INDEX by_name ON "trigger" (name);'
        )
    never_reuse_ids(database, "trigger")
    with closing(sqlite3.connect(database)) as connection:
        insert = 'INSERT INTO "trigger" (name) VALUES (?) RETURNING id'
        ids = []
        for name in ("a", "b"):
            ids += connection.execute(insert, (name,)).fetchall()
            connection.execute('DELETE FROM "trigger"')
        assert ids == [(1,), (2,)]
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'by_name'").fetchone() == (
            1,
        )
    never_reuse_ids(database, "trigger")
    with pytest.raises(LocalAirflowError, match="not made as expected"):
        never_reuse_ids(database, "no_such_table")


def test_the_further_components_of_a_kind_are_numbered(tmp_path: Path) -> None:
    assert LocalAirflow(tmp_path).components == ("api-server", "scheduler", "dag-processor", "triggerer")
    assert LocalAirflow(tmp_path, **CLUSTER).components == (
        *("postgresql", "redis", "balancer", "api-server", "api-server-2", "scheduler", "scheduler-2"),
        *("dag-processor", "triggerer", "triggerer-2", "worker", "worker-2"),
    )


def test_without_its_provider_airflow_on_celery_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(local_airflow._NEEDED, "redis", {"no-such-provider": "some-provider"})
    with pytest.raises(LocalAirflowError, match="redis needs no-such-provider: install some-provider"):
        LocalAirflow(tmp_path, **CLUSTER, home=tmp_path).__enter__()


def test_without_redis_airflow_on_celery_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "_WHEEL", "no_such_wheel")
    monkeypatch.setattr(redis, "_PROGRAM", "no-such-program")
    with pytest.raises(LocalAirflowError, match="There is no no-such-program: install Redis"):
        LocalAirflow(tmp_path, **CLUSTER, home=tmp_path).__enter__()


def test_without_drivers_airflow_on_postgresql_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers = {"psycopg2": "psycopg2-binary", "no_such_driver": "asyncpg"}
    monkeypatch.setitem(local_airflow._NEEDED, "postgresql", drivers)
    with pytest.raises(LocalAirflowError, match="needs no_such_driver: install psycopg2-binary and asyncpg"):
        LocalAirflow(tmp_path, database="postgresql", home=tmp_path).__enter__()
