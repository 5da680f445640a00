"""Waits for jobs of all kinds on a real Airflow: well, badly, throttled, unknown, never seen."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.emulator import Emulator
from tests.e2e.stage import MODES, Stage

pytestmark = pytest.mark.e2e

KINDS = (
    "slicing",
    "moderation",
    "live_moderation",
    "transcription",
    "ai_transcription",
    "ai_conversation",
    "ingest",
    "web_recording",
    "speech",
)


def add_jobs(emulator: Emulator) -> dict[str, str]:
    """Jobs whose ends nobody sees before they were seen to run: task id to job id."""
    odd: dict[str, Any] = {"steps": [{"Status": "Paused", "reads": 2}], "ends_after_reads": 4}
    throttled = emulator.add_job(kind="transcription", ends_after_reads=2)
    emulator.fault("throttle", job_id=throttled, count=2)
    return {
        "recording": emulator.add_recording(files=1, ends_after_reads=2),
        **{kind: emulator.add_job(kind=kind, ends_after_reads=2) for kind in KINDS},
        "badly": emulator.add_job(kind="speech", ends_after_reads=2, fails=True),
        "unknown_status": emulator.add_job(kind="ai_conversation", **odd),
        "never_seen": "no-such-job",
        "throttled": throttled,
    }


@pytest.mark.parametrize("mode", MODES)
def test_jobs_of_every_kind_are_waited_for(stage: Stage, mode: str) -> None:
    jobs = add_jobs(stage.emulator)
    wait = stage.start(f"kinds_{mode}", {"jobs": jobs})
    assert wait.end() == "failed"
    tasks = stage.airflow.task_instances(wait.dag_id, wait.run_id)
    bad = {"badly", "never_seen"}
    expected = {task_id: "failed" if task_id in bad else "success" for task_id in jobs}
    assert {task["task_id"]: task["state"] for task in tasks} == expected
    for task_id in jobs.keys() - bad:
        summary = wait.xcom("job", task_id=task_id)
        assert summary["job_id"] == jobs[task_id]
        assert summary["outcome"] == ("exited" if task_id == "speech" else "gone"), task_id
