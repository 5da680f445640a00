"""What a try of a task does about a start: sends it, or goes on with what an earlier try sent.

What is kept of earlier tries is one `Attempt`. What that means for this try are `Fact`s, and of a policy's
rules the first whose facts all hold says what to do. The rules of recordings are in `recording/attempts.py`,
those of relays and ingests in `publishing/attempts.py`, those of all other calls in `operators/creating.py`.

When the service cannot be asked, nothing is started; the next try asks again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from airflow_trtc import bounds

VERSION = 2
MAX_ANSWER_BYTES = 16_384

_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be started, by which robot.

    :param kind: ``recording``, ``relay``, ``ingest``, or the name of an action.
    :param sdk_app_id: 0 where none is needed.
    :param content: a digest of what of the arguments matters besides; empty when nothing does.
    :param room_type: ``numeric`` or ``string``; empty, as is the room, where the action has no such.
    :param user_id: the robot; empty where there is none.
    """

    kind: str
    sdk_app_id: int
    region: str
    content: str = ""
    room_id: str = ""
    room_type: str = ""
    user_id: str = ""

    @property
    def room(self) -> int | str:
        """The room as calls about rooms take it."""
        return int(self.room_id) if self.room_type == "numeric" else self.room_id

    def __str__(self) -> str:
        return (
            f"{self.room_type} room {self.room_id} (application {self.sdk_app_id}, region {self.region},"
            f" robot {self.user_id})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is kept of a start.

    :param max_tries: Airflow's number for the task instance when the request was sent.
    :param try_number: the try that sent the request.
    :param sent_at: when, in ISO 8601.
    :param sends: how many requests may have started it, this one included.
    :param generation: how often what was asked for had to be asked for as something new.
    :param answer: what was started; None until the service answered, or if it is too big to keep.
    :param is_answered: whether the service answered.
    :param is_void: whether there is nothing to go on with: the service refused, or what was started is over
        and something new is wanted.
    :param handed_on: whether the task was about to succeed with it.
    """

    target: Target
    max_tries: int
    try_number: int
    sent_at: str = ""
    sends: int = 0
    generation: int = 0
    answer: Mapping[str, Any] | None = None
    is_answered: bool = False
    is_void: bool = False
    handed_on: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a row of the store."""
        return {"v": VERSION, **asdict(self)}


def read_attempt(value: Any, read_answer: Callable[[Any], Any] = bounds.mapping) -> Attempt:
    """Read a row of the store.

    :param read_answer: raises ValueError for an answer that says not what was started.
    :raises ValueError: this version did not write it.
    """
    row = bounds.mapping(value)
    target = bounds.mapping(row.get("target"))
    names = ("kind", "region", "content", "room_id", "room_type", "user_id")
    texts = {name: bounds.text(target.get(name)) or "" for name in names}
    sdk_app_id = bounds.number(target.get("sdk_app_id"), 0)
    is_room = texts["room_type"] != "numeric" or bounds.number(texts["room_id"], 1) is not None
    is_whole = sdk_app_id is not None and texts["kind"] and texts["region"]
    if row.get("v") != VERSION or not is_whole or not is_room:
        raise ValueError("it is no attempt of this version")
    counts = ("max_tries", "try_number", "sends", "generation")
    switches = ("is_answered", "is_void", "handed_on")
    given: dict[str, Any] = {name: bounds.count(row.get(name)) for name in counts}
    given |= {name: row.get(name) is True for name in switches}
    found = Attempt(
        target=Target(sdk_app_id=sdk_app_id or 0, **texts),
        sent_at=bounds.text(row.get("sent_at")) or "",
        answer=bounds.document(row.get("answer"), MAX_ANSWER_BYTES),
        **given,
    )
    if found.is_answered:
        read_answer(found.answer)
    return found


class Fact(enum.Flag):
    """What is the case for a try; none of these when nothing is kept that it could go on with."""

    NO_STORE = enum.auto()  # nothing can be kept, and this is not the first try
    UNREADABLE = enum.auto()  # another version kept it
    UNANSWERED = enum.auto()  # a request without its answer
    ANSWERED = enum.auto()
    TOO_BIG = enum.auto()  # its answer could not be kept
    OTHER = enum.auto()  # its arguments were not what they are now
    HANDED_ON = enum.auto()  # the task was about to succeed with it
    CLEARED = enum.auto()  # the task was cleared since: Airflow raised ``max_tries``
    REPEATABLE = enum.auto()  # a request whose answer was lost does no harm when it is sent again
    FINISHED = HANDED_ON | CLEARED  # a finished task is run again on purpose


class Deed(enum.Enum):
    """What a try does."""

    START = "sends the request"
    RESOLVE = "makes good what may have been started, and sends it"
    STOP = "stops what was started, and sends it"
    ASK = "asks: goes on with what runs, sends the request when it is over"
    RETURN = "returns what was answered"
    FAIL = "fails for good"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a policy.

    :param needs: all of these have to hold.
    :param says: what the log says, or the error, with the facts in braces filled in.
    """

    needs: Fact
    deed: Deed
    says: str = ""

    @property
    def is_usual(self) -> bool:
        """Whether nothing that somebody may have to look after is left behind."""
        return not self.needs & (Fact.UNREADABLE | Fact.UNANSWERED | Fact.OTHER)


@dataclass(frozen=True)
class KeptRow(Generic[_Kept]):
    """A row of a task instance in Airflow's store.

    :param key: the row's key.
    :param loss: what follows for a later try when the row cannot be written, for the log.
    :param read: reads it; raises ValueError for what this version did not write.
    """

    key: str
    loss: str
    read: Callable[[Any], _Kept]


@dataclass(frozen=True)
class Policy(KeptRow[Attempt]):
    """How a start of one sort is made once.

    :param rules: the first that holds decides; with none the request is sent.
    """

    rules: tuple[Rule, ...]

    def rule(self, facts: Fact) -> Rule:
        """The rule that decides."""
        return next((rule for rule in self.rules if rule.needs in facts), Rule(Fact(0), Deed.START))


def facts_of(kept: Attempt, target: Target, max_tries: int) -> Fact:
    """What the case is by what is kept.

    :param max_tries: Airflow's number for this task instance now.
    """
    if kept.is_void:
        return Fact(0)
    facts = Fact.ANSWERED if kept.is_answered else Fact.UNANSWERED
    for fact, holds in {
        Fact.TOO_BIG: kept.is_answered and kept.answer is None,
        Fact.OTHER: kept.target != target,
        Fact.HANDED_ON: kept.handed_on,
        Fact.CLEARED: kept.max_tries != max_tries,
    }.items():
        facts |= fact if holds else Fact(0)
    return facts
