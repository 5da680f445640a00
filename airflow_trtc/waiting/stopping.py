"""Stops a job within a time limit, on a worker and in a triggerer. What goes wrong is returned."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from airflow_trtc._compat import atask_states
from airflow_trtc.aio import within
from airflow_trtc.errors import TrtcError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.owners import how_to_stop

STOP_SECONDS = 20.0  # Airflow gives a trigger's on_kill 30 in all
STATES_SECONDS = 10.0
ATTEMPTS = 3  # a throttled service recovers within seconds; whoever stops may try again later
DEFERRED = "deferred"


def stop(hook: TrtcHook, job: JobRef) -> str | None:
    """Stop a job; return None once it is over, else why it may run on.

    Blocks for as long as the connection's own timeouts allow.

    :param hook: with the job's application and region.
    """
    try:
        hook.stop(job.kind, job.job_id, attempts=ATTEMPTS)
    except TrtcError as error:
        return str(error)
    except Exception as error:  # Airflow may fail as well to hand out the connection
        return f"{type(error).__name__}: {error}"
    return None


def within_seconds(seconds: float, work: Callable[[], str | None]) -> str | None:
    """Do something that returns what went wrong, but wait no longer than that.

    For signal handlers, which interrupt what may hold any lock. Work that takes longer is left to itself: a
    request may still arrive.
    """
    results: list[str | None] = []
    thread = threading.Thread(target=lambda: results.append(work()), name="trtc-stop", daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else f"it took longer than {seconds:g} s"


async def astop(hook: TrtcHook, job: JobRef, seconds: float = STOP_SECONDS) -> str | None:
    """As `stop`, for coroutines, and no longer than that."""
    try:
        await within(seconds, hook.astop(job.kind, job.job_id, attempts=ATTEMPTS))
    except asyncio.TimeoutError:
        return f"it took longer than {seconds:g} s"
    except TrtcError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def describe_failed_stop(job: JobRef, error: str) -> str:
    """What happened, and what to do, for the log."""
    return f"Cannot stop the {job.kind}, which may run on and cost money: {error}. {how_to_stop(job)}"


def describe_unknown_end(job: JobRef, error: Exception) -> str:
    """As `describe_failed_stop`, of a wait that ended and nobody knows whether the task did."""
    return (
        f"Airflow does not say whether the task was ended ({type(error).__name__}: {error}), so its"
        f" {job.kind} is left running. If nothing waits for it any more, it costs money: {how_to_stop(job)}"
    )


async def has_left_deferral(task_instance: Any) -> bool:
    """Whether a task is certainly not deferred any more: a user cleared it or set its state, or time is up.

    A trigger is cancelled in the same way when another triggerer takes it over; then the task is still
    deferred.

    :raises Exception: Airflow does not answer, in whatever way.
    """
    if task_instance is None:  # in dag.test() there is nobody else to end the task
        return False
    states = await within(
        STATES_SECONDS,
        atask_states(
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            map_index=task_instance.map_index,
        ),
    )
    return bool(states) and DEFERRED not in states
