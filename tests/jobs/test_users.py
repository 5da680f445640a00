"""Ids of users, lists of them, and what can be blocked."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.jobs.users import (
    BLOCKS,
    MAX_USERS,
    in_calls,
    read_block,
    read_present_user,
    read_present_users,
    read_user_id,
)

UUID = "4c993597-4210-4796-bd2d-990f7b52b1da"  # of a real user, longer than documented


def test_what_we_name_keeps_to_the_documented_rule() -> None:
    assert read_user_id("u", "x" * 32) == "x" * 32
    assert read_user_id("u", 5) == "5"
    assert read_user_id("u", None) is read_user_id("u", "") is None
    for wrong in ("x" * 33, UUID, "a b", "ü", True, 1.5, ["a"], "None"):
        with pytest.raises(ValueError, match="u "):
            read_user_id("u", wrong)


@pytest.mark.parametrize("given, found", [(UUID, UUID), (" a@b.example ", "a@b.example"), (7, "7")])
def test_who_is_in_a_room_may_have_any_id(given: Any, found: str) -> None:
    assert read_present_user("u", given) == found


@pytest.mark.parametrize("wrong", ["", " ", "None", None, True, 1.5, ["a"], "a\nb", "x" * 257])
def test_what_can_be_no_id(wrong: Any) -> None:
    with pytest.raises(ValueError, match="u "):
        read_present_user("u", wrong)


@pytest.mark.parametrize(
    "given, found",
    [
        ("a", ["a"]),
        (7, ["7"]),
        (["b", "a", "b", 3], ["b", "a", "3"]),
        (("a",), ["a"]),
        (iter(["a", "b"]), ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ("[a", ["[a"]),
        ([], []),
        ("[]", []),
    ],
)
def test_lists_of_users(given: Any, found: list[str]) -> None:
    assert read_present_users("users", given) == found


@pytest.mark.parametrize(
    "wrong, words",
    [
        (None, "id of a user or a list of them"),
        ({"a": 1}, "id of a user or a list of them"),
        (True, "id of a user or a list of them"),
        (["a", ""], r"users\[1\] is empty"),
        (["a", None], r"users\[1\] must be"),
        (["a"] * (MAX_USERS + 1), "at most 10000 users, not 10001"),
        (b"eve", "must be the id of a user or a list of them, not b'eve'"),
        (bytearray(b"eve"), "must be the id of a user or a list of them"),
        ("['eve', 'bob']", r"is the text of a list, but no JSON: .* write \{\{ \.\.\. \| tojson \}\}"),
    ],
)
def test_no_lists_of_users(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_present_users("users", wrong)


def test_one_call_takes_ten() -> None:
    users = [str(number) for number in range(23)]
    parts = list(in_calls(users))
    assert [len(part) for part in parts] == [10, 10, 3]
    assert [user for part in parts for user in part] == users
    assert list(in_calls([])) == []


def test_blocks_are_words() -> None:
    assert {word: BLOCKS[read_block("block", f" {word.upper()} ")] for word in BLOCKS} == {
        "none": 0,
        "both": 1,
        "audio": 2,
        "video": 3,
    }
    for wrong in (1, "1", None, "", "sound", True):
        with pytest.raises(ValueError, match="block must be one of none, both, audio, video"):
            read_block("block", wrong)
