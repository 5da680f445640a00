"""A whole Airflow on this machine for a short time: the same programs as in production.

Runs on Airflow 3.1 and later. Knows nothing of TRTC; whoever starts it passes connections as environment.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

import httpx
from typing_extensions import Self

from airflow_trtc.demo import processes
from airflow_trtc.demo.postgresql import NoPostgreSql, PostgreSql
from airflow_trtc.demo.processes import Component, Leash, free_ports
from airflow_trtc.demo.rest import AirflowApi

_log = logging.getLogger(__name__)

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
# An API server that serves nothing but tasks.
TASK_API = "task-api"

# Airflow's health report spells a component's name this way.
_HEALTH_NAMES = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
_START_SECONDS = 180.0
_GRACE_SECONDS = 8.0
_TAIL_LINES = 40
# What Airflow's synchronous and asynchronous halves speak to PostgreSQL with.
_DRIVERS = ("psycopg2", "asyncpg")
# How long a component waits for the others to finish writing. With SQLite's 5 seconds a burst of runs on a
# slow machine ends a scheduler with "database is locked".
_LOCK_SECONDS = 60


class LocalAirflowError(RuntimeError):
    """A component of the local Airflow did not start or died; the message holds the end of its log."""


class LocalAirflow(AirflowApi):
    """A running Airflow: API server, scheduler with LocalExecutor, DAG processor and triggerer.

    Its database is one SQLite file, or a PostgreSQL of its own for `database="postgresql"`, which the
    drivers psycopg2 and asyncpg must be installed for; see `airflow_trtc.demo.postgresql` for PostgreSQL.

    Use it as a context manager; inside, all of them are up and a user is logged in::

        with LocalAirflow(dags_folder="dags", env={"AIRFLOW_CONN_TRTC_DEFAULT": "..."}) as airflow:
            airflow.unpause("my_dag")
            run_id = airflow.trigger("my_dag")
            assert airflow.wait_for_run("my_dag", run_id) == "success"

    It listens on the loopback address only and inherits the environment except all `AIRFLOW...` variables.
    Its folder `home` is temporary and removed at the end, unless one was given, an exception passed, or
    `keep_home` was set. Its processes end with the block, and also if this Python process is killed.
    """

    def __init__(
        self,
        dags_folder: str | os.PathLike[str],
        *,
        env: Mapping[str, str] | None = None,
        config: Mapping[tuple[str, str], object] | None = None,
        home: str | os.PathLike[str] | None = None,
        database: Literal["sqlite", "postgresql"] = "sqlite",
        api_workers: int = 1,
        task_api: bool = False,
    ) -> None:
        """Choose what it runs with; nothing is written or started before `with`.

        `config` maps (section, option) to a value and wins over the quick settings chosen here.
        `api_workers` are the processes of the API server. With `task_api`, tasks have an API server of
        their own, the component "task-api": nobody else can keep them waiting, or end with theirs.
        """
        api_port, task_port, *log_ports = free_ports(4)
        super().__init__(f"http://127.0.0.1:{api_port}", "admin", secrets.token_urlsafe(12))
        self.components = (*COMPONENTS, TASK_API) if task_api else COMPONENTS
        self._database = database
        self._api_workers = api_workers
        self._task_url = f"http://127.0.0.1:{task_port if task_api else api_port}"
        self.keep_home = home is not None
        self._given_home = home
        self._dags_folder = Path(dags_folder).resolve()
        self._env = dict(env or {})
        self._settings = _quick_settings(self.url, self._task_url, log_ports) | dict(config or {})
        self._components: dict[str, Component] = {}
        self._postgresql: PostgreSql | None = None

    def __enter__(self) -> Self:
        """Start everything and wait until it is ready; raises LocalAirflowError."""
        self._prepare()
        try:
            self._up()
        except BaseException as error:
            self._down(keep=isinstance(error, Exception))
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything; after an exception the folder with the logs stays, and its path is logged."""
        self._down(keep=isinstance(error, Exception))

    @property
    def log_folder(self) -> Path:
        """Where the output of each component is kept."""
        return self.home / "components"

    @property
    def database_url(self) -> str:
        """Airflow's database as SQLAlchemy names it."""
        if self._postgresql:
            return self._postgresql.url.replace("postgresql:", "postgresql+psycopg2:", 1)
        return f"sqlite:///{self.home / 'airflow.db'}?timeout={_LOCK_SECONDS}"

    @property
    def environment(self) -> dict[str, str]:
        """What Airflow's programs run with; with it, a program is one of this Airflow."""
        return self._environment()

    def pids(self, name: str) -> list[int]:
        """The processes of a component, empty if it does not run."""
        return self._component(name).pids()

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start a component that was stopped or killed, and wait until it reports to be alive."""
        self._component(name).start()
        if wait:
            self.wait_until_ready(name)

    def stop(self, name: str) -> None:
        """Ask a component to end, and end what is left of it after a few seconds."""
        processes.stop([self._component(name)], _GRACE_SECONDS)

    def kill(self, name: str) -> None:
        """End a component with all its processes at once, as a crash would (SIGKILL)."""
        self._component(name).kill()

    def wait_until_ready(self, name: str, timeout: float = _START_SECONDS) -> None:
        """Wait until a component works; raises LocalAirflowError if it dies, TimeoutError."""
        self._wait(
            lambda: self._is_ready(self._component(name)) or None,
            timeout,
            lambda: f"{name} is not ready. The end of its log:\n{self.component_log(name, _TAIL_LINES)}",
        )

    def check_alive(self) -> None:
        """Raise LocalAirflowError if a component has ended that was neither stopped nor killed from here."""
        for component in self._components.values():
            if component.exit_code is not None:
                raise self._death(component)

    def component_log(self, name: str, lines: int | None = None) -> str:
        """What a component (or "db-migrate") wrote so far, or the last lines of it."""
        return self._component(name).log(lines)

    def _prepare(self) -> None:
        self.home = Path(self._given_home or tempfile.mkdtemp(prefix="airflow-trtc-")).resolve()
        self.log_folder.mkdir(parents=True, exist_ok=True)
        self._write_password()
        self._leash = Leash()

    def _up(self) -> None:
        if self._database == "postgresql":
            self._start_postgresql()
        self._migrate()
        for name in self.components:
            self._component(name).start()
        for name in self.components:
            self.wait_until_ready(name)

    def _start_postgresql(self) -> None:
        if missing := [name for name in _DRIVERS if importlib.util.find_spec(name) is None]:
            raise LocalAirflowError(
                f"Airflow on PostgreSQL needs {' and '.join(missing)}: install psycopg2-binary and asyncpg"
            )
        try:
            self._postgresql = PostgreSql(log_folder=self.log_folder, leash=self._leash)
        except NoPostgreSql as error:
            raise LocalAirflowError(str(error)) from error
        component = self._components[self._postgresql.component.name] = self._postgresql.component
        component.start()
        self.wait_until_ready(component.name)

    def _component(self, name: str) -> Component:
        if name not in self._components:
            self._components[name] = Component(
                name,
                [sys.executable, "-m", "airflow", *self._arguments(name)],
                environment=self._environment(),
                folder=self.log_folder,
                leash=self._leash,
            )
        return self._components[name]

    def _arguments(self, name: str) -> list[str]:
        port, task_port = (url.rpartition(":")[2] for url in (self.url, self._task_url))
        address = ("--host", "127.0.0.1", "--port")
        return {
            "db-migrate": ["db", "migrate"],
            "api-server": ["api-server", *address, port, "--workers", str(self._api_workers)],
            TASK_API: ["api-server", *address, task_port, "--workers", "1", "--apps", "execution"],
            # No log servers: they would listen on all addresses, and the API server finds the files itself.
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
            "dag-processor": ["dag-processor"],
        }[name]

    def _environment(self) -> dict[str, str]:
        settings = {
            ("core", "dags_folder"): self._dags_folder,
            ("core", "simple_auth_manager_passwords_file"): self.home / "passwords.json",
            ("database", "sql_alchemy_conn"): self.database_url,
            ("logging", "base_log_folder"): self.home / "logs",
            **self._settings,
        }
        variables = {
            f"AIRFLOW__{section}__{option}".upper(): str(value)
            for (section, option), value in settings.items()
        }
        return inherited(os.environ) | {"AIRFLOW_HOME": str(self.home)} | variables | self._env

    def _write_password(self) -> None:
        path = self.home / "passwords.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({self.username: self.password}))

    def _migrate(self) -> None:
        migration = self._component("db-migrate")
        migration.start()
        if migration.wait(_START_SECONDS):
            raise self._death(migration)
        processes.stop([migration], 0)

    def _is_ready(self, component: Component) -> bool:
        if self._postgresql and component is self._postgresql.component:
            return self._postgresql.is_ready
        try:
            if component.name == TASK_API:
                return httpx.get(f"{self._task_url}/execution/health", trust_env=False).is_success
            health = self.health()
        except httpx.TransportError:
            return False
        if component.name == "api-server":
            return True
        name = _HEALTH_NAMES[component.name]
        part = health.get(name) or {}
        heartbeat = part.get(f"latest_{name}_heartbeat")
        # A component that was killed counts as healthy for a while, so its status alone says little.
        if not heartbeat:
            return False
        return datetime.fromisoformat(heartbeat).timestamp() > component.started_at

    def _look_around(self) -> None:
        self.check_alive()

    def _death(self, component: Component) -> LocalAirflowError:
        return LocalAirflowError(
            f"{component.name} ended with exit code {component.exit_code}. "
            f"The end of {component.log_path}:\n{component.log(_TAIL_LINES)}"
        )

    def _down(self, *, keep: bool) -> None:
        self.disconnect()
        database = self._postgresql.component if self._postgresql else None
        processes.stop([one for one in self._components.values() if one is not database], _GRACE_SECONDS)
        if self._postgresql:
            self._postgresql.stop()  # now that nobody uses it
        self._leash.let_go()
        if keep or self.keep_home:
            _log.warning("Airflow's files are left in %s, its logs in %s", self.home, self.log_folder)
        else:
            shutil.rmtree(self.home, ignore_errors=True)
        if self._postgresql:
            self._postgresql.remove()


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a private Airflow may see: nothing that belongs to another Airflow."""
    # Not writing compiled files makes every start of Airflow slower by seconds.
    unwanted = {"PYTHONDONTWRITEBYTECODE", "NO_PROXY", "no_proxy"}
    kept = {
        name: value
        for name, value in environment.items()
        if name not in unwanted and not name.lstrip("_").startswith("AIRFLOW")
    }
    direct = ",".join(
        filter(None, ["127.0.0.1,localhost", environment.get("no_proxy") or environment.get("NO_PROXY")])
    )
    return kept | {"NO_PROXY": direct, "no_proxy": direct}


