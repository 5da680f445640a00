"""The index of jobs: rows whose keys sort by phase and application, and in these the newest first. Pure.

``job/<phase>/<application>/<milliseconds until the year 2286>/<digest of the job>`` says since when a job is
in a phase. All parts are digits of a fixed width, so every database sorts such keys alike. Workers and
triggers add a row when they first see a job; when the API server moves it to another phase, it notes the new
key in the row ``at/<job>`` and deletes the old one. A row that such a note contradicts is out of date, as
when both write at the same moment: readers leave it out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.keys import MAX_APP, KeyRange, job_fields, job_from, kind_key, make_key
from airflow_trtc.journal.plans import Get, Plan, Set

_LAST_MS = 10**13 - 1
_POSITION = r"[0-9]{13}/[0-9]{39}"
_KEY = re.compile(rf"job/([0-2])/([0-9]{{18}})/({_POSITION})")
_CURSOR = re.compile(_POSITION)


class Phase(IntEnum):
    """How far a job is."""

    RUNNING = 0
    ENDED = 1
    FAILED = 2


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One job in the index.

    :param at: since when it is in this phase, in whole milliseconds.
    :param outcome: how it ended; None while it runs.
    """

    job: JobRef
    phase: Phase
    at: datetime
    outcome: str | None = None

    @property
    def key(self) -> str:
        """Key of its row."""
        return f"job/{self.phase:d}/{self.job.sdk_app_id:018d}/{_inverted(self.at)}/{_digest(self.job)}"

    @property
    def value(self) -> dict[str, Any]:
        """Value of its row."""
        return {"v": 1, **job_fields(self.job), "outcome": self.outcome}


def _inverted(at: datetime) -> str:
    return f"{min(max(_LAST_MS - bounds.unix_ms(at), 0), _LAST_MS):013d}"


def _digest(job: JobRef) -> str:
    # No region: a callback names none. Digits, since to some collations "aa" is one letter.
    return f"{int(hashlib.sha256(note_key(job).encode()).hexdigest()[:32], 16):039d}"


def entry_from(key: str, value: object) -> IndexEntry | None:
    """Read a row. Total: None for what is no entry of the index."""
    match, job = _KEY.fullmatch(key), job_from(value)
    if match is None or job is None:
        return None
    at_ms = bounds.instant_ms(_LAST_MS - int(match[3][:13]))
    if at_ms is None:
        return None
    outcome = bounds.text(bounds.mapping(value).get("outcome"))
    entry = IndexEntry(job, Phase(int(match[1])), bounds.moment(at_ms), outcome)
    return entry if entry.key == key else None


def note_key(job: JobRef) -> str:
    """Key of the note that says which row of the index is this job's."""
    return make_key("at", job.family, job.sdk_app_id, job.job_id)


def note_value(entry: IndexEntry) -> dict[str, Any]:
    """Value of that note."""
    return {"v": 1, **job_fields(entry.job), "key": entry.key}


def noted_key(value: object) -> str | None:
    """The key in a note; None when it names no row of the index."""
    key = bounds.mapping(value).get("key")
    return key if isinstance(key, str) and _KEY.fullmatch(key) else None


def noted_kind(value: object) -> str | None:
    """The kind of the job that a note, or the row with `kind_key`, is about."""
    job = job_from(value)
    return None if job is None else job.kind


def phase_of(key: str) -> Phase:
    """The phase in the key of a row of the index."""
    return Phase(int(key[4]))


def index_plan(entry: IndexEntry) -> Plan[bool]:
    """Add a job that a worker or trigger sees for the first time; return whether it was new to the index.

    :param entry: `at` has to be the first sight in the job's head row, by which the row is found again.
    """
    if entry.job.kind != entry.job.family:  # of callbacks the API server could only guess it
        yield Set(kind_key(entry.job), {"v": 1, **job_fields(entry.job)})
    if noted_key((yield Get(note_key(entry.job)))) is not None:
        return False
    yield Set(entry.key, entry.value)
    return True


def application_range(phase: Phase, sdk_app_id: int, after: str | None = None) -> KeyRange:
    """The rows of one application in one phase, the newest first.

    :param after: a cursor from :func:`cursor_after` or :func:`cursor_at`; rows before it are left out.
    """
    start = after if after is not None and _CURSOR.fullmatch(after) else f"{0:013d}"
    prefix = f"job/{phase:d}/{sdk_app_id:018d}/"
    return KeyRange(prefix, f"{prefix}{start}", f"{prefix}{_LAST_MS:013d}")


def later_applications(phase: Phase, after_app: int) -> KeyRange:
    """The rows of all applications with greater numbers in one phase."""
    prefix = f"job/{phase:d}/"
    return KeyRange(
        prefix, f"{prefix}{min(after_app + 1, MAX_APP):018d}", f"{prefix}{MAX_APP:018d}/{_LAST_MS:013d}"
    )


def application_of(key: str) -> int | None:
    """The application in the key of a row of the index."""
    match = _KEY.fullmatch(key)
    return None if match is None else int(match[2])


def position(key: str) -> str:
    """What sorts rows of all phases and applications, the newest first."""
    return key[-53:]


def cursor_after(key: str) -> str:
    """The cursor of the page that begins behind this row."""
    inverted, digest = position(key).split("/")
    return f"{inverted}/{int(digest) + 1:039d}"


def cursor_at(at: datetime) -> str:
    """The cursor of the page that begins with what happened at that time or before."""
    return f"{_inverted(at)}/{0:039d}"
