"""The one identity of a job of the vendor."""

from __future__ import annotations

from dataclasses import dataclass


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

    def __str__(self) -> str:
        region = f", region {self.region}" if self.region else ""
        return f"{self.kind} {self.job_id} (application {self.sdk_app_id}{region})"
