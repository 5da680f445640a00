"""Stories of a recording told by callbacks: any order, any repetition, any loss."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot
from airflow_trtc.jobs.problem import FAIL_ON, PROBLEM_KINDS
from airflow_trtc.jobs.state import JobState, combine, from_json, is_news, learn, to_json
from airflow_trtc.jobs.verdict import (
    Failed,
    Failure,
    Finished,
    Rules,
    Verdict,
    WaitFor,
    Waiting,
    describe_news,
)
from airflow_trtc.recording.judge import judge
from airflow_trtc.recording.milestones import output

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
START_MS = round(START.timestamp() * 1000)
RID = "-gCTFWtU+7t7DUlo."
GONE = Absence("ResourceNotFound")
MP4 = {"FileName": "a.mp4", "UserId": "a", "TrackType": "audio_video", "MediaId": "main"}
IN_VOD = {
    "UserId": "a",
    "TrackType": "audio_video",
    "MediaId": "main",
    "FileId": "5285890784",
    "VideoUrl": "http://vod.example/a.mp4?sign=secret",
    "CacheFile": "a.mp4",
    "StartTimeStamp": START_MS,
    "EndTimeStamp": START_MS + 3000,
}


def event(kind: int, payload: dict[str, Any] | None = None, *, at: float = 0.0, group: int = 3) -> Callback:
    """An event that happened `at` seconds after the start."""
    info = {"TaskId": RID, "RoomId": "r", "EventMsTs": START_MS + round(at * 1000), "Payload": payload or {}}
    return parse_event({"EventGroupId": group, "EventType": kind, "EventInfo": info})


def hear(*events: Callback, every: float = 0.1, state: JobState | None = None) -> JobState:
    """All events, received one after the other."""
    state = state or JobState(RID)
    for number, each in enumerate(events):
        state = learn(state, each, START + timedelta(seconds=number * every))
    return state


def verdict(
    state: JobState, wait_for: WaitFor = "recording", *, after: float = 3600.0 * 24, **rules: Any
) -> Verdict:
    return judge(state, Rules(wait_for=wait_for, **rules), START + timedelta(seconds=after))


def finished(state: JobState, wait_for: WaitFor = "recording", **options: Any) -> Finished:
    result = verdict(state, wait_for, **options)
    assert isinstance(result, Finished), result
    return result


def failed(state: JobState, wait_for: WaitFor = "recording", **options: Any) -> Failed:
    result = verdict(state, wait_for, **options)
    assert isinstance(result, Failed), result
    return result


def waiting(state: JobState, wait_for: WaitFor = "recording", **options: Any) -> Waiting:
    result = verdict(state, wait_for, **options)
    assert isinstance(result, Waiting), result
    return result


LIFE = (
    event(301, {"Status": 0}),
    event(303, {"Status": 0}, at=1),
    event(307, {"FileName": "a.m3u8", "UserId": "a", "TrackType": "audio", "BeginTimeStamp": START_MS}, at=2),
    event(304, {"FileList": "a.m3u8"}, at=3),
    event(302, {"LeaveCode": 0}, at=9),
    event(305, {"Status": 0}, at=10),
    event(310, {"Status": 0, "FileList": ["a.mp4"], "FileMessage": [MP4]}, at=12),
)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 99])
def test_a_recorder_that_left_ends_the_recording_whatever_polls_say(code: int) -> None:
    seen = learn(JobState(RID), Snapshot(RID, "InProgress"), START)
    end = finished(hear(event(302, {"LeaveCode": code}), state=seen))
    assert end.outcome == "callback"
    assert end.problems == ()


def test_a_poll_that_was_quicker_waits_for_the_callback_that_says_how_it_ended() -> None:
    state = learn(hear(LIFE[0]), Snapshot(RID, "InProgress"), START)
    state = learn(state, GONE, START + timedelta(seconds=60))
    soon = waiting(state, after=61.0)
    assert not soon.asks
    assert finished(state, after=60 + Rules().settle_seconds).outcome == "gone"
    exiting = learn(hear(LIFE[0]), Snapshot(RID, "Exited"), START + timedelta(seconds=55))
    exiting = learn(exiting, GONE, START + timedelta(seconds=60))
    assert not waiting(exiting, after=61.0).asks
    assert finished(exiting, after=60 + Rules().settle_seconds).outcome == "exited"
    state = learn(state, event(302, {"LeaveCode": 100}, at=60), START + timedelta(seconds=62))
    assert failed(state, after=62.0).failure is Failure.RECORDING


def test_a_start_that_failed_and_was_moved_has_not_failed() -> None:
    failed_start, moved = event(301, {"Status": 1}, at=0), event(306, {"Status": 0}, at=5)
    assert hear(failed_start).history.failed_start is not None
    assert hear(failed_start, moved).history.failed_start is None
    assert hear(failed_start, event(306, {"Status": 7}, at=5)).history.failed_start is None
    again = event(301, {"Status": 1}, at=9)
    assert hear(again, moved, failed_start).history.failed_start is not None


@pytest.mark.parametrize("kind", [301, 306])
@pytest.mark.parametrize("code", [0, 7, None])
def test_a_start_or_move_after_the_end_takes_it_back_whatever_its_code(kind: int, code: int | None) -> None:
    """Most codes are undocumented; polls still find the end."""
    state = hear(event(302, {"LeaveCode": 0}, at=60), event(kind, {"Status": code}, at=61))
    assert waiting(state, after=7200.0).asks


@pytest.mark.parametrize("code", [7, None, "x"])
def test_a_code_of_one_file_that_nobody_documented_completes_nothing(code: object) -> None:
    """Whatever is told of other files."""
    left = event(302, {"LeaveCode": 0}, at=1)
    odd, fine = event(310, {"Status": code}, at=2), event(310, {"Status": 0, "FileList": ["a.mp4"]}, at=3)
    assert "undocumented" in waiting(hear(left, odd, fine), wait_for="mp4", after=60.0).reason
    odd = event(311, {"Status": code, "TencentVod": {"CacheFile": "a.mp4"}}, at=2)
    ended = event(312, {"Status": 0}, at=3)
    assert "undocumented" in waiting(hear(left, odd, ended), wait_for="vod", after=60.0).reason
    arrived = event(311, {"Status": 0, "TencentVod": {"CacheFile": "a.mp4", "FileId": "1"}}, at=4)
    assert finished(hear(left, odd, ended, arrived), wait_for="vod", after=60.0).problems == ()


@pytest.mark.parametrize("code", [5, 98, 102, -1, None, "x"])
def test_a_leave_code_that_nobody_documented_ends_nothing(code: object) -> None:
    assert waiting(hear(event(302, {"LeaveCode": code}))).asks


def test_what_only_follows_an_end_proves_it_too() -> None:
    for proof in (LIFE[5], LIFE[6], event(312, {"Status": 0})):
        assert finished(hear(proof)).outcome == "callback"


def test_right_after_the_end_overtaken_callbacks_are_waited_for() -> None:
    state = hear(event(302, {"LeaveCode": 0}))
    soon = waiting(state, after=1.0)
    assert soon.until == START + timedelta(seconds=Rules().order_seconds)
    late = learn(state, LIFE[2], START + timedelta(seconds=1))
    assert [file.file_name for file in finished(late, after=2.0).files] == ["a.m3u8"]


def test_a_poll_that_finds_nothing_makes_the_reported_end_certain_at_once() -> None:
    state = learn(JobState(RID), Snapshot(RID, "InProgress"), START)
    state = learn(hear(event(302, {"LeaveCode": 0}), state=state), GONE, START)
    assert finished(state, after=0.0).outcome == "callback"


def test_the_last_start_decides_and_an_end_at_the_same_moment_counts() -> None:
    started, moved = event(301, {"Status": 0}), event(306, {"Status": 0}, at=10)
    left = event(302, {"LeaveCode": 0}, at=5)
    assert waiting(hear(started, left, moved)).asks
    assert finished(hear(started, moved, event(302, {"LeaveCode": 0}, at=10))).outcome == "callback"


def test_an_end_that_tells_whole_seconds_follows_the_start_of_the_same_second() -> None:
    started, left = event(301, {"Status": 0}, at=5.757), event(302, {"LeaveCode": 0}, at=5)
    assert finished(hear(started, left)).outcome == "callback"
    assert finished(hear(left, started)).outcome == "callback"
    assert waiting(hear(event(301, {"Status": 0}, at=6), left)).asks
    assert waiting(hear(started, event(302, {"LeaveCode": 0}, at=5.2))).asks  # it tells milliseconds
    moved = event(306, {"Status": 0}, at=5.9)  # perhaps because of this leaving
    assert waiting(hear(started, moved, left)).asks


def test_without_the_recorders_leaving_the_first_proof_says_when_it_ended() -> None:
    uploaded, converted = event(305, {"Status": 0}, at=10), event(310, {"Status": 0}, at=12)
    assert finished(hear(uploaded, converted, every=50.0)).finished_at == START
    assert finished(hear(converted, uploaded, every=50.0)).finished_at == START + timedelta(seconds=50)


def test_of_two_callbacks_of_one_moment_the_one_with_a_code_counts() -> None:
    state = hear(LIFE[4], event(305, {"Status": 0}, at=10), event(305, {}, at=10))
    assert finished(state, "upload").problems == ()


@pytest.mark.parametrize("kind", [306, 301])
def test_a_later_start_or_move_takes_an_end_back(kind: int) -> None:
    left = event(302, {"LeaveCode": 3}, at=5)
    assert waiting(hear(left, event(kind, {"Status": 0}, at=6)))
    assert waiting(hear(event(kind, {"Status": 0}, at=6), left))
    again = hear(left, event(kind, {"Status": 0}, at=6), event(302, {"LeaveCode": 0}, at=7))
    assert finished(again).outcome == "callback"


@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_order_and_repetition_change_nothing(chance: random.Random, times: int) -> None:
    shuffled = [each for each in LIFE for _ in range(times)]
    chance.shuffle(shuffled)
    expected, heard = hear(*LIFE), hear(*shuffled)
    assert {file.file_name: file for file in heard.files} == {file.file_name: file for file in expected.files}
    strip = [(s.type, s.code, s.detail, s.happened_at_ms) for s in heard.history.facts]
    assert strip == [(s.type, s.code, s.detail, s.happened_at_ms) for s in expected.history.facts]
    for wait_for in ("recording", "upload", "mp4"):
        assert finished(heard, wait_for).outcome == "callback"


@given(st.sets(st.integers(0, len(LIFE) - 1)))
def test_a_lost_callback_prolongs_a_wait_but_never_completes_it(lost: set[int]) -> None:
    state = hear(*(each for number, each in enumerate(LIFE) if number not in lost))
    proofs = {"recording": {4, 5, 6}, "upload": {5}, "mp4": {6}}
    for wait_for, any_of in proofs.items():
        result = verdict(state, wait_for, after=30.0)  # type: ignore[arg-type]
        assert isinstance(result, Finished) == bool(any_of - lost), (wait_for, result)


def test_joining_two_memories_is_hearing_everything() -> None:
    first, second = hear(*LIFE[:4]), hear(*LIFE[3:])
    assert combine(first, second).history.facts == combine(second, first).history.facts
    assert {f.file_name for f in combine(first, second).files} == {"a.m3u8", "a.mp4"}
    assert finished(combine(first, second), "mp4").outcome == "callback"


def test_everything_survives_json() -> None:
    state = hear(*LIFE, event(308, {"Code": "InvalidParameter", "Message": "AccessKey invalid"}, at=4))
    read = from_json(json.loads(json.dumps(to_json(state))), RID)
    assert read == state


@pytest.mark.parametrize("value", [None, 1, {}, [1], [{"type": "x"}], [{"type": 302, "happened_at_ms": 1}]])
def test_signs_that_cannot_be_read_are_left_out(value: object) -> None:
    assert from_json({**to_json(JobState(RID)), "history": value}, RID) == JobState(RID)


def test_a_repeated_callback_is_no_news() -> None:
    state = hear(*LIFE)
    again = learn(state, LIFE[4], START + timedelta(days=1))
    assert again == state
    assert not is_news(state, again)
    assert describe_news(state, again, LIFE[4]) == []


def test_callbacks_of_others_teach_nothing() -> None:
    other = parse_event(
        {"EventGroupId": 3, "EventType": 302, "EventInfo": {"TaskId": "other", "Payload": {}}}
    )
    assert learn(JobState(RID), other, START) == JobState(RID)


# -- files --------------------------------------------------------------------------------------------


def test_files_named_by_callbacks_join_those_that_were_listed() -> None:
    listed = RecordedFile("a.m3u8", "a", "audio", START_MS)
    state = learn(JobState(RID), Snapshot(RID, "InProgress", (listed,)), START)
    state = hear(*LIFE, state=state)
    index, mp4 = state.files
    assert index == listed
    assert (mp4.file_name, mp4.user_id, mp4.media_id, mp4.format) == ("a.mp4", "a", "main", "mp4")


def test_a_file_in_vod_tells_its_id_and_its_address_without_signature() -> None:
    (file,) = hear(event(311, {"Status": 0, "TencentVod": IN_VOD})).files
    assert (file.vod_file_id, file.vod_url) == ("5285890784", "http://vod.example/a.mp4")
    assert (file.begin_timestamp_ms, file.end_timestamp_ms) == (START_MS, START_MS + 3000)


def test_a_file_that_did_not_reach_vod_is_no_file() -> None:
    failed = {"Status": 2, "Errmsg": "no space", "TencentVod": {"CacheFile": "b.mp4", "UserId": "b"}}
    assert hear(event(311, failed)).files == ()


def test_a_conversion_that_failed_left_no_file() -> None:
    assert hear(event(310, {"Status": 2, "FileList": ["a.mp4"], "FileMessage": [MP4]})).files == ()


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"FileName": 5},
        {"FileName": None},
        {"FileName": ["a"]},
        {"FileList": {"a": 1}},
        {"FileMessage": "x", "FileList": [None, 3, ""]},
        {"TencentVod": "x", "Status": 0},
        {"TencentVod": {"VideoUrl": "http://[", "CacheFile": ""}, "Status": 0},
        {"Status": 10**30},
    ],
)
@pytest.mark.parametrize("kind", [302, 304, 307, 308, 309, 310, 311, 312, 399])
def test_odd_payloads_name_no_file_and_break_nothing(kind: int, payload: dict[str, Any]) -> None:
    state = hear(event(kind, payload))
    assert state.files == ()
    assert from_json(json.loads(json.dumps(to_json(state))), RID) == state


# -- what is made after the end -----------------------------------------------------------------------


def test_after_the_end_nobody_asks_any_more() -> None:
    state = hear(*LIFE[:5])
    pending = waiting(state, "upload", after=20.0)
    assert not pending.asks
    assert pending.until == START + timedelta(seconds=0.4 + Rules().callback_timeout_seconds)


@pytest.mark.parametrize("field", ["Status", "LeaveCode"])
def test_the_end_of_the_upload_has_two_spellings(field: str) -> None:
    assert finished(hear(LIFE[4], event(305, {field: 0}, at=10)), "upload").problems == ()


def test_lingering_files_are_waited_for_until_they_have_arrived() -> None:
    lingering = hear(LIFE[4], event(305, {"Status": 1}, at=10))
    assert "still" in waiting(lingering, "upload", after=60.0).reason
    recovered = hear(event(305, {"Status": 2}, at=90), state=lingering)
    assert finished(recovered, "upload").problems == ()
    assert failed(lingering, "upload").failure is Failure.RECORDING


def test_lingering_files_are_left_behind_when_asked_to() -> None:
    lingering = hear(LIFE[4], event(305, {"Status": 1}, at=10))
    end = finished(lingering, "upload", after=60.0, fail_on=FAIL_ON - {"lingering"})
    assert [problem.kind for problem in end.problems] == ["lingering"]


def test_a_missing_callback_fails_and_says_how_to_check_the_set_up() -> None:
    error = failed(hear(*LIFE[2:5]), "upload")
    assert error.failure is Failure.NO_CALLBACK
    for word in (RID, "305", "console", "send-callback", "callback_timeout", "if_no_callback", "302"):
        assert word in error.reason


def test_a_missing_callback_is_done_without_when_asked_to() -> None:
    end = finished(hear(*LIFE[:5]), "mp4", finish_if_no_callback=True)
    assert [problem.kind for problem in end.problems] == ["no_callback"]
    assert [file.file_name for file in end.files] == ["a.m3u8"]


@pytest.mark.parametrize("wait_for", ["upload", "mp4", "vod"])
def test_a_recording_of_an_empty_room_says_so(wait_for: WaitFor) -> None:
    state = learn(hear(LIFE[0], LIFE[4]), Snapshot(RID, "Idle"), START)
    error = failed(state, wait_for)
    assert error.failure is Failure.EMPTY
    for word in (RID, wait_for, "Nobody published", "301, 302", "finish_if_empty", "skip_if_empty"):
        assert word in error.reason
    end = finished(state, wait_for, finish_if_empty=True)
    assert (end.files, [problem.kind for problem in end.problems]) == ((), ["no_callback"])
    assert finished(state, wait_for, finish_if_no_callback=True).problems == end.problems
    assert waiting(state, wait_for, after=3600.0).until is not None


@pytest.mark.parametrize(
    "spoken",
    [LIFE[2], LIFE[3], event(305, {"Status": 1}), event(308, {"Code": "c"}), event(311, {"Status": 1})],
)
def test_a_recording_of_which_anything_speaks_of_files_is_not_empty(spoken: Callback) -> None:
    state = hear(LIFE[0], LIFE[4], spoken)
    error = failed(state, "mp4", fail_on=frozenset(), finish_if_empty=True)
    assert error.failure is Failure.NO_CALLBACK
    assert failed(gone(), "mp4").failure is Failure.NO_CALLBACK


def gone() -> JobState:
    """Seen, and no callback says that the recorder left."""
    return learn(learn(JobState(RID), Snapshot(RID, "Idle"), START), GONE, START + timedelta(seconds=60))


def test_without_any_callback_the_polled_end_is_where_the_time_out_begins() -> None:
    state = learn(JobState(RID), Snapshot(RID, "InProgress"), START)
    state = learn(state, GONE, START + timedelta(seconds=60))
    assert not waiting(state, "vod", after=600.0).asks
    assert failed(state, "vod", after=60 + 3600.0).failure is Failure.NO_CALLBACK


def test_conversions_come_one_by_one_and_every_user_gets_one() -> None:
    listed = tuple(RecordedFile(f"{user}.m3u8", user) for user in "ab")
    state = learn(JobState(RID), Snapshot(RID, "InProgress", listed), START)
    state = hear(*LIFE, state=state)
    assert "b" in waiting(state, "mp4", after=60.0).reason
    second = {**MP4, "FileName": "b.mp4", "UserId": "b"}
    state = hear(event(310, {"Status": 0, "FileMessage": [second]}, at=13), state=state)
    assert {file.file_name for file in finished(state, "mp4").files} >= {"a.mp4", "b.mp4"}


def test_after_a_conversion_there_may_be_another_one() -> None:
    state = hear(*LIFE)
    soon = waiting(state, "mp4", after=5.0)
    assert soon.until is not None
    assert not soon.asks
    assert finished(state, "mp4", after=0.6 + Rules().settle_seconds)
    late = learn(state, event(310, {"Status": 1}, at=13), START + timedelta(seconds=8))
    fail_on = FAIL_ON - {"lingering"}
    assert waiting(late, "mp4", after=17.9, fail_on=fail_on)
    assert finished(late, "mp4", after=18.0, fail_on=fail_on)


def test_the_end_of_the_upload_is_final_at_once() -> None:
    uploaded = learn(hear(LIFE[4]), LIFE[5], START + timedelta(seconds=60))
    assert finished(uploaded, "upload", after=60.0).finished_at == START + timedelta(seconds=60)


@pytest.mark.parametrize(
    "listed, converted, is_complete",
    [
        ([("a.m3u8", "a")], [("a.aac", "a")], True),
        ([("a.m3u8", "a")], [("a.ts", "a")], False),
        ([("a.m3u8", "a"), ("b.m3u8", "b")], [("a.mp4", "a")], False),
        ([("a.m3u8", "a"), ("b.m3u8", "b")], [("mix.mp4", None)], True),  # one of all users
        ([("mix.m3u8", None)], [("a.mp4", "a")], True),  # an index of nobody in particular
        ([("a.m3u8", "a"), ("b.ts", "b")], [("a.mp4", "a")], True),
    ],
)
def test_whose_conversions_are_waited_for(
    listed: list[tuple[str, str | None]], converted: list[tuple[str, str | None]], is_complete: bool
) -> None:
    snapshot = Snapshot(RID, "InProgress", tuple(RecordedFile(name, user) for name, user in listed))
    state = learn(JobState(RID), snapshot, START)
    files = [{"FileName": name, "UserId": user} for name, user in converted]
    state = hear(LIFE[4], event(310, {"Status": 0, "FileMessage": files}, at=12), state=state)
    assert isinstance(verdict(state, "mp4", after=60.0), Finished) is is_complete


def test_there_is_no_other_output() -> None:
    with pytest.raises(ValueError, match="no output is called 'gif'"):
        output(JobState(RID), Rules(wait_for="gif"))  # type: ignore[arg-type]


def test_the_end_of_the_transfer_may_overtake_its_files() -> None:
    state = hear(LIFE[4], event(312, {"Status": 0}, at=20))
    assert waiting(state, "vod", after=5.0).until is not None
    late = event(311, {"Status": 0, "TencentVod": IN_VOD}, at=19)
    state = learn(state, late, START + timedelta(seconds=6))
    assert [file.vod_file_id for file in finished(state, "vod").files] == ["5285890784"]
    assert waiting(state, "vod", after=15.9)
    assert finished(state, "vod", after=16.0)


@pytest.mark.parametrize("wait_for,kind", [("upload", 305), ("mp4", 310), ("vod", 312)])
def test_codes_that_nobody_documented_never_complete_anything(wait_for: WaitFor, kind: int) -> None:
    state = hear(LIFE[4], event(kind, {"Status": 7}, at=20))
    assert "undocumented" in waiting(state, wait_for, after=60.0).reason
    assert failed(state, wait_for).failure is Failure.NO_CALLBACK


# -- recordings that did not end well -----------------------------------------------------------------

BAD = {
    "start": [event(301, {"Status": 1})],
    "interrupted": [event(302, {"LeaveCode": 100}, at=9)],
    "upload": [LIFE[4], event(308, {"Code": "InvalidParameter", "Message": "AccessKey invalid"}, at=8)],
    "mp4": [*LIFE, event(310, {"Status": 2}, at=13)],
    "vod": [LIFE[4], event(311, {"Status": 2, "TencentVod": {"CacheFile": "b.mp4"}}, at=11)],
}


@pytest.mark.parametrize("kind", BAD)
def test_each_kind_of_bad_end_fails_and_the_user_may_allow_it(kind: str) -> None:
    state = hear(*BAD[kind])
    error = failed(state)
    assert error.failure is Failure.RECORDING
    assert kind in error.reason
    assert RID in error.reason
    end = finished(state, fail_on=FAIL_ON - {kind})
    assert kind in [problem.kind for problem in end.problems]


def test_the_other_interruption_and_the_other_failure_in_vod() -> None:
    assert failed(hear(event(302, {"LeaveCode": 101}))).failure is Failure.RECORDING
    assert failed(hear(LIFE[4], event(312, {"Status": 1}))).failure is Failure.RECORDING


def test_a_start_that_succeeded_later_is_no_problem() -> None:
    state = hear(event(301, {"Status": 1}), event(301, {"Status": 0}, at=2))
    assert waiting(state).asks


def test_a_file_that_reached_vod_after_all_is_no_problem() -> None:
    failing = event(311, {"Status": 2, "TencentVod": {"CacheFile": "a.mp4"}}, at=11)
    state = hear(LIFE[4], failing, event(311, {"Status": 0, "TencentVod": IN_VOD}, at=12))
    assert finished(state).problems == ()


def test_a_missing_image_fails_nothing_by_default() -> None:
    state = hear(LIFE[4], event(309, {"Url": "http://x.example/logo.png?sign=1"}, at=1))
    (problem,) = finished(state).problems
    assert problem.kind == "image"
    assert "sign=1" not in problem.message
    assert failed(state, fail_on=frozenset(PROBLEM_KINDS)).failure is Failure.RECORDING


def test_a_recording_that_only_callbacks_know_is_not_over() -> None:
    """As with a wrong region: the service does not know what callbacks report."""
    state = hear(LIFE[0])
    for seconds in (0, 60, 120):
        state = learn(state, GONE, START + timedelta(seconds=seconds))
    assert waiting(state, after=120.0).asks
    last = learn(state, event(304, {"FileList": "a.m3u8"}, at=200), START + timedelta(seconds=200))
    soon = waiting(learn(last, GONE, START + timedelta(seconds=200 + 3599)))
    assert soon.asks
    assert "callbacks report the recording" in soon.reason
    assert failed(learn(last, GONE, START + timedelta(seconds=200 + 3600))).failure is Failure.NEVER_SEEN
    state = learn(state, GONE, START + timedelta(hours=2))
    assert failed(state).failure is Failure.NEVER_SEEN


def test_a_web_recording_ends_too() -> None:
    assert finished(hear(event(802, {"Status": 1}, group=8))).outcome == "callback"
    assert waiting(hear(event(801, {"Status": 1}, group=8)))


def test_each_callback_starts_the_time_out_anew() -> None:
    left, late = event(302, {"LeaveCode": 0}), event(304, {"FileList": "a.m3u8"}, at=1)
    state = learn(hear(left), late, START + timedelta(seconds=1000))
    assert state.history.first_received_at == START
    assert state.history.last_received_at == START + timedelta(seconds=1000)
    assert waiting(state, "upload", after=1000 + 3599.0).until == START + timedelta(seconds=1000 + 3600)
    assert failed(state, "upload", after=1000 + 3600.0).failure is Failure.NO_CALLBACK
    assert JobState(RID).history.last_received_at is None


def test_without_any_callback_the_error_says_so() -> None:
    state = learn(
        learn(JobState(RID), Snapshot(RID, "InProgress"), START), GONE, START + timedelta(seconds=60)
    )
    assert "Callbacks received for this recording: none.\n" in failed(state, "vod").reason
