"""A whole Airflow on this machine for a short time: the same programs as in production.

Runs on Airflow 3.1 and later. Knows nothing of TRTC: connections are passed to it as environment.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import os
import re
import secrets
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx
from typing_extensions import Self

from airflow_trtc.bounds import iso_time
from tests.stack import hostname, processes
from tests.stack.postgresql import NoPostgreSql, PostgreSql
from tests.stack.processes import Component, Watchdog, free_ports
from tests.stack.redis import NoRedis, Redis
from tests.stack.rest import AirflowApi, ApiError
from tests.stack.settings import NAMED_COMPONENTS, Settings, celery_settings, quick_settings

_log = logging.getLogger(__name__)

# An API server that serves nothing but tasks.
TASK_API = "task-api"

# What Airflow calls the components that note in its database that they are alive.
_JOBS = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}
_SERVERS: dict[str, type[PostgreSql] | type[Redis]] = {"postgresql": PostgreSql, "redis": Redis}
_START_SECONDS = 180.0
_GRACE_SECONDS = 8.0
_PING_SECONDS = 1.0
_TAIL_LINES = 40
# What must be installed for a server to be of use: module (or package) -> package that brings it.
_NEEDED = {
    "postgresql": {"psycopg2": "psycopg2-binary", "asyncpg": "asyncpg"},
    "redis": {name: name for name in ("apache-airflow-providers-celery", "redis")},
}
# How long a component waits for the others to finish writing. With SQLite's 5 seconds a burst of runs on a
# slow machine ends a scheduler with "database is locked".
_LOCK_SECONDS = 60

# The homes of all that were started in this process, for those who want to know what happened there.
HOMES: list[Path] = []

# The options of an Airflow as on several machines: all but the DAG processor there twice.
CLUSTER: dict[str, Any] = {
    "database": "postgresql",
    "executor": "celery",
    "api_servers": 2,
    "schedulers": 2,
    "triggerers": 2,
    "workers": 2,
}


class LocalAirflowError(RuntimeError):
    """A component of the local Airflow did not start or died; the message holds the end of its log."""


class LocalAirflow(AirflowApi):
    """A running Airflow: API server, scheduler with LocalExecutor, DAG processor and triggerer.

    Its database is one SQLite file, or a PostgreSQL of its own for `database="postgresql"`, which the
    drivers psycopg2 and asyncpg must be installed for; see `tests.stack.postgresql` for PostgreSQL.

    Use it as a context manager; inside, all of them are up and a user is logged in::

        with LocalAirflow(dags_folder="dags", env={"AIRFLOW_CONN_TRTC_DEFAULT": "..."}) as airflow:
            airflow.unpause("my_dag")
            run_id = airflow.trigger("my_dag")
            assert airflow.wait_for_run("my_dag", run_id) == "success"

    On PostgreSQL it can look like an Airflow of many machines: with `executor="celery"` tasks run on workers
    that take them from a Redis, and there may be several of each kind::

        with LocalAirflow("dags", **CLUSTER) as airflow:
            airflow.kill("worker-2")

    It listens on the loopback address only and inherits the environment except all `AIRFLOW...` variables.
    Its folder `home` is temporary and removed at the end, unless one was given, an exception passed, or
    `keep_home` was set. Its processes end with the block, and also if this Python process is killed.
    """

    def __init__(  # noqa: PLR0913 - keyword-only: each is a choice of its own
        self,
        dags_folder: str | os.PathLike[str],
        *,
        env: Mapping[str, str] | None = None,
        config: Mapping[tuple[str, str], object] | None = None,
        home: str | os.PathLike[str] | None = None,
        database: Literal["sqlite", "postgresql"] = "sqlite",
        executor: Literal["local", "celery"] = "local",
        api_servers: int = 1,
        schedulers: int = 1,
        triggerers: int = 1,
        workers: int = 1,
        worker_slots: int = 4,
        api_workers: int = 1,
        task_api: bool = False,
        api_only: bool = False,
    ) -> None:
        """Choose what it runs with; nothing is written or started before `with`.

        `config` maps (section, option) to a value and wins over the quick settings chosen here.
        `workers` are those of Celery, and run up to `worker_slots` tasks each; other executors have none.
        Several `api_servers` are reached through a balancer.
        `api_workers` are the processes of each API server. With `task_api`, tasks have an API server of
        their own, the component "task-api": no other request can keep them waiting.
        With `api_only` nothing runs but the API server: DAGs and runs are what is written to the database.
        Raises ValueError for a cluster on SQLite.
        """
        names = _names(api_servers, schedulers, triggerers, workers if executor == "celery" else 0, task_api)
        if api_only:
            names = ["api-server"]
        if database == "sqlite" and (executor != "local" or len(names) > 4 + task_api):
            raise ValueError("several components of a kind, and Celery, need database='postgresql'")
        port, task_port, *log_ports = free_ports(4)
        super().__init__(f"http://127.0.0.1:{port}", "admin", secrets.token_urlsafe(12))
        self.components = (
            *(["postgresql"] if database == "postgresql" else []),
            *(["redis"] if executor == "celery" else []),
            *names,
        )
        self._ports = _ports(names, port) | {TASK_API: task_port}
        self._api_workers = api_workers
        self._workers = workers
        self._worker_slots = worker_slots
        self.keep_home = home is not None
        self._given_home = home
        self._dags_folder = Path(dags_folder).resolve()
        self._env = dict(env or {})
        task_url = f"http://127.0.0.1:{task_port}" if task_api else self.url
        self._settings = quick_settings(self.url, task_url, log_ports)
        self._config = dict(config or {})
        self._components: dict[str, Component] = {}
        self._servers: dict[str, PostgreSql | Redis] = {}

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
        if server := self._servers.get("postgresql"):
            return server.url.replace("postgresql:", "postgresql+psycopg2:", 1)
        return f"sqlite:///{self.home / 'airflow.db'}?timeout={_LOCK_SECONDS}"

    @property
    def environment(self) -> dict[str, str]:
        """What Airflow's programs run with; with it, a program is one of this Airflow."""
        return inherited(os.environ) | {"AIRFLOW_HOME": str(self.home)} | self._variables() | self._env

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

    def stall(self, name: str) -> None:
        """Let a component do nothing until `go_on`, as on a machine that hangs (SIGSTOP)."""
        self._component(name).stall()

    def go_on(self, name: str) -> None:
        """Let a stalled component go on."""
        self._component(name).go_on()

    def wait_until_ready(self, name: str, timeout: float = _START_SECONDS) -> None:
        """Wait until a component works; raises LocalAirflowError if it dies, TimeoutError."""
        self._wait(
            lambda: self._is_ready(name) or None,
            timeout,
            lambda: f"{name} is not ready. The end of its log:\n{self.component_log(name, _TAIL_LINES)}",
        )

    @property
    def ended(self) -> list[str]:
        """The components that have ended without being stopped or killed from here."""
        return [name for name, component in self._components.items() if component.exit_code is not None]

    def check_alive(self) -> None:
        """Raise LocalAirflowError if a component has ended that was neither stopped nor killed from here."""
        for name in self.ended:
            raise self._death(self._component(name))

    def run(self, *arguments: str) -> None:
        """Run Airflow's command line, such as ``run("dags", "reserialize")``; raises LocalAirflowError."""
        name = "-".join(arguments)
        command = self._component(name, arguments=["airflow", *arguments])
        command.start()
        if command.wait(_START_SECONDS):
            raise self._death(command)
        processes.stop([command], 0)

    def component_log(self, name: str, lines: int | None = None) -> str:
        """What a component (or "db-migrate") wrote so far, or the last lines of it."""
        return self._component(name).log(lines)

    def _prepare(self) -> None:
        self.home = Path(self._given_home or tempfile.mkdtemp(prefix="airflow-trtc-")).resolve()
        self.log_folder.mkdir(parents=True, exist_ok=True)
        HOMES.append(self.home)
        self._write_password()
        self._watchdog = Watchdog()

    def _up(self) -> None:
        for name in self.components:
            if name in _SERVERS:
                self._start_server(name)
        self._migrate()
        others = [name for name in self.components if name not in _SERVERS]
        for name in others:
            self._component(name).start()
        for name in others:
            self.wait_until_ready(name)

    def _start_server(self, name: str) -> None:
        _require(name)
        try:
            server = self._servers[name] = _SERVERS[name](log_folder=self.log_folder, watchdog=self._watchdog)
        except (NoPostgreSql, NoRedis) as error:
            raise LocalAirflowError(str(error)) from error
        self._components[name] = server.component
        self.start(name)

    def _component(self, name: str, arguments: Sequence[str] = ()) -> Component:
        if name not in self._components:
            self._components[name] = Component(
                name,
                [sys.executable, "-m", *(arguments or self._arguments(name))],
                environment=self.environment | {hostname.VARIABLE: name},
                folder=self.log_folder,
                watchdog=self._watchdog,
            )
        return self._components[name]

    def _arguments(self, name: str) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(self._ports.get(name))]
        api_server = ["airflow", "api-server", *address, "--workers"]
        back_ends = [str(port) for other, port in self._ports.items() if _kind(other) == "api-server"]
        # No log servers: they would listen on all addresses, and the API server finds the files itself.
        return {
            "balancer": ["tests.stack.balancer", *address[2:], "--to", *back_ends],
            "api-server": [*api_server, str(self._api_workers)],
            TASK_API: [*api_server, "1", "--apps", "execution"],
            "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
            "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
            "dag-processor": ["airflow", "dag-processor"],
            # Workers have nothing to tell each other: what they do is in Airflow's database.
            "worker": [
                *("airflow", "celery", "worker", "--celery-hostname", name, "--skip-serve-logs"),
                *("--without-gossip", "--without-mingle"),
            ],
        }[_kind(name)]

    def _variables(self) -> dict[str, str]:
        """Airflow's settings as variables of the environment."""
        settings: Settings = {
            **self._settings,
            ("core", "dags_folder"): self._dags_folder,
            ("core", "simple_auth_manager_passwords_file"): self.home / "passwords.json",
            ("database", "sql_alchemy_conn"): self.database_url,
            ("logging", "base_log_folder"): self.home / "logs",
            **self._cluster_settings(),
            **self._config,
        }
        return {
            f"AIRFLOW__{section}__{option}".upper(): str(value)
            for (section, option), value in settings.items()
        }

    def _cluster_settings(self) -> Settings:
        settings = dict(NAMED_COMPONENTS) if self._is_cluster else {}
        if broker := self._servers.get("redis"):
            settings |= celery_settings(
                broker.url, self.database_url, workers=self._workers, slots=self._worker_slots
            )
        return settings

    @property
    def _is_cluster(self) -> bool:
        """Whether a kind of component alone does not say which it is, or where a task runs."""
        return "redis" in self.components or any(_kind(name) != name for name in self.components)

    def _write_password(self) -> None:
        path = self.home / "passwords.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({self.username: self.password}))

    def _migrate(self) -> None:
        self.run("db", "migrate")
        if self.database_url.startswith("sqlite:"):
            never_reuse_ids(self.home / "airflow.db", "trigger")

    def _is_ready(self, name: str) -> bool:
        if server := self._servers.get(name):
            return server.is_ready
        check = {"balancer": self._listens, "worker": self._works, "api-server": self._serves}
        try:
            return check.get(_kind(name), self._serves if name == TASK_API else self._beats)(name)
        except httpx.TransportError:
            return False

    def _listens(self, name: str) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._ports[name])) == 0

    def _serves(self, name: str) -> bool:
        """Whether an API server itself answers, without the balancer."""
        path = "/execution/health" if name == TASK_API else "/api/v2/monitor/health"
        return httpx.get(f"http://127.0.0.1:{self._ports[name]}{path}", trust_env=False).is_success

    def _beats(self, name: str) -> bool:
        """Whether a component has noted that it is alive since it was started.

        One that was killed counts as healthy for a while, so what Airflow says of its health says little.
        """
        whose = {"hostname": name} if self._is_cluster else {}
        params = {"job_type": _JOBS[_kind(name)], "order_by": "-latest_heartbeat", "limit": 1, **whose}
        try:
            jobs = self.api("GET", "/api/v2/jobs", params=params)["jobs"]
        except ApiError as error:
            if error.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                raise
            return False
        heartbeats = [iso_time(job["latest_heartbeat"]).timestamp() for job in jobs]
        return any(heartbeat > self._component(name).started_at for heartbeat in heartbeats)

    def _works(self, name: str) -> bool:
        """Whether a worker answers, which it does as soon as it takes tasks."""
        from celery import Celery
        from kombu import pools

        with Celery(broker=self._servers["redis"].url, set_as_current=False) as app:
            try:
                return bool(app.control.ping([f"celery@{name}"], timeout=_PING_SECONDS))
            except app.connection().recoverable_connection_errors:  # Redis was killed
                return False
            finally:
                # What they hold is of no use once Redis was killed.
                pools.reset()

    def _look_around(self) -> None:
        self.check_alive()

    def _death(self, component: Component) -> LocalAirflowError:
        return LocalAirflowError(
            f"{component.name} ended with exit code {component.exit_code}. "
            f"The end of {component.log_path}:\n{component.log(_TAIL_LINES)}"
        )

    def _down(self, *, keep: bool) -> None:
        self.disconnect()
        components = self._components.values()
        processes.stop([one for one in components if one.name not in self._servers], _GRACE_SECONDS)
        for server in self._servers.values():
            server.stop()  # now that it is no longer used
        self._watchdog.close()
        if keep or self.keep_home:
            _log.warning("Airflow's files are left in %s, its logs in %s", self.home, self.log_folder)
        else:
            shutil.rmtree(self.home, ignore_errors=True)
        for server in self._servers.values():
            server.remove()


