"""Trouble on demand. A fault replaces an answer, spoils it, or delays it, some times or for some while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_trtc.emulator.options import check_numbers, check_texts

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"
PAGE = b"<!doctype html><html><head><title>%d</title></head><body><h1>Upstream trouble</h1></body></html>"


@dataclass(frozen=True)
class Answer:
    """What goes over the wire. ``wire`` is ``whole``, ``truncated``, ``reset`` (no byte) or ``hang``."""

    body: bytes = b""
    status: int = 200
    content_type: bytes | None = JSON
    is_error: bool = False
    delay_seconds: float = 0.0
    wire: str = "whole"


_API_ERRORS = {"throttle": "RequestLimitExceeded", "error": "InternalError"}
_INSTEAD: dict[str, Callable[[Fault], Answer]] = {
    "http": lambda fault: Answer(PAGE % fault.status, fault.status, HTML),
    "html": lambda fault: Answer(PAGE % 200, 200, HTML),
    "empty": lambda fault: Answer(),
    "reset": lambda fault: Answer(wire="reset"),
    "outage": lambda fault: Answer(wire="reset"),
    "hang": lambda fault: Answer(wire="hang"),
}
_SPOILERS: dict[str, Callable[[Answer], Answer]] = {
    "broken_json": lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2]),
    "no_content_type": lambda answer: replace(answer, content_type=None),
    "charset": lambda answer: replace(answer, content_type=JSON + b"; charset=utf-8"),
    "truncated": lambda answer: replace(answer, wire="truncated"),
    "lost_answer": lambda answer: replace(answer, wire="reset"),
}
SCRIPT_KINDS = (*_INSTEAD, *_SPOILERS)
KINDS = (*_API_ERRORS, *_INSTEAD, *_SPOILERS, "slow")


@dataclass
class Fault:
    """One kind of trouble, and the requests it meets. Without ``count`` and ``seconds`` it lasts.

    ``seconds`` and ``delay_seconds`` are real seconds: they concern the wire, not the recordings.
    """

    kind: str
    count: int | None = None
    seconds: float | None = None
    action: str | None = None
    job_id: str | None = None
    code: str | None = None
    message: str | None = None
    status: int = 502
    delay_seconds: float = 1.0
    hits: int = 0
    until: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; there are: {', '.join(KINDS)}")
        check_numbers(self)
        check_texts(self, "action", "job_id", "code", "message")
        if type(self.status) is not int or self.status not in range(400, 600):
            raise ValueError("status must be an HTTP status from 400 to 599")

    @property
    def error_code(self) -> str | None:
        """The API error code this fault answers with, if it is of that kind."""
        return (self.code or _API_ERRORS[self.kind]) if self.kind in _API_ERRORS else None

    @property
    def is_instead(self) -> bool:
        """Whether the request is not carried out at all."""
        return self.kind in _API_ERRORS or self.kind in _INSTEAD

    def meets(self, action: str, job_id: str, now: float) -> bool:
        """Return whether this fault is to strike this request now."""
        if self.is_over(now):
            return False
        return self.action in (None, action) and self.job_id in (None, job_id)

    def is_over(self, now: float) -> bool:
        """Return whether it has struck often or long enough."""
        is_used_up = self.count is not None and self.hits >= self.count
        return is_used_up or (self.until is not None and now >= self.until)

    def describe(self) -> dict[str, Any]:
        """Return the fault as JSON for the state."""
        shown = ("kind", "count", "seconds", "action", "job_id", "hits")
        values = {name: getattr(self, name) for name in shown}
        return {
            **values,
            "code": self.error_code,
            "delay_seconds": self.delay_seconds if self.kind == "slow" else 0,
        }


class Faults:
    """The active faults, oldest first."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(self, fault: Fault, now: float) -> None:
        """Start a fault."""
        fault.until = None if fault.seconds is None else now + fault.seconds
        self._active.append(fault)

    def clear(self) -> None:
        """End all faults."""
        self._active.clear()

    def active(self, now: float) -> list[Fault]:
        """Return the faults that may still strike."""
        self._active = [fault for fault in self._active if not fault.is_over(now)]
        return list(self._active)

    def take_instead(self, action: str, job_id: str, now: float) -> Fault | None:
        """Return the fault that replaces the answer to this request, counted as a hit."""
        return self._take(lambda fault: fault.is_instead, action, job_id, now)

    def take_spoiler(self, action: str, job_id: str, now: float, *, is_error: bool) -> Fault | None:
        """Return the fault that spoils this answer; ``charset`` waits for an API error."""
        return self._take(
            lambda fault: fault.kind in _SPOILERS and (is_error or fault.kind != "charset"),
            action,
            job_id,
            now,
        )

    def take_delay(self, action: str, job_id: str, now: float) -> float:
        """Return how many seconds the answer to this request has to wait."""
        fault = self._take(lambda fault: fault.kind == "slow", action, job_id, now)
        return fault.delay_seconds if fault else 0.0

    def _take(self, is_wanted: Callable[[Fault], bool], action: str, job_id: str, now: float) -> Fault | None:
        for fault in self._active:
            if is_wanted(fault) and fault.meets(action, job_id, now):
                fault.hits += 1
                return fault
        return None


def replacement(fault: Fault) -> Answer:
    """Return the answer of a fault that is not an API error."""
    return _INSTEAD[fault.kind](fault)


def spoil(answer: Answer, kind: str) -> Answer:
    """Return the answer as this kind of fault changes it."""
    if kind in _INSTEAD:
        return _INSTEAD[kind](Fault(kind))
    return _SPOILERS[kind](answer)
