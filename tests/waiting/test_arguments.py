"""What a trigger's event hands back to the worker."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from airflow_trtc.jobs.observation import Trouble
from airflow_trtc.jobs.state import JobState
from airflow_trtc.waiting.arguments import WaitArguments, read_event
from airflow_trtc.waiting.engine import TimedOut

ARGUMENTS = WaitArguments(kind="recording", job_id="rid", sdk_app_id=1400000001, region="ap-guangzhou")
TROUBLE = Trouble("passing", "Client.Unreachable", "https://trtc.example cannot be reached.")


@pytest.mark.parametrize("trouble", [TROUBLE, None])
def test_the_trouble_of_the_last_poll_comes_back(trouble: Trouble | None) -> None:
    event = ARGUMENTS.event(TimedOut("timeout"), JobState("rid", status="InProgress", trouble=trouble))
    read = read_event(event)
    assert read.ending == TimedOut("timeout")
    assert (read.state.status, read.state.trouble) == ("InProgress", trouble)


@pytest.mark.parametrize(
    "stored", ["text", {}, {"kind": "odd", "code": "c", "message": "m"}, {**asdict(TROUBLE), "message": None}]
)
def test_a_trouble_that_this_version_does_not_know_is_left_out(stored: Any) -> None:
    event = ARGUMENTS.event(TimedOut("timeout"), JobState("rid", trouble=TROUBLE))
    assert read_event({**event, "trouble": stored}).state.trouble is None
