"""What is kept from the garbage collector, and when."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

from airflow_trtc.waiting.gc_tuning import ENDS_PER_WAIT, MIN_WAITS, GcTuning


class Recorder:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.callbacks: list[Callable[[str, dict[str, int]], object]] = []
        self.thresholds = (700, 10, 10)

    def get_threshold(self) -> tuple[int, int, int]:
        return self.thresholds

    def set_threshold(self, *thresholds: int) -> None:
        self.thresholds = thresholds  # type: ignore[assignment]

    def freeze(self) -> None:
        self.asked.append("freeze")

    def unfreeze(self) -> None:
        self.asked.append("unfreeze")

    def collect(self, generation: int = 2) -> int:
        self.asked.append("collect")
        for phase in ("start", "stop"):
            for callback in self.callbacks:
                callback(phase, {"generation": generation})
        return 0


def begin(tuning: GcTuning, count: int) -> list[ExitStack]:
    waits = [ExitStack() for _ in range(count)]
    for wait in waits:
        wait.enter_context(tuning.waiting())
    return waits


def end(waits: list[ExitStack]) -> None:
    for wait in waits:
        wait.close()


def test_a_process_in_which_there_are_few_waits_is_left_alone() -> None:
    recorder = Recorder()
    tuning = GcTuning(recorder)
    before = recorder.thresholds
    for _ in range(3):
        end(begin(tuning, MIN_WAITS - 1))
    assert recorder.asked == []
    assert recorder.callbacks == []
    assert recorder.thresholds == before


def test_what_outlives_a_full_collection_while_many_wait_is_frozen() -> None:
    recorder = Recorder()
    tuning = GcTuning(recorder)
    waits = begin(tuning, 2 * MIN_WAITS)
    assert recorder.asked == ["freeze"]
    recorder.collect(generation=1)
    assert recorder.asked == ["freeze", "collect"]
    recorder.collect()
    assert recorder.asked == ["freeze", "collect", "collect", "freeze"]
    end(waits)


def test_everything_is_collected_when_far_more_have_ended_than_go_on() -> None:
    recorder = Recorder()
    tuning = GcTuning(recorder)
    others = begin(tuning, MIN_WAITS)
    recorder.asked.clear()
    for _ in range(ENDS_PER_WAIT - 1):
        end(begin(tuning, MIN_WAITS))
    assert recorder.asked == []
    end(begin(tuning, MIN_WAITS))
    assert recorder.asked == ["unfreeze", "collect", "freeze"]
    end(begin(tuning, MIN_WAITS))
    assert recorder.asked == ["unfreeze", "collect", "freeze"]
    end(others)


def test_nothing_stays_aside_when_few_are_left() -> None:
    recorder = Recorder()
    tuning = GcTuning(recorder)
    waits = begin(tuning, MIN_WAITS)
    assert recorder.thresholds == (700, 10, 2)
    end(waits)
    assert recorder.asked == ["freeze", "unfreeze"]
    assert recorder.callbacks == []
    assert recorder.thresholds == (700, 10, 10)
    waits = begin(tuning, MIN_WAITS)
    assert recorder.asked == ["freeze", "unfreeze", "freeze"]
    end(waits)


def test_an_exception_ends_a_wait_too() -> None:
    recorder = Recorder()
    tuning = GcTuning(recorder)
    for wait in begin(tuning, MIN_WAITS):
        wait.__exit__(ValueError, ValueError(), None)
    assert recorder.asked == ["freeze", "unfreeze"]


def test_the_real_collector_walks_past_what_many_waits_hold() -> None:
    script = """
import gc, weakref
from airflow_trtc.waiting.gc_tuning import MIN_WAITS
from tests.waiting.test_gc_tuning import GcTuning, begin, end

class Thing:
    def __init__(self):
        self.itself = self

tuning = GcTuning()
waits = begin(tuning, MIN_WAITS)
things = [Thing() for _ in range(1000)]
gc.collect()
assert not any(isinstance(one, Thing) for one in gc.get_objects()), "they outlived a collection"
late = Thing()
gone = weakref.ref(late)
del late
gc.collect()
assert gone() is None, "what was made and dropped later is collected"
old = weakref.ref(things.pop())
gc.collect()
assert old() is not None
end(waits)
gc.collect()
assert old() is None, "nothing is kept for good"
assert gc.get_freeze_count() == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert gc.get_freeze_count() == 0


def test_it_can_be_switched_off() -> None:
    recorder = Recorder()
    end(begin(GcTuning(recorder, lambda: False), 2 * MIN_WAITS))
    assert recorder.asked == []
    assert recorder.thresholds == (700, 10, 10)
