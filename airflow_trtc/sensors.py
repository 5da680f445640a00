"""The sensor that waits until a recording has ended and hands its files on."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_trtc._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralError,
    conf,
)
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcSetupError
from airflow_trtc.hooks import NO_CONNECTION, TrtcHook
from airflow_trtc.jobs.observation import Look
from airflow_trtc.jobs.problem import FAIL_ON, PROBLEM_KINDS, Problem
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, from_json, to_json
from airflow_trtc.jobs.verdict import (
    ABSENT_CODES,
    CALLBACK_TIMEOUT_SECONDS,
    Failed,
    Failure,
    Finished,
    Rules,
    Verdict,
    WaitFor,
    Waiting,
    interpret,
    misses_callback,
)
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.store import Journal, with_journal
from airflow_trtc.links import TrtcConsoleLink, console_url
from airflow_trtc.results import file_results, recording_result
from airflow_trtc.triggers import PROGRESS_XCOM, TrtcRecordingTrigger, progress
from airflow_trtc.waiting.handover import hand_on
from airflow_trtc.waiting.watch import Watch

if TYPE_CHECKING:
    from airflow.sdk import Context

# The trigger itself ends the wait in time; Airflow's own limit is for when no triggerer runs.
DEFERRAL_MARGIN_SECONDS = 180.0
LONGEST_HURRY_SECONDS = 60.0
LOOK_ATTEMPTS = 4


class TrtcRecordingSensor(BaseSensorOperator):
    """Wait until a cloud recording has ended, or until its files are where they belong, and return them.

    The service tells of a recording only while it runs; afterwards it answers as if the recording had
    never existed. So the sensor succeeds when a recording that was seen is gone, when it told ``Exited``
    and had time to list its last files, or when a callback told its end. Every file that any look listed
    or any callback named is handed on, also after retries, clears, killed workers and killed triggerers
    (Airflow 3.3; see the README for older).

    A throttled or unreachable service never fails the wait; a wrong key fails it at once. Poke,
    reschedule and deferrable mode have the same results and raise the same errors.

    XCom ``return_value`` is the list of files, plain dicts to map over (see `file_results`); ``recording``
    the summary (see `recording_result`); ``progress``, while it waits, what is known so far.

    :param recording_id: the recording's id, as ``CreateCloudRecording`` returned it (``TaskId``). (templated)
    :param sdk_app_id: the TRTC application; default: the connection's ``sdk_app_id``. (templated)
    :param trtc_conn_id: the connection. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param if_never_seen: what to do when the service has not known the recording for `grace_seconds` and
        no look ever showed it: ``fail`` (default; a wrong id looks just so), ``finish`` with no files, or
        ``skip``.
    :param wait_for: ``recording`` (default), its end; ``upload``, its index files are in the bucket;
        ``mp4``, its conversions to mp4 or aac are; ``vod``, its files are in VOD. All but the first need
        callbacks.
    :param callback_timeout: how long, after the end and after each callback, to wait for the callback that
        completes what is waited for; seconds or a timedelta. Default an hour.
    :param if_no_callback: what to do when it does not come: ``fail`` (default), ``finish`` with the files
        that are known, or ``skip``.
    :param fail_on: the kinds of problems that fail the task when callbacks tell of them, see `Problem`.
        Default: all but ``image``. Those left out are listed in the summary.
    :param file_name_prefix: the ``FileNamePrefix`` the recording was started with, as text with ``/`` or as
        list; it becomes the front of each file's ``object_key``. (templated)
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param grace_seconds: for how long "not there" is not believed of a recording never seen. Default 30.
    :param settle_seconds: how long to go on asking after ``Exited`` for the last files. Default 10.
    :param absent_codes: the service's error codes that mean "not there".
    :raises AirflowFailException: the set-up is wrong, the recording was never seen or did not end well, a
        callback is missing, or there are more files than Airflow may map over; no retry would help.
    :raises AirflowSensorTimeout: `timeout` is over.
    :raises TrtcFailedError: the service refused three looks in a row with a code that nobody documented.
    """

    template_fields: Sequence[str] = (
        "recording_id",
        "sdk_app_id",
        "trtc_conn_id",
        "region",
        "file_name_prefix",
    )
    operator_extra_links = (TrtcConsoleLink(),)
    ui_color = "#d7e8ff"

    def __init__(
        self,
        *,
        recording_id: str,
        sdk_app_id: int | str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        region: str | None = None,
        if_never_seen: Literal["fail", "finish", "skip"] = "fail",
        wait_for: WaitFor = "recording",
        callback_timeout: float | timedelta = CALLBACK_TIMEOUT_SECONDS,
        if_no_callback: Literal["fail", "finish", "skip"] = "fail",
        fail_on: Collection[str] = FAIL_ON,
        file_name_prefix: str | Sequence[str] | None = None,
        deferrable: bool | None = None,
        grace_seconds: float = 30.0,
        settle_seconds: float = 10.0,
        absent_codes: Sequence[str] = ABSENT_CODES,
        inlets: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(inlets=with_journal(inlets), **kwargs)
        _check_choice("if_never_seen", if_never_seen, ("fail", "finish", "skip"))
        _check_choice("if_no_callback", if_no_callback, ("fail", "finish", "skip"))
        _check_choice("wait_for", wait_for, get_args(WaitFor))
        if isinstance(fail_on, str):
            raise ValueError(f"fail_on must be a list of kinds, not the text {fail_on!r}")
        for kind in fail_on:
            _check_choice("fail_on", kind, PROBLEM_KINDS)
        if isinstance(absent_codes, str):
            raise ValueError(f"absent_codes must be a list of codes, not the text {absent_codes!r}")
        self.recording_id = recording_id
        self.sdk_app_id = sdk_app_id
        self.trtc_conn_id = trtc_conn_id
        self.region = region
        self.if_never_seen = if_never_seen
        self.wait_for = wait_for
        self.callback_timeout = _seconds(callback_timeout)
        self.if_no_callback = if_no_callback
        self.fail_on = tuple(sorted(fail_on))
        self.file_name_prefix = file_name_prefix
        self.deferrable = _default_deferrable() if deferrable is None else deferrable
        self.grace_seconds = grace_seconds
        self.settle_seconds = settle_seconds
        self.absent_codes = tuple(absent_codes)
        self.console_url: str | None = None
        self._visit: _Visit | None = None
        self._executing_since = 0.0

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map over recordings; the journal becomes an inlet of the mapped task as well."""
        inlets = kwargs.get("inlets", (kwargs.get("default_args") or {}).get("inlets"))
        return super().partial(**{**kwargs, "inlets": with_journal(inlets)})

    def execute(self, context: Context) -> Any:
        """Wait; see the class."""
        self._visit = None  # ``dag.test()`` runs one operator object several times
        self._executing_since = time.monotonic()
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            raise self._timed_out(str(error)) from None

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the recording; in deferrable mode, defer unless that settles it."""
        visit = self._visit = self._visit or self._begin_or_wait(context)
        if visit is None:
            return PokeReturnValue(is_done=False)
        verdict = visit.look(hurry_until=self._hurry_until())
        if isinstance(verdict, Waiting):
            if self._defers(visit):
                self._defer(context, visit)
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(context, visit, verdict))

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, started_at: float | None = None
    ) -> Any:
        """Resume with what the trigger saw.

        :param started_at: for `resume_execution`, when there is no event; unused here.
        """
        event = _checked(event)
        self.recording_id = event["known"]["recording_id"]
        # What the trigger needed a connection for is in its event; nothing may go wrong here any more.
        place = _Place(event["sdk_app_id"], event["region"], event["console_url"])
        visit = self._visit = self._visit_at(place, context, from_json(event["known"], self.recording_id))
        visit.note()
        try:
            return self._resume(context, visit, event)
        except TrtcError as error:
            return self._as_poke_would(context, error, event["started_at"])

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
            if self._visit is None and limit is not None and limit.total_seconds() < self.timeout:
                raise self._execution_timed_out() from None
            raise

    # -- beginning and ending ---------------------------------------------------------------------

    def _begin_or_wait(self, context: Context) -> _Visit | None:
        """Begin; after a reschedule, trouble with a connection that was there before is waited out."""
        try:
            visit = self._begin(context)
        except TrtcError as error:
            if not context.get("task_reschedule_count"):
                raise
            self.log.warning("%s", error)
            return None
        self.log.info("Waiting for %s", visit)
        return visit

    def _begin(self, context: Context) -> _Visit:
        try:
            self.recording_id = checked_recording_id(self.recording_id)
            # An argument rendered from a template is a text; the hook reads both.
            app_id: Any = self.sdk_app_id or None
            hook = TrtcHook(self.trtc_conn_id, region=self.region or None, sdk_app_id=app_id)
            place = _Place.of(hook, self.recording_id)
            self._check_callbacks(context)
        except TrtcSetupError as error:
            if error.code == NO_CONNECTION:  # or Airflow could not read it just now: a retry may help
                raise
            raise self._failure(Failure.SETUP, str(error)) from error
        return self._visit_at(place, context, JobState(self.recording_id), hook)

    def _check_callbacks(self, context: Context) -> None:
        if self.wait_for != "recording" and "asset_state_store" not in context:
            raise TrtcSetupError(
                f'wait_for="{self.wait_for}" needs callbacks, which Airflow can receive from version 3.3 on; '
                'with this version only wait_for="recording" is possible'
            )

    def _visit_at(
        self, place: _Place, context: Context, known: JobState, hook: TrtcHook | None = None
    ) -> _Visit:
        self.console_url = place.console_url
        return _Visit(self, context, place, known, hook)

    def rules(self) -> Rules:
        """What the user decided, for the judge."""
        return Rules(
            finish_if_never_seen=self.if_never_seen == "finish",
            grace_seconds=self.grace_seconds,
            settle_seconds=self.settle_seconds,
            wait_for=self.wait_for,
            fail_on=self.fail_on,
            callback_timeout_seconds=self.callback_timeout,
            finish_if_no_callback=self.if_no_callback == "finish",
        )

    def _conclude(self, context: Context, visit: _Visit, verdict: Finished | Failed) -> list[dict[str, Any]]:
        if isinstance(verdict, Failed):
            raise self._failure(verdict.failure, verdict.reason)
        return self._hand_on(context, visit, verdict)

    def _failure(self, failure: Failure, reason: str) -> Exception:
        if self.soft_fail or self.never_fail:  # Airflow's own message would hide the reason
            self.log.warning("%s", reason)
        if failure is Failure.NEVER_SEEN and self.if_never_seen == "skip":
            return AirflowSkipException(reason)
        if failure is Failure.NO_CALLBACK and self.if_no_callback == "skip":
            return AirflowSkipException(reason)
        if failure is Failure.REFUSED:
            return TrtcFailedError(reason, recording_id=self.recording_id)
        return AirflowFailException(reason)

    def _hand_on(self, context: Context, visit: _Visit, finished: Finished) -> list[dict[str, Any]]:
        known = visit.known
        files = file_results(finished.files, known.recording_id, self.file_name_prefix or None)
        summary = recording_result(
            known,
            finished,
            sdk_app_id=visit.place.sdk_app_id,
            region=visit.place.region,
            wait_for=self.wait_for,
            polls=max(known.looks, int(context.get("task_reschedule_count") or 0) + 1),
        )
        for problem in finished.problems:
            self.log.warning("%s: %s", problem.kind, problem.message)
        self.log.info("The recording has ended (%s); files: %d", finished.outcome, len(files))
        return hand_on(self, context, files, summary)

    def _timed_out(self, message: str | None = None) -> Exception:
        message = message or f"Sensor has timed out; the wait exceeds the timeout of {self.timeout} s."
        text = f"{message} {self._visit.where_it_stands() if self._visit else ''}".strip()
        if self.never_fail or self.soft_fail:
            return AirflowSkipException(text)
        return AirflowSensorTimeout(text)

    def _execution_timed_out(self) -> BaseException:
        return AirflowTaskTimeout(f"execution_timeout of {self.execution_timeout} is over")

    # -- deferring --------------------------------------------------------------------------------

    def _defers(self, visit: _Visit) -> bool:
        # Without a journal a rescheduled task would forget, at every look, that it ever saw the recording.
        return self.deferrable or (self.reschedule and not visit.is_kept)

    def _hurry_until(self) -> float:
        """Until when a look may be repeated in haste, by the monotonic clock; it occupies a worker's slot."""
        now = time.monotonic()
        longest = min(self.grace_seconds + self.settle_seconds, LONGEST_HURRY_SECONDS)
        return min(now + longest, self._executing_since + self.timeout)

    def _defer(self, context: Context, visit: _Visit, started_at: float | None = None) -> None:
        if not self.deferrable:
            why = "the journal fails" if visit.journal.is_available else "Airflow below 3.3"
            self.log.info("%s keeps nothing between reschedules: the sensor defers instead", why)
        started_at = started_at or _started_at(context)
        timeout_at, execution_timeout_at = self._limits(started_at)
        last = min(timeout_at, execution_timeout_at or timeout_at)
        self.defer(
            trigger=self._trigger(context, visit, started_at),
            method_name="execute_complete",
            kwargs={"started_at": started_at},
            timeout=timedelta(seconds=max(last - time.time(), 0.0) + DEFERRAL_MARGIN_SECONDS),
        )

    def _limits(self, started_at: float) -> tuple[float, float | None]:
        limit = self.execution_timeout
        return started_at + self.timeout, started_at + limit.total_seconds() if limit else None

    def _trigger(self, context: Context, visit: _Visit, started_at: float) -> TrtcRecordingTrigger:
        timeout_at, execution_timeout_at = self._limits(started_at)
        rules = self.rules()
        return TrtcRecordingTrigger(
            recording_id=self.recording_id,
            sdk_app_id=visit.place.sdk_app_id,
            region=visit.place.region,
            trtc_conn_id=self.trtc_conn_id,
            poke_interval=self.poke_interval,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            finish_if_never_seen=rules.finish_if_never_seen,
            grace_seconds=rules.grace_seconds,
            settle_seconds=rules.settle_seconds,
            absent_codes=self.absent_codes,
            wait_for=rules.wait_for,
            fail_on=rules.fail_on,
            callback_timeout_seconds=rules.callback_timeout_seconds,
            finish_if_no_callback=rules.finish_if_no_callback,
            known=to_json(visit.known),
            since=visit.since,
            deferred_at=time.time(),
            timeout_at=timeout_at,
            execution_timeout_at=execution_timeout_at,
            console_url=self.console_url,
            try_number=context["ti"].try_number,
            show_progress=self.do_xcom_push,
            started_at=started_at,
        )

    def _resume(self, context: Context, visit: _Visit, event: dict[str, Any]) -> Any:
        if event["status"] == "finished":
            finished_at = datetime.fromisoformat(event["finished_at"])
            # A trigger that was started by the version before knows of no problems.
            problems = tuple(Problem(**each) for each in event.get("problems", ()))
            finished = Finished(event["outcome"], visit.known.files, finished_at, problems)
            return self._hand_on(context, visit, finished)
        if event["status"] == "failed":
            raise self._failure(Failure(event["failure"]), event["reason"])
        if event["limit"] == "execution_timeout":
            raise self._execution_timed_out()
        raise self._timed_out()

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
            visit = self._visit or self._begin(context)
            visit.forgive()
            self._defer(context, visit, started_at)
        if self.never_fail:
            raise AirflowSkipException("Skipping due to never_fail is set to True.") from error
        raise error


