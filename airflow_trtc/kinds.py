"""The kinds of jobs: one row of data each. A new kind is a new row; waits, polls and the journal follow."""

from __future__ import annotations

from airflow_trtc.jobs.answers import read_recording
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.recording.judge import FORGOTTEN_AFTER, judge

RECORDING = JobKind(
    name="recording",
    describe_action="DescribeCloudRecording",
    start_action="CreateCloudRecording",
    stop_action="DeleteCloudRecording",
    id_source="the TaskId that CreateCloudRecording returned",
    forgotten_after=FORGOTTEN_AFTER,
    read=read_recording,
    judge=judge,
)

KINDS: dict[str, JobKind] = {kind.name: kind for kind in (RECORDING,)}
