"""What is made after a recording's end, which only callbacks tell."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.e2e.callbacks.listening import Listening

HLS_AND_MP4 = 1

pytestmark = pytest.mark.postgres


# Options of the recordings of which one waits for each milestone.
RECORDINGS: dict[str, dict[str, Any]] = {
    "upload": {"files": 2},
    "mp4": {"files": 3, "output_format": HLS_AND_MP4},
    "vod": {"files": 3, "storage": "vod"},
}


class Run(NamedTuple):
    """One that waits for recordings, which have ended."""

    run_id: str
    recording_ids: list[str]


@pytest.fixture(scope="module")
def runs(listening: Listening) -> dict[str, Run]:
    """A run for each milestone; they start at the same time."""

    def begin(milestone: str) -> Run:
        recording_ids = listening.record(2, **RECORDINGS[milestone])
        run_id = listening.wait(f"wait_for_{milestone}", recording_ids)
        listening.end_all(recording_ids, 0)
        return Run(run_id, recording_ids)

    with ThreadPoolExecutor(len(RECORDINGS)) as pool:
        return dict(zip(RECORDINGS, pool.map(begin, RECORDINGS), strict=True))


@pytest.mark.parametrize(
    "milestone, kinds", [("upload", ["files"]), ("mp4", ["files", "mp4_files"]), ("vod", ["vod_files"])]
)
def test_a_wait_hands_on_all_that_is_made_of_a_recording(
    listening: Listening, runs: dict[str, Run], milestone: str, kinds: list[str]
) -> None:
    run_id, recording_ids = runs[milestone]
    assert listening.handed_on(f"wait_for_{milestone}", run_id, 2) == [
        listening.expected_files(recording_id, kinds) for recording_id in recording_ids
    ]
    if milestone == "vod":
        started = listening.until_runs_ended("on_finished_vod", recording_ids)
        assert {len(found) for found in started.values()} == {1}
