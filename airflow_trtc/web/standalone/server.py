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
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.connection_cache import ConnectionCache, ReceiverConfig
from airflow_trtc.web.receiving.connections import receiver_config
from airflow_trtc.web.receiving.receiver import Receiver, Row
from airflow_trtc.web.receiving.writer import Writer
from airflow_trtc.web.standalone.forwarder import Access, Forwarder
from airflow_trtc.web.standalone.spool import Spool

SPOOL = "AIRFLOW_TRTC_SPOOL"
AIRFLOW_URL = "AIRFLOW_TRTC_AIRFLOW_URL"
TOKEN = "AIRFLOW_TRTC_API_TOKEN"
USER = "AIRFLOW_TRTC_API_USER"
PASSWORD = "AIRFLOW_TRTC_API_PASSWORD"

# The second is the path in Airflow, so that either server can stand behind one address.
PATHS = ("/callbacks/{conn_id}", "/trtc/callbacks/{conn_id}")

log = logging.getLogger(__name__)


class SetupError(ValueError):
    """The environment lacks something; the message says what."""


def create_app(
    environment: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> Starlette:
    """The app, from the environment; an ASGI server may call it as a factory.

    :param transport: instead of the network to Airflow, for tests.
    :raises SetupError: a setting is missing.
    """
    environment = os.environ if environment is None else environment
    access = access_from(environment)
    one = StandaloneReceiver(Spool(_needed(environment, SPOOL)), access, transport)
    connections = ConnectionCache(lambda conn_id: look_up(conn_id, environment))
    receiver = Receiver(connections, one.writer.store)
    routes = [*(Route(path, receiver) for path in PATHS), Route("/healthz", one.health)]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with one.running():
            yield
        connections.close()

    return Starlette(routes=routes, lifespan=lifespan)


class StandaloneReceiver:
    """Stores callbacks in a spool, and forwards them while it runs."""

    def __init__(self, spool: Spool, access: Access, transport: httpx.AsyncBaseTransport | None) -> None:
        self._spool = spool
        self._access = access
        self._transport = transport
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forwarder: Forwarder | None = None
        self.writer = Writer(self._insert, self._wake)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forward as long as the block lasts; then write what waits, and close the spool."""
        forwarder = self._forwarder = Forwarder(self._spool, self._access, self._transport)
        self._loop = asyncio.get_running_loop()
        self.writer.start()
        task = asyncio.create_task(forwarder.run())
        task.add_done_callback(_log_end)
        yield
        task.cancel()
        await asyncio.to_thread(self.writer.stop)
        await forwarder.aclose()
        self._spool.close()

    async def health(self, _: Request) -> JSONResponse:
        """How much waits, and why."""
        counts = await asyncio.to_thread(self._spool.counts)
        forwarder = self._forwarder
        trouble, forwarded = (forwarder.trouble, forwarder.forwarded) if forwarder else ("", 0)
        return JSONResponse({"status": "ok", **asdict(counts), "trouble": trouble, "forwarded": forwarded})

    def _insert(self, rows: Sequence[Row]) -> Answer | None:
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
    token, user, password = (environment.get(name, "") for name in (TOKEN, USER, PASSWORD))
    if not token and not (user and password):
        raise SetupError(f"{TOKEN} is not set, nor {USER} and {PASSWORD}")
    return Access(url, token, user, password)


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
