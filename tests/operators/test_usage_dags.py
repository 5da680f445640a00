"""Whole DAGs, day by day and some days twice: a table has each day once, and equals what was used."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest

from airflow_trtc.tables.usage import USAGES
from tests.tables.truth import sums

if TYPE_CHECKING:
    from airflow_trtc.testing import TrtcAirflow
    from tests.stack.postgresql import PostgreSql

DAGS = Path(__file__).parent / "dags" / "usage.py"
ZONE = ZoneInfo("Asia/Shanghai")
TODAY = dt.datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
KINDS = ("trtc", "relay")
DAYS = 5

Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def usage_in_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    path = tmp_path / "usage.db"
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(path)}))

    def rows(table: str) -> list[dict[str, Any]]:
        connection = sqlite3.connect(path)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
        finally:
            connection.close()

    return rows


@pytest.fixture
def usage_in_postgresql(postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rows]:
    import psycopg2
    from psycopg2.extras import RealDictCursor

    monkeypatch.setenv("AIRFLOW_CONN_PG", postgresql.url.replace("postgresql:", "postgres:", 1))
    with psycopg2.connect(postgresql.url) as connection:
        connection.autocommit = True

        def rows(table: str) -> list[dict[str, Any]]:
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute(f"SELECT * FROM {table}")
                return [dict(row) for row in cursor.fetchall()]

        yield rows
    connection.close()


@pytest.fixture
def usage_in_parquet(tmp_path: Path) -> Rows:
    def rows(table: str) -> list[dict[str, Any]]:
        paths = sorted((tmp_path / table).glob("*"))
        assert all(path.suffix == ".parquet" for path in paths)
        return [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]

    return rows


@pytest.mark.parametrize("dag_id", ["usage_in_sqlite", "usage_in_postgresql", "usage_in_parquet"])
def test_a_table_has_each_day_once_and_equals_what_was_used(
    dag_id: str,
    request: pytest.FixtureRequest,
    trtc_airflow: TrtcAirflow,
    load_dags: Callable[[Path], ModuleType],
    tmp_path: Path,
) -> None:
    rows: Rows = request.getfixturevalue(dag_id)
    trtc_airflow.emulator.make_usage_history(days=DAYS + 3)
    dag = getattr(load_dags(DAGS), dag_id)
    ends = [TODAY - dt.timedelta(days=number) for number in range(DAYS)]
    for end in [*ends, ends[1], ends[-1]]:  # as a scheduler that was killed may do
        run = trtc_airflow.run(dag, {"folder": f"file://{tmp_path}"}, logical_date=end)
        assert run.state == "success"
    for usage in KINDS:
        schema = USAGES[usage].schema
        found = rows(schema.name)
        keys = [tuple(row[name] for name in schema.key) for row in found]
        assert len(found) == len(set(keys)) == DAYS * len(USAGES[usage].keys or {"bandwidth"})
        truth = sums(trtc_airflow.emulator.usage(), usage, found)
        assert [row[schema.names[-1]] for row in found] == truth
        assert any(truth)
    counters = trtc_airflow.emulator.state()["counters"]
    assert counters == {USAGES[usage].action: {"OK": DAYS} for usage in KINDS}
