"""The life of one recording. Everything that changes it lives here; nothing here reads a clock.

``advance`` moves a recording to an instant, ``read`` says what one Describe call sees there.
A natural life goes Idle, InProgress, Exited, Gone; a script of steps may cover it for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_trtc.emulator.callback_plan import FAILED, CallbackPlan
from airflow_trtc.emulator.files import File, Recipe, conversions, media_files, plan_index_files
from airflow_trtc.emulator.polls import Polls, no_polls
from airflow_trtc.emulator.spans import Limits, Script, Span, earliest, is_due

IDLE = "Idle"
IN_PROGRESS = "InProgress"
EXITED = "Exited"
GONE = "Gone"
"""Never sent: the recording is over and queries are refused."""

TRACK_OFFSET_SECONDS = 0.007
"""Files that appear together begin this far apart, as was seen in real recordings."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a recording goes on. ``reads`` are the Describe answers of its own life, given in that status.

    ``exited_seconds`` None: as the emulator's settings say.
    """

    idle_seconds: float = 0.0
    idle_reads: int = 0
    file_every_seconds: float = 0.0
    file_every_reads: int = 0
    ends_after_seconds: float | None = None
    ends_after_reads: int | None = None
    exited_seconds: float | None = None
    exited_reads: int = 0
    start_fails: bool = False
    room_empty_after_seconds: float | None = None
    max_idle_seconds: float = 30.0


@dataclass(frozen=True, kw_only=True)
class Step(Limits):
    """One step of a script. What it leaves out is answered by the recording's own life."""

    status: str | None = None
    files: int | tuple[File, ...] | None = None
    task_id: str | None = None
    gone: bool = False
    error: str | None = None
    message: str | None = None
    file_list: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Origin:
    """Which request did something: the key pair that signed it, and the id in its answer."""

    secret_id: str
    request_id: str


@dataclass
class Recording:
    """One recording: what it is, where it stands and all that really happened to it."""

    recording_id: str
    recipe: Recipe
    plan: Plan
    robot_id: str
    created_at: float
    expires_at: float
    planned_files: list[File]
    empty_file_list: str = "list"
    list_without_hls: str = "nothing"
    recorder_key: str | None = None
    destination: dict[str, Any] = field(default_factory=dict)
    users: Sequence[str] = ()
    """Everyone who was in the room as an anchor, first come first."""
    empty_since: float | None = None
    """Since when no anchor is in the room. ``plan.room_empty_after_seconds`` may say otherwise."""
    in_room_since: float | None = None
    """Since when the emulator's room says who is there, and no longer the plan."""
    not_before: dict[int, float] = field(default_factory=dict)
    """For planned files of those who came later: when they came, by the file's place in the plan."""
    started_by: Origin | None = None
    """None: it was not started through the API."""
    stopped_by: Origin | None = None
    is_storage_refused: bool = False
    callback_plan: CallbackPlan = field(default_factory=CallbackPlan)
    stage: str = IDLE
    span: Span = field(default_factory=lambda: Span(0.0))
    history: list[tuple[float, str]] = field(default_factory=list)
    started_at: float | None = None
    ended_at: float | None = None
    end_reason: str | None = None
    reads: int = 0
    files: list[File] = field(default_factory=list)
    made_at: list[float] = field(default_factory=list)
    """When each of ``files`` was made."""
    listed_files: list[File] = field(default_factory=list)
    made_count: int = 0
    script: Script[Step] | None = None
    script_makes_files: bool = False
    layout: dict[str, Any] | None = None
    subscriptions: dict[str, Any] | None = None
    modifications: int = 0
    clock_skew_seconds: float = 0.0
    """How far the clock of the recorder's machine is ahead: shown by events and files, in all their times."""
    polls: Polls = field(default_factory=no_polls)

    def __post_init__(self) -> None:
        self.span = Span(self.created_at)
        self.history = [(self.created_at, IDLE)]

    @property
    def is_running(self) -> bool:
        """Whether it still records and counts against the concurrency limit."""
        return self.ended_at is None


