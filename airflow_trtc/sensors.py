"""Sensors that wait until a job of the service has ended, a recording above all, and return its results."""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_trtc import metrics
from airflow_trtc._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralError,
    conf,
    has_callbacks,
)
from airflow_trtc.arguments import (
    LONGEST_SECONDS,
    Check,
    ChecksArguments,
    checked_id,
    key_prefix,
    list_only,
    name_of,
    one_of,
    problem_kinds,
    required_name,
    seconds,
    switch,
    texts,
)
from airflow_trtc.errors import NO_CONNECTION, TrtcError, TrtcFailedError, TrtcSetupError
from airflow_trtc.hooks import TrtcHook, read_app_id
from airflow_trtc.jobs.judge import verdict_of
from airflow_trtc.jobs.problem import FAIL_ON
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, to_json
from airflow_trtc.jobs.verdict import (
    ABSENT_CODES,
    CALLBACK_TIMEOUT_SECONDS,
    Failed,
    Failure,
    Finished,
    Rules,
    WaitFor,
)
from airflow_trtc.journal.journal import Journal
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.store import KeepsJournal, task_of, worker_store
from airflow_trtc.kinds import KINDS
from airflow_trtc.links import TrtcConsoleLink, console_url
from airflow_trtc.recording.started import NamedRecording, read_named
from airflow_trtc.results import file_results, job_result, recording_result
from airflow_trtc.triggers import TrtcJobTrigger
from airflow_trtc.waiting.arguments import TriggerResult, WaitArguments, limits_of, read_event
from airflow_trtc.waiting.engine import Circumstances, Ending, Seen, TimedOut, Wait
from airflow_trtc.waiting.pacing import Pace
from airflow_trtc.waiting.polls import POLL_ATTEMPTS, poll
from airflow_trtc.waiting.progress import PROGRESS_XCOM, ShownWait, progress
from airflow_trtc.waiting.pulse import WorkerPulse
from airflow_trtc.waiting.stopping import stop
from airflow_trtc.waiting.worker import SystemClock, WorkerWait
from airflow_trtc.waiting.xcoms import push_results

if TYPE_CHECKING:
    from airflow.sdk import Context

# The trigger itself ends the wait in time; Airflow's own limit is for when no triggerer runs.
DEFERRAL_MARGIN_SECONDS = 180.0
MAX_STAY_SECONDS = 60.0
# A relay reports within seconds of its start; the minute that the service tries, and a receiver that is slow.
JOB_CALLBACK_TIMEOUT_SECONDS = 600.0

_NO_TRIGGERER = (
    "The wait takes too long, and its trigger never said how it stands. Check that a triggerer runs, and that"
    " this package is installed there."
)


def _recording(name: str, value: Any) -> Any:
    if value is not None:
        read_named(name, value)
    return value


def _one_name(recording_id: str | None, recording: Any) -> tuple[str | None, Any]:
    if recording_id is None and recording is None:
        raise ValueError(
            "recording_id is missing; give it, or recording, the XCom of the task that started it"
        )
    if recording_id is not None and recording is not None:
        raise ValueError("recording_id and recording exclude each other; give one of them")
    return recording_id, recording


IfNeverSeen = Literal["fail", "finish", "skip"]
IfNoCallback = Literal["fail", "finish", "skip", "finish_if_empty", "skip_if_empty"]


