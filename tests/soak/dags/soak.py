"""The DAGs that wait while the cluster suffers; the recording comes with the run's conf, or by event.

Some record a room themselves, which the run's conf names.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from airflow_trtc.assets import finished_recordings
from airflow_trtc.operators import (
    TrtcRecordRoomOperator,
    TrtcStartRecordingOperator,
    TrtcStopRecordingOperator,
    TrtcTriggeringRecordingOperator,
)
from airflow_trtc.sensors import TrtcRecordingSensor

FINISHED_APP, UPLOADED_APP = 1400000011, 1400000012
SLICES = 2  # tasks for recordings of many files

# A killed worker, and a scheduler that takes a task for dead, cost a try each.
PATIENT = {"retries": 6, "retry_delay": timedelta(seconds=5)}
# No trouble of the plan outlasts so many tries of a start or a stop.
STUBBORN = 15
ROOM: dict[str, Any] = {
    "room_id": "{{ dag_run.conf['room_id'] }}",
    "room_id_type": "numeric",
    "storage": "cos://soak-1250000000/lessons?region=ap-guangzhou",
}
LONG: dict[str, Any] = {"timeout": 4 * 3600, "callback_timeout": 240}
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "poke_interval": 4},
    "reschedule": {"mode": "reschedule", "poke_interval": 30},
    "deferrable": {"deferrable": True, "poke_interval": 5},
}
WAITS: dict[str, list[Any]] = {
    "poke": ["recording"],
    "reschedule": ["recording"],
    "deferrable": ["recording", "upload", "mp4", "vod"],
}


def dag(name: str, schedule: Any = None) -> DAG:
    return DAG(
        name,
        schedule=schedule,
        catchup=False,
        max_active_runs=200,
        max_active_tasks=200,
        default_args=PATIENT,
        is_paused_upon_creation=False,
    )


def sensor(mode: str, wait_for: Any) -> TrtcRecordingSensor:
    return TrtcRecordingSensor(
        task_id="wait",
        recording_id="{{ dag_run.conf['recording_id'] }}",
        sdk_app_id="{{ dag_run.conf['sdk_app_id'] }}",
        wait_for=wait_for,
        **LONG | MODES[mode],
    )


@task
def process(file: dict[str, Any]) -> list[str]:
    """Return the name of the one file."""
    return [file["file_name"]]


@task
def slices(files: list[dict[str, Any]]) -> list[list[str]]:
    """Share all files between few tasks."""
    names = [file["file_name"] for file in files]
    return [part for part in (names[first::SLICES] for first in range(SLICES)) if part]


@task(task_id="process")
def process_slice(names: list[str]) -> list[str]:
    """Return the names of the files."""
    return names


for mode, all_waits in WAITS.items():
    for wait_for in all_waits:
        with dag(f"{mode}_{wait_for}") as waiting:
            process.expand(file=sensor(mode, wait_for).output)
        globals()[waiting.dag_id] = waiting

with dag("deferrable_many") as many:
    process_slice.expand(names=slices(sensor("deferrable", "recording").output))

for name, asset in {
    "on_finished": finished_recordings(sdk_app_id=FINISHED_APP),
    "on_uploaded": finished_recordings(wait_for="upload", sdk_app_id=UPLOADED_APP),
}.items():
    with dag(name, PartitionedAssetTimetable(assets=asset)) as started:
        process.expand(file=TrtcTriggeringRecordingOperator(task_id="wait").output)
    globals()[started.dag_id] = started

for mode in ("poke", "deferrable"):
    with dag(f"{mode}_room") as recording:
        room = TrtcRecordRoomOperator(
            task_id="wait",
            stop_after="{{ dag_run.conf.get('stop_after', '') }}",
            retries=STUBBORN,
            **ROOM | LONG | MODES[mode],
        )
        process.expand(file=room.output)
    globals()[recording.dag_id] = recording

with dag("start_and_stop") as recording_between:

    @task
    def lesson(seconds: str) -> None:
        """What is to be recorded."""
        time.sleep(float(seconds))

    start = TrtcStartRecordingOperator(task_id="start", retries=STUBBORN, **ROOM)
    stop = TrtcStopRecordingOperator(task_id="stop", recording=start.output["recording"], retries=STUBBORN)
    wait = TrtcRecordingSensor(
        task_id="wait", recording=start.output["recording"], **LONG | MODES["deferrable"]
    )
    start >> lesson("{{ dag_run.conf['stop_after'] }}") >> stop.as_teardown(setups=start)
    process.expand(file=wait.output)
