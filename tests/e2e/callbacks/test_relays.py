"""Waits for relays, of which nothing is known but what callbacks report."""

from __future__ import annotations

import pytest

from airflow_trtc.jobs.callback import stream_name
from tests.e2e.callbacks.listening import PATIENCE_SECONDS, Listening

pytestmark = pytest.mark.postgres

MODES = ("poke", "reschedule", "deferrable")
ROOMS = {"well": 8101, "badly": 8102}
KEY = "aKeyWithWhichOthersCouldPublish"
URLS = [f"rtmp://{host}.example/live/lesson?txSecret={KEY}" for host in ("one", "two")]


def test_relays_are_waited_for_by_their_callbacks_in_every_mode(listening: Listening) -> None:
    run_id = listening.airflow.trigger("relays", {"rooms": ROOMS, "urls": URLS})
    ids = {end: until_started(listening, room) for end, room in ROOMS.items()}
    # In each mode one wait begins before anything happens: what comes later has to reach it.
    listening.until(
        lambda: listening.states("relays", run_id).get("deferred", 0) >= len(ids),
        lambda: f"the deferred ones wait: {listening.states('relays', run_id)}",
    )
    first, second = URLS
    listening.emulator.relay(ids["well"], statuses=[3, 2], url=first)
    listening.emulator.relay(ids["well"], statuses=[5, 0])
    listening.emulator.relay(ids["badly"], statuses=[5, 0], url=first)
    listening.emulator.relay(ids["badly"], statuses=[3, 4, 0], url=second)

    assert listening.airflow.wait_for_run("relays", run_id, PATIENCE_SECONDS) == "failed"
    tasks = listening.airflow.task_instances("relays", run_id)
    assert {task["task_id"]: task["state"] for task in tasks} == {
        **{f"start_{end}": "success" for end in ROOMS},
        **{f"{end}_{mode}": "success" if end == "well" else "failed" for end in ROOMS for mode in MODES},
    }
    for mode in MODES:
        summary = listening.airflow.xcom("relays", run_id, f"well_{mode}", "job")
        assert (summary["job_id"], summary["outcome"]) == (ids["well"], "callback")
        assert summary["problems"] == []
        log = listening.airflow.task_log("relays", run_id, f"badly_{mode}")
        assert stream_name(second) in log
        assert KEY not in log


def until_started(listening: Listening, room: int) -> str:
    """Return the id of the relay of a room."""

    def started() -> str | None:
        return next((each["job_id"] for each in listening.emulator.bill(str(room))["jobs"]), None)

    return listening.until(started, lambda: f"a relay of room {room} has started")
