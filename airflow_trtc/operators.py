"""The operator that gives an event-driven DAG the recording that started it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.arguments import Check, ChecksArguments, key_prefix, list_only, problem_kinds
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.problem import FAIL_ON
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.store import KeepsJournal, load_now
from airflow_trtc.recording.files import object_key
from airflow_trtc.results import file_results
from airflow_trtc.waiting.xcoms import push_results

if TYPE_CHECKING:
    from airflow.sdk import Context

_FINISHED_URI = "trtc://recordings/finished"


class TrtcTriggeringRecordingOperator(ChecksArguments, KeepsJournal, BaseOperator):
    """Return the files of the recording whose end started this run, as the sensor would.

    For DAGs that are scheduled on :func:`airflow_trtc.assets.finished_recordings`. XComs are those of
    :class:`airflow_trtc.sensors.TrtcRecordingSensor`: ``return_value`` is the list of files to map over,
    ``recording`` the summary. A cleared run gives the same again.

    A run that was started by hand has no such event. Give it the recording as its configuration:
    ``{"recording_id": ..., "sdk_app_id": ..., "region": ...}``, and the journal is asked; or what an event
    carries, ``{"recording": {...}, "files": [...]}``.

    :param file_name_prefix: the ``FileNamePrefix`` the recording was started with, as text with ``/`` or as
        list; it becomes the front of each file's ``object_key``. (templated)
    :param fail_on: the kinds of problems that fail the task, see the sensor. Default: all but ``image``.
    :raises AirflowFailException: the recording did not end well, nothing says which one is meant, or it
        has more files than Airflow may map over.
    """

    template_fields: Sequence[str] = ("file_name_prefix",)
    ui_color = "#d7e8ff"
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "file_name_prefix": key_prefix,
        "fail_on": problem_kinds,
        "multiple_outputs": list_only,
    }

    def __init__(
        self,
        *,
        file_name_prefix: str | Sequence[str] | None = None,
        fail_on: Collection[str] = FAIL_ON,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.file_name_prefix = file_name_prefix
        self.fail_on = fail_on
        self.check_arguments()

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Find the recording; see the class."""
        try:
            self.check_rendered()
        except TrtcSetupError as error:
            raise AirflowFailException(str(error)) from None
        found = _of_event(context) or _of_configuration(context)
        if found is None or not _is_named(found["recording"]):
            raise AirflowFailException(
                "no recording started this run: schedule the DAG on "
                "PartitionedAssetTimetable(assets=finished_recordings()), or start it with the configuration "
                '{"recording_id": "...", "sdk_app_id": ...}'
            )
        summary = {"outcome": "named by hand", **found["recording"]}
        self._check_problems(summary)
        files = self._files(context, found, summary)
        summary["file_count"] = len(files)
        self.log.info("Recording %s (%s); files: %d", summary["recording_id"], summary["outcome"], len(files))
        return push_results(self, context, files, "recording", summary)

    def _check_problems(self, summary: Mapping[str, Any]) -> None:
        bad = [each for each in summary.get("problems") or () if each["kind"] in self.fail_on]
        if bad:
            problems = "; ".join(f"{each['kind']}: {each['message']}" for each in bad)
            raise AirflowFailException(
                f"the service reports that the recording did not end well: {problems}. To continue anyway, "
                f"leave these kinds out of fail_on and clear the task.\nRecording: {summary['recording_id']}"
            )

    def _files(
        self, context: Context, found: Mapping[str, Any], summary: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        prefix = self.file_name_prefix
        if isinstance(found.get("files"), list):
            return [_with_prefix(file, prefix) for file in found["files"]]
        # An event holds no long lists: each task of the run would carry them along.
        state = self._read_journal(context, summary)
        expected = found.get("file_count") or 0
        if len(state.files) < expected or state == JobState(state.job_id):
            raise AirflowFailException(
                f"The journal holds {len(state.files)} files of the recording, not {expected}. Its rows were "
                f"pruned or deleted, or the application or the region is wrong.\nId: {state.job_id}"
            )
        return file_results(state.files, state.job_id, prefix)

    def _read_journal(self, context: Context, summary: Mapping[str, Any]) -> JobState:
        app_id, region = int(summary["sdk_app_id"]), summary.get("region")
        state = load_now(context, JobRef("recording", app_id, region or None, summary["recording_id"]))
        if state is None:
            raise RuntimeError("Cannot read the journal; retry the task.")
        return state


def _of_event(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    events = context.get("triggering_asset_events") or {}
    for asset in events:
        if not str(getattr(asset, "uri", "")).startswith(_FINISHED_URI):
            continue
        for event in events[asset]:
            if isinstance(event.extra.get("recording"), Mapping):
                extra: Mapping[str, Any] = event.extra
                return extra
    return None


def _of_configuration(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    configuration = getattr(context.get("dag_run"), "conf", None) or {}
    if isinstance(configuration.get("recording"), Mapping):
        given: Mapping[str, Any] = configuration
        return given
    if not configuration.get("recording_id") or not configuration.get("sdk_app_id"):
        return None
    named = {name: configuration.get(name) for name in ("recording_id", "sdk_app_id", "region")}
    return {"recording": {**named, "problems": []}}


def _is_named(recording: Mapping[str, Any]) -> bool:
    app_id = str(recording.get("sdk_app_id"))
    return isinstance(recording.get("recording_id"), str) and app_id.isascii() and app_id.isdigit()


def _with_prefix(file: Mapping[str, Any], prefix: str | Sequence[str] | None) -> dict[str, Any]:
    if file.get("object_key") is None:
        return dict(file)
    return {**file, "object_key": object_key(file["recording_id"], file["file_name"], prefix)}
