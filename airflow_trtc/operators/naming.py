"""Which recording an operator is about: its id, or all that the start handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_trtc.arguments import Check, ChecksArguments, checked_id, name_of, required_name
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.kinds import RECORDING
from airflow_trtc.recording.started import NamedRecording, read_named


def _recording(name: str, value: Any) -> Any:
    if value is not None:
        read_named(name, value)
    return value


class NamesRecording(ChecksArguments, BaseOperator):
    """For operators that act on a recording: the arguments that name it."""

    template_fields: Sequence[str] = ("recording_id", "recording", "sdk_app_id", "region", "trtc_conn_id")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "trtc_conn_id": required_name,
        "region": name_of,
        "recording": _recording,
    }

    def __init__(
        self,
        *,
        recording_id: str | None = None,
        recording: Mapping[str, Any] | None = None,
        sdk_app_id: int | str | None = None,
        region: str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if recording_id is not None and recording is not None:
            raise ValueError("recording_id and recording exclude each other; give one of them")
        self.recording_id = recording_id
        self.recording = recording
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id

    def named(self) -> NamedRecording:
        """The recording; explicit arguments go first. To be called with rendered arguments.

        :raises TrtcSetupError: nothing names it.
        """
        if self.recording is not None:
            found = read_named("recording", self.recording)
        else:
            mapped = f"{type(self).__name__}.partial(...).expand(recording_id=[...])"
            found = NamedRecording(checked_id("recording_id", self.recording_id, mapped, RECORDING.id_source))
        app_id: Any = self.sdk_app_id
        return replace(found, sdk_app_id=app_id or found.sdk_app_id, region=self.region or found.region)

    def hook_for(self, named: NamedRecording) -> TrtcHook:
        """The hook for the recording's application and region."""
        return TrtcHook(self.trtc_conn_id, region=named.region, sdk_app_id=named.sdk_app_id)
