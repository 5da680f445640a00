"""The page "TRTC recordings": what is asked for, and what each line says. Pure: no Airflow, no I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from airflow_trtc import bounds
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.keys import job_from
from airflow_trtc.journal.pulse import PollTimes
from airflow_trtc.kinds import KINDS
from airflow_trtc.web.pages.addresses import outside
from airflow_trtc.web.pages.wording import cut, plural

LINES_PER_PAGE = 50
LAST_PAGE = 400
LATELY = timedelta(days=1)
LONGEST_SEARCH = 200
TRACKS = ("audio", "audio_video", "video", "screen", "other")

_Choice = TypeVar("_Choice", bound=enum.Enum)


class Show(enum.Enum):
    """Which waits are asked for."""

    ALL = ""
    WAITING = "waiting"
    ENDED = "ended"
    FAILED = "failed"
    PROBLEMS = "problems"


class Sort(enum.Enum):
    """By what waits are ordered."""

    SINCE = "since"
    ENDED = "ended"
    FILES = "files"
    TASK = "task"
    STATE = "state"


SHOW_LABELS = {
    Show.ALL: "Waiting and ended lately",
    Show.WAITING: "Waiting",
    Show.ENDED: "Ended in 24 hours",
    Show.FAILED: "Failed in 24 hours",
    Show.PROBLEMS: "With problems",
}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What the address of the page asks for.

    :param text: is somewhere in what is known of a wait; empty for any.
    :param dag_id: the DAG; empty for any.
    :param kind: name of a row in :mod:`airflow_trtc.kinds`; empty for any.
    :param app: the application; None for any.
    :param page: from 1.
    """

    show: Show = Show.ALL
    text: str = ""
    dag_id: str = ""
    kind: str = ""
    app: int | None = None
    sort: Sort = Sort.SINCE
    is_descending: bool = True
    page: int = 1

    @property
    def offset(self) -> int:
        """How many waits stand before this page."""
        return (self.page - 1) * LINES_PER_PAGE

    @property
    def needs_progress(self) -> bool:
        """Whether the progress decides which waits are asked for, or about their order."""
        decides = self.text or self.kind or self.app
        return bool(decides) or self.show is Show.PROBLEMS or self.sort is Sort.FILES

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out that the page would show by itself."""
        return self.filter != ListQuery()

    @property
    def filter(self) -> ListQuery:
        """The same without order and page: what decides about numbers."""
        return replace(self, sort=Sort.SINCE, is_descending=True, page=1)

    def address(self, **changes: Any) -> dict[str, object]:
        """The parameters of the address, with these changes; what goes without saying is left out."""
        one = replace(self, **{"page": 1, **changes})
        order = one.sort.value if one.sort is not Sort.SINCE or not one.is_descending else ""
        return {
            "state": one.show.value,
            "q": one.text,
            "dag_id": one.dag_id,
            "kind": one.kind,
            "app": one.app,
            "sort": order and ("-" if one.is_descending else "") + order,
            "page": one.page if one.page > 1 else None,
        }


def read_query(given: Mapping[str, str]) -> ListQuery:
    """Read the parameters of the address. Total: what means nothing counts as not given."""
    sort = given.get("sort", "")
    order = _choice(Sort, sort.removeprefix("-"))
    return ListQuery(
        _choice(Show, given.get("state")) or Show.ALL,
        (bounds.text(given.get("q"), LONGEST_SEARCH) or "").strip(),
        bounds.text(given.get("dag_id"), 250) or "",
        given.get("kind", "") if given.get("kind") in KINDS else "",
        bounds.number(given.get("app"), 1),
        order or Sort.SINCE,
        order is None or sort.startswith("-"),
        bounds.number(given.get("page"), 1, LAST_PAGE) or 1,
    )


def _choice(kind: type[_Choice], value: object) -> _Choice | None:
    return next((each for each in kind if each.value == value), None)


@dataclass(frozen=True, slots=True)
class WaitRow:
    """One task instance that waits or has waited, as the database has it.

    :param map_label: how Airflow names a mapped task, such as a room; None for no name.
    :param value: the XCom ``progress``: JSON, or such in a text if somebody set it by Airflow's API.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    try_number: int
    start_date: datetime | None
    end_date: datetime | None
    map_label: str | None
    value: object = None


@dataclass(frozen=True, slots=True)
class Badge:
    """A state: its word, and its tone, which is ``going``, ``idle``, ``ended`` or ``trouble``."""

    word: str
    tone: str


@dataclass(frozen=True, slots=True)
class Line:
    """What the page says of one wait; None and empty for what is not known.

    :param key: names the line, so that the page finds it again.
    :param task_word: the state of the task, where it says more than the badge.
    :param until: when it ended; None while it waits.
    :param tracks: numbers of files by track, those that there are.
    :param problems: a sentence each; of more than are kept there is only `problem_count`.
    """

    key: str
    row: WaitRow
    badge: Badge
    task_word: str
    job: JobRef | None
    kind: str
    room: str | None
    since: datetime | None
    until: datetime | None
    files: int | None
    records: int
    tracks: tuple[tuple[str, int], ...]
    users: int
    polls: PollTimes
    callbacks: int | None
    outcome: str
    problems: tuple[str, ...]
    problem_count: int
    console: str | None

    @property
    def is_waiting(self) -> bool:
        """Whether the task still waits."""
        return self.until is None


