"""The table of the vendor's events: what each type and code means, row by row."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs import events
from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.events import EVENTS, Event, Fault, row
from airflow_trtc.jobs.history import CallbackFact, files_of
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.problem import PROBLEM_KINDS, Problem
from airflow_trtc.jobs.problems import problems_of
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, from_json, learn, to_json
from airflow_trtc.jobs.verdict import Failed, Finished, Rules, Verdict, WaitFor, Waiting, describe_news
from airflow_trtc.kinds import KINDS, kind_of_group
from airflow_trtc.recording.judge import judge
from airflow_trtc.results import file_results

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
START_MS = round(START.timestamp() * 1000)
ARRIVED = {"Status": 0, "FileId": "1", "CacheFile": "a"}


def event(kind: int, payload: Any = None, *, at: float = 0.0, group: int | None = None) -> Callback:
    """An event that happened `at` seconds after the start."""
    info = {"TaskId": "rid", "EventMsTs": START_MS + round(at * 1000)}
    info |= (payload or {}) if kind // 100 == 7 else {"Payload": payload or {}}
    return parse_event({"EventGroupId": group or kind // 100, "EventType": kind, "EventInfo": info})


def learnt(*callbacks: Callback) -> JobState:
    state = JobState("rid")
    for number, callback in enumerate(callbacks):
        state = learn(state, callback, START + timedelta(seconds=number))
    return state


def fact_of(callback: Callback) -> CallbackFact:
    (fact,) = learnt(callback).history.facts
    return fact


# -- codes ------------------------------------------------------------------------------------------

# type, field, code, its meaning, does it prove an end, does the job run
CODES: list[tuple[int, str, int, str, bool, bool]] = [
    (301, "Status", 0, "started", False, True),
    (301, "Status", 1, "failed", False, False),
    (302, "LeaveCode", 0, "stopped by the API", True, False),
    (302, "LeaveCode", 1, "the customer removed the recorder", True, False),
    (302, "LeaveCode", 2, "the customer dismissed the room", True, False),
    (302, "LeaveCode", 3, "the server removed the recorder", True, False),
    (302, "LeaveCode", 4, "the server dismissed the room", True, False),
    (302, "LeaveCode", 99, "no stream for MaxIdleTime", True, False),
    (302, "LeaveCode", 100, "the room timed out", True, False),
    (302, "LeaveCode", 101, "the recorder's id entered again", True, False),
    (303, "Status", 0, "started", False, False),
    (303, "Status", 1, "failed", False, False),
    (305, "Status", 0, "all files uploaded", True, False),
    (305, "Status", 1, "some files linger", True, False),
    (305, "Status", 2, "lingering files recovered", True, False),
    (306, "Status", 0, "done", False, True),
    (310, "Status", 0, "all files uploaded", True, False),
    (310, "Status", 1, "some files linger", True, False),
    (310, "Status", 2, "failed", True, False),
    (311, "Status", 0, "arrived", False, False),
    (311, "Status", 1, "lingers", False, False),
    (311, "Status", 2, "failed", False, False),
    (312, "Status", 0, "ended", True, False),
    (312, "Status", 1, "ended abnormally", True, False),
    (801, "Status", 1, "started", False, True),
    (801, "Status", 2, "failed to start", False, False),
    (801, "Status", 3, "interrupted, resumes by itself", False, True),
    (801, "Status", 4, "moved", False, True),
    (801, "Status", 5, "stopped for good", True, False),
    (802, "Status", 1, "ended", True, False),
    (803, "Status", 1, "page refreshed", False, False),
    (803, "Status", 2, "paused", False, False),
    (803, "Status", 3, "resumed", False, False),
    (804, "Status", 1, "maximum duration reached", True, False),
    (804, "Status", 2, "video larger than 1920x1080", True, False),
    (401, "Status", 0, "over", True, False),
    (401, "Status", 1, "connecting", False, False),
    (401, "Status", 2, "running", False, False),
    (401, "Status", 3, "connecting again", False, False),
    (401, "Status", 4, "failed", True, False),
    (401, "Status", 5, "disconnecting", False, False),
    (701, "Status", 0, "started", False, True),
    (701, "Status", 1, "failed", False, False),
    (701, "Status", 2, "trying again", False, False),
    (702, "Status", 0, "ended", True, False),
    (901, "Status", 0, "started", False, True),
    (901, "Status", 1, "failed", False, False),
    *[
        (each, "LeaveCode", code, words, True, False)
        for each in (902, 1402)
        for code, words in {
            0: "stopped by the API",
            1: "the customer removed the robot",
            2: "the customer dismissed the room",
            3: "the server removed the robot",
            4: "the server dismissed the room",
            98: "internal error",
            99: "no stream for MaxIdleTime",
        }.items()
    ],
    *[
        (each, "LeaveCode", code, words, True, False)
        for each in (1002, 1102)
        for code, words in {
            0: "stopped by the API",
            1: "the customer removed the robot",
            2: "the customer dismissed the room",
            3: "the server removed the robot",
            4: "the server dismissed the room",
            99: "no stream for MaxIdleTime",
            100: "the room timed out",
            101: "the robot's id entered again",
        }.items()
    ],
    (1001, "Status", 0, "started", False, True),
    (1001, "Status", 1, "failed", False, False),
    (1003, "Status", 0, "started", False, False),
    (1003, "Status", 1, "failed", False, False),
    (1005, "Status", 0, "ended", True, False),
    (1101, "Status", 0, "started", False, True),
    (1101, "Status", 1, "failed", False, False),
    (1103, "Status", 0, "started", False, False),
    (1105, "Status", 0, "ended", True, False),
    (1401, "Status", 0, "started", False, True),
    (1401, "Status", 1, "failed", False, False),
]  # fmt: skip
NAMES = {
    301: "recorder start",
    302: "recorder exit",
    303: "upload start",
    304: "index file in the bucket",
    305: "upload end",
    306: "move to another machine",
    307: "index file begun",
    308: "upload error",
    309: "image error",
    310: "conversion",
    311: "file into VOD",
    312: "transfer into VOD",
    801: "web page recording",
    802: "web page recording end",
    803: "web page recording status",
    804: "web page recording limit",
    401: "relay",
    701: "ingest start",
    702: "ingest end",
    901: "AI task start",
    902: "AI task end",
    903: "sentence",
    904: "speech start",
    905: "AI speech end",
    906: "AI metric",
    908: "AI error",
    909: "AI session",
    1001: "slicing start",
    1002: "slicing exit",
    1003: "slicing upload start",
    1004: "slice",
    1005: "slicing upload end",
    1006: "slicing upload error",
    1101: "moderation start",
    1102: "moderation exit",
    1103: "moderation sending start",
    1104: "moderation result",
    1105: "moderation sending end",
    1106: "moderation error",
    1401: "transcription start",
    1402: "transcription end",
    1403: "transcription sentence",
}
ROOMS = {  # name, field of the code, meanings of the codes
    101: ("room created", None, {}),
    102: ("room dismissed", None, {}),
    103: (
        "user entered",
        "Reason",
        {1: "normally", 2: "the network was switched", 3: "after a timeout", 4: "from another room"},
    ),
    104: (
        "user left",
        "Reason",
        {
            1: "normally",
            2: "timed out",
            3: "removed",
            4: "the connection of rooms ended",
            5: "the process was killed",
        },
    ),
    105: ("role changed", "Role", {20: "anchor", 21: "audience"}),
    201: ("video started", None, {}),
    202: ("video stopped", "Reason", {}),
    203: ("audio started", None, {}),
    204: ("audio stopped", "Reason", {}),
    205: ("substream started", None, {}),
    206: ("substream stopped", "Reason", {}),
}
# An end of each family that is older than what a test is about.
ENDS = {3: 302, 4: 401, 7: 702, 8: 802, 9: 902, 10: 1002, 11: 1102, 14: 1402}
WITHOUT_CODE = {304, 307, 308, 309, 903, 904, 905, 906, 908, 909, 1004, 1006, 1104, 1106, 1403}
ERRORS = {308, 309, 1006, 1106}  # these have no code: they are problems themselves


def left_earlier(kind: int) -> list[Callback]:
    end = ENDS.get(kind // 100)
    code = 1 if end == 802 else 0
    return [event(end, {"LeaveCode": code, "Status": code}, at=-60)] if end is not None else []


def test_the_table_has_these_rows_and_codes_and_no_others() -> None:
    assert {kind: row.name for kind, row in EVENTS.items()} == {
        **NAMES,
        **{kind: name for kind, (name, *_) in ROOMS.items()},
    }
    of_rooms = {(kind, code) for kind, (_, _, codes) in ROOMS.items() for code in codes}
    assert {(kind, code) for kind, row in EVENTS.items() for code in row.codes} == of_rooms | {
        (kind, code) for kind, _, code, *_ in CODES
    }
    assert {kind for kind, row in EVENTS.items() if row.type != kind} == set()


@pytest.mark.parametrize("kind", ROOMS)
def test_events_of_rooms_are_about_no_job_and_say_what_happened(kind: int) -> None:
    _, field, codes = ROOMS[kind]
    documented = row(kind)
    assert documented.codes == codes
    assert documented.code_fields == (() if field is None else (field,))
    assert documented.groups == {kind // 100}
    callback = parse_event({"EventGroupId": kind // 100, "EventType": kind, "EventInfo": {"TaskId": "rid"}})
    assert callback.family is None
    assert learnt(callback) == JobState("rid")


def test_no_two_types_share_a_name_and_each_can_be_written_in_code() -> None:
    assert len({documented.name for documented in EVENTS.values()}) == len(EVENTS)
    assert {named.type for named in events.NAMED.values()} == set(EVENTS)
    assert all(slug.isidentifier() and slug.islower() for slug in events.NAMED)
    assert events.NAMED["room_dismissed"].type == 102
    assert events.NAMED["file_into_vod"].type == 311


def test_each_kind_of_job_has_events_of_its_own_family_only() -> None:
    """Kinds that share a group share the rows of the journal, or callbacks would not find their job."""
    for kind in KINDS.values():
        job = JobRef(kind.name, 1, None, "j")
        assert {events.FAMILIES[group] for group in kind.groups} <= {job.family}
    reported = {group for kind in KINDS.values() for group in kind.groups}
    assert reported == set(events.FAMILIES)
    first = {group: kind_of_group(group) for group in (1, 3, 8, 9, 11)}
    names = {group: kind and kind.name for group, kind in first.items()}
    assert names == {1: None, 3: "recording", 8: "web_recording", 9: "ai_transcription", 11: "moderation"}


@pytest.mark.parametrize("kind, field, code, meaning, ends, starts", CODES)
@pytest.mark.parametrize("as_text", [False, True])
def test_each_code_is_read_and_means_what_is_documented(
    kind: int, field: str, code: int, meaning: str, ends: bool, starts: bool, as_text: bool
) -> None:
    callback = event(kind, {field: str(code) if as_text else code})
    fact = fact_of(callback)
    assert (fact.type, fact.code, fact.detail, fact.message) == (kind, code, "", "")
    assert (fact.happened_at_ms, fact.happened_at, fact.received_at) == (START_MS, START, START)
    assert fact.is_documented
    assert (learnt(callback).history.end is not None) == ends
    if earlier := left_earlier(kind):
        assert (learnt(*earlier, callback).history.end is None) == (starts or (kind == 401 and not ends))
    line = f"{NAMES[kind]}: {meaning} (callback {kind}, {field} {code})"
    assert describe_news(JobState("rid"), learnt(callback), callback)[0] == line


@pytest.mark.parametrize("kind", [*NAMES, 399, 899, 1099, 1404])
@pytest.mark.parametrize("code", [-1, 7, 97, 102, None, "x", 0.5, True, 10**30])
def test_an_undocumented_code_ends_nothing_and_is_no_problem(kind: int, code: object) -> None:
    state = learnt(event(kind, {"Status": code, "LeaveCode": code}))
    assert state.history.end is None
    assert state.history.failed_start is None
    if kind not in ERRORS:
        assert problems_of(state) == ()
    (fact,) = state.history.facts
    is_number = type(code) is int and code < 2**63
    assert fact.code == (code if is_number and kind not in WITHOUT_CODE else None)
    assert not fact.is_documented
    is_start = kind in (301, 306, 701, 801, 901, 1001, 1101, 1401) or (kind == 401 and fact.code is not None)
    if earlier := left_earlier(kind):
        assert (learnt(*earlier, event(kind, {"Status": code})).history.end is None) == is_start


def test_the_code_may_stand_in_two_places_of_two_events() -> None:
    assert fact_of(event(302, {"Status": 3})).code == 3
    assert fact_of(event(302, {"Status": 3, "LeaveCode": 2})).code == 2
    assert fact_of(event(305, {"LeaveCode": 2})).code == 2
    assert fact_of(event(305, {"LeaveCode": 2, "Status": 1})).code == 1
    assert fact_of(event(301, {"LeaveCode": 1})).code is None


@pytest.mark.parametrize(
    "kind, payload, line",
    [
        (302, {"LeaveCode": 55}, "recorder exit: undocumented code (callback 302, LeaveCode 55)"),
        (302, {}, "recorder exit (callback 302)"),
        (309, {"Url": "http://x"}, "image error (callback 309)"),
        (399, {"Status": 1}, "undocumented event: undocumented code (callback 399, Status 1)"),
        (399, {}, "undocumented event (callback 399)"),
    ],
)
def test_the_log_says_what_happened_first(kind: int, payload: dict[str, Any], line: str) -> None:
    callback = event(kind, payload)
    assert describe_news(JobState("rid"), learnt(callback), callback) == [line]


@pytest.mark.parametrize("group", [1, 2, 4, 5, 7, 9, 10, 11, 14])
def test_events_in_groups_of_other_families_are_no_facts(group: int) -> None:
    callback = event(302, {"LeaveCode": 0, "FileName": "a", "FileList": "b"}, group=group)
    assert learnt(callback) == JobState("rid")


@pytest.mark.parametrize("kind", [401, 701, 902, 903, 1004, 1104, 1401])
def test_nor_are_events_of_other_families_in_the_group_of_recordings(kind: int) -> None:
    payload = {"Status": 0, "LeaveCode": 0, "Text": "said", "FileName": "u/audios/a.ogg", "Suggest": 2}
    assert learnt(event(kind, payload, group=3)) == JobState("rid")


def test_the_default_of_a_row_is_an_undocumented_type() -> None:
    unknown = row(399)
    assert unknown == Event(type=399)
    assert (unknown.codes, unknown.ends, unknown.faults, unknown.file_names) == ({}, frozenset(), {}, None)
    assert unknown.label(3) == "399, Status 3"
    assert unknown.label(None) == "399"


# -- what else a fact holds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, payload, detail, message",
    [
        (308, {"Code": "InvalidParameter", "Message": "bad key"}, "InvalidParameter", "bad key"),
        (308, {"Code": 403}, "403", ""),
        (308, {"Code": "a?b#c"}, "a?b#c", ""),  # only addresses lose such parts
        (308, {"Message": "m", "Status": 1, "Errmsg": "e"}, "", "m"),
        (309, {"Url": "http://h/logo.png?sign=secret#x", "Message": "m"}, "http://h/logo.png", ""),
        (309, {"Url": "//h/logo.png?sign=secret"}, "//h/logo.png", ""),
        (309, {"Url": "http://["}, "", ""),
        (311, {"Status": 0, "TencentVod": {"CacheFile": "a.mp4"}, "Errmsg": "e"}, "", "e"),
        (311, {"Status": 1, "TencentVod": {"CacheFile": "a.mp4"}}, "a.mp4", ""),
        (311, {"Status": 2, "TencentVod": {"CacheFile": "a.mp4"}, "Errmsg": "no space"}, "a.mp4", "no space"),
        (311, {"Status": 2, "CacheFile": "a.mp4", "Errmsg": "no space"}, "a.mp4", "no space"),
        (311, {"Status": 2, "TencentVod": "x"}, "", ""),
        (310, {"Status": 1, "FileList": ["a.mp4"], "CacheFile": "a.mp4", "Code": "c"}, "", ""),
        (312, {"Status": 1, "Errmsg": "e", "Message": "m", "Url": "u"}, "", ""),
    ],
)  # fmt: skip
def test_the_detail_and_the_words_of_a_fact(
    kind: int, payload: dict[str, Any], detail: str, message: str
) -> None:
    fact = fact_of(event(kind, payload))
    assert (fact.detail, fact.message) == (detail, message)


def test_long_texts_of_a_fact_are_cut() -> None:
    fact = fact_of(event(308, {"Code": "c" * 999, "Message": "m" * 999}))
    assert (len(fact.detail), len(fact.message)) == (300, 300)


def test_a_file_with_a_long_name_arrives_in_vod_too() -> None:
    name = "n" * 500 + ".mp4"
    failed = event(311, {"Status": 2, "TencentVod": {"CacheFile": name}})
    arrived = event(311, {"Status": 0, "TencentVod": {"CacheFile": name, "FileId": "1"}}, at=1)
    assert problems_of(learnt(failed, arrived)) == ()
    assert learnt(arrived).files[0].file_name == name


def test_an_event_without_time_happened_when_it_was_received() -> None:
    callback = replace(event(302, {"LeaveCode": 0}), happened_at_ms=None)
    received_at = START + timedelta(milliseconds=1234)
    (fact,) = learn(JobState("rid"), callback, received_at).history.facts
    assert fact.happened_at == received_at


def test_the_first_odd_facts_are_kept_and_all_documented_ones() -> None:
    """Signed or not, ten thousand codes must not make a row of megabytes."""
    state = JobState("rid")
    for number in range(250):
        state = learn(state, event(302, {"LeaveCode": 1000 + number}, at=number), START)
    for number in range(50):
        state = learn(state, event(308, {"Code": f"c{number}"}, at=1000 + number), START)
    state = learn(state, event(302, {"LeaveCode": 0}, at=2000), START)
    state = learn(state, event(304, {"FileList": "a.m3u8"}, at=2001), START)
    kept = [fact.code for fact in state.history.facts]
    assert kept == [*range(1000, 1200), 0, None]
    assert state.history.end is not None


# -- problems -----------------------------------------------------------------------------------------

NOT_READ = "a conversion failed (perhaps the service could not read the index files from the bucket)"
ROBOT_LOST = "the robot left early: the room timed out or the robot lost it"
ROBOT_REPLACED = "the robot left early: the robot's id entered again"
PROBLEMS: list[tuple[int, dict[str, Any], str, str]] = [
    (301, {"Status": 1}, "start", "the recorder did not start (301, Status 1)"),
    (
        302,
        {"LeaveCode": 100},
        "interrupted",
        "the recorder left early: the room timed out or the recorder lost it (302, LeaveCode 100)",
    ),
    (
        302,
        {"LeaveCode": 101},
        "interrupted",
        "the recorder left early: the recorder's id entered again (302, LeaveCode 101)",
    ),
    (303, {"Status": 1}, "upload", "the upload could not be set up (303, Status 1)"),
    (
        305,
        {"Status": 1},
        "lingering",
        "some index files are still on the service's machines or backup storage (305, Status 1)",
    ),
    (308, {"Code": "Bad", "Message": "no"}, "upload", "the upload failed: Bad: no (308)"),
    (308, {}, "upload", "the upload failed (308)"),
    (309, {"Url": "http://x"}, "image", "an image could not be fetched: http://x (309)"),
    (310, {"Status": 1}, "lingering", "some converted files are still on their way (310, Status 1)"),
    (310, {"Status": 2}, "mp4", f"{NOT_READ} (310, Status 2)"),
    (
        311,
        {"Status": 1, "TencentVod": {"CacheFile": "a.mp4"}},
        "lingering",
        "a file is still on its way into VOD: a.mp4 (311, Status 1)",
    ),
    (
        311,
        {"Status": 2, "Errmsg": "no space", "TencentVod": {"CacheFile": "a.mp4"}},
        "vod",
        "a file did not get into VOD: a.mp4: no space (311, Status 2)",
    ),
    (312, {"Status": 1}, "vod", "the transfer into VOD ended abnormally (312, Status 1)"),
    (801, {"Status": 2}, "start", "the recording of the web page did not start (801, Status 2)"),
    (401, {"Status": 0}, "relay", "a relay is over, and nothing says how it ended (401, Status 0)"),
    (
        401,
        {"Status": 4, "Url": "rtmp://h/live/key", "ErrorMsg": "refused"},
        "relay",
        "a relay failed: rtmp://h#1a5ea5588d65: refused (401, Status 4)",
    ),
    (701, {"Status": 1}, "start", "the stream could not be pulled (701, Status 1)"),
    (
        701,
        {"Status": 2},
        "start",
        "the stream could not be pulled, and no new try succeeded (701, Status 2)",
    ),
    (901, {"Status": 1}, "start", "the AI task did not start (901, Status 1)"),
    (
        902,
        {"LeaveCode": 98},
        "interrupted",
        "an internal error of the service broke it off; start it anew (902, LeaveCode 98)",
    ),
    (
        1402,
        {"LeaveCode": 98},
        "interrupted",
        "an internal error of the service broke it off; start it anew (1402, LeaveCode 98)",
    ),
    (1001, {"Status": 1}, "start", "the slicing did not start (1001, Status 1)"),
    (1002, {"LeaveCode": 100}, "interrupted", f"{ROBOT_LOST} (1002, LeaveCode 100)"),
    (1002, {"LeaveCode": 101}, "interrupted", f"{ROBOT_REPLACED} (1002, LeaveCode 101)"),
    (1003, {"Status": 1}, "upload", "the upload of slices could not be set up (1003, Status 1)"),
    (1006, {"Code": 403, "Message": "no"}, "upload", "a slice could not be uploaded: 403: no (1006)"),
    (1101, {"Status": 1}, "start", "the moderation did not start (1101, Status 1)"),
    (1102, {"LeaveCode": 100}, "interrupted", f"{ROBOT_LOST} (1102, LeaveCode 100)"),
    (1102, {"LeaveCode": 101}, "interrupted", f"{ROBOT_REPLACED} (1102, LeaveCode 101)"),
    (
        1106,
        {"Code": 10002, "Message": "BadRequest"},
        "upload",
        "what was moderated could not be stored: 10002: BadRequest (1106)",
    ),
    (1401, {"Status": 1}, "start", "the transcription did not start (1401, Status 1)"),
]


@pytest.mark.parametrize("kind, payload, problem, message", PROBLEMS)
def test_each_code_that_is_a_problem(kind: int, payload: dict[str, Any], problem: str, message: str) -> None:
    assert problems_of(learnt(event(kind, payload))) == (Problem(problem, message),)
    assert problem in PROBLEM_KINDS


def test_no_other_code_is_a_problem() -> None:
    bad = {(kind, payload.get("Status", payload.get("LeaveCode"))) for kind, payload, *_ in PROBLEMS}
    for kind, field, code, *_ in CODES:
        assert bool(problems_of(learnt(event(kind, {field: code})))) == ((kind, code) in bad)


@pytest.mark.parametrize(
    "kind, bad, mended",
    [
        (301, {"Status": 1}, event(301, {"Status": 0}, at=1)),
        (301, {"Status": 1}, event(306, {"Status": 0}, at=1)),
        (301, {"Status": 1}, event(302, {"LeaveCode": 0}, at=1)),
        (302, {"LeaveCode": 100}, event(302, {"LeaveCode": 0}, at=1)),
        (302, {"LeaveCode": 100}, event(301, {"Status": 0}, at=1)),
        (303, {"Status": 1}, event(303, {"Status": 0}, at=1)),
        (303, {"Status": 1}, event(305, {"Status": 0}, at=-1)),
        (305, {"Status": 1}, event(305, {"Status": 2}, at=1)),
        (308, {"Code": "c"}, event(305, {"Status": 0}, at=-1)),
        (308, {"Code": "c"}, event(305, {"Status": 2}, at=1)),
        (310, {"Status": 1}, event(310, {"Status": 0}, at=1)),
        (311, {"Status": 1, "TencentVod": {"CacheFile": "a"}}, event(311, ARRIVED)),
        (312, {"Status": 1}, event(312, {"Status": 0}, at=1)),
        (801, {"Status": 2}, event(801, {"Status": 1}, at=1)),
    ],
)  # fmt: skip
def test_what_a_later_event_mends_is_no_problem(kind: int, bad: dict[str, Any], mended: Callback) -> None:
    first = event(kind, bad)
    assert len(problems_of(learnt(first))) == 1
    assert problems_of(learnt(first, mended)) == ()
    assert problems_of(learnt(mended, first)) == ()


@pytest.mark.parametrize(
    "kind, bad, other",
    [
        (303, {"Status": 1}, event(305, {"Status": 7}, at=1)),
        (308, {"Code": "c"}, event(305, {"Status": 7}, at=1)),
        (308, {"Code": "c"}, event(303, {"Status": 0}, at=1)),
        (309, {"Url": "u"}, event(305, {"Status": 0}, at=1)),
        (310, {"Status": 2}, event(310, {"Status": 0}, at=1)),
        (311, {"Status": 2, "TencentVod": {"CacheFile": "a"}}, event(311, {**ARRIVED, "CacheFile": "b"})),
        (305, {"Status": 1}, event(305, {"Status": 2}, at=-1)),
        (301, {"Status": 1}, event(301, {"Status": 0}, at=-1)),
        (310, {"Status": 1}, event(305, {"Status": 0}, at=1)),
    ],
)  # fmt: skip
def test_what_no_other_event_mends_stays_a_problem(kind: int, bad: dict[str, Any], other: Callback) -> None:
    first = event(kind, bad)
    assert problems_of(learnt(first, other)) == problems_of(learnt(first)) != ()


def test_each_upload_error_and_each_file_is_a_problem_of_its_own() -> None:
    errors = [event(308, {"Code": code}, at=at) for at, code in enumerate("ab")]
    assert [problem.message for problem in problems_of(learnt(*errors))] == [
        "the upload failed: a (308)",
        "the upload failed: b (308)",
    ]
    lost = [event(311, {"Status": 2, "TencentVod": {"CacheFile": name}}, at=1) for name in "ab"]
    assert len(problems_of(learnt(*lost))) == 2


def test_an_upload_that_left_files_behind_says_only_that() -> None:
    state = learnt(event(303, {"Status": 1}), event(308, {"Code": "c"}), event(305, {"Status": 1}, at=1))
    assert [problem.kind for problem in problems_of(state)] == ["lingering"]


# -- files --------------------------------------------------------------------------------------------

BEGIN, END = START_MS, START_MS + 3000
OBJECT = {
    "UserId": "u",
    "TrackType": "audio_video",
    "MediaId": "aux",
    "StartTimeStamp": BEGIN,
    "EndTimeStamp": END,
}
FILE = RecordedFile("a.mp4", "u", "audio_video", BEGIN, END, "aux")
VOD = {"FileId": "5", "VideoUrl": "https://u:p@v.example/a.mp4?sign=x#f", "CacheFile": "a.mp4"}
IN_VOD = replace(FILE, vod_file_id="5", vod_url="https://v.example/a.mp4")


@pytest.mark.parametrize(
    "kind, payload, files",
    [
        (304, {"FileList": "a.m3u8"}, [RecordedFile("a.m3u8")]),
        (304, {"FileList": ["a.m3u8", "b.m3u8", "a.m3u8"]}, [RecordedFile("a.m3u8"), RecordedFile("b.m3u8")]),
        (304, {"FileName": "a.m3u8"}, []),
        (304, {"FileList": ["a" * 1025, "a" * 1024]}, [RecordedFile("a" * 1024)]),
        (307, {"FileName": "a" * 1025}, []),
        (307, {"FileName": "a.m3u8", "UserId": "u", "TrackType": "audio", "BeginTimeStamp": BEGIN},
         [RecordedFile("a.m3u8", "u", "audio", BEGIN)]),
        (307, {"FileName": "a.m3u8", "UserId": 7, "BeginTimeStamp": str(BEGIN)},
         [RecordedFile("a.m3u8", "7", None, BEGIN)]),
        (307, {"FileList": "a.m3u8"}, []),
        (310, {"Status": 0, "FileMessage": [{**OBJECT, "FileName": "a.mp4"}]}, [FILE]),
        (310, {"Status": 1, "FileMessage": {**OBJECT, "FileName": "a.mp4"}}, [FILE]),
        (310, {"Status": 0, "FileMessage": [{**OBJECT, "FileName": "a.mp4"}], "FileList": ["a.mp4", "b.mp4"]},
         [FILE, RecordedFile("b.mp4")]),
        (310, {"Status": 0, "FileMessage": "a.mp4"}, []),
        (310, {"Status": 2, "FileList": ["a.mp4"]}, []),
        (310, {"Status": 3, "FileList": ["a.mp4"]}, []),
        (310, {"FileList": ["a.mp4"]}, []),
        (311, {"Status": 0, "TencentVod": {**OBJECT, **VOD}}, [IN_VOD]),
        (311, {"Status": "0", "TencentVod": {**OBJECT, **VOD}}, [IN_VOD]),
        (311, {"Status": 1, "TencentVod": {**OBJECT, **VOD}}, []),
        (311, {"Status": 2, "TencentVod": {**OBJECT, **VOD}}, []),
        (311, {"TencentVod": {**OBJECT, **VOD}}, []),
        (311, {"Status": 0, "TencentVod": {"FileId": 5}}, [RecordedFile("5", vod_file_id="5")]),
        (301, {"Status": 0, "FileList": "a", "FileName": "b"}, []),
        (302, {"LeaveCode": 0, "FileList": "a", "FileName": "b"}, []),
        (305, {"Status": 0, "FileList": "a", "FileName": "b"}, []),
        (312, {"Status": 0, "FileList": "a", "FileName": "b"}, []),
        (399, {"Status": 0, "FileList": "a", "FileName": "b"}, []),
    ],
)  # fmt: skip
def test_the_files_that_each_event_names(
    kind: int, payload: dict[str, Any], files: list[RecordedFile]
) -> None:
    assert files_of(event(kind, payload)) == tuple(files)
    assert learnt(event(kind, payload)).files == tuple(files)


def test_the_older_form_of_a_file_in_vod_has_no_status_and_counts_seconds() -> None:
    payload = {
        **VOD,
        "UserId": "u",
        "TrackType": "audio",
        "BeginTimeStamp": BEGIN // 1000,
        "EndTimeStamp": END // 1000,
    }
    state = learnt(event(302, {"LeaveCode": 0}), event(311, payload), event(312, {"Status": 0}))
    (file,) = state.files
    assert (file.begin_timestamp_ms, file.end_timestamp_ms, file.vod_file_id) == (BEGIN, END, "5")
    assert [(fact.code, fact.detail) for fact in state.history.of(311)] == [(0, "")]
    end = judge(state, Rules(wait_for="vod"), START + timedelta(hours=1))
    assert isinstance(end, Finished)
    assert end.problems == ()


@pytest.mark.parametrize(
    "place, file_format",
    [
        ({"FileId": 5285890784}, None),
        ({"FileId": 5285890784, "VideoUrl": "http://v.example/x/f0.mp4?t=1"}, "mp4"),
        ({"FileId": "5", "VideoUrl": "http://v.example/x/f0.M3U8"}, "hls"),
        ({"FileId": "5", "VideoUrl": "http://v.example/x"}, None),
        ({"CacheFile": "a.aac", "VideoUrl": "http://v.example/x/f0.mp4"}, "aac"),
    ],
)
def test_a_file_in_vod_has_no_key_in_a_bucket_and_its_format_is_found(
    place: dict[str, Any], file_format: str | None
) -> None:
    """Two generations of the documentation name no CacheFile."""
    (file,) = file_results(learnt(event(311, {"Status": 0, "TencentVod": place})).files, "rid")
    assert (file["object_key"], file["format"]) == (None, file_format)
    assert file["vod_file_id"] == (str(place["FileId"]) if "FileId" in place else None)
    assert file["file_name"] == place.get("CacheFile", file["vod_file_id"])


@pytest.mark.parametrize(
    "payload", [{"CacheFile": "a"}, {"Status": None, "FileId": "1"}, {"Status": "x", "FileId": "1"}]
)
def test_a_transfer_that_does_not_say_so_has_not_arrived(payload: dict[str, Any]) -> None:
    assert fact_of(event(311, payload)).code is None
    assert files_of(event(311, payload)) == ()


@pytest.mark.parametrize(
    "stamp", [0, "0", -1, 1, 10**30, "x", None, True, 4102444800, 4102444800000, 946684799, 1.5]
)
def test_a_stamp_that_is_no_plausible_instant_is_none(stamp: object) -> None:
    payload = {"FileName": "a.m3u8", "BeginTimeStamp": stamp, "EndTimeStamp": stamp}
    (file,) = files_of(event(307, payload))
    assert (file.begin_timestamp_ms, file.end_timestamp_ms) == (None, None)


def test_a_web_recording_has_files_in_vod_and_an_end() -> None:
    arrived = event(311, {"Status": 0, "TencentVod": {**OBJECT, **VOD}}, group=8)
    assert files_of(arrived) == (IN_VOD,)
    state = learnt(event(804, {"Status": 1}), arrived, event(312, {"Status": 0}, group=8))
    assert isinstance(judge(state, Rules(wait_for="vod"), START + timedelta(hours=1)), Finished)
    assert files_of(event(310, {"Status": 0, "FileList": ["a.mp4"]}, group=8)) == ()


# -- a new event --------------------------------------------------------------------------------------


def test_a_new_event_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fact, log line, end, problem and file follow from the row."""
    made = Event(
        type=399,
        name="poster",
        codes={0: "made", 1: "not made"},
        ends=frozenset({0, 1}),
        faults={1: Fault("mp4", "the poster was not made", "each")},
        detail="Why",
        message="Words",
        file_names="Poster",
        file_codes=frozenset({0}),
    )
    monkeypatch.setitem(events.EVENTS, 399, made)
    well, badly = (
        event(399, {"Status": 0, "Poster": "a.png"}),
        event(399, {"Status": 1, "Why": "w", "Words": "m"}),
    )
    assert learnt(well).files == (RecordedFile("a.png"),)
    assert describe_news(JobState("rid"), learnt(well), well)[0] == "poster: made (callback 399, Status 0)"
    end = judge(learnt(well), Rules(), START + timedelta(hours=1))
    assert isinstance(end, Finished)
    assert (end.outcome, end.problems) == ("callback", ())
    assert fact_of(badly).detail == "w"
    assert problems_of(learnt(badly)) == (Problem("mp4", "the poster was not made: w: m (399, Status 1)"),)
    assert learnt(badly).files == ()
    stored = json.loads(json.dumps(to_json(learnt(badly))))
    assert from_json(stored, "rid") == learnt(badly)


