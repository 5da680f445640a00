"""The local Airflow, made fit for many tests at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.stack.local_airflow import LocalAirflow

# What was known of all runs holds so long, so that many tests ask no more often than one.
FRESH_SECONDS = 2.0
QUESTIONS_AT_A_TIME = 2


class SharedAirflow(LocalAirflow):
    """An Airflow for many threads and a hundred tasks.

    Tasks have an API server of their own. In one for all, they and users' requests block each other on
    SQLite: Airflow commits its audit log on the event loop, where it waits for the transaction of a request
    that itself waits for the event loop (Airflow 3.3, `api_fastapi/logging/decorators.py`).
    """

    def __init__(self, dags_folder: Path, *, env: dict[str, str], config: dict[tuple[str, str], Any]) -> None:
        super().__init__(dags_folder, env=env, config=config, task_api=True)
        self._questions = threading.Semaphore(QUESTIONS_AT_A_TIME)
        self._changes = threading.Lock()
        self._lock = threading.Lock()
        self._run_states: dict[tuple[str, str], str] = {}
        self._asked_at = float("-inf")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """See the base class."""
        with self._questions if method == "GET" else self._changes:
            return super().request(method, path, **options)

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run a short while ago, asked for all runs at once."""
        with self._lock:
            if time.monotonic() > self._asked_at + FRESH_SECONDS:
                runs = self._pages("/api/v2/dags/~/dagRuns", "dag_runs")
                self._run_states = {(run["dag_id"], run["dag_run_id"]): run["state"] for run in runs}
                self._asked_at = time.monotonic()
            return self._run_states.get((dag_id, run_id), "queued")

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str], **options: Any) -> None:
        """See the base class."""
        super().clear(dag_id, run_id, task_ids, **options)
        with self._lock:
            self._asked_at = float("-inf")  # what was known of the run no longer holds
