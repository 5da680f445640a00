"""The one door: whatever comes in, a bounded value or None goes out."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc import bounds

HUGE = 10**30
NOT_NUMBERS: list[Any] = [
    None,
    True,
    False,
    "",
    "x",
    "1.5",
    "1_000",
    "0x1",
    "\u0661",
    "1" * 21,
    1.5,
    [],
    {},
    b"1",
]
NOT_NUMBERS += [float("inf"), float("nan"), "Infinity"]
MS = 1622186275757


def odd(*values: Any) -> tuple[Any, ...]:
    return values


@pytest.mark.parametrize(
    "value, expected",
    [
        (0, 0),
        (-5, -5),
        ("7", 7),
        ("-7", -7),
        (" 7 ", 7),
        (7.0, 7),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (str(-(2**63)), -(2**63)),
        (2**63, None),
        (-(2**63) - 1, None),
        (str(2**63), None),
        (1e300, None),
        *((value, None) for value in NOT_NUMBERS),
    ],
)
def test_a_number_fits_64_bits(value: object, expected: int | None) -> None:
    assert bounds.number(value) == expected
    assert type(bounds.number(value)) in (int, type(None))


def test_a_number_lies_within_the_bounds_given() -> None:
    assert [bounds.number(value, 3, 5) for value in (2, 3, 5, 6, "4", "6")] == [None, 3, 5, None, 4, None]


def test_a_count_leaves_room_to_go_on() -> None:
    assert [bounds.count(value) for value in odd(5, "5", 0, -1, None, HUGE, 2**63 - 1, [])] == [
        5,
        5,
        0,
        0,
        0,
        0,
        0,
        0,
    ]
    assert bounds.count(2**62 - 1) == 2**62 - 1


@pytest.mark.parametrize(
    "value, expected",
    [
        ("a", "a"),
        (" a ", " a "),
        ("ü😀", "ü😀"),
        ("", None),
        (" \t\n", None),
        (5, None),
        (None, None),
        ([], None),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("a" * 5000, "a" * 4000),
    ],
)
def test_a_text_is_valid_and_has_a_length(value: object, expected: str | None) -> None:
    assert bounds.text(value) == expected


def test_a_text_is_cut_where_asked() -> None:
    assert bounds.text("abc", 2) == "ab"
    assert bounds.label("abc", 2) == "ab"


@pytest.mark.parametrize(
    "value, expected", [("x", "x"), (5, "5"), (5.0, "5"), (HUGE, None), (True, None), ("", None)]
)
def test_a_label_may_be_a_number(value: object, expected: str | None) -> None:
    assert bounds.label(value) == expected


def test_an_id_is_not_cut() -> None:
    assert bounds.job_id("a" * 1024) == "a" * 1024
    assert bounds.job_id("a" * 1025) is None
    assert [bounds.job_id(value) for value in ("", " ", 5, None)] == [None] * 4


@pytest.mark.parametrize(
    "value, unit_ms, expected",
    [
        (MS, 1, MS),
        (str(MS), 1, MS),
        (MS // 1000, 1000, MS // 1000 * 1000),
        (MS // 1000, 1, None),
        (MS, 1000, None),
        (0, 1, None),
        (-MS, 1, None),
        (HUGE, 1, None),
        (None, 1, None),
        (True, 1, None),
        (946684800000, 1, 946684800000),
        (946684799999, 1, None),
        (4102444799999, 1, 4102444799999),
        (4102444800000, 1, None),
    ],
)
def test_an_instant_is_plausible(value: object, unit_ms: int, expected: int | None) -> None:
    assert bounds.instant_ms(value, unit_ms) == expected


@given(st.integers(946684800000, 4102444799999))
def test_the_moment_of_an_instant_is_exact(at_ms: int) -> None:
    moment = bounds.moment(at_ms)
    assert moment.tzinfo is timezone.utc
    assert (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(milliseconds=1) == at_ms
    assert bounds.time(moment.isoformat()) == moment


@pytest.mark.parametrize(
    "value, expected",
    [
        ("2026-01-01T00:00:00+00:00", datetime(2026, 1, 1, tzinfo=timezone.utc)),
        ("2026-01-01T02:00:00+02:00", datetime(2026, 1, 1, tzinfo=timezone.utc)),
        ("2000-01-01T00:00:00+00:00", bounds.EARLIEST),
        ("2000-01-01T00:00:00+01:00", None),
        ("2100-01-01T00:00:00+00:00", None),
        ("2100-01-01T00:30:00+01:00", datetime(2099, 12, 31, 23, 30, tzinfo=timezone.utc)),
        ("2026-01-01T00:00:00.500Z", datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=timezone.utc)),
        ("Z", None),
        ("1999-12-31T23:59:59+00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2026-01-01T00:00:00", None),
        ("2026-01-01T00:00:00+00:00" + " " * 60, None),
        ("never", None),
        (5, None),
        (None, None),
    ],
)
def test_a_time_has_a_zone_and_a_plausible_year(value: object, expected: datetime | None) -> None:
    found = bounds.time(value)
    assert found == expected
    assert found is None or found.utcoffset() == timedelta(0)


def test_objects_and_lists_are_what_they_are_or_empty() -> None:
    assert bounds.mapping({"a": 1}) == {"a": 1}
    assert [bounds.mapping(value) for value in odd(None, [], "x", 5)] == [{}] * 4
    assert bounds.items([1, 2, 3], 2) == [1, 2]
    assert bounds.items((1,), 2) == [1]
    assert [bounds.items(value, 2) for value in odd(None, {}, "x", 5)] == [[]] * 4


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value, expected",
    [
        (HUGE, str(HUGE)),
        (-HUGE, str(-HUGE)),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, str(2**63)),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (float("nan"), None),
        (float("inf"), None),
        (-float("inf"), None),
        ("\0", "\N{REPLACEMENT CHARACTER}"),
        ({"\ud800": [HUGE]}, {"\N{REPLACEMENT CHARACTER}": [str(HUGE)]}),
        ({5: (1, 2)}, {"5": [1, 2]}),
        (b"x", None),
        ({1, 2}, None),
        (nested(64), nested(64)),
        ("", ""),
    ],
)
def test_plain_json_keeps_what_every_process_carries(value: object, expected: object) -> None:
    found = bounds.plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_a_number_of_thousands_of_digits_is_only_named() -> None:
    assert bounds.plain([10**5000]) == ["a number of thousands of digits"]


def test_what_nests_too_deeply_is_dropped() -> None:
    innermost = bounds.plain(nested(70))
    for _ in range(63):
        (innermost,) = innermost
    assert innermost == [None]


def test_a_document_has_a_size() -> None:
    assert bounds.document({"a": HUGE}, 100) == {"a": str(HUGE)}
    assert bounds.document({"a": "ü" * 10}, 29) == {"a": "ü" * 10}
    assert bounds.document({"a": "ü" * 10}, 28) is None
    assert [bounds.document(value, 100) for value in odd(None, [], "x", 5)] == [None] * 4


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=5)
    | st.binary(max_size=3)
    | st.sampled_from([HUGE, -HUGE, 2**63, -(2**63) - 1, MS, "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | st.integers(), inner),
    max_leaves=12,
)


@given(anything)
def test_nothing_raises_and_everything_can_be_sent_and_stored(value: Any) -> None:
    found = [
        bounds.number(value),
        bounds.count(value),
        bounds.text(value),
        bounds.label(value),
        bounds.job_id(value),
        bounds.instant_ms(value),
        bounds.instant_ms(value, 1000),
        bounds.plain(value),
        bounds.items(bounds.plain(value), 9),
        bounds.document(value, 1000),
    ]
    bounds.time(value)
    bounds.mapping(value)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found)) == found
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("value, read", [(0, 0.0), (1_796_037_897.5, 1_796_037_897.5), (1, 1.0)])
def test_seconds_since_1970_are_read(value, read):
    assert bounds.unix_seconds(value) == read


@pytest.mark.parametrize("value", [True, None, "1", -1, float("nan"), float("inf"), 10**400, [], 1e12])
def test_what_is_no_time_since_1970_is_none(value):
    assert bounds.unix_seconds(value) is None
