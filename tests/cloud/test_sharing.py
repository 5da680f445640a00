"""Everybody who waits in one event loop with the same settings shares one client, and one poller."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from airflow_trtc.cloud import sharing
from airflow_trtc.cloud.settings import from_connection

SETTINGS: dict[str, Any] = {"login": "AKIDx", "password": "secret"}


@pytest.fixture(params=[sharing.clients, sharing.pollers], ids=["clients", "pollers"])
def shared(request):
    return request.param


def test_equal_settings_share_and_the_last_to_leave_closes(shared, monkeypatch):
    closed = []

    async def main():
        first = shared.enter(from_connection(**SETTINGS))

        async def close(one):
            closed.append(one)

        monkeypatch.setattr(type(first), "aclose", close)
        assert shared.enter(from_connection(**SETTINGS)) is first
        other = shared.enter(from_connection(**SETTINGS, host="other"))
        assert other is not first
        await shared.leave(first)
        assert closed == []
        await shared.leave(first)
        assert closed == [first]
        assert shared.enter(from_connection(**SETTINGS)) is not first

    asyncio.run(main())


def test_another_event_loop_gets_another(shared):
    async def main():
        return shared.enter(from_connection(**SETTINGS)), asyncio.get_running_loop()

    (first, _), (second, _) = asyncio.run(main()), asyncio.run(main())
    assert first is not second


def test_what_nobody_holds_any_more_is_forgotten(shared):
    async def main():
        return weakref.ref(shared.enter(from_connection(**SETTINGS)))

    one = asyncio.run(main())
    gc.collect()
    assert one() is None


def test_two_applications_of_an_account_are_one_account():
    extras = ({"sdk_app_id": 1}, {"sdk_app_id": 2, "console_url": "https://console.example"})
    one, two = (from_connection(**SETTINGS, extra=extra) for extra in extras)
    assert one != two
    assert one.account == two.account
    assert from_connection(**{**SETTINGS, "login": "AKIDy"}).account != one.account
    assert from_connection(**SETTINGS, extra={"region": "ap-singapore"}).account != one.account
