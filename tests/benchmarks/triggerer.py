"""What one real triggerer makes of thousands of waits.

    python -m tests.benchmarks.triggerer --output build/benchmark --waiting 10000 --changing 500

With `--mixed` the jobs are of all kinds that can be polled, in turn, otherwise recordings.

An Airflow on PostgreSQL, the emulator in another process with the service's limit. Tasks are deferred by
writing their rows while the triggerer is down (see `park`); then it is started, and everything is taken from
the database, the emulator's list of calls, and a trigger in the same event loop that measures how long that
was blocked. First the same number of triggers that only sleep, for what Airflow itself takes; then ours.

The triggerer keeps a log file open for each trigger: this script raises the limit of open files for itself
and all that it starts to what the system allows. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks import schedule
from tests.benchmarks.driving import ROOT, SEEN_AGO
from tests.benchmarks.emulation import ACTIONS, Calls, EmulatorProcess
from tests.benchmarks.fares import Fare, by_kind, fares_of, fares_table
from tests.benchmarks.parking import Parking
from tests.benchmarks.plot import Row, plot
from tests.benchmarks.report import arguments, machine, share, table, tell, write
from tests.stack.local_airflow import LocalAirflow

HERE = Path(__file__).parent
LIMIT_PER_SECOND = 20
POLL_SECONDS = 10.0
ENDING_SECONDS = 60.0
STEADY_SECONDS = 30.0
ROUNDS_OF_PATIENCE = 2.0
MEBI = 2.0**20
NAMES = {
    "plain": "triggers that sleep",
    "few": "the same, but one TrtcJobTrigger for each kind",
    "ours": "TrtcJobTrigger",
}
WATCH = """
CREATE TABLE bench (map_index int, at timestamptz, method text);
CREATE FUNCTION bench_task() RETURNS trigger AS $$ BEGIN
    INSERT INTO bench VALUES (NEW.map_index, clock_timestamp(), NEW.next_method);
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER bench_task AFTER UPDATE ON task_instance FOR EACH ROW
    WHEN (OLD.state = 'deferred' AND NEW.state <> 'deferred') EXECUTE FUNCTION bench_task();
