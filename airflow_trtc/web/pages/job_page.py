"""The page of one recording, or of one job of another kind."""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from airflow_trtc.web.pages.access import ReaderDep


def show(request: Request, reader: ReaderDep) -> Response:
    """Answer with the page of the job that ``kind``, ``app``, ``region`` and ``id`` name."""
    raise HTTPException(404)
