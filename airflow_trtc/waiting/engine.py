"""What every wait does, step by step and without I/O: one loop for poke, reschedule and deferrable mode.

`Wait.run` is a generator. It yields steps (poll, listen, stop, read or write a row of the journal, show
progress), gets each one's answer back, and returns how the wait ended. A driver carries the steps out: one
for workers (`airflow_trtc.waiting.worker`), one for the triggerer (`airflow_trtc.waiting.triggerer`). Time
and chance come from the clock that it is given.

The rules of this file:

* What the judge says of the state decides, but no end is believed before everything that may say otherwise
  was read: the journal, if it was not, and the callbacks, if the change feed may be behind.
* A failure that only the stored state speaks for is not believed before this wait has polled or listened
  itself, unless callbacks reported it.
* What polls showed is saved before any XCom, event or result holds it.
* Trouble with journal, feed, progress or a stop never ends a wait.
* A job is stopped when its time has come, once, and then waited for like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from airflow_trtc import bounds
from airflow_trtc.jobs.callback import Callback
from airflow_trtc.jobs.observation import Observation
from airflow_trtc.jobs.state import JobState, combine, is_news, learn
from airflow_trtc.jobs.verdict import (
    Failed,
    Failure,
    Finished,
    Rules,
    Verdict,
    Waiting,
    describe_news,
    misses_callback,
)
from airflow_trtc.journal.journal import Journal
from airflow_trtc.journal.plans import Get, Set
from airflow_trtc.waiting.pacing import Pace

Judge: TypeAlias = Callable[[JobState, Rules, datetime], Verdict]
_Result = TypeVar("_Result")

FIRST_STOP_PAUSE_SECONDS = 5.0


class Clock(Protocol):
    """Time and chance, as the driver has them."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC; machines may disagree, and it may be set."""

    def monotonic(self) -> float:
        """Seconds of a clock that is never set back."""

    def random(self) -> float:
        """A number from 0 to 1."""


# -- steps and their answers ----------------------------------------------------------------------------


class Seen(NamedTuple):
    """Something observed: the answer to a poll, or a callback, and when it came."""

    observation: Observation
    at: datetime


@dataclass(frozen=True, slots=True)
class Poll:
    """Poll once, before all others; the answer is a list of `Seen`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the job; the answer is None once it is over, else why it may run on, for a person to read."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait until something comes, or it is time; the answer is a `Heard`.

    :param seconds: until the state has to be judged again though nothing came.
    :param turn_at: when it is this wait's turn, by the monotonic clock: to poll, if it polls at all, else to
        read the callbacks once more.
    :param polls: whether a poll could still show anything.
    :param is_urgent: whether the poll comes before others.
    :param is_short: whether the judge asked for this pause, so that a worker had better stay.
    """

    seconds: float
    turn_at: float
    polls: bool
    is_urgent: bool
    is_short: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """Hand over what has come, without waiting; the answer is a `Heard`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came.

    :param polls: answers to polls, oldest first.
    :param callbacks: callbacks, oldest first.
    :param has_gap: callbacks may have been missed; the job's own row has them.
    :param is_behind: callbacks that were stored seconds ago may not have been handed over yet.
    :param is_unavailable: no callbacks are handed over at present.
    :param is_outage: the service answers no polls at present.
    """

    polls: Sequence[Seen] = ()
    callbacks: Sequence[Seen] = ()
    has_gap: bool = False
    is_behind: bool = True
    is_unavailable: bool = False
    is_outage: bool = False


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """Read what this try showed before; the answer is a `JobState`, or None when there is none."""


@dataclass(frozen=True, slots=True)
class ShowProgress:
    """Show the state to users; the answer says whether that was done or will be.

    :param ending: how the wait has ended; None while it goes on.
    """

    state: JobState
    ending: Ending | None


@dataclass(frozen=True, slots=True)
class Say:
    """Write a line to the log; the answer is None."""

    line: str


