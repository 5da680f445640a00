"""How soon a task knows: callbacks against polling at the service's limit, with few and many waiting tasks.

    python -m tests.benchmarks.callback_latency --output build/benchmark

One Airflow on PostgreSQL with two API workers, its triggerer, scheduler and DAG processor, and the emulator,
all on this machine. Tasks are deferred by writing their rows (see `park`), since starting workers for a
thousand takes half an hour; what a worker does after the wake-up is not measured. Prints a table, and writes
it and a plot. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from airflow_trtc.emulator import Emulator
from tests.benchmarks.emulation import known_of
from tests.benchmarks.parking import Parking
from tests.benchmarks.plot import Row, plot
from tests.benchmarks.report import arguments, machine, span, tell, write
from tests.stack.local_airflow import LocalAirflow

HERE = Path(__file__).parent
KEY = "benchmarkKey"
LOG_KEY = "log"  # as in airflow_trtc.journal; to import that one would start Airflow in this process too
LIMIT_PER_SECOND = 20  # the service's, for an account
PER_SECOND = 10  # how fast recordings end, unless told otherwise
NEVER = 36_000.0
FAR = 36_000.0  # seconds of the emulator's clock, which is moved when it is time
IDLE_SECONDS = 30.0
SETTLE_SECONDS = 10.0
PATIENCE_SECONDS = 180.0
PARTS = ("triggerer", "api-server")

# The moments are written down by the database, in the transaction that makes them.
WATCH = """
CREATE TABLE bench (what text, run_id text, map_index int, at timestamptz, value jsonb);
CREATE FUNCTION bench_task() RETURNS trigger AS $$ BEGIN
    INSERT INTO bench VALUES ('scheduled', NEW.run_id, NEW.map_index, clock_timestamp(), NULL);
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE FUNCTION bench_xcom() RETURNS trigger AS $$ BEGIN
    INSERT INTO bench VALUES ('shown', NEW.run_id, NEW.map_index, clock_timestamp(), NEW.value);
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER bench_task AFTER UPDATE ON task_instance FOR EACH ROW
    WHEN (OLD.state = 'deferred' AND NEW.state = 'scheduled') EXECUTE FUNCTION bench_task();
CREATE TRIGGER bench_xcom AFTER INSERT OR UPDATE ON xcom FOR EACH ROW
    WHEN (NEW.key = 'progress') EXECUTE FUNCTION bench_xcom();
