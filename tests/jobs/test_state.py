"""The state of a job: its growth, its JSON form, and that no input breaks either."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.bounds import moment
from airflow_trtc.jobs.callback import CallbackError, parse, parse_event
from airflow_trtc.jobs.events import EVENTS
from airflow_trtc.jobs.history import (
    CallbackFact,
    CallbackHistory,
    history_from_json,
    history_to_json,
)
from airflow_trtc.jobs.observation import Absence, Observation, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.problem import PROBLEM_KINDS
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import (
    MAX_CHANGES,
    MAX_STATUS,
    Change,
    JobState,
    combine,
    files_from_json,
    from_json,
    is_news,
    learn,
    merge_files,
    to_json,
)
from airflow_trtc.jobs.verdict import MILESTONES, Rules
from airflow_trtc.recording.judge import judge
from airflow_trtc.results import file_results

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
JOB = JobRef("recording", 1400000001, "ap-guangzhou", "rid")
MS = 1622186275757
HUGE = 10**30
GONE = Absence("ResourceNotFound")
FILE = RecordedFile("a.mp4", "u", "audio", MS, MS + 1, "main", "5", "http://v/a.mp4")
FACT = CallbackFact(308, None, "c", MS, START, "m")
FULL = JobState(
    "rid",
    (FILE,),
    CallbackHistory((FACT,)),
    "Exited",
    START,
    START,
    START,
    START,
    START,
    7,
    2,
    {"a": [1]},
    changes=(Change(START, "Exited"),),
    room_id="r",
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def tell(*observations: Observation) -> JobState:
    state = JobState("rid")
    for number, each in enumerate(observations):
        state = learn(state, each, at(number))
    return state


# -- growth -------------------------------------------------------------------------------------------


def test_an_answer_sets_what_it_shows() -> None:
    state = tell(Snapshot("rid", "Idle"), Snapshot("rid", "Exited", (FILE,)), Snapshot("rid", "Exited"))
    assert state == JobState(
        "rid",
        (FILE,),
        status="Exited",
        first_seen_at=START,
        last_seen_at=at(2),
        exited_at=at(1),
        polls=3,
        changes=(Change(START, "Idle"), Change(at(1), "Exited")),
    )
    assert state.was_seen
    assert not state.is_gone
    assert tell(Snapshot("rid", "Exited"), Snapshot("rid", "Idle")).exited_at is None


def test_absence_has_a_beginning_and_an_end() -> None:
    state = tell(Snapshot("rid", "Idle"), GONE, GONE)
    assert (state.absent_since, state.absent_at, state.polls, state.is_gone) == (at(1), at(2), 3, True)
    back = learn(state, Snapshot("rid", "Idle"), at(3))
    assert (back.absent_since, back.absent_at, back.first_seen_at) == (None, None, START)


def test_trouble_counts_refusals_in_a_row_only() -> None:
    refused, passing = Trouble("refused", "X", "m"), Trouble("passing", "X", "m")
    assert [tell(*story).refusals for story in ([refused] * 2, [refused, passing], [refused, GONE])] == [
        2,
        0,
        0,
    ]
    assert tell(refused, Snapshot("rid", "Idle")).refusals == 0
    assert tell(refused, Snapshot("other", "Idle")).refusals == 0
    assert tell(refused).trouble == refused
    assert tell(refused, GONE).trouble is None


def test_an_answer_about_another_job_is_trouble() -> None:
    state = tell(Snapshot("other", "Idle", (FILE,), "r"))
    assert state.trouble == Trouble(
        "passing", "Client.AnswerForAnother", "the service answered about another job, other", "r"
    )
    assert (state.files, state.status, state.polls, state.was_seen) == ((), None, 1, False)


def test_the_detail_is_that_of_the_last_answer_and_has_a_size() -> None:
    state = tell(Snapshot("rid", "Idle", detail={"n": HUGE}))
    assert state.detail == {"n": str(HUGE)}
    assert learn(state, GONE, at(1)).detail == {"n": str(HUGE)}
    assert learn(state, Snapshot("rid", "Idle"), at(1)).detail is None
    just_small_enough = {"n": "x" * (16 * 1024 - len('{"n": ""}'))}
    assert learn(state, Snapshot("rid", "Idle", detail=just_small_enough), at(1)).detail == just_small_enough
    large = {"n": just_small_enough["n"] + "x"}
    assert learn(state, Snapshot("rid", "Idle", detail=large), at(1)).detail is None
    assert from_json({**to_json(state), "detail": large}, "rid").detail is None


def test_files_are_merged_by_name_and_known_fields_stay() -> None:
    bare, more = RecordedFile("a.mp4", media_id="aux"), RecordedFile("b.mp4")
    assert merge_files([FILE], [bare, more]) == (replace(FILE, media_id="aux"), more)
    assert merge_files([bare], [FILE]) == (FILE,)
    assert merge_files() == ()


def test_two_states_join_into_the_later_one() -> None:
    one = replace(tell(Snapshot("rid", "Idle", detail={"n": 1})), refusals=1, polls=5)
    other = replace(
        tell(Snapshot("rid", "Idle"), Snapshot("rid", "Exited", (FILE,), detail={"n": 2}), GONE), polls=4
    )
    for joined in (combine(one, other), combine(other, one)):
        assert (joined.status, joined.exited_at, joined.detail, joined.polls) == (
            "Exited",
            at(1),
            {"n": 2},
            5,
        )
        assert (joined.first_seen_at, joined.last_seen_at) == (START, at(1))
        assert (joined.absent_since, joined.files) == (at(2), (FILE,))
    assert combine(one, other).refusals == 1
    assert combine(other, one).refusals == 0
    assert combine(one, JobState("rid")) == one
    gone, seen = (
        tell(Snapshot("rid", "Idle"), GONE, GONE),
        tell(Snapshot("rid", "Idle"), Snapshot("rid", "Idle")),
    )
    assert combine(gone, seen).is_gone  # it was polled later, though it was seen earlier
    assert combine(seen, gone).is_gone
    late = learn(JobState("rid"), Snapshot("rid", "Idle"), at(50))
    for joined in (combine(seen, late), combine(late, seen)):
        assert (joined.first_seen_at, joined.last_seen_at) == (START, at(50))


def test_times_counts_and_details_alone_are_no_news() -> None:
    change: dict[str, Any]
    for change in ({"polls": 9}, {"last_seen_at": at(9)}, {"absent_at": at(9)}, {"detail": {"n": 2}}):
        assert not is_news(FULL, replace(FULL, **change))
    for change in (
        {"status": "Idle"},
        {"files": ()},
        {"refusals": 0},
        {"absent_since": None},
        {"exited_at": None},
    ):
        assert is_news(FULL, replace(FULL, **change))


# -- changes of status --------------------------------------------------------------------------------


def test_a_change_is_noted_when_polls_show_another_status() -> None:
    idle, busy = Snapshot("rid", "Idle"), Snapshot("rid", "InProgress")
    state = tell(idle, idle, GONE, idle, busy, Trouble("passing", "c", "m"), busy, idle)
    assert state.changes == ((START, "Idle"), (at(4), "InProgress"), (at(7), "Idle"))


def test_a_row_from_before_changes_were_noted_gets_none_invented() -> None:
    old = {name: value for name, value in to_json(FULL, JOB).items() if name not in ("changes", "room_id")}
    read = from_json(old, "rid")
    assert read == replace(FULL, changes=(), room_id=None)
    assert learn(read, Snapshot("rid", "Exited"), at(9)).changes == ()
    assert learn(read, Snapshot("rid", "Idle"), at(9)).changes == ((at(9), "Idle"),)


def test_changes_are_few_and_short() -> None:
    state = tell(*(Snapshot("rid", f"{number:03d}" + "x" * 5000) for number in range(MAX_CHANGES + 10)))
    assert len(state.changes) == MAX_CHANGES
    assert state.changes[-1] == (at(MAX_CHANGES + 9), f"{MAX_CHANGES + 9:03d}" + "x" * (MAX_STATUS - 3))


def test_changes_of_two_waits_join_by_time() -> None:
    one = JobState("rid", changes=(Change(at(1), "Idle"), Change(at(5), "Busy"), Change(at(9), "Idle")))
    other = JobState("rid", changes=(Change(at(2), "Idle"), Change(at(4), "Busy")))
    joined = ((at(1), "Idle"), (at(4), "Busy"), (at(9), "Idle"))
    assert combine(one, other).changes == combine(other, one).changes == joined
    assert combine(one, one).changes == one.changes
    assert combine(one, JobState("rid")).changes == one.changes


def test_a_change_is_as_exact_as_it_is_stored() -> None:
    state = learn(JobState("rid"), Snapshot("rid", "Idle"), START + timedelta(microseconds=1999))
    assert from_json(to_json(state), "rid").changes == state.changes == ((at(0.001), "Idle"),)


@pytest.mark.parametrize("bad", [None, 5, [[1, "Idle"], [MS], [MS, ""], [MS, 5], "x", [None, "Idle"]]])
def test_a_change_that_cannot_be_read_is_left_out(bad: object) -> None:
    assert from_json({**to_json(FULL), "changes": bad}, "rid").changes == ()


# -- JSON ---------------------------------------------------------------------------------------------


def test_the_json_form_names_its_job() -> None:
    form = to_json(FULL, JOB)
    assert {name: form[name] for name in ("v", "kind", "sdk_app_id", "region", "job_id")} == {
        "v": 1,
        "kind": "recording",
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "job_id": "rid",
    }
    assert from_json(json.loads(json.dumps(form)), "rid") == FULL
    assert from_json(to_json(FULL), "rid") == FULL
    assert to_json(FULL)["job_id"] == "rid"
    assert {"kind", "sdk_app_id", "region"}.isdisjoint(to_json(FULL))
    assert "detail" not in to_json(JobState("rid"))


@pytest.mark.parametrize(
    "field, value", [("v", 2), ("v", "1"), ("v", None), ("job_id", "other"), ("job_id", ["rid"])]
)
def test_another_version_or_job_is_left_out(field: str, value: object) -> None:
    assert from_json({**to_json(FULL), field: value}, "rid") == JobState("rid")


@pytest.mark.parametrize(
    "bad", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "x", 5, None, [], HUGE]
)
@pytest.mark.parametrize("field", ["first_seen_at", "last_seen_at", "exited_at", "absent_since", "absent_at"])
def test_a_time_that_cannot_be_is_left_out(field: str, bad: object) -> None:
    read = from_json({**to_json(FULL), field: bad}, "rid")
    assert read == replace(FULL, **{field: None})  # type: ignore[arg-type]
    judge(read, Rules(), at(0))


@pytest.mark.parametrize("field", ["polls", "refusals"])
@pytest.mark.parametrize("bad", [HUGE, -1, "x", None, [], 2**63 - 1])
def test_a_count_that_cannot_be_is_none(field: str, bad: object) -> None:
    assert getattr(from_json({**to_json(FULL), field: bad}, "rid"), field) == 0


@pytest.mark.parametrize(
    "item, file",
    [
        ({"file_name": "a"}, RecordedFile("a")),
        (
            {"file_name": "a", "begin_timestamp_ms": str(MS), "end_timestamp_ms": HUGE},
            RecordedFile("a", None, None, MS),
        ),
        ({"file_name": "a", "begin_timestamp_ms": 0, "user_id": 5, "vod_url": []}, RecordedFile("a")),
        ({"file_name": ""}, None),
        ({"file_name": "a" * 1025}, None),
        ({"file_name": "a" * 1024, "vod_file_id": "a" * 1025}, RecordedFile("a" * 1024)),
        ({"file_name": ["a"]}, None),
        ({}, None),
        ("a", None),
        (HUGE, None),
    ],
)
def test_a_file_that_cannot_be_read_is_left_out(item: object, file: RecordedFile | None) -> None:
    assert files_from_json([item]) == ((file,) if file else ())
    assert files_from_json(item) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"type": -1},
        {"type": HUGE},
        {"type": "x"},
        {"type": None},
        {"happened_at_ms": 0},
        {"happened_at_ms": HUGE},
        {"happened_at_ms": None},
        {"received_at": "x"},
        {"received_at": "9999-12-31T23:59:59+00:00"},
        {"received_at": 5},
    ],
)
def test_a_fact_that_cannot_be_read_is_left_out(change: dict[str, Any]) -> None:
    (good,) = history_to_json(CallbackHistory((FACT,)))
    assert history_from_json([{**good, **change}, good, 5, None, []]) == CallbackHistory((FACT,))
    assert history_from_json({"facts": [good]}) == CallbackHistory()


def test_a_row_holds_so_many_facts_at_most_and_any_type() -> None:
    (good,) = history_to_json(CallbackHistory((FACT,)))
    last = {**good, "type": 0}
    assert len(history_from_json([good] * 9_999 + [last]).facts) == 2
    assert len(history_from_json([good] * 10_000 + [last]).facts) == 1


def test_a_fact_keeps_what_can_be_read_of_it() -> None:
    (good,) = history_to_json(CallbackHistory((FACT,)))
    odd = {**good, "type": "302", "code": HUGE, "detail": ["x"], "message": "\ud800"}
    assert history_from_json([odd]).facts == (
        CallbackFact(302, None, "", MS, START, "\N{REPLACEMENT CHARACTER}"),
    )


def test_one_callback_names_so_many_files_at_most() -> None:
    names = [f"{number}.m3u8" for number in range(1005)]
    info = {"TaskId": "rid", "Payload": {"FileList": names}}
    state = learn(
        JobState("rid"), parse_event({"EventGroupId": 3, "EventType": 304, "EventInfo": info}), START
    )
    assert len(state.files) == 1000


# -- for all inputs -----------------------------------------------------------------------------------

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=6)
    | st.sampled_from(
        [HUGE, str(HUGE), 2**63, -(2**63) - 1, MS, str(MS), MS // 1000, "\ud800", "a.mp4", 0, 1, 100]
    )
    | st.sampled_from(
        ["9999-12-31T23:59:59.999+00:00", "0001-01-01T00:00:00+00:00", "2099-12-31T23:59:59-12:00"]
    )
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    [
        "Status",
        "LeaveCode",
        "FileList",
        "FileMessage",
        "FileName",
        "TencentVod",
        "CacheFile",
        "FileId",
        "VideoUrl",
        "UserId",
        "TrackType",
        "MediaId",
        "StartTimeStamp",
        "BeginTimeStamp",
        "EndTimeStamp",
        "Code",
        "Message",
        "Url",
        "Errmsg",
    ]
)
payloads = st.dictionaries(fields, values | st.dictionaries(fields, values, max_size=4), max_size=6)
kinds = st.sampled_from([*EVENTS, 399]) | st.integers(0, 999)
forms = st.dictionaries(st.sampled_from([*to_json(FULL)]), values, max_size=6)
facts = st.lists(
    values | st.dictionaries(st.sampled_from([*history_to_json(CallbackHistory((FACT,)))[0]]), values)
)
times = st.integers(946684800000, 4102444799999).map(moment)


def check(state: JobState, now: datetime) -> None:
    """The state can be sent, stored, read again, judged and handed on."""
    form = to_json(state, JOB)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(form))
    assert from_json(sent, state.job_id) == state
    assert from_json(json.loads(json.dumps(form, allow_nan=False)), state.job_id) == state
    for wait_for in MILESTONES:
        rules = Rules(wait_for=wait_for, fail_on=frozenset(PROBLEM_KINDS))
        assert judge(state, rules, now) == judge(from_json(sent, state.job_id), rules, now)
    json.dumps(file_results(state.files, state.job_id), allow_nan=False)


@given(st.lists(st.tuples(kinds, payloads, values), max_size=4), times, times)
def test_any_callback_is_learnt_sent_and_judged(
    events: list[tuple[int, dict[str, Any], Any]], received_at: datetime, now: datetime
) -> None:
    state = JobState("rid")
    for kind, payload, happened in events:
        info = {"TaskId": "rid", "EventMsTs": happened, "RoomId": happened, "Payload": payload}
        event = {"EventGroupId": kind // 100, "EventType": kind, "EventInfo": info}
        callback = parse_event(event)
        msgspec.msgpack.encode(callback.event)
        assert parse_event(callback.event) == callback
        state = learn(state, callback, received_at)
    check(state, now)


@given(
    st.dictionaries(st.sampled_from(["EventGroupId", "EventType", "EventInfo", "CallbackTs", "x"]), values),
    values,
)
def test_any_request_is_refused_or_can_be_sent(event: dict[str, Any], wrapper: Any) -> None:
    message = {"EventGroupId": 3, "EventType": 302, **event}
    for read in (lambda: parse(json.dumps(message).encode()), lambda: parse_event(message, wrapper)):
        try:
            callback = read()
        except CallbackError:
            continue
        decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(callback))
        assert decoded["event"] == callback.event
        assert parse_event(decoded["event"], decoded["wrapper"]).identity == callback.identity


@given(values | forms, forms, facts, values, times)
def test_any_stored_row_is_read(
    row: Any, form: dict[str, Any], history: Any, files: Any, now: datetime
) -> None:
    assert from_json(row, "rid").job_id == "rid"
    form_of_all = {**to_json(FULL), "history": history, "files": files, **form, "v": 1, "job_id": "rid"}
    check(from_json(form_of_all, "rid"), now)
    history_from_json(row)
    files_from_json(row)


def test_whole_numbers_beyond_64_bits_become_text() -> None:
    payload = '{"FileName": "a", "BeginTimeStamp": 18446744073709551616, "x": -9223372036854775809}'
    info = f'{{"TaskId":{HUGE},"RoomId":{HUGE},"Payload":{payload}}}'
    body = f'{{"EventGroupId":3,"EventType":307,"EventInfo":{info}}}'
    callback = parse(body.encode())
    assert (callback.task_id, callback.room_id) == (str(HUGE), str(HUGE))
    assert callback.payload["BeginTimeStamp"] == "18446744073709551616"
    assert callback.payload["x"] == "-9223372036854775809"
    state = learn(JobState(str(HUGE)), callback, START)
    assert state.files == (RecordedFile("a"),)
    assert (
        parse(body.replace("18446744073709551616", str(2**63 - 1)).encode()).payload["BeginTimeStamp"]
        == 2**63 - 1
    )
    assert parse_event(json.loads(body)) == callback
