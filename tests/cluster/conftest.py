"""The cluster that tests of it share, and the story that was played on it."""

from __future__ import annotations

import json
import logging
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_trtc.emulator import Emulator
from tests.cluster.rooms import Rooms
from tests.cluster.story import CALLED_BACK_APP, TRIGGERS_AT_MOST, Story
from tests.stack.local_airflow import CLUSTER, LocalAirflow
from tests.stack.redis import NoRedis, find_program
from tests.versions import HAS_STATE_STORE

CALLBACK_KEY = "clusterCallbackKey"
SETTINGS = {("triggerer", "capacity"): TRIGGERS_AT_MOST, ("dag_processor", "refresh_interval"): 600}


@dataclass
class Cluster:
    """An Airflow as on several machines, and the service that it asks."""

    airflow: LocalAirflow
    emulator: Emulator


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """The cluster, running."""
    _skip_without_redis()
    for name in ("airflow_trtc.emulator", "uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with Emulator(callback_key=CALLBACK_KEY, more_sdk_app_ids=[CALLED_BACK_APP]) as emulator:
        # Callbacks of all applications come by a connection that names none.
        of_all = emulator.connection
        del of_all["extra"]["sdk_app_id"]
        connections = {
            "AIRFLOW_CONN_TRTC_DEFAULT": emulator.connection_json,
            "AIRFLOW_CONN_TRTC_ALL": json.dumps(of_all),
        }
        dags = Path(__file__).parent / "dags"
        with LocalAirflow(dags, env=connections, config=SETTINGS, **CLUSTER) as airflow:
            if HAS_STATE_STORE:
                emulator.set_callback(f"{airflow.url}/trtc/callbacks/trtc_all", CALLBACK_KEY)
            yield Cluster(airflow, emulator)


@pytest.fixture(scope="package")
def rooms(cluster: Cluster) -> Rooms:
    """Rooms to act on."""
    return Rooms(cluster.airflow, cluster.emulator)


@pytest.fixture(scope="package")
def story(cluster: Cluster, rooms: Rooms) -> Story:
    """What happened, to the end; the rooms are acted on meanwhile."""
    story = Story(cluster.airflow, cluster.emulator, HAS_STATE_STORE)
    story.play(meanwhile=rooms.act)
    return story


def _skip_without_redis() -> None:
    """Skip where neither the system nor any wheel has Redis; elsewhere its absence is a failure."""
    try:
        find_program()
    except NoRedis as error:
        if sys.version_info >= (3, 13) or platform.machine() != "x86_64":
            pytest.skip(str(error))
