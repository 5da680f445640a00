"""Jobs of other kinds than recordings: scripted answers to any describe action. Reads no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from airflow_trtc.emulator.codes import error_of
from airflow_trtc.emulator.faults import SCRIPT_KINDS
from airflow_trtc.emulator.options import check_choice, check_numbers, check_texts
from airflow_trtc.emulator.polls import Polls, no_polls
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
    """The options of ``add_job``; the package docstring explains them."""

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
    """One job: what it is, which step answers, and which calls it has had."""

    job_id: str
    action: str
    id_param: str
    sdk_app_id: int
    created_at: float
    script: Script[JobStep]
    reads: int = 0
    polls: Polls = field(default_factory=no_polls)


def read(job: Job, now: float) -> JobStep:
    """Answer one describe call: return the step that is due, and count the read."""
    job.script.advance(now)
    job.reads += 1
    step = job.script.step
    job.script.span.count(now)
    return step


def script_of(steps: Sequence[Mapping[str, Any]], now: float) -> Script[JobStep]:
    """Return the script of these steps, or raise ``ValueError``. The last one stays, whatever its limits."""
    if not steps:
        raise ValueError("steps: a job needs at least one")
    *earlier, last = steps
    endless = {name: value for name, value in last.items() if name not in ("reads", "seconds")}
    return Script([_step_of(each) for each in (*earlier, endless)], now)


def truth(job: Job, now: float) -> dict[str, Any]:
    """Return all that happened to a job up to now, as JSON."""
    job.script.advance(now)
    step = job.script.step
    return {
        "job_id": job.job_id,
        "action": job.action,
        "id_param": job.id_param,
        "sdk_app_id": job.sdk_app_id,
        "created_at": job.created_at,
        "reads": job.reads,
        "step": {name: value for name, value in asdict(step).items() if value not in (None, False)},
        "steps_left": len(job.script.steps) - 1,
        "polls": [asdict(each) for each in job.polls],
    }


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
