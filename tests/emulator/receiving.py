"""A receiver of callbacks that tests tell how to answer."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def message(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.message["EventType"]


class Receiver(ThreadingHTTPServer):
    """Keeps what it receives. ``answers`` holds (status, body) for the next requests; then it is 200.

    A status of None closes the connection without an answer; "wait" answers when it is let go.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.answers: list[tuple[int | str | None, bytes]] = []
        self.headers: dict[str, str] = {}
        self.connections = 0
        self.let_go = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/callbacks?x=1"
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def types(self):
        return [each.type for each in self.received]

    def close(self):
        self.let_go.set()
        self.shutdown()
        self.server_close()
        self._thread.join(60)

    def handle_error(self, request, client_address):
        """A client that went away is no trouble of the receiver."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/callbacks?x=1"
        self.server.received.append(Received(dict(self.headers), body))
        status, text = self.server.answers.pop(0) if self.server.answers else (200, b'{"code":0}')
        if status == "wait":
            self.server.let_go.wait(60)
            status = None
        if status is None:
            self.close_connection = True
            return
        lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(text)}"]
        lines += [f"{name}: {value}" for name, value in self.server.headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + text)

    def log_message(self, *args):
        pass
