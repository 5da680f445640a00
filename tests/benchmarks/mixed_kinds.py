"""How waits for jobs of all kinds share one event loop.

    python -m tests.benchmarks.mixed_kinds --output build/benchmark

As many waits of each kind, all in one process, against an emulator that throttles each action as the service
does. After a round some jobs of each kind end, at random times. The floor is that of each kind's own action
(see `schedule`). Nothing here passes or fails.
"""

from __future__ import annotations

import time
from typing import Any

from tests.benchmarks import schedule
from tests.benchmarks.driving import Waiters
from tests.benchmarks.emulation import ACTIONS, EmulatorProcess
from tests.benchmarks.fares import by_kind, fares_of, fares_table
from tests.benchmarks.report import arguments, machine, tell, write
from tests.benchmarks.waiting import LIMIT_PER_SECOND, POLL_SECONDS, SETTLING_SECONDS, pause

ENDING_SECONDS = 60.0
LEAST_ENDS = 10


def measure(options: Any) -> str:
    """Let them wait, end some of each kind, and see who notices."""
    limit, poll = round(LIMIT_PER_SECOND * options.scale), POLL_SECONDS / options.scale
    each = options.waits // len(ACTIONS)
    count = max(round(each * options.ending_share), LEAST_ENDS)
    with EmulatorProcess(limit) as emulator:
        kinds = emulator.add_jobs(each * len(ACTIONS))
        time.sleep(2.0)  # until all are past the states in which a life begins
        with Waiters(emulator, kinds, poll, kind="ours", requests_per_second=0.95 * limit) as waits:
            waits.wait_until_started()
            tell(f"{len(kinds)} wait")
            pause(max(2 * poll, SETTLING_SECONDS), lambda: False)
            waits.measure()
            ending = ENDING_SECONDS / options.scale
            plan = schedule.ends_of_each(by_kind(kinds).values(), count, ending, options.seed)
            ended_at, began_at = {}, time.monotonic()
            for job_id, after in plan.items():
                pause(began_at + after - time.monotonic(), lambda: False)
                emulator.controls.end(job_id)
                ended_at[job_id] = time.time()
            history = waits.history
            pause(4 * poll + 10.0, lambda: not ended_at.keys() - history.over_ids)
            block = waits.measure().get("longest_block_seconds")
        for _, job_id, why in history.died[:3]:
            tell(f"  {job_id}: {why}")
        lost = history.over_ids - (history.noticed_at.keys() & ended_at.keys())
        fares = fares_of(kinds, ended_at, history.noticed_at, frozenset(lost), emulator.calls())
    return report(options, fares_table(fares, limit, poll), block)


def report(options: Any, lines: str, block: float | None) -> str:
    """The lines of all kinds, and what they were measured with, as Markdown."""
    limit, poll = LIMIT_PER_SECOND * options.scale, POLL_SECONDS / options.scale
    note = (
        f"Times are divided by {options.scale:g}; the limit is {limit:g}/s for each action, and each waits "
        f"{poll:g} s between two polls. Lost are those that died or ended too early. Longest block of the "
        f"event loop after the start: {'-' if block is None else f'{block:.3f}'} s."
    )
    return "\n".join([lines, "", note, machine()])


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--waits", type=int, default=1000, help="of all kinds together")
    parser.add_argument("--scale", type=float, default=1.0, help="times are divided by this")
    parser.add_argument("--ending-share", type=float, default=0.2, help="of the jobs that end")
    parser.add_argument("--seed", type=int, default=1, help="of the ends")
    options = parser.parse_args()
    if options.quick:
        options.waits, options.scale = 100, 5.0
    write(options.output, "mixed_kinds", measure(options))


if __name__ == "__main__":
    main()
