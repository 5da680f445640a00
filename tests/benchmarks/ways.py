"""Ways of waiting that take a process for each wait or each poll, driven as `driving.Waiters` is."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tests.benchmarks.driving import Noticed
from tests.benchmarks.emulation import GONE, EmulatorProcess
from tests.stack.local_airflow import LocalAirflow, inherited

DAGS = Path(__file__).parent / "dags"
START_SECONDS = 300.0
EXITED = '"Exited"'
FINAL_STATES = ("success", "failed", "upstream_failed", "skipped")


class TccliWaits:
    """``tccli ... --waiter``: a process for each wait. "Not there" is how one learns of the end."""

    slack_seconds = 10.0

    def __init__(
        self, emulator: EmulatorProcess, recording_ids: Sequence[str], poll_seconds: float, **_: Any
    ) -> None:
        self.history = Noticed()
        self._emulator = emulator
        self._recording_ids = recording_ids
        self._poll_seconds = poll_seconds
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._taken: dict[str, float] = {}

    def __enter__(self) -> TccliWaits:
        self._home = tempfile.TemporaryDirectory(prefix="trtc-bench-home-")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.kill()
            process.communicate()
        self._home.cleanup()

    def wait_until_started(self) -> float:
        """Start them one after the other, spread over an interval; return when all have asked."""
        for recording_id in self._recording_ids:
            self._processes[recording_id] = self._start(recording_id)
            time.sleep(self._poll_seconds / len(self._recording_ids))
        until_all_asked(self._emulator, self._recording_ids, self.poll)
        return time.time()

    def poll(self) -> None:
        """See which processes have ended, and why."""
        self.cpu_seconds()
        for recording_id, process in list(self._processes.items()):
            if process.poll() is None:
                continue
            output = process.communicate()[0]
            del self._processes[recording_id]
            if GONE in output or EXITED in output:
                self.history.noticed_at[recording_id] = time.time()
            else:
                self.history.died.append((time.time(), recording_id, " ".join(output.split())[-200:]))

    def cpu_seconds(self) -> float:
        """What all of them have taken, those that have ended as far as it was seen."""
        for recording_id, process in self._processes.items():
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(process.pid).cpu_times()
                self._taken[recording_id] = times.user + times.system
        return sum(self._taken.values())

    def measure(self) -> dict[str, float]:
        """Nothing: there is no event loop."""
        return {}

    def _start(self, recording_id: str) -> subprocess.Popen[str]:
        secret_id, secret_key = self._emulator.keys
        place = self._emulator.place
        waiter = {"expr": "Status", "to": "Exited", "timeout": 86_400, "interval": int(self._poll_seconds)}
        command = [
            str(Path(sys.executable).with_name("tccli")), "trtc", "DescribeCloudRecording",
            "--endpoint", self._emulator.url, "--region", place["region"], "--language", "en-US",
            "--secretId", secret_id, "--secretKey", secret_key,
            "--SdkAppId", str(place["sdk_app_id"]), f"--TaskId={recording_id}", "--waiter", str(waiter),
        ]  # fmt: skip
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=inherited(os.environ) | {"HOME": self._home.name},
        )


class SensorWaits:
    """Our sensor in reschedule mode in a real Airflow: a worker's process for each poll."""

    slack_seconds = 120.0
    dag_id = "rescheduled"

    def __init__(
        self,
        emulator: EmulatorProcess,
        recording_ids: Sequence[str],
        poll_seconds: float,
        *,
        requests_per_second: float,
    ) -> None:
        self.history = Noticed()
        self._emulator = emulator
        self._recording_ids = recording_ids
        self._conf = {"recording_ids": list(recording_ids), "poke_interval": poll_seconds}
        connection = emulator.connection(requests_per_second=requests_per_second)
        self._airflow = LocalAirflow(
            DAGS, env={"AIRFLOW_CONN_TRTC_DEFAULT": connection}, database="postgresql"
        )

    def __enter__(self) -> SensorWaits:
        self._airflow.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._airflow.__exit__(kind, error, trace)

    def wait_until_started(self) -> float:
        """Start a run; return when all sensors have polled."""
        self._airflow.unpause(self.dag_id)
        self._run_id = self._airflow.trigger(self.dag_id, self._conf)
        until_all_asked(self._emulator, self._recording_ids, self._airflow.check_alive)
        return time.time()

    def poll(self) -> None:
        """See which tasks are over, and how."""
        for task in self._airflow.task_instances(self.dag_id, self._run_id):
            if task["task_id"] != "wait" or task["state"] not in FINAL_STATES:
                continue
            recording_id = self._recording_ids[task["map_index"]]
            at = datetime.fromisoformat(task["end_date"]).timestamp()
            if task["state"] == "success":
                self.history.noticed_at[recording_id] = at
            elif recording_id not in {name for _, name, _ in self.history.died}:
                why = f"the task ended as {task['state']}: {self._last_error(task['map_index'])}"
                self.history.died.append((at, recording_id, why))

    def _last_error(self, map_index: int) -> str:
        """What the log of a task says, which goes away with this Airflow."""
        last, count = "", 0
        for path in sorted((self._airflow.home / "logs").rglob(f"map_index={map_index}/attempt=*.log")):
            for line in path.read_text().splitlines():
                count += 1
                with contextlib.suppress(ValueError):  # a line may not be whole yet
                    if json.loads(line).get("level") in ("error", "critical"):
                        last = line
        return last or f"no error in the {count} lines of its log"

    def cpu_seconds(self) -> float:
        """What scheduler, workers and API server have taken, as far as they still run."""
        times = []
        for name in ("scheduler", "api-server"):
            for pid in self._airflow.pids(name):
                with contextlib.suppress(psutil.Error):
                    times.append(psutil.Process(pid).cpu_times())
        # Workers end quickly; what ended is in their parent's account.
        return float(
            sum(each.user + each.system + each.children_user + each.children_system for each in times)
        )

    def measure(self) -> dict[str, float]:
        """Nothing: there is no event loop."""
        return {}


def until_all_asked(
    emulator: EmulatorProcess, recording_ids: Sequence[str], poll: Callable[[], None]
) -> None:
    """Return when the service was asked about each; raises TimeoutError."""
    give_up_at = time.monotonic() + START_SECONDS
    wanted = frozenset(recording_ids)
    while wanted - {call.job_id for call in emulator.calls().calls}:
        poll()
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"not all of {len(wanted)} waits have asked")
        time.sleep(0.5)
