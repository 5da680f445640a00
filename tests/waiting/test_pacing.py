"""When a wait polls again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.waiting.pacing import (
    LONGEST_TROUBLE_SECONDS,
    Pace,
    safety_net_seconds,
)

CALM: dict[str, Any] = {
    "hurry_seconds": None,
    "reads_only": False,
    "is_backed": False,
    "turns": 0,
    "failures": 0,
    "chance": 0.0,
}


@pytest.mark.parametrize(
    "pace, now, seconds",
    [
        (Pace(), {}, 60),
        (Pace(60), {}, 60),
        (Pace(60), {"turns": 9}, 60),
        (Pace(60), {"chance": 1.0}, 66),
        (Pace(10, True), {"turns": 0}, 10),
        (Pace(10, True), {"turns": 2}, 10),
        (Pace(10, True), {"turns": 3}, 20),
        (Pace(10, True), {"turns": 5}, 80),
        (Pace(0.5, True), {"turns": 3}, 2),
        (Pace(10, True, 30), {"turns": 5}, 30),
        (Pace(10), {"failures": 1}, 10),
        (Pace(10), {"failures": 2}, 20),
        (Pace(10), {"failures": 3}, 40),
        (Pace(10), {"failures": 30}, 100),
        (Pace(120), {"failures": 30}, 300),
        (Pace(900), {"failures": 30}, 900),
        (Pace(0), {}, 0),
        (Pace(0.2), {"failures": 30}, 10),
        (Pace(60), {"hurry_seconds": 2.0}, 2),
        (Pace(1), {"hurry_seconds": 2.0}, 1),
        (Pace(60), {"hurry_seconds": 2.0, "failures": 9, "chance": 1.0}, 2),
        (Pace(0.1), {"reads_only": True}, 1),
        (Pace(60), {"reads_only": True, "is_backed": True}, 60),
        (Pace(60), {"is_backed": True}, 600),
        (Pace(60), {"is_backed": True, "chance": 0.5}, 630),
    ],
)
def test_the_next_turn(pace: Pace, now: dict[str, Any], seconds: float) -> None:
    assert pace.seconds(**{**CALM, **now}) == pytest.approx(seconds)


@given(st.floats(0, 86400), st.integers(0, 10**6), st.booleans(), st.integers(0, 10**6), st.floats(0, 1))
def test_never_sooner_than_the_user_said_and_trouble_never_beyond_its_longest(
    interval: float, turns: int, exponential: bool, failures: int, chance: float
) -> None:
    pace = Pace(interval, exponential, 86400.0)
    now = {**CALM, "turns": turns, "chance": chance}
    usual, hard = pace.seconds(**now), pace.seconds(**{**now, "failures": failures})
    assert usual >= interval
    assert usual <= hard <= max(usual, LONGEST_TROUBLE_SECONDS * 1.1)


@pytest.mark.parametrize(
    "since, chance, seconds",
    [
        (0.0, 0.9, 60.0),
        (20.0, 0.9, 40.0),
        (3600.0, 0.5, 5.0),  # a restart: the turn is long over
        (60.0, 0.0, 0.0),
        (60.0, 0.5, 5.0),
        (59.5, 0.9, 0.5),
        (-3600.0, 0.0, 60.0),  # a worker whose clock is ahead delays nothing
    ],
)
def test_the_first_turn_of_a_trigger(since: float, chance: float, seconds: float) -> None:
    assert Pace(60.0).first_seconds(since, chance) == pytest.approx(seconds)


def test_after_a_restart_short_intervals_stay_short() -> None:
    assert Pace(2.0).first_seconds(100.0, 1.0) == 2.0


def test_a_job_whose_callbacks_arrive_is_polled_rarely() -> None:
    assert safety_net_seconds(60.0) == 600.0
    assert safety_net_seconds(200.0) == 900.0
    assert safety_net_seconds(3600.0) == 3600.0
