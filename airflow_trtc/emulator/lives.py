"""The life of one job of any kind but recordings. Everything that changes it is here; nothing reads a clock.

``advance`` moves a life to an instant, ``read`` says what one describe call sees there. A life goes through
the stages of its kind (see :mod:`~airflow_trtc.emulator.natures`) and then is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.emulator.callback_plan import MAX_SAMPLES, check_troubles, trouble_of
from airflow_trtc.emulator.natures import DONE, ENDING, GONE, IDLE, NATURES, PREPARING, RUNNING, Nature
from airflow_trtc.emulator.options import check_choice, check_count, check_numbers, check_texts
from airflow_trtc.emulator.recordings import Origin
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.spans import Span, earliest, is_due

FAILED_STATUS, EXPIRED_STATUS = "Failed", "Expired"
SECONDS_PER_HOUR = 3600
_RESULT_HOURS = 24.0


@dataclass(frozen=True, kw_only=True)
class LifePlan:
    """How a job goes on; ``reads`` are answers to describe calls in that stage.

    The package docstring explains the options. None: as the kind or the emulator's settings have it.
    """

    idle_seconds: float = 0.0
    idle_reads: int = 0
    preparing_seconds: float = 0.0
    preparing_reads: int = 0
    ends_after_seconds: float | None = None
    ends_after_reads: int | None = None
    ending_seconds: float | None = None
    ending_reads: int = 0
    room_empty_after_seconds: float | None = None
    max_idle_seconds: float | None = None
    max_seconds: float | None = None
    expires_after_hours: float | None = None
    start_fails: bool = False
    fails: bool = False
    outputs: int | Sequence[Any] = 0
    output_every_seconds: float = 0.0
    leave_code: int | None = None
    callbacks: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("start_fails", "fails"):
            check_choice(self, name, (False, True))
        if isinstance(self.outputs, int):
            check_count("outputs", self.outputs, MAX_SAMPLES)
        elif not isinstance(self.outputs, (list, tuple)) or len(self.outputs) > MAX_SAMPLES:
            raise ValueError("outputs must be how many there are, or a list of them")
        if self.leave_code is not None:
            check_count("leave_code", self.leave_code)
        check_troubles(self.callbacks)


@dataclass(frozen=True, kw_only=True)
class LifeSeed(LifePlan):
    """The options of ``add_job(kind=...)``; the package docstring explains them."""

    kind: str
    job_id: str | None = None
    sdk_app_id: int | None = None
    room_id: str = "8001"
    is_string_room: bool | None = None
    robot_id: str = "robot_1"
    key: str | None = None
    participants: int | Sequence[str] = 1
    started_seconds_ago: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "kind", tuple(NATURES))
        check_texts(self, "job_id", "room_id", "robot_id", "key")
        if isinstance(self.participants, int):
            check_count("participants", self.participants, MAX_SAMPLES)
        elif not all(isinstance(each, str) for each in self.participants):
            raise ValueError("participants must be how many there are, or their ids as texts")


@dataclass
class Life:
    """One life: whose it is, where it stands, and all that really happened.

    :ivar key: the caller's own name for it, RecordId or SessionId.
    :ivar users: everyone who was in the room as an anchor, first come first.
    :ivar outputs: what came of it so far (slices, hits, sentences, files), each with its instant in ``at``.
    """

    job_id: str
    nature: Nature
    plan: LifePlan
    sdk_app_id: int
    created_at: float
    room: Room | None = None
    robot_id: str | None = None
    key: str | None = None
    destination: dict[str, Any] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
    empty_since: float | None = None
    in_room_since: float | None = None
    """Since when the emulator's room says who is there, and no longer the plan."""
    started_by: Origin | None = None
    stopped_by: Origin | None = None
    is_storage_refused: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    """What calls that change a running job set: by the name of their parameter."""
    changes: int = 0
    ending_seconds: float = 0.0
    clock_skew_seconds: float = 0.0
    stage: str = ""
    span: Span = field(default_factory=lambda: Span(0.0))
    history: list[tuple[float, str]] = field(default_factory=list)
    started_at: float | None = None
    ended_at: float | None = None
    end_reason: str | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stage = self.nature.stages[0]
        self.span = Span(self.created_at)
        self.history = [(self.created_at, self.stage)]
        if self.stage == RUNNING:
            self.started_at = self.created_at

    @property
    def is_running(self) -> bool:
        """Whether it goes on, and costs money."""
        return self.ended_at is None

    @property
    def expires_at(self) -> float | None:
        """From when on the service answers as if it were gone; None: never."""
        hours = self.plan.expires_after_hours
        hours = self.nature.expires_after_hours if hours is None else hours
        return None if hours is None else self.created_at + hours * SECONDS_PER_HOUR

    def trouble_of(self, event_type: int) -> str | float | None:
        """Return what shall happen to its events of this type."""
        return trouble_of(self.plan.callbacks, event_type)


