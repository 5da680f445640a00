"""Buttons from a task to its recording."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

CHINA_CONSOLE = "https://console.cloud.tencent.com/trtc/app"
INTERNATIONAL_CONSOLE = "https://console.trtc.io/app"


class TrtcConsoleLink(BaseOperatorLink):
    """Opens the recording in the TRTC console, or wherever the connection's ``console_url`` points."""

    name = "TRTC console"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return what the task noted while it ran; Airflow asks for it on the worker, after each leg."""
        return getattr(operator, "console_url", None) or ""


def console_url(
    template: str | None, *, endpoint: str, sdk_app_id: int, region: str, recording_id: str
) -> str:
    """Address of a recording for users.

    :param template: the connection's ``console_url``, with ``{sdk_app_id}``, ``{region}`` and
        ``{recording_id}`` where these belong (they are escaped); None for the console's list of
        applications, since the console has no page for one recording.
    """
    if not template:
        return INTERNATIONAL_CONSOLE if ".intl." in endpoint else CHINA_CONSOLE
    values = {"sdk_app_id": str(sdk_app_id), "region": region, "recording_id": recording_id}
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", quote(value, safe=""))
    return template
