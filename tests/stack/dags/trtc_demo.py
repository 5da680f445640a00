"""Wait for three recordings, each in another mode of the sensor, and work on every file that they left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.sensors import TrtcRecordingSensor

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferrable": {"deferrable": True},
}


# What the page of the task calls each of its instances, instead of 0, 1, 2.
NAMES = "{% set file = task.op_kwargs.file %}{{ file.track_type }} of {{ file.user_id or 'all' }}"


@task(map_index_template=NAMES)
def process(file: dict[str, Any]) -> dict[str, Any]:
    """Stand for the work on one file."""
    print(f"{file['object_key']}: {file['track_type']} of {file['user_id'] or 'all'} from {file['begin_at']}")
    return file


with DAG("trtc_demo", schedule=None, params={"recordings": dict.fromkeys(MODES, "")}):
    for name, options in MODES.items():
        wait = TrtcRecordingSensor(
            task_id=f"wait_{name}",
            recording_id=f"{{{{ params.recordings.{name} }}}}",
            poke_interval=5,
            timeout=timedelta(minutes=5).total_seconds(),
            **options,
        )
        process.override(task_id=f"process_{name}").expand(file=wait.output)
