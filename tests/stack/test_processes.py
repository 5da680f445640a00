import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.stack import processes, watchdog
from tests.stack.processes import Component, Watchdog, free_ports

# A program with a child that has left its process group, as Airflow's tasks do.
FAMILY = """
import os, sys, time
if os.fork() == 0:
    os.setpgid(0, 0)
    time.sleep(60)
print("started", flush=True)
time.sleep(60)
"""
COUNTING = """
import itertools, time
for number in itertools.count():
    print("started", number, flush=True)
    time.sleep(0.005)
"""
# As the first, but it ignores requests to end.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FAMILY


@pytest.fixture
def tied() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    watchdog.close()


def component(folder: Path, tied: Watchdog, program: str) -> Component:
    command = [sys.executable, "-c", program]
    return Component("program", command, environment=os.environ, folder=folder, watchdog=tied)


def started(component: Component) -> int:
    """Start it, wait until its family is complete, and return its session."""
    component.start()
    wait_until(lambda: "started" in component.log())
    assert component._process
    return component._process.pid


def wait_until(holds: object, seconds: float = 10) -> None:
    give_up_at = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))


def test_free_ports_leave_out_a_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        (free,) = free_ports(1)
        monkeypatch.setattr("random.sample", lambda population, k: [taken, free])
        assert free_ports(1) == [free]


def test_kill_ends_descendants_in_other_process_groups(tmp_path: Path, tied: Watchdog) -> None:
    program = component(tmp_path, tied, STUBBORN)
    session = started(program)
    assert len(watchdog.pids_of_session(session)) == 2
    program.kill()
    wait_until(lambda: not watchdog.pids_of_session(session))
    assert not program.is_wanted


def test_stop_kills_what_does_not_end_when_asked(tmp_path: Path, tied: Watchdog) -> None:
    program = component(tmp_path, tied, STUBBORN)
    session = started(program)
    processes.stop([program], grace_seconds=0.3)
    wait_until(lambda: not watchdog.pids_of_session(session))


def test_a_component_can_be_started_again(tmp_path: Path, tied: Watchdog) -> None:
    program = component(tmp_path, tied, FAMILY)
    first = started(program)
    program.kill()
    program.start()
    assert program._process
    assert program._process.pid != first
    program.kill()


def test_a_component_cannot_be_started_twice(tmp_path: Path, tied: Watchdog) -> None:
    program = component(tmp_path, tied, FAMILY)
    program.start()
    with pytest.raises(RuntimeError, match="started already"):
        program.start()
    program.kill()


def test_exit_code_tells_of_a_program_that_died(tmp_path: Path, tied: Watchdog) -> None:
    program = component(tmp_path, tied, "import sys; print('my last words'); sys.exit(3)")
    program.start()
    wait_until(lambda: program.exit_code == 3)
    assert program.log(lines=1) == "my last words"
    processes.stop([program], grace_seconds=0)


def test_a_killed_starter_takes_its_sessions_along(tmp_path: Path) -> None:
    starter = f"""
import os, sys, time
from pathlib import Path
from tests.stack.processes import Component, Watchdog
program = Component("program", [sys.executable, "-c", {STUBBORN!r}], environment=os.environ,
                    folder=Path({str(tmp_path)!r}), watchdog=Watchdog())
program.start()
print(program._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        session = int(process.stdout.readline())
        wait_until(lambda: len(watchdog.pids_of_session(session)) == 2)
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not watchdog.pids_of_session(session))


def test_what_is_stalled_does_nothing_until_it_goes_on(tmp_path: Path, tied: Watchdog) -> None:
    counter = component(tmp_path, tied, COUNTING)
    started(counter)
    counter.stall()
    wait_until(lambda: {psutil.Process(pid).status() for pid in counter.pids()} == {psutil.STATUS_STOPPED})
    before = counter.log()
    time.sleep(0.1)
    assert counter.log() == before
    counter.go_on()
    wait_until(lambda: counter.log() != before)
    counter.kill()
