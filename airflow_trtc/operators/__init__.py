"""Operators: they start, change and stop recordings, and read usage and call quality into tables.

Also the one of event-driven DAGs.
"""

from __future__ import annotations

from airflow_trtc.operators.modify import TrtcModifyRecordingOperator
from airflow_trtc.operators.quality import TrtcQualityOperator
from airflow_trtc.operators.record import TrtcRecordRoomOperator
from airflow_trtc.operators.start import TrtcStartRecordingOperator
from airflow_trtc.operators.stop import TrtcStopRecordingOperator
from airflow_trtc.operators.triggering import TrtcTriggeringRecordingOperator
from airflow_trtc.operators.usage import TrtcUsageOperator

__all__ = [
    "TrtcModifyRecordingOperator",
    "TrtcQualityOperator",
    "TrtcRecordRoomOperator",
    "TrtcStartRecordingOperator",
    "TrtcStopRecordingOperator",
    "TrtcTriggeringRecordingOperator",
    "TrtcUsageOperator",
]
