"""Publish a lesson to a CDN: first a grid of all, then a big picture of the teacher, then the end.

The start is a setup and the stop its teardown: the relay is stopped whatever happens to the tasks in between.
A start that is retried continues with the relay that runs, so nothing is published, and paid, twice. Changes
are numbered, so that a late one does not undo a newer one.

The address has a key in it that lets anybody publish there. Keep it in a variable, here trtc_push_url, and
Airflow neither shows nor logs the key. The connection needs the extra field sdk_secret_key, which signs for
the robot that relays.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This publishes room 8001 for half a minute:

    airflow variables set trtc_push_url 'rtmp://push.example/live/lesson?txSecret=key&txTime=time'
    airflow dags trigger trtc_relay_to_cdn --conf '{"room_id": 8001, "seconds": 15}'

What was started, and for how long it ran:

    curl -s http://127.0.0.1:8765/_control/bill
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.operators import TrtcStartRelayOperator, TrtcStopRelayOperator, TrtcUpdateRelayOperator

PICTURE = {"Width": 1280, "Height": 720, "Fps": 15, "BitRate": 1500, "Gop": 2}
GRID, ONE_BIG = 3, 1  # MixLayoutMode

with DAG(
    "trtc_relay_to_cdn",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    params={
        "room_id": Param(
            8001,
            type="integer",
            minimum=1,
            title="Room",
            description="The numeric room that the clients enter.",
        ),
        "teacher": Param("teacher", type="string", title="Teacher", description="User id of the teacher."),
        "seconds": Param(
            60,
            type="number",
            minimum=0,
            title="Seconds",
            description="How long each half of the lesson takes.",
        ),
    },
) as dag:

    @task(retries=0)
    def half_of_the_lesson(params: dict[str, Any] | None = None) -> None:
        """Stand in for what is published."""
        time.sleep((params or {})["seconds"])

    start = TrtcStartRelayOperator(
        task_id="start",
        room_id="{{ params.room_id }}",
        room_id_type="numeric",  # a template delivers a text, which would be the name of a string room
        urls="{{ var.value.trtc_push_url }}",
        is_tencent_cdn=True,
        video={"VideoEncode": PICTURE, "LayoutParams": {"MixLayoutMode": GRID}},
        max_idle_seconds=300,
    )
    spotlight = TrtcUpdateRelayOperator(
        task_id="spotlight",
        job=start.output["job"],
        video={
            "VideoEncode": PICTURE,
            "LayoutParams": {
                "MixLayoutMode": ONE_BIG,
                "MaxVideoUser": {"UserMediaStream": {"UserInfo": {"UserId": "{{ params.teacher }}"}}},
            },
        },
    )
    stop = TrtcStopRelayOperator(task_id="stop", job=start.output["job"])
    first, second = (half_of_the_lesson.override(task_id=name)() for name in ("first_half", "second_half"))
    start >> first >> spotlight >> second >> stop.as_teardown(setups=start)