@dataclass(frozen=True)
class _Place:
    """Where a recording is asked about, and where people can see it."""

    sdk_app_id: int
    region: str
    console_url: str | None

    @classmethod
    def of(cls, hook: TrtcHook, recording_id: str) -> _Place:
        settings = hook.settings
        sdk_app_id = hook.required_app_id(settings)
        url = console_url(
            settings.console_url,
            endpoint=settings.endpoint,
            sdk_app_id=sdk_app_id,
            region=settings.region,
            recording_id=recording_id,
        )
        return cls(sdk_app_id, settings.region, url)


class _Visit:
    """One stay on a worker: what is known, and the way to the service, the journal and the XComs."""

    def __init__(
        self,
        sensor: TrtcRecordingSensor,
        context: Context,
        place: _Place,
        known: JobState,
        hook: TrtcHook | None,
    ) -> None:
        self._sensor = sensor
        self._context = context
        self._hook = hook
        self.place = place
        self._was_rescheduled = bool(context.get("task_reschedule_count"))
        self.journal = Journal.of_task(
            context, Rows(JobRef("recording", place.sdk_app_id, place.region, known.recording_id))
        )
        # In this order: what is stored in between is in both, and not in neither.
        self.since = self.journal.log_end() if hook is not None else None
        loaded = self.journal.load(known, same_try=self._was_rescheduled)
        self._is_fresh = True
        # After a deferral there is no way to look, and the trigger has announced what it found.
        is_announced = hook is None
        unsaved = bool(known.files or known.was_seen)
        self._watch = Watch(loaded, sensor.rules(), unsaved=unsaved, is_announced=is_announced)

    def __str__(self) -> str:
        place = f"application {self.place.sdk_app_id}, region {self.place.region}"
        pace = f"a look every {self._sensor.poke_interval:g} s for at most {self._sensor.timeout:g} s"
        return f"recording {self.known.recording_id} ({place}), {pace}. Console: {self.place.console_url}"

    @property
    def known(self) -> JobState:
        """What is known of the recording now."""
        return self._watch.known

    @property
    def is_kept(self) -> bool:
        """Whether a later look in another process would know what this one knows."""
        return self.journal.is_available and self.journal.is_loaded and not self._watch.unsaved

    def forgive(self) -> None:
        """Count refusals anew."""
        self._watch.known = replace(self._watch.known, refusals=0)

    def look(self, hurry_until: float) -> Verdict:
        """Look once, and again while the judge asks for haste; note what is new."""
        while True:
            verdict = self._look_once()
            self.note()
            pause_seconds = _haste(verdict)
            if pause_seconds is None or time.monotonic() + pause_seconds > hurry_until:
                return verdict
            time.sleep(pause_seconds)

    def _look_once(self) -> Verdict:
        self._read_journal()
        verdict = self._watch.judge(datetime.now(timezone.utc))
        if misses_callback(verdict) and self.journal.is_failing:
            return Waiting("the journal, which may hold the callback, cannot be read", asks=False)
        if isinstance(verdict, Finished) or (isinstance(verdict, Waiting) and not verdict.asks):
            return verdict
        if isinstance(verdict, Failed) and verdict.failure in (Failure.RECORDING, Failure.NO_CALLBACK):
            return verdict
        news = self._watch.take(self._ask(), datetime.now(timezone.utc))
        for line in news:
            self._sensor.log.info("%s (recording %s)", line, self.known.recording_id)
        verdict = self._watch.judge(datetime.now(timezone.utc))
        if self._may_have_forgotten and _says_never_seen(verdict):
            return Waiting("the journal, which may know the recording, cannot be read")
        return verdict

    def _read_journal(self) -> None:
        if self._is_fresh:  # it was read when this visit began
            self._is_fresh = False
        elif self.journal.is_loaded:
            self._watch.join(self.journal.load_callbacks(self.known))
        else:
            self._watch.known = self.journal.load(self.known, same_try=self._was_rescheduled)

    def _ask(self) -> Look:
        assert self._hook is not None, "only a visit that begins with a connection looks"
        try:
            # Not the hook's ten minutes: a throttled look is one that taught nothing, and others follow.
            return self._hook.describe_recording(self.known.recording_id, attempts=LOOK_ATTEMPTS)
        except TrtcError as error:
            return interpret(error, self._sensor.absent_codes)

    @property
    def _may_have_forgotten(self) -> bool:
        earlier = self._was_rescheduled or (self._context["ti"].try_number or 1) > 1
        return earlier and not self.journal.is_loaded

    def note(self) -> None:
        """Write what is new to the journal and show it in the XComs."""
        now = datetime.now(timezone.utc)
        is_end = self.journal.is_available and self._watch.end_to_announce(now) is not None
        if self._watch.unsaved or is_end:
            # With an end also a look that only repeats another: the judge in the API server has to know.
            self._watch.known, saved = self.journal.save(self._watch.known)
            self._watch.unsaved = not saved
        if is_end and not self._watch.unsaved and (end := self._watch.end_to_announce(now)) is not None:
            # What only looks have found out starts event-driven DAGs as well.
            self._watch.is_announced = self.journal.announce(end, now)
        if self._watch.untold and self._sensor.do_xcom_push:
            self._watch.untold = not self._show_progress()

    def _show_progress(self) -> bool:
        ti = self._context["ti"]
        value = progress(self.known, console_url=self.place.console_url, try_number=ti.try_number)
        try:
            ti.xcom_push(key=PROGRESS_XCOM, value=value)
        except Exception as error:
            self._sensor.log.warning("Could not show the progress of %s: %s", self.known.recording_id, error)
            return False
        return True

    def where_it_stands(self) -> str:
        """A sentence for the error of a wait that took too long."""
        known = self.known
        if known.trouble is not None:
            return f"The last look taught nothing: {known.trouble.message}"
        if known.status is None:
            return f"The service never showed recording {known.recording_id}."
        return (
            f"Recording {known.recording_id} still runs: status {known.status}, {len(known.files)} files so "
            "far; they are kept, and a cleared task goes on from there."
        )


