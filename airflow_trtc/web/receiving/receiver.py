"""One request in, one answer out: size, key, signature, event, application, stored.

The order matters. Nothing is parsed before the signature was checked over the bytes as they came, and
nothing is answered with 200 before it is stored. What is stored passes the one door, `bounds.plain`: later
on it goes through processes and databases that refuse some of what JSON can say. This module knows neither
Airflow nor a database.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from airflow_trtc import bounds, metrics
from airflow_trtc.aio import within
from airflow_trtc.jobs.callback import (
    Callback,
    CallbackError,
    is_address_signed,
    is_signed,
    kept_event,
    parse,
    without_signatures,
)
from airflow_trtc.journal.keys import MAX_APP, inbox_key
from airflow_trtc.journal.reception import Reason
from airflow_trtc.web.receiving import answers
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.connection_cache import (
    RETRY_SECONDS,
    ConnectionCache,
    LookupUnavailable,
    ReceiverConfig,
)

MAX_BODY = 256 * 1024
BODY_SECONDS = 10.0
MAX_QUERY = 2000
REFUSE_SECONDS = 0.5

log = logging.getLogger(__name__)

_REASONS: Mapping[Answer, Reason] = {
    answers.NO_APPLICATION: "no_application",
    answers.NO_NUMBER: "no_application",
    answers.OTHER_APPLICATION: "wrong_application",
}
_CONNECTION_ID = re.compile(r"[\w#!()\-.:\\]{1,250}", re.ASCII)  # as Airflow has it, but for "/"


@dataclass(frozen=True, slots=True)
class Row:
    """One callback on its way into the store.

    :param value: JSON text.
    """

    key: str
    value: str


Store = Callable[[Row], Awaitable[Answer | None]]  # None means: stored


@dataclass(frozen=True, slots=True)
class _Proof:
    """What shows that a request is the service's.

    :param signature: of the body, from the header.
    :param query: parameters of the address, which may be signed instead if the event is wrapped.
    :param now_ms: Unix milliseconds.
    """

    body: bytes
    signature: str | None
    query: Mapping[str, str]
    now_ms: int

    def covers_body(self, found: ReceiverConfig) -> bool:
        """Whether it is enough for any event."""
        if found.keys:
            return is_signed(self.body, self.signature, found.keys)
        return found.accepts_unsigned and not found.problem

    def satisfies(self, found: ReceiverConfig) -> bool:
        """Whether it is enough at least for a wrapped event."""
        return self.covers_body(found) or is_address_signed(self.query, found.keys, self.now_ms)

    @property
    def given(self) -> str | None:
        """What was given as a signature, right or wrong."""
        return self.signature or self.query.get("sign")

    @property
    def fault(self) -> Reason:
        """What is wrong with it, if it is not enough."""
        return "wrong_signature" if self.given else "unsigned"


class _TooLarge(Exception):
    """The body has more bytes than any callback."""


class _Disconnected(Exception):
    """The client left."""


def system_ms() -> int:
    """Unix milliseconds of the system's clock."""
    return time.time_ns() // 1_000_000


