"""Carries a wait on a worker, in poke and reschedule mode and before a task defers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.plans import Get, Set, Store, carry_out
from airflow_trtc.steps import drive
from airflow_trtc.waiting.engine import (
    Clock,
    Drain,
    Ending,
    Heard,
    Listen,
    Poll,
    ReadProgress,
    Say,
    Seen,
    ShowProgress,
    Step,
    Steps,
    Stop,
    Wait,
)


class _Rests(BaseException):
    """The wait has nothing to do before it is called again; no error, so that the wait cannot catch it."""


class SystemClock:
    """The machine's clocks and chance."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds of a clock that is never set back."""
        return time.monotonic()

    def random(self) -> float:
        """A number from 0 to 1."""
        return random.random()


class WorkerWait:
    """One stay of a wait on a worker.

    Airflow says when it is the wait's turn, by calling the sensor; in between the wait rests where it
    listens, in this object in poke mode, or nowhere but in the journal after a reschedule.

    :param store: the journal's; None when there is none.
    :param poll: polls once.
    :param show: shows the state to users; returns whether that worked.
    :param say: writes a line to the task's log.
    :param stop: stops the job; returns why that failed, None when it is over.
    :param sleep: waits for some seconds.
    """

    def __init__(  # noqa: PLR0913 - each by name, and made in one place
        self,
        wait: Wait,
        *,
        store: Store | None,
        poll: Callable[[], Seen],
        show: Callable[[JobState, Ending | None], bool],
        say: Callable[[str], object],
        clock: Clock,
        stop: Callable[[], str | None],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.wait = wait
        self._store = store
        self._poll = poll
        self._show = show
        self._say = say
        self._clock = clock
        self._stop = stop
        self._sleep = sleep
        self._steps: Steps[Ending] | None = None
        self._is_turn = False
        self._stay_until = 0.0

    def take_turn(self, stay_until: float) -> Ending | None:
        """Continue until the wait has ended, or rests beyond `stay_until`; then return None.

        :param stay_until: by the monotonic clock.
        """
        has_begun, self._steps = self._steps is not None, self._steps or self.wait.run()
        # Once it need not wait: its turn is why Airflow called.
        self._is_turn, self._stay_until = not has_begun, stay_until
        try:
            ending = drive(self._steps, self._carry_out, Heard() if has_begun else None)
        except _Rests:
            return None
        self._steps = None  # a sensor that fails silently goes on
        return ending

    def take_over(self, ending: Ending) -> None:
        """Note what another leg of this wait found."""
        drive(self.wait.take_over(ending), self._carry_out)

    def _listen(self, step: Listen) -> Heard:
        is_turn, self._is_turn = self._is_turn, False
        if not is_turn:
            now = self._clock.monotonic()
            seconds = max(0.0, min(step.seconds, step.turn_at - now) if step.polls else step.seconds)
            if not step.is_short or now + seconds > self._stay_until:
                raise _Rests
            self._sleep(seconds)
        return Heard()

    def _carry_out(self, step: Step) -> Any:
        match step:
            case Get() | Set():
                assert self._store is not None, "a journal without a store reads and writes nothing"
                return carry_out(step, self._store)
            case Poll():
                return [self._poll()]
            case Stop():
                return self._stop()
            case Listen():
                return self._listen(step)
            case Drain():
                return Heard()
            case ShowProgress(state=state, ending=ending):
                return self._show(state, ending)
            case Say(line=line):
                return self._say(line)
            case ReadProgress():
                return None
