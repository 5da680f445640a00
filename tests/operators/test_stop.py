"""Stopping, more than once if need be."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.errors import TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import TrtcStopRecordingOperator
from tests.operators.running import Task

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator


def stop(task: Task, **options: Any) -> Any:
    return TrtcStopRecordingOperator(task_id="stop", **options).execute(task.context())


def test_a_recording_is_stopped_once_and_stopping_again_is_no_error(service: Emulator, task: Task) -> None:
    recording_id = service.add_recording()
    first, second = (stop(task, recording_id=f" {recording_id} ") for _ in range(2))
    assert first == {
        "recording_id": recording_id,
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "was_running": True,
    }
    assert second == {**first, "was_running": False}
    assert service.truth(recording_id)["end_reason"] == "deleted"


def test_what_was_handed_on_names_application_and_region_and_arguments_go_first(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def note(hook: TrtcHook, kind: str, job_id: str) -> bool:
        asked.append((hook.sdk_app_id, hook.region, job_id))
        return True

    monkeypatch.setattr(TrtcHook, "stop", note)
    handed_on = {"recording_id": "rid", "sdk_app_id": 1400000002, "region": "ap-shanghai"}
    stop(task, recording=handed_on)
    stop(task, recording=handed_on, sdk_app_id="1400000003", region="ap-beijing")
    assert asked == [(1400000002, "ap-shanghai", "rid"), ("1400000003", "ap-beijing", "rid")]


def test_after_its_time_for_orders_the_log_warns_that_it_may_go_on(
    service: Emulator, task: Task, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for year, is_said in ((2020, True), (2099, False)):
        expires_at = datetime(year, 1, 1, tzinfo=timezone.utc).isoformat()
        caplog.clear()
        capsys.readouterr()
        assert not stop(task, recording={"recording_id": "gone", "expires_at": expires_at})["was_running"]
        shown = caplog.text + capsys.readouterr().out
        assert ("takes no orders about it" in shown) == is_said
        assert "is stopped already" in shown


def test_nothing_to_stop_is_fine_where_the_start_failed_and_a_mistake_elsewhere(
    service: Emulator, task: Task
) -> None:
    assert stop(task, recording={"recording_id": None})["recording_id"] is None
    for empty in ("", "None"):
        with pytest.raises(AirflowFailException, match="recording_id is empty"):
            stop(task, recording_id=empty)
        operator = TrtcStopRecordingOperator(task_id="stop", recording_id=empty).as_teardown()
        found: Any = operator
        assert not found.execute(task.context())["was_running"]
    with pytest.raises(AirflowFailException, match="recording_id is empty"):
        stop(task)


def test_one_name_is_enough() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        TrtcStopRecordingOperator(task_id="stop", recording_id="a", recording={"recording_id": "a"})
    with pytest.raises(ValueError, match=r"recording is .*start.output"):
        TrtcStopRecordingOperator(task_id="stop", recording="rid")


def test_an_outage_is_left_to_the_retries(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any) -> bool:
        raise TrtcTransientError("an outage")

    monkeypatch.setattr(TrtcHook, "stop", fails)
    with pytest.raises(TrtcTransientError):
        stop(task, recording_id="rid")


def test_a_wrong_key_fails_for_good(service: Emulator, task: Task) -> None:
    service.fault("error", code="AuthFailure.SignatureFailure")
    with pytest.raises(AirflowFailException, match="SecretKey"):
        stop(task, recording_id="rid")
