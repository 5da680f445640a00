"""Keeps the SDK's debug log from showing whole requests, which hold keys and signatures."""

from __future__ import annotations

import logging

SDK_LOGGER = "tencentcloud_sdk_common"


class WithoutRequests(logging.Filter):
    """Drops what the SDK logs of a request before it is sent: all headers and the body."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        return not str(record.msg).startswith("SendRequest")


_FILTER = WithoutRequests()


def drop_requests() -> None:
    """Put the filter in place; a second time changes nothing."""
    logging.getLogger(SDK_LOGGER).addFilter(_FILTER)