def advance(life: Life, now: float) -> None:
    """Bring the life to this instant. Stages end when they are due, however late this is called."""
    while is_due(instant := _stage_over_at(life), now):
        _make_outputs(life, instant)
        _leave_stage(life, instant)
    _make_outputs(life, now)


def read(life: Life, now: float) -> dict[str, Any] | None:
    """Answer one describe call: the fields of the answer, or None for a job that is not there."""
    advance(life, now)
    expires_at = life.expires_at
    if life.stage == GONE or (life.stage != DONE and expires_at is not None and now >= expires_at):
        return None
    answer = {"Status": status_of(life), **_details(life)}
    life.span.count(now)
    return answer


def status_of(life: Life) -> Any:
    """Return the service's word for where it stands; ``Gone`` when it has none any more."""
    if life.stage == DONE and life.plan.fails:
        return FAILED_STATUS
    return life.nature.statuses.get(life.stage, GONE)


def end(life: Life, now: float, reason: str) -> None:
    """End it now. Does nothing to one that has ended."""
    advance(life, now)
    if life.is_running:
        _end(life, now, reason)


def vanish(life: Life, now: float, reason: str) -> None:
    """End it, so that no ending is seen."""
    end(life, now, reason)
    if life.stage != GONE:
        _start_stage(life, GONE, now)


def follow_room(life: Life, anchors: Sequence[str], now: float) -> None:
    """Let exactly these anchors be in its room from now on; the plan's own leaving is over."""
    advance(life, now)
    if not life.is_running:
        return
    was_empty = is_due(_empty_since(life), now)
    life.in_room_since = now if life.in_room_since is None else life.in_room_since
    life.users += [each for each in anchors if each not in life.users]
    if anchors:
        life.empty_since = None
    elif not was_empty:
        life.empty_since = now


def anchors_of(life: Life) -> list[str]:
    """Return who is in its room by its own plan, as it stands."""
    return [] if life.empty_since is not None else list(life.users)


def next_change_at(life: Life) -> float | None:
    """Return when it will change by itself, None if only a read or a command can change it."""
    return earliest(_stage_over_at(life), _next_output_at(life))


def truth(life: Life, now: float) -> dict[str, Any]:
    """Return all that really happened, as JSON."""
    advance(life, now)
    room = life.room
    return {
        "kind": life.nature.kind,
        "sdk_app_id": life.sdk_app_id,
        "room_id": room and room.room_id,
        "is_string_room": room and room.is_string_room,
        "robot_id": life.robot_id,
        "key": life.key,
        "destination": life.destination,
        "storage_refused": life.is_storage_refused,
        "status": status_of(life),
        "stage": life.stage,
        "end_reason": life.end_reason,
        "started_at": life.started_at,
        "ended_at": life.ended_at,
        "history": [{"at": at, "stage": stage} for at, stage in life.history],
        "settings": life.settings,
        "changes": life.changes,
        "outputs": life.outputs,
    }


