"""One of a kind per event loop and settings, shared by all there and closed by the last to leave."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from airflow_trtc.cloud.client import AsyncTrtcClient
from airflow_trtc.cloud.poller import Poller
from airflow_trtc.cloud.settings import TrtcSettings


class Closable(Protocol):
    """What can be shared."""

    settings: TrtcSettings

    async def aclose(self) -> None:
        """Close all connections."""


_Kind = TypeVar("_Kind", bound=Closable)


class Shared(Generic[_Kind]):
    """Those of one kind that are in use.

    :param make: makes one; it must not do anything yet.
    """

    def __init__(self, make: Callable[[TrtcSettings], _Kind]) -> None:
        self._make = make
        self._by_loop: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, weakref.WeakValueDictionary[TrtcSettings, _Kind]
        ] = weakref.WeakKeyDictionary()
        self._users: weakref.WeakKeyDictionary[_Kind, int] = weakref.WeakKeyDictionary()

    def enter(self, settings: TrtcSettings) -> _Kind:
        """Take the running loop's for these settings; give it back with :meth:`leave`."""
        held = self._by_loop.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
        one = held.get(settings)
        if one is None:
            one = held[settings] = self._make(settings)
        self._users[one] = self._users.get(one, 0) + 1
        return one

    async def leave(self, one: _Kind) -> None:
        """Give it back; the last one to leave closes it."""
        self._users[one] -= 1
        if self._users[one] > 0:
            return
        held = self._by_loop.get(asyncio.get_running_loop())
        if held is not None and held.get(one.settings) is one:
            del held[one.settings]
        await one.aclose()


clients = Shared(AsyncTrtcClient)
pollers = Shared(Poller)
