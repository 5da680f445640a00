"""XComs: results that a task pushes, and what a trigger writes and reads without blocking the event loop."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping
from typing import Any, TypeVar

from airflow_trtc._compat import (
    AirflowFailException,
    axcom_read,
    axcom_write,
    conf,
    has_xcom_backend,
)
from airflow_trtc.aio import within

# The supervisor takes 25 ms for each, one after the other, and has other work for its triggers too.
WRITES_PER_SECOND = 20.0
OBJECT_STORE_PAUSE_SECONDS = 600.0
ANSWER_SECONDS = 90.0  # no wait may hang on what it only shows; an object store has its own, shorter limit

_Value = TypeVar("_Value")

_free_at: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float] = weakref.WeakKeyDictionary()


def turn_seconds() -> float:
    """Take the next turn to write, of all in the running event loop; return the seconds until it comes."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    turn_at = max(_free_at.get(loop, now), now)
    _free_at[loop] = turn_at + 1.0 / WRITES_PER_SECOND
    return turn_at - now


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