def _quick_settings(url: str, task_url: str, log_ports: list[int]) -> dict[tuple[str, str], object]:
    """Settings for a small, quick Airflow that keeps to itself; the same names hold from Airflow 3.1 on."""
    worker_log_port, triggerer_log_port = log_ports
    return {
        ("api", "base_url"): url,
        ("api", "secret_key"): secrets.token_hex(16),
        ("api_auth", "jwt_secret"): secrets.token_hex(32),
        (
            "core",
            "auth_manager",
        ): "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        ("core", "execution_api_server_url"): f"{task_url}/execution/",
        ("core", "executor"): "LocalExecutor",
        ("core", "fernet_key"): base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        ("core", "load_examples"): False,
        ("core", "parallelism"): 8,
        ("core", "simple_auth_manager_all_admins"): False,
        ("core", "simple_auth_manager_users"): "admin:admin",
        ("dag_processor", "parsing_processes"): 1,
        ("dag_processor", "refresh_interval"): 5,
        ("logging", "trigger_log_server_port"): triggerer_log_port,
        ("logging", "triggerer_log_server_port"): triggerer_log_port,  # its name up to Airflow 3.2
        ("logging", "worker_log_server_port"): worker_log_port,
        ("scheduler", "scheduler_idle_sleep_time"): 0.5,
        ("scheduler", "trigger_timeout_check_interval"): 2,
        # A worker may notice this late that its task has ended. A rescheduled task that starts again before
        # that is failed by the scheduler ("reported ... finished ... state attribute is running").
        ("workers", "min_heartbeat_interval"): 1,
    }
