"""What becomes of a job when its task ends, as tables; and what a task does about it."""

from __future__ import annotations

import json
import logging
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc._compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow_trtc.errors import NO_CONNECTION, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.owners import is_closed, owner_from
from airflow_trtc.journal.store import JOURNAL
from airflow_trtc.operators import owning
from airflow_trtc.operators.attempt_store import Tries
from airflow_trtc.operators.owning import KEPT_KEY, OwnedJob, Ownership, lets_run, owned_from, takes_over

JOB = JobRef("recording", 1400000001, "ap-guangzhou", "-gCT+x..")
OTHER = JobRef("recording", 1400000001, "ap-guangzhou", "other")
KEPT = OwnedJob(JOB, 1000.0, 4600.0, Tries(1, 1))

log = logging.getLogger(__name__)


# -- decisions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        AirflowFailException("no retry helps"),
        AirflowSensorTimeout("timeout"),
        AirflowSkipException("skipped"),
        AirflowTaskTimeout("execution_timeout"),
        KeyboardInterrupt(),
        SystemExit(1),
    ],
)
def test_what_ends_a_task_for_good_ends_its_job(error: BaseException) -> None:
    assert not lets_run(error, Tries(1, 5), is_remembered=True)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the XCom backend is away"),
        TrtcTransientError("throttled"),
        TrtcSetupError("no connection", code=NO_CONNECTION),
    ],
)
def test_an_error_lets_it_run_only_for_a_try_that_will_find_it(error: Exception) -> None:
    assert lets_run(error, Tries(1, 1), is_remembered=True)
    assert not lets_run(error, Tries(2, 1), is_remembered=True)  # the last try
    assert not lets_run(error, Tries(1, 0), is_remembered=True)  # there are none
    assert not lets_run(error, Tries(1, 1), is_remembered=False)  # Airflow below 3.3


@pytest.mark.parametrize(
    "kept, now, does",
    [
        (KEPT, Tries(2, 1), True),  # a retry
        (KEPT, Tries(1, 1), True),  # the same try, which deferred
        (KEPT, Tries(2, 2), False),  # cleared
        (KEPT, Tries(3, 1), False),  # cleared while the last try ran
        (OwnedJob(JOB, 0.0, None, Tries(1, 1), is_over=True), Tries(2, 1), False),  # stopped
    ],
)
def test_a_try_takes_over_what_was_neither_stopped_nor_cleared(
    kept: OwnedJob, now: Tries, *, does: bool
) -> None:
    assert takes_over(kept, now) is does


def test_what_is_kept_survives_being_stored() -> None:
    for kept in (KEPT, OwnedJob(OTHER, 0.5, None, Tries(3, 7), is_over=True)):
        assert owned_from(json.loads(json.dumps(kept.to_json()))) == kept


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from([*KEPT.to_json(), "x"]), inner),
    )
)
def test_whatever_is_kept_reading_it_raises_nothing(value: Any) -> None:
    assert owned_from(value) is None or owned_from(value) is not None
    assert owned_from({**KEPT.to_json(), "started_at": value}) is None or isinstance(value, int | float)


# -- a task ---------------------------------------------------------------------------------------------


class StoreOf:
    """Airflow's stores by asset; below 3.3, where there are none, an asset cannot be the key of a dict."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __getitem__(self, asset: Any) -> Any:
        if asset != JOURNAL:
            raise KeyError(asset)
        return self._rows


class Memory(dict[str, Any]):
    """Airflow's stores; what they hold went through JSON."""

    def __init__(self) -> None:
        self.is_broken = False

    def get(self, key: str, default: Any = None) -> Any:
        if self.is_broken:
            raise RuntimeError("away")
        return json.loads(self[key]) if key in self else default

    def set(self, key: str, value: Any, **options: Any) -> None:
        if self.is_broken:
            raise RuntimeError("away")
        self[key] = json.dumps(value)


