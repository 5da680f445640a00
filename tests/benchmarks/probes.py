"""Triggers to compare ours with, and to measure a triggerer from inside."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

TICK_SECONDS = 0.01
WRITE_SECONDS = 1.0


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

    :param path: the file; each line has `at` (Unix seconds) and `blocked_seconds`, the longest since the
        line before.
    """

    def __init__(self, *, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{__name__}.BlockTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Measure until cancelled."""
        longest, write_at = 0.0, time.monotonic() + WRITE_SECONDS
        while True:
            at = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            longest = max(longest, time.perf_counter() - at - TICK_SECONDS)
            if time.monotonic() >= write_at:
                with Path(self.path).open("a") as file:  # noqa: ASYNC230  # a line takes microseconds
                    file.write(json.dumps({"at": time.time(), "blocked_seconds": longest}) + "\n")
                longest, write_at = 0.0, time.monotonic() + WRITE_SECONDS
        yield TriggerEvent(None)
