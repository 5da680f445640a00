"""Many rooms by mapped tasks on two workers: no task fails of throttling, and few requests are throttled."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cluster.conftest import Cluster

pytestmark = pytest.mark.cluster

DAG_ID = "act_on_rooms"
FIRST_ROOM = 20_001
ROOMS = int(os.environ.get("TRTC_TEST_ROOMS", "20"))  # `make many-rooms`: two hundred
USERS = 10
HOST = "host"
MOST_THROTTLED = 0.02
PATIENCE_SECONDS = 1_800.0


@dataclass
class Deed:
    """What was done, and what became of it.

    :param failures: logs of some tasks that did not succeed, by task and map index.
    """

    tasks: list[dict[str, Any]]
    failures: dict[tuple[str, int], str]
    counted: dict[str, Counter[str]]
    people: dict[str, list[str]]


@pytest.fixture(scope="module")
def deed(cluster: Cluster) -> Deed:
    """Let a DAG remove all guests and dismiss all rooms."""
    airflow, emulator = cluster.airflow, cluster.emulator
    room_ids = [str(FIRST_ROOM + number) for number in range(ROOMS)]
    for room_id in room_ids:
        emulator.room(room_id, enter=[HOST, *(f"guest-{number}" for number in range(USERS))])
    airflow.unpause(DAG_ID)
    run_id = airflow.trigger(DAG_ID, {"first": FIRST_ROOM, "rooms": ROOMS, "users": USERS})
    airflow.wait_for_run(DAG_ID, run_id, PATIENCE_SECONDS)
    counters, tasks = emulator.state()["counters"], airflow.task_instances(DAG_ID, run_id)
    failed = [(task["task_id"], task["map_index"]) for task in tasks if task["state"] != "success"]
    return Deed(
        tasks=tasks,
        failures={
            (task_id, index): airflow.task_log(DAG_ID, run_id, task_id, map_index=index)
            for task_id, index in failed[:3]
        },
        counted={action: Counter(counters.get(action, {})) for action in ("RemoveUser", "DismissRoom")},
        people={room_id: emulator.room(room_id) for room_id in room_ids},
    )


def test_no_task_fails(deed: Deed) -> None:
    assert deed.failures == {}
    assert Counter(task["state"] for task in deed.tasks) == {"success": 2 * ROOMS + 2}
    assert {task["try_number"] for task in deed.tasks} == {1}


def test_everybody_is_sent_out(deed: Deed) -> None:
    assert set(map(tuple, deed.people.values())) == {()}
    assert {action: codes["OK"] for action, codes in deed.counted.items()} == {
        "RemoveUser": ROOMS,
        "DismissRoom": ROOMS,
    }


def test_both_workers_had_their_part(deed: Deed) -> None:
    hosts = Counter(task["hostname"] for task in deed.tasks)
    assert {"worker", "worker-2"} <= set(hosts)


def test_few_requests_are_throttled(deed: Deed) -> None:
    for action, codes in deed.counted.items():
        share = codes["RequestLimitExceeded"] / codes.total()
        assert share <= MOST_THROTTLED, (action, codes)
