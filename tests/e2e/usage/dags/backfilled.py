"""Each day's usage into a table of each kind of target, however often a task is killed."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_trtc.operators import TrtcUsageOperator

TARGETS = {
    "sqlite": {"sql_conn_id": "lite"},
    "postgresql": {"sql_conn_id": "pg", "table": "usage.trtc_usage"},
    "parquet": {"path": os.environ.get("USAGE_FOLDER", "file:///nowhere"), "file_format": "parquet"},
}

with DAG(
    "backfilled",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 50, "retry_delay": timedelta(seconds=1)},
):
    for name, target in TARGETS.items():
        TrtcUsageOperator(task_id=name, usage="trtc", **target)
