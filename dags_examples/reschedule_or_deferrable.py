"""The same wait in reschedule mode and deferrable; results and errors are the same.

* **Deferrable** is the one to choose where a triggerer runs, and every usual Airflow has one. All waits
  share one process; a poll starts no task of its own, so polls may come every few seconds.
* **Reschedule** needs no triggerer. Each poll starts a task on a worker, so poll once a minute or less often.
  Below Airflow 3.3 nothing is kept between such polls: there the sensor defers in this mode as well.
* **Poke**, the default of Airflow's sensors, occupies a worker slot for the whole recording. It is for short
  waits only.

Try both without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This puts a recording in that ends after a minute, and triggers one of the DAGs with its id; the other one is
trtc_wait_reschedule:

    airflow dags trigger trtc_wait_deferrable --conf "$(curl -s http://127.0.0.1:8765/_control/seed -d '{
        "files": 4, "file_every_seconds": 10, "ends_after_seconds": 60}')"
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_trtc.sensors import TrtcRecordingSensor

PARAMS = {
    "recording_id": Param(
        type="string",
        minLength=1,
        title="Recording id",
        description="The TaskId that CreateCloudRecording returned. Start waiting while it runs.",
    )
}


@task
def object_keys(files: list[dict[str, Any]]) -> list[str]:
    """Return where the files are in the bucket."""
    return [file["object_key"] for file in files]


with DAG(
    "trtc_wait_deferrable",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params=PARAMS,
) as deferrable_dag:
    deferred_wait = TrtcRecordingSensor(
        task_id="wait",
        recording_id="{{ params.recording_id }}",
        deferrable=True,
        poke_interval=10,
        timeout=24 * 60 * 60,
    )
    object_keys(deferred_wait.output)

with DAG(
    "trtc_wait_reschedule",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params=PARAMS,
) as reschedule_dag:
    rescheduled_wait = TrtcRecordingSensor(
        task_id="wait",
        recording_id="{{ params.recording_id }}",
        deferrable=False,  # also where [operators] default_deferrable says otherwise
        mode="reschedule",
        poke_interval=60,
        timeout=24 * 60 * 60,
    )
    object_keys(rescheduled_wait.output)
