"""Requests of one machine are spread over time, whichever process sends them, and give way to refusals."""

import gc
import heapq
import itertools
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.cloud import budget as module
from airflow_trtc.cloud.budget import (
    ALONE_SECONDS,
    MAX_BUSY_NAP_SECONDS,
    PATIENCE_SECONDS,
    Budget,
    BudgetKey,
    shared_budget,
)
from airflow_trtc.cloud.line import FRESH_SECONDS, SLACK_SECONDS, Line, decode, encode
from airflow_trtc.cloud.pace import RETURN_SECONDS, START_RATE, Pace
from airflow_trtc.cloud.shared_file import Busy, SharedFile

ROOT = Path(__file__).parents[2]
CEILING = 19.0
KEY = BudgetKey("https://trtc.tencentcloudapi.com", "ap-guangzhou", "AKIDx", "DescribeCloudRecording", 2.0)


class Clock:
    """Stands still unless it is set or slept by."""

    def __init__(self, now=100.0):
        self.now = now

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def file_of(key):
    file = key.file()
    assert file is not None
    return file


def line_in(path):
    line = decode(path.read_bytes())
    assert line is not None
    return line


def take(budget):
    """Take a turn; return the rests until then, without resting."""
    return list(budget.turn())


def wait(budget, clock):
    """Take a turn; return how long that took."""
    began_at = clock.now
    for seconds in budget.turn():
        clock.sleep(seconds)
    return clock.now - began_at


def go_together(clock, *turns):
    """Let all of them rest and go, each when it is time; return when each went."""
    events, went = [(clock.now, number) for number in range(len(turns))], {}
    while events:
        clock.now, number = heapq.heappop(events)
        if (seconds := next(turns[number], None)) is None:
            went[number] = clock.now
        else:
            heapq.heappush(events, (clock.now + seconds, number))
    return [went[number] for number in range(len(turns))]


# -- in one process ---------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 5), min_size=2, max_size=50), st.floats(0.1, 100))
def test_no_two_requests_come_closer_than_the_ceiling_allows(pauses, ceiling):
    clock = Clock()
    budget, moments = Budget(ceiling, clock=clock), []
    for pause in pauses:
        clock.sleep(pause)
        wait(budget, clock)
        moments.append(clock.now)
    assert all(b - a >= 1 / ceiling - 1e-9 for a, b in itertools.pairwise(moments))


def test_an_idle_budget_lets_the_next_request_go_at_once_but_saves_nothing_up():
    clock = Clock()
    budget = Budget(2.0, clock=clock)
    assert [wait(budget, clock) for _ in range(3)] == pytest.approx([0.0, 0.5, 0.5])
    clock.sleep(60.0)
    assert [wait(budget, clock) for _ in range(2)] == pytest.approx([0.0, 0.5])


def test_a_rest_is_taken_to_have_been_as_long_as_it_was_to_be():
    """A clock may be coarser than a rest; this one stands still."""
    budget = Budget(2.0, clock=Clock())
    assert [take(budget) for _ in range(3)] == [[], [0.5], [1.0]]


