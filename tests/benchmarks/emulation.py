"""The emulator in a process of its own, and what it logged of every call."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from airflow_trtc.emulator.client import EmulatorClient
from airflow_trtc.jobs.observation import RecordedFile, Snapshot
from airflow_trtc.jobs.state import JobState, learn, to_json
from tests.benchmarks.report import share
from tests.stack.local_airflow import inherited

ACTION = "DescribeCloudRecording"
THROTTLED = "RequestLimitExceeded"
GONE = "ResourceNotFound"
START_SECONDS = 20.0


@dataclass(frozen=True)
class Call:
    """One call as the emulator logged it; `at` is the second of the day's clock in which it came, Unix."""

    at: int
    recording_id: str
    code: str


@dataclass(frozen=True)
class Calls:
    """Some calls."""

    calls: Sequence[Call]

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def throttled(self) -> int:
        """Those that were refused for the limit."""
        return sum(call.code == THROTTLED for call in self.calls)

    @property
    def accepted(self) -> int:
        """Those that got an answer, if only that there is no such recording."""
        return len(self.calls) - self.throttled

    @property
    def throttled_share(self) -> str:
        """In per cent."""
        return share(self.throttled, len(self.calls))

    def between(self, first: float, last: float) -> Calls:
        """Those of the whole seconds inside, the first one included."""
        return Calls([call for call in self.calls if int(first) <= call.at < int(last)])

    def of(self, recording_ids: Iterable[str]) -> Calls:
        """Those for some recordings."""
        wanted = frozenset(recording_ids)
        return Calls([call for call in self.calls if call.recording_id in wanted])

    def per_second(self) -> Counter[int]:
        """How many came in each second."""
        return Counter(call.at for call in self.calls)


class EmulatorProcess:
    """``python -m airflow_trtc.emulator`` with a request limit; a recording that ends is gone at once."""

    def __init__(self, limit: int) -> None:
        """:param limit: requests a second; 0 for none."""
        self.limit = limit
        self._folder = tempfile.TemporaryDirectory(prefix="trtc-bench-")
        self._log = Path(self._folder.name) / "calls.log"

    def __enter__(self) -> EmulatorProcess:
        command = [
            sys.executable, "-m", "airflow_trtc.emulator", "--port", "0", "--verbose",
            "--rate-limit", str(self.limit), "--concurrency-limit", "0", "--exited-seconds", "0",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log.open("w"), text=True, env=inherited(os.environ)
        )
        greeting = self._read_greeting()
        words = shlex.split(greeting, comments=False)
        self._connection: dict[str, Any] = json.loads(
            next(word for word in words if word.startswith("AIRFLOW_CONN")).partition("=")[2]
        )
        self.controls = EmulatorClient(self._connection["host"], timeout_seconds=60.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """A folder that goes away with it."""
        return Path(self._folder.name)

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self._connection["host"])

    @property
    def place(self) -> dict[str, Any]:
        """Application and region, as arguments of sensors and triggers."""
        extra = self._connection["extra"]
        return {"sdk_app_id": extra["sdk_app_id"], "region": extra["region"]}

    @property
    def keys(self) -> tuple[str, str]:
        """Id and key of the account."""
        return self._connection["login"], self._connection["password"]

    def connection(self, **extra: object) -> str:
        """The Airflow connection to it as text, with more in its extra."""
        return json.dumps(self._connection | {"extra": self._connection["extra"] | extra})

    def add_recordings(self, count: int) -> list[str]:
        """Recordings that go on until they are ended."""
        # All in one request: ten thousand of them take a while.
        wanted = {"recordings": [{"files": 1}] * count}
        answer = httpx.post(f"{self.url}/_control/seed", json=wanted, timeout=60.0, trust_env=False)
        recording_ids: list[str] = answer.raise_for_status().json()["recording_ids"]
        return recording_ids

    def cpu_seconds(self) -> float:
        """What it has taken of processors so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def calls(self) -> Calls:
        """All calls so far, oldest first."""
        today = datetime.now().astimezone()
        lines = (line.split() for line in self._log.read_text().splitlines())
        return Calls([_call(today, line) for line in lines if len(line) == 4 and line[1] == ACTION])

    def count(self) -> int:
        """How many calls there were so far."""
        return self._log.read_bytes().count(ACTION.encode())

    def _read_greeting(self) -> str:
        assert self._process.stdout
        lines: list[str] = []
        give_up_at = time.monotonic() + START_SECONDS
        while not (lines and lines[-1].startswith("Stop with")):
            line = self._process.stdout.readline()
            if not line or time.monotonic() > give_up_at:
                raise RuntimeError(f"the emulator did not start: {self._log.read_text()}")
            lines.append(line)
        return next(line for line in lines if "AIRFLOW_CONN" in line)


def _call(today: datetime, words: Sequence[str]) -> Call:
    """Read a line of the log, which has no date: a time later than now was yesterday's."""
    hour, minute, second = map(int, words[0].split(":"))
    at = int(today.replace(hour=hour, minute=minute, second=second, microsecond=0).timestamp())
    return Call(at if at <= today.timestamp() else at - 86_400, words[2], words[3])


def known_of(truth: Mapping[str, Any], seen_at: datetime) -> dict[str, Any]:
    """What a worker knows of a recording after one poll at that time, as JSON."""
    files = tuple(
        RecordedFile(file["FileName"], file["UserId"] or None, file["TrackType"], file["BeginTimeStamp"])
        for file in truth["files"]
    )
    recording_id = truth["recording_id"]
    return to_json(learn(JobState(recording_id), Snapshot(recording_id, truth["status"], files), seen_at))
