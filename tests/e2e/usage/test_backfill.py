"""Backfills of months, whose tasks, workers and scheduler are killed at random: each day once, none half."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import psycopg2
import pyarrow.parquet
import pytest
from psycopg2.extras import RealDictCursor

from airflow_trtc.emulator import Emulator
from airflow_trtc.tables.schema import Interval
from airflow_trtc.tables.usage import USAGES
from tests.stack.local_airflow import LocalAirflow
from tests.tables.quality_truth import expected, in_order, read_columns
from tests.tables.truth import sums

pytestmark = pytest.mark.postgres

DAYS = int(os.environ.get("TRTC_TEST_BACKFILL_DAYS", "10"))  # `make backfill`: ninety
SEED = int(os.environ.get("TRTC_TEST_BACKFILL_SEED", "7"))
ZONE = ZoneInfo("Asia/Shanghai")
TODAY = dt.datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
PATIENCE_SECONDS = 30 * 60
SETTINGS = {
    ("core", "dags_are_paused_at_creation"): False,
    ("core", "parallelism"): 6,
    ("dag_processor", "refresh_interval"): 600,
    # Until a killed worker, and what a killed scheduler left, is noticed (Airflow: minutes).
    ("scheduler", "task_instance_heartbeat_timeout"): 30,
    ("scheduler", "task_instance_heartbeat_timeout_detection_interval"): 5,
    ("scheduler", "orphaned_tasks_check_interval"): 10,
    ("scheduler", "scheduler_health_check_threshold"): 20,
}
PAUSES_SECONDS = (0.2, 2.0)
RUNS_BETWEEN = (1, 4)  # that succeed between two kills
DATA_TYPES = ("aLoss", "rtt")
VICTIMS = ("task", "task", "task", "worker", "scheduler")

QUALITY_DAYS = min(DAYS, 12)  # the service keeps fourteen


@dataclass(frozen=True)
class Story:
    """What is backfilled.

    :param tables: of each target.
    """

    dag_id: str
    days: int
    tables: Mapping[str, str]


def use(emulator: Emulator) -> None:
    emulator.make_usage_history(days=DAYS + 2, seed=SEED)


def call(emulator: Emulator) -> None:
    """Three calls a day, one of them over midnight."""
    for number in range(QUALITY_DAYS + 2):
        midnight = TODAY.timestamp() - number * 86_400
        for room, hours, length in (("8001", 10, 5000), ("lesson", 15, 9000), ("night", 23, 7200)):
            began_at = midnight - 86_400 + hours * 3600
            emulator.add_call(room, users=3, began_at=began_at, lasts_seconds=length, step_seconds=600)


USAGE = Story(
    "backfilled",
    DAYS,
    {"sqlite": "trtc_usage", "postgresql": "usage.trtc_usage", "parquet": "trtc_usage"},
)
QUALITY = Story(
    "backfilled_quality",
    QUALITY_DAYS,
    {"sqlite": "trtc_call_users", "postgresql": "usage.trtc_call_details", "parquet": "trtc_rooms"},
)
STORIES = USAGE, QUALITY


class Backfills:
    """One Airflow, the emulator that it asks, and the tables that it fills, all at the same time."""

    def __init__(self, airflow: LocalAirflow, emulator: Emulator, folder: Path) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self.folder = folder
        self.kills: Counter[str] = Counter()
        self.killed_dags: Counter[str] = Counter()  # by the DAG of the task that was killed

    @property
    def postgresql_url(self) -> str:
        return self.airflow.database_url.replace("postgresql+psycopg2:", "postgresql:", 1)

    def run(self) -> None:
        """Start them, and kill at random until all have ended."""
        for story in STORIES:
            first, last = (TODAY - dt.timedelta(days=number) for number in (story.days, 1))
            body = {"dag_id": story.dag_id, "from_date": first.isoformat(), "to_date": last.isoformat()}
            self.airflow.api("POST", "/api/v2/backfills", json={**body, "max_active_runs": 12})
        days = sum(story.days for story in STORIES)
        dice = random.Random(SEED)
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        done = next_kill_at = 0  # in runs, so that a slow machine makes progress between two kills
        while done < days:
            assert time.monotonic() < give_up_at, f"{done} of {days} days after {self.kills}"
            time.sleep(dice.uniform(*PAUSES_SECONDS))
            states = self.states()
            assert "failed" not in states
            done = states.count("success")
            if done >= next_kill_at and self.kill(dice.choice(VICTIMS), dice):
                next_kill_at = done + dice.randint(*RUNS_BETWEEN)

    def states(self) -> list[str]:
        paths = [f"/api/v2/dags/{story.dag_id}/dagRuns" for story in STORIES]
        pages = [self.airflow.api("GET", path, params={"limit": 100})["dag_runs"] for path in paths]
        return [run["state"] for page in pages for run in page]

    def kill(self, victim: str, dice: random.Random) -> bool:
        """Kill one of these, and return whether there was one."""
        if victim == "scheduler":
            self.airflow.kill("scheduler")
            self.airflow.start("scheduler")
        elif not self._kill_task(dice, with_worker=victim == "worker"):
            return False
        self.kills[victim] += 1
        return True

    def _kill_task(self, dice: random.Random, *, with_worker: bool) -> bool:
        """Kill the process of a task, or the worker that watches over it; return whether there was one."""
        path = "/api/v2/dags/~/dagRuns/~/taskInstances"
        running = self.airflow.api("GET", path, params={"state": "running"})["task_instances"]
        tasks = [task for task in running if task["pid"]]
        if not tasks:
            return False
        task = dice.choice(tasks)
        try:
            process = psutil.Process(task["pid"])
            (process.parent() if with_worker else process).kill()
        except psutil.NoSuchProcess:
            return False
        self.killed_dags[task["dag_id"]] += 1
        return True

    def sqlite(self, story: Story) -> list[dict[str, Any]]:
        connection = sqlite3.connect(self.folder / "usage.db")
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {story.tables['sqlite']}")]
        finally:
            connection.close()

    def postgresql(self, story: Story) -> list[dict[str, Any]]:
        with (
            psycopg2.connect(self.postgresql_url) as connection,
            connection.cursor(cursor_factory=RealDictCursor) as cursor,
        ):
            cursor.execute(f"SELECT * FROM {story.tables['postgresql']}")
            return [dict(row) for row in cursor.fetchall()]

    def parquet(self, story: Story) -> list[dict[str, Any]]:
        paths = sorted((self.folder / "files" / story.tables["parquet"]).iterdir())
        assert [path.suffix for path in paths] == [".parquet"] * story.days  # and nothing is left aside
        return [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def backfills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfills]:
    """Those that have ended, and their Airflow."""
    for name in ("airflow_trtc.emulator", "uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    folder = tmp_path_factory.mktemp("usage")
    with Emulator(keep_requests=10_000) as emulator:
        use(emulator)
        call(emulator)
        airflow = LocalAirflow(
            Path(__file__).parent / "dags",
            env={
                "AIRFLOW_CONN_TRTC_DEFAULT": emulator.connection_json,
                "AIRFLOW_CONN_LITE": json.dumps({"conn_type": "sqlite", "host": str(folder / "usage.db")}),
                "USAGE_FOLDER": f"file://{folder}/files",
            },
            config=SETTINGS,
            database="postgresql",
        )
        with airflow:
            found = Backfills(airflow, emulator, folder)
            with psycopg2.connect(found.postgresql_url) as connection, connection.cursor() as cursor:
                cursor.execute("CREATE SCHEMA usage")
            connection.close()
            for story in STORIES:
                airflow.wait_for_dag(story.dag_id)
            uri = found.postgresql_url.replace("postgresql:", "postgres:", 1)
            airflow.api("POST", "/api/v2/connections", json={"connection_id": "pg", **connection_of(uri)})
            found.run()
            yield found


def connection_of(uri: str) -> dict[str, Any]:
    """The fields of a connection, for Airflow's API."""
    from urllib.parse import urlsplit

    parts = urlsplit(uri)
    return {
        "conn_type": parts.scheme,
        "host": parts.hostname,
        "port": parts.port,
        "login": parts.username,
        "password": parts.password,
        "schema": parts.path.lstrip("/"),
    }


