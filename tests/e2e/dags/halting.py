"""Operators that start a recording and halt in the middle of that, so that a test can end them there.

The run's conf says when (`halt_at`), and whether to wait there for the end, or to fail (`fails`); only the
first try halts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from airflow.sdk import DAG, BaseOperator

from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import TrtcRecordRoomOperator, TrtcStartRecordingOperator
from airflow_trtc.operators.attempt_store import KeptStore

ARGUMENTS: dict[str, Any] = {
    "task_id": "wait",
    "room_id": "{{ dag_run.conf['room_id'] }}",
    "room_id_type": "string",
    "storage": "cos://lessons-1250000000/math?region=ap-guangzhou",
    "trtc_conn_id": "{{ dag_run.conf['conn_id'] }}",
    "retries": 1,
    "retry_delay": timedelta(seconds=1),
}


@contextmanager
def halting(context: Any) -> Iterator[None]:
    """Let the code inside halt at one of these moments."""
    conf, ti = context["dag_run"].conf, context["ti"]
    send, keep = TrtcHook.start, KeptStore.save_if_possible

    def halt(moment: str) -> None:
        if ti.try_number > 1 or conf.get("halt_at") != moment:
            return
        if conf.get("fails"):
            raise RuntimeError(f"as if something had gone wrong: {moment}")
        ti.xcom_push(key="halted", value=moment)
        time.sleep(1800)

    def start(hook: TrtcHook, kind: str, params: Any) -> str:
        halt("before_request")
        recording_id = send(hook, kind, params)
        halt("answered")
        return recording_id

    def save_if_possible(store: Any, attempt: Any) -> None:
        keep(store, attempt)
        halt("handed_on" if attempt.handed_on else "kept")

    with (
        patch.object(TrtcHook, "start", start),
        patch.object(KeptStore, "save_if_possible", save_if_possible),
    ):
        yield


class Halting(BaseOperator):
    """For operators that halt while they start a recording."""

    def execute(self, context: Any) -> Any:
        """See `halting`."""
        with halting(context):
            return super().execute(context)


class HaltingStart(Halting, TrtcStartRecordingOperator):
    """Starts a recording."""


class HaltingRoom(Halting, TrtcRecordRoomOperator):
    """Owns a recording."""


def dag(name: str) -> DAG:
    return DAG(name, schedule=None, catchup=False, max_active_runs=100, max_active_tasks=100)


with dag("halting_start") as start_dag:
    HaltingStart(**ARGUMENTS)
with dag("halting_room") as room_dag:
    HaltingRoom(timeout=1800, deferrable=True, poke_interval=2, **ARGUMENTS)
