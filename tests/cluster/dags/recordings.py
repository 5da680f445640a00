"""DAGs that wait for recordings in each mode of the sensor, start their own, and are started by callbacks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.assets import finished_recordings
from airflow_trtc.operators import TrtcRecordRoomOperator, TrtcTriggeringRecordingOperator
from airflow_trtc.sensors import TrtcRecordingSensor

try:
    from airflow.sdk import PartitionedAssetTimetable
except ImportError:  # Airflow 3.1
    PartitionedAssetTimetable = None  # type: ignore[assignment, misc]

# Callbacks start a DAG for recordings of this application, nobody waits for them.
CALLED_BACK_APP = 1400000003

OWNED_ROOMS = [9001, 9002, 9003, 9004]

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "poke_interval": 3},
    "reschedule": {"mode": "reschedule", "poke_interval": 15},
    "deferrable": {"deferrable": True, "poke_interval": 5},
}
# A killed worker takes its tasks along, and Airflow needs another try for each.
RETRIED: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(seconds=1)}
OPTIONS: dict[str, Any] = {"catchup": False, "max_active_tasks": 100, "default_args": RETRIED}


@task
def process(file: dict[str, Any]) -> dict[str, Any]:
    """Hand the file back, to compare it with what the service recorded."""
    return file


@task
def flatten(recordings: Any) -> list[dict[str, Any]]:
    """Return the files of all recordings."""
    return [file for files in recordings for file in files]


@task
def recording_ids(mode: str, dag_run: Any = None) -> list[str]:
    """Return the recordings to wait for in a mode."""
    ids: list[str] = dag_run.conf[mode]
    return ids


with DAG("wait_in_each_mode", schedule=None, **OPTIONS):
    for mode, options in MODES.items():
        waits = TrtcRecordingSensor.partial(task_id=f"wait_{mode}", timeout=3600, **options).expand(
            recording_id=recording_ids.override(task_id=f"recordings_{mode}")(mode)
        )
        files = flatten.override(task_id=f"files_{mode}")(waits.output)
        process.override(task_id=f"process_{mode}").expand(file=files)

# A triggerer without room for all triggers takes those of these tasks first.
with DAG("own_rooms", schedule=None, **OPTIONS):
    TrtcRecordRoomOperator.partial(
        task_id="own",
        storage="vod",
        deferrable=True,
        poke_interval=5,
        timeout=3600,
        priority_weight=100,
    ).expand(room_id=OWNED_ROOMS)

if PartitionedAssetTimetable is not None:
    finished = PartitionedAssetTimetable(assets=finished_recordings(sdk_app_id=CALLED_BACK_APP))
    with DAG("called_back", schedule=finished, max_active_runs=100, **OPTIONS):
        recording = TrtcTriggeringRecordingOperator(task_id="recording")
        process.override(task_id="process_called_back").expand(file=recording.output)
