"""Jobs of other kinds than recordings: with a life of their kind, a script, or both. Reads no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from airflow_trtc.emulator import lives
from airflow_trtc.emulator.codes import error_of
from airflow_trtc.emulator.faults import SCRIPT_KINDS
from airflow_trtc.emulator.lives import Life, LifePlan, LifeSeed
from airflow_trtc.emulator.natures import NATURES
from airflow_trtc.emulator.options import check_choice, check_numbers, check_texts
from airflow_trtc.emulator.polls import Polls, no_polls
from airflow_trtc.emulator.rooms import Room, looks_like_string_room
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.spans import Limits, Script

_NAME = re.compile(r"[A-Z][A-Za-z0-9]{0,99}")


@dataclass(frozen=True, kw_only=True)
class JobStep(Limits):
    """One answer of a job: the fields of ``Response``, or an error."""

    answer: Mapping[str, Any] = field(default_factory=dict)
    gone: bool = False
    error: str | None = None
    message: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class JobSeed:
    """The options of ``add_job`` for a job that is nothing but a script; see the package docstring."""

    action: str
    steps: Sequence[Mapping[str, Any]]
    id_param: str = "TaskId"
    job_id: str | None = None
    sdk_app_id: int | None = None

    def __post_init__(self) -> None:
        check_texts(self, "job_id")
        check_numbers(self)
        for name in ("action", "id_param"):
            if not _NAME.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} must be a name such as DescribeSomething or TaskId")


@dataclass
class Job:
    """One job: what it is, which step answers, and which calls it has had.

    :ivar script: answers instead of the life, which goes on underneath; None: there is none.
    :ivar life: None for a job that is nothing but a script.
    """

    job_id: str
    action: str
    id_param: str
    sdk_app_id: int
    created_at: float
    script: Script[JobStep] | None = None
    life: Life | None = None
    reads: int = 0
    polls: Polls = field(default_factory=no_polls)


def read(job: Job, now: float) -> JobStep:
    """Answer one describe call: return the step that is due, filled up from the life, and count the read."""
    job.reads += 1
    seen = None if job.life is None else lives.read(job.life, now)
    script = _running_script(job, now)
    if script is None:
        return JobStep(gone=True) if seen is None else JobStep(answer=seen)
    step = script.step
    script.span.count(now)
    return step if step.gone or step.error else replace(step, answer={**(seen or {}), **step.answer})


def play(job: Job, steps: Sequence[Mapping[str, Any]], now: float) -> None:
    """Answer by these steps from now on; without any, by the life again."""
    if steps:
        job.script = script_of(steps, now, is_endless=job.life is None)
    elif job.life is None:
        raise ValueError("steps: a job without a life needs at least one")
    else:
        job.script = None


def _running_script(job: Job, now: float) -> Script[JobStep] | None:
    """The script that answers now. One that has come to its end leaves a job with a life to that."""
    if job.script is not None:
        job.script.advance(now)
        if not job.script.steps:
            job.script = None
        elif job.life is not None and job.script.is_settled and job.script.step.gone:
            lives.vanish(job.life, job.script.span.since, "script")
    return job.script


def script_of(steps: Sequence[Mapping[str, Any]], now: float, *, is_endless: bool = True) -> Script[JobStep]:
    """Return the script of these steps, or raise ``ValueError``.

    :param is_endless: whether the last one stays, whatever its limits.
    """
    if not steps:
        raise ValueError("steps: a job needs at least one")
    *earlier, last = steps
    if is_endless:
        last = {name: value for name, value in last.items() if name not in ("reads", "seconds")}
    return Script([_step_of(each) for each in (*earlier, last)], now)


def life_of(
    seed: LifeSeed, settings: Settings, job_id: str, now: float, *, clock_skew_seconds: float = 0.0
) -> Life:
    """Return a new life that began ``started_seconds_ago``."""
    nature, created_at = NATURES[seed.kind], now - seed.started_seconds_ago
    sdk_app_id = seed.sdk_app_id or settings.sdk_app_id
    given = seed.participants
    users = [f"anchor_{each}" for each in range(1, given + 1)] if isinstance(given, int) else list(given)
    is_string_room = seed.is_string_room
    if is_string_room is None:
        is_string_room = looks_like_string_room(seed.room_id)
    ending = seed.ending_seconds
    if ending is None:
        ending = 0.0 if seed.ending_reads else settings.exited_seconds
    return Life(
        job_id=job_id,
        nature=nature,
        plan=LifePlan(**{each.name: getattr(seed, each.name) for each in fields(LifePlan)}),
        sdk_app_id=sdk_app_id,
        created_at=created_at,
        room=Room(sdk_app_id, seed.room_id, is_string_room) if nature.numeric_room is not None else None,
        robot_id=seed.robot_id if nature.robot_path is not None else None,
        key=seed.key,
        users=users,
        empty_since=None if users else created_at,
        ending_seconds=ending,
        clock_skew_seconds=clock_skew_seconds,
    )


def check_new_jobs(options: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ``ValueError`` unless these options only say how jobs of the kinds go on."""
    for kind, given in options.items():
        if kind not in NATURES:
            raise ValueError(f"new_jobs: there is no kind {kind!r}; there are: {', '.join(NATURES)}")
        allowed = {each.name for each in fields(LifePlan)} | {"participants"}
        if foreign := sorted(set(given) - allowed):
            raise ValueError(f"new_jobs: not about progress: {', '.join(foreign)}")
        LifeSeed(kind=kind, **given)


def job_of(life: Life) -> Job:
    """Return the job that has this life."""
    return Job(
        job_id=life.job_id,
        action=life.nature.describe,
        id_param="TaskId",
        sdk_app_id=life.sdk_app_id,
        created_at=life.created_at,
        life=life,
    )


def truth(job: Job, now: float) -> dict[str, Any]:
    """Return all that happened to a job up to now, as JSON."""
    script = _running_script(job, now)
    own = {} if job.life is None else {**lives.truth(job.life, now), **_origins(job.life)}
    shown: dict[str, Any] = {}
    if script is not None:
        given = asdict(script.step).items()
        shown["step"] = {name: value for name, value in given if value not in (None, False)}
        shown["steps_left"] = len(script.steps) - 1
    return {
        "job_id": job.job_id,
        "action": job.action,
        "id_param": job.id_param,
        "sdk_app_id": job.sdk_app_id,
        "created_at": job.created_at,
        "reads": job.reads,
        **own,
        **shown,
        "polls": [asdict(each) for each in job.polls],
    }


def _origins(life: Life) -> dict[str, Any]:
    return {name: (each := getattr(life, name)) and asdict(each) for name in ("started_by", "stopped_by")}


def _step_of(options: Mapping[str, Any]) -> JobStep:
    """Return one step: names that begin with a capital are fields of the answer, the others options."""
    answer = {name: value for name, value in options.items() if name[:1].isupper()}
    own = {name: value for name, value in options.items() if name not in answer}
    allowed = {each.name for each in fields(JobStep)} - {"answer"}
    if unknown := sorted(set(own) - allowed):
        raise ValueError(
            f"unknown option {', '.join(unknown)}; there are: {', '.join(sorted(allowed))}, "
            "and fields of the answer, which begin with a capital"
        )
    own["error"], own["message"] = error_of(own.get("error"), own.get("message"))
    # A copy: what the caller does with the dict later changes no answer.
    step = JobStep(answer=json.loads(json.dumps(answer)), **own)
    check_numbers(step)
    check_choice(step, "fault", (None, *SCRIPT_KINDS))
    return step
