"""Sensors that wait in workers, one for each recording of the run's configuration: a DAG for each mode."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.sensors import TrtcRecordingSensor


@task
def waits(dag_run: Any = None) -> list[dict[str, object]]:
    """Return the arguments of each sensor."""
    conf = dag_run.conf
    return [
        {"recording_id": recording_id, "poke_interval": conf["poke_interval"]}
        for recording_id in conf["recording_ids"]
    ]


for dag_id, mode in {"poking": "poke", "rescheduled": "reschedule"}.items():
    with DAG(dag_id, schedule=None, catchup=False, max_active_tasks=1000):
        TrtcRecordingSensor.partial(task_id="wait", mode=mode, deferrable=False).expand_kwargs(waits())
