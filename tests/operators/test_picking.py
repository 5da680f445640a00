"""Parts of answers by their paths."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.operators.picking import pick, read_path

ANSWER = {"Total": 2, "List": [{"Id": "a", "Deep": {"N": 1}}, {"Id": "b", "Deep": None}], "Nothing": None}


@pytest.mark.parametrize(
    "path, found",
    [
        ("Total", 2),
        ("List[0].Id", "a"),
        ("List[-1].Id", "b"),
        ("List[*].Id", ["a", "b"]),
        ("List[0].Deep.N", 1),
        ("Nothing", None),
    ],
)
def test_what_is_there_is_found(path: str, found: Any) -> None:
    assert read_path("result", path) == path
    assert pick(ANSWER, path) == found


@pytest.mark.parametrize(
    "path, words",
    [
        ("Totall", "the answer has no Totall; it has Total, List, Nothing"),
        ("List[2]", r"List has 2 items, so there is no \[2\]"),
        ("List[-3]", r"there is no \[-3\]"),
        ("List.Id", "List is list, which has no Id"),
        ("Total[0]", "Total is int, not a list"),
        ("Total[*]", "Total is int, not a list"),
        ("List[*].Deep.N", r"List\[1\].Deep is null, which has no N"),
        ("Nothing.N", "Nothing is null, which has no N"),
    ],
)
def test_what_is_not_there_is_an_error_that_says_how_far_the_path_leads(path: str, words: str) -> None:
    with pytest.raises(LookupError, match=words):
        pick(ANSWER, path)


@pytest.mark.parametrize(
    "path", [".", "a.", ".a", "a..b", "a[", "a[]", "a[x]", "[0]", "a b", "a[0]b", 7, ["a"]]
)
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match="result must be a path into the answer"):
        read_path("result", path)


@pytest.mark.parametrize("path", [None, ""])
def test_no_path_is_the_whole_answer(path: Any) -> None:
    assert read_path("result", path) is None
