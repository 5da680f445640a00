"""Sentences and moderation hits: read from events, kept within bounds, each once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs import records as module
from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.records import (
    NO_RECORDS,
    Record,
    Records,
    add_record,
    counts_from_json,
    counts_to_json,
    merge_records,
    record_of,
    records_from_json,
    records_to_json,
)
from airflow_trtc.jobs.state import JobState, combine, from_json, is_news, learn, to_json
from airflow_trtc.jobs.verdict import describe_news
from airflow_trtc.results import record_results

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
START_MS = round(START.timestamp() * 1000)
SAID = {"UserId": "anna", "Text": "Good morning", "StartTimeMs": 1234, "EndTimeMs": "1269", "RoundId": "r1"}
HIT = {
    "DataId": "547512114953106866",
    "MediaType": 1,
    "Suggest": 2,
    "Label": "Polity",
    "Rate": 100,
    "Image": "",
    "Audio": "https://b.example/x/1.ogg?sign=hunter2",
    "AudioText": "words",
}


def event(
    kind: int, payload: dict[str, Any], *, at: int = 0, group: int | None = None, **info: Any
) -> Callback:
    about = {"TaskId": "job", "EventMsTs": str(START_MS + at), "Payload": payload, **info}
    return parse_event({"EventGroupId": group or kind // 100, "EventType": kind, "EventInfo": about})


def record(kind: int, payload: dict[str, Any], **info: Any) -> Record | None:
    return record_of(event(kind, payload, **info), START_MS + 5)


@pytest.mark.parametrize("kind", [903, 1403])
def test_a_sentence_is_read(kind: int) -> None:
    assert record(kind, SAID) == Record(
        event(kind, SAID).identity,
        "sentence",
        START_MS,
        user_id="anna",
        text="Good morning",
        start_ms=1234,
        end_ms=1269,
        round_id="r1",
    )


def test_a_hit_is_read_without_signatures() -> None:
    found = record(1104, HIT, StreamerUserId="anna", UserId="robot")
    assert found is not None
    assert replace(found, identity="") == Record(
        "",
        "moderation",
        START_MS,
        user_id="anna",
        text="words",
        media="speech",
        suggestion="block",
        label="Polity",
        score=100,
        url="https://b.example/x/1.ogg",
        data_id="547512114953106866",
    )


@pytest.mark.parametrize(
    "change, field, value",
    [
        ({"MediaType": 2, "Audio": "", "AudioText": "", "Image": "https://b.example/1.png", "ImageOcr": "t"},
         "url", "https://b.example/1.png"),
        ({"AudioText": "", "ImageOcr": "read"}, "text", "read"),
        ({"MediaType": 2}, "media", "image"),
        ({"MediaType": 7}, "media", "7"),
        ({"MediaType": None}, "media", None),
        ({"Suggest": 1}, "suggestion", "review"),
        ({"Suggest": "2"}, "suggestion", "block"),
        ({"Suggest": 9}, "suggestion", "9"),
        ({"Suggest": None}, "suggestion", None),
        ({"Score": 7}, "score", 7),
        ({"Score": 0}, "score", 0),
        ({"Label": 5}, "label", "5"),
        ({"AudioText": "see https://x.example/a?token=hunter2"}, "text", "see https://x.example/a"),
        ({"AudioText": "w" * 9999}, "text", "w" * 2000),
    ],
)  # fmt: skip
def test_the_fields_of_a_hit(change: dict[str, Any], field: str, value: object) -> None:
    found = record(1104, {**HIT, **change})
    assert getattr(found, field) == value


def test_what_passes_is_no_hit_and_what_says_nothing_is_no_sentence() -> None:
    assert record(1104, {**HIT, "Suggest": 0}) is None
    assert record(903, {"UserId": "anna", "Text": " "}) is None
    assert record(903, {}) is None
    assert record(904, SAID) is None
    assert record(903, SAID, group=3) is None
    assert record_of(event(302, SAID), 0) is None


def test_a_record_without_time_happened_when_it_was_received() -> None:
    found = record(903, SAID, EventMsTs=0)
    assert found is not None
    assert found.at_ms == START_MS + 5


# -- many of them ---------------------------------------------------------------------------------------


def numbered(number: int, text: str = "x") -> Record:
    return Record(f"{number:032x}"[::-1], "sentence", START_MS + number, text=text)


def kept(records: Records) -> list[int]:
    return [record.at_ms - START_MS for record in records.kept]


def test_each_is_kept_once_in_the_order_of_first_sight() -> None:
    records = NO_RECORDS
    for number in (1, 0, 1, 2, 0):
        records = add_record(records, numbered(number))
    assert kept(records) == [1, 0, 2]
    assert (records.left_out, records.size) == (0, 3 * numbered(0).size)
    other = Records((numbered(2), numbered(3)))
    assert kept(merge_records(records, other)) == [1, 0, 2, 3]
    assert merge_records(records, records) == merge_records(records, NO_RECORDS) == records


def test_what_is_beyond_the_bounds_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECORDS", 3)
    records = NO_RECORDS
    for number in (0, 1, 2, 3, 4, 3, 4, 4, 1):
        records = add_record(records, numbered(number))
    assert (kept(records), records.left_out) == ([0, 1, 2], 2)
    # The journal and the feed bring the same ones; what knows of more has counted more.
    behind = add_record(Records(records.kept), numbered(3))
    assert merge_records(behind, records).left_out == merge_records(records, behind).left_out == 2


def test_the_size_of_all_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHARACTERS", 2 * numbered(0, "x" * 100).size)
    records = NO_RECORDS
    for number in range(5):
        records = add_record(records, numbered(number, "x" * 100))
    assert (kept(records), records.left_out) == ([0, 1], 3)
    assert kept(add_record(records, numbered(9, ""))) == [0, 1]


def test_thousands_of_them_cost_little() -> None:
    many = Records(tuple(numbered(number) for number in range(6000)))
    records = merge_records(NO_RECORDS, many)
    assert (len(records.kept), records.left_out, len(records.recent)) == (5000, 1000, 200)
    stored = json.loads(json.dumps([records_to_json(records.kept), counts_to_json(records)]))
    assert counts_from_json(stored[1], records_from_json(stored[0])) == records
    assert len(json.dumps(stored)) < 1_200_000


@pytest.mark.parametrize(
    "item",
    [
        None, "x", {}, {"identity": "a", "kind": "sentence"},
        {"identity": "a", "kind": "poem", "at_ms": START_MS},
        {"identity": 5, "kind": "sentence", "at_ms": START_MS}, {"kind": "sentence", "at_ms": START_MS},
        {"identity": "a", "kind": "sentence", "at_ms": 10**30},
    ],
)  # fmt: skip
def test_what_cannot_be_read_back_is_left_out(item: object) -> None:
    good = records_to_json([numbered(1)])
    assert records_from_json([item, *good, *good]) == (numbered(1),)
    assert records_from_json(item) == ()
    assert counts_from_json(item, ()) == NO_RECORDS


def test_fields_that_others_wrote_are_bounded() -> None:
    (item,) = records_to_json([numbered(1)])
    wild = {"text": "t" * 9999, "score": 10**30, "start_ms": "7", "url": 5}
    (read,) = records_from_json([{**item, **wild}])
    assert (len(read.text or ""), read.score, read.start_ms, read.url) == (2000, None, 7, None)


# -- in the state ----------------------------------------------------------------------------------------


def test_the_state_keeps_them_and_says_nothing_of_what_was_said() -> None:
    callback = event(903, SAID)
    before = JobState("job")
    after = learn(before, callback, START)
    assert [one.text for one in after.records.kept] == ["Good morning"]
    assert is_news(before, after)
    assert describe_news(before, after, callback) == []
    assert from_json(json.loads(json.dumps(to_json(after))), "job") == after
    again = learn(after, callback, START + timedelta(seconds=1))
    assert again.records == after.records
    other = learn(JobState("job"), event(903, {**SAID, "Text": "Bye"}, at=9), START)
    assert [one.text for one in combine(after, other).records.kept] == ["Good morning", "Bye"]


def test_the_log_says_when_no_more_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RECORDS", 1)
    state = learn(JobState("job"), event(903, SAID), START)
    callback = event(903, {**SAID, "Text": "Bye"}, at=9)
    after = learn(state, callback, START)
    assert describe_news(state, after, callback) == ["1 records are kept; further ones are only counted"]
    third = event(903, {**SAID, "Text": "Bye bye"}, at=10)
    assert describe_news(after, learn(after, third, START), third) == []


def test_results_are_in_the_order_in_which_things_happened() -> None:
    late, early = numbered(2000), numbered(1000)
    results = record_results([late, early])
    assert [result["at"] for result in results] == ["2026-01-01T00:00:01+00:00", "2026-01-01T00:00:02+00:00"]
    assert list(results[0]) == [
        "at", "kind", "user_id", "text", "start_ms", "end_ms", "round_id", "media", "suggestion", "label",
        "score", "url", "data_id",
    ]  # fmt: skip
