"""Compares what Airflow handed on of each recording with what really happened to it. Pure.

What a wait promises, and so what is checked:

* **Every file that was shown is handed on.** A file was *shown* if an answer to a poll listed it and arrived
  whole and in time, or if a callback that names it was answered with 200; and that before the end was
  noticed (``finished_at``). Files that were made but never shown, since the recording ended before the next
  poll and the callback was lost, are promised by nobody. A callback that is answered after the one that
  completes the wait is late: ``HEARD_SECONDS`` separate the two, since callbacks overtake one another.
* **Unless whoever saw it died with it.** An answer that came within ``KEPT_SECONDS`` before its reader was
  killed, or while the way to the journal was down, may be known to nobody. Killed readers are not told
  apart, so this holds for all polls at that time. A file that was shown only then and is missing is
  *doubtful*: it is counted and listed, but no discrepancy. The same holds for a callback after which, until
  the end was noticed, the database or all API servers were away.
* **No other file is handed on**, none twice, and mapped tasks get each exactly once.
* **Nothing ends early**: ``finished_at`` is not before the recording's end; with ``wait_for`` not before
  the first callback that may complete it was sent.
* **A wait fails only where it should**: never seen, if really no answer showed it; no callback, if the
  completing one was not delivered; ended badly, if a delivered callback said so. And it does fail then,
  if that callback was delivered before the end was noticed. Failures of other tasks, and of tries that
  Airflow lost, are to be absorbed by ``retries``.
* **One run for each recording that starts a DAG**: exactly one if a callback that proves the milestone was
  delivered, or if a waiting task found the end by looking; never two.
* **Nothing is left**: no unfinished run or task, no row of a trigger.

A recording that a person cleared is held to the same: its journal knows what the first wait saw. Recordings
that live longer than the service tells of them (ResourceExpiredHour, 72 hours) do not occur.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

KEPT_SECONDS = 5.0
HEARD_SECONDS = 5.0
POLL_SECONDS = 8.0
"""An answer that is later than this may have found nobody: clients wait for ten seconds."""
CLOCK_SECONDS = 0.05
"""Rounding between the emulator's clock, which never jumps, and the real one."""

FILE_KINDS = ("files", "mp4_files", "aac_files", "vod_files")
# Which callbacks may complete what is waited for, and with which codes.
COMPLETING = {
    "recording": {302: "LeaveCode", 305: "Status", 310: "Status", 312: "Status"},
    "upload": {305: "Status"},
    "mp4": {310: "Status"},
    "vod": {312: "Status"},
}
NEVER_SEEN = "no poll ever"
NO_CALLBACK = "no callback completed it"
ENDED_BADLY = "did not end well"
LINGERS = "305 Status 1"

Truth = Mapping[str, Any]
Grade = Literal["wrong", "doubtful"]
Window = tuple[float, float]