class Receiver:
    """The ASGI app behind ``/callbacks/{conn_id}``.

    :param refused: called for each callback that is refused for a connection of ours.
    :param clock: Unix milliseconds.
    :param body_seconds: how long a body may take to arrive.
    :param refuse_seconds: after a multiple of this time it is said that a signature is wrong: the time taken
        must not tell whether there is a connection, where it is kept, and how many keys it has.
    """

    def __init__(
        self,
        connections: ConnectionCache,
        store: Store,
        *,
        refused: Callable[[str, Reason], object] = lambda conn_id, reason: None,
        clock: Callable[[], int] = system_ms,
        body_seconds: float = BODY_SECONDS,
        refuse_seconds: float = REFUSE_SECONDS,
    ) -> None:
        self._connections = connections
        self._store = store
        self._refused = refused
        self._clock = clock
        self._body_seconds = body_seconds
        self._refuse_seconds = refuse_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            is_post = scope["method"] == "POST"
            answer = await self._answer(scope, receive) if is_post else answers.NOT_POST
        except _Disconnected:
            return
        except Exception as error:  # whatever it is, the service has to send it again
            # Not the message: it may hold a part of a key.
            log.error("Cannot receive a callback: %s", type(error).__name__)
            answer = answers.RETRY_LATER
        metrics.count(metrics.CALLBACK_REQUESTS, answer=answer.word)
        await answer.send(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = scope["headers"]
        try:
            body = await _body(headers, receive, self._body_seconds)
        except _TooLarge:
            return answers.TOO_LARGE
        except (TimeoutError, asyncio.TimeoutError):
            return answers.TOO_SLOW
        began_at = time.monotonic()
        conn_id: str = scope["path_params"]["conn_id"]
        proof = _Proof(body, _header(headers, b"sign"), _query(scope), self._clock())
        try:
            found = await self._verify(conn_id, proof)
        except LookupUnavailable:
            return answers.RETRY_LATER
        if found is None:
            await self._hide_time(time.monotonic() - began_at)
            return answers.REFUSED
        read = _read_event(scope, proof, found)
        if isinstance(read, Answer):
            self._refused(conn_id, _reason(read, proof))
            return read
        callback, sdk_app_id = read
        failure = await self._store(self._row(callback, sdk_app_id, conn_id, found))
        if failure is not None:
            return failure
        return answers.STORED if callback.wrapper is None else answers.STORED_WRAPPED

    async def _verify(self, conn_id: str, proof: _Proof) -> ReceiverConfig | None:
        if not _CONNECTION_ID.fullmatch(conn_id):
            return None
        found = await self._connections.find(conn_id)
        if not proof.satisfies(found):
            found = await self._connections.find(conn_id, RETRY_SECONDS)
        if proof.satisfies(found):
            return found
        self._connections.warn_refused(conn_id, found, proof.given)
        # Of what is no connection of ours nothing is noted: anybody may make names up.
        if (reason := found.reason if found.problem else proof.fault) is not None:
            self._refused(conn_id, reason)
        if self._connections.is_flooded:  # else those that are told "later" would be the unknown ones
            raise LookupUnavailable
        return None

    async def _hide_time(self, seconds: float) -> None:
        if self._refuse_seconds:
            await asyncio.sleep(-seconds % self._refuse_seconds)

    def _row(self, callback: Callback, sdk_app_id: int, conn_id: str, found: ReceiverConfig) -> Row:
        received_at_ms = self._clock()
        value = {
            "v": 1,
            "sdk_app_id": sdk_app_id,
            "conn_id": conn_id,
            "region": found.region,
            "received_at_ms": received_at_ms,
            # Every author of a DAG may read these rows.
            "event": kept_event(callback),
            "wrapper": bounds.plain(without_signatures(callback.wrapper)),
        }
        key = inbox_key(received_at_ms, sdk_app_id, callback.identity)
        return Row(key, json.dumps(value, separators=(",", ":")))


def _read_event(scope: Scope, proof: _Proof, found: ReceiverConfig) -> tuple[Callback, int] | Answer:
    """The event and its application, or why it is refused though something proves where it is from."""
    try:
        callback = parse(proof.body)
    except CallbackError as error:
        return answers.not_an_event(str(error))
    if callback.wrapper is None and not proof.covers_body(found):
        return answers.REFUSED
    sdk_app_id = _application(scope, callback, found)
    return sdk_app_id if isinstance(sdk_app_id, Answer) else (callback, sdk_app_id)


def _reason(answer: Answer, proof: _Proof) -> Reason:
    if answer == answers.REFUSED:
        return proof.fault
    return _REASONS.get(answer, "no_event")


def _application(scope: Scope, callback: Callback, found: ReceiverConfig) -> int | Answer:
    """Whose callback it is. Header and query are not signed, so the connection has the last word."""
    named = _header(scope["headers"], b"sdkappid")
    if named is None and callback.wrapper is not None:
        named = _query(scope).get("sdkappid")
    if named is None:
        return found.sdk_app_id or answers.NO_APPLICATION
    sdk_app_id = bounds.number(named, 1, MAX_APP) if named.isdigit() else None
    if sdk_app_id is None:
        return answers.NO_NUMBER
    if found.sdk_app_id not in (None, sdk_app_id):
        return answers.OTHER_APPLICATION
    return sdk_app_id


def _query(scope: Scope) -> dict[str, str]:
    """The parameters of the address, names in lower case; of two with one name the first counts."""
    pairs = parse_qsl(scope.get("query_string", b"")[:MAX_QUERY].decode("latin-1"))
    return {name.lower(): value for name, value in reversed(pairs)}


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    for given, value in headers:
        if given == name:
            return value.decode("latin-1").strip() or None
    return None


async def _body(headers: list[tuple[bytes, bytes]], receive: Receive, seconds: float) -> bytes:
    length = _header(headers, b"content-length")
    if length is not None and length.isdecimal() and (len(length) > 9 or int(length) > MAX_BODY):
        raise _TooLarge
    return await within(seconds, _read(receive))


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise _TooLarge
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
