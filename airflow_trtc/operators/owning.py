"""A task's hold on the job that it started: what it keeps of it between tries, and when it stops it.

    how the task ends, or does not                       what becomes of its job
    ---------------------------------------------------  ------------------------------------------------
    it defers                                            runs on; the trigger owns it
    an error, and Airflow will try again                 runs on; the next try takes it over (Airflow 3.3)
    any other error, a skip, a limit, a signal           is stopped, if the service has a call for that
    a signal, and Airflow has given this try up          runs on; the next try, or the API server, decides
    success                                              is over; if that is not certain, it is stopped

The next try takes the job over if it was not stopped and the task was not cleared since. What nothing here
can see, since no process of the task is left, the API server does, see :mod:`airflow_trtc.journal.owners`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_trtc import bounds
from airflow_trtc._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    task_state_store,
)
from airflow_trtc.errors import TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.keys import job_fields, job_from
from airflow_trtc.journal.owners import CLOSED, Owner
from airflow_trtc.journal.store import task_of, worker_store
from airflow_trtc.kinds import KINDS
from airflow_trtc.operators.attempt_store import Tries, tries_of, unreadable
from airflow_trtc.waiting.stopping import describe_failed_stop, stop, within_seconds

VERSION = 1
_RUNS_ON = "The %s runs on and ends by itself: the service has no call that stops it. Id: %s"
KEPT_KEY = "trtc_owned_job"
KILL_SECONDS = 4.0  # Airflow kills the process five seconds after the signal
ENDS_FOR_GOOD = (AirflowFailException, AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout)


@dataclass(frozen=True, slots=True)
class OwnedJob:
    """A job that a task started.

    :param started_at: when, Unix seconds.
    :param stop_at: when the task is to stop it by itself, Unix seconds; None for never.
    :param tries: those of the try that started it, or took it over.
    :param is_over: it was stopped, or had ended.
    """

    job: JobRef
    started_at: float
    stop_at: float | None
    tries: Tries
    is_over: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        own = {"started_at": self.started_at, "stop_at": self.stop_at, "is_over": self.is_over}
        return {"v": VERSION, **job_fields(self.job), **own, **asdict(self.tries)}


def owned_from(value: object) -> OwnedJob | None:
    """Read what `OwnedJob.to_json` wrote. Total: None for whatever else it is."""
    row = bounds.mapping(value)
    job, started_at, stop_at = (
        job_from(row),
        bounds.unix_seconds(row.get("started_at")),
        bounds.unix_seconds(row.get("stop_at")),
    )
    if row.get("v") != VERSION or job is None or started_at is None:
        return None
    tries = Tries(bounds.count(row.get("number")), bounds.count(row.get("max_tries")))
    return OwnedJob(job, started_at, stop_at, tries, row.get("is_over") is True)


def takes_over(kept: OwnedJob, now: Tries) -> bool:
    """Whether this try continues with the job of an earlier one."""
    # A try beyond the last one comes only of a clear, as one with other max_tries does.
    return not kept.is_over and kept.tries.max_tries == now.max_tries and now.number <= now.max_tries + 1


def lets_run(error: BaseException, now: Tries, *, is_remembered: bool) -> bool:
    """Whether a job is to run on after an error, for the next try to take it over.

    :param is_remembered: the next try will find it.
    """
    will_retry = isinstance(error, Exception) and not isinstance(error, ENDS_FOR_GOOD)
    return is_remembered and will_retry and now.number <= now.max_tries


def _can_stop(owned: OwnedJob) -> bool:
    """Whether the service has a call that stops such a job. One of an unknown kind is left to that call."""
    kind = KINDS.get(owned.job.kind)
    return kind is None or kind.can_stop


class _Memory:
    """What outlives a process: the task state store, below Airflow 3.3 an XCom, which outlives no try."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._store = task_state_store(context)
        self._ti = context["ti"]

    @property
    def outlives_tries(self) -> bool:
        return self._store is not None

    def get(self) -> Any:
        if self._store is not None:
            return self._store.get(KEPT_KEY)
        ti = self._ti
        return ti.xcom_pull(task_ids=ti.task_id, key=KEPT_KEY, map_indexes=ti.map_index)

    def set(self, value: Any) -> None:
        if self._store is not None:
            self._store.set(KEPT_KEY, value)
        else:
            self._ti.xcom_push(key=KEPT_KEY, value=value)


