"""One DAG for each mode and each way to treat a wait; the recording comes with the run's conf."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_trtc.sensors import TrtcRecordingSensor

# Real components need seconds for everything; `dag.test()` does not, and sets smaller ones.
INTERVAL = float(os.environ.get("WAITS_INTERVAL_SECONDS", "1"))
GRACE = 4 * INTERVAL
SHORT = 6 * INTERVAL

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "finish": {"if_never_seen": "finish"},
    "skip": {"if_never_seen": "skip"},
    "short": {"timeout": SHORT},
    "short_silent": {"timeout": SHORT, "silent_fail": True},
    "short_soft": {"timeout": SHORT, "soft_fail": True},
    "short_never_fail": {"timeout": SHORT, "never_fail": True},
    "soft": {"soft_fail": True},
    "retried": {
        "execution_timeout": timedelta(seconds=12),
        "retries": 1,
        "retry_delay": timedelta(seconds=1),
    },
    "prefixed": {"file_name_prefix": "lessons/{{ dag_run.conf['term'] }}"},
    "never_fail": {"never_fail": True},
    "silent": {"silent_fail": True},
    "wrong_key": {"trtc_conn_id": "trtc_wrong_key"},
    "for_mp4": {"wait_for": "mp4", "settle_seconds": SHORT},
    "for_vod": {"wait_for": "vod", "settle_seconds": SHORT},
    "without_callback": {"wait_for": "vod", "callback_timeout": SHORT, "if_no_callback": "finish"},
    "missing_callback": {"wait_for": "vod", "callback_timeout": SHORT},
    "allowing": {"fail_on": ["start"]},
    "backoff": {"exponential_backoff": True, "max_wait": 2},
    "other_inlets": {"inlets": ["something"]},
}


@task
def process(file: dict[str, Any]) -> dict[str, Any]:
    """Hand the file back, to compare it with what the service recorded."""
    return file


for mode, mode_options in MODES.items():
    for variant, options in VARIANTS.items():
        with DAG(f"wait_{mode}_{variant}", schedule=None, catchup=False) as dag:
            wait = TrtcRecordingSensor(
                task_id="wait",
                recording_id="{{ dag_run.conf['recording_id'] }}",
                **{"poke_interval": INTERVAL, "timeout": 300, "grace_seconds": GRACE, "settle_seconds": GRACE}
                | mode_options
                | options,
            )
            process.expand(file=wait.output)
        globals()[dag.dag_id] = dag

    with DAG(f"wait_{mode}_unmapped", schedule=None, catchup=False) as dag:
        TrtcRecordingSensor(
            task_id="wait",
            recording_id="{{ dag_run.conf['recording_id'] }}",
            poke_interval=INTERVAL,
            timeout=300,
            **mode_options,
        )
    globals()[dag.dag_id] = dag

    with DAG(f"wait_{mode}_native", schedule=None, catchup=False, render_template_as_native_obj=True) as dag:

        @task
        def settling(dag_run: Any = None) -> float:
            """Return for how long to wait after the end."""
            seconds: float = dag_run.conf.get("settle", GRACE)
            return seconds

        wait = TrtcRecordingSensor(
            task_id="wait",
            recording_id="{{ dag_run.conf['recording_id'] }}",
            poke_interval=INTERVAL,
            timeout=timedelta.max,
            grace_seconds="{{ dag_run.conf.get('grace', 1) }}",
            settle_seconds=settling(),
            file_name_prefix=["lessons", "{{ dag_run.conf['year'] }}"],
            region="{{ dag_run.conf.get('region') }}",
            **mode_options,
        )
        process.expand(file=wait.output)
    globals()[dag.dag_id] = dag

    with DAG(f"wait_{mode}_mapped", schedule=None, catchup=False, render_template_as_native_obj=True) as dag:

        @task
        def started(dag_run: Any = None) -> list[str]:
            """Return the ids to wait for."""
            ids: list[str] = dag_run.conf["recording_ids"]
            return ids

        @task
        def collect(recordings: Any) -> list[str]:
            """Return the names of all files of all recordings."""
            return sorted(file["file_name"] for files in recordings for file in files)

        waits = TrtcRecordingSensor.partial(
            task_id="wait", poke_interval=INTERVAL, timeout=300, grace_seconds=GRACE, **mode_options
        ).expand(recording_id=started())
        collect(waits.output)
    globals()[dag.dag_id] = dag
