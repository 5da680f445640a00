"""Options given by tests and control requests: known names and sensible values, or a plain error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

Built = TypeVar("Built")

MAX_COUNT = 1_000_000
MAX_SECONDS = 1e9
"""Some 31 years, so that every time stays one that ``datetime`` can hold."""
MAX_TEXT = 10_000

_COUNTS = ("reads", "count", "recoveries")
_AMOUNTS = ("seconds", "seconds_ago", "hours")
_SIGNED = "skew_seconds"
_MAX_SIGNED = "skew_seconds"
MAX_APPLICATION = 2**32 - 1
_MAX_DEPTH = 50


def built(kind: type[Built], options: Mapping[str, Any]) -> Built:
    """Return a dataclass made of these options; an unknown one is named in a ``ValueError``."""
    allowed = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise ValueError(f"unknown option {', '.join(unknown)}; there are: {', '.join(allowed)}")
    return kind(**options)


def check_numbers(options: object) -> None:
    """Raise unless counts are whole numbers and durations are numbers, 0 or more, and not too large."""
    for name, value in vars(options).items():
        if value is None:
            continue
        if name.endswith(_COUNTS):
            check_count(name, value)
        elif name.endswith(_AMOUNTS):
            check_seconds(name, value, least=-MAX_SECONDS if name.endswith(_SIGNED) else 0.0)
        elif name == "sdk_app_id":
            check_count(name, value, MAX_APPLICATION)


def check_count(name: str, value: object, most: int = MAX_COUNT) -> int:
    """Return the number, or raise unless it is a whole one from 0 to the most."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be a whole number, 0 or more")
    if value > most:
        raise ValueError(f"{name} must be at most {most}")
    return value


def check_seconds(name: str, value: object, *, least: float = 0.0, most: float = MAX_SECONDS) -> float:
    """Return the number, or raise unless it is one, finite and within bounds."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < least or value != value:
        raise ValueError(f"{name} must be a number, {least:g} or more")
    if value > most:
        raise ValueError(f"{name} must be at most {most:g}")
    return float(value)


def check_texts(options: object, *names: str) -> None:
    """Raise unless these options are texts of bearable length, where given."""
    for name in names:
        value = getattr(options, name)
        if value is not None and not (isinstance(value, str) and len(value) <= MAX_TEXT):
            raise ValueError(f"{name} must be a text of at most {MAX_TEXT} characters")


def check_choice(options: object, name: str, allowed: Sequence[object]) -> None:
    """Raise unless the option has one of these values."""
    value = getattr(options, name)
    if not any(value == each and type(value) is type(each) for each in allowed):
        shown = ", ".join(str(each) for each in allowed if each is not None)
        raise ValueError(f"{name} must be one of {shown}")


def check_json(value: object, name: str = "the value", depth: int = 0) -> None:
    """Raise ``ValueError`` unless this can be sent as JSON: finite numbers, valid Unicode, names as texts."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"{name} is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, str):
        value.encode()  # half a surrogate pair is a UnicodeEncodeError, which is a ValueError
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be a number that JSON knows, not {value}")
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, (str, int)):
                raise ValueError(f"{name}: {key!r} must be a text")
            check_json(key, "a name", depth + 1)
            check_json(each, str(key), depth + 1)
    elif isinstance(value, (list, tuple)):
        for each in value:
            check_json(each, name, depth + 1)
