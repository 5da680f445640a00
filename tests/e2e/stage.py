"""One Airflow and one emulator for all tests, which run side by side as the actors of one stage.

Most of these tests only wait, each for a minute or so. So a test that asks for `stage` runs in a thread of
its own, from the first such test on; pytest's turn of it only collects what became of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from airflow_trtc.emulator import Emulator
from tests.e2e.shared_airflow import SharedAirflow
from tests.metering import Statsd
from tests.stack.rest import ApiError

MODES = ("poke", "reschedule", "deferrable")

# For what takes seconds on an idle machine, but not on one with two cores and a hundred waits.
PATIENCE_SECONDS = 900.0
POLL_SECONDS = 2.0
REPLACED_WITHIN_SECONDS = 0.1

# Airflow fails tasks that leave and come back within one round of its scheduler, which takes many seconds
# while dozens of processes start on two cores.
STARTS_AT_A_TIME = 4

_Found = TypeVar("_Found")


class Stage:
    """Airflow, the emulator, and the tests that play on them."""

    def __init__(
        self,
        airflow: SharedAirflow,
        emulator: Emulator,
        slow_emulator: Emulator,
        scarce_emulator: Emulator,
        statsd: Statsd,
        *,
        has_journal: bool,
    ) -> None:
        """For the other emulators see the fixtures of these names; `statsd` hears the metrics."""
        self.airflow = airflow
        self.emulator = emulator
        self.slow_emulator = slow_emulator
        self.scarce_emulator = scarce_emulator
        self.statsd = statsd
        self.has_journal = has_journal
        self.is_closed = False
        self._parts: dict[str, _Part] = {}
        self._local = threading.local()
        self._starts = threading.Semaphore(STARTS_AT_A_TIME)
        self._turn = threading.Condition()
        self._busy = 0
        self._is_taken = False
        self._downtimes = 0
        self._is_down = False

    # -- running tests ----------------------------------------------------------------------------

    def raise_curtain(self, items: Sequence[pytest.Function]) -> None:
        """Start the bodies of these tests."""
        self._busy = len(items)
        for item in items:
            self._parts[item.nodeid] = _Part(self._arguments(item), item.obj)
        for part in self._parts.values():
            threading.Thread(target=self._play, args=(part,), name="actor", daemon=True).start()

    def collect(self, item: pytest.Function) -> None:
        """Wait until a test's body has ended; raise what it raised, with a report of what there was."""
        part = self._parts[item.nodeid]
        try:
            part.future.result()
        except Exception:
            item.add_report_section("call", "what there was", part.report)
            raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the stage alone: wait until no other test is busy with it."""
        with self._turn:
            self._leave(lambda: not self._busy and not self._is_taken)
            self._is_taken = True
        try:
            yield
        finally:
            with self._turn:
                self._is_taken = False
                self._come_back()

    @contextmanager
    def without_triggerer(self) -> Iterator[None]:
        """Kill the triggerer once no other test is busy; it starts again when all that want this are done."""
        with self._turn:
            self._downtimes += 1
            self._leave(lambda: self._is_down or not (self._busy or self._is_taken))
            if not self._is_down:
                self._is_taken = self._is_down = True
                self.airflow.kill("triggerer")
        try:
            yield
        finally:
            with self._turn:
                self._downtimes -= 1
                self._come_back()
                if self._downtimes:
                    self._turn.wait_for(lambda: not self._is_down)
                else:
                    self._is_taken = self._is_down = False
                    self.airflow.start("triggerer")
                    self._turn.notify_all()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Need nothing of the stage but the machine: wait until no other test is busy, and hold up none."""
        with self._turn:
            self._leave(lambda: not self._busy)
        try:
            yield
        finally:
            with self._turn:
                self._come_back()

    def _leave(self, until: Callable[[], bool]) -> None:
        """No longer be busy, and wait until this holds."""
        self._busy -= 1
        self._turn.notify_all()
        self._turn.wait_for(until)

    def _come_back(self) -> None:
        self._busy += 1
        self._turn.notify_all()

    def _arguments(self, item: pytest.Function) -> dict[str, Any]:
        given = item.callspec.params if hasattr(item, "callspec") else {}
        return {"stage": self, **given}

    def _play(self, part: _Part) -> None:
        self._local.part = part
        try:
            part.body(**part.arguments)
            part.future.set_result(None)
        except BaseException as error:
            part.report = _said(lambda: self._report(part))
            part.future.set_exception(error)
        finally:
            with self._turn:
                self._busy -= 1
                self._turn.notify_all()

    # -- what tests do ----------------------------------------------------------------------------

    def wait_for_all(self) -> None:
        """Wait until every test that plays has ended, however."""
        for part in self._parts.values():
            part.future.exception()

    def record(self, *steps: dict[str, Any], **options: Any) -> str:
        """A new recording: the options are those of the emulator's `add_recording`, the steps of `script`."""
        recording_id = self.emulator.add_recording(**options)
        if steps:
            self.emulator.script(recording_id, steps)
        return recording_id

    def wait(self, dag_id: str, recording_id: str) -> Wait:
        """Start a run that waits for a recording."""
        return self._run(dag_id, [recording_id], {"recording_id": recording_id})

    def wait_for_each(self, dag_id: str, recording_ids: Sequence[str]) -> Wait:
        """Start a run that is mapped over recordings."""
        return self._run(dag_id, list(recording_ids), {"recording_ids": list(recording_ids)}, map_index=0)

    def start(self, dag_id: str, conf: dict[str, Any]) -> Wait:
        """Start a run, of which nothing is known yet."""
        with self._starts:
            return self._trigger(dag_id, [], conf)

    def own(self, dag_id: str, conf: dict[str, Any], map_index: int = -1) -> Wait:
        """Start a run whose task records a room itself; returns when it shows the recording."""
        wait = self._run(dag_id, [], conf, map_index)
        wait.recording_ids.append(wait.xcom("progress", map_index=map_index)["job_id"])
        return wait

    def assert_recorded_once(self, recording_id: str, starts: int, emulator: Emulator | None = None) -> None:
        """Of all recordings of a room, as the bill has them, only this one runs, and no two ever ran at once.

        :param starts: how many there are; earlier ones were ended by a stop, by the next one, or by the test.
        """
        bill_of = (emulator or self.emulator).bill
        room_id = next(
            line["room_id"] for line in bill_of()["recordings"] if line["recording_id"] == recording_id
        )
        bill = bill_of(room_id)
        lines = sorted(bill["recordings"], key=lambda line: line["created_at"])
        assert bill["running"] == [recording_id], lines
        assert (lines[-1]["recording_id"], len(lines)) == (recording_id, starts), lines
        for earlier, later in pairwise(lines):
            assert earlier["end_reason"] in ("deleted", "replaced", "ended"), earlier
            assert earlier["ended_at"] <= later["created_at"] + REPLACED_WITHIN_SECONDS, (earlier, later)

    def until(
        self, find: Callable[[], _Found | None], what: str, timeout: float = PATIENCE_SECONDS
    ) -> _Found:
        """Poll until something true is found, and return it."""
        give_up_at = time.monotonic() + timeout
        while not (found := find()):
            self.airflow.check_alive()
            if self.is_closed:
                raise RuntimeError("the tests were stopped")
            if time.monotonic() > give_up_at:
                raise AssertionError(f"after {timeout:.0f} s still not true: {what}")
            time.sleep(POLL_SECONDS)
        return found

    def _run(self, dag_id: str, recording_ids: list[str], conf: dict[str, Any], map_index: int = -1) -> Wait:
        with self._starts:
            wait = self._trigger(dag_id, recording_ids, conf)
            self.until(lambda: wait.xcom("progress", map_index=map_index), f"a poll by {dag_id}")
        return wait

    def _trigger(self, dag_id: str, recording_ids: list[str], conf: dict[str, Any]) -> Wait:
        wait = Wait(self, dag_id, self.airflow.trigger(dag_id, conf), recording_ids)
        if (part := getattr(self._local, "part", None)) is not None:
            part.waits.append(wait)
        return wait

    def _report(self, part: _Part) -> str:
        texts = [_said(wait.report) for wait in part.waits]
        for name in self.airflow.components:
            texts.append(f"-- end of the log of {name}:\n{_tail(self.airflow.component_log(name), 25)}")
        return "\n\n".join(texts)


