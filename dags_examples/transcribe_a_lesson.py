"""Transcribe a room while a lesson takes place, as one task that never leaves its robot behind.

The task starts the transcription, stops it by the clock and returns its summary. However it ends (cleared,
marked as failed, out of time, its worker killed), the transcription ends with it. The sentences come to your
callback address, or to the clients in the room.

The connection needs the extra field sdk_secret_key, which signs for the robot that listens. Try it without an
account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This transcribes room 8001 for a minute:

    airflow dags trigger trtc_transcribe_a_lesson --conf '{"room_id": 8001, "seconds": 60}'

The same DAG transcribes real rooms, which costs money, as soon as trtc_default is a connection to your
account.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.operators import TrtcRunJobOperator

with DAG(
    "trtc_transcribe_a_lesson",
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
        "language": Param(
            "en",
            type="string",
            title="Language",
            description="What is spoken in the room, as the service names it.",
        ),
        "seconds": Param(
            60,
            type="integer",
            minimum=1,
            title="Seconds",
            description="How long the lesson takes.",
        ),
    },
) as dag:
    transcribe = TrtcRunJobOperator(
        task_id="transcribe",
        kind="ai_transcription",
        room_id="{{ params.room_id }}",
        room_id_type="numeric",  # a template delivers a text, which would be the name of a string room
        parameters={
            "TranscriptionParams": {"MaxIdleTime": 300},
            "RecognizeConfig": {"Language": "{{ params.language }}"},
        },
        stop_after="{{ params.seconds }}",
        deferrable=True,
        poke_interval=10,
        timeout=6 * 60 * 60,
        retries=3,
    )

    @task
    def report(job: dict[str, Any]) -> str:
        """Stand in for your work on the transcript."""
        return f"{job['kind']} {job['job_id']}: {job['outcome']}"

    report(transcribe.output)
