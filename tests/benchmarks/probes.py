"""Triggers to compare ours with, and to measure a triggerer from inside."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_trtc.journal.store import trigger_store

TICK_SECONDS = 0.01
WRITE_SECONDS = 1.0
LATE_SECONDS = 0.04
MOST_SIGHTS = 20  # in a line


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
        before, `collecting_seconds`, the longest garbage collection since then, and `where` a thread saw
        the event loop's thread when it was late: the frames of our own code and the innermost ones.
    """

    def __init__(self, *, path: str) -> None:
        super().__init__()
        self.path = path
        self._ticked_at = math.inf
        self._where: list[str] = []
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
        threading.Thread(target=self._spy, args=(threading.get_ident(), stop), daemon=True).start()
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
            if time.perf_counter() - self._ticked_at > LATE_SECONDS and len(self._where) < MOST_SIGHTS:
                frame = sys._current_frames().get(thread_id)
                stack = traceback.extract_stack(frame) if frame else []
                ours = [each for each in stack[:-3] if "airflow_trtc" in each.filename]
                told = [f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in ours + stack[-3:]]
                self._where.append(" < ".join(reversed(told)))
