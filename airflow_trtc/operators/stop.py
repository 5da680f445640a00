"""The operator that stops a recording."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_trtc.kinds import RECORDING
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.operators.naming import NamesRecording
from airflow_trtc.recording.started import NamedRecording

if TYPE_CHECKING:
    from airflow.sdk import Context


class TrtcStopRecordingOperator(NamesRecording):
    """Stop a recording. One that is over, or that the service does not know, counts as stopped.

    ``stop.as_teardown(setups=start)`` stops it whatever happens to the tasks in between, and succeeds when
    the start handed on no id. Uploads go on after the stop; wait for them with
    ``TrtcRecordingSensor(wait_for="upload")``.

    Returns ``recording_id``, ``sdk_app_id``, ``region``, and ``was_running``: whether it ran until now.

    :param recording_id: the recording's id. Give either this or `recording`. (templated)
    :param recording: the XCom ``recording`` of the task that started it, such as
        ``start.output["recording"]``; it also names application and region. (templated)
    :param sdk_app_id: the TRTC application; default: that of `recording`, or the connection's. (templated)
    :param region: the API region; default: that of `recording`, or the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises AirflowFailException: the set-up is wrong; no retry would help.
    :raises TrtcError: it may run on, and a retry may help.
    """

    ui_color = "#d7e8ff"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Stop; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            if self._has_no_id():
                self.log.info("There is nothing to stop: the task that starts the recording handed on no id")
                return _result(NamedRecording(), was_running=False)
            named = self.named()
            hook = self.hook_for(named)
            job = hook.job(RECORDING.name, named.recording_id or "")
            was_running = hook.stop(job.kind, job.job_id)
        if was_running:
            self.log.info("Stopped %s; uploads go on for a while", job)
        else:
            self.log.info("%s is stopped already, or the service does not know it", job)
            self._warn_if_expired(named)
        return _result(NamedRecording(job.job_id, job.sdk_app_id, job.region), was_running=was_running)

    def _has_no_id(self) -> bool:
        """Whether the start handed on nothing, as it does when it fails."""
        if self.recording is not None:
            return self.recording.get("recording_id") is None
        return bool(self.is_teardown) and self.recording_id in (None, "", "None")

    def _warn_if_expired(self, named: NamedRecording) -> None:
        if named.expires_at is not None and datetime.now(timezone.utc) >= named.expires_at:
            self.log.warning(
                "The service takes no orders about it since %s (resource_expired_hours of the start). If it"
                " still runs, it goes on until its room is empty.",
                named.expires_at.isoformat(),
            )


def _result(named: NamedRecording, *, was_running: bool) -> dict[str, Any]:
    return {
        "recording_id": named.recording_id,
        "sdk_app_id": named.sdk_app_id,
        "region": named.region,
        "was_running": was_running,
    }
