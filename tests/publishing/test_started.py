"""What starts hand on, and how it is read."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_trtc.publishing.started import NamedStream, StartedStream, read_named

STARTED = StartedStream(
    kind="relay",
    job_id="id",
    sdk_app_id=1400000001,
    region="ap-guangzhou",
    room_id="8001",
    room_type="numeric",
    user_id="robot",
    with_transcoding=1,
    started_at=datetime(2026, 11, 30, tzinfo=timezone.utc),
)


def test_what_is_handed_on_names_the_job() -> None:
    found = read_named("job", STARTED.to_json(), "relay")
    assert found == NamedStream("id", 1400000001, "ap-guangzhou", 1, 0)
    updated = {**STARTED.to_json(), "sequence_number": 7}
    assert read_named("job", updated, "relay").sequence_number == 7


def test_a_start_that_failed_hands_on_no_id() -> None:
    assert read_named("job", {"kind": "relay", "job_id": None}, "relay") == NamedStream()


@pytest.mark.parametrize(
    "wrong, words",
    [
        ("id", "job is 'id'"),
        ({}, "an object without job_id"),
        ({"kind": "ingest", "job_id": "id"}, "of kind 'ingest', not relay"),
        ({"job_id": 5}, "must be the id of a job"),
        ({"job_id": ""}, "must be the id of a job"),
    ],
)
def test_what_names_no_job(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_named("job", wrong, "relay")
