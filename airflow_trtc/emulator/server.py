"""The emulator as a server in a thread of this process."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow_trtc.emulator import control
from airflow_trtc.emulator.client import Controls
from airflow_trtc.emulator.settings import DEFAULT_HOST, Settings
from airflow_trtc.emulator.state import State

if TYPE_CHECKING:
    from airflow_trtc.emulator.serving import Server

log = logging.getLogger("airflow_trtc.emulator")

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class Emulator(Controls):
    """The service on a port of its own: ``with Emulator() as emulator: ...``.

    ``port`` 0 takes a free one. All other options are those of
    :class:`~airflow_trtc.emulator.settings.Settings`. A port in use is an ``OSError``.
    """

    def __init__(self, *, host: str = DEFAULT_HOST, port: int = 0, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.host = host
        self.port = port
        self._state = State(self.settings)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:  # type: ignore[override]
        """Where the API is, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def secret_id(self) -> str:
        """The id of the key pair that may do everything."""
        return self.settings.secret_id

    @property
    def secret_key(self) -> str:
        """The key to :attr:`secret_id`."""
        return self.settings.secret_key

    @property
    def sdk_app_id(self) -> int:
        """The application of the account."""
        return self.settings.sdk_app_id

    @property
    def sdk_secret_key(self) -> str:
        """The key of the application, which signs for users."""
        return self.settings.sdk_secret_key

    @property
    def region(self) -> str:
        """The region to ask."""
        return self.settings.region

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection to this emulator."""
        key = self._state.callbacks.key
        return {
            "conn_type": "trtc",
            "login": self.secret_id,
            "password": self.secret_key,
            "host": self.url,
            "extra": {
                "region": self.region,
                "sdk_app_id": self.sdk_app_id,
                "sdk_secret_key": self.sdk_secret_key,
                "console_url": f"{self.url}/_control/recordings/{{job_id}}",
                **({} if key is None else {"callback_secret": key}),
            },
        }

    @property
    def connection_json(self) -> str:
        """The same as text for ``AIRFLOW_CONN_TRTC_DEFAULT``."""
        return json.dumps(self.connection)

    @property
    def secrets_sent(self) -> frozenset[str]:
        """Every UserSig, PrivateMapKey and key of a bucket in a request since :meth:`reset`.

        For tests that look for them where they must not be. In this process only: no control route and no
        page tells them.
        """
        with self._state.lock:
            return frozenset(self._state.secrets)

    def start(self) -> None:
        """Listen and serve until :meth:`stop`."""
        from airflow_trtc.emulator.app import Application
        from airflow_trtc.emulator.serving import Server

        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        self._server = Server(Application(self._state, self.host))
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="trtc-emulator", daemon=True
        )
        self._thread.start()
        _wait_until_started(self._server, self._thread)

    def stop(self) -> None:
        """Close all connections and the port. Does nothing if it does not run."""
        if self._thread is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._server.application.closing.set)
        self._thread.join(_STOP_SECONDS)
        self._thread = None

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, listener: socket.socket) -> None:
        asyncio.run(self._run(listener))

    async def _run(self, listener: socket.socket) -> None:
        from airflow_trtc.emulator.dispatcher import Dispatcher

        self._loop = asyncio.get_running_loop()
        dispatcher = asyncio.ensure_future(Dispatcher(self._state).run())
        dispatcher.add_done_callback(_report_failure)
        try:
            await self._server.serve(sockets=[listener])
        finally:
            dispatcher.cancel()
            await asyncio.gather(dispatcher, return_exceptions=True)

    def _control(self, method: str, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
        return control.run(self._state, method, path, options)


def _report_failure(dispatcher: asyncio.Future[None]) -> None:
    if not dispatcher.cancelled() and (error := dispatcher.exception()):
        log.error(
            "Sending callbacks failed; no more are sent until the emulator is started again", exc_info=error
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named protocol: asyncio switches Nagle off only for sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _wait_until_started(server: Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the emulator did not start")
        time.sleep(0.002)
