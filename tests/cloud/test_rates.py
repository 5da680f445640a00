"""Actions that the service takes less often keep to that, also after refusals."""

from __future__ import annotations

import itertools

import pytest

from airflow_trtc.cloud.budget import Budget
from airflow_trtc.cloud.calls import Call
from airflow_trtc.cloud.client import TrtcClient
from airflow_trtc.cloud.rates import ceiling


def test_the_lower_one_counts() -> None:
    assert ceiling("DescribeCloudRecording", 19.0) == 19.0
    assert ceiling("DescribeTrtcUsage", 19.0) == 4.75
    assert ceiling("DescribeTrtcUsage", 2.0) == 2.0


def test_an_action_that_nobody_knows_keeps_to_the_settings() -> None:
    assert ceiling("DescribeMadeUpTask", 19.0) == 19.0
    assert ceiling("StartAITranscription", 19.0) == 19.0  # the service takes 50


def test_room_usage_keeps_15_seconds_apart_and_further_after_a_refusal() -> None:
    now = [0.0]
    budget = Budget(ceiling("DescribeTrtcRoomUsage", 19.0), clock=lambda: now[0])
    moments = []
    for number in range(5):
        for seconds in budget.turn():
            now[0] += seconds
        moments.append(now[0])
        if number == 1:
            budget.refused()
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert 15 < pauses[0] < 16
    assert all(pause > 15 for pause in pauses)


def test_the_client_waits_that_long(settings_for) -> None:
    class Transport:
        def prepare(self) -> None:
            pass

        def send(self, call: Call[object], keys: object) -> dict[str, object]:
            return {"Response": {"RequestId": "r"}}

    waited: list[float] = []
    client = TrtcClient(settings_for(), transport=Transport(), sleep=waited.append)
    for _ in range(2):
        client.run(Call("DescribeTrtcRoomUsage", {}, dict, "read"))
    assert sum(waited) == pytest.approx(15.8, abs=0.1)
