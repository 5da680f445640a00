"""Jobs whose owner is gone are stopped, by Airflow's own tables; and no others are."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_trtc.emulator import Emulator
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.owners import CLOSED, GRACE_MS, MAX_FAILURES, Owner, TaskId, owner_from
from airflow_trtc.testing import TrtcAirflow
from airflow_trtc.web.processing import database, orphans
from airflow_trtc.web.processing.orphans import LOOK_SECONDS, OrphanWatch, stop_owned_job
from tests.web.conftest import APP, Store

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Play:
    """A watch with a clock that moves from look to look, and stops that only take notes."""

    def __init__(self, store: Store, task: TaskId) -> None:
        self.store, self.task = store, task
        self.now = START
        self.stopped: list[str] = []
        self.errors: dict[str, str] = {}
        self.watch = OrphanWatch(clock=lambda: self.now, stop_job=self._stop)

    def _stop(self, owner: Owner) -> str | None:
        self.stopped.append(owner.job.job_id)
        return self.errors.get(owner.job.job_id)

    def own(self, job_id: str, **changes: Any) -> Owner:
        owner = Owner(self.task, JobRef("recording", APP, "ap-guangzhou", job_id), 1, 0, "trtc_default")
        owner = replace(owner, **changes)
        self.store.write({owner.key: json.dumps(owner.value)})
        return owner

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += timedelta(seconds=LOOK_SECONDS)
            self.watch.look()
            self.watch.join()

    def mark(self, **values: Any) -> None:
        """Change the task instance as a user or the scheduler does."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import update

        mine = TaskInstance.dag_id == self.task.dag_id, TaskInstance.run_id == self.task.run_id
        with create_session() as session:
            session.execute(update(TaskInstance).where(*mine).values(**values))

    def rows(self) -> list[Owner | None]:
        return [owner_from(value) for value in self.store.rows("own/").values()]

    def hang(self) -> threading.Event:
        """Let no stop end before the event."""
        event, stop = threading.Event(), self.watch._stop_job

        def wait_and_stop(owner: Owner) -> str | None:
            event.wait(60)
            return stop(owner)

        self.watch._stop_job = wait_and_stop
        return event


@pytest.fixture
def play(store: Store, trtc_airflow: TrtcAirflow) -> Iterator[Play]:
    with DAG("owners", schedule=None) as dag:
        EmptyOperator(task_id="record")
    run = trtc_airflow.run(dag)
    one = Play(store, TaskId("owners", run.run_id, "record", -1))
    one.mark(state="running", try_number=1, max_tries=0)
    yield one
    one.watch.stop()


@pytest.mark.parametrize(
    "state", ["running", "deferred", "up_for_retry", "scheduled", "queued", "restarting"]
)
def test_a_task_that_goes_about_it_keeps_its_recording(play: Play, state: str) -> None:
    play.own("rec")
    play.mark(state=state)
    play.look(5)
    assert play.stopped == []
    assert len(play.rows()) == 1


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed", "upstream_failed"])
def test_the_recording_of_a_task_that_has_ended_is_stopped_after_a_look_of_grace(
    play: Play, state: str
) -> None:
    play.own("rec")
    play.mark(state=state)
    play.look()
    assert play.stopped == []
    play.look()
    assert (play.stopped, play.rows()) == (["rec"], [])
    play.look(3)
    assert play.stopped == ["rec"]


def test_a_row_that_the_task_closes_in_time_only_goes(play: Play) -> None:
    owner = play.own("rec")
    play.mark(state="success")
    play.look()
    play.store.write({owner.key: json.dumps(CLOSED)})
    play.look(3)
    assert (play.stopped, play.rows()) == ([], [])


def test_a_cleared_task_loses_its_old_recording_and_keeps_the_new_one(play: Play) -> None:
    play.own("old")
    play.own("new", try_number=2, max_tries=1)
    play.mark(state="deferred", try_number=2, max_tries=1)
    play.look(3)
    assert play.stopped == ["old"]
    assert [owner.job.job_id for owner in play.rows() if owner] == ["new"]


def test_recordings_of_runs_that_were_deleted_are_stopped(play: Play) -> None:
    play.own("rec", task=play.task._replace(run_id="deleted"))
    play.own("kept")
    play.look(2)
    assert play.stopped == ["rec"]


def test_a_task_that_is_back_before_the_grace_is_over_keeps_it(play: Play) -> None:
    play.own("rec")
    play.mark(state="failed")
    play.look()
    play.mark(state="running")
    play.look()
    play.mark(state="failed")
    play.look()
    assert play.stopped == []  # the grace begins anew


