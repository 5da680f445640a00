"""How waits for jobs of all kinds share one event loop.

    python -m tests.benchmarks.mixed_kinds --output build/benchmark

As many waits of each kind, all in one process, against an emulator that throttles each action as the service
does. After a round some jobs of each kind end, at random times. The floor is that of each kind's own action
(see `schedule`). Nothing here passes or fails.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow_trtc.jobs.observation import Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn, to_json
from airflow_trtc.kinds import KINDS
from tests.benchmarks import schedule
from tests.benchmarks.driving import Waiters
from tests.benchmarks.emulation import THROTTLED, EmulatorProcess
from tests.benchmarks.report import arguments, machine, percentile, ratio, share, table, tell, write
from tests.benchmarks.waiting import LIMIT_PER_SECOND, POLL_SECONDS, SETTLING_SECONDS, pause

POLLED = [name for name, kind in KINDS.items() if kind.describe_action]
RUNNING = {"web_recording": "1", "speech": "Processing"}  # what the others answer is InProgress
ENDING_SECONDS = 60.0


class MixedWaiters(Waiters):
    """Waiters for jobs of several kinds: id to kind."""

    def __init__(self, emulator: EmulatorProcess, kinds: dict[str, str], *given: Any, **job: Any) -> None:
        self.kinds = kinds
        super().__init__(emulator, list(kinds), *given, **job)

    def known(
        self, emulator: EmulatorProcess, recording_ids: Sequence[str], seen_at: datetime
    ) -> list[dict[str, Any]]:
        """What a worker knew of each, with its kind."""
        place = emulator.place
        return [
            to_json(
                learn(JobState(job_id), Snapshot(job_id, RUNNING.get(kind, "InProgress"), ()), seen_at),
                JobRef(kind, place["sdk_app_id"], place["region"], job_id),
            )
            for job_id, kind in self.kinds.items()
        ]


def add_jobs(emulator: EmulatorProcess, each: int) -> dict[str, str]:
    """Jobs that go on until they are ended, the kinds in turn: id to kind."""
    ids = {"recording": emulator.add_recordings(each)}
    for kind in POLLED[1:]:
        ids[kind] = [
            emulator.controls.add_job(kind=kind, room_id=str(8000 + number), ends_after_seconds=36_000)
            for number in range(each)
        ]
    return {ids[kind][number]: kind for number in range(each) for kind in POLLED}


def measure(options: Any) -> str:
    """Let them wait, end some of each kind, and see who notices."""
    limit, poll = round(LIMIT_PER_SECOND * options.scale), POLL_SECONDS / options.scale
    each = options.waits // len(POLLED)
    count = max(round(each * options.ending_share), 10)
    with EmulatorProcess(limit) as emulator:
        kinds = add_jobs(emulator, each)
        time.sleep(2.0)  # until all are past the states in which a life begins
        of_kind = defaultdict(list)
        for job_id, kind in kinds.items():
            of_kind[kind].append(job_id)
        ceiling = {"requests_per_second": 0.95 * limit}
        with MixedWaiters(emulator, kinds, poll, kind="ours", **ceiling) as waits:
            waits.wait_until_started()
            tell(f"{len(kinds)} wait")
            pause(max(2 * poll, SETTLING_SECONDS), lambda: False)
            waits.measure()
            plan = {
                job_id: at
                for number, kind in enumerate(POLLED)
                for job_id, at in schedule.ends(
                    of_kind[kind], count, ENDING_SECONDS / options.scale, options.seed + number
                ).items()
            }
            ended_at, began_at = {}, time.monotonic()
            for job_id, after in sorted(plan.items(), key=lambda item: item[1]):
                pause(began_at + after - time.monotonic(), lambda: False)
                emulator.controls.end(job_id)
                ended_at[job_id] = time.time()
            history = waits.history
            pause(4 * poll + 10.0, lambda: not ended_at.keys() - history.over_ids)
            block = waits.measure().get("longest_block_seconds")
        counters = emulator.controls.state()["counters"]
    return report(options, of_kind, ended_at, history, counters, block)


def report(
    options: Any, of_kind: Any, ended_at: Any, history: Any, counters: Any, block: float | None
) -> str:
    """A line for each kind, as Markdown."""
    limit, poll = LIMIT_PER_SECOND * options.scale, POLL_SECONDS / options.scale

    def line(name: str, kinds: Sequence[str]) -> list[Any]:
        ids = {job_id for kind in kinds for job_id in of_kind[kind]}
        ended = ids & ended_at.keys()
        lags = [history.noticed_at[one] - ended_at[one] for one in ended if one in history.noticed_at]
        answers = sum((Counter(counters.get(KINDS[kind].describe_action)) for kind in kinds), Counter[str]())
        throttled, calls = answers[THROTTLED], answers.total()
        cells: list[Any] = [name, len(ids), sum(job_id in ids for _, job_id, _ in history.died)]
        cells += [f"{len(ended) - len(lags)} of {len(ended)}"]
        cells += [f"{throttled} of {calls} ({share(throttled, calls)})"]
        floors = schedule.floor(len(of_kind[kinds[0]]), limit, poll)
        for floor, part in zip(floors, (0.5, 0.95), strict=True):
            lag = percentile(lags, part) if lags else None
            cells += ["-" if lag is None else f"{lag:.2f}", ratio(lag, floor)]
        return cells

    lines = [*(line(kind, [kind]) for kind in POLLED), line("all", POLLED)]
    for _, job_id, why in history.died[:3]:
        tell(f"  {job_id}: {why}")
    early = len(history.noticed_at.keys() - ended_at.keys())
    head = [
        "Kind",
        "Waits",
        "Died",
        "Not noticed",
        "Throttled",
        "Lag, median",
        "of floor",
        "95 %",
        "of floor",
    ]
    return "\n".join(
        [
            table(head, lines),
            "",
            f"Times are in seconds, divided by {options.scale:g}; the limit is {limit:g}/s for each action, "
            f"and each waits {poll:g} s between two polls. Noticed too early: {early}. Longest block of the "
            f"event loop after the start: {'-' if block is None else f'{block:.3f}'} s.",
            machine(),
        ]
    )


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