class Task:
    """A task instance, its stores, and a service."""

    def __init__(self, number: int = 1, max_tries: int = 1, *, has_stores: bool = True) -> None:
        self.memory, self.rows, self.xcoms = Memory(), Memory(), Memory()
        self.stopped: list[str] = []
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.has_stores = has_stores
        self.number, self.max_tries = number, max_tries

    def ownership(self) -> Ownership:
        ti = SimpleNamespace(
            dag_id="lessons",
            run_id="r",
            task_id="record",
            map_index=-1,
            try_number=self.number,
            max_tries=self.max_tries,
            xcom_pull=lambda *, task_ids, key, map_indexes: self.xcoms.get(key),
            xcom_push=lambda *, key, value: self.xcoms.set(key, value),
        )
        context: dict[str, Any] = {"ti": ti}
        if self.has_stores:
            context |= {"task_state_store": self.memory, "asset_state_store": StoreOf(self.rows)}
        return Ownership(context, conn_id="trtc_default", hook_for=self.hook_for, log=log)

    def hook_for(self, job: JobRef) -> TrtcHook:
        return cast("TrtcHook", SimpleNamespace(settings=None, stop=self._stop))

    def _stop(self, kind: str, job_id: str, *, attempts: int | None = None) -> bool:
        self.answers.wait()
        if self.error is not None:
            raise self.error
        self.stopped.append(job_id)
        return True

    def begun(self) -> Ownership:
        owned = self.ownership()
        owned.begin(JOB, started_at=1000.0, stop_at=None)
        return owned

    @property
    def row(self) -> Any:
        (row,) = self.rows.values()
        return json.loads(row)


def test_an_error_before_a_retry_leaves_the_job_and_its_row_alone() -> None:
    task = Task()
    task.begun().end(RuntimeError("why"), is_over=False)
    assert task.stopped == []
    owner = owner_from(task.row)
    assert owner is not None
    assert (owner.job, owner.conn_id, owner.try_number, owner.max_tries) == (JOB, "trtc_default", 1, 1)
    task.number = 2
    kept = task.ownership().recall()
    assert kept is not None
    assert takes_over(kept, Tries(2, 1))


@pytest.mark.parametrize("error", [AirflowFailException("x"), AirflowSkipException("x"), None])
def test_an_end_stops_the_job_and_closes_its_row(error: BaseException | None) -> None:
    task = Task()
    task.begun().end(error, is_over=False)
    assert task.stopped == [JOB.job_id]
    assert is_closed(task.row)
    assert (kept := task.ownership().recall()) is not None
    assert kept.is_over


def test_what_is_over_is_not_stopped() -> None:
    task = Task()
    task.begun().end(None, is_over=True)
    assert task.stopped == []
    assert is_closed(task.row)


def test_below_airflow_33_an_error_stops_it_and_a_later_leg_finds_it() -> None:
    task = Task(has_stores=False)
    task.begun()
    later = task.ownership()
    later.resume(None)
    later.end(RuntimeError("why"), is_over=False)
    assert task.stopped == [JOB.job_id]
    assert task.rows == {}


def test_a_stop_that_fails_is_said_and_leaves_the_row_open(caplog: pytest.LogCaptureFixture) -> None:
    task = Task()
    owned = task.begun()
    task.error = TrtcTransientError("the service is away")
    owned.end(AirflowFailException("x"), is_over=False)
    assert owner_from(task.row) is not None
    for words in ("the service is away", JOB.job_id, "TrtcStopRecordingOperator"):
        assert words in caplog.text


def test_a_leg_that_only_knows_what_the_trigger_says_can_stop_it() -> None:
    task = Task()
    later = task.ownership()
    task.memory.is_broken = True
    later.resume(JOB)
    later.end(AirflowSensorTimeout("x"), is_over=False)
    assert task.stopped == [JOB.job_id]


def test_a_signal_stops_it_and_the_next_try_starts_another() -> None:
    task = Task()
    owned = task.begun()
    owned.kill()
    assert (task.stopped, owned.is_killed) == ([JOB.job_id], True)
    assert is_closed(task.row)
    owned.end(RuntimeError("told to end"), is_over=False)
    assert task.stopped == [JOB.job_id]  # once
    assert is_closed(task.row)
    task.number = 2
    kept = task.ownership().recall()
    assert kept is not None
    assert not takes_over(kept, Tries(2, 1))


