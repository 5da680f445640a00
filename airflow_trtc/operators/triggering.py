"""The operator that gives an event-driven DAG the recording that started it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.arguments import (
    Check,
    ChecksArguments,
    key_prefix,
    list_only,
    problem_kinds,
    required_name,
)
from airflow_trtc.errors import TrtcError, TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.judge import verdict_of
from airflow_trtc.jobs.problem import FAIL_ON
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, combine, learn
from airflow_trtc.jobs.verdict import Failed, Failure, Finished, Rules, Verdict, Waiting
from airflow_trtc.journal.store import KeepsJournal, load_now
from airflow_trtc.kinds import RECORDING
from airflow_trtc.results import file_results, recording_result
from airflow_trtc.triggering import Triggering, triggering, with_prefix
from airflow_trtc.waiting.polls import observe
from airflow_trtc.waiting.xcoms import push_results

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrtcTriggeringRecordingOperator(ChecksArguments, KeepsJournal, BaseOperator):
    """Return the files of the recording whose end started this run, as the sensor would.

    For DAGs that are scheduled on :func:`airflow_trtc.assets.finished_recordings`. XComs are those of
    :class:`airflow_trtc.sensors.TrtcRecordingSensor`: ``return_value`` is the list of files to map over,
    ``recording`` the summary. A cleared run gives the same again.

    A run that was started by hand has no such event. Give it the recording as its configuration,
    ``{"recording_id": ..., "sdk_app_id": ..., "region": ...}``: it is judged from the journal, and the
    service is asked when the journal does not know the end. Or give it what an event carries,
    ``{"recording": {...}, "files": [...]}``; what that does not say is None in the summary.

    If several events started the run, as with ``upload & mp4``, the one that tells most counts.

    :param trtc_conn_id: the connection, for a recording that only the configuration names. (templated)
    :param file_name_prefix: the ``FileNamePrefix`` the recording was started with, as text with ``/`` or as
        list; it becomes the front of each file's ``object_key``. (templated)
    :param fail_on: the kinds of problems that fail the task, see the sensor. Default: all but ``image``.
    :raises AirflowFailException: the recording did not end well, nothing says which one is meant, nobody
        knows it, or it has more files than Airflow may map over.
    :raises RuntimeError: a retry may help: the journal cannot be read, or the recording has not ended yet.
    """

    template_fields: Sequence[str] = ("trtc_conn_id", "file_name_prefix")
    ui_color = "#d7e8ff"
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "trtc_conn_id": required_name,
        "file_name_prefix": key_prefix,
        "fail_on": problem_kinds,
        "multiple_outputs": list_only,
    }

    def __init__(
        self,
        *,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        file_name_prefix: str | Sequence[str] | None = None,
        fail_on: Collection[str] = FAIL_ON,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trtc_conn_id = trtc_conn_id
        self.file_name_prefix = file_name_prefix
        self.fail_on = fail_on
        self.check_arguments()

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Find the recording; see the class."""
        events, run = context.get("triggering_asset_events") or {}, context.get("dag_run")
        try:
            self.check_rendered()
            found = triggering(events, getattr(run, "conf", None))
        except TrtcSetupError as error:
            raise AirflowFailException(error.message) from None
        if found.summary is None:
            state, summary = self._judge(context, found.job)
            files = file_results(state.files, found.job.job_id, self.file_name_prefix)
        else:
            summary = dict(found.summary)
            self._check_problems(summary)
            files = self._files(context, found)
        summary["file_count"] = len(files)
        self.log.info("Recording %s (%s); files: %d", summary["recording_id"], summary["outcome"], len(files))
        return push_results(self, context, files, "recording", summary)

    def _check_problems(self, summary: Mapping[str, Any]) -> None:
        bad = [each for each in summary["problems"] if each["kind"] in self.fail_on]
        if bad:
            problems = "; ".join(f"{each['kind']}: {each['message']}" for each in bad)
            raise AirflowFailException(
                f"the service reports that the recording did not end well: {problems}. To continue anyway, "
                f"leave these kinds out of fail_on and clear the task.\nRecording: {summary['recording_id']}"
            )

    def _files(self, context: Context, found: Triggering) -> list[dict[str, Any]]:
        prefix = self.file_name_prefix
        if found.files is not None:
            return [with_prefix(file, prefix) for file in found.files]
        # An event holds no long lists: each task of the run would carry them along.
        state = self._read_journal(context, found.job)
        if len(state.files) < found.file_count or state == JobState(state.job_id):
            raise AirflowFailException(
                f"The journal holds {len(state.files)} files of the recording, not {found.file_count}. Its "
                "rows were pruned or deleted, or the application or the region is wrong.\n"
                f"Id: {state.job_id}"
            )
        return file_results(state.files, state.job_id, prefix)

    def _read_journal(self, context: Context, job: JobRef) -> JobState:
        state = load_now(context, job)
        if state is None:
            raise RuntimeError("Cannot read the journal; retry the task.")
        return state

    # -- a recording that is only named -------------------------------------------------------------------

    def _judge(self, context: Context, job: JobRef) -> tuple[JobState, dict[str, Any]]:
        """By the journal; what it leaves open the service is asked."""
        state = self._read_journal(context, job)
        verdict = self._verdict(state)
        if not isinstance(verdict, Finished) and not _is_bad_end(verdict):
            job, state = self._ask(context, job, state)
            verdict = self._verdict(state)
        if isinstance(verdict, Failed) and verdict.failure is Failure.NEVER_SEEN and state.history.facts:
            # No callback for an hour, and the service does not know it: it is over.
            verdict = self._verdict(state, finish_if_never_seen=True)
        match verdict:
            case Finished():
                return state, recording_result(state, verdict, job)
            case Failed(failure=Failure.NEVER_SEEN):
                raise AirflowFailException(
                    f"Neither the journal nor the service knows {job}. Compare id, application and region "
                    "with the call that started it; the journal's rows are deleted after a time."
                )
            case Failed(reason=reason):
                raise AirflowFailException(reason)
            case Waiting(reason=reason):
                raise RuntimeError(
                    f"{job} has not ended yet, as far as is known: {reason}. Retry or clear this task later, "
                    "or wait with TrtcRecordingSensor."
                )

    def _verdict(self, state: JobState, *, finish_if_never_seen: bool = False) -> Verdict:
        # Nothing comes in while this task runs, so there is nothing to wait for.
        rules = Rules(
            finish_if_never_seen=finish_if_never_seen,
            grace_seconds=0.0,
            settle_seconds=0.0,
            order_seconds=0.0,
            fail_on=frozenset(self.fail_on),
        )
        return verdict_of(RECORDING, state, rules, datetime.now(timezone.utc))

    def _ask(self, context: Context, job: JobRef, state: JobState) -> tuple[JobRef, JobState]:
        hook = TrtcHook(self.trtc_conn_id, region=job.region, sdk_app_id=job.sdk_app_id)
        value: Any
        try:
            if job.region is None:  # what polls showed is kept by region
                job = replace(job, region=hook.settings.region)
                state = combine(state, self._read_journal(context, job))
            value = hook.describe(job.kind, job.job_id)
        except TrtcError as error:
            value = error
        state = replace(state, refusals=0)
        return job, learn(state, observe(value, RECORDING.absent_codes), datetime.now(timezone.utc))


def _is_bad_end(verdict: Verdict) -> bool:
    return isinstance(verdict, Failed) and verdict.failure is Failure.RECORDING
