"""The pulse: rows in which processes that wait say, every few seconds, how they are getting on. Pure.

``pulse/<process>/<digest>`` says how polls of one account and action go, ``pulse/<process>/jobs/<n>`` when
the jobs of a process were last polled and are polled next. Nothing that waits reads them: they are for pages
that people read. A process that ended leaves its rows behind, so what is old counts as gone; pruning deletes
it later. The rows hold no keys and no ids of keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from airflow_trtc import bounds
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.keys import make_key
from airflow_trtc.journal.owners import TaskId

VERSION = 1
PREFIX = "pulse/"
JOBS_PER_PAGE = 500
MAX_PAGES = 100  # of one process; more jobs than that are left out
JOBS_SECONDS = 30.0  # between two writings of the pages of jobs
FRESH_SECONDS = 90.0  # since it was written; several times as long as writers let pass
MAX_WORDS = 300  # characters of an outage
MAX_NAME = 250  # characters of a machine, an address or a connection's id
MAX_CONNECTIONS = 20
HIGHEST_AMOUNT = 1e9
_DIGITS = 12


class PollTimes(NamedTuple):
    """When a job was last polled, and when it is due next; None for what is not known."""

    last_at: datetime | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountPulse:
    """How one process gets on with one action of one account.

    :param process: digest of the machine and the process's number, as in the key.
    :param host: the machine, by its own name.
    :param conn_ids: the connections through which jobs are waited for, in alphabetical order.
    :param endpoint: the API's address.
    :param account: a digest; equal for equal accounts, and never an id of a key.
    :param at: when this was written.
    :param waiting: how many jobs are polled.
    :param due: how many of them should have been polled by now.
    :param rate: requests a second that are allowed now.
    :param ceiling: requests a second that are allowed at most.
    :param sent: requests of the last 60 seconds.
    :param throttled: those of them that the service refused because there were too many.
    :param outage: why no poll is answered at present, for users; None when all is well.
    :param slowest_seconds: how late the latest poll of the last 60 seconds went out, or is by now.
    :param region: the API's region.
    """

    process: str
    host: str
    conn_ids: tuple[str, ...]
    endpoint: str
    account: str
    action: str
    at: datetime
    waiting: int
    due: int
    rate: float
    ceiling: float
    sent: int
    throttled: int
    outage: str | None = None
    slowest_seconds: float = 0.0
    region: str | None = None

    @property
    def key(self) -> str:
        """Key of its row."""
        named = make_key("", self.endpoint, str(self.region), self.account, self.action)
        return make_key("pulse", self.process, digest(named))

    def joined(self, other: AccountPulse) -> AccountPulse:
        """Both in one, which have the same key: they share one budget."""
        return replace(
            self,
            conn_ids=tuple(sorted({*self.conn_ids, *other.conn_ids})),
            waiting=self.waiting + other.waiting,
            due=self.due + other.due,
            sent=self.sent + other.sent,
            throttled=self.throttled + other.throttled,
            outage=self.outage or other.outage,
            slowest_seconds=max(self.slowest_seconds, other.slowest_seconds),
        )

    @property
    def value(self) -> dict[str, Any]:
        """Value of its row."""
        plain = {name: value for name, value in asdict(self).items() if name != "at"}
        words = None if self.outage is None else self.outage[:MAX_WORDS]
        conn_ids = list(self.conn_ids[:MAX_CONNECTIONS])
        return {
            "v": VERSION,
            **plain,
            "conn_ids": conn_ids,
            "outage": words,
            "at_ms": bounds.unix_ms(self.at),
        }


@dataclass(frozen=True, slots=True)
class JobPolls:
    """A page of the jobs that one process waits for.

    :param process: as in `AccountPulse`; of a task that waits on a worker, a digest of the task instance.
    :param host: the machine, by its own name.
    :param page: from 0.
    :param at: when this was written.
    :param waits: how many waits the process carries, those of other pages too.
    :param times: of each job, by its `job_digest`.
    """

    process: str
    host: str
    page: int
    at: datetime
    waits: int
    times: Mapping[str, PollTimes] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Key of its row."""
        return make_key("pulse", self.process, "jobs", self.page)

    @property
    def value(self) -> dict[str, Any]:
        """Value of its row."""
        return {
            "v": VERSION,
            "process": self.process,
            "host": self.host,
            "page": self.page,
            "at_ms": bounds.unix_ms(self.at),
            "waits": self.waits,
            "jobs": {name: [_ms(times.last_at), _ms(times.next_at)] for name, times in self.times.items()},
        }


