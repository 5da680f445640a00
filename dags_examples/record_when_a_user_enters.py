r"""Record every room from the moment its first user enters: a callback starts the DAG, which records it.

101 is "room created", which happens when the first user enters; 103, "user entered", would start a run for
each user. The recording ends when the room has been empty for MaxIdleTime. The room callbacks of the
application have to be set up (see airflow_trtc/docs/callbacks.md).

If a room is opened again before MaxIdleTime has passed, a second run begins while the first still records.
All runs use the same robot, so the service ends the older recording of the room, and no minute is recorded
twice. The first run then hands on its files up to that moment.

Try it without an account, with Airflow 3.3 at http://127.0.0.1:8080. This prints the connection to export
before Airflow starts, its callback key included:

    python -m airflow_trtc.emulator --room-events \
        --callback-url http://127.0.0.1:8080/trtc/callbacks/trtc_default

Unpause the DAG, let a user enter a room, and let her leave it a minute later:

    curl -s http://127.0.0.1:8765/_control/room -d '{"room_id": "8001", "enter": ["alice"]}'
    curl -s http://127.0.0.1:8765/_control/room -d '{"room_id": "8001", "leave": ["alice"]}'

A room whose callback was lost can be given by hand:

    airflow dags trigger trtc_record_when_a_user_enters --conf '{"room_id": 8001}'
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, PartitionedAssetTimetable, get_current_context, task

from airflow_trtc.assets import events
from airflow_trtc.operators import TrtcRecordRoomOperator

ROOM_CREATED = events(101)

with DAG(
    "trtc_record_when_a_user_enters",
    schedule=PartitionedAssetTimetable(assets=ROOM_CREATED),
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example", "callbacks"],
) as dag:

    @task
    def created() -> int | str:
        """Return the room: a number for a numeric one, a text for a string room, as the callback has it."""
        context = get_current_context()
        by_hand = context["dag_run"].conf or {}
        room_id: int | str
        if "room_id" in by_hand:
            room_id = by_hand["room_id"]
        else:
            (event,) = context["triggering_asset_events"][ROOM_CREATED]
            room_id = event.extra["event"]["EventInfo"]["RoomId"]
        return room_id

    @task
    def process(file: dict[str, Any]) -> str:
        """Stand in for your work on one file: it is in your bucket under this key."""
        object_key: str = file["object_key"]
        return object_key

    record = TrtcRecordRoomOperator(
        task_id="record",
        room_id=created(),
        storage="cos://lessons-1250000000/rooms?region=ap-guangzhou",
        record_params={"RecordMode": 2, "MaxIdleTime": 30},
        user_id="recorder",  # one robot for all runs: no room is recorded twice
        fail_on=["start", "upload", "lingering", "mp4", "vod"],  # not "interrupted": another run took over
        deferrable=True,
        retries=2,
        timeout=24 * 60 * 60,
    )
    process.expand(file=record.output)
