"""The Airflow on PostgreSQL and the emulator that all tests of callbacks share."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_trtc.emulator import Emulator
from tests.stack.local_airflow import LocalAirflow

pytest.register_assert_rewrite("tests.e2e.callbacks.listening")

from tests.e2e.callbacks.listening import Listening  # noqa: E402 - after the line above
from tests.metering import Statsd  # noqa: E402
from tests.versions import HAS_STATE_STORE  # noqa: E402

CALLBACK_KEY = "e2eCallbackKey"
# Longer than the service tries: killed API servers are back by then on slow machines too.
LIFETIME_SECONDS = 240
BUSY_APP = 1400000003  # see dags/listeners.py
SETTINGS = {
    ("core", "dags_are_paused_at_creation"): False,
    ("core", "parallelism"): 8,
    ("dag_processor", "refresh_interval"): 600,
}


@pytest.fixture(scope="package")
def statsd() -> Iterator[Statsd]:
    """Hears all metrics of the Airflow that the tests share."""
    with Statsd() as statsd:
        yield statsd


@pytest.fixture(scope="package")
def listening(statsd: Statsd) -> Iterator[Listening]:
    if not HAS_STATE_STORE:
        pytest.skip("this Airflow has no store for callbacks (3.3 has)")
    for name in ("airflow_trtc.emulator", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)  # thousands of lines
    dags = Path(__file__).parent / "dags"
    with Emulator(
        callback_key=CALLBACK_KEY,
        callback_lifetime_seconds=LIFETIME_SECONDS,
        more_sdk_app_ids=[BUSY_APP],
    ) as emulator:
        # Callbacks of all applications come by a connection that names none.
        of_all = emulator.connection
        del of_all["extra"]["sdk_app_id"]
        airflow = LocalAirflow(
            dags,
            env={
                "AIRFLOW_CONN_TRTC_DEFAULT": emulator.connection_json,
                "AIRFLOW_CONN_TRTC_ALL": json.dumps(of_all),
            },
            config=SETTINGS | statsd.settings,
            database="postgresql",
            api_workers=2,
            task_api=True,
        )
        with airflow:
            airflow.wait_for_dag("on_finished")
            emulator.set_callback(f"{airflow.url}/trtc/callbacks/trtc_all", CALLBACK_KEY)
            yield Listening(airflow, emulator)


@pytest.fixture(scope="package")
def burst_size() -> int:
    """How many recordings end within five seconds."""
    return int(os.environ.get("TRTC_TEST_BURST", "500"))


@pytest.fixture(scope="package")
def sensor_count() -> int:
    """For how many of them a task waits. A task takes some seconds of a processor, so all of them minutes."""
    return int(os.environ.get("TRTC_TEST_SENSORS", "16"))
