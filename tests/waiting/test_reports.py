"""Waits for other jobs than recordings, on which callbacks report.

Of relays nothing else is known; the others are polled too.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.verdict import Failed, Failure, Finished
from airflow_trtc.kinds import KINDS
from airflow_trtc.waiting.engine import Ending, TimedOut
from tests.waiting.simulation import JOB, Scene

A, B = "rtmp://push.example.com/live/a", "rtmp://push.example.com/live/b"
GONE = Absence("FailedOperation.TaskNotExist")


def a_job(kind: str, *polls: Any) -> Scene:
    job = JobRef(kind, JOB.sdk_app_id, JOB.region, JOB.job_id)
    return Scene(*polls, job=job, kind=KINDS[kind])


def a_relay(*states: tuple[float, str, int], fed: bool = True) -> Scene:
    """A relay whose addresses report these states at these seconds; a poll of it would be an error."""
    scene = a_job("relay")
    for at, url, status in states:
        payload = {"Url": url, "Status": status, "ErrorCode": 0, "ErrorMsg": ""}
        scene.at(at, functools.partial(scene.reported, 401, payload, fed=fed))
    return scene


def waited(scene: Scene, mode: str, **options: Any) -> Ending | None:
    return scene.deferred(**options) if mode == "deferrable" else scene.on_worker(interval=20, **options)


modes = pytest.mark.parametrize("mode", ["deferrable", "worker"])


@modes
def test_a_relay_that_was_stopped_ends_well(mode: str) -> None:
    scene = a_relay((1, A, 1), (6, A, 2), (100, A, 5), (101, A, 0))
    end = waited(scene, mode)
    assert isinstance(end, Finished)
    assert (end.outcome, end.problems) == ("callback", ())
    assert 111 <= scene.clock.seconds <= 135
    assert scene.polled_at == []


@modes
@pytest.mark.parametrize(
    "states, words",
    [
        ([1, 2, 3, 4, 0], "a relay failed: rtmp://push.example.com#"),
        ([1, 2, 3, 4], "a relay failed"),
        ([1, 4, 0], "a relay failed"),
        ([1, 2, 3, 0], "a relay was over while it tried to connect again"),
        ([1, 0], "a relay was over before it ran"),
        ([0], "nothing says how it ended"),
    ],
)
def test_a_relay_that_broke_off_ends_badly(mode: str, states: list[int], words: str) -> None:
    end = waited(a_relay(*((5.0 * number, A, state) for number, state in enumerate(states, 1))), mode)
    assert isinstance(end, Failed)
    assert end.failure is Failure.RECORDING
    assert words in end.reason
    assert "leave relay out of fail_on" in end.reason
    assert "/live/a" not in end.reason


def test_a_relay_whose_failures_are_allowed_finishes_and_says_so() -> None:
    scene = a_relay((1, A, 1), (2, A, 4), (3, A, 0))
    end = scene.deferred(fail_on=frozenset())
    assert isinstance(end, Finished)
    assert [problem.kind for problem in end.problems] == ["relay"]


def test_a_glitch_is_no_end() -> None:
    scene = a_relay((1, A, 1), (6, A, 2), (100, A, 3), (140, A, 2))
    assert scene.deferred(limits={"timeout": 5000}) == TimedOut("timeout")


@modes
def test_every_address_has_to_be_over(mode: str) -> None:
    begun = [(1, A, 1), (1, B, 1), (2, A, 2), (2, B, 2)]
    scene = a_relay(*begun, (50, A, 5), (51, A, 0), (900, B, 5), (901, B, 0))
    assert isinstance(waited(scene, mode), Finished)
    assert scene.clock.seconds >= 901
    failed = waited(a_relay(*begun, (50, A, 3), (90, A, 4), (91, A, 0), (900, B, 5), (901, B, 0)), mode)
    assert isinstance(failed, Failed)


def test_a_relay_that_gets_another_address_goes_on() -> None:
    """For a moment each address that it has is over."""
    scene = a_relay(
        (1, A, 1), (2, A, 2), (50, A, 5), (51, A, 0), (56, B, 1), (57, B, 2), (90, B, 5), (91, B, 0)
    )
    assert isinstance(scene.deferred(), Finished)
    assert scene.clock.seconds == pytest.approx(101, abs=0.1)


def test_what_is_overtaken_is_sorted_by_when_it_happened() -> None:
    scene = a_job("relay")
    for at, status, ago in ((5, 2, 0.0), (5.1, 1, 4.0), (60, 0, 0.0), (60.5, 5, 1.0)):
        payload = {"Url": A, "Status": status}
        scene.at(at, functools.partial(scene.reported, 401, payload, ago=ago))
    end = scene.deferred()
    assert isinstance(end, Finished)
    assert end.problems == ()


@modes
def test_without_any_callback_the_wait_fails_and_says_what_to_check(mode: str) -> None:
    scene = a_relay()
    end = waited(scene, mode, callback_timeout_seconds=600.0)
    assert isinstance(end, Failed)
    assert end.failure is Failure.NO_CALLBACK
    assert "no callback at all came within 600 s" in end.reason
    assert "console" in end.reason
    assert 600 <= scene.clock.seconds <= 660


def test_the_limit_counts_from_the_begin_of_the_wait_and_not_of_a_leg() -> None:
    scene = a_relay()
    end = scene.deferred(began_at=-500.0, callback_timeout_seconds=600.0)
    assert isinstance(end, Failed)
    assert scene.clock.seconds == pytest.approx(100, abs=5)


def test_where_the_next_callback_has_to_come_soon_it_is_missed() -> None:
    scene = a_relay((1, A, 1), (2, A, 2), (50, A, 3))
    end = scene.deferred(callback_timeout_seconds=600.0)
    assert isinstance(end, Failed)
    assert end.failure is Failure.NO_CALLBACK
    assert "no further callback came" in end.reason
    assert scene.clock.seconds == pytest.approx(650, abs=61)


def test_a_missing_callback_is_not_believed_while_the_journal_cannot_be_read() -> None:
    scene = a_relay()
    scene.store.is_broken = True

    def mend() -> None:
        scene.store.is_broken = False
        scene.reported(401, {"Url": A, "Status": 2}, ago=1900, fed=False)

    scene.at(2000, mend)
    assert scene.deferred(callback_timeout_seconds=600.0, limits={"timeout": 9000}) == TimedOut("timeout")


def test_callbacks_that_only_the_journal_has_are_found_at_the_wait_s_turn() -> None:
    scene = a_relay((1, A, 1), (6, A, 2), (100, A, 5), (101, A, 0), fed=False)
    assert isinstance(scene.deferred(interval=30.0), Finished)
    assert scene.clock.seconds <= 140


def test_a_relay_is_stopped_by_the_clock_without_a_poll() -> None:
    scene = a_relay((1, A, 1), (6, A, 2), (61, A, 5), (62, A, 0))
    assert isinstance(scene.deferred(stop_at=60.0), Finished)
    assert (scene.stopped_at, scene.polled_at) == ([60.0], [])


# -- jobs that polls know too --------------------------------------------------------------------------


def seen(status: str) -> Snapshot:
    return Snapshot(JOB.job_id, status)


@pytest.mark.parametrize(
    "kind, end, payload",
    [
        ("slicing", 1002, {"LeaveCode": 0}),
        ("moderation", 1102, {"LeaveCode": 99}),
        ("live_moderation", 1105, {"Status": 0}),
        ("ai_transcription", 902, {"LeaveCode": 0}),
        ("ai_conversation", 902, {"LeaveCode": 2}),
        ("ingest", 702, {"Status": 0}),
        ("web_recording", 801, {"Status": 5}),
        ("web_recording", 802, {"Status": 1}),
        ("web_recording", 804, {"Status": 2}),
        ("web_recording", 312, {"Status": 0}),
    ],
)
def test_a_callback_proves_the_end_of_any_kind(kind: str, end: int, payload: dict[str, Any]) -> None:
    scene = a_job(kind, seen("InProgress"))
    scene.at(100, lambda: scene.reported(end, payload))
    ending = scene.deferred(interval=3000.0)
    assert isinstance(ending, Finished)
    assert ending.outcome == "callback"
    assert scene.clock.seconds == pytest.approx(110, abs=0.1)


@pytest.mark.parametrize(
    "kind, end, payload, words",
    [
        ("slicing", 1002, {"LeaveCode": 100}, "the robot lost it"),
        ("moderation", 1102, {"LeaveCode": 101}, "id entered again"),
        ("ai_conversation", 902, {"LeaveCode": 98}, "internal error"),
    ],
)
def test_it_proves_a_bad_end_too(kind: str, end: int, payload: dict[str, Any], words: str) -> None:
    scene = a_job(kind, seen("InProgress"))
    scene.at(100, lambda: scene.reported(end, payload))
    failed = scene.deferred()
    assert isinstance(failed, Failed)
    assert words in failed.reason


@pytest.mark.parametrize(
    "kind, start, payload",
    [
        ("slicing", 1001, {"Status": 1}),
        ("ai_transcription", 901, {"Status": 1}),
        ("transcription", 1401, {"Status": 1}),
        ("web_recording", 801, {"Status": 2}),
        ("ingest", 701, {"Status": 2}),
    ],
)
def test_a_start_that_failed_fails_the_wait_once_polls_agree(
    kind: str, start: int, payload: dict[str, Any]
) -> None:
    scene = a_job(kind, seen("InProgress"), seen("InProgress"), GONE)
    scene.at(5, lambda: scene.reported(start, payload))
    failed = scene.deferred(interval=20.0)
    assert isinstance(failed, Failed)
    assert failed.failure is Failure.RECORDING
    running = a_job(kind, seen("InProgress"))
    running.at(5, lambda: running.reported(start, payload))
    assert running.deferred(limits={"timeout": 3000}) == TimedOut("timeout")


def test_an_ingest_that_fails_first_and_then_starts_ends_well() -> None:
    scene = a_job("ingest", seen("InProgress"), seen("InProgress"), GONE)
    for at, status in ((1, 1), (2, 2), (4, 0)):
        scene.at(at, functools.partial(scene.reported, 701, {"Status": status}))
    end = scene.deferred(interval=60.0)
    assert isinstance(end, Finished)
    assert (end.outcome, end.problems) == ("gone", ())


def test_what_comes_after_the_end_is_handed_on() -> None:
    scene = a_job("web_recording", seen("1"))
    scene.at(10, lambda: scene.reported(802, {"Status": 1}))
    for at, name in ((14, "a.mp4"), (21, "b.mp4")):
        vod = {"Status": 0, "TencentVod": {"CacheFile": name, "FileId": name[0]}}
        scene.at(at, functools.partial(scene.reported, 311, vod))
    end = scene.deferred(interval=600.0, settle_seconds=10.0)
    assert isinstance(end, Finished)
    assert [file.file_name for file in end.files] == ["a.mp4", "b.mp4"]
    assert scene.clock.seconds == pytest.approx(31, abs=0.1)


@modes
def test_slices_and_sentences_survive_what_a_wait_forgets(mode: str) -> None:
    """They are in the journal; another leg of the wait, which heard nothing itself, has them all the same."""
    scene = a_job("ai_transcription", seen("InProgress"))
    for number in range(3):
        said = {"UserId": "u", "Text": f"sentence {number}", "StartTimeMs": number}
        scene.at(number, functools.partial(scene.reported, 903, said))
    scene.at(10, lambda: scene.reported(902, {"LeaveCode": 0}))
    assert isinstance(waited(scene, mode), Finished)
    again = a_job("ai_transcription", seen("InProgress"))
    again.store = scene.store
    again.clock.seconds = 100.0
    again.has_gap = True
    assert isinstance(again.deferred(is_recalled=False), Finished)
    for each in (scene, again):
        assert each.wait is not None
        assert [record.text for record in each.wait.state.records.kept] == [
            "sentence 0",
            "sentence 1",
            "sentence 2",
        ]
