"""The tabs ``TRTC`` of task instances and of runs in Airflow's UI."""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from airflow_trtc.web.pages import shell
from airflow_trtc.web.pages.access import Reader, ReaderDep


def show_task(request: Request, reader: ReaderDep) -> Response:
    """Answer with the tab of the task instance: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``."""
    _require(reader, request)
    return shell.page(request, "nothing.html", title="TRTC", text="This task does not wait for a recording.")


def show_run(request: Request, reader: ReaderDep) -> Response:
    """Answer with the tab of the run that ``dag_id`` and ``run_id`` name."""
    _require(reader, request)
    return shell.page(
        request, "nothing.html", title="TRTC", text="No task of this run waits for a recording."
    )


def _require(reader: Reader, request: Request) -> None:
    if not reader.may_read(request.query_params.get("dag_id", "")):
        raise HTTPException(404)
