"""The SDK's debug log shows no requests."""

from __future__ import annotations

import logging

from airflow_trtc.cloud.quiet import SDK_LOGGER, drop_requests


def test_requests_are_dropped_and_answers_stay(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    drop_requests()
    drop_requests()
    log = logging.getLogger(SDK_LOGGER)
    log.debug("SendRequest:\n%s", "the secret key")
    log.debug("GetResponse: %s", "the answer")
    assert "the answer" in caplog.text
    assert "the secret key" not in caplog.text
    assert len(log.filters) == 1
