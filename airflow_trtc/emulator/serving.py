"""uvicorn as the emulator needs it: quiet, and gone at once when it is told to."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from airflow_trtc.emulator.app import Application

_TURNS_TO_CLOSE, _TURN_SECONDS = 50, 0.002


class Server(uvicorn.Server):
    """Serves an application until its ``closing`` is set.

    uvicorn's own looks ten times a second whether it shall end and then rests for a tenth, which is most of
    the time of a test that has an emulator to itself.
    """

    def __init__(self, application: Application) -> None:
        # ``h11`` is always there, and its ``send`` is known to hold the transport.
        super().__init__(
            uvicorn.Config(
                application,
                http="h11",
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
            )
        )
        self.application = application

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self.application.closing.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, and each connection when it has its answer, those that hang after a moment."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(_TURNS_TO_CLOSE):
            if not self.server_state.connections:
                return
            await asyncio.sleep(_TURN_SECONDS)
