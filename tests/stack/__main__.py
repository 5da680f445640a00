"""One command that shows the provider at work: ``python -m tests.stack [--cluster] [--keep]``.

A real Airflow waits for recordings of the emulator while they are made, and gives every file to a task. One
more recording goes to VOD, where no poll would ever find its files; callbacks start a DAG for it. With
`--cluster`, the Airflow is one as on several machines, and what is killed of it while it is kept comes back.
Exit code 0 means that the tasks received exactly the files that were recorded.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from airflow_trtc.emulator import DEFAULT_CALLBACK_KEY, Emulator
from tests.stack.comparison import Row, compare, received_file, recorded_file, table
from tests.stack.local_airflow import CLUSTER, LocalAirflow
from tests.versions import HAS_STATE_STORE

DAG_ID = "trtc_demo"
VOD_DAG_ID = "trtc_demo_vod"
VOD = "vod"
DAGS_FOLDER = Path(__file__).parent / "dags"

# One recording for each mode of the sensor. The last file comes long enough before the end for a poll to
# fall in between, as the service lists nothing of a recording that is over. For the same reason none
# ends before it was polled, however slow the machine is.
RECORDINGS: dict[str, dict[str, Any]] = {
    "poke": {
        "participants": ["alice", "bob"],
        "files": 4,
        "file_every_seconds": 4,
        "ends_after_seconds": 26,
        "ends_after_reads": 2,
    },
    "reschedule": {
        "mixed": True,
        "files": 3,
        "file_every_seconds": 5,
        "ends_after_seconds": 28,
        "ends_after_reads": 2,
    },
    "deferrable": {
        "participants": ["carol", "dave", "erin"],
        "files": 6,
        "file_every_seconds": 3,
        "ends_after_seconds": 24,
        "ends_after_reads": 2,
        "exited_seconds": 30,
    },
}
VOD_RECORDING = {"storage": "vod", "participants": ["frank", "grace"], "ends_after_seconds": 15}
RUN_SECONDS = 150

# Passing states that say nothing about this provider.
_DULL_STATES = frozenset({None, "scheduled", "queued"})
_LOG_LINES = 15
# Long enough to see what the others do without a component.
_PAUSE_SECONDS = 10


class Progress:
    """Lines on the terminal: seconds since the beginning, what, how it is; the same line never twice."""

    def __init__(self) -> None:
        """Begin to count the seconds."""
        self._began_at = time.monotonic()
        self._printed: set[tuple[str, str]] = set()

    def tell(self, what: str, state: str) -> None:
        """Print a line, unless it was printed before."""
        if (what, state) not in self._printed:
            self._printed.add((what, state))
            print(f"{time.monotonic() - self._began_at:6.1f} s  {what:<22} {state}", flush=True)


class Demonstration:
    """One run of the demonstration's DAGs on recordings that end meanwhile."""

    def __init__(
        self, airflow: LocalAirflow, emulator: Emulator, progress: Progress, *, has_callbacks: bool
    ) -> None:
        """Take an Airflow and an emulator that are up and know each other."""
        self._airflow = airflow
        self._emulator = emulator
        self._progress = progress
        self._dag_ids = [DAG_ID, *([VOD_DAG_ID] if has_callbacks else [])]
        self._recordings: dict[str, str] = {}
        self._run_ids: dict[str, str] = {}

    def run(self) -> list[Row]:
        """Start recordings and the DAG, watch all to the end, and compare; raises TimeoutError."""
        for dag_id in self._dag_ids:
            self._airflow.unpause(dag_id)
        self._recordings = {
            mode: self._emulator.add_recording(**options) for mode, options in RECORDINGS.items()
        }
        self._run_ids[DAG_ID] = self._airflow.trigger(DAG_ID, conf={"recordings": self._recordings})
        self._progress.tell(f"DAG {DAG_ID}", f"started, one recording for each mode: {', '.join(RECORDINGS)}")
        if VOD_DAG_ID in self._dag_ids:
            self._recordings[VOD] = self._emulator.add_recording(**VOD_RECORDING)
        self._watch()
        return [row for name in self._recordings for row in self._rows(name)]

    def failed_task_logs(self) -> dict[str, str]:
        """The end of the log of each task that failed."""
        return {
            f"{task['task_id']}[{task['map_index']}]": self._log_tail(task)
            for task in self._tasks()
            if task["state"] == "failed"
        }

    def _watch(self) -> None:
        give_up_at = time.monotonic() + RUN_SECONDS
        ended: set[str] = set()
        while ended < set(self._dag_ids):
            self._airflow.check_alive()
            self._tell_recordings()
            self._find_runs()
            for dag_id, run_id in self._run_ids.items():
                state = self._airflow.run_state(dag_id, run_id)
                self._tell_tasks(dag_id, run_id)
                if state in ("success", "failed"):
                    self._progress.tell(f"DAG {dag_id}", state)
                    ended.add(dag_id)
            if time.monotonic() > give_up_at:
                late = ", ".join(sorted(set(self._dag_ids) - ended))
                raise TimeoutError(f"the run of {late} has not ended within {RUN_SECONDS} s")
            time.sleep(0.5)

    def _find_runs(self) -> None:
        """Notice the run that a callback starts."""
        for dag_id in set(self._dag_ids) - set(self._run_ids):
            for run_id in self._airflow.run_ids(dag_id):
                self._run_ids[dag_id] = run_id
                self._progress.tell(f"DAG {dag_id}", "started by a callback")

    def _tasks(self) -> list[dict[str, Any]]:
        return [
            {**task, "dag_id": dag_id, "run_id": run_id}
            for dag_id, run_id in self._run_ids.items()
            for task in self._airflow.task_instances(dag_id, run_id)
        ]

    def _tell_recordings(self) -> None:
        for mode, recording_id in self._recordings.items():
            truth = self._emulator.truth(recording_id)
            files = truth["vod_files"] if mode == VOD else truth["files"]
            what = f"{truth['status']}, files so far: {len(files)}"
            self._progress.tell(f"recording {mode}", what)

    def _tell_tasks(self, dag_id: str, run_id: str) -> None:
        for name, state in self._airflow.task_states(dag_id, run_id).items():
            if state not in _DULL_STATES:
                self._progress.tell(name, str(state))

    def _rows(self, mode: str) -> list[Row]:
        truth = self._emulator.truth(self._recordings[mode])
        recorded = map(recorded_file, truth["vod_files"] if mode == VOD else truth["files"])
        tasks = [
            task
            for task in self._tasks()
            if task["task_id"] == f"process_{mode}" and task["state"] == "success"
        ]
        return compare(recorded, [self._receipt(task) for task in tasks])

    def _receipt(self, task: dict[str, Any]) -> tuple[str, Any]:
        task_id, map_index = task["task_id"], task["map_index"]
        file = self._airflow.xcom(task["dag_id"], task["run_id"], task_id, map_index=map_index)
        return f"{task_id}[{map_index}]", received_file(file)

    def _log_tail(self, task: dict[str, Any]) -> str:
        log = self._airflow.task_log(
            task["dag_id"], task["run_id"], task["task_id"], task["try_number"], task["map_index"]
        )
        return "\n".join(log.splitlines()[-_LOG_LINES:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 if every file arrived, 1 if not, 2 if it could not be carried out."""
    parser = argparse.ArgumentParser(prog="python -m tests.stack", description=__doc__)
    parser.add_argument("--cluster", action="store_true", help="two of each component, with Celery workers")
    parser.add_argument("--keep", action="store_true", help="leave Airflow and the emulator up until Ctrl-C")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _leave)
    try:
        return _demonstrate(CLUSTER if options.cluster else {}, keep=options.keep)
    except KeyboardInterrupt:
        print("interrupted; everything is stopped")
        return 130
    except Exception as error:
        print(f"The demonstration broke off: {error}", file=sys.stderr)
        return 2


def _demonstrate(layout: Mapping[str, Any], *, keep: bool) -> int:
    progress = Progress()
    with Emulator(callback_key=DEFAULT_CALLBACK_KEY) as emulator:
        progress.tell("emulator", f"stands in for the recording service at {emulator.url}")
        environment = {"AIRFLOW_CONN_TRTC_DEFAULT": emulator.connection_json}
        airflow = LocalAirflow(DAGS_FOLDER, env=environment, **layout)
        progress.tell("Airflow", f"starts: {', '.join(airflow.components)}")
        with airflow:
            progress.tell("Airflow", f"ready at {airflow.url}")
            if HAS_STATE_STORE:
                emulator.set_callback(f"{airflow.url}/trtc/callbacks/trtc_default")
            demonstration = Demonstration(airflow, emulator, progress, has_callbacks=HAS_STATE_STORE)
            rows = demonstration.run()
            exit_code = report(rows, demonstration.failed_task_logs())
            airflow.keep_home = exit_code != 0
            if keep:
                _stay(airflow, emulator, progress)
            progress.tell("Airflow", "stops")
    return exit_code


def report(rows: Sequence[Row], failed_task_logs: dict[str, str]) -> int:
    """Print the table and what went wrong; returns 0 only if every file arrived once and no task failed."""
    print("", *table(rows), "", sep="\n")
    for name, log in failed_task_logs.items():
        print(f"Task {name} failed. The end of its log:\n{log}\n")
    wrong = [row for row in rows if not row.is_right]
    if wrong or failed_task_logs or not rows:
        print(
            f"FAILED: {len(wrong)} of {len(rows)} files are not right, {len(failed_task_logs)} tasks failed."
        )
        return 1
    print(f"OK: {len(rows)} files were recorded, and tasks received exactly these.")
    return 0


def _stay(airflow: LocalAirflow, emulator: Emulator, progress: Progress) -> None:
    print(f"\nAirflow   {airflow.url}  user {airflow.username}  password {airflow.password}")
    print(f"emulator  {emulator.url}/_control/recordings/")
    print(f"waits     {airflow.url}/plugin/trtc_recordings\n")
    print("To see what a crash does, end all processes of a component; it comes back after a while:")
    for name in airflow.components:
        print(f"  {name:<14} kill -9 {' '.join(map(str, airflow.pids(name)))}")
    print("Press Ctrl-C to stop all.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            _bring_back(airflow, progress)
            time.sleep(1)
    print()


def _bring_back(airflow: LocalAirflow, progress: Progress) -> None:
    """Start again what was killed, as a supervisor of production does."""
    for name in airflow.ended:
        progress.tell(name, f"was ended; starts again in {_PAUSE_SECONDS} s")
        time.sleep(_PAUSE_SECONDS)
        airflow.kill(name)
        airflow.start(name, wait=False)
        progress.tell(name, f"kill -9 {' '.join(map(str, airflow.pids(name)))}")


def _leave(number: int, frame: FrameType | None) -> None:
    """Turn a request to end into an exception, so that everything started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