def test_a_try_that_airflow_has_given_up_leaves_its_job_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    task = Task()
    owned = task.begun()
    task.memory.is_broken = task.rows.is_broken = True  # Airflow answers "not found"
    owned.kill()
    owned.end(RuntimeError("told to end"), is_over=False)
    assert task.stopped == []
    assert "given this try up" in caplog.text
    task.memory.is_broken = task.rows.is_broken = False
    task.number = 2
    kept = task.ownership().recall()
    assert kept is not None
    assert takes_over(kept, Tries(2, 1))
    assert not is_closed(task.row)


def test_without_a_store_a_signal_stops_the_job_all_the_same() -> None:
    task = Task(has_stores=False)
    owned = task.begun()
    task.xcoms.is_broken = True
    owned.kill()
    assert task.stopped == [JOB.job_id]


def test_a_signal_whose_stop_fails_leaves_the_job_to_the_next_try() -> None:
    task = Task()
    owned = task.begun()
    task.error = TrtcTransientError("away")
    owned.kill()
    kept = task.ownership().recall()
    assert kept is not None
    assert not kept.is_over
    assert not is_closed(task.row)


def test_a_signal_during_the_start_stops_what_was_started() -> None:
    task = Task()
    owned = task.ownership()
    owned.kill()
    owned.begin(JOB, started_at=0.0, stop_at=None)
    owned.end(RuntimeError("told to end"), is_over=False)
    assert task.stopped == [JOB.job_id]


def test_a_signal_is_answered_in_time_though_the_service_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(owning, "KILL_SECONDS", 0.01)
    task = Task()
    owned = task.begun()
    task.answers.clear()
    try:
        owned.kill()
    finally:
        task.answers.set()
    assert "it took longer than 0.01 s" in caplog.text


def test_stores_that_fail_hold_up_no_end(caplog: pytest.LogCaptureFixture) -> None:
    task = Task()
    task.memory.is_broken = task.rows.is_broken = True
    owned = task.ownership()
    with pytest.raises(TrtcTransientError, match="nothing was started"):
        owned.recall()
    owned.begin(JOB, started_at=0.0, stop_at=None)
    owned.end(AirflowFailException("x"), is_over=False)
    assert task.stopped == [JOB.job_id]
    assert "Cannot keep which recording this task owns" in caplog.text
    assert "Cannot write who owns the recording" in caplog.text


def test_the_job_of_before_a_clear_is_stopped_and_its_row_closed() -> None:
    task = Task()
    task.begun()
    task.number, task.max_tries = 2, 2
    later = task.ownership()
    kept = later.recall()
    assert kept is not None
    later.replace(kept)
    assert task.stopped == [JOB.job_id]
    assert is_closed(task.row)
    assert KEPT_KEY in task.memory


# -- a kind that nothing stops --------------------------------------------------------------------------

SPEECH = JobRef("speech", 1400000001, "ap-guangzhou", "430df76b")


@pytest.mark.parametrize("error", [None, AirflowFailException("x"), RuntimeError("x"), KeyboardInterrupt()])
def test_what_nothing_stops_is_not_stopped_and_no_api_server_is_told(error: BaseException | None) -> None:
    task = Task()
    owned = task.ownership()
    owned.begin(SPEECH, started_at=1000.0, stop_at=None)
    owned.end(error, is_over=False)
    assert task.stopped == []
    assert task.rows == {}
    kept = task.ownership().recall()
    assert kept is not None
    # Only a success is done with it; whatever else happened, the next try waits for the same.
    assert kept.is_over is (error is None)


def test_a_signal_leaves_it_to_the_next_try(caplog: pytest.LogCaptureFixture) -> None:
    task = Task()
    owned = task.ownership()
    owned.begin(SPEECH, started_at=1000.0, stop_at=None)
    with caplog.at_level(logging.INFO):
        owned.kill()
    assert owned.is_killed
    assert task.stopped == []
    kept = task.ownership().recall()
    assert kept is not None
    assert takes_over(kept, Tries(2, 1))
    assert "the service has no call that stops it. Id: 430df76b" in caplog.text
