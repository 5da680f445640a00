"""A sensor that never gets a worker: its tasks stay where the benchmark puts them."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_trtc.sensors import TrtcRecordingSensor

with DAG("parked", schedule=None, catchup=False, max_active_tasks=5000) as parked:

    @task
    def recording_ids(dag_run=None) -> list[str]:  # type: ignore[no-untyped-def]
        """Return the recordings to wait for."""
        ids: list[str] = dag_run.conf["recording_ids"]
        return ids

    TrtcRecordingSensor.partial(task_id="wait", deferrable=True, pool="closed").expand(
        recording_id=recording_ids()
    )