def digest(text: str) -> str:
    """A short name for something whose own name is too long, or nobody's business."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def job_digest(job: JobRef) -> str:
    """What stands for a job in `JobPolls`."""
    return digest(repr((job.kind, job.sdk_app_id, job.region, job.job_id)))  # thousands, twice a minute


def task_process(task: TaskId) -> str:
    """What stands for the process of a task that waits on a worker."""
    return digest(make_key("", *task))


def is_fresh(at: datetime, now: datetime) -> bool:
    """Whether what was written at that time still says how things are; clocks may differ."""
    return abs(now - at) <= timedelta(seconds=FRESH_SECONDS)


def account_pulse_from(value: object) -> AccountPulse | None:
    """Read a row. Total: None for whatever is none of this version."""
    row = bounds.mapping(value)
    names = [bounds.text(row.get(name), MAX_NAME) for name in ("process", "endpoint", "account", "action")]
    at_ms = bounds.instant_ms(row.get("at_ms"))
    if row.get("v") != VERSION or at_ms is None or None in names:
        return None
    process, endpoint, account, action = map(str, names)
    conn_ids = (bounds.text(each, MAX_NAME) for each in bounds.items(row.get("conn_ids"), MAX_CONNECTIONS))
    return AccountPulse(
        process,
        bounds.text(row.get("host"), MAX_NAME) or "",
        tuple(sorted(each for each in conn_ids if each is not None)),
        endpoint,
        account,
        action,
        bounds.moment(at_ms),
        waiting=bounds.count(row.get("waiting")),
        due=bounds.count(row.get("due")),
        rate=_amount(row.get("rate")),
        ceiling=_amount(row.get("ceiling")),
        sent=bounds.count(row.get("sent")),
        throttled=bounds.count(row.get("throttled")),
        outage=bounds.text(row.get("outage"), MAX_WORDS),
        slowest_seconds=_amount(row.get("slowest_seconds")),
        region=bounds.text(row.get("region"), MAX_NAME),
    )


def job_polls_from(value: object) -> JobPolls | None:
    """Read a page. Total: None for what is none of this version; what cannot be read in it is left out."""
    row = bounds.mapping(value)
    process, at_ms = bounds.text(row.get("process"), MAX_NAME), bounds.instant_ms(row.get("at_ms"))
    jobs, page = row.get("jobs"), bounds.number(row.get("page"), 0, MAX_PAGES - 1)
    if row.get("v") != VERSION or process is None or at_ms is None or page is None:
        return None
    if not isinstance(jobs, Mapping) or len(jobs) > JOBS_PER_PAGE:
        return None
    times = {
        name: found
        for name, item in jobs.items()
        if isinstance(name, str) and (found := _times(item)) is not None
    }
    host = bounds.text(row.get("host"), MAX_NAME) or ""
    return JobPolls(process, host, page, bounds.moment(at_ms), bounds.count(row.get("waits")), times)


def poll_times(values: Iterable[object], job: JobRef, now: datetime) -> PollTimes:
    """When a job was last polled and is polled next, by all that wait for it. Total.

    :param values: of pages of any processes; those that are not fresh are left out. Only what they say of
        this job is read, so a page may be asked for many jobs.
    """
    name, found = job_digest(job), []
    for row in map(bounds.mapping, values):
        times, at = _times(bounds.mapping(row.get("jobs")).get(name)), _moment(row.get("at_ms"))
        if row.get("v") == VERSION and times is not None and at is not None and is_fresh(at, now):
            found.append(times)
    return joined_times(found)


def joined_times(times: Collection[PollTimes]) -> PollTimes:
    """The latest of the last polls, and the earliest of the next ones."""
    return PollTimes(
        max((each.last_at for each in times if each.last_at is not None), default=None),
        min((each.next_at for each in times if each.next_at is not None), default=None),
    )


def _times(item: object) -> PollTimes | None:
    pair = bounds.items(item, 2)
    return PollTimes(*map(_moment, pair)) if len(pair) == 2 else None


def _ms(at: datetime | None) -> int | None:
    return None if at is None else bounds.unix_ms(at)


def _moment(value: object) -> datetime | None:
    at_ms = bounds.instant_ms(value)
    return None if at_ms is None else bounds.moment(at_ms)


def _amount(value: object) -> float:
    """A number from 0 on that is no count; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value < HIGHEST_AMOUNT else 0.0
