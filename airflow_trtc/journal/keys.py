"""Names of the journal's rows. Pure: no Airflow, no I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from airflow_trtc.jobs.verdict import Finished

FILES_PER_PAGE = 100
LOG_KEY = "log"
ENTRIES_PER_PAGE = 100
LONGEST_KEY = 480  # the store takes 512; pages add a suffix
_PAGES = "/files/"  # between the key of a head and the number of its page


def journal_key(sdk_app_id: int, region: str, recording_id: str) -> str:
    """Key of the head row. Region and app are part of it: elsewhere the same id may be unknown."""
    key = f"poll/{sdk_app_id}/{region}/{recording_id}"
    if len(key) <= LONGEST_KEY and _PAGES not in recording_id:
        return key
    return f"poll/{hashlib.sha256(key.encode()).hexdigest()}"


def callback_key(sdk_app_id: int, recording_id: str) -> str:
    """Key of the head row of what callbacks told; no region: a callback does not name one."""
    return _bounded("cb", f"cb/{sdk_app_id}/{recording_id}")


def inbox_key(received_at_ms: int, sdk_app_id: int, identity: str) -> str:
    """Key of a callback that was stored and not yet looked at; such keys sort by time.

    The identity alone is not enough: rooms of two applications may have equal names and end together.
    """
    return f"in/{received_at_ms:013d}/{sdk_app_id}/{identity}"


def event_key(sdk_app_id: int, subject: str, identity: str) -> str:
    """Key of one event as it was received; `subject` is ``task:<id>``, ``room:<id>`` or ``-``."""
    return _bounded("ev", f"ev/{sdk_app_id}/{subject}/{identity}")


def log_page(seq: int) -> int:
    """The page of the change log that holds entry number `seq`; the first entry is 1."""
    return (seq - 1) // ENTRIES_PER_PAGE


def log_page_key(page: int) -> str:
    """Key of a page of the change log."""
    return f"log/{page:010d}"


def due_key(at_ms: int, sdk_app_id: int, recording_id: str, region: str | None = None) -> str:
    """Key of the wish to judge a recording, as it is known in a region, at that time; sorts by time."""
    place = f"{sdk_app_id}/{recording_id}" if region is None else f"{sdk_app_id}/{recording_id}/{region}"
    return _bounded(f"due/{at_ms:013d}", f"due/{at_ms:013d}/{place}")


def due_value(
    sdk_app_id: int, recording_id: str, region: str | None, finished: Finished | None = None
) -> dict[str, Any]:
    """Value of such a row; it repeats the key, which may be a digest.

    :param region: where the recording was asked about; None when only callbacks told of it.
    :param finished: how a wait found that it has ended, by the rules of its user.
    """
    value = {"v": 1, "app": sdk_app_id, "recording_id": recording_id, "region": region}
    if finished is not None:
        value |= {"outcome": finished.outcome, "finished_at": finished.finished_at.isoformat()}
    return value


def done_key(sdk_app_id: int, recording_id: str, milestone: str) -> str:
    """Key of the note that the asset event of this milestone was emitted."""
    return _bounded("done", f"done/{sdk_app_id}/{recording_id}/{milestone}")


def bad_key(key: str) -> str:
    """Key of a row that could not be dealt with and was set aside."""
    return _bounded("bad", f"bad/{key}")


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys that begin with `prefix` and stand from `first` to `last`.

    The bounds are for the index and hold in every collation, because only digits differ; whether
    punctuation counts depends on the database, so the prefix has to be asked as well.
    """

    prefix: str
    first: str
    last: str


INBOX = KeyRange("in/", f"in/{0:013d}", f"in/{10**13 - 1:013d}")
LOG_PAGES = KeyRange("log/", f"log/{0:010d}", f"log/{10**10 - 1:010d}")
# What nobody has written for long may go; not the counter of the log, nor what is still to be dealt with.
LASTING_PREFIXES = ("poll/", "cb/", "ev/", "done/", "bad/")


def due_range(now_ms: int) -> KeyRange:
    """Keys of what is due at that time."""
    return KeyRange("due/", f"due/{0:013d}", f"due/{now_ms + 1:013d}")


def _bounded(prefix: str, key: str) -> str:
    # Some databases keep no character beyond U+FFFF in a key. No head may have the key of another one's page.
    if len(key) <= LONGEST_KEY and key.isascii() and _PAGES not in key:
        return key
    return f"{prefix}/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one recording.

    :param region: where it is asked about; elsewhere the same id may be unknown.
    """

    sdk_app_id: int
    region: str
    recording_id: str

    @property
    def polls(self) -> str:
        """Key of what looks showed."""
        return journal_key(self.sdk_app_id, self.region, self.recording_id)

    @property
    def callbacks(self) -> str:
        """Key of what callbacks told."""
        return callback_key(self.sdk_app_id, self.recording_id)


def page_key(key: str, page: int) -> str:
    """Key of a page of the files of a head row."""
    return f"{key}{_PAGES}{page}"
