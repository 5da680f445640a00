"""One HTTP connection that posts and stays open. Only as much of HTTP/1.1 as an answer may contain."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

MAX_ANSWER_BYTES = 1024 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}


class SendingError(Exception):
    """There was no usable answer; the text says why."""


@dataclass(frozen=True)
class Reply:
    """An answer. ``size`` counts all its bytes, status line and headers too."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    size: int


@dataclass(frozen=True)
class _Address:
    scheme: str
    host: str
    port: int
    target: str
    shown_host: str


class Connection:
    """Posts one body after the other, over one connection as long as the receiver keeps it open."""

    def __init__(self) -> None:
        self._peer: tuple[str, str, int] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_seconds: float
    ) -> Reply:
        """Return the answer, or raise :class:`SendingError`."""
        try:
            return await asyncio.wait_for(self._post(_address(url), headers, body), timeout_seconds)
        except (TimeoutError, asyncio.TimeoutError):
            reason = f"no answer within {timeout_seconds:g} s"
        except asyncio.IncompleteReadError:
            reason = "the connection was closed before the answer was complete"
        except OSError as error:  # before ValueError: a certificate that is not trusted is both
            reason = _text(error)
        except (ValueError, IndexError, asyncio.LimitOverrunError):
            reason = "the answer is not HTTP"
        except BaseException:
            self.close()
            raise
        self.close()
        raise SendingError(reason)

    def close(self) -> None:
        """Close the connection; the next post opens another."""
        if self._streams:
            self._streams[1].transport.abort()
        self._streams = None

    async def _post(self, address: _Address, headers: Mapping[str, str], body: bytes) -> Reply:
        if not self._is_open_to(address):
            await self._open(address)
        return await self._exchange(_request(address, headers, body))

    def _is_open_to(self, address: _Address) -> bool:
        if self._streams is None or self._peer != (address.scheme, address.host, address.port):
            return False
        reader, writer = self._streams
        return not (reader.at_eof() or writer.is_closing())

    async def _open(self, address: _Address) -> None:
        self.close()
        context = _trust() if address.scheme == "https" else None
        self._streams = await asyncio.open_connection(address.host, address.port, ssl=context)
        self._peer = (address.scheme, address.host, address.port)

    async def _exchange(self, request: bytes) -> Reply:
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, headers = _parse(head)
        body, framing = await _read_body(reader, status, headers)
        if headers.get("connection", "").lower() == "close" or reader.at_eof():
            self.close()
        return Reply(status, headers, body, len(head) + len(body) + framing)


def _request(address: _Address, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {address.target} HTTP/1.1", f"Host: {address.shown_host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status = first.split(" ")[:2]
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return int(status), headers


async def _read_body(
    reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]
) -> tuple[bytes, int]:
    """Return the body and how many bytes its framing took."""
    if status in (204, 304):
        return b"", 0
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    if "content-length" in headers:
        length = int(headers["content-length"])
        if not 0 <= length <= MAX_ANSWER_BYTES:
            raise ValueError(length)
        return await reader.readexactly(length), 0
    body = b""
    while part := await reader.read(65536):
        body += part
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError(len(body))
    return body, 0


async def _read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    body, framing = b"", 0
    while True:
        line = await reader.readuntil(b"\r\n")
        length = int(line.split(b";")[0], 16)
        framing += len(line) + 2
        if length < 0 or len(body) + length > MAX_ANSWER_BYTES:
            raise ValueError(length)
        if not length:
            break
        body += (await reader.readexactly(length + 2))[:-2]
    while (await reader.readuntil(b"\r\n")) != b"\r\n":
        pass
    return body, framing


def _text(error: OSError) -> str:
    # asyncio puts an address in the place of the system's text for a connection that failed.
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', None) or error.reason or error}"
    return error.strerror or str(error) or type(error).__name__


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


@lru_cache(maxsize=16)
def _address(url: str) -> _Address:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    shown = parts.netloc.rpartition("@")[2]
    return _Address(parts.scheme, parts.hostname or "", port, target, shown)
