"""The robot that records."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_trtc.jobs.users import read_user_id
from airflow_trtc.recording.robot import robot_of

TASK: dict[str, Any] = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}


def test_a_task_of_a_run_has_one_robot_and_each_other_another() -> None:
    robots = {robot_of(**TASK)} | {
        robot_of(**{**TASK, **other})
        for other in (
            {"dag_id": "e"},
            {"run_id": "s"},
            {"task_id": "u"},
            {"map_index": 0},
            {"dag_id": "d", "run_id": "rt", "task_id": ""},
            {"dag_id": "dr", "run_id": ""},
        )
    }
    assert len(robots) == 7
    assert robot_of(**TASK) == robot_of(**TASK)
    assert all(re.fullmatch(r"airflow-rec-[a-z2-7]{20}", robot) for robot in robots)
    assert all(read_user_id("user_id", robot) == robot for robot in robots)


def test_the_robot_stays_the_same_from_version_to_version() -> None:
    """Or an upgrade between two tries would leave two recordings behind."""
    assert robot_of(**TASK) == "airflow-rec-k2bwo42taeuufgnwynop"


@pytest.mark.parametrize("wrong", ["x" * 33, "a b", "ü", True, 1.5, ["a"], "None"])
def test_no_robots(wrong: Any) -> None:
    with pytest.raises(ValueError, match="user_id"):
        read_user_id("user_id", wrong)


def test_a_robot_may_be_left_out() -> None:
    assert read_user_id("u", None) is read_user_id("u", "") is None
    assert read_user_id("u", 5) == "5"
