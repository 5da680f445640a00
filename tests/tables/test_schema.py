"""Rows that do not fit their table are never written."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pendulum
import pytest

from airflow_trtc import bounds
from airflow_trtc.errors import TrtcFailedError
from airflow_trtc.tables.schema import Column, Interval, Part, Schema, check_rows

UTC = dt.timezone.utc
BEIJING = dt.timezone(dt.timedelta(hours=8))
DAY = dt.datetime(2026, 1, 1, tzinfo=UTC)
THINGS = Schema(
    "things",
    (
        Column("app", "integer", None, "The application."),
        Column("name", "text", None, "What."),
        Column("at", "instant", None, "When."),
        Column("minutes", "number", "minutes", "How long."),
        Column("is_new", "flag", None, "Whether it is new.", nullable=True),
    ),
    key=("app", "name", "at"),
    instant="at",
    scope=("app",),
)
PART = Part(Interval(DAY, DAY + dt.timedelta(days=1)), {"app": 1})


def row(**changed: Any) -> dict[str, Any]:
    return {"minutes": 1.0, "is_new": None, "app": 1, "name": "a", "at": DAY, **changed}


def test_rows_come_out_in_the_order_of_the_columns() -> None:
    (checked,) = check_rows(THINGS, PART, [row()])
    assert tuple(checked) == THINGS.names


def test_no_rows_are_fine() -> None:
    assert check_rows(THINGS, PART, []) == []


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"app": True}, "app is True, no integer"),
        ({"app": bounds.HIGHEST + 1}, "no integer"),
        ({"name": 7}, "name is 7, no text"),
        ({"name": None}, "name is None, no text"),
        ({"name": "x" * 256}, "no text"),
        ({"name": "a\0"}, "no text"),
        ({"minutes": 1}, "minutes is 1, no number"),
        ({"minutes": float("nan")}, "no number"),
        ({"minutes": float("inf")}, "no number"),
        ({"at": DAY.replace(tzinfo=None)}, "no instant"),
        ({"at": DAY.astimezone(BEIJING)}, "no instant"),
        ({"at": "2026-01-01"}, "no instant"),
        ({"is_new": 1}, "is_new is 1, no flag"),
        ({"at": DAY - dt.timedelta(seconds=1)}, "lies outside"),
        ({"at": PART.interval.end}, "lies outside"),
        ({"app": 2}, "about something else"),
        ({"more": 1}, "lacks columns or has others: more"),
    ],
)
def test_a_row_that_does_not_fit_is_an_error_that_says_why(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(TrtcFailedError, match=words) as caught:
        check_rows(THINGS, PART, [row(**wrong)])
    assert "things, 2026-01-01T00:00:00+00:00 to 2026-01-02" in str(caught.value)
    assert "Nothing was written" in str(caught.value)


def test_a_row_that_lacks_a_column_is_an_error() -> None:
    one = row()
    del one["is_new"]
    with pytest.raises(TrtcFailedError, match="others: is_new"):
        check_rows(THINGS, PART, [one])


def test_two_rows_with_one_key_are_an_error() -> None:
    assert len(check_rows(THINGS, PART, [row(), row(name="b")])) == 2
    with pytest.raises(TrtcFailedError, match="two rows have one key"):
        check_rows(THINGS, PART, [row(), row(minutes=2.0)])


def test_an_interval_keeps_utc_and_lasts() -> None:
    interval = Interval(DAY.astimezone(BEIJING), DAY + dt.timedelta(hours=1))
    assert interval.start.tzinfo is UTC
    assert interval.length == dt.timedelta(hours=1)
    assert DAY in interval
    assert interval.end not in interval
    of_airflow = Interval(pendulum.instance(DAY), pendulum.instance(DAY).add(hours=1))
    assert of_airflow == Interval(DAY, interval.end)
    assert {type(each) for each in (of_airflow.start, of_airflow.end)} == {dt.datetime}
    assert type(of_airflow.length) is dt.timedelta
    with pytest.raises(ValueError, match="ends before it begins, or at once"):
        Interval(DAY, DAY)
    with pytest.raises(ValueError, match="needs time zones"):
        Interval(DAY.replace(tzinfo=None), DAY)
