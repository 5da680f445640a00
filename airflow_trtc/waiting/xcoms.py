"""XComs: results that a task pushes, and what a trigger writes and reads without blocking the event loop."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from airflow_trtc._compat import (
    AirflowFailException,
    axcom_read,
    axcom_write,
    conf,
    has_xcom_backend,
)
from airflow_trtc.aio import within

# The supervisor takes 25 ms for each, one after the other, and has other work for its triggers too: what is
# only shown takes half of its time at most, also where it is slower.
WRITES_PER_SECOND = 20.0
MAX_SPACING_SECONDS = 2.0
OBJECT_STORE_PAUSE_SECONDS = 600.0
ANSWER_SECONDS = 90.0  # no wait may hang on what it only shows; an object store has its own, shorter limit

_Value = TypeVar("_Value")


class Turns:
    """Who of an event loop writes when: one at a time, and then nobody for as long as that took.

    :ivar is_busy: somebody writes.
    """

    def __init__(self) -> None:
        self.is_busy = False
        self._free_at = -math.inf
        self._spacing = 1.0 / WRITES_PER_SECOND

    def take(self, now: float) -> float:
        """Take the next turn; return when it comes, by the same clock."""
        turn_at = max(self._free_at, now)
        self._free_at = turn_at + self._spacing
        return turn_at

    def end(self, now: float, seconds: float) -> None:
        """Somebody has written, which took so long."""
        self._spacing = min(max(1.0 / WRITES_PER_SECOND, 2.0 * seconds), MAX_SPACING_SECONDS)
        self._free_at = max(self._free_at, now + self._spacing / 2)
        self.is_busy = False


_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = weakref.WeakKeyDictionary()


def _turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    return _turns.get(loop) or _turns.setdefault(loop, Turns())


def turn_seconds() -> float:
    """Take the next turn to write, of all in the running event loop; return the seconds until it comes."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    return _turns_of(loop).take(now) - now


def pause_seconds() -> float:
    """How long to leave between two values of one XCom.

    An object store keeps each one that is written over, and nothing of Airflow's deletes it then.
    """
    return OBJECT_STORE_PAUSE_SECONDS if has_xcom_backend() else 0.0


async def write(key: str, value: Any, **ids: Any) -> None:
    """Set an XCom of the task instance that `ids` name (dag_id, task_id, run_id, map_index).

    :raises asyncio.TimeoutError: Airflow does not answer.
    """
    await within(ANSWER_SECONDS, axcom_write(key, value, ids))


async def write_in_turn(key: str, make: Callable[[], Any], **ids: Any) -> bool:
    """As `write`, unless somebody else in the running event loop is doing so: then return False.

    Whoever waited for it would wait for all others too, and notice no end meanwhile.

    :param make: returns the value.
    """
    loop = asyncio.get_running_loop()
    turns, began_at = _turns_of(loop), loop.time()
    if turns.is_busy:
        return False
    turns.is_busy = True
    try:
        await write(key, make(), **ids)
    finally:
        now = loop.time()
        turns.end(now, now - began_at)
    return True


async def read(key: str, **ids: Any) -> Any:
    """Return an XCom of the task instance that `ids` name; None when there is none.

    :raises asyncio.TimeoutError: Airflow does not answer.
    """
    return await within(ANSWER_SECONDS, axcom_read(key, ids))


def push_results(
    task: Any, context: Mapping[str, Any], value: _Value, summary_key: str, summary: Mapping[str, Any]
) -> _Value:
    """Push the summary as an XCom of its own and return the value, which becomes ``return_value``.

    :raises AirflowFailException: the value is a list that tasks are mapped over, longer than Airflow allows.
    """
    if task.do_xcom_push:
        context["ti"].xcom_push(key=summary_key, value=summary)
    if not isinstance(value, list):
        return value
    limit = conf.getint("core", "max_map_length", fallback=1024)
    if len(value) > limit and next(iter(task.iter_mapped_dependants()), None) is not None:
        raise AirflowFailException(
            f"{len(value)} files are more than Airflow maps over ({limit}). Set [core] max_map_length "
            f"(AIRFLOW__CORE__MAX_MAP_LENGTH) to {len(value)} or more for the API server, the scheduler and "
            "the workers, then clear this task: nothing is lost."
        )
    return value
