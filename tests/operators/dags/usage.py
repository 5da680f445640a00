"""DAGs that put each day's usage into tables, one for each kind of target."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_trtc.operators import TrtcUsageOperator

TARGETS = {
    "usage_in_sqlite": {"sql_conn_id": "lite"},
    "usage_in_postgresql": {"sql_conn_id": "pg"},
    "usage_in_parquet": {"path": "{{ params.folder }}", "file_format": "parquet"},
}

for dag_id, target in TARGETS.items():
    with DAG(
        dag_id,
        schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai"),
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        params={"folder": ""},
    ) as dag:
        TrtcUsageOperator.partial(task_id="usage", **target).expand(usage=["trtc", "relay"])
    globals()[dag_id] = dag
