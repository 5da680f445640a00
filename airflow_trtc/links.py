"""Buttons from a task to its recording, or to its job of another kind."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

CHINA_CONSOLE = "https://console.cloud.tencent.com/trtc/app"
INTERNATIONAL_CONSOLE = "https://console.trtc.io/app"
RECORDING_FIELD = "{recording_id}"


class TrtcConsoleLink(BaseOperatorLink):
    """Opens the job in the TRTC console, or wherever the connection's ``console_url`` points."""

    name = "TRTC console"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return what the task noted while it ran; Airflow asks for it on the worker, after each leg."""
        return getattr(operator, "console_url", None) or ""


def console_url(
    template: str | None, *, endpoint: str, kind: str, sdk_app_id: int, region: str, job_id: str
) -> str:
    """Address of a job for users.

    :param template: the connection's ``console_url``, with ``{sdk_app_id}``, ``{region}``, ``{kind}`` and
        ``{job_id}`` where these belong (they are escaped), or with ``{recording_id}``, which makes it one of
        recordings only. None for the console's list of applications, since the console has no page for one
        job.
    """
    if not template or (RECORDING_FIELD in template and kind != "recording"):
        return INTERNATIONAL_CONSOLE if ".intl." in endpoint else CHINA_CONSOLE
    values = {
        "sdk_app_id": str(sdk_app_id),
        "region": region,
        "kind": kind,
        "job_id": job_id,
        "recording_id": job_id,
    }
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", quote(value, safe=""))
    return template
