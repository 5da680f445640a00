"""Recordings on a cluster of which a component of each kind was killed in the middle, and one hung."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.cluster.story import CALLED_BACK, FILES, OWNERS, RECORDINGS, Story

pytestmark = pytest.mark.cluster


def test_every_run_and_every_task_ends_in_success(story: Story) -> None:
    assert len(story.runs) == 2 + (CALLED_BACK if story.has_callbacks else 0)
    assert {story.airflow.run_state(*run) for run in story.runs} == {"success"}
    assert {task["state"] for task in story.tasks()} == {"success"}


def test_tasks_received_exactly_the_files_that_were_recorded(story: Story) -> None:
    recorded = Counter(
        (file["recording_id"], file["FileName"], file["UserId"] or None, file["BeginTimeStamp"])
        for file in story.recorded()
    )
    received = Counter(
        (file["recording_id"], file["file_name"], file["user_id"], file["begin_timestamp_ms"])
        for file in story.received()
    )
    assert received == recorded
    waits = sum(RECORDINGS.values()) + (CALLED_BACK if story.has_callbacks else 0)
    assert recorded.total() == FILES * waits


def test_owners_keep_their_recordings_when_triggerers_are_killed_or_hang(story: Story) -> None:
    assert len(story.owned) == OWNERS
    assert set(story.bill_before_end["running"]) == story.owned
    lines = story.emulator.bill()["recordings"]
    assert {line["recording_id"]: line["end_reason"] for line in lines} == dict.fromkeys(story.owned, "ended")


def test_tasks_of_the_killed_worker_were_tried_again(story: Story) -> None:
    assert story.victims
    tries = {(task["task_id"], task["map_index"]): task["try_number"] for task in story.tasks()}
    for victim in story.victims:
        assert tries[victim["task_id"], victim["map_index"]] > victim["try_number"]


def test_tasks_ran_on_both_workers(story: Story) -> None:
    assert {task["hostname"] for task in story.tasks()} == {"worker", "worker-2"}


def test_both_triggerers_held_triggers(story: Story) -> None:
    assert story.trigger_holders == {"triggerer", "triggerer-2"}


def test_both_schedulers_queued_tasks(story: Story) -> None:
    assert story.queuing == {"scheduler", "scheduler-2"}


@pytest.mark.parametrize("name", ["api-server", "api-server-2"])
def test_both_api_servers_served_tasks(story: Story, name: str) -> None:
    assert "/execution/task-instances/" in story.airflow.component_log(name)


def test_a_component_is_not_taken_for_ready_by_the_heartbeats_of_another(story: Story) -> None:
    airflow, names = story.airflow, ("scheduler", "triggerer")
    for name in names:
        airflow.kill(name)
        killed = airflow._component(name)
        killed.started_at = time.time()  # as if it had been started, and were slow
        airflow._component(f"{name}-2").started_at = killed.started_at
    for name in names:
        airflow.wait_until_ready(f"{name}-2")
        assert not airflow._is_ready(name)
        airflow.start(name, wait=False)
    for name in names:
        airflow.wait_until_ready(name)
