"""A sensor that never gets a worker: its tasks stay where the benchmark puts them."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.sensors import TrtcRecordingSensor

with DAG("parked", schedule=None, catchup=False, max_active_tasks=5000) as parked:

    @task
    def places(dag_run: Any = None) -> list[str]:
        """Return one text a task; which recording it waits for, its trigger knows.

        Not the ids from the configuration of the run: Airflow loads that with each task instance again.
        """
        return [str(number) for number in range(dag_run.conf["count"])]

    TrtcRecordingSensor.partial(task_id="wait", deferrable=True, pool="closed").expand(recording_id=places())
