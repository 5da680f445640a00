"""DAGs whose runs the browser tests write into the database; none of these ever runs."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_trtc.sensors import TrtcRecordingSensor

for dag_id in ("mine", "others"):
    with DAG(dag_id, schedule=None):
        TrtcRecordingSensor(task_id="wait", recording_id="rec", deferrable=True)
        TrtcRecordingSensor.partial(task_id="each", deferrable=True).expand(recording_id=["rec-0", "rec-1"])
        EmptyOperator(task_id="other")
