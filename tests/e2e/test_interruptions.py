"""Waits that are killed, cleared or cut short: no file that was ever seen is lost."""

from __future__ import annotations

import psutil
import pytest

from tests.e2e.stage import MODES, Stage, Wait, index_file

# The worker of a deferred task sees only the first file, so that the second is known to its trigger alone.
EARLY = ({"files": [index_file(1)]}, {"files": [index_file(1), index_file(2)]})
# From the interruption on the service lists neither.
LATE = {"files": [index_file(3)]}
LAST = (LATE, {"gone": True})

WAITING = ("running", "deferred", "up_for_reschedule")

pytestmark = pytest.mark.e2e
outlives_a_try = pytest.mark.usefixtures("journal")


def waiting(stage: Stage, dag_id: str) -> Wait:
    """A wait in its midst, which has seen two files."""
    wait = stage.wait(dag_id, stage.record(*EARLY, files=0))
    wait.until_known(2)
    return wait


def test_another_triggerer_goes_on_where_a_killed_one_was(stage: Stage) -> None:
    wait = waiting(stage, "plain_deferrable")
    with stage.without_triggerer():
        wait.script(*LAST)
    wait.assert_handed_on("gone", file_count=3)
    assert wait.task()["try_number"] == 1


@outlives_a_try
@pytest.mark.parametrize("victim", ["task", "worker"])
def test_a_retry_goes_on_where_a_killed_process_was(stage: Stage, victim: str) -> None:
    wait = waiting(stage, "retried_poke")
    wait.script(LATE)
    kill(wait, victim)
    wait.script(*LAST)
    wait.assert_handed_on("gone", file_count=3)
    assert wait.task()["try_number"] == 2


@outlives_a_try
@pytest.mark.parametrize("victim", ["task", "worker"])
def test_a_retry_succeeds_although_the_recording_ended_meanwhile(stage: Stage, victim: str) -> None:
    wait = waiting(stage, "retried_poke")
    kill(wait, victim)
    stage.emulator.end(wait.recording_id)
    wait.assert_handed_on("gone", file_count=2)
    assert wait.task()["try_number"] == 2


@outlives_a_try
@pytest.mark.parametrize("mode", MODES)
def test_a_wait_that_is_cleared_goes_on_where_it_was(stage: Stage, mode: str) -> None:
    wait = waiting(stage, f"plain_{mode}")
    wait.script(LATE)
    wait.clear()
    wait.until_state(*WAITING, tries=2)
    wait.script(*LAST)
    wait.assert_handed_on("gone", file_count=3)


@outlives_a_try
@pytest.mark.parametrize("mode", MODES)
def test_a_finished_wait_that_is_cleared_hands_on_the_same_again(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"plain_{mode}", stage.record(*EARLY, *LAST, files=0))
    wait.assert_handed_on("gone", file_count=3)
    wait.clear()
    wait.assert_handed_on("gone", file_count=3)
    assert wait.task()["try_number"] == 2


@outlives_a_try
@pytest.mark.parametrize("mode", MODES)
def test_a_wait_that_took_too_long_goes_on_from_there_when_cleared(stage: Stage, mode: str) -> None:
    # The first poll, which comes before any limit, shows both files: a second one might come too late.
    wait = stage.wait(f"short_{mode}", stage.record(EARLY[-1], files=0))
    assert wait.end() == "failed"
    assert wait.xcom("progress")["file_count"] == 2
    wait.script(*LAST)
    wait.clear()
    wait.assert_handed_on("gone", file_count=3)


@outlives_a_try
@pytest.mark.parametrize("mode", ["poke", "deferrable"])  # rescheduling has no run long enough to interrupt
def test_the_retry_after_an_execution_timeout_goes_on_from_there(stage: Stage, mode: str) -> None:
    wait = waiting(stage, f"interrupted_{mode}")
    wait.script(LATE)
    wait.until_state(*WAITING, tries=2)
    wait.script(*LAST)
    wait.assert_handed_on("gone", file_count=3)
    assert "AirflowTaskTimeout" in wait.log(1)


def kill(wait: Wait, victim: str) -> None:
    """Kill the process that runs the sensor, and perhaps the worker that watches over it."""
    task = psutil.Process(wait.task()["pid"])
    victims = [task.parent(), task] if victim == "worker" else [task]
    for process in victims:
        process.kill()
