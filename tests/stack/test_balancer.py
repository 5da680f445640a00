import contextlib
import os
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.stack.processes import Component, Watchdog, free_ports

PATIENCE_SECONDS = 30


class Echo(socketserver.StreamRequestHandler):
    """Answers a line with the name of the back end and the line, the end of all lines with "bye"."""

    def handle(self) -> None:
        for line in self.rfile:
            if line == b"quit\n":
                return
            self.wfile.write(self.server.name + line)  # type: ignore[attr-defined]
        with contextlib.suppress(OSError):
            self.wfile.write(b"bye\n")


class BackEnd(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 200

    def __init__(self, port: int, name: bytes) -> None:
        super().__init__(("127.0.0.1", port), Echo)
        self.name = name
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Balanced:
    """A balancer as a process of its own, and its two back ends."""

    def __init__(self, folder: Path, watchdog: Watchdog) -> None:
        self.port, *self.ports = free_ports(3)
        self.back_ends = [BackEnd(port, name) for port, name in zip(self.ports, (b"a", b"b"), strict=True)]
        command = [sys.executable, "-m", "tests.stack.balancer", "--port", str(self.port), "--to"]
        self.balancer = Component(
            "balancer",
            command + [str(port) for port in self.ports],
            environment=os.environ,
            folder=folder,
            watchdog=watchdog,
        )
        self.balancer.start()
        wait_until(self.is_up)

    def is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    def ask(self) -> bytes:
        """The name of the back end that answers a new connection; empty if none does."""
        with self.connect() as connection:
            return answer(connection)[:1]

    def let_go(self, number: int) -> None:
        self.back_ends[number].shutdown()
        self.back_ends[number].server_close()

    def connections(self) -> int:
        """How many it holds, of both sides."""
        (pid,) = self.balancer.pids()
        held = psutil.Process(pid).net_connections("tcp")
        return sum(connection.status != psutil.CONN_LISTEN for connection in held)


@pytest.fixture
def balanced(tmp_path: Path) -> Iterator[Balanced]:
    watchdog = Watchdog()
    balanced = Balanced(tmp_path, watchdog)
    yield balanced
    balanced.balancer.kill()
    watchdog.close()


def wait_until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def answer(connection: socket.socket, question: bytes = b"?\n") -> bytes:
    try:
        connection.sendall(question)
        return connection.recv(1000)
    except ConnectionError:
        return b""


def test_connections_go_to_the_back_ends_in_turn(balanced: Balanced) -> None:
    names = [balanced.ask() for _ in range(6)]
    assert sorted(names[:2]) == [b"a", b"b"]
    assert names == names[:2] * 3


def test_a_back_end_that_refuses_is_passed_over_until_it_is_back(balanced: Balanced) -> None:
    balanced.let_go(0)
    assert [balanced.ask() for _ in range(4)] == [b"b"] * 4
    balanced.back_ends[0] = BackEnd(balanced.ports[0], b"a")
    assert {balanced.ask() for _ in range(2)} == {b"a", b"b"}


def test_without_any_back_end_a_connection_ends_at_once(balanced: Balanced) -> None:
    balanced.let_go(0)
    balanced.let_go(1)
    assert balanced.ask() == b""
    assert balanced.balancer.exit_code is None


def test_a_connection_stays_with_its_back_end_and_carries_much_both_ways(balanced: Balanced) -> None:
    with balanced.connect() as connection:
        name = answer(connection)[:1]
        sent = b"x" * 5_000_000 + b"\n"
        threading.Thread(target=connection.sendall, args=(sent,), daemon=True).start()
        received = b""
        while len(received) < len(sent) + 1:
            received += connection.recv(1_000_000)
    assert received == name + sent


def test_a_client_that_has_said_all_still_gets_the_answer(balanced: Balanced) -> None:
    with balanced.connect() as connection:
        connection.sendall(b"?\n")
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answers:
            assert answers.read()[1:] == b"?\nbye\n"


def test_a_connection_ends_with_that_of_its_back_end(balanced: Balanced) -> None:
    with balanced.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall(b"quit\n")
        assert answers.read() == b""
        wait_until(lambda: balanced.connections() == 0)


def test_nothing_is_left_of_connections_that_ended(balanced: Balanced) -> None:
    kept = [balanced.connect() for _ in range(50)]
    assert all(answer(connection) for connection in kept)
    assert balanced.connections() >= 100
    for connection in kept[:25]:
        # Not a goodbye but a reset, as of a client that was killed with bytes unread.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for connection in kept:
        connection.close()
    wait_until(lambda: balanced.connections() == 0)
