"""A wait for another kind of job: one row of data, and all modes follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc.emulator import Emulator
from airflow_trtc.kinds import KINDS
from airflow_trtc.sensors import TrtcJobSensor
from tests.test_sensors import Outcome

DAGS = Path(__file__).parent / "dags" / "jobs.py"
ACTION = "DescribeMadeUpTask"
modes = pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])


@pytest.fixture
def wait(trtc_connection: Emulator, run_dag: Callable[..., Any]) -> Iterator[Callable[..., Outcome]]:
    def run(mode: str, job_id: str) -> Outcome:
        return Outcome(run_dag(DAGS, f"wait_for_job_{mode}", {"job_id": job_id}))

    yield run
    KINDS.pop("made_up", None)


@pytest.fixture(autouse=True)
def _kind(load_dags: Callable[[Path], Any]) -> None:
    KINDS["made_up"] = load_dags(DAGS).__dict__["KINDS"].get("made_up") or _row()


def _row() -> Any:
    from airflow_trtc.jobs.kind import JobKind

    return JobKind(
        name="made_up",
        describe_action=ACTION,
        ends_well=frozenset({"Done"}),
        ends_badly=frozenset({"Broken"}),
    )


@modes
def test_it_ends_well(mode: str, trtc_connection: Emulator, wait: Callable[..., Outcome]) -> None:
    job_id = trtc_connection.add_job(ACTION, steps=[{"Status": "Running", "reads": 2}, {"Status": "Done"}])
    outcome = wait(mode, job_id)
    assert outcome.state() == "success"
    summary = outcome.xcom()
    assert (summary["kind"], summary["job_id"]) == ("made_up", job_id)
    assert summary["status"] == "Done"
    assert outcome.xcom("progress")["status"] == "Done"


@modes
def test_it_ends_badly(mode: str, trtc_connection: Emulator, wait: Callable[..., Outcome]) -> None:
    job_id = trtc_connection.add_job(ACTION, steps=[{"Status": "Running"}, {"Status": "Broken"}])
    assert wait(mode, job_id).state() == "failed"


@modes
def test_it_disappears(mode: str, trtc_connection: Emulator, wait: Callable[..., Outcome]) -> None:
    job_id = trtc_connection.add_job(ACTION, steps=[{"Status": "Running", "reads": 3}, {"gone": True}])
    assert wait(mode, job_id).xcom()["outcome"] == "gone"


@modes
def test_it_was_never_there(mode: str, trtc_connection: Emulator, wait: Callable[..., Outcome]) -> None:
    trtc_connection.add_job(ACTION, steps=[{"Status": "Running"}])
    assert wait(mode, "no-such-job").state() == "failed"


def test_a_kind_that_does_not_exist_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="kind"):
        TrtcJobSensor(task_id="t", kind="unheard_of", job_id="j")
