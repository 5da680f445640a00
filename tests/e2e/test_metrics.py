"""A real Airflow's worker and triggerer, and what a statsd hears of them."""

from __future__ import annotations

import pytest

from tests.e2e.stage import MODES, PATIENCE_SECONDS, Stage
from tests.metering import Statsd

pytestmark = pytest.mark.e2e
DESCRIBE = "DescribeCloudRecording"


@pytest.mark.parametrize("mode", MODES)
def test_what_a_wait_counts_is_heard(stage: Stage, statsd: Statsd, mode: str) -> None:
    recording_id = stage.record(files=1, ends_after_reads=4)
    stage.wait(f"plain_{mode}", recording_id).assert_handed_on("gone", file_count=1)
    heard = statsd.wait_for(
        f"trtc.waits_begun.recording.{mode}",
        f"trtc.waits_ended.recording.{mode}.gone",
        f"trtc.wait_lag.recording.{mode}.gone",
        "trtc.polls.recording.found",
        f"trtc.api_calls.{DESCRIBE}.ok",
        f"trtc.api_calls.{DESCRIBE}.absent",
        f"trtc.api_call_time.{DESCRIBE}",
        f"trtc.pace_time.{DESCRIBE}",
        seconds=PATIENCE_SECONDS,
    )
    assert not [name for name in heard if recording_id in name]


def test_the_triggerer_tells_how_many_wait(stage: Stage, statsd: Statsd) -> None:
    recording_id = stage.record()
    wait = stage.wait("plain_deferrable", recording_id)
    statsd.wait_for("trtc.waits.recording.running.*", "trtc.poll_delay.recording", seconds=PATIENCE_SECONDS)
    stage.emulator.end(recording_id)
    wait.assert_handed_on("gone", file_count=0)
