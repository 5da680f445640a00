"""An emulator for all tests of this folder, and one way to drive either client."""

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from airflow_trtc.cloud import budget
from airflow_trtc.cloud.calls import any_action
from airflow_trtc.cloud.client import AsyncTrtcClient, TrtcClient
from airflow_trtc.cloud.settings import from_connection
from airflow_trtc.emulator import Emulator
from tests.cloud.asking import recording


@pytest.fixture(autouse=True)
def own_budgets(monkeypatch):
    """Waits that were noted but not waited must not make a later test wait."""
    monkeypatch.setattr(budget, "_budgets", {})


@pytest.fixture(scope="session")
def running_emulator():
    with Emulator(rate_limit=0, check_user_sig=False) as emulator:
        yield emulator


@pytest.fixture
def emulator(running_emulator):
    running_emulator.reset()
    return running_emulator


@pytest.fixture
def settings_for(emulator):
    """Settings for the emulator, with other fields of the connection where the test wants them."""

    def build(extra=None, **fields):
        connection = json.loads(emulator.connection_json)
        connection.pop("conn_type")
        values = {**connection, **fields}
        values["extra"] = {"requests_per_second": 1000, **connection["extra"], **(extra or {})}
        return from_connection(**values)

    return build


@contextmanager
def serving(answer):
    """Serve ``answer(path, headers, body) -> (status, text)`` and yield the URL and what was asked.

    The answer may have a third part: headers, name to value.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.path, dict(self.headers), body))
            status, text, *more = answer(self.path, self.headers, body)
            self.send_response(status)
            for name, value in more[0].items() if more else ():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET

        def log_message(self, *args):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/", asked
    finally:
        running.shutdown()
        running.server_close()


@pytest.fixture
def server():
    """``with server(answer) as (url, asked)``: a small HTTP server for what the emulator is not."""
    return serving


class Driver:
    """Calls through either client; waits are noted, not waited."""

    client: TrtcClient | AsyncTrtcClient

    def __init__(self):
        self.sleeps: list[float] = []

    def describe(self, recording_id, attempts=None):
        sdk_app_id = self.client.settings.sdk_app_id
        return self.run(recording(recording_id, sdk_app_id), attempts)

    def call(self, action, params, attempts=None):
        return self.run(any_action(action, params), attempts)

    def run(self, call, attempts=None):
        raise NotImplementedError

    def close(self):
        pass


class SyncDriver(Driver):
    """Calls through the synchronous client."""

    client: TrtcClient

    def __init__(self, settings, keys=None):
        super().__init__()
        self.client = TrtcClient(settings, sleep=self.sleeps.append, keys=keys)

    def run(self, call, attempts=None):
        return self.client.run(call, attempts)


class AsyncDriver(Driver):
    """Calls through the asynchronous one, in an event loop of its own."""

    client: AsyncTrtcClient

    def __init__(self, settings, keys=None):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = AsyncTrtcClient(settings, sleep=self._sleep, keys=keys)

    async def _sleep(self, seconds):
        self.sleeps.append(seconds)

    def run(self, call, attempts=None):
        return self.loop.run_until_complete(self.client.run(call, attempts))

    def close(self):
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()


@pytest.fixture(params=[SyncDriver, AsyncDriver], ids=["sync", "async"])
def drive(request, settings_for):
    """Make a driver of either client; ``drive(extra, **fields)`` as for ``settings_for``."""
    drivers = []

    def build(extra=None, *, keys=None, **fields):
        drivers.append(request.param(settings_for(extra, **fields), keys))
        return drivers[-1]

    yield build
    for driver in drivers:
        driver.close()
