"""A DAG that acts on many rooms: a task for each of them removes users, and one dismisses it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.operators import TrtcDismissRoomOperator, TrtcRemoveUsersOperator


@task
def guests(dag_run: Any = None) -> list[dict[str, Any]]:
    """Return whom to remove from which room."""
    first, count, users = (dag_run.conf[name] for name in ("first", "rooms", "users"))
    ids = [f"guest-{number}" for number in range(users)]
    return [{"room_id": first + number, "user_ids": ids} for number in range(count)]


@task
def rooms(dag_run: Any = None) -> list[int]:
    """Return the rooms to dismiss."""
    first, count = dag_run.conf["first"], dag_run.conf["rooms"]
    return [first + number for number in range(count)]


with DAG(
    "act_on_rooms",
    schedule=None,
    catchup=False,
    max_active_tasks=100,
    default_args={"retries": 0, "retry_delay": timedelta(seconds=1)},
):
    # No retries: a task that fails of throttling is to be seen. A room without guests has its host.
    removed = TrtcRemoveUsersOperator.partial(task_id="remove").expand_kwargs(guests())
    dismissed = TrtcDismissRoomOperator.partial(task_id="dismiss", trigger_rule="all_done")
    removed >> dismissed.expand(room_id=rooms())
