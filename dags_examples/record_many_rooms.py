"""Record a list of rooms at the same time, each by a task of its own, and process the files of each.

The rooms come from an upstream task, as they would from a timetable; here it returns what the run was started
with. A room that fails, or that somebody clears, leaves the others alone, and each is processed as soon as it
has ended. An account records 100 rooms at the same time unless the vendor raises that; a start beyond it
fails, and the retries try again.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This records three rooms for half a minute:

    airflow dags trigger trtc_record_many_rooms --conf '{"room_ids": [8001, 8002, 8003], "minutes": 0.5}'
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task, task_group

from airflow_trtc.operators import TrtcRecordRoomOperator

with DAG(
    "trtc_record_many_rooms",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "room_ids": Param(
            [8001, 8002],
            type="array",
            items={"type": "integer", "minimum": 1},
            minItems=1,
            title="Rooms",
            description="The numeric rooms, one a line.",
        ),
        "minutes": Param(
            45, type="number", exclusiveMinimum=0, title="Minutes", description="For how long to record."
        ),
    },
) as dag:

    @task
    def rooms(params: dict[str, Any] | None = None) -> list[int]:
        """Return the rooms, each once; replace this by a query of your timetable."""
        assert params is not None
        return list(dict.fromkeys(params["room_ids"]))

    @task
    def process(files: list[dict[str, Any]]) -> list[str]:
        """Stand in for your work on the files of one room."""
        return [file["object_key"] for file in files]

    @task_group
    def room(room_id: int) -> None:
        """Record one room, and process its files as soon as they are there."""
        record = TrtcRecordRoomOperator(
            task_id="record",
            room_id=room_id,
            storage="cos://lessons-1250000000/lessons?region=ap-guangzhou",
            stop_after="{{ params.minutes * 60 }}",
            deferrable=True,
            retries=5,
            retry_delay=timedelta(minutes=1),
            timeout=6 * 60 * 60,
        )
        process(record.output)

    room.expand(room_id=rooms())
