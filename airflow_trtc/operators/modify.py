"""The operator that changes a running recording."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_trtc.arguments import Check, is_template
from airflow_trtc.errors import TrtcFailedError
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.kinds import RECORDING
from airflow_trtc.operators.failing import cannot_change, no_retry_of_wrong_setup
from airflow_trtc.operators.naming import NamesRecording
from airflow_trtc.recording.parameters import read_mix_layout, read_subscriptions

if TYPE_CHECKING:
    from airflow.sdk import Context

RESET = "reset"
_WHAT = {"mix_layout": "the layout", "subscribe": "whom it records"}


def _or_reset(read: Callable[[str, Any], Any]) -> Check:
    def check(name: str, value: Any) -> Any:
        if value is None:
            raise ValueError(
                f"{name} is missing: the service replaces layout and subscriptions together, and resets what"
                f" is not given. Give {name} as it shall be from now on, or {name}={RESET!r} to reset"
                f" {_WHAT[name]}"
            )
        return RESET if value == RESET else read(name, value)

    return check


class TrtcModifyRecordingOperator(NamesRecording):
    """Change whom a running recording records, and its layout.

    The service replaces both together, and resets what is not given. So both have to be given: as they shall
    be from now on, or as ``"reset"``. Returns the recording's id.

    :param mix_layout: ``MixLayoutParams``, or ``"reset"`` for the default layout; in single-stream recordings
        ``"reset"``. (templated)
    :param subscribe: ``SubscribeStreamUserIds``, or ``"reset"`` to record everybody. (templated)
    :param recording_id: the recording's id. Give either this or `recording`. (templated)
    :param recording: the XCom ``recording`` of the task that started it. (templated)
    :param sdk_app_id: the TRTC application; default: that of `recording`, or the connection's. (templated)
    :param region: the API region; default: that of `recording`, or the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: an argument is missing, or breaks a limit of the service.
    :raises AirflowFailException: the recording is over, or the set-up is wrong; no retry would help.
    :raises TrtcError: a retry may help.
    """

    ui_color = "#d7e8ff"
    template_fields: Sequence[str] = (*NamesRecording.template_fields, "mix_layout", "subscribe")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **NamesRecording.argument_checks,
        "mix_layout": _or_reset(read_mix_layout),
        "subscribe": _or_reset(read_subscriptions),
    }
    partial_checks: ClassVar[Mapping[str, Check]] = {
        "mix_layout": functools.partial(read_mix_layout, later=is_template),
        "subscribe": functools.partial(read_subscriptions, later=is_template),
    }

    def __init__(
        self,
        *,
        mix_layout: Mapping[str, Any] | str | None = None,
        subscribe: Mapping[str, Any] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mix_layout = mix_layout
        self.subscribe = subscribe
        self.check_arguments()

    def execute(self, context: Context) -> str:
        """Change it; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            named = self.named()
            hook = self.hook_for(named)
            job = hook.job(RECORDING.name, named.recording_id or "")
            given = {"MixLayoutParams": self.mix_layout, "SubscribeStreamUserIds": self.subscribe}
            try:
                hook.modify_recording(
                    job.job_id, {name: value for name, value in given.items() if value != RESET}
                )
            except TrtcFailedError as error:
                if is_absent(error.code, RECORDING.absent_codes):
                    raise cannot_change(job) from None
                raise
        reset = [name for name, value in given.items() if value == RESET]
        self.log.info("Changed %s%s", job, f"; reset: {', '.join(reset)}" if reset else "")
        return job.job_id
