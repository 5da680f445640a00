"""One run: a cluster, recordings that live and are waited for, and chaos. Gathers the evidence at the end."""

from __future__ import annotations

import heapq
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg2

from airflow_trtc.emulator import Emulator
from tests.soak.chaos import Chaos, Diary, chosen
from tests.soak.evidence import Database
from tests.soak.ledger import Case, Leftovers, Run, whole_polls
from tests.soak.lessons import NEW_RECORDINGS, Lessons
from tests.soak.lives import EVENT_APPS, Life
from tests.soak.ownership import WATCH_SECONDS, RecordedRoom
from tests.soak.plan import Deed
from tests.stack.local_airflow import CLUSTER, LocalAirflow
from tests.stack.rest import ApiError

HERE = Path(__file__).parent
KEY = "soakCallbackKey"

SETTLE_SECONDS = 1500.0
"""How long, after the time is over, everything may take to come to an end."""
PATIENCE_SECONDS = 300.0
AGAIN_SECONDS = 1.0
SAMPLE_SECONDS = 10.0
RIPE_SECONDS = 10.0
"""A wait is cleared by a person only this long after it saw the recording."""

SETTINGS: Mapping[tuple[str, str], object] = {
    ("core", "dags_are_paused_at_creation"): False,
    ("dag_processor", "refresh_interval"): 120,
}

_Got = TypeVar("_Got")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evidence:
    """What came of everything, for those who judge it.

    :ivar cases: the recordings that Airflow only waited for.
    :ivar rooms: the rooms that Airflow recorded.
    :ivar recorded: the last recording of each of these rooms.
    :ivar bill: all that was started over the API.
    """

    cases: list[Case]
    rooms: list[RecordedRoom]
    recorded: list[Case]
    bill: list[dict[str, Any]]
    leftovers: Leftovers


