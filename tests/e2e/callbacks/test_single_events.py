"""DAGs that single events start, and what a paused one gets."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.callbacks.listening import Listening

DISMISSED = "trtc://events/102"
ROOM, ROOM_DISMISSED = 1, 102

pytestmark = pytest.mark.postgres


def test_an_event_starts_one_run_however_often_it_is_delivered(listening: Listening) -> None:
    listening.emulator.callback_trouble(doubled=1.0)
    try:
        listening.emulator.send_event(ROOM, ROOM_DISMISSED, {"RoomId": "lesson-7"})
        listening.emulator.send_event(ROOM, ROOM_DISMISSED, {"RoomId": "lesson-8"})
        listening.emulator.wait_for_callbacks(180)
    finally:
        listening.emulator.callback_trouble()
    for room in ("lesson-7", "lesson-8"):
        (run,) = until_runs_of_room(listening, "on_room_dismissed", room)
        assert run["partition_key"].startswith(f"{ROOM_DISMISSED}-{room}-")
        assert listening.airflow.wait_for_run("on_room_dismissed", run["dag_run_id"]) == "success"
        seen = listening.airflow.xcom("on_room_dismissed", run["dag_run_id"], "seen")
        assert seen["asset"] == DISMISSED
        (extra,) = seen["extras"]
        assert extra["event"]["EventInfo"]["RoomId"] == room


def test_a_paused_dag_gets_only_what_comes_after_it_was_let_go(listening: Listening) -> None:
    paused = "paused_on_room_dismissed"
    listening.emulator.send_event(ROOM, ROOM_DISMISSED, {"RoomId": "too-early"})
    until_runs_of_room(listening, "on_room_dismissed", "too-early")
    listening.airflow.unpause(paused)
    time.sleep(5)
    listening.emulator.send_event(ROOM, ROOM_DISMISSED, {"RoomId": "in-time"})
    (run,) = until_runs_of_room(listening, paused, "in-time")
    assert listening.airflow.wait_for_run(paused, run["dag_run_id"]) == "success"
    assert runs_of_room(listening, paused, "too-early") == []


def until_runs_of_room(listening: Listening, dag_id: str, room: str) -> list[dict[str, Any]]:
    return listening.until(
        lambda: runs_of_room(listening, dag_id, room), lambda: f"there is a run of {dag_id} for {room}"
    )


def runs_of_room(listening: Listening, dag_id: str, room: str) -> list[dict[str, Any]]:
    runs = listening.airflow._pages(f"/api/v2/dags/{dag_id}/dagRuns", "dag_runs")
    return [run for run in runs if f"-{room}-" in (run["partition_key"] or "")]
