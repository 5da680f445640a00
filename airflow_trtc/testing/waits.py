"""Shortens what a test would only wait for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

# At most so many seconds. What a wait finds does not depend on them: the emulator shows the same, sooner.
CAPS: dict[str, float] = {
    "poke_interval": 0.2,
    "grace_seconds": 1.0,
    "settle_seconds": 1.0,
    "callback_timeout": 10.0,  # above what the emulator takes from one callback to the next
}
# `dag.test()` sleeps for a second when a rescheduled task is not due at once.
RESCHEDULED_POKE_INTERVAL = 0.01
RETRY_DELAY = timedelta(0)
START_PAUSES_SECONDS = (0.05, 0.05, 0.05)  # between requests to start one recording; as many as there are

_MISSING = object()


def shortened(parameters: Mapping[str, Any]) -> dict[str, float]:
    """The values to use instead of those a wait has; what it does not have, or has shorter, is left out."""
    caps = dict(CAPS)
    if parameters.get("mode") == "reschedule" and not parameters.get("deferrable"):
        caps["poke_interval"] = RESCHEDULED_POKE_INTERVAL
    return {name: cap for name, cap in caps.items() if _is_longer(parameters.get(name), cap)}


def _is_longer(value: Any, cap: float) -> bool:
    """Templates, and what other tasks return, are left as they are: the test may be about them."""
    number = _plain(value)
    return isinstance(number, int | float) and number > cap


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


@contextmanager
def in_a_hurry(dag: Any, waits: Mapping[str, Any]) -> Iterator[None]:
    """Change a DAG's tasks, and change them back.

    :param waits: parameters of all sensors of this package, instead of what they have and of `CAPS`.
    """
    from airflow_trtc.operators import starting

    chosen = {name: _plain(value) for name, value in waits.items()}
    undo = []
    try:
        for task in dag.tasks:
            changes: dict[str, Any] = {"retry_delay": RETRY_DELAY}
            if _is_wait(task):
                changes |= {**shortened(_parameters(task)), **chosen}
            undo.append((task, _change(task, changes)))
        with patch.object(starting, "PAUSES_SECONDS", START_PAUSES_SECONDS):
            yield
    finally:
        for task, before in undo:
            _change(task, before)


def _kind(task: Any) -> type:
    kind: type = task.operator_class if task.is_mapped else type(task)
    return kind


def _is_wait(task: Any) -> bool:
    from airflow_trtc.sensors import TrtcJobSensor, TrtcRecordingSensor

    return issubclass(_kind(task), TrtcJobSensor | TrtcRecordingSensor)


def _parameters(task: Any) -> dict[str, Any]:
    """What a wait has; a mapped one has for ever where nothing is given."""
    from airflow_trtc.sensors import TrtcRecordingSensor

    if not task.is_mapped:
        return dict(vars(task))
    over = getattr(task.expand_input, "value", None)
    every = [over] if isinstance(over, Mapping) else over
    if not (isinstance(every, list | tuple) and all(isinstance(each, Mapping) for each in every)):
        return {}  # what another task returns may hold any of them
    names = CAPS.keys() - {name for each in every for name in each}
    if not issubclass(_kind(task), TrtcRecordingSensor):
        names -= {"callback_timeout"}
    return {**dict.fromkeys(names, math.inf), **task.partial_kwargs}


def _change(task: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set parameters of a task; returns those before."""
    if not task.is_mapped:
        before = {name: getattr(task, name) for name in values}
        for name, value in values.items():
            setattr(task, name, value)
        return before
    place = task.partial_kwargs
    before = {name: place.get(name, _MISSING) for name in values}
    for name, value in values.items():
        if value is _MISSING:
            place.pop(name, None)
        else:
            place[name] = value
    return before
