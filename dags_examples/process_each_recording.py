"""One run for every recording whose files are in the bucket: no schedule, no waiting task, no list of ids.

Callbacks start it, so they have to be set up (see airflow_trtc/docs/callbacks.md). The run has the
recording's files and summary at hand, as the sensor would hand them on.

Try it without an account, with Airflow 3.3 at http://127.0.0.1:8080. This prints the connection to export
before Airflow starts, its callback key included:

    python -m airflow_trtc.emulator --callback-url http://127.0.0.1:8080/trtc/callbacks/trtc_default

Unpause the DAG, then put a recording in that ends after a minute:

    curl -s http://127.0.0.1:8765/_control/seed -d '{
        "files": 4, "file_every_seconds": 10, "ends_after_seconds": 60}'

A recording that ended before the DAG was there, or whose callbacks were lost, can be given by hand:

    airflow dags trigger trtc_process_each_recording --conf '{
        "recording_id": "...", "sdk_app_id": 1400000001, "region": "ap-guangzhou"}'
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from airflow_trtc.assets import finished_recordings
from airflow_trtc.operators import TrtcTriggeringRecordingOperator

with DAG(
    "trtc_process_each_recording",
    schedule=PartitionedAssetTimetable(assets=finished_recordings(wait_for="upload")),
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example", "callbacks"],
) as dag:

    @task
    def process(file: dict[str, Any]) -> str:
        """Stand in for your work on one file: it is in your bucket under this key."""
        object_key: str = file["object_key"]
        return object_key

    @task
    def report(recording: dict[str, Any], object_keys: Any) -> str:
        """Sum up what became of the recording, once all its files are done."""
        return f"{recording['recording_id']}: {', '.join(object_keys)}"

    files = TrtcTriggeringRecordingOperator(task_id="files", retries=2)
    report(files.output["recording"], process.expand(file=files.output))
