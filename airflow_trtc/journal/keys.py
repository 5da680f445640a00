"""Names of the journal's rows, and how rows name a job. Pure: no Airflow, no I/O.

Whatever ids consist of, two rows never share a key, and every database of Airflow keeps a key as it is: it
is ASCII, and its parts are escaped as in addresses, so that a ``/`` only ever stands between parts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_trtc import bounds
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.verdict import Finished

# The asset whose state store is the journal; here, so that it can be named without loading Airflow.
JOURNAL_NAME = "trtc_recordings"
JOURNAL_URI = "trtc://recordings/"  # as Airflow spells it

ITEMS_PER_PAGE = 100
LOG_KEY = "log"
ENTRIES_PER_PAGE = 100
MAX_KEY = 480  # the store takes 512; pages add a suffix
MAX_APP = 10**18 - 1
_INBOX_KEY = re.compile(r"in/([0-9]{13})/")
_PLAIN = ":@+*="  # besides letters, digits and "_.-~": signs of the vendor's ids that mean nothing in keys


def make_key(head: str, *parts: str | int) -> str:
    """The key with these parts; if it is too long, their digest takes the parts' place.

    :param head: begins the key as it is: a constant, or made here.
    """
    escaped = (quote(str(part), safe=_PLAIN, errors="surrogatepass") for part in parts)
    key = "/".join([head, *escaped])
    return key if len(key) <= MAX_KEY else f"{head}/{hashlib.sha256(key.encode()).hexdigest()}"


def page_key(key: str, page: int, part: str = "files") -> str:
    """Key of a page of the files or records of a head row."""
    return f"{key}/{part}/{page}"


@dataclass(frozen=True, slots=True)
class Rows:
    """The head rows of one job."""

    job: JobRef

    @property
    def polls(self) -> str:
        """Key of what polls showed, in the job's region: elsewhere the same id may be unknown."""
        return make_key("poll", self.job.kind, *_in_region(self.job)[1:])

    @property
    def callbacks(self) -> str:
        """Key of what callbacks reported; no region, since a callback names none, and no kind either."""
        return make_key("cb", *_anywhere(self.job))


def _anywhere(job: JobRef) -> tuple[str | int, ...]:
    return job.family, job.sdk_app_id, job.job_id


def _in_region(job: JobRef) -> tuple[str | int, ...]:
    return _anywhere(job) if job.region is None else (*_anywhere(job), job.region)


def job_fields(job: JobRef) -> dict[str, Any]:
    """How a row's value names a job: keys may be digests."""
    return {
        "kind": job.kind,
        "sdk_app_id": job.sdk_app_id,
        "region": job.region,
        "job_id": job.job_id,
    }


def job_from(value: object) -> JobRef | None:
    """The job that a row's value names. Total: None for whatever names none."""
    fields = bounds.mapping(value)
    kind, job_id = bounds.job_id(fields.get("kind")), bounds.job_id(fields.get("job_id"))
    sdk_app_id = bounds.number(fields.get("sdk_app_id"), 1, MAX_APP)
    if kind is None or sdk_app_id is None or job_id is None:
        return None
    return JobRef(kind, sdk_app_id, bounds.job_id(fields.get("region")), job_id)


def head_value(job: JobRef, state: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """Value of a head row: the job's state without files and records, and how many its pages hold."""
    return {**state, **job_fields(job), **counts}


def inbox_key(received_at_ms: int, sdk_app_id: int, identity: str) -> str:
    """Key of a callback that is stored and not yet processed; such keys sort by time.

    The identity alone is not enough: rooms of two applications may have equal names and end together.
    """
    return make_key(f"in/{received_at_ms:013d}", sdk_app_id, identity)


def inbox_ms(key: str) -> int | None:
    """When the callback with this key was received, Unix milliseconds; None for any other key."""
    found = _INBOX_KEY.match(key)
    return None if found is None else int(found[1])


def event_key(sdk_app_id: int, subject: str, identity: str) -> str:
    """Key of one event as it was received; `subject` is ``task:<id>``, ``room:<id>`` or ``-``."""
    return make_key("ev", sdk_app_id, subject, identity)


def events_range(sdk_app_id: int, subject: str) -> KeyRange | None:
    """Keys of all events about a subject; None where it is so long that their keys are digests."""
    prefix = f"{make_key('ev', sdk_app_id, subject)}/"
    first, last = f"{prefix}{'0' * 32}", f"{prefix}{'f' * 32}"
    return KeyRange(prefix, first, last) if len(last) <= MAX_KEY else None


def log_page(seq: int) -> int:
    """The page of the change log that holds entry number `seq`; the first entry is 1."""
    return (seq - 1) // ENTRIES_PER_PAGE


def log_page_key(page: int) -> str:
    """Key of a page of the change log."""
    return f"log/{page:010d}"


def due_key(at_ms: int, job: JobRef) -> str:
    """Key of the request to judge a job, as it is known in its region, at that time; sorts by time."""
    return make_key(f"due/{at_ms:013d}", *_in_region(job))


def due_value(job: JobRef, finished: Finished | None = None) -> dict[str, Any]:
    """Value of such a row.

    :param finished: how a wait found that the job has ended, by the rules of its user.
    """
    value = {"v": 1, **job_fields(job)}
    if finished is not None:
        value |= {"outcome": finished.outcome, "finished_at": finished.finished_at.isoformat()}
    return value


def done_key(job: JobRef, milestone: str) -> str:
    """Key of the note that the asset event of this milestone was emitted."""
    return make_key("done", *_anywhere(job), milestone)


def kind_key(job: JobRef) -> str:
    """Key of what a wait says of a job's kind, where callbacks do not say it."""
    return make_key("kind", *_anywhere(job))


def connections_key(sdk_app_id: int) -> str:
    """Key of the names of the connections through which an application's callbacks come."""
    return make_key("conns", sdk_app_id)


def bad_key(key: str) -> str:
    """Key of a row that cannot be processed and was set aside."""
    return make_key("bad", key)


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys that begin with `prefix` and stand from `first` to `last`.

    The bounds are for the index and hold in every collation, because only digits differ; whether
    punctuation counts depends on the database, so the prefix has to be asked as well.
    """

    prefix: str
    first: str
    last: str

    def __contains__(self, key: str) -> bool:
        return key.startswith(self.prefix) and self.first <= key <= self.last


INBOX = KeyRange("in/", f"in/{0:013d}", f"in/{10**13 - 1:013d}")
LOG_PAGES = KeyRange("log/", f"log/{0:010d}", f"log/{10**10 - 1:010d}")
# What was written long ago may go; not the counter of the log, nor what is still to be processed.
LASTING_PREFIXES = ("poll/", "cb/", "ev/", "done/", "bad/", "job/", "at/", "kind/", "own/", "heard/")
# What says how things are, and soon how they were.
FLEETING_PREFIXES = ("pulse/", "refused/", "checked/")


def due_range(now_ms: int) -> KeyRange:
    """Keys of what is due at that time."""
    return KeyRange("due/", f"due/{0:013d}", f"due/{now_ms + 1:013d}")
