"""Triggers to compare ours with, and to measure a triggerer from inside."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import signal
import threading
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_trtc.journal.store import trigger_store

TICK_SECONDS = 0.01
WRITE_SECONDS = 1.0
LATE_SECONDS = 0.04
MOST_SIGHTS = 20  # in a line
INNERMOST = 3  # frames that are told whosoever they are
LOOK = signal.SIGUSR2  # which the triggerer uses for nothing else


class SleepingTrigger(BaseTrigger):
    """Sleeps: the least that a trigger can be."""

    def __init__(self, *, recording_id: str, seconds: float) -> None:
        super().__init__()
        self.recording_id = recording_id
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{__name__}.SleepingTrigger", {"recording_id": self.recording_id, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire when it has slept."""
        await asyncio.sleep(self.seconds)
        yield TriggerEvent({"status": "finished"})


class BlockTrigger(BaseTrigger):
    """Notices how long the event loop it runs in is blocked; adds a line to a file every second.

    :param path: the file; each line has `at` (Unix seconds), `blocked_seconds`, the longest since the line
        before, `collecting_seconds`, the longest garbage collection since then, and `where` the event
        loop's thread was when it was late: the frames of our own code and the innermost ones.

    A thread notices that the event loop is late and sends a signal; the event loop's own thread then looks
    at its stack. Another thread must not walk it: Python lets both run in turn, so it may follow a frame that
    has ended meanwhile into freed memory, and Python 3.11 dies of that.
    """

    def __init__(self, *, path: str) -> None:
        super().__init__()
        self.path = path
        self._ticked_at = math.inf
        self._where: list[str] = []
        self._is_asked = False
        self._collecting_seconds = 0.0
        self._collecting_since = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{__name__}.BlockTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Measure until cancelled."""
        # Whatever triggers wait here, one of them has asked the supervisor, which loads Airflow's API for it.
        if (store := trigger_store()) is not None:
            await store.aget("nothing")
        stop = threading.Event()
        before = signal.signal(LOOK, self._look)
        spy = threading.Thread(target=self._spy, args=(threading.get_ident(), stop), daemon=True)
        spy.start()
        gc.callbacks.append(self._collect)
        longest, write_at = 0.0, time.monotonic() + WRITE_SECONDS
        try:
            while True:
                at = self._ticked_at = time.perf_counter()
                await asyncio.sleep(TICK_SECONDS)
                longest = max(longest, time.perf_counter() - at - TICK_SECONDS)
                if time.monotonic() >= write_at:
                    self._write(longest)
                    longest, write_at = 0.0, time.monotonic() + WRITE_SECONDS
        finally:
            stop.set()
            spy.join()  # no signal may come after it
            signal.signal(LOOK, before)
            gc.callbacks.remove(self._collect)
        yield TriggerEvent(None)

    def _write(self, longest: float) -> None:
        line = {
            "at": time.time(),
            "blocked_seconds": longest,
            "collecting_seconds": self._collecting_seconds,
            "where": self._where,
        }
        with Path(self.path).open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._where, self._collecting_seconds = [], 0.0

    def _collect(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
        else:
            seconds = time.perf_counter() - self._collecting_since
            self._collecting_seconds = max(self._collecting_seconds, seconds)

    def _spy(self, thread_id: int, stop: threading.Event) -> None:
        while not stop.wait(TICK_SECONDS):
            is_late = time.perf_counter() - self._ticked_at > LATE_SECONDS
            if is_late and not self._is_asked and len(self._where) < MOST_SIGHTS:
                self._is_asked = True
                signal.pthread_kill(thread_id, LOOK)

    def _look(self, _: int, frame: FrameType | None) -> None:
        stack = [(each.f_code, line) for each, line in traceback.walk_stack(frame)]
        told = [
            f"{Path(code.co_filename).name}:{line} {code.co_name}"
            for number, (code, line) in enumerate(stack)
            if number < INNERMOST or "airflow_trtc" in code.co_filename
        ]
        self._where.append(" < ".join(told))
        self._is_asked = False
