"""One run for every recording, from its start: a callback starts it, and polls make up for lost callbacks.

The callback that a recorder has started (301) begins a run; its sensor waits for the end. A callback reports
the end immediately; if that callback is lost, a poll finds the end later. So a recording is missed only if
its very first callback is lost.

Try it without an account, with Airflow 3.3 at http://127.0.0.1:8080. This prints the connection to export
before Airflow starts, its callback key included:

    python -m airflow_trtc.emulator --callback-url http://127.0.0.1:8080/trtc/callbacks/trtc_default

Unpause the DAG, then put a recording in that ends after a minute:

    curl -s http://127.0.0.1:8765/_control/seed -d '{
        "files": 4, "file_every_seconds": 10, "ends_after_seconds": 60}'

A recording whose first callback was lost can be given by hand:

    airflow dags trigger trtc_watch_each_recording --conf '{"recording_id": "..."}'
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, get_current_context, task

from airflow_trtc.assets import events
from airflow_trtc.sensors import TrtcRecordingSensor

RECORDER_STARTED = events(301)

with DAG(
    "trtc_watch_each_recording",
    schedule=PartitionedAssetTimetable(assets=RECORDER_STARTED),
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example", "callbacks"],
) as dag:

    @task
    def started() -> str:
        """Return the id of the recording that started."""
        context = get_current_context()
        by_hand = context["dag_run"].conf or {}
        if "recording_id" in by_hand:
            return str(by_hand["recording_id"])
        (event,) = context["triggering_asset_events"][RECORDER_STARTED]
        return str(event.extra["event"]["EventInfo"]["TaskId"])

    @task
    def process(file: dict[str, Any]) -> str:
        """Stand in for your work on one file: it is in your bucket under this key."""
        object_key: str = file["object_key"]
        return object_key

    wait = TrtcRecordingSensor(
        task_id="wait",
        recording_id=started(),
        deferrable=True,
        poke_interval=60,  # callbacks report the end; this is the safety net
        timeout=24 * 60 * 60,
    )
    process.expand(file=wait.output)
