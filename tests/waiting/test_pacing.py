"""When a waiter asks again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.waiting.pacing import LONGEST_TROUBLE_SECONDS, next_look_seconds

PLAIN: dict[str, Any] = {
    "looks": 1, "exponential": False, "longest_seconds": None, "troubles": 0, "chance": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "interval, change, seconds",
    [
        (60, {}, 60),
        (60, {"looks": 9}, 60),
        (60, {"chance": 1.0}, 66),
        (10, {"exponential": True, "looks": 2}, 10),
        (10, {"exponential": True, "looks": 5}, 80),
        (10, {"exponential": True, "looks": 5, "longest_seconds": 30}, 30),
        (10, {"troubles": 1}, 10),
        (10, {"troubles": 3}, 40),
        (10, {"troubles": 30}, 100),
        (120, {"troubles": 30}, 300),
        (900, {"troubles": 30}, 900),
        (0, {}, 0),
        (0.2, {"troubles": 30}, 10),
    ],
)
def test_next_look(interval: float, change: dict[str, Any], seconds: float) -> None:
    assert next_look_seconds(interval, **{**PLAIN, **change}) == pytest.approx(seconds)


@given(st.floats(0, 86400), st.integers(0, 10**6), st.booleans(), st.integers(0, 10**6), st.floats(0, 1))
def test_never_sooner_than_the_user_said_and_trouble_never_beyond_its_longest(
    interval: float, looks: int, exponential: bool, troubles: int, chance: float
) -> None:
    options = {"looks": looks, "longest_seconds": 86400.0, "chance": chance}
    calm = next_look_seconds(interval, exponential=exponential, troubles=0, **options)  # type: ignore[arg-type]
    hard = next_look_seconds(interval, exponential=exponential, troubles=troubles, **options)  # type: ignore[arg-type]
    assert calm >= interval
    assert calm <= hard <= max(calm, LONGEST_TROUBLE_SECONDS * 1.1)
