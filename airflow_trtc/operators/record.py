"""The operator that records a room from the start to the last file, and never leaves its recording behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_trtc.arguments import Check, duration_or_instant
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import RECORDING
from airflow_trtc.operators.owner import OwnsJob
from airflow_trtc.operators.start import RECORDING_XCOM, StartsRecordings
from airflow_trtc.recording.parameters import DEFAULT_EXPIRED_HOURS
from airflow_trtc.recording.started import NamedRecording, StartedRecording
from airflow_trtc.recording.storage import read_storage
from airflow_trtc.sensors import TrtcRecordingSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

_NAMES = ("recording_id", "recording")
_WAIT_FIELDS = tuple(name for name in TrtcRecordingSensor.template_fields if name not in _NAMES)


class TrtcRecordRoomOperator(StartsRecordings, OwnsJob, TrtcRecordingSensor):
    """Record a room: start, wait for the end, and return the files, as one task that owns its recording.

    What `TrtcStartRecordingOperator` and `TrtcRecordingSensor` do, with the arguments of both, and the XComs
    of the sensor: ``return_value`` is the list of files to map over, ``recording`` the summary (before the
    end, what is known of the start), ``progress`` the state while the task waits.

    However the task ends, its recording ends with it: when it is cleared, marked as failed or as success,
    skipped, when it takes longer than `timeout` or `execution_timeout`, when its worker is told to end, and,
    with Airflow 3.3, when its processes were killed or its run deleted. A triggerer that is restarted, and
    one that takes the task over from another, leave it alone. A try that fails while others are to follow
    leaves it running, and the next one takes it over (Airflow 3.3; below, it is stopped and started anew). A
    task that is cleared starts a new one.

    After `resource_expired_hours` the service answers as if the recording had ended, and stops it no more; so
    set that higher than the recording may last.

    In reschedule mode the task defers: between two visits there would be no process to stop anything.

    :param stop_after: when to stop the recording and wait for its last files: a duration since its start
        (seconds or a timedelta), or an instant with a time zone (a datetime or ISO 8601 text). Default:
        never; then it ends when the room has been empty for ``MaxIdleTime``. (templated)
    :param kwargs: see `TrtcStartRecordingOperator` (`room_id` and `storage` are required) and
        `TrtcRecordingSensor` (without `recording_id` and `recording`). `file_name_prefix` defaults to that of
        `storage`.
    :raises AirflowFailException: as both; or `stop_after` has passed already. Nothing was started then.
    :raises AirflowSensorTimeout: `timeout` is over; the recording is stopped.
    :raises TrtcError: a retry may help.
    """

    template_fields: Sequence[str] = tuple(
        dict.fromkeys((*StartsRecordings.start_fields, *_WAIT_FIELDS, "stop_after"))
    )
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **TrtcRecordingSensor.argument_checks,
        **StartsRecordings.start_checks,
        "stop_after": duration_or_instant,
    }

    def __init__(
        self, *, stop_after: float | str | timedelta | datetime | None = None, **kwargs: Any
    ) -> None:
        super().__init__(recording_id="", stop_after=stop_after, **kwargs)
        self._started: StartedRecording | None = None
        self.complete()

    def check_all(self) -> None:
        """See the base class. The constructors of both halves call this before the other half is there."""
        if self.is_complete:
            super().check_all()

    def start_job(self, context: Context) -> tuple[JobRef, float]:
        """See the base class."""
        started = self._started = self.start_recording(context)
        job = JobRef(RECORDING.name, started.sdk_app_id, started.region, started.recording_id)
        return job, started.started_at.timestamp()

    def show_started(self, context: Context, job: JobRef) -> None:
        """Hand on what is known of the start, such as for a task that changes the layout."""
        if self._started is not None:
            context["ti"].xcom_push(key=RECORDING_XCOM, value=self._started.to_json())

    def check_stop(self, stop_at: float | None, now: float) -> None:
        """See the base class."""
        hours = self._expired_hours() or DEFAULT_EXPIRED_HOURS
        if stop_at is not None and stop_at - now > hours * 3600:
            raise TrtcSetupError(
                f"stop_after is more than {hours} hours away, and the service stops no recording after its"
                " resource_expired_hours, so nothing was started. Set that higher."
            )

    def _named(self) -> NamedRecording:
        return NamedRecording(file_name_prefix=read_storage("storage", self.storage).file_name_prefix)

    def _check(self, context: Context) -> None:
        super()._check(context)
        self._named()
