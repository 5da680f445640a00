"""Processes that can be ended for sure: each in a session of its own, with a log file.

Knows nothing of Airflow.
"""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.stack import watchdog

# Below the range from which systems take the ports of outgoing connections, so that none is lost to one of
# those between being found and being used.
_PORTS = range(20_000, 30_000)


class Watchdog:
    """Ends the sessions that it guards as soon as this Python process is gone, even if it was killed."""

    def __init__(self) -> None:
        """Start the process that watches this one."""
        self._watcher = subprocess.Popen(
            [sys.executable, "-I", watchdog.__file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def guard(self, session_id: int) -> None:
        """Have this session ended with this Python process."""
        assert self._watcher.stdin
        self._watcher.stdin.write(f"{session_id}\n")
        self._watcher.stdin.flush()

    def close(self) -> None:
        """End it, and with it whatever still runs of what it guards."""
        assert self._watcher.stdin
        with contextlib.suppress(BrokenPipeError):
            self._watcher.stdin.close()
        self._watcher.wait()


class Component:
    """A program that may be started, stopped, killed and started again; all its output goes to one file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        watchdog: Watchdog,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Define it; `folder` gets its log file and is its working directory.

        `options` are further ones of `subprocess.Popen`, such as another user or working directory.
        """
        self.name = name
        self.log_path = folder / f"{name}.log"
        self.started_at = 0.0
        self._command = list(command)
        self._environment = dict(environment)
        self._watchdog = watchdog
        self._options = {"cwd": folder, **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether it was started and not ended by us since."""
        return self._process is not None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, if it was started and has ended by itself."""
        return self._process.poll() if self._process else None

    def pids(self) -> list[int]:
        """Its living processes with all descendants."""
        return sorted(one.pid for one in watchdog.family(self._process.pid)) if self._process else []

    def start(self) -> None:
        """Start it; raises RuntimeError if it runs already."""
        if self._process:
            raise RuntimeError(f"{self.name} was started already")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                **self._options,
            )
        self.started_at = time.time()
        self._watchdog.guard(self._process.pid)

    def wait(self, timeout_seconds: float) -> int:
        """Wait until it ends by itself and return its exit code; raises TimeoutError, leaving it running."""
        assert self._process
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.name} still runs after {timeout_seconds:.0f} s") from error

    def kill(self) -> None:
        """End it and all its descendants at once, as a crash of the machine would."""
        if self._process:
            watchdog.kill_family(self._process.pid)
            self._reap()

    def stall(self) -> None:
        """Let it and all its descendants do nothing until `go_on`, as on a machine that hangs."""
        if self._process:
            for one in watchdog.family(self._process.pid):
                one.suspend()

    def go_on(self) -> None:
        """Undo `stall`."""
        if self._process:
            for one in watchdog.family(self._process.pid):
                one.resume()

    def log(self, lines: int | None = None) -> str:
        """What it wrote so far, or the last lines of it."""
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return text if lines is None else "\n".join(text.splitlines()[-lines:])

    def _reap(self) -> None:
        if self._process:
            self._process.wait()
            self._process = None


def stop(components: Sequence[Component], grace_seconds: float) -> None:
    """Ask components to end, all at once, and kill what is left of them after the grace period."""
    processes = [component._process for component in components if component._process]
    for process in processes:
        process.poll()
    watchdog.end([process.pid for process in processes], grace_seconds)
    for component in components:
        component._reap()


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback address on which nothing listens now."""
    return [port for port in random.sample(_PORTS, 50 * count) if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
