"""DAGs that act on rooms."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_trtc.operators import (
    TrtcBlockUserOperator,
    TrtcDismissRoomOperator,
    TrtcRemoveUsersOperator,
)

with DAG("dismiss_many", schedule=None) as many_rooms:

    @task
    def rooms() -> list[int]:
        return list(range(1, 31))

    TrtcDismissRoomOperator.partial(task_id="dismiss").expand(room_id=rooms())

with DAG("remove_by_template", schedule=None, params={"room": "1", "users": []}) as templated:

    @task
    def users() -> list[str]:
        return ["dave"]

    TrtcRemoveUsersOperator(
        task_id="from_conf",
        room_id="{{ params.room }}",
        room_id_type="numeric",
        user_ids="{{ params.users | tojson }}",
    )
    TrtcRemoveUsersOperator(task_id="from_task", room_id="physics", user_ids=users())

with DAG("block_each", schedule=None) as blocked:
    TrtcBlockUserOperator.partial(task_id="block", room_id=8001).expand_kwargs(
        [{"user_id": "alice", "block": "audio"}, {"user_id": "bob", "block": "both"}]
    )

with DAG("remove_or_skip", schedule=None) as removed:

    @task
    def after() -> None:
        pass

    TrtcRemoveUsersOperator(task_id="remove", room_id=8001, user_ids="alice", if_no_room="skip") >> after()
