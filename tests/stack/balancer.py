"""A TCP balancer for the loopback address: ``python -m tests.stack.balancer --port P --to P1 P2``.

Connections go to the back ends in turn; one that refuses is passed over, so a client notices a dead back end
only by the connections it had there. Knows nothing of what it passes on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence

_HOST = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024


class Balancer:
    """Passes connections on to back ends that are given by their ports."""

    def __init__(self, back_ends: Sequence[int]) -> None:
        """Begin with the first of the back ends."""
        self._back_ends = list(back_ends)
        self._next = 0

    async def serve(self, port: int) -> None:
        """Listen on a port until cancelled; raises OSError if it is taken."""
        server = await asyncio.start_server(self._handle, _HOST, port)
        async with server:
            await server.serve_forever()

    async def _handle(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as ends:
            ends.push_async_callback(_close, to_client)
            try:
                from_back_end, to_back_end = await self._connect()
            except ConnectionError:
                return
            ends.push_async_callback(_close, to_back_end)
            there = asyncio.create_task(_pass_on(from_client, to_back_end))
            try:
                # A client that has said all may still be waiting for the answer; a back end that has said
                # all is done with the connection, and so is the client.
                await _pass_on(from_back_end, to_client)
            finally:
                there.cancel()
                await asyncio.gather(there, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next back end that accepts one; raises ConnectionError if none does."""
        for port in self._in_turn():
            with contextlib.suppress(ConnectionError):
                return await asyncio.open_connection(_HOST, port)
        raise ConnectionRefusedError("no back end accepts connections")

    def _in_turn(self) -> list[int]:
        first = self._next
        self._next = (first + 1) % len(self._back_ends)
        return self._back_ends[first:] + self._back_ends[:first]


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy bytes until the source ends or either side breaks; the sink gets an end of file."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError):
        sink.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def main(arguments: Sequence[str] | None = None) -> None:
    """Balance until ended by a signal."""
    parser = argparse.ArgumentParser(prog="python -m tests.stack.balancer", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where to listen")
    parser.add_argument("--to", type=int, nargs="+", required=True, metavar="PORT", help="the back ends")
    options = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Balancer(options.to).serve(options.port))


if __name__ == "__main__":
    main()