class _Leg:
    """What a sensor holds while it is on a worker.

    :param state: what another leg of this wait knew.
    :param hook: what it polls with; None after a deferral, when nothing is polled any more.
    :param started_at: when the wait began, Unix seconds; None where Airflow knows.
    """

    def __init__(
        self,
        sensor: JobSensor,
        context: Context,
        job: JobRef,
        *,
        state: JobState | None = None,
        hook: TrtcHook | None = None,
        started_at: float | None = None,
    ) -> None:
        self.job = job
        self._sensor = sensor
        self._context = context
        self._hook = hook
        self._clock = SystemClock()
        self._store = worker_store(context)
        # A name may be given to another job later; nothing is kept about one.
        is_kept = self._store is not None and KINDS[job.kind].key_of(job.job_id) is None
        self.journal = Journal(Rows(job), is_available=is_kept)
        self._began_at = started_at or sensor.began_at(context)
        self._pulse = WorkerPulse(self._store, task_of(context), job, self._clock.monotonic, sensor.log)
        self._polled_at: datetime | None = None
        self.is_later = bool(context.get("task_reschedule_count")) or (context["ti"].try_number or 1) > 1
        self.worker = self._carry(state or JobState(job.job_id))

    @property
    def wait(self) -> Wait:
        """The wait."""
        return self.worker.wait

    def _carry(self, state: JobState) -> WorkerWait:
        sensor, kind = self._sensor, KINDS[self.job.kind]
        circumstances = Circumstances(
            listens=False,
            is_same_try=bool(self._context.get("task_reschedule_count")),
            has_past=self.is_later,
            shows_progress=sensor.do_xcom_push,
            stop_at=sensor.stop_at,
            polls=bool(kind.describe_action),
            began_at=self._began_at,
        )
        wait = Wait(
            state,
            functools.partial(verdict_of, kind),
            sensor.rules(),
            journal=self.journal,
            clock=self._clock,
            pace=Pace(sensor.poke_interval),
            circumstances=circumstances,
        )
        return WorkerWait(
            wait,
            store=self._store,
            poll=self._poll,
            show=self._show,
            say=lambda line: sensor.log.info("%s", line),
            clock=self._clock,
            stop=self._stop,
        )

    def _stop(self) -> str | None:
        assert self._hook is not None, "only a leg that begins with a connection stops anything"
        return stop(self._hook, self.job)

    def _poll(self) -> Seen:
        assert self._hook is not None, "only a leg that begins with a connection polls"
        seen = poll(self._hook, self.job, self._sensor.absent_codes)
        self._polled_at = seen.at
        return seen

    def rest(self) -> None:
        """Say in the pulse that the task waits here until Airflow calls it again."""
        sensor, now = self._sensor, self._clock.now()
        # Airflow keeps to itself how long it backs off.
        pause = None if sensor.exponential_backoff else timedelta(seconds=sensor.poke_interval)
        self._pulse.beat(self._polled_at, None if pause is None else now + pause, now)

    def show_end(self, ending: Ending) -> None:
        """Show users how the wait ended, where the wait itself does not."""
        if self._sensor.do_xcom_push:
            self._show(self.wait.state, ending)

    def _show(self, state: JobState, ending: Ending | None) -> bool:
        ti, sensor = self._context["ti"], self._sensor
        value = progress(state, self.job, sensor.shown(self._context, self._began_at), ending)
        try:
            ti.xcom_push(key=PROGRESS_XCOM, value=value)
        except Exception as error:
            self._sensor.log.warning("Cannot show the progress (%s: %s)", type(error).__name__, error)
            return False
        return True

    def where_it_stands(self) -> str:
        """A sentence for the error of a wait that took too long."""
        state = self.wait.state
        if state.trouble is not None:
            return f"The last poll failed: {state.trouble.message}"
        if state.status is None:
            return f"The service never showed {self.job}."
        if self._sensor.owns:
            return (
                f"So its {self.job.kind} is stopped. Last status: {state.status}, {len(state.files)} files"
                f" so far. Id: {self.job.job_id}"
            )
        return (
            f"The {self.job.kind} still runs: status {state.status}, {len(state.files)} files so far; they "
            f"are kept, and a cleared task continues from there. Id: {self.job.job_id}"
        )


