"""The parameters of any action, checked before anything is sent: names, types, what is required, limits.

The service ignores or refuses what it does not know, and the SDK sends misspelt names and wrong types without
a word. Its request models say which names there are, and their docstrings which types: the one place where
it keeps them. Python without docstrings (``-OO``) checks names and nesting only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.cloud.action import Action, is_secret
from airflow_trtc.cloud.actions import action_of, did_you_mean
from airflow_trtc.cloud.nested import REQUIRED_INSIDE
from airflow_trtc.errors import TrtcSetupError

_TYPE = re.compile(r"^\s*:type (\w+): (?:(list) of )?(?::class:`[\w.]*\.)?(\w+)", re.MULTILINE)
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "": "an object",
}
_PLURALS = {"int": "whole numbers", "float": "numbers", "bool": "booleans", "str": "texts", "": "objects"}
_GIVEN = {
    bool: "a boolean",
    int: "a whole number",
    float: "a number with a fraction",
    str: "a text",
    list: "a list",
    tuple: "a list",
    dict: "an object",
}
MAX_SHOWN = 32  # characters of a wrong value
LONGEST_PATH = 200  # characters of the path of a parameter in an error
HIGHEST = 2**64 - 1  # some of the service's numbers have no sign
_MEMBER_NAME = re.compile(r"""["']([\w-]{1,40})\\*["']\s*:""")
_TEXT_MEMBER = re.compile(r'"([\w-]{1,40})"\s*:\s*"((?:[^"\\]|\\.)*)"')
WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,19}\s*")


@dataclass(frozen=True, slots=True)
class Type:
    """What a parameter must be.

    :param kind: ``int``, ``float``, ``bool`` or ``str``; empty for an object; None when it is not known.
    :param model: the SDK's model of the object, or of each object in the list.
    :param in_list: whether it is a list of such.
    """

    kind: str | None
    model: Any = None
    in_list: bool = False

    def __str__(self) -> str:
        kind = self.kind or ""
        return f"a list of {_PLURALS[kind]}" if self.in_list else _WORDS[kind]


def check(action: str, params: Mapping[str, Any]) -> None:
    """Check an action's parameters: names and types, nested ones too, what is required, limits, and JSON.

    :raises TrtcSetupError: the action is unknown or a parameter is wrong; the message names its path, what
        was given, and the documented limit if there is one. It never shows a secret.
    """
    row = action_of(action)
    if row.is_stream:
        other = "use TextToSpeech, or AsyncTextToSpeech for long texts"
        message = f"{action} answers with a stream, which is not supported; {other}."
        raise TrtcSetupError(message, action=action)
    _check_mapping(action, params)
    check_types(action, params)
    check_required(row, params)
    _Check(row).nested("", params, _types(row))
    check_limits(row, params)
    _check_json(action, params)


def check_types(action: str, params: Mapping[str, Any]) -> None:
    """Check the names and types of those parameters that are given, nested ones too.

    :raises TrtcSetupError: as `check`.
    """
    row = action_of(action)
    checked = _Check(row)
    checked.names("", params, tuple(_types(row)))
    checked.types("", params, _types(row))


def check_required(row: Action, params: Mapping[str, Any], filled_in: Collection[str] = ()) -> None:
    """Check that what the action requires is given. Needs no SDK.

    :param filled_in: parameters that are given later.
    :raises TrtcSetupError: one is missing.
    """
    if not (missing := row.missing(params, filled_in)):
        return
    choice = " or ".join("+".join(each) for each in row.alternatives)
    needs = ", ".join([*row.required, *([choice] if choice else [])])
    hint = " Set sdk_app_id in the connection, or give it." if row.app_param in missing else ""
    message = f"{row.name} lacks {', '.join(missing)}. It requires {needs}.{hint}"
    raise TrtcSetupError(message, action=row.name)


def check_limits(row: Action, params: Mapping[str, Any]) -> None:
    """Check numbers and lengths against the documented limits. Needs no SDK.

    :raises TrtcSetupError: one is beyond its limit.
    """
    for name, limit in row.limits.items():
        value: Any = params.get(name)
        if not limit.allows(value):
            message = f"The parameter {name!r} of {row.name} must be {limit.text}, not {_shown(value)}."
            raise TrtcSetupError(message, action=row.name)


def told_limits(row: Action, params: Mapping[str, Any]) -> str:
    """The documented limits of what is given, with the values, for the error of a refusal; else empty."""
    told = [
        f"{name} {limit.text}, given {_shown(params[name])}"
        for name, limit in row.limits.items()
        if params.get(name) is not None
    ]
    return f"Documented limits of {row.name}: {'; '.join(told)}." if told else ""


def answer_types(action: str) -> Mapping[str, Type]:
    """The fields of an action's answer and what they are; empty where the SDK has no model of it.

    Reads the SDK's models, as `check` does.
    """
    model = getattr(_models(), f"{action}Response", None)
    return {} if model is None else _types_of(model)


def inner_types(wanted: Type) -> Mapping[str, Type]:
    """The fields of an object, or of each object in a list; empty for plain values."""
    return {} if wanted.model is None else _types_of(wanted.model)


