"""Starts something once, whatever happens to a task's tries: what all operators share that start something.

:mod:`airflow_trtc.jobs.attempts` decides; this carries it out. The order matters: what is about to be sent is
kept before it is sent, and the answer right after it came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, ClassVar, Generic, TypeVar

from airflow_trtc import bounds
from airflow_trtc._compat import AirflowFailException
from airflow_trtc.errors import TrtcError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import (
    MAX_ANSWER_BYTES,
    Attempt,
    Deed,
    Fact,
    Policy,
    Rule,
    Target,
    facts_of,
)
from airflow_trtc.operators.attempt_store import KeptStore, Tries

# The vendor's advice for an InternalError at the start (trtc.io/document/45169): the same request again.
PAUSES_SECONDS = (3.0, 6.0, 12.0)

_Started = TypeVar("_Started")


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(kw_only=True)
class Starter(Generic[_Started]):
    """Starts what is wanted, unless an earlier try of the task did.

    :cvar policy: what to do by what is kept.
    :param tries: Airflow's numbers for the task instance.
    :param clock: the time, in UTC.
    :param sleep: waits so many seconds.
    """

    policy: ClassVar[Policy]
    hook: TrtcHook = field(repr=False)
    store: KeptStore[Attempt]
    tries: Tries
    log: Any
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    # -- what a class that builds on it says ------------------------------------------------------------

    @property
    def target(self) -> Target:
        """What is to be started."""
        raise NotImplementedError

    @property
    def remedy(self) -> str:
        """What makes good a request whose answer was lost, for the log; empty when nothing does."""
        raise NotImplementedError

    def send(self, attempt: Attempt) -> Any:
        """Send the request, and return its answer."""
        raise NotImplementedError

    def made(self, attempt: Attempt, answer: Any, *, replaced_unknown: bool) -> _Started:
        """What was started, from the answer that just came.

        :param replaced_unknown: an earlier request got no answer, and this one makes it good.
        """
        raise NotImplementedError

    def row_of(self, started: _Started) -> Mapping[str, Any]:
        """What was started, as it is kept."""
        raise NotImplementedError

    def again(self, kept: Attempt) -> _Started:
        """What an earlier try started."""
        raise NotImplementedError

    def named(self, answer: Mapping[str, Any]) -> str:
        """What was started, for the log.

        :param answer: as it is kept.
        """
        raise NotImplementedError

    def runs(self, kept: Attempt) -> bool:
        """Ask the service whether it runs what an earlier try started."""
        raise NotImplementedError

    def stop(self, kept: Attempt) -> None:
        """Stop what an earlier try started."""
        raise NotImplementedError

    def resolve(self, doubtful: Attempt) -> Any:
        """Make good a request whose answer is not known, before the next one.

        :return: the answer, if it is found; else None.
        """

    def leaves_open(self, error: TrtcError, attempt: Attempt, *, is_in_doubt: bool) -> bool:
        """Whether something may run after this error that no id names.

        :param is_in_doubt: an earlier request may have started it.
        """
        return isinstance(error, TrtcTransientError) and error.outcome_unknown

    def refused(self, attempt: Attempt, *, is_in_doubt: bool) -> None:
        """The service refused, so that this request started nothing; an earlier one may have."""
        if not is_in_doubt:
            self.store.forget()

    def explained(self, error: TrtcError, attempt: Attempt, *, is_open: bool) -> Exception:
        """The error that the task ends with."""
        return error

    # -- what is the same for all -----------------------------------------------------------------------

    def start(self) -> _Started:
        """Start it, or continue with what an earlier try started.

        :raises AirflowFailException: it is not known whether something was started, and nothing makes that
            good.
        :raises TrtcSetupError: the set-up is wrong; nothing was started.
        :raises TrtcTransientError: with ``outcome_unknown`` something may run that the next try makes good.
        :raises TrtcError: see :mod:`airflow_trtc.errors`.
        """
        loaded = self.store.load()
        kept = None if isinstance(loaded, str) else loaded
        rule = self.policy.rule(self._facts(loaded))
        sentence = self._sentence(rule, kept)
        if rule.deed is Deed.FAIL:
            if kept is None:
                self.store.forget()
            raise AirflowFailException(sentence)
        if sentence:
            (self.log.info if rule.is_usual else self.log.warning)("%s", sentence)
        if kept is not None:
            if rule.deed is Deed.RETURN or (rule.deed is Deed.ASK and self._goes_on(kept)):
                return self.again(kept)
            if rule.deed is Deed.STOP:
                self.stop(kept)
        attempt = Attempt(
            target=self.target,
            max_tries=self.tries.max_tries,
            try_number=self.tries.number,
            generation=0 if kept is None else kept.generation + 1,
        )
        if rule.deed is not Deed.RESOLVE:
            return self._send(attempt, None)
        doubtful = kept or replace(attempt)
        return self._send(replace(attempt, sends=doubtful.sends, generation=doubtful.generation), doubtful)

    def _facts(self, loaded: Attempt | str | None) -> Fact:
        if isinstance(loaded, str):
            return Fact.UNREADABLE
        if loaded is not None:
            repeatable = Fact.REPEATABLE if self.remedy else Fact(0)
            return facts_of(loaded, self.target, self.tries.max_tries) | repeatable
        is_late = not self.store.is_kept and self.tries.number > 1
        return Fact.NO_STORE if is_late else Fact(0)

    def _sentence(self, rule: Rule, kept: Attempt | None) -> str:
        facts: dict[str, Any] = asdict(self.target if kept is None else kept.target)
        if kept is not None:
            named = self.named(bounds.mapping(kept.answer))
            facts |= {"try_number": kept.try_number, "sent_at": kept.sent_at, "named": named}
        return rule.says.format_map(facts)

    def _goes_on(self, kept: Attempt) -> bool:
        if self.runs(kept):
            self.log.info("It runs. Continuing with it; nothing new is started")
            return True
        self.log.warning(
            "The service does not know %s any more: it is over, or its time for questions is. Starting anew",
            self.named(bounds.mapping(kept.answer)),
        )
        return False

    def _send(self, attempt: Attempt, doubtful: Attempt | None) -> _Started:
        """Send it, and again after a lost answer, once that is made good.

        :param doubtful: a request whose answer is not known.
        """
        for pause in (*PAUSES_SECONDS, None):
            is_in_doubt = doubtful is not None
            if doubtful is not None and (answer := self.resolve(doubtful)) is not None:
                return self._keep(attempt, answer, replaced_unknown=True)
            attempt = replace(attempt, sends=attempt.sends + 1, sent_at=self.clock().isoformat())
            self.store.save(attempt)
            try:
                answer = self.send(attempt)
            except TrtcError as error:
                is_open = self.leaves_open(error, attempt, is_in_doubt=is_in_doubt)
                if not is_open:
                    self.refused(attempt, is_in_doubt=is_in_doubt)
                if not is_open or pause is None or not self.remedy:
                    raise self.explained(error, attempt, is_open=is_open) from None
                self._say_again(error, pause)
                self.sleep(pause)
                doubtful = attempt
            else:
                return self._keep(attempt, answer, replaced_unknown=is_in_doubt)
        raise AssertionError("the last turn of the loop returns or raises")

    def _say_again(self, error: TrtcError, pause: float) -> None:
        self.log.warning(
            "%s It is not known whether a start of %s was carried out. In %g s %s",
            error,
            self.target.kind,
            pause,
            self.remedy,
        )

    def _keep(self, attempt: Attempt, answer: Any, *, replaced_unknown: bool) -> _Started:
        started = self.made(attempt, answer, replaced_unknown=replaced_unknown)
        small = bounds.document(self.row_of(started), MAX_ANSWER_BYTES)
        self.store.save_if_possible(replace(attempt, answer=small, is_answered=True))
        return started
