"""What the XCom `progress` says of a job and of the wait for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.callback import parse_event
from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, from_json, learn
from airflow_trtc.jobs.verdict import Failed, Failure, Finished
from airflow_trtc.waiting.arguments import WaitArguments
from airflow_trtc.waiting.engine import Ending, TimedOut
from airflow_trtc.waiting.progress import MAX_PROBLEMS, MAX_SENTENCE, ShownWait, progress

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
JOB = JobRef("recording", 1400000001, "ap-guangzhou", "rid")
STEM = "1400000001_bGVzc29u__UserId_s_YW5uYQ..__UserId_e_"  # room "lesson", user "anna"
FILES = (
    RecordedFile("a.m3u8", "bob", "audio", media_id="main"),
    RecordedFile("b.m3u8", "bob", "video", media_id="aux"),
    RecordedFile(f"{STEM}main_video.m3u8"),
    RecordedFile(f"{STEM}aux_video.m3u8"),
    RecordedFile("1400000001_bGVzc29u.mp4"),
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def shown(state: JobState, ending: Ending | None = None, wait: ShownWait | None = None) -> dict[str, Any]:
    value = progress(state, JOB, wait or ShownWait(), ending)
    read: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    return read


def event(event_type: int, seconds: float = 0, **info: Any) -> dict[str, Any]:
    payload = info.pop("Payload", {})
    ms = round(at(seconds).timestamp() * 1000)
    return {
        "EventGroupId": 3,
        "EventType": event_type,
        "EventInfo": {"TaskId": "rid", "EventMsTs": ms, **info, "Payload": payload},
    }


def reported(*events: dict[str, Any]) -> JobState:
    state = JobState("rid")
    for number, each in enumerate(events):
        state = learn(state, parse_event(each), at(number))
    return state


def test_files_are_counted_by_track_and_user() -> None:
    value = shown(JobState("rid", files=FILES))
    assert value["tracks"] == {"audio": 1, "screen": 2, "video": 1, "other": 1}
    assert value["file_count"] == sum(value["tracks"].values()) == 5
    assert value["user_count"] == 2


@pytest.mark.parametrize(
    "state, room_id",
    [
        (JobState("rid"), None),
        (JobState("rid", files=FILES), "lesson"),
        (JobState("rid", files=(RecordedFile("1400000001_4711_audio.m3u8"),)), "4711"),
        (JobState("rid", files=(RecordedFile("1400000001_no=base64.mp4"),)), None),
        (reported(event(301, RoomId=4711, Payload={"Status": 0})), "4711"),
        (replace(reported(event(301, RoomId="hall")), files=FILES), "hall"),
    ],
)
def test_the_room_is_what_callbacks_say_or_files(state: JobState, room_id: str | None) -> None:
    assert shown(state)["room_id"] == room_id


def test_the_last_poll_is_the_last_that_was_answered() -> None:
    seen = learn(JobState("rid"), Snapshot("rid", "Idle"), at(1))
    gone = learn(seen, Absence("ResourceNotFound"), at(9))
    times = [shown(state)["last_polled_at"] for state in (JobState("rid"), seen, gone)]
    assert times == [None, at(1).isoformat(), at(9).isoformat()]


def test_problems_are_sentences_and_have_a_limit() -> None:
    state = reported(*(event(311, number, Payload={"Status": 1}) for number in range(3)))
    state = replace(state, stop_error="refused")
    value = shown(state, Failed(Failure.RECORDING, "it did not end well " * 100))
    assert value["problem_count"] == len(value["problems"]) > 2
    assert value["problems"][0].startswith("it did not end well")
    assert value["problems"][1] == "stop: refused"
    assert all(len(problem) <= MAX_SENTENCE for problem in value["problems"])


def test_of_many_problems_some_are_shown_and_all_are_counted() -> None:
    failed = (
        event(311, number, Payload={"Status": 1, "CacheFile": f"{number}.m3u8"}) for number in range(30)
    )
    value = shown(reported(*failed))
    assert (value["problem_count"], len(value["problems"])) == (30, MAX_PROBLEMS)


@pytest.mark.parametrize(
    "ending, outcome, state",
    [
        (None, None, "Exited"),
        (Finished("exited", (), START), "exited", "ended"),
        (Finished("never_seen", (), START), "never_seen", "Exited"),
        (Failed(Failure.REFUSED, "no"), "refused", "Exited"),
        (TimedOut("timeout"), "timeout", "Exited"),
    ],
)
def test_the_last_one_says_how_the_wait_ended(ending: Any, outcome: str | None, state: str) -> None:
    value = shown(JobState("rid", status="Exited"), ending)
    assert (value["outcome"], value["state"]) == (outcome, state)


def test_the_wait_says_what_its_user_wants() -> None:
    arguments = WaitArguments(
        kind="recording",
        job_id="rid",
        sdk_app_id=1,
        region="r",
        poke_interval=15.0,
        started_at=START.timestamp(),
        timeout_at=at(60).timestamp(),
        try_number=2,
        console_url="https://console",
    )
    value = shown(JobState("rid"), wait=arguments.shown)
    assert {name: value[name] for name in ("wait_for", "poke_interval", "try_number", "console_url")} == {
        "wait_for": "recording",
        "poke_interval": 15.0,
        "try_number": 2,
        "console_url": "https://console",
    }
    assert value["started_at"] == START.isoformat()
    assert value["limits"] == {"timeout": at(60).isoformat()}
    other = replace(arguments, kind="slicing", started_at=None, timeout_at=1e300)
    assert other.shown.wait_for is None
    assert shown(JobState("rid"), wait=other.shown)["limits"] == {"timeout": None}


def test_what_is_shown_is_the_memory_of_a_wait_without_a_journal() -> None:
    state = learn(JobState("rid", files=FILES), Snapshot("rid", "Idle"), at(1))
    assert from_json(shown(state), "rid") == replace(state, room_id="lesson")
