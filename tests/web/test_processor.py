"""From stored callbacks to knowledge and asset events, in a real database, whatever happens on the way."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.assets import events, finished_recordings
from airflow_trtc.bounds import moment
from airflow_trtc.jobs.callback import parse_event
from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, from_json, learn
from airflow_trtc.jobs.verdict import Finished, Rules, Waiting
from airflow_trtc.journal.keys import INBOX, Rows, due_key, due_value, log_page_key
from airflow_trtc.journal.plans import drive, load_plan, save_plan
from airflow_trtc.journal.reception import heard_from
from airflow_trtc.recording.judge import judge
from airflow_trtc.web.processing import database, emitting, folding, judging, processor
from airflow_trtc.web.processing.processor import CallbackProcessor
from tests.web.conftest import APP, START_MS, Store, event, in_row, story

LONG_AGO = datetime(2026, 1, 1, tzinfo=timezone.utc)
DONE = finished_recordings()
UPLOADED = finished_recordings("upload")
DISMISSED = events(102)


def job(recording_id: str, region: str | None = None) -> JobRef:
    return JobRef("recording", APP, region, recording_id)


def state_of(store: Store, recording_id: str) -> JobState:
    with database.transaction() as session:
        overlay = folding.Overlay(lambda keys: database.select_keys(session, store.asset_id, keys))
        return drive(load_plan(Rows(job(recording_id)).callbacks, recording_id), overlay)


def work() -> None:
    assert CallbackProcessor().work()


@pytest.fixture
def listening(store: Store) -> Store:
    """A journal, and DAGs for all that is tested here."""
    store.activate(DONE, UPLOADED, DISMISSED)
    return store


def finished(store: Store) -> list[tuple[str, str | None]]:
    return sorted((name, key) for name, key, _ in store.emitted())


def test_callbacks_become_events_knowledge_and_log(store: Store) -> None:
    store.put(*story("rec"))
    work()
    assert not store.rows("in/")
    assert len(store.rows(f"ev/{APP}/task:rec/")) == 5
    state = from_json(store.rows("cb/")[Rows(job("rec")).callbacks], "rec")
    assert [fact.type for fact in state.history.facts] == [301, 303, 307, 302, 305]
    assert store.rows("cb/")[f"cb/recording/{APP}/rec/files/0"][0]["file_name"] == "rec.m3u8"
    assert store.rows("log")["log"] == {"v": 1, "seq": 5}
    entries = store.rows("log/")[log_page_key(0)]["entries"]
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry["event"] for entry in entries] == story("rec")
    assert {entry["job_id"] for entry in entries} == {"rec"}


def test_callbacks_are_counted_by_application_repeated_ones_too(store: Store) -> None:
    sent = [*story("a"), event(101, None, group=1)]
    store.put(*sent)
    work()
    store.put(*sent[:2], received_at_ms=START_MS + 60_000)
    work()
    (heard,) = map(heard_from, store.rows("heard/").values())
    assert heard is not None
    assert heard.sdk_app_id == APP
    assert heard.last_at == moment(START_MS + 60_001)


def test_a_batch_counts_in_its_minutes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(*story("a"))
    store.put(*story("b"), received_at_ms=START_MS + 60_000)
    CallbackProcessor(clock=lambda: moment(START_MS + 90_000)).work()
    (heard,) = map(heard_from, store.rows("heard/").values())
    assert heard is not None
    first = START_MS // 60_000
    assert heard.minutes == {first: 5, first + 1: 5}


def test_events_of_rooms_are_kept_and_are_about_no_job(store: Store) -> None:
    store.put(event(102, None, group=1), event(203, None, group=2))
    work()
    assert {key.rsplit("/", 1)[0] for key in store.rows("ev/")} == {f"ev/{APP}/room:77"}
    assert not store.rows("cb/")
    assert not store.rows("log/")


def test_repeated_deliveries_count_once(listening: Store) -> None:
    for received_at_ms in (START_MS, START_MS + 100, START_MS + 200):
        listening.put(*story("rec"), *story("rec"), event(102, None, group=1), received_at_ms=received_at_ms)
        work()
    assert len(listening.rows("ev/")) == 6
    assert listening.rows("log")["log"]["seq"] == 5
    assert [name for name, _ in finished(listening)].count(DISMISSED.name) == 1


def test_a_finished_recording_starts_each_dag_once(listening: Store) -> None:
    listening.put(*story("rec"))
    work()
    assert finished(listening) == [(DONE.name, "rec"), (UPLOADED.name, "rec")]
    extra = {name: extra for name, _, extra in listening.emitted()}[UPLOADED.name]
    assert extra["v"] == 1
    assert (extra["recording"]["recording_id"], extra["recording"]["wait_for"]) == ("rec", "upload")
    assert (extra["recording"]["sdk_app_id"], extra["recording"]["region"]) == (APP, "ap-guangzhou")
    assert [file["file_name"] for file in extra["files"]] == ["rec.m3u8"]
    assert extra["file_count"] == 1
    assert set(listening.rows("done/")) == {f"done/recording/{APP}/rec/{m}" for m in ("recording", "upload")}
    listening.put(event(305, "rec", START_MS + 50, Status=2), received_at_ms=START_MS + 60)
    work()
    assert len(listening.emitted()) == 2


def test_any_order_gives_the_same(listening: Store) -> None:
    sent = [one for name in "abc" for one in [*story(name), *story(name)]]
    random.Random(1).shuffle(sent)
    for number, one in enumerate(sent):
        listening.put(one, received_at_ms=START_MS + number)
        if number % 4 == 0:
            work()
    work()
    assert finished(listening) == sorted((name, key) for name in (DONE.name, UPLOADED.name) for key in "abc")


def test_a_single_event_reaches_the_dags_scheduled_on_it(listening: Store) -> None:
    other = events(102, APP + 1)
    listening.activate(events(102, APP), other)
    listening.put(event(102, None, group=1), event(103, None, group=1))
    work()
    assert {name for name, _, _ in listening.emitted()} == {DISMISSED.name, f"{DISMISSED.name}_{APP}"}
    (_, key, extra), *_ = listening.emitted()
    assert key is not None
    assert key.startswith(f"102-77-{START_MS}-")
    assert extra["event"] == event(102, None, group=1)
    assert (extra["sdk_app_id"], extra["received_at"]) == (APP, "2026-01-21T02:02:25+00:00")


def test_partition_keys_are_never_too_long() -> None:
    for room in ("r" * 1000, ""):
        body = event(102, None, group=1)
        body["EventInfo"]["RoomId"] = room
        received = folding.read_row(*in_row(body, START_MS), START_MS)
        assert len(emitting.single_key(received)) <= 250
        assert emitting.single_key(received).endswith(received.callback.identity[:8])
    keys = {emitting.finished_key("r" * 1000 + end) for end in "ab"}
    assert {len(key) for key in keys} == {250}
    assert len(keys) == 2


def test_what_only_polls_know_is_judged_on_request(listening: Store) -> None:
    at = datetime.now(timezone.utc) - timedelta(minutes=10)
    state = learn(JobState("polled"), Snapshot("polled", "InProgress"), at)
    for minutes in (5, 6):
        state = learn(state, Absence("ResourceNotFound"), at + timedelta(minutes=minutes))
    overlay = folding.Overlay(lambda keys: {})
    drive(save_plan(Rows(job("polled", "ap-mumbai")).polls, job("polled", "ap-mumbai"), state), overlay)
    listening.write(overlay.changed)
    listening.write({due_key(START_MS, job("polled")): json.dumps(due_value(job("polled", "ap-mumbai")))})
    work()
    assert finished(listening) == [(DONE.name, "polled")]
    # The upload is judged again later: no callback has reported it.
    (later,) = listening.rows("due/")
    assert later > due_key(START_MS + 1000, job("polled"))


def test_the_verdict_of_a_wait_counts_when_its_rules_were_other_ones(listening: Store) -> None:
    """The user's grace was shorter; by the rules of the API server "not there" has to be said again."""
    at = datetime.now(timezone.utc)
    state = learn(JobState("polled"), Snapshot("polled", "InProgress"), at)
    state = learn(state, Absence("ResourceNotFound"), at)
    assert isinstance(judge(state, Rules(), at), Waiting)
    end = judge(state, Rules(grace_seconds=0), at)
    assert isinstance(end, Finished)
    value = due_value(job("polled", "ap-mumbai"), end)
    listening.write({due_key(START_MS, job("polled")): json.dumps(value)})
    work()
    assert finished(listening) == [(DONE.name, "polled")]
    ((_, _, extra),) = listening.emitted()
    assert extra["recording"]["outcome"] == "gone"


