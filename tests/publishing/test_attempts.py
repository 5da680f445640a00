"""What a try does by what is kept of earlier ones."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.attempts import Attempt, Deed, Fact, Target, facts_of
from airflow_trtc.publishing.attempts import STREAM_STARTS
from airflow_trtc.publishing.started import StartedStream, read_started

TARGET = Target("relay", 1400000001, "ap-guangzhou", "digest", "8001", "numeric", "robot")
STREAM = StartedStream(
    kind="relay",
    job_id="id",
    sdk_app_id=1400000001,
    region="ap-guangzhou",
    room_id="8001",
    room_type="numeric",
    user_id="robot",
    with_transcoding=1,
    started_at=datetime(2026, 11, 30, 10, tzinfo=timezone.utc),
    attempts=2,
)
SENT = Attempt(target=TARGET, max_tries=2, try_number=1, sent_at="2026-11-30T10:00:00+00:00")
STARTED = replace(SENT, answer=STREAM.to_json(), is_answered=True)
HANDED_ON = replace(STARTED, handed_on=True)


@pytest.mark.parametrize(
    "kept, max_tries, deed",
    [
        (SENT, 2, Deed.RESOLVE),
        (replace(SENT, target=replace(TARGET, room_id="9")), 2, Deed.RESOLVE),
        (STARTED, 2, Deed.ASK),
        (STARTED, 3, Deed.ASK),
        (HANDED_ON, 2, Deed.ASK),
        (HANDED_ON, 3, Deed.STOP),
        (replace(STARTED, target=replace(TARGET, content="other")), 2, Deed.STOP),
        (replace(STARTED, target=replace(TARGET, user_id="other")), 2, Deed.STOP),
    ],
)
def test_what_is_kept_decides(kept: Attempt, max_tries: int, deed: Deed) -> None:
    assert STREAM_STARTS.rule(facts_of(kept, TARGET, max_tries)).deed is deed


def test_nothing_is_left_behind() -> None:
    """What may run is stopped by its id, or its robot is sent out, or it is asked about."""
    assert {rule.deed for rule in STREAM_STARTS.rules} == {Deed.RESOLVE, Deed.STOP, Deed.ASK}
    for fact in (Fact.NO_STORE, Fact.UNREADABLE):
        assert STREAM_STARTS.rule(fact).deed is Deed.RESOLVE
    assert STREAM_STARTS.rule(Fact(0)).deed is Deed.START


def test_sentences_name_what_they_are_about() -> None:
    kept = {"try_number": 1, "sent_at": "now", "named": "relay id"}
    for rule in STREAM_STARTS.rules:
        is_kept = not rule.needs & (Fact.NO_STORE | Fact.UNREADABLE)
        said = rule.says.format_map(asdict(TARGET) | (kept if is_kept else {}))
        assert "{" not in said
        assert "relay" in said


@pytest.mark.parametrize("with_transcoding", [None, 0])
def test_a_started_stream_can_be_read_again(with_transcoding: int | None) -> None:
    flags: list[dict[str, Any]] = [{}, {"reattached": True}, {"replaced_unknown": True}]
    for flag in flags:
        one = replace(STREAM, with_transcoding=with_transcoding, **flag)
        assert read_started(one.to_json()) == one


def test_rooms_have_the_type_that_calls_about_rooms_want() -> None:
    assert TARGET.room == 8001
    assert replace(TARGET, room_type="string").room == "8001"


def test_a_row_is_read_as_it_was_written() -> None:
    for each in (SENT, STARTED, HANDED_ON, replace(SENT, sends=3)):
        assert STREAM_STARTS.read(each.to_json()) == each


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 1},
        {"target": None},
        {"target": {**SENT.to_json()["target"], "room_id": "lesson"}},
        {"target": {**SENT.to_json()["target"], "sdk_app_id": -1}},
    ],
)
def test_a_row_of_something_else_is_refused(changes: dict[str, Any]) -> None:
    unnamed = {**STARTED.to_json(), "answer": {"job_id": "id"}}
    with pytest.raises(ValueError, match="no started job"):
        STREAM_STARTS.read(unnamed)
    rows: list[Any] = [{**SENT.to_json(), **changes}, None, [], "x"]
    for wrong in rows:
        with pytest.raises(ValueError, match="no attempt of this version"):
            STREAM_STARTS.read(wrong)
