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
from airflow.utils.session import create_session
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from airflow_trtc._compat import has_state_store
from airflow_trtc.jobs.state import from_json
from airflow_trtc.journal.journal import Journal
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.plans import drive
from airflow_trtc.triggers import TrtcJobTrigger
from airflow_trtc.waiting.arguments import WaitArguments
from airflow_trtc.web.processing import database
from tests.benchmarks.emulation import LONG_SECONDS
from tests.benchmarks.probes import BlockTrigger, SleepingTrigger


def park(
    run_id: str,
    known: Sequence[dict[str, Any]],
    *,
    kind: str = "ours",
    blocks_path: str | None = None,
    **options: Any,
) -> None:
    """Defer task number n of the run to wait for job number n, after one poll of it.

    :param known: what the worker knew of each job, as JSON.
    :param kind: `ours`, `plain` for triggers that only sleep, or `few` for one of ours for each kind of job
        among them.
    :param blocks_path: the task after the last job's measures the event loop and writes it there.
    :param options: arguments of our trigger.
    """
    now = time.time()
    waits = [wait_of(each, now, number / len(known), **options) for number, each in enumerate(known)]
    ours = {"plain": 0, "few": len({wait.kind for wait in waits}), "ours": len(waits)}[kind]
    task = (TaskInstance.run_id == run_id, TaskInstance.task_id == "wait")
    with create_session() as session:
        note(session, waits[:ours])
        # Columns only: with each whole task instance its run would be loaded too.
        found = session.execute(select(TaskInstance.id, TaskInstance.map_index).where(*task)).all()
        # What measures the event loop comes first, to see the others start.
        for task_id, number in sorted(found, key=lambda row: -row.map_index):
            if number >= len(waits):
                made: Any = BlockTrigger(path=str(blocks_path))
            elif number < ours:
                made = TrtcJobTrigger(**waits[number].to_json())
            else:
                made = SleepingTrigger(recording_id=waits[number].job_id, seconds=LONG_SECONDS)
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


def wait_of(
    known: dict[str, Any], now: float, place: float, *, poke_interval: float, **options: Any
) -> WaitArguments:
    """What one trigger is given.

    :param place: from 0 to 1; workers do not poll all jobs at once either.
    """
    return WaitArguments(  # which refuses a name that is none
        kind=known.get("kind", "recording"),
        job_id=known["job_id"],
        poke_interval=poke_interval,
        state=known,
        is_recalled=True,
        deferred_at=now - poke_interval * place,
        try_number=1,
        started_at=now,
        **options,
    )


class Kept(dict[str, Any]):
    """A store in memory."""

    set = dict.__setitem__


def note(session: Session, waits: Sequence[WaitArguments]) -> None:
    """Leave in the journal what workers leave there before they defer; below Airflow 3.3 there is none."""
    asset_id = database.journal_asset_id(session) if has_state_store() else None
    if asset_id is None:
        return
    rows = Kept()
    for given in waits:
        journal = Journal(Rows(given.job), is_available=True)
        drive(journal.save(from_json(given.state, given.job_id), only_news=False), rows)
    database.write(session, asset_id, {key: database.encode(value) for key, value in rows.items()})


if __name__ == "__main__":
    park(sys.argv[1], **json.load(sys.stdin))