def test_files_that_linger_are_waited_for_before_a_run_starts(listening: Store) -> None:
    now_ms = round(datetime.now(timezone.utc).timestamp() * 1000)
    left, lingering = event(302, "rec", now_ms, LeaveCode=0), event(305, "rec", now_ms + 1, Status=1)
    listening.put(left, lingering, received_at_ms=now_ms - 4000)
    work()
    assert finished(listening) == [(DONE.name, "rec")]
    assert listening.rows("due/")
    listening.put(event(305, "rec", now_ms + 2, Status=2), received_at_ms=now_ms - 3000)
    work()
    assert finished(listening) == [(DONE.name, "rec"), (UPLOADED.name, "rec")]


def test_files_that_linger_for_ever_keep_no_run_back(listening: Store) -> None:
    state = learn(JobState("rec"), parse_event(event(302, "rec", START_MS, LeaveCode=0)), LONG_AGO)
    state = learn(state, parse_event(event(305, "rec", START_MS, Status=1)), LONG_AGO)
    overlay = folding.Overlay(lambda keys: {})
    drive(save_plan(Rows(job("rec")).callbacks, job("rec"), state), overlay)
    value = json.dumps(due_value(job("rec")))
    listening.write({**overlay.changed, due_key(START_MS, job("rec")): value})
    work()
    assert finished(listening) == [(DONE.name, "rec"), (UPLOADED.name, "rec")]