IDLE = frozenset({"Idle", "never seen", "Wait", "Waiting", "Preparing"})
TASK_WORDS = {
    "deferred": "deferred",
    "running": "on a worker",
    "up_for_reschedule": "between polls",
    "queued": "queued",
    "scheduled": "scheduled",
    "up_for_retry": "retries soon",
    "restarting": "restarting",
}
ENDED_BADGES = {
    "success": Badge("ended", "ended"),
    "failed": Badge("failed", "trouble"),
    "skipped": Badge("skipped", "idle"),
}
# As `outcome_word` of the wait says it; any other word stays as it is.
OUTCOMES = {
    "exited": "an answer showed the end",
    "gone": "seen, then gone",
    "callback": "a callback proved the end",
    "never_seen": "never seen",
    "setup": "the set-up is wrong",
    "refused": "the service refused polls",
    "recording": "it did not end well",
    "no_callback": "a callback did not come",
    "empty": "nothing was recorded",
    "timeout": "the timeout was reached",
    "execution_timeout": "the execution_timeout was reached",
}


def line(row: WaitRow, poll_times: Callable[[JobRef], PollTimes] = lambda _: PollTimes()) -> Line:
    """What the page says of a wait. Total, whatever the progress holds.

    :param poll_times: when a job was last polled and is polled next, as far as processes say.
    """
    known = read_progress(row.value)
    job = job_from(known)
    ended = ENDED_BADGES.get(row.state)
    problems = tuple(cut(each) for each in map(bounds.text, bounds.items(known.get("problems"), 10)) if each)
    polled = poll_times(job) if job is not None and ended is None else PollTimes()
    outcome = bounds.text(known.get("outcome"), 100) or ""
    return Line(
        "/".join((row.dag_id, row.run_id, row.task_id, str(row.map_index))),
        row,
        ended or _waiting_badge(row, known),
        TASK_WORDS.get(row.state, row.state) if ended is None else "",
        job,
        _kind_label(job),
        bounds.label(known.get("room_id"), 200),
        bounds.time(known.get("started_at")) or row.start_date,
        (row.end_date or row.start_date) if ended else None,
        bounds.number(known.get("file_count"), 0),
        bounds.count(known.get("record_count")),
        _tracks(known.get("tracks")),
        bounds.count(known.get("user_count")),
        PollTimes(polled.last_at or bounds.time(known.get("last_polled_at")), polled.next_at),
        bounds.number(known.get("callback_count"), 0),
        OUTCOMES.get(outcome, outcome) if ended else "",
        problems,
        max(len(problems), bounds.count(known.get("problem_count"))),
        outside(known.get("console_url")),
    )


def read_progress(value: object) -> Mapping[str, Any]:
    """The XCom ``progress`` as an object. Total: an empty one for anything else."""
    return bounds.mapping(bounds.json_value(value))


def _waiting_badge(row: WaitRow, known: Mapping[str, Any]) -> Badge:
    word = bounds.text(known.get("state"), 60)
    if word is None:
        return Badge("starting" if row.state in ("deferred", "running") else "planned", "idle")
    if word == "ended":  # and the task still waits: for uploads, mp4 files or the last files
        return Badge("ended", "ended")
    return Badge(word, "idle" if word in IDLE else "going")


def _kind_label(job: JobRef | None) -> str:
    if job is None:
        return ""
    return KINDS[job.kind].label if job.kind in KINDS else cut(job.kind, 60)


def _tracks(value: object) -> tuple[tuple[str, int], ...]:
    given = bounds.mapping(value)
    found = ((name, bounds.count(given.get(name))) for name in TRACKS)
    return tuple((name, number) for name, number in found if number)


def describe_tracks(line: Line) -> str:
    """Files and users of a line in words, for a title and for those who do not see icons."""
    words = [plural(number, f"{name.replace('_', ' and ')} file") for name, number in line.tracks]
    users = [plural(line.users, "user")] if line.users else []
    return ", ".join([*words, *users])


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table; `sort` is by what its head orders, None for none."""

    name: str
    label: str
    sort: Sort | None = None


COLUMNS = (
    Column("state", "State", Sort.STATE),
    Column("job", "Recording or job"),
    Column("since", "Waiting", Sort.SINCE),
    Column("files", "Files", Sort.FILES),
    Column("polls", "Polls"),
    Column("callbacks", "Callbacks"),
    Column("task", "Task and run", Sort.TASK),
    Column("result", "Outcome", Sort.ENDED),
)


@dataclass(frozen=True, slots=True)
class Head:
    """A head of a column: where a click leads, and which way it is ordered now (``aria-sort``)."""

    column: Column
    address: Mapping[str, object] | None
    order: str


def heads(query: ListQuery) -> tuple[Head, ...]:
    """The heads of the table for a query."""
    return tuple(_head(column, query) for column in COLUMNS)


def _head(column: Column, query: ListQuery) -> Head:
    if column.sort is None:
        return Head(column, None, "")
    is_current = column.sort is query.sort
    turned = not query.is_descending if is_current else True
    order = ("descending" if query.is_descending else "ascending") if is_current else "none"
    return Head(column, query.address(sort=column.sort, is_descending=turned), order)


@dataclass(frozen=True, slots=True)
class Paging:
    """Where a page stands: its first and last line, from 1, and the pages beside it, None for none."""

    first: int
    last: int
    total: int
    previous: int | None
    next: int | None


def paging(query: ListQuery, shown: int, total: int) -> Paging:
    """Where the page of a query stands."""
    last = query.offset + shown
    return Paging(
        query.offset + 1 if shown else 0,
        last,
        total,
        query.page - 1 if query.page > 1 else None,
        query.page + 1 if last < total and shown and query.page < LAST_PAGE else None,
    )


def lines(rows: Iterable[WaitRow], poll_times: Callable[[JobRef], PollTimes]) -> list[Line]:
    """What the page says of all these waits."""
    return [line(row, poll_times) for row in rows]
