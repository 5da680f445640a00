"""What a waiter costs in memory beyond Airflow's own trigger.

    python -m tests.benchmarks.waiter_memory --output build/benchmark

New processes hold so many triggers of one kind: a trigger that only sleeps, or ours, each after it has
polled once and waits for its next poll. Memory is what the process has for itself (USS) beyond what it had
before the first trigger, after a garbage collection; Python's allocator and one-off costs (the SDK, the
client) are in it, so the difference between the two numbers of waiters tells more than each. `traced` is
what Python objects take, by tracemalloc.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from typing import Any

from tests.benchmarks.driving import Waiters
from tests.benchmarks.emulation import EmulatorProcess
from tests.benchmarks.plot import Row, plot
from tests.benchmarks.report import arguments, machine, spread, table, tell, write

FAST = 1000.0  # polls a second, of which the memory does not depend
NEVER_AGAIN = 3600.0
PATIENCE_SECONDS = 300.0
SETTLE_SECONDS = 2.0
KIBI = 1024.0
NAMES = {"plain": "a trigger that sleeps", "ours": "TrtcRecordingTrigger"}

Figures = dict[str, float]


def measure(kind: str, count: int, *, traced: bool) -> Figures:
    """Bytes for each waiter, and those that a process of so many takes beyond one without."""
    with EmulatorProcess(0) as emulator:
        recording_ids = emulator.add_recordings(count)
        waiters = Waiters(
            emulator,
            recording_ids,
            NEVER_AGAIN,
            kind=kind,
            requests_per_second=FAST,
            is_overdue=True,
            traced=traced,
        )
        with waiters:
            waiters.wait_until_started()
            if kind == "ours":
                _until_polled(emulator, count)
            time.sleep(SETTLE_SECONDS)
            if waiters.history.over:
                raise RuntimeError(f"waits are over: {waiters.history.died[:1]}")
            after, before = waiters.measure(), waiters.history.ready
    name = "traced" if traced else "uss"
    found = {"bytes": after[name] - before[name], "count": float(count)}
    tell(f"  {NAMES[kind]}, {count}, {name}: {found['bytes'] / count / KIBI:.1f} KiB each")
    return found


def _until_polled(emulator: EmulatorProcess, count: int) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while emulator.count() < count:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"only {emulator.count()} of {count} polls")
        time.sleep(0.2)


def slopes(few: list[Figures], many: list[Figures]) -> list[float]:
    """KiB of each further waiter, by pairs of rounds."""
    return [
        (more["bytes"] - less["bytes"]) / (more["count"] - less["count"]) / KIBI
        for less, more in zip(few, many, strict=True)
    ]


def report(taken: dict[tuple[str, str, int], list[Figures]], counts: tuple[int, int]) -> str:
    """KiB for each waiter."""
    few, many = counts
    head = ["Waiter", "Memory", f"KiB each, {few:,}", f"KiB each, {many:,}", "KiB of each further one"]
    rows, further = [], {}
    for name in ("uss", "traced"):
        for kind in NAMES:
            each = [
                spread([one["bytes"] / count / KIBI for one in taken[name, kind, count]], 1)
                for count in counts
            ]
            further[name, kind] = slopes(taken[name, kind, few], taken[name, kind, many])
            rows.append([NAMES[kind], name.upper() if name == "uss" else name, *each,
                         spread(further[name, kind], 1)])  # fmt: skip
        beyond = statistics.median(further[name, "ours"]) - statistics.median(further[name, "plain"])
        rows.append(["ours beyond the plain one", name, "", "", f"{beyond:.1f}"])
    rounds = len(next(iter(taken.values())))
    note = f"Medians of {rounds} rounds, from the least to the most. KiB are 1,024 bytes."
    return "\n".join([table(head, rows), "", note, machine()])


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--waiters", type=int, nargs=2, default=[1000, 5000], help="two numbers of waiters")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind and number")
    options = parser.parse_args()
    if options.quick:
        options.waiters, options.rounds = [200, 1000], 1
    taken: dict[tuple[str, str, int], list[Figures]] = defaultdict(list)
    for number in range(options.rounds):
        tell(f"round {number + 1} of {options.rounds}")
        for name in ("uss", "traced"):
            for count in options.waiters:
                for kind in NAMES:
                    taken[name, kind, count].append(measure(kind, count, traced=name == "traced"))
    rows: list[Any] = [
        Row(f"{NAMES[kind]}, {count}", [one["bytes"] / count / KIBI for one in each])
        for (name, kind, count), each in taken.items()
        if name == "uss"
    ]
    picture = plot("Memory for each waiter", rows, unit=" KiB", dot="a dot is a process")
    write(options.output, "waiter_memory", report(taken, tuple(options.waiters)), plot=picture)


if __name__ == "__main__":
    main()
