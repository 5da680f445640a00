"""The numbers of updates: which one an update takes, and what to do when the service has seen a higher one.

The service carries an update of a relay out only if its ``SequenceNumber`` is higher than that of every
update before, so that a late request cannot undo a newer one. Nobody hands these numbers out. So an update
takes the time at which it was decided, in Unix milliseconds: that grows over tasks, processes and machines
whose clocks are right, fits the unsigned 64 bits of the service's models, and stays the same for all tries.

    the service has seen a higher number (``FailedOperation.RequestOutdated``), and this update
    ----------------------------------------------------------------  -----------------------------------
    was numbered by the user                                           is superseded: the user set the order
    was decided a short while ago                                      takes a higher number: the other one
                                                                       is as new, and may be about something
                                                                       else; no order of the two is wrong
    was decided earlier, in an earlier try for one                     is done or superseded: an earlier
                                                                       request of its own, or a newer update

The higher numbers reach beyond clocks that are wrong, and at last beyond numbers in nanoseconds. Each step is
taken twice, by the clock of that moment: others may take the same steps at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from airflow_trtc import bounds

VERSION = 1
FRESH_MS = 30_000
AHEAD_MS = (0, 10_000, 600_000)
UNITS = (1, 1_000, 1_000_000)  # in a millisecond
TIMES = 2
MAX_NUMBER = bounds.HIGHEST


@dataclass(frozen=True, slots=True)
class Numbered:
    """What is kept of an update between tries.

    :param number: the ``SequenceNumber``.
    :param decided_at_ms: when the first try began, Unix milliseconds.
    :param content: a digest of what is to change.
    :param max_tries: Airflow's number for the task instance then; raised when the task is cleared.
    """

    number: int
    decided_at_ms: int
    content: str
    max_tries: int
    try_number: int = 1
    handed_on: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a row of the store."""
        return {"v": VERSION, **asdict(self)}


def read_numbered(value: Any) -> Numbered:
    """Read a row of the store.

    :raises ValueError: it was not written by this version.
    """
    row = bounds.mapping(value)
    number = bounds.number(row.get("number"), 1)
    decided_at_ms = bounds.number(row.get("decided_at_ms"), 0)
    content = bounds.text(row.get("content"))
    if row.get("v") != VERSION or number is None or decided_at_ms is None or content is None:
        raise ValueError("it is no number of this version")
    return Numbered(
        number,
        decided_at_ms,
        content,
        max_tries=bounds.count(row.get("max_tries")),
        try_number=bounds.count(row.get("try_number")) or 1,
        handed_on=row.get("handed_on") is True,
    )


def numbered(kept: Numbered | None, *, content: str, now_ms: int, max_tries: int, last: int = 0) -> Numbered:
    """The number of an update: that of an earlier try, or a new one.

    :param kept: of an earlier try. One of a task that was cleared since is a new update, and so is one whose
        content has changed.
    :param last: the highest number that is known to be used.
    """
    if kept is not None and (kept.content, kept.max_tries) == (content, max_tries) and not kept.handed_on:
        return kept
    return Numbered(max(now_ms, last + 1), now_ms, content, max_tries)


def is_late(update: Numbered, now_ms: int) -> bool:
    """Whether it was decided so long ago that a higher number in the service may be a newer update's."""
    return now_ms - update.decided_at_ms > FRESH_MS


def higher_numbers(update: Numbered, clock: Callable[[], int]) -> Iterator[int]:
    """Yield the numbers to try, one after the other, when the service has seen a higher one.

    :param update: one that is not late.
    :param clock: the time, Unix milliseconds; read for each number when that is wanted.
    """
    last = update.number
    for unit in UNITS:
        for ahead_ms in (each for each in AHEAD_MS for _ in range(TIMES)):
            now_ms = max(clock(), update.number + 1) if unit == 1 else clock()
            last = max((now_ms + ahead_ms) * unit, last + 1)
            if last <= MAX_NUMBER:
                yield last
