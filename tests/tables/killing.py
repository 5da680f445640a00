"""Kills a process at the very place it was told to stop at."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]


def reached() -> NoReturn:
    """In the process: say so, and wait to be killed."""
    print("reached", flush=True)
    threading.Event().wait(60)
    raise SystemExit("nobody killed this process")


def killed_at(code: str, *arguments: str) -> None:
    """Run the code until it calls `reached`, and kill it with a signal that it cannot see."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "reached\n"
        finally:
            process.kill()
    assert process.returncode == -9