class JobSensor(ChecksArguments, KeepsJournal, BaseSensorOperator):
    """What all sensors share; see `TrtcJobSensor` and `TrtcRecordingSensor`."""

    argument_checks: ClassVar[Mapping[str, Check]] = {
        "kind": one_of(KINDS),
        "trtc_conn_id": required_name,
        "region": name_of,
        "sdk_app_id": read_app_id,
        "if_never_seen": one_of(get_args(IfNeverSeen)),
        "deferrable": switch,
        "grace_seconds": seconds,
        "settle_seconds": seconds,
        "absent_codes": texts,
    }

    operator_extra_links = (TrtcConsoleLink(),)
    ui_color = "#d7e8ff"
    id_field: ClassVar[str] = "job_id"
    owns: bool = False  # whether the task started the job, so that its end is the job's end

    def __init__(  # noqa: PLR0913 - what users write, each by name
        self,
        *,
        kind: str,
        sdk_app_id: int | str | None,
        trtc_conn_id: str,
        region: str | None,
        if_never_seen: IfNeverSeen,
        deferrable: bool | None,
        grace_seconds: float | timedelta,
        settle_seconds: float | timedelta,
        absent_codes: Sequence[str],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.sdk_app_id = sdk_app_id
        self.trtc_conn_id = trtc_conn_id
        self.region = region
        self.if_never_seen = if_never_seen
        self.deferrable = _default_deferrable() if deferrable is None else deferrable
        # Seconds, once checked.
        self.grace_seconds: Any = grace_seconds
        self.settle_seconds: Any = settle_seconds
        self.absent_codes = absent_codes
        self.console_url: str | None = None
        self.stop_at: float | None = None  # when the wait stops the job, Unix seconds
        self._leg: _Leg | None = None
        self._executing_since = 0.0

    def execute(self, context: Context) -> Any:
        """Wait; see the class."""
        self._leg = None  # ``dag.test()`` runs one operator object several times
        self._executing_since = time.monotonic()
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            if self._leg is not None:  # Airflow ended the wait
                self._leg.show_end(TimedOut("timeout"))
            raise self._timed_out(str(error)) from None

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll the job; in deferrable mode, defer unless that settles it."""
        leg = self._leg = self._leg or self._begin_or_wait(context)
        if leg is None:
            return PokeReturnValue(is_done=False)
        ending = leg.worker.take_turn(self._stay_until())
        if ending is None:
            if self._defers(leg):
                self._defer(context, leg)
            leg.rest()
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(context, leg, ending))

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, started_at: float | None = None
    ) -> Any:
        """Resume with what the trigger found.

        :param started_at: for `resume_execution`, when there is no event; unused here.
        """
        result = self._read(event)
        setattr(self, self.id_field, result.job.job_id)
        # What the trigger needed a connection for is in its event; nothing may go wrong here any more.
        self.console_url = result.console_url
        try:
            self.check_rendered()
        except TrtcSetupError as error:
            raise self._failure(Failure.SETUP, str(error)) from None
        leg = self._leg = _Leg(self, context, result.job, state=result.state, started_at=result.started_at)
        leg.worker.take_over(result.ending)
        try:
            return self._conclude(context, leg, _with_files(result.ending, leg.wait.state))
        except TrtcError as error:
            return self._as_poke_would(context, error, result.started_at)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after deferral; `silent_fail` outlives a trigger that broke."""
        started_at = (next_kwargs or {}).get("started_at")
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralError as error:
            return self._as_poke_would(context, error, started_at)
        except AirflowSensorTimeout:
            # Without an event it was Airflow's own limit on the deferral, made from the tighter one of both.
            limit = self.execution_timeout
            if self._leg is None and limit is not None and limit.total_seconds() < self.timeout:
                raise self._execution_timed_out() from None
            if self._leg is None:
                raise self._timed_out(_NO_TRIGGERER) from None
            raise

    def began_at(self, context: Context) -> float:
        """When this try began to wait, Unix seconds: Airflow counts anew whenever it reschedules a task."""
        is_rescheduled = self.reschedule and context.get("task_reschedule_count")
        first = context["ti"].get_first_reschedule_date(context) if is_rescheduled else None
        return first.timestamp() if first is not None else _started_at(context)

    def shown(self, context: Context, began_at: float) -> ShownWait:
        """What users see of a wait that began then (Unix seconds), besides the job's state."""
        return ShownWait(
            console_url=self.console_url,
            try_number=context["ti"].try_number,
            wait_for=self.rules().wait_for if self.kind == "recording" else None,
            poke_interval=self.poke_interval,
            started_at=began_at,
            limits=limits_of(*self._limits(began_at)),
        )

    # -- what kinds of sensors differ in ----------------------------------------------------------------

    def rules(self) -> Rules:
        """What the user decided, for the judge."""
        return Rules(
            finish_if_never_seen=self.if_never_seen == "finish",
            grace_seconds=self.grace_seconds,
            settle_seconds=self.settle_seconds,
        )

    def _place(self) -> tuple[Any, Any, Any]:
        """Id, application and region. What a template rendered to is a text, as the hook reads too."""
        return getattr(self, self.id_field), self.sdk_app_id, self.region

    def _skips(self, failure: Failure) -> bool:
        return failure is Failure.NEVER_SEEN and self.if_never_seen == "skip"

    def _check(self, context: Context) -> None:
        """Refuse what cannot work in this Airflow, before anything is polled."""
        kind = KINDS[self.kind]
        if not kind.describe_action and not has_callbacks(context):
            raise TrtcSetupError(
                f"The service cannot be asked about a {kind.label}: only callbacks report on it, and Airflow "
                "can receive them from version 3.3 on. Upgrade Airflow to wait for one."
            )

    def _push(self, context: Context, job: JobRef, state: JobState, finished: Finished, polls: int) -> Any:
        summary = job_result(state, finished, job, polls=polls)
        if state.records.left_out:
            message = "%d records are beyond what is kept; the receiver's journal has each event"
            self.log.warning(message, state.records.left_out)
        return push_results(self, context, summary, "job", summary)

    # -- beginning and ending ---------------------------------------------------------------------------

    def _begin_or_wait(self, context: Context) -> _Leg | None:
        """Begin; after a reschedule, trouble with a connection that was there before is waited out."""
        if not context.get("task_reschedule_count"):
            metrics.count(metrics.WAITS_BEGUN, kind=self.kind, mode=self._mode)
        try:
            leg = self._begin(context)
        except TrtcError as error:
            if not context.get("task_reschedule_count"):
                raise
            self.log.warning("%s", error)
            return None
        self.log.info(
            "Waiting for %s; %s every %g s for at most %g s. Console: %s",
            leg.job,
            "polling" if KINDS[self.kind].describe_action else "reading its callbacks",
            self.poke_interval,
            self.timeout,
            self.console_url,
        )
        return leg

    def _begin(self, context: Context) -> _Leg:
        try:
            self.check_rendered()
            self._check(context)
            given_id, app_id, region = self._place()
            hook = TrtcHook(self.trtc_conn_id, region=region, sdk_app_id=app_id)
            job_id = self._find_job(context, given_id)
            setattr(self, self.id_field, job_id)
            job = self._resolved(hook, hook.job(self.kind, job_id))
            settings = hook.settings
            self.console_url = console_url(
                settings.console_url,
                endpoint=settings.endpoint,
                kind=job.kind,
                sdk_app_id=job.sdk_app_id,
                region=settings.region,
                job_id=job.job_id,
            )
        except TrtcSetupError as error:
            if error.code == NO_CONNECTION:  # or Airflow cannot read it at present: a retry may help
                raise
            raise self._failure(Failure.SETUP, str(error)) from error
        return _Leg(self, context, job, hook=hook)

    def _resolved(self, hook: TrtcHook, job: JobRef) -> JobRef:
        """The job by the service's id, if it is named by what its start gave it and runs."""
        kind = KINDS[job.kind]
        if (key := kind.key_of(job.job_id)) is None:
            return job
        try:
            found = hook.find(job.kind, key, attempts=POLL_ATTEMPTS)
        except TrtcError as error:
            self.log.warning("Cannot ask which job %s is: %s", job.job_id, error)
            found = None
        if found is None:
            return job
        self.log.info("%s is the %s %s", job.job_id, kind.label, found)
        return replace(job, job_id=found)

    def _find_job(self, context: Context, given_id: Any) -> str:
        """The id of the job to wait for.

        :raises TrtcSetupError: the argument names none.
        """
        mapped = f"{type(self).__name__}.partial(...).expand({self.id_field}=[...])"
        return checked_id(self.id_field, given_id, mapped, KINDS[self.kind].id_source)

    def _conclude(self, context: Context, leg: _Leg, ending: Ending) -> Any:
        match ending:
            case Failed(failure=failure, reason=reason):
                raise self._failure(failure, reason)
            case TimedOut(limit=limit):
                raise self._execution_timed_out() if limit == "execution_timeout" else self._timed_out()
            case Finished() as finished:
                self._count_end(finished.outcome, finished)
                state = leg.wait.state
                polls = max(state.polls, int(context.get("task_reschedule_count") or 0) + 1)
                for problem in finished.problems:
                    self.log.warning("%s: %s", problem.kind, problem.message)
                self.log.info("The %s has ended (%s)", self.kind, finished.outcome)
                return self._push(context, leg.job, state, finished, polls)

    @property
    def _mode(self) -> str:
        return "deferrable" if self.deferrable else str(self.mode)

    def _count_end(self, outcome: str, finished: Finished | None = None) -> None:
        tags = {"kind": self.kind, "mode": self._mode, "outcome": outcome}
        metrics.count(metrics.WAITS_ENDED, **tags)
        if finished is not None:
            metrics.timing(metrics.WAIT_LAG, time.time() - finished.finished_at.timestamp(), **tags)

    def _failure(self, failure: Failure, reason: str) -> Exception:
        self._count_end(failure.value)
        if self.soft_fail or self.never_fail:  # Airflow's own message would hide the reason
            self.log.warning("%s", reason)
        if self._skips(failure):
            return AirflowSkipException(reason)
        if failure is Failure.REFUSED:
            return TrtcFailedError(reason, job_id=getattr(self, self.id_field))
        return AirflowFailException(reason)

    def _timed_out(self, message: str | None = None) -> Exception:
        self._count_end("timeout")
        message = message or f"Sensor has timed out; the wait exceeds the timeout of {self.timeout} s."
        text = f"{message} {self._leg.where_it_stands() if self._leg else ''}".strip()
        if self.never_fail or self.soft_fail:
            return AirflowSkipException(text)
        return AirflowSensorTimeout(text)

    def _execution_timed_out(self) -> BaseException:
        self._count_end("execution_timeout")
        return AirflowTaskTimeout(f"execution_timeout of {self.execution_timeout} is over")

    def _read(self, event: object) -> TriggerResult:
        try:
            return read_event(event)
        except ValueError as error:
            raise AirflowFailException(
                f"the trigger sent an event that this version does not know: {error}. Install one version of "
                "airflow-trtc on workers and triggerers, then clear this task: nothing is lost."
            ) from error

    # -- deferring --------------------------------------------------------------------------------------

    def _defers(self, leg: _Leg) -> bool:
        # Without a journal a rescheduled task would forget, at every poll, that it ever saw the job.
        return self.deferrable or (self.reschedule and (self._is_named or not leg.wait.is_kept))

    @property
    def _is_named(self) -> bool:
        """Whether the job is named by what its start gave it, which the service forgets with the job."""
        return KINDS[self.kind].key_of(getattr(self, self.id_field)) is not None

    def _why_not_rescheduled(self, leg: _Leg) -> str:
        if self._is_named:
            return "Deferring instead of rescheduling: once the job is over, nothing would say which it was"
        why = "the journal cannot be used" if leg.journal.is_available else "Airflow below 3.3"
        return f"Deferring instead of rescheduling: nothing is kept between reschedules ({why})"

    def _stay_until(self) -> float:
        """Until when to sleep through short pauses, which occupy a worker's slot; by the monotonic clock."""
        longest: float = min(self.grace_seconds + self.settle_seconds, MAX_STAY_SECONDS)
        return min(time.monotonic() + longest, self._executing_since + self.timeout)

    def _defer(self, context: Context, leg: _Leg, started_at: float | None = None) -> None:
        if not self.deferrable:
            self.log.info("%s", self._why_not_rescheduled(leg))
        started_at = started_at or _started_at(context)
        timeout_at, execution_timeout_at = self._limits(started_at)
        last = min(timeout_at, execution_timeout_at or timeout_at)
        arguments = WaitArguments(
            kind=self.kind,
            job_id=leg.job.job_id,
            sdk_app_id=leg.job.sdk_app_id,
            region=leg.job.region or "",
            trtc_conn_id=self.trtc_conn_id,
            poke_interval=self.poke_interval,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            rules=self.rules(),
            absent_codes=self.absent_codes,
            state=to_json(leg.wait.state, leg.job),
            feed_position=leg.wait.feed_position,
            is_recalled=leg.wait.is_recalled,
            has_past=leg.is_later,
            deferred_at=time.time(),
            timeout_at=timeout_at,
            execution_timeout_at=execution_timeout_at,
            console_url=self.console_url,
            try_number=context["ti"].try_number,
            show_progress=self.do_xcom_push,
            started_at=started_at,
            stop_at=self.stop_at,
            owns=self.owns,
        )
        self.defer(
            trigger=TrtcJobTrigger(**arguments.to_json()),
            method_name="execute_complete",
            kwargs={"started_at": started_at},
            timeout=_deferral_timeout(last - time.time()),
        )

    def _limits(self, started_at: float) -> tuple[float, float | None]:
        limit = self.execution_timeout
        return started_at + self.timeout, started_at + limit.total_seconds() if limit else None

    def _as_poke_would(self, context: Context, error: Exception, started_at: float | None) -> Any:
        """Treat an ordinary error after deferral as `BaseSensorOperator` treats it in `poke`."""
        if self.silent_fail:
            self.log.error("Sensor poke failed: %s", error)
            started_at = started_at or _started_at(context)
            timeout_at, execution_timeout_at = self._limits(started_at)
            if execution_timeout_at is not None and time.time() >= execution_timeout_at:
                raise self._execution_timed_out()
            if time.time() >= timeout_at:
                raise self._timed_out()
            leg = self._leg or self._begin(context)
            leg.wait.reset_refusals()
            self._defer(context, leg, started_at)
        if self.never_fail:
            raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
        raise error


class TrtcJobSensor(JobSensor):
    """Wait until a job of any kind has ended, and return its summary.

    The same wait as that of `TrtcRecordingSensor`, in all modes, for the kinds of jobs in
    :mod:`airflow_trtc.kinds`. XComs: ``return_value`` and ``job``, the summary (see `job_result`);
    ``progress``, its state while the task waits.

    :param kind: the kind of job.
    :param job_id: the job's id, as the call that started it answered (``TaskId``, for most kinds).
        (templated)
    :param sdk_app_id: the TRTC application; default: the connection's ``sdk_app_id``. (templated)
    :param trtc_conn_id: the connection. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param if_never_seen: what to do when the service has not known the job for `grace_seconds` and no poll
        ever showed it: ``fail`` (default; a wrong id looks the same), ``finish``, or ``skip``.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param grace_seconds: for how long "not there" is not believed of a job never seen; seconds or a
        timedelta. Default 30. (templated)
    :param settle_seconds: how long to wait, after an end, for callbacks that may come later. Default 10.
        (templated)
    :param absent_codes: the service's error codes that mean "not there"; default: those of the kind.
    :param fail_on: the kinds of problems that fail the task when callbacks report them, see `Problem`.
        Default: all but ``image``. Those left out are listed in the summary.
    :param callback_timeout: of a kind that cannot be polled, a relay: how long to wait for the first
        callback, and for the next one where it has to come soon. Of the others: how long callbacks may
        report a job that the service does not know. Seconds or a timedelta. Default ten minutes. (templated)
    :raises AirflowFailException: the set-up is wrong, the job was never seen or did not end well, or a
        callback is missing without which nothing is known of it.
    :raises AirflowSensorTimeout: `timeout` is over.
    :raises TrtcFailedError: the service refused three polls in a row with an undocumented code.
    """

    template_fields: Sequence[str] = (
        "job_id",
        "sdk_app_id",
        "trtc_conn_id",
        "region",
        "grace_seconds",
        "settle_seconds",
        "callback_timeout",
    )
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **JobSensor.argument_checks,
        "fail_on": problem_kinds,
        "callback_timeout": seconds,
    }

    def __init__(  # noqa: PLR0913 - what users write, each by name
        self,
        *,
        kind: str,
        job_id: str,
        sdk_app_id: int | str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        region: str | None = None,
        if_never_seen: IfNeverSeen = "fail",
        deferrable: bool | None = None,
        grace_seconds: float | timedelta = 30.0,
        settle_seconds: float | timedelta = 10.0,
        absent_codes: Sequence[str] | None = None,
        fail_on: Collection[str] = FAIL_ON,
        callback_timeout: float | timedelta = JOB_CALLBACK_TIMEOUT_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kind=kind,
            sdk_app_id=sdk_app_id,
            trtc_conn_id=trtc_conn_id,
            region=region,
            if_never_seen=if_never_seen,
            deferrable=deferrable,
            grace_seconds=grace_seconds,
            settle_seconds=settle_seconds,
            absent_codes=_absent_codes(kind) if absent_codes is None else absent_codes,
            **kwargs,
        )
        self.job_id = job_id
        self.fail_on = fail_on
        self.callback_timeout: Any = callback_timeout
        self.check_arguments()

    def rules(self) -> Rules:
        """What the user decided, for the judge."""
        return replace(
            super().rules(),
            fail_on=frozenset(self.fail_on),
            callback_timeout_seconds=self.callback_timeout,
        )


