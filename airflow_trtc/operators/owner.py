"""What a task does that owns the job which it started: the same for recordings and all other kinds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_trtc._compat import AirflowRescheduleException, TaskDeferred
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import Attempt
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import KINDS
from airflow_trtc.operators.attempt_store import KeptStore
from airflow_trtc.operators.owning import OwnedJob, Ownership, takes_over
from airflow_trtc.sensors import JobSensor
from airflow_trtc.waiting.arguments import read_event

if TYPE_CHECKING:
    from airflow.sdk import Context


class OwnsJob(JobSensor):
    """For operators that start a job, wait for it, and end it with the task; see `TrtcRecordRoomOperator`.

    To stand before the sensor that waits for such jobs. A class that builds on it says how to start one, its
    constructor ends with `complete`, and its `check_arguments` does nothing before that.

    :param stop_after: when to stop the job: a duration since its start (seconds or a timedelta), or an
        instant (a datetime with a time zone or ISO 8601 text).
    """

    owns = True
    is_complete = False

    def __init__(
        self, *, stop_after: float | str | timedelta | datetime | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.stop_after: Any = stop_after
        self.owns = KINDS[self.kind].can_stop if self.kind in KINDS else True
        self._ownership: Ownership | None = None

    def complete(self) -> None:
        """Check the arguments: all are set now.

        :raises ValueError: one is wrong.
        """
        self.is_complete = True
        self.check_arguments()

    # -- what a class that builds on it says ------------------------------------------------------------

    def start_job(self, context: Context) -> tuple[JobRef, float]:
        """Start the job, or continue with one that an earlier try started; return it, and when it began.

        :return: the job, and Unix seconds.
        """
        raise NotImplementedError

    def show_started(self, context: Context, job: JobRef) -> None:
        """Hand the job on to tasks beside this one; it is owned already."""

    def kept_start(self, context: Context) -> KeptStore[Attempt]:
        """Where the start is kept."""
        raise NotImplementedError

    def check_stop(self, stop_at: float | None, now: float) -> None:
        """Refuse to start what could not be stopped when its time is over.

        :raises TrtcSetupError: see there.
        """

    # -- the task ---------------------------------------------------------------------------------------

    def execute(self, context: Context) -> Any:
        """Start, or take over what an earlier try started, and wait; see the class."""
        self._ownership = None  # ``dag.test()`` runs one operator object several times
        with self._owning(context):
            return super().execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after deferral, or end the job with the task."""
        self._ownership = self._new_ownership(context)
        self._ownership.resume(_job_of((next_kwargs or {}).get("event")))
        with self._owning(context):
            return super().resume_execution(next_method, next_kwargs, context)

    def poke(self, context: Context) -> Any:
        """See the base class; after a signal there is nothing to wait for."""
        self._check_alive()
        return super().poke(context)

    def on_kill(self) -> None:
        """Stop the job: Airflow is about to end this process."""
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
            self.kept_start(context).hand_on(owned.tries)

    # -- the job ----------------------------------------------------------------------------------------

    def _new_ownership(self, context: Context) -> Ownership:
        return Ownership(context, conn_id=self.trtc_conn_id, hook_for=self._hook_for, log=self.log)

    def _hook_for(self, job: JobRef) -> TrtcHook:
        return TrtcHook(self.trtc_conn_id, region=job.region, sdk_app_id=job.sdk_app_id)

    def _find_job(self, context: Context, given_id: Any) -> str:
        owned = self._ownership = self._ownership or self._new_ownership(context)
        kept = owned.recall()
        if kept is not None and takes_over(kept, owned.tries):
            self.log.info("Continuing with %s %s of try %d", self.kind, kept.job.job_id, kept.tries.number)
            owned.begin(kept.job, started_at=kept.started_at, stop_at=kept.stop_at)
        else:
            stop_at = self._stop_at(now := time.time())
            self.check_stop(stop_at, now)
            if kept is not None:
                owned.replace(kept)
                self.kept_start(context).change(is_void=True)  # a new job is wanted
            kept = self._start(context, owned, stop_at)
        self.stop_at = kept.stop_at
        self._check_alive()
        return kept.job.job_id

    def _start(self, context: Context, owned: Ownership, stop_at: float | None) -> OwnedJob:
        job, started_at = self.start_job(context)
        if isinstance(self.stop_after, float):
            stop_at = started_at + self.stop_after
        kept = owned.begin(job, started_at=started_at, stop_at=stop_at)
        if stop_at is not None:
            at = datetime.fromtimestamp(stop_at, timezone.utc)
            self.log.info(
                "Stopping the %s at %s, if it still runs then", KINDS[self.kind].label, at.isoformat()
            )
        if self.do_xcom_push:
            self.show_started(context, job)
        return kept

    def _stop_at(self, now: float) -> float | None:
        """When the job has to be stopped if it is started now, Unix seconds.

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

    def _check_alive(self) -> None:
        if self._ownership is not None and self._ownership.is_killed:
            label = KINDS[self.kind].label
            raise RuntimeError(f"This task was told to end; the line above says what became of its {label}.")

    # -- the wait ---------------------------------------------------------------------------------------

    def _defers(self, leg: Any) -> bool:
        return self.reschedule or super()._defers(leg)

    def _why_not_rescheduled(self, leg: Any) -> str:
        return (
            f"Deferring instead of rescheduling: between two visits nothing would stop the"
            f" {KINDS[self.kind].label} if the task is cleared or marked"
        )

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Airflow's, but no later than the job has to be stopped."""
        seconds: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        until_stop = None if self.stop_at is None else self.stop_at - time.time()
        return seconds if until_stop is None or until_stop <= 0 else min(seconds, until_stop)


def _job_of(event: object) -> JobRef | None:
    with suppress(ValueError):
        return read_event(event).job
    return None
