"""What went wrong with a job, as its callbacks reported: the faults of the table that still count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow_trtc.jobs.events import EVENTS, Counts, Event, Fault, row
from airflow_trtc.jobs.history import CallbackFact, missing_in_vod
from airflow_trtc.jobs.problem import Problem
from airflow_trtc.jobs.state import JobState


def problems_of(state: JobState) -> tuple[Problem, ...]:
    """All problems that callbacks reported and that no later one mended."""
    return tuple(
        _problem(event, fault, fact)
        for event in EVENTS.values()
        if not _is_settled(event, state)
        for code, fault in event.faults.items()
        for fact in _COUNTING[fault.counts](state, event.type)
        if fact is not None and (fact.type, fact.code) == (event.type, code)
    )


def _is_settled(event: Event, state: JobState) -> bool:
    later = None if event.settled_by is None else state.history.latest(event.settled_by)
    return later is not None and later.is_documented


# Which facts of a type count, for each word of `Fault.counts`.
_COUNTING: dict[Counts, Callable[[JobState, int], Sequence[CallbackFact | None]]] = {
    "each": lambda state, event_type: state.history.of(event_type),
    "latest": lambda state, event_type: [state.history.latest(event_type)],
    "missing": lambda state, event_type: missing_in_vod(state.history, state.files),
    "start": lambda state, event_type: [state.history.failed_start],
    "end": lambda state, event_type: [state.history.end],
    "last": lambda state, event_type: [_how_it_ended(each) for each in state.history.states()],
}


def _how_it_ended(states: Sequence[CallbackFact]) -> CallbackFact | None:
    """The last state before the one that says only that it is over; None for what is not over."""
    if states[-1].code not in row(states[-1].type).ends:
        return None
    return next((fact for fact in reversed(states) if fact.code), states[-1])


def _problem(event: Event, fault: Fault, fact: CallbackFact) -> Problem:
    words = ": ".join(filter(None, [fault.words, fact.detail, fact.message]))
    return Problem(fault.kind, f"{words} ({event.label(fact.code)})")
