"""Operators: for any action, for recordings and all other jobs, for usage, and for event-driven DAGs."""

from __future__ import annotations

from airflow_trtc.operators.api import TrtcApiOperator
from airflow_trtc.operators.modify import TrtcModifyRecordingOperator
from airflow_trtc.operators.record import TrtcRecordRoomOperator
from airflow_trtc.operators.run_job import TrtcRunJobOperator
from airflow_trtc.operators.start import TrtcStartRecordingOperator
from airflow_trtc.operators.stop import TrtcStopRecordingOperator
from airflow_trtc.operators.triggering import TrtcTriggeringRecordingOperator
from airflow_trtc.operators.usage import TrtcUsageOperator

__all__ = [
    "TrtcApiOperator",
    "TrtcModifyRecordingOperator",
    "TrtcRecordRoomOperator",
    "TrtcRunJobOperator",
    "TrtcStartRecordingOperator",
    "TrtcStopRecordingOperator",
    "TrtcTriggeringRecordingOperator",
    "TrtcUsageOperator",
]
