"""Tasks that start a recording, ended at the worst moments: a room is recorded once, as it is handed on.

What is asked is the bill of the emulator: what was started, and what ended it.
"""

from __future__ import annotations

import itertools
from typing import Any

import psutil
import pytest

from airflow_trtc.emulator import Emulator
from tests.e2e.stage import Stage, Wait

pytestmark = pytest.mark.e2e
needs_airflow_33 = pytest.mark.usefixtures("journal")

# How many recordings come of a start that is ended then and tried again: the next try continues with one
# that it knows of, and replaces one that it cannot know of.
STARTS = {"before_request": 1, "unanswered": 2, "answered": 2, "kept": 1, "handed_on": 1}
STARTS_WITHOUT_STORE = STARTS | {"kept": 2}
DAGS = ("halting_start", "halting_room")
rooms = itertools.count(1)


class Start:
    """A run whose task starts a recording."""

    def __init__(self, stage: Stage, dag_id: str, moment: str = "", *, fails: bool = False) -> None:
        """Start the run; `moment` says when its first try halts, or fails."""
        self.stage = stage
        self.moment = moment
        # Only there answers take long; what else is tested need not wait for them.
        is_slow = moment == "unanswered"
        self.emulator: Emulator = stage.slow_emulator if is_slow else stage.emulator
        self.room = f"start-{next(rooms)}"
        conf = {
            "room_id": self.room,
            "conn_id": "trtc_slow" if is_slow else "trtc_default",
            "halt_at": moment,
            "fails": fails,
        }
        self.wait: Wait = stage.start(dag_id, conf)
        self.owns = dag_id == "halting_room"

    def until_halted(self) -> None:
        """Wait for the moment; the one before the answer is when the service knows of the recording."""
        if self.moment == "unanswered":
            self.stage.until(lambda: self.emulator.bill(self.room)["recordings"], "the recording is started")
        else:
            self.stage.until(lambda: self.wait.xcom("halted"), f"the task halts: {self.moment}")

    def kill(self, victim: str = "task") -> None:
        """Kill the process of the task, or that of the worker that watches over it too."""
        task = psutil.Process(self.wait.task()["pid"])
        for process in [task.parent(), task] if victim == "worker" else [task]:
            process.kill()

    def until_handed_on(self, tries: int = 2) -> str:
        """Wait until a try has the recording, and return its id."""
        if self.owns:
            self.stage.until(lambda: self._progress().get("try_number") == tries, f"try {tries} polls")
            recording_id: str = self._progress()["job_id"]
            return recording_id
        assert self.wait.end() == "success"
        assert self.wait.task()["try_number"] == tries
        recording_id = self.wait.xcom()
        assert self.wait.xcom("recording")["recording_id"] == recording_id
        return recording_id

    def assert_recorded_once(self, recording_id: str, starts: int) -> None:
        """That recording alone runs, and goes on until it is ended here."""
        self.stage.assert_recorded_once(recording_id, starts, self.emulator)
        self.emulator.end(recording_id)
        if self.owns:
            assert self.wait.end() == "success"
            assert {file["recording_id"] for file in self.wait.xcom()} <= {recording_id}
        assert len(self.emulator.bill(self.room)["recordings"]) == starts

    def _progress(self) -> dict[str, Any]:
        progress: dict[str, Any] | None = self.wait.xcom("progress")
        return progress or {}


def expected(stage: Stage, moment: str) -> int:
    return (STARTS if stage.has_journal else STARTS_WITHOUT_STORE)[moment]


@pytest.mark.parametrize("moment", ["before_request", "unanswered", "answered", "kept"])
@pytest.mark.parametrize("dag_id", DAGS)
def test_the_retry_of_a_killed_start_leaves_one_recording(stage: Stage, dag_id: str, moment: str) -> None:
    start = Start(stage, dag_id, moment)
    start.until_halted()
    start.kill()
    start.assert_recorded_once(start.until_handed_on(), expected(stage, moment))


@pytest.mark.parametrize("dag_id", DAGS)
def test_a_killed_worker_leaves_one_recording(stage: Stage, dag_id: str) -> None:
    start = Start(stage, dag_id, "answered")
    start.until_halted()
    start.kill("worker")
    start.assert_recorded_once(start.until_handed_on(), 2)


@needs_airflow_33
def test_a_start_that_is_killed_right_before_it_succeeds_is_continued(stage: Stage) -> None:
    start = Start(stage, "halting_start", "handed_on")
    start.until_halted()
    start.kill()
    start.assert_recorded_once(start.until_handed_on(), 1)
    assert start.wait.xcom("recording")["reattached"] is True


@pytest.mark.parametrize("moment", ["answered", "kept"])
@pytest.mark.parametrize("dag_id", DAGS)
def test_the_retry_of_a_failed_start_leaves_one_recording(stage: Stage, dag_id: str, moment: str) -> None:
    start = Start(stage, dag_id, moment, fails=True)
    start.assert_recorded_once(start.until_handed_on(), expected(stage, moment))


@pytest.mark.parametrize("moment", ["unanswered", "answered", "kept"])
@pytest.mark.parametrize("dag_id", DAGS)
def test_a_start_that_is_cleared_meanwhile_leaves_one_recording(
    stage: Stage, dag_id: str, moment: str
) -> None:
    start = Start(stage, dag_id, moment)
    start.until_halted()
    start.wait.clear()
    start.assert_recorded_once(start.until_handed_on(), expected(stage, moment))


def test_a_start_that_is_cleared_after_it_was_handed_on_starts_afresh(stage: Stage) -> None:
    start = Start(stage, "halting_start")
    first = start.until_handed_on(tries=1)
    stage.assert_recorded_once(first, 1)
    start.wait.clear()
    stage.until(lambda: start.wait.xcom() not in (None, first), "the second try has a recording")
    second = start.until_handed_on()
    assert start.wait.xcom("recording")["reattached"] is False
    start.assert_recorded_once(second, 2)


def test_an_owner_that_has_finished_and_is_cleared_starts_afresh(stage: Stage) -> None:
    start = Start(stage, "halting_room")
    first = start.until_handed_on(tries=1)
    start.assert_recorded_once(first, 1)
    start.wait.clear()
    second = start.until_handed_on()
    start.assert_recorded_once(second, 2)
