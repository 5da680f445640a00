"""Carries out generators that yield steps and get answers back: once for threads, once for coroutines.

What a step raises is raised inside the generator, which may continue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

_Step = TypeVar("_Step")
_Result = TypeVar("_Result")


def drive(
    steps: Generator[_Step, Any, _Result], carry_out: Callable[[_Step], Any], answer: Any = None
) -> _Result:
    """Carry out all steps and return the generator's result.

    :param answer: to the step at which the generator stands; None when it has not begun.
    """
    error: Exception | None = None
    while True:
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as stop:
            result: _Result = stop.value
            return result
        try:
            answer, error = carry_out(step), None
        except Exception as raised:
            error = raised


async def adrive(
    steps: Generator[_Step, Any, _Result], carry_out: Callable[[_Step], Awaitable[Any]]
) -> _Result:
    """The same for coroutines."""
    answer: Any = None
    error: Exception | None = None
    while True:
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as stop:
            result: _Result = stop.value
            return result
        try:
            answer, error = await carry_out(step), None
        except Exception as raised:
            error = raised
