"""Tables of what an object may hold, and the one reader for all of them.

What is read comes back with the service's types: numbers that templates wrote as text are numbers again, and
what is None is left out. At parse time some values are still templates; those are left as they are.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from airflow_trtc import bounds

Later: TypeAlias = Callable[[Any], bool]
Table: TypeAlias = "Mapping[str, Field]"
Kind: TypeAlias = Literal["number", "text", "texts", "flag", "object", "objects"]

SHOWN = 60  # characters of a wrong value


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What one field may be.

    :param low: smallest number.
    :param high: largest number; None for no limit but that of 64 bits.
    :param most: bytes of a text, or items of a list.
    :param pattern: what a text, or each text of a list, matches as a whole.
    :param allowed: the pattern in words.
    :param fields: of the object, or of each object in the list.
    """

    kind: Kind
    required: bool = False
    low: int = 0
    high: int | None = None
    most: int | None = None
    pattern: re.Pattern[str] | None = None
    allowed: str = ""
    fields: Table = field(default_factory=dict)


def number(low: int = 0, high: int | None = None, *, required: bool = False) -> Field:
    """A whole number."""
    return Field(kind="number", low=low, high=high, required=required)


def text(
    pattern: str | None = None, allowed: str = "", *, most: int | None = None, required: bool = False
) -> Field:
    """A text; empty only where the pattern matches that."""
    compiled = None if pattern is None else re.compile(pattern)
    return Field(kind="text", pattern=compiled, allowed=allowed, most=most, required=required)


def texts(pattern: str | None = None, allowed: str = "", *, most: int | None = None) -> Field:
    """A list of texts."""
    compiled = None if pattern is None else re.compile(pattern)
    return Field(kind="texts", pattern=compiled, allowed=allowed, most=most)


def flag() -> Field:
    """True or False."""
    return Field(kind="flag")


def one(fields: Table, *, required: bool = False) -> Field:
    """An object."""
    return Field(kind="object", fields=fields, required=required)


def many(fields: Table, *, most: int) -> Field:
    """A list of objects."""
    return Field(kind="objects", fields=fields, most=most)


def never(value: Any) -> bool:
    """Nothing is rendered later: the time has come."""
    return False


def read_object(path: str, value: Any, table: Table, later: Later = never) -> dict[str, Any]:
    """Read an object by its table.

    :param path: where it stands, for messages.
    :param later: whether a value is a template yet, which is left alone.
    :raises ValueError: a field is unknown, missing, of a wrong type or out of range; the message names its
        path and the limit.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must be an object with {_names(table)}, not {_shown(value)}")
    for name in value:
        if name not in table:
            raise ValueError(f"{path} has no field {name!r:.{SHOWN}}{did_you_mean(str(name), table)}")
    given = {name: inner for name, inner in value.items() if inner is not None}
    missing = [name for name, each in table.items() if each.required and name not in given]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; it needs {_names(table, required=True)}")
    return {name: _read(f"{path}.{name}", inner, table[name], later) for name, inner in given.items()}


def read_number(path: str, value: Any, field: Field) -> int:
    """Read one number.

    :raises ValueError: it is none, or out of range.
    """
    return _number(path, value, field, never)


def decoded(value: Any) -> Any:
    """What a text of JSON holds that a template rendered to; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the name that was probably meant; otherwise all there are."""
    by_lower_case = {right.lower(): right for right in known}
    near = difflib.get_close_matches(name.lower()[:SHOWN], by_lower_case, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {by_lower_case[near[0]]}?"
    return f"; there are {', '.join(by_lower_case.values())}"


def _read(path: str, value: Any, field: Field, later: Later) -> Any:
    if not isinstance(value, Mapping | list | tuple) and later(value):
        return value
    return _READERS[field.kind](path, value, field, later)


def _number(path: str, value: Any, field: Field, later: Later) -> int:
    value = value.strip() if isinstance(value, str) else value
    found = bounds.number(value, field.low, bounds.HIGHEST if field.high is None else field.high)
    if found is None:
        limits = f"from {field.low} on" if field.high is None else f"from {field.low} to {field.high}"
        raise ValueError(f"{path} must be a whole number {limits}, not {_shown(value)}")
    return found


def _text(path: str, value: Any, field: Field, later: Later) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # native rendering makes numbers of texts
    if not isinstance(value, str):
        raise ValueError(f"{path} must be a text, not {_shown(value)}")
    if not value.strip() and (field.pattern is None or not field.pattern.fullmatch(value)):
        raise ValueError(f"{path} is empty")
    if field.pattern is not None and not field.pattern.fullmatch(value):
        raise ValueError(f"{path} must be {field.allowed}, not {_shown(value)}")
    length = len(value.encode(errors="replace"))
    if field.kind == "text" and field.most is not None and length > field.most:
        raise ValueError(f"{path} takes at most {field.most} bytes, not {length}")
    return value


def _texts(path: str, value: Any, field: Field, later: Later) -> list[str]:
    items = _list(path, value, field, "texts")
    return [
        item if later(item) else _text(f"{path}[{index}]", item, field, later)
        for index, item in enumerate(items)
    ]


def _flag(path: str, value: Any, field: Field, later: Later) -> bool:
    words = {"true": True, "false": False}
    found = words.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise ValueError(f"{path} must be true or false, not {_shown(value)}")
    return found


def _object(path: str, value: Any, field: Field, later: Later) -> dict[str, Any]:
    return read_object(path, value, field.fields, later)


def _objects(path: str, value: Any, field: Field, later: Later) -> list[Any]:
    items = _list(path, value, field, "objects")
    return [
        item
        if not isinstance(item, Mapping) and later(item)
        else _object(f"{path}[{index}]", item, field, later)
        for index, item in enumerate(items)
    ]


def _list(path: str, value: Any, field: Field, of: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{path} must be a list of {of}, not {_shown(value)}")
    if field.most is not None and len(value) > field.most:
        raise ValueError(f"{path} takes at most {field.most} entries, not {len(value)}")
    return list(value)


_READERS: dict[str, Callable[[str, Any, Field, Later], Any]] = {
    "number": _number,
    "text": _text,
    "texts": _texts,
    "flag": _flag,
    "object": _object,
    "objects": _objects,
}


def _names(table: Table, *, required: bool = False) -> str:
    return ", ".join(name for name, each in table.items() if each.required or not required)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"{value!r:.{SHOWN}}"
