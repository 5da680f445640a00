"""Starts processes of waiters and listens to what they tell; see `waiters`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tests.benchmarks.emulation import EmulatorProcess
from tests.stack.local_airflow import inherited

ROOT = Path(__file__).parents[2]
SEEN_AGO = timedelta(hours=1)  # a recording that is gone right after its first sight is asked for again
START_SECONDS = 900.0  # ten thousand clients of their own take minutes
END_SECONDS = 30.0


@dataclass
class Noticed:
    """What a process of waiters has told so far; times are Unix seconds."""

    ready: dict[str, float] = field(default_factory=dict)
    started_at: float | None = None
    noticed_at: dict[str, float] = field(default_factory=dict)
    died: list[tuple[float, str, str]] = field(default_factory=list)
    figures: list[dict[str, float]] = field(default_factory=list)

    def take(self, facts: Mapping[str, Any]) -> None:
        """Add a line."""
        if "ready_at" in facts:
            self.ready = facts["figures"]
        elif "figures" in facts:
            self.figures.append(facts["figures"])
        elif "started_at" in facts:
            self.started_at = facts["started_at"]
        elif "died" in facts:
            self.died.append((facts["at"], facts["recording_id"], facts["died"]))
        else:
            self.noticed_at[facts["recording_id"]] = facts["at"]

    @property
    def over(self) -> int:
        """How many waiters wait no more."""
        return len(self.noticed_at) + len(self.died)

    @property
    def over_ids(self) -> set[str]:
        """The recordings that nobody waits for any more."""
        return {*self.noticed_at, *(recording_id for _, recording_id, _ in self.died)}


class Waiters:
    """One process of waiters, from `with` on."""

    slack_seconds = 0.0

    def __init__(
        self,
        emulator: EmulatorProcess,
        job_ids: Sequence[str] | Mapping[str, str],
        poll_seconds: float,
        *,
        kind: str,
        requests_per_second: float,
        machine: int = 1,
        **job: Any,
    ) -> None:
        """With those of one `machine` it shares its pace; further arguments are those of `waiters.Job`.

        :param job_ids: of recordings, or a mapping of ids to kinds.
        """
        kinds = job_ids if isinstance(job_ids, Mapping) else dict.fromkeys(job_ids, "recording")
        self.recording_ids = list(kinds)
        self.history = Noticed()
        self._job = {"kind": kind, "poll_seconds": poll_seconds, "place": emulator.place, **job}
        self._job |= {"endpoint": emulator.url.removeprefix("http://"), "keys": emulator.keys}
        self._job["known"] = emulator.known(kinds, datetime.now(timezone.utc) - SEEN_AGO)
        self._connection = emulator.connection(requests_per_second=requests_per_second)
        self._machine = emulator.folder / f"machine-{machine}"

    def __enter__(self) -> Waiters:
        self._home = tempfile.TemporaryDirectory(prefix="trtc-bench-home-")
        environment = inherited(os.environ) | {
            "AIRFLOW_HOME": self._home.name,
            "AIRFLOW_CONN_TRTC_DEFAULT": self._connection,
            "AIRFLOW__TRTC__SHARED_PACE_DIRECTORY": str(self._machine),
        }
        self._errors = Path(self._home.name) / "errors.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.waiters"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors.open("w"),
            text=True,
            cwd=ROOT,
            env=environment,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self._say(json.dumps(self._job))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._home.cleanup()

    def poll(self) -> None:
        """Nothing: what is told comes by itself."""

    def wait_until_started(self) -> float:
        """Return when the last waiter had begun to wait."""
        self._wait(lambda: self.history.started_at is not None, START_SECONDS)
        assert self.history.started_at is not None
        return self.history.started_at

    def measure(self) -> dict[str, float]:
        """Ask for figures of the process."""
        before = len(self.history.figures)
        self._say("measure")
        self._wait(lambda: len(self.history.figures) > before, 120.0)
        return self.history.figures[-1]

    def cpu_seconds(self) -> float:
        """What the process has taken so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("{"):  # Airflow may print too
                self.history.take(json.loads(line))

    def _wait(self, condition: Callable[[], bool], timeout_seconds: float) -> None:
        give_up_at = time.monotonic() + timeout_seconds
        while not condition():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"the waiters ended or hang: {self._errors.read_text()[-3000:]}")
            time.sleep(0.05)
