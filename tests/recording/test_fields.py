"""Whatever a template renders to is read or refused, and what is read fits the service."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.arguments import is_template
from airflow_trtc.jobs.users import read_user_id
from airflow_trtc.recording import parameters
from airflow_trtc.recording.attempts import RECORDING_STARTS
from airflow_trtc.recording.fields import Field, Table, never, number, one, read_object, text, texts
from airflow_trtc.recording.rooms import read_room, read_room_type
from airflow_trtc.recording.started import read_named, read_started
from airflow_trtc.recording.storage import read_storage


def names_in(table: Table) -> set[str]:
    """All names of a table and those inside."""
    return set(table) | {name for each in table.values() for name in names_in(each.fields)}


TABLES = (parameters.STORAGE, parameters.RECORD_PARAMS, parameters.MIX_LAYOUT, parameters.MIX_TRANSCODE)
names = st.sampled_from(
    sorted({name for table in TABLES for name in names_in(table)} | {"recording_id", "v"})
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-5, 50)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        ["cos://b?region=r", "vod://?MediaType=1", "{{ x }}", "\ud800", "1", 10**30, "{", "s3://["]
    )
)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6)
)
READERS: list[Callable[[Any], Any]] = [
    lambda value: read_storage("a", value),
    lambda value: read_storage("a", value, is_template),
    lambda value: parameters.read_record_params("a", value),
    lambda value: parameters.read_mix_layout("a", value, is_template),
    lambda value: parameters.read_mix_transcode("a", value),
    lambda value: parameters.read_subscriptions("a", value),
    lambda value: parameters.read_expired_hours("a", value),
    lambda value: read_room("a", value),
    lambda value: read_room_type("a", value),
    lambda value: read_user_id("a", value),
    lambda value: read_named("a", value),
    RECORDING_STARTS.read,
    read_started,
]


@pytest.mark.parametrize("reader", READERS)
@given(value=anything)
def test_anything_is_read_or_refused(reader: Callable[[Any], Any], value: Any) -> None:
    with contextlib.suppress(ValueError):
        reader(value)


@given(value=anything)
def test_what_is_read_can_be_sent(value: Any) -> None:
    with contextlib.suppress(ValueError):
        json.dumps(parameters.read_record_params("a", value), allow_nan=False)


TABLE: dict[str, Field] = {
    "Number": number(1, 5, required=True),
    "Text": text(most=3),
    "List": texts(most=2),
    "Inner": one({"Number": number(0)}),
}


@pytest.mark.parametrize(
    "given_, words",
    [
        ({"Number": 1, "Text": "äöü"}, "a.Text takes at most 3 bytes, not 6"),
        ({"Number": 1, "Text": " "}, "a.Text is empty"),
        ({"Number": 1, "Text": True}, "a.Text must be a text, not True"),
        ({"Number": 1, "List": [1, 2, 3]}, "a.List takes at most 2 entries, not 3"),
        ({"Number": 1, "List": ["a", {}]}, r"a.List\[1\] must be a text, not an object"),
        ({"Number": 1, "Inner": {"Number": -1}}, "a.Inner.Number must be a whole number from 0 on, not -1"),
        ({"Number": 1, "Inner": {"Numbr": 1}}, "a.Inner has no field 'Numbr'; did you mean Number"),
        ({"Number": 1, 5: 1}, "a has no field 5"),
    ],
)
def test_paths_and_limits_are_named(given_: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_object("a", given_, TABLE)


def test_a_number_where_a_text_belongs_becomes_its_digits() -> None:
    assert read_object("a", {"Number": "5", "Text": 12, "List": [1]}, TABLE) == {
        "Number": 5,
        "Text": "12",
        "List": ["1"],
    }
    assert not never("{{ x }}")
