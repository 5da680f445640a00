"""Prunes the journal once an hour, so that nothing else has to, and says which assets get no events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from airflow_trtc.journal import prune
from airflow_trtc.web.processing import database
from airflow_trtc.web.receiving.writer import describe

INTERVAL_SECONDS = 3600.0
FIRST_AFTER_SECONDS = 120.0
RETRY_SECONDS = 300.0
LOG_DAYS = 1

log = logging.getLogger(__name__)


class Housekeeping:
    """Called often, works seldom, and a small batch at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_at = clock() + FIRST_AFTER_SECONDS
        self._count = 0

    def __call__(self) -> None:
        """Delete one batch, when it is time. Never raises: callbacks are more urgent than old rows."""
        if self._clock() < self._next_at:
            return
        try:
            self._delete_batch()
        except Exception as error:
            self._next_at = self._clock() + RETRY_SECONDS
            message = "Cannot delete old rows of the journal; retrying in %g minutes (%s)"
            log.warning(message, RETRY_SECONDS / 60, describe(error))

    def _delete_batch(self) -> None:
        with database.transaction() as session:
            asset_id = database.journal_asset_id(session)
            if not self._count:  # not with each batch
                for conflict in database.asset_conflicts(session):
                    log.warning("%s", conflict)
            # Of several API workers one deletes.
            if asset_id is None or database.claim(session, asset_id) is None:
                count = 0
            else:
                now = datetime.now(timezone.utc)
                count = prune.delete_batch(session, now - timedelta(days=prune.journal_days()))
                count += prune.delete_fleeting(session)
                count += prune.delete_log_pages(session, now - timedelta(days=LOG_DAYS))
        self._count += count
        if count >= prune.ROWS_PER_TRANSACTION:
            return  # there is more; callbacks go first
        if self._count:
            log.info("Deleted %d old rows of the journal", self._count)
        self._count = 0
        self._next_at = self._clock() + INTERVAL_SECONDS
