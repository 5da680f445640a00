"""Waits without interruption: each mode comes to the same end, and hands on the same."""

from __future__ import annotations

import pytest

from tests.e2e.stage import MODES, Stage, index_file

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("mode", MODES)]


def test_a_recording_that_ends_between_two_polls_hands_on_all_its_files(stage: Stage, mode: str) -> None:
    recording_id = stage.record(files=3, file_every_reads=1, ends_after_reads=3)
    stage.wait(f"plain_{mode}", recording_id).assert_handed_on("gone", file_count=3)


def test_a_file_that_is_listed_only_while_the_recording_exits_is_handed_on(stage: Stage, mode: str) -> None:
    recording_id = stage.record(
        {"files": 1},
        {"files": 1, "status": "Exited"},
        {"files": 2, "status": "Exited", "reads": 2},
        {"gone": True},
        files=2,
    )
    stage.wait(f"plain_{mode}", recording_id).assert_handed_on("exited", file_count=2)


def test_an_unknown_status_only_prolongs_the_wait(stage: Stage, mode: str) -> None:
    recording_id = stage.record(
        {"files": 1, "status": "Paused", "reads": 2},
        {"files": 2, "status": "Completed"},
        {"gone": True},
        files=2,
    )
    stage.wait(f"plain_{mode}", recording_id).assert_handed_on("gone", file_count=2)


def test_a_recording_without_files_skips_what_maps_over_them(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"plain_{mode}", stage.record(files=0, ends_after_reads=1))
    wait.assert_handed_on("gone", file_count=0)
    assert wait.states() == {"wait": "success", "process": "skipped", "after": "success"}


def test_more_files_than_airflow_maps_over_fail_with_the_setting_to_change(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"plain_{mode}", stage.record(files=1500, ends_after_reads=1))
    assert wait.end() == "failed"
    assert "1500 files are more than Airflow maps over (1024). Set [core] max_map_length" in wait.log()
    wait.assert_summary("gone", file_count=1500)


def test_a_wrong_id_fails_and_says_what_to_compare(stage: Stage, mode: str) -> None:
    right = stage.record(files=1)
    wrong = ("b" if right[0] == "a" else "a") + right[1:]
    wait = stage.wait(f"plain_{mode}", wrong)
    assert wait.end() == "failed"
    assert "has not known this recording" in wait.log()
    assert "the recording id, the SdkAppId or the region is wrong" in wait.log()


def test_a_recording_that_was_over_before_can_count_as_finished(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"finish_{mode}", stage.record(files=0, ended=True))
    wait.assert_handed_on("never_seen", file_count=0)


def test_a_recording_that_was_over_before_can_be_skipped(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"skip_{mode}", stage.record(files=1, ended=True))
    assert wait.end() == "success"
    assert wait.states() == {"wait": "skipped", "process": "skipped", "after": "success"}


@pytest.mark.parametrize("status", ["InProgress", "Completed"])
def test_a_wait_that_takes_too_long_fails(stage: Stage, mode: str, status: str) -> None:
    wait = stage.wait(f"short_{mode}", stage.record({"files": 1, "status": status}, files=1))
    assert wait.end() == "failed"
    assert wait.states()["wait"] == "failed"
    assert "AirflowSensorTimeout" in wait.log()
    assert f"still runs: status {status}, 1 files so far" in wait.log()


def test_a_wait_that_takes_too_long_is_skipped_with_soft_fail(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"short_soft_{mode}", stage.record(files=1))
    assert wait.end() == "success"
    assert wait.states() == {"wait": "skipped", "process": "skipped", "after": "success"}


def test_a_wrong_key_fails_while_the_recording_still_runs(stage: Stage, mode: str) -> None:
    wait = stage.wait(f"wrong_key_{mode}", stage.record(files=1))
    assert wait.end() == "failed"
    assert wait.truth()["status"] == "InProgress"
    assert "AuthFailure.SignatureFailure" in wait.log()


def test_a_file_that_is_no_longer_listed_is_handed_on(stage: Stage, mode: str) -> None:
    first, second = index_file(1), index_file(2)
    recording_id = stage.record({"files": [first]}, {"files": [second]}, {"gone": True}, files=0)
    stage.wait(f"plain_{mode}", recording_id).assert_handed_on("gone", file_count=2)
