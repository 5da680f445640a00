"""Trouble of the service in the midst of a wait."""

from __future__ import annotations

import pytest

from tests.e2e.stage import MODES, Stage

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", ["throttle", "outage"])
def test_a_minute_of_trouble_only_prolongs_the_wait(stage: Stage, mode: str, fault: str) -> None:
    wait = stage.wait(f"{fault}_{mode}", stage.record({"files": 1}, files=3))
    wait.until_known(1)
    stage.emulator.fault(fault, seconds=60, recording_id=wait.recording_id)
    wait.script({"files": 2}, {"files": 3}, {"gone": True})  # not seen before the minute is over
    wait.assert_handed_on("gone", file_count=3)
    assert "polling failed" in wait.log()