Step: TypeAlias = Get | Set | Poll | Stop | Listen | Drain | ReadProgress | ShowProgress | Say
Steps: TypeAlias = Generator[Step, Any, _Result]


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The wait took too long.

    :param limit: ``timeout`` or ``execution_timeout``.
    """

    limit: str


Ending: TypeAlias = Finished | Failed | TimedOut


# -- the wait ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Where and when a wait continues.

    :param listens: the driver hands over callbacks and shared polls; otherwise both are asked for, in turn.
    :param has_past: an earlier leg of this wait, or an earlier try, may have learnt what the state does not
        hold.
    :param first_turn_in: seconds until the first turn; on a worker that is when Airflow calls.
    :param is_recalled: the state holds what the journal held when this wait began.
    :param is_same_try: the journal's row was written by this try, before it was rescheduled; go on counting.
    :param shows_progress: the user wants to see it.
    :param limits: name of each limit to Unix seconds at which it is reached.
    :param stop_at: Unix seconds at which this wait stops the job, and goes on waiting; None for never.
    :param polls: whether the service can be asked about the job; of some only callbacks report.
    :param began_at: when the wait began, in Unix seconds, for a judge that has nothing else to count from.
    """

    listens: bool
    has_past: bool
    first_turn_in: float = 0.0
    is_recalled: bool = False
    is_same_try: bool = False
    shows_progress: bool = True
    limits: dict[str, float] = field(default_factory=dict)
    stop_at: float | None = None
    polls: bool = True
    began_at: float | None = None


