"""Tasks that own their recording: however they end, nothing that they started still runs."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

import psutil
import pytest

from tests.e2e.stage import MODES, Stage, Wait

pytestmark = pytest.mark.e2e
# Below Airflow 3.3 nothing outlives a try, and nobody watches over those that are killed.
needs_airflow_33 = pytest.mark.usefixtures("journal")

RUNNING = ("Idle", "InProgress")
rooms = itertools.count(1)


def own(stage: Stage, dag_id: str) -> Wait:
    """A run whose task records a room of its own."""
    return stage.own(dag_id, {"room_id": f"lesson-{next(rooms)}"})


def end_reason(stage: Stage, recording_id: str) -> str | None:
    reason: str | None = stage.emulator.truth(recording_id)["end_reason"]
    return reason


def until_waiting(wait: Wait, mode: str, map_index: int = -1) -> None:
    """Wait until the task waits; below Airflow 3.3 its trigger has to run, for nobody else stops its job."""
    wait.until_state("running" if mode == "poke" else "deferred", map_index=map_index)
    if mode != "poke" and not wait.stage.has_journal:
        until_triggered(wait, map_index)


def until_triggered(wait: Wait, map_index: int = -1) -> None:
    """Wait until a triggerer runs the task's trigger."""
    wait.stage.until(lambda: ") starting" in wait.log(map_index=map_index), "the trigger runs")


def until_stopped(wait: Wait, recording_id: str | None = None) -> None:
    """Wait until the recording was stopped; the next try may have replaced it, which the service does too."""
    wanted, stage = recording_id or wait.recording_id, wait.stage
    reason = stage.until(lambda: end_reason(stage, wanted), f"the recording of {wait.dag_id} is stopped")
    assert reason in ("deleted", "replaced"), reason


def until_new(wait: Wait, old: str) -> str:
    """Wait until the task shows another recording than the old one, and return it."""

    def other() -> str | None:
        shown = (wait.xcom("progress") or {}).get("job_id")
        return shown if shown != old else None

    new = wait.stage.until(other, f"{wait.dag_id} records anew")
    wait.recording_ids[:] = [new]
    return new


def assert_runs(stage: Stage, recording_id: str) -> None:
    assert stage.emulator.truth(recording_id)["status"] in RUNNING


# -- the owner ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["failed", "success"])
@pytest.mark.parametrize("mode", MODES)
def test_a_task_that_is_marked_stops_its_recording(stage: Stage, mode: str, state: str) -> None:
    wait = own(stage, f"owned_{mode}")
    until_waiting(wait, mode)
    stage.airflow.set_task_state(wait.dag_id, wait.run_id, "wait", state)
    until_stopped(wait)
    assert wait.task()["state"] == state


@pytest.mark.parametrize("mode", MODES)
def test_a_task_that_is_cleared_stops_its_recording_and_starts_another(stage: Stage, mode: str) -> None:
    wait = own(stage, f"owned_{mode}")
    until_waiting(wait, mode)
    old = wait.recording_id
    wait.clear()
    until_stopped(wait, old)
    new = until_new(wait, old)
    assert_runs(stage, new)
    stage.assert_recorded_once(new, 2)
    stage.emulator.end(new)
    assert wait.end() == "success"
    assert {file["recording_id"] for file in wait.xcom()} <= {new}


@pytest.mark.parametrize("limit", ["short", "limited"])
@pytest.mark.parametrize("mode", MODES)
def test_a_task_that_takes_too_long_stops_its_recording(stage: Stage, mode: str, limit: str) -> None:
    wait = own(stage, f"owned_{limit}_{mode}")
    assert wait.end() == "failed"
    until_stopped(wait)


def test_a_worker_that_is_told_to_end_stops_the_recording(stage: Stage) -> None:
    wait = own(stage, "owned_poke")
    psutil.Process(wait.task()["pid"]).terminate()
    until_stopped(wait)
    assert wait.end() == "failed"


