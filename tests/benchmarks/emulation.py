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
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from airflow_trtc.emulator.client import EmulatorClient
from airflow_trtc.jobs.observation import RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn, to_json
from airflow_trtc.kinds import KINDS
from tests.benchmarks.report import share
from tests.stack.local_airflow import inherited

ACTIONS = {name: kind.describe_action for name, kind in KINDS.items() if kind.describe_action}
"""By the kinds of jobs that can be polled: what they are polled with."""
RUNNING = {"web_recording": "1", "speech": "Processing"}  # what the others answer is InProgress
LONG_SECONDS = 36_000.0
THROTTLED = "RequestLimitExceeded"
GONE = "ResourceNotFound"
START_SECONDS = 20.0


@dataclass(frozen=True)
class Call:
    """One call as the emulator logged it; `at` is the second of the day's clock in which it came, Unix."""

    at: int
    job_id: str
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

    def of(self, job_ids: Iterable[str]) -> Calls:
        """Those for some jobs."""
        wanted = frozenset(job_ids)
        return Calls([call for call in self.calls if call.job_id in wanted])

    def per_second(self) -> Counter[int]:
        """How many came in each second."""
        return Counter(call.at for call in self.calls)


class EmulatorProcess:
    """``python -m airflow_trtc.emulator`` with a request limit; a job that ends is gone at once."""

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
        return self._add("seed", "recording", [{"files": 1}] * count)

    def add_jobs(self, count: int, kinds: Iterable[str] = tuple(ACTIONS)) -> dict[str, str]:
        """Jobs that go on until they are ended, the kinds in turn: id to kind."""
        turns = list(islice(cycle(kinds), count))
        ids = {kind: iter(self._add_kind(kind, number)) for kind, number in Counter(turns).items()}
        return {next(ids[kind]): kind for kind in turns}

    def _add_kind(self, kind: str, count: int) -> list[str]:
        if kind == "recording":
            return self.add_recordings(count)
        lives = [{"kind": kind, "room_id": str(8000 + number)} for number in range(count)]
        return self._add("jobs", "job", [{**life, "ends_after_seconds": LONG_SECONDS} for life in lives])

    def _add(self, path: str, what: str, seeds: Sequence[Mapping[str, Any]]) -> list[str]:
        """Put jobs in, all in one request: ten thousand of them take a while."""
        wanted = {f"{what}s": seeds}
        answer = httpx.post(f"{self.url}/_control/{path}", json=wanted, timeout=60.0, trust_env=False)
        ids: list[str] = answer.raise_for_status().json()[f"{what}_ids"]
        return ids

    def known(self, kinds: Mapping[str, str], seen_at: datetime) -> list[dict[str, Any]]:
        """What a worker knows of each job after one poll at that time, as JSON; ids to kinds."""
        truths = self.controls.state()["recordings"]
        return [
            known_of(truths[job_id], seen_at)
            if kind == "recording"
            else known_of_job(JobRef(kind, **self.place, job_id=job_id), seen_at)
            for job_id, kind in kinds.items()
        ]

    def cpu_seconds(self) -> float:
        """What it has taken of processors so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def calls(self) -> Calls:
        """All polls so far, oldest first."""
        actions = frozenset(ACTIONS.values())
        today = datetime.now().astimezone()
        lines = (line.split() for line in self._log.read_text().splitlines())
        return Calls([_call(today, line) for line in lines if len(line) == 4 and line[1] in actions])

    def count(self) -> int:
        """How many polls of recordings there were so far."""
        return self._log.read_bytes().count(ACTIONS["recording"].encode())

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


def known_of_job(job: JobRef, seen_at: datetime) -> dict[str, Any]:
    """The same of a job of another kind, which goes on."""
    seen = Snapshot(job.job_id, RUNNING.get(job.kind, "InProgress"), ())
    return to_json(learn(JobState(job.job_id), seen, seen_at), job)
