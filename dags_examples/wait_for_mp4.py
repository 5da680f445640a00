"""Wait until the mp4 files of a recording are in the bucket; no list of the service ever shows them.

The recording must be started with OutputFormat 1 (hls and mp4) or 3 (mp4), and callbacks have to be set up
(see airflow_trtc/docs/callbacks.md). Recordings in VOD: the same with wait_for="vod".

Try it without an account, with Airflow 3.3 at http://127.0.0.1:8080. This prints the connection to export
before Airflow starts, its callback key included:

    python -m airflow_trtc.emulator --callback-url http://127.0.0.1:8080/trtc/callbacks/trtc_default

This puts a recording in that runs for a minute, and triggers the DAG with its id:

    airflow dags trigger trtc_wait_for_mp4 --conf "$(curl -s http://127.0.0.1:8765/_control/seed -d '{
        "output_format": 1, "participants": 2, "ends_after_seconds": 60}')"
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.sensors import TrtcRecordingSensor

with DAG(
    "trtc_wait_for_mp4",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example", "callbacks"],
    params={
        "recording_id": Param(
            type="string",
            minLength=1,
            title="Recording id",
            description="The TaskId that CreateCloudRecording returned.",
        )
    },
) as dag:

    @task
    def mp4_only(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave the index files out."""
        return [file for file in files if file["format"] == "mp4"]

    @task
    def process(file: dict[str, Any]) -> str:
        """Stand in for your work on one file."""
        return f"{file['object_key']} of {file['user_id'] or 'all'}, until {file['end_at']}"

    wait = TrtcRecordingSensor(
        task_id="wait",
        recording_id="{{ params.recording_id }}",
        wait_for="mp4",
        callback_timeout=timedelta(hours=2),  # longer than the longest conversion you expect
        deferrable=True,
        poke_interval=30,
        timeout=24 * 60 * 60,
    )
    process.expand(file=mp4_only(wait.output))
