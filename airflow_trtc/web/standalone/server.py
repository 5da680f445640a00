"""A receiver of its own, for where the service must not reach Airflow.

Started with ``python -m airflow_trtc.web.standalone``, it checks callbacks as the receiver in Airflow does,
answers once they are on its disk, and forwards them to Airflow's REST API. Connections come from
``AIRFLOW_CONN_<ID>`` in the environment; it needs no database.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_trtc.web.receiving import answers
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.connection_cache import ConnectionCache, ReceiverConfig
from airflow_trtc.web.receiving.connections import receiver_config
from airflow_trtc.web.receiving.receiver import Receiver, Row
from airflow_trtc.web.receiving.writer import Writer
from airflow_trtc.web.standalone.forwarder import Access, Forwarder
from airflow_trtc.web.standalone.spool import RESERVE_BYTES, Counts, Spool

SPOOL = "AIRFLOW_TRTC_SPOOL"
AIRFLOW_URL = "AIRFLOW_TRTC_AIRFLOW_URL"
TOKEN = "AIRFLOW_TRTC_API_TOKEN"
USER = "AIRFLOW_TRTC_API_USER"
PASSWORD = "AIRFLOW_TRTC_API_PASSWORD"

# With the path in Airflow as well, so that either server can stand behind one address; and without a redirect
# for a slash at the end, since whether the service follows one is not documented.
PATHS = tuple(f"{prefix}/callbacks/{{conn_id}}{end}" for prefix in ("", "/trtc") for end in ("", "/"))

BEHIND_SECONDS = 300.0
STUCK_SECONDS = 120.0  # no round of forwarding takes that long, whatever Airflow does
WARNING_SECONDS = 60.0
NO_ROOM = f"the disk of the spool has less than {RESERVE_BYTES // 2**20} MiB free"

log = logging.getLogger(__name__)


class SetupError(ValueError):
    """The environment lacks something; the message says what."""


def create_app(
    environment: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> Starlette:
    """The app, from the environment; an ASGI server may call it as a factory.

    :param transport: instead of the network to Airflow, for tests.
    :raises SetupError: a setting is missing or cannot be used.
    """
    environment = os.environ if environment is None else environment
    access = access_from(environment)
    if transport is None:
        _check_proxies()
    one = StandaloneReceiver(Spool(_needed(environment, SPOOL)), access, transport)
    connections = ConnectionCache(lambda conn_id: look_up(conn_id, environment))
    receiver = Receiver(connections, one.writer.store)
    routes = [*(Route(path, receiver) for path in PATHS), Route("/healthz", one.health)]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with one.running():
            yield
        connections.close()

    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.standalone = one
    return app


class StandaloneReceiver:
    """Stores callbacks in a spool, and forwards them while it runs."""

    def __init__(self, spool: Spool, access: Access, transport: httpx.AsyncBaseTransport | None) -> None:
        self._spool = spool
        self._access = access
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forwarder: Forwarder | None = None
        self._task: asyncio.Task[None] | None = None
        self._warned_at = -WARNING_SECONDS
        self.writer = Writer(self._insert, self._wake)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forward as long as the block lasts; then write what waits, and close the spool."""
        forwarder = self._forwarder = Forwarder(self._spool, self._access, self._transport)
        self._loop = asyncio.get_running_loop()
        self.writer.start()
        task = self._task = asyncio.create_task(forwarder.run())
        task.add_done_callback(_log_end)
        yield
        task.cancel()
        await asyncio.wait([task])
        await asyncio.to_thread(self.writer.stop)
        await forwarder.aclose()
        self._spool.close()

    async def health(self, _: Request) -> JSONResponse:
        """How much waits, and why; 503 when somebody has to look after it."""
        problems = []
        try:
            counts = await asyncio.to_thread(self._spool.counts)
            has_room = self._spool.has_room
        except (sqlite3.Error, OSError) as error:
            counts, has_room = Counts(0, 0, None), True
            problems.append(f"the spool cannot be read ({error})")
        is_behind = (counts.oldest_seconds or 0) > BEHIND_SECONDS
        problems += ["callbacks have waited for more than five minutes"] if is_behind else []
        problems += [] if has_room else [NO_ROOM]
        forwarder, task = self._forwarder, self._task
        if forwarder is None or task is None or task.done():
            problems.append("forwarding has stopped; restart this server")
        elif time.monotonic() - forwarder.beat_at > STUCK_SECONDS:
            problems.append("forwarding is stuck; restart this server")
        return JSONResponse(
            {
                "status": "failing" if problems else "ok",
                "problems": problems,
                **asdict(counts),
                "retrying": len(forwarder.fates.again) if forwarder else 0,
                "trouble": forwarder.trouble if forwarder else "",
                "forwarded": forwarder.forwarded if forwarder else 0,
            },
            503 if problems else 200,
        )

    def _insert(self, rows: Sequence[Row]) -> Answer | None:
        if not self._spool.has_room:
            if time.monotonic() - self._warned_at >= WARNING_SECONDS:
                self._warned_at = time.monotonic()
                log.error("Cannot store callbacks: %s (logged at most once a minute)", NO_ROOM)
            return answers.RETRY_LATER
        self._spool.insert(rows)
        return None

    def _wake(self) -> None:
        if self._loop is not None and self._forwarder is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._forwarder.wake)


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical(
            "Forwarding of callbacks has stopped; restart this server. They stay in the spool", exc_info=error
        )


