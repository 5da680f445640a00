"""What is made after a recording's end, which only callbacks tell."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.callbacks.listening import Listening

HLS_AND_MP4 = 1

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    "milestone, options, kinds",
    [
        ("upload", {"files": 2}, ["files"]),
        ("mp4", {"files": 3, "output_format": HLS_AND_MP4}, ["files", "mp4_files"]),
        ("vod", {"files": 3, "storage": "vod"}, ["vod_files"]),
    ],
)
def test_a_wait_hands_on_all_that_is_made_of_a_recording(
    listening: Listening, milestone: str, options: dict[str, Any], kinds: list[str]
) -> None:
    recording_ids = listening.record(2, **options)
    run_id = listening.wait(f"wait_for_{milestone}", recording_ids)
    listening.end_all(recording_ids, 0)
    assert listening.handed_on(f"wait_for_{milestone}", run_id, 2) == [
        listening.expected_files(recording_id, kinds) for recording_id in recording_ids
    ]
    if milestone == "vod":
        runs = listening.until_runs_ended("on_finished_vod", recording_ids)
        assert {len(found) for found in runs.values()} == {1}