def test_threads_never_go_at_the_same_moment():
    budget = Budget(1.0, clock=lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        moments = sorted(pool.map(lambda _: sum(take(budget)), range(200)))
    assert moments[0] == 0.0
    # A thread that is paused goes late; the next one may make up for the slack.
    assert all(b - a >= 1.0 - SLACK_SECONDS - 1e-9 for a, b in itertools.pairwise(moments))


def test_who_leaves_before_its_turn_takes_none():
    clock = Clock()
    budget = Budget(1.0, clock=clock)
    wait(budget, clock)
    leaving = [budget.turn() for _ in range(100)]
    for turn in leaving:
        next(turn)
    while leaving:
        leaving.pop().close()
    assert wait(budget, clock) == 1.0


def test_who_left_is_taken_out_once():
    """Though the same number is given again."""
    clock = Clock()
    budget = Budget(1.0, clock=clock)
    wait(budget, clock)
    left, other, last = budget.turn(), budget.turn(), budget.turn()
    next(left)
    left.close()
    next(other)
    next(last)
    last.close()
    assert sum(budget.turn()) == pytest.approx(2.0)


def test_equal_keys_share_a_budget_until_nobody_holds_it(monkeypatch):
    monkeypatch.undo()  # the folder's own budgets never forget
    first = shared_budget(KEY)
    assert shared_budget(KEY) is first
    assert shared_budget(KEY._replace(action="DescribeUserInfo")) is not first
    wait(first, Clock())
    del first
    gc.collect()
    assert take(shared_budget(KEY)) == []


def test_a_process_that_was_forked_waits_for_no_lock_of_a_thread_that_is_not_there():
    with module._budgets_lock:
        if (child := os.fork()) == 0:
            signal.alarm(20)
            shared_budget(KEY)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_whatever_is_refused_some_requests_go():
    clock = Clock()
    budget = Budget(CEILING, clock=clock)
    for _ in range(100):
        clock.sleep(2.0)
        budget.refused()
    assert 0.4 < budget.rate() <= 0.6


def test_a_budget_restarts_slowly_also_one_that_was_never_used():
    clock = Clock()
    budget = Budget(CEILING, clock=clock)
    assert budget.rate() == 2.0
    budget.restart()
    assert budget.rate() == 2.0
    clock.sleep(60.0)
    assert budget.rate() == CEILING
    budget.restart()
    assert budget.rate() == 2.0


# -- in several processes of one machine ------------------------------------------------------------


class Machine:
    """A clock and a directory, and budgets as so many processes have them."""

    def __init__(self, path):
        self.directory = str(path / "machine")
        self.clock = Clock()

    def budget(self, ceiling=2.0, *, action="Describe"):
        return Budget(ceiling, self.file(action), clock=self.clock, chance=lambda: 1.0)

    def file(self, action="Describe"):
        return file_of(KEY._replace(action=action, directory=self.directory))

    @property
    def line(self):
        return line_in(self.file().path)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_processes_share_one_pace(machine):
    waits = [wait(machine.budget(), machine.clock) for _ in range(4)]
    assert waits == pytest.approx([0.0, 0.5, 0.5, 0.5])
    assert wait(machine.budget(action="Other"), machine.clock) == 0.0


def test_they_go_in_the_order_in_which_they_came(machine):
    wait(machine.budget(), machine.clock)
    turns = [machine.budget().turn() for _ in range(30)]
    went = go_together(machine.clock, *turns)
    assert went == pytest.approx([100.5 + 0.5 * number for number in range(30)])


def test_a_process_that_sends_alone_asks_the_others_once_for_each_turn(machine, monkeypatch):
    budget, exchange, asked = machine.budget(), SharedFile.exchange, []

    def counted(*given):
        asked.append(given)
        exchange(*given)

    monkeypatch.setattr(SharedFile, "exchange", counted)
    assert [wait(budget, machine.clock) for _ in range(4)] == pytest.approx([0.0, 0.5, 0.5, 0.5])
    assert len(asked) == 4
    assert machine.line.issued == machine.line.served == 4


def test_a_process_that_sends_alone_may_be_a_little_late_each_time(machine):
    budget, clock = machine.budget(), machine.clock
    take(budget)
    for _ in range(20):
        for seconds in budget.turn():
            clock.sleep(seconds + 0.8 * SLACK_SECONDS)
    assert clock.now == pytest.approx(100.0 + 0.5 * 20 + 0.8 * SLACK_SECONDS)


def test_who_leaves_while_it_rests_without_a_number_takes_no_turn(machine):
    budget, other = machine.budget(), machine.budget()
    wait(budget, machine.clock)
    for turn in [budget.turn() for _ in range(20)]:
        assert next(turn) == 0.5
        turn.close()
    assert wait(other, machine.clock) == 0.5


def test_processes_that_always_have_more_to_send_take_turns(machine):
    """Though each rests without a number whenever it saw nobody else."""
    clock, budgets = machine.clock, [machine.budget() for _ in range(3)]
    events = [(clock.now, number, budget.turn()) for number, budget in enumerate(budgets)]
    went: list[int] = []
    while len(went) < 30:
        clock.now, number, turn = heapq.heappop(events)
        if (seconds := next(turn, None)) is None:
            went.append(number)
            turn, seconds = budgets[number].turn(), 0.001
        heapq.heappush(events, (clock.now + seconds, number, turn))
    assert sorted(went) == sorted([0, 1, 2] * 10)
    assert all(len({*three}) == 3 for three in zip(went[3::3], went[4::3], went[5::3], strict=True))
    assert clock.now == pytest.approx(100.0 + 0.5 * 29)


def test_a_new_process_begins_at_the_pace_that_is_known(machine):
    long_lived = machine.budget(CEILING)
    wait(long_lived, machine.clock)
    machine.clock.sleep(60.0)
    wait(long_lived, machine.clock)
    new = machine.budget(CEILING)
    take(new)
    assert new.rate() == CEILING
    machine.clock.sleep(FRESH_SECONDS + 1.0)
    later = machine.budget(CEILING)
    take(later)
    assert later.rate() == START_RATE


def test_what_one_process_is_refused_slows_all(machine):
    refused, others = machine.budget(), [machine.budget().turn() for _ in range(3)]
    take(refused)
    rests = [next(turn) for turn in others]
    assert rests == [0.5, 1.0, 1.0]
    refused.refused()
    machine.clock.sleep(0.5)
    went = go_together(machine.clock, others[0], machine.budget().turn())
    assert went[1] - went[0] > 2.9  # three rests at half the pace, two of them for those who still wait


def test_a_restart_is_that_of_all(machine):
    one, other = machine.budget(CEILING), machine.budget(CEILING)
    take(one)
    machine.clock.sleep(60.0)
    take(other)
    one.restart()
    machine.clock.sleep(1.0)
    take(other)
    assert other.rate() < CEILING


def test_a_record_of_before_a_reboot_says_nothing(machine):
    wait(machine.budget(CEILING), machine.clock)
    machine.clock.now = 1.0
    assert wait(machine.budget(CEILING), machine.clock) == 0.0
    assert machine.line.pace.since == 1.0


@pytest.mark.parametrize("record", [b"", b"{}", b"\0" * 68, encode(Line(1, Pace(0.0)))[:-1] + b"x"])
def test_a_record_that_is_none_is_written_anew(machine, record, caplog):
    known = machine.budget(CEILING)
    take(known)
    known.refused()
    machine.file().path.write_bytes(record)
    assert wait(known, machine.clock) > 0.0
    assert machine.line.pace.low is not None  # what the process knows goes on
    machine.file().path.write_bytes(record)
    assert wait(machine.budget(CEILING), machine.clock) == 0.0
    assert machine.line.pace.low is None
    assert not caplog.records


def test_the_name_of_the_file_tells_nothing_of_the_account_and_is_another_one_after_a_reboot(monkeypatch):
    key = KEY._replace(directory="/somewhere")
    names = [file_of(key).path.name, file_of(KEY._replace(directory="/elsewhere")).path.name]
    assert names[0] == names[1]
    assert len(names[0]) == 32 + len(".pace")
    monkeypatch.setattr(module, "_boot_id", lambda: b"another")
    assert file_of(key).path.name != names[0]
    assert KEY.file() is None
    others = [key._replace(region="x"), key._replace(endpoint="x"), key._replace(account="x")]
    others += [key._replace(action="x"), key._replace(ceiling=3.0)]
    assert len({file_of(other).path for other in [key, *others]}) == 6


# -- when the file cannot be used -------------------------------------------------------------------


@contextmanager
def locked(file):
    """Another process holds the lock, as one that was stopped."""
    code = (
        "import sys\nfrom airflow_trtc.cloud.shared_file import SharedFile\n"
        "def hold(found):\n    print(len(found), flush=True)\n    sys.stdin.read()\n    return found\n"
        "SharedFile(sys.argv[1], sys.argv[2]).exchange(hold, 100)\n"
    )
    command = [sys.executable, "-c", code, str(file.directory), file.path.stem]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            process.kill()


def test_a_stopped_process_that_holds_the_lock_costs_a_second_and_then_nothing(machine, caplog):
    budget = machine.budget(CEILING)
    with locked(machine.file()):
        assert PATIENCE_SECONDS <= wait(budget, machine.clock) < PATIENCE_SECONDS + 0.1
        assert "another process keeps the file locked" in caplog.text
        waits = [wait(budget, machine.clock) for _ in range(10)]
        assert sum(waits) > 2.0  # the pace begins slowly
        budget.refused()
        machine.clock.sleep(ALONE_SECONDS)
        assert wait(budget, machine.clock) <= PATIENCE_SECONDS + 0.1
    assert len(caplog.records) == 1
    caplog.set_level(logging.INFO)
    machine.clock.sleep(ALONE_SECONDS)
    wait(budget, machine.clock)
    assert "shared again" in caplog.text
    assert machine.line.pace.low is not None


def test_a_process_that_is_killed_holds_nobody_up(machine, caplog):
    with locked(machine.file()) as process:
        process.kill()
        process.wait()
        assert wait(machine.budget(), machine.clock) == 0.0
    assert not caplog.records


def test_a_refusal_while_the_file_is_locked_is_noted_as_soon_as_it_is_not(machine):
    budget = machine.budget(CEILING)
    take(budget)
    with locked(machine.file()):
        budget.refused()
    assert machine.line.pace.low is None
    take(budget)
    assert machine.line.pace.low is not None


def test_a_lock_that_is_held_for_a_moment_is_waited_for(machine, monkeypatch, caplog):
    budget, exchange, busy = machine.budget(), SharedFile.exchange, [True] * 20

    def sometimes(*arguments):
        if busy and busy.pop():
            raise Busy
        exchange(*arguments)

    monkeypatch.setattr(SharedFile, "exchange", sometimes)
    assert wait(budget, machine.clock) == pytest.approx(0.2)
    assert not caplog.records


def test_a_lock_that_is_held_for_a_moment_again_and_again_is_waited_for(machine, monkeypatch, caplog):
    """Each time anew; only one that is held for long counts as such."""
    wait(machine.budget(1.0), machine.clock)
    budget, exchange, asked = machine.budget(1.0), SharedFile.exchange, itertools.count(1)

    def sometimes(*arguments):
        if next(asked) % 80:
            raise Busy
        exchange(*arguments)

    monkeypatch.setattr(SharedFile, "exchange", sometimes)
    crowd = [machine.budget(1.0).turn() for _ in range(3)]
    for turn in crowd:
        list(itertools.islice(turn, 80))
    wait(budget, machine.clock)
    assert not caplog.records


def test_how_long_a_locked_file_is_left_alone_is_up_to_chance(machine):
    budget = Budget(2.0, machine.file(), clock=machine.clock, chance=lambda: 0.5)
    with locked(machine.file()):
        assert next(budget.turn()) == 0.5 * MAX_BUSY_NAP_SECONDS


def test_who_left_the_line_of_the_machine_is_taken_out_once(machine):
    """Though another process has the same number now."""
    budget = machine.budget(1.0)
    take(budget)
    turn, other = budget.turn(), machine.budget(1.0).turn()
    next(turn)
    turn.close()
    next(other)
    budget.restart()
    assert machine.line.issued == 2


def test_without_a_file_a_process_keeps_to_its_own_pace_and_says_so_once(machine, caplog):
    Path(machine.directory).write_text("in the way")
    budget = machine.budget()
    assert [wait(budget, machine.clock) for _ in range(200)] == pytest.approx([0.0] + [0.5] * 199)
    (line,) = caplog.messages
    assert "wrong kind" in line
    assert "shared_pace = False" in line
    Path(machine.directory).unlink()
    machine.clock.sleep(ALONE_SECONDS)
    wait(budget, machine.clock)
    assert machine.line.issued == 201


def test_a_write_that_fails_changes_nothing_twice(machine, monkeypatch):
    """The disk is full: what the record would have said counts once, in this process."""
    budget = machine.budget()
    take(budget)

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        assert [wait(budget, machine.clock) for _ in range(3)] == pytest.approx([0.5] * 3)


def test_a_ticket_of_the_machine_is_void_in_a_line_of_ones_own(machine):
    wait(machine.budget(), machine.clock)
    crowd = [machine.budget().turn() for _ in range(20)]
    for turn in crowd:
        next(turn)
    budget = machine.budget()
    waiting = budget.turn()
    next(waiting)
    with locked(machine.file()):
        seconds = sum(waiting)
    assert seconds < PATIENCE_SECONDS + 1.0  # and not for the turn of twenty others


# -- real processes and threads ---------------------------------------------------------------------

TAKE = """
import sys
from airflow_trtc.cloud.budget import Budget, BudgetKey
key = BudgetKey("e", "r", "a", "Describe", float(sys.argv[2]), sys.argv[1])
budget = Budget(key.ceiling, key.file())
for _ in range(int(sys.argv[3])):
    for seconds in budget.turn():
        import time
        time.sleep(seconds)
    if len(sys.argv) > 4:
        budget.refused()
"""


def processes(directory, count, *arguments):
    command = [sys.executable, "-c", TAKE, str(directory), *map(str, arguments)]
    return [subprocess.Popen(command, cwd=ROOT) for _ in range(count)]


def test_no_turn_of_several_processes_is_lost_or_given_twice(tmp_path):
    running = processes(tmp_path, 4, 1e5, 200)
    assert [process.wait(60) for process in running] == [0] * 4
    (path,) = tmp_path.glob("*.pace")
    line = line_in(path)
    assert line.issued == line.served == 800


def test_processes_that_are_killed_at_any_moment_hold_nobody_up(tmp_path):
    """Most of the time they have the lock or wait in line."""
    (tmp_path / "x").mkdir(mode=0o700)
    running = processes(tmp_path / "x", 4, 50.0, 10_000)
    try:
        last = processes(tmp_path / "x", 1, 50.0, 5)[0]
        for process in running:
            process.kill()
        assert last.wait(60) == 0
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_threads_of_one_process_share_the_file(tmp_path):
    budget = Budget(1e5, KEY._replace(directory=str(tmp_path)).file())
    went = []

    def go():
        for _ in range(50):
            for _ in budget.turn():
                pass
            went.append(1)

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(went) == 400
    (path,) = tmp_path.glob("*.pace")
    line = line_in(path)
    assert line.issued == line.served == 400


# -- several machines on one account ----------------------------------------------------------------


class Limit:
    """Allows so many requests in a second, which begins with its first request, as the service does."""

    def __init__(self, per_second):
        self.per_second, self.began_at, self.seen = per_second, -1.0, 0

    def lets_through(self, now):
        if now - self.began_at >= 1.0:
            self.began_at, self.seen = now, 0
        self.seen += 1
        return self.seen <= self.per_second


class Simulation:
    """Machines that share one limit, with so many processes each that send one request after the other.

    :param rest: seconds from an answer to the next request.
    :param late: seconds, on average, by which a process wakes too late.
    :param travel: seconds, on average, until a request arrives.
    """

    def __init__(self, machines, processes=1, *, limit=20, rest=0.0, late=1e-6, travel=0.004):
        self.chance, self.limit = random.Random(0), Limit(limit)
        self.clock, self.counter = Clock(0.0), itertools.count()
        self.events: list[tuple[Any, ...]] = []
        self.rest, self.late, self.travel = rest, late, travel
        self.passed, self.refused = [0] * machines, [0] * machines
        self.budgets = [Budget(0.95 * limit, clock=self.clock) for _ in range(machines)]
        self.senders = [number for number in range(machines) for _ in range(processes)]

    def run(self, seconds, *, apart):
        """The random numbers are fixed, and so is the result: no clock is read."""
        for number in self.senders:  # they start one after the other
            self.at(apart * number + self.rest * self.chance.random(), self.ask, number, None)
        while self.events and self.events[0][0] <= seconds:
            self.clock.now, _, what, *arguments = heapq.heappop(self.events)
            what(*arguments)

    def at(self, moment, *what):
        heapq.heappush(self.events, (moment, next(self.counter), *what))

    def ask(self, number, turn):
        turn = turn or self.budgets[number].turn()
        for seconds in turn:
            self.at(self.clock.now + seconds + self.some(self.late), self.ask, number, turn)
            return
        self.at(self.clock.now + 0.002 + self.some(self.travel), self.arrive, number)
        if not self.rest:
            self.at(self.clock.now + 1e-6, self.ask, number, None)

    def arrive(self, number):
        is_through = self.limit.lets_through(self.clock.now)
        (self.passed if is_through else self.refused)[number] += 1
        if not is_through:
            self.budgets[number].refused()
        if self.rest:
            rest = self.rest * self.chance.uniform(0.9, 1.1) if is_through else self.chance.uniform(1.5, 2.5)
            self.at(self.clock.now + rest, self.ask, number, None)

    def some(self, mean):
        return self.chance.expovariate(1 / mean)

    @property
    def refused_share(self):
        return sum(self.refused) / (sum(self.passed) + sum(self.refused))


def test_whoever_joins_a_crowd_is_refused_rarely_from_the_start():
    """Four begin within a second; when each doubled its rate every second, they had three times as many."""
    simulation = Simulation(4)
    simulation.run(60.0, apart=0.2)
    assert sum(simulation.refused) <= 0.015 * 20 * 60


@pytest.mark.parametrize("count", [1, 2, 4])
def test_machines_that_know_nothing_of_one_another_share_the_limit(count):
    simulation = Simulation(count)
    simulation.run(600.0, apart=20.0)
    assert sum(simulation.passed) > 0.85 * 20 * 600
    assert simulation.refused_share <= 0.005
    assert min(simulation.passed) > 0.4 * sum(simulation.passed) / count


@pytest.mark.parametrize("limit, rest", [(2, 10.0), (5, 4.0), (20, 1.0)])
@pytest.mark.parametrize("machines", [1, 2])
@pytest.mark.parametrize("late, travel", [(0.002, 0.005), (0.05, 0.1)], ids=["quick", "busy"])
def test_crowds_of_processes_on_two_machines_are_refused_rarely(limit, rest, machines, late, travel):
    """Thirty that ask for half as much again as there is, as sensors in reschedule mode do."""
    simulation = Simulation(machines, 30 // machines, limit=limit, rest=rest, late=late, travel=travel)
    simulation.run(1200.0, apart=5.0)
    assert simulation.refused_share <= 0.015
    assert sum(simulation.passed) > (0.85 if late < 0.01 else 0.55) * limit * 1200
    assert min(simulation.passed) > 0.6 * sum(simulation.passed) / machines


def test_a_crowd_of_processes_returns_to_the_limit_after_an_outage():
    simulation = Simulation(1, 30, rest=1.0)
    simulation.run(60.0, apart=0.0)
    (budget,) = simulation.budgets
    budget.restart()
    assert budget.rate() == START_RATE
    simulation.clock.sleep(RETURN_SECONDS)
    assert budget.rate() > 0.9 * 0.95 * 20
