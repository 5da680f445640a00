"""One run for every room that was dismissed; the same works for each event that the service calls back with.

The room callbacks of the application have to be set up (see airflow_trtc/docs/callbacks.md). 102 is "room
dismissed"; the vendor's pages list the other numbers.

Try it without an account, with Airflow 3.3 at http://127.0.0.1:8080. This prints the connection to export
before Airflow starts, its callback key included:

    python -m airflow_trtc.emulator --callback-url http://127.0.0.1:8080/trtc/callbacks/trtc_default

Unpause the DAG, then dismiss a room:

    python -m airflow_trtc.emulator send-callback --type 102 --room-id 8001

An event that was lost can be given by hand:

    airflow dags trigger trtc_when_a_room_is_dismissed --conf '{"room_id": "8001"}'
"""

from __future__ import annotations

from airflow.sdk import DAG, PartitionedAssetTimetable, get_current_context, task

from airflow_trtc.assets import events
from airflow_trtc.journal.store import JOURNAL

ROOM_DISMISSED = events(102)

with DAG(
    "trtc_when_a_room_is_dismissed",
    schedule=PartitionedAssetTimetable(assets=ROOM_DISMISSED),
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example", "callbacks"],
) as dag:

    @task(inlets=[JOURNAL])  # callbacks are kept as long as some task has this inlet
    def close_the_lesson() -> str:
        """Stand in for what you do when a room is over."""
        context = get_current_context()
        by_hand = context["dag_run"].conf or {}
        if "room_id" in by_hand:
            return f"room {by_hand['room_id']} is over"
        (event,) = context["triggering_asset_events"][ROOM_DISMISSED]
        return f"room {event.extra['event']['EventInfo']['RoomId']} is over"

    close_the_lesson()