class TrtcRecordingSensor(JobSensor):
    """Wait until a cloud recording has ended, or until its files are where they belong, and return them.

    The service answers for a recording only while it runs; afterwards it answers as if the recording had
    never existed. So the sensor succeeds when a recording that was seen is gone, when it was ``Exited`` long
    enough to list its last files, or when a callback reported its end. Every file that any poll listed
    or any callback named is returned, also after retries, clears, killed workers and killed triggerers
    (Airflow 3.3; see the docs for older).

    A throttled or unreachable service never fails the wait; a wrong key fails it at once. Poke, reschedule
    and deferrable mode have the same results and raise the same errors.

    XCom ``return_value`` is the list of files, plain dicts to map over (see `file_results`); ``recording``
    the summary (see `recording_result`); ``progress``, its state while the task waits.

    :param recording_id: the recording's id, as ``CreateCloudRecording`` returned it (``TaskId``). Give either
        this or `recording`. (templated)
    :param recording: the XCom ``recording`` of the task that started it, such as
        ``start.output["recording"]``: it also names application, region and prefix. Other arguments go first.
        (templated)
    :param sdk_app_id: the TRTC application; default: that of `recording`, or the connection's
        ``sdk_app_id``. (templated)
    :param trtc_conn_id: the connection. (templated)
    :param region: the API region; default: that of `recording`, or the connection's. (templated)
    :param if_never_seen: what to do when the service has not known the recording for `grace_seconds` and no
        poll ever showed it: ``fail`` (default; a wrong id looks the same), ``finish`` with no files, or
        ``skip``.
    :param wait_for: ``recording`` (default), its end; ``upload``, its index files are in the bucket;
        ``mp4``, its conversions to mp4 or aac are; ``vod``, its files are in VOD. All but the first need
        callbacks.
    :param callback_timeout: how long, after the end and after each callback, to wait for the callback that
        completes what is waited for; seconds or a timedelta. Default an hour. (templated)
    :param if_no_callback: what to do when it does not come: ``fail`` (default), ``finish`` with the files
        found so far, or ``skip``. ``finish_if_empty`` and ``skip_if_empty`` do so only if nothing was
        recorded, as far as polls and callbacks show: the recorder left, and nobody named a file or an upload.
    :param fail_on: the kinds of problems that fail the task when callbacks report them, see `Problem`.
        Default: all but ``image``. Those left out are listed in the summary.
    :param file_name_prefix: the ``FileNamePrefix`` the recording was started with, as text with ``/`` or as
        list; it becomes the front of each file's ``object_key``. Default: that of `recording`. (templated)
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param grace_seconds: for how long "not there" is not believed of a recording never seen; seconds or a
        timedelta. Default 30. (templated)
    :param settle_seconds: how long to go on polling after ``Exited`` for the last files. Default 10.
        (templated)
    :param absent_codes: the service's error codes that mean "not there".
    :raises AirflowFailException: the set-up is wrong, the recording was never seen or did not end well, a
        callback is missing, or there are more files than Airflow may map over; no retry would help.
    :raises AirflowSensorTimeout: `timeout` is over.
    :raises TrtcFailedError: the service refused three polls in a row with an undocumented code.
    """

    template_fields: Sequence[str] = (
        "recording_id",
        "recording",
        "sdk_app_id",
        "trtc_conn_id",
        "region",
        "file_name_prefix",
        "callback_timeout",
        "grace_seconds",
        "settle_seconds",
    )
    id_field = "recording_id"
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **JobSensor.argument_checks,
        "recording": _recording,
        "wait_for": one_of(get_args(WaitFor)),
        "callback_timeout": seconds,
        "if_no_callback": one_of(get_args(IfNoCallback)),
        "fail_on": problem_kinds,
        "file_name_prefix": key_prefix,
        "multiple_outputs": list_only,
    }

    def __init__(  # noqa: PLR0913 - what users write, each by name
        self,
        *,
        recording_id: str | None = None,
        recording: Mapping[str, Any] | None = None,
        sdk_app_id: int | str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        region: str | None = None,
        if_never_seen: IfNeverSeen = "fail",
        wait_for: WaitFor = "recording",
        callback_timeout: float | timedelta = CALLBACK_TIMEOUT_SECONDS,
        if_no_callback: IfNoCallback = "fail",
        fail_on: Collection[str] = FAIL_ON,
        file_name_prefix: str | Sequence[str] | None = None,
        deferrable: bool | None = None,
        grace_seconds: float | timedelta = 30.0,
        settle_seconds: float | timedelta = 10.0,
        absent_codes: Sequence[str] = ABSENT_CODES,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kind="recording",
            sdk_app_id=sdk_app_id,
            trtc_conn_id=trtc_conn_id,
            region=region,
            if_never_seen=if_never_seen,
            deferrable=deferrable,
            grace_seconds=grace_seconds,
            settle_seconds=settle_seconds,
            absent_codes=absent_codes,
            **kwargs,
        )
        self.recording_id, self.recording = _one_name(recording_id, recording)
        self.wait_for = wait_for
        self.callback_timeout: Any = callback_timeout
        self.if_no_callback = if_no_callback
        self.fail_on = fail_on
        self.file_name_prefix = file_name_prefix
        self.check_arguments()

    def rules(self) -> Rules:
        """What the user decided, for the judge."""
        return replace(
            super().rules(),
            wait_for=self.wait_for,
            fail_on=frozenset(self.fail_on),
            callback_timeout_seconds=self.callback_timeout,
            finish_if_no_callback=self.if_no_callback == "finish",
            finish_if_empty=self.if_no_callback == "finish_if_empty",
        )

    def _skips(self, failure: Failure) -> bool:
        skipped_by = {Failure.NO_CALLBACK: ["skip"], Failure.EMPTY: ["skip", "skip_if_empty"]}
        return super()._skips(failure) or self.if_no_callback in skipped_by.get(failure, [])

    def _place(self) -> tuple[Any, Any, Any]:
        recording_id, app_id, region = super()._place()
        named = self._named()
        return named.recording_id or recording_id, app_id or named.sdk_app_id, region or named.region

    def _named(self) -> NamedRecording:
        return NamedRecording() if self.recording is None else read_named("recording", self.recording)

    def _check(self, context: Context) -> None:
        super()._check(context)
        self._warn_of_expiry(context)
        if self.wait_for != "recording" and not has_callbacks(context):
            raise TrtcSetupError(
                f'wait_for="{self.wait_for}" needs callbacks, which Airflow can receive from version 3.3 on. '
                'Upgrade Airflow, or use wait_for="recording".'
            )

    def _warn_of_expiry(self, context: Context) -> None:
        expires_at = self._named().expires_at
        if expires_at is not None and _started_at(context) + self.timeout > expires_at.timestamp():
            self.log.warning(
                "The wait may last %g s, but from %s on the service answers as if the recording were gone,"
                " though it may go on. Shorten timeout, or start it with a higher resource_expired_hours.",
                self.timeout,
                expires_at.isoformat(),
            )

    def _push(self, context: Context, job: JobRef, state: JobState, finished: Finished, polls: int) -> Any:
        prefix = self.file_name_prefix or self._named().file_name_prefix
        files = file_results(finished.files, job.job_id, prefix)
        summary = recording_result(state, finished, job, wait_for=self.wait_for, polls=polls)
        self.log.info("Files: %d", len(files))
        return push_results(self, context, files, "recording", summary)


def _with_files(ending: Ending, state: JobState) -> Ending:
    """The ending with all files of the state, the journal's too."""
    if isinstance(ending, Finished):
        return Finished(ending.outcome, state.files, ending.finished_at, ending.problems)
    return ending


def _absent_codes(kind: Any) -> tuple[str, ...]:
    return next((row.absent_codes for row in KINDS.values() if row.name == kind), ())


def _deferral_timeout(remaining_seconds: float) -> timedelta:
    """Airflow's own limit on the deferral; ``timedelta.max`` is beyond every calendar."""
    return timedelta(seconds=min(max(remaining_seconds, 0.0), LONGEST_SECONDS) + DEFERRAL_MARGIN_SECONDS)


def _default_deferrable() -> bool:
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def _started_at(context: Context) -> float:
    return context["ti"].start_date.timestamp()
