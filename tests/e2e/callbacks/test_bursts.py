"""Hundreds of recordings end at once: each starts one run and ends its waits; nothing is lost or doubled."""

from __future__ import annotations

import random
import threading
import time

import pytest

from airflow_trtc.bounds import iso_time
from tests.e2e.callbacks.listening import Listening, facts

BUSY_APP = 1400000003  # see dags/listeners.py
FINISHED = "trtc://recordings/finished"
ENDS = (302, 305)
BURST_SECONDS = 5.0

pytestmark = pytest.mark.postgres


def test_each_recording_of_a_burst_starts_one_run_and_ends_its_wait(
    listening: Listening, burst_size: int, sensor_count: int
) -> None:
    # Files are made while tasks wait, so that only callbacks report them.
    waited = listening.record(sensor_count, files=3, file_every_seconds=15)
    run_id = listening.wait("wait_patient", waited)
    busy = listening.record(10, files=2, sdk_app_id=BUSY_APP)
    others = listening.record(burst_size - sensor_count - len(busy), files=1)
    listening.emulator.wait_for_callbacks(120)

    everything = shuffled([*waited, *busy, *others])
    listening.end_all(everything, BURST_SECONDS)
    counters = listening.emulator.wait_for_callbacks(180)
    assert counters["dropped"] == 0

    assert_each_started_one_run(listening, everything)
    assert listening.handed_on("wait_patient", run_id, len(waited)) == [
        listening.expected_files(recording_id) for recording_id in waited
    ]
    assert_tasks_saw(listening, busy)
    assert listening.missing() == []
    print(figures(listening, everything))


def test_a_burst_of_doubled_shuffled_and_lost_callbacks_comes_to_the_same(
    listening: Listening, burst_size: int, sensor_count: int
) -> None:
    listening.emulator.callback_trouble(loss=0.2, doubled=1.0, shuffle_seconds=3.0)
    try:
        waited = listening.record(sensor_count, files=2)
        others = listening.record(burst_size - sensor_count, files=1)
        run_id = listening.wait("wait_asking", waited)
        listening.emulator.wait_for_callbacks(180)
        listening.end_all(shuffled([*waited, *others]), BURST_SECONDS)
        counters = listening.emulator.wait_for_callbacks(240)
    finally:
        listening.emulator.callback_trouble()
    assert counters["dropped"] == 0

    # Waits that poll notice the end without callbacks too; the others need one that arrived.
    assert listening.handed_on("wait_asking", run_id, len(waited)) == [
        listening.expected_files(recording_id) for recording_id in waited
    ]
    assert_each_started_one_run(listening, waited)
    reported = [recording_id for recording_id in others if is_end_reported(listening, recording_id)]
    assert 0 < len(others) - len(reported) < len(others) / 4
    runs = listening.until_runs_ended("on_finished", reported)
    assert {len(found) for found in runs.values()} == {1}
    unreported = set(others) - set(reported)
    assert not any(listening.runs("on_finished", unreported).values())
    assert listening.missing() == []
    print(figures(listening, [*waited, *reported]))


def test_what_was_answered_outlives_killed_api_servers(listening: Listening) -> None:
    recording_ids = listening.record(200, files=1)
    listening.emulator.wait_for_callbacks(120)
    burst = threading.Thread(target=listening.end_all, args=(recording_ids, BURST_SECONDS))
    burst.start()
    time.sleep(BURST_SECONDS / 2)
    listening.airflow.kill("api-server")
    burst.join()
    assert listening.emulator.callbacks(ledger=False)["waiting"]
    assert listening.missing() == []

    listening.airflow.start("api-server")
    assert listening.emulator.wait_for_callbacks(180)["dropped"] == 0
    assert listening.missing() == []
    assert_each_started_one_run(listening, recording_ids)


def assert_each_started_one_run(listening: Listening, recording_ids: list[str]) -> None:
    """Each has one run, by one event that holds all its files."""
    runs = listening.until_runs_ended("on_finished", recording_ids)
    assert {len(found) for found in runs.values()} == {1}
    assert {run["state"] for found in runs.values() for run in found} == {"success"}
    for recording_id, events in listening.asset_events(FINISHED, recording_ids).items():
        (event,) = events
        extra = event["extra"]
        assert extra["recording"]["recording_id"] == recording_id
        assert extra["file_count"] == len(extra["files"])
        assert facts(extra["files"]) == listening.expected_files(recording_id)


def assert_tasks_saw(listening: Listening, recording_ids: list[str]) -> None:
    """Real tasks of the runs got the event and its data."""
    for recording_id, runs in listening.until_runs_ended("on_finished_of_one_app", recording_ids).items():
        (run,) = runs
        seen = listening.airflow.xcom("on_finished_of_one_app", run["dag_run_id"], "seen")
        assert seen["partition_key"] == recording_id
        assert seen["asset"] == f"{FINISHED}?sdk_app_id={BUSY_APP}"
        (extra,) = seen["extras"]
        assert facts(extra["files"]) == listening.expected_files(recording_id)


def figures(listening: Listening, recording_ids: list[str]) -> str:
    """How long it took, for people; nothing is decided by it."""
    truths = {recording_id: listening.truth(recording_id) for recording_id in recording_ids}
    attempts = [
        attempt for truth in truths.values() for each in truth["callbacks"] for attempt in each["attempts"]
    ]
    failures = sum(attempt["error"] is not None for attempt in attempts)

    def after_end(times: dict[str, str]) -> str:
        seconds = [_unix(time) - truths[recording_id]["ended_at"] for recording_id, time in times.items()]
        return span(seconds)

    runs = listening.runs("on_finished", recording_ids)
    events = listening.asset_events(FINISHED, recording_ids)
    return (
        f"{len(recording_ids)} recordings, {len(attempts)} callbacks sent, {failures} not answered with 200; "
        "seconds (median / p95 / longest): "
        f"callback -> answer {span([attempt['seconds'] for attempt in attempts])}, "
        f"end -> asset event {after_end({key: found[0]['timestamp'] for key, found in events.items()})}, "
        f"end -> run started {after_end({key: found[0]['start_date'] for key, found in runs.items()})}"
    )


def _unix(text: str) -> float:
    return iso_time(text).timestamp()


def span(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    chosen = (ordered[len(ordered) * part // 100] for part in (50, 95))
    return " / ".join(f"{value:.2f}" for value in (*chosen, ordered[-1]))


def is_end_reported(listening: Listening, recording_id: str) -> bool:
    ledger = listening.truth(recording_id)["callbacks"]
    return any(each["event_type"] in ENDS and each["delivered"] for each in ledger)


def shuffled(recording_ids: list[str]) -> list[str]:
    return random.Random(7).sample(recording_ids, len(recording_ids))