@dataclass
class _Part:
    """One test on its way."""

    arguments: dict[str, Any]
    body: Callable[..., None]
    future: Future[None] = field(default_factory=Future)
    waits: list[Wait] = field(default_factory=list)
    report: str = ""


@dataclass
class Wait:
    """One run of a DAG that waits for recordings."""

    stage: Stage
    dag_id: str
    run_id: str
    recording_ids: list[str]

    @property
    def recording_id(self) -> str:
        (recording_id,) = self.recording_ids
        return recording_id

    # -- waiting for it ---------------------------------------------------------------------------

    def until_known(self, file_count: int, map_index: int = -1) -> dict[str, Any]:
        """Wait until the task shows that it knows so many files, and return what it shows."""

        def shown() -> dict[str, Any] | None:
            value = self.xcom("progress", map_index=map_index)
            return value if value and value["file_count"] >= file_count else None

        return self.stage.until(shown, f"{file_count} files in the progress of {self.dag_id}")

    def until_state(self, *states: str, tries: int = 1, map_index: int = -1) -> dict[str, Any]:
        """Wait until the sensor is in one of these states, in this try or a later one."""

        def arrived() -> dict[str, Any] | None:
            task = self.task(map_index)
            return task if task["state"] in states and task["try_number"] >= tries else None

        return self.stage.until(arrived, f"the sensor of {self.dag_id} is {' or '.join(states)}")

    def end(self, timeout: float = PATIENCE_SECONDS) -> str:
        """Wait until the run has ended, and return how."""
        airflow = self.stage.airflow
        final = ("success", "failed")
        return self.stage.until(
            lambda: state if (state := airflow.run_state(self.dag_id, self.run_id)) in final else None,
            f"the run of {self.dag_id} has ended",
            timeout,
        )

    # -- what it shows ----------------------------------------------------------------------------

    def task(self, map_index: int = -1) -> dict[str, Any]:
        return self.stage.airflow.task_instance(self.dag_id, self.run_id, "wait", map_index)

    def states(self) -> dict[str, str | None]:
        return self.stage.airflow.task_states(self.dag_id, self.run_id)

    def xcom(self, key: str = "return_value", task_id: str = "wait", map_index: int = -1) -> Any:
        return self.stage.airflow.xcom(self.dag_id, self.run_id, task_id, key, map_index)

    def log(self, try_number: int = 1, map_index: int = -1) -> str:
        return self.stage.airflow.task_log(self.dag_id, self.run_id, "wait", try_number, map_index)

    def truth(self) -> dict[str, Any]:
        return self.stage.emulator.truth(self.recording_id)

    def get(self, path: str) -> Any:
        """What Airflow's API says about the sensor under a path."""
        task = f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/wait"
        return self.stage.airflow.api("GET", f"{task}/{path}")

    def processed(self) -> list[dict[str, Any]]:
        """What each task downstream got."""
        tasks = self.stage.airflow.task_instances(self.dag_id, self.run_id)
        indices = sorted(task["map_index"] for task in tasks if task["task_id"] == "process")
        return [self.xcom(task_id="process", map_index=index) for index in indices if index >= 0]

    # -- what is done to it -----------------------------------------------------------------------

    def clear(self) -> None:
        """Let the sensor, and all that follows it, run again."""
        self.stage.airflow.clear(self.dag_id, self.run_id, ["wait"], include_downstream=True)

    def script(self, *steps: dict[str, Any]) -> None:
        """Let the service answer so from now on; see the emulator's `script`."""
        self.stage.emulator.script(self.recording_id, steps)

    # -- what it should have handed on ------------------------------------------------------------

    def assert_handed_on(self, outcome: str, *, file_count: int) -> None:
        """The run succeeded, and handed on every file that was made: each once, and to one task each."""
        assert self.end() == "success", self.states()
        truth = self.truth()
        expected = results(truth)
        assert len(expected) == file_count
        assert self.xcom() == expected
        assert self.processed() == expected
        self.assert_summary(outcome, file_count=file_count)

    def assert_summary(self, outcome: str, *, file_count: int) -> None:
        """The task left a summary of the recording."""
        truth = self.truth()
        summary = self.xcom("recording")
        created_at = datetime.fromtimestamp(truth["created_at"], timezone.utc)
        finished_at = datetime.fromisoformat(summary.pop("finished_at"))
        first_seen_at = summary.pop("first_seen_at")
        if outcome == "never_seen":
            assert first_seen_at is None
        else:
            assert created_at <= datetime.fromisoformat(first_seen_at) <= finished_at
        assert finished_at <= datetime.now(timezone.utc)
        assert summary.pop("polls") >= 1
        assert summary == {
            "recording_id": self.recording_id,
            "sdk_app_id": truth["sdk_app_id"],
            "region": self.stage.emulator.region,
            "outcome": outcome,
            "wait_for": "recording",
            "file_count": file_count,
            "ended_at": None,
            "problems": [],
        }

    def report(self) -> str:
        """Everything that helps to understand what went wrong."""
        lines = [f"-- run {self.run_id} of {self.dag_id}; tasks: {self.states()}"]
        for recording_id in self.recording_ids:
            lines.append(_said(lambda: f"-- truth: {self.stage.emulator.truth(recording_id)}"))  # noqa: B023
        for map_index in range(-1, len(self.recording_ids)):
            lines += self._logs(map_index)
        return "\n".join(lines)

    def _logs(self, map_index: int) -> Iterator[str]:
        try:
            task = self.task(map_index)
        except ApiError:  # no such index
            return
        for number in range(1, task["try_number"] + 1):
            yield f"-- log of try {number} of task wait, map index {map_index}:"
            yield _tail(_said(lambda: self.log(number, map_index)), 60)  # noqa: B023


