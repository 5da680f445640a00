"""Chaos with a cluster of invented processes: what is done, noted and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from airflow_trtc.emulator import Emulator
from tests.soak import evidence
from tests.soak.chaos import Chaos, Diary, chosen, task_processes
from tests.soak.plan import Deed

NAMES = ["triggerer", "triggerer-2", "worker"]


class Processes:
    """A cluster of sleeping processes."""

    def __init__(self):
        self._running = {}
        for name in NAMES:
            self.start(name)

    @property
    def ended(self):
        return [name for name, process in self._running.items() if process.poll() is not None]

    def pids(self, name):
        process = self._running.get(name)
        return [process.pid] if process and process.poll() is None else []

    def start(self, name, *, wait=True):
        assert name not in self._running, f"{name} runs already"
        self._running[name] = subprocess.Popen(["sleep", "600"], start_new_session=True)

    def kill(self, name):
        process = self._running.pop(name)
        process.kill()
        process.wait()


@pytest.fixture
def cluster():
    cluster = Processes()
    yield cluster
    for name in NAMES:
        if cluster.pids(name):
            cluster.kill(name)


@pytest.fixture
def suffer(cluster, tmp_path):
    """Do deeds until something has been noted; returns all notes."""

    def suffer(deeds, until, emulator=None, meanwhile=lambda: None):
        diary = Diary(tmp_path / "deeds.jsonl", time.time())
        chaos = Chaos(cluster, NAMES, emulator, diary, lambda deed: diary.note("people"))
        give_up_at = time.monotonic() + 20

        def is_over():
            meanwhile()
            return time.monotonic() > give_up_at or any(entry["did"] == until for entry in diary.entries)

        chaos.run(deeds, time.time(), is_over)
        diary.close()
        written = [json.loads(line) for line in (tmp_path / "deeds.jsonl").read_text().splitlines()]
        assert written == diary.entries
        return written

    return suffer


def test_what_is_killed_starts_again_and_both_are_noted_with_their_processes(cluster, suffer):
    before = cluster.pids("triggerer")
    kill, start = suffer([Deed(0, "kill", ("triggerer",), {"down_seconds": 0.5})], until="start")
    assert (kill["did"], kill["whom"], kill["pids"]) == ("kill", ["triggerer"], {"triggerer": before})
    assert start["pids"] == {"triggerer": cluster.pids("triggerer")} != kill["pids"]
    assert start["time"] - kill["time"] >= 0.5


def test_what_is_down_cannot_be_killed_again(suffer):
    kill = Deed(0, "kill", ("worker",), {"down_seconds": 1.0})
    assert [entry["did"] for entry in suffer([kill, kill], until="start")] == [
        "kill",
        "nobody to kill",
        "start",
    ]


def test_what_ends_by_itself_is_noted_and_started_again(cluster, suffer):
    victim = iter(cluster.pids("worker"))

    def end_one():
        for pid in victim:
            os.kill(pid, 9)

    died, start = suffer([], until="start", meanwhile=end_one)
    assert (died["did"], died["whom"], start["whom"]) == ("died", ["worker"], ["worker"])


def test_the_service_suffers_too_and_no_failure_ends_chaos(suffer):
    with Emulator() as emulator:
        deeds = [
            Deed(0, "fault", options={"kind": "nonsense"}),
            Deed(0, "fault", options={"kind": "throttle", "seconds": 9}),
            Deed(0, "callbacks", options={"loss": 0.5}),
            Deed(0, "skew", options={"seconds": -60}),
            Deed(0.1, "clear"),
        ]
        done = [entry["did"] for entry in suffer(deeds, "people", emulator)]
        assert done == ["fault", "failed", "fault", "callbacks", "skew", "people"]
        assert [fault["kind"] for fault in emulator.faults()] == ["throttle"]
        state = emulator.state()
        assert (state["callbacks"]["trouble"]["loss"], state["clock_skew_seconds"]) == (0.5, -60)


def test_task_processes_are_the_third_generation():
    code = "import os, sys, time; os.fork() or os.fork() or time.sleep(600); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as leader:
        try:
            give_up_at = time.monotonic() + 20
            while len(pids := _session(leader.pid)) < 3 and time.monotonic() < give_up_at:
                time.sleep(0.05)
            assert len(pids) == 3
            (task,) = task_processes(pids)
            assert task == max(pids, key=lambda pid: _generation(pid, leader.pid))
        finally:
            os.killpg(leader.pid, 9)


def _session(leader):
    import psutil

    return [leader, *(child.pid for child in psutil.Process(leader).children(recursive=True))]


def _generation(pid, leader):
    import psutil

    count = 0
    while pid != leader:
        pid, count = psutil.Process(pid).ppid(), count + 1
    return count


def test_a_choice_is_made_by_a_number():
    assert [chosen(["a", "b"], chance) for chance in (0.0, 0.49, 0.5, 0.999)] == ["a", "a", "b", "b"]
    assert chosen([], 0.5) is None


# -- what the deeds put at risk -----------------------------------------------------------------


def entry(at, did, *whom):
    return {"time": float(at), "did": did, "whom": list(whom)}


COMPONENTS = ["api-server", "api-server-2", "postgresql", "triggerer", "worker", "redis"]


def test_answers_just_before_the_kill_of_a_reader_are_at_risk():
    risks = evidence.risks([entry(100, "kill", "triggerer"), entry(110, "start", "triggerer")], COMPONENTS)
    assert [risks.spoil_poll(at) for at in (94, 96, 100, 102)] == [False, True, True, False]
    assert not risks.outages
    assert evidence.risks([entry(100, "kill-task", "worker")], COMPONENTS).spoil_poll(98)
    assert evidence.risks([entry(100, "died", "triggerer")], COMPONENTS).spoil_poll(75)
    assert not evidence.risks([entry(100, "kill", "redis")], COMPONENTS).spoil_poll(98)


def test_an_outage_lasts_until_the_start_and_a_while():
    risks = evidence.risks([entry(100, "kill", "postgresql"), entry(105, "start", "postgresql")], COMPONENTS)
    assert [risks.overlap(at, at) for at in (97, 99, 120, 126)] == [False, True, True, False]
    assert risks.spoil_poll(110)


def test_one_api_server_is_enough():
    one = [entry(100, "kill", "api-server"), entry(105, "start", "api-server")]
    assert not evidence.risks(one, COMPONENTS).outages
    both = [
        entry(100, "kill", "api-server"),
        entry(103, "kill", "api-server-2"),
        entry(105, "start", "api-server"),
    ]
    assert evidence.risks(both, COMPONENTS).outages == [(101.0, 125.0)]


def test_stops_may_fail_during_faults_and_while_the_watch_is_away():
    fault = {"time": 50.0, "did": "fault", "kind": "html", "seconds": 7.0}
    deeds = [
        fault,
        entry(100, "kill", "api-server"),
        entry(101, "kill", "triggerer"),
        entry(105, "start", "api-server", "triggerer"),
        entry(200, "died", "postgresql"),
    ]
    assert evidence.troubles(deeds) == [(50.0, 57.0), (100.0, 125.0), (200.0, float("inf"))]


@pytest.mark.parametrize(
    "value, pushed",
    [('{"a": [1]}', {"a": [1]}), ({"a": 1}, {"a": 1}), ("abc-123.", "abc-123."), (None, None)],
)
def test_what_a_task_pushed_is_read_however_airflow_keeps_it(value, pushed, monkeypatch):
    database = evidence.Database("")
    monkeypatch.setattr(database, "ask", lambda *_: [("dag", "run", "task", -1, value)])
    assert database._xcoms("return_value") == [("dag", "run", "task", -1, pushed)]


def test_the_summary_of_a_run_is_that_of_its_wait_and_not_what_a_start_pushed(monkeypatch):
    rows = {
        "dag_run": [("start_and_stop", "run", "success")],
        "task_instance": [],
        "return_value": [],
        "recording": [
            ("start_and_stop", "run", "wait", -1, {"outcome": "gone"}),
            ("start_and_stop", "run", "start", -1, {"recording_id": "rid"}),
        ],
    }

    def ask(statement, *values):
        return rows[values[0] if values else next(name for name in rows if f"FROM {name}" in statement)]

    database = evidence.Database("")
    monkeypatch.setattr(database, "ask", ask)
    assert database.runs()["start_and_stop", "run"].summary == {"outcome": "gone"}