@dataclass
class Soak:
    """The running parts, and what is known of each recording.

    :ivar ids: the recordings' ids by their number in the plan.
    """

    airflow: LocalAirflow
    emulator: Emulator
    database: Database
    diary: Diary
    output: Path
    began_at: float = 0.0
    ids: dict[int, str] = field(default_factory=dict)
    lives: dict[int, Life] = field(default_factory=dict)
    lessons: Lessons = field(init=False)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Know the rooms as well."""
        self.lessons = Lessons(
            self.airflow,
            self.emulator,
            self.database,
            self.diary,
            trigger=lambda life, conf: patiently(lambda: self._trigger(life, conf)),
            patiently=patiently,
            book=self._book,
        )

    def run(self, lives: list[Life], deeds: list[Deed], seconds: float) -> None:
        """Let everything happen, then wait until all has ended."""
        self.lives = {life.number: life for life in lives}
        for life in lives:
            self._book(self.began_at + life.at, lambda life=life: self._begin(life))  # type: ignore[misc]
        chaos = Chaos(
            self.airflow, list(self.airflow.components), self.emulator, self.diary, self._clear_later
        )
        jobs = [
            lambda: chaos.run(deeds, self.began_at, self._is_over.is_set),
            self._live,
            self._sample,
        ]
        threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            time.sleep(max(0.0, self.began_at + seconds - time.time()))
            self._settle(self.began_at + seconds + SETTLE_SECONDS)
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(30)

    def evidence(self) -> Evidence:
        """What came of each recording and of each room, and what is left over."""
        runs = {name: self._with_failure(run) for name, run in self.database.runs().items()}
        started: dict[str, list[Run]] = {}
        for recording_id, dag_id, run_id in self.database.started():
            started.setdefault(recording_id, []).append(runs[dag_id, run_id])
        cases = []
        for number, recording_id in sorted(self.ids.items()):
            life = self.lives[number]
            truth = None if life.options is None else self.emulator.truth(recording_id)
            run = runs.get((life.dag_id, life.run_id)) if life.dag_id else None
            if life.dag_id and run is None:
                run = Run(life.dag_id, life.run_id, None)
            starts = EVENT_APPS.get(life.sdk_app_id)
            cases.append(
                Case(number, life.kind, recording_id, truth, run, starts, started.get(recording_id, []))
            )
        bill = self.emulator.bill()["recordings"]
        rooms = self.lessons.rooms(runs, bill)
        return Evidence(cases, rooms, self.lessons.cases(rooms), bill, self.database.leftovers())

    def logs_of(self, run_id: str) -> str:
        """The logs of all tries of all tasks of a run."""
        rows = self.database.ask(
            "SELECT dag_id, task_id, map_index, try_number, state FROM task_instance WHERE run_id = %s"
            " ORDER BY start_date",
            run_id,
        )
        parts = []
        for dag_id, task_id, map_index, tries, state in rows:
            for number in range(1, (tries or 0) + 1):
                parts.append(f"== {dag_id} {task_id}[{map_index}], try {number} of {tries}, {state}")
                parts.append(self._log(dag_id, run_id, task_id, number, map_index))
        return "\n".join(parts)

    # -- life -------------------------------------------------------------------------------------

    def _live(self) -> None:
        while not self._is_over.is_set():
            with self._lock:
                is_due = self._agenda and self._agenda[0][0] <= time.time()
                action = heapq.heappop(self._agenda)[2] if is_due else None
            if action is None:
                time.sleep(0.1)
                continue
            try:
                action()
            except Exception as error:
                self.diary.note("failed", why=f"{type(error).__name__}: {error}")

    def _book(self, at: float, action: Callable[[], None]) -> None:
        with self._lock:
            self._number += 1
            heapq.heappush(self._agenda, (at, self._number, action))

    def _begin(self, life: Life) -> None:
        if life.lesson is not None:
            self.lessons.begin(life)
            return
        emulator = self.emulator
        is_real = life.options is not None
        recording_id = (
            emulator.add_recording(**life.options or {}) if is_real else emulator.new_recording_id()
        )
        self.ids[life.number] = recording_id
        self.diary.note(
            "recording", number=life.number, kind=life.kind, dag_id=life.dag_id, recording_id=recording_id
        )
        if life.ends_after_seconds is not None:
            at = time.time() + life.ends_after_seconds
            self._book(at, lambda: self._end(recording_id, at + PATIENCE_SECONDS))
        if life.dag_id is not None:
            conf = {"recording_id": recording_id, "sdk_app_id": life.sdk_app_id}
            patiently(lambda: self._trigger(life, conf))

    def _trigger(self, life: Life, conf: dict[str, Any]) -> None:
        assert life.dag_id is not None
        try:
            self.airflow.trigger(life.dag_id, conf, life.run_id)
        except ApiError as error:
            if error.status_code != httpx.codes.CONFLICT:  # the answer to an earlier try was lost
                raise

    def _end(self, recording_id: str, give_up_at: float) -> None:
        """End a recording that somebody has seen; one that nobody saw lives on for a while."""
        now = time.time()
        if whole_polls(self.emulator.truth(recording_id), now - 1) or now > give_up_at:
            self.diary.note("end", recording_id=recording_id)
            self.emulator.end(recording_id)
        else:
            self._book(now + 5, lambda: self._end(recording_id, give_up_at))

    # -- people -----------------------------------------------------------------------------------

    def _clear_later(self, deed: Deed) -> None:
        self._book(time.time(), lambda: self._clear(deed))

    def _clear(self, deed: Deed) -> None:
        """Clear one wait, as a person would, that has seen its recording."""
        rows = self.database.ask(
            "SELECT dag_id, run_id FROM task_instance WHERE task_id = 'wait' AND state = %s"
            " AND run_id LIKE 'soak-%%' ORDER BY run_id",
            deed.options["state"],
        )
        ripe = [row for row in rows if self._is_ripe(int(row[1].rpartition("-")[2]))]
        if (row := chosen(ripe, deed.options["chance"])) is None:
            self.diary.note("nobody to clear", state=deed.options["state"])
            return
        dag_id, run_id = row
        self.diary.note("clear", dag_id=dag_id, run_id=run_id, state=deed.options["state"])
        patiently(lambda: self.airflow.clear(dag_id, run_id, ["wait"], include_downstream=True))

    def _is_ripe(self, number: int) -> bool:
        if number not in self.ids or self.lives[number].options is None:
            return False
        return bool(whole_polls(self.emulator.truth(self.ids[number]), time.time() - RIPE_SECONDS))

    # -- watching ---------------------------------------------------------------------------------

    def _sample(self) -> None:
        """Note how it goes, for whoever wants to understand a run."""
        samples = Diary(self.output / "samples.jsonl", self.began_at)
        while not self._is_over.wait(SAMPLE_SECONDS):
            try:
                samples.note("sample", **self._state())
            except Exception as error:
                samples.note("failed", why=f"{type(error).__name__}: {error}".splitlines()[0])
        samples.close()

    def _state(self) -> dict[str, Any]:
        states = "SELECT coalesce(state, 'none'), count(*) FROM {} GROUP BY 1 ORDER BY 1"
        callbacks = self.emulator.callbacks(ledger=False)
        return {
            "tasks": dict(self.database.ask(states.format("task_instance"))),
            "runs": dict(self.database.ask(states.format("dag_run"))),
            "triggers": self.database.ask(
                "SELECT coalesce(triggerer_id::text, 'none'), count(*) FROM trigger GROUP BY 1"
            ),
            "callbacks": {name: callbacks[name] for name in ("events", "delivered", "waiting", "dropped")},
            "load": os.getloadavg()[0],
        }

    def _settle(self, give_up_at: float) -> None:
        """Wait until no run is open, and no callback on its way."""
        while time.time() < give_up_at:
            try:
                left = self.database.leftovers()
                is_waiting = self.emulator.callbacks(ledger=False)["waiting"]
                if not (left.open_runs or left.triggers or is_waiting or self._is_anything_due()):
                    self._settle_bill(time.time() + WATCH_SECONDS)
                    return
            except psycopg2.Error as error:
                self.diary.note("failed", why=str(error).splitlines()[0])
            time.sleep(5)
        self.diary.note("gave up")

    def _settle_bill(self, give_up_at: float) -> None:
        """Give the watch its time to stop recordings whose owner is gone."""
        while self.emulator.bill()["running"] and time.time() < give_up_at:
            time.sleep(1)

    def _is_anything_due(self) -> bool:
        with self._lock:
            return bool(self._agenda)

    def _with_failure(self, run: Run) -> Run:
        wait = run.wait
        if wait is None or wait.state != "failed":
            return run
        return replace(
            run, failure=self._log(run.dag_id, run.run_id, "wait", wait.try_number, wait.map_index)
        )

    def _log(self, dag_id: str, run_id: str, task_id: str, number: int, map_index: int) -> str:
        try:
            return patiently(lambda: self.airflow.task_log(dag_id, run_id, task_id, number, map_index), 60)
        except Exception as error:
            return f"({type(error).__name__}: {error})"


@contextmanager
def stage(output: Path, seed: int, *, is_small: bool) -> Iterator[Soak]:
    """A cluster and an emulator that know each other; `is_small` takes one machine's Airflow instead."""
    apps = tuple(EVENT_APPS)
    with Emulator(
        callback_key=KEY,
        more_sdk_app_ids=apps,
        seed=seed,
        concurrency_limit=0,
        new_recordings=NEW_RECORDINGS,
    ) as emulator:
        of_all = emulator.connection
        del of_all["extra"]["sdk_app_id"]
        kinds: dict[str, Any] = {"database": "postgresql", "api_workers": 2} if is_small else CLUSTER
        airflow = LocalAirflow(
            HERE / "dags",
            env={
                "AIRFLOW_CONN_TRTC_DEFAULT": emulator.connection_json,
                "AIRFLOW_CONN_TRTC_ALL": json.dumps(of_all),
            },
            config=SETTINGS,
            home=output / "airflow",
            **kinds,
        )
        with airflow:
            for dag_id in ("on_finished", "on_uploaded", "deferrable_many", "start_and_stop"):
                airflow.wait_for_dag(dag_id, timeout=180)
            emulator.set_callback(f"{airflow.url}/trtc/callbacks/trtc_all", KEY)
            began_at = time.time()
            diary = Diary(output / "deeds.jsonl", began_at)
            yield Soak(airflow, emulator, Database(airflow.database_url), diary, output, began_at)
            diary.close()


def patiently(call: Callable[[], _Got], patience_seconds: float = PATIENCE_SECONDS) -> _Got:
    """Call until Airflow answers; raises what it refuses, and its trouble when patience is over."""
    give_up_at = time.monotonic() + patience_seconds
    while True:
        try:
            return call()
        except (httpx.TransportError, ApiError) as error:
            is_trouble = isinstance(error, httpx.TransportError) or error.status_code >= 500
            if not is_trouble or time.monotonic() > give_up_at:
                raise
        time.sleep(AGAIN_SECONDS)
