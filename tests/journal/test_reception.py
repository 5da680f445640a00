"""The rows about callbacks that came and that were refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc import bounds
from airflow_trtc.journal.reception import (
    MINUTE_MS,
    REASONS,
    Heard,
    Refused,
    heard_from,
    refused_from,
    refused_key,
)

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=timezone.utc)
NOW_MS = bounds.unix_ms(NOW)
REFUSED = Refused("trtc_default", 3, NOW - timedelta(minutes=5), NOW, "unsigned")


def stored(value: dict[str, Any]) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def by_age(heard: Heard, now: datetime = NOW) -> dict[int, int]:
    """How many came, by how many minutes ago."""
    newest = bounds.unix_ms(now) // MINUTE_MS
    return {newest - minute: count for minute, count in heard.minutes.items()}


def minutes_ago(minutes: float) -> int:
    return NOW_MS - round(minutes * MINUTE_MS)


def test_callbacks_are_counted_by_the_minute() -> None:
    heard = Heard(5).added([minutes_ago(0), minutes_ago(0.1), minutes_ago(1), minutes_ago(10)], NOW_MS)
    assert by_age(heard) == {0: 2, 1: 1, 10: 1}
    assert heard.a_minute(NOW) == 0.2
    assert heard.last_at == NOW
    assert heard_from(stored(heard.value)) == heard
    later = heard.added([NOW_MS + MINUTE_MS], NOW_MS + MINUTE_MS)
    assert by_age(later, NOW + timedelta(minutes=1)) == {0: 1, 1: 2, 2: 1}
    assert later.a_minute(NOW + timedelta(minutes=1)) == 0.3
    assert later.a_minute(NOW + timedelta(hours=1)) == 0.0


def test_what_came_long_ago_is_only_the_last_if_nothing_came_since() -> None:
    old = Heard(5).added([minutes_ago(600)], NOW_MS)
    assert (old.last_at, old.minutes) == (bounds.moment(minutes_ago(600)), {})
    assert old.added([minutes_ago(1)], NOW_MS).last_at == bounds.moment(minutes_ago(1))
    assert old.added([minutes_ago(900)], NOW_MS).last_at == old.last_at


def test_a_clock_that_is_ahead_counts_as_now_and_is_forgotten() -> None:
    ahead = Heard(5).added([NOW_MS + 10**9], NOW_MS)
    assert (ahead.last_at, by_age(ahead)) == (NOW, {0: 1})
    odd = Heard(5, NOW + timedelta(days=900), {NOW_MS // MINUTE_MS + 5: 7})
    assert odd.added([minutes_ago(1)], NOW_MS) == Heard(5, NOW, {NOW_MS // MINUTE_MS - 1: 1})


def test_refusals_add_up_and_the_last_reason_counts() -> None:
    one = Refused("trtc_default", 1, NOW + timedelta(minutes=1), NOW + timedelta(minutes=1), "no_event")
    assert one.after(None) == one
    assert one.after(REFUSED) == replace(one, count=4, since=REFUSED.since)
    assert REFUSED.after(one) == one.after(REFUSED)
    late = replace(one, since=NOW + timedelta(minutes=61), last_at=NOW + timedelta(minutes=61))
    assert late.after(REFUSED) == late


def test_a_refusal_is_read_back_and_all_spellings_are_one_row() -> None:
    assert refused_from(stored(REFUSED.value)) == REFUSED
    assert refused_key("Trtc_Default") == REFUSED.key


@pytest.mark.parametrize(
    "field, value", [("v", 2), ("conn_id", ""), ("since_ms", 0), ("last_ms", "x"), ("reason", "because")]
)
def test_another_row_is_none(field: str, value: object) -> None:
    assert refused_from({**REFUSED.value, field: value}) is None


def test_each_reason_has_a_sentence() -> None:
    for reason in REASONS:
        assert refused_from({**REFUSED.value, "reason": reason}) == replace(REFUSED, reason=reason)
        assert REASONS[reason].strip()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([REFUSED.value, Heard(5, NOW, {1: 1}).value]), st.data())
def test_any_stored_row_is_read(value: dict[str, Any], data: st.DataObject) -> None:
    changed = {**value, data.draw(st.sampled_from(sorted(value))): data.draw(json_values)}
    refused = refused_from(changed)
    assert refused is None or stored(refused.after(REFUSED).value)
    heard = heard_from(changed)
    assert heard is None or stored(heard.added([NOW_MS], NOW_MS).value)
