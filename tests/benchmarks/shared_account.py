"""How machines that know nothing of each other share one account.

    python -m tests.benchmarks.shared_account --output build/benchmark

Two processes as triggerers, each with many triggers of ours in one event loop, and two as workers, each with
threads that ask as sensors in poke mode do, use one account of an emulator that throttles. They are on two
machines, a triggerer and a worker on each, as far as their pace is concerned; with `--machines 1` on one, and
with `--machines 4` on one each. All of them together want far more than there is. With `--stranger R`
somebody else sends R calls a second in the middle third, throttled or not. What was let through is counted by
the emulator. Nothing here passes or fails.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.driving import Waiters
from tests.benchmarks.emulation import THROTTLED, Calls, EmulatorProcess
from tests.benchmarks.plot import Line, lines
from tests.benchmarks.report import arguments, machine, share, table, tell, write

BIN_SECONDS = 10
STRANGER = "a stranger"


@dataclass(frozen=True)
class Found:
    """What was measured: all calls, whose recordings are whose, why anything was lost, and when what was.

    :param note: who asked how often.
    """

    calls: Calls
    of: Mapping[str, frozenset[str]]
    lost: Sequence[str]
    phases: Mapping[str, tuple[float, float]]
    note: str


def measure(options: Any) -> Found:
    """Let all of them ask for some minutes."""
    seconds = options.minutes * 60
    with EmulatorProcess(options.limit) as emulator, ExitStack() as stack:
        plan = {name: (emulator.add_recordings(count), more) for name, count, more in _plan(options)}
        processes = {
            name: Waiters(emulator, recording_ids, requests_per_second=options.ceiling, **more)
            for name, (recording_ids, more) in plan.items()
        }
        for process in processes.values():
            stack.enter_context(process).wait_until_started()
        phases = phases_of(time.time(), seconds, with_stranger=bool(options.stranger))
        tell(f"all {len(processes)} processes ask; {seconds:.0f} s to go")
        stranger = stack.enter_context(_stranger(emulator, phases, options)) if options.stranger else None
        time.sleep(max(0.0, phases["all"][1] - time.time()))
        calls = emulator.calls().between(*phases["all"])
    of = {name: frozenset(process.recording_ids) for name, process in processes.items()}
    of[STRANGER] = frozenset(stranger.recording_ids if stranger else ())
    lost = [why for process in processes.values() for _, _, why in process.history.died]
    note = (
        f"Two triggerers with {options.waiters} waits every {options.poll:g} s each, two workers with "
        f"{options.threads} threads that ask every {options.poke:g} s, on {options.machines} machines."
    )
    return Found(calls, of, lost, phases, note)


def _stranger(emulator: EmulatorProcess, phases: Mapping[str, tuple[float, float]], options: Any) -> Waiters:
    begin_at, end_at = phases["with"]
    return Waiters(
        emulator,
        emulator.add_recordings(1),
        0.0,
        kind="bare",
        requests_per_second=options.ceiling,
        per_second=options.stranger,
        begin_at=begin_at,
        end_at=end_at,
    )


def _plan(options: Any) -> list[tuple[str, int, dict[str, Any]]]:
    triggers = {"kind": "ours", "poll_seconds": options.poll}
    threads = {"kind": "hooks", "poll_seconds": options.poke, "workers": options.threads}
    processes = [
        *((f"triggerer {number}", options.waiters, triggers) for number in (1, 2)),
        *((f"worker {number}", options.threads, threads) for number in (1, 2)),
    ]
    return [
        (name, count, {**more, "machine": place % options.machines})
        for place, (name, count, more) in enumerate(processes)
    ]


def phases_of(
    began_at: float, seconds: float, *, with_stranger: bool = False
) -> dict[str, tuple[float, float]]:
    """The parts of a measurement, by name: from when to when, Unix seconds."""
    warm = began_at + min(60.0, seconds / 6)
    whole = {"all": (began_at, began_at + seconds), "after the start": (warm, began_at + seconds)}
    if not with_stranger:
        return whole
    first, last = began_at + seconds / 3, began_at + seconds * 2 / 3
    end = began_at + seconds
    return {**whole, "before the stranger": (warm, first), "with": (first, last), "after": (last, end)}


def report(found: Found, options: Any) -> str:
    """Each process in each phase."""
    head = ["Phase", "Who", "Calls", "Throttled", "Answered, 1/s", "Share of the answered", "Budget used"]
    rows = [row for phase in found.phases for row in _rows(found, phase, options.limit)]
    note = (
        f"Limit {options.limit}/s for all; each machine may send {options.ceiling:g}/s at most. {found.note} "
        f"Budget used: answered calls over limit and time. Lost: {len(found.lost)}."
    )
    lost = [f"First loss: {why}" for why in found.lost[:1]]
    return "\n".join([table(head, rows), "", note, *lost, machine()])


def _rows(found: Found, phase: str, limit: float) -> list[list[Any]]:
    first, last = found.phases[phase]
    calls, seconds = found.calls.between(first, last), max(int(last) - int(first), 1)
    ours = frozenset().union(*(ids for name, ids in found.of.items() if name != STRANGER))
    groups = {"all of ours": ours, **found.of}
    rows = []
    for name, recording_ids in groups.items():
        mine = calls.of(recording_ids)
        if name == STRANGER and not len(mine):
            continue
        used = share(mine.accepted, limit * seconds) if name in ("all of ours", STRANGER) else ""
        rows.append([
            phase, name, len(mine), f"{mine.throttled} ({mine.throttled_share})",
            f"{mine.accepted / seconds:.2f}", share(mine.accepted, calls.accepted), used,
        ])  # fmt: skip
    return rows


def rates(calls: Calls, first: float, last: float, bin_seconds: int) -> list[tuple[float, float]]:
    """Calls a second over time, in bins."""
    each = calls.per_second()
    begin = int(first)
    starts = range(begin, int(last) - bin_seconds + 1, bin_seconds)
    return [
        (
            start - begin + bin_seconds / 2,
            sum(each[start + more] for more in range(bin_seconds)) / bin_seconds,
        )
        for start in starts
    ]


def picture(found: Found, options: Any) -> str:
    """Answered and throttled calls over time."""
    first, last = found.phases["all"]
    bin_seconds = max(min(BIN_SECONDS, int((last - first) / 10)), 1)
    parts = {
        "answered, all": [call for call in found.calls.calls if call.code != THROTTLED],
        "throttled, all": [call for call in found.calls.calls if call.code == THROTTLED],
        **{name: found.calls.of(ids).calls for name, ids in found.of.items() if ids},
    }
    series = [Line(name, rates(Calls(calls), first, last, bin_seconds)) for name, calls in parts.items()]
    note = f"calls a second, means of {bin_seconds} s; the limit is {options.limit}/s"
    return lines("Calls of all who share one account", series, note=note)


def add_arguments(parser: ArgumentParser) -> None:
    """Options of everything that measures a shared account."""
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--limit", type=int, default=20, help="requests a second of the account")
    parser.add_argument("--ceiling", type=float, default=19.0, help="requests_per_second of the connection")
    parser.add_argument("--waiters", type=int, default=500, help="waits of each triggerer")
    parser.add_argument("--poll", type=float, default=10.0, help="their interval in seconds")


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    add_arguments(parser)
    parser.add_argument("--threads", type=int, default=8, help="threads of each worker")
    parser.add_argument("--poke", type=float, default=1.0, help="their pause between calls in seconds")
    parser.add_argument("--machines", type=int, choices=(1, 2, 4), default=2, help="that do not share a pace")
    parser.add_argument("--stranger", type=float, default=0.0, help="calls a second of somebody else")
    options = parser.parse_args()
    if options.quick:
        options.minutes = 0.75
    found = measure(options)
    name = "shared_account_stranger" if options.stranger else "shared_account"
    write(options.output, name, report(found, options), plot=picture(found, options))


if __name__ == "__main__":
    main()
