"""How coroutines wait for work that must not end with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from airflow_trtc.aio import at_most, to_its_end, uninterrupted

Waits = Callable[[Coroutine[Any, Any, str]], Coroutine[Any, Any, str]]


class Work:
    """Ends when it may."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def __call__(self) -> str:
        await self.may_end.wait()
        self.has_ended.set()
        return "done"


async def fail() -> str:
    raise ValueError("no")


async def be_cancelled() -> str:
    raise asyncio.CancelledError


@pytest.mark.parametrize("wait", [to_its_end, uninterrupted])
def test_what_becomes_of_the_work_is_handed_on(wait: Waits) -> None:
    async def scene() -> str:
        with pytest.raises(ValueError, match="no"):
            await wait(fail())
        with pytest.raises(asyncio.CancelledError):
            await wait(be_cancelled())
        work = Work()
        work.may_end.set()
        return await wait(work())

    assert asyncio.run(scene()) == "done"


def test_a_caller_that_is_cancelled_again_and_again_waits_to_the_end() -> None:
    async def scene() -> str:
        work = Work()
        waiting = asyncio.ensure_future(to_its_end(work()))
        for _ in range(3):
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
        work.may_end.set()
        return await waiting

    assert asyncio.run(scene()) == "done"


def test_work_goes_on_without_a_caller_that_is_cancelled() -> None:
    async def scene() -> None:
        work = Work()
        waiting = asyncio.ensure_future(uninterrupted(work()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not work.has_ended.is_set()
        work.may_end.set()
        await work.has_ended.wait()

    asyncio.run(scene())


def test_work_that_takes_too_long_is_cancelled() -> None:
    async def scene() -> None:
        assert await at_most(60.0, asyncio.sleep(0, "done")) == "done"
        with pytest.raises(ValueError, match="no"):
            await at_most(60.0, fail())
        work = Work()
        with pytest.raises(asyncio.TimeoutError):
            await at_most(0.01, work())
        work.may_end.set()
        await asyncio.sleep(0)
        assert not work.has_ended.is_set()

    asyncio.run(scene())


def test_who_is_cancelled_within_the_time_is_not_told_that_it_took_too_long() -> None:
    async def scene() -> None:
        waiting = asyncio.ensure_future(at_most(60.0, Work()()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scene())
