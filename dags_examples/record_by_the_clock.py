"""Record the lesson of each Monday at nine, and process its files: one task that owns its recording.

Whatever ends the task, be it a user, a limit or a lost machine, ends the recording too; nothing runs on and
costs money. The recording stops at an instant, the end of the lesson: a run that begins late records the rest
of it, and one that begins when the lesson is over fails and starts nothing.

The connection needs the extra field sdk_secret_key, and permanent keys that may write to the bucket. Without
a start_date, Airflow begins with the next lesson when you unpause the DAG; with one in the past, with the one
before.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This records room 8001 for half a minute, whatever the time:

    airflow dags trigger trtc_record_by_the_clock --conf '{"room_id": 8001, "minutes": 0.5}'

The runs of the schedule take the parameters' defaults: which room, and for how long.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.operators import TrtcRecordRoomOperator

with DAG(
    "trtc_record_by_the_clock",
    schedule="0 9 * * MON",  # by [core] default_timezone
    catchup=False,  # what was not recorded in time is lost
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "room_id": Param(8001, type="integer", minimum=1, title="Room", description="A numeric room."),
        "minutes": Param(
            45, type="number", exclusiveMinimum=0, title="Minutes", description="How long the lesson lasts."
        ),
    },
) as dag:

    @task
    def process(file: dict[str, Any]) -> str:
        """Stand in for your work on one file."""
        return f"{file['object_key']} begins at {file['begin_at']}"

    lesson = TrtcRecordRoomOperator(
        task_id="lesson",
        room_id="{{ params.room_id }}",
        room_id_type="numeric",
        storage="cos://lessons-1250000000/lessons?region=ap-guangzhou",
        stop_after="{{ dag_run.run_after + macros.timedelta(minutes=params.minutes) }}",
        deferrable=True,
        retries=2,
        timeout=6 * 60 * 60,
    )
    process.expand(file=lesson.output)
