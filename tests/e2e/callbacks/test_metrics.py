"""A real API server with several workers, and what a statsd hears of it."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.callbacks.listening import Listening
from tests.metering import Statsd

pytestmark = pytest.mark.postgres


def test_what_the_receiver_and_the_processor_count_is_heard(listening: Listening, statsd: Statsd) -> None:
    before = statsd.total("trtc.callback_requests.signature")
    address = f"{listening.airflow.url}/trtc/callbacks/trtc_all"
    refused = httpx.post(address, content=b"{}", headers={"Sign": "wrong"}, timeout=30, trust_env=False)
    assert refused.status_code == 401
    (recording_id,) = listening.record(1, files=1)
    listening.end_all([recording_id], 0)
    listening.emulator.wait_for_callbacks(180)
    heard = statsd.wait_for(
        "trtc.callback_requests.signature",
        "trtc.callback_requests.stored",
        "trtc.callbacks.301.new",
        "trtc.callback_delay.301",
        "trtc.callback_lag",
        "trtc.callback_backlog",
        seconds=300,
    )
    assert statsd.total("trtc.callback_requests.signature") == before + 1
    assert not [name for name in heard if recording_id in name]
