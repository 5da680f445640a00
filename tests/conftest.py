"""What all tests share: a home for Airflow that goes away, and a way to run a DAG in this process."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from airflow_trtc.cloud import pace
from airflow_trtc.testing.home import database_url
from tests.metering import Meter, metered
from tests.versions import HAS_STATE_STORE

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import DagResult, TrtcAirflow
    from tests.stack.postgresql import PostgreSql

# How long an example takes says something of the machine only.
settings.register_profile("no-stopwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-stopwatch")

RunDag = Callable[..., "DagResult"]

# What failing tests leave behind.
LOGS = Path(__file__).parents[1] / "build" / "test-logs"

# Airflow reads its home when it is imported, and writes there; so this has to stand at the top.
_HOME = Path(tempfile.mkdtemp(prefix="airflow-trtc-tests-"))
os.environ["AIRFLOW_HOME"] = str(_HOME)
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database_url(_HOME)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "INFO"
os.environ["AIRFLOW__TRTC__SHARED_PACE_DIRECTORY"] = str(_HOME / "pace")  # shared with nothing else here
os.environ["WAITS_INTERVAL_SECONDS"] = "0.2"  # tests/dags/waits.py
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


TESTS = Path(__file__).parent
# The folders in which tests with a marker are, "" for files in none. Only these are looked through when
# markers are asked for: to import all others takes a minute of a slow machine.
PLACES = {
    "browser": {"browser"},
    "cluster": {"cluster"},
    "dags": {"", "docs", "journal", "operators", "testing", "web"},
    "e2e": {"e2e"},
    "postgres": {"e2e", "stack"},
}


def _place(path: Path) -> str:
    parts = path.relative_to(TESTS).parts
    return parts[0] if len(parts) > 1 or path.is_dir() else ""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out where no test has a marker that is asked for."""
    markers = config.option.markexpr.split(" or ")
    if not PLACES.keys() >= set(markers) or not collection_path.is_relative_to(TESTS):
        return None
    places = set().union(*map(PLACES.__getitem__, markers))
    return None if collection_path == TESTS or _place(collection_path) in places else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs Airflow's database takes its time."""
    for item in items:
        if "trtc_airflow_home" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.dags)
        for marker, places in PLACES.items():
            if item.get_closest_marker(marker) and _place(item.path) not in places:
                raise pytest.UsageError(f"{item.nodeid} would never run: see PLACES in {__file__}")


class _ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """For `--dist loadscope`: the tests of a folder, which share an Airflow, run in one process.

    Its `loadgroup` is of no use, for it renames tests in a way that pytest 9.2 does not notice (xdist 3.8).
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0].rpartition("/")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    return _ByFolder(config, log) if config.option.dist == "loadscope" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that needs a real Airflow and fails leaves Airflow's logs behind, and says where."""
    report = yield
    if report.failed and any(map(item.get_closest_marker, ("browser", "cluster", "e2e", "postgres"))):
        from tests.stack.leftovers import keep_logs
        from tests.stack.local_airflow import HOMES

        for kept in keep_logs(item.nodeid, HOMES, LOGS):
            report.sections.append(("Logs of Airflow", str(kept)))
    return report


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db(trtc_airflow_home: Path) -> Path:
    """A migrated SQLite database of this test session; returns Airflow's home."""
    (trtc_airflow_home / "dags").mkdir(exist_ok=True)
    return trtc_airflow_home


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSql]:
    """A PostgreSQL with an empty database."""
    from tests.stack.postgresql import PostgreSql
    from tests.stack.processes import Watchdog

    watchdog = Watchdog()
    server = PostgreSql(log_folder=tmp_path_factory.mktemp("postgresql"), watchdog=watchdog)
    try:
        server.component.start()
        give_up_at = time.monotonic() + 30
        while not server.is_ready:
            assert time.monotonic() < give_up_at, server.component.log()
            time.sleep(0.05)
        yield server
    finally:
        server.stop()
        server.remove()
        watchdog.close()


@pytest.fixture
def brisk_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests begin at the pace that they else find within seconds, each of which a test would wait."""
    monkeypatch.setattr(pace, "START_SHARE", 1.0)


@pytest.fixture
def trtc_connection(trtc_emulator: Emulator, brisk_start: None, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, with `trtc_default` pointing at it."""
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", trtc_emulator.connection_json)
    return trtc_emulator


@pytest.fixture
def meter() -> Iterator[Meter]:
    """What is counted during a test, all of which has to be in the table."""
    with metered() as one:
        yield one
        one.check()


@pytest.fixture
def receiving_emulator(request: pytest.FixtureRequest) -> Emulator:
    """An emulator that calls back to a receiver in this process, which writes to the tests' database."""
    if not HAS_STATE_STORE:
        pytest.skip("this Airflow has no store for callbacks (3.3 has)")
    emulator: Emulator = request.getfixturevalue("trtc_callbacks")
    return emulator


@pytest.fixture(scope="session")
def load_dags(airflow_db: Path) -> Callable[[Path], ModuleType]:
    """Import a DAG file, once.

    It stays where it is: each `dag.test()` imports and stores all that is in the DAGs folder.
    """
    loaded: dict[Path, ModuleType] = {}

    def load(path: Path) -> ModuleType:
        if path not in loaded:
            spec = importlib.util.spec_from_file_location(f"dags_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            loaded[path] = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = loaded[path]
            spec.loader.exec_module(loaded[path])
        return loaded[path]

    return load


@pytest.fixture
def run_dag(load_dags: Callable[[Path], ModuleType], trtc_airflow: TrtcAirflow) -> RunDag:
    """Run a DAG of a file that is imported once: ``run_dag(path, dag_id, conf)``."""

    def run(path: Path, dag_id: str, conf: dict[str, Any] | None = None) -> DagResult:
        from airflow.sdk import DAG

        dags = {dag.dag_id: dag for dag in vars(load_dags(path)).values() if isinstance(dag, DAG)}
        return trtc_airflow.run(dags[dag_id], conf)

    return run
