"""The call that most tests of this folder run."""

from airflow_trtc.cloud.calls import describe
from airflow_trtc.emulator import DEFAULT_SDK_APP_ID
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import RECORDING


def recording(recording_id, sdk_app_id=DEFAULT_SDK_APP_ID):
    """Ask about a recording."""
    return describe(RECORDING, JobRef("recording", sdk_app_id, "ap-guangzhou", recording_id))
