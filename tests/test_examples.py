"""Every DAG in dags_examples/, run for real against the emulator."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.results import file_results
from tests.versions import HAS_STATE_STORE

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import DagResult, TrtcAirflow

EXAMPLES = Path(__file__).parent.parent / "dags_examples"


def can_be_imported(path: Path) -> bool:
    """Whether this Airflow has what the example needs."""
    return HAS_STATE_STORE or "PartitionedAssetTimetable" not in path.read_text()


# Which file defines which DAGs; a test compares this with what the files hold.
_DAGS = {
    "process_each_recording.py": {"trtc_process_each_recording"},
    "wait_for_mp4.py": {"trtc_wait_for_mp4"},
    "watch_each_recording.py": {"trtc_watch_each_recording"},
    "when_a_room_is_dismissed.py": {"trtc_when_a_room_is_dismissed"},
    "nothing_recorded.py": {"trtc_nothing_recorded", "trtc_skip_if_unknown"},
    "record_a_lesson.py": {"trtc_record_a_lesson"},
    "reschedule_or_deferrable.py": {"trtc_wait_deferrable", "trtc_wait_reschedule"},
    "transcribe_a_lesson.py": {"trtc_transcribe_a_lesson"},
    "record_by_the_clock.py": {"trtc_record_by_the_clock"},
    "record_many_rooms.py": {"trtc_record_many_rooms"},
    "record_when_a_user_enters.py": {"trtc_record_when_a_user_enters"},
    "wait_and_fan_out.py": {"trtc_wait_and_fan_out"},
    "wait_for_many.py": {"trtc_wait_for_many"},
}
DAGS = {name: dag_ids for name, dag_ids in _DAGS.items() if can_be_imported(EXAMPLES / name)}

RunExample = Callable[..., "DagResult"]


def dags_of(module: ModuleType) -> dict[str, Any]:
    from airflow.sdk import DAG

    return {dag.dag_id: dag for dag in vars(module).values() if isinstance(dag, DAG)}


@pytest.fixture
def run_example(run_dag: Callable[..., DagResult]) -> RunExample:
    def run(name: str, dag_id: str, **conf: Any) -> DagResult:
        if name not in DAGS:
            pytest.skip(f"{name} needs Airflow 3.3")
        return run_dag(EXAMPLES / name, dag_id, conf)

    return run


def result(run: DagResult, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
    task = run[task_id]
    return (task if map_index < 0 else task.mapped[map_index]).xcoms.get(key)


def states(run: DagResult) -> dict[tuple[str, int], str | None]:
    tasks = run.tasks.values()
    return {(one.task_id, one.map_index): one.state for task in tasks for one in task.mapped or (task,)}


def keys_in_truth(emulator: Emulator, recording_id: str) -> list[str]:
    """Where the files really made are, in the order in which they began."""
    truth = emulator.truth(recording_id)
    assert truth["status"] == "Gone", "the wait ended before the recording"
    files = sorted(truth["files"], key=lambda file: (file["BeginTimeStamp"], file["FileName"]))
    return [f"{recording_id}/{file['FileName']}" for file in files]


def growing(emulator: Emulator, **options: Any) -> str:
    """A recording that lists one more file at each look, and ends after them."""
    return emulator.add_recording(**{"files": 3, "file_every_reads": 1, "ends_after_reads": 4} | options)


def test_this_file_knows_every_example(load_dags: Callable[[Path], ModuleType]) -> None:
    paths = filter(can_be_imported, EXAMPLES.glob("*.py"))
    files = {path.name: set(dags_of(load_dags(path))) for path in paths}
    assert files == DAGS


@pytest.mark.parametrize("name", DAGS)
def test_the_page_of_a_dag_tells_how_to_try_it(name: str, load_dags: Callable[[Path], ModuleType]) -> None:
    for dag in dags_of(load_dags(EXAMPLES / name)).values():
        text = re.sub(r" \\\n +", " ", dag.doc_md)  # a command may go on in the next line
        assert re.search(r"python -m airflow_trtc\.emulator( --room-events)?( --callback-url \S+)?\n", text)
        assert "airflow dags trigger trtc_" in dag.doc_md
        for param in dag.params.values():
            assert param.schema["title"]
            assert param.description


def commands() -> list[tuple[str, str]]:
    """DAG id and JSON for the emulator of each command that a docstring shows."""
    found = []
    for name in DAGS:
        text = (EXAMPLES / name).read_text()
        for command in re.findall(r"airflow dags trigger \S+ --conf \"\$\(curl .*?\)\"", text, re.DOTALL):
            dag_id = command.split()[3]
            found.append((dag_id, command.partition("-d '")[2].partition("'")[0]))
    return found


@pytest.mark.parametrize("dag_id, body", commands())
def test_the_command_shown_makes_the_conf_that_the_dag_wants(
    dag_id: str, body: str, trtc_emulator: Emulator, load_dags: Callable[[Path], ModuleType]
) -> None:
    request = urllib.request.Request(f"{trtc_emulator.url}/_control/seed", data=body.encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        conf = json.load(answer)
    (dag,) = [
        dag for name in DAGS for dag in dags_of(load_dags(EXAMPLES / name)).values() if dag.dag_id == dag_id
    ]
    assert set(conf) == set(dag.params)
    for name, value in conf.items():
        dag.params.get_param(name).resolve(value)


def test_importing_the_examples_loads_no_sdk() -> None:
    paths = [str(EXAMPLES / name) for name in DAGS]
    code = f"import runpy, sys; [*map(runpy.run_path, {paths})]; print('tencentcloud' in sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert run.stdout.split()[-1] == "False"


def test_fan_out_has_one_task_for_each_file(trtc_connection: Emulator, run_example: RunExample) -> None:
    recording_id = growing(trtc_connection)
    run = run_example("wait_and_fan_out.py", "trtc_wait_and_fan_out", recording_id=recording_id)
    assert run.state == "success"
    keys = keys_in_truth(trtc_connection, recording_id)
    assert len(keys) == 3
    assert [result(run, "process", index) for index in range(len(keys))] == keys
    assert result(run, "report") == f"gone: {', '.join(keys)}"


def test_many_waits_are_collected(trtc_connection: Emulator, run_example: RunExample) -> None:
    # One wait after the other in dag.test(): the recordings must outlast those before them.
    recording_ids = [growing(trtc_connection, files=files) for files in (1, 2, 3)]
    ids = [*recording_ids, recording_ids[0]]
    run = run_example("wait_for_many.py", "trtc_wait_for_many", recording_ids=ids)
    assert run.state == "success"
    expected = {one: keys_in_truth(trtc_connection, one) for one in recording_ids}
    assert [len(keys) for keys in expected.values()] == [1, 2, 3]
    assert result(run, "collect") == expected
    assert states(run)["wait", 2] == "success"
    assert ("wait", 3) not in states(run)


@pytest.mark.parametrize("dag_id", ["trtc_wait_deferrable", "trtc_wait_reschedule"])
def test_both_modes_hand_on_the_same(dag_id: str, trtc_connection: Emulator, run_example: RunExample) -> None:
    recording_id = growing(trtc_connection)
    run = run_example("reschedule_or_deferrable.py", dag_id, recording_id=recording_id)
    assert run.state == "success"
    assert result(run, "object_keys") == keys_in_truth(trtc_connection, recording_id)


@pytest.mark.parametrize(
    "options, outcome",
    [({"ended": True}, "never_seen"), ({"participants": 0, "max_idle_seconds": 2}, "gone")],
)
def test_nothing_recorded_tells_the_host_and_goes_on(
    options: dict[str, Any], outcome: str, trtc_connection: Emulator, run_example: RunExample
) -> None:
    recording_id = trtc_connection.add_recording(**options)
    run = run_example("nothing_recorded.py", "trtc_nothing_recorded", recording_id=recording_id)
    assert run.state == "success"
    assert states(run)["process", -1] == "skipped"
    assert recording_id in result(run, "tell_the_host")
    assert result(run, "wait") == []
    assert result(run, "wait", key="recording")["outcome"] == outcome
    assert result(run, "close_the_books") == 0


def test_an_empty_room_whose_end_a_callback_reports_tells_the_host(
    receiving_emulator: Emulator, run_example: RunExample
) -> None:
    recording_id = receiving_emulator.add_recording(participants=0, max_idle_seconds=5)
    run = run_example("nothing_recorded.py", "trtc_nothing_recorded", recording_id=recording_id)
    assert run.state == "success"
    assert result(run, "wait", key="recording")["outcome"] == "callback"
    assert "it ended without files" in result(run, "tell_the_host")
    assert result(run, "close_the_books") == 0


def test_a_run_for_each_recording_processes_the_files_of_its_event(
    trtc_connection: Emulator, run_example: RunExample
) -> None:
    recording_id = trtc_connection.add_recording(files=2)
    files = [
        RecordedFile(file["FileName"], file["UserId"])
        for file in trtc_connection.truth(recording_id)["files"]
    ]
    summary = {"recording_id": recording_id, "sdk_app_id": trtc_connection.sdk_app_id, "outcome": "callback"}
    carried = {"recording": summary, "files": file_results(files, recording_id), "file_count": 2}
    run = run_example("process_each_recording.py", "trtc_process_each_recording", **carried)
    assert run.state == "success"
    keys = [f"{recording_id}/{file.file_name}" for file in files]
    assert [result(run, "process", index) for index in range(2)] == keys
    assert result(run, "report") == f"{recording_id}: {', '.join(keys)}"


def test_a_recording_is_watched_from_its_start(trtc_connection: Emulator, run_example: RunExample) -> None:
    recording_id = growing(trtc_connection)
    run = run_example("watch_each_recording.py", "trtc_watch_each_recording", recording_id=recording_id)
    assert run.state == "success"
    keys = keys_in_truth(trtc_connection, recording_id)
    assert [result(run, "process", index) for index in range(len(keys))] == keys


def test_a_dismissed_room_starts_a_run(trtc_connection: Emulator, run_example: RunExample) -> None:
    run = run_example("when_a_room_is_dismissed.py", "trtc_when_a_room_is_dismissed", room_id="8001")
    assert result(run, "close_the_lesson") == "room 8001 is over"


def test_mp4_files_are_waited_for_and_processed(
    receiving_emulator: Emulator, run_example: RunExample
) -> None:
    recording_id = receiving_emulator.add_recording(output_format=1, participants=2, ends_after_seconds=5)
    run = run_example("wait_for_mp4.py", "trtc_wait_for_mp4", recording_id=recording_id)
    assert run.state == "success"
    made = {
        f"{recording_id}/{file['FileName']}" for file in receiving_emulator.truth(recording_id)["mp4_files"]
    }
    assert len(made) == 2
    assert {result(run, "process", index).partition(" of ")[0] for index in range(2)} == made


def test_nothing_recorded_processes_files_that_there_are(
    trtc_connection: Emulator, run_example: RunExample
) -> None:
    recording_id = growing(trtc_connection)
    run = run_example("nothing_recorded.py", "trtc_nothing_recorded", recording_id=recording_id)
    assert run.state == "success"
    assert states(run)["tell_the_host", -1] == "skipped"
    keys = keys_in_truth(trtc_connection, recording_id)
    assert [result(run, "process", index) for index in range(len(keys))] == keys
    assert result(run, "close_the_books") == 3


@pytest.mark.trtc_emulator(new_recordings={"files": 2, "file_every_reads": 1, "ends_after_reads": 4})
def test_a_lesson_is_recorded_and_its_files_processed(
    trtc_connection: Emulator, run_example: RunExample
) -> None:
    run = run_example("record_a_lesson.py", "trtc_record_a_lesson", room_id=8001, seconds=0)
    assert run.state == "success", run
    recording_id = result(run, "start")
    assert trtc_connection.truth(recording_id)["room_id"] == "8001"
    keys = [f"lessons/{key}" for key in keys_in_truth(trtc_connection, recording_id)]
    assert keys
    assert [result(run, "process", index) for index in range(len(keys))] == keys
    assert result(run, "stop")["recording_id"] == recording_id


def test_unknown_recording_is_skipped(trtc_connection: Emulator, run_example: RunExample) -> None:
    recording_id = trtc_connection.new_recording_id()
    run = run_example("nothing_recorded.py", "trtc_skip_if_unknown", recording_id=recording_id)
    assert states(run) == {("wait", -1): "skipped", ("process", -1): "skipped"}


def test_a_lesson_is_recorded_until_its_time_is_over(
    run_example: RunExample, trtc_connection: Emulator
) -> None:
    run = run_example("record_by_the_clock.py", "trtc_record_by_the_clock", room_id=8001, minutes=0.2)
    ((recording_id, truth),) = trtc_connection.state()["recordings"].items()
    assert (truth["room_id"], truth["end_reason"]) == ("8001", "deleted")
    sent = set(trtc_connection.state()["counters"])  # what the policy in recordings.md allows
    assert sent == {"CreateCloudRecording", "DescribeCloudRecording", "DeleteCloudRecording"}
    assert truth["ended_at"] - truth["created_at"] < 12.0  # the lesson begins with the run
    keys = [file["object_key"] for file in result(run, "lesson")]
    assert keys == [f"lessons/{recording_id}/{file['FileName']}" for file in truth["files"]]
    assert result(run, "process", 0).startswith(keys[0])


def test_every_room_of_a_list_is_recorded_by_a_task_of_its_own(
    run_example: RunExample, trtc_connection: Emulator
) -> None:
    rooms = [8001, 8002, 8001]
    run = run_example("record_many_rooms.py", "trtc_record_many_rooms", room_ids=rooms, minutes=0.01)
    assert run.state == "success", run
    lines = trtc_connection.bill()["recordings"]
    assert [(line["room_id"], line["end_reason"]) for line in lines] == [
        ("8001", "deleted"),
        ("8002", "deleted"),
    ]
    assert not any(line["is_string_room"] for line in lines)
    for index, line in enumerate(lines):
        recording_id = line["recording_id"]
        files = trtc_connection.truth(recording_id)["files"]
        keys = [f"lessons/{recording_id}/{file['FileName']}" for file in files]
        assert keys
        assert result(run, "room.process", index) == keys


@pytest.mark.trtc_emulator(new_recordings={"files": 2})
def test_a_room_that_fails_leaves_the_others_alone(
    run_example: RunExample, trtc_connection: Emulator
) -> None:
    trtc_connection.fault("error", action="CreateCloudRecording", code="InvalidParameter.SdkAppId", count=1)
    run = run_example("record_many_rooms.py", "trtc_record_many_rooms", room_ids=[8001, 8002], minutes=0.01)
    assert run.state == "failed"
    assert states(run)["room.process", 0] == "upstream_failed"
    assert states(run)["room.process", 1] == "success"


@pytest.mark.trtc_emulator(room_events=True, new_recordings={"files": 2, "ends_after_reads": 3})
@pytest.mark.parametrize("room_id, is_string_room", [("8001", False), ("physics", True)])
def test_a_room_is_recorded_when_its_first_user_enters(
    room_id: str,
    is_string_room: bool,
    receiving_emulator: Emulator,
    trtc_airflow: TrtcAirflow,
    load_dags: Callable[[Path], ModuleType],
) -> None:
    (dag,) = dags_of(load_dags(EXAMPLES / "record_when_a_user_enters.py")).values()
    trtc_airflow.load(dag)
    receiving_emulator.room(room_id, enter=["alice", "bob"])
    run = trtc_airflow.run_for_event(dag)
    assert run.state == "success", run
    (line,) = receiving_emulator.bill()["recordings"]
    assert (line["room_id"], line["is_string_room"]) == (room_id, is_string_room)
    files = receiving_emulator.truth(line["recording_id"])["files"]
    assert run["process"].value == [f"rooms/{line['recording_id']}/{file['FileName']}" for file in files]
    with pytest.raises(TimeoutError):  # bob starts no second recording
        trtc_airflow.run_for_event(dag, timeout_seconds=0.1)


@pytest.mark.trtc_emulator(room_events=True, new_recordings={"ends_after_reads": 3, "leave_code": 101})
def test_a_room_that_the_next_run_takes_over_hands_on_its_files(
    receiving_emulator: Emulator, run_example: RunExample
) -> None:
    run = run_example("record_when_a_user_enters.py", "trtc_record_when_a_user_enters", room_id=8001)
    assert run.state == "success", run
    summary = result(run, "record", key="recording")
    assert [problem["kind"] for problem in summary["problems"]] == ["interrupted"]
    assert len(run["process"].mapped) == summary["file_count"] > 0


@pytest.mark.trtc_emulator(new_recordings={"files": 1, "ends_after_reads": 3})
def test_a_room_whose_callback_was_lost_is_recorded_by_hand(
    trtc_connection: Emulator, run_example: RunExample
) -> None:
    run = run_example("record_when_a_user_enters.py", "trtc_record_when_a_user_enters", room_id="physics")
    assert run.state == "success", run
    (line,) = trtc_connection.bill()["recordings"]
    assert (line["room_id"], line["is_string_room"], line["robot_id"]) == ("physics", True, "recorder")


def test_a_lesson_that_is_over_is_not_recorded(run_example: RunExample, trtc_connection: Emulator) -> None:
    run = run_example("record_by_the_clock.py", "trtc_record_by_the_clock", room_id=8001, minutes=0.0001)
    assert run.state == "failed"
    assert "which has passed, so nothing was started" in run["lesson"].log
    assert trtc_connection.bill()["recordings"] == []


def test_a_lesson_is_transcribed_by_the_clock(trtc_connection: Emulator, run_example: RunExample) -> None:
    run = run_example(
        "transcribe_a_lesson.py", "trtc_transcribe_a_lesson", room_id=8001, seconds=1, language="zh"
    )
    assert run.state == "success"
    (job,) = trtc_connection.state()["jobs"].values()
    assert (job["kind"], job["room_id"], job["is_string_room"]) == ("ai_transcription", "8001", False)
    assert job["end_reason"] == "deleted"
    assert result(run, "report") == f"ai_transcription {job['job_id']}: gone"
    (sent,) = (
        each["parameters"]
        for each in trtc_connection.state(requests=True)["requests"]
        if each["action"] == "StartAITranscription"
    )
    assert sent["RecognizeConfig"] == {"Language": "zh"}
