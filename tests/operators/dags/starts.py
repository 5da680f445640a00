"""DAGs that start recordings."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.operators import TrtcStartRecordingOperator, TrtcStopRecordingOperator
from airflow_trtc.sensors import TrtcRecordingSensor

COS = "cos://b-1250000000/lessons/math?region=ap-guangzhou"
WHOLE: dict[str, Any] = {"task_id": "start", "room_id": 5, "storage": "vod"}

with DAG("start_with_a_signature", schedule=None) as signed:
    SIGNATURE = "{{ ['eJwx', 'signature', 'of', dag_run.run_id[:6]] | join('-') }}"
    TrtcStartRecordingOperator(**WHOLE, user_id="robot", user_sig=SIGNATURE)
    TrtcStartRecordingOperator.partial(task_id="each", storage="vod", user_id="robot").expand_kwargs(
        [{"room_id": 7, "user_sig": SIGNATURE}]
    )


with DAG("start_wait_stop", schedule=None, params={"rooms": [1, 2]}) as whole:
    started = TrtcStartRecordingOperator(
        task_id="start", room_id="{{ params.rooms[0] }}", room_id_type=1, storage=COS
    )
    wait = TrtcRecordingSensor(task_id="wait", recording=started.output["recording"], timeout=20)
    stop = TrtcStopRecordingOperator(task_id="stop", recording=started.output["recording"])
    by_id = TrtcRecordingSensor(
        task_id="wait_by_id", recording_id=started.output, timeout=20, if_never_seen="finish"
    )
    wait >> [by_id, stop]

with DAG("start_many", schedule=None) as many:
    each = TrtcStartRecordingOperator.partial(task_id="start", storage=COS).expand(room_id=[1, 2])

    @task
    def handed_on(ti: Any = None) -> list[Any]:
        return list(ti.xcom_pull(task_ids="start", key="recording"))

    listed = handed_on()
    each >> listed
    waits = TrtcRecordingSensor.partial(task_id="wait", timeout=20).expand(recording=listed)
    waits >> TrtcStopRecordingOperator.partial(task_id="stop").expand(recording_id=each.output)

with DAG("start_in_a_set_up", schedule=None, params={"fails": False}) as set_up:
    begin = TrtcStartRecordingOperator(**WHOLE)
    end = TrtcStopRecordingOperator(task_id="stop", recording=begin.output["recording"])

    @task
    def work(params: dict[str, Any] | None = None) -> None:
        if params and params["fails"]:
            raise RuntimeError("the work failed")

    begin.as_setup() >> work() >> end.as_teardown(setups=begin)

with DAG("two_set_ups", schedule=None) as two_set_ups:

    @task
    def other() -> None:
        pass

    bad = TrtcStartRecordingOperator(task_id="start", room_id=5, storage="s3://b?region=us-east-1")
    good: Any = other().as_setup()
    by_id_too = TrtcStopRecordingOperator(task_id="stop_id", recording_id=bad.output)
    by_xcom = TrtcStopRecordingOperator(task_id="stop", recording=bad.output["recording"])
    bad.as_setup()
    [good, bad] >> by_xcom.as_teardown(setups=[good, bad])
    [good, bad] >> by_id_too.as_teardown(setups=[good, bad])

with DAG("start_again", schedule=None) as again:
    TrtcStartRecordingOperator(**WHOLE, retries=1)
