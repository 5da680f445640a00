"""The one identity of a job of the vendor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Callbacks do not always say of which kind their job is: these kinds share one family of events.
FAMILIES: Mapping[str, str] = {
    "web_recording": "recording",  # its files may come in the group of cloud recordings
    "ai_transcription": "ai",
    "ai_conversation": "ai",
    "live_moderation": "moderation",
}


@dataclass(frozen=True, slots=True)
class JobRef:
    """One job: what the vendor calls a task, such as a recording.

    :param kind: name of a row in :mod:`airflow_trtc.kinds`, e.g. ``recording``.
    :param sdk_app_id: the application (``SdkAppId``) it belongs to.
    :param region: the region it is polled in; None where only callbacks report it, which name none.
    :param job_id: the id that the call which started it answered (``TaskId``, for most kinds).
    """

    kind: str
    sdk_app_id: int
    region: str | None
    job_id: str

    @property
    def family(self) -> str:
        """The family of events that report on it: the kind's own name, where no other kind shares them."""
        return FAMILIES.get(self.kind, self.kind)

    def __str__(self) -> str:
        region = f", region {self.region}" if self.region else ""
        return f"{self.kind} {self.job_id} (application {self.sdk_app_id}{region})"