def with_app_id(action: str, params: Mapping[str, Any], sdk_app_id: int | None) -> dict[str, Any]:
    """Fill in the application, in the spelling and type that the action wants.

    An application that is given stays; an explicit None leaves it out.

    :raises TrtcSetupError: the action is unknown, or the parameters are no dictionary.
    """
    row = action_of(action)
    _check_mapping(action, params)
    filled = dict(params)
    if row.app_param and row.app_param not in filled and sdk_app_id is not None:
        filled[row.app_param] = str(sdk_app_id) if row.app_as_text else sdk_app_id
    return {name: value for name, value in filled.items() if value is not None}


def typed(action: str, params: Mapping[str, Any], paths: Collection[str]) -> dict[str, Any]:
    """The parameters with texts at these paths as the numbers and booleans that the action wants.

    For values that were rendered from templates, which are always texts. What cannot be read stays.

    :param paths: as `check` writes them, e.g. ``AgentConfig.MaxIdleTime`` or ``UserIds[0]``.
    :raises TrtcSetupError: the action is unknown.
    """
    return _typed("", dict(params), _types(action_of(action)), frozenset(paths))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value inside parameters that is neither an object nor a list, with its path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def secrets_in(value: Any) -> Iterator[str]:
    """Every secret in parameters, however deep, also those in texts that are JSON, such as ``LLMConfig``.

    Of JSON, a secret is told as it is and as it is written there, since both may be shown. A text that only
    looks like JSON is a secret as a whole if it names one.
    """
    for path, leaf in leaves(value):
        text = str(leaf) if type(leaf) is int and abs(leaf) <= HIGHEST else leaf
        if not isinstance(text, str) or not text:
            continue
        if is_secret(_name_in(path)):
            yield text
        elif text.lstrip().startswith(("{", "[")):
            yield from _secrets_in_json(text)


def _secrets_in_json(text: str) -> Iterator[str]:
    if not any(map(is_secret, _MEMBER_NAME.findall(text))):
        return
    written = [value for name, value in _TEXT_MEMBER.findall(text) if value and is_secret(name)]
    inside = _json(text)
    if inside is None:
        yield from (*written, text)
        return
    yield from secrets_in(inside)
    yield from (value for value in written if "\\" in value)


def _name_in(path: str) -> str:
    """The name of the parameter at a path, without places in lists."""
    return path.rsplit(".", 1)[-1].partition("[")[0]


