"""The kinds of jobs: one row of data each. A new kind is a new row; waits, polls and the journal follow.

Facts: the models of tencentcloud-sdk-python 3.1.195 and their texts; API Category, trtc.io/document/34260. A
status that no row names only waits.
"""

from __future__ import annotations

from airflow_trtc.jobs.answers import read_recording
from airflow_trtc.jobs.kind import JobKind, StartForm
from airflow_trtc.recording.judge import FORGOTTEN_AFTER, judge

RECORDING = JobKind(
    name="recording",
    describe_action="DescribeCloudRecording",
    start_action="CreateCloudRecording",
    stop_action="DeleteCloudRecording",
    groups=frozenset({3}),
    id_source="the TaskId that CreateCloudRecording returned",
    forgotten_after=FORGOTTEN_AFTER,
    read=read_recording,
    judge=judge,
)

_CLOUD_END = frozenset({"Exited"})  # "is exiting": the service forgets it a moment later
_AI_END = frozenset({"Stopped"})  # "is cleaning up"
_RESOURCE_HOURS = "its ResourceExpiredHour ({} hours unless set)".format

SLICING = JobKind(
    name="slicing",
    label="cloud slicing",
    describe_action="DescribeCloudSliceTask",
    start_action="CreateCloudSliceTask",
    starts=StartForm(
        robot="",
        numeric_room=1,
        storage=("SliceStorageParams", "CloudSliceStorage"),
        needs_storage=True,
        takes_map_key=True,
        replaces=True,
    ),
    stop_action="DeleteCloudSliceTask",
    ends_well=_CLOUD_END,
    groups=frozenset({10}),
    id_source="the TaskId that CreateCloudSliceTask returned",
    forgotten_after=_RESOURCE_HOURS(72),
)

MODERATION = JobKind(
    name="moderation",
    label="cloud moderation",
    describe_action="DescribeCloudModeration",
    start_action="CreateCloudModeration",
    starts=StartForm(
        robot="",
        numeric_room=1,
        storage=("ModerationStorageParams", "CloudModerationStorage"),
        replaces=True,
    ),
    stop_action="DeleteCloudModeration",
    ends_well=_CLOUD_END,
    groups=frozenset({11}),
    id_source="the TaskId that CreateCloudModeration returned",
    forgotten_after=_RESOURCE_HOURS(24),
)

LIVE_MODERATION = JobKind(
    name="live_moderation",
    label="live-stream moderation",
    describe_action="DescribeLiveStreamModeration",
    start_action="CreateLiveStreamModeration",
    starts=StartForm(storage=("LiveModerationStorageParams", "CloudModerationStorage")),
    stop_action="DeleteLiveStreamModeration",
    ends_well=_CLOUD_END,
    groups=frozenset({11}),
    id_source="the TaskId that CreateLiveStreamModeration returned",
)

TRANSCRIPTION = JobKind(
    name="transcription",
    label="cloud transcription",
    describe_action="DescribeCloudTranscription",
    start_action="CreateCloudTranscription",
    starts=StartForm(robot="TranscriptionParam", numeric_room=0, replaces=True),
    stop_action="DeleteCloudTranscription",
    ends_well=_CLOUD_END,
    groups=frozenset({14}),
    id_source="the TaskId that CreateCloudTranscription returned",
)

AI_TRANSCRIPTION = JobKind(
    name="ai_transcription",
    label="AI transcription",
    describe_action="DescribeAITranscription",
    start_action="StartAITranscription",
    starts=StartForm(robot="TranscriptionParams", numeric_room=0),
    stop_action="StopAITranscription",
    app_param="",
    key_param="SessionId",
    key_needs_id=True,
    ends_well=_AI_END,
    groups=frozenset({9}),
    id_source="the TaskId that StartAITranscription returned, or SessionId= and the one it was given",
)

AI_CONVERSATION = JobKind(
    name="ai_conversation",
    label="AI conversation",
    describe_action="DescribeAIConversation",
    start_action="StartAIConversation",
    starts=StartForm(robot="AgentConfig", numeric_room=0),
    stop_action="StopAIConversation",
    app_param="",
    key_param="SessionId",
    ends_well=_AI_END,
    groups=frozenset({9}),
    id_source="the TaskId that StartAIConversation returned, or SessionId= and the one it was given",
)

INGEST = JobKind(
    name="ingest",
    label="stream ingest",
    describe_action="DescribeStreamIngest",
    start_action="StartStreamIngest",
    starts=StartForm(robot="", numeric_room=1, takes_map_key=True, publishes=True),
    stop_action="StopStreamIngest",
    absent_statuses=frozenset({"NotExist"}),
    groups=frozenset({7}),
    id_source="the TaskId that StartStreamIngest returned",
)

WEB_RECORDING = JobKind(
    name="web_recording",
    label="web page recording",
    describe_action="DescribeWebRecord",
    start_action="StartWebRecord",
    starts=StartForm(storage=("StorageParams", "CloudStorage"), needs_storage=True, takes_vod=True),
    stop_action="StopWebRecord",
    app_param="",
    key_param="RecordId",
    groups=frozenset({8}),
    id_source="the TaskId that StartWebRecord returned, or RecordId= and the one it was given",
)

SPEECH = JobKind(
    name="speech",
    label="text to speech",
    describe_action="DescribeAsyncTextToSpeech",
    start_action="AsyncTextToSpeech",
    starts=StartForm(),
    app_param="",
    ends_well=frozenset({"Success"}),
    ends_badly=frozenset({"Failed", "Expired"}),
    ends_by_absence=False,
    details=("AudioDownloadUrl", "SubtitleDownloadUrl", "TotalDurationMs"),
    id_source="the TaskId that AsyncTextToSpeech returned",
)

RELAY = JobKind(
    name="relay",
    describe_action="",  # there is none: only callbacks report
    start_action="StartPublishCdnStream",
    stop_action="StopPublishCdnStream",
    groups=frozenset({4}),
    id_source="the TaskId that StartPublishCdnStream returned",
)

KINDS: dict[str, JobKind] = {
    kind.name: kind
    for kind in (
        RECORDING,
        SLICING,
        MODERATION,
        LIVE_MODERATION,
        TRANSCRIPTION,
        AI_TRANSCRIPTION,
        AI_CONVERSATION,
        INGEST,
        WEB_RECORDING,
        SPEECH,
        RELAY,
    )
}


def kind_of_group(group: int) -> JobKind | None:
    """The kind of job that events of this group are about: the first of several; None for none."""
    return next((kind for kind in KINDS.values() if group in kind.groups), None)
