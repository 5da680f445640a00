"""What all pages share: their frame, the headers that protect them, and what an error looks like.

A page is a template of its own, the live part, inside ``base.html``. The script on the page asks for the live
part again from time to time, with the ETag of what it shows, and changes what differs.
"""

from __future__ import annotations

import functools
import logging
import re
import secrets
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_trtc.web.pages.addresses import TOP, Addresses, digest
from airflow_trtc.web.pages.memory import pause
from airflow_trtc.web.pages.wording import FILTERS
from airflow_trtc.web.processing import database

FOLDER = Path(__file__).parent
LIVE = "live"
PREFIX = "/trtc"  # of routes, where a proxy takes a part of the path away
REFRESH_SECONDS = 5
# Airflow shows pages in a frame of its own origin, whence 'self'. Nothing is loaded from anywhere else.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "vary": "Cookie, Authorization",
}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Title, and what to do; for any other status the last one.
ERRORS: dict[int, tuple[str, str]] = {
    401: ("You are not logged in", "Your session has ended. Log in, and this page is here again."),
    403: ("Airflow does not accept your login", "Log in again. If that does not help, ask for the right."),
    404: (
        "There is nothing here",
        "There is no such recording, job, task or page, or it belongs to a DAG that you may not read.",
    ),
    405: ("This is no way to ask", "Go back to the list, and follow a link from there."),
    503: ("Airflow's database does not answer", "It is away or busy. Try again in a moment."),
    500: ("Something went wrong here", "The log of the API server says what, under the number below."),
}

# The first page of a kind loads models and its templates: what that costs says nothing of the next.
_warm: set[str] = set()
_AGES = re.compile(r"(<time [^>]*>)[^<]*")

log = logging.getLogger(__name__)


@functools.cache
def environment() -> Environment:
    """The templates; what a template does not know is an error, and every value is escaped."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(FILTERS)
    return templates


@functools.cache
def static_files() -> dict[str, bytes]:
    """All that there is to serve, by name; a name that is none of these is never looked for on a disk."""
    paths = sorted((FOLDER / "static").iterdir())
    return {path.name: path.read_bytes() for path in paths if path.suffix in MEDIA_TYPES}


@functools.cache
def _versions() -> dict[str, str]:
    return {name: digest(content) for name, content in static_files().items()}


def static_file(request: Request) -> Response:
    """Answer with one of the static files: kept for ever where the address names its content."""
    name = request.path_params["name"]
    content = static_files().get(name)
    if content is None:
        raise HTTPException(404)
    is_named = request.query_params.get("v") == _versions()[name]
    keep = "public, max-age=31536000, immutable" if is_named else "public, max-age=300"
    return Response(
        content, media_type=MEDIA_TYPES[Path(name).suffix], headers={"cache-control": keep, "vary": ""}
    )


def page(
    request: Request,
    template: str,
    *,
    title: str,
    refresh_seconds: float | None = REFRESH_SECONDS,
    began_at: float | None = None,
    status: int = 200,
    **context: Any,
) -> Response:
    """Answer with a page, or with its live part alone if the page asks for that again.

    :param template: the live part.
    :param title: of the page.
    :param refresh_seconds: after these the page asks again; None: it never does, nothing changes any more.
    :param began_at: `time.thread_time` when the work for it began; what costs more is asked for less often.
    :param context: what the template shows, besides ``to`` (see `Addresses`), ``now`` and ``title``.
    """
    shared = {
        "to": Addresses(request.scope["path"], _versions(), request.path_params.get("rest", "")),
        "now": context.pop("now", None) or datetime.now(timezone.utc),
        "title": title,
    }
    live = environment().get_template(template).render(**shared, **context)
    # How long ago something was changes all the time; the page counts that by itself.
    steady = _AGES.sub(r"\1", live)
    etag = f'W/"{digest(steady.encode())}"'
    if began_at is not None and refresh_seconds is not None and template in _warm:
        refresh_seconds = pause(time.thread_time() - began_at, refresh_seconds)
    _warm.add(template)
    seconds = "" if refresh_seconds is None else str(round(refresh_seconds))
    headers = {"cache-control": "private, no-store", "etag": etag, "x-trtc-refresh": seconds}
    if request.query_params.get("part") == LIVE:
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return HTMLResponse(live, status, headers)
    base = environment().get_template("base.html")
    whole = base.render(**shared, live=Markup(live), etag=etag, refresh=seconds)
    return HTMLResponse(whole, status, headers)


def error_page(request: Request, status: int, detail: str = "") -> Response:
    """Answer with a page that says what is wrong and what to do; the status stays what it is."""
    heading, advice = ERRORS.get(status) or (ERRORS[404] if status < 500 else ERRORS[500])
    return page(
        request,
        "error.html",
        title=heading,
        refresh_seconds=None,
        status=status,
        advice=advice,
        detail=detail,
        can_log_in=status in (401, 403),
    )


def http_error(request: Request, error: Exception) -> Response:
    """What a refused request is answered with: a page, or JSON where no page was asked for."""
    assert isinstance(error, HTTPException)
    if _wants_page(request):
        answer = error_page(request, error.status_code)
    else:
        answer = JSONResponse({"detail": error.detail}, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def failure(request: Request, error: Exception) -> Response:
    """What is answered where ours failed: a page or JSON, with the number of an entry in the log."""
    number = secrets.token_hex(4)
    log.error("Cannot show a page of TRTC (number %s)", number, exc_info=error)
    status = 503 if database.is_passing(error) else 500
    if _wants_page(request):
        return error_page(request, status, f"Number {number}")
    heading, advice = ERRORS[status]
    detail = {"detail": f"{heading}. {advice} Number {number}"}
    return JSONResponse(detail, status, headers={"cache-control": "private, no-store"})


def _wants_page(request: Request) -> bool:
    path = getattr(request.scope.get("route"), "path", "")  # as we wrote it, whatever the address was
    return request.method == "GET" and path.removeprefix(PREFIX).startswith(f"/{TOP}")


class Shell:
    """Middleware of the pages: protects every answer, and makes a page of every failure.

    Nothing of a failure leaves it: the page has the number of an entry in the log, and no more.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_protected(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = _protected(message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, send_protected)
        except Exception as error:  # whatever it is, Airflow and the receiver of callbacks have no part in it
            answer = failure(Request(scope), error)
            if not has_begun:
                await answer(scope, receive, send_protected)


def _protected(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in headers}
    more = ((name.encode(), value.encode()) for name, value in HEADERS.items())
    added = [(name, value) for name, value in more if name not in given]
    return [*((name, value) for name, value in headers if value), *added]
