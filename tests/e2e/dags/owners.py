"""One DAG for each way to own a recording and each mode: the task starts the recording itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_trtc.operators import TrtcRecordRoomOperator, TrtcRunJobOperator

LONG: dict[str, Any] = {"timeout": 1800, "storage": "cos://lessons-1250000000/math?region=ap-guangzhou"}

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "poke_interval": 2},
    "reschedule": {"mode": "reschedule", "poke_interval": 2},
    "deferrable": {"deferrable": True, "poke_interval": 2},
}

VARIANTS: dict[str, dict[str, Any]] = {
    "owned": {},
    "owned_short": {"timeout": 30},
    "owned_limited": {"execution_timeout": timedelta(seconds=30)},
    "owned_retried": {"retries": 1, "retry_delay": timedelta(seconds=1)},
    "owned_patient": {"retries": 1, "retry_delay": timedelta(minutes=30)},
    "lesson": {"stop_after": 25},
}


def dag(name: str) -> DAG:
    return DAG(name, schedule=None, catchup=False, max_active_runs=100, max_active_tasks=100)


for mode, mode_options in MODES.items():
    for variant, options in VARIANTS.items():
        with dag(f"{variant}_{mode}") as single:
            TrtcRecordRoomOperator(
                task_id="wait",
                room_id="{{ dag_run.conf['room_id'] }}",
                room_id_type="string",
                **LONG | mode_options | options,
            )
        globals()[single.dag_id] = single

    with dag(f"owned_mapped_{mode}") as mapped:
        TrtcRecordRoomOperator.partial(task_id="wait", **LONG | mode_options).expand(room_id=[71, 72])
    globals()[mapped.dag_id] = mapped

    for variant in ("owned", "owned_retried"):
        with dag(f"job_{variant}_{mode}") as job:
            TrtcRunJobOperator(
                task_id="wait",
                kind="ai_transcription",
                room_id="{{ dag_run.conf['room_id'] }}",
                room_id_type="string",
                timeout=1800,
                **mode_options | VARIANTS[variant],
            )
        globals()[job.dag_id] = job
