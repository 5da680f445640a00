"""Work on every file of every recording that is in VOD; callbacks start it (Airflow 3.3 and later)."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.assets import finished_recordings
from airflow_trtc.operators import TrtcTriggeringRecordingOperator

try:
    from airflow.sdk import PartitionedAssetTimetable
except ImportError:  # Airflow 3.1
    PartitionedAssetTimetable = None  # type: ignore[assignment, misc]

if PartitionedAssetTimetable is not None:
    in_vod = PartitionedAssetTimetable(assets=finished_recordings(wait_for="vod"))
    with DAG("trtc_demo_vod", schedule=in_vod):

        @task
        def process_vod(file: dict[str, Any]) -> dict[str, Any]:
            """Stand for the work on one file."""
            print(f"{file['vod_file_id']} of {file['user_id']}, from {file['begin_at']} to {file['end_at']}")
            return file

        recording = TrtcTriggeringRecordingOperator(task_id="recording_vod")
        process_vod.expand(file=recording.output)
