"""Operators: for any action, for recordings and jobs of all other kinds, and for usage and call quality.

Also the one of event-driven DAGs.
"""

from __future__ import annotations

from airflow_trtc.operators.api import TrtcApiOperator
from airflow_trtc.operators.modify import TrtcModifyRecordingOperator
from airflow_trtc.operators.quality import TrtcQualityOperator
from airflow_trtc.operators.record import TrtcRecordRoomOperator
from airflow_trtc.operators.run_job import TrtcRunJobOperator
from airflow_trtc.operators.start import TrtcStartRecordingOperator
from airflow_trtc.operators.stop import TrtcStopRecordingOperator
from airflow_trtc.operators.triggering import TrtcTriggeringRecordingOperator
from airflow_trtc.operators.usage import TrtcUsageOperator

__all__ = [
    "TrtcApiOperator",
    "TrtcModifyRecordingOperator",
    "TrtcQualityOperator",
    "TrtcRecordRoomOperator",
    "TrtcRunJobOperator",
    "TrtcStartRecordingOperator",
    "TrtcStopRecordingOperator",
    "TrtcTriggeringRecordingOperator",
    "TrtcUsageOperator",
]
