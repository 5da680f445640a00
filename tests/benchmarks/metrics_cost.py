"""What counting costs: where Airflow sends no metrics, and where it sends them to a statsd.

    python -m tests.benchmarks.metrics_cost --output build/benchmark

Each row is one call of `airflow_trtc.metrics.count`, with two tags, in this process: what the caller waits,
and what it takes of the processor, in the thread that sends as well. Nothing here passes or fails.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from airflow_trtc import metrics
from tests.benchmarks.report import arguments, machine, spread, table, write
from tests.metering import Statsd, sending_to

BATCH = 1_000  # below what may wait for the thread


class Round(NamedTuple):
    """Microseconds for each call."""

    waited: float
    cpu: float


def count() -> None:
    """What stands in the code, for a poll."""
    metrics.count(metrics.POLLS, kind="recording", outcome="found")


def as_task(calls: int) -> Round:
    """In the main thread, as a task on a worker does."""
    cpu, began_at = time.process_time(), time.perf_counter()
    for _ in range(calls):
        count()
    waited = time.perf_counter() - began_at
    return Round(1e6 * waited / calls, 1e6 * (time.process_time() - cpu) / calls)


def in_a_loop(calls: int) -> Round:
    """In an event loop, as triggers do: a thread sends."""

    async def main() -> float:
        waited = 0.0
        for _ in range(calls // BATCH):
            began_at = time.perf_counter()
            for _ in range(BATCH):
                count()
            waited += time.perf_counter() - began_at
            await asyncio.to_thread(metrics.flush)
        return waited

    cpu = time.process_time()
    waited = asyncio.run(main())
    return Round(1e6 * waited / calls, 1e6 * (time.process_time() - cpu) / calls)


WAYS: dict[str, Callable[[int], Round]] = {"a task": as_task, "an event loop": in_a_loop}


def measure(rounds: int, calls: int) -> dict[tuple[str, str], list[Round]]:
    """All ways, without metrics and with a statsd, taking turns."""
    from airflow_trtc._compat import find_metrics

    taken: dict[tuple[str, str], list[Round]] = {}
    with Statsd() as statsd:
        os.environ |= {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
        }
        for _ in range(rounds):
            for name, find in (("off", None), ("statsd", find_metrics)):
                for way, run in WAYS.items():
                    with sending_to(find):
                        run(BATCH)  # the first call finds the client
                        taken.setdefault((name, way), []).append(run(calls))
    return taken


def report(taken: dict[tuple[str, str], list[Round]]) -> str:
    """Medians of the rounds, from the least to the most."""
    head = ["Metrics", "Counted in", "Waited, µs", "CPU, µs"]
    rows = [
        [name, way, spread([one.waited for one in rounds]), spread([one.cpu for one in rounds])]
        for (name, way), rounds in taken.items()
    ]
    return "\n".join([table(head, rows), "", machine()])


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each way")
    parser.add_argument("--calls", type=int, default=20_000, help="of each round")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.calls = 1, 2_000
    write(options.output, "metrics_cost", report(measure(options.rounds, options.calls)))


if __name__ == "__main__":
    main()
