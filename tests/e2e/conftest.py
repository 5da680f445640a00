"""The Airflow and the emulator that all end-to-end tests share."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from airflow_trtc.cloud.user_sig import Signer
from airflow_trtc.emulator import DEFAULT_SDK_APP_ID, Emulator

pytest.register_assert_rewrite("tests.e2e.stage")

from tests.e2e.shared_airflow import SharedAirflow  # noqa: E402
from tests.e2e.stage import Stage  # noqa: E402 - after the line above: its asserts are to explain themselves
from tests.metering import Statsd  # noqa: E402
from tests.versions import HAS_STATE_STORE  # noqa: E402

SECRET_KEY = "zuVvQk3Wc8mT5rYp1sXh7LfB"
WRONG_KEY = SECRET_KEY[::-1]
SLOW_SECRET_KEY = "hG7nQ2vXw9LrTz4BkYc8MsPd"
SCARCE_SECRET_KEY = "tB5yNk8RfWq3LmXv6HcJ2PsZ"
SLOW_SDK_SECRET_KEY = "5e8f" * 16
WRONG_SDK_SECRET_KEY = SLOW_SDK_SECRET_KEY[::-1]
GIVEN_USER_SIG = Signer(DEFAULT_SDK_APP_ID, SLOW_SDK_SECRET_KEY).user_sig(
    "robot-by-hand", now=time.time(), seconds=86_400
)
SLOW_CALLBACK_KEY = "pR6tUw3ZyN8qKdJx"
BUCKET_KEYS = {"conn_type": "generic", "login": "AKIDbucket", "password": "bV4mS9xCf2HjWq7EaLn3GyTu"}
# So long that a task can be found and killed while it waits for the answer.
SLOW_START_SECONDS = 20.0
SETTINGS = {
    ("core", "dags_are_paused_at_creation"): False,
    ("core", "parallelism"): 32,  # each wait in poke mode holds a worker
    ("dag_processor", "refresh_interval"): 600,
    ("scheduler", "task_instance_heartbeat_timeout"): 45,  # until a killed worker is noticed
}


@pytest.fixture(scope="session")
def e2e_emulator() -> Iterator[Emulator]:
    with Emulator(secret_key=SECRET_KEY) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def slow_emulator() -> Iterator[Emulator]:
    """Starts recordings at once and answers late; its rooms ask for a PrivateMapKey; all keys are its own."""
    with Emulator(
        secret_key=SLOW_SECRET_KEY,
        sdk_secret_key=SLOW_SDK_SECRET_KEY,
        callback_key=SLOW_CALLBACK_KEY,
        advanced_permission_control=True,
    ) as emulator:
        emulator.fault("slow", action="CreateCloudRecording", delay_seconds=SLOW_START_SECONDS)
        yield emulator


@pytest.fixture(scope="session")
def statsd() -> Iterator[Statsd]:
    """Hears all metrics of the Airflow that the tests share."""
    with Statsd() as statsd:
        yield statsd


# Trouble slows down all that share a pace; connections with different rates share none.
OWN_PACES = {"THROTTLE": 18, "OUTAGE": 17}


@pytest.fixture(scope="session")
def scarce_emulator() -> Iterator[Emulator]:
    """Takes one request a second."""
    with Emulator(secret_key=SCARCE_SECRET_KEY, rate_limit=1) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def shared_airflow(
    e2e_emulator: Emulator, slow_emulator: Emulator, scarce_emulator: Emulator, statsd: Statsd
) -> Iterator[SharedAirflow]:
    good, slow, scarce = (each.connection for each in (e2e_emulator, slow_emulator, scarce_emulator))
    good["extra"]["console_url"] = f"{e2e_emulator.url}/_control/recordings/{{recording_id}}"
    scarce["extra"]["requests_per_second"] = 0.85  # one that is late by a tenth of a second meets no other
    slow["extra"] |= {"timeout_seconds": 120, "advanced_permission_control": True}
    connections = {
        "AIRFLOW_CONN_TRTC_DEFAULT": json.dumps(good),
        "AIRFLOW_CONN_TRTC_WRONG_KEY": json.dumps(good | {"password": WRONG_KEY}),
        **{
            f"AIRFLOW_CONN_TRTC_{name}": json.dumps(
                good | {"extra": good["extra"] | {"requests_per_second": rate}}
            )
            for name, rate in OWN_PACES.items()
        },
        "AIRFLOW_CONN_TRTC_SLOW": json.dumps(slow),
        "AIRFLOW_CONN_TRTC_SCARCE": json.dumps(scarce),
        "AIRFLOW_CONN_TRTC_WRONG_SDK_KEY": json.dumps(
            slow | {"extra": slow["extra"] | {"sdk_secret_key": WRONG_SDK_SECRET_KEY}}
        ),
        "AIRFLOW_CONN_BUCKET": json.dumps(BUCKET_KEYS),
        "AIRFLOW_VAR_ROBOT_USER_SIG": GIVEN_USER_SIG,
    }
    dags = Path(__file__).parent / "dags"
    with SharedAirflow(dags, env=connections, config=SETTINGS | statsd.settings) as airflow:
        airflow.wait_for_dag("quick")
        yield airflow


@pytest.fixture(scope="session")
def stage(
    request: pytest.FixtureRequest,
    shared_airflow: SharedAirflow,
    e2e_emulator: Emulator,
    slow_emulator: Emulator,
    scarce_emulator: Emulator,
    statsd: Statsd,
) -> Iterator[Stage]:
    """Every test that takes it begins now; see `Stage`."""
    emulators = e2e_emulator, slow_emulator, scarce_emulator
    stage = Stage(shared_airflow, *emulators, statsd, has_journal=HAS_STATE_STORE)
    parts = [item for item in request.session.items if _is_part(item)]
    stage.raise_curtain([part for part in parts if HAS_STATE_STORE or "journal" not in part.fixturenames])
    yield stage
    stage.is_closed = True


@pytest.fixture
def stage_after_all(stage: Stage) -> Stage:
    """For tests of what all others leave behind."""
    stage.wait_for_all()
    return stage


@pytest.fixture
def journal(stage: Stage) -> None:
    """For tests of what outlives a try: Airflow below 3.3 has no place for it."""
    if not stage.has_journal:
        pytest.skip("this Airflow has no store that outlives a try (3.3 has): files that vanished are lost")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not _is_part(pyfuncitem):
        return None
    stage: Stage = pyfuncitem.funcargs["stage"]  # type: ignore[assignment]
    stage.collect(pyfuncitem)
    return True


def _is_part(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and "stage" in inspect.signature(item.function).parameters