class _Check:
    """The checks of one request's names and types, in depth."""

    def __init__(self, row: Action) -> None:
        self._action = row.name
        self._limits = row.limits

    def names(self, path: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for name in given:
            if name not in known:
                where = f"{path}{name}"[:LONGEST_PATH]
                hint = did_you_mean(name, known)
                raise self._error(f"{self._action} has no parameter {where!r}{hint}.")

    def types(self, path: str, given: Mapping[str, Any], types: Mapping[str, Type]) -> None:
        for where, value, wanted in _pairs(path, given, types):
            if wanted.kind is None:
                continue
            if not _fits(wanted, value):
                raise self._wrong(where, wanted, value)
            if wanted.in_list:
                one = Type(wanted.kind, wanted.model)
                for index, item in enumerate(value):
                    self._one(f"{where}[{index}]", item, one)
            else:
                self._one(where, value, wanted)

    def nested(self, path: str, given: Mapping[str, Any], types: Mapping[str, Type]) -> None:
        """Check what is required inside of objects."""
        for where, value, wanted in _pairs(path, given, types):
            if wanted.model is None:
                continue
            named = {f"{where}[{index}]": item for index, item in enumerate(value)}
            for place, item in (named if wanted.in_list else {where: value}).items():
                needed = REQUIRED_INSIDE.get(wanted.model.__name__, ())
                missing = [name for name in needed if item.get(name) is None or item.get(name) == ""]
                if missing:
                    lacking = ", ".join(f"{place}.{name}" for name in missing)
                    raise self._error(f"{self._action} lacks {lacking}.")
                self.nested(f"{place}.", item, _types_of(wanted.model))

    def _one(self, where: str, value: Any, wanted: Type) -> None:
        if not _fits(wanted, value):
            raise self._wrong(where, wanted, value)
        if isinstance(value, str) and not _is_unicode(value):
            message = f"The parameter {where!r} of {self._action} holds half of a surrogate pair, which is no"
            raise self._error(f"{message} text that can be sent.")
        if isinstance(value, int) and not bounds.LOWEST <= value <= HIGHEST:
            raise self._error(f"The parameter {where!r} of {self._action} must be a number of 64 bits.")
        if wanted.model is not None:
            types = _types_of(wanted.model)
            self.names(f"{where}.", value, tuple(types))
            self.types(f"{where}.", value, types)

    def _wrong(self, where: str, wanted: Type, given: object) -> TrtcSetupError:
        shown = _GIVEN.get(type(given), type(given).__name__)
        is_plain = wanted.kind in ("int", "float", "bool") and not wanted.in_list
        if is_plain and isinstance(given, str | int | float) and not is_secret(_name_in(where)):
            shown += f" ({bounds.plain(given)!r:.{MAX_SHOWN}})"
        hint = ""
        if wanted.kind == "str" and isinstance(given, Mapping) and not wanted.in_list:
            hint = " (JSON as text: json.dumps(...))"
        limit = f" Documented limit: {self._limits[where].text}." if where in self._limits else ""
        message = f"The parameter {where!r} of {self._action} must be {wanted}{hint}, not {shown}.{limit}"
        return self._error(message)

    def _error(self, message: str) -> TrtcSetupError:
        return TrtcSetupError(message, action=self._action)


def _shown(value: Any) -> str:
    """What is beyond a limit: a number, a short plain text such as a date, else only how long it is.

    Addresses and JSON may hold secrets.
    """
    if isinstance(value, int | float):
        return f"{bounds.plain(value) if isinstance(value, int) else value}"[:MAX_SHOWN]
    is_plain = isinstance(value, str) and len(value) <= MAX_SHOWN and value.isprintable()
    return value if is_plain and "://" not in value and "{" not in value else f"{len(value)} long"


def _pairs(path: str, given: Mapping[str, Any], types: Mapping[str, Type]) -> Iterator[tuple[str, Any, Type]]:
    for name, value in given.items():
        if value is not None:
            yield f"{path}{name}", value, types[name]


def _fits(wanted: Type, value: object) -> bool:
    if wanted.in_list:
        return isinstance(value, list | tuple)
    if wanted.kind == "":
        return isinstance(value, Mapping)
    if wanted.kind == "bool" or isinstance(value, bool):
        return wanted.kind == "bool" and isinstance(value, bool)
    if wanted.kind == "float":
        return isinstance(value, int | float)
    return isinstance(value, int if wanted.kind == "int" else str)


def _typed(path: str, given: Any, types: Mapping[str, Type], paths: frozenset[str]) -> dict[str, Any]:
    return {
        name: _typed_value(f"{path}{name}", value, types[name], paths) if name in types else value
        for name, value in given.items()
    }


def _typed_value(where: str, value: Any, wanted: Type, paths: frozenset[str]) -> Any:
    if wanted.in_list and isinstance(value, list | tuple):
        one = Type(wanted.kind, wanted.model)
        return [_typed_value(f"{where}[{index}]", item, one, paths) for index, item in enumerate(value)]
    if wanted.model is not None and isinstance(value, Mapping):
        return _typed(f"{where}.", value, _types_of(wanted.model), paths)
    if where not in paths or not isinstance(value, str):
        return value
    if wanted.kind == "bool":
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if wanted.kind in ("int", "float") and WHOLE_NUMBER.fullmatch(value):
        return int(value)
    if wanted.kind == "float":
        try:
            return float(value)
        except ValueError:
            return value
    return value


@cache
def _models() -> Any:
    from tencentcloud.trtc.v20190722 import models

    return models


def _types(row: Action) -> Mapping[str, Type]:
    """The parameters of an action and what they must be."""
    if row.own_types:
        return {name: Type(kind) for name, kind in row.own_types.items()}
    model = getattr(_models(), f"{row.name}Request", None)
    if model is None:
        message = (
            f"The installed tencentcloud-sdk-python has no {row.name}; install 3.1.195 or a newer release."
        )
        raise TrtcSetupError(message, action=row.name)
    return _types_of(model)


@cache
def _types_of(model: type[Any]) -> Mapping[str, Type]:
    names = [name for name, value in vars(model).items() if isinstance(value, property)]
    written = {name: rest for name, *rest in _TYPE.findall(model.__init__.__doc__ or "")}
    return {name: _type(model, name, written.get(name)) for name in names}


def _type(model: type[Any], name: str, written: list[str] | None) -> Type:
    if written is None:
        return _probed(model, name)
    is_list, kind = bool(written[0]), written[1]
    if kind in _WORDS:
        return Type(kind, in_list=is_list)
    inner = getattr(_models(), kind, None)
    return Type("" if isinstance(inner, type) else None, inner, is_list)


def _probed(model: type[Any], name: str) -> Type:
    """What a nested parameter must be when the docstrings are gone; plain values stay unknown.

    Asks the model to read an empty one.
    """
    probe = model()
    probe._deserialize({name: {}})
    value = getattr(probe, f"_{name}", None)  # the property may warn that it is deprecated
    if in_list := isinstance(value, list):
        probe._deserialize({name: [{}]})
        (value,) = getattr(probe, f"_{name}")
    if value is None or isinstance(value, dict):
        return Type(None)
    return Type("", type(value), in_list)


def _check_mapping(action: str, params: object) -> None:
    if not isinstance(params, Mapping):
        raise TrtcSetupError("The parameters must be a dictionary.", action=action)


def _check_json(action: str, params: Mapping[str, Any]) -> None:
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TrtcSetupError(f"The parameters cannot be sent as JSON: {error}.", action=action) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json(text: str) -> Any:
    """What a text of JSON says; None for what is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