def access_from(environment: Mapping[str, str]) -> Access:
    """How to reach Airflow.

    :raises SetupError: the address or the credentials are missing.
    """
    url = _needed(environment, AIRFLOW_URL)
    # Files and secrets of containers end with a newline more often than not.
    token, user, password = (environment.get(name, "").rstrip("\r\n") for name in (TOKEN, USER, PASSWORD))
    token = token.strip()
    if not token and not (user and password):
        raise SetupError(f"{TOKEN} is not set, nor {USER} and {PASSWORD}")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise SetupError(f"{TOKEN} holds blanks or characters that no token has")
    address = _address(url)
    if address.scheme == "http" and not _is_loopback(address.hostname or ""):
        log.warning(
            "%s begins with http://, so everybody between here and Airflow can read the %s. Use https://",
            AIRFLOW_URL,
            "token" if token else "password",
        )
    return Access(url, token, user, password)


def _check_proxies() -> None:
    try:
        httpx.AsyncClient()  # reads the environment, and would fail only when the server has started
    except Exception:  # whatever it is; its text may hold a proxy's password
        raise SetupError(
            "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names a proxy that cannot be used; only http:// and"
            " https:// ones can. Change or unset it"
        ) from None


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        if address.scheme in ("http", "https") and address.hostname and address.port != 0:
            return address
    except ValueError:  # a port that is none
        pass
    raise SetupError(f"{AIRFLOW_URL} must be an address such as https://airflow.example.com")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def look_up(conn_id: str, environment: Mapping[str, str]) -> ReceiverConfig:
    """Read a connection from ``AIRFLOW_CONN_<ID>``, which is JSON or a URI. Never raises."""
    text = environment.get(f"AIRFLOW_CONN_{conn_id.upper()}", "").strip()
    if not text:
        return ReceiverConfig(problem="there is no such connection in the environment")
    try:
        return _from_json(text) if text.startswith("{") else _from_uri(text)
    except (ValueError, RecursionError):
        return ReceiverConfig(problem="its value in the environment is neither JSON nor a URI")


def _from_json(text: str) -> ReceiverConfig:
    value = json.loads(text)
    extra = value.get("extra")
    host = value.get("host")
    return receiver_config(
        value.get("conn_type"),
        host if isinstance(host, str) else None,
        extra if isinstance(extra, str) else json.dumps(extra or {}),
    )


def _from_uri(text: str) -> ReceiverConfig:
    parts = urlsplit(text)
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    extra = fields.get("__extra__") or json.dumps(fields)
    return receiver_config(parts.scheme.replace("-", "_"), unquote(parts.hostname or ""), extra)


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SetupError(f"{name} is not set")
    return value
