"""What is shortened in a test, and that it is as before afterwards."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.kinds import KINDS
from airflow_trtc.sensors import TrtcJobSensor, TrtcRecordingSensor
from airflow_trtc.testing.waits import in_a_hurry, shortened

LONG = {"poke_interval": 60.0, "grace_seconds": 30.0, "settle_seconds": 10.0, "callback_timeout": 3600.0}


def test_what_is_long_is_shortened_and_what_is_short_stays() -> None:
    assert shortened(LONG) == {
        "poke_interval": 0.2,
        "grace_seconds": 1.0,
        "settle_seconds": 1.0,
        "callback_timeout": 10.0,
    }
    assert shortened({**LONG, "poke_interval": 0.1, "settle_seconds": 0}).keys() == {
        "grace_seconds",
        "callback_timeout",
    }
    assert shortened({"callback_timeout": timedelta(hours=1)}) == {"callback_timeout": 10.0}
    assert shortened({"timeout": 60, "execution_timeout": timedelta(hours=1)}) == {}
    assert shortened({"grace_seconds": "{{ params.grace }}", "settle_seconds": None}) == {}


@pytest.mark.parametrize(
    "more, seconds",
    [
        ({"mode": "reschedule"}, 0.01),
        ({"mode": "reschedule", "deferrable": True}, 0.2),
        ({"mode": "poke"}, 0.2),
    ],
)
def test_a_rescheduled_wait_is_due_at_once(more: dict[str, Any], seconds: float) -> None:
    assert shortened({"poke_interval": 60, **more}) == {"poke_interval": seconds}


@pytest.fixture
def dag(monkeypatch: pytest.MonkeyPatch) -> DAG:
    kind = JobKind(
        name="made_up",
        describe_action="DescribeMadeUp",
        ends_well=frozenset({"Done"}),
        ends_badly=frozenset({"Broken"}),
    )
    monkeypatch.setitem(KINDS, "made_up", kind)
    with DAG("lessons", schedule=None) as dag:
        TrtcRecordingSensor(task_id="wait", recording_id="r", timeout=900)
        TrtcJobSensor(task_id="job", kind="made_up", job_id="j")
        TrtcRecordingSensor.partial(task_id="mapped", settle_seconds=5).expand(recording_id=["a", "b"])
        TrtcRecordingSensor.partial(task_id="paced", recording_id="r").expand(poke_interval=[5, 6])
        rows: list[Any] = [{"recording_id": "a"}, {"recording_id": "b", "settle_seconds": 20}]
        TrtcRecordingSensor.partial(task_id="rows").expand_kwargs(rows)
        EmptyOperator(task_id="after", retry_delay=timedelta(minutes=5))
    return dag


def state(dag: DAG) -> dict[str, dict[str, Any]]:
    names = ("poke_interval", "grace_seconds", "settle_seconds", "callback_timeout", "timeout", "retry_delay")
    found = {}
    for task in dag.tasks:
        place: Any = getattr(task, "partial_kwargs", None) or vars(task)
        found[task.task_id] = {name: place[name] for name in names if name in place}
    return found


def test_a_dag_hurries_and_is_as_before_afterwards(dag: DAG) -> None:
    before = state(dag)
    with in_a_hurry(dag, {}):
        during = state(dag)
    assert state(dag) == before
    assert during["wait"]["poke_interval"] == 0.2
    assert during["wait"]["timeout"] == 900
    assert during["job"]["grace_seconds"] == 1.0
    assert during["after"] == {"retry_delay": timedelta(0)}
    assert during["mapped"]["settle_seconds"] == 1.0
    assert during["mapped"]["poke_interval"] == 0.2
    assert during["rows"]["poke_interval"] == 0.2
    assert "settle_seconds" not in during["rows"]
    assert "poke_interval" not in during["paced"] or "poke_interval" in before["paced"]


def test_values_of_a_test_win(dag: DAG) -> None:
    with in_a_hurry(dag, {"timeout": timedelta(seconds=2), "poke_interval": 7}):
        during = state(dag)
    assert (during["wait"]["timeout"], during["wait"]["poke_interval"]) == (2.0, 7)
    assert (during["mapped"]["timeout"], during["mapped"]["poke_interval"]) == (2.0, 7)
    assert "timeout" not in during["after"]


def test_a_parameter_that_no_wait_has_is_an_error_and_changes_nothing(dag: DAG) -> None:
    before = state(dag)
    with pytest.raises(AttributeError, match="timeuot"), in_a_hurry(dag, {"timeuot": 2}):
        pass
    assert state(dag) == before


def test_for_ever_is_longer_than_any_cap() -> None:
    assert shortened(dict.fromkeys(LONG, math.inf)).keys() == LONG.keys()
