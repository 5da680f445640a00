"""One DAG for each mode and some kinds of jobs on which callbacks report, whose id comes with the conf."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG

from airflow_trtc.operators import TrtcStartRelayOperator
from airflow_trtc.sensors import TrtcJobSensor

INTERVAL = float(os.environ.get("WAITS_INTERVAL_SECONDS", "1"))
SHORT = 6 * INTERVAL

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "impatient": {"callback_timeout": SHORT},
    "lenient": {"fail_on": ["start"]},
    "short": {"timeout": SHORT},
}
KINDS = ("relay", "slicing", "moderation", "ai_transcription", "web_recording")

for mode, mode_options in MODES.items():
    for kind in KINDS:
        for variant, options in VARIANTS.items() if kind == "relay" else [("plain", {})]:
            with DAG(f"report_{kind}_{mode}_{variant}", schedule=None, catchup=False) as dag:
                TrtcJobSensor(
                    task_id="wait",
                    kind=kind,
                    job_id="{{ dag_run.conf['job_id'] }}",
                    poke_interval=INTERVAL,
                    grace_seconds=INTERVAL,
                    settle_seconds=2 * INTERVAL,
                    **{"timeout": 60, **mode_options, **options},
                )
            globals()[dag.dag_id] = dag

    with DAG(f"relayed_{mode}", schedule=None, catchup=False) as dag:
        start = TrtcStartRelayOperator(
            task_id="start", room_id=8001, urls="{{ dag_run.conf['urls'] }}", max_idle_seconds=86400
        )
        TrtcJobSensor(
            task_id="wait",
            kind="relay",
            job_id=start.output,
            poke_interval=INTERVAL,
            settle_seconds=2 * INTERVAL,
            timeout=60,
            **mode_options,
        )
    globals()[dag.dag_id] = dag
