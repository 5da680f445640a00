"""All that is stored about one job, as the pictures of it need it. Pure: no Airflow, no web framework.

What is stored was written by other programs and other versions, so everything is read by bounded readers,
and what cannot be read is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from airflow_trtc import bounds
from airflow_trtc.jobs.history import NO_CALLBACKS, CallbackFact, add_callback
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.owners import FINAL_STATES
from airflow_trtc.kinds import KINDS
from airflow_trtc.web.processing.folding import read_row

LONGEST_SHOWN = 200
# No controls and nothing that XML has not; those of direction would turn around what stands beside them.
_NEVER_SHOWN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class StateChange:
    """A task instance came into a state.

    :param state: Airflow's word, e.g. ``deferred``.
    :param attempt: number of the try; None when that is not known.
    """

    at: datetime
    state: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a task instance, as its row says; times are None as long as they have not come."""

    number: int
    state: str | None = None
    scheduled_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskLife:
    """The task instance that waits for a job.

    :param map_index: -1 for a task that is not mapped.
    :param label: what Airflow calls a mapped one, if it has a name.
    :param attempts: its tries, the last one last.
    :param changes: its states as far as the audit log has them; more than the tries say.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    label: str = ""
    attempts: tuple[Attempt, ...] = ()
    changes: tuple[StateChange, ...] = ()

    @property
    def name(self) -> str:
        """What a picture calls it."""
        number = self.label or (str(self.map_index) if self.map_index >= 0 else "")
        return f"{self.task_id} [{number}]" if number else self.task_id

    @property
    def state(self) -> str | None:
        """Its state now."""
        return self.attempts[-1].state if self.attempts else None

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class JobLife:
    """One job.

    :param state: what polls and callbacks showed.
    :param facts: what callbacks reported, one by one: `state` keeps of equal ones the latest only.
    :param facts_left_out: how many more there are.
    :param tasks: the task instances that wait for it.
    :param polled_at: when it was polled last, where that is known better than by `state`.
    :param next_poll_at: when it is due again.
    :param outcome: how the wait ended; None while it goes on.
    """

    job: JobRef
    state: JobState
    facts: tuple[CallbackFact, ...] = ()
    facts_left_out: int = 0
    tasks: tuple[TaskLife, ...] = ()
    polled_at: datetime | None = None
    next_poll_at: datetime | None = None
    outcome: str | None = None
    kind: JobKind = field(init=False)

    def __post_init__(self) -> None:
        unknown = JobKind(name=self.job.kind, describe_action="")
        object.__setattr__(self, "kind", KINDS.get(self.job.kind, unknown))
        object.__setattr__(self, "facts", merge_facts(self.facts, self.state.history.facts))

    @property
    def is_over(self) -> bool:
        """Whether the job itself has ended, as far as anything shows."""
        ends = self.kind.ends_well | self.kind.ends_badly
        return self.state.is_over or self.state.exited_at is not None or self.state.status in ends

    @property
    def is_known(self) -> bool:
        """Whether anything but its name is known."""
        return self.state.was_seen or self.state.is_gone or bool(self.facts or self.state.files)

    def joined(self, facts: tuple[CallbackFact, ...], tasks: tuple[TaskLife, ...]) -> JobLife:
        """The same with more facts, and with these tasks."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return JobLife(**given | {"facts": merge_facts(self.facts, facts), "tasks": tasks})

    @property
    def is_watched(self) -> bool:
        """Whether anything would notice that it goes on: a task waits, or callbacks come without one."""
        return not all(task.is_over for task in self.tasks) if self.tasks else not self.is_over

    def last_sign(self, now: datetime) -> datetime:
        """When anything was heard of it last, by our own clocks; `now` while it is watched."""
        return now if self.is_watched else max(self.own_times, default=now)

    @property
    def own_times(self) -> list[datetime]:
        """Times of our own clocks, which bound what those of the service may say."""
        state = self.state
        seen = [state.first_seen_at, state.last_seen_at, state.exited_at, state.absent_since, state.absent_at]
        received = [fact.received_at for fact in self.facts]
        tries = [attempt for task in self.tasks for attempt in task.attempts]
        started = [at for attempt in tries for at in (attempt.started_at, attempt.ended_at)]
        return [at for at in (*seen, self.polled_at, *received, *started) if at is not None]


def merge_facts(*lists: Iterable[CallbackFact]) -> tuple[CallbackFact, ...]:
    """All facts of all lists, each thing that happened once, in the order in which they happened."""
    found = {
        (fact.happened_at_ms, fact.type, -1 if fact.code is None else fact.code, fact.detail): fact
        for facts in lists
        for fact in facts
    }
    return tuple(found[key] for key in sorted(found))


def read_facts(rows: Mapping[str, str], job: JobRef, now_ms: int) -> tuple[CallbackFact, ...]:
    """What rows of single events say of a job; what cannot be read, or is about another job, is left out."""
    facts: list[CallbackFact] = []
    for key, text in rows.items():
        try:
            received = read_row(key, text, now_ms)
        except (ValueError, RecursionError):
            continue
        if received.callback.task_id == job.job_id and received.callback.family == job.family:
            facts += add_callback(NO_CALLBACKS, received.callback, received.received_at).facts
    return merge_facts(facts)


def shown(value: object, longest: int = LONGEST_SHOWN) -> str:
    """A text of the outside world as one line of a page: no control characters, cut; not yet escaped."""
    text = " ".join(str(bounds.label(value) or "").split())
    text = _NEVER_SHOWN.sub("", text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
