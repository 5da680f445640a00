"""What the tests of callbacks know of one Airflow and one emulator, and do to both."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg2

from airflow_trtc.emulator import Emulator
from tests.stack.local_airflow import LocalAirflow

# For what takes seconds on an idle machine.
PATIENCE_SECONDS = 900.0
POLL_SECONDS = 1.0

# What of a file both the service's lists and its callbacks tell.
FACTS = ("file_name", "user_id", "track_type", "begin_timestamp_ms", "object_key", "recording_id")

_Found = TypeVar("_Found")


@dataclass
class Listening:
    """An Airflow that gets the emulator's callbacks."""

    airflow: LocalAirflow
    emulator: Emulator

    # -- recordings -------------------------------------------------------------------------------

    def record(self, count: int, **options: Any) -> list[str]:
        """New recordings, alike."""
        return [self.emulator.add_recording(**options) for _ in range(count)]

    def end_all(self, recording_ids: Sequence[str], seconds: float) -> None:
        """End recordings one after the other within this time."""
        began_at = time.monotonic()
        for number, recording_id in enumerate(recording_ids, start=1):
            self.emulator.end(recording_id)
            time.sleep(max(0.0, began_at + seconds * number / len(recording_ids) - time.monotonic()))

    def truth(self, recording_id: str) -> dict[str, Any]:
        return self.emulator.truth(recording_id)

    def expected_files(self, recording_id: str, kinds: Sequence[str] = ("files",)) -> list[dict[str, Any]]:
        """What is to be handed on of a recording, as `facts` shows it."""
        truth = self.truth(recording_id)
        files = [
            {
                "file_name": file["FileName"],
                "user_id": file["UserId"] or None,
                "track_type": file["TrackType"],
                "begin_timestamp_ms": file["BeginTimeStamp"],
                "object_key": None if kind == "vod_files" else f"{recording_id}/{file['FileName']}",
                "recording_id": recording_id,
            }
            for kind in kinds
            for file in truth[kind]
        ]
        return sorted(files, key=lambda file: (file["begin_timestamp_ms"], file["file_name"]))

    # -- the journal ------------------------------------------------------------------------------

    def rows(self, prefix: str) -> dict[str, Any]:
        """Rows of the journal whose keys begin so, straight from the database."""
        statement = "SELECT key, value FROM asset_state_store WHERE key LIKE %s"
        return {key: json.loads(value) for key, value in self.query(statement, f"{prefix}%")}

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of Airflow's database."""
        connection = psycopg2.connect(self.airflow.database_url.replace("+psycopg2", ""))
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, values)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def missing(self) -> list[dict[str, Any]]:
        """Events that were answered with 200 and are not in the journal."""
        delivered = [each for each in self.emulator.callbacks()["ledger"] if each["delivered"]]
        values = [*self.rows("in/").values(), *self.rows("ev/").values()]
        kept = {_identity(value["event"]["EventType"], value["event"]["EventInfo"]) for value in values}
        return [each for each in delivered if _identity(each["event_type"], each["event_info"]) not in kept]

    # -- what came of it --------------------------------------------------------------------------

    def runs(self, dag_id: str, keys: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The runs of a DAG by those of their partition keys that are asked for."""
        found: dict[str, list[dict[str, Any]]] = {key: [] for key in keys}
        for run in self.airflow._pages(f"/api/v2/dags/{dag_id}/dagRuns", "dag_runs"):
            if run["partition_key"] in found:
                found[run["partition_key"]].append(run)
        return found

    def until_runs_ended(self, dag_id: str, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Wait until there is a run for each key and all have ended."""

        def ended() -> dict[str, list[dict[str, Any]]] | None:
            found = self.runs(dag_id, keys)
            states = {run["state"] for runs in found.values() for run in runs}
            return found if all(found.values()) and states <= {"success", "failed"} else None

        return self.until(
            ended, lambda: f"each of {len(keys)} has a run of {dag_id}: {self._count(dag_id, keys)}"
        )

    def asset_events(self, uri: str, keys: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The events of an asset by those of their partition keys that are asked for."""
        found: dict[str, list[dict[str, Any]]] = {key: [] for key in keys}
        asset_id = self._asset_id(uri)
        for event in self.airflow._pages("/api/v2/assets/events", "asset_events", asset_id=asset_id):
            if event["partition_key"] in found:
                found[event["partition_key"]].append(event)
        return found

    def wait(self, dag_id: str, recording_ids: Sequence[str]) -> str:
        """Start a run that waits for each of these, and return when all are watched by the triggerer."""
        run_id = self.airflow.trigger(dag_id, {"recording_ids": list(recording_ids)})
        count = len(recording_ids)

        def is_watched() -> bool:
            ((watched,),) = self.query(
                "SELECT count(*) FROM task_instance t JOIN trigger g ON t.trigger_id = g.id"
                " WHERE t.dag_id = %s AND t.run_id = %s AND t.state = 'deferred'"
                " AND g.triggerer_id IS NOT NULL",
                dag_id,
                run_id,
            )
            return bool(watched == count)

        self.until(is_watched, lambda: f"{count} are watched: {self.states(dag_id, run_id)}")
        return run_id

    def handed_on(self, dag_id: str, run_id: str, count: int) -> list[list[dict[str, Any]]]:
        """Wait for the end of a run, and return what each of its sensors handed on, as far as `FACTS` go."""
        final = ("success", "failed")
        self.until(
            lambda: self.airflow.run_state(dag_id, run_id) in final,
            lambda: f"{dag_id} has ended: {self.states(dag_id, run_id)}",
        )

        def files(map_index: int) -> list[dict[str, Any]]:
            return facts(self.airflow.xcom(dag_id, run_id, "wait", map_index=map_index))

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(files, range(count)))

    def states(self, dag_id: str, run_id: str) -> dict[str | None, int]:
        """How many tasks of a run are in each state."""
        statement = (
            "SELECT state, count(*) FROM task_instance WHERE dag_id = %s AND run_id = %s GROUP BY state"
        )
        return dict(self.query(statement, dag_id, run_id))

    def until(self, find: Callable[[], _Found | None], what: Callable[[], str]) -> _Found:
        """Poll until something true is found, and return it."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not (found := find()):
            self.airflow.check_alive()
            assert time.monotonic() < give_up_at, f"after {PATIENCE_SECONDS:.0f} s still not true: {what()}"
            time.sleep(POLL_SECONDS)
        return found

    def _asset_id(self, uri: str) -> int:
        ((asset_id,),) = self.query("SELECT id FROM asset WHERE uri = %s", uri)
        return int(asset_id)

    def _count(self, dag_id: str, keys: Sequence[str]) -> str:
        found = self.runs(dag_id, keys)
        states = Counter(run["state"] for runs in found.values() for run in runs)
        return f"{sum(map(bool, found.values()))} of {len(keys)} have, states {dict(states)}"


def facts(files: Iterable[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """What both lists and callbacks say about files that were handed on."""
    return [{name: file[name] for name in FACTS} for file in files or ()]


def _identity(event_type: int, info: dict[str, Any]) -> str:
    return json.dumps([event_type, info], sort_keys=True)