@pytest.mark.parametrize("junk", [{"outcome": "never_seen"}, {"outcome": 5}, {"finished_at": "soon"}])
def test_an_odd_verdict_counts_for_nothing(junk: dict[str, Any], listening: Store) -> None:
    value = {**due_value(job("polled", "r")), "outcome": "gone", "finished_at": "2026-01-01T00:00:00+00:00"}
    listening.write({due_key(START_MS, job("polled")): json.dumps({**value, **junk})})
    work()
    assert finished(listening) == []


def test_without_scheduled_dags_nothing_is_emitted(store: Store) -> None:
    store.put(*story("rec"))
    work()
    assert not store.rows("due/")
    assert not store.rows("done/")
    store.activate(DONE)
    work()
    assert not store.emitted()
    # A further callback is about it; then the DAG that came later gets its run.
    store.put(event(306, "rec", START_MS - 9, Status=0), received_at_ms=START_MS + 9)
    work()
    assert finished(store) == [(DONE.name, "rec")]


def test_an_inactive_journal_is_left_alone(store: Store) -> None:
    store.put(*story("rec"))
    store.deactivate()
    work()
    assert len(store.rows("in/")) == 5


def test_other_applications_do_not_count(store: Store) -> None:
    store.activate(finished_recordings(sdk_app_id=APP + 1), finished_recordings("upload", APP))
    store.put(*story("rec"))
    work()
    assert [name for name, _, _ in store.emitted()] == [f"{UPLOADED.name}_{APP}"]


