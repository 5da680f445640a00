"""Checks of what DAG authors write, shared by sensors and operators."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.problem import PROBLEM_KINDS


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Refuse what is none of the choices.

    :raises ValueError: it is not.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def texts(name: str, values: Any) -> tuple[str, ...]:
    """A list of texts as a tuple; a generator is read once, here.

    :raises ValueError: it is one text, or holds something else.
    """
    found = tuple(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else None
    if found is None or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{name} must be a list of texts, not {values!r}")
    return found


def problem_kinds(name: str, values: Any) -> tuple[str, ...]:
    """A list of kinds of problems, sorted.

    :raises ValueError: one of them does not exist.
    """
    found = texts(name, values)
    for kind in found:
        check_choice(name, kind, PROBLEM_KINDS)
    return tuple(sorted(set(found)))


def seconds(name: str, value: Any) -> float:
    """A duration in seconds, given as such or as a timedelta.

    :raises ValueError: it is neither, negative, or not finite.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number of seconds from 0 on or a timedelta, not {value!r}")
    return float(value)


def checked_id(name: str, value: Any, mapped: str, source: str) -> str:
    """Return an id without surrounding blanks.

    :param mapped: how to map over several, for the message.
    :param source: where such an id comes from, for the message.
    :raises TrtcSetupError: it is empty or not a text.
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        raise TrtcSetupError(
            f"{name} is empty. Check the template or the task that should deliver it ({source})."
        )
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Collection):
        advice = f"To wait for several, map the sensor: {mapped}"
    else:
        advice = (
            f"Check the template or the task that should deliver it ({source}). With"
            " render_template_as_native_obj, a text that looks like a number becomes one, and an id may lose"
            " digits that way: render this argument without it."
        )
    raise TrtcSetupError(f"{name} must be a text, not {type(value).__name__}. {advice}")
