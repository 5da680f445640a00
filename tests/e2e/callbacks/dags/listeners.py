"""DAGs that wait for callbacks, and DAGs that callbacks start."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, get_current_context, task

from airflow_trtc.assets import events, finished_recordings
from airflow_trtc.operators import TrtcStartRelayOperator
from airflow_trtc.sensors import TrtcJobSensor, TrtcRecordingSensor

# Recordings of this application are worked on by real tasks.
BUSY_APP = 1400000003

# Seconds between polls: too long to be of any use in a test, and often enough to make up for lost callbacks
# within the limit of the service.
PACES = {"patient": 3600, "asking": 15}


def dag(name: str, schedule: Any = None, **options: Any) -> DAG:
    return DAG(name, schedule=schedule, catchup=False, max_active_runs=1000, max_active_tasks=1000, **options)


def on(asset: Asset, name: str, **options: Any) -> DAG:
    return dag(name, PartitionedAssetTimetable(assets=asset), **options)


@task
def recording_ids(dag_run: Any = None) -> list[str]:
    """Return the recordings to wait for."""
    ids: list[str] = dag_run.conf["recording_ids"]
    return ids


@task
def seen() -> dict[str, Any]:
    """Hand on what a task sees of the event that started its run."""
    context = get_current_context()
    ((asset, happened),) = context["triggering_asset_events"].items()
    return {
        "partition_key": context["dag_run"].partition_key,
        "asset": asset.uri,
        "extras": [event.extra for event in happened],
    }


for pace, seconds in PACES.items():
    with dag(f"wait_{pace}") as waits:
        TrtcRecordingSensor.partial(
            task_id="wait", deferrable=True, poke_interval=seconds, timeout=7200
        ).expand(recording_id=recording_ids())
    globals()[waits.dag_id] = waits

for milestone in ("upload", "mp4", "vod"):
    with dag(f"wait_for_{milestone}") as waits:
        TrtcRecordingSensor.partial(
            task_id="wait", deferrable=True, poke_interval=3600, timeout=7200, wait_for=milestone
        ).expand(recording_id=recording_ids())
    globals()[waits.dag_id] = waits

# Nothing answers what became of a relay: in every mode callbacks are all there is.
MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "poke_interval": 2},
    "reschedule": {"mode": "reschedule", "poke_interval": 12},
    "deferrable": {"deferrable": True},
}
with dag("relays") as relays:
    for task_id in ("well", "badly"):
        start = TrtcStartRelayOperator(
            task_id=f"start_{task_id}",
            room_id="{{ dag_run.conf['rooms']['" + task_id + "'] }}",
            room_id_type="numeric",
            urls="{{ dag_run.conf['urls'] | tojson }}",
        )
        for mode, options in MODES.items():
            TrtcJobSensor(
                task_id=f"{task_id}_{mode}", kind="relay", job_id=start.output, timeout=1200, **options
            )

# An empty task needs no worker: hundreds of such runs take seconds.
with on(finished_recordings(), "on_finished") as on_finished:
    EmptyOperator(task_id="nothing")

with on(finished_recordings(sdk_app_id=BUSY_APP), "on_finished_of_one_app") as on_finished_of_one_app:
    seen()

with on(finished_recordings(wait_for="vod"), "on_finished_vod") as on_finished_vod:
    EmptyOperator(task_id="nothing")

with on(events(102), "on_room_dismissed") as on_room_dismissed:
    seen()

with on(events(102), "paused_on_room_dismissed", is_paused_upon_creation=True) as paused_on_room_dismissed:
    EmptyOperator(task_id="nothing")
