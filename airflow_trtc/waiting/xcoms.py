"""XComs of a deferred task, written and read by its trigger without blocking the event loop.

Airflow 3.3 has methods for that. Below, the trigger sends the same messages itself; there the synchronous
methods must not be used, since they read the supervisor's answers from a second event loop.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

# The supervisor takes 25 ms for each, one after the other, and has other work for its triggers too.
WRITES_PER_SECOND = 20.0

_free_at: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float] = weakref.WeakKeyDictionary()


def turn_seconds() -> float:
    """Take the next turn to write, of all in the running event loop; return the seconds until it comes."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    turn_at = max(_free_at.get(loop, now), now)
    _free_at[loop] = turn_at + 1.0 / WRITES_PER_SECOND
    return turn_at - now


async def write(key: str, value: Any, **ids: Any) -> None:
    """Set an XCom of the task instance that `ids` name (dag_id, task_id, run_id, map_index)."""
    from airflow.sdk.bases.xcom import BaseXCom

    if hasattr(BaseXCom, "aset"):
        await BaseXCom.aset(key=key, value=value, **ids)
        return
    from airflow.sdk.execution_time.comms import SetXCom
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    serialized = BaseXCom.serialize_value(value, key=key, **ids)
    await SUPERVISOR_COMMS.asend(SetXCom(key=key, value=serialized, **ids))


async def read(key: str, **ids: Any) -> Any:
    """Return an XCom of the task instance that `ids` name; None when there is none."""
    from airflow.sdk.bases.xcom import BaseXCom

    if hasattr(BaseXCom, "aget_one"):
        return await BaseXCom.aget_one(key=key, **ids)
    from airflow.sdk.execution_time.comms import GetXCom, XComResult
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    answer = await SUPERVISOR_COMMS.asend(GetXCom(key=key, **ids))
    if not isinstance(answer, XComResult) or answer.value is None:
        return None
    return BaseXCom.deserialize_value(answer)