@dataclass(frozen=True)
class View:
    """What one Describe call sees; ``error`` excludes the rest, ``fault`` spoils the answer on the wire."""

    status: str = GONE
    files: Sequence[File] = ()
    task_id: str = ""
    file_list: str = "list"
    error: str | None = None
    message: str | None = None
    fault: str | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the answer is that there is no such recording."""
        return self.error is None and self.status == GONE


def advance(recording: Recording, now: float) -> None:
    """Bring the recording to this instant. Stages end when they are due, however late this is called."""
    _advance_stages(recording, now)
    _advance_script(recording, now)
    _make_files(recording, now)


def read(recording: Recording, now: float) -> View:
    """Answer one Describe call: advance, see, count the read."""
    advance(recording, now)
    recording.reads += 1
    if now >= recording.expires_at:
        return View()
    if recording.script:
        view = _scripted_view(recording, recording.script.step, now)
        recording.script.span.count(now)
    else:
        _make_files(recording, now, is_read=True)
        view = _own_view(recording)
        recording.span.count(now)
    if not view.is_gone and view.error is None:
        _remember(recording.listed_files, view.files)
    return view


def end(recording: Recording, now: float, reason: str) -> None:
    """End the recording now; a script is dropped. Does nothing to one that has ended."""
    advance(recording, now)
    recording.script = None
    if recording.is_running:
        _stop(recording, now, reason)
        _advance_stages(recording, now)


def follow_room(recording: Recording, anchors: Sequence[str], now: float) -> None:
    """Let exactly these anchors be in the room from now on; the plan's own leaving is over."""
    advance(recording, now)
    if not recording.is_running:
        return
    empty_since = _empty_since(recording)
    was_empty = is_due(empty_since, now)
    if recording.in_room_since is None:
        recording.in_room_since = now
    if not anchors:
        recording.empty_since = empty_since if was_empty else now
        return
    recording.empty_since = None
    if was_empty and recording.stage == IDLE:
        recording.span = Span(now)
    _plan_files_of([each for each in anchors if each not in recording.users], recording, now)
    _make_files(recording, now)


def anchors_of(recording: Recording, now: float) -> list[str]:
    """Return who is in the room by the recording's own plan."""
    advance(recording, now)
    return [] if is_due(_empty_since(recording), now) else list(recording.users)


def play(recording: Recording, steps: Sequence[Step], now: float) -> None:
    """Answer by a script from now on. A step without limit lasts one read, the last one for good."""
    _advance_stages(recording, now)
    recording.script = Script(steps, now)
    recording.script_makes_files = any(step.files is not None for step in steps)
    _advance_script(recording, now)


def stop_script(recording: Recording) -> None:
    """Answer by the recording's own life again."""
    recording.script = None
    recording.script_makes_files = False


def next_change_at(recording: Recording, now: float) -> float | None:
    """Return when the recording will change by itself, None if only a read or a command can change it."""
    next_file_at = None
    is_making_files = recording.stage == IN_PROGRESS and not recording.script_makes_files
    if is_making_files and recording.made_count < len(recording.planned_files):
        next_file_at = _next_file_at(recording, now, max(recording.span.reads, 1))
    step_over_at = recording.script.over_at() if recording.script else None
    return earliest(_stage_over_at(recording), step_over_at, next_file_at)


def keeps_index_files(recording: Recording) -> bool:
    """Return whether the service makes its index files known at all."""
    recipe = recording.recipe
    return recipe.storage != "vod" and (recipe.keeps_hls or recording.list_without_hls == "index")


def produced_files(recording: Recording) -> dict[str, list[File]]:
    """Return all files made so far: index files, and at the end conversions and files on VOD."""
    made: dict[str, list[File]] = {"files": list(recording.files) if keeps_index_files(recording) else []}
    converted, failed = _converted_files(recording)
    return {**made, **converted, "failed_files": failed}


def _converted_files(recording: Recording) -> tuple[dict[str, list[File]], list[File]]:
    """Return the conversions by kind, none before the end, and those of them that failed."""
    kinds: dict[str, list[File]] = {"mp4_files": [], "aac_files": [], "vod_files": []}
    failed: list[File] = []
    if recording.ended_at is None:
        return kinds, failed
    end = recording.ended_at + recording.clock_skew_seconds
    all_made = conversions(recording.recipe, recording.recording_id, recording.files, end)
    numbered = enumerate((kind, each) for kind, files in all_made.items() for each in files)
    for number, (kind, each) in numbered:
        (failed if _has_failed(recording, kind, number) else kinds[kind]).append(each)
    return kinds, failed


def _has_failed(recording: Recording, kind: str, number: int) -> bool:
    callback_plan = recording.callback_plan
    if kind == "vod_files":
        return callback_plan.vod_statuses(number)[-1] == FAILED
    batch = number // callback_plan.files_per_310 if callback_plan.files_per_310 else 0
    return callback_plan.mp4_statuses(batch)[-1] == FAILED


def _advance_stages(recording: Recording, now: float) -> None:
    while is_due(instant := _stage_over_at(recording), now):
        _leave_stage(recording, instant)


def _stage_over_at(recording: Recording) -> float | None:
    plan, span = recording.plan, recording.span
    if recording.stage == IDLE:
        if recording.empty_since is not None and not plan.start_fails:
            return _idle_end(recording)
        return span.over_at(plan.idle_seconds, plan.idle_reads)
    if recording.stage == IN_PROGRESS:
        return earliest(span.over_at(plan.ends_after_seconds, plan.ends_after_reads), _idle_end(recording))
    if recording.stage == EXITED:
        return span.over_at(plan.exited_seconds, plan.exited_reads)
    return None


def _empty_since(recording: Recording) -> float | None:
    """Return since when the room has no anchor, which may be an instant to come."""
    seconds = recording.plan.room_empty_after_seconds
    is_planned = recording.in_room_since is None and recording.stage == IN_PROGRESS and seconds is not None
    return recording.span.since + (seconds or 0.0) if is_planned else recording.empty_since


