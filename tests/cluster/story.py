"""One story on an Airflow as on several machines: recordings, a killed component of each kind, the end.

A triggerer that holds owners of recordings is killed, and one that does hangs until the other takes over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeVar

import psycopg2

from airflow_trtc.bounds import iso_time
from airflow_trtc.emulator import Emulator
from tests.stack.local_airflow import LocalAirflow
from tests.versions import HAS_STATE_STORE

WAITING_DAG = "wait_in_each_mode"
CALLED_BACK_DAG = "called_back"
OWNING_DAG = "own_rooms"
OWNERS = 4  # see dags/recordings.py
CALLED_BACK_APP = 1400000003  # see dags/recordings.py
# Two workers have eight slots. Tasks in poke mode occupy them, so that each worker must take some, and
# neither is full.
RECORDINGS = {"poke": 5, "reschedule": 6, "deferrable": 16}
CALLED_BACK = 5
FILES = 2
# Below Airflow 3.3 reschedule mode defers.
DEFERRED = OWNERS + RECORDINGS["deferrable"] + (0 if HAS_STATE_STORE else RECORDINGS["reschedule"])
# One triggerer cannot hold all that are deferred, two can.
TRIGGERS_AT_MOST = DEFERRED * 3 // 5

# For what takes seconds on an idle machine.
PATIENCE_SECONDS = 400.0
POLL_SECONDS = 1.0

_Found = TypeVar("_Found")


class Holder(NamedTuple):
    """A triggerer: one life of it, and its name."""

    job_id: int
    name: str


@dataclass
class Story:
    """What happens, and what is remembered of it for the tests."""

    airflow: LocalAirflow
    emulator: Emulator
    has_callbacks: bool
    waited_for: dict[str, list[str]] = field(default_factory=dict)
    called_back: list[str] = field(default_factory=list)
    runs: list[tuple[str, str]] = field(default_factory=list)
    victims: list[dict[str, Any]] = field(default_factory=list)
    trigger_holders: set[str] = field(default_factory=set)
    queuing: set[str] = field(default_factory=set)
    owned: set[str] = field(default_factory=set)
    bill_before_end: dict[str, Any] = field(default_factory=dict)

    def play(self, meanwhile: Callable[[], object]) -> None:
        """Let it happen; `meanwhile` is done while it mostly waits and kills nothing."""
        self._begin_owners()
        self._stall_triggerer(meanwhile)
        self._begin()
        self._kill_triggerer()
        self._kill_worker()
        self._kill_api_server()
        self._kill_scheduler()
        self._until_recovered()
        self._end()

    # -- acts -------------------------------------------------------------------------------------

    def _begin_owners(self) -> None:
        """Let tasks start recordings of their own, until all these are deferred."""
        self.airflow.unpause(OWNING_DAG)
        self.runs = [(OWNING_DAG, self.airflow.trigger(OWNING_DAG))]
        self._until(self._owners_holders, "triggerers hold all owners")
        self.owned = set(self.emulator.bill()["running"])

    def _begin(self) -> None:
        """Start recordings and waits, until each recording was polled and each component has its part."""
        self.airflow.unpause(WAITING_DAG)
        self.waited_for = {mode: self._record(count) for mode, count in RECORDINGS.items()}
        if self.has_callbacks:
            self.airflow.unpause(CALLED_BACK_DAG)
            self.called_back = self._record(CALLED_BACK, sdk_app_id=CALLED_BACK_APP)
        self.runs += [(WAITING_DAG, self.airflow.trigger(WAITING_DAG, self.waited_for))]
        self._until(self._all_polled, "every recording was polled")
        self._until(
            lambda: self._holders() == {"triggerer", "triggerer-2"}, "each triggerer has taken triggers"
        )

    def _stall_triggerer(self, meanwhile: Callable[[], object]) -> None:
        """Let a triggerer of owners hang until the other one has taken them over, and then go on."""
        victim = min(self._until(self._owners_holders, "triggerers hold all owners"))
        self.airflow.stall(victim.name)
        try:
            meanwhile()
            self._until(lambda: self._holders_without(victim), "owners are taken over from what hangs")
        finally:
            went_on_at = datetime.now(timezone.utc)
            self.airflow.go_on(victim.name)
        self._until(lambda: self._has_beaten(victim, went_on_at), "the triggerer that hung goes on")
        self._check_owned()

    def _kill_triggerer(self) -> None:
        """Kill a triggerer of owners, and wait until another one, or another life of it, has them."""
        self._check_owned()  # the triggerer that hung has had time to act on what it missed
        victim = min(self._until(self._owners_holders, "triggerers hold all owners"))
        self.airflow.kill(victim.name)
        self.airflow.start(victim.name)
        self._until(lambda: self._holders_without(victim), "owners are taken over from the killed triggerer")
        self._check_owned()

    def _kill_worker(self) -> None:
        """Kill a worker that runs tasks."""
        self.victims = self._until(self._waits_on_worker, "a worker waits for a recording")
        self.airflow.kill("worker")
        self.airflow.start("worker")

    def _kill_api_server(self) -> None:
        """Kill an API server, and let callbacks come meanwhile."""
        self.airflow.kill("api-server")
        for recording_id in self.called_back:
            self.emulator.end(recording_id)
        self._until(lambda: self._called_back_runs() == len(self.called_back), "a run for each callback")
        self.airflow.start("api-server")

    def _kill_scheduler(self) -> None:
        """Kill a scheduler that has queued tasks, until the other one has done so alone."""
        self._until(lambda: "scheduler" in self._queuing(), "the scheduler to be killed queues tasks")
        self.airflow.kill("scheduler")
        self._until(lambda: "scheduler-2" in self._queuing(), "the other scheduler queues tasks")
        self.airflow.start("scheduler")

    def _until_recovered(self) -> None:
        """Wait until everything that was killed while it waited for a recording waits again."""
        self._until(lambda: all(map(self._runs_again, self.victims)), "killed tasks run again")
        self._until(lambda: not self._orphans(), "every trigger is held by a living triggerer")

    def _end(self) -> None:
        self.bill_before_end = self.emulator.bill()
        for recording_id in self.owned:
            self.emulator.end(recording_id)
        for recording_ids in self.waited_for.values():
            for recording_id in recording_ids:
                self.emulator.end(recording_id)
        if self.has_callbacks:
            self.runs += [(CALLED_BACK_DAG, run_id) for run_id in self.airflow.run_ids(CALLED_BACK_DAG)]
        for dag_id, run_id in self.runs:
            self.airflow.wait_for_run(dag_id, run_id, PATIENCE_SECONDS)

    # -- what can be seen of it -------------------------------------------------------------------

    def tasks(self) -> list[dict[str, Any]]:
        """All task instances of all runs."""
        return [task for run in self.runs for task in self.airflow.task_instances(*run)]

    def received(self) -> list[dict[str, Any]]:
        """The files that tasks got to work on, one for each task."""
        return [
            self.airflow.xcom(
                task["dag_id"], task["dag_run_id"], task["task_id"], map_index=task["map_index"]
            )
            for task in self.tasks()
            if task["task_id"].startswith("process_") and task["map_index"] >= 0
        ]

    def recorded(self) -> list[dict[str, Any]]:
        """The files that were made, as the service spells them, with their recordings' ids."""
        ids = [each for recording_ids in self.waited_for.values() for each in recording_ids]
        return [
            {"recording_id": recording_id, **file}
            for recording_id in [*ids, *self.called_back]
            for file in self.emulator.truth(recording_id)["files"]
        ]

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of Airflow's database."""
        connection = psycopg2.connect(self.airflow.database_url.replace("+psycopg2", ""))
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, values)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def _record(self, count: int, **options: Any) -> list[str]:
        return [self.emulator.add_recording(files=FILES, **options) for _ in range(count)]

    def _all_polled(self) -> bool:
        ids = [each for recording_ids in self.waited_for.values() for each in recording_ids]
        return all(self.emulator.truth(recording_id)["polls"] for recording_id in ids)

    def _holders(self) -> set[str]:
        """The triggerers that have been seen to hold triggers."""
        rows = self.query("SELECT DISTINCT job.hostname FROM trigger JOIN job ON job.id = triggerer_id")
        self.trigger_holders |= {hostname for (hostname,) in rows}
        return self.trigger_holders

    def _owners_holders(self) -> set[Holder]:
        """The triggerers that hold the owners; empty unless each owner is held."""
        rows = self.query(
            "SELECT job.id, job.hostname FROM task_instance"
            " JOIN trigger ON trigger.id = task_instance.trigger_id"
            " JOIN job ON job.id = triggerer_id WHERE task_instance.dag_id = %s",
            OWNING_DAG,
        )
        return {Holder(*row) for row in rows} if len(rows) == OWNERS else set()

    def _check_owned(self) -> None:
        """Fail here rather than wait for triggers of recordings that were stopped."""
        assert set(self.emulator.bill()["running"]) == self.owned, self.emulator.bill()["recordings"]

    def _holders_without(self, victim: Holder) -> set[Holder]:
        """The triggerers that hold the owners, once this one no longer holds any."""
        holders = self._owners_holders()
        return set() if victim in holders else holders

    def _has_beaten(self, holder: Holder, since: datetime) -> bool:
        rows = self.query("SELECT 1 FROM job WHERE id = %s AND latest_heartbeat > %s", holder.job_id, since)
        return bool(rows)

    def _waits_on_worker(self) -> list[dict[str, Any]]:
        """The tasks in poke mode on the worker that is to be killed."""
        return [
            task
            for task in self.tasks()
            if (task["task_id"], task["state"], task["hostname"]) == ("wait_poke", "running", "worker")
        ]

    def _queuing(self) -> set[str]:
        """The schedulers that have been seen to queue tasks."""
        rows = self.query(
            "SELECT DISTINCT job.hostname FROM task_instance JOIN job ON job.id = queued_by_job_id"
        )
        self.queuing |= {hostname for (hostname,) in rows}
        return self.queuing

    def _orphans(self) -> int:
        """How many triggers no triggerer holds that was alive a short while ago."""
        ((count,),) = self.query(
            "SELECT count(*) FROM trigger LEFT JOIN job ON job.id = triggerer_id"
            " WHERE latest_heartbeat IS NULL OR latest_heartbeat < now() - interval '15 seconds'"
        )
        return int(count)

    def _runs_again(self, victim: dict[str, Any]) -> bool:
        """Whether a task has been tried anew, and has polled its recording since."""
        now = self.airflow.task_instance(
            victim["dag_id"], victim["dag_run_id"], victim["task_id"], victim["map_index"]
        )
        recording_id = self.waited_for["poke"][victim["map_index"]]
        polls = self.emulator.truth(recording_id)["polls"]
        is_new = now["try_number"] > victim["try_number"] and now["state"] == "running"
        return bool(is_new and polls[-1]["at"] > _seconds(now["start_date"]))

    def _called_back_runs(self) -> int:
        return len(self.airflow.run_ids(CALLED_BACK_DAG)) if self.has_callbacks else 0

    def _until(self, find: Callable[[], _Found | None], what: str) -> _Found:
        """Poll until something true is found, and return it."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not (found := find()):
            self.airflow.check_alive()
            if time.monotonic() > give_up_at:
                raise AssertionError(f"after {PATIENCE_SECONDS:.0f} s still not true: {what}")
            time.sleep(POLL_SECONDS)
        return found


def _seconds(text: str) -> float:
    return iso_time(text).timestamp()
