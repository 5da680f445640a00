"""The rate as a function of time: it gives way to refusals, and comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.cloud.pace import (
    DOUBLING_SECONDS,
    RETURN_SECONDS,
    SAME_REFUSAL_SECONDS,
    START_RATE,
    Pace,
)

CEILING = 19.0


def test_it_begins_below_the_limit_and_reaches_the_ceiling_in_seconds():
    pace = Pace(0.0)
    assert pace.rate(0.0, CEILING) == START_RATE == 2.0
    assert pace.rate(DOUBLING_SECONDS, CEILING) == 4.0
    assert pace.rate(60.0, CEILING) == CEILING
    assert pace.rate(0.0, 1.0) == 1.0
    assert pace.rate(0.0, 200.0) == 20.0


def test_a_refusal_takes_a_quarter_which_comes_back_almost_and_later_wholly():
    begun = Pace(0.0).refused(20.0, CEILING)
    rate = begun.rate(60.0, CEILING)
    pace = begun.refused(60.0, CEILING)
    assert pace.rate(60.0, CEILING) == pytest.approx(0.75 * rate)
    assert 0.8 * rate < pace.rate(60.0 + RETURN_SECONDS, CEILING) < rate
    assert pace.rate(60.0 + 6 * RETURN_SECONDS, CEILING) == CEILING


def test_the_first_refusal_and_one_soon_after_another_take_half():
    first = Pace(0.0).refused(60.0, CEILING)
    assert first.rate(60.0, CEILING) == pytest.approx(0.5 * CEILING)
    assert first.rate(60.0 + RETURN_SECONDS, CEILING) == pytest.approx(0.95 * CEILING)
    soon = 60.0 + 2 * SAME_REFUSAL_SECONDS
    again = first.refused(soon, CEILING)
    assert again.rate(soon, CEILING) == pytest.approx(0.5 * first.rate(soon, CEILING))


def test_refusals_of_the_same_moment_count_once_and_later_ones_again():
    pace = Pace(0.0).refused(60.0, CEILING)
    assert pace.refused(60.0 + SAME_REFUSAL_SECONDS / 2, CEILING) is pace
    assert pace.refused(60.0 + 2 * SAME_REFUSAL_SECONDS, CEILING).rate(64.0, CEILING) < 0.6 * CEILING


def test_a_restart_is_slow_and_remembers_the_limit():
    assert Pace(0.0).restarted(60.0).rate(60.0, CEILING) == START_RATE
    pace = Pace(0.0).refused(60.0, CEILING).restarted(100.0)
    assert pace.rate(100.0, CEILING) == START_RATE
    assert pace.rate(100.0 + RETURN_SECONDS, CEILING) == pytest.approx(0.95 * CEILING)


@pytest.mark.parametrize(
    "pace, now, ceiling, rate",
    [
        # The start doubles every four seconds, from two a second or a tenth of the ceiling.
        (Pace(10.0), 10.0, 100.0, 10.0),
        (Pace(10.0), 14.0, 100.0, 20.0),
        (Pace(10.0), 18.0, 19.0, 8.0),
        (Pace(10.0), 10.0**6, 10.0**5, 10.0**5),
        # After a cut from 16 to 8: half the time brings seven eighths back.
        (Pace(10.0, 8.0, 16.0), 10.0, 100.0, 8.0),
        (Pace(10.0, 8.0, 16.0), 47.5, 100.0, 15.0),
        (Pace(10.0, 8.0, 16.0), 85.0, 100.0, 16.0),
        # Then the search for more goes ever faster: a twentieth of the ceiling, eight twentieths.
        (Pace(10.0, 8.0, 16.0), 135.0, 100.0, 21.0),
        (Pace(10.0, 8.0, 16.0), 185.0, 100.0, 56.0),
        (Pace(10.0, 8.0, 16.0), 185.0, 20.0, 20.0),
        (Pace(10.0, 8.0, 16.0), 47.5, 12.0, 12.0),
        # With a quarter of the usual ceiling all this takes twice as long.
        (Pace(10.0, 2.0, 4.0), 10.0, 4.75, 2.0),
        (Pace(10.0, 2.0, 4.0), 85.0, 4.75, 3.75),
        (Pace(10.0, 2.0, 4.0), 160.0, 4.75, 4.0),
        (Pace(10.0, 2.0, 4.0), 260.0, 4.75, 4.2375),
        (Pace(10.0), 14.0, 4.75, 4.0),
    ],
)
def test_the_curve(pace, now, ceiling, rate):
    assert pace.rate(now, ceiling) == pytest.approx(rate)


@pytest.mark.parametrize(
    "pace, now, low, plateau",
    [
        (Pace(0.0), 1.0, 2.0 * 2**0.25 / 2, 2.0 * 2**0.25 * 0.95),  # at the start no refusal is another's
        (Pace(0.0, 8.0, 16.0), 75.0, 12.0, 15.2),
        (Pace(0.0, 8.0, 16.0), 37.5, 11.25, 13.125),  # refused below the plateau: leaves more to others
        (Pace(0.0, 8.0, 8.0), 1.5, 4.0, 7.6),
        (Pace(0.0, 8.0, 8.0), 4.9, 4.0, 7.6),
        (Pace(0.0, 8.0, 8.0), 5.0, 6.0, 7.6),
        (Pace(0.0, 0.475, 0.475), 10.0, 0.475, 0.475),  # a fortieth of the ceiling
    ],
)
def test_what_a_refusal_takes(pace, now, low, plateau):
    after = pace.refused(now, CEILING)
    assert (after.since, after.low, after.plateau) == (now, pytest.approx(low), pytest.approx(plateau))


def test_a_refusal_of_the_same_moment_is_no_other():
    pace = Pace(10.0, 8.0, 16.0)
    assert pace.refused(11.4, CEILING) is pace


def test_a_restart_is_never_faster_than_the_known_limit():
    assert Pace(0.0, 0.5, 1.0).restarted(100.0) == Pace(100.0, 1.0, 1.0)


@given(st.lists(st.floats(0, 400), max_size=30), st.floats(0.01, 1000))
def test_the_rate_is_always_above_nothing_and_at_most_the_ceiling(pauses, ceiling):
    pace, now = Pace(0.0), 0.0
    for pause in pauses:
        now += pause
        assert 0 < pace.rate(now, ceiling) <= ceiling
        pace = pace.refused(now, ceiling)


@pytest.mark.parametrize("ceiling, lowest", [(1000.0, 0.5), (20.0, 0.5), (2.0, 0.05), (1 / 15, 1 / 600)])
def test_whatever_is_refused_some_requests_go(ceiling, lowest):
    pace, now = Pace(0.0), 0.0
    for _ in range(100):
        now += 2.0
        pace = pace.refused(now, ceiling)
    assert pace.rate(now, ceiling) == pytest.approx(lowest, rel=0.05)
