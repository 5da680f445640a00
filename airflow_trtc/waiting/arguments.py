"""The arguments of a wait, once: what a sensor decides, what a trigger stores, what its event hands back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, cast, get_args

from airflow_trtc import bounds
from airflow_trtc.jobs.observation import Trouble, TroubleKind
from airflow_trtc.jobs.problem import Problem
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, from_json, to_json
from airflow_trtc.jobs.verdict import ABSENT_CODES, Failed, Failure, Finished, Rules
from airflow_trtc.waiting.engine import Ending, TimedOut
from airflow_trtc.waiting.pacing import Pace
from airflow_trtc.waiting.progress import ShownWait

EVENT_VERSION = 1
LIMITS = ("timeout", "execution_timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitArguments:
    """All arguments of a trigger; plain JSON with `to_json`, which Airflow stores.

    :param kind: name of a row in :mod:`airflow_trtc.kinds`.
    :param job_id: the job's id, for recordings the service's ``TaskId``.
    :param sdk_app_id: the application it belongs to.
    :param region: the region to ask in.
    :param trtc_conn_id: id of the Airflow connection.
    :param poke_interval: seconds between polls.
    :param exponential_backoff: double the interval with every poll, up to `max_wait` seconds.
    :param rules: what the user decides, see `Rules`.
    :param absent_codes: the service's error codes that mean "not there".
    :param state: what the worker knew when it deferred, as JSON.
    :param feed_position: number of the change feed's last entry that it could know; None when it had no feed.
    :param is_recalled: the worker had read the journal.
    :param has_past: an earlier try or an earlier leg of this wait may have learnt more.
    :param deferred_at: when the worker deferred, Unix seconds.
    :param timeout_at: Unix seconds at which the wait is over; None for never.
    :param execution_timeout_at: the same for the task's ``execution_timeout``.
    :param console_url: shown in the progress.
    :param try_number: the try that deferred, shown in the progress.
    :param show_progress: write the XCom ``progress``.
    :param started_at: when the wait began, Unix seconds; handed back in the event.
    :param stop_at: Unix seconds at which the wait stops the job, and goes on waiting; None for never.
    :param owns: the task started the job, so the trigger stops it when a user ends the task.
    """

    kind: str
    job_id: str
    sdk_app_id: int
    region: str
    trtc_conn_id: str = "trtc_default"
    poke_interval: float = 60.0
    exponential_backoff: bool = False
    max_wait: float | None = None
    rules: Rules = field(default_factory=Rules)
    absent_codes: Sequence[str] = ABSENT_CODES
    state: Mapping[str, Any] | None = None
    feed_position: int | None = None
    is_recalled: bool = False
    has_past: bool = False
    deferred_at: float = 0.0
    timeout_at: float | None = None
    execution_timeout_at: float | None = None
    console_url: str | None = None
    try_number: int | None = None
    show_progress: bool = True
    started_at: float | None = None
    stop_at: float | None = None
    owns: bool = False

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> WaitArguments:
        """Read what `to_json` wrote; names of another version of this package are left out."""
        names = {each.name for each in fields(cls)}
        given = {name: value for name, value in stored.items() if name in names}
        return cls(**{**given, "rules": _rules(given.get("rules"))})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        rules = {**asdict(self.rules), "fail_on": sorted(self.rules.fail_on)}
        return {**plain, "rules": rules, "absent_codes": list(self.absent_codes)}

    @property
    def job(self) -> JobRef:
        """The job that is waited for."""
        return JobRef(self.kind, self.sdk_app_id, self.region, self.job_id)

    @property
    def pace(self) -> Pace:
        """How often the user wants it to be polled."""
        return Pace(self.poke_interval, self.exponential_backoff, self.max_wait)

    @property
    def limits(self) -> dict[str, float]:
        """Name of each limit to the Unix seconds at which it is reached."""
        return limits_of(self.timeout_at, self.execution_timeout_at)

    @property
    def shown(self) -> ShownWait:
        """What users see of the wait."""
        return ShownWait(
            console_url=self.console_url,
            try_number=self.try_number,
            wait_for=self.rules.wait_for if self.job.family == "recording" else None,
            poke_interval=self.poke_interval,
            started_at=self.started_at,
            limits=self.limits,
        )

    def event(self, ending: Ending, state: JobState) -> dict[str, Any]:
        """The payload of the trigger's event, plain JSON.

        ``v`` (1), ``status`` (``finished``, ``failed`` or ``timed_out``), ``state`` (the whole state of
        the job) and, by status, ``outcome``, ``finished_at`` and ``problems`` (``kind`` and ``message`` of
        each), ``failure`` and ``reason``, or ``limit``; the job's ``kind``, ``job_id``, ``sdk_app_id`` and
        ``region``; ``console_url`` and ``started_at`` as the worker gave them; ``trouble``, what went wrong
        with the last poll (see `Trouble`), None when it was answered.
        """
        own = {
            name: getattr(self, name)
            for name in ("kind", "job_id", "sdk_app_id", "region", "console_url", "started_at")
        }
        trouble = None if state.trouble is None else asdict(state.trouble)
        written = {"state": to_json(state, self.job), "trouble": trouble}
        return {"v": EVENT_VERSION, **_ending_to_json(ending), **own, **written}


def limits_of(timeout_at: float | None, execution_timeout_at: float | None) -> dict[str, float]:
    """Name of each limit that there is to the Unix seconds at which it is reached."""
    limits = zip(LIMITS, (timeout_at, execution_timeout_at), strict=True)
    return {name: at for name, at in limits if at is not None}


@dataclass(frozen=True, slots=True)
class TriggerResult:
    """A trigger's event, read back.

    :param started_at: when the wait began, Unix seconds.
    """

    job: JobRef
    ending: Ending
    state: JobState
    console_url: str | None
    started_at: float | None


def read_event(event: object) -> TriggerResult:
    """Read the payload of a trigger's event.

    :raises ValueError: this version does not know it.
    """
    row = bounds.mapping(event)
    kind, job_id = bounds.text(row.get("kind")), bounds.job_id(row.get("job_id"))
    app, region = bounds.number(row.get("sdk_app_id"), 1), bounds.text(row.get("region"))
    if row.get("v") != EVENT_VERSION or None in (kind, job_id, app, region):
        raise ValueError(f"it has no version {EVENT_VERSION}, or names no job")
    job = JobRef(str(kind), int(app or 0), region, str(job_id))
    state = replace(from_json(row.get("state"), job.job_id), trouble=_trouble(row.get("trouble")))
    return TriggerResult(
        job,
        _ending_from_json(row, state),
        state,
        bounds.text(row.get("console_url")),
        bounds.unix_seconds(row.get("started_at")),
    )


def _trouble(stored: object) -> Trouble | None:
    read = {name: bounds.text(value) for name, value in bounds.mapping(stored).items()}
    kind, code, message = (read.get(name) for name in ("kind", "code", "message"))
    if kind not in get_args(TroubleKind) or code is None or message is None:
        return None
    return Trouble(cast("TroubleKind", kind), code, message, read.get("request_id"))


def _ending_to_json(ending: Ending) -> dict[str, Any]:
    if isinstance(ending, Finished):
        return {
            "status": "finished",
            "outcome": ending.outcome,
            "finished_at": ending.finished_at.isoformat(),
            "problems": [asdict(problem) for problem in ending.problems],
        }
    if isinstance(ending, Failed):
        return {"status": "failed", "failure": ending.failure.value, "reason": ending.reason}
    return {"status": "timed_out", "limit": ending.limit}


def _ending_from_json(row: Mapping[str, Any], state: JobState) -> Ending:
    status = row.get("status")
    if status == "finished":
        problems = [bounds.mapping(each) for each in bounds.items(row.get("problems"), 1000)]
        found = tuple(Problem(str(each.get("kind")), str(each.get("message"))) for each in problems)
        outcome: Any = bounds.text(row.get("outcome")) or "unknown"
        return Finished(outcome, state.files, _finished_at(row), found)
    if status == "failed":
        return Failed(Failure(row.get("failure")), bounds.text(row.get("reason")) or "no reason was given")
    if status == "timed_out" and row.get("limit") in LIMITS:
        return TimedOut(row["limit"])
    raise ValueError(f"its status is {status!r}")


def _finished_at(row: Mapping[str, Any]) -> datetime:
    at = bounds.time(row.get("finished_at"))
    if at is None:
        raise ValueError("it does not say when the job finished")
    return at


def _rules(stored: object) -> Rules:
    if isinstance(stored, Rules):
        return stored
    names = {each.name for each in fields(Rules)}
    given = {name: value for name, value in bounds.mapping(stored).items() if name in names}
    if "fail_on" in given:
        given["fail_on"] = frozenset(bounds.items(given["fail_on"], 100))
    return Rules(**given)
