"""Starts a relay or an ingest, once: what the operators that start one share.

:mod:`airflow_trtc.publishing.attempts` decides; this carries it out. The order matters: what is about to be
sent is kept before it is sent, and the answer right after it came.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators.attempt_store import KeptStore, Tries
from airflow_trtc.publishing.attempts import (
    Reason,
    StreamAttempt,
    Target,
    first_step,
    read_attempt,
    second_step,
)
from airflow_trtc.publishing.started import StartedStream

PAUSES_SECONDS = (3.0, 6.0, 12.0)
TASK_EXIST = "FailedOperation.TaskExist"


def _now() -> datetime:
    return datetime.now(timezone.utc)


class StreamStore(KeptStore[StreamAttempt]):
    """The row about the relay or the ingest that a task starts."""

    key = "trtc_stream_start"
    loss = "The job runs; a later try of this task would end it and start another one."

    def read(self, row: Any) -> StreamAttempt:
        """See the base class."""
        return read_attempt(row)


@dataclass(kw_only=True)
class StreamStarter:
    """Starts what is wanted, unless an earlier try of the task did so and it runs.

    :param hook_for: makes the hook for a target's application and region.
    :param params: what is sent; it holds secrets.
    :param runs: asks the service whether a job runs.
    :param hand_on: hands on what may run from now on, and its id; gets None when nothing can, or no id.
    :param tries: Airflow's numbers for the task instance.
    :param clock: the time, in UTC.
    :param sleep: waits so many seconds.
    """

    target: Target
    hook_for: Callable[[Target], TrtcHook]
    params: dict[str, Any] = field(repr=False)
    runs: Callable[[TrtcHook, str], bool]
    store: KeptStore[StreamAttempt]
    hand_on: Callable[[Target | None, str | None], None]
    tries: Tries
    log: Any
    with_transcoding: int | None = None
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    def start(self, kept: StreamAttempt | str | None) -> StartedStream:
        """Start it, or continue with what an earlier try started.

        :param kept: what the store has of earlier tries.
        :raises TrtcSetupError: the set-up is wrong; nothing was started.
        :raises TrtcTransientError: with ``outcome_unknown`` a job may run that the next try ends.
        :raises TrtcError: see :mod:`airflow_trtc.errors`.
        """
        attempt, reason = self._earlier(kept)
        self._say(reason, attempt)
        if attempt is None and reason.expels:
            self.hand_on(self.target, None)
        if attempt is not None and attempt.job_id is not None and reason.asks:
            reason = second_step(is_running=self.runs(self.hook_for(attempt.target), attempt.job_id))
            self._say(reason, attempt)
            if reason is Reason.RUNS:
                return self._started(attempt, bounds.time(attempt.sent_at) or self.clock(), reattached=True)
        self._clear(attempt, reason)
        is_unknown = reason is Reason.OUTCOME_UNKNOWN and attempt is not None
        sends = attempt.sends if is_unknown and attempt is not None else 0
        return self._create(sends, replaces_unknown=reason.expels)

    def _earlier(self, kept: StreamAttempt | str | None) -> tuple[StreamAttempt | None, Reason]:
        if isinstance(kept, str):
            return None, Reason.UNREADABLE
        tries = self.tries
        reason = first_step(
            kept,
            self.target,
            max_tries=tries.max_tries,
            try_number=tries.number,
            is_kept=self.store.is_kept,
        )
        return kept, reason

    def _say(self, reason: Reason, attempt: StreamAttempt | None) -> None:
        if sentence := reason.sentence(attempt, self.target):
            (self.log.info if reason.is_usual else self.log.warning)("%s", sentence)

    def _clear(self, attempt: StreamAttempt | None, reason: Reason) -> None:
        """End what an earlier try started, or may have started."""
        earlier = self.target if attempt is None else attempt.target
        if reason.stops and attempt is not None and attempt.job_id is not None:
            self.hook_for(earlier).stop(earlier.kind, attempt.job_id)
        if reason.expels:
            self._expel(earlier)

    def _expel(self, target: Target) -> None:
        """Send the robot out of the room. If that is refused, the next one may have the same id."""
        try:
            self.hook_for(target).remove_users(target.room, [target.user_id])
        except (TrtcSetupError, TrtcFailedError) as error:
            if _robot(target) != _robot(self.target):  # nobody else sends it out
                raise
            self.log.warning(
                "%s The robot %s is not sent out of the room. Going on: when it enters again, the service"
                " sends the older one out.",
                error,
                target.user_id,
            )

    def _create(self, sends: int, *, replaces_unknown: bool) -> StartedStream:
        """Send it, and again after a lost answer, when the robot was sent out of the room."""
        target = self.target
        for pause in (*PAUSES_SECONDS, None):
            sends += 1
            intent = StreamAttempt(
                target=target,
                max_tries=self.tries.max_tries,
                try_number=self.tries.number,
                sent_at=self.clock().isoformat(),
                sends=sends,
            )
            self.store.save(intent)
            self.hand_on(target, None)
            try:
                job_id = self.hook_for(target).start(target.kind, self.params)
            except TrtcError as error:
                is_unknown = _leaves_open(error, replaces_unknown=replaces_unknown)
                if not (is_unknown or replaces_unknown):
                    self.store.forget()
                    self.hand_on(None, None)
                if not is_unknown or pause is None:
                    raise self._explained(error) from None
                replaces_unknown = True
                self._start_again(error, pause)
                continue
            return self._keep(replace(intent, job_id=job_id), replaced_unknown=replaces_unknown)
        raise AssertionError("the last turn of the loop returns or raises")

    def _start_again(self, error: TrtcError, pause: float) -> None:
        self.log.warning(
            "%s It is not known whether a %s was started. Sending its robot %s out of the room, and the same"
            " again in %g s.",
            error,
            self.target.kind,
            self.target.user_id,
            pause,
        )
        self.sleep(pause)
        self._expel(self.target)

    def _explained(self, error: TrtcError) -> TrtcError:
        if error.code != TASK_EXIST:
            return error
        message = (
            f"{error.message} The user {self.target.user_id} is at work in the {self.target.room_type} room"
            f" {self.target.room_id} already. Stop that {self.target.kind}, remove the user with"
            " TrtcRemoveUsersOperator, or give another user_id."
        )
        return TrtcFailedError(message, action=error.action, code=error.code, request_id=error.request_id)

    def _keep(self, attempt: StreamAttempt, *, replaced_unknown: bool) -> StartedStream:
        self.store.save_if_possible(attempt)
        target = attempt.target
        self.log.info(
            "Started %s %s, %s room %s (application %s, region %s, robot %s)",
            target.kind,
            attempt.job_id,
            target.room_type,
            target.room_id,
            target.sdk_app_id,
            target.region,
            target.user_id,
        )
        return self._started(attempt, self.clock(), replaced_unknown=replaced_unknown)

    def _started(self, attempt: StreamAttempt, at: datetime, **more: bool) -> StartedStream:
        target = attempt.target
        return StartedStream(
            kind=target.kind,
            job_id=attempt.job_id or "",
            sdk_app_id=target.sdk_app_id,
            region=target.region,
            room_id=target.room_id,
            room_type=target.room_type,
            user_id=target.user_id,
            with_transcoding=self.with_transcoding,
            started_at=at,
            attempts=attempt.sends,
            **more,
        )


def _robot(target: Target) -> tuple[int, int | str, str]:
    return target.sdk_app_id, target.room, target.user_id


def _leaves_open(error: TrtcError, *, replaces_unknown: bool) -> bool:
    """Whether something may run after this error that no id names."""
    if isinstance(error, TrtcTransientError):
        return error.outcome_unknown
    return replaces_unknown and error.code == TASK_EXIST  # what an unanswered request started
