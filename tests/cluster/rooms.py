"""Many rooms, each acted on by mapped tasks of two workers, and what became of it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_trtc.emulator import Emulator
from tests.stack.local_airflow import LocalAirflow

DAG_ID = "act_on_rooms"
FIRST_ROOM = 20_001
ROOMS = int(os.environ.get("TRTC_TEST_ROOMS", "20"))  # `make many-rooms`: two hundred
USERS = 10
HOST = "host"
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


class Rooms:
    """Rooms of a service, and the Airflow that removes all guests and dismisses all of them."""

    def __init__(self, airflow: LocalAirflow, emulator: Emulator) -> None:
        self._airflow = airflow
        self._emulator = emulator

    def act(self) -> Deed:
        """Let the DAG run, once; returns when it has ended."""
        return self._deed

    @cached_property
    def _deed(self) -> Deed:
        airflow, emulator = self._airflow, self._emulator
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
