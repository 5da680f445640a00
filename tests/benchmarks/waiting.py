"""How waits fare, by the way of waiting: lost, throttled, how late they know.

    python -m tests.benchmarks.waiting --output build/benchmark

Recordings run, waits for all of them start, and after a whole round (and some seconds, as a careful start
cannot be scaled) some of the recordings end, at random times. Each way waits in a process of its own, one
after the other, against an emulator in another process that throttles as the service does. `--scale 5`
divides all times by 5 and multiplies the limit by 5, so that ten thousand waits take minutes; starting
processes and building clients cannot be scaled.

Two ways need a process for each wait, or for each poll, so they get fewer waits. Their limit is lowered as
well, so that a round takes as long as 300 waits take at the full one.

The floor is an ideal round-robin at exactly the limit with nobody leaving (see `schedule`), the ideal the
same with these very ends. Nothing here passes or fails.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from tests.benchmarks import schedule
from tests.benchmarks.driving import Noticed, Waiters
from tests.benchmarks.emulation import EmulatorProcess
from tests.benchmarks.plot import Row, plot
from tests.benchmarks.report import arguments, machine, percentile, ratio, share, table, tell, write
from tests.benchmarks.ways import SensorWaits, TccliWaits

LIMIT_PER_SECOND = 20
POLL_SECONDS = 10.0
ENDING_SECONDS = 60.0
LEAST_ENDS = 100
ROUNDS_OF_PATIENCE = 2.0
SETTLING_SECONDS = 20.0  # our pace starts slowly, and all are given the time
TICK_SECONDS = 0.2
USUAL_WAITS = 300  # whose round the lowered limits keep
NAMES = {
    "ours": "this package",
    "common": "client and loop each",
    "tolerant": "the same, throttling tolerated",
    "reschedule": "sensor, reschedule mode",
    "tccli": "tccli --waiter",
}
SMALL = ("reschedule", "tccli")


@dataclass
class Setting:
    """How one measurement is made; times in seconds."""

    way: str
    waits: int
    limit: int
    poll: float
    ends: int
    ending: float
    ceiling: float
    seed: int

    @property
    def round(self) -> float:
        """An ideal round."""
        return schedule.round_seconds(self.waits, self.limit, self.poll)


@dataclass
class Result:
    """What came of it; lags in seconds, `window` is the time while all should have waited."""

    setting: Setting
    lags: list[float] = field(default_factory=list)
    ideal: list[float] = field(default_factory=list)
    died: int = 0
    late: int = 0
    early: int = 0
    calls: int = 0
    throttled: int = 0
    used: float | None = None
    blocks: list[float | None] = field(default_factory=list)
    load: float | None = None
    why: str = ""


class Waits(AbstractContextManager["Waits"], Protocol):
    """Some waits of one way, between `with` and its end."""

    history: Noticed
    slack_seconds: float

    def wait_until_started(self) -> float: ...

    def poll(self) -> None: ...

    def cpu_seconds(self) -> float: ...

    def measure(self) -> dict[str, float]: ...


def measure(setting: Setting) -> Result:
    """Let the waits wait, end recordings, and see who notices."""
    tell(f"{NAMES[setting.way]}: {setting.waits} waits at {setting.limit}/s, every {setting.poll:g} s")
    with EmulatorProcess(setting.limit) as emulator:
        recording_ids = emulator.add_recordings(setting.waits)
        with waits_of(setting, emulator, recording_ids) as waits:
            result = observe(setting, emulator, recording_ids, waits)
    tell(
        f"  {result.died} died, {result.late} of {setting.ends} not noticed, {result.early} too early; "
        f"{share(result.throttled, result.calls)} throttled, {len(result.lags)} lags, median "
        f"{statistics.median(result.lags or [0.0]):.2f} s {result.why}"
    )
    return result


def waits_of(setting: Setting, emulator: EmulatorProcess, recording_ids: Sequence[str]) -> Waits:
    """The waits, not yet begun."""
    ways: dict[str, Callable[..., Waits]] = {"tccli": TccliWaits, "reschedule": SensorWaits}
    make = ways.get(setting.way, partial(Waiters, kind=setting.way))
    return make(emulator, recording_ids, setting.poll, requests_per_second=setting.ceiling)


def observe(
    setting: Setting, emulator: EmulatorProcess, recording_ids: Sequence[str], waits: Waits
) -> Result:
    """See the waits through a round in which nothing ends, one in which recordings end, and some more."""
    history = waits.history

    def is_over() -> bool:
        waits.poll()
        return history.over >= setting.waits

    started_at = waits.wait_until_started()
    before, began_at = waits.cpu_seconds(), time.time()
    pause(max(setting.round + setting.poll, SETTLING_SECONDS), is_over)
    counted_from = started_at if is_over() else time.time()
    blocks = [waits.measure().get("longest_block_seconds")]
    ended_at = end_some(setting, emulator, recording_ids, is_over)
    until = time.time()
    load = (waits.cpu_seconds() - before) / (until - began_at)
    pause(
        setting.round * ROUNDS_OF_PATIENCE + setting.poll + waits.slack_seconds,
        lambda: is_over() or not ended_at.keys() - history.over_ids,
    )
    blocks.append(waits.measure().get("longest_block_seconds"))
    result = reckon(setting, emulator, recording_ids, ended_at, history.noticed_at, (counted_from, until))
    result.died, result.late = len(history.died), len(ended_at.keys() - history.over_ids)
    result.why = history.died[0][2] if history.died else ""
    result.load, result.blocks = load, blocks
    return result


def end_some(
    setting: Setting,
    emulator: EmulatorProcess,
    recording_ids: Sequence[str],
    is_over: Callable[[], bool],
) -> dict[str, float]:
    """End recordings, each at its time; return when each was, by the emulator's clock."""
    plan = schedule.ends(recording_ids, setting.ends, setting.ending, setting.seed)
    began_at = time.monotonic()
    for recording_id, after in plan.items():
        pause(began_at + after - time.monotonic(), is_over)
        emulator.controls.end(recording_id)
    return {recording_id: emulator.controls.truth(recording_id)["ended_at"] for recording_id in plan}


