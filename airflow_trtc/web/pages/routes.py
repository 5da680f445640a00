"""The routes of the pages: a table, each row of which is in the test of who gets which answer."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from airflow_trtc.web.pages import health_page, job_page, listing_page, shell, tabs
from airflow_trtc.web.pages.access import ReaderDep

Handler = Callable[..., Response]


def static(request: Request) -> Response:
    """A style sheet, script or picture; for everybody: they hold nothing."""
    return shell.static_file(request)


# Static files need no login, and without one `/health` says next to nothing. All others need one, and each
# handler asks what this user may see.
PAGES: tuple[tuple[str, Handler], ...] = (
    ("/ui", listing_page.show),
    ("/ui/", listing_page.show),
    ("/ui/job", job_page.show),
    ("/ui/task", tabs.show_task),
    ("/ui/run", tabs.show_run),
    ("/ui/health", health_page.show),
    ("/ui/static/{name}", static),
    ("/health", health_page.report),
)
# What does something, each guarded against pages of others.
ACTIONS: tuple[tuple[str, Handler], ...] = (("/ui/health/check", health_page.check),)


def missing(reader: ReaderDep) -> Response:
    """What is not there; only for those who are logged in, as everything else."""
    raise HTTPException(404)


def create_pages(prefixes: tuple[str, ...]) -> FastAPI:
    """The app with all pages, to be mounted at the root of ours.

    :param prefixes: what may stand before each route.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(shell.Shell)
    app.add_exception_handler(HTTPException, shell.http_error)
    for prefix in prefixes:
        for path, handler in PAGES:
            app.add_api_route(f"{prefix}{path}", handler, methods=["GET"], response_model=None)
        for path, handler in ACTIONS:
            app.add_api_route(f"{prefix}{path}", handler, methods=["POST"], response_model=None)
        app.add_api_route(f"{prefix}/ui/{{rest:path}}", missing, methods=["GET"], response_model=None)
    return app
