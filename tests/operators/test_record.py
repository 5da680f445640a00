"""A task that owns its recording, run in this process by `dag.test()` against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_trtc.arguments import duration_or_instant
from airflow_trtc.emulator import Emulator
from airflow_trtc.operators import TrtcRecordRoomOperator
from airflow_trtc.testing import DagResult, TrtcAirflow
from tests.versions import HAS_STATE_STORE

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}
modes = pytest.mark.parametrize("mode", MODES)
STORAGE = "cos://lessons-1250000000/math/spring?region=ap-guangzhou"

Record = Callable[..., DagResult]


@pytest.fixture
def emulator(trtc_airflow: TrtcAirflow) -> Emulator:
    return trtc_airflow.emulator


@pytest.fixture
def record(emulator: Emulator, trtc_airflow: TrtcAirflow) -> Record:
    """Run one owner: ``record(mode, stop_after=1, conf={...})``."""

    def run(mode: str, *, conf: dict[str, Any] | None = None, **options: Any) -> DagResult:
        with DAG(f"record_{mode}", schedule=None) as dag:
            TrtcRecordRoomOperator(
                task_id="record", **{"room_id": 77, "storage": STORAGE, **MODES[mode], **options}
            )
        return trtc_airflow.run(dag, conf)

    return run


def recordings(emulator: Emulator) -> list[dict[str, Any]]:
    """The truth about all recordings, the oldest first."""
    found: list[dict[str, Any]] = list(emulator.state()["recordings"].values())
    return sorted(found, key=lambda truth: truth["created_at"])


def the_recording(emulator: Emulator) -> dict[str, Any]:
    (truth,) = recordings(emulator)
    return truth


def later(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


# -- a lesson -------------------------------------------------------------------------------------------


@modes
def test_a_lesson_is_recorded_stopped_by_the_clock_and_handed_on(
    mode: str, emulator: Emulator, record: Record
) -> None:
    bystander = emulator.add_recording()
    task = record(mode, stop_after=timedelta(seconds=1.5))["record"]
    assert task.state == "success"
    (truth,) = (each for each in recordings(emulator) if each["recording_id"] != bystander)
    assert truth["end_reason"] == "deleted"
    assert 1.5 <= truth["ended_at"] - truth["created_at"] < 6.0
    assert [file["file_name"] for file in task.value] == [file["FileName"] for file in truth["files"]]
    assert task.value[0]["object_key"].startswith(f"math/spring/{truth['recording_id']}/")
    assert task.xcoms["recording"]["recording_id"] == truth["recording_id"]
    assert task.xcoms["recording"]["outcome"] == "gone"
    assert task.xcoms["progress"]["stopped_at"]
    assert emulator.state()["counters"]["DeleteCloudRecording"] == {"OK": 1}
    assert emulator.truth(bystander)["end_reason"] is None


def test_an_instant_may_come_from_a_template(emulator: Emulator, record: Record) -> None:
    conf = {"until": later(3.0).isoformat()}
    assert record("poke", stop_after="{{ dag_run.conf['until'] }}", conf=conf)["record"].state == "success"
    assert the_recording(emulator)["end_reason"] == "deleted"


def test_after_the_instant_nothing_is_started(emulator: Emulator, record: Record) -> None:
    task = record("poke", stop_after=later(-1.0))["record"]
    assert task.state == "failed"
    assert "which has passed, so nothing was started" in task.log
    assert recordings(emulator) == []


def test_what_could_not_be_stopped_in_time_is_not_started(emulator: Emulator, record: Record) -> None:
    task = record("poke", stop_after=timedelta(hours=7), resource_expired_hours=6)["record"]
    assert task.state == "failed"
    assert "Set that higher" in task.log
    assert recordings(emulator) == []


@modes
@pytest.mark.trtc_emulator(new_recordings={"ends_after_reads": 3})
def test_a_recording_that_ends_by_itself_is_not_stopped(
    mode: str, emulator: Emulator, record: Record
) -> None:
    task = record(mode, stop_after=600)["record"]
    assert task.state == "success"
    assert "DeleteCloudRecording" not in emulator.state()["counters"]


@modes
def test_it_maps_over_rooms(mode: str, emulator: Emulator, trtc_airflow: TrtcAirflow) -> None:
    with DAG(f"rooms_{mode}", schedule=None) as dag:
        TrtcRecordRoomOperator.partial(task_id="record", storage=STORAGE, stop_after=1, **MODES[mode]).expand(
            room_id=[77, 78]
        )
    tasks = trtc_airflow.run(dag)["record"].mapped
    assert [task.state for task in tasks] == ["success", "success"]
    truths = recordings(emulator)
    assert [truth["end_reason"] for truth in truths] == ["deleted", "deleted"]
    assert {truth["recording_id"] for truth in truths} == {
        task.xcoms["recording"]["recording_id"] for task in tasks
    }


def test_in_reschedule_mode_it_defers_and_says_why(emulator: Emulator, record: Record) -> None:
    task = record("reschedule", stop_after=1)["record"]
    assert "Deferring instead of rescheduling: between two visits" in task.log


# -- other ends -----------------------------------------------------------------------------------------


@modes
def test_a_timeout_stops_it(mode: str, emulator: Emulator, record: Record) -> None:
    assert record(mode, timeout=1)["record"].state == "failed"
    assert the_recording(emulator)["end_reason"] == "deleted"


@modes
def test_an_execution_timeout_stops_it(mode: str, emulator: Emulator, record: Record) -> None:
    assert record(mode, execution_timeout=timedelta(seconds=5))["record"].state == "failed"
    assert the_recording(emulator)["end_reason"] == "deleted"


@modes
def test_a_skip_stops_it(mode: str, emulator: Emulator, record: Record) -> None:
    assert record(mode, timeout=1, soft_fail=True)["record"].state == "skipped"
    assert the_recording(emulator)["end_reason"] == "deleted"


@modes
def test_an_error_without_retries_stops_it(mode: str, emulator: Emulator, record: Record) -> None:
    refuse(emulator)
    assert record(mode)["record"].state == "failed"
    assert the_recording(emulator)["end_reason"] == "deleted"


@pytest.mark.skipif(not HAS_STATE_STORE, reason="below Airflow 3.3 nothing outlives a try")
@modes
def test_a_retry_takes_it_over(mode: str, emulator: Emulator, record: Record) -> None:
    refuse(emulator)
    task = record(mode, retries=1, stop_after=4)["record"]
    assert task.state == "success"
    truth = the_recording(emulator)  # there is only one
    assert truth["end_reason"] == "deleted"
    assert 4.0 <= truth["ended_at"] - truth["created_at"] < 9.0
    assert f"Continuing with recording {truth['recording_id']} of try 1" in task.log


def test_a_stop_that_fails_keeps_the_error_of_the_task(emulator: Emulator, record: Record) -> None:
    emulator.fault("error", action="DeleteCloudRecording", code="FailedOperation")
    task = record("poke", timeout=1)["record"]
    assert task.state == "failed"
    assert "AirflowSensorTimeout" in task.log
    assert "Cannot stop the recording, which may run on and cost money" in task.log
    assert the_recording(emulator)["recording_id"] in task.log


def test_a_wrong_set_up_starts_nothing(emulator: Emulator, record: Record) -> None:
    assert record("poke", storage="{{ 'cos://nowhere' }}")["record"].state == "failed"
    assert record("poke", trtc_conn_id="missing")["record"].state == "failed"
    assert recordings(emulator) == []


def test_a_signal_ends_the_next_visit(emulator: Emulator) -> None:
    operator = TrtcRecordRoomOperator(task_id="record", room_id=77, storage=STORAGE)
    operator.on_kill()  # before anything was started
    killed: list[int] = []
    operator._ownership = SimpleNamespace(kill=lambda: killed.append(1), is_killed=True)  # type: ignore[assignment]
    operator.on_kill()
    assert killed == [1]
    with pytest.raises(RuntimeError, match="told to end"):
        operator.poke({})


# -- arguments ------------------------------------------------------------------------------------------


def test_it_takes_the_arguments_of_both_halves_and_refuses_others() -> None:
    given: dict[str, Any] = {"room_id": 77, "storage": "vod", "wait_for": "vod", "stop_after": "3600"}
    operator = TrtcRecordRoomOperator(task_id="t", region=" ap-x ", **given)
    assert (operator.stop_after, operator.region, operator.wait_for) == (3600.0, "ap-x", "vod")
    assert {"room_id", "storage", "stop_after", "callback_timeout"} <= set(operator.template_fields)
    assert not {"recording_id", "recording"} & set(operator.template_fields)
    with pytest.raises(TypeError, match="recording_id"):
        TrtcRecordRoomOperator(task_id="t", recording_id="r", **given)
    with pytest.raises(ValueError, match="exclude each other"):
        TrtcRecordRoomOperator(task_id="t", recording={"recording_id": "r"}, **given)
    with pytest.raises(ValueError, match="room_id"):
        TrtcRecordRoomOperator(task_id="t", storage="vod", room_id=-1)
    with pytest.raises(ValueError, match="wait_for"):
        TrtcRecordRoomOperator(task_id="t", **{**given, "wait_for": "x"})
    with pytest.raises(ValueError, match="stop_after"):
        TrtcRecordRoomOperator.partial(task_id="t", storage="vod", stop_after=-1)


NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "value, read",
    [
        (None, None),
        ("", None),
        (90, 90.0),
        ("90.5", 90.5),
        (timedelta(hours=1), 3600.0),
        (NOON, NOON),
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T20:00:00+08:00", NOON),
        (" 2026-01-01 12:00:00+00:00 ", NOON),
    ],
)
def test_a_time_to_stop_is_a_duration_or_an_instant(value: Any, read: Any) -> None:
    assert duration_or_instant("stop_after", value) == read


@pytest.mark.parametrize("value", [0, -1, "0", True, "soon", "None", [1], {}, timedelta(0), float("inf")])
def test_what_is_neither_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="stop_after must be"):
        duration_or_instant("stop_after", value)


@pytest.mark.parametrize("value", ["2026-01-01T12:00:00", NOON.replace(tzinfo=None)])
def test_an_instant_without_a_time_zone_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        duration_or_instant("stop_after", value)


def test_the_next_visit_comes_no_later_than_the_stop() -> None:
    operator = TrtcRecordRoomOperator(task_id="t", room_id=77, storage="vod", poke_interval=600)
    now = datetime.now(timezone.utc)

    def pause(stop_at: float | None) -> float:
        operator.stop_at = stop_at
        return operator._get_next_poke_interval(now, lambda: 0.0, 1)

    assert pause(None) == 600.0
    assert 0.0 < pause(now.timestamp() + 60.0) <= 60.0
    assert pause(now.timestamp() + 6000.0) == 600.0
    assert pause(now.timestamp() - 60.0) == 600.0


def refuse(emulator: Emulator) -> None:
    """Let the first polls after the start be refused, with a code that a retry may not meet."""
    emulator.fault("error", count=3, action="DescribeCloudRecording", code="FailedOperation")
