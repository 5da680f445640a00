"""Requests of one process are spread over time, and give way when the service refuses them."""

import gc
import heapq
import itertools
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.cloud.budget import (
    DOUBLING_SECONDS,
    RETURN_SECONDS,
    SAME_REFUSAL_SECONDS,
    START_RATE,
    Budget,
    Pace,
    shared_budget,
)

CEILING = 19.0


@given(st.lists(st.floats(0, 5), min_size=2, max_size=50), st.floats(0.1, 100))
def test_no_two_requests_come_closer_than_the_ceiling_allows(pauses, ceiling):
    now = [100.0]
    budget, slots = Budget(clock=lambda: now[0]), []
    for pause in pauses:
        now[0] += pause
        slots.append(now[0] + budget.reserve(ceiling))
        assert slots[-1] >= now[0]
    assert all(b - a >= 1 / ceiling - 1e-9 for a, b in itertools.pairwise(slots))


def test_an_idle_budget_lets_the_next_request_go_at_once_but_saves_nothing_up():
    now = [100.0]
    budget = Budget(clock=lambda: now[0])
    assert [budget.reserve(2) for _ in range(3)] == pytest.approx([0.0, 0.5, 1.0])
    now[0] += 60
    assert [budget.reserve(5) for _ in range(2)] == pytest.approx([0.0, 0.2])


def test_threads_never_get_the_same_moment():
    budget = Budget(clock=lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: budget.reserve(1), range(200)))
    assert sorted(waits) == [float(n) for n in range(200)]


def test_equal_keys_share_a_budget_until_nobody_holds_it(monkeypatch):
    monkeypatch.undo()  # the folder's own budgets never forget
    first = shared_budget(("a", 1))
    assert shared_budget(("a", 1)) is first
    assert shared_budget(("b", 1)) is not first
    first.reserve(0.001)
    del first
    gc.collect()
    assert shared_budget(("a", 1)).reserve(1) == 0.0


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


def test_whatever_is_refused_some_requests_go():
    now = [0.0]
    budget = Budget(clock=lambda: now[0])
    for _ in range(100):
        now[0] += 2.0
        budget.refused(CEILING)
    assert 0.4 < budget.rate(CEILING) <= 0.6


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
        (Pace(0.0, 0.5, 0.5), 10.0, 0.5, 0.5),
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


def test_a_budget_restarts_slowly_also_one_that_was_never_used():
    now = [0.0]
    budget = Budget(clock=lambda: now[0])
    assert budget.rate(CEILING) == 2.0
    budget.restart()
    assert budget.rate(CEILING) == 2.0
    now[0] = 60.0
    assert budget.rate(CEILING) == CEILING
    budget.restart()
    assert budget.rate(CEILING) == 2.0


@given(st.lists(st.floats(0, 400), max_size=30), st.floats(0.01, 1000))
def test_the_rate_is_always_above_nothing_and_at_most_the_ceiling(pauses, ceiling):
    pace, now = Pace(0.0), 0.0
    for pause in pauses:
        now += pause
        assert 0 < pace.rate(now, ceiling) <= ceiling
        pace = pace.refused(now, ceiling)


class Limit:
    """Allows 20 requests in a second, which begins with its first request, as the service does."""

    def __init__(self):
        self.began_at, self.seen = -1.0, 0

    def lets_through(self, now):
        if now - self.began_at >= 1.0:
            self.began_at, self.seen = now, 0
        self.seen += 1
        return self.seen <= 20


def share(count, *, seconds=600.0, seed=0, apart=20.0):
    """Let processes that always have something to ask share one limit; return how many each got and lost."""
    chance, limit = random.Random(seed), Limit()
    now = [0.0]
    budgets = [Budget(clock=lambda: now[0]) for _ in range(count)]
    passed, refused = [0] * count, [0] * count
    events = [(apart * number, "send", number) for number in range(count)]  # they start one after the other
    while events:
        now[0], what, number = heapq.heappop(events)
        if now[0] > seconds:
            break
        if what == "send":
            wait = budgets[number].reserve(CEILING)
            sent_at = now[0] + wait
            heapq.heappush(events, (sent_at + 0.002 + chance.expovariate(1 / 0.004), "arrive", number))
            heapq.heappush(events, (sent_at + 1e-6, "send", number))
        elif limit.lets_through(now[0]):
            passed[number] += 1
        else:
            refused[number] += 1
            budgets[number].refused(CEILING)
    return passed, refused


def test_whoever_joins_a_crowd_is_refused_rarely_from_the_start():
    """Four begin within a second; when each doubled its rate every second, they had three times as many."""
    _, refused = share(4, apart=0.2, seconds=60.0)
    assert sum(refused) <= 0.015 * 20 * 60


@pytest.mark.parametrize("count", [1, 2, 4])
def test_processes_that_know_nothing_of_one_another_share_the_limit(count):
    """The random numbers are fixed, and so is the result: no clock is read."""
    passed, refused = share(count)
    assert sum(passed) > 0.85 * 20 * 600
    assert sum(refused) <= 0.005 * (sum(passed) + sum(refused))
    assert min(passed) > 0.4 * sum(passed) / count
