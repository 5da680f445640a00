"""One request in, one answer out: size, key, signature, event, application, stored.

The order matters. Nothing is parsed before the signature was checked over the bytes as they came, and
nothing is answered with 200 before it is stored. It knows neither Airflow nor a database.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from airflow_trtc.jobs.callback import Callback, CallbackError, is_signed, parse, without_signatures
from airflow_trtc.journal.keys import inbox_key
from airflow_trtc.web.receiving import answers
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.connection_cache import LOOK_AGAIN_SECONDS, Keyring, NotNow, Receiving

LARGEST_BODY = 256 * 1024
BODY_SECONDS = 10.0
LONGEST_APP = 18
LONGEST_QUERY = 2000

log = logging.getLogger(__name__)

_CONNECTION_ID = re.compile(r"[\w#!()\-.:\\]{1,250}", re.ASCII)  # as Airflow has it, but for "/"


@dataclass(frozen=True, slots=True)
class Row:
    """One callback on its way into the store.

    :param value: JSON text.
    """

    key: str
    value: str


Store = Callable[[Row], Awaitable[Answer | None]]  # None is: stored


class _TooLarge(Exception):
    """The body has more bytes than any callback."""


class _Gone(Exception):
    """The client left."""


class Receiver:
    """The ASGI app behind ``/callbacks/{conn_id}``."""

    def __init__(self, keyring: Keyring, store: Store) -> None:
        self._keyring = keyring
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            await answers.NOT_POST.send(send)
            return
        try:
            answer = await self._answer(scope, receive)
        except _Gone:
            return
        except Exception as error:  # whatever it is, the service shall send it again
            # Not the message: it may hold a part of a key.
            log.error("A callback could not be taken: %s", type(error).__name__)
            answer = answers.NOT_NOW
        await answer.send(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = scope["headers"]
        try:
            body = await _body(headers, receive)
        except _TooLarge:
            return answers.TOO_LARGE
        except (TimeoutError, asyncio.TimeoutError):
            return answers.TOO_SLOW
        try:
            found = await self._verify(scope["path_params"]["conn_id"], body, _header(headers, b"sign"))
        except NotNow:
            return answers.NOT_NOW
        if found is None:
            return answers.REFUSED
        try:
            callback = parse(body)
        except CallbackError as error:
            return answers.not_an_event(str(error))
        sdk_app_id = _application(scope, callback, found)
        if isinstance(sdk_app_id, Answer):
            return sdk_app_id
        row = _row(callback, sdk_app_id, scope["path_params"]["conn_id"], found)
        failure = await self._store(row)
        if failure is not None:
            return failure
        return answers.STORED if callback.wrapper is None else answers.STORED_WRAPPED

    async def _verify(self, conn_id: str, body: bytes, signature: str | None) -> Receiving | None:
        if not _CONNECTION_ID.fullmatch(conn_id):
            return None
        found = await self._keyring.find(conn_id)
        if not _fits(found, body, signature):
            found = await self._keyring.find(conn_id, LOOK_AGAIN_SECONDS)
        if _fits(found, body, signature):
            return found
        self._keyring.complain(conn_id, found, signature)
        return None


def _fits(found: Receiving, body: bytes, signature: str | None) -> bool:
    if found.keys:
        return is_signed(body, signature, found.keys)
    return found.accepts_unsigned and not found.problem


def _row(callback: Callback, sdk_app_id: int, conn_id: str, found: Receiving) -> Row:
    received_at_ms = time.time_ns() // 1_000_000
    value = {
        "v": 1,
        "app": sdk_app_id,
        "conn_id": conn_id,
        "region": found.region,
        "received_at_ms": received_at_ms,
        # Every author of a DAG may read these rows.
        "event": without_signatures(callback.event),
        "wrapper": without_signatures(callback.wrapper),
    }
    key = inbox_key(received_at_ms, sdk_app_id, callback.identity)
    return Row(key, json.dumps(value, separators=(",", ":")))


def _application(scope: Scope, callback: Callback, found: Receiving) -> int | Answer:
    """Whose callback it is. Header and query are not signed, so the connection has the last word."""
    named = _header(scope["headers"], b"sdkappid")
    if named is None and callback.wrapper is not None:
        query = parse_qsl(scope.get("query_string", b"")[:LONGEST_QUERY].decode("latin-1"))
        named = next((value for name, value in query if name.lower() == "sdkappid"), None)
    if named is None:
        return found.sdk_app_id or answers.NO_APPLICATION
    if not (named.isascii() and named.isdigit() and len(named) <= LONGEST_APP and int(named)):
        return answers.NO_NUMBER
    if found.sdk_app_id not in (None, int(named)):
        return answers.OTHER_APPLICATION
    return int(named)


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    for given, value in headers:
        if given == name:
            return value.decode("latin-1").strip() or None
    return None


async def _body(headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
    length = _header(headers, b"content-length")
    if length is not None and length.isdecimal() and (len(length) > 9 or int(length) > LARGEST_BODY):
        raise _TooLarge
    return await asyncio.wait_for(_read(receive), BODY_SECONDS)


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LARGEST_BODY:
            raise _TooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
