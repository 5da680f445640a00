"""Wait for several recordings at once, then collect the files of all of them.

The ids come from an upstream task, as they would from a table of lessons or meetings; here it returns what
the run was started with. Each recording gets a wait of its own; they wait at the same time.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This puts two recordings in that end after 30 and 60 seconds, and triggers the DAG with their ids:

    airflow dags trigger trtc_wait_for_many --conf "$(curl -s http://127.0.0.1:8765/_control/seed -d '{
        "recordings": [{"ends_after_seconds": 30}, {"ends_after_seconds": 60}]}')"
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.sensors import TrtcRecordingSensor

with DAG(
    "trtc_wait_for_many",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "recording_ids": Param(
            type="array",
            items={"type": "string", "minLength": 1},
            minItems=1,
            title="Recording ids",
            description="One id a line: the TaskIds that CreateCloudRecording returned.",
        )
    },
) as dag:

    @task
    def started(params: dict[str, Any] | None = None) -> list[str]:
        """Return the recordings to wait for, each once; replace this by a query of your own tables."""
        assert params is not None
        return list(dict.fromkeys(params["recording_ids"]))

    @task
    def collect(files_of_each: Any) -> dict[str, list[str]]:
        """Return the object keys of each recording; recordings without files have left no trace here."""
        keys: dict[str, list[str]] = {}
        for files in files_of_each:
            for file in files:
                keys.setdefault(file["recording_id"], []).append(file["object_key"])
        return keys

    waits = TrtcRecordingSensor.partial(
        task_id="wait",
        deferrable=True,
        poke_interval=10,
        timeout=24 * 60 * 60,
        map_index_template="{{ task.recording_id[:16] }}",
    ).expand(recording_id=started())
    collect(waits.output)
