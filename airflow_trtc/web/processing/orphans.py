"""Stops jobs whose owner is gone, in threads of the API server: what no process of the task's could do.

A worker or a triggerer that is killed, a task that is marked failed between two tries, a run that is deleted:
nothing of the task is there to stop its job. So every few seconds one API worker compares the open rows of
owners with Airflow's task instances, see :mod:`airflow_trtc.journal.owners`. Each stop runs in a thread of
its own, so that none holds up another, and is tried again when it fails. Stopping twice does no harm, as when
two API workers do so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_trtc import bounds, metrics
from airflow_trtc.journal.keys import KeyRange
from airflow_trtc.journal.owners import (
    OWNERS,
    Owner,
    decide,
    failed,
    how_to_stop,
    is_closed,
    noted,
    owner_from,
)
from airflow_trtc.kinds import KINDS
from airflow_trtc.web import accounts
from airflow_trtc.web.processing import database
from airflow_trtc.web.processing.processor import utc_now
from airflow_trtc.web.receiving.writer import describe

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LOOK_SECONDS = 15.0
ROWS_PER_LOOK = 200
MAX_STOPS = 8  # at the same time; the rest waits for the next look
STOP_ATTEMPTS = 2
LOOK_KEY = "owners-looked-at"

log = logging.getLogger(__name__)


class OrphanWatch:
    """The thread of one API worker; of several workers one looks at a time.

    :param stop_job: stops an owner's job; returns why that failed, None once it is over.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        stop_job: Callable[[Owner], str | None] | None = None,
        seconds: float = LOOK_SECONDS,
    ) -> None:
        self._clock = clock
        self._stop_job = stop_job or stop_owned_job
        self._seconds = seconds
        self._stops: dict[str, threading.Thread] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None or not self._thread.is_alive():
            self._end.clear()
            self._thread = threading.Thread(target=self._run, name="trtc-orphan-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End soon; stops that are on their way are left to themselves."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(5)

    def join(self, seconds: float = 5.0) -> None:
        """Wait for the stops that are on their way; for tests."""
        for thread in list(self._stops.values()):
            thread.join(seconds)

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # the database is away, or whatever it is: the next look may work
                self._failures += 1
                if self._failures == 1:
                    message = "Cannot look for jobs whose task is gone (%s); trying again every %g s"
                    log.warning(message, describe(error), self._seconds)
            else:
                self._failures = 0

    def look(self) -> None:
        """Compare all open rows with the tasks, and stop what has no owner any more."""
        with database.transaction() as session:
            asset_id = database.journal_asset_id(session)
            if asset_id is None or not self._takes_turn(session, asset_id):
                return
        self._stops = {key: thread for key, thread in self._stops.items() if thread.is_alive()}
        keys: KeyRange | None = OWNERS
        while keys is not None and not self._end.is_set():
            with database.transaction() as session:
                rows = database.select_within(session, asset_id, keys, ROWS_PER_LOOK)
                todo = self._decide(session, rows)
                for key, after in todo.items():
                    database.exchange(session, asset_id, key, rows[key], after)
            last = max(rows, default=keys.last)
            keys = replace(keys, first=f"{last}0") if len(rows) >= ROWS_PER_LOOK else None

    def _takes_turn(self, session: Session, asset_id: int) -> bool:
        """Whether there is anything to look at, and no other API worker has just done so."""
        if not database.select_keys_within(session, asset_id, OWNERS, 1):
            return False
        if database.claim(session, asset_id) is None:
            return False
        now_ms = bounds.unix_ms(self._clock())
        looked = bounds.json_value(database.select_keys(session, asset_id, [LOOK_KEY]).get(LOOK_KEY))
        looked_ms = looked.get("at_ms") if isinstance(looked, Mapping) else None
        if isinstance(looked_ms, int) and 0 <= now_ms - looked_ms < self._seconds * 900:
            return False
        database.write(session, asset_id, {LOOK_KEY: database.encode({"v": 1, "at_ms": now_ms})})
        return True

    def _decide(self, session: Session, rows: Mapping[str, str]) -> dict[str, str | None]:
        """Begin the stops; return what rows are to hold from now on, None for those that go."""
        values = {key: bounds.json_value(text) for key, text in rows.items()}
        owners = {key: owner for key, value in values.items() if (owner := owner_from(value)) is not None}
        tasks = database.select_tasks(session, {owner.task for owner in owners.values()})
        now_ms = bounds.unix_ms(self._clock())
        todo: dict[str, str | None] = {key: None for key, value in values.items() if is_closed(value)}
        for key, owner in owners.items():
            action = decide(owner, tasks.get(owner.task), now_ms)
            if action in ("note", "unnote"):
                after = noted(owner, now_ms if action == "note" else None)
                todo[key] = database.encode(after.value)
            elif action == "give up":
                log.error("%s. It is not tried again", _describe(owner, f"failed {owner.failures} times"))
                metrics.count(metrics.ORPHANS, kind=owner.job.kind, outcome="given_up")
                todo[key] = None
            elif action == "stop":
                self._begin_stop(key, rows[key], owner)
        return todo

    def _begin_stop(self, key: str, text: str, owner: Owner) -> None:
        if key in self._stops or len(self._stops) >= MAX_STOPS:
            return
        work = threading.Thread(
            target=self._stop_one, args=(key, text, owner), name="trtc-orphan-stop", daemon=True
        )
        self._stops[key] = work
        work.start()

    def _stop_one(self, key: str, text: str, owner: Owner) -> None:
        try:
            error = self._stop_job(owner)
        except Exception as raised:
            error = describe(raised)
        outcome = "stopped" if error is None else "failed"
        metrics.count(metrics.ORPHANS, kind=owner.job.kind, outcome=outcome)
        after = None if error is None else database.encode(failed(owner, bounds.unix_ms(self._clock())).value)
        if error is None:
            message = "The %s %s is stopped, since its task is gone: %s"
            log.info(message, owner.job.kind, owner.job.job_id, _name(owner))
        else:
            log.error("%s", _describe(owner, error))
        try:
            with database.transaction() as session:
                asset_id = database.journal_asset_id(session)
                if asset_id is not None:
                    database.exchange(session, asset_id, key, text, after)
        except Exception as raised:  # the next look stops it once more, which does no harm
            log.warning("Cannot note that %s was stopped (%s)", owner.job.job_id, describe(raised))


def stop_owned_job(owner: Owner) -> str | None:
    """Stop an owner's job; return why that failed, None once it is over. Loads the SDK. Blocks.

    It takes as long as the connection's timeouts allow, twice.
    """
    from airflow_trtc.cloud import calls
    from airflow_trtc.cloud.client import TrtcClient
    from airflow_trtc.errors import TrtcError, TrtcFailedError
    from airflow_trtc.jobs.verdict import is_absent

    kind = KINDS.get(owner.job.kind)
    if kind is None:
        return f"this version knows no jobs of kind {owner.job.kind!r}"
    try:
        settings = accounts.settings_of(accounts.find_connection(owner.conn_id))
        region = owner.job.region or settings.region
        settings = replace(settings, region=region, sdk_app_id=owner.job.sdk_app_id)
        TrtcClient(settings, attempts=STOP_ATTEMPTS).run(calls.stop(kind, owner.job))
    except TrtcFailedError as error:
        return None if is_absent(error.code, kind.absent_codes) else str(error)
    except TrtcError as error:
        return str(error)
    return None


def _describe(owner: Owner, error: str) -> str:
    return (
        f"Cannot stop a {owner.job.kind} whose task is gone, and which may run on and cost money: {error}."
        f" {how_to_stop(owner.job)}, task {_name(owner)}"
    )


def _name(owner: Owner) -> str:
    dag_id, run_id, task_id, map_index = owner.task
    return f"{dag_id}.{task_id}, run {run_id}" + (f", map index {map_index}" if map_index >= 0 else "")
