"""The operator that records a room from the start to the last file, and never leaves its recording behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_trtc._compat import AirflowRescheduleException, TaskDeferred
from airflow_trtc.arguments import Check, duration_or_instant
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import RECORDING
from airflow_trtc.operators.attempt_store import attempt_store
from airflow_trtc.operators.owning import Ownership, takes_over
from airflow_trtc.operators.start import RECORDING_XCOM, StartsRecordings
from airflow_trtc.recording.parameters import DEFAULT_EXPIRED_HOURS
from airflow_trtc.recording.started import NamedRecording
from airflow_trtc.recording.storage import read_storage
from airflow_trtc.sensors import TrtcRecordingSensor
from airflow_trtc.waiting.arguments import read_event

if TYPE_CHECKING:
    from airflow.sdk import Context

_NAMES = ("recording_id", "recording")
_WAIT_FIELDS = tuple(name for name in TrtcRecordingSensor.template_fields if name not in _NAMES)


class TrtcRecordRoomOperator(StartsRecordings, TrtcRecordingSensor):
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
    owns = True
    _is_complete = False

    def __init__(
        self, *, stop_after: float | str | timedelta | datetime | None = None, **kwargs: Any
    ) -> None:
        super().__init__(recording_id="", **kwargs)
        self.stop_after: Any = stop_after
        self._ownership: Ownership | None = None
        self._is_complete = True
        self.check_arguments()

    def check_arguments(self) -> None:
        """See the base class. The constructors of both halves call this before the other half is there."""
        if self._is_complete:
            super().check_arguments()

    def execute(self, context: Context) -> Any:
        """Start, or take over what an earlier try started, and wait; see the class."""
        self._ownership = None  # ``dag.test()`` runs one operator object several times
        with self._owning(context):
            return super().execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after deferral, or end the recording with the task."""
        self._ownership = self._new_ownership(context)
        self._ownership.resume(_job_of((next_kwargs or {}).get("event")))
        with self._owning(context):
            return super().resume_execution(next_method, next_kwargs, context)

    def poke(self, context: Context) -> Any:
        """See the base class; after a signal there is nothing to wait for."""
        self._check_alive()
        return super().poke(context)

    def on_kill(self) -> None:
        """Stop the recording: Airflow is about to end this process."""
        if self._ownership is not None:
            self._ownership.kill()
        super().on_kill()

    @contextmanager
    def _owning(self, context: Context) -> Iterator[None]:
        try:
            yield
        except (TaskDeferred, AirflowRescheduleException):
            raise
        except BaseException as error:
            self._end(context, error)
            raise
        self._end(context, None)

    def _end(self, context: Context, error: BaseException | None) -> None:
        owned, leg = self._ownership, self._leg
        if owned is None:
            return
        owned.end(error, is_over=leg is not None and leg.wait.state.is_over)
        if owned.kept is not None and owned.kept.is_over:
            self.hand_on(context)

    # -- the recording ----------------------------------------------------------------------------------

    def _new_ownership(self, context: Context) -> Ownership:
        return Ownership(context, conn_id=self.trtc_conn_id, hook_for=self._hook_for, log=self.log)

    def _hook_for(self, job: JobRef) -> TrtcHook:
        return TrtcHook(self.trtc_conn_id, region=job.region, sdk_app_id=job.sdk_app_id)

    def _find_job(self, context: Context, given_id: Any) -> str:
        owned = self._ownership = self._ownership or self._new_ownership(context)
        kept = owned.recall()
        if kept is not None and takes_over(kept, owned.tries):
            self.log.info("Continuing with recording %s of try %d", kept.job.job_id, kept.tries.number)
            owned.begin(kept.job, started_at=kept.started_at, stop_at=kept.stop_at)
        else:
            stop_at = self._stop_at(now := time.time())
            self._check_expiry(stop_at, now)
            if kept is not None:
                owned.replace(kept)
                attempt_store(context, self.log).forget()
            kept = self._start(context, owned, stop_at)
        self.stop_at = kept.stop_at
        self._check_alive()
        return kept.job.job_id

    def _start(self, context: Context, owned: Ownership, stop_at: float | None) -> Any:
        started = self.start_recording(context)
        started_at = started.started_at.timestamp()
        if isinstance(self.stop_after, float):
            stop_at = started_at + self.stop_after
        job = JobRef(RECORDING.name, started.sdk_app_id, started.region, started.recording_id)
        owned.begin(job, started_at=started_at, stop_at=stop_at)
        if self.do_xcom_push:  # for tasks beside this one, such as one that changes the layout
            context["ti"].xcom_push(key=RECORDING_XCOM, value=started.to_json())
        return owned.kept

    def _stop_at(self, now: float) -> float | None:
        """When the recording has to be stopped if it is started now, Unix seconds.

        :raises TrtcSetupError: that has passed.
        """
        after = self.stop_after
        if after is None or isinstance(after, float):
            return None if after is None else now + after
        if after.timestamp() <= now:
            raise TrtcSetupError(
                f"stop_after is {after.isoformat()}, which has passed, so nothing was started. For a"
                " task that is run again later, give a duration."
            )
        stop_at: float = after.timestamp()
        return stop_at

    def _check_expiry(self, stop_at: float | None, now: float) -> None:
        """Refuse a recording that could not be stopped when its time is over."""
        hours = self._expired_hours() or DEFAULT_EXPIRED_HOURS
        if stop_at is not None and stop_at - now > hours * 3600:
            raise TrtcSetupError(
                f"stop_after is more than {hours} hours away, and the service stops no recording after its"
                " resource_expired_hours, so nothing was started. Set that higher."
            )

    def _check_alive(self) -> None:
        if self._ownership is not None and self._ownership.is_killed:
            raise RuntimeError("This task was told to end; the line above says what became of its recording.")

    # -- the wait ---------------------------------------------------------------------------------------

    def _named(self) -> NamedRecording:
        return NamedRecording(file_name_prefix=read_storage("storage", self.storage).file_name_prefix)

    def _check(self, context: Context) -> None:
        super()._check(context)
        self._named()

    def _defers(self, leg: Any) -> bool:
        return self.reschedule or super()._defers(leg)

    def _why_not_rescheduled(self, leg: Any) -> str:
        return (
            "Deferring instead of rescheduling: between two visits nothing would stop the recording if the"
            " task is cleared or marked"
        )

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Airflow's, but no later than the recording has to be stopped."""
        seconds: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        until_stop = None if self.stop_at is None else self.stop_at - time.time()
        return seconds if until_stop is None or until_stop <= 0 else min(seconds, until_stop)


def _job_of(event: object) -> JobRef | None:
    with suppress(ValueError):
        return read_event(event).job
    return None