@needs_airflow_33
@pytest.mark.parametrize("victim", ["task", "worker", "supervisor"])
def test_a_retry_takes_over_the_recording_of_a_killed_process(stage: Stage, victim: str) -> None:
    wait = own(stage, "owned_retried_poke")
    kill(wait, victim)
    wait.until_state("running", tries=2)
    stage.until(lambda: (wait.xcom("progress") or {}).get("try_number") == 2, "the second try polls")
    assert wait.xcom("progress")["job_id"] == wait.recording_id
    stage.assert_recorded_once(wait.recording_id, 1)
    stage.emulator.end(wait.recording_id)
    assert wait.end() == "success"


@needs_airflow_33
@pytest.mark.parametrize("victim", ["task", "worker"])
def test_the_recording_of_a_killed_process_that_is_not_tried_again_is_stopped(
    stage: Stage, victim: str
) -> None:
    wait = own(stage, "owned_poke")
    kill(wait, victim)
    assert wait.end() == "failed"
    until_stopped(wait)


@needs_airflow_33
def test_a_task_that_is_marked_between_two_tries_loses_its_recording(stage: Stage) -> None:
    wait = own(stage, "owned_patient_poke")
    kill(wait, "task")
    wait.until_state("up_for_retry")
    assert_runs(stage, wait.recording_id)
    stage.airflow.set_task_state(wait.dag_id, wait.run_id, "wait", "failed")
    until_stopped(wait)


@needs_airflow_33
def test_a_task_that_is_marked_while_no_triggerer_runs_loses_its_recording(stage: Stage) -> None:
    wait = own(stage, "owned_deferrable")
    wait.until_state("deferred")
    with stage.without_triggerer():
        stage.airflow.set_task_state(wait.dag_id, wait.run_id, "wait", "failed")
        until_stopped(wait)


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_of_mapped_tasks_only_the_one_that_ends_stops_its_recording(stage: Stage, mode: str) -> None:
    wait = stage.own(f"owned_mapped_{mode}", {}, map_index=0)
    stage.until(lambda: wait.xcom("progress", map_index=1), "a poll by the second")
    other = wait.xcom("progress", map_index=1)["job_id"]
    for index in range(2):
        until_waiting(wait, mode, map_index=index)
    stage.airflow.set_task_state(wait.dag_id, wait.run_id, "wait", "failed", map_index=0)
    until_stopped(wait)
    assert_runs(stage, other)
    stage.emulator.end(other)
    wait.until_state("success", map_index=1)


# -- jobs of other kinds --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_job_of_a_task_that_is_marked_is_stopped(stage: Stage, mode: str) -> None:
    wait = own(stage, f"job_owned_{mode}")
    until_waiting(wait, mode)
    stage.airflow.set_task_state(wait.dag_id, wait.run_id, "wait", "failed")
    until_stopped(wait)


@needs_airflow_33
def test_the_job_of_a_killed_process_that_is_not_tried_again_is_stopped(stage: Stage) -> None:
    wait = own(stage, "job_owned_poke")
    kill(wait, "worker")
    assert wait.end() == "failed"
    until_stopped(wait)


@needs_airflow_33
def test_a_retry_takes_over_the_job_of_a_killed_process(stage: Stage) -> None:
    wait = own(stage, "job_owned_retried_poke")
    kill(wait, "task")
    wait.until_state("running", tries=2)
    stage.until(lambda: (wait.xcom("progress") or {}).get("try_number") == 2, "the second try polls")
    assert wait.xcom("progress")["job_id"] == wait.recording_id
    room_id = wait.truth()["room_id"]
    bill = stage.emulator.bill(room_id)
    assert [line["job_id"] for line in bill["jobs"]] == bill["running_jobs"] == [wait.recording_id]
    stage.emulator.end(wait.recording_id)
    assert wait.end() == "success"


# -- the owner goes on ----------------------------------------------------------------------------------


def test_a_triggerer_that_is_restarted_stops_nothing(stage: Stage) -> None:
    wait = own(stage, "owned_deferrable")
    wait.until_state("deferred")
    with stage.alone():
        stage.airflow.stop("triggerer")
        stage.airflow.start("triggerer")
        time.sleep(5)
        assert_runs(stage, wait.recording_id)
        stage.emulator.end(wait.recording_id)
        assert wait.end() == "success"


