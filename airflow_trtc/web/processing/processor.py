"""Works through stored callbacks, in a thread of the API server: adds them up, emits asset events, prunes.

Three kinds of transactions, each repeatable at any point:

* fold: rows of the inbox become events (once each), knowledge of their recordings, entries of the log and
  wishes to judge; the inbox rows go.
* emit: what is due is judged; a milestone that is reached, that an active asset stands for, and that has no
  note of it yet, gets the note and one asset event an asset.
* prune: rows that nobody has written for long go.

Every API worker has a clerk; the lock on the log's counter lets one work at a time. A milestone's event is
emitted once, when it is reached, to the assets that DAGs refer to at that time. A DAG that comes later gets
no runs for older recordings, unless a further callback or look tells of one whose event was never emitted.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_trtc import bounds
from airflow_trtc.jobs.problem import LINGERING
from airflow_trtc.jobs.state import JobState, combine
from airflow_trtc.jobs.verdict import (
    MILESTONES,
    Failed,
    Failure,
    Finished,
    Outcome,
    Rules,
    Verdict,
    WaitFor,
    Waiting,
)
from airflow_trtc.journal.keys import (
    INBOX,
    bad_key,
    callback_key,
    done_key,
    due_key,
    due_range,
    due_value,
    journal_key,
    log_page,
    log_page_key,
)
from airflow_trtc.journal.plans import drive, load_plan
from airflow_trtc.recording.judge import judge
from airflow_trtc.recording.problems import problems_of
from airflow_trtc.web.processing import database, emitting, folding
from airflow_trtc.web.processing.emitting import Listening
from airflow_trtc.web.processing.folding import Overlay, Received
from airflow_trtc.web.receiving.writer import describe

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CALLBACKS_PER_TRANSACTION = 200
DUE_PER_TRANSACTION = 25
TICK_SECONDS = 0.5
REST_SECONDS = 0.1  # ten small transactions cost ten times as much as one for all their callbacks
BUSY_SECONDS = 0.05  # somebody else is at work; there may be something left for us
LONGEST_BACK_OFF_SECONDS = 5.0
LEAST_WAIT = timedelta(seconds=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Due:
    key: str
    sdk_app_id: int
    recording_id: str
    region: str | None
    end: tuple[Outcome, datetime] | None  # how and when a wait found that it has ended


class Clerk:
    """The thread of one API worker.

    :param housekeeping: called now and then while there is nothing to do; see `pruning`.
    """

    def __init__(self, housekeeping: Callable[[], object] = lambda: None) -> None:
        self._housekeeping = housekeeping
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="trtc-clerk", daemon=True)
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
        pause = TICK_SECONDS
        while not self._stop.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            pause = self._work_once()

    def _work_once(self) -> float:
        """Do all there is to do; return how long to rest."""
        try:
            is_alone = self.work(lambda: self._stop.wait(REST_SECONDS))
            if is_alone:
                self._housekeeping()
        except Exception as error:
            self._failures += 1
            seconds = min(LONGEST_BACK_OFF_SECONDS, TICK_SECONDS * 2 ** min(self._failures, 10))
            if self._failures == 1:
                message = "Callbacks wait: the database failed (%s); trying again, at most every %g s"
                log.error(message, describe(error), LONGEST_BACK_OFF_SECONDS, exc_info=_unless_passing(error))
            self._stop.wait(seconds)  # not for the wake: callbacks may go on coming
            return 0.0
        if self._failures:
            log.info("Callbacks are worked through again, after %d failures", self._failures)
        self._failures = 0
        return TICK_SECONDS if is_alone else BUSY_SECONDS

    def work(self, rest: Callable[[], bool] = lambda: False) -> bool:
        """Do all there is to do now; False when somebody else is at it.

        :param rest: called when there was less than a full batch to do; true ends the work.
        """
        while True:
            with database.transaction() as session:
                todo = database.look_for_work(session, _now_ms())
            if todo.asset_id is None or not (todo.has_callbacks or todo.has_due):
                return True
            folded = fold(todo.asset_id) if todo.has_callbacks else 0
            emitted = emit(todo.asset_id) if todo.has_due and folded is not None else 0
            if folded is None or emitted is None:
                return False
            is_full = folded >= CALLBACKS_PER_TRANSACTION or emitted >= DUE_PER_TRANSACTION
            if self._stop.is_set() if is_full else rest():
                return True


def _unless_passing(error: Exception) -> Exception | None:
    return None if database.is_passing(error) else error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def fold(asset_id: int) -> int | None:
    """Work a batch of the inbox through.

    A batch that the database refuses is tried again one by one, and what it refuses alone is set aside.

    :return: how many rows; None when somebody else is at work.
    """
    try:
        return _fold(asset_id, CALLBACKS_PER_TRANSACTION)
    except Exception as error:
        if database.is_passing(error):
            raise
        log.exception("A batch of callbacks failed; going on one by one")
    count = 0
    for _ in range(CALLBACKS_PER_TRANSACTION):
        try:
            done = _fold(asset_id, 1)
        except Exception as error:
            if database.is_passing(error):
                raise
            done = _set_first_aside(asset_id, error)
        if not done:
            return None if done is None and not count else count
        count += done
    return count


def _fold(asset_id: int, limit: int) -> int | None:
    with database.transaction() as session:
        counter = database.claim(session, asset_id)
        if counter is None:
            return None
        rows = database.select_within(session, asset_id, INBOX, limit)
        if not rows:
            return 0
        batch = folding.read_inbox(rows, _now_ms())
        old = database.existing_keys(session, asset_id, [one.event_key for one in batch.received])
        new = [received for received in batch.received if received.event_key not in old]
        overlay = folding.Overlay(lambda keys: database.select_keys(session, asset_id, keys))
        overlay.prefetch([log_page_key(log_page(folding.read_counter(counter) + 1))])
        learnt = folding.learn_all(overlay, batch, new)
        folding.append_log(overlay, counter, learnt)
        for key, why in batch.bad.items():
            log.error("The callback %s was set aside: %s", key, json.loads(why)["why"])
        kept = {one.event_key: one.text for one in new if one.key not in batch.bad}
        kept |= overlay.changed | folding.due_rows(learnt, _now_ms()) | folding.bad_rows(batch)
        database.write(session, asset_id, kept)
        _emit_single(session, asset_id, [one for one in new if one.key not in batch.bad])
        database.delete_keys(session, asset_id, rows)
        return len(rows)


def _set_first_aside(asset_id: int, error: Exception) -> int | None:
    with database.transaction() as session:
        if database.claim(session, asset_id) is None:
            return None
        rows = database.select_within(session, asset_id, INBOX, 1)
        for key, text in rows.items():
            log.error("The callback %s was set aside: %s", key, describe(error))
            value = folding.bad_value(key, text, describe(error))
            database.write(session, asset_id, {bad_key(key): value})
        database.delete_keys(session, asset_id, rows)
        return len(rows)


def _emit_single(session: Session, asset_id: int, new: Sequence[Received]) -> None:
    assets = emitting.listening(database.active_assets(session)) if new else emitting.Listening()
    if not assets.single:
        return
    for received in new:
        wanted = assets.to_event(received)
        if not wanted:
            continue
        try:
            with session.begin_nested():
                emitting.emit_single(session, wanted, received)
        except Exception as error:
            if database.is_passing(error):
                raise
            log.exception("The asset events of the callback %s failed; it is set aside", received.key)
            value = folding.bad_value(received.key, received.text, f"asset event: {describe(error)}")
            database.write(session, asset_id, {bad_key(received.key): value})


def emit(asset_id: int) -> int | None:
    """Judge what is due.

    :return: how many rows; None when somebody else is at work.
    """
    with database.transaction() as session:
        if database.claim(session, asset_id) is None:
            return None
        now_ms = _now_ms()
        rows = database.select_within(session, asset_id, due_range(now_ms), DUE_PER_TRANSACTION)
        if not rows:
            return 0
        due, changes = _read_due(rows)
        assets = emitting.listening(database.active_assets(session))
        due = [one for one in due if assets.milestones(one.sdk_app_id)]
        overlay = folding.Overlay(lambda keys: database.select_keys(session, asset_id, keys))
        overlay.prefetch_recordings([key for one in due for key in _heads(one)])
        done = database.existing_keys(
            session,
            asset_id,
            [done_key(one.sdk_app_id, one.recording_id, m) for one in due for m in MILESTONES],
        )
        for one in due:
            try:
                with session.begin_nested():
                    later, emitted = _judge(session, asset_id, one, assets, overlay, done)
            except Exception as error:
                if database.is_passing(error):
                    raise
                log.exception("The recording %s could not be judged; its row is set aside", one.recording_id)
                changes[bad_key(one.key)] = folding.bad_value(one.key, rows[one.key], describe(error))
            else:
                changes |= later
                done |= emitted
        database.delete_keys(session, asset_id, rows)
        database.write(session, asset_id, changes)
        return len(rows)


def _heads(due: _Due) -> list[str]:
    heads = [callback_key(due.sdk_app_id, due.recording_id)]
    if due.region:
        heads.append(journal_key(due.sdk_app_id, due.region, due.recording_id))
    return heads


def _read_due(rows: Mapping[str, str]) -> tuple[list[_Due], dict[str, str]]:
    """Read the rows, each recording and region once; and what to set aside."""
    due: dict[tuple[int, str, str | None], _Due] = {}
    bad: dict[str, str] = {}
    for key, text in rows.items():
        try:
            one = _read_one(key, text)
        except (ValueError, RecursionError) as error:
            log.error("The row %s was set aside: %s", key, error)
            bad[bad_key(key)] = folding.bad_value(key, text, str(error))
        else:
            place = one.sdk_app_id, one.recording_id, one.region
            if one.end is not None or place not in due:
                due[place] = one
    return list(due.values()), bad


def _read_one(key: str, text: str) -> _Due:
    value = json.loads(text)
    if not isinstance(value, Mapping) or value.get("v") != 1:
        raise ValueError("the row is not of version 1")
    _, _, app, recording_id = [*key.split("/", 3), "", "", ""][:4]
    app, recording_id = value.get("app", app), value.get("recording_id", recording_id)
    if not str(app).isdigit() or not isinstance(recording_id, str) or not recording_id:
        raise ValueError("the row names no recording")
    region = value.get("region")
    region = region if isinstance(region, str) and region else None
    return _Due(key, int(app), recording_id, region, _end(value))


def _end(value: Mapping[str, Any]) -> tuple[Outcome, datetime] | None:
    outcome, finished_at = value.get("outcome"), bounds.time(value.get("finished_at"))
    if outcome not in ("exited", "gone") or finished_at is None:
        return None
    return outcome, finished_at


def _verdict(known: JobState, milestone: WaitFor, now: datetime) -> Verdict:
    """No problem keeps an event back; but files that linger are waited for, since they usually arrive."""
    verdict = judge(known, Rules(wait_for=milestone, fail_on=frozenset({LINGERING})), now)
    if isinstance(verdict, Failed) and verdict.failure is Failure.RECORDING:
        return judge(known, Rules(wait_for=milestone, fail_on=frozenset()), now)
    return verdict


def _judge(
    session: Session, asset_id: int, due: _Due, assets: Listening, overlay: Overlay, done: set[str]
) -> tuple[dict[str, str], set[str]]:
    """Judge one recording; return further wishes to judge it, and notes of what was emitted."""
    known = JobState(due.recording_id)
    for head in _heads(due):
        known = combine(known, drive(load_plan(head, due.recording_id), overlay))
    now = datetime.now(timezone.utc)
    later: dict[str, str] = {}
    notes: set[str] = set()
    for milestone, wanted in assets.milestones(due.sdk_app_id).items():
        note = done_key(due.sdk_app_id, due.recording_id, milestone)
        if note in done:
            continue
        verdict = _verdict(known, milestone, now)
        if milestone == "recording" and due.end is not None and not isinstance(verdict, Finished):
            # The rules of that wait were stricter or laxer than these; for its user the recording has ended.
            verdict = Finished(due.end[0], known.files, due.end[1], problems_of(known))
        if isinstance(verdict, Finished):
            database.write(session, asset_id, {note: json.dumps({"v": 1, "at_ms": _now_ms()})})
            extra = emitting.finished_extra(
                known, verdict, sdk_app_id=due.sdk_app_id, region=due.region, wait_for=milestone
            )
            emitting.emit_finished(session, wanted, emitting.finished_key(due.recording_id), extra)
            notes.add(note)
        elif isinstance(verdict, Waiting) and verdict.until is not None:
            at_ms = int(max(verdict.until, now + LEAST_WAIT).timestamp() * 1000)
            value = due_value(due.sdk_app_id, due.recording_id, due.region)
            later[due_key(at_ms, due.sdk_app_id, due.recording_id, due.region)] = json.dumps(value)
    return later, notes