"""


@dataclass
class Result:
    """What one way of waiting took, in seconds; loads are shares of one processor."""

    way: str
    waiting: int
    shown: list[float] = field(default_factory=list)
    scheduled: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    idle: dict[str, float] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)


class Bench:
    """One Airflow and one emulator, measured."""

    def __init__(self, airflow: LocalAirflow, emulator: Emulator, per_second: float) -> None:
        self.airflow = airflow
        self.emulator = emulator
        self._per_second = per_second
        self._parking = Parking(airflow, PATIENCE_SECONDS)
        self._parking.ask(WATCH)

    def measure(self, waiting: int, changing: int, *, by_callbacks: bool) -> Result:
        """Let so many tasks wait; let recordings get a file each and end, and see when tasks know."""
        way = "callbacks" if by_callbacks else f"polling, {LIMIT_PER_SECOND}/s"
        tell(f"{way}, {waiting} waiting tasks")
        result = Result(way, waiting)
        self.emulator.reset()
        url = f"{self.airflow.url}/trtc/callbacks/trtc_default" if by_callbacks else None
        self.emulator.set_callback(url, KEY)
        step = max(waiting // changing, 1)
        numbers = {map_index: number for number, map_index in enumerate(range(0, waiting, step)[:changing])}
        recording_ids = [self._record(numbers.get(map_index)) for map_index in range(waiting)]
        chosen = [(map_index, recording_ids[map_index]) for map_index in numbers]
        if by_callbacks:
            self.emulator.wait_for_callbacks(PATIENCE_SECONDS)
        run_id = self._park(recording_ids, NEVER if by_callbacks else waiting / LIMIT_PER_SECOND)
        self._settle()
        tell(f"  all wait; nothing happens for {IDLE_SECONDS:.0f} s")
        with self._parking.load(result.idle, *PARTS):
            time.sleep(IDLE_SECONDS)
        with self._parking.load(result.busy, *PARTS):
            tell(f"  {changing} recordings get one more file")
            result.shown = self._since(self._make_files(chosen), run_id, "shown")
            tell(f"  {changing} recordings end")
            result.scheduled = self._since(self._end(chosen), run_id, "scheduled")
        if by_callbacks:
            self.emulator.wait_for_callbacks(PATIENCE_SECONDS)
            ledger = self.emulator.callbacks()["ledger"]
            result.answered = [attempt["seconds"] for each in ledger for attempt in each["attempts"]]
        self._parking.clear(run_id)
        tell(f"  file shown after {span(result.shown)} s, scheduled after {span(result.scheduled)} s")
        return result

    def _settle(self) -> None:
        """Wait until the triggerer has started all triggers, which keeps it busy for a while."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        loads: list[float] = []
        while time.monotonic() < give_up_at:
            load: dict[str, float] = {}
            with self._parking.load(load, "triggerer"):
                time.sleep(SETTLE_SECONDS)
            loads.append(load["triggerer"])
            if len(loads) >= 2 and abs(loads[-1] - loads[-2]) < 0.03:
                break
        tell(f"  load of the triggerer since it began: {', '.join(f'{load:.0%}' for load in loads)}")

    def _record(self, number: int | None) -> str:
        """A recording; one with a number makes a second file that many tenths of a second after `FAR`."""
        more = {} if number is None else {"file_every_seconds": FAR + number / self._per_second}
        return self.emulator.add_recording(files=1 if number is None else 2, **more)

    def _make_files(self, chosen: Sequence[tuple[int, str]]) -> dict[int, float]:
        """Let the second files be made from now on; return when each is."""
        truths = {map_index: self.emulator.truth(recording_id) for map_index, recording_id in chosen}
        made_at = {
            map_index: truth["created_at"] + FAR + number / self._per_second
            for number, (map_index, truth) in enumerate(truths.items())
        }
        now = self.emulator.health()["now"]
        ahead = self.emulator.advance(min(made_at.values()) - now - 1) - time.time()
        return {map_index: at - ahead for map_index, at in made_at.items()}

    def _end(self, chosen: Sequence[tuple[int, str]]) -> dict[int, float]:
        """End recordings one after the other; return when each was."""
        began_at, ended_at = time.monotonic(), {}
        for number, (map_index, recording_id) in enumerate(chosen):
            time.sleep(max(0.0, began_at + number / self._per_second - time.monotonic()))
            ended_at[map_index] = time.time()
            self.emulator.end(recording_id)
        return ended_at

    def _since(self, changed_at: dict[int, float], run_id: str, what: str) -> list[float]:
        """Wait until each task knows; return how long it did not, of those that know in time."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            known_at = self._known_at(run_id, what)
            late = changed_at.keys() - known_at.keys()
            if not late or time.monotonic() > give_up_at:
                if late:
                    tell(f"  {len(late)} tasks still do not know after {PATIENCE_SECONDS:.0f} s")
                return [known_at[number] - at for number, at in changed_at.items() if number not in late]
            self.airflow.check_alive()
            time.sleep(0.5)

    def _known_at(self, run_id: str, what: str) -> dict[int, float]:
        rows = self._parking.ask(
            "SELECT map_index, extract(epoch FROM min(at))::float8 FROM bench WHERE run_id = %s AND what = %s"
            " AND (value IS NULL OR (value ->> 'file_count')::int >= 2) GROUP BY map_index",
            run_id,
            what,
        )
        return dict(rows)

    def _park(self, recording_ids: list[str], poke_interval: float) -> str:
        run_id, now = self._parking.begin(len(recording_ids)), datetime.now(timezone.utc)
        self._parking.defer(
            run_id,
            [known_of(self.emulator.truth(recording_id), now) for recording_id in recording_ids],
            feed_position=self._log_end(),
            poke_interval=poke_interval,
            sdk_app_id=self.emulator.settings.sdk_app_id,
            region=self.emulator.region,
        )
        self._parking.until_assigned(run_id, len(recording_ids))
        return run_id

    def _log_end(self) -> int:
        """Number of the last entry of the change log, as workers read it."""
        rows = self._parking.ask("SELECT value FROM asset_state_store WHERE key = %s", LOG_KEY)
        return int(json.loads(rows[0][0])["seq"]) if rows else 0


def table(results: Sequence[Result]) -> str:
    """All results as Markdown."""
    lines = [
        "| Way | Waiting tasks | New file -> in the task's progress | End -> task scheduled "
        "| Callback answered | Triggerer, idle / busy | API server, idle / busy |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in results:
        loads = [f"{each.idle[name]:.0%} / {each.busy[name]:.0%}" for name in PARTS]
        spans = map(span, (each.shown, each.scheduled, each.answered))
        lines.append(f"| {' | '.join([each.way, str(each.waiting), *spans, *loads])} |")
    note = "Median / 95th percentile / longest, in seconds; loads are of one processor."
    lines += ["", note, machine()]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__)
    parser.add_argument("--ways", nargs="*", default=["callbacks", "polling"], help="what to compare")
    parser.add_argument("--per-second", type=float, default=PER_SECOND, help="how fast recordings end")
    parser.add_argument("--waiting", type=int, nargs="*", default=[10, 1000], help="how many tasks wait")
    options = parser.parse_args()
    if options.quick:
        options.waiting = [10]
    with Emulator(callback_key=KEY, rate_limit=LIMIT_PER_SECOND, concurrency_limit=0) as emulator:
        connection = emulator.connection
        connection["extra"]["requests_per_second"] = LIMIT_PER_SECOND
        airflow = LocalAirflow(
            HERE / "dags",
            env={"AIRFLOW_CONN_TRTC_DEFAULT": json.dumps(connection)},
            config={("triggerer", "capacity"): 5000, ("core", "max_map_length"): 5000},
            database="postgresql",
            api_workers=2,
            task_api=True,
        )
        tell("Airflow starts")
        with airflow:
            bench = Bench(airflow, emulator, options.per_second)
            results = [
                bench.measure(waiting, min(waiting, 200), by_callbacks=way == "callbacks")
                for waiting in options.waiting
                for way in options.ways
            ]
    rows = [Row(f"{each.way}, {each.waiting} tasks", each.scheduled) for each in results]
    title = "From the end of a recording to the task being scheduled"
    write(options.output, "callback_latency", table(results), plot=plot(title, rows))


if __name__ == "__main__":
    main()
