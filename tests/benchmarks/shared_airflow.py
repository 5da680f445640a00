"""How the components of one real Airflow share one account.

    python -m tests.benchmarks.shared_airflow --output build/benchmark

An Airflow as on several machines: two triggerers with many deferred waits (their rows are written, see
`park`), and two Celery workers whose slots are all taken by sensors in poke mode, each a process of its own.
They share the pace of one machine. All of them together want far more than the emulator lets through; it
counts what it answered. Nothing here passes or fails.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from datetime import datetime, timezone
from typing import Any

from tests.benchmarks.driving import ROOT, SEEN_AGO
from tests.benchmarks.emulation import EmulatorProcess
from tests.benchmarks.parking import Parking
from tests.benchmarks.report import arguments, tell, write
from tests.benchmarks.shared_account import Found, add_arguments, phases_of, picture, report
from tests.benchmarks.triggerer import HERE
from tests.benchmarks.ways import until_all_asked
from tests.stack.local_airflow import LocalAirflow

PATIENCE_SECONDS = 900.0


def measure(options: Any) -> Found:
    """Let all of them ask for some minutes."""
    with EmulatorProcess(options.limit) as emulator, local_airflow(emulator, options) as airflow:
        parking = Parking(airflow, PATIENCE_SECONDS)
        deferred = emulator.add_recordings(2 * options.waiters)
        tell(f"{len(deferred)} tasks are being made")
        parked = parking.begin(len(deferred))
        poked = emulator.add_recordings(2 * options.tasks)
        tell(f"{len(poked)} sensors in poke mode start")  # and leave no slot to any other task
        airflow.unpause("poking")
        poking = airflow.trigger("poking", {"recording_ids": poked, "poke_interval": options.poke})
        until_all_asked(emulator, poked, airflow.check_alive)
        tell(f"{len(deferred)} tasks are being deferred")
        parking.defer(
            parked,
            emulator.known(dict.fromkeys(deferred, "recording"), datetime.now(timezone.utc) - SEEN_AGO),
            poke_interval=options.poll,
            feed_position=0,
            **emulator.place,
        )
        parking.until_assigned(parked, len(deferred))
        seconds = options.minutes * 60
        phases = phases_of(time.time(), seconds)
        tell(f"all ask; {seconds:.0f} s to go")
        until = phases["all"][1]
        while (left := until - time.time()) > 0:
            airflow.check_alive()
            time.sleep(min(left, 5.0))
        calls = emulator.calls().between(*phases["all"])
        of = {**_by_triggerer(parking, parked, deferred), "sensors in poke mode": frozenset(poked)}
        lost = _lost(parking, parked, "deferred") + _lost(parking, poking, "running")
    note = (
        f"Two triggerers with {options.waiters} waits every {options.poll:g} s each, two workers with "
        f"{options.tasks} sensors in poke mode every {options.poke:g} s, a process for each."
    )
    return Found(calls, of, lost, phases, note)


def local_airflow(emulator: EmulatorProcess, options: Any) -> LocalAirflow:
    """One with two triggerers, each with room for little more than half of all waits, and two workers."""
    connection = emulator.connection(requests_per_second=options.ceiling)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    config = {
        ("triggerer", "capacity"): options.waiters + 10,
        ("core", "max_map_length"): 2 * options.waiters + 10,
        ("core", "parallelism"): 4 * options.tasks,
    }
    return LocalAirflow(
        HERE / "dags",
        env={"AIRFLOW_CONN_TRTC_DEFAULT": connection, "PYTHONPATH": path},
        config=config,
        database="postgresql",
        executor="celery",
        triggerers=2,
        workers=2,
        worker_slots=options.tasks,
        task_api=True,
    )


def _by_triggerer(parking: Parking, run_id: str, recording_ids: list[str]) -> dict[str, frozenset[str]]:
    rows = parking.ask(
        "SELECT t.map_index, g.triggerer_id FROM task_instance t JOIN trigger g ON t.trigger_id = g.id"
        " WHERE t.run_id = %s",
        run_id,
    )
    found: dict[int, set[str]] = defaultdict(set)
    for number, triggerer in rows:
        found[triggerer].add(recording_ids[number])
    return {f"triggerer {number}": frozenset(found[key]) for number, key in enumerate(sorted(found), 1)}


def _lost(parking: Parking, run_id: str, state: str) -> list[str]:
    """Why tasks that should wait in this state do not."""
    rows = parking.ask(
        "SELECT map_index, state FROM task_instance"
        " WHERE run_id = %s AND task_id = 'wait' AND state IS DISTINCT FROM %s",
        run_id,
        state,
    )
    return [f"task {number} of {run_id} is {found}, not {state}" for number, found in rows]


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    add_arguments(parser)
    parser.add_argument("--tasks", type=int, default=8, help="sensors in poke mode on each worker")
    parser.add_argument("--poke", type=float, default=1.0, help="their poke_interval in seconds")
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.waiters, options.tasks = 0.5, 20, 2
    found = measure(options)
    write(options.output, "shared_airflow", report(found, options), plot=picture(found, options))


if __name__ == "__main__":
    main()
