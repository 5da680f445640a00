"""Numeric and string rooms."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.recording.rooms import Room, read_room, read_room_type, read_room_word


@pytest.mark.parametrize(
    "room_id, room_type, room, value",
    [
        (5, None, Room("5", 1), 5),
        (4294967294, None, Room("4294967294", 1), 4294967294),
        ("5", None, Room("5", 0), "5"),
        (" lesson 5 ", None, Room("lesson 5", 0), "lesson 5"),
        (" 5 ", "numeric", Room("5", 1), 5),
        ("005", 1, Room("5", 1), 5),
        (5, "string", Room("5", 0), "5"),
        ("x" * 64, 0, Room("x" * 64, 0), "x" * 64),
        ("a!#$%&()+-:;<=.>?@[]^_{}|~,", None, Room("a!#$%&()+-:;<=.>?@[]^_{}|~,", 0), None),
    ],
)
def test_rooms(room_id: Any, room_type: Any, room: Room, value: Any) -> None:
    found = read_room("room_id", room_id, read_room_type("room_id_type", room_type))
    assert found == room
    assert value is None or found.value == value


@pytest.mark.parametrize(
    "room_id, room_type, words",
    [
        (0, None, "numeric room must be a whole number from 1 to 4294967294, not 0"),
        (4294967295, None, "from 1 to 4294967294"),
        ("lesson", 1, "numeric room must be a whole number"),
        (True, None, "must be an int for a numeric room or a text"),
        (5.0, None, "must be an int"),
        (None, None, "must be an int"),
        ("", None, "room_id is empty"),
        ("None", None, "a template may have rendered to nothing"),
        ("x" * 65, None, "at most 64 bytes, not 65"),
        ("ü" * 33, None, "at most 64 bytes, not 66"),
        ("a/b", None, "not what is in 'a/b'"),
    ],
)
def test_no_rooms(room_id: Any, room_type: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_room("room_id", room_id, room_type)


@pytest.mark.parametrize(
    "given, found", [(0, 0), ("1", 1), ("String", 0), ("numeric", 1), (None, None), ("", None)]
)
def test_types(given: Any, found: int | None) -> None:
    assert read_room_type("t", given) == found


@pytest.mark.parametrize("wrong", [2, True, 1.0, "number", "None"])
def test_no_types(wrong: Any) -> None:
    with pytest.raises(ValueError, match='t must be 0 or "string", or 1 or "numeric"'):
        read_room_type("t", wrong)


def test_a_string_room_with_a_numeric_name_may_be_a_mistake() -> None:
    assert read_room("r", "5").may_be_mistaken
    assert not read_room("r", 5).may_be_mistaken
    assert not read_room("r", "lesson").may_be_mistaken


def test_types_in_words_where_the_numbers_of_the_service_mean_the_opposite() -> None:
    assert read_room_word("t", " Numeric ") == "numeric"
    assert read_room_word("t", "string") == "string"
    assert read_room_word("t", None) is read_room_word("t", "") is None
    for wrong in (0, 1, "0", "1", True, "number"):
        with pytest.raises(ValueError, match="mean the opposite"):
            read_room_word("t", wrong)


def test_rooms_are_shown_with_their_type() -> None:
    assert str(read_room("r", "5", "numeric")) == "numeric room 5"
    assert str(read_room("r", "5", None)) == "string room 5"
    assert read_room("r", 5, None).word == "numeric"
