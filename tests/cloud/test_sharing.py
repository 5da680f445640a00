"""Everybody who waits in one event loop with the same settings shares one client."""

import asyncio
import gc
import weakref

from airflow_trtc.cloud import sharing
from airflow_trtc.cloud.settings import from_connection
from airflow_trtc.cloud.sharing import shared_client

SETTINGS = {"login": "AKIDx", "password": "secret"}


class Transport:
    closed = 0

    async def aclose(self):
        Transport.closed += 1


def test_equal_settings_share_and_the_last_to_leave_closes():
    async def main():
        async with shared_client(from_connection(**SETTINGS)) as first:
            first._transport = Transport()
            async with shared_client(from_connection(**SETTINGS)) as second:
                assert second is first
            assert Transport.closed == 0
            async with shared_client(from_connection(**SETTINGS, host="other")) as third:
                assert third is not first
        assert Transport.closed == 1
        async with shared_client(from_connection(**SETTINGS)) as fourth:
            assert fourth is not first

    Transport.closed = 0
    asyncio.run(main())


def test_another_event_loop_gets_another_client():
    async def main():
        client = sharing.enter(from_connection(**SETTINGS))
        return client, asyncio.get_running_loop()

    (first, _), (second, _) = asyncio.run(main()), asyncio.run(main())
    assert first is not second


def test_a_client_that_nobody_holds_any_more_is_forgotten():
    async def main():
        return weakref.ref(sharing.enter(from_connection(**SETTINGS)))

    client = asyncio.run(main())
    gc.collect()
    assert client() is None
