"""Wait for one recording, then run one task for each of its files.

The program that starts the recording triggers this DAG with the id that CreateCloudRecording returned.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This puts a recording in that grows for a minute, and triggers the DAG with its id:

    airflow dags trigger trtc_wait_and_fan_out --conf "$(curl -s http://127.0.0.1:8765/_control/seed -d '{
        "files": 4, "file_every_seconds": 10, "ends_after_seconds": 60}')"

The same DAG waits for real recordings as soon as trtc_default is a connection to your account.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.sensors import TrtcRecordingSensor

with DAG(
    "trtc_wait_and_fan_out",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "recording_id": Param(
            type="string",
            minLength=1,
            title="Recording id",
            description="The TaskId that CreateCloudRecording returned. Start waiting while it runs.",
        )
    },
) as dag:
    # What the page of the task calls each of its instances, instead of 0, 1, 2.
    names = "{% set file = task.op_kwargs.file %}{{ file.track_type }} of {{ file.user_id or 'all' }}"

    @task(map_index_template=names)
    def process(file: dict[str, Any]) -> str:
        """Stand in for your work on one file: it is in your bucket under this key."""
        object_key: str = file["object_key"]
        return object_key

    @task
    def report(recording: dict[str, Any], object_keys: Any) -> str:
        """Sum up what became of the recording, once all its files are done."""
        return f"{recording['outcome']}: {', '.join(object_keys)}"

    wait = TrtcRecordingSensor(
        task_id="wait",
        recording_id="{{ params.recording_id }}",
        deferrable=True,
        poke_interval=10,
        timeout=24 * 60 * 60,  # longer than any recording you expect
    )
    report(wait.output["recording"], process.expand(file=wait.output))
