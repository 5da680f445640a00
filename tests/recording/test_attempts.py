"""Whether a try starts a recording: every row of the table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.recording.attempts import (
    Attempt,
    Reason,
    Target,
    earlier_sends,
    first_step,
    read_attempt,
    second_step,
)
from airflow_trtc.recording.started import StartedRecording, read_named, read_started

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
TARGET = Target(1400000001, "ap-guangzhou", "5", 1, "robot")
STARTED = StartedRecording(
    recording_id="rid+..",
    sdk_app_id=1400000001,
    region="ap-guangzhou",
    room_id="5",
    room_id_type=1,
    user_id="robot",
    storage={"CloudStorage": {"Vendor": 0, "Bucket": "b", "Region": "r", "FileNamePrefix": ["a", "b"]}},
    file_name_prefix="a/b",
    started_at=NOW,
    expires_at=NOW + timedelta(hours=72),
    attempts=2,
)
SENT = Attempt(target=TARGET, max_tries=1, try_number=1, sent_at="2026-01-01T00:00:00+00:00", sends=2)
ANSWERED = replace(SENT, recording=STARTED)
HANDED_ON = replace(ANSWERED, handed_on=True)
OTHER = replace(TARGET, room_id="6")


@pytest.mark.parametrize(
    "attempt, target, max_tries, reason, starts",
    [
        (None, TARGET, 1, Reason.FIRST_START, True),
        (SENT, TARGET, 1, Reason.OUTCOME_UNKNOWN, True),
        (SENT, TARGET, 3, Reason.OUTCOME_UNKNOWN, True),
        (ANSWERED, TARGET, 1, Reason.KEPT, False),
        (ANSWERED, TARGET, 3, Reason.KEPT, False),  # it failed for good, and was cleared
        (HANDED_ON, TARGET, 1, Reason.KEPT, False),  # a crash between marking and success
        (HANDED_ON, TARGET, 3, Reason.CLEARED, True),
        (ANSWERED, OTHER, 1, Reason.OTHER_TARGET, True),
        (HANDED_ON, OTHER, 3, Reason.OTHER_TARGET, True),
        (SENT, OTHER, 1, Reason.OTHER_TARGET_UNKNOWN, True),
    ],
)
def test_what_is_kept_decides(
    attempt: Attempt | None, target: Target, max_tries: int, reason: Reason, starts: bool
) -> None:
    assert first_step(attempt, target, max_tries) is reason
    assert (reason.starts, reason.asks) == (starts, not starts)


@pytest.mark.parametrize(
    "field, value", [("sdk_app_id", 2), ("region", "x"), ("room_id_type", 0), ("user_id", "x")]
)
def test_any_other_place_or_robot_is_another_recording(field: str, value: Any) -> None:
    assert first_step(ANSWERED, replace(TARGET, **{field: value}), 1) is Reason.OTHER_TARGET


def test_the_answer_of_the_service_decides_the_rest() -> None:
    assert second_step(is_running=True) is Reason.RUNS
    assert second_step(is_running=False) is Reason.GONE
    assert not Reason.RUNS.starts
    assert Reason.GONE.starts


def test_only_an_unknown_outcome_is_replaced_and_its_requests_count() -> None:
    replacing = {reason for reason in Reason if reason.is_replacing_unknown}
    assert replacing == {Reason.OUTCOME_UNKNOWN, Reason.UNREADABLE}
    assert earlier_sends(SENT, Reason.OUTCOME_UNKNOWN) == 2
    assert earlier_sends(HANDED_ON, Reason.CLEARED) == earlier_sends(None, Reason.FIRST_START) == 0


def test_each_sentence_can_be_said() -> None:
    for reason in Reason:
        for attempt in (None, SENT, ANSWERED):
            if attempt is not None or reason in (Reason.FIRST_START, Reason.UNREADABLE):
                assert "{" not in reason.sentence(attempt, TARGET)
    assert Reason.FIRST_START.sentence(None, TARGET) == ""
    assert "rid+.." in Reason.CLEARED.sentence(HANDED_ON, TARGET)
    assert "same robot robot" in Reason.OUTCOME_UNKNOWN.sentence(SENT, TARGET)
    assert "room 5" in Reason.OTHER_TARGET.sentence(ANSWERED, OTHER)


@pytest.mark.parametrize("attempt", [SENT, ANSWERED, HANDED_ON])
def test_rows_can_be_read_again(attempt: Attempt) -> None:
    assert read_attempt(json.loads(json.dumps(attempt.to_json()))) == attempt


@pytest.mark.parametrize(
    "row",
    [
        "text",
        {},
        {**SENT.to_json(), "v": 2},
        {**SENT.to_json(), "target": {}},
        {**SENT.to_json(), "target": {**SENT.to_json()["target"], "user_id": 5}},
        {**SENT.to_json(), "recording": {"recording_id": "x"}},
        {**SENT.to_json(), "recording": 5},
    ],
)
def test_other_rows_are_refused(row: Any) -> None:
    with pytest.raises(ValueError, match="it is no"):
        read_attempt(row)


# -- what is handed on --------------------------------------------------------------------------------


def test_a_started_recording_can_be_read_again() -> None:
    row = json.loads(json.dumps(STARTED.to_json()))
    assert read_started(row) == STARTED
    assert row["started_at"] == "2026-01-01T00:00:00+00:00"
    assert (STARTED.reattached, STARTED.replaced_unknown) == (False, False)
    flags: list[dict[str, Any]] = [{"reattached": True}, {"replaced_unknown": True}]
    for flag in flags:
        other = replace(STARTED, room_id_type=0, **flag)
        assert read_started(json.loads(json.dumps(other.to_json()))) == other


def test_others_read_of_it_what_they_need() -> None:
    named = read_named("recording", STARTED.to_json())
    assert (named.recording_id, named.sdk_app_id, named.region) == ("rid+..", 1400000001, "ap-guangzhou")
    assert (named.file_name_prefix, named.expires_at) == ("a/b", STARTED.expires_at)
    assert read_named("recording", {"recording_id": None}).recording_id is None


@pytest.mark.parametrize("wrong", ["rid", {}, {"recording_id": 5}, {"recording_id": ""}, None, ["rid"]])
def test_what_names_no_recording_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^recording.*start.output"):
        read_named("recording", wrong)
