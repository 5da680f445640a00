"""How requests and polls ended, in one word each, and where they are counted."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from airflow_trtc import metrics
from airflow_trtc.cloud.calls import Call
from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.verdict import ABSENT_CODES, is_absent

_WORDS: tuple[tuple[type[TrtcError], str], ...] = (
    (TrtcThrottledError, "throttled"),
    (TrtcTransientError, "transient"),
    (TrtcSetupError, "setup"),
)


def refusal(error: TrtcError, absent_codes: Collection[str] = ABSENT_CODES) -> str:
    """``absent``, ``throttled``, ``transient`` or ``setup``; ``failed`` for all other errors."""
    if is_absent(error.code, absent_codes):
        return "absent"
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "failed")


@contextmanager
def counted(call: Call[Any]) -> Iterator[None]:
    """Count one request, which the block sends, and how long its answer takes."""
    began_at, outcome = time.monotonic(), "cancelled"
    try:
        yield
        outcome = "ok"
    except TrtcError as error:
        outcome = refusal(error)
        raise
    finally:
        metrics.count(metrics.API_CALLS, action=call.action, outcome=outcome)
        metrics.timing(metrics.API_CALL_TIME, time.monotonic() - began_at, action=call.action)


def count_poll(kind: JobKind, value: Snapshot | Absence | TrtcError) -> None:
    """Count one poll, by what it brought."""
    if isinstance(value, TrtcError):
        outcome = refusal(value, kind.absent_codes)
    else:
        outcome = "found" if isinstance(value, Snapshot) else "absent"
    metrics.count(metrics.POLLS, kind=kind.name, outcome=outcome)
