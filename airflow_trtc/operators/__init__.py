"""Operators: for any action, rooms, all kinds of jobs, tables of usage and quality, event-driven DAGs."""

from __future__ import annotations

from airflow_trtc.operators.api import TrtcApiOperator
from airflow_trtc.operators.ingest import (
    TrtcStartIngestOperator,
    TrtcStopIngestOperator,
    TrtcUpdateIngestOperator,
)
from airflow_trtc.operators.modify import TrtcModifyRecordingOperator
from airflow_trtc.operators.publishing import (
    TrtcStartRelayOperator,
    TrtcStopRelayOperator,
    TrtcUpdateRelayOperator,
)
from airflow_trtc.operators.quality import TrtcQualityOperator
from airflow_trtc.operators.record import TrtcRecordRoomOperator
from airflow_trtc.operators.rooms import (
    TrtcBlockUserOperator,
    TrtcDismissRoomOperator,
    TrtcRemoveUsersOperator,
)
from airflow_trtc.operators.run_job import TrtcRunJobOperator
from airflow_trtc.operators.start import TrtcStartRecordingOperator
from airflow_trtc.operators.stop import TrtcStopRecordingOperator
from airflow_trtc.operators.triggering import TrtcTriggeringRecordingOperator
from airflow_trtc.operators.usage import TrtcUsageOperator

__all__ = [
    "TrtcApiOperator",
    "TrtcBlockUserOperator",
    "TrtcDismissRoomOperator",
    "TrtcModifyRecordingOperator",
    "TrtcQualityOperator",
    "TrtcRecordRoomOperator",
    "TrtcRemoveUsersOperator",
    "TrtcRunJobOperator",
    "TrtcStartIngestOperator",
    "TrtcStartRecordingOperator",
    "TrtcStartRelayOperator",
    "TrtcStopIngestOperator",
    "TrtcStopRecordingOperator",
    "TrtcStopRelayOperator",
    "TrtcTriggeringRecordingOperator",
    "TrtcUpdateIngestOperator",
    "TrtcUpdateRelayOperator",
    "TrtcUsageOperator",
]
