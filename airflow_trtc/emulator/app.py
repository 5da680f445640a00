"""The ASGI application: reads requests, sends answers, and breaks connections where a fault says so."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

from airflow_trtc.emulator import control, guard, pages
from airflow_trtc.emulator.faults import HTML, Answer
from airflow_trtc.emulator.gateway import MAX_BODY_BYTES, respond
from airflow_trtc.emulator.signature import Request
from airflow_trtc.emulator.state import State

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONTROL = "/_control/"
_LINGER_NOT = struct.pack("ii", 1, 0)


class Application:
    """Serves one emulator under this host. ``closing`` ends answers that wait when the server stops."""

    def __init__(self, state: State, host: str) -> None:
        self.state = state
        self.hosts = (host.lower(), *state.settings.control_hosts)
        self.closing = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: the API at ``/``, the controls below ``/_control/``."""
        request = _request(scope, await _read(receive))
        path: str = scope["path"]
        if path == "/":
            answer = respond(self.state, request)
        elif path.startswith(CONTROL):
            answer = self._control(path[len(CONTROL) :], request)
        else:
            answer = _json(
                404, {"error": f"nothing at {path}; the API is at / and the control routes at {CONTROL}"}
            )
        await self._transmit(answer, receive, send)

    def _control(self, path: str, request: Request) -> Answer:
        first, _, rest = path.partition("/")
        try:
            if request.method == "GET" and first == "recordings":
                return _page(self.state, rest)
            if refusal := guard.refusal(request.method, request.headers, self.hosts):
                raise control.ControlError(refusal[1], refusal[0])
            options: dict[str, Any] = {name: values[-1] for name, values in parse_qs(request.query).items()}
            if request.body:
                options.update(_json_options(request.body))
            return _json(200, control.run(self.state, request.method, path, options))
        except control.ControlError as error:
            return _json(error.status, {"error": str(error)})

    async def _transmit(self, answer: Answer, receive: Receive, send: Send) -> None:
        if answer.delay_seconds and await self._is_closing_within(answer.delay_seconds):
            answer = Answer(wire="reset")
        if answer.wire == "hang" and not await self._is_closing_before_client(receive):
            return
        if answer.wire in ("reset", "hang"):
            await _break_connection(receive, send, at_once=True)
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": self._headers(answer)})
        is_cut = answer.wire == "truncated"
        body = answer.body[: len(answer.body) // 2] if is_cut else answer.body
        await send({"type": "http.response.body", "body": body, "more_body": is_cut})
        if is_cut:
            await _break_connection(receive, send, at_once=False)

    def _headers(self, answer: Answer) -> list[tuple[bytes, bytes]]:
        date = formatdate(self.state.wall() + self.state.clock_skew_seconds, usegmt=True)
        headers = [(b"date", date.encode()), (b"content-length", str(len(answer.body)).encode())]
        return headers if answer.content_type is None else [(b"content-type", answer.content_type), *headers]

    async def _is_closing_before_client(self, receive: Receive) -> bool:
        """Wait until the client gives up or the server stops; return whether it was the server."""
        ends = [asyncio.ensure_future(each) for each in (_disconnect(receive), self.closing.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return not ends[0].done()
        finally:
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _is_closing_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except (TimeoutError, asyncio.TimeoutError):
            return False
        return True


async def _read(receive: Receive) -> bytes:
    """Return the body; what exceeds the API's limit is dropped but for one byte that shows it."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        if size <= MAX_BODY_BYTES:
            parts.append(part)
            size += len(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _request(scope: Scope, body: bytes) -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["method"], scope["query_string"].decode("latin-1"), headers, body)


async def _break_connection(receive: Receive, send: Send, *, at_once: bool) -> None:
    """Close the client's connection: at once with a TCP reset, else after what was written has gone out.

    uvicorn's ``send`` is a method of the object that holds the transport; ASGI has no word for this.
    """
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    if at_once:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()
    else:
        transport.close()
    await _disconnect(receive)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _json_options(body: bytes) -> dict[str, Any]:
    try:
        options = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise control.ControlError(f"the body is not JSON: {error}") from None
    if not isinstance(options, dict):
        raise control.ControlError("the body must be a JSON object")
    return options


def _page(state: State, recording_id: str) -> Answer:
    with state.lock:
        html = pages.recording_page(state, recording_id) if recording_id else pages.overview_page(state)
    return Answer(html.encode(), 200, HTML)


def _json(status: int, value: Any) -> Answer:
    return Answer((json.dumps(value, ensure_ascii=False) + "\n").encode(), status)
