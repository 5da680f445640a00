"""Checking request parameters against tables. Knows nothing of any particular action."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from airflow_trtc.emulator.codes import ApiError

Schema = Mapping[str, "Field"]
Values = dict[str, Any]

MAX_DEPTH = 20
"""Levels of a query's names; what is below stays one name."""


@dataclass(frozen=True)
class Field:
    """What one parameter may be. ``kind`` is a type of ``_KINDS``; ``missing`` the code if it is not."""

    kind: str
    required: bool = False
    missing: str = "MissingParameter"
    low: int | None = None
    high: int | None = None
    pattern: str | None = None
    max_items: int | None = None
    max_bytes: int | None = None
    fields: Schema = field(default_factory=dict)


def integer(low: int | None = None, high: int | None = None, **more: Any) -> Field:
    """Return an integer field, its limits included."""
    return Field("integer", low=low, high=high, **more)


def text(**more: Any) -> Field:
    """Return a string field."""
    return Field("string", **more)


def flag() -> Field:
    """Return a boolean field."""
    return Field("boolean")


def number(**more: Any) -> Field:
    """Return a field for a number that may have a fraction."""
    return Field("number", **more)


def structure(fields: Schema, **more: Any) -> Field:
    """Return a field that is an object."""
    return Field("object", fields=fields, **more)


def texts(**more: Any) -> Field:
    """Return a field that is a list of strings."""
    return Field("strings", **more)


def structures(fields: Schema, **more: Any) -> Field:
    """Return a field that is a list of objects."""
    return Field("objects", fields=fields, **more)


def check(schema: Schema, given: Mapping[str, Any], *, path: str = "", takes_more: bool = False) -> Values:
    """Return the given values without nulls, or raise: unknown, then missing, then wrong parameters."""
    values = {name: value for name, value in given.items() if value is not None}
    for name in values:
        if name not in schema and not takes_more:
            raise ApiError("UnknownParameter", path + name)
    for name, wanted in schema.items():
        if wanted.required and values.get(name) in (None, ""):
            raise ApiError(wanted.missing, path + name)
    return {
        name: _check_one(schema[name], value, path + name) if name in schema else value
        for name, value in values.items()
    }


def coerce(schema: Schema, given: Mapping[str, Any]) -> Values:
    """Turn the strings of a GET query into what the schema wants where that is possible."""
    return {
        name: _coerce_one(schema[name], value) if name in schema else value for name, value in given.items()
    }


def unflatten(query: str) -> Values:
    """Return the nested parameters of a query such as ``A.B.0=x``."""
    tree: Values = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        *parents, last = key.split(".", MAX_DEPTH)
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise ApiError("InvalidParameter", key)
        node[last] = value
    return {name: _with_lists(value) for name, value in tree.items()}


def out_of_range(what: str) -> ApiError:
    """Return the error for a value the documentation does not allow."""
    return ApiError("InvalidParameter.OutOfRange", what)


def _check_one(wanted: Field, value: Any, name: str) -> Any:
    if not _KINDS[wanted.kind](value):
        raise ApiError("InvalidParameter", f"the type of `{name}` must be {wanted.kind}")
    _check_size(wanted, value, name)
    if wanted.kind == "object":
        return check(wanted.fields, value, path=f"{name}.")
    if wanted.kind == "objects":
        return [check(wanted.fields, each, path=f"{name}.{index}.") for index, each in enumerate(value)]
    return value


def _check_size(wanted: Field, value: Any, name: str) -> None:
    if any(_misfits(wanted, value)):
        raise out_of_range(name)


def _misfits(wanted: Field, value: Any) -> Iterator[bool]:
    yield wanted.low is not None and value < wanted.low
    yield wanted.high is not None and value > wanted.high
    yield wanted.max_items is not None and len(value) > wanted.max_items
    yield wanted.max_bytes is not None and len(value.encode()) > wanted.max_bytes
    if wanted.pattern is not None:
        parts = value if isinstance(value, list) else [value]
        yield not all(re.fullmatch(wanted.pattern, each) for each in parts)


def _coerce_one(wanted: Field, value: Any) -> Any:
    if wanted.kind in ("integer", "number") and isinstance(value, str):
        return _number(value, wanted.kind)
    if wanted.kind == "boolean" and value in ("true", "false", "True", "False"):
        return value in ("true", "True")
    if wanted.kind == "object" and isinstance(value, dict):
        return coerce(wanted.fields, value)
    if isinstance(value, list):
        one = {"objects": Field("object", fields=wanted.fields), "integers": integer(), "numbers": number()}
        return [_coerce_one(one.get(wanted.kind, text()), each) for each in value]
    return value


def _number(value: str, kind: str) -> Any:
    if re.fullmatch(r"-?\d{1,19}", value):
        return int(value)
    return float(value) if kind == "number" and re.fullmatch(r"-?\d{1,19}\.\d{1,19}", value) else value


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    values = {name: _with_lists(value) for name, value in node.items()}
    is_list = set(values) == {str(index) for index in range(len(values))}
    return [values[str(index)] for index in range(len(values))] if is_list else values


def _is_list_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(type(each) in kinds for each in value)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "strings": _is_list_of(str),
    "objects": _is_list_of(dict),
    "integers": _is_list_of(int),
    "numbers": _is_list_of(int, float),
}
