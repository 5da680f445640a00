"""Whether a try of a task starts a recording, or continues with the one that an earlier try started.

The rows below are all there is to it:

    what is kept of earlier tries                            what this try does
    ------------------------------------------------------  ---------------------------------------------
    nothing                                                  starts
    something that cannot be read                            starts: the same robot ends what may run
    a request without its answer                             starts: the same robot ends what may run
    a recording of another room, application or robot        starts: that one is not what is wanted
    a recording that was handed on, and the task was
      cleared since (Airflow raised ``max_tries``)           starts: a finished task is run again on purpose
    any other recording                                      asks: continues if it runs, starts if it is gone

When the service cannot be asked, nothing is started; the next try asks again.
"""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.recording.started import StartedRecording, read_started

VERSION = 1


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be recorded, and by which robot."""

    sdk_app_id: int
    region: str
    room_id: str
    room_id_type: int
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is kept of a start.

    :param max_tries: Airflow's number for the task instance when the request was sent.
    :param try_number: the try that sent the request.
    :param sent_at: when, in ISO 8601.
    :param sends: how many requests may have started the recording, this one included.
    :param recording: None until the service answered.
    :param handed_on: the task was about to succeed with it.
    """

    target: Target
    max_tries: int
    try_number: int
    sent_at: str
    sends: int = 1
    recording: StartedRecording | None = None
    handed_on: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a row of the store."""
        return {
            "v": VERSION,
            "target": asdict(self.target),
            "max_tries": self.max_tries,
            "try_number": self.try_number,
            "sent_at": self.sent_at,
            "sends": self.sends,
            "recording": None if self.recording is None else self.recording.to_json(),
            "handed_on": self.handed_on,
        }


def read_attempt(value: Any) -> Attempt:
    """Read a row of the store.

    :raises ValueError: it was not written by this version.
    """
    row = bounds.mapping(value)
    target = bounds.mapping(row.get("target"))
    numbers = [bounds.number(target.get(name), 0) for name in ("sdk_app_id", "room_id_type")]
    texts = [bounds.text(target.get(name)) for name in ("region", "room_id", "user_id")]
    if row.get("v") != VERSION or None in (*numbers, *texts):
        raise ValueError("it is no attempt of this version")
    (sdk_app_id, room_id_type), (region, room_id, user_id) = numbers, texts
    kept = row.get("recording")
    return Attempt(
        target=Target(sdk_app_id or 0, region or "", room_id or "", room_id_type or 0, user_id or ""),
        max_tries=bounds.count(row.get("max_tries")),
        try_number=bounds.count(row.get("try_number")),
        sent_at=bounds.text(row.get("sent_at")) or "",
        sends=bounds.count(row.get("sends")) or 1,
        recording=None if kept is None else read_started(kept),
        handed_on=row.get("handed_on") is True,
    )


class Reason(enum.Enum):
    """Why a try does what it does; the value is what the log says, with the facts filled in."""

    FIRST_START = ""
    UNREADABLE = (
        "What an earlier try left behind cannot be read. Starting again with the same robot {user_id}, which"
        " ends what may run"
    )
    OUTCOME_UNKNOWN = (
        "Try {try_number} sent a start at {sent_at}, and its answer is not known. Starting again with the"
        " same robot {user_id}: if that recording was started, the service ends it now"
    )
    OTHER_TARGET = (
        "Try {try_number} started {recording_id} with other arguments (room {room_id}, application"
        " {sdk_app_id}, robot {user_id}). Starting what the arguments say now. The earlier recording goes on"
        " until its room is empty; stop it with TrtcStopRecordingOperator if it is not wanted"
    )
    OTHER_TARGET_UNKNOWN = (
        "Try {try_number} sent a start with other arguments at {sent_at} (room {room_id}, application"
        " {sdk_app_id}, robot {user_id}), and its answer is not known. Starting what the arguments say now."
        " If that recording was started, it goes on until its room is empty"
    )
    CLEARED = (
        "This task had handed on {recording_id} and was cleared since, so a new recording is wanted. If the"
        " earlier one still runs, the service ends it now, since the robot {user_id} is the same"
    )
    KEPT = "Try {try_number} had started {recording_id}; asking whether it runs"
    RUNS = "It runs. Continuing with it; nothing new is started"
    GONE = (
        "The service does not know {recording_id} any more: it has ended, or its time for questions is over."
        " Starting afresh with the same robot {user_id}"
    )

    @property
    def asks(self) -> bool:
        """Whether the service has to be asked first."""
        return self is Reason.KEPT

    @property
    def starts(self) -> bool:
        """Whether a recording is to be started."""
        return self not in (Reason.KEPT, Reason.RUNS)

    @property
    def is_replacing_unknown(self) -> bool:
        """Whether the start ends what an unanswered request may have started."""
        return self in (Reason.OUTCOME_UNKNOWN, Reason.UNREADABLE)

    def sentence(self, attempt: Attempt | None, target: Target) -> str:
        """What the log says; empty when there is nothing to say."""
        facts: dict[str, Any] = asdict(target if attempt is None else attempt.target)
        if attempt is not None:
            facts |= {"try_number": attempt.try_number, "sent_at": attempt.sent_at, "recording_id": ""}
            if attempt.recording is not None:
                facts["recording_id"] = f"recording {attempt.recording.recording_id}"
        return self.value.format_map(facts)


def first_step(attempt: Attempt | None, target: Target, max_tries: int) -> Reason:
    """What to do by what is kept.

    :param max_tries: Airflow's number for this task instance now.
    """
    if attempt is None:
        return Reason.FIRST_START
    if attempt.target != target:
        return Reason.OTHER_TARGET_UNKNOWN if attempt.recording is None else Reason.OTHER_TARGET
    if attempt.recording is None:
        return Reason.OUTCOME_UNKNOWN
    if attempt.handed_on and attempt.max_tries != max_tries:
        return Reason.CLEARED
    return Reason.KEPT


def second_step(*, is_running: bool) -> Reason:
    """What to do by what the service answered about the recording that is kept."""
    return Reason.RUNS if is_running else Reason.GONE


def earlier_sends(attempt: Attempt | None, reason: Reason) -> int:
    """How many requests without an answer this start replaces."""
    return attempt.sends if attempt is not None and reason is Reason.OUTCOME_UNKNOWN else 0
