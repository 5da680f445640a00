"""Defers all tasks of a run as if a worker had: ``park.py RUN_ID OPTIONS``, with Airflow's own environment.

A worker takes seconds of a processor for each task, so a thousand would take half an hour.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timezone
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_trtc.recording.known import Known, learn, to_json
from airflow_trtc.recording.model import RecordedFile, Snapshot
from airflow_trtc.triggers import TrtcRecordingTrigger


def park(run_id: str, recordings: list[dict[str, Any]], *, poke_interval: float, **options: Any) -> None:
    """Defer task number n of the run to wait for recording number n, after one look at it.

    :param recordings: what the emulator knows of each.
    :param poke_interval: seconds, as all further options an argument of the trigger.
    """
    now = time.time()
    with create_session() as session:
        tasks = select(TaskInstance).where(TaskInstance.run_id == run_id, TaskInstance.task_id == "wait")
        for task in session.scalars(tasks):
            recording_id = recordings[task.map_index]["recording_id"]
            trigger = Trigger.from_object(
                TrtcRecordingTrigger(
                    recording_id=recording_id,
                    poke_interval=poke_interval,
                    known=to_json(seen(recordings[task.map_index])),
                    # Workers do not look at all recordings at once either.
                    deferred_at=now - poke_interval * task.map_index / len(recordings),
                    try_number=1,
                    started_at=now,
                    **options,
                )
            )
            session.add(trigger)
            session.flush()
            task.trigger_id = trigger.id
            task.state = "deferred"
            task.start_date = datetime.now(timezone.utc)
            task.next_method = "execute_complete"
            task.next_kwargs = {}


def seen(recording: dict[str, Any]) -> Known:
    """What a worker knows after one look."""
    recording_id = recording["recording_id"]
    files = tuple(
        RecordedFile(file["FileName"], file["UserId"] or None, file["TrackType"], file["BeginTimeStamp"])
        for file in recording["files"]
    )
    snapshot = Snapshot(recording_id, recording["status"], files)
    return learn(Known(recording_id), snapshot, datetime.now(timezone.utc))


if __name__ == "__main__":
    park(sys.argv[1], **json.load(sys.stdin))
