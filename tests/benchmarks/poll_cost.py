"""What a poll costs in CPU: our whole path, the bare call of the SDK, and the common pattern.

    python -m tests.benchmarks.poll_cost --output build/benchmark

Each kind runs in a process of its own, one at a time, taking turns; the emulator is another process and has
no limit. Once all are held to the same rate of calls, the one that ours really reaches, and once each goes
as fast as it can. Ours begins slowly, so each is measured after twenty seconds. Ours are triggers
as the triggerer drives them; the bare call is the official asynchronous client with connections kept, eight
calls at a time; the common pattern is a client and a loop for each trigger. CPU is that of the whole
process, so at a low rate the event loop's idle running is part of it. Nothing here passes or fails.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.driving import Waiters
from tests.benchmarks.emulation import EmulatorProcess
from tests.benchmarks.plot import Row, plot
from tests.benchmarks.report import arguments, machine, ratio, spread, table, tell, write

MOST_PER_SECOND = 1000.0  # the highest `requests_per_second` that a connection takes
WARM_SECONDS = 20.0  # ours doubles its pace every four seconds, from a tenth of what is allowed
NAMES = {"bare": "bare SDK call", "ours": "this package", "common": "client and loop each"}


@dataclass(frozen=True)
class Round:
    """One process for some seconds; milliseconds of CPU a call, of the emulator too."""

    milliseconds: float
    per_second: float
    emulator_milliseconds: float


def measure(kind: str, per_second: float | None, waiters: int, seconds: float) -> Round:
    """Let one process poll; without a rate as fast as it can."""
    with EmulatorProcess(0) as emulator:
        recording_ids = emulator.add_recordings(waiters)
        with Waiters(emulator, recording_ids, kind=kind, **_pace(kind, per_second, waiters)) as process:
            process.wait_until_started()
            time.sleep(WARM_SECONDS)
            before = (process.cpu_seconds(), emulator.cpu_seconds(), emulator.count(), time.monotonic())
            time.sleep(seconds)
            after = (process.cpu_seconds(), emulator.cpu_seconds(), emulator.count(), time.monotonic())
            died = process.history.died
    cpu, emulator_cpu, calls, took = (late - early for early, late in zip(before, after, strict=True))
    if died or not calls:
        raise RuntimeError(f"{kind}: {calls} calls, {len(died)} died: {died[:1]}")
    found = Round(1000 * cpu / calls, calls / took, 1000 * emulator_cpu / calls)
    tell(f"  {NAMES[kind]}: {found.milliseconds:.2f} ms a call at {found.per_second:.0f}/s")
    return found


def _pace(kind: str, per_second: float | None, waiters: int) -> dict[str, Any]:
    if kind == "ours":
        # A little more often than the budget allows: the budget then sets the pace.
        poll = 0.8 * waiters / (per_second or 10 * MOST_PER_SECOND)
        return {
            "poll_seconds": poll,
            "requests_per_second": per_second or MOST_PER_SECOND,
            "is_overdue": True,
        }
    poll = waiters / per_second if per_second else 0.0
    return {"poll_seconds": poll, "requests_per_second": MOST_PER_SECOND, "per_second": per_second}


def report(taken: dict[tuple[str, str], list[Round]]) -> str:
    """All results; ratios are of a round's neighbours, so that a busy machine slows down both."""
    head = ["Kind", "Pace", "CPU a call, ms", "Times the bare call", "Calls a second", "Emulator, ms a call"]
    rows = []
    for (kind, pace), rounds in taken.items():
        bare = taken["bare", pace]
        times = [one.milliseconds / base.milliseconds for one, base in zip(rounds, bare, strict=True)]
        rows.append([
            NAMES[kind],
            pace,
            spread([one.milliseconds for one in rounds]),
            spread(times),
            f"{statistics.median(one.per_second for one in rounds):.0f}",
            ratio(statistics.median(one.emulator_milliseconds for one in rounds), 1.0),
        ])  # fmt: skip
    count = len(next(iter(taken.values())))
    note = (
        f"Medians of {count} rounds, from the least to the most; 1 ms a call is 1 s for 1,000 polls. Ours is "
        f"never faster than {MOST_PER_SECOND:.0f}/s, the most that a connection may ask for."
    )
    return "\n".join([table(head, rows), "", note, machine()])


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--per-second", type=float, default=200.0, help="the common rate of calls")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each round is measured")
    parser.add_argument("--rounds", type=int, default=5, help="of each kind and pace")
    parser.add_argument("--waiters", type=int, default=1000, help="triggers of ours")
    parser.add_argument("--clients", type=int, default=50, help="waiters of the common pattern")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds, options.waiters, options.clients = 3.0, 2, 200, 20
    taken: dict[tuple[str, str], list[Round]] = defaultdict(list)
    for number in range(options.rounds):
        for pace in (options.per_second, None):
            label = f"{pace:.0f}/s" if pace else "flat out"
            tell(f"round {number + 1} of {options.rounds}, {label}")
            ours = measure("ours", pace, options.waiters, options.seconds)
            reached = pace and ours.per_second
            taken["bare", label].append(measure("bare", reached, options.waiters, options.seconds))
            taken["ours", label].append(ours)
            taken["common", label].append(measure("common", reached, options.clients, options.seconds))
    rows = [
        Row(f"{NAMES[kind]}, {pace}", [one.milliseconds for one in rounds])
        for (kind, pace), rounds in taken.items()
    ]
    picture = plot("CPU for one poll", rows, unit=" ms", dot="a dot is a round; the line is the median")
    write(options.output, "poll_cost", report(taken), plot=picture)


if __name__ == "__main__":
    main()
