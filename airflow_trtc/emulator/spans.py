"""How long stages and steps last, by seconds and by reads. Nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeGuard, TypeVar

TOLERANCE_SECONDS = 1e-6
"""More than the rounding of a Unix time in a float, so that "10 s later" is not missed by a hair."""


@dataclass
class Span:
    """Where something stands in a stage or step: since when, and how many reads it has had there."""

    since: float
    reads: int = 0
    last_read_at: float = 0.0

    def count(self, now: float) -> None:
        """Count one read."""
        self.reads += 1
        self.last_read_at = now

    def over_at(self, seconds: float | None, reads: int | None) -> float | None:
        """Return the instant at which all given conditions are met, None while that is not known."""
        if (seconds is None and reads is None) or self.reads < (reads or 0):
            return None
        return max(self.since + (seconds or 0.0), self.last_read_at if reads else self.since)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a step of a script lasts; with both, both must be met."""

    reads: int | None = None
    seconds: float | None = None

    @property
    def is_endless(self) -> bool:
        """Whether nothing ends the step."""
        return self.reads is None and self.seconds is None


Step = TypeVar("Step", bound=Limits)


class Script(Generic[Step]):
    """Steps that answer one after the other. One without limits lasts one read, the last one for good."""

    def __init__(self, steps: Sequence[Step], now: float) -> None:
        *earlier, last = steps
        self.steps = [replace(step, reads=1) if step.is_endless else step for step in earlier] + [last]
        self.span = Span(now)

    @property
    def step(self) -> Step:
        """The step that answers now."""
        return self.steps[0]

    @property
    def is_settled(self) -> bool:
        """Whether the step that answers now does so for good."""
        return len(self.steps) == 1 and self.step.is_endless

    def over_at(self) -> float | None:
        """Return when the current step ends, None while that is not known."""
        return self.span.over_at(self.step.seconds, self.step.reads)

    def advance(self, now: float) -> None:
        """Drop the steps that are over by this instant, however late it is; none may be left."""
        while self.steps and is_due(instant := self.over_at(), now):
            self.steps.pop(0)
            self.span = Span(instant)


def is_due(instant: float | None, now: float) -> TypeGuard[float]:
    """Return whether this instant is reached."""
    return instant is not None and instant <= now + TOLERANCE_SECONDS


def earliest(*instants: float | None) -> float | None:
    """Return the first of the instants that are known."""
    return min((instant for instant in instants if instant is not None), default=None)