def test_a_trigger_that_moves_to_another_triggerer_stops_nothing(stage: Stage) -> None:
    wait = own(stage, "owned_deferrable")
    wait.until_state("deferred")
    until_triggered(wait)  # else it moves before anybody has it

    def was_killed() -> bool:
        lines = stage.airflow.component_log("triggerer").splitlines()
        return any("invoking on_kill" in line and wait.run_id in line for line in lines) or (
            "invoking on_kill" in wait.log()
        )

    move(stage, wait, another_triggerer(stage))
    if stage.has_journal:  # Airflow 3.3 takes it for the act of a user
        stage.until(was_killed, "the trigger's on_kill", 300.0)
    time.sleep(5)
    assert_runs(stage, wait.recording_id)
    move(stage, wait, None)
    assert_runs(stage, wait.recording_id)
    stage.emulator.end(wait.recording_id)
    assert wait.end() == "success"


@pytest.mark.parametrize("mode", MODES)
def test_a_lesson_is_stopped_by_the_clock_and_handed_on(stage: Stage, mode: str) -> None:
    wait = own(stage, f"lesson_{mode}")
    assert wait.end() == "success"
    truth = wait.truth()
    assert truth["end_reason"] == "deleted"
    assert 25.0 <= truth["ended_at"] - truth["created_at"] < 200.0
    assert [file["file_name"] for file in wait.xcom()] == [file["FileName"] for file in truth["files"]]
    assert wait.xcom("recording")["recording_id"] == wait.recording_id
    stops = wait.log().count("stopped, since its time is over")
    assert stops == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_sensor_never_stops_what_it_only_watches(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"plain_{mode}", stage.record(files=1))
    stage.airflow.set_task_state(wait.dag_id, wait.run_id, "wait", "failed")
    time.sleep(40)  # two looks of the API server
    assert_runs(stage, wait.recording_id)


def test_at_the_end_nothing_that_an_operator_started_still_runs(stage_after_all: Stage) -> None:
    stage = stage_after_all
    started = [
        (recording_id, truth)
        for recording_id, truth in stage.emulator.state()["recordings"].items()
        if (truth.get("robot_id") or "").startswith("airflow-")
    ]
    assert started
    stage.until(
        lambda: all(end_reason(stage, recording_id) for recording_id, _ in started), "all have ended", 300.0
    )


def kill(wait: Wait, victim: str) -> None:
    """Kill the process that runs the task, the one that watches over it and speaks to Airflow, or both."""
    task = psutil.Process(wait.task()["pid"])
    victims = {"task": [task], "supervisor": [task.parent()], "worker": [task.parent(), task]}[victim]
    for process in victims:
        process.kill()


def move(stage: Stage, wait: Wait, triggerer_id: int | None) -> None:
    """Give the trigger to another triggerer, None for whichever is there."""
    with database(stage) as connection:
        connection.execute(
            "UPDATE trigger SET triggerer_id = ? WHERE id IN"
            " (SELECT trigger_id FROM task_instance WHERE dag_id = ? AND run_id = ?)",
            (triggerer_id, wait.dag_id, wait.run_id),
        )


def another_triggerer(stage: Stage) -> int:
    """A triggerer that beats for half a minute, and does nothing."""
    with database(stage) as connection:
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
        row = connection.execute(
            "INSERT INTO job (state, job_type, start_date, latest_heartbeat, hostname, unixname)"
            " VALUES ('running', 'TriggererJob', ?, ?, 'elsewhere', 'nobody') RETURNING id",
            (now, now),
        ).fetchone()
        return int(row[0])


@contextmanager
def database(stage: Stage) -> Iterator[sqlite3.Connection]:
    """Airflow's own, in one transaction."""
    connection = sqlite3.connect(stage.airflow.home / "airflow.db", timeout=60)
    try:
        with connection:
            yield connection
    finally:
        connection.close()
