"""A wait without Airflow, service or time: clocks that only move when the wait rests, and a journal in
memory."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from airflow_trtc.jobs.callback import parse_event
from airflow_trtc.jobs.events import row
from airflow_trtc.jobs.judge import verdict_of
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.jobs.verdict import Rules
from airflow_trtc.journal.journal import Journal
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.plans import Get, Set, carry_out, drive, load_plan, save_plan
from airflow_trtc.kinds import RECORDING
from airflow_trtc.steps import drive as drive_steps
from airflow_trtc.waiting.engine import (
    Circumstances,
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
    Stop,
    Wait,
)
from airflow_trtc.waiting.pacing import Pace
from airflow_trtc.waiting.worker import WorkerWait

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
JOB = JobRef("recording", 1400000001, "ap-guangzhou", "-gCT+x..")
MAX_STEPS = 20_000

Happening = Callable[[], object]
Answer: TypeAlias = "Snapshot | Absence | Trouble | Callable[[], Snapshot | Absence | Trouble]"


def shown(*names: str, status: str = "InProgress") -> Snapshot:
    """An answer that lists these files."""
    return Snapshot(JOB.job_id, status, tuple(RecordedFile(name) for name in names))


GONE = Absence("ResourceNotFound")
THROTTLED = Trouble("passing", "RequestLimitExceeded", "throttled")
REFUSED = Trouble("refused", "FailedOperation", "refused")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def random(self) -> float:
        return 0.0


class Store:
    """A journal in memory; what it holds went through JSON.

    :ivar reads: every key that was asked for.
    :ivar is_broken: nothing can be read or written.
    """

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.reads: list[str] = []
        self.is_broken = False

    def get(self, key: str, default: Any = None) -> Any:
        self.reads.append(key)
        if self.is_broken:
            raise RuntimeError("the database is away")
        return json.loads(self.rows[key]) if key in self.rows else default

    def set(self, key: str, value: Any) -> None:
        if self.is_broken:
            raise RuntimeError("the database is away")
        self.rows[key] = json.dumps(value)

    def due(self) -> list[dict[str, Any]]:
        return [json.loads(value) for key, value in self.rows.items() if key.startswith("due/")]


class Scene:
    """One job, one wait for it, and what happens meanwhile.

    :param polls: what each poll answers; the last one stays. One that is a function happens meanwhile, and
        returns the answer.
    :param job: the job; a recording unless said otherwise.
    :ivar is_outage: shared polls are not answered.
    :ivar stopped_at: when the wait asked for a stop, each time.
    :ivar stop_errors: what each stop answers; None, success, when there are no more.
    :ivar finals: of each state that was shown, whether it was shown as the last one.
    :ivar urgent: whether the poll was urgent, each time the wait listened.
    """

    def __init__(self, *polls: Answer, job: JobRef = JOB, kind: JobKind = RECORDING) -> None:
        self.clock, self.store = Clock(), Store()
        self.job, self.kind = job, kind
        self.rows = Rows(job)
        self.polled_at: list[float] = []
        self.stopped_at: list[float] = []
        self.stop_errors: list[str | None] = []
        self.lines: list[str] = []
        self.shown: list[JobState] = []
        self.finals: list[bool] = []
        self.urgent: list[bool] = []
        self.progress: JobState | None = None
        self.is_behind = self.is_unavailable = self.has_gap = self.is_outage = False
        self._answers = list(polls)
        self._heard: list[Seen] = []
        self._overheard: list[Seen] = []
        self._happenings: list[tuple[float, Happening]] = []
        self._steps = 0
        self.wait: Wait | None = None
        self.worker: WorkerWait | None = None

    # -- what happens -----------------------------------------------------------------------------------

    def at(self, seconds: float, happening: Happening) -> Scene:
        """Let something happen that many seconds after the start."""
        self._happenings.append((seconds, happening))
        self._happenings.sort(key=lambda each: each[0])
        return self

    def reported(
        self, event_type: int, payload: dict[str, Any] | None = None, *, fed: bool = True, ago: float = 0.0
    ) -> None:
        """Let the API server store a callback, `ago` seconds ago, in the group that its type has first.

        :param fed: the change feed hands it over, too.
        """
        at = self.clock.now() - timedelta(seconds=ago)
        info: dict[str, Any] = {
            "TaskId": self.job.job_id,
            "EventMsTs": round(at.timestamp() * 1000),
            "Payload": payload or {},
        }
        if row(event_type).is_flat:
            info |= info.pop("Payload")
        group = min(row(event_type).groups)
        callback = parse_event({"EventGroupId": group, "EventType": event_type, "EventInfo": info})
        state = learn(self.stored(self.rows.callbacks), callback, at)
        drive(save_plan(self.rows.callbacks, self.job, state), self.store)
        if fed:
            self._heard.append(Seen(callback, at))

    def overheard(self, answer: Snapshot | Absence | Trouble) -> None:
        """Let another wait of the same process poll the job."""
        self._overheard.append(Seen(answer, self.clock.now()))

    def stored(self, key: str) -> JobState:
        return drive(load_plan(key, self.job.job_id), self.store)

    def save(self, state: JobState) -> None:
        drive(save_plan(self.rows.polls, self.job, state), self.store)

    # -- waiting ----------------------------------------------------------------------------------------

    def deferred(  # noqa: PLR0913 - a story names only what matters to it
        self,
        state: JobState | None = None,
        *,
        interval: float = 60.0,
        has_store: bool = True,
        is_recalled: bool = True,
        pace: Pace | None = None,
        limits: dict[str, float] | None = None,
        has_past: bool = False,
        first_turn_in: float | None = None,
        stop_at: float | None = None,
        began_at: float = 0.0,
        **rules: Any,
    ) -> Ending:
        """Wait as in the triggerer.

        :param limits: seconds after the start.
        :param stop_at: the same.
        :param began_at: the same, of the whole wait.
        """
        dated = {name: START.timestamp() + seconds for name, seconds in (limits or {}).items()}
        here = Circumstances(
            listens=True,
            first_turn_in=interval if first_turn_in is None else first_turn_in,
            is_recalled=is_recalled,
            has_past=has_past,
            limits=dated,
            stop_at=_dated(stop_at),
            polls=bool(self.kind.describe_action),
            began_at=START.timestamp() + began_at,
        )
        self.wait = self._wait(state, here, pace or Pace(interval), has_store, rules)
        return drive_steps(self.wait.run(), self._carry_out)

    def on_worker(  # noqa: PLR0913 - the same
        self,
        state: JobState | None = None,
        *,
        interval: float = 60.0,
        has_store: bool = True,
        has_past: bool = False,
        is_same_try: bool = False,
        stays: float = 40.0,
        turns: int = 1000,
        stop_at: float | None = None,
        **rules: Any,
    ) -> Ending | None:
        """Wait as on a worker in poke mode; None when `turns` were not enough."""
        here = Circumstances(
            listens=False,
            has_past=has_past,
            is_same_try=is_same_try,
            stop_at=_dated(stop_at),
            polls=bool(self.kind.describe_action),
            began_at=START.timestamp(),
        )
        self.wait = self._wait(state, here, Pace(interval), has_store, rules)
        self.worker = WorkerWait(
            self.wait,
            store=self.store if has_store else None,
            poll=self._poll,
            show=self._show,
            say=self.lines.append,
            clock=self.clock,
            stop=self._stop,
            sleep=lambda seconds: self._move(self.clock.seconds + seconds),
        )
        return self.go_on(interval=interval, stays=stays, turns=turns)

    def go_on(self, *, interval: float = 60.0, stays: float = 40.0, turns: int = 1000) -> Ending | None:
        """Let Airflow call the sensor of the last wait on a worker again and again."""
        assert self.worker is not None
        for _ in range(turns):
            ending = self.worker.take_turn(self.clock.seconds + stays)
            if ending is not None:
                return ending
            self._move(self.clock.seconds + interval)
        return None

    def _wait(
        self, state: JobState | None, here: Circumstances, pace: Pace, has_store: bool, rules: dict[str, Any]
    ) -> Wait:
        return Wait(
            state or JobState(self.job.job_id),
            functools.partial(verdict_of, self.kind),
            replace(Rules(), **rules),
            journal=Journal(self.rows, is_available=has_store),
            clock=self.clock,
            pace=pace,
            circumstances=here,
        )

    def _carry_out(self, step: Step) -> Any:
        self._steps += 1
        assert self._steps < MAX_STEPS, "the wait never ends"
        match step:
            case Get() | Set():
                return carry_out(step, self.store)
            case Listen():
                return self._listen(step)
            case Poll():
                return [self._poll()]
            case Stop():
                return self._stop()
            case Drain():
                return self._hear(())
            case ShowProgress(state=state, ending=ending):
                return self._show(state, ending)
            case Say(line=line):
                return self.lines.append(line)
            case ReadProgress():
                return self.progress

    def _listen(self, step: Listen) -> Heard:
        self.urgent.append(step.is_urgent)
        turn_at = math.inf if step.polls and self.is_outage else max(step.turn_at, self.clock.seconds)
        until = min(self.clock.seconds + step.seconds, turn_at)
        if self._heard or self._overheard or self.has_gap:
            until = self.clock.seconds
        elif self._happenings and self._happenings[0][0] < until:
            until = max(self._happenings[0][0], self.clock.seconds)
        assert until < math.inf, "the wait rests for ever"
        is_over = until >= self.clock.seconds + step.seconds
        self._move(until)
        polls, self._overheard = self._overheard, []
        is_turn = step.polls and self.clock.seconds >= step.turn_at and not (is_over or self.is_outage)
        return self._hear([*polls, self._poll()] if is_turn and not (self._heard or polls) else polls)

    def _hear(self, polls: Sequence[Seen]) -> Heard:
        callbacks, self._heard = self._heard, []
        has_gap, self.has_gap = self.has_gap, False
        return Heard(
            polls,
            callbacks,
            has_gap=has_gap,
            is_behind=self.is_behind or self.is_unavailable,
            is_unavailable=self.is_unavailable,
            is_outage=self.is_outage,
        )

    def _poll(self) -> Seen:
        self.polled_at.append(self.clock.seconds)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return Seen(answer() if callable(answer) else answer, self.clock.now())

    def _stop(self) -> str | None:
        self.stopped_at.append(self.clock.seconds)
        return self.stop_errors.pop(0) if self.stop_errors else None

    def _show(self, state: JobState, ending: Ending | None) -> bool:
        self.shown.append(state)
        self.finals.append(ending is not None)
        return True

    def _move(self, seconds: float) -> None:
        while self._happenings and self._happenings[0][0] <= seconds:
            at, happening = self._happenings.pop(0)
            self.clock.seconds = max(at, self.clock.seconds)
            happening()
        self.clock.seconds = seconds


def _dated(seconds: float | None) -> float | None:
    return None if seconds is None else START.timestamp() + seconds
