"""What the page of a job and the tabs of tasks and runs show, for templates to write. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.jobs.problems import problems_of
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import state_word
from airflow_trtc.journal.keys import MAX_APP
from airflow_trtc.kinds import KINDS
from airflow_trtc.recording.files import read_name
from airflow_trtc.web.pages.addresses import outside
from airflow_trtc.web.pages.drawing import Drawing, draw_all, legend
from airflow_trtc.web.pages.lanes import moment_of
from airflow_trtc.web.pages.life import JobLife, TaskLife, shown
from airflow_trtc.web.pages.listing import IDLE, OUTCOMES, Badge
from airflow_trtc.web.pages.timeline import SPANS, Timeline, View, run_timeline, timeline_of
from airflow_trtc.web.pages.wording import middle

MAX_FILES = 500
MAX_PROBLEMS = 20
MAX_LINES = 200  # of a run
LONGEST_ID = 250  # of a DAG, run or task in Airflow


def read_job(query: Mapping[str, str]) -> JobRef | None:
    """The job that ``kind``, ``app``, ``region`` and ``id`` of an address name; None for none."""
    kind, job_id = query.get("kind"), bounds.job_id(query.get("id"))
    sdk_app_id = bounds.number(query.get("app"), 1, MAX_APP)
    if kind not in KINDS or sdk_app_id is None or job_id is None:
        return None
    return JobRef(kind, sdk_app_id, bounds.job_id(query.get("region")), job_id)


def read_view(query: Mapping[str, str]) -> View:
    """What of the picture the parameters ask for; what they do not say, or say wrongly, is all of it."""
    span = query.get("span", "all")
    return View(span if span in SPANS else "all", bounds.text(query.get("unfold"), 200) or "")


def job_parameters(job: JobRef) -> dict[str, Any]:
    """The parameters of the address of a job's page."""
    return {"kind": job.kind, "app": job.sdk_app_id, "region": job.region, "id": job.job_id}


@dataclass(frozen=True, slots=True)
class Option:
    """A part of the picture that can be asked for."""

    label: str
    span: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a job."""

    name: str
    user: str
    track: str
    begin: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class JobView:
    """What a page shows of one job.

    :param console: address in the console; None for none.
    :param folded: users whose lanes are folded into one.
    """

    life: JobLife
    badge: Badge
    timeline: Timeline
    drawings: tuple[Drawing, ...]
    legend: Sequence[tuple[str, str, str]]
    zoom: tuple[Option, ...]
    folded: tuple[str, ...]
    unfolded: str
    problems: tuple[str, ...]
    files: tuple[FileRow, ...]
    users: int
    console: str | None

    @property
    def job(self) -> JobRef:
        """The job."""
        return self.life.job

    @property
    def title(self) -> str:
        """What the page is called: its kind, and the room or a part of the id."""
        kind = self.life.kind.label
        return f"{kind[:1].upper()}{kind[1:]} {self.room or middle(self.job.job_id)}"

    @property
    def is_live(self) -> bool:
        """Whether anything may still change."""
        return self.life.is_watched

    @property
    def outcome(self) -> str:
        """How the wait ended; empty while it goes on."""
        outcome = shown(self.life.outcome or "", 40)
        return OUTCOMES.get(outcome, outcome)

    @property
    def room(self) -> str:
        """The room, as far as callbacks name it."""
        return shown(self.life.state.room_id or "", 80)


def view_of(life: JobLife, now: datetime, view: View, console: object = None) -> JobView:
    """What a page shows of a job.

    :param console: the address in the console, as the wait noted it.
    """
    timeline = timeline_of(life, now, view)
    files = sorted(life.state.files, key=lambda file: (file.begin_timestamp_ms or 0, file.file_name))
    rows = [_file_row(file) for file in files]
    return JobView(
        life,
        badge_of(life),
        timeline,
        draw_all(timeline),
        legend(timeline),
        tuple(Option(SPANS[span], span, span == view.span) for span in timeline.spans),
        tuple(lane.user for lane in timeline.lanes if lane.user and lane.folds > 1),
        view.unfolded,
        tuple(shown(problem.message, 300) for problem in problems_of(life.state)[:MAX_PROBLEMS]),
        tuple(rows[:MAX_FILES]),
        len({row.user for row in rows if row.user}),
        outside(console),
    )


def badge_of(life: JobLife) -> Badge:
    """The state of a job: a word, and how it looks."""
    word = shown(state_word(life.state), 40)
    if life.state.status in life.kind.ends_badly or life.state.history.failed_start is not None:
        return Badge(word, "trouble")
    if life.is_over:
        return Badge(word, "ended")
    return Badge(word, "idle" if word in IDLE else "going")


def _file_row(file: Any) -> FileRow:
    named = read_name(file.file_name)
    media = {"aux": "screen"}.get(file.media_id or named.media_id or "", "")
    track = (file.track_type or named.track or "").replace("_", " + ")
    return FileRow(
        shown(file.file_name),
        shown(file.user_id or named.user_id or "", 80),
        ", ".join(each for each in (shown(track, 40), media) if each),
        moment_of(file.begin_timestamp_ms),
        moment_of(file.end_timestamp_ms),
    )


# --- a run


@dataclass(frozen=True, slots=True)
class Line:
    """One job of a run, with the task that waits for it."""

    label: str
    task: TaskLife
    life: JobLife
    badge: Badge
    problems: int

    @property
    def job(self) -> JobRef:
        """The job."""
        return self.life.job


@dataclass(frozen=True, slots=True)
class RunView:
    """What a tab shows of several jobs.

    :param left_out: how many more there are.
    """

    timeline: Timeline
    drawings: tuple[Drawing, ...]
    legend: Sequence[tuple[str, str, str]]
    lines: tuple[Line, ...]
    left_out: int

    @property
    def is_live(self) -> bool:
        """Whether anything may still change."""
        return any(line.life.is_watched for line in self.lines)


def run_view_of(tasks: Sequence[tuple[TaskLife, JobLife]], left_out: int, now: datetime) -> RunView:
    """What a tab shows of the jobs of these tasks."""
    lines = [_line(task, life) for task, life in tasks]
    timeline = run_timeline(
        [(f"{line.task.task_id}/{line.task.map_index}", line.label, line.life) for line in lines], now
    )
    return RunView(timeline, draw_all(timeline), legend(timeline), tuple(lines), left_out)


def _line(task: TaskLife, life: JobLife) -> Line:
    room = shown(life.state.room_id or "", 60)
    label = f"{task.name} · {room}" if room else task.name
    return Line(shown(label, 80), task, life, badge_of(life), len(problems_of(life.state)))