def test_a_fault_is_of_a_kind_that_users_can_choose() -> None:
    with pytest.raises(ValueError, match="thumbnail"):
        Fault("thumbnail", "no thumbnail")


def ended_web_recording(*callbacks: Callback, wait_for: WaitFor = "recording") -> Verdict:
    return judge(learnt(*callbacks), Rules(wait_for=wait_for), START + timedelta(hours=2))


def test_each_end_of_a_web_recording_ends_the_wait() -> None:
    started = event(801, {"Status": 1, "EventMessage": "Success"})
    for end in (
        event(801, {"Status": 5}, at=9),
        event(802, {"Status": 1}, at=9),
        event(804, {"Status": 1}, at=9),
    ):
        assert isinstance(ended_web_recording(started, end), Finished)
        moved = event(801, {"Status": 4}, at=10)
        assert isinstance(ended_web_recording(started, end, moved), Waiting)
    failed = ended_web_recording(event(801, {"Status": 2}))
    assert isinstance(failed, Failed)
    assert "the recording of the web page did not start" in failed.reason
    for code in (3, 4):  # these mend themselves
        assert isinstance(ended_web_recording(started, event(801, {"Status": code}, at=9)), Waiting)


@pytest.mark.parametrize("group", [3, 8])
def test_the_files_of_a_web_recording_come_in_either_group(group: int) -> None:
    arrived = [
        event(311, {"Status": 0, "TencentVod": {"FileId": each, "CacheFile": f"{each}.mp4"}}, group=group)
        for each in ("1", "2")
    ]
    lost = event(311, {"Status": 2, "TencentVod": {"CacheFile": "3.mp4"}}, group=group)
    ended = event(312, {"Status": 0}, at=20, group=group)
    limit = event(804, {"Status": 1}, at=9)
    end = ended_web_recording(limit, *arrived, ended, wait_for="vod")
    assert isinstance(end, Finished)
    assert [file.vod_file_id for file in end.files] == ["1", "2"]
    assert isinstance(ended_web_recording(limit, *arrived, lost, ended, wait_for="vod"), Failed)


def test_a_code_of_an_event_that_has_none_is_no_part_of_its_label():
    assert row(304).label(7) == "304"
