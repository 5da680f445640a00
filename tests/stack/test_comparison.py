from dataclasses import replace
from typing import Any

import pytest

from tests.stack.__main__ import report
from tests.stack.comparison import (
    CHANGED,
    INVENTED,
    LOST,
    REPEATED,
    SAME,
    File,
    Row,
    compare,
    received_file,
    recorded_file,
    table,
)

ALICE = File("alice.m3u8", "alice", "audio", 1_700_000_000_000)
BOB = File("bob.m3u8", "bob", "video", 1_700_000_001_000)


def verdicts(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.file.name, row.verdict) for row in rows]


def test_files_that_arrived_as_recorded_are_right() -> None:
    rows = compare([ALICE, BOB], [("work[0]", BOB), ("work[1]", ALICE)])
    assert verdicts(rows) == [("bob.m3u8", SAME), ("alice.m3u8", SAME)]


def test_a_file_that_nobody_received_is_lost() -> None:
    assert verdicts(compare([ALICE, BOB], [("work[0]", ALICE)]))[1] == ("bob.m3u8", LOST)


def test_a_file_that_was_never_recorded_is_invented() -> None:
    assert verdicts(compare([], [("work[0]", ALICE)])) == [("alice.m3u8", INVENTED)]


def test_a_file_received_twice_is_right_only_once() -> None:
    rows = compare([ALICE], [("work[0]", ALICE), ("work[1]", ALICE)])
    assert [row.verdict for row in rows] == [SAME, REPEATED]


@pytest.mark.parametrize(
    "difference", [{"user_id": "eve"}, {"track_type": "video"}, {"begin_timestamp_ms": 1}]
)
def test_a_file_that_differs_in_any_field_is_changed(difference: dict[str, Any]) -> None:
    (row,) = compare([ALICE], [("work[0]", replace(ALICE, **difference))])
    assert row.verdict.startswith(CHANGED)


def test_a_mixed_file_has_no_user_on_either_side() -> None:
    recorded = {"FileName": "all.m3u8", "UserId": "", "TrackType": "audio_video", "BeginTimeStamp": 5}
    received = {
        "file_name": "all.m3u8",
        "user_id": None,
        "track_type": "audio_video",
        "begin_timestamp_ms": 5,
        "object_key": "x/all.m3u8",
    }
    assert recorded_file(recorded) == received_file(received)


def test_the_table_has_a_line_for_each_file_in_columns_of_one_width() -> None:
    head, ruler, *lines = table([Row("work[0]", ALICE, SAME), Row("-", BOB, LOST)])
    assert [line.index(name) for line, name in zip(lines, ("alice.m3u8", "bob.m3u8"), strict=True)] == [
        head.index("file"),
        head.index("file"),
    ]
    assert set(ruler) == {"-", " "}
    assert lines[1].endswith(LOST)


def test_report_of_equal_files_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([Row("work[0]", ALICE, SAME)], {}) == 0
    assert "OK: 1 files were recorded" in capsys.readouterr().out


def test_report_of_a_difference_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([Row("work[0]", ALICE, SAME), Row("-", BOB, LOST)], {}) == 1
    assert "FAILED: 1 of 2 files" in capsys.readouterr().out


def test_report_of_a_failed_task_shows_its_log_and_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([Row("work[0]", ALICE, SAME)], {"wait": "the reason"}) == 1
    assert "the reason" in capsys.readouterr().out


def test_report_of_nothing_at_all_is_exit_code_1() -> None:
    assert report([], {}) == 1
