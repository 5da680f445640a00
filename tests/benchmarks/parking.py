"""Tasks that wait in the triggerer of a real Airflow on PostgreSQL without a worker having deferred them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg2

from tests.benchmarks.driving import ROOT
from tests.stack.local_airflow import LocalAirflow

DAG_ID = "parked"


class Parking:
    """The tasks ``wait`` of runs of the DAG ``parked``: a pool without slots keeps workers away from them."""

    def __init__(self, airflow: LocalAirflow, patience_seconds: float) -> None:
        """:param patience_seconds: how long anything may take."""
        self.airflow = airflow
        self._patience_seconds = patience_seconds
        self._database = psycopg2.connect(airflow.database_url.replace("+psycopg2", ""))
        self._database.autocommit = True
        airflow.api("POST", "/api/v2/pools", json={"name": "closed", "slots": 0, "include_deferred": False})
        airflow.unpause(DAG_ID)

    def begin(self, count: int) -> str:
        """Start a run with so many tasks; return its id when all are there."""
        run_id = self.airflow.trigger(DAG_ID, {"count": count})
        self.until_count(
            count,
            "SELECT count(*) FROM task_instance"
            " WHERE run_id = %s AND task_id = 'wait' AND state = 'scheduled'",
            run_id,
        )
        return run_id

    def defer(self, run_id: str, known: Sequence[Mapping[str, Any]], **options: Any) -> None:
        """Defer them, each with what its worker knew; the options are those of `park.park`."""
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.park", run_id],
            input=json.dumps({"known": list(known), **options}),
            text=True,
            cwd=ROOT,
            env=self.airflow.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def until_assigned(self, run_id: str, count: int) -> None:
        """Return when a triggerer has taken all of them on."""
        self.until_count(
            count,
            "SELECT count(*) FROM task_instance t JOIN trigger g ON t.trigger_id = g.id"
            " WHERE t.run_id = %s AND g.triggerer_id IS NOT NULL",
            run_id,
        )

    def clear(self, run_id: str) -> None:
        """Let nothing of a run go on waiting."""
        self.ask("UPDATE task_instance SET state = 'success', trigger_id = NULL WHERE run_id = %s", run_id)
        self.until_count(0, "SELECT count(*) FROM trigger WHERE %s IS NOT NULL", run_id)

    def until_count(self, count: int, statement: str, *values: object) -> None:
        """Return when a query counts so many; raises TimeoutError."""
        give_up_at = time.monotonic() + self._patience_seconds
        while (found := self.ask(statement, *values)[0][0]) != count:
            self.airflow.check_alive()
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"there are {found}, not {count}: {statement}")
            time.sleep(0.5)

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with self._database.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def load(self, into: dict[str, float], *names: str) -> Iterator[None]:
        """Note how much of a processor parts of Airflow take meanwhile."""
        before, began_at = {name: self._cpu_seconds(name) for name in names}, time.monotonic()
        yield
        seconds = time.monotonic() - began_at
        into.update({name: (self._cpu_seconds(name) - before[name]) / seconds for name in names})

    def _cpu_seconds(self, name: str) -> float:
        times = [psutil.Process(pid).cpu_times() for pid in self.airflow.pids(name)]
        return float(sum(each.user + each.system for each in times))
