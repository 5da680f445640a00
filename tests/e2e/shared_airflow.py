"""The local Airflow, made fit for many tests at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from airflow_trtc.demo.local_airflow import COMPONENTS, LocalAirflow
from airflow_trtc.demo.processes import Component, free_ports

TASK_API = "task-api"

# What was known of all runs holds so long, so that many tests ask no more often than one.
FRESH_SECONDS = 2.0
QUESTIONS_AT_A_TIME = 2


class SharedAirflow(LocalAirflow):
    """An Airflow for many threads and a hundred tasks.

    Tasks have an API server of their own. In one for all, they and users' requests block each other on
    SQLite: Airflow commits its audit log on the event loop, where it waits for the transaction of a request
    that itself waits for the event loop (Airflow 3.3, `api_fastapi/logging/decorators.py`).
    """

    components = (*COMPONENTS, TASK_API)

    def __init__(self, dags_folder: Path, *, env: dict[str, str], config: dict[tuple[str, str], Any]) -> None:
        (self._task_port,) = free_ports(1)
        task_api = {("core", "execution_api_server_url"): f"{self._task_url}/execution/"}
        super().__init__(dags_folder, env=env, config=config | task_api)
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

    @property
    def _task_url(self) -> str:
        return f"http://127.0.0.1:{self._task_port}"

    def _up(self) -> None:
        super()._up()
        self._component(TASK_API).start()
        self.wait_until_ready(TASK_API)

    def _arguments(self, name: str) -> list[str]:
        if name != TASK_API:
            return super()._arguments(name)
        address = ["--host", "127.0.0.1", "--port", str(self._task_port)]
        return ["api-server", "--apps", "execution", "--workers", "1", *address]

    def _is_ready(self, component: Component) -> bool:
        if component.name != TASK_API:
            return super()._is_ready(component)
        try:
            return httpx.get(f"{self._task_url}/execution/health", trust_env=False).is_success
        except httpx.TransportError:
            return False