@pytest.mark.parametrize("target", ["sqlite", "postgresql", "parquet"])
def test_the_table_equals_what_was_used_each_day_once(backfills: Backfills, target: str) -> None:
    schema = USAGES["trtc"].schema
    rows = getattr(backfills, target)(USAGE)
    keys = [tuple(row[name] for name in schema.key) for row in rows]
    assert len(rows) == len(set(keys)) == 6 * DAYS
    truth = sums(backfills.emulator.usage(), "trtc", rows)
    assert [row["minutes"] for row in rows] == truth
    assert any(truth)


@pytest.mark.parametrize(
    "target, what", [("sqlite", "users"), ("postgresql", "details"), ("parquet", "rooms")]
)
def test_the_tables_of_quality_equal_what_happened(backfills: Backfills, target: str, what: str) -> None:
    rows = getattr(backfills, target)(QUALITY)
    for row in rows:
        read_columns(what, row)
    interval = Interval(TODAY - dt.timedelta(days=QUALITY_DAYS), TODAY)
    truth = expected(what, backfills.emulator.calls(details=True), interval)
    if what == "details":
        truth = [row for row in truth if row["data_type"] in DATA_TYPES]
    assert in_order(rows) == truth
    assert truth


def test_they_were_killed_often(backfills: Backfills) -> None:
    print(f"kills: {dict(backfills.kills)}, tasks of {dict(backfills.killed_dags)}")
    assert backfills.kills.total() >= (DAYS + QUALITY_DAYS) // 9
    assert DAYS < 90 or all(backfills.kills[victim] for victim in VICTIMS)
    assert DAYS < 90 or all(backfills.killed_dags[story.dag_id] for story in STORIES)


def test_a_day_is_only_read_again_after_a_kill(backfills: Backfills) -> None:
    requests = [
        each["parameters"]
        for each in backfills.emulator.state(requests=True)["requests"]
        if each["action"] == "DescribeTrtcUsage" and each["code"] == "OK"
    ]
    assert all(each["StartTime"] == each["EndTime"] for each in requests)
    assert len({each["StartTime"] for each in requests}) == DAYS
    # A killed task had read one day that it had not written yet; a killed scheduler ran six tasks at most.
    at_most = backfills.killed_dags[USAGE.dag_id] + 6 * backfills.kills["scheduler"]
    assert len(requests) - 3 * DAYS <= at_most
