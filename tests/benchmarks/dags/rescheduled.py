"""Sensors in reschedule mode, one for each recording of the run's configuration."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_trtc.sensors import TrtcRecordingSensor

with DAG("rescheduled", schedule=None, catchup=False, max_active_tasks=1000) as rescheduled:

    @task
    def waits(dag_run=None) -> list[dict[str, object]]:  # type: ignore[no-untyped-def]
        """Return the arguments of each sensor."""
        conf = dag_run.conf
        return [
            {"recording_id": recording_id, "poke_interval": conf["poke_interval"]}
            for recording_id in conf["recording_ids"]
        ]

    TrtcRecordingSensor.partial(task_id="wait", mode="reschedule", deferrable=False).expand_kwargs(waits())
