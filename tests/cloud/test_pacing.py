"""Requests of one process are spread over time."""

import gc
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_trtc.cloud.pacing import Budget, next_slot, shared_budget


@settings(deadline=None)
@given(st.lists(st.floats(0, 5), min_size=2, max_size=50), st.floats(0.1, 100))
def test_no_two_requests_come_closer_than_the_rate_allows(pauses, rate):
    free_at, now, slots = 0.0, 0.0, []
    for pause in pauses:
        now += pause
        starts_at, free_at = next_slot(free_at, now, rate)
        assert starts_at >= now
        slots.append(starts_at)
    assert all(b - a >= 1 / rate - 1e-9 for a, b in itertools.pairwise(slots))


def test_an_idle_budget_lets_the_next_request_go_at_once_but_saves_nothing_up():
    now = [100.0]
    budget = Budget(clock=lambda: now[0])
    assert [budget.wait_seconds(10) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    now[0] += 60
    assert [budget.wait_seconds(10) for _ in range(2)] == pytest.approx([0.0, 0.1])


def test_threads_never_get_the_same_moment():
    budget = Budget(clock=lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: budget.wait_seconds(1), range(200)))
    assert sorted(waits) == [float(n) for n in range(200)]


def test_equal_keys_share_a_budget_until_nobody_holds_it(monkeypatch):
    monkeypatch.undo()  # the folder's own budgets never forget
    first = shared_budget(("a", 1))
    assert shared_budget(("a", 1)) is first
    assert shared_budget(("b", 1)) is not first
    first.wait_seconds(0.001)
    del first
    gc.collect()
    assert shared_budget(("a", 1)).wait_seconds(1) == 0.0
