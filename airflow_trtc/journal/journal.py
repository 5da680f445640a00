"""The journal of one job, for one wait: plans that never fail. Pure: no Airflow, no I/O."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from airflow_trtc.jobs.records import NO_RECORDS
from airflow_trtc.jobs.state import JobState, combine
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.journal.index import IndexEntry, Phase, index_plan
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.plans import Plan, announce, load_all, load_plan, read_log_end, save_plan

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class Journal:
    """What is known of one job, in the store. Its plans never fail.

    A store that is missing or fails is reported once in the log, and the wait continues.

    :param rows: the job's rows.
    :param is_available: whether this Airflow has a store.
    :ivar is_loaded: whether the journal was read, or there is none to read.
    :ivar is_failing: whether the last try to read or write failed.
    """

    def __init__(self, rows: Rows, *, is_available: bool) -> None:
        self._rows = rows
        self.is_available = is_available
        self.is_loaded = not is_available
        self.is_failing = False

    def load(self, state: JobState, *, is_same_try: bool = False) -> Plan[JobState]:
        """The state, joined with what the journal holds.

        :param is_same_try: the row was written by this try, before it was rescheduled; go on counting.
        """
        stored = yield from self._attempt(load_all(self._rows))
        if stored is None:
            return state
        self.is_loaded = True
        joined = combine(state, stored)
        return replace(joined, refusals=stored.refusals) if is_same_try else joined

    def load_callbacks(self, state: JobState) -> Plan[JobState]:
        """The state, joined with what callbacks reported."""
        stored = yield from self._attempt(load_plan(self._rows.callbacks, state.job_id))
        return state if stored is None else combine(state, stored)

    def feed_end(self) -> Plan[int | None]:
        """Number of the last entry in the change feed; None when that cannot be read."""
        return (yield from self._attempt(read_log_end()))

    def save(self, state: JobState, *, only_news: bool) -> Plan[tuple[JobState, bool]]:
        """Write; return the state with what others wrote meanwhile, and whether it is written.

        :param only_news: see `save_plan`: thousands of restarted triggers find that it is there already.
        """
        if not self.is_available:
            return state, True
        joined = yield from self._attempt(self._save(state, only_news))
        return (state, False) if joined is None else (joined, True)

    def announce(self, end: Finished, at: datetime) -> Plan[bool]:
        """Report a saved end that polls found to the API server; return whether that worked."""
        return bool((yield from self._attempt(announce(self._rows.job, end, at))))

    def _save(self, state: JobState, only_news: bool) -> Plan[JobState]:
        job = self._rows.job
        # Records come by callbacks only, so the other row has them all.
        without = replace(state, records=NO_RECORDS)
        stored, joined = yield from save_plan(self._rows.polls, job, without, only_news=only_news)
        if joined.first_seen_at is not None and not stored.was_seen:
            yield from index_plan(IndexEntry(job, Phase.RUNNING, joined.first_seen_at))
        return replace(joined, records=state.records)

    def _attempt(self, plan: Plan[_Result]) -> Plan[_Result | None]:
        if not self.is_available:
            return None
        try:
            result = yield from plan
        except Exception as error:
            if not self.is_failing:
                log.warning(
                    "Cannot use the journal; waiting without it (%s: %s)", type(error).__name__, error
                )
            self.is_failing = True
            return None
        self.is_failing = False
        return result
