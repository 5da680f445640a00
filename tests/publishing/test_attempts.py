"""What a try does by what is kept of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_trtc.publishing.attempts import (
    Reason,
    StreamAttempt,
    Target,
    first_step,
    read_attempt,
    second_step,
)

TARGET = Target("relay", 1400000001, "ap-guangzhou", "8001", "numeric", "robot", "digest")
SENT = StreamAttempt(target=TARGET, max_tries=2, try_number=1, sent_at="2026-11-30T10:00:00+00:00")
STARTED = replace(SENT, job_id="id")
HANDED_ON = replace(STARTED, handed_on=True)


@pytest.mark.parametrize(
    "kept, now, reason",
    [
        (None, {}, Reason.FIRST_START),
        (None, {"try_number": 2}, Reason.FIRST_START),
        (None, {"is_kept": False}, Reason.FIRST_START),
        (None, {"is_kept": False, "try_number": 2}, Reason.NOTHING_KEPT),
        (SENT, {}, Reason.OUTCOME_UNKNOWN),
        (replace(SENT, target=replace(TARGET, room_id="9")), {}, Reason.OUTCOME_UNKNOWN),
        (STARTED, {}, Reason.KEPT),
        (STARTED, {"max_tries": 3}, Reason.KEPT),
        (HANDED_ON, {}, Reason.KEPT),
        (HANDED_ON, {"max_tries": 3}, Reason.CLEARED),
        (replace(STARTED, target=replace(TARGET, content="other")), {}, Reason.OTHER_TARGET),
        (replace(STARTED, target=replace(TARGET, user_id="other")), {}, Reason.OTHER_TARGET),
    ],
)
def test_the_table(kept: StreamAttempt | None, now: dict[str, Any], reason: Reason) -> None:
    given = {"max_tries": 2, "try_number": 1, "is_kept": True, **now}
    assert first_step(kept, TARGET, **given) is reason


def test_what_runs_is_continued_and_what_is_over_is_started_anew() -> None:
    assert second_step(is_running=True) is Reason.RUNS
    assert second_step(is_running=False) is Reason.OVER


def test_nothing_is_left_behind() -> None:
    """What may run is stopped by its id, or its robot is sent out, or it is asked about; each in one way."""
    ways = {each: (each.asks, each.stops, each.expels) for each in Reason}
    assert all(sum(way) <= 1 for way in ways.values())
    harmless = {Reason.FIRST_START, Reason.RUNS, Reason.OVER}
    assert {each for each, way in ways.items() if not any(way)} == harmless


def test_sentences_name_what_they_are_about() -> None:
    for reason in Reason:
        sentence = reason.sentence(STARTED, TARGET)
        assert "{" not in sentence
        assert bool(sentence) == (reason is not Reason.FIRST_START)
    assert "relay id" in Reason.KEPT.sentence(STARTED, TARGET)
    assert "robot" in Reason.UNREADABLE.sentence(None, TARGET)


def test_rooms_have_the_type_that_calls_about_rooms_want() -> None:
    assert TARGET.room == 8001
    assert replace(TARGET, room_type="string").room == "8001"


def test_a_row_is_read_as_it_was_written() -> None:
    for each in (SENT, STARTED, HANDED_ON, replace(SENT, sends=3)):
        assert read_attempt(each.to_json()) == each


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"target": None},
        {"target": {**SENT.to_json()["target"], "room_id": "lesson"}},
        {"target": {**SENT.to_json()["target"], "sdk_app_id": 0}},
    ],
)
def test_a_row_of_something_else_is_refused(changes: dict[str, Any]) -> None:
    rows: list[Any] = [{**SENT.to_json(), **changes}, None, [], "x"]
    for wrong in rows:
        with pytest.raises(ValueError, match="no attempt of this version"):
            read_attempt(wrong)