def _details(life: Life) -> dict[str, Any]:
    """What else the answer holds, in the types of each kind."""
    kind = life.nature.kind
    if kind == "speech" and life.stage == DONE and not life.plan.fails:
        address = f"https://speech.example/{life.job_id}"
        return {
            "AudioDownloadUrl": f"{address}.mp3?sign=emulated-signature",
            "SubtitleDownloadUrl": f"{address}.json?sign=emulated-signature",
            "TotalDurationMs": 4200,
        }
    return {}


def _stage_over_at(life: Life) -> float | None:
    plan, span = life.plan, life.span
    if life.stage == IDLE:
        over_at = span.over_at(plan.idle_seconds, plan.idle_reads)
        return over_at if plan.start_fails or _empty_since(life) is None else _idle_end(life)
    if life.stage == PREPARING:
        return span.over_at(plan.preparing_seconds, plan.preparing_reads)
    if life.stage == RUNNING:
        by_plan = span.over_at(_ends_after(life), plan.ends_after_reads)
        most = _limit_at(life)
        failed_at = life.created_at if plan.start_fails else None
        return earliest(by_plan, most, _idle_end(life), failed_at)
    if life.stage == ENDING:
        return span.over_at(life.ending_seconds, plan.ending_reads)
    if life.stage == DONE:
        return span.since + _RESULT_HOURS * SECONDS_PER_HOUR
    return None


def _limit_at(life: Life) -> float | None:
    wanted = life.plan.max_seconds
    seconds = life.nature.max_seconds if wanted is None else wanted
    return None if seconds is None else life.created_at + seconds


def _ends_after(life: Life) -> float | None:
    plan = life.plan
    is_planned = plan.ends_after_seconds is not None or plan.ends_after_reads is not None
    return plan.ends_after_seconds if is_planned else life.nature.ends_after_seconds


def _empty_since(life: Life) -> float | None:
    seconds = life.plan.room_empty_after_seconds
    if life.in_room_since is None and life.stage == RUNNING and seconds is not None:
        return life.span.since + seconds
    return life.empty_since


def _idle_end(life: Life) -> float | None:
    wanted = life.plan.max_idle_seconds
    seconds = life.nature.max_idle_seconds if wanted is None else wanted
    empty_since = _empty_since(life)
    return None if empty_since is None or seconds is None else empty_since + seconds


def _leave_stage(life: Life, instant: float) -> None:
    stage, plan = life.stage, life.plan
    if stage in (ENDING, DONE):
        _start_stage(life, GONE, instant)
    elif plan.start_fails:
        _end(life, instant, "failed")
    elif stage == RUNNING or (stage == IDLE and instant == _idle_end(life)):
        _end(life, instant, _reason(life, instant))
    else:
        stages = life.nature.stages
        _start_stage(life, stages[stages.index(stage) + 1], instant)


def _reason(life: Life, instant: float) -> str:
    if instant == _idle_end(life):
        return "idle"
    if instant == _limit_at(life):
        return "limit"
    return "failed" if life.plan.fails else "ended"


def _end(life: Life, instant: float, reason: str) -> None:
    life.ended_at = instant
    life.end_reason = reason
    later = [each for each in (ENDING, DONE) if each in life.nature.statuses]
    _start_stage(life, later[0] if later else GONE, instant)


def _start_stage(life: Life, stage: str, instant: float) -> None:
    life.stage = stage
    life.span = Span(instant)
    life.history.append((instant, stage))
    if stage == RUNNING:
        life.started_at = instant


def _next_output_at(life: Life) -> float | None:
    planned = life.plan.outputs
    how_many = planned if isinstance(planned, int) else len(planned)
    number = len(life.outputs)
    if life.stage != RUNNING or life.started_at is None or number >= how_many:
        return None
    return life.started_at + number * life.plan.output_every_seconds


def _make_outputs(life: Life, now: float) -> None:
    while is_due(instant := _next_output_at(life), now):
        planned, number = life.plan.outputs, len(life.outputs)
        value = None if isinstance(planned, int) else planned[number]
        user = life.users[number % len(life.users)] if life.users else ""
        life.outputs.append({"at": instant, "user_id": user, "value": value})
