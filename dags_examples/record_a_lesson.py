"""Record a room while a lesson takes place, stop whatever happens, and process the files.

The start is a setup and the stop its teardown: the recording is stopped although the lesson's task fails. A
start that is retried continues with the recording that runs, so no room is recorded twice.

The connection needs the extra field sdk_secret_key, which signs for the robot that records. Try it without an
account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This records room 8001 for a minute:

    airflow dags trigger trtc_record_a_lesson --conf '{"room_id": 8001, "seconds": 60}'

The same DAG records real rooms, which costs money, as soon as trtc_default is a connection to your account
and bucket names a bucket of yours.
"""

from __future__ import annotations

import time
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.operators import TrtcStartRecordingOperator, TrtcStopRecordingOperator
from airflow_trtc.sensors import TrtcRecordingSensor

with DAG(
    "trtc_record_a_lesson",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "room_id": Param(
            8001,
            type="integer",
            minimum=1,
            title="Room",
            description="The numeric room that the clients enter.",
        ),
        "bucket": Param(
            "lessons-1250000000",
            type="string",
            title="Bucket",
            description="The bucket in COS, in ap-guangzhou, that the files go to.",
        ),
        "seconds": Param(
            60,
            type="integer",
            minimum=0,
            title="Seconds",
            description="How long the lesson takes.",
        ),
    },
) as dag:

    @task
    def lesson(params: dict[str, Any] | None = None) -> None:
        """Stand in for what is recorded."""
        time.sleep((params or {})["seconds"])

    @task
    def process(file: dict[str, Any]) -> str:
        """Stand in for your work on one file: it is in your bucket under this key."""
        object_key: str = file["object_key"]
        return object_key

    start = TrtcStartRecordingOperator(
        task_id="start",
        room_id="{{ params.room_id }}",
        room_id_type="numeric",  # a template delivers a text, which would be the name of a string room
        storage="cos://{{ params.bucket }}/lessons?region=ap-guangzhou",
        record_params={"RecordMode": 2, "MaxIdleTime": 300},
        retries=3,
    )
    stop = TrtcStopRecordingOperator(task_id="stop", recording=start.output["recording"], retries=3)
    wait = TrtcRecordingSensor(
        task_id="wait",
        recording=start.output["recording"],
        deferrable=True,
        poke_interval=10,
        timeout=24 * 60 * 60,
    )
    start >> lesson() >> stop.as_teardown(setups=start)
    process.expand(file=wait.output)
