"""A made-up kind of job, one row, and one DAG for each mode that waits for it; the id comes with the conf."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.kinds import KINDS
from airflow_trtc.sensors import TrtcJobSensor

KINDS["made_up"] = JobKind(
    name="made_up",
    describe_action="DescribeMadeUpTask",
    ends_well=frozenset({"Done"}),
    ends_badly=frozenset({"Broken"}),
)

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}

for mode, options in MODES.items():
    with DAG(f"wait_for_job_{mode}", schedule=None, catchup=False) as dag:
        TrtcJobSensor(
            task_id="wait",
            kind="made_up",
            job_id="{{ dag_run.conf['job_id'] }}",
            poke_interval=0.2,
            timeout=60,
            grace_seconds=0.5,
            **options,
        )
    globals()[dag.dag_id] = dag
