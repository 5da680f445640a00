"""Starts a recording, once: what `TrtcStartRecordingOperator` and others that start one share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar

from airflow_trtc import bounds
from airflow_trtc.errors import TrtcError, TrtcFailedError
from airflow_trtc.hooks import DAY_SECONDS, RECORDS
from airflow_trtc.jobs.attempts import Attempt, Policy, Target
from airflow_trtc.jobs.state import EXITED
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.kinds import RECORDING
from airflow_trtc.operators import signing
from airflow_trtc.operators.starting import Starter
from airflow_trtc.operators.storage_keys import storage_params
from airflow_trtc.recording.attempts import RECORDING_STARTS
from airflow_trtc.recording.parameters import DEFAULT_EXPIRED_HOURS
from airflow_trtc.recording.rooms import Room
from airflow_trtc.recording.started import StartedRecording, read_started
from airflow_trtc.recording.storage import Storage


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """What a recording is to be started with, all of it checked.

    :param user_id: the robot.
    :param user_sig: the robot's, from elsewhere; None has the hook sign one.
    :param expired_hours: ``ResourceExpiredHour``; None for the service's default.
    :param advanced_permission_control: whether the room asks for a PrivateMapKey; None as the connection
        says.
    """

    room: Room
    storage: Storage
    record_params: Mapping[str, Any]
    user_id: str
    user_sig: str | None = field(default=None, repr=False)
    mix_transcode: Mapping[str, Any] | None = None
    mix_layout: Mapping[str, Any] | None = None
    expired_hours: int | None = None
    storage_conn_id: str | None = None
    advanced_permission_control: bool | None = None

    @property
    def expired_seconds(self) -> int:
        """For how long the service takes orders about the recording."""
        return (self.expired_hours or DEFAULT_EXPIRED_HOURS) * 3600


@dataclass(kw_only=True)
class RecordingStarter(Starter[StartedRecording]):
    """Starts the recording that is requested."""

    policy: ClassVar[Policy] = RECORDING_STARTS
    request: StartRequest
    _params: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def target(self) -> Target:
        """See the base class."""
        room = self.request.room
        return Target(
            kind=RECORDING.name,
            sdk_app_id=self.hook.required_app_id,
            region=self.hook.settings.region,
            room_id=room.room_id,
            room_type=room.word,
            user_id=self.request.user_id,
        )

    @property
    def remedy(self) -> str:
        """See the base class."""
        return (
            f"the same is sent again: the robot {self.request.user_id} is the same, so the service ends what"
            " may have been started"
        )

    def send(self, attempt: Attempt) -> str:
        """See the base class. The parameters hold secrets; they are made when something is to be sent."""
        self._params = self._params or self._whole()
        return self.hook.start(RECORDING.name, self._params)

    def made(self, attempt: Attempt, answer: str, *, replaced_unknown: bool) -> StartedRecording:
        """See the base class."""
        target, request = attempt.target, self.request
        sent_at = bounds.time(attempt.sent_at) or self.clock()
        self.log.info("Started recording %s of the %s", answer, target)
        return StartedRecording(
            recording_id=answer,
            sdk_app_id=target.sdk_app_id,
            region=target.region,
            room_id=target.room_id,
            room_id_type=request.room.room_id_type,
            user_id=target.user_id,
            storage=request.storage.params,
            file_name_prefix=request.storage.file_name_prefix,
            started_at=self.clock(),
            expires_at=sent_at + timedelta(seconds=request.expired_seconds),
            replaced_unknown=replaced_unknown,
            attempts=attempt.sends,
        )

    def row_of(self, started: StartedRecording) -> dict[str, Any]:
        """See the base class."""
        return started.to_json()

    def again(self, kept: Attempt) -> StartedRecording:
        """See the base class."""
        return replace(read_started(kept.answer), reattached=True)

    def named(self, answer: Mapping[str, Any]) -> str:
        """See the base class."""
        return f"recording {answer.get('recording_id', '')}"

    def runs(self, kept: Attempt) -> bool:
        """See the base class."""
        recording_id = read_started(kept.answer).recording_id
        try:
            return self.hook.describe_recording(recording_id).status != EXITED
        except TrtcError as error:
            if isinstance(error, TrtcFailedError) and is_absent(error.code, RECORDING.absent_codes):
                return False
            self.log.error("Cannot ask whether recording %s runs, so nothing is started", recording_id)
            raise

    def _whole(self) -> dict[str, Any]:
        request, hook = self.request, self.hook
        seconds = request.expired_seconds + DAY_SECONDS  # a UserSig outlives the time for orders by a day
        params: dict[str, Any] = {
            "RoomId": request.room.room_id,
            "RoomIdType": request.room.room_id_type,
            "UserId": request.user_id,
            "RecordParams": dict(request.record_params),
            "MixTranscodeParams": request.mix_transcode,
            "MixLayoutParams": request.mix_layout,
            "ResourceExpiredHour": request.expired_hours,
            "UserSig": signing.user_sig(hook, request.user_id, request.user_sig, seconds=seconds),
            **signing.private_map_key(
                hook,
                request.user_id,
                request.room,
                request.advanced_permission_control,
                seconds=seconds,
                privileges=RECORDS,
            ),
            "StorageParams": storage_params(request.storage, request.storage_conn_id, hook, self.log),
        }
        return {name: value for name, value in params.items() if value is not None}
