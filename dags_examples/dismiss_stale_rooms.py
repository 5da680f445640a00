"""Dismiss rooms that have been open for too long: as long as somebody is in one, its minutes cost money.

Once an hour the service is asked for the rooms of the last day that are still open, and each that is older
than allowed is dismissed by a task of its own: everybody in it is sent out, and what records or relays it
ends. A room that is over by then counts as dismissed. However many there are, no task fails of throttling:
each waits for its turn.

The list of rooms is that of call quality (DescribeRoomInfo), which needs a paid dashboard or a monthly
package, and which is minutes behind. It does not say which rooms are numeric: set room_id_type to what your
clients enter. Replace rooms_in_the_last_day by a query of your own bookings where you have them.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This lets somebody into room 8001, and dismisses every room at once:

    curl -s http://127.0.0.1:8765/_control/room -d '{"room_id": "8001", "enter": ["alice"]}'
    airflow dags trigger trtc_dismiss_stale_rooms --conf '{"hours": 0}'
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import TrtcDismissRoomOperator

PAGE_SIZE = 100


def rooms_in_the_last_day(hook: TrtcHook, now: int) -> Iterator[dict[str, Any]]:
    """Yield what the service knows of each room that was open in the last 24 hours."""
    for page in range(10_000):
        answer = hook.call(
            "DescribeRoomInfo",
            {"StartTime": now - 86_400, "EndTime": now, "PageNumber": page, "PageSize": PAGE_SIZE},
        )
        rooms = answer.get("RoomList") or []
        yield from rooms
        if len(rooms) < PAGE_SIZE:
            return


with DAG(
    "trtc_dismiss_stale_rooms",
    schedule="@hourly",
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params={
        "hours": Param(
            12, type="number", minimum=0, title="Hours", description="How long a room may be open."
        ),
        "room_id_type": Param(
            "numeric",
            enum=["numeric", "string"],
            title="Type of rooms",
            description="What your clients enter: numbers, or names.",
        ),
    },
) as dag:

    @task(retries=3)
    def stale_rooms(params: dict[str, Any] | None = None) -> list[str]:
        """Return the rooms that are open for longer than allowed."""
        assert params is not None
        now = int(time.time())
        oldest = now - params["hours"] * 3600
        rooms = rooms_in_the_last_day(TrtcHook(), now)
        stale = [room for room in rooms if not room["IsFinished"] and room["CreateTime"] <= oldest]
        return list(dict.fromkeys(room["RoomString"] for room in stale))

    @task(trigger_rule="none_failed")
    def report(dismissed: list[dict[str, Any]] | None = None) -> str:
        """Stand in for a message to whoever pays."""
        rooms = [room["room_id"] for room in dismissed or () if room["was_there"]]
        return f"dismissed: {', '.join(rooms) or 'none'}"

    dismiss = TrtcDismissRoomOperator.partial(
        task_id="dismiss",
        room_id_type="{{ params.room_id_type }}",
        if_no_room="finish",
        retries=3,
        retry_delay=timedelta(minutes=1),
    ).expand(room_id=stale_rooms())
    report(dismiss.output)
