"""One DAG for each way to wait and each mode; the recording comes with the run's conf."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from airflow_trtc.kinds import KINDS
from airflow_trtc.sensors import TrtcJobSensor, TrtcRecordingSensor

LONG: dict[str, Any] = {"timeout": 1800}


def limit_the_first_try_only(context: Any) -> None:
    """Take a limit away from later tries.

    The first try is to run into it. What a test does during the second must not be a race against it.
    """
    if context["ti"].try_number > 1:
        context["task"].timeout = LONG["timeout"]
        context["task"].execution_timeout = None


# Every poll in reschedule mode starts a process, which is dear; the others ask in seconds.
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "poke_interval": 2},
    "reschedule": {"mode": "reschedule", "poke_interval": 12},
    "deferrable": {"deferrable": True, "poke_interval": 2},
}

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "finish": {"if_never_seen": "finish"},
    "skip": {"if_never_seen": "skip"},
    "short": {"timeout": 30, "pre_execute": limit_the_first_try_only},
    "short_soft": {"timeout": 30, "soft_fail": True},
    "wrong_key": {"trtc_conn_id": "trtc_wrong_key"},
    "throttle": {"trtc_conn_id": "trtc_throttle"},
    "outage": {"trtc_conn_id": "trtc_outage"},
    "retried": {"retries": 1, "retry_delay": timedelta(seconds=1)},
    "interrupted": {
        "retries": 1,
        "retry_delay": timedelta(seconds=1),
        "execution_timeout": timedelta(seconds=40),
        "pre_execute": limit_the_first_try_only,
    },
}

# Waits for jobs, task id to kind: each kind as it should be, and some that are not.
JOBS = {name: name for name, kind in KINDS.items() if kind.describe_action} | {
    "badly": "speech",
    "unknown_status": "ai_conversation",
    "never_seen": "slicing",
    "throttled": "transcription",
}


def dag(name: str) -> DAG:
    return DAG(name, schedule=None, catchup=False, max_active_runs=100, max_active_tasks=100)


@task
def process(file: dict[str, Any]) -> dict[str, Any]:
    """Hand the file back, to compare it with what the service recorded."""
    return file


@task
def recording_ids(dag_run: Any = None) -> list[str]:
    """Return the recordings to wait for."""
    ids: list[str] = dag_run.conf["recording_ids"]
    return ids


@task
def collect(recordings: Any) -> list[list[dict[str, Any]]]:
    """Return the files of each recording."""
    return [list(files) for files in recordings]


for mode, mode_options in MODES.items():
    for variant, options in VARIANTS.items():
        with dag(f"{variant}_{mode}") as single:
            wait = TrtcRecordingSensor(
                task_id="wait",
                recording_id="{{ dag_run.conf['recording_id'] }}",
                **LONG | mode_options | options,
            )
            process.expand(file=wait.output) >> EmptyOperator(task_id="after", trigger_rule="none_failed")
        globals()[single.dag_id] = single

    with dag(f"mapped_{mode}") as mapped:
        waits = TrtcRecordingSensor.partial(task_id="wait", **LONG | mode_options).expand(
            recording_id=recording_ids()
        )
        collect(waits.output)
    globals()[mapped.dag_id] = mapped

    with dag(f"kinds_{mode}") as kinds:
        for task_id, kind_name in JOBS.items():
            TrtcJobSensor(
                task_id=task_id,
                kind=kind_name,
                job_id=f"{{{{ dag_run.conf['jobs']['{task_id}'] }}}}",
                trtc_conn_id="trtc_throttle" if task_id == "throttled" else "trtc_default",
                **LONG | mode_options | {"grace_seconds": 15},
            )
    globals()[kinds.dag_id] = kinds

# Fifteen of them ask for more than the service takes. Airflow fails tasks that come back before it noticed
# that they had left, which takes it long meanwhile; hence the retries.
with dag("scarce") as scarce:
    TrtcRecordingSensor.partial(
        task_id="wait",
        trtc_conn_id="trtc_scarce",
        retries=3,
        retry_delay=timedelta(seconds=1),
        **LONG | MODES["reschedule"],
    ).expand(recording_id=recording_ids())

# The trigger of each of these knows the end a second after it began.
with dag("quick") as quick:
    TrtcRecordingSensor.partial(task_id="wait", deferrable=True, **LONG | {"poke_interval": 1}).expand(
        recording_id=recording_ids()
    )
