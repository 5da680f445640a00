"""How coroutines wait, for one thing or several, and how background tasks are started."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import sys
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def loop_time() -> float:
    """Seconds of the running event loop's clock, which never jumps."""
    return asyncio.get_running_loop().time()


class WakeUp:
    """Wakes one coroutine when asked to, or when it is time; much cheaper than a task for each wait."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Wake it now, or the next time it waits."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait until woken, at most so long."""
        timer = None
        if seconds <= 0:
            self._event.set()
        elif seconds < math.inf:
            timer = asyncio.get_running_loop().call_later(seconds, self._event.set)
        try:
            await self._event.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._event.clear()


async def within(seconds: float, work: Awaitable[_Value]) -> _Value:
    """Wait for it, at most so long; then it is cancelled.

    Up to Python 3.11 `asyncio.wait_for` may swallow that the caller is cancelled.

    :raises asyncio.TimeoutError: it took longer.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(take_error)
    try:
        await asyncio.wait([task], timeout=seconds)
        if task.done():
            return task.result()
    finally:
        task.cancel()
    raise asyncio.TimeoutError


async def at_most(seconds: float, work: Coroutine[Any, Any, _Value]) -> _Value:
    """The same for what is called very often: from Python 3.11 on without a task of its own.

    Work that is slow to be cancelled is waited for; `within` leaves it behind.

    :raises asyncio.TimeoutError: it took longer.
    """
    if sys.version_info < (3, 11):
        return await asyncio.wait_for(work, seconds)
    async with asyncio.timeout(seconds):
        return await work


_unfinished: set[asyncio.Future[Any]] = set()  # an event loop alone does not keep its tasks


async def uninterrupted(work: Awaitable[_Value]) -> _Value:
    """Wait for it; if the caller is cancelled, it goes on without one."""
    task = asyncio.ensure_future(work)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    task.add_done_callback(take_error)
    return await asyncio.shield(task)


async def to_its_end(work: Coroutine[Any, Any, _Value]) -> _Value:
    """Wait for it, however often the caller is cancelled meanwhile.

    Triggerers cancel a trigger anew every second, until it has ended. The work must end by itself.
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()


def take_error(task: asyncio.Future[Any]) -> None:
    """Mark the error as retrieved: asyncio logs one that is not. For `add_done_callback`."""
    if not task.cancelled():
        task.exception()


def start_apart(work: Coroutine[Any, Any, _Value]) -> asyncio.Task[_Value]:
    """Begin a task in an empty context: in a trigger's it would log into that one's file for ever."""
    start = asyncio.get_running_loop().create_task
    return contextvars.Context().run(start, work)