@dataclass(frozen=True)
class Task:
    """One task instance at the end of the run.

    :ivar returned: what it returned; None for nothing.
    """

    task_id: str
    map_index: int
    state: str | None
    try_number: int = 1
    ended_at: float | None = None
    returned: Any = None

    @property
    def name(self) -> str:
        """As people read it."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


@dataclass(frozen=True)
class Run:
    """One run that waited for a recording, or was started by it.

    :ivar wait_for: what its wait was for.
    :ivar tasks: all task instances; the sensor or the operator is called "wait".
    :ivar summary: the XCom "recording".
    :ivar failure: the log of the last try of "wait", if that failed.
    """

    dag_id: str
    run_id: str
    state: str | None
    wait_for: str = "recording"
    tasks: Sequence[Task] = ()
    summary: Mapping[str, Any] | None = None
    failure: str = ""

    @property
    def wait(self) -> Task | None:
        """The task that waited."""
        return next((task for task in self.tasks if task.task_id == "wait"), None)


@dataclass(frozen=True)
class Case:
    """One recording and all that came of it.

    :ivar truth: what the emulator knows; None for an id that never existed.
    :ivar run: the run that waited for it.
    :ivar starts: for which milestone it starts a DAG, if it does.
    :ivar started: the runs it started.
    """

    number: int
    kind: str
    recording_id: str
    truth: Truth | None
    run: Run | None = None
    starts: str | None = None
    started: Sequence[Run] = ()


@dataclass(frozen=True)
class Risks:
    """When what was seen may have been lost with those who saw it, in Unix seconds.

    :ivar polls: times of answers to polls.
    :ivar outages: the database, or all API servers, were away.
    """

    polls: Sequence[Window] = ()
    outages: Sequence[Window] = ()

    def spoil_poll(self, at: float) -> bool:
        """Whether an answer at that time may have been forgotten."""
        return any(begin <= at <= end for begin, end in self.polls)

    def overlap(self, begin: float, end: float) -> bool:
        """Whether there was an outage in this time."""
        return any(first <= end and begin <= last for first, last in self.outages)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be; `doubtful` ones are only counted."""

    kind: str
    text: str
    recording_id: str = ""
    run_id: str = ""
    grade: Grade = "wrong"

    def describe(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Shown:
    """The names of files that were shown until some time.

    :ivar surely: whoever saw them lived on; these must be handed on.
    :ivar perhaps: shown only when it may have been lost.
    :ivar last_at: when each of them was shown for the last time.
    """

    surely: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    last_at: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Leftovers:
    """What there still is when all is over."""

    triggers: int = 0
    open_runs: Sequence[str] = field(default_factory=list)
    open_tasks: Sequence[str] = field(default_factory=list)


def check(cases: Iterable[Case], risks: Risks, leftovers: Leftovers) -> list[Finding]:
    """Everything that is wrong or doubtful, recording by recording."""
    found = [finding for case in cases for finding in check_case(case, risks)]
    return [*found, *_check_leftovers(leftovers)]


def check_case(case: Case, risks: Risks) -> Iterator[Finding]:
    """Everything that is wrong or doubtful about one recording."""
    if case.run is not None:
        yield from _check_run(case, case.run, risks, by_event=False)
    for run in case.started:
        yield from _check_run(case, run, risks, by_event=True)
    yield from _check_starts(case)


def _check_leftovers(left: Leftovers) -> Iterator[Finding]:
    if left.triggers:
        yield Finding("left over", f"{left.triggers} rows of triggers")
    for name in [*left.open_runs, *left.open_tasks]:
        yield Finding("stuck", name)


# -- one run ------------------------------------------------------------------------------------------


def _check_run(case: Case, run: Run, risks: Risks, *, by_event: bool) -> Iterator[Finding]:
    def finding(kind: str, text: str, grade: Grade = "wrong") -> Finding:
        return Finding(kind, f"{case.kind}, {run.dag_id}: {text}", case.recording_id, run.run_id, grade)

    if run.wait is None or run.state not in ("success", "failed"):
        yield finding("stuck", f"the run is {run.state}, its wait {run.wait and run.wait.state}")
    elif run.wait.state == "success":
        for kind, text, grade in _of_success(case, run, run.wait, risks, by_event=by_event):
            yield finding(kind, text, grade)
    elif run.wait.state == "failed":
        if (why := _unjustified(case, run, run.wait, risks)) is not None:
            yield finding("wrong failure", why)
    else:
        yield finding("stuck", f"the wait is {run.wait.state}")


Part = tuple[str, str, Grade]


def _of_success(case: Case, run: Run, wait: Task, risks: Risks, *, by_event: bool) -> Iterator[Part]:
    truth, summary = case.truth, run.summary
    if truth is None:
        yield "wrong success", "no such recording ever existed", "wrong"
        return
    if summary is None or not isinstance(wait.returned, list):
        yield "no result", f"files {type(wait.returned).__name__}, summary {summary}", "wrong"
        return
    handed_on = [file["file_name"] for file in wait.returned]
    finished_at = _timestamp(summary["finished_at"])
    yield from _check_files(truth, handed_on, shown_files(truth, finished_at, risks, polls=not by_event))
    yield from _check_end(truth, run.wait_for, finished_at)
    yield from _check_summary(case, truth, summary, handed_on)
    if problems := problems_told(truth, run.wait_for, finished_at - HEARD_SECONDS):
        grade = "doubtful" if risks.overlap(finished_at - 60, finished_at) else "wrong"
        yield "wrong success", f"callbacks told before the end: {', '.join(problems)}", grade  # type: ignore[misc]
    yield from _check_downstream(run, handed_on)


def _check_files(truth: Truth, handed_on: Sequence[str], shown: Shown) -> Iterator[Part]:
    real = {file["FileName"] for kind in FILE_KINDS for file in truth[kind]}
    names = set(handed_on)
    if invented := names - real:
        yield "invented", f"{len(invented)} files: {_some(invented)}", "wrong"
    if lost := shown.surely - names:
        yield "lost", _missing(lost, handed_on, shown), "wrong"
    if lost := shown.perhaps - names:
        yield "lost in a crash", _missing(lost, handed_on, shown), "doubtful"
    if doubled := [name for name, count in Counter(handed_on).items() if count > 1]:
        yield "doubled", f"{len(doubled)} files: {_some(doubled)}", "wrong"


def _missing(names: Iterable[str], handed_on: Sequence[str], shown: Shown) -> str:
    last = max((shown.last_at[name], name) for name in names)
    count = len(set(names))
    return f"{count} files, {len(handed_on)} were handed on; {last[1]} was last shown at {last[0]:.3f}"


def _check_end(truth: Truth, wait_for: str, finished_at: float) -> Iterator[Part]:
    ended_at = truth["ended_at"]
    if truth["end_reason"] is None or finished_at < ended_at - CLOCK_SECONDS:
        yield "early", f"finished at {finished_at:.3f}, but the recording ended at {ended_at}", "wrong"
    if wait_for == "recording":
        return
    sent = [attempt["at"] for event in completing(truth, wait_for) for attempt in event["attempts"]]
    if not sent or finished_at < min(sent) - CLOCK_SECONDS:
        yield (
            "early",
            f"finished at {finished_at:.3f}, {wait_for} was told at {sent[:1] or '-'}",
            "wrong",
        )


def _check_summary(
    case: Case, truth: Truth, summary: Mapping[str, Any], handed_on: Sequence[str]
) -> Iterator[Part]:
    told = (summary["recording_id"], summary["file_count"])
    if told != (case.recording_id, len(handed_on)):
        yield "wrong summary", f"{told} for {len(handed_on)} files", "wrong"
    if summary["ended_at"] is not None:
        shown = _timestamp(summary["ended_at"]) - truth["clock_skew_seconds"]
        if abs(shown - (truth["ended_at"] or 0)) > CLOCK_SECONDS:
            yield "wrong summary", f"it ended at {truth['ended_at']}, not {shown}", "wrong"


def _check_downstream(run: Run, handed_on: Sequence[str]) -> Iterator[Part]:
    others = [task for task in run.tasks if task.task_id != "wait"]
    if handed_on and (bad := [task for task in others if task.state != "success"]):
        yield "downstream", ", ".join(f"{task.name} is {task.state}" for task in bad), "wrong"
        return
    mapped = [task for task in others if task.task_id == "process" and task.state == "success"]
    got = Counter(name for task in mapped for name in task.returned or ())
    if got != Counter(handed_on):
        odd = [*(Counter(handed_on) - got), *(got - Counter(handed_on))]
        yield (
            "downstream",
            f"mapped tasks got {sum(got.values())} files, not {len(handed_on)}: {_some(odd)}",
            "wrong",
        )
    if run.state != "success":
        yield "downstream", f"the run is {run.state}", "wrong"


def _unjustified(case: Case, run: Run, wait: Task, risks: Risks) -> str | None:
    """Why the wait should not have failed; None if it should."""
    log, truth, ended_at = run.failure, case.truth, wait.ended_at or float("inf")
    if NEVER_SEEN in log:
        polls = [] if truth is None else whole_polls(truth, ended_at)
        seen = [poll for poll in polls if not risks.spoil_poll(poll["at"])]
        return f"it says never seen, but {len(seen)} answers showed it" if seen else None
    if truth is None:
        return f"it was never there, but the log says: {_last_line(log)}"
    if NO_CALLBACK in log:
        return _missed_callback(truth, run.wait_for, ended_at, risks)
    if ENDED_BADLY in log:
        return _not_so_bad(truth, run.wait_for, ended_at)
    return f"try {wait.try_number} failed; the log ends: {_last_line(log)}"


def _not_so_bad(truth: Truth, wait_for: str, ended_at: float) -> str | None:
    told = problems_told(truth, wait_for, ended_at, started=True)
    mended = [
        at
        for event in truth["callbacks"]
        if event["event_type"] == 305 and event["payload"]["Status"] in (0, 2)
        and (at := delivered_at(event)) is not None and at < ended_at - HEARD_SECONDS
    ]  # fmt: skip
    if set(told) == {LINGERS} and mended:
        return f"it says that files linger, but their arrival was delivered at {min(mended):.3f}"
    return None if told else "it says that the recording ended badly, but no callback told so"


def _missed_callback(truth: Truth, wait_for: str, ended_at: float, risks: Risks) -> str | None:
    told = completing(truth, wait_for)
    times = [delivered_at(event) for event in told]
    in_time = [at for at in times if at is not None and at < ended_at - HEARD_SECONDS]
    is_complete = len(in_time) == len(told) if wait_for == "mp4" else bool(in_time)
    if not is_complete or not told or risks.overlap(max(in_time), ended_at):
        return None
    return f"it says that no callback completed {wait_for}, but they were delivered until {max(in_time):.3f}"


# -- runs that a recording starts -------------------------------------------------------------------------


def _check_starts(case: Case) -> Iterator[Finding]:
    count = len(case.started)
    if count > 1:
        runs = ", ".join(run.run_id for run in case.started)
        yield Finding("doubled run", f"{case.kind}: {count} runs: {runs}", case.recording_id)
    if case.starts is None or case.truth is None:
        if count:
            yield Finding("invented run", f"{case.kind}: {case.started[0].run_id}", case.recording_id)
        return
    proof = _proof_of_milestone(case, case.truth, case.starts)
    if proof is not None and not count:
        yield Finding("missing run", f"{case.kind}: no run, but {proof}", case.recording_id)
    sent = any(event["attempts"] for event in completing(case.truth, case.starts))
    if count and proof is None and not sent:
        yield Finding("invented run", f"{case.kind}: {case.started[0].run_id}", case.recording_id)


def _proof_of_milestone(case: Case, truth: Truth, milestone: str) -> str | None:
    for event in completing(truth, milestone):
        if (at := delivered_at(event)) is not None:
            return f"callback {event['event_type']} was delivered at {at:.3f}"
    summary = case.run.summary if case.run else None
    if milestone == "recording" and summary and summary["outcome"] in ("gone", "exited"):
        return f"a wait found its end by looking at {summary['finished_at']}"
    return None


# -- what the truth says -----------------------------------------------------------------------------------


def whole_polls(truth: Truth, until: float) -> list[Mapping[str, Any]]:
    """The answers that showed the recording, arrived whole and in time."""
    return [
        poll
        for poll in truth["polls"]
        if poll["code"] == "OK"
        and poll["fault"] is None
        and poll["delay_seconds"] < POLL_SECONDS
        and poll["at"] + poll["delay_seconds"] <= until
    ]


def shown_files(truth: Truth, until: float, risks: Risks, *, polls: bool = True) -> Shown:
    """The files that were shown until then."""
    surely: set[str] = set()
    perhaps: set[str] = set()
    last_at: dict[str, float] = {}
    names = [file["FileName"] for file in truth["files"]]
    for poll in whole_polls(truth, until) if polls else ():
        listed = names[: poll["file_count"]]
        (perhaps if risks.spoil_poll(poll["at"]) else surely).update(listed)
        last_at |= dict.fromkeys(listed, poll["at"])
    for event in truth["callbacks"]:
        at = delivered_at(event)
        if at is not None and at <= until:
            is_sure = at <= until - HEARD_SECONDS and not risks.overlap(at, until)
            (surely if is_sure else perhaps).update(named_files(event))
            last_at |= {name: max(at, last_at.get(name, at)) for name in named_files(event)}
    return Shown(frozenset(surely), frozenset(perhaps - surely), last_at)


def named_files(event: Mapping[str, Any]) -> list[str]:
    """The files that exist according to a callback."""
    payload = event["payload"] or {}
    match event["event_type"], payload.get("Status"):
        case 307, _:
            return [payload["FileName"]]
        case 304, _:
            return _names(payload["FileList"])
        case 310, 0 | 1:
            return _names(payload["FileList"])
        case 311, 0:
            return [payload["TencentVod"]["CacheFile"]]
    return []


def delivered_at(event: Mapping[str, Any]) -> float | None:
    """When a callback was first answered with 200; None if it never was."""
    times = [each["at"] + each["seconds"] for each in event["attempts"] if each["error"] is None]
    return min(times, default=None)


def completing(truth: Truth, wait_for: str) -> list[Mapping[str, Any]]:
    """The callbacks that may complete what is waited for, sent or not."""
    types = COMPLETING[wait_for]
    return [event for event in truth["callbacks"] if event["event_type"] in types]


def problems_told(truth: Truth, wait_for: str, until: float, *, started: bool = False) -> list[str]:
    """The problems that fail a wait by default and that callbacks told until then.

    :param started: also those that were sent, though nobody knows that they arrived.
    """
    told = []
    for event in truth["callbacks"]:
        at = delivered_at(event)
        if started and at is None:
            at = min((each["at"] for each in event["attempts"]), default=None)
        if at is not None and at <= until and (problem := _problem(event, wait_for, started=started)):
            told.append(problem)
    return told


def _problem(event: Mapping[str, Any], wait_for: str, *, started: bool) -> str | None:
    payload = event["payload"] or {}
    match event["event_type"], payload.get("Status"), payload.get("LeaveCode"):
        case 301, 1, _:
            return "301 Status 1"
        case 302, _, 100 | 101 as code:
            return f"302 LeaveCode {code}"
        case 310 | 311 as kind, 2, _:
            return f"{kind} Status 2"
        case 312, 1, _:
            return "312 Status 1"
        # Files that linger fail a wait for them only if they go on lingering.
        case 305, 1, _ if started and wait_for == "upload":
            return LINGERS
    return None


def _names(listed: object) -> list[str]:
    return [listed] if isinstance(listed, str) else list(listed or ())  # type: ignore[call-overload]


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (", ..." if len(ordered) > 3 else "")


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "(no log)"
