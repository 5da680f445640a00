"""Starts with every kind of secret, one of them refused, with all that the SDK and this package can log."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow_trtc.operators import TrtcRecordRoomOperator, TrtcStartRecordingOperator

# Not secret at all: a search for secrets has to find it.
PLANTED_IN_LOG = "planted-in-a-log"
PLANTED_IN_DAG = "planted-1250000000"


class Shown(logging.Handler):
    """Shows records of every level in the task's log, as if Airflow's level were DEBUG."""

    def __init__(self, log: Any) -> None:
        super().__init__(logging.DEBUG)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Show it."""
        self._log.info("%s: %s", record.name, record.getMessage())


class Planting(BaseOperator):
    """For operators that log all they can, and something as if it were a secret."""

    def execute(self, context: Any) -> Any:
        """Plant a text in the log, and open it."""
        self.log.info(PLANTED_IN_LOG)
        for name in ("tencentcloud_sdk_common", "urllib3", "airflow_trtc"):
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            logger.addHandler(Shown(self.log))
        return super().execute(context)


class PlantingStart(Planting, TrtcStartRecordingOperator):
    """Starts a recording."""


class PlantingRoom(Planting, TrtcRecordRoomOperator):
    """Owns a recording."""


ARGUMENTS: dict[str, Any] = {
    "room_id_type": "string",
    "storage": f"cos://{PLANTED_IN_DAG}/math?region=ap-guangzhou",
    "storage_conn_id": "bucket",
    "trtc_conn_id": "trtc_slow",
}

with DAG("secretive", schedule=None, catchup=False, max_active_tasks=100):
    PlantingStart(task_id="start", room_id="{{ dag_run.conf['room_id'] }}-1", **ARGUMENTS)
    PlantingStart(
        task_id="signed",
        room_id="{{ dag_run.conf['room_id'] }}-2",
        user_id="robot-by-hand",
        user_sig="{{ var.value.robot_user_sig }}",
        **ARGUMENTS,
    )
    PlantingStart(
        task_id="refused",
        room_id="{{ dag_run.conf['room_id'] }}-3",
        **ARGUMENTS | {"trtc_conn_id": "trtc_wrong_sdk_key"},
    )
    PlantingRoom(
        task_id="wait",
        room_id="{{ dag_run.conf['room_id'] }}-4",
        deferrable=True,
        poke_interval=2,
        timeout=1800,
        **ARGUMENTS,
    )
