"""Options given by tests and control requests: known names and sensible numbers, or a plain error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

Built = TypeVar("Built")

_COUNTS = ("reads", "count", "recoveries")
_AMOUNTS = ("seconds", "seconds_ago", "hours")


def built(kind: type[Built], options: Mapping[str, Any]) -> Built:
    """Return a dataclass made of these options; an unknown one is named in a ``ValueError``."""
    allowed = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise ValueError(f"unknown option {', '.join(unknown)}; there are: {', '.join(allowed)}")
    return kind(**options)


def check_numbers(options: object) -> None:
    """Raise unless counts are whole numbers and durations are numbers, 0 or more, where given."""
    for name, value in vars(options).items():
        if value is None:
            continue
        if name.endswith(_COUNTS) and not (type(value) is int and value >= 0):
            raise ValueError(f"{name} must be a whole number, 0 or more")
        if name.endswith(_AMOUNTS) and not (type(value) in (int, float) and value >= 0):
            raise ValueError(f"{name} must be a number, 0 or more")


def check_choice(options: object, name: str, allowed: Sequence[str | None]) -> None:
    """Raise unless the option has one of these values."""
    if getattr(options, name) not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(str(each) for each in allowed if each)}")
