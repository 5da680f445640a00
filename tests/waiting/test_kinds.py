"""A wait for a job of each kind, with answers as the service gives them: every way in which it may end."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.jobs.answers import UnreadableAnswer, read_answer
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.verdict import Failed, Failure, Finished
from airflow_trtc.kinds import KINDS
from tests.waiting.simulation import REFUSED, THROTTLED, Scene

ID = "-gCT+x.."
SIMPLE = [name for name, kind in KINDS.items() if kind.judge is None and kind.describe_action]
kinds = pytest.mark.parametrize("name", SIMPLE)
drivers = pytest.mark.parametrize("driver", ["on_worker", "deferred"])

TASK_ID, APP = {"TaskId": ID}, 1400000001
# What a describe call answers while the job runs, once it has ended well, and badly; None: there is no such.
ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]] = {
    "slicing": ({**TASK_ID, "Status": "InProgress"}, {**TASK_ID, "Status": "Exited"}, None),
    "moderation": (
        {**TASK_ID, "Status": "InProgress", "SubscribeStreamUserIds": None},
        {**TASK_ID, "Status": "Exited"},
        None,
    ),
    "live_moderation": ({**TASK_ID, "Status": "InProgress"}, {**TASK_ID, "Status": "Exited"}, None),
    "transcription": (
        {**TASK_ID, "StartTime": 1772433534515, "Status": "InProgress"},
        {**TASK_ID, "StartTime": 1772433534515, "Status": "Exited"},
        None,
    ),
    "ai_transcription": (
        {**TASK_ID, "StartTime": "2025-04-24 16:17:56.931660", "Status": "InProgress", "SessionId": "s"},
        {**TASK_ID, "Status": "Stopped"},
        None,
    ),
    "ai_conversation": (
        {**TASK_ID, "Status": "Preparing", "SessionId": "s"}, {**TASK_ID, "Status": "Stopped"}, None
    ),
    "ingest": ({"Status": "InProgress"}, {"Status": "NotExist"}, None),
    "web_recording": ({"Status": 1, "RecordId": "lesson-7"}, None, None),
    "speech": (
        {"Status": "Processing"},
        {"Status": "Success", "AudioDownloadUrl": "https://a/b.mp3?sign=x", "TotalDurationMs": 4200},
        {"Status": "Failed"},
    ),
}  # fmt: skip
ABSENCE = {
    "slicing": "ResourceNotFound",
    "moderation": "ResourceNotFound",
    "live_moderation": "ResourceNotFound",
    "transcription": "ResourceNotFound",
}


def seen(kind: JobKind, answer: dict[str, Any]) -> Snapshot | Absence:
    return read_answer(kind, {**answer, "RequestId": "r-1"}, ID)


def absent(kind: JobKind) -> Snapshot | Absence:
    if kind.absent_statuses:
        return seen(kind, {"Status": "NotExist"})
    code = ABSENCE.get(kind.name, "FailedOperation.TaskNotExist")
    assert code in kind.absent_codes
    return Absence(code)


def scene(name: str, *polls: Any) -> Scene:
    kind = KINDS[name]
    read = [seen(kind, poll) if isinstance(poll, dict) else poll for poll in polls]
    return Scene(*read, job=JobRef(name, APP, "ap-guangzhou", ID), kind=kind)


@drivers
@kinds
def test_it_ends_well(name: str, driver: str) -> None:
    running, well, _ = ANSWERS[name]
    story = scene(name, running, running, running, well or absent(KINDS[name]))
    ending = getattr(story, driver)()
    assert isinstance(ending, Finished)
    assert ending.outcome == ("exited" if well is not None and name != "ingest" else "gone")
    assert story.wait is not None
    assert story.wait.state.polls >= 4


@drivers
@kinds
def test_it_is_gone(name: str, driver: str) -> None:
    running = ANSWERS[name][0]
    story = scene(name, *[running] * 4, absent(KINDS[name]))
    ending = getattr(story, driver)()
    if KINDS[name].ends_by_absence:
        assert isinstance(ending, Finished)
        assert ending.outcome == "gone"
    else:  # of speech nobody knows then whether there is any
        assert isinstance(ending, Failed)
        assert ending.failure is Failure.RECORDING
        assert "never said how it ended; the last status was Processing" in ending.reason


@drivers
@pytest.mark.parametrize("status", ["Failed", "Expired"])
def test_it_ends_badly(status: str, driver: str) -> None:
    story = scene("speech", {"Status": "Processing"}, {"Status": status})
    ending = getattr(story, driver)()
    assert ending == Failed(
        Failure.RECORDING, f"the text to speech failed: its status is {status}.\nId: {ID}"
    )


@drivers
@kinds
def test_an_unknown_status_only_waits(name: str, driver: str) -> None:
    running = ANSWERS[name][0]
    odd = {**running, "Status": 7 if name == "web_recording" else "Paused"}
    story = scene(name, running, *[odd] * 50, ANSWERS[name][1] or absent(KINDS[name]))
    assert isinstance(getattr(story, driver)(), Finished)
    assert len(story.polled_at) > 50
    assert any("Paused" in line or "-> 7" in line for line in story.lines)


@drivers
@kinds
def test_it_was_never_seen(name: str, driver: str) -> None:
    ending = getattr(scene(name, absent(KINDS[name])), driver)()
    assert isinstance(ending, Failed)
    assert ending.failure is Failure.NEVER_SEEN
    assert f"this {KINDS[name].label} for 30 s" in ending.reason
    finished = getattr(scene(name, absent(KINDS[name])), driver)(finish_if_never_seen=True)
    assert isinstance(finished, Finished)
    assert finished.outcome == "never_seen"


@drivers
@kinds
def test_throttling_only_prolongs_it(name: str, driver: str) -> None:
    running, well, _ = ANSWERS[name]
    story = scene(name, *[THROTTLED] * 5, running, *[THROTTLED] * 9, running, well or absent(KINDS[name]))
    assert isinstance(getattr(story, driver)(), Finished)


@drivers
@kinds
def test_refusals_fail_it(name: str, driver: str) -> None:
    ending = getattr(scene(name, ANSWERS[name][0], REFUSED), driver)()
    assert isinstance(ending, Failed)
    assert ending.failure is Failure.REFUSED


# -- answers ----------------------------------------------------------------------------------------------


def test_results_of_speech_are_kept_and_nothing_is_invented() -> None:
    done = read_answer(KINDS["speech"], ANSWERS["speech"][1] or {}, ID)
    assert isinstance(done, Snapshot)
    assert done.detail == {"AudioDownloadUrl": "https://a/b.mp3?sign=x", "TotalDurationMs": 4200}
    running = read_answer(KINDS["speech"], {"Status": "Processing", "AudioDownloadUrl": ""}, ID)
    assert isinstance(running, Snapshot)
    assert running.detail is None


@pytest.mark.parametrize(
    "name, key",
    [("web_recording", "RecordId"), ("ai_transcription", "SessionId"), ("ai_conversation", "SessionId")],
)
def test_a_job_may_be_named_by_what_it_was_given(name: str, key: str) -> None:
    kind, job_id = KINDS[name], f"{key}=lesson-7"
    assert kind.key_of(job_id) == "lesson-7"
    found = read_answer(kind, {"Status": 1, "TaskId": ID, key: "lesson-7"}, job_id)
    assert isinstance(found, Snapshot)
    assert (found.job_id, found.detail) == (job_id, {"TaskId": ID})
    with pytest.raises(UnreadableAnswer, match="another job"):
        read_answer(kind, {"Status": 1, "TaskId": ID, key: "lesson-8"}, job_id)


@pytest.mark.parametrize("job_id", [ID, "RecordId=", "a=b", "=x", "lesson-7"])
@kinds
def test_ids_of_the_service_are_no_names(name: str, job_id: str) -> None:
    assert KINDS[name].key_of(job_id) is None
    assert KINDS["slicing"].key_of("RecordId=x") is None


def test_labels_are_words_for_people() -> None:
    assert all("_" not in kind.label for kind in KINDS.values())
    assert KINDS["recording"].label == "recording"
