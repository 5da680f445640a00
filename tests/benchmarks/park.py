"""Defers all tasks of a run as if a worker had: ``park RUN_ID``, options as input, Airflow's environment.

A worker takes seconds of a processor for each task, so a thousand would take half an hour.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.triggers.base import BaseTrigger
from airflow.utils.session import create_session
from sqlalchemy import select, update

from airflow_trtc.triggers import TrtcJobTrigger
from airflow_trtc.waiting.arguments import WaitArguments
from tests.benchmarks.emulation import known_of
from tests.benchmarks.probes import BlockTrigger, SleepingTrigger

LONG_SECONDS = 36_000.0


def park(
    run_id: str,
    recordings: Sequence[dict[str, Any]],
    *,
    kind: str = "ours",
    blocks_path: str | None = None,
    **options: Any,
) -> None:
    """Defer task number n of the run to wait for recording number n, after one poll of it.

    :param recordings: what the emulator knows of each.
    :param kind: `ours`, or `plain` for triggers that only sleep.
    :param blocks_path: the task after the last recording's measures the event loop and writes it there.
    :param options: arguments of our trigger.
    """
    now = time.time()
    task = (TaskInstance.run_id == run_id, TaskInstance.task_id == "wait")
    with create_session() as session:
        # Columns only: with each whole task instance its run would be loaded too.
        found = session.execute(select(TaskInstance.id, TaskInstance.map_index).where(*task)).all()
        # What measures the event loop comes first, to see the others start.
        for task_id, number in sorted(found, key=lambda row: -row.map_index):
            if number < len(recordings):
                made = trigger_of(kind, recordings[number], now, number / len(recordings), **options)
            else:
                made = BlockTrigger(path=str(blocks_path))
            trigger = Trigger.from_object(made)
            session.add(trigger)
            session.flush()
            session.execute(
                update(TaskInstance)
                .where(TaskInstance.id == task_id)
                .values(
                    trigger_id=trigger.id,
                    state="deferred",
                    start_date=datetime.now(timezone.utc),
                    next_method="execute_complete",
                    next_kwargs={},
                )
            )


def trigger_of(
    kind: str,
    recording: dict[str, Any],
    now: float,
    place: float,
    *,
    poke_interval: float,
    seen_ago: float = 0.0,
    **options: Any,
) -> BaseTrigger:
    """One trigger.

    :param place: from 0 to 1; workers do not poll all recordings at once either.
    :param seen_ago: seconds since the recording was seen first.
    """
    if kind == "plain":
        return SleepingTrigger(recording_id=recording["recording_id"], seconds=LONG_SECONDS)
    seen_at = datetime.fromtimestamp(now - seen_ago, timezone.utc)
    arguments = WaitArguments(  # which refuses a name that is none
        kind="recording",
        job_id=recording["recording_id"],
        poke_interval=poke_interval,
        state=known_of(recording, seen_at),
        is_recalled=True,
        deferred_at=now - poke_interval * place,
        try_number=1,
        started_at=now,
        **options,
    )
    return TrtcJobTrigger(**arguments.to_json())


if __name__ == "__main__":
    park(sys.argv[1], **json.load(sys.stdin))
