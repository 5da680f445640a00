"""A backfill of months, whose tasks, workers and scheduler are killed at random: each day once, none half."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
Rows = Callable[[], list[dict[str, Any]]]


@dataclass(frozen=True)
class Story:
    """What is backfilled.

    :param tables: of each target.
    """

    dag_id: str
    days: int
    tables: Mapping[str, str]
    prepare: Callable[[Emulator], None]


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
    use,
)
QUALITY = Story(
    "backfilled_quality",
    QUALITY_DAYS,
    {"sqlite": "trtc_call_users", "postgresql": "usage.trtc_call_details", "parquet": "trtc_rooms"},
    call,
)


class Backfill:
    """One Airflow, the emulator that it asks, and the three tables that it fills."""

    def __init__(self, story: Story, airflow: LocalAirflow, emulator: Emulator, folder: Path) -> None:
        self.story = story
        self.airflow = airflow
        self.emulator = emulator
        self.folder = folder
        self.kills: dict[str, int] = dict.fromkeys(VICTIMS, 0)

    @property
    def postgresql_url(self) -> str:
        return self.airflow.database_url.replace("postgresql+psycopg2:", "postgresql:", 1)

    def run(self) -> None:
        """Start it, and kill at random until it has ended."""
        days = self.story.days
        first, last = (TODAY - dt.timedelta(days=number) for number in (days, 1))
        body = {"dag_id": self.story.dag_id, "from_date": first.isoformat(), "to_date": last.isoformat()}
        self.airflow.api("POST", "/api/v2/backfills", json={**body, "max_active_runs": 12})
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
        runs = self.airflow.api("GET", f"/api/v2/dags/{self.story.dag_id}/dagRuns", params={"limit": 100})
        return [run["state"] for run in runs["dag_runs"]]

    def kill(self, victim: str, dice: random.Random) -> bool:
        """Kill one of these, and return whether there was one."""
        if victim == "scheduler":
            self.airflow.kill("scheduler")
            self.airflow.start("scheduler")
        elif (process := self.running(dice)) is None:
            return False
        else:
            with suppress(psutil.NoSuchProcess):
                (process.parent() if victim == "worker" else process).kill()
        self.kills[victim] += 1
        return True

    def running(self, dice: random.Random) -> psutil.Process | None:
        """The process of a task, if there is one at the moment."""
        path = f"/api/v2/dags/{self.story.dag_id}/dagRuns/~/taskInstances"
        tasks = self.airflow.api("GET", path, params={"state": "running"})["task_instances"]
        pids = [task["pid"] for task in tasks if task["pid"]]
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(dice.choice(pids)) if pids else None
        return None

    def sqlite(self) -> list[dict[str, Any]]:
        connection = sqlite3.connect(self.folder / "usage.db")
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {self.story.tables['sqlite']}")]
        finally:
            connection.close()

    def postgresql(self) -> list[dict[str, Any]]:
        with (
            psycopg2.connect(self.postgresql_url) as connection,
            connection.cursor(cursor_factory=RealDictCursor) as cursor,
        ):
            cursor.execute(f"SELECT * FROM {self.story.tables['postgresql']}")
            return [dict(row) for row in cursor.fetchall()]

    def parquet(self) -> list[dict[str, Any]]:
        paths = sorted((self.folder / "files" / self.story.tables["parquet"]).iterdir())
        assert [path.suffix for path in paths] == [".parquet"] * self.story.days  # and nothing is left aside
        return [row for path in paths for row in pyarrow.parquet.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def backfill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfill]:
    """One of usage that has ended."""
    with backfilled(USAGE, tmp_path_factory) as found:
        yield found


@pytest.fixture(scope="module")
def quality(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfill]:
    """One of call quality that has ended."""
    with backfilled(QUALITY, tmp_path_factory) as found:
        yield found


@contextmanager
def backfilled(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfill]:
    """One that has ended, and its Airflow."""
    for name in ("airflow_trtc.emulator", "uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    folder = tmp_path_factory.mktemp("usage")
    with Emulator(keep_requests=10_000) as emulator:
        story.prepare(emulator)
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
            found = Backfill(story, airflow, emulator, folder)
            with psycopg2.connect(found.postgresql_url) as connection, connection.cursor() as cursor:
                cursor.execute("CREATE SCHEMA usage")
            connection.close()
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
def test_the_table_equals_what_was_used_each_day_once(backfill: Backfill, target: str) -> None:
    schema = USAGES["trtc"].schema
    rows = getattr(backfill, target)()
    keys = [tuple(row[name] for name in schema.key) for row in rows]
    assert len(rows) == len(set(keys)) == 6 * DAYS
    truth = sums(backfill.emulator.usage(), "trtc", rows)
    assert [row["minutes"] for row in rows] == truth
    assert any(truth)


@pytest.mark.parametrize(
    "target, what", [("sqlite", "users"), ("postgresql", "details"), ("parquet", "rooms")]
)
def test_the_tables_of_quality_equal_what_happened(quality: Backfill, target: str, what: str) -> None:
    rows = getattr(quality, target)()
    for row in rows:
        read_columns(what, row)
    interval = Interval(TODAY - dt.timedelta(days=QUALITY_DAYS), TODAY)
    truth = expected(what, quality.emulator.calls(details=True), interval)
    if what == "details":
        truth = [row for row in truth if row["data_type"] in DATA_TYPES]
    assert in_order(rows) == truth
    assert truth
    assert sum(quality.kills.values()) >= QUALITY_DAYS // 9


def test_it_was_killed_often(backfill: Backfill) -> None:
    print(f"kills: {backfill.kills}")
    assert sum(backfill.kills.values()) >= DAYS // 9
    assert DAYS < 90 or all(backfill.kills.values())


def test_a_day_is_only_read_again_after_a_kill(backfill: Backfill) -> None:
    requests = [
        each["parameters"]
        for each in backfill.emulator.state(requests=True)["requests"]
        if each["action"] == "DescribeTrtcUsage" and each["code"] == "OK"
    ]
    assert all(each["StartTime"] == each["EndTime"] for each in requests)
    assert len({each["StartTime"] for each in requests}) == DAYS
    # Whoever was killed ran six tasks at most, and each had read one day that it had not written yet.
    at_most = sum(count * (6 if name == "scheduler" else 1) for name, count in backfill.kills.items())
    assert len(requests) - 3 * DAYS <= at_most
