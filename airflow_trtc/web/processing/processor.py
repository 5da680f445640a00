"""Processes stored callbacks, in a thread of the API server: adds them up, emits asset events, prunes.

Three kinds of transactions, each repeatable at any point:

* fold: rows of the inbox become events (once each), knowledge of their jobs, entries of the log and
  requests to judge; the inbox rows go.
* emit: what is due is judged, see `judging`.
* prune: rows that were written long ago go.

Every API worker has a callback processor; the lock on the log's counter lets one work at a time.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_trtc import bounds, metrics
from airflow_trtc.journal.keys import INBOX, bad_key, log_page, log_page_key
from airflow_trtc.journal.prune import journal_days
from airflow_trtc.web.processing import database, emitting, folding, judging
from airflow_trtc.web.processing.counting import count_backlog, counting
from airflow_trtc.web.processing.folding import Received
from airflow_trtc.web.receiving.writer import describe
from airflow_trtc.web.teams import teams_to_start

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CALLBACKS_PER_TRANSACTION = 200
TICK_SECONDS = 0.5
PAUSE_SECONDS = 0.1  # ten small transactions cost ten times as much as one for all their callbacks
BUSY_SECONDS = 0.05  # another API worker processes; it may leave something
MAX_BACK_OFF_SECONDS = 5.0
MAX_EQUAL_FAILURES = 6  # one after the other; with the pauses between them at least ten seconds
STALLED_SECONDS = 60.0
_STALLED = (
    "No callback has been processed for %d s, and some wait: another session of the database seems to hold"
    " the journal's lock. Look for one that is idle in a transaction (PostgreSQL: pg_stat_activity) and end"
    " it (logged at most once a minute)"
)

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
IsPassing = Callable[[BaseException], bool]


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(timezone.utc)


@dataclass(slots=True)
class Stall:
    """Notices that the callback that has waited longest stays the same. Times are seconds of any clock."""

    oldest: str | None = None
    since: float = 0.0
    told_at: float = 0.0

    def seconds(self, oldest: str | None, now: float) -> float | None:
        """For how long it has been the same, when that is to be said; None otherwise."""
        if oldest is None or oldest != self.oldest:
            self.oldest, self.since, self.told_at = oldest, now, now
        if now - self.told_at < STALLED_SECONDS:
            return None
        self.told_at = now
        return now - self.since

    @property
    def was_told(self) -> bool:
        """Whether it has been said of the one that waits."""
        return self.told_at > self.since


class CallbackProcessor:
    """The thread of one API worker.

    :param housekeeping: called now and then while there is nothing to do; see `Housekeeping`.
    :param clock: the present time, aware.
    :param tick_seconds: how often to check for work without being woken.
    """

    def __init__(
        self,
        housekeeping: Callable[[], object] = lambda: None,
        *,
        clock: Clock = utc_now,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._housekeeping = housekeeping
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._equal_failures = 0
        self._last_failure = ""
        self._stall = Stall()

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="trtc-callback-processor", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the transaction that runs."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)

    def wake(self) -> None:
        """There is something in the inbox."""
        self._wake.set()

    def _run(self) -> None:
        pause = self._tick_seconds
        while not self._stop.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            pause = self._work_once()

    def _work_once(self) -> float:
        """Process all there is; return how long to pause."""
        try:
            is_alone = self.work(lambda: self._stop.wait(PAUSE_SECONDS))
            if is_alone:
                self._housekeeping()
        except Exception as error:
            self._count(describe(error))
            metrics.count(metrics.PROCESSING_FAILURES)
            seconds = min(MAX_BACK_OFF_SECONDS, self._tick_seconds * 2 ** min(self._failures, 10))
            if self._failures == 1:
                message = "Cannot process callbacks: the database failed (%s); retrying at least every %g s"
                log.error(message, describe(error), MAX_BACK_OFF_SECONDS, exc_info=_unless_passing(error))
            self._stop.wait(seconds)  # not for the wake: callbacks may keep coming
            return 0.0
        if self._failures:
            log.info("Processing callbacks again after %d failures", self._failures)
        self._failures = self._equal_failures = 0
        return self._tick_seconds if is_alone or self._stall.was_told else BUSY_SECONDS

    def _count(self, failure: str) -> None:
        self._failures += 1
        self._equal_failures = self._equal_failures + 1 if failure == self._last_failure else 1
        self._last_failure = failure

    def _is_passing(self, error: BaseException) -> bool:
        """Whether to try the same later: not each time that it has failed the same way so many times.

        Some errors look like an absent database whenever a certain row is written. Then each row is tried
        alone, and what fails alone is set aside, which succeeds only if the database is there.
        """
        is_stuck = self._equal_failures > 0 and self._equal_failures % MAX_EQUAL_FAILURES == 0
        return database.is_passing(error) and not is_stuck

    def work(self, pause: Callable[[], bool] = lambda: False) -> bool:
        """Process all there is now; False when another API worker is at it.

        :param pause: called when there was less than a full batch; true ends the work.
        """
        while True:
            now = self._clock()
            with database.transaction() as session:
                todo = database.find_work(session, bounds.unix_ms(now))
            count_backlog(todo.oldest_callback, now)
            if (seconds := self._stall.seconds(todo.oldest_callback, time.monotonic())) is not None:
                log.warning(_STALLED, seconds)
            if todo.asset_id is None or not (todo.oldest_callback or todo.has_due):
                return True
            folded = fold(todo.asset_id, now, self._is_passing) if todo.oldest_callback else 0
            is_due = todo.has_due and folded is not None
            emitted = judging.emit(todo.asset_id, now, self._is_passing) if is_due else 0
            if folded is None or emitted is None:
                return False
            is_full = folded >= CALLBACKS_PER_TRANSACTION or emitted >= judging.DUE_PER_TRANSACTION
            if self._stop.is_set() if is_full else pause():
                return True


def _unless_passing(error: Exception) -> Exception | None:
    return None if database.is_passing(error) else error


def fold(asset_id: int, now: datetime, is_passing: IsPassing = database.is_passing) -> int | None:
    """Process a batch of the inbox.

    A batch that the database refuses is tried again one by one, and what it refuses alone is set aside.

    :param is_passing: whether an error says that the same may succeed later; it is raised.
    :return: how many rows; None when another API worker has the lock.
    """
    try:
        return _fold(asset_id, CALLBACKS_PER_TRANSACTION, now)
    except Exception as error:
        if is_passing(error):
            raise
        log.exception("Cannot process a batch of callbacks; retrying one by one")
    count = 0
    for _ in range(CALLBACKS_PER_TRANSACTION):
        try:
            done = _fold(asset_id, 1, now)
        except Exception as error:
            if is_passing(error):
                raise
            done = _set_first_aside(asset_id, error, now)
        if not done:
            return None if done is None and not count else count
        count += done
    return count


def _fold(asset_id: int, limit: int, now: datetime) -> int | None:
    with counting(now) as tally, database.transaction() as session:
        counter = database.claim(session, asset_id)
        if counter is None:
            return None
        rows = database.select_within(session, asset_id, INBOX, limit)
        if not rows:
            return 0
        batch = folding.read_inbox(rows, bounds.unix_ms(now))
        old = database.existing_keys(session, asset_id, [one.event_key for one in batch.received])
        new = [received for received in batch.received if received.event_key not in old]
        in_time, out_of_time = folding.by_time(new, bounds.unix_ms(now), journal_days())
        overlay = folding.Overlay(lambda keys: database.select_keys(session, asset_id, keys))
        overlay.prefetch([log_page_key(log_page(folding.read_counter(counter) + 1))])
        added = folding.add_all(overlay, batch, in_time)
        folding.append_log(overlay, counter, added)
        folding.note_heard(overlay, batch, bounds.unix_ms(now))
        folding.note_connections(overlay, new)
        _log_bad(batch.bad)
        _log_out_of_time(out_of_time)
        tally.note(batch, new, in_time)
        kept = {one.event_key: one.text for one in new if one.key not in batch.bad}
        kept |= overlay.changed | folding.due_rows(added, bounds.unix_ms(now)) | folding.bad_rows(batch)
        database.write(session, asset_id, kept)
        _emit_single(session, asset_id, [one for one in in_time if one.key not in batch.bad])
        database.delete_keys(session, asset_id, rows)
        return len(rows)


def _log_bad(bad: dict[str, str]) -> None:
    for number, (key, text) in enumerate(bad.items(), 1):
        message = "Set callback %r aside (%d of %d in this batch): %s"
        log.error(message, key, number, len(bad), json.loads(text)["why"])


def _log_out_of_time(received: Sequence[Received]) -> None:
    for one in received[:1]:
        message = (
            "Kept %d callbacks without effect, such as %r: they happened before [trtc] journal_days or more"
            " than a day from now, by the service's clock"
        )
        log.warning(message, len(received), one.event_key)


def _set_first_aside(asset_id: int, error: Exception, now: datetime) -> int | None:
    with counting(now) as tally, database.transaction() as session:
        if database.claim(session, asset_id) is None:
            return None
        rows = database.select_within(session, asset_id, INBOX, 1)
        bad = {key: folding.bad_value(key, text, describe(error)) for key, text in rows.items()}
        _log_bad(bad)
        tally.note_bad(len(bad))
        database.write(session, asset_id, {bad_key(key): value for key, value in bad.items()})
        database.delete_keys(session, asset_id, rows)
        return len(rows)


def _emit_single(session: Session, asset_id: int, new: Sequence[Received]) -> None:
    if not new:
        return
    assets = emitting.scheduled_assets(database.active_assets(session))
    for received in new:
        wanted = assets.to_event(received)
        if not wanted:
            continue
        try:
            with session.begin_nested():
                via = [] if received.conn_id is None else [received.conn_id]
                emitting.emit_single(session, wanted, received, teams_to_start(via))
        except Exception as error:
            if database.is_passing(error):
                raise
            log.exception("Cannot emit the asset events of callback %s; setting it aside", received.key)
            value = folding.bad_value(received.key, received.text, f"asset event: {describe(error)}")
            database.write(session, asset_id, {bad_key(received.key): value})
