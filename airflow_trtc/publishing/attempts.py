"""Whether a try of a task starts a relay or an ingest, or continues with the one that an earlier try started.

The rows below are all there is to it:

    what is kept of earlier tries                            what this try does
    ------------------------------------------------------  ---------------------------------------------
    nothing                                                  starts
    nothing can be kept, and it is not the first try;
      or what is kept cannot be read                         sends the robot out of the room, and starts
    a request without its answer                             sends its robot out of the room, and starts
    a job with other arguments                               stops that one, and starts
    a job that was handed on, and the task was cleared
      since (Airflow raised ``max_tries``)                   stops that one, and starts
    any other job                                            asks: continues if it runs, starts if it is over

A robot is a user of the room: the service sends the older of two users of one id out
(tencentcloud.com/document/product/647/48421), and a user who is removed. Where one of these holds for the
robot of a start whose answer was lost, that start leaves nothing running. When the service cannot be asked,
nothing is started; the next try asks again.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

from airflow_trtc import bounds

VERSION = 1


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be started.

    :param kind: ``relay`` or ``ingest``.
    :param room_type: ``numeric`` or ``string``.
    :param user_id: the robot.
    :param content: a digest of all other parameters.
    """

    kind: str
    sdk_app_id: int
    region: str
    room_id: str
    room_type: str
    user_id: str
    content: str

    @property
    def room(self) -> int | str:
        """The room as calls about rooms take it."""
        return int(self.room_id) if self.room_type == "numeric" else self.room_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAttempt:
    """What is kept of a start.

    :param max_tries: Airflow's number for the task instance when the request was sent.
    :param try_number: the try that sent the request.
    :param sent_at: when, in ISO 8601.
    :param sends: how many requests may have started it, this one included.
    :param job_id: None until the service answered.
    :param handed_on: the task was about to succeed with it.
    """

    target: Target
    max_tries: int
    try_number: int
    sent_at: str
    sends: int = 1
    job_id: str | None = None
    handed_on: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a row of the store."""
        return {"v": VERSION, **asdict(self)}


def read_attempt(value: Any) -> StreamAttempt:
    """Read a row of the store.

    :raises ValueError: it was not written by this version.
    """
    row = bounds.mapping(value)
    target = bounds.mapping(row.get("target"))
    names = ("kind", "region", "room_id", "room_type", "user_id", "content")
    texts = {name: bounds.text(target.get(name)) for name in names}
    sdk_app_id = bounds.number(target.get("sdk_app_id"), 1)
    is_room = texts["room_type"] == "string" or bounds.number(texts["room_id"], 1) is not None
    if row.get("v") != VERSION or None in (sdk_app_id, *texts.values()) or not is_room:
        raise ValueError("it is no attempt of this version")
    given: dict[str, Any] = {**texts, "sdk_app_id": sdk_app_id}
    return StreamAttempt(
        target=Target(**given),
        max_tries=bounds.count(row.get("max_tries")),
        try_number=bounds.count(row.get("try_number")),
        sent_at=bounds.text(row.get("sent_at")) or "",
        sends=bounds.count(row.get("sends")) or 1,
        job_id=bounds.job_id(row.get("job_id")),
        handed_on=row.get("handed_on") is True,
    )


class Reason(enum.Enum):
    """Why a try does what it does; the value is what the log says, with the facts filled in."""

    FIRST_START = ""
    NOTHING_KEPT = (
        "Airflow below 3.3 keeps nothing between tries. If an earlier try of this task started this {kind},"
        " it ends now: its robot {user_id} is sent out of the room, and comes again"
    )
    UNREADABLE = (
        "What an earlier try left behind cannot be read. If it started this {kind}, that ends now: its robot"
        " {user_id} is sent out of the room, and comes again"
    )
    OUTCOME_UNKNOWN = (
        "Try {try_number} sent a start at {sent_at}, and its answer is not known. If that {kind} was started,"
        " it ends now: its robot {user_id} is sent out of the room"
    )
    OTHER_TARGET = (
        "Try {try_number} started the {kind} {job_id} with other arguments. Stopping it, and starting what"
        " the arguments say now"
    )
    CLEARED = (
        "This task had handed on the {kind} {job_id} and was cleared since, so a new one is wanted. Stopping"
        " the earlier one"
    )
    KEPT = "Try {try_number} had started the {kind} {job_id}; asking whether it runs"
    RUNS = "It runs. Continuing with it; nothing new is started"
    OVER = "The {kind} {job_id} is over. Starting afresh"

    @property
    def asks(self) -> bool:
        """Whether the service has to be asked whether the job runs."""
        return self is Reason.KEPT

    @property
    def stops(self) -> bool:
        """Whether the job that is kept has to be stopped first."""
        return self in (Reason.OTHER_TARGET, Reason.CLEARED)

    @property
    def expels(self) -> bool:
        """Whether the robot has to be sent out of the room first, since it may be at work there."""
        return self in (Reason.NOTHING_KEPT, Reason.UNREADABLE, Reason.OUTCOME_UNKNOWN)

    @property
    def is_usual(self) -> bool:
        """Whether nothing went wrong."""
        return self in (Reason.KEPT, Reason.RUNS, Reason.CLEARED, Reason.NOTHING_KEPT)

    def sentence(self, attempt: StreamAttempt | None, target: Target) -> str:
        """What the log says; empty when there is nothing to say."""
        facts: dict[str, Any] = asdict(target if attempt is None else attempt.target)
        if attempt is not None:
            facts |= {name: getattr(attempt, name) for name in ("try_number", "sent_at", "job_id")}
        return self.value.format_map(facts)


def first_step(
    attempt: StreamAttempt | None, target: Target, *, max_tries: int, try_number: int, is_kept: bool
) -> Reason:
    """What to do by what is kept.

    :param max_tries: Airflow's number for this task instance now; so is `try_number`.
    :param is_kept: whether anything is kept between tries at all.
    """
    if attempt is None:
        return Reason.FIRST_START if is_kept or try_number == 1 else Reason.NOTHING_KEPT
    if attempt.job_id is None:
        return Reason.OUTCOME_UNKNOWN
    if attempt.target != target:
        return Reason.OTHER_TARGET
    if attempt.handed_on and attempt.max_tries != max_tries:
        return Reason.CLEARED
    return Reason.KEPT


def second_step(*, is_running: bool) -> Reason:
    """What to do by what the service answered about the job that is kept."""
    return Reason.RUNS if is_running else Reason.OVER