def reckon(
    setting: Setting,
    emulator: EmulatorProcess,
    recording_ids: Sequence[str],
    ends: Mapping[str, float],
    noticed_at: Mapping[str, float],
    window: tuple[float, float],
) -> Result:
    """What follows from when recordings ended, when waits noticed, and from the emulator's list of calls."""
    calls = emulator.calls()
    asked = calls.between(*window)
    seconds = max(int(window[1]) - int(window[0]), 1)
    # The emulator's clock began at this machine's and runs by its ticks.
    ahead = emulator.controls.health()["now"] - time.time()
    lags = {name: noticed_at[name] - (at - ahead) for name, at in ends.items() if name in noticed_at}
    return Result(
        setting,
        list(lags.values()),
        schedule.ideal_lags(recording_ids, ends, setting.limit, setting.poll, begin_at=window[0] + ahead),
        early=len(noticed_at.keys() - ends.keys()) + sum(lag < 0 for lag in lags.values()),
        calls=len(calls),
        throttled=calls.throttled,
        used=asked.accepted / (setting.limit * seconds),
    )


def pause(seconds: float, is_over: Callable[[], bool]) -> None:
    """Wait so long, or until there is nothing to wait for."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not is_over():
        time.sleep(min(left, TICK_SECONDS))


def report(results: Sequence[Result], scale: float) -> str:
    """All results as Markdown."""
    head = [
        "Way", "Waits", "Limit, 1/s", "Died", "Not noticed", "Too early", "Throttled", "Budget used",
        "Lag, median", "of floor", "of ideal", "Lag, 95 %", "of floor", "of ideal", "Load", "Longest block",
    ]  # fmt: skip
    lines = [
        table(head, [_cells(each) for each in results]),
        "",
        f"Times are in seconds and divided by {scale:g}, where the limit is {LIMIT_PER_SECOND * scale:g}/s; "
        f"each waiter polls every {POLL_SECONDS / scale:g} s if it may. The floor is N/(2R) in the median "
        "and 0.95 N/R in the 95th percentile, with the interval instead of N/R where it is longer; the "
        "ideal is a simulated round-robin at exactly the limit with the same ends. Not noticed: within "
        f"{ROUNDS_OF_PATIENCE:g} rounds after the last end; lags are of those noticed. Budget used: answers "
        "other than throttled, over limit and time, from when all had waited for a round (from the start of "
        "the last wait if none lived so long) to the last end or death. Load: of one processor. Longest "
        "block: of the event loop, up to the first end / after it.",
        machine(),
    ]
    return "\n".join(lines)


def _cells(result: Result) -> list[Any]:
    setting = result.setting
    lags, ideal = result.lags, result.ideal
    floors = schedule.floor(setting.waits, setting.limit, setting.poll)
    cells: list[Any] = [
        NAMES[setting.way], setting.waits, setting.limit, result.died, f"{result.late} of {setting.ends}",
        result.early, f"{result.throttled} of {result.calls} ({share(result.throttled, result.calls)})",
        "-" if result.used is None else f"{result.used:.0%}",
    ]  # fmt: skip
    for floor, part in zip(floors, (0.5, 0.95), strict=True):
        lag = percentile(lags, part) if lags else None
        best = percentile(ideal, part) if ideal else None
        cells += ["-" if lag is None else f"{lag:.2f}", ratio(lag, floor), ratio(lag, best)]
    cells.append("-" if result.load is None else f"{result.load:.0%}")
    cells.append(" / ".join("-" if block is None else f"{block:.3f}" for block in result.blocks))
    return cells


def settings(options: Any) -> list[Setting]:
    """Everything to measure."""
    return [
        _setting(way, waits, options)
        for waits in options.waits
        for way in options.ways
        if way not in SMALL and (way == "ours" or waits <= options.most_others)
    ] + [_setting(way, options.small_waits, options) for way in options.ways if way in SMALL]


def _setting(way: str, waits: int, options: Any) -> Setting:
    scale = 1.0 if way in SMALL else options.scale
    limit = round(LIMIT_PER_SECOND * scale)
    if way in SMALL:
        limit = max(round(LIMIT_PER_SECOND * waits / USUAL_WAITS), 1)
    ends = min(max(round(waits * options.ending_share), LEAST_ENDS), waits)
    poll = POLL_SECONDS / scale
    ending = max(ENDING_SECONDS / scale, schedule.round_seconds(waits, limit, poll))
    return Setting(way, waits, limit, poll, ends, ending, options.ceiling * limit, options.seed)


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--ways", nargs="*", choices=NAMES, default=list(NAMES), help="what to compare")
    parser.add_argument("--waits", type=int, nargs="*", default=[300, 1000, 5000, 10_000], help="how many")
    parser.add_argument("--most-others", type=int, default=10_000, help="other ways get no more than this")
    parser.add_argument("--small-waits", type=int, default=30, help="waits that need processes")
    parser.add_argument("--scale", type=float, default=5.0, help="times are divided by this")
    parser.add_argument("--ending-share", type=float, default=0.1, help="of the recordings that end")
    parser.add_argument("--ceiling", type=float, default=0.95, help="requests_per_second, in limits")
    parser.add_argument("--seed", type=int, default=1, help="of the ends")
    options = parser.parse_args()
    if options.quick:
        options.waits, options.small_waits, options.scale = [300], 5, 10.0
    results = [measure(setting) for setting in settings(options)]
    rows = [Row(f"{NAMES[each.setting.way]}, {each.setting.waits}", each.lags) for each in results]
    title = "From the end of a recording to the wait that notices, in shares of an ideal round"
    shares = [
        Row(row.name, [lag / each.setting.round for lag in row.seconds])
        for row, each in zip(rows, results, strict=True)
        if row.seconds
    ]
    picture = plot(title, shares, unit="", dot="a wait; one round is what an ideal round-robin takes at most")
    write(options.output, "waiting", report(results, options.scale), plot=picture)


if __name__ == "__main__":
    main()
