"""Every DAG in dags_examples/, run for real against the emulator."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

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
    "call_quality_report.py": {"trtc_call_quality_report"},
    "daily_usage.py": {"trtc_daily_usage"},
    "process_each_recording.py": {"trtc_process_each_recording"},
    "wait_for_mp4.py": {"trtc_wait_for_mp4"},
    "dismiss_stale_rooms.py": {"trtc_dismiss_stale_rooms"},
    "relay_to_cdn.py": {"trtc_relay_to_cdn"},
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
    with urllib.request.urlopen(request, timeout=60) as answer:
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


def test_daily_usage_adds_up_and_tells_of_a_day_that_is_out_of_line(
    trtc_airflow: TrtcAirflow, tmp_path: Path, load_dags: Callable[[Path], ModuleType]
) -> None:
    module = load_dags(EXAMPLES / "daily_usage.py")
    emulator, app = trtc_airflow.emulator, trtc_airflow.emulator.sdk_app_id
    today = datetime.now(module.BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = [today - timedelta(days=number) for number in range(9, 0, -1)]  # so each is over for a day
    for end in ends:
        minutes = 30 if end != ends[-1] else 300
        began_at = (end - timedelta(hours=5)).timestamp()
        emulator.add_usage("trtc", "HD", began_at=began_at, seconds=60 * minutes)
        emulator.add_usage("recording_multi", "Audio", began_at=began_at, seconds=600)
    folder = f"file://{tmp_path}"
    runs = [trtc_airflow.run(module.dag, {"folder": folder}, logical_date=end) for end in ends]
    assert {run.state for run in runs} == {"success"}
    days = module.read_days(folder, ends[-1])
    expected = [[40.0, (30 * 3.99 + 10 * 1.49) / 1000]] * 8 + [[310.0, (300 * 3.99 + 10 * 1.49) / 1000]]
    assert {name: list(each.values()) for name, each in days.items()} == {"lessons": approx_all(expected)}
    assert [run["alert"].mapped[0].state for run in runs if run["alert"].mapped] == ["success"]
    text = result(runs[-1], "alert", 0)
    assert text.startswith("lessons used 310 minutes (1.21 USD) on ")
    assert text.endswith("usually 40")
    picture = Path(result(runs[-1], "picture").removeprefix("file://")).read_text()
    root = ElementTree.fromstring(picture)
    assert len([each for each in root.iter() if each.tag.endswith("title")]) == 9
    assert "lessons: 630 minutes" in picture
    assert emulator.state()["counters"] == {
        "DescribeTrtcUsage": {"OK": 9},
        "DescribeRecordingUsage": {"OK": 18},
    }
    assert app in module.APPLICATIONS


@pytest.mark.trtc_emulator(rate_limit=0)
def test_the_report_of_call_quality_names_the_users_who_fared_worst(
    trtc_airflow: TrtcAirflow,
    tmp_path: Path,
    load_dags: Callable[[Path], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = load_dags(EXAMPLES / "call_quality_report.py")
    emulator = trtc_airflow.emulator
    connection = emulator.connection
    connection["extra"]["requests_per_second"] = 1000
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(connection))
    today = datetime.now(module.BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    today -= timedelta(days=1)  # so that the day is over for a while
    began_at = (today - timedelta(hours=5)).timestamp()
    lossy = {"user_id": "eve", "measured": {"aLoss": 40, "bigvLoss": 20}}
    frozen = {"user_id": "bob", "measured": {"bigvBlock": 900, "aBlock": 0}}
    comm_id = emulator.add_call("8001", users=["ann", frozen, lossy], began_at=began_at, lasts_seconds=1200)
    over_midnight = {"began_at": today.timestamp() - 600, "lasts_seconds": 1200, "step_seconds": 60}
    emulator.add_call("night", users=2, **over_midnight)
    emulator.add_call("long-ago", users=[lossy], began_at=began_at - 2 * 86_400)
    run = trtc_airflow.run(module.dag, {"folder": f"file://{tmp_path}"}, logical_date=today)
    assert run.state == "success"
    # Bob looks at two others, 120 times each.
    assert result(run, "report") == [
        {"comm_id": comm_id, "user_id": "eve", "mean_loss_percent": 30.0, "freezes_seconds": approx(0, 25)},
        {"comm_id": comm_id, "user_id": "bob", "mean_loss_percent": approx(0, 3), "freezes_seconds": 216.0},
    ]
    text = (tmp_path / f"{today - timedelta(days=1):%Y-%m-%d}.md").read_text()
    assert "2 calls began, with 5 stays of users. 2 of 5 users lost 5 % of the packets" in text
    assert "| 8001 | eve | 30.0 |" in text
    assert "| night | user-0 |" in text
    again = trtc_airflow.run(module.dag, {"folder": f"file://{tmp_path}"}, logical_date=today)
    assert result(again, "report") == result(run, "report")
    assert result(again, "details")["rows"] == 0


def approx(low: float, high: float) -> Any:
    """A number within bounds."""
    return pytest.approx((low + high) / 2, abs=(high - low) / 2)


def approx_all(rows: list[list[float]]) -> list[Any]:
    return [pytest.approx(row) for row in rows]


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
    stop_at = datetime.fromisoformat(run.run_id.removeprefix("manual__")) + timedelta(seconds=12)
    assert f"Stopping the recording at {stop_at.isoformat()}" in run["lesson"].log
    assert truth["ended_at"] >= stop_at.timestamp()
    keys = [file["object_key"] for file in result(run, "lesson")]
    assert keys == [f"lessons/{recording_id}/{file['FileName']}" for file in truth["files"]]
    assert result(run, "process", 0).startswith(keys[0])


def test_every_room_of_a_list_is_recorded_by_a_task_of_its_own(
    run_example: RunExample, trtc_connection: Emulator
) -> None:
    rooms = [8001, 8002, 8001]
    run = run_example("record_many_rooms.py", "trtc_record_many_rooms", room_ids=rooms, minutes=0.01)
    assert run.state == "success", run
    lines = sorted(trtc_connection.bill()["recordings"], key=lambda line: line["room_id"])
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
    # Which of them Airflow starts first is not said, and that one fails.
    processed = [state for (task_id, _), state in states(run).items() if task_id == "room.process"]
    assert sorted(map(str, processed)) == ["success", "upstream_failed"]


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


def test_rooms_that_are_open_for_too_long_are_dismissed(
    run_example: RunExample, trtc_connection: Emulator
) -> None:
    for room_id in ("8001", "8002"):
        trtc_connection.room(room_id, enter=["alice", "bob"])
    run = run_example("dismiss_stale_rooms.py", "trtc_dismiss_stale_rooms", hours=1)
    assert states(run)["dismiss", -1] == "skipped"
    assert result(run, "report") == "dismissed: none"
    run = run_example("dismiss_stale_rooms.py", "trtc_dismiss_stale_rooms", hours=0)
    assert run.state == "success", run
    assert result(run, "report") == "dismissed: 8001, 8002"
    assert trtc_connection.room("8001") == trtc_connection.room("8002") == []


def test_a_lesson_is_published_changed_and_stopped(
    run_example: RunExample, trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "rtmp://push.example/live/lesson?txSecret=0123456789&txTime=1"
    monkeypatch.setenv("AIRFLOW_VAR_TRTC_PUSH_URL", url)
    run = run_example("relay_to_cdn.py", "trtc_relay_to_cdn", room_id=8001, seconds=0)
    assert run.state == "success", run
    (line,) = trtc_connection.bill()["jobs"]
    assert (line["kind"], line["room_id"], line["end_reason"]) == ("relay", "8001", "stopped")
    truth = trtc_connection.truth(line["job_id"])
    assert list(truth["statuses"]) == [url]
    layout = truth["content"]["VideoParams"]["LayoutParams"]
    assert layout["MaxVideoUser"]["UserMediaStream"]["UserInfo"]["UserId"] == "teacher"
    assert result(run, "spotlight")["was_applied"]
    assert "0123456789" not in "".join(run[task_id].log for task_id in ("start", "spotlight", "stop"))


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
