"""What people see of a wait, and what must not be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import SECRET_KEY, WRONG_KEY
from tests.e2e.stage import Stage

pytestmark = pytest.mark.e2e


def test_a_deferred_wait_shows_what_it_knows(stage: Stage) -> None:
    wait = stage.wait("plain_deferrable", stage.record({"files": 1}, {"files": 2}, files=2))
    page = stage.emulator.page_url(wait.recording_id)
    progress = wait.until_known(2)
    assert wait.task()["state"] == "deferred"

    assert progress["status"] == "InProgress"
    names = [file["FileName"] for file in wait.truth()["files"]]
    assert [file["file_name"] for file in progress["files"]] == names
    assert progress["console_url"] == page
    for line in ("status InProgress", *(f"new file {name}" for name in names)):
        stage.until(lambda: line in wait.log(), f"{line!r} in the task's log")  # noqa: B023 - called here only
    assert wait.get("links")["extra_links"]["TRTC console"] == page
    assert wait.recording_id in httpx.get(page, trust_env=False).text

    stage.emulator.end(wait.recording_id)
    wait.assert_handed_on("gone", file_count=2)


def test_no_key_is_in_any_log_or_row(stage_after_all: Stage) -> None:
    stage = stage_after_all
    good = stage.wait("plain_deferrable", stage.record(files=1, ends_after_reads=1))
    bad = stage.wait("wrong_key_poke", stage.record(files=1))
    assert (good.end(), bad.end()) == ("success", "failed")
    found = {
        key: list(holding(key, stage.airflow.home)) for key in (good.recording_id, SECRET_KEY, WRONG_KEY)
    }
    kinds = {path.name.partition(".")[2].partition("-")[0] for path in found[good.recording_id]}
    assert {"log", "db"} <= kinds, "the search finds not even what is there"
    assert found[SECRET_KEY] == found[WRONG_KEY] == []


def test_no_task_was_failed_for_coming_back_too_early(stage_after_all: Stage) -> None:
    log = stage_after_all.airflow.component_log("scheduler")
    assert [line for line in log.splitlines() if "state attribute is queued" in line] == []


def holding(text: str, folder: Path) -> Iterator[Path]:
    """The files that have this text anywhere: logs, and the database with its XComs and rendered fields."""
    return (path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes())
