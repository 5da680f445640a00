"""The key figures, by values alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.journal.pulse import AccountPulse
from airflow_trtc.web.pages.figures import Counts, accounts, heard, tiles
from airflow_trtc.web.pages.listing import ListQuery, Show
from tests.web.pages.test_listing import json_values

NOW = datetime(2026, 1, 21, 10, tzinfo=timezone.utc)
PULSE = AccountPulse(
    process="aa",
    host="triggerer-1",
    conn_ids=("trtc_default",),
    endpoint="trtc.example.com",
    account="0a1b",
    action="DescribeCloudRecording",
    at=NOW,
    waiting=300,
    due=2,
    rate=15.0,
    ceiling=20.0,
    sent=600,
    throttled=0,
    slowest_seconds=1.5,
    region="ap-guangzhou",
)


def values(*pulses: AccountPulse) -> list[Any]:
    return [pulse.value for pulse in pulses]


def test_each_figure_leads_to_what_it_counts_and_a_second_click_back() -> None:
    found = {tile.label: tile for tile in tiles(Counts(3, 2, 1, 0), ListQuery(text="x", page=2))}
    assert [tile.number for tile in found.values()] == [3, 2, 1, 0]
    assert found["Failed in 24 hours"].address == ListQuery(text="x", show=Show.FAILED).address()
    assert [tile.tone for tile in found.values()] == ["going", "ended", "trouble", "idle"]
    (current,) = [tile for tile in tiles(Counts(), ListQuery(show=Show.FAILED)) if tile.is_current]
    assert current.address == ListQuery().address()


def test_what_cannot_be_counted_in_time_has_no_number() -> None:
    assert {tile.number for tile in tiles(None, ListQuery())} == {None}


def test_processes_and_actions_of_one_account_are_one() -> None:
    second = replace(
        PULSE, process="bb", action="DescribeWebRecord", sent=300, throttled=4, conn_ids=("a", "trtc_default")
    )
    (one,) = accounts(values(PULSE, second), NOW)
    assert (one.name, one.endpoint) == ("a, trtc_default", "trtc.example.com, ap-guangzhou")
    assert (one.waiting, one.due, one.throttled) == (600, 4, 4)
    assert one.tone == "trouble"


def test_the_budget_is_that_of_the_busiest_action() -> None:
    same = replace(PULSE, process="bb", sent=300)
    scarce = replace(PULSE, action="DescribeWebRecord", sent=240, ceiling=5.0)
    (one,) = accounts(values(PULSE, same, replace(scarce, sent=60)), NOW)
    assert (one.rate, one.ceiling, one.used) == (15.0, 20.0, 0.75)
    (one,) = accounts(values(PULSE, same, scarce), NOW)
    assert (one.rate, one.ceiling, one.used) == (4.0, 5.0, 0.8)


def test_accounts_are_told_apart_and_the_busiest_is_first() -> None:
    other = replace(PULSE, account="ffff", sent=900, outage="the service answers 503")
    found = accounts(values(PULSE, other), NOW)
    assert [one.rate for one in found] == [15.0, 10.0]
    assert [one.outage for one in found] == ["the service answers 503", ""]
    assert [one.tone for one in found] == ["trouble", "going"]


@pytest.mark.parametrize("seconds,is_there", [(0, True), (80, True), (100, False), (-100, False)])
def test_what_a_process_said_long_ago_does_not_count(seconds: int, is_there: bool) -> None:
    assert bool(accounts(values(PULSE), NOW + timedelta(seconds=seconds))) is is_there


def test_more_requests_than_allowed_are_all_of_the_budget() -> None:
    (one,) = accounts(values(replace(PULSE, sent=6000)), NOW)
    assert one.used == 1.0
    (none,) = accounts(values(replace(PULSE, ceiling=0.0)), NOW)
    assert none.used == 0.0


def test_callbacks_a_minute_are_of_the_last_ten_whole_minutes() -> None:
    minute = int(NOW.timestamp()) // 60
    last_ms = int(NOW.timestamp() * 1000) - 3000
    minutes = {str(minute): 100, str(minute - 1): 30, str(minute - 10): 20, str(minute - 11): 700, "x": 5}
    (one,) = heard([{"v": 1, "sdk_app_id": 7, "last_ms": last_ms, "minutes": minutes}], NOW)
    assert (one.app, one.a_minute, one.is_quiet) == (7, 5.0, False)
    assert one.last_at == NOW - timedelta(seconds=3)
    (later,) = heard([{"v": 1, "sdk_app_id": 7, "last_ms": last_ms}], NOW + timedelta(minutes=11))
    assert (later.a_minute, later.is_quiet) == (0.0, True)


@given(
    st.lists(
        json_values
        | st.dictionaries(
            st.sampled_from(["v", "sdk_app_id", "last_ms", "minutes"]), json_values, max_size=4
        ),
        max_size=3,
    )
)
def test_odd_rows_are_left_out(rows: list[object]) -> None:
    assert len(heard([*rows, {"v": 1, "sdk_app_id": 7, "last_ms": 1768960945000}], NOW)) >= 1
    assert len(accounts([*rows, *values(PULSE)], NOW)) == 1
