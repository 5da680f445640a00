"""How each kind of jobs lives: which statuses it shows, how it is forgotten, what a second start does. Data.

Sources: the models of tencentcloud-sdk-python 3.1.195 and their texts, and the vendor's lists of error codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

IDLE, PREPARING, RUNNING, ENDING, DONE, GONE = "Idle", "Preparing", "Running", "Ending", "Done", "Gone"
"""Stages of a life; what the service calls them differs from kind to kind. Not every kind has all of them."""

TASK_NOT_EXIST = "FailedOperation.TaskNotExist"
TASK_EXIST = "FailedOperation.TaskExist"
TASK_FINISHED = "FailedOperation.TaskFinished"


@dataclass(frozen=True, kw_only=True)
class Nature:
    """One kind of jobs.

    :param statuses: what the describe call answers, by stage; stages that are not named are skipped.
    :param absent_code: the error for a job that is over or never was; None: as the emulator's settings say.
    :param absent_status: instead of that error, a status.
    :param stopped_code: the error for a stop of a job that is over; None: `absent_code`.
    :param second_start: what a start does that repeats one whose job runs: ``replaces`` ends the earlier job
        of the same robot, ``refused`` is an error, ``adds`` starts another job.
    :param key_param: the parameter with the caller's own name for the job.
    :param robot_path: the parameter with ``UserId`` and ``UserSig``; empty: these are parameters themselves.
        None: no robot enters a room.
    :param numeric_room: the ``RoomIdType`` of numeric rooms; None: there is no room.
    :param default_room_type: the ``RoomIdType`` of a request that names none.
    :param idle_path: the parameter that holds ``MaxIdleTime``.
    :param max_idle_seconds: its default.
    :param storage: the parameter of the bucket, and the object in it that names it.
    :param group: of its callbacks; None: there are none.
    :param expires_after_hours: the default of ``ResourceExpiredHour``; None: it has none.
    :param max_seconds: how long it lives at most; None: no limit but that of its request.
    :param id_shape: how its ids look, see `names.job_id`.
    :param ends_after_seconds: when it ends by itself unless its script says so; None: never.
    """

    kind: str
    label: str
    start: str
    describe: str
    stop: str = ""
    statuses: Mapping[str, Any]
    absent_code: str | None = TASK_NOT_EXIST
    absent_status: str | None = None
    stopped_code: str | None = None
    second_start: Literal["replaces", "refused", "adds"] = "adds"
    key_param: str = ""
    robot_path: str | None = None
    numeric_room: int | None = None
    default_room_type: int | None = None
    idle_path: str = ""
    max_idle_seconds: float | None = None
    storage: tuple[str, str] | None = None
    group: int | None = None
    expires_after_hours: float | None = None
    max_seconds: float | None = None
    id_shape: str = "cloud"
    ends_after_seconds: float | None = None

    @property
    def stages(self) -> Sequence[str]:
        """The stages that it goes through, in order."""
        return [each for each in (IDLE, PREPARING, RUNNING, ENDING, DONE) if each in self.statuses]


_CLOUD = {IDLE: "Idle", RUNNING: "InProgress", ENDING: "Exited"}
_AI = {IDLE: "Idle", PREPARING: "Preparing", RUNNING: "InProgress", ENDING: "Stopped"}

_ROWS = (
    Nature(
        kind="slicing",
        label="cloud slicing",
        start="CreateCloudSliceTask",
        describe="DescribeCloudSliceTask",
        stop="DeleteCloudSliceTask",
        statuses=_CLOUD,
        absent_code=None,
        second_start="replaces",
        robot_path="",
        numeric_room=1,
        default_room_type=1,
        idle_path="SliceParams",
        max_idle_seconds=30.0,
        storage=("SliceStorageParams", "CloudSliceStorage"),
        group=10,
        expires_after_hours=72.0,
    ),
    Nature(
        kind="moderation",
        label="cloud moderation",
        start="CreateCloudModeration",
        describe="DescribeCloudModeration",
        stop="DeleteCloudModeration",
        statuses=_CLOUD,
        absent_code=None,
        second_start="replaces",
        robot_path="",
        numeric_room=1,
        default_room_type=1,
        idle_path="ModerationParams",
        max_idle_seconds=30.0,
        storage=("ModerationStorageParams", "CloudModerationStorage"),
        group=11,
        expires_after_hours=24.0,
    ),
    Nature(
        kind="live_moderation",
        label="live-stream moderation",
        start="CreateLiveStreamModeration",
        describe="DescribeLiveStreamModeration",
        stop="DeleteLiveStreamModeration",
        statuses=_CLOUD,
        absent_code=None,
        idle_path="LiveModerationParams",
        max_idle_seconds=30.0,
        storage=("LiveModerationStorageParams", "CloudModerationStorage"),
        group=11,
        max_seconds=48 * 3600.0,
        id_shape="url_safe",
    ),
    Nature(
        kind="transcription",
        label="cloud transcription",
        start="CreateCloudTranscription",
        describe="DescribeCloudTranscription",
        stop="DeleteCloudTranscription",
        statuses=_CLOUD,
        absent_code=None,
        second_start="replaces",
        robot_path="TranscriptionParam",
        numeric_room=0,
        idle_path="TranscriptionParam",
        max_idle_seconds=30.0,
        group=14,
    ),
    Nature(
        kind="ai_transcription",
        label="AI transcription",
        start="StartAITranscription",
        describe="DescribeAITranscription",
        stop="StopAITranscription",
        statuses=_AI,
        second_start="refused",
        key_param="SessionId",
        robot_path="TranscriptionParams",
        numeric_room=0,
        default_room_type=0,
        idle_path="TranscriptionParams",
        max_idle_seconds=60.0,
        group=9,
        id_shape="ai",
    ),
    Nature(
        kind="ai_conversation",
        label="AI conversation",
        start="StartAIConversation",
        describe="DescribeAIConversation",
        stop="StopAIConversation",
        statuses=_AI,
        second_start="refused",
        key_param="SessionId",
        robot_path="AgentConfig",
        numeric_room=0,
        default_room_type=0,
        idle_path="AgentConfig",
        max_idle_seconds=60.0,
        group=9,
        id_shape="ai",
    ),
    Nature(
        kind="ingest",
        label="stream ingest",
        start="StartStreamIngest",
        describe="DescribeStreamIngest",
        stop="StopStreamIngest",
        statuses={RUNNING: "InProgress"},
        absent_status="NotExist",
        stopped_code=TASK_FINISHED,
        second_start="refused",
        robot_path="",
        numeric_room=1,
        default_room_type=1,
        group=7,
        id_shape="long",
    ),
    Nature(
        kind="web_recording",
        label="web page recording",
        start="StartWebRecord",
        describe="DescribeWebRecord",
        stop="StopWebRecord",
        statuses={RUNNING: 1},
        second_start="refused",
        key_param="RecordId",
        storage=("StorageParams", "CloudStorage"),
        group=8,
        id_shape="long",
    ),
    Nature(
        kind="speech",
        label="text to speech",
        start="AsyncTextToSpeech",
        describe="DescribeAsyncTextToSpeech",
        statuses={RUNNING: "Processing", DONE: "Success"},
        id_shape="uuid",
        ends_after_seconds=2.0,
    ),
)

NATURES: Mapping[str, Nature] = {each.kind: each for each in _ROWS}
BY_DESCRIBE: Mapping[str, Nature] = {each.describe: each for each in _ROWS}
