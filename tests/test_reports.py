"""Waits for jobs on which callbacks report, in a DAG, with the real receiver: above all for relays."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc.emulator import Emulator
from airflow_trtc.sensors import TrtcJobSensor
from tests.test_sensors import MODES, Outcome

DAGS = Path(__file__).parent / "dags" / "reports.py"
A, B = "rtmp://push.example.com/live/key-of-a", "rtmp://push.example.com/live/key-of-b"
Wait = Callable[..., Outcome]
modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def wait(receiving_emulator: Emulator, run_dag: Callable[..., Any]) -> Wait:
    """Run one of the DAGs: ``wait(mode, kind, job_id, variant="plain")``."""

    def run(mode: str, kind: str, job_id: str, variant: str = "plain") -> Outcome:
        return Outcome(run_dag(DAGS, f"report_{kind}_{mode}_{variant}", {"job_id": job_id}))

    return run


def relay_info(job_id: str, url: str, status: int, *, message: str = "") -> dict[str, Any]:
    payload = {"Url": url, "Status": status, "ErrorCode": -1 if message else 0, "ErrorMsg": message}
    return {"RoomId": "8001", "RoomType": 0, "UserId": "agent", "TaskId": job_id, "Payload": payload}


@contextmanager
def meanwhile(*steps: Callable[[], object], after: float = 1.0, every: float = 0.05) -> Iterator[None]:
    """Let these happen one after the other while the block runs, the first after a second."""

    def play() -> None:
        time.sleep(after)
        for step in steps:
            step()
            time.sleep(every)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def relays(emulator: Emulator, job_id: str, *states: tuple[str, int]) -> list[Callable[[], object]]:
    """The callbacks of a relay, one after the other."""
    return [
        functools.partial(emulator.send_event, 4, 401, relay_info(job_id, url, status))
        for url, status in states
    ]


@modes
def test_a_relay_that_is_stopped_ends_well(mode: str, receiving_emulator: Emulator, wait: Wait) -> None:
    job_id = receiving_emulator.new_recording_id()
    for begin in relays(receiving_emulator, job_id, (A, 1), (A, 2), (B, 1), (B, 2)):
        begin()
    with meanwhile(*relays(receiving_emulator, job_id, (A, 5), (A, 0), (B, 5), (B, 0))):
        outcome = wait(mode, "relay", job_id)
    assert outcome.state() == "success"
    summary = outcome.xcom()
    assert (summary["kind"], summary["job_id"], summary["outcome"]) == ("relay", job_id, "callback")
    assert (summary["status"], summary["problems"], summary["polls"] >= 1) == (None, [], True)
    assert summary["ended_at"] is not None
    assert outcome.xcom("progress")["state"] == "ended"
    assert receiving_emulator.state(requests=True)["requests"] == []  # nothing can be polled
    log = outcome.run["wait"].log
    assert "reading its callbacks every" in log
    assert "key-of-a" not in log


@modes
def test_a_relay_that_fails_fails_the_task_and_keeps_the_key(
    mode: str, receiving_emulator: Emulator, wait: Wait
) -> None:
    job_id = receiving_emulator.new_recording_id()
    states = relays(receiving_emulator, job_id, (A, 1), (A, 2), (A, 3))
    failed = relay_info(job_id, A, 4, message=f"{A}: broken pipe")
    lost = [
        lambda: receiving_emulator.send_event(4, 401, failed),
        *relays(receiving_emulator, job_id, (A, 0)),
    ]
    with meanwhile(*states, *lost):
        outcome = wait(mode, "relay", job_id)
    assert outcome.state() == "failed"
    log = outcome.run["wait"].log
    assert "a relay failed: rtmp://push.example.com#" in log
    assert "broken pipe" in log
    assert "key-of-a" not in log


@modes
def test_a_relay_without_any_callback_fails_and_says_what_to_check(mode: str, wait: Wait) -> None:
    outcome = wait(mode, "relay", "no-such-relay", "impatient")
    assert outcome.state() == "failed"
    log = outcome.run["wait"].log
    assert "only callbacks report on a relay, and no callback at all came within 1.2 s" in log
    assert "send-callback" in log


def test_problems_that_are_allowed_are_listed(receiving_emulator: Emulator, wait: Wait) -> None:
    job_id = receiving_emulator.new_recording_id()
    for step in relays(receiving_emulator, job_id, (A, 1), (A, 4), (A, 0)):
        step()
    receiving_emulator.wait_for_callbacks()
    outcome = wait("deferrable", "relay", job_id, "lenient")
    assert outcome.state() == "success"
    assert [problem["kind"] for problem in outcome.xcom()["problems"]] == ["relay"]


@modes
def test_a_relay_that_goes_on_takes_too_long(mode: str, receiving_emulator: Emulator, wait: Wait) -> None:
    job_id = receiving_emulator.new_recording_id()
    for step in relays(receiving_emulator, job_id, (A, 1), (A, 2)):
        step()
    outcome = wait(mode, "relay", job_id, "short")
    assert outcome.state() == "failed"
    assert "AirflowSensorTimeout" in outcome.run["wait"].log


def test_a_relay_needs_an_airflow_that_can_receive_callbacks(
    wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_trtc.sensors.has_callbacks", lambda context: False)
    outcome = wait("poke", "relay", "j")
    assert outcome.state() == "failed"
    assert "The service cannot be asked about a relay" in outcome.run["wait"].log


# -- with the emulator's own relays and jobs -------------------------------------------------------------


@modes
@pytest.mark.parametrize(
    "statuses, state, words",
    [([1, 2, 5, 0], "success", "has ended (callback)"), ([1, 2, 3, 4, 0], "failed", "a relay failed")],
)
def test_a_relay_that_an_operator_started_is_waited_for(
    mode: str,
    statuses: list[int],
    state: str,
    words: str,
    receiving_emulator: Emulator,
    run_dag: Callable[..., Any],
) -> None:
    fates: list[Any] = [*statuses[:2], {"status": statuses[2], "after_seconds": 0.5}, *statuses[3:]]
    receiving_emulator.relay(url=A, statuses=fates)
    outcome = Outcome(run_dag(DAGS, f"relayed_{mode}", {"urls": A}))
    assert (outcome.state("start"), outcome.state()) == ("success", state)
    log = outcome.run["wait"].log
    assert words in log
    assert "key-of-a" not in log
    assert {each["Action"] for each in actions(receiving_emulator)} == {"StartPublishCdnStream"}


def actions(emulator: Emulator) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = emulator.state(requests=True)["requests"]
    return [{"Action": each["action"]} for each in requests]


@modes
@pytest.mark.parametrize(
    "kind, output", [("ai_transcription", "records"), ("slicing", "files"), ("moderation", "records")]
)
def test_a_job_that_lives_in_the_emulator_hands_on_all_that_it_made(
    mode: str, kind: str, output: str, receiving_emulator: Emulator, wait: Wait
) -> None:
    job_id = receiving_emulator.add_job(kind=kind, ends_after_seconds=2, outputs=3, output_every_seconds=0.3)
    outcome = wait(mode, kind, job_id)
    assert outcome.state() == "success"
    made = receiving_emulator.truth(job_id)["outputs"]
    assert len(made) > 0
    assert len(outcome.xcom()[output]) == len(made)


# -- what callbacks bring ------------------------------------------------------------------------------


def about(job_id: str, payload: dict[str, Any], **info: Any) -> dict[str, Any]:
    return {"RoomId": "8001", "RoomIdType": 0, "TaskId": job_id, "Payload": payload, **info}


@modes
def test_sentences_are_handed_on_once_each_and_in_order(
    mode: str, receiving_emulator: Emulator, wait: Wait
) -> None:
    emulator = receiving_emulator
    job_id = emulator.add_job("DescribeAITranscription", steps=[{"Status": "InProgress"}])
    now_ms = round(time.time() * 1000)

    def say(number: int) -> None:
        said = {"UserId": "anna", "Text": f"sentence {number}", "StartTimeMs": number, "RoundId": "r"}
        emulator.send_event(9, 903, about(job_id, said, EventMsTs=now_ms + number))

    for number in (1, 0):
        say(number)
    rest = [functools.partial(say, number) for number in (3, 2, 3, 4)]
    ended = about(job_id, {"LeaveCode": 0}, EventMsTs=now_ms + 9)
    with meanwhile(*rest, lambda: emulator.send_event(9, 902, ended)):
        outcome = wait(mode, "ai_transcription", job_id)
    assert outcome.state() == "success"
    summary = outcome.xcom()
    assert [record["text"] for record in summary["records"]] == [f"sentence {number}" for number in range(5)]
    assert {record["user_id"] for record in summary["records"]} == {"anna"}
    assert summary["records_left_out"] == 0
    assert summary["outcome"] == "callback"
    progress = outcome.xcom("progress")
    assert progress["record_count"] == 5
    assert "records" not in progress
    assert "sentence 0" not in outcome.run["wait"].log


def test_slices_are_handed_on_as_files(receiving_emulator: Emulator, wait: Wait) -> None:
    emulator = receiving_emulator
    job_id = emulator.add_job("DescribeCloudSliceTask", steps=[{"Status": "InProgress"}])
    name = "1400000001_8001_anna_20260121020226"
    for payload in (
        {"FileName": f"{name}.ogg", "StreamUserId": "anna"},
        {"Url": f"https://b.example/p/{job_id}/anna/images/{name}.png?sign=hunter2"},
    ):
        emulator.send_event(10, 1004, about(job_id, payload))
    emulator.send_event(10, 1002, about(job_id, {"LeaveCode": 99}))
    emulator.wait_for_callbacks()
    outcome = wait("deferrable", "slicing", job_id)
    files = outcome.xcom()["files"]
    assert [file["object_key"] for file in files] == [
        f"{job_id}/anna/audios/{name}.ogg",
        f"{job_id}/anna/images/{name}.png",
    ]
    assert {file["job_id"] for file in files} == {job_id}


def test_hits_are_handed_on_and_what_passed_is_not(receiving_emulator: Emulator, wait: Wait) -> None:
    emulator = receiving_emulator
    job_id = emulator.add_job("DescribeCloudModeration", steps=[{"Status": "InProgress"}])
    for suggest in (0, 1, 2):
        hit = {"MediaType": 2, "Suggest": suggest, "Label": "Ad", "Image": "https://b.example/1.png?sign=x"}
        emulator.send_event(11, 1104, about(job_id, hit, StreamerUserId="anna"))
    emulator.send_event(11, 1102, about(job_id, {"LeaveCode": 0}))
    emulator.wait_for_callbacks()
    records = wait("poke", "moderation", job_id).xcom()["records"]
    # In no order: they may be of the same millisecond.
    assert sorted((record["suggestion"], record["url"]) for record in records) == [
        ("block", "https://b.example/1.png"),
        ("review", "https://b.example/1.png"),
    ]


@modes
def test_a_web_page_s_files_are_handed_on(mode: str, receiving_emulator: Emulator, wait: Wait) -> None:
    emulator = receiving_emulator
    job_id = emulator.add_job("DescribeWebRecord", steps=[{"Status": 1}])
    vod = {"Status": 0, "TencentVod": {"CacheFile": "a.mp4", "FileId": "5", "VideoUrl": "http://v/a.mp4?t=1"}}

    def report(kind: int, payload: dict[str, Any]) -> Callable[[], object]:
        info = {"TaskId": job_id, "Payload": payload}
        return lambda: emulator.send_event(8, kind, info)

    with meanwhile(
        report(801, {"Status": 1}), report(804, {"Status": 1}), report(311, vod), report(312, {"Status": 0})
    ):
        outcome = wait(mode, "web_recording", job_id)
    (file,) = outcome.xcom()["files"]
    assert (file["vod_file_id"], file["vod_url"], file["format"]) == ("5", "http://v/a.mp4", "mp4")


@pytest.mark.parametrize(
    "arguments, words",
    [({"fail_on": ["nothing"]}, "fail_on"), ({"callback_timeout": -1}, "callback_timeout")],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrtcJobSensor(task_id="t", kind="relay", job_id="j", **arguments)
