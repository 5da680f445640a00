"""Numbers of updates: the same for all tries, growing over tasks, and higher ones when they are needed."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest

from airflow_trtc.bounds import HIGHEST
from airflow_trtc.publishing.sequence import Numbered, higher_numbers, is_late, numbered, read_numbered

NOW = 1_796_000_000_000
UPDATE = Numbered(NOW, NOW, "digest", max_tries=2)


def later(seconds: float) -> int:
    return NOW + round(seconds * 1000)


def next_try(kept: Numbered | None, **changes: Any) -> Numbered:
    given = {"content": "digest", "now_ms": later(300), "max_tries": 2, **changes}
    return numbered(kept, **given)


def test_a_new_update_is_numbered_by_the_clock() -> None:
    assert numbered(None, content="digest", now_ms=NOW, max_tries=2) == UPDATE


def test_a_later_try_has_the_same_number() -> None:
    assert next_try(UPDATE) is UPDATE


@pytest.mark.parametrize(
    "kept, changes",
    [
        (replace(UPDATE, handed_on=True), {}),  # it succeeded, and runs again
        (UPDATE, {"max_tries": 3}),  # it was cleared
        (UPDATE, {"content": "other"}),
    ],
)
def test_what_is_wanted_anew_has_a_new_number(kept: Numbered, changes: dict[str, Any]) -> None:
    found = next_try(kept, **changes)
    assert (found.number, found.decided_at_ms, found.handed_on) == (later(300), later(300), False)


def test_a_number_is_higher_than_the_one_before_even_where_the_clock_is_behind() -> None:
    assert next_try(None, last=later(900)).number == later(900) + 1
    assert next_try(None, last=0).number == later(300)


def test_an_update_as_new_as_the_other_takes_higher_numbers_beyond_wrong_clocks_and_finer_units() -> None:
    found = list(higher_numbers(UPDATE, lambda: later(1)))
    for unit in (1, 1000, 1_000_000):
        assert {later(1) * unit, later(11) * unit, later(601) * unit} <= set(found)
    assert found == sorted(set(found))
    assert found[-1] <= HIGHEST < 2**64


def test_higher_numbers_are_those_of_the_moment_at_which_they_are_wanted() -> None:
    times = iter(range(NOW + 1, NOW + 100))
    found = higher_numbers(UPDATE, lambda: next(times))
    assert [next(found), next(found)] == [NOW + 1, NOW + 2]


def test_there_is_no_number_beyond_what_is_carried() -> None:
    assert list(higher_numbers(replace(UPDATE, number=HIGHEST), lambda: NOW)) == []


def test_numbers_grow_although_the_clock_stands_still_or_was_set_back() -> None:
    for now_ms in (NOW, NOW - 5_000):
        assert next(higher_numbers(UPDATE, repeat(now_ms).__next__)) == NOW + 1


def test_an_update_is_late_after_half_a_minute() -> None:
    assert not is_late(UPDATE, later(30))
    assert is_late(UPDATE, later(30.001))


def test_a_row_is_read_as_it_was_written() -> None:
    for each in (UPDATE, replace(UPDATE, handed_on=True, try_number=3)):
        assert read_numbered(each.to_json()) == each


@pytest.mark.parametrize(
    "changes", [{"v": 2}, {"number": 0}, {"number": 10**30}, {"decided_at_ms": "x"}, {"content": None}]
)
def test_a_row_of_something_else_is_refused(changes: dict[str, Any]) -> None:
    rows: list[Any] = [{**UPDATE.to_json(), **changes}, None, [], "x"]
    for wrong in rows:
        with pytest.raises(ValueError, match="no number of this version"):
            read_numbered(wrong)