def never_reuse_ids(database: Path, table: str) -> None:
    """Make an empty table's ids grow for ever.

    SQLite gives the largest id again once its row was deleted. A triggerer that has not yet noticed that a
    trigger was deleted takes the next one for the same: that never runs, and its task waits for ever.
    """
    with closing(sqlite3.connect(database, timeout=_LOCK_SECONDS)) as connection, connection:
        statements = connection.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type DESC",
            (table,),
        ).fetchall()
        made = "\n".join(f"{sql};" for (sql,) in statements)
        if "AUTOINCREMENT" in made:
            return
        counting = re.sub(
            r"\bid INTEGER NOT NULL,(.*?),\s*CONSTRAINT \w+ PRIMARY KEY \(id\)",
            r"id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,\1",
            made,
            flags=re.DOTALL,
        )
        if counting == made:
            raise LocalAirflowError(f"The ids of {table} are not made as expected: {made}")
        connection.executescript(f'PRAGMA foreign_keys = OFF; DROP TABLE "{table}"; {counting}')


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


def _names(api_servers: int, schedulers: int, triggerers: int, workers: int, task_api: bool) -> list[str]:
    """The components of Airflow itself, in the order in which they start."""
    return [
        *(["balancer"] if api_servers > 1 else []),
        *_numbered("api-server", api_servers),
        *_numbered("scheduler", schedulers),
        "dag-processor",
        *_numbered("triggerer", triggerers),
        *_numbered("worker", workers),
        *([TASK_API] if task_api else []),
    ]


def _numbered(kind: str, count: int) -> list[str]:
    return [kind if number == 1 else f"{kind}-{number}" for number in range(1, count + 1)]


def _kind(name: str) -> str:
    return re.sub(r"-\d+$", "", name)


def _ports(names: list[str], public: int) -> dict[str, int]:
    """Where API servers and balancer listen: whichever of them users speak to, on the public port."""
    api_servers = [name for name in names if _kind(name) == "api-server"]
    if "balancer" not in names:
        return dict.fromkeys(api_servers, public)
    return dict(zip(api_servers, free_ports(len(api_servers)), strict=True)) | {"balancer": public}


def _require(server: str) -> None:
    """Raise LocalAirflowError if what Airflow speaks to a server with is missing, naming what to install."""
    needed = _NEEDED[server]
    if missing := [name for name in needed if not _is_installed(name)]:
        raise LocalAirflowError(
            f"Airflow on {server} needs {' and '.join(missing)}: install {' and '.join(needed.values())}"
        )


def _is_installed(name: str) -> bool:
    """Whether there is such a module, or such a package."""
    return bool(importlib.util.find_spec(name) or list(importlib.metadata.distributions(name=name)))