def _idle_end(recording: Recording) -> float | None:
    empty_since = _empty_since(recording)
    return None if empty_since is None else empty_since + recording.plan.max_idle_seconds


def _leave_stage(recording: Recording, instant: float) -> None:
    if recording.stage == IDLE and recording.plan.start_fails:
        _stop(recording, instant, "failed")
    elif recording.stage == IDLE and recording.empty_since is None:
        _start_stage(recording, IN_PROGRESS, instant)
    elif recording.stage == EXITED:
        _start_stage(recording, GONE, instant)
    else:
        is_idle_end = recording.stage == IDLE or instant == _idle_end(recording)
        _stop(recording, instant, "idle" if is_idle_end else "ended")


def _start_stage(recording: Recording, stage: str, instant: float) -> None:
    if recording.stage == stage:
        return
    recording.stage = stage
    recording.span = Span(instant)
    recording.history.append((instant, stage))
    if stage == IN_PROGRESS:
        recording.started_at = instant


def _stop(recording: Recording, instant: float, reason: str) -> None:
    _make_files(recording, instant)
    recording.ended_at = instant
    recording.end_reason = reason
    _start_stage(recording, EXITED, instant)


def _make_files(recording: Recording, now: float, *, is_read: bool = False) -> None:
    """Make the files due in the natural life; ``is_read`` is set while an answer is being given."""
    if recording.stage != IN_PROGRESS or recording.script_makes_files:
        return
    answers = recording.span.reads + 1 if is_read else max(recording.span.reads, 1)
    while recording.made_count < len(recording.planned_files):
        begin = _next_file_at(recording, now, answers)
        if not is_due(begin, now):
            return
        _make_file(recording, begin)


def _plan_files_of(newcomers: Sequence[str], recording: Recording, now: float) -> None:
    recording.users = [*recording.users, *newcomers]
    known = {each["FileName"] for each in recording.planned_files}
    for each in plan_index_files(recording.recipe, newcomers):
        if each["FileName"] not in known:
            recording.not_before[len(recording.planned_files)] = now
            recording.planned_files.append(each)


def _next_file_at(recording: Recording, now: float, answers: int) -> float | None:
    plan, index, since = recording.plan, recording.made_count, recording.span.since
    if plan.file_every_reads and index > (answers - 1) // plan.file_every_reads:
        return None
    due_at = now if plan.file_every_reads and not plan.file_every_seconds else since
    return max(due_at + index * (plan.file_every_seconds or 0.0), recording.not_before.get(index, 0.0))


def _make_file(recording: Recording, begin: float) -> None:
    made = dict(recording.planned_files[recording.made_count])
    if made["BeginTimeStamp"] is None:
        is_together = recording.made_count and not recording.plan.file_every_seconds
        offset = recording.made_count * TRACK_OFFSET_SECONDS if is_together else 0.0
        made["BeginTimeStamp"] = round((begin + offset + recording.clock_skew_seconds) * 1000)
    recording.made_count += 1
    _keep(recording, [made], begin)


def _advance_script(recording: Recording, now: float) -> None:
    script = recording.script
    if script is None:
        return
    script.advance(now)
    if not script.steps:
        stop_script(recording)
    elif script.is_settled and script.step.gone:
        recording.script = None
        _vanish(recording, script.span.since)


def _vanish(recording: Recording, instant: float) -> None:
    if recording.is_running:
        _stop(recording, instant, "script")
    _start_stage(recording, GONE, instant)


def _own_view(recording: Recording) -> View:
    return View(
        status=recording.stage,
        files=_listing(recording),
        task_id=recording.recording_id,
        file_list=recording.empty_file_list,
    )


def _scripted_view(recording: Recording, step: Step, now: float) -> View:
    if step.gone or step.error:
        return View(error=step.error, message=step.message)
    if isinstance(step.files, int):
        while recording.made_count < min(step.files, len(recording.planned_files)):
            _make_file(recording, now)
    elif step.files is not None:
        _keep(recording, step.files, now)
    own = _own_view(recording)
    return View(
        status=step.status or own.status,
        files=_scripted_files(own.files, step.files),
        task_id=step.task_id or own.task_id,
        file_list=step.file_list or own.file_list,
        fault=step.fault,
    )


def _scripted_files(own: Sequence[File], wanted: int | tuple[File, ...] | None) -> Sequence[File]:
    if wanted is None:
        return own
    return own[:wanted] if isinstance(wanted, int) else wanted


def _listing(recording: Recording) -> list[File]:
    recipe = recording.recipe
    if recipe.storage == "vod":
        return []
    if recipe.keeps_hls or recording.list_without_hls == "index":
        return list(recording.files)
    if recording.list_without_hls == "media":
        return media_files(recipe, recording.files, recipe.media_extensions[0])
    return []


def _keep(recording: Recording, files: Iterable[File], now: float) -> None:
    _remember(recording.files, files)
    recording.made_at += [now] * (len(recording.files) - len(recording.made_at))


def _remember(known: list[File], files: Iterable[File]) -> None:
    names = {each["FileName"] for each in known}
    known += [each for each in files if each["FileName"] not in names]
