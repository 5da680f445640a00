"""Waits that stop their job when its time is over, as stories that need no time; and who may stop it."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_trtc.jobs.observation import Snapshot
from airflow_trtc.jobs.state import JobState, combine, from_json, learn, to_json
from airflow_trtc.waiting import stopping
from airflow_trtc.waiting.engine import TimedOut
from tests.waiting.simulation import GONE, JOB, START, Scene, shown
from tests.waiting.test_engine import later, modes, names, outcome

LESSON = 600.0


class Lesson(Scene):
    """A recording that runs until it is stopped, or for ever.

    :param refusals: how many stops fail before one succeeds.
    """

    def __init__(self, refusals: int = 0) -> None:
        super().__init__(self.look)
        self.stop_errors = ["the service is busy"] * refusals
        self.ends_at: float | None = None
        self._refusals = refusals

    def look(self) -> Any:
        if self.is_stopped or (self.ends_at is not None and self.clock.seconds >= self.ends_at):
            return GONE
        return shown(f"{self.clock.seconds // 300:.0f}")

    @property
    def is_stopped(self) -> bool:
        return len(self.stopped_at) > self._refusals


@modes
def test_it_is_stopped_once_when_its_time_is_over_and_then_waited_for(wait: Any) -> None:
    scene = Lesson()
    ending = wait(scene, stop_at=LESSON)
    assert (outcome(ending), names(ending)) == ("gone", ["0", "1", "2"])
    (at,) = scene.stopped_at
    assert LESSON <= at <= LESSON + 60.0  # a worker is called that often
    assert scene.shown[-1].stopped_at == later(at)
    assert scene.stored(scene.rows.polls).stopped_at == later(at)
    assert "stopped, since its time is over; waiting for its end" in scene.lines


def test_what_was_recorded_since_the_last_poll_is_seen_before_it_is_stopped() -> None:
    scene = Lesson()
    ending = scene.deferred(stop_at=LESSON + 50.0, interval=400.0)
    assert names(ending) == ["1", "2"]
    assert scene.stopped_at == [LESSON + 50.0]


def test_what_has_ended_by_then_is_not_stopped() -> None:
    scene = Lesson()
    scene.ends_at = LESSON + 40.0
    assert outcome(scene.deferred(stop_at=LESSON + 50.0, interval=400.0)) == "gone"
    assert scene.stopped_at == []


def test_a_trigger_stops_it_to_the_second_and_looks_at_once() -> None:
    scene = Lesson()
    scene.deferred(stop_at=LESSON - 17.0, interval=300.0)
    assert scene.stopped_at == [LESSON - 17.0]
    assert LESSON - 17.0 in scene.polled_at


def test_an_answer_of_the_same_moment_does_not_put_off_the_look_at_the_end() -> None:
    scene = Lesson()
    scene.at(LESSON, lambda: scene.overheard(shown("a")))
    scene.deferred(stop_at=LESSON, interval=250.0)
    assert scene.stopped_at == [LESSON]
    assert scene.polled_at[-1] < LESSON + 60.0


@modes
def test_without_a_time_nothing_is_ever_stopped(wait: Any) -> None:
    scene = Lesson()
    scene.ends_at = 1000.0
    assert outcome(wait(scene)) == "gone"
    assert scene.stopped_at == []


@modes
def test_what_ended_before_its_time_is_not_stopped(wait: Any) -> None:
    scene = Lesson()
    scene.ends_at = 300.0
    assert outcome(wait(scene, stop_at=LESSON)) == "gone"
    assert scene.stopped_at == []


@modes
def test_what_callbacks_reported_to_be_over_is_not_stopped_while_its_upload_is_awaited(wait: Any) -> None:
    scene = Scene(shown("a"))
    scene.at(100.0, lambda: scene.reported(302, {"LeaveCode": 0}))
    scene.at(LESSON + 500.0, lambda: scene.reported(305, {"Status": 0}))
    assert outcome(wait(scene, stop_at=LESSON, wait_for="upload")) == "callback"
    assert scene.stopped_at == []


@modes
def test_a_stop_that_fails_is_tried_again_and_ends_no_wait(wait: Any) -> None:
    scene = Lesson(refusals=3)
    assert outcome(wait(scene, stop_at=LESSON)) == "gone"
    assert len(scene.stopped_at) == 4
    pauses = [after - before for before, after in pairwise(scene.stopped_at)]
    assert min(pauses) >= 5.0
    assert any(state.stop_error == "the service is busy" for state in scene.shown)
    assert scene.shown[-1].stop_error is None
    assert sum("cannot stop it, trying again in" in line for line in scene.lines) == 3


def test_stops_that_fail_are_soon_tried_again_and_never_less_often_than_polls() -> None:
    scene = Lesson(refusals=6)
    scene.deferred(stop_at=LESSON, interval=20.0)
    pauses = [after - before for before, after in pairwise(scene.stopped_at)]
    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert max(pauses) <= 300.0


def test_a_triggerer_that_was_restarted_does_not_stop_it_again() -> None:
    scene = Lesson()
    scene.deferred(stop_at=LESSON)
    assert scene.stopped_at == [LESSON]
    # What the worker knew when it deferred is all that the next triggerer is given.
    again = Lesson()
    again.store = scene.store
    again.clock.seconds = LESSON + 30.0
    assert outcome(again.deferred(stop_at=LESSON, is_recalled=False, has_past=True)) in ("gone", "exited")
    assert again.stopped_at == []


def test_without_a_journal_a_restarted_triggerer_reads_it_in_the_progress() -> None:
    scene = Scene(GONE)
    scene.progress = replace(learn(JobState(JOB.job_id), shown("a"), START), stopped_at=later(LESSON))
    scene.clock.seconds = LESSON + 30.0
    ending = scene.deferred(stop_at=LESSON, has_store=False, is_recalled=False, has_past=True)
    assert outcome(ending) == "gone"
    assert scene.stopped_at == []


def test_a_trigger_that_starts_after_the_time_stops_it_at_once() -> None:
    scene = Lesson()
    scene.clock.seconds = LESSON + 400.0
    assert outcome(scene.deferred(learn(JobState(JOB.job_id), shown("a"), START), stop_at=LESSON)) == "gone"
    assert scene.stopped_at == [LESSON + 400.0]


@modes
def test_a_stop_works_without_a_journal(wait: Any) -> None:
    scene = Lesson()
    assert outcome(wait(scene, stop_at=LESSON, has_store=False)) == "gone"
    assert len(scene.stopped_at) == 1


def test_a_limit_before_the_time_ends_the_wait_without_a_stop() -> None:
    scene = Lesson()
    assert scene.deferred(stop_at=LESSON, limits={"timeout": 300.0}) == TimedOut("timeout")
    assert scene.stopped_at == []  # whoever owns it stops it


# -- the state -------------------------------------------------------------------------------------


def test_who_stopped_it_first_is_remembered() -> None:
    one = replace(JobState("rid"), stopped_at=later(2.0))
    two = replace(JobState("rid"), stopped_at=later(1.0), stop_error="late")
    assert combine(one, two).stopped_at == combine(two, one).stopped_at == later(1.0)
    assert combine(two, one).stop_error is None


@pytest.mark.parametrize("error", [None, "why"])
def test_it_survives_being_stored(error: str | None) -> None:
    state = JobState("rid", stopped_at=None if error else START, stop_error=error)
    assert from_json(json.loads(json.dumps(to_json(state))), "rid") == state


def test_it_is_over_only_when_that_is_certain() -> None:
    seen = learn(JobState("rid"), Snapshot("rid", "InProgress"), START)
    assert not seen.is_over
    assert learn(seen, GONE, later(1.0)).is_over
    assert not learn(JobState("rid"), GONE, START).is_over  # it may not be there yet


# -- within a time limit ---------------------------------------------------------------------------


class Hook:
    """Stops a job, or does not."""

    def __init__(self, error: Exception | None = None, seconds: float = 0.0) -> None:
        self.error, self.seconds = error, seconds
        self.stopped: list[tuple[str, str]] = []

    def stop(self, kind: str, job_id: str, *, attempts: int | None = None) -> bool:
        if self.error is not None:
            raise self.error
        self.stopped.append((kind, job_id))
        return True

    async def astop(self, kind: str, job_id: str, *, attempts: int | None = None) -> bool:
        await asyncio.sleep(self.seconds)
        return Hook(self.error).stop(kind, job_id)


def test_what_goes_wrong_with_a_stop_is_a_text() -> None:
    hook: Any = Hook(ValueError("no"))
    assert stopping.stop(hook, JOB) == "ValueError: no"
    assert asyncio.run(stopping.astop(hook, JOB)) == "ValueError: no"
    assert stopping.within_seconds(5.0, lambda: stopping.stop(hook, JOB)) == "ValueError: no"
    assert str(JOB.sdk_app_id) in stopping.describe_failed_stop(JOB, "no")


def test_a_stop_that_takes_too_long_is_left_alone() -> None:
    is_over = threading.Event()

    def work() -> None:
        is_over.wait()

    try:
        assert stopping.within_seconds(0.01, work) == "it took longer than 0.01 s"
    finally:
        is_over.set()
    never: Any = Hook(seconds=60.0)
    assert asyncio.run(stopping.astop(never, JOB, 0.01)) == "it took longer than 0.01 s"


@pytest.mark.parametrize(
    "states, has_left",
    [
        (["deferred"], False),  # another triggerer took it over
        ([], False),  # Airflow does not say
        (["failed"], True),
        (["success"], True),
        ([None], True),  # cleared
        (["scheduled"], True),  # cleared, and on its way again
        (["running"], True),
    ],
)
def test_a_task_has_left_only_when_its_state_says_so(
    states: list[str | None], has_left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(**ids: Any) -> list[str | None]:
        assert ids == {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3}
        return states

    monkeypatch.setattr(stopping, "atask_states", answer)
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3)
    assert asyncio.run(stopping.has_left_deferral(ti)) is has_left


def test_what_runs_only_in_a_test_has_not_left() -> None:
    assert asyncio.run(stopping.has_left_deferral(None)) is False
