"""When the conversions of a recording are all there: streams, parts, and signs that more follow."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.observation import RecordedFile, Snapshot
from airflow_trtc.jobs.problem import FAIL_ON
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.jobs.verdict import Finished, Rules, Verdict, Waiting
from airflow_trtc.recording.judge import judge

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
START_MS = round(START.timestamp() * 1000)
HOUR = timedelta(hours=1)
USER = "1400000001_8001__UserId_s_dTE.__UserId_e"  # u1
MIXED = "1400000001_8001"


def event(kind: int, payload: dict[str, Any], at: float) -> Callback:
    info = {"TaskId": "rid", "EventMsTs": START_MS + round(at * 1000), "Payload": payload}
    return parse_event({"EventGroupId": 3, "EventType": kind, "EventInfo": info})


def converted(name: str, *, user: str = "", media: str | None = None, end: float | None = None) -> Callback:
    """A 310 that reports one file, a second after the recording's end at 100 s."""
    told: dict[str, Any] = {"FileName": name, "UserId": user, "MediaId": media}
    if end is not None:
        told["EndTimeStamp"] = START_MS + round(end * 1000)
    return event(310, {"Status": 0, "FileList": [name], "FileMessage": [told]}, 101)


def story(index: list[str], *callbacks: Callback, leave_code: int = 0, users: str | None = "u1") -> JobState:
    """A recording that lists these index files, ends at 100 s, and of which these callbacks come then."""
    files = tuple(RecordedFile(name, users) for name in index)
    state = learn(JobState("rid"), Snapshot("rid", "InProgress", files), START)
    for callback in (event(302, {"LeaveCode": leave_code}, 100), *callbacks):
        state = learn(state, callback, START + timedelta(seconds=101))
    return state


def verdict(state: JobState, after: float = 0.0, **rules: Any) -> Verdict:
    """The verdict that long after the last callback and the time to settle."""
    settled = timedelta(seconds=101 + Rules().settle_seconds + after)
    return judge(state, Rules(wait_for="mp4", **rules), START + settled)


def is_complete(state: JobState, after: float = 0.0, **rules: Any) -> bool:
    return isinstance(verdict(state, after, **rules), Finished)


def test_camera_and_screen_of_a_user_are_converted_each() -> None:
    index = [f"{USER}_main_audio.m3u8", f"{USER}_main_video.m3u8", f"{USER}_aux_video.m3u8"]
    main = converted(f"{USER}_main.mp4", user="u1", media="main")
    aux = converted(f"{USER}_aux.mp4", user="u1", media="aux")
    waiting = verdict(story(index, main), after=3000.0)
    assert isinstance(waiting, Waiting)
    assert "u1 (aux)" in waiting.reason
    end = verdict(story(index, main, aux))
    assert isinstance(end, Finished)
    assert {file.file_name for file in end.files} >= {f"{USER}_main.mp4", f"{USER}_aux.mp4"}
    assert is_complete(story(index[:2], main))


def test_users_and_media_are_read_from_names_where_callbacks_name_files_only() -> None:
    other = USER.replace("dTE.", "dTI.")
    index = [f"{USER}_main_1.m3u8", f"ha1_{other}_main_audio_2.m3u8"]
    only_names = [event(310, {"Status": 0, "FileList": [f"{stem}_main.mp4"]}, 101) for stem in (USER, other)]
    assert not is_complete(story(index, only_names[0], users=None), after=3000.0)
    assert is_complete(story(index, *only_names, users=None))


def test_a_conversion_that_names_no_medium_may_be_of_any() -> None:
    assert is_complete(story([f"{USER}_aux_video.m3u8"], converted("a.mp4", user="u1")))
    assert is_complete(story(["a.m3u8"], converted(f"{USER}_aux.mp4", user="u1", media="aux")))
    assert not is_complete(story(["a.m3u8"], converted(f"{USER}_aux.mp4", user="u2", media="aux")), 3000.0)


