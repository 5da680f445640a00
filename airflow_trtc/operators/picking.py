"""A part of an answer by its path, such as ``RoomList[0].CommId`` or ``RoomList[*].CommId``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from airflow_trtc.cloud.actions import did_you_mean
from airflow_trtc.cloud.parameters import Type, inner_types

Step: TypeAlias = "str | int"
EACH = "*"
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[(-?[0-9]{1,9}|\*)\])*")
_STEP = re.compile(r"([A-Za-z_]\w*)|\[(-?[0-9]+|\*)\]")
MAX_SHOWN = 20  # names in an error


def read_path(name: str, value: Any) -> str | None:
    """Read a path; None and "" stand for the whole answer.

    :raises ValueError: it is none.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _steps(value):
        raise ValueError(
            f"{name} must be a path into the answer such as TaskId, RoomList[0].CommId or"
            f" RoomList[*].CommId, not {value!r:.100}"
        )
    return value


def pick(answer: Any, path: str) -> Any:
    """What is at a path of an answer; ``[*]`` makes a list of the same part of each item.

    :raises LookupError: it is not there; the text says how far the path leads, and what is there instead.
    """
    return _pick(answer, _steps(path), "")


def check_path(path: str, types: Mapping[str, Type]) -> None:
    """Check, before anything is sent, that a path can be in an answer.

    :param types: of the answer; when there are none, nothing is known of it.
    :raises LookupError: it names a field that such an answer does not have, or takes an item of no list.
    """
    is_list, is_plain, model = False, False, types
    where = "the answer"
    for step in _steps(path):
        if isinstance(step, int) or step == EACH:
            if not is_list:
                raise LookupError(f"{where} is not a list, so there is no [{step}]")
            is_list = False
            continue
        if is_list:
            raise LookupError(f"{where} is a list; write {where}[0].{step}, or {where}[*].{step} for all")
        if is_plain:
            raise LookupError(f"{where} is a plain value, which has no {step}")
        if not model:
            return
        if step not in model:
            raise LookupError(f"{where} has no {step}{did_you_mean(step, model)}")
        where = step if where == "the answer" else f"{where}.{step}"
        is_plain = bool(model[step].kind)
        is_list, model = model[step].in_list, inner_types(model[step])


def _steps(path: str) -> tuple[Step, ...]:
    """The steps of a path; none for what is no path."""
    if not _PATH.fullmatch(path):
        return ()
    return tuple(name or (EACH if index == EACH else int(index)) for name, index in _STEP.findall(path))


def _pick(value: Any, steps: tuple[Step, ...], where: str) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if step == EACH:
        items = _list(value, where)
        return [_pick(item, rest, f"{where}[{index}]") for index, item in enumerate(items)]
    if isinstance(step, int):
        items = _list(value, where)
        if not -len(items) <= step < len(items):
            raise LookupError(f"{where or 'the answer'} has {len(items)} items, so there is no [{step}]")
        return _pick(items[step], rest, f"{where}[{step}]")
    if not isinstance(value, Mapping):
        raise LookupError(f"{where or 'the answer'} is {_kind(value)}, which has no {step}")
    if step not in value:
        names = ", ".join(map(str, list(value)[:MAX_SHOWN])) or "nothing"
        raise LookupError(f"{where or 'the answer'} has no {step}; it has {names}")
    return _pick(value[step], rest, f"{where}.{step}" if where else step)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise LookupError(f"{where or 'the answer'} is {_kind(value)}, not a list")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "an object" if isinstance(value, Mapping) else type(value).__name__
