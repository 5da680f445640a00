"""The log of Describe calls that each recording and each job keeps."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT_POLLS = 1000


@dataclass(frozen=True, slots=True)
class Poll:
    """One Describe call and what became of its answer.

    ``code`` is ``OK``, an API error code or ``fault:<kind>``; ``fault`` what spoiled or replaced the answer.
    """

    at: float
    code: str
    status: Any
    file_count: int
    fault: str | None
    delay_seconds: float


Polls = deque[Poll]


def no_polls() -> Polls:
    """Return an empty log; it keeps the last :data:`KEPT_POLLS`."""
    return deque(maxlen=KEPT_POLLS)


def poll_of(
    answer: Mapping[str, Any], *, at: float, code: str, fault: str | None, delay_seconds: float
) -> Poll:
    """Return the entry for an answer, given as the inside of ``Response``."""
    files = answer.get("StorageFileList")
    count = len(files) if isinstance(files, list) else 0
    return Poll(at, code, answer.get("Status"), count, fault, delay_seconds)