"""


@dataclass
class Result:
    """What was seen; seconds, bytes, and shares of one processor."""

    kind: str
    waiting: int
    assigned: float = 0.0
    polled: float | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    warnings: int = 0
    load: float = 0.0
    memory: list[tuple[float, int]] = field(default_factory=list)
    open_files: int = 0
    ending: float = 0.0
    fares: dict[str, Fare] = field(default_factory=dict)
    steady_calls: Calls = field(default_factory=lambda: Calls(()))
    all_started_at: float = 0.0


class Bench:
    """One Airflow and one emulator."""

    def __init__(self, airflow: LocalAirflow, emulator: EmulatorProcess, options: Any) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self._options = options
        self._kinds = emulator.add_jobs(options.waiting, ACTIONS if options.mixed else ["recording"])
        self._job_ids = list(self._kinds)
        most = max(map(len, by_kind(self._kinds).values()))
        self._round = schedule.round_seconds(most, emulator.limit, options.poll)
        self._parking = Parking(airflow, 300.0 + options.waiting / 5 + 2 * self._round)
        self._parking.ask(WATCH)
        self._run_id = ""

    def measure(self, kind: str) -> Result:
        """Start a triggerer with all its triggers, let it be, then end some jobs."""
        result = Result(kind, self._options.waiting)
        self._prepare(kind)
        warned = self._warnings()
        began_at = self._start(result)
        if kind == "ours":
            self._until_all_polled(result, began_at)
        else:
            time.sleep(STEADY_SECONDS)
        result.all_started_at = time.time()
        self._be_steady(result)
        if kind == "ours":
            self._end_some(result)
        result.blocks = self._block_lines(began_at)
        result.warnings = self._warnings() - warned
        return result

    def _warnings(self) -> int:
        return self.airflow.component_log("triggerer").count("async thread was blocked")

    @property
    def _blocks_path(self) -> Path:
        folder: Path = self._options.output
        return folder.resolve() / f"{name_of(self._options)}_blocks.jsonl"

    def _prepare(self, kind: str) -> None:
        """Have the rows of all triggers, and no triggerer."""
        count = self._options.waiting
        if not self._run_id:
            tell(f"{count} tasks are being made")
            self._run_id = self._parking.begin(count + 1)
        self.airflow.stop("triggerer")
        self._parking.ask(
            "UPDATE task_instance SET state = 'scheduled', trigger_id = NULL"
            " WHERE run_id = %s AND task_id = 'wait'",
            self._run_id,
        )
        self._parking.ask("DELETE FROM trigger WHERE %s IS NOT NULL", self._run_id)
        tell(f"{NAMES[kind]}: {count} tasks are being deferred")
        self._blocks_path.parent.mkdir(parents=True, exist_ok=True)
        self._parking.defer(
            self._run_id,
            self.emulator.known(self._kinds, datetime.now(timezone.utc) - SEEN_AGO),
            kind=kind,
            blocks_path=str(self._blocks_path),
            poke_interval=self._options.poll,
            feed_position=0,
            **self.emulator.place,
        )
        self._parking.ask("DELETE FROM bench WHERE %s IS NOT NULL", self._run_id)

    def _start(self, result: Result) -> float:
        tell("the triggerer starts")
        began_at = time.time()
        self.airflow.start("triggerer", wait=False)
        self._parking.until_assigned(self._run_id, self._options.waiting + 1)
        result.assigned = time.time() - began_at
        tell(f"  all assigned after {result.assigned:.1f} s")
        return began_at

    def _until_all_polled(self, result: Result, began_at: float) -> None:
        wanted = frozenset(self._job_ids)
        give_up_at = time.monotonic() + 180.0 + 3 * self._round
        while missing := wanted - {call.job_id for call in self.emulator.calls().calls}:
            self.airflow.check_alive()
            if time.monotonic() > give_up_at:
                tell(f"  {len(missing)} have not polled yet")
                return
            time.sleep(1.0)
        result.polled = time.time() - began_at
        tell(f"  all have polled after {result.polled:.1f} s")

    def _be_steady(self, result: Result) -> None:
        load: dict[str, float] = {}
        first = time.time()
        with self._parking.load(load, "triggerer"):
            time.sleep(STEADY_SECONDS)
        result.steady_calls = self.emulator.calls().between(first, time.time())
        result.load = load["triggerer"]
        for pid in self.airflow.pids("triggerer"):
            process = psutil.Process(pid)
            result.memory.append((process.memory_full_info().uss, process.num_fds()))
        result.open_files = max(files for _, files in result.memory)
        tell(f"  load {result.load:.0%}, {sum(each for each, _ in result.memory) / MEBI:.0f} MiB")

    def _end_some(self, result: Result) -> None:
        options = self._options
        ending = result.ending = max(options.ending / options.scale, self._round)
        groups = by_kind(self._kinds).values()
        plan = schedule.ends_of_each(groups, max(options.changing // len(groups), 1), ending, options.seed)
        tell(f"  {len(plan)} jobs end within {ending:.0f} s")
        began_at, ended_at = time.monotonic(), {}
        for job_id, after in plan.items():
            time.sleep(max(0.0, began_at + after - time.monotonic()))
            ended_at[job_id] = time.time()
            self.emulator.controls.end(job_id)
        give_up_at = time.monotonic() + ROUNDS_OF_PATIENCE * self._round + 60.0
        while ended_at.keys() - (left := self._left()).keys() and time.monotonic() < give_up_at:
            self.airflow.check_alive()
            time.sleep(1.0)
        left_at = {job_id: at for job_id, (at, _) in left.items()}
        lost = frozenset(
            job_id
            for job_id, (_, method) in left.items()
            if job_id not in ended_at or method != "execute_complete"
        )
        result.fares = fares_of(self._kinds, ended_at, left_at, lost, self.emulator.calls())
        noticed = len(ended_at.keys() & left.keys())
        tell(f"  {noticed} noticed, {len(ended_at) - noticed} not, {len(lost)} lost")

    def _left(self) -> dict[str, tuple[float, str]]:
        """The jobs that are waited for no more: since when, and how their tasks go on."""
        rows = self._parking.ask(
            "SELECT map_index, extract(epoch FROM at)::float8, method FROM bench WHERE map_index < %s",
            len(self._job_ids),
        )
        return {self._job_ids[number]: (at, method) for number, at, method in rows}

    def _block_lines(self, since: float) -> list[dict[str, Any]]:
        if not self._blocks_path.exists():
            return []
        lines = [json.loads(line) for line in self._blocks_path.read_text().splitlines()]
        return [line for line in lines if line["at"] >= since]


def report(results: Sequence[Result], options: Any) -> str:
    """Two tables: what starting and holding them takes, and how the waits fared."""
    starting = [
        "Triggers", "Waits", "All assigned, s", "All polled once, s", "Longest block at the start, s",
        "later, s", "of it collections, s", "Airflow's warnings of blocks", "Load", "Budget used",
        "Memory, MiB", "Most open files",
    ]  # fmt: skip
    rows = [_starting_cells(each, options.limit) for each in results]
    text = [table(starting, rows)]
    if beyond := _memory_beyond(results):
        text += ["", beyond]
    for result in results:
        if result.kind == "ours":
            text += ["", fares_table(result.fares, options.limit, options.poll)]
    text += [
        "",
        f"Times are divided by {options.scale:g}, the limit is {options.limit}/s for each action, the "
        f"interval {options.poll:g} s; the jobs end within {max(each.ending for each in results):g} s. "
        "Starts are from the start of the triggerer's process on. Load is of one processor, the budget that "
        "of all actions together, both over "
        f"{STEADY_SECONDS:.0f} s in which nothing ends. Memory is of supervisor and runner together (USS). "
        "Blocks are of the event loop, measured by the trigger that starts first; "
        f"{name_of(options)}_blocks.jsonl tells where they were. Lags are from the end to the task being "
        f"scheduled again. Limit of open files: {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}.",
        machine(),
    ]
    return "\n".join(text)


def _starting_cells(result: Result, limit: float) -> list[Any]:
    early = [line["blocked_seconds"] for line in result.blocks if line["at"] < result.all_started_at]
    late = [line for line in result.blocks if line["at"] >= result.all_started_at]
    later, collecting = ([line[name] for line in late] for name in ("blocked_seconds", "collecting_seconds"))
    return [
        NAMES[result.kind],
        result.waiting,
        f"{result.assigned:.1f}",
        "-" if result.polled is None else f"{result.polled:.1f}",
        *(f"{max(each):.3f}" if each else "-" for each in (early, later, collecting)),
        result.warnings,
        f"{result.load:.0%}",
        share(result.steady_calls.accepted, len(result.fares) * limit * STEADY_SECONDS),
        f"{sum(uss for uss, _ in result.memory) / MEBI:.0f}",
        result.open_files,
    ]


def _memory_beyond(results: Sequence[Result]) -> str:
    memory: Mapping[str, float] = {each.kind: sum(uss for uss, _ in each.memory) for each in results}
    if not {"plain", "ours"} <= memory.keys():
        return ""
    ours = next(each for each in results if each.kind == "ours")
    each = (memory["ours"] - memory["plain"]) / ours.waiting / 1024
    text = f"Memory of a waiter beyond Airflow's own trigger, one-off costs included: {each:.1f} KiB"
    if "few" in memory:
        further = (memory["ours"] - memory["few"]) / (ours.waiting - len(ours.fares)) / 1024
        text += f", of a further one: {further:.1f} KiB"
    return f"{text}."


def name_of(options: Any) -> str:
    """What its files are called."""
    return "triggerer_mixed" if options.mixed else "triggerer"


def raise_open_files() -> None:
    """Allow as many open files as the system does; what is started from here inherits it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def local_airflow(emulator: EmulatorProcess, options: Any) -> LocalAirflow:
    """One whose triggerer has room for all, and finds the triggers of the benchmarks."""
    connection = emulator.connection(requests_per_second=options.ceiling * options.limit)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    room = options.waiting + 10
    return LocalAirflow(
        HERE / "dags",
        env={"AIRFLOW_CONN_TRTC_DEFAULT": connection, "PYTHONPATH": path},
        config={("triggerer", "capacity"): room, ("core", "max_map_length"): room},
        database="postgresql",
        task_api=True,
    )


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--waiting", type=int, default=10_000, help="how many tasks wait")
    parser.add_argument("--changing", type=int, default=500, help="how many of their jobs end")
    parser.add_argument("--ending", type=float, default=ENDING_SECONDS, help="within how many seconds")
    parser.add_argument("--mixed", action="store_true", help="jobs of all kinds, not of recordings only")
    parser.add_argument("--kinds", nargs="*", choices=NAMES, default=["plain", "ours"], help="which triggers")
    parser.add_argument("--scale", type=float, default=1.0, help="times are divided by this")
    parser.add_argument("--ceiling", type=float, default=0.95, help="requests_per_second, in limits")
    parser.add_argument("--seed", type=int, default=1, help="of the ends")
    options = parser.parse_args()
    if options.quick:
        options.waiting, options.changing, options.scale = 100, 20, 5.0
    options.limit = round(LIMIT_PER_SECOND * options.scale)
    options.poll = POLL_SECONDS / options.scale
    raise_open_files()
    tell("Airflow starts")
    with EmulatorProcess(options.limit) as emulator, local_airflow(emulator, options) as airflow:
        bench = Bench(airflow, emulator, options)
        results = [bench.measure(kind) for kind in options.kinds]
    rows = [
        Row(f"{kind}, {fare.waits}", fare.lags)
        for each in results
        for kind, fare in each.fares.items()
        if fare.lags
    ]
    picture = plot("From the end of a job to the task being scheduled", rows)
    write(options.output, name_of(options), report(results, options), plot=picture)


if __name__ == "__main__":
    main()
