"""One asynchronous client per event loop and settings, shared by everybody who waits there."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow_trtc.cloud.client import AsyncTrtcClient
from airflow_trtc.cloud.settings import TrtcSettings

_Clients = weakref.WeakValueDictionary[TrtcSettings, AsyncTrtcClient]
_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = weakref.WeakKeyDictionary()
_users: weakref.WeakKeyDictionary[AsyncTrtcClient, int] = weakref.WeakKeyDictionary()


def enter(settings: TrtcSettings) -> AsyncTrtcClient:
    """Take the running loop's client for these settings; give it back with :func:`leave`."""
    clients = _by_loop.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    client = clients.get(settings)
    if client is None:
        client = clients[settings] = AsyncTrtcClient(settings)
    _users[client] = _users.get(client, 0) + 1
    return client


async def leave(client: AsyncTrtcClient) -> None:
    """Give a client back; the last one to leave closes it."""
    _users[client] -= 1
    if _users[client] > 0:
        return
    clients = _by_loop.get(asyncio.get_running_loop())
    if clients is not None and clients.get(client.settings) is client:
        del clients[client.settings]
    await client.aclose()


@asynccontextmanager
async def shared_client(settings: TrtcSettings) -> AsyncIterator[AsyncTrtcClient]:
    """The client that all users of these settings in the running event loop share."""
    client = enter(settings)
    try:
        yield client
    finally:
        await leave(client)
