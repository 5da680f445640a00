"""Whole DAGs that wait for jobs of every kind at once, over the real SDK, in all modes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_trtc.emulator import Emulator
from airflow_trtc.emulator.natures import NATURES
from airflow_trtc.kinds import KINDS
from airflow_trtc.sensors import TrtcJobSensor
from airflow_trtc.testing import DagResult, TrtcAirflow

pytestmark = pytest.mark.dags

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}
modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def emulator(trtc_airflow: TrtcAirflow) -> Emulator:
    return trtc_airflow.emulator


numbers = itertools.count()


def waits(airflow: TrtcAirflow, mode: str, jobs: Mapping[str, tuple[str, str]], **options: Any) -> DagResult:
    """Run a DAG with a wait for each of these: task id to kind and id."""
    given = {"poke_interval": 0.2, "timeout": 600, "grace_seconds": 0.5, **MODES[mode], **options}
    # Airflow 3.1 looks tasks up in the first DAG of a name that a process has run.
    with DAG(f"waits_{mode}_{next(numbers)}", schedule=None) as dag:
        for task_id, (kind, job_id) in jobs.items():
            TrtcJobSensor(task_id=task_id, kind=kind, job_id=job_id, **given)
    return airflow.run(dag)


@modes
def test_jobs_of_every_kind_end_well(mode: str, emulator: Emulator, trtc_airflow: TrtcAirflow) -> None:
    jobs = {kind: (kind, emulator.add_job(kind=kind, ends_after_reads=3, key="lesson-7")) for kind in NATURES}
    jobs["by_record_id"] = ("web_recording", "RecordId=lesson-7")
    jobs["by_session_id"] = ("ai_transcription", "SessionId=lesson-7")
    # One task after the other: the two that are asked for by name must outlast those before them.
    for kind in ("web_recording", "ai_transcription"):
        emulator.add_job(kind=kind, ends_after_reads=3, key="lesson-7")
    run = waits(trtc_airflow, mode, jobs)
    assert {name: task.state for name, task in run.tasks.items()} == dict.fromkeys(jobs, "success")
    for name, (kind, job_id) in jobs.items():
        summary = run[name].value
        assert summary["kind"] == kind
        assert summary["job_id"] == job_id or "=" in job_id
        assert summary["outcome"] == ("exited" if kind == "speech" else "gone"), name
        assert run[name].xcoms["progress"]["status"] in ("InProgress", "1", "Success")
    known = emulator.state()["jobs"]
    for name in ("by_record_id", "by_session_id"):
        assert known[run[name].value["job_id"]]["key"] == "lesson-7"
    assert run["speech"].value["detail"]["AudioDownloadUrl"].startswith("https://")
    assert "emulated-signature" not in run["speech"].log + str(run["speech"].xcoms["progress"])


@modes
def test_a_name_that_comes_later_is_waited_for(
    mode: str, emulator: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    emulator.fault("error", action="DescribeWebRecord", code="FailedOperation.TaskNotExist", count=2)
    job_id = emulator.add_job(kind="web_recording", key="late", ends_after_reads=3)
    jobs = {"wait": ("web_recording", "RecordId=late")}
    task = waits(trtc_airflow, mode, jobs, grace_seconds=30)["wait"]
    assert task.state == "success"
    assert (task.value["outcome"], task.value["detail"]) == ("gone", {"TaskId": job_id})
    again = waits(trtc_airflow, mode, jobs)["wait"]  # nobody remembers what the name was once given to
    assert again.state == "failed"
    assert "has not known this web page recording" in again.log


@modes
def test_an_ending_that_is_shown_is_an_end(mode: str, emulator: Emulator, trtc_airflow: TrtcAirflow) -> None:
    ending = [kind for kind, nature in NATURES.items() if "Ending" in nature.statuses]
    options: dict[str, Any] = {"ends_after_reads": 2, "ending_seconds": 60}
    jobs = {kind: (kind, emulator.add_job(kind=kind, **options)) for kind in ending}
    run = waits(trtc_airflow, mode, jobs)
    for kind in ending:
        assert run[kind].state == "success"
        assert (run[kind].value["outcome"], run[kind].value["status"]) == (
            "exited",
            NATURES[kind].statuses["Ending"],
        )


@modes
def test_other_ends(mode: str, emulator: Emulator, trtc_airflow: TrtcAirflow) -> None:
    odd: dict[str, Any] = {"steps": [{"Status": "Paused", "reads": 4}], "ends_after_reads": 6}
    refused = emulator.add_job(kind="ingest")
    emulator.fault("error", job_id=refused, code="FailedOperation.QueryTaskInfoFailed")
    throttled = emulator.add_job(kind="transcription", ends_after_reads=3)
    emulator.fault("throttle", job_id=throttled, count=3)
    jobs = {
        "badly": ("speech", emulator.add_job(kind="speech", ends_after_reads=2, fails=True)),
        "lost": ("speech", emulator.add_job(
            kind="speech", steps=[{"reads": 2}, {"gone": True}], ends_after_seconds=600)),
        "unknown_status": ("ai_conversation", emulator.add_job(kind="ai_conversation", **odd)),
        "odd_number": ("web_recording", emulator.add_job(
            kind="web_recording", steps=[{"Status": 7, "reads": 3}], ends_after_reads=6)),
        "never_seen": ("slicing", "no-such-job"),
        "never_seen_without_error": ("ingest", "no-such-job"),
        "of_another_kind": ("moderation", emulator.add_job(kind="slicing")),
        "refused": ("ingest", refused),
        "throttled": ("transcription", throttled),
    }  # fmt: skip
    run = waits(trtc_airflow, mode, jobs)
    assert {name: run[name].state for name in jobs} == {
        "badly": "failed",
        "lost": "failed",
        "unknown_status": "success",
        "odd_number": "success",
        "never_seen": "failed",
        "never_seen_without_error": "failed",
        "of_another_kind": "failed",
        "refused": "failed",
        "throttled": "success",
    }
    assert "the text to speech failed: its status is Failed" in run["badly"].log
    assert "never said how it ended" in run["lost"].log
    assert (
        "status InProgress -> Paused" in run["unknown_status"].log
        or "status Paused" in run["unknown_status"].log
    )
    assert "the service has not known this cloud slicing for 0.5 s" in run["never_seen"].log
    assert "refused" in run["refused"].log


def test_a_wait_is_linked_to_its_job(emulator: Emulator, trtc_airflow: TrtcAirflow) -> None:
    job_id = emulator.add_job(kind="transcription", ends_after_reads=2)
    run = waits(trtc_airflow, "poke", {"wait": ("transcription", job_id)})
    assert run["wait"].xcoms["progress"]["console_url"] == emulator.page_url(job_id)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_waited_for(kind: str) -> None:
    assert TrtcJobSensor(task_id="t", kind=kind, job_id="j").kind == kind
