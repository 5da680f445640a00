"""What a user reads of a run."""

from __future__ import annotations

import pytest

from airflow_trtc.testing.results import DagResult, TaskResult, by_task


def instance(index: int, state: str = "success", **xcoms: object) -> TaskResult:
    return TaskResult("process", index, state, xcoms, f"log of {index}\n")


def test_a_task_that_is_not_mapped_is_its_own_result() -> None:
    one = TaskResult("wait", -1, "success", {"return_value": [1]}, "said\n")
    assert by_task([one]) == {"wait": one}
    assert one.value == [1]
    assert one.mapped == ()


def test_mapped_instances_come_together_in_order() -> None:
    process = by_task([instance(1, return_value="b"), instance(0, return_value="a", more=5)])["process"]
    assert [one.map_index for one in process.mapped] == [0, 1]
    assert process.state == "success"
    assert process.value == ["a", "b"]
    assert process.xcoms["more"] == [5, None]
    assert process.log == "log of 0\nlog of 1\n"


def test_instances_that_differ_have_several_states() -> None:
    assert by_task([instance(0), instance(1, "failed")])["process"].state == "several"


def test_values_of_instances_that_returned_nothing_are_none() -> None:
    assert by_task([instance(0), instance(1)])["process"].value == [None, None]
    assert TaskResult("t", -1, "success").value is None


def test_one_mapped_instance_is_still_mapped() -> None:
    assert len(by_task([instance(0, return_value="a")])["process"].mapped) == 1


def test_a_run_shows_its_states_and_the_logs_of_what_failed() -> None:
    run = DagResult("lessons", "r", "failed", by_task([instance(0), instance(1, "failed")]))
    assert str(run) == (
        "DAG lessons: failed\n  process[0]: success\n  process[1]: failed\n"
        "-- log of process[1] --\nlog of 1\n"
    )


def test_a_task_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="no task 'proces'; it has process"):
        DagResult("lessons", "r", "success", by_task([instance(0)]))["proces"]