def test_a_picture_without_sound_has_no_aac() -> None:
    index = [f"{USER}_main_audio.m3u8", f"{USER}_aux_video.m3u8"]
    assert is_complete(story(index, converted(f"{USER}_main.aac", user="u1", media="main")))
    assert not is_complete(story(index, converted(f"{USER}_main.mp4", user="u1", media="main")), 3000.0)


@pytest.mark.parametrize("first", [f"{MIXED}_1.mp4", f"{MIXED}.mp4"])
def test_a_mixed_recording_that_is_cut_is_there_when_its_last_part_is(first: str) -> None:
    index = [f"{MIXED}.m3u8"]
    one = converted(first, media="mix", end=50)
    waiting = verdict(story(index, one, users=None), after=3000.0)
    assert isinstance(waiting, Waiting)
    assert "another part may follow" in waiting.reason
    two = converted(f"{MIXED}_2.mp4" if "_1" in first else f"{MIXED}_1.mp4", media="mix", end=99.5)
    end = verdict(story(index, one, two, users=None))
    assert isinstance(end, Finished)
    assert len(end.files) == 3


def test_a_part_that_only_seems_to_be_missing_fails_nothing() -> None:
    """The room may have been empty for the rest; nobody says so."""
    state = story([f"{MIXED}.m3u8"], converted(f"{MIXED}.mp4", media="mix", end=50), users=None)
    end = judge(state, Rules(wait_for="mp4"), START + timedelta(seconds=101) + HOUR)
    assert isinstance(end, Finished)
    assert end.problems == ()
    assert end.finished_at == START + timedelta(seconds=101)
    assert is_complete(state, callback_timeout_seconds=5.0)


@pytest.mark.parametrize("end, leave_code, complete", [(65.0, 0, True), (64.9, 0, False), (5.0, 99, True)])
def test_an_empty_room_ends_later_than_its_last_picture(end: float, leave_code: int, complete: bool) -> None:
    part = converted(f"{MIXED}.mp4", media="mix", end=end)
    assert is_complete(story([f"{MIXED}.m3u8"], part, leave_code=leave_code, users=None)) is complete
    cut = converted(f"{MIXED}_1.mp4", media="mix", end=end)
    is_whole = story([f"{MIXED}.m3u8"], cut, leave_code=leave_code, users=None)
    assert is_complete(is_whole) is (complete and end > 60)


def test_a_user_who_left_early_is_converted_but_parts_are_waited_for() -> None:
    index = [f"{USER}_main_audio.m3u8"]
    whole = converted(f"{USER}_main.mp4", user="u1", media="main", end=10)
    assert is_complete(story(index, whole))
    second = converted(f"{USER}_main_2.mp4", user="u1", media="main", end=100)
    waiting = verdict(story(index, second), after=3000.0)
    assert isinstance(waiting, Waiting)
    assert "part 1 of the conversion (310) of u1 (main) is missing" in waiting.reason
    first = converted(f"{USER}_main_1.mp4", user="u1", media="main", end=50)
    assert is_complete(story(index, second, first))
    assert not is_complete(story(index, first), after=3000.0)


def test_only_what_happens_at_the_end_is_compared_with_the_end() -> None:
    """A conversion takes its time."""
    state = learn(JobState("rid"), Snapshot("rid", "InProgress"), START)
    state = learn(state, converted(f"{MIXED}.mp4", media="mix", end=50), START + timedelta(seconds=101))
    assert is_complete(state)


def test_the_user_of_a_failed_conversion_is_not_waited_for_without_end() -> None:
    index = [f"{USER}_main_audio.m3u8", f"{USER}_aux_video.m3u8"]
    bad = event(310, {"Status": 2, "FileList": [f"{USER}_aux.mp4"]}, 101)
    state = story(index, converted(f"{USER}_main.mp4", user="u1", media="main"), bad)
    fail_on = FAIL_ON - {"mp4"}
    assert not is_complete(state, after=3000.0, fail_on=fail_on)
    end = verdict(state, after=3600.0, fail_on=fail_on)
    assert isinstance(end, Finished)
    assert [problem.kind for problem in end.problems] == ["mp4"]
