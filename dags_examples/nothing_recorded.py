"""What to do when nothing was recorded: no user came, or the service does not know the recording.

* The recording was seen and ended **without files**, since no user came. The wait succeeds with an empty
  list, and a task mapped over it is skipped.
* **No poll ever showed it.** The id is wrong, or the recording ended before the first poll. That fails a wait
  unless if_never_seen says otherwise: with "finish" this DAG continues as if there were no files,
  with "skip" the other DAG of the file, trtc_skip_if_unknown, skips the wait and what depends on it.
* A task that has to run **in any case** needs the trigger rule none_failed.

Try it without an account. This prints the connection to export before Airflow starts:

    python -m airflow_trtc.emulator

This puts a recording in that is over already, and triggers the DAG with its id; with participants 0 instead
of ended true it is one that no user joins:

    airflow dags trigger trtc_nothing_recorded --conf "$(curl -s http://127.0.0.1:8765/_control/seed -d '{
        "ended": true}')"
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
        description="The TaskId that CreateCloudRecording returned; it may be over already.",
    )
}


@task
def process(file: dict[str, Any]) -> str:
    """Stand in for your work on one file."""
    object_key: str = file["object_key"]
    return object_key


with DAG(
    "trtc_nothing_recorded",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params=PARAMS,
) as finish_dag:

    @task.branch
    def any_files(files: list[dict[str, Any]]) -> str:
        """Choose what comes next."""
        return "process" if files else "tell_the_host"

    @task
    def tell_the_host(recording: dict[str, Any]) -> str:
        """Stand in for a mail or a message."""
        is_unknown = recording["outcome"] == "never_seen"
        why = "the service does not know it" if is_unknown else "it ended without files"
        text = f"Nothing was recorded in {recording['recording_id']}: {why}."
        print(text)
        return text

    @task(trigger_rule="none_failed")
    def close_the_books(recording: dict[str, Any]) -> int:
        """Run in any case; return the number of files."""
        count: int = recording["file_count"]
        return count

    wait = TrtcRecordingSensor(
        task_id="wait",
        recording_id="{{ params.recording_id }}",
        if_never_seen="finish",
        deferrable=True,
        poke_interval=10,
        timeout=24 * 60 * 60,
    )
    summary = wait.output["recording"]
    any_files(wait.output) >> [processed := process.expand(file=wait.output), host := tell_the_host(summary)]
    [processed, host] >> close_the_books(summary)

with DAG(
    "trtc_skip_if_unknown",
    schedule=None,
    catchup=False,
    doc_md=__doc__,
    tags=["trtc", "example"],
    params=PARAMS,
) as skip_dag:
    wait = TrtcRecordingSensor(
        task_id="wait",
        recording_id="{{ params.recording_id }}",
        if_never_seen="skip",
        deferrable=True,
        poke_interval=10,
        timeout=24 * 60 * 60,
    )
    process.expand(file=wait.output)
