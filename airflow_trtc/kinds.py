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

INGEST = JobKind(
    name="ingest",
    describe_action="DescribeStreamIngest",
    start_action="StartStreamIngest",
    stop_action="StopStreamIngest",
    absent_statuses=frozenset({"NotExist"}),
    id_source="the TaskId that StartStreamIngest returned",
)

RELAY = JobKind(
    name="relay",
    describe_action="",
    start_action="StartPublishCdnStream",
    stop_action="StopPublishCdnStream",
    id_source="the TaskId that StartPublishCdnStream returned",
)

KINDS: dict[str, JobKind] = {kind.name: kind for kind in (RECORDING, INGEST, RELAY)}