def index_file(number: int) -> dict[str, Any]:
    """A file as the service lists it."""
    return {
        "UserId": f"anchor_{number}",
        "FileName": f"part_{number}.m3u8",
        "TrackType": "audio",
        "BeginTimeStamp": 1_767_225_600_007 + number,
    }


def results(truth: dict[str, Any]) -> list[dict[str, Any]]:
    """What the sensor should hand on of a recording, in the order in which the files began.

    What only callbacks tell is None: here are none.
    """
    files = sorted(truth["files"], key=lambda file: (file["BeginTimeStamp"], file["FileName"]))
    return [
        {
            "file_name": file["FileName"],
            "format": "hls",
            "user_id": file["UserId"] or None,
            "track_type": file["TrackType"],
            "media_id": None,
            "begin_at": _iso(file["BeginTimeStamp"]),
            "end_at": None,
            "begin_timestamp_ms": file["BeginTimeStamp"],
            "object_key": f"{truth['recording_id']}/{file['FileName']}",
            "vod_file_id": None,
            "vod_url": None,
            "recording_id": truth["recording_id"],
        }
        for file in files
    ]


def _iso(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=rest * 1000).isoformat()


def _said(tell: Callable[[], str]) -> str:
    """A text for a report, which must not fail where the test already has."""
    try:
        return tell()
    except Exception as error:
        return f"({type(error).__name__}: {error})"


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:])
