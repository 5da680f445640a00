"""Processes of one machine on an account that takes little."""

from __future__ import annotations

import pytest

from tests.e2e.stage import Stage

pytestmark = pytest.mark.e2e

SENSORS = 15
POLLS = 5  # that find a recording running
ACTION = "DescribeCloudRecording"


def test_fifteen_sensors_in_reschedule_mode_at_a_request_a_second_are_hardly_throttled(stage: Stage) -> None:
    """Each poll is a process of its own; with a pace of its own for each, more than half were throttled."""
    emulator = stage.scarce_emulator
    recording_ids = [emulator.add_recording(files=1, ends_after_reads=POLLS) for _ in range(SENSORS)]
    wait = stage.start("scarce", {"recording_ids": recording_ids})
    assert wait.end(timeout=1800.0) == "success"
    tasks = stage.airflow.task_instances(wait.dag_id, wait.run_id)
    assert [task["state"] for task in tasks if task["task_id"] == "wait"] == ["success"] * SENSORS
    answers = emulator.state()["counters"][ACTION]
    count, throttled = sum(answers.values()), answers.get("RequestLimitExceeded", 0)
    assert count > SENSORS * POLLS
    assert throttled <= 0.02 * count, answers