def _haste(verdict: Verdict) -> float | None:
    """Seconds until it is worth judging again on the spot; None: the verdict leaves it to the interval."""
    if not isinstance(verdict, Waiting):
        return None
    if verdict.until is not None:
        return max(0.0, (verdict.until - datetime.now(timezone.utc)).total_seconds())
    return verdict.hurry_seconds


def _says_never_seen(verdict: Verdict) -> bool:
    match verdict:
        case Finished(outcome="never_seen") | Failed(failure=Failure.NEVER_SEEN):
            return True
    return False


def checked_recording_id(value: Any) -> str:
    """Return the id without surrounding blanks.

    :raises TrtcSetupError: it is empty or not a text.
    """
    if not isinstance(value, str):
        raise TrtcSetupError(
            f"recording_id must be a text, not {type(value).__name__}; to wait for several recordings, map "
            "the sensor: TrtcRecordingSensor.partial(...).expand(recording_id=[...])"
        )
    if not value.strip() or value.strip() == "None":
        raise TrtcSetupError(
            "recording_id is empty: check the template or the task that should deliver it (the TaskId that "
            "CreateCloudRecording answered)"
        )
    return value.strip()


def _check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _seconds(value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0:
        raise ValueError(f"callback_timeout must not be negative, as {value!r} is")
    return seconds


def _default_deferrable() -> bool:
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def _started_at(context: Context) -> float:
    return context["ti"].start_date.timestamp()


def _checked(event: dict[str, Any] | None) -> dict[str, Any]:
    statuses = {"finished", "failed", "timed_out"}
    if not isinstance(event, dict) or event.get("v") != 1 or event.get("status") not in statuses:
        raise AirflowFailException(f"the trigger sent an event that this version does not know: {event!r}")
    return event