class Wait:
    """One wait for one job; see the module.

    :param judge: says where a state stands.
    :param journal: plans of the job's rows.
    :ivar state: the job's state so far.
    :ivar feed_position: number of the change feed's last entry that the state may hold; None when unknown.
    """

    def __init__(
        self,
        state: JobState,
        judge: Judge,
        rules: Rules,
        *,
        journal: Journal,
        clock: Clock,
        pace: Pace,
        circumstances: Circumstances,
    ) -> None:
        began_at = bounds.unix_seconds(circumstances.began_at)
        since = None if began_at is None else datetime.fromtimestamp(began_at, timezone.utc)
        self.state = replace(state, waiting_since=since)
        self.feed_position: int | None = None
        self.journal = journal
        self._judge_state = judge
        self._rules = rules
        self._clock = clock
        self._pace = pace
        self._here = circumstances
        self._is_recalled = circumstances.is_recalled
        self._has_listened = self._has_polled = False  # in this run
        self._is_fresh = False  # the journal was read a moment ago
        self._heard = Heard()
        self._turn_at = clock.monotonic() + circumstances.first_turn_in
        self._turns = 0  # polls that came when this wait wanted them
        self._failures = 0  # polls in a row that taught nothing
        self._failed_stops = 0
        self._stop_again_at = -math.inf  # by the monotonic clock
        self._is_unsaved = bool(state.files or state.was_seen) and not circumstances.listens
        self._is_unshown = not circumstances.listens  # in a trigger, the worker has just shown it
        self._is_announced = False

    @property
    def is_kept(self) -> bool:
        """Whether a later leg in another process would know what this one knows."""
        return self.journal.is_available and self.journal.is_loaded and not self._is_unsaved

    @property
    def is_recalled(self) -> bool:
        """Whether the state holds what the journal held when this wait began."""
        return self._is_recalled

    def reset_refusals(self) -> None:
        """Count refusals anew."""
        self.state = replace(self.state, refusals=0)

    def run(self) -> Steps[Ending]:
        """Wait until the job has ended, the wait has failed, or a limit is reached."""
        self._has_listened = self._has_polled = False
        yield from self._begin()
        verdict, limit = self._verdict(), None
        while True:
            if limit is not None or not isinstance(verdict, Waiting):
                verdict = yield from self._make_sure(verdict)
            ending = _ending(verdict, limit)
            if ending is not None or self._has_listened:
                yield from self._note(ending)
            if ending is not None:
                return ending
            assert isinstance(verdict, Waiting), "whatever else it is ends the wait"
            verdict, limit = yield from self._next(verdict)

    def take_over(self, ending: Ending) -> Steps[None]:
        """Note what another leg of this wait found, which has announced it already."""
        self._is_announced = True
        yield from self._recall()
        yield from self._note(ending)

    # -- what comes next ------------------------------------------------------------------------------

    def _begin(self) -> Steps[None]:
        if self._here.listens and (self._is_recalled or self.journal.is_available):
            # A thousand triggers that start at once would keep the supervisor busy for half a minute. Nothing
            # depends on the journal before the end, and whatever is saved is joined with it anyway.
            return
        # In this order: what is stored in between is in both, and not in neither.
        self.feed_position = yield from self.journal.feed_end()
        yield from self._recall()
        self._is_fresh = self._is_recalled

    def _next(self, verdict: Waiting) -> Steps[tuple[Verdict, str | None]]:
        """Wait for what comes next; return what it means, and the limit that was reached."""
        yield from self._hear((yield self._listening(verdict)))
        self._has_listened = True
        has_stopped = yield from self._stop_if_due()
        polls, limit = self._heard.polls, None
        if not (polls or self._heard.callbacks or self._heard.has_gap) and self._is_turn():
            limit = self._limit_reached()
            polls = yield from self._take_turn(verdict, limit)
        for seen in polls:
            yield from self._learn(seen)
        after = self._verdict()
        if polls:
            self._turns += self._is_turn()  # other waits may have requested it earlier
            if not has_stopped:  # then the next poll, to see the end, is due at once
                self._plan_turn(after)
        return after, limit

    def _take_turn(self, verdict: Waiting, limit: str | None) -> Steps[Sequence[Seen]]:
        """Do what it is time for, since nothing came by itself."""
        if self._here.listens and limit is None and verdict.asks:
            return ()  # the answer to a shared poll comes when it comes
        now: Verdict = verdict
        if not verdict.asks or not self._here.listens:
            yield from self._refresh()
            now = self._verdict()
            self._plan_turn(now)
        if not may_show_more(now):
            return ()
        polls: Sequence[Seen] = yield Poll()
        return polls

    def _listening(self, verdict: Waiting) -> Listen:
        is_hurried = verdict.hurry_seconds is not None
        if is_hurried or (self._heard.is_unavailable and self.state.history.facts):
            self._turn_at = min(self._turn_at, self._clock.monotonic() + self._pause(verdict))
        # Limits and callbacks have times of the day; the rest uses a clock that is never set back.
        now = self._clock.now().timestamp()
        dated = list(self._here.limits.values())
        if verdict.until is not None:
            dated.append(verdict.until.timestamp())
        return Listen(
            seconds=max(0.0, min(min(dated, default=math.inf) - now, self._seconds_until_stop())),
            turn_at=self._turn_at,
            polls=verdict.asks,
            is_urgent=is_hurried or self.state.history.end is not None,
            is_short=is_hurried or verdict.until is not None,
        )

    def _is_turn(self) -> bool:
        is_turn = self._clock.monotonic() >= self._turn_at
        return is_turn or not self._here.listens or self._limit_reached() is not None

    def _plan_turn(self, verdict: Verdict) -> None:
        self._turn_at = self._clock.monotonic() + self._pause(verdict)

    def _pause(self, verdict: Verdict) -> float:
        hurry = asks = None
        if isinstance(verdict, Waiting):
            hurry, asks = verdict.hurry_seconds, verdict.asks
        return self._pace.seconds(
            hurry_seconds=hurry,
            reads_only=asks is False,
            is_backed=bool(self.state.history.facts) and not self._heard.is_unavailable,
            turns=self._turns,
            # During an outage the shared schedule polls rarely for all; a wait that did so as well would be
            # late.
            failures=0 if self._heard.is_outage else self._failures,
            chance=self._clock.random(),
        )

    def _limit_reached(self) -> str | None:
        now = self._clock.now().timestamp()
        reached = {name: at for name, at in self._here.limits.items() if now >= at}
        return min(reached, key=reached.__getitem__, default=None)

    # -- stopping by the clock ------------------------------------------------------------------------

    def _seconds_until_stop(self) -> float:
        """Until the job has to be stopped; 0 or less when that is due, infinite when it never has to be."""
        if self._here.stop_at is None or self.state.stopped_at is not None or self.state.is_over:
            return math.inf
        # The time of day decides when it is due, the other clock when to try again.
        until_due = self._here.stop_at - self._clock.now().timestamp()
        return max(until_due, self._stop_again_at - self._clock.monotonic())

    def _stop_if_due(self) -> Steps[bool]:
        """Stop the job when it is time; return whether that was done now."""
        if self._seconds_until_stop() > 0:
            return False
        if not self._is_recalled:
            yield from self._recall()  # another leg may have stopped it
            if self._seconds_until_stop() > 0:
                return False
        if self._here.polls:
            seen_last: Sequence[Seen] = yield Poll()  # the service forgets its files with the end
            for seen in seen_last:
                yield from self._learn(seen)
        if self.state.is_over:
            return False
        error: str | None = yield Stop()
        self._is_unshown = True
        if error is None:
            self.state = replace(self.state, stopped_at=self._clock.now(), stop_error=None)
            self._is_unsaved = True
            self._turn_at = self._clock.monotonic()  # to see the end, and the last files, at once
            yield Say("stopped, since its time is over; waiting for its end")
            return True
        self._failed_stops += 1
        pause = self._pause_after_failed_stop()
        self._stop_again_at = self._clock.monotonic() + pause
        self.state = replace(self.state, stop_error=error)
        yield Say(f"cannot stop it, trying again in {pause:.0f} s: {error}")
        return False

    def _pause_after_failed_stop(self) -> float:
        """A few seconds at first, since the job costs money; then longer, up to the pace of polls."""
        longest = self._pace.seconds(
            hurry_seconds=None,
            reads_only=False,
            is_backed=False,
            turns=0,
            failures=self._failed_stops,
            chance=self._clock.random(),
        )
        return min(longest, float(FIRST_STOP_PAUSE_SECONDS * 2 ** min(self._failed_stops - 1, 10)))

    # -- the state ------------------------------------------------------------------------------------

    def _verdict(self) -> Verdict:
        return self._judge_state(self.state, self._rules, self._clock.now())

    def _make_sure(self, verdict: Verdict) -> Steps[Verdict]:
        """Read whatever may say otherwise, before anything ends."""
        before = self.state
        if not self._is_recalled:
            yield from self._recall()
        if self._heard.is_behind or misses_callback(verdict):
            # A poll may have been quicker than callbacks of a while ago.
            yield from self._read_callbacks()
        yield from self._hear((yield Drain()))
        for seen in self._heard.polls:
            yield from self._learn(seen)
        if self.state != before:
            verdict = self._verdict()
        return self._as_far_as_known(verdict)

    def _as_far_as_known(self, verdict: Verdict) -> Verdict:
        """Take back what is said only because something could not be read."""
        if misses_callback(verdict) and self.journal.is_failing:
            return Waiting("the journal, which may hold the callback, cannot be read", asks=False)
        if says_never_seen(verdict) and self._here.has_past and not self._is_recalled:
            return Waiting("the journal, which may know the job, cannot be read")
        is_proven = self._has_listened if misses_callback(verdict) else self._has_polled
        if not is_proven and (misses_callback(verdict) or may_show_more(verdict)):
            return Waiting("the wait continues", asks=may_show_more(verdict))
        return verdict

    def _recall(self) -> Steps[None]:
        """Join what was written before a restart, or by another wait."""
        before = self.state
        loaded = yield from self.journal.load(before, is_same_try=self._here.is_same_try)
        self._adopt(loaded)
        if not (self.journal.is_available and self.journal.is_loaded):
            shown: JobState | None = yield ReadProgress()
            if shown is not None:
                self._adopt(combine(self.state, shown))
        self._is_recalled = self.journal.is_loaded

    def _refresh(self) -> Steps[None]:
        """Read the callbacks, and all if that did not work before."""
        is_fresh, self._is_fresh = self._is_fresh, False
        if not self._is_recalled:
            yield from self._recall()
        elif not is_fresh:
            yield from self._read_callbacks()

    def _read_callbacks(self) -> Steps[None]:
        self._adopt((yield from self.journal.load_callbacks(self.state)))

    def _adopt(self, joined: JobState) -> None:
        self._is_unshown = self._is_unshown or is_news(self.state, joined)
        self.state = joined

    def _hear(self, heard: Heard) -> Steps[None]:
        self._heard = heard
        if heard.has_gap:
            yield from self._read_callbacks()
        for seen in heard.callbacks:
            yield from self._learn(seen)

    def _learn(self, seen: Seen) -> Steps[None]:
        before, self.state = self.state, learn(self.state, seen.observation, seen.at)
        is_callback = isinstance(seen.observation, Callback)
        if is_news(before, self.state):
            self._is_unshown = True
            # Callbacks are in the journal before the change feed has them.
            self._is_unsaved = self._is_unsaved or not is_callback
        if not is_callback:
            self._has_polled = True
            self._failures = self._failures + 1 if self.state.trouble else 0
        for line in describe_news(before, self.state, seen.observation):
            yield Say(line)

    # -- what others get to know ------------------------------------------------------------------------

    def _note(self, ending: Ending | None) -> Steps[None]:
        end = self._end_to_announce()
        if self._is_unsaved or end is not None:
            # With an end also a poll that only repeats another: the judge in the API server has to know.
            self.state, is_saved = yield from self.journal.save(self.state, only_news=end is None)
            self._is_unsaved = not is_saved
        if end is not None and not self._is_unsaved and (end := self._end_to_announce()) is not None:
            self._is_announced = yield from self.journal.announce(end, self._clock.now())
        if (self._is_unshown or ending is not None) and self._here.shows_progress:
            self._is_unshown = not (yield ShowProgress(self.state, ending))

    def _end_to_announce(self) -> Finished | None:
        """The end of the job, if polls found it and the API server, which starts DAGs, does not know it yet.

        Callbacks reach the API server by themselves. Whatever else is waited for, this is the end.
        """
        if self._is_announced or not self.journal.is_available:
            return None
        rules = replace(self._rules, wait_for="recording", fail_on=frozenset())
        end = self._judge_state(self.state, rules, self._clock.now())
        return end if isinstance(end, Finished) and end.outcome not in ("callback", "never_seen") else None


def _ending(verdict: Verdict, limit: str | None) -> Ending | None:
    if not isinstance(verdict, Waiting):
        return verdict
    return None if limit is None else TimedOut(limit)


def outcome_word(ending: Ending) -> str:
    """How a wait ended, in one word of those that the metric `WAITS_ENDED` lists."""
    match ending:
        case Finished(outcome=outcome):
            return outcome
        case Failed(failure=failure):
            return failure.value
        case TimedOut(limit=limit):
            return limit


def may_show_more(verdict: Verdict) -> bool:
    """Whether a poll could still change the verdict."""
    match verdict:
        case Waiting(asks=asks):
            return asks
        case Failed(failure=failure):
            return failure is not Failure.RECORDING and not failure.is_missing_callback
    return False


def says_never_seen(verdict: Verdict) -> bool:
    """Whether the wait would end because no poll ever showed the job."""
    match verdict:
        case Finished(outcome="never_seen") | Failed(failure=Failure.NEVER_SEEN):
            return True
    return False