def test_one_that_cannot_be_stopped_holds_up_no_other_and_is_tried_again(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    play.errors = {"bad": "no such connection"}
    play.mark(state="failed")
    for job_id in ("bad", "good"):
        play.own(job_id)
    play.store.write({f"own/{7:039d}": "[]", f"own/{8:039d}": json.dumps({"v": 99})})
    with caplog.at_level(logging.ERROR):
        play.look(2)
    assert sorted(play.stopped) == ["bad", "good"]
    assert "no such connection" in caplog.text
    assert "Stop it by hand" in caplog.text
    assert "bad" in caplog.text
    play.errors = {}
    play.look(4)
    assert sorted(play.stopped) == ["bad", "bad", "good"]
    assert play.rows() == [None, None]  # of another version, perhaps


def test_one_day_it_gives_up_and_says_so(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    play.mark(state="failed")
    play.own("rec", gone_since_ms=1, failures=MAX_FAILURES)
    with caplog.at_level(logging.ERROR):
        play.look()
    assert (play.stopped, play.rows()) == ([], [])
    assert "It is not tried again" in caplog.text


def test_a_stop_that_hangs_holds_up_nothing(play: Play) -> None:
    hangs = play.hang()
    play.mark(state="failed")
    for number in range(3):
        play.own(f"rec{number}")
    for _ in range(3):  # each returns though no stop does
        play.now += timedelta(seconds=LOOK_SECONDS)
        play.watch.look()
    assert play.stopped == []
    hangs.set()
    play.watch.join()
    assert sorted(play.stopped) == ["rec0", "rec1", "rec2"]  # each once


def test_a_row_that_another_one_has_changed_meanwhile_stays(store: Store) -> None:
    store.write({"own/1": '"a"'})
    for before, after, left in (('"b"', '"c"', "a"), ('"b"', None, "a"), ('"a"', '"c"', "c")):
        with database.transaction() as session:
            database.exchange(session, store.asset_id, "own/1", before, after)
        assert store.rows("own/") == {"own/1": left}
    with database.transaction() as session:
        database.exchange(session, store.asset_id, "own/1", '"c"', None)
    assert store.rows("own/") == {}


def test_of_several_api_workers_one_looks(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    select = database.select_tasks

    def count(*given: Any) -> Any:
        looks.append(1)
        return select(*given)

    monkeypatch.setattr(database, "select_tasks", count)
    play.own("rec")
    play.now += timedelta(seconds=LOOK_SECONDS)
    for _ in range(3):
        OrphanWatch(clock=lambda: play.now, stop_job=play._stop).look()
    assert len(looks) == 1


def test_more_rows_than_one_page_are_all_looked_at(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "ROWS_PER_LOOK", 2)
    for number in range(7):
        play.own(f"rec{number}", gone_since_ms=1)
    play.mark(state="failed")
    play.look()
    assert len(play.stopped) == 7


def test_without_a_journal_it_does_nothing(play: Play) -> None:
    play.own("rec", gone_since_ms=1)
    play.mark(state="failed")
    play.store.deactivate()
    play.look(3)
    assert play.stopped == []


def test_a_database_that_is_away_is_said_once_and_ends_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = threading.Semaphore(0)

    def fail() -> None:
        looks.release()
        raise RuntimeError("away")

    watch = OrphanWatch(seconds=0.01)
    monkeypatch.setattr(watch, "look", fail)
    with caplog.at_level(logging.WARNING):
        watch.start()
        assert all(looks.acquire(timeout=60) for _ in range(3))
        watch.stop()
    assert caplog.text.count("Cannot look for jobs whose task is gone") == 1


# -- the stop itself -------------------------------------------------------------------------------


@pytest.fixture
def owned(trtc_connection: Emulator) -> Callable[..., Owner]:
    def make(recording_id: str, conn_id: str = "trtc_default") -> Owner:
        job = JobRef("recording", trtc_connection.sdk_app_id, trtc_connection.region, recording_id)
        return Owner(TaskId("d", "r", "t", -1), job, 1, 0, conn_id)

    return make


@pytest.mark.usefixtures("airflow_db")
def test_it_stops_that_recording_and_no_other(trtc_connection: Emulator, owned: Callable[..., Owner]) -> None:
    mine, other = (trtc_connection.add_recording() for _ in range(2))
    assert stop_owned_job(owned(mine)) is None
    assert trtc_connection.truth(mine)["end_reason"] == "deleted"
    assert trtc_connection.truth(other)["end_reason"] is None
    assert stop_owned_job(owned(mine)) is None  # over already


@pytest.mark.usefixtures("airflow_db")
def test_why_it_cannot_is_a_text_without_secrets(
    trtc_connection: Emulator, owned: Callable[..., Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = trtc_connection.add_recording()
    assert "'missing'" in str(stop_owned_job(owned(mine, "missing")))
    unknown = replace(owned(mine), job=JobRef("juggling", APP, None, mine))
    assert "juggling" in str(stop_owned_job(unknown))
    wrong = json.dumps({**trtc_connection.connection, "password": "wrong-secret-key"})
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_WRONG", wrong)
    error = str(stop_owned_job(owned(mine, "trtc_wrong")))
    assert "AuthFailure" in error
    assert "wrong-secret-key" not in error
    assert trtc_connection.truth(mine)["end_reason"] is None


def test_the_grace_is_shorter_than_the_time_between_looks() -> None:
    assert GRACE_MS < LOOK_SECONDS * 1000