class Ownership:
    """The hold of one running task on its job.

    :param conn_id: the connection with which the job can be stopped.
    :param hook_for: makes the hook that stops a job.
    :ivar kept: the job; None while there is none.
    :ivar is_killed: the task was told to end.
    """

    def __init__(
        self,
        context: Mapping[str, Any],
        *,
        conn_id: str,
        hook_for: Callable[[JobRef], TrtcHook],
        log: Any,
    ) -> None:
        self.kept: OwnedJob | None = None
        self.is_killed = False
        self.tries = tries_of(context)
        self._context = context
        self._conn_id = conn_id
        self._hook_for = hook_for
        self._log = log
        self._memory = _Memory(context)
        self._hook: TrtcHook | None = None
        self._is_given_up = False

    # -- beginning --------------------------------------------------------------------------------------

    def recall(self) -> OwnedJob | None:
        """What an earlier try, or an earlier leg of this one, kept.

        :raises TrtcTransientError: that cannot be read, so nothing may be started.
        """
        try:
            return owned_from(self._memory.get())
        except Exception as error:
            raise unreadable(error) from error

    def begin(self, job: JobRef, *, started_at: float, stop_at: float | None) -> OwnedJob:
        """Own a job from now on: one that was just started, or one that this try takes over."""
        kept = self.kept = OwnedJob(job, started_at, stop_at, self.tries)
        self._keep()
        if _can_stop(kept):
            self._prepare_stop(job)
        return kept

    def _prepare_stop(self, job: JobRef) -> None:
        assert self.kept is not None
        self._write_row(self._owner(self.kept).value)
        hook = self._hook = self._hook_for(job)
        try:
            _ = hook.settings  # now, so that a signal handler need not ask Airflow
        except Exception as error:
            self._log.warning("Cannot read connection %r once more (%s)", self._conn_id, error)

    def resume(self, job: JobRef | None) -> None:
        """Own what this task started before it deferred.

        :param job: as the trigger says; None when it said nothing.
        """
        try:
            self.kept = self.recall()
        except TrtcTransientError as error:
            self._log.warning("%s", error.message)
        if job is not None and (self.kept is None or self.kept.job != job):
            self.kept = OwnedJob(job, 0.0, None, self.tries)

    # -- ending -----------------------------------------------------------------------------------------

    def end(self, error: BaseException | None, *, is_over: bool) -> None:
        """The task ends: stop the job unless it is over, or is to run on. Never raises.

        :param error: how; None for a success.
        :param is_over: the job has certainly ended.
        """
        if (kept := self.kept) is None or self._is_given_up:
            return
        remembers = self._memory.outlives_tries and not self.is_killed
        if error is not None and lets_run(error, self.tries, is_remembered=remembers):
            self._log.info("The %s runs on; the next try continues with it", kept.job.kind)
            return
        if error is not None and not _can_stop(kept):
            self._log.info(_RUNS_ON, kept.job.kind, kept.job.job_id)
            return
        if not (is_over or kept.is_over or not _can_stop(kept) or self._stop(kept)):
            return  # its row stays open, so that the API server goes on trying
        self.kept = replace(kept, is_over=True)
        self._keep()
        if _can_stop(kept):
            self._write_row(dict(CLOSED))

    def replace(self, old: OwnedJob) -> None:
        """Stop the job of an earlier try, since this one starts its own. Never raises."""
        if not _can_stop(old):
            self._log.info(_RUNS_ON, old.job.kind, old.job.job_id)
        elif not old.is_over and self._stop(old):
            self._write_row(dict(CLOSED), old)

    def kill(self) -> None:
        """Stop the job at once; for signal handlers. Never raises, and takes seconds at most."""
        self.is_killed = True
        if (kept := self.kept) is None or kept.is_over:
            return
        if not _can_stop(kept):
            self._log.info(_RUNS_ON, kept.job.kind, kept.job.job_id)
            return
        if (error := within_seconds(KILL_SECONDS, lambda: self._keep_and_stop(kept))) is not None:
            self._log.error("%s", describe_failed_stop(kept.job, error))
        elif self._is_given_up:
            message = "Airflow has given this try up; the next one, or the API server, ends the %s. Id: %s"
            self._log.warning(message, kept.job.kind, kept.job.job_id)
        else:
            self._log.info("Stopped the %s, since the task was told to end", kept.job.kind)

    def _keep_and_stop(self, kept: OwnedJob) -> str | None:
        """Stop the job, but only if the next try will know: it would take its end for the real one."""
        self.kept = replace(kept, is_over=True)
        if not self._keep() and self._memory.outlives_tries:
            self.kept, self._is_given_up = kept, True
            return None
        error = stop(self._hook or self._hook_for(kept.job), kept.job)
        if error is None:
            self._write_row(dict(CLOSED))
        else:
            self.kept = kept
            self._keep()
        return error

    def _stop(self, owned: OwnedJob) -> bool:
        error = stop(self._hook_for(owned.job), owned.job)
        if error is not None:
            self._log.error("%s", describe_failed_stop(owned.job, error))
            return False
        self._log.info("Stopped the %s %s", owned.job.kind, owned.job.job_id)
        return True

    # -- keeping ----------------------------------------------------------------------------------------

    def _keep(self) -> bool:
        assert self.kept is not None
        try:
            self._memory.set(self.kept.to_json())
            return True
        except Exception as error:
            self._log.warning(
                "Cannot keep which %s this task owns (%s); a retry would start another one. Id: %s",
                self.kept.job.kind,
                type(error).__name__,
                self.kept.job.job_id,
            )
            return False

    def _owner(self, owned: OwnedJob) -> Owner:
        tries = owned.tries
        return Owner(task_of(self._context), owned.job, tries.number, tries.max_tries, self._conn_id)

    def _write_row(self, value: dict[str, Any], owned: OwnedJob | None = None) -> None:
        """Tell the API server. Below Airflow 3.3 it does not watch."""
        owned = owned or self.kept
        store = worker_store(self._context)
        if store is None or owned is None:
            return
        try:
            store.set(self._owner(owned).key, value)
        except Exception as error:
            message = (
                "Cannot write who owns the %s (%s); the API server will not stop it if this task is killed"
            )
            self._log.warning(message, owned.job.kind, type(error).__name__)
