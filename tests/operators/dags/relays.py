"""DAGs that publish rooms to CDNs."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.operators import TrtcStartRelayOperator, TrtcStopRelayOperator, TrtcUpdateRelayOperator

URL = "rtmp://cdn.example/live/lesson"
LISTS = {"SubscribeAudioList": [{"UserInfo": {"UserId": "alice"}}]}

with DAG("relay_whole", schedule=None, params={"room": 8001, "url": URL}) as whole:
    started = TrtcStartRelayOperator(
        task_id="start", room_id="{{ params.room }}", room_id_type="numeric", urls="{{ params.url }}"
    )
    updates = TrtcUpdateRelayOperator.partial(task_id="update", job_id=started.output).expand(
        audio=[LISTS, {"SubscribeAudioList": []}, LISTS]
    )
    updates >> TrtcStopRelayOperator(task_id="stop", job=started.output["job"])

with DAG("relay_set_up", schedule=None, params={"fails": False}) as set_up:
    begin = TrtcStartRelayOperator(task_id="start", room_id=8001, urls=URL)
    end = TrtcStopRelayOperator(task_id="stop", job=begin.output["job"])

    @task
    def work(params: dict[str, Any] | None = None) -> None:
        if params and params["fails"]:
            raise RuntimeError("the work failed")

    begin.as_setup() >> work() >> end.as_teardown(setups=begin)

with DAG("relay_again", schedule=None) as again:
    begun = TrtcStartRelayOperator(task_id="start", room_id=8001, urls=URL, retries=1)
    TrtcUpdateRelayOperator(task_id="update", job=begun.output["job"], audio=LISTS, retries=3)
