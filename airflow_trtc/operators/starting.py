"""Starts a recording, once: what `TrtcStartRecordingOperator` and others that start one share.

:mod:`airflow_trtc.recording.attempts` decides; this carries it out. The order matters: what is about to be
sent is kept before it is sent, and the answer right after it came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk.log import mask_secret

from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcTransientError
from airflow_trtc.hooks import RECORDS, TrtcHook
from airflow_trtc.jobs.state import EXITED
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.kinds import RECORDING
from airflow_trtc.operators.attempt_store import AttemptStore, Tries
from airflow_trtc.operators.storage_keys import storage_params
from airflow_trtc.recording.attempts import (
    Attempt,
    Reason,
    Target,
    earlier_sends,
    first_step,
    second_step,
)
from airflow_trtc.recording.parameters import DEFAULT_EXPIRED_HOURS
from airflow_trtc.recording.rooms import Room
from airflow_trtc.recording.started import StartedRecording
from airflow_trtc.recording.storage import Storage

# The vendor's advice for an InternalError at the start (trtc.io/document/45169): the same request again.
PAUSES_SECONDS = (3.0, 6.0, 12.0)
SIGNATURE_MARGIN_SECONDS = 86_400  # how long a UserSig outlives the time in which the service takes orders


def _now() -> datetime:
    return datetime.now(timezone.utc)


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
class RecordingStarter:
    """Starts what is requested, unless an earlier try of the task did so and the recording runs.

    :param tries: Airflow's numbers for the task instance.
    :param clock: the time, in UTC.
    :param sleep: waits so many seconds.
    """

    hook: TrtcHook
    request: StartRequest
    store: AttemptStore
    tries: Tries
    log: Any
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    @property
    def target(self) -> Target:
        """What is to be recorded."""
        room = self.request.room
        return Target(
            self.hook.required_app_id,
            self.hook.settings.region,
            room.room_id,
            room.room_id_type,
            self.request.user_id,
        )

    def start(self) -> StartedRecording:
        """Start it, or continue with what an earlier try started.

        :raises TrtcSetupError: the set-up is wrong; nothing was started.
        :raises TrtcTransientError: with ``outcome_unknown`` a recording may run that the next try replaces.
        :raises TrtcError: see :mod:`airflow_trtc.errors`.
        """
        attempt, reason = self._earlier()
        self._say(reason, attempt)
        if attempt is not None and attempt.recording is not None and reason.asks:
            reason = second_step(is_running=self._is_running(attempt.recording.recording_id))
            self._say(reason, attempt)
            if not reason.starts:
                return replace(attempt.recording, reattached=True)
        sends = earlier_sends(attempt, reason)
        return self._create(self._params(), sends, replaces_unknown=reason.is_replacing_unknown)

    def _earlier(self) -> tuple[Attempt | None, Reason]:
        if not self.store.is_kept:
            self.log.info(
                "Airflow below 3.3 keeps nothing between tries: if an earlier try of this task started a"
                " recording, this one replaces it, since the robot is the same"
            )
        kept = self.store.load()
        if isinstance(kept, str):
            return None, Reason.UNREADABLE
        return kept, first_step(kept, self.target, self.tries.max_tries)

    def _say(self, reason: Reason, attempt: Attempt | None) -> None:
        if sentence := reason.sentence(attempt, self.target):
            is_usual = reason in (Reason.KEPT, Reason.RUNS, Reason.CLEARED)
            say = self.log.info if is_usual else self.log.warning
            say("%s", sentence)

    def _is_running(self, recording_id: str) -> bool:
        try:
            return self.hook.describe_recording(recording_id).status != EXITED
        except TrtcError as error:
            if isinstance(error, TrtcFailedError) and is_absent(error.code, RECORDING.absent_codes):
                return False
            self.log.error("Cannot ask whether recording %s runs, so nothing is started", recording_id)
            raise

    def _params(self) -> dict[str, Any]:
        """What is sent; it holds secrets. Made only when something is to be sent."""
        request, hook = self.request, self.hook
        params: dict[str, Any] = {
            "RoomId": request.room.room_id,
            "RoomIdType": request.room.room_id_type,
            "UserId": request.user_id,
            "RecordParams": dict(request.record_params),
            "MixTranscodeParams": request.mix_transcode,
            "MixLayoutParams": request.mix_layout,
            "ResourceExpiredHour": request.expired_hours,
            **self._signatures(),
            "StorageParams": storage_params(request.storage, request.storage_conn_id, hook, self.log),
        }
        return {name: value for name, value in params.items() if value is not None}

    def _signatures(self) -> dict[str, str]:
        """The robot's passes: valid for as long as the service takes orders, and a day more."""
        request, hook = self.request, self.hook
        seconds = request.expired_seconds + SIGNATURE_MARGIN_SECONDS
        needs_map_key = request.advanced_permission_control
        if needs_map_key is None:
            needs_map_key = hook.settings.advanced_permission_control
        passes = {"UserSig": request.user_sig or hook.user_sig(request.user_id, seconds=seconds)}
        if needs_map_key:
            passes["PrivateMapKey"] = hook.private_map_key(
                request.user_id, request.room.value, seconds=seconds, privileges=RECORDS
            )
        for each in passes.values():
            mask_secret(each)
        return passes

    def _create(self, params: dict[str, Any], sends: int, *, replaces_unknown: bool) -> StartedRecording:
        """Send it, and again after a lost answer: the robot is the same, so at most one recording runs."""
        for pause in (*PAUSES_SECONDS, None):
            sends += 1
            sent_at = self.clock()
            intent = Attempt(
                target=self.target,
                max_tries=self.tries.max_tries,
                try_number=self.tries.number,
                sent_at=sent_at.isoformat(),
                sends=sends,
            )
            self.store.save(intent)
            try:
                recording_id = self.hook.start(RECORDING.name, params)
            except TrtcError as error:
                is_unknown = isinstance(error, TrtcTransientError) and error.outcome_unknown
                if not (is_unknown or replaces_unknown):
                    self.store.forget()
                if not is_unknown or pause is None:
                    raise
                replaces_unknown = True
                self._say_again(error, pause)
                self.sleep(pause)
                continue
            return self._keep(intent, recording_id, sent_at, replaced_unknown=replaces_unknown)
        raise AssertionError("the last turn of the loop returns or raises")

    def _say_again(self, error: TrtcError, pause: float) -> None:
        self.log.warning(
            "%s It is not known whether a recording was started. Sending the same in %g s: the robot %s is"
            " the same, so the service ends what may have been started.",
            error,
            pause,
            self.request.user_id,
        )

    def _keep(
        self, intent: Attempt, recording_id: str, sent_at: datetime, *, replaced_unknown: bool
    ) -> StartedRecording:
        target, storage = intent.target, self.request.storage
        started = StartedRecording(
            recording_id=recording_id,
            sdk_app_id=target.sdk_app_id,
            region=target.region,
            room_id=target.room_id,
            room_id_type=target.room_id_type,
            user_id=target.user_id,
            storage=storage.params,
            file_name_prefix=storage.file_name_prefix,
            started_at=self.clock(),
            expires_at=sent_at + timedelta(seconds=self.request.expired_seconds),
            replaced_unknown=replaced_unknown,
            attempts=intent.sends,
        )
        self.store.save_if_possible(replace(intent, recording=started))
        self.log.info(
            "Started recording %s of room %s (application %s, region %s, robot %s)",
            recording_id,
            target.room_id,
            target.sdk_app_id,
            target.region,
            target.user_id,
        )
        return started
