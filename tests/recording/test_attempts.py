"""Whether a try starts a recording: every row of the table."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.attempts import Attempt, Deed, Fact, Target, facts_of
from airflow_trtc.recording.attempts import RECORDING_STARTS
from airflow_trtc.recording.started import StartedRecording, read_named, read_started

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
TARGET = Target("recording", 1400000001, "ap-guangzhou", room_id="5", room_type="numeric", user_id="robot")
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
ANSWERED = replace(SENT, answer=STARTED.to_json(), is_answered=True)
HANDED_ON = replace(ANSWERED, handed_on=True)
OTHER = replace(TARGET, room_id="6")


@pytest.mark.parametrize(
    "attempt, target, max_tries, deed, says",
    [
        (SENT, TARGET, 1, Deed.RESOLVE, "the service ends it now"),
        (SENT, TARGET, 3, Deed.RESOLVE, "the service ends it now"),
        (ANSWERED, TARGET, 1, Deed.ASK, "asking whether it runs"),
        (ANSWERED, TARGET, 3, Deed.ASK, "asking whether"),  # it failed for good, and was cleared
        (HANDED_ON, TARGET, 1, Deed.ASK, "asking whether"),  # a crash between marking and success
        (HANDED_ON, TARGET, 3, Deed.START, "was cleared since"),
        (ANSWERED, OTHER, 1, Deed.START, "with other arguments"),
        (HANDED_ON, OTHER, 3, Deed.START, "with other arguments"),
        (SENT, OTHER, 1, Deed.START, "If that recording was started, it goes on"),
        (replace(HANDED_ON, is_void=True), TARGET, 1, Deed.START, ""),
    ],
)
def test_what_is_kept_decides(
    attempt: Attempt, target: Target, max_tries: int, deed: Deed, says: str
) -> None:
    rule = RECORDING_STARTS.rule(facts_of(attempt, target, max_tries))
    assert rule.deed is deed
    assert says in rule.says
    assert bool(says) == bool(rule.says)


@pytest.mark.parametrize(
    "fact, deed",
    [(Fact(0), Deed.START), (Fact.NO_STORE, Deed.START), (Fact.UNREADABLE, Deed.RESOLVE)],
)
def test_what_is_not_kept_decides_too(fact: Fact, deed: Deed) -> None:
    assert RECORDING_STARTS.rule(fact).deed is deed


@pytest.mark.parametrize(
    "field, value", [("sdk_app_id", 2), ("region", "x"), ("room_type", "string"), ("user_id", "x")]
)
def test_any_other_place_or_robot_is_another_recording(field: str, value: Any) -> None:
    assert Fact.OTHER in facts_of(ANSWERED, replace(TARGET, **{field: value}), 1)


def test_each_sentence_can_be_said() -> None:
    kept = {"try_number": 1, "sent_at": "now", "named": "recording rid"}
    for rule in RECORDING_STARTS.rules:
        is_kept = not rule.needs & (Fact.NO_STORE | Fact.UNREADABLE)
        said = rule.says.format_map(asdict(TARGET) | (kept if is_kept else {}))
        assert "robot robot" in said or "recording rid" in said
        assert "{" not in said
    assert str(TARGET) == "numeric room 5 (application 1400000001, region ap-guangzhou, robot robot)"


@pytest.mark.parametrize("attempt", [SENT, ANSWERED, HANDED_ON])
def test_rows_can_be_read_again(attempt: Attempt) -> None:
    assert RECORDING_STARTS.read(json.loads(json.dumps(attempt.to_json()))) == attempt


@pytest.mark.parametrize(
    "row",
    [
        "text",
        {},
        {**SENT.to_json(), "v": 1},
        {**SENT.to_json(), "target": {}},
        {**SENT.to_json(), "target": {**SENT.to_json()["target"], "region": 5}},
        {**ANSWERED.to_json(), "answer": {"recording_id": "x"}},
        {**ANSWERED.to_json(), "answer": 5},
    ],
)
def test_other_rows_are_refused(row: Any) -> None:
    with pytest.raises(ValueError, match="it is no"):
        RECORDING_STARTS.read(row)


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
