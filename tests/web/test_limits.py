"""Requests that never become complete keep nobody out, and cost little."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from airflow_trtc.web.standalone import limits

GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    async def slow(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse("slow")

    quick = Route("/", lambda request: PlainTextResponse("fine"))
    app = Starlette(routes=[quick, Route("/slow", slow, methods=["POST"])])
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off", **limits.OPTIONS)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def ask(port: int, what: bytes = GOOD, *, most: int = 60) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(what)
    try:
        return await asyncio.wait_for(reader.read(4096), most)
    finally:
        writer.close()


def test_half_sent_requests_shut_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.LimitedProtocol, "max_connections", 20)

    async def main() -> None:
        async with serving() as port:
            held = []
            for _ in range(60):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX: ")
                held.append((reader, writer))
            await asyncio.sleep(0.3)
            assert b"fine" in await ask(port)
            closed = [reader.at_eof() or reader.exception() is not None for reader, _ in held]
            assert sum(closed) >= 40
            assert closed == sorted(closed, reverse=True)  # the oldest made room
            for _, writer in held:
                writer.close()

    asyncio.run(main())


@pytest.mark.parametrize("begin", [b"", b"POST / HTTP/1.1\r\nHost: x\r\n", GOOD + b"POST / HTTP/1.1\r\nX: "])
def test_a_request_has_its_time(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.5)

    async def main() -> None:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begin)
            with suppress(ConnectionError):  # an abort
                while await asyncio.wait_for(reader.read(4096), 60):
                    pass
            writer.close()

    asyncio.run(main())


def test_endless_headers_end_early() -> None:
    async def main() -> int:
        sent = 0
        async with serving() as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n")
            with suppress(ConnectionError):
                while sent < 50_000_000 and not writer.is_closing():
                    writer.write(b"X-Name: " + b"x" * 8000 + b"\r\n")
                    sent += 8000
                    await asyncio.wait_for(writer.drain(), 60)
            writer.close()
        return sent

    assert asyncio.run(main()) < 50_000_000


@pytest.mark.parametrize("length", ["Content-Length: 9", "Transfer-Encoding: chunked"])
def test_half_sent_bodies_shut_nobody_out(monkeypatch: pytest.MonkeyPatch, length: str) -> None:
    monkeypatch.setattr(limits.LimitedProtocol, "max_connections", 20)
    half = f"POST /slow HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n1".encode()

    async def main() -> None:
        async with serving() as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
            try:
                for _, writer in held:
                    writer.write(half)
                assert b"fine" in await ask(port, most=5)
            finally:
                for _, writer in held:
                    writer.close()

    asyncio.run(main())


def test_many_that_come_at_once_leave_no_more_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.LimitedProtocol, "max_connections", 20)

    async def main() -> None:
        async with serving() as port:
            sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
            assert b"fine" in await ask(port, most=5)
            await asyncio.sleep(0.05)
            count = sum(map(is_open, sockets))
            for each in sockets:
                each.close()
            assert count <= 20

    asyncio.run(main())


def is_open(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_requests_that_are_none_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log, once = logging.getLogger("uvicorn.error"), limits.OncePerMinute(lambda: now[0])
    log.addFilter(once)

    async def main() -> None:
        async with serving() as port:
            for _ in range(20):
                assert b"400 Bad Request" in await ask(port, b"\x16\x03\x01 no HTTP\r\n\r\n")
            now[0] = 60.0
            assert b"400 Bad Request" in await ask(port, b"GET\r\n\r\n")

    try:
        asyncio.run(main())
    finally:
        log.removeFilter(once)
    assert caplog.text.count("Invalid HTTP request") == 2


def test_connections_leave_room_for_the_spool() -> None:
    assert 16 <= limits.max_connections() <= limits.MOST_CONNECTIONS
