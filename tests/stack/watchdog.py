"""Ends sessions of processes when the process that started them is gone, however it went.

Run as a program: standard input names one session per line; its end, which the kernel brings about even if
the starter was killed, is the signal to end all of them. Knows nothing of Airflow.
"""

import contextlib
import os
import signal
import sys
import time

import psutil

_GRACE_SECONDS = 5.0


def pids_of_session(session_id: int) -> list[int]:
    """The living processes of a session, whichever process groups they have moved to."""
    return [pid for pid in psutil.pids() if _is_alive_in(pid, session_id)]


def family(session_id: int) -> set[psutil.Process]:
    """The living processes of a session, and those its leader started that have left it."""
    try:
        descendants = psutil.Process(session_id).children(recursive=True)
    except psutil.NoSuchProcess:
        descendants = []
    members = [process for pid in pids_of_session(session_id) if (process := _process(pid))]
    return {process for process in [*members, *descendants] if is_alive(process)}


def is_alive(process: psutil.Process) -> bool:
    """Whether a process can still do anything; one that has ended may wait for its parent to take notice."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def kill_family(session_id: int) -> None:
    """End a session at once, with what has left it, and wait until all of it is gone."""
    known: set[psutil.Process] = set()
    # Again for those that were being started meanwhile; and a killed process takes a moment to go.
    while living := family(session_id) | set(filter(is_alive, known)):
        known |= living
        for process in living:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.02)


def send(session_id: int, number: signal.Signals) -> None:
    """Send a signal to every process of a session."""
    for pid in pids_of_session(session_id):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def end(session_ids: list[int], grace_seconds: float = _GRACE_SECONDS) -> None:
    """End sessions: the leaders are asked to, and what is left after the grace period is killed."""
    for session_id in session_ids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(session_id, signal.SIGTERM)
    give_up_at = time.monotonic() + grace_seconds
    while any(map(pids_of_session, session_ids)) and time.monotonic() < give_up_at:
        time.sleep(0.1)
    for session_id in session_ids:
        send(session_id, signal.SIGKILL)


def _is_alive_in(pid: int, session_id: int) -> bool:
    try:
        return os.getsid(pid) == session_id and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def _main() -> None:
    for harmless in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(harmless, signal.SIG_IGN)
    session_ids = [int(line) for line in sys.stdin]
    end([session_id for session_id in session_ids if pids_of_session(session_id)])


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


if __name__ == "__main__":
    _main()
