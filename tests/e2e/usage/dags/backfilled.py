"""Each day's usage and call quality into a table of each kind of target, however often a task is killed."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_trtc.operators import TrtcQualityOperator, TrtcUsageOperator

TARGETS = {
    "sqlite": {"sql_conn_id": "lite"},
    "postgresql": {"sql_conn_id": "pg", "table": "usage.trtc_usage"},
    "parquet": {"path": os.environ.get("USAGE_FOLDER", "file:///nowhere"), "file_format": "parquet"},
}

QUALITY = {
    "sqlite": {"what": "users", "sql_conn_id": "lite"},
    "postgresql": {
        "what": "details",
        "data_types": ["aLoss", "rtt"],
        "sql_conn_id": "pg",
        "table": "usage.trtc_call_details",
    },
    "parquet": {"what": "rooms", **TARGETS["parquet"]},
}
DAILY = CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai")
GIVEN = {
    "start_date": datetime(2026, 1, 1, tzinfo=timezone.utc),
    "catchup": False,
    "default_args": {"retries": 50, "retry_delay": timedelta(seconds=1)},
}

with DAG("backfilled", schedule=DAILY, **GIVEN):
    for name, target in TARGETS.items():
        TrtcUsageOperator(task_id=name, usage="trtc", **target)

with DAG("backfilled_quality", schedule=DAILY, **GIVEN):
    for name, options in QUALITY.items():
        TrtcQualityOperator(task_id=name, **options)
