"""Reads from Airflow's database what came of the recordings, and from the deeds what may be lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import psycopg2

from tests.soak.ledger import Leftovers, Risks, Run, Task, Window
from tests.soak.lives import WAIT_FOR
from tests.soak.plan import FAULT

# Who polls, and what it writes to the journal through.
READERS = ("triggerer", "worker", "api-server", "scheduler")
KEPT_SECONDS = 5.0
RECOVERY_SECONDS = 20.0
DEATH_SECONDS = 30.0
# What has to work for the API server's watch over owners to stop a recording.
STOPPERS = ("api-server", "balancer", "postgresql")
STARTED_BY_EVENT = {"on_finished": "recording", "on_uploaded": "upload"}

_FINAL = "('success', 'failed', 'skipped', 'upstream_failed', 'removed')"


class Database:
    """Airflow's PostgreSQL, read only; each question is a connection of its own, since it dies at times."""

    def __init__(self, url: str) -> None:
        """Note the address."""
        self._url = url.replace("+psycopg2", "")

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows; raises psycopg2.Error while the database is away."""
        with closing(psycopg2.connect(self._url, connect_timeout=5)) as connection:
            connection.set_session(readonly=True, autocommit=True)
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def runs(self) -> dict[tuple[str, str], Run]:
        """All runs with their tasks, by DAG and run id."""
        tasks = self._tasks()
        # A start pushes what it knows under the same key.
        summaries = {
            (dag, run): value for dag, run, task, _, value in self._xcoms("recording") if task == "wait"
        }
        return {
            (dag, run): Run(
                dag,
                run,
                state,
                WAIT_FOR.get(dag) or STARTED_BY_EVENT[dag],
                tasks.get((dag, run), []),
                summaries.get((dag, run)),
            )
            for dag, run, state in self.ask("SELECT dag_id, run_id, state FROM dag_run")
        }

    def started(self) -> list[tuple[str, str, str]]:
        """Partition key, DAG and run id of each run that an event started."""
        return self.ask(
            "SELECT partition_key, dag_id, run_id FROM dag_run WHERE partition_key IS NOT NULL ORDER BY id"
        )

    def leftovers(self) -> Leftovers:
        """What is not over."""
        ((triggers,),) = self.ask("SELECT count(*) FROM trigger")
        runs = self.ask(
            "SELECT dag_id || ' ' || run_id || ' is ' || state FROM dag_run"
            " WHERE state NOT IN ('success', 'failed') ORDER BY 1"
        )
        tasks = self.ask(
            "SELECT dag_id || ' ' || run_id || ' ' || task_id || '[' || map_index || '] is '"
            f" || coalesce(state, 'none') FROM task_instance WHERE state IS NULL OR state NOT IN {_FINAL}"
        )
        return Leftovers(triggers, [name for (name,) in runs], [name for (name,) in tasks])

    def _tasks(self) -> dict[tuple[str, str], list[Task]]:
        returned = {key[:4]: key[4] for key in self._xcoms("return_value")}
        found: dict[tuple[str, str], list[Task]] = {}
        for dag, run, name, index, state, tries, ended_at in self.ask(
            "SELECT dag_id, run_id, task_id, map_index, state, try_number,"
            " extract(epoch FROM end_date)::float8 FROM task_instance"
            " WHERE state IS DISTINCT FROM 'removed' ORDER BY task_id, map_index"
        ):
            task = Task(name, index, state, tries, ended_at, returned.get((dag, run, name, index)))
            found.setdefault((dag, run), []).append(task)
        return found

    def _xcoms(self, key: str) -> list[tuple[str, str, str, int, Any]]:
        rows = self.ask("SELECT dag_id, run_id, task_id, map_index, value FROM xcom WHERE key = %s", key)
        return [(dag, run, task, index, _plain(value)) for dag, run, task, index, value in rows]


def _plain(value: Any) -> Any:
    """What a task pushed: Airflow keeps JSON written as text into a column of JSON, but texts as they are."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def risks(deeds: Iterable[Mapping[str, Any]], components: Sequence[str]) -> Risks:
    """When answers may have been forgotten, and when callbacks could not be worked through.

    :param deeds: what was really done, with ``time``, ``did`` ("kill", "kill-task", "died", "start") and
        ``whom``.
    """
    polls: list[Window] = []
    outages: list[Window] = []
    is_down: dict[str, float] = {}
    servers = {name for name in components if name.startswith("api-server")}
    for deed in deeds:
        at, did, whom = deed["time"], deed["did"], set(deed.get("whom") or ())
        if did in ("kill", "died"):
            is_down |= dict.fromkeys(whom, at)
        if did == "kill-task" or (did == "kill" and any(name.startswith(READERS[:2]) for name in whom)):
            polls.append((at - KEPT_SECONDS, at + 1))
        elif did == "died" and any(name.startswith(READERS[:2]) for name in whom):
            polls.append((at - DEATH_SECONDS, at + 1))
        elif did == "start":
            outages += _ended_outages(is_down, servers, whom, at)
            is_down = {name: since for name, since in is_down.items() if name not in whom}
    polls += outages
    return Risks(polls, outages)


def troubles(deeds: Iterable[Mapping[str, Any]]) -> list[Window]:
    """When a request to stop a recording may have failed, or nothing was there to send it.

    :param deeds: as for `risks`, and with ``kind`` and ``seconds`` of faults of the service.
    """
    found: list[Window] = []
    is_down: dict[str, float] = {}
    for deed in deeds:
        at, did, whom = deed["time"], deed["did"], deed.get("whom") or ()
        if did == FAULT:
            found.append((at, at + deed["seconds"]))
        elif did in ("kill", "died"):
            is_down |= {name: at for name in whom if name.startswith(STOPPERS)}
        elif did == "start":
            since = [is_down.pop(name) for name in whom if name in is_down]
            found += [(each, at + RECOVERY_SECONDS) for each in since]
    return found + [(since, float("inf")) for since in is_down.values()]


def _ended_outages(
    is_down: Mapping[str, float], servers: set[str], whom: set[str], at: float
) -> list[Window]:
    """What was an outage of the way to the journal, and ends with the start of these components."""
    ended = [is_down[name] for name in ("postgresql", "balancer") if name in whom and name in is_down]
    if whom & servers and servers <= set(is_down):
        ended.append(max(is_down[name] for name in servers))
    return [(since - 2, at + RECOVERY_SECONDS) for since in ended]
