"""How many processes on few machines share one account, each poll in a process of its own.

    python -m tests.benchmarks.crowd --output build/benchmark

As sensors in reschedule mode, without the Airflow that takes seconds to start each: for each wait a process
forks another one for each poll, which makes a hook, polls and ends. They ask for half as much again as the
emulator lets through. Processes of one machine share its pace, machines know nothing of one another; with as
many machines as waits no process shares its pace. Nothing here passes or fails.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.emulation import Calls, EmulatorProcess
from tests.benchmarks.report import arguments, machine, share, table, tell, write


def measure(machines: int, options: Any) -> Calls:
    """Let the waits poll for some time; what is still in line then is killed."""
    tell(f"{options.waits} waits on {machines} machines")
    with EmulatorProcess(options.limit) as emulator:
        os.environ["AIRFLOW_CONN_TRTC_DEFAULT"] = emulator.connection(
            requests_per_second=options.ceiling * options.limit
        )
        recording_ids = emulator.add_recordings(options.waits)
        with waiting(recording_ids, emulator, machines, options.waits / (1.5 * options.limit)):
            time.sleep(options.minutes * 60)
        return emulator.calls()


@contextmanager
def waiting(
    recording_ids: Sequence[str], emulator: EmulatorProcess, machines: int, pause: float
) -> Iterator[None]:
    """A process for each recording, with all that it starts a group of its own."""
    import tencentcloud.trtc.v20190722.trtc_client  # noqa: F401  # Airflow's processes load it once each

    import airflow_trtc.hooks  # noqa: F401

    groups = []
    for number, recording_id in enumerate(recording_ids):
        os.environ["AIRFLOW__TRTC__SHARED_PACE_DIRECTORY"] = str(emulator.folder / f"{number % machines}")
        if not (child := os.fork()):
            os.setpgid(0, 0)
            with contextlib.suppress(BaseException):
                wait(recording_id, pause)
            os._exit(0)
        groups.append(child)
    try:
        yield
    finally:
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            os.waitpid(group, 0)


def wait(recording_id: str, pause: float) -> None:
    """Poll for ever, each time in a new process."""
    time.sleep(random.Random(recording_id).random() * pause)
    while True:
        if not (child := os.fork()):
            with contextlib.suppress(BaseException):
                poll(recording_id)
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(pause)


def poll(recording_id: str) -> None:
    """Ask once, with a hook of its own."""
    from airflow_trtc.hooks import TrtcHook

    TrtcHook().describe_recording(recording_id)


def report(found: dict[int, Calls], options: Any) -> str:
    """A row for each number of machines."""
    seconds = options.minutes * 60
    rows = [
        (machines, len(calls), f"{calls.throttled} ({calls.throttled_share})",
         share(calls.accepted, options.limit * seconds))
        for machines, calls in found.items()
    ]  # fmt: skip
    note = (
        f"{options.waits} waits at {options.limit}/s for {seconds:.0f} s, with the start; each machine may"
        f" send {options.ceiling * options.limit:g}/s at most."
    )
    return "\n".join([table(["Machines", "Calls", "Throttled", "Budget used"], rows), "", note, machine()])


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--machines", type=int, nargs="*", default=[1, 2, 30], help="how many, one by one")
    parser.add_argument("--waits", type=int, default=30, help="processes")
    parser.add_argument("--limit", type=int, default=2, help="requests a second of the account")
    parser.add_argument("--ceiling", type=float, default=0.95, help="requests_per_second, in limits")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, for each number of machines")
    options = parser.parse_args()
    if options.quick:
        options.machines, options.waits, options.minutes = [1], 5, 0.1
    found = {machines: measure(machines, options) for machines in options.machines}
    write(options.output, "crowd", report(found, options))


if __name__ == "__main__":
    main()
