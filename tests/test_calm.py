"""What is put aside from the garbage collector, and when."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import ExitStack

from airflow_trtc.calm import FEWEST, Calm


class Recorder:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def freeze(self) -> None:
        self.asked.append("freeze")

    def unfreeze(self) -> None:
        self.asked.append("unfreeze")

    def collect(self) -> int:
        self.asked.append("collect")
        return 0


def begin(calm: Calm, count: int) -> list[ExitStack]:
    waits = [ExitStack() for _ in range(count)]
    for wait in waits:
        wait.enter_context(calm.waiting())
    return waits


def test_a_process_in_which_few_wait_is_left_alone() -> None:
    recorder = Recorder()
    calm = Calm(recorder)
    for wait in begin(calm, FEWEST - 1):
        wait.close()
    for wait in begin(calm, FEWEST - 1):
        wait.close()
    assert recorder.asked == []


def test_many_waits_are_put_aside_again_only_when_there_are_many_more() -> None:
    recorder = Recorder()
    calm = Calm(recorder)
    waits = begin(calm, FEWEST)
    assert recorder.asked == ["freeze"]
    waits += begin(calm, FEWEST // 4 - 1)
    assert recorder.asked == ["freeze"]
    waits += begin(calm, 1)
    assert recorder.asked == ["freeze", "freeze"]
    waits += begin(calm, 10 * FEWEST)
    assert len(waits) > 11 * FEWEST
    assert recorder.asked.count("freeze") < 15


def test_what_ended_among_many_is_collected_once_all_that_was_put_aside_may_have_ended() -> None:
    recorder = Recorder()
    calm = Calm(recorder)
    first, others = begin(calm, FEWEST), begin(calm, FEWEST // 5)
    for wait in first[:-1]:
        wait.close()
    assert recorder.asked == ["freeze"]
    others += begin(calm, FEWEST)
    assert recorder.asked == ["freeze"]
    first[-1].close()
    assert recorder.asked == ["freeze", "unfreeze", "collect", "freeze"]
    assert len(others) > FEWEST  # still waiting: what is dropped has ended


def test_nothing_stays_aside_when_all_have_ended() -> None:
    recorder = Recorder()
    calm = Calm(recorder)
    for wait in begin(calm, 3 * FEWEST):
        wait.close()
    assert recorder.asked[-1] == "unfreeze"
    assert "collect" not in recorder.asked


def test_an_exception_ends_a_wait_too() -> None:
    recorder = Recorder()
    calm = Calm(recorder)
    waits = begin(calm, FEWEST)
    for wait in waits:
        wait.__exit__(ValueError, ValueError(), None)
    assert recorder.asked == ["freeze", "unfreeze"]


def test_objects_of_many_waits_are_out_of_reach_of_the_real_collector() -> None:
    script = """
import gc, weakref
from airflow_trtc.calm import FEWEST
from tests.test_calm import Calm, begin

class Thing: pass

things = [Thing() for _ in range(1000)]
calm = Calm()
waits = begin(calm, FEWEST)
assert gc.get_freeze_count() >= 1000
cycle = Thing(); cycle.itself = cycle
gone = weakref.ref(cycle)
del cycle
gc.collect()
assert gone() is None, "what was made later is collected"
for wait in waits:
    wait.close()
assert gc.get_freeze_count() == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert gc.get_freeze_count() == 0
