"""Carries the deeds out, and notes each as it happens. Restarts what was killed, and what died of it."""

from __future__ import annotations

import heapq
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psutil

from airflow_trtc.emulator import Emulator
from tests.soak.plan import CALLBACKS, CLEAR, FAULT, KILL, KILL_TASK, SKEW, Deed

REVIVAL_SECONDS = 3.0
PULSE_SECONDS = 0.25
LURK_SECONDS = 12.0
"""How long to wait for a task's process to kill; most live for a few seconds only."""


class Cluster(Protocol):
    """What chaos knows of an Airflow."""

    @property
    def ended(self) -> list[str]:
        """The components that ended and were neither stopped nor killed."""

    def pids(self, name: str) -> list[int]:
        """Its living processes."""

    def start(self, name: str, *, wait: bool = True) -> None:
        """Start it."""

    def kill(self, name: str) -> None:
        """End it at once."""


class Diary:
    """Notes as JSON, one a line, each written at once; safe to use from several threads."""

    def __init__(self, path: Path, began_at: float) -> None:
        """Begin an empty one."""
        self.entries: list[dict[str, Any]] = []
        self._began_at = began_at
        self._lock = threading.Lock()
        self._file = path.open("w", buffering=1)

    def note(self, did: str, **details: Any) -> None:
        """Write down what was done, and when."""
        now = time.time()
        entry = {"time": round(now, 3), "at": round(now - self._began_at, 1), "did": did, **details}
        with self._lock:
            self.entries.append(entry)
            self._file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            self._file.close()


class Chaos:
    """Does all deeds in time, in one thread; `people` do what needs Airflow's answer."""

    def __init__(
        self,
        cluster: Cluster,
        components: list[str],
        emulator: Emulator,
        diary: Diary,
        people: Callable[[Deed], None],
    ) -> None:
        """Take what there is; nothing happens yet."""
        self._cluster = cluster
        self._components = components
        self._emulator = emulator
        self._diary = diary
        self._people = people
        self._down: set[str] = set()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def run(self, deeds: list[Deed], began_at: float, is_over: Callable[[], bool]) -> None:
        """Do them, and look after the components until it is over."""
        for deed in deeds:
            self._book(began_at + deed.at, lambda deed=deed: self._do(deed))  # type: ignore[misc]
        while not is_over():
            while self._agenda and self._agenda[0][0] <= time.time():
                self._try(heapq.heappop(self._agenda)[2])
            self._try(self._look_after)
            time.sleep(PULSE_SECONDS)

    def _book(self, at: float, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (at, self._number, action))

    def _try(self, action: Callable[[], None]) -> None:
        """Nothing that chaos brings about may end it."""
        try:
            action()
        except Exception as error:
            self._diary.note("failed", why=f"{type(error).__name__}: {error}")

    def _do(self, deed: Deed) -> None:
        if deed.what == KILL:
            self._kill(deed)
        elif deed.what == KILL_TASK:
            self._kill_task(deed.options["chance"], time.time() + LURK_SECONDS)
        elif deed.what == FAULT:
            self._diary.note(FAULT, **deed.options)
            self._emulator.fault(**deed.options)
        elif deed.what == CALLBACKS:
            self._diary.note(CALLBACKS, **deed.options)
            self._emulator.callback_trouble(**deed.options)
        elif deed.what == SKEW:
            self._diary.note(SKEW, **deed.options)
            self._emulator.skew_clock(**deed.options)
        elif deed.what == CLEAR:
            self._people(deed)

    def _kill(self, deed: Deed) -> None:
        whom = [name for name in deed.whom if name in self._components and name not in self._down]
        if not whom:
            self._diary.note("nobody to kill", whom=list(deed.whom))
            return
        pids = {name: self._cluster.pids(name) for name in whom}
        self._down.update(whom)  # before the kill: nobody shall take it for a death
        for name in whom:
            self._cluster.kill(name)
        self._diary.note(KILL, whom=whom, pids=pids, down_seconds=deed.options["down_seconds"])
        self._book(time.time() + deed.options["down_seconds"], lambda: self._start(whom))

    def _start(self, whom: list[str]) -> None:
        for name in whom:
            self._cluster.start(name, wait=False)
            self._down.discard(name)
        self._diary.note("start", whom=whom, pids={name: self._cluster.pids(name) for name in whom})

    def _kill_task(self, chance: float, give_up_at: float) -> None:
        """Kill one process that runs a task, not the worker; lie in wait while there is none."""
        workers = [name for name in self._components if name.startswith("worker")] or ["scheduler"]
        found = [(name, pid) for name in workers for pid in task_processes(self._cluster.pids(name))]
        if not found and time.time() < give_up_at:
            self._book(time.time() + PULSE_SECONDS, lambda: self._kill_task(chance, give_up_at))
            return
        if not found:
            self._diary.note("nobody to kill", whom=[KILL_TASK])
            return
        name, pid = chosen(found, chance)
        os.kill(pid, signal.SIGKILL)
        self._diary.note(KILL_TASK, whom=[name], pids={name: [pid]})

    def _look_after(self) -> None:
        """Start again what ended by itself, as a service manager would."""
        for name in self._components:
            if name not in self._down and name in self._cluster.ended:
                self._down.add(name)
                self._cluster.kill(name)  # takes note of its death
                self._diary.note("died", whom=[name])
                self._book(time.time() + REVIVAL_SECONDS, lambda name=name: self._start([name]))  # type: ignore[misc]


def task_processes(pids: list[int]) -> list[int]:
    """Of a worker's processes those that run one task each: the youngest generation, if there are three."""
    depths = {pid: _depth(pid, set(pids)) for pid in pids}
    return sorted(pid for pid, depth in depths.items() if depth >= 2)


def _depth(pid: int, pids: set[int]) -> int:
    depth = 0
    try:
        while (pid := psutil.Process(pid).ppid()) in pids:
            depth += 1
    except psutil.Error:
        return 0
    return depth


def chosen(candidates: list[Any], chance: float) -> Any:
    """One of them by a number from 0 to 1; None if there is none."""
    return candidates[int(chance * len(candidates))] if candidates else None
