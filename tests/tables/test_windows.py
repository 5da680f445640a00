"""Windows cover an interval, each instant once, and keep to a limit."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.tables.schema import Interval
from airflow_trtc.tables.windows import (
    DAY,
    MINUTE,
    check_age,
    check_grid,
    check_whole_days,
    midnight,
    split,
    split_days,
)

UTC = dt.timezone.utc
ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe")
instants = st.integers(1_577_836_800, 1_798_761_600).map(
    lambda seconds: dt.datetime.fromtimestamp(seconds, UTC)
)
lengths = st.timedeltas(dt.timedelta(seconds=1), dt.timedelta(days=80))


def day(number: int, month: int = 1) -> dt.datetime:
    return dt.datetime(2026, month, number, tzinfo=UTC)


def check_cover(windows: list[Interval], interval: Interval) -> None:
    assert windows[0].start == interval.start
    assert windows[-1].end == interval.end
    for one, following in itertools.pairwise(windows):
        assert one.end == following.start


@given(start=instants, length=lengths, longest=st.timedeltas(dt.timedelta(hours=1), dt.timedelta(days=40)))
def test_windows_follow_one_another_and_keep_to_the_longest(
    start: dt.datetime, length: dt.timedelta, longest: dt.timedelta
) -> None:
    interval = Interval(start, start + length)
    windows = list(split(interval, longest))
    check_cover(windows, interval)
    assert all(each.length <= longest for each in windows)
    assert all(each.length == longest for each in windows[:-1])


@given(start=instants, length=lengths, most=st.integers(1, 31), zone=st.sampled_from(ZONES))
def test_windows_of_days_are_cut_at_midnights_of_the_zone(
    start: dt.datetime, length: dt.timedelta, most: int, zone: str
) -> None:
    interval, tz = Interval(start, start + length), ZoneInfo(zone)
    windows = list(split_days(interval, tz, most))
    check_cover(windows, interval)
    for each in windows[:-1]:
        assert each.end.astimezone(tz).time() == dt.time()
    for each in windows:
        last = each.end - dt.timedelta(microseconds=1)
        days = (last.astimezone(tz).date() - each.start.astimezone(tz).date()).days + 1
        assert 1 <= days <= most


def test_days_of_23_and_25_hours_are_one_day_each() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = dt.datetime(2026, 3, 28, tzinfo=berlin)
    windows = list(split_days(Interval(start, dt.datetime(2026, 3, 31, tzinfo=berlin)), berlin))
    assert [each.length / dt.timedelta(hours=1) for each in windows] == [24, 23, 24]


def test_31_days_are_one_window_and_32_are_two() -> None:
    assert len(list(split_days(Interval(day(1), day(1, 2)), UTC, 31))) == 1
    assert [each.length.days for each in split_days(Interval(day(1), day(2, 2)), UTC, 31)] == [31, 1]


def test_midnight_is_that_of_the_zone() -> None:
    assert midnight(day(1), ZoneInfo("Asia/Shanghai")) == dt.datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert midnight(day(1), UTC) == day(1)


def test_of_two_midnights_of_a_day_the_first_begins_it() -> None:
    havana = ZoneInfo("America/Havana")  # at one o'clock it is midnight again
    first = dt.datetime(2025, 11, 2, 4, tzinfo=UTC)
    for minutes in (0, 59, 60, 90, 600):
        assert midnight(first + dt.timedelta(minutes=minutes), havana) == first


def test_days_of_another_zone_are_refused_with_advice() -> None:
    check_whole_days(Interval(day(1), day(2)), UTC)
    shanghai = ZoneInfo("Asia/Shanghai")
    with pytest.raises(
        TrtcSetupError, match="not made of whole days of the time zone Asia/Shanghai"
    ) as error:
        check_whole_days(Interval(day(1), day(2)), shanghai)
    assert "CronDataIntervalTimetable('0 0 * * *', timezone='Asia/Shanghai')" in str(error.value)
    with pytest.raises(TrtcSetupError, match="no midnight"):
        check_whole_days(Interval(day(1), day(1) + dt.timedelta(hours=5)), UTC)


def test_a_grid_is_kept_to() -> None:
    check_grid(Interval(day(1), day(1) + MINUTE), MINUTE)
    with pytest.raises(TrtcSetupError, match="multiple of 0:01:00"):
        check_grid(Interval(day(1), day(1) + dt.timedelta(seconds=90)), MINUTE)


def test_what_is_not_over_or_no_longer_kept_is_refused() -> None:
    interval = Interval(day(1), day(2))
    check_age(interval, day(2), DAY, "it")
    with pytest.raises(TrtcSetupError, match=r"is not over: it is 2026-01-01T23:59:59.*Run the DAG after"):
        check_age(interval, day(2) - dt.timedelta(seconds=1), None, "it")
    with pytest.raises(TrtcSetupError, match=r"keeps it for 1 days.*Begin later"):
        check_age(interval, day(2) + dt.timedelta(seconds=1), DAY, "it")
    check_age(interval, day(28), None, "it")
