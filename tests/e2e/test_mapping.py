"""One sensor mapped over recordings."""

from __future__ import annotations

import pytest

from tests.e2e.stage import Stage, Wait, index_file, results

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("mode", ["reschedule", "deferrable"])
def test_each_recording_hands_on_its_own_files(stage: Stage, mode: str) -> None:
    recording_ids = [
        stage.record(files=count, file_every_reads=1, ends_after_reads=2, room_id=f"900{count}")
        for count in (1, 2, 0)
    ]
    wait = stage.wait_for_each(f"mapped_{mode}", recording_ids)
    assert wait.end() == "success"
    assert wait.xcom(task_id="collect") == expected(wait)


@pytest.mark.parametrize("mode", ["reschedule", "deferrable"])
@pytest.mark.usefixtures("journal")
def test_a_mapped_wait_that_is_cleared_goes_on_where_it_was(stage: Stage, mode: str) -> None:
    early = ({"files": [index_file(1)]}, {"files": [index_file(1), index_file(2)]})
    recording_ids = [stage.record(*early, files=0) for _ in range(2)]
    wait = stage.wait_for_each(f"mapped_{mode}", recording_ids)
    for map_index in range(2):
        wait.until_known(2, map_index)
    for map_index, recording_id in enumerate(recording_ids):
        stage.emulator.script(recording_id, [late(map_index)])
    wait.clear()
    for map_index, recording_id in enumerate(recording_ids):
        wait.until_state("running", "deferred", "up_for_reschedule", tries=2, map_index=map_index)
        stage.emulator.script(recording_id, [late(map_index), {"gone": True}])
    assert wait.end() == "success"
    assert wait.xcom(task_id="collect") == expected(wait)
    assert [len(files) for files in wait.xcom(task_id="collect")] == [3, 3]


def test_triggers_that_know_the_end_at_once_do_not_come_back_too_early(stage: Stage) -> None:
    wait = stage.wait_for_each("quick", [stage.record(files=1, ends_after_reads=1) for _ in range(12)])
    assert wait.end() == "success"
    assert [wait.xcom(map_index=index) for index in range(12)] == expected(wait)
    assert {wait.task(index)["try_number"] for index in range(12)} == {1}


def late(map_index: int) -> dict[str, object]:
    """What the service lists from the interruption on."""
    return {"files": [index_file(3 + map_index)]}


def expected(wait: Wait) -> list[list[dict[str, object]]]:
    return [results(wait.stage.emulator.truth(recording_id)) for recording_id in wait.recording_ids]