BAD_ROWS = {
    "text": "no JSON",
    "list": "[]",
    "version": '{"v": 2}',
    "app": '{"v": 1, "sdk_app_id": "x"}',
    "event": json.dumps({"v": 1, "sdk_app_id": APP, "received_at_ms": START_MS, "event": None}),
    "kind": json.dumps({"v": 1, "sdk_app_id": APP, "received_at_ms": START_MS, "event": {"EventType": 1}}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", sorted(BAD_ROWS))
def test_a_row_that_cannot_be_read_is_set_aside(
    listening: Store, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = f"{INBOX.prefix}{START_MS:013d}/{name}"
    listening.write({key: BAD_ROWS[name]})
    listening.put(*story("rec"))
    with caplog.at_level(logging.ERROR):
        work()
    assert not listening.rows("in/")
    (bad,) = listening.rows("bad/").values()
    assert (bad["key"], bad["value"]) == (key, BAD_ROWS[name])
    assert key in caplog.text
    assert len(finished(listening)) == 2


@pytest.mark.parametrize("value", ["no JSON", "[]", '{"v": 1, "sdk_app_id": "x"}', "[" * 100_000])
def test_a_request_that_cannot_be_read_is_set_aside(listening: Store, value: str) -> None:
    listening.write({"due/0000000000001/x": value})
    listening.put(*story("rec"))
    work()
    assert len(listening.rows("bad/")) == 1
    assert len(finished(listening)) == 2


@pytest.mark.parametrize("clock_ms", [0, 12_345, 10**16])
def test_a_receiver_whose_clock_was_never_set_loses_nothing(listening: Store, clock_ms: int) -> None:
    for number, one in enumerate(story("rec")):
        key, text = in_row(one, START_MS)
        value = json.dumps({**json.loads(text), "received_at_ms": clock_ms})
        listening.write({f"{INBOX.prefix}{number:013d}/{key[3:]}": value})
    work()
    assert (listening.rows("in/"), listening.rows("bad/")) == ({}, {})
    assert len(listening.rows(f"ev/{APP}/task:rec/")) == 5
    CallbackProcessor(clock=lambda: datetime.now(timezone.utc) + timedelta(minutes=1)).work()
    assert len(finished(listening)) == 2


def test_a_recording_that_breaks_the_code_stops_no_other(
    listening: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(state: JobState, callback: Any, at: Any) -> JobState:
        if state.job_id == "bad":
            raise ZeroDivisionError
        return learn(state, callback, at)

    monkeypatch.setattr(folding, "learn", broken)
    listening.put(*story("good"), *story("bad"))
    work()
    assert len(listening.rows("bad/")) == 5
    assert {key for _, key in finished(listening)} == {"good"}
    assert not listening.rows(f"cb/recording/{APP}/bad")
    assert not any("task:bad" in key for key in listening.rows("ev/"))
    assert listening.rows("log")["log"]["seq"] == 5


def test_an_emission_that_fails_stops_no_other(listening: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    register = emitting._register

    def broken(session: Any, asset: Any, partition_key: str, extra: Any, teams: Any) -> None:
        register(session, asset, partition_key, extra, teams)
        if partition_key == "bad":
            raise ZeroDivisionError

    monkeypatch.setattr(emitting, "_register", broken)
    listening.put(*story("good"), *story("bad"))
    work()
    assert {key for _, key in finished(listening)} == {"good"}
    assert set(listening.rows("done/")) == {f"done/recording/{APP}/good/{m}" for m in ("recording", "upload")}
    assert len(listening.rows("bad/")) == 1


def test_a_row_that_the_database_refuses_is_set_aside_alone(
    listening: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = database.write

    def picky(session: Any, asset_id: int, rows: dict[str, str]) -> None:
        if any("ev/" in key and "task:poison" in key for key in rows):
            raise ValueError("refused")
        write(session, asset_id, rows)

    monkeypatch.setattr(database, "write", picky)
    listening.put(*story("good"), event(301, "poison"))
    work()
    assert [row["why"] for row in listening.rows("bad/").values()] == ["ValueError"]
    assert {key for _, key in finished(listening)} == {"good"}


def test_a_row_that_always_fails_as_if_the_database_were_away_holds_no_others_up(
    listening: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sqlalchemy.exc import OperationalError

    write, tries = database.write, []

    def picky(session: Any, asset_id: int, rows: dict[str, str]) -> None:
        if any("ev/" in key and "task:poison" in key for key in rows):
            tries.append(1)
            raise OperationalError("insert", {}, Exception("too many SQL variables"))
        write(session, asset_id, rows)

    monkeypatch.setattr(database, "write", picky)
    listening.put(event(301, "poison"), *story("good"))
    one = CallbackProcessor(tick_seconds=0.0001)
    for _ in range(processor.MAX_EQUAL_FAILURES):
        one._work_once()
        assert listening.rows("bad/") == {}
    one._work_once()
    assert [row["why"] for row in listening.rows("bad/").values()] == ["OperationalError <- Exception"]
    assert {key for _, key in finished(listening)} == {"good"}
    assert len(tries) == processor.MAX_EQUAL_FAILURES + 2  # once more with the others, and once alone
    assert "too many SQL variables" not in caplog.messages


def test_while_the_database_is_away_nothing_is_set_aside(
    listening: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    write = database.write

    def away(*_: Any) -> None:
        raise OperationalError("insert", {}, Exception("server closed the connection"))

    listening.put(*story("good"))
    monkeypatch.setattr(database, "write", away)
    one = CallbackProcessor(tick_seconds=0.0001)
    for _ in range(3 * processor.MAX_EQUAL_FAILURES):
        one._work_once()
    monkeypatch.setattr(database, "write", write)
    one._work_once()
    assert listening.rows("bad/") == {}
    assert {key for _, key in finished(listening)} == {"good"}


class Crash(BaseException):
    """Stands for a process that ends here and now."""


def crashing(real: Callable[..., Any], crash_at: int, *, after: bool) -> Callable[..., Any]:
    """The same function, which crashes at that call, before or after its work."""
    calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == crash_at and not after:
            raise Crash
        result = real(*arguments, **named)
        if calls == crash_at:
            raise Crash
        return result

    return call


STEPS = [
    (database, "claim"),
    (database, "select_within"),
    (database, "existing_keys"),
    (database, "write"),
    (database, "delete_keys"),
    (folding, "append_log"),
    (emitting, "_register"),
]


@pytest.mark.parametrize("module, name", STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    listening: Store, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: bool
) -> None:
    real = getattr(module, name)
    sent = [*story("a"), *story("b"), event(102, None, group=1)]
    for number, one in enumerate(sent):
        listening.put(one, received_at_ms=START_MS + number)
    for crash_at in range(1, 12):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, crashing(real, crash_at, after=after))
            try:
                CallbackProcessor().work()
            except Crash:
                continue
            break
    work()
    expected = [(DONE.name, "a"), (DONE.name, "b"), (UPLOADED.name, "a"), (UPLOADED.name, "b")]
    assert [one for one in finished(listening) if one[0] != DISMISSED.name] == expected
    assert [name for name, _ in finished(listening)].count(DISMISSED.name) == 1
    assert listening.rows("log")["log"]["seq"] == 10
    assert len(listening.rows("ev/")) == 11
    assert not listening.rows("in/")
    assert not listening.rows("bad/")


def test_two_processors_at_once_do_everything_once(listening: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "CALLBACKS_PER_TRANSACTION", 7)
    monkeypatch.setattr(judging, "DUE_PER_TRANSACTION", 2)
    names = [f"rec{number}" for number in range(12)]
    sent = [one for name in names for one in story(name)]
    random.Random(2).shuffle(sent)
    processors = [CallbackProcessor(), CallbackProcessor()]
    for one in processors:
        one.start()
    try:
        senders = [
            threading.Thread(
                target=_send, args=(listening, sent[start::2], processors, START_MS + start * 1000)
            )
            for start in (0, 1)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    finally:
        for one in processors:
            one.stop()
    work()
    assert finished(listening) == sorted((name, key) for name in (DONE.name, UPLOADED.name) for key in names)
    seqs = [entry["seq"] for page in listening.rows("log/").values() for entry in page["entries"]]
    assert sorted(seqs) == list(range(1, 61))
    assert not listening.rows("bad/")


def _send(
    store: Store, sent: list[dict[str, Any]], processors: list[CallbackProcessor], received_at_ms: int
) -> None:
    for number, one in enumerate(sent):
        store.put(one, received_at_ms=received_at_ms + number)
        for some in processors:
            some.wake()


def test_a_long_event_is_left_out_of_the_log(store: Store) -> None:
    store.put(event(308, "rec", Message="x" * 3000), event(302, "rec", START_MS + 1, LeaveCode=0))
    work()
    entries = store.rows("log/")[log_page_key(0)]["entries"]
    assert [entry["event"] is None for entry in entries] == [True, False]


def test_the_log_goes_on_over_pages(store: Store) -> None:
    for start in (0, 150):
        store.put(*(event(310, "rec", START_MS + start + number, Status=0) for number in range(150)))
        work()
    pages = store.rows("log/")
    assert [len(pages[log_page_key(page)]["entries"]) for page in range(3)] == [100, 100, 100]
    assert pages[log_page_key(2)]["entries"][-1]["seq"] == store.rows("log")["log"]["seq"] == 300


def test_ids_that_no_key_can_hold_are_kept_all_the_same(listening: Store) -> None:
    for task in ("ü" * 50, "x" * 390, "x" * 5000, "a/b%_c"):
        listening.put(*story(task))
        work()
    assert {key for _, key in finished(listening)} == {"ü" * 50, emitting.finished_key("x" * 390), "a/b%_c"}
    assert len(listening.rows("ev/")) == 20
    assert not listening.rows("bad/")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Errors to raise, one a round."""
    errors: list[Exception] = []
    find = database.find_work

    def finding(session: Any, now_ms: int) -> Any:
        if errors:
            raise errors.pop(0)
        return find(session, now_ms)

    monkeypatch.setattr(database, "find_work", finding)
    return errors


def test_trouble_is_logged_once_and_its_end_too(
    store: Store, failing: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    from sqlalchemy.exc import OperationalError

    store.put(*story("rec"))
    failing += [OperationalError("select", {}, Exception("secret")) for _ in range(3)]
    one = CallbackProcessor(tick_seconds=0.001)
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            one._work_once()
    lines = [record.getMessage() for record in caplog.records if record.name == processor.__name__]
    assert len(lines) == 2
    assert "the database failed (OperationalError" in lines[0]
    assert "after 3 failures" in lines[1]
    assert "secret" not in caplog.text
    assert len(store.rows("ev/")) == 5


def test_callbacks_that_had_to_wait_are_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to them waits as well; by the time of their receipt all waiting would be over."""
    monkeypatch.setattr(folding, "LATE_MS", 5000)
    monkeypatch.setattr(processor, "CALLBACKS_PER_TRANSACTION", 2)
    store.activate(finished_recordings("mp4"))
    conversions = [
        event(310, "rec", at_ms, Status=0, FileMessage=[{"FileName": f"{user}.mp4", "UserId": user}])
        for user, at_ms in (("a", START_MS + 2000), ("b", START_MS + 4000))
    ]
    store.put(event(302, "rec", LeaveCode=0), conversions[0], event(301, "x", Status=0), conversions[1])
    work()
    assert store.emitted() == []
    now = datetime.now(timezone.utc)
    state = state_of(store, "rec")
    assert isinstance(judge(state, Rules(wait_for="mp4"), now), Waiting)
    verdict = judge(state, Rules(wait_for="mp4"), now + timedelta(seconds=Rules().settle_seconds))
    assert isinstance(verdict, Finished)
    assert [file.file_name for file in verdict.files] == ["a.mp4", "b.mp4"]
    assert state.history.end is not None
    assert state.history.end.happened_at_ms == START_MS


def test_a_receivers_clock_that_is_ahead_prolongs_nothing(store: Store) -> None:
    ahead_ms = round(datetime.now(timezone.utc).timestamp() * 1000) + 3_600_000
    store.put(event(302, "rec", LeaveCode=0), received_at_ms=ahead_ms)
    work()
    state = state_of(store, "rec")
    assert state.history.end is not None
    assert state.history.end.received_at <= datetime.now(timezone.utc)


def test_a_recording_is_judged_in_each_region(listening: Store) -> None:
    """Two requests of the same millisecond; only one region knows of the file."""
    now = datetime.now(timezone.utc)
    seen = learn(JobState("rec"), Snapshot("rec", "InProgress", (RecordedFile("seen.m3u8"),)), now)
    at_ms = round(now.timestamp() * 1000)
    overlay = folding.Overlay(lambda keys: {})
    drive(save_plan(Rows(job("rec", "ap-mumbai")).polls, job("rec", "ap-mumbai"), seen), overlay)
    listening.write(overlay.changed)
    listening.put(event(302, "rec", at_ms, LeaveCode=0), received_at_ms=at_ms)
    listening.write({due_key(at_ms, job("rec")): json.dumps(due_value(job("rec", "ap-mumbai")))})
    work()
    assert {row["region"] for row in listening.rows("due/").values()} == {"ap-mumbai", "ap-guangzhou"}


def test_an_id_that_looks_like_a_page_overwrites_none(store: Store) -> None:
    store.put(*story("rec"), *story("rec/files/0"))
    work()
    for recording_id in ("rec", "rec/files/0"):
        assert [file.file_name for file in state_of(store, recording_id).files] == [f"{recording_id}.m3u8"]


def test_a_number_of_pages_that_is_made_up_holds_nothing_up(listening: Store) -> None:
    head = {"v": 1, "job_id": "rec", "pages": 3_000_000}
    listening.write({Rows(job("rec")).callbacks: json.dumps(head)})
    listening.write({Rows(job("rec", "ap-guangzhou")).polls: json.dumps({**head, "pages": -1})})
    listening.put(*story("rec"))
    work()
    assert finished(listening) == [(DONE.name, "rec"), (UPLOADED.name, "rec")]
    assert len(state_of(listening, "rec").files) == 1


def test_a_log_whose_counter_was_lost_begins_anew(store: Store) -> None:
    store.put(*story("a"))
    work()
    with database.transaction() as session:
        database.delete_keys(session, store.asset_id, ["log"])
    store.put(*story("b"))
    work()
    entries = store.rows("log/")[log_page_key(0)]["entries"]
    assert [(entry["seq"], entry["job_id"]) for entry in entries] == [(seq, "b") for seq in range(1, 6)]


def at(days: float) -> int:
    """Unix milliseconds so many days from now."""
    return round((datetime.now(timezone.utc) + timedelta(days=days)).timestamp() * 1000)


@pytest.mark.parametrize(
    "days, counts", [(-61, False), (-59.1, False), (-58.9, True), (0.9, True), (1.1, False), (2000, False)]
)
def test_what_is_older_than_the_journal_or_ahead_of_the_clock_decides_nothing(
    listening: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    days: float,
    counts: bool,
) -> None:
    """A signed callback can be sent again for ever; the journal knows for 60 days that it has seen it."""
    monkeypatch.setenv("AIRFLOW__TRTC__JOURNAL_DAYS", "60")
    listening.put(event(302, "rec", at(days), LeaveCode=0), received_at_ms=at(0))
    CallbackProcessor().work()
    assert len(listening.rows("ev/")) == 1
    assert bool(listening.rows("cb/")) == counts
    assert bool(listening.rows("log/")) == counts
    assert ("without effect" in caplog.text) != counts
    assert not listening.rows("in/")


def test_an_event_from_the_future_does_not_keep_a_recording_from_ending(
    listening: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__TRTC__JOURNAL_DAYS", "60")
    listening.put(
        event(301, "rec", at(0) - 2000, Status=0),
        event(302, "rec", at(0) - 1000, LeaveCode=0),
        event(301, "rec", at(3650), Status=0),
        event(301, "rec", 9_999_999_999_000, Status=0),
        received_at_ms=at(0),
    )
    CallbackProcessor().work()
    assert len(listening.rows("ev/")) == 4
    head = next(iter(listening.rows("cb/").values()))
    assert {fact["happened_at_ms"] < at(1) for fact in head["history"]} == {True}


def test_it_is_said_that_nobody_works_callbacks_through() -> None:
    stall = processor.Stall()
    assert [stall.seconds("in/1", now) for now in (1000, 1030, 1059)] == [None] * 3
    assert not stall.was_told
    assert [stall.seconds("in/1", now) for now in (1060, 1061, 1119, 1121)] == [60, None, None, 121]
    assert stall.was_told
    assert [stall.seconds(key, 1130) for key in ("in/2", None)] == [None, None]
    assert [stall.seconds("in/2", now) for now in (1140, 1199)] == [None, None]
    assert not stall.was_told


def test_a_lock_that_another_session_keeps_is_said_once_a_minute(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "claim", lambda session, asset_id: None)
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("airflow_trtc.web.processing.processor.time.monotonic", lambda: next(clock))
    store.put(event(302, "rec", LeaveCode=0))
    one = CallbackProcessor()
    for _ in range(13):
        assert not one.work()
    assert caplog.text.count("idle in a transaction") == 2


@pytest.mark.parametrize("odd", ["a\nb", "a\x1b[31mb", "a\u2028b", "a\tb"])
def test_ids_write_no_lines_of_their_own(
    listening: Store, caplog: pytest.LogCaptureFixture, odd: str
) -> None:
    listening.put(event(302, odd, LeaveCode=0), event(308, odd, START_MS + 1))
    with caplog.at_level(logging.DEBUG):
        CallbackProcessor().work()
    assert listening.emitted()
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_trtc")]
    assert messages
    assert all(message.isprintable() for message in messages)
    assert all((key or "").isprintable() for _, key, _ in listening.emitted())
