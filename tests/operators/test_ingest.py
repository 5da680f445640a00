"""Ingests: started once whatever happens, changed, and stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.errors import TrtcFailedError
from airflow_trtc.operators import (
    TrtcStartIngestOperator,
    TrtcStopIngestOperator,
    TrtcUpdateIngestOperator,
    streams,
)
from tests.operators.running import DictStore, Task, sent

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator

START, DESCRIBE, UPDATE, STOP = (f"{verb}StreamIngest" for verb in ("Start", "Describe", "Update", "Stop"))
URL = "https://media.example/lesson.mp4"


def starting(**options: Any) -> TrtcStartIngestOperator:
    return TrtcStartIngestOperator(task_id="t", **{"room_id": 8001, "stream_url": URL, **options})


def start(task: Task, *, cleared: bool = False, **options: Any) -> str:
    return starting(**options).execute(task.context(cleared=cleared))


def update(**options: Any) -> Any:
    return TrtcUpdateIngestOperator(task_id="u", **options).execute(Task(None).context())


def stop(**options: Any) -> Any:
    return TrtcStopIngestOperator(task_id="s", **options).execute(Task(None).context())


def running(service: Emulator) -> list[str]:
    found: list[str] = service.bill()["running_jobs"]
    return found


def parameters(service: Emulator, action: str) -> dict[str, Any]:
    """Of the last request for an action."""
    requests = service.state(requests=True)["requests"]
    found: dict[str, Any] = next(one["parameters"] for one in reversed(requests) if one["action"] == action)
    return found


def dies_before_handing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try is killed when it has its ingest."""
    real: Any = vars(streams)["push_results"]

    def killed(*args: Any) -> Any:
        monkeypatch.setattr(streams, "push_results", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(streams, "push_results", killed)


def test_an_ingest_is_started_and_handed_on_without_its_address(service: Emulator, task: Task) -> None:
    ingest_id = start(task, extra_params={"RepeatNum": -1, "MaxDuration": 60, "Tempo": 1.5})
    assert running(service) == [ingest_id]
    given = task.xcoms["job"]
    assert (given["kind"], given["job_id"], given["room_type"]) == ("ingest", ingest_id, "numeric")
    assert given["user_id"].startswith("airflow-ing-")
    assert "media.example" not in str(given)
    request = parameters(service, START)
    assert (request["StreamUrl"], request["RepeatNum"], request["Tempo"]) == (URL, -1, 1.5)


@pytest.mark.parametrize(
    "room_id, room_type, number",
    [(8001, None, 1), ("8001", "numeric", 1), ("8001", "string", 0), ("physics", None, 0)],
)
def test_room_types_are_numbered_as_for_recordings(
    service: Emulator, task: Task, room_id: Any, room_type: Any, number: int
) -> None:
    start(task, room_id=room_id, room_id_type=room_type)
    assert parameters(service, START)["RoomIdType"] == number


def test_a_try_that_follows_continues_with_what_plays(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    assert [start(task)] == running(service)
    assert task.xcoms["job"]["reattached"]
    assert sent(service) == [START, DESCRIBE]


def test_what_is_over_is_started_afresh(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    stop(job_id=running(service)[0])
    assert [start(task)] == running(service)
    assert sent(service) == [START, STOP, DESCRIBE, START]


@pytest.mark.parametrize("lost", [1, 3])
def test_a_lost_answer_leaves_one_ingest(service: Emulator, task: Task, lost: int) -> None:
    service.fault("lost_answer", action=START, count=lost)
    assert [start(task)] == running(service)
    assert len(service.bill()["jobs"]) == lost + 1
    assert (task.xcoms["job"]["attempts"], task.xcoms["job"]["replaced_unknown"]) == (lost + 1, True)


def test_a_robot_that_cannot_be_sent_out_ends_in_an_error_that_says_what_to_do(
    service: Emulator, task: Task
) -> None:
    service.fault("lost_answer", action=START, count=1)
    service.fault("error", action="RemoveUser", code="AuthFailure.UnauthorizedOperation")
    with pytest.raises(TrtcFailedError, match="is at work in the numeric room 8001 already") as caught:
        start(task)
    assert caught.value.code == "FailedOperation.TaskExist"
    assert len(running(service)) == 1
    service.clear_faults()
    assert [start(task)] == running(service)  # the next try makes it good


def test_somebody_elses_ingest_is_left_alone(service: Emulator, task: Task) -> None:
    other = start(Task(DictStore()), user_id="player")
    with pytest.raises(TrtcFailedError, match="or give another user_id"):
        start(task, user_id="player")
    assert running(service) == [other]
    assert sent(service) == [START, START]


@pytest.mark.trtc_emulator(advanced_permission_control=True)
def test_the_room_may_ask_for_a_key(service: Emulator, task: Task) -> None:
    with pytest.raises(TrtcFailedError, match="PrivateMapKey is missing"):
        start(task)
    assert [start(task, advanced_permission_control=True)] == running(service)


def test_it_is_changed(service: Emulator, task: Task) -> None:
    start(task)
    job = task.xcoms["job"]
    assert update(job=job, stream_url=f"{URL}?v=2", extra_params={"Volume": "50"}) == job["job_id"]
    request = parameters(service, UPDATE)
    assert (request["StreamUrl"], request["Volume"]) == (f"{URL}?v=2", 50)
    stop(job=job)
    for job_id in (job["job_id"], "unknown"):
        with pytest.raises(AirflowFailException, match="it is over, or the service never knew it"):
            update(job_id=job_id, extra_params={"IsPause": True})


def test_it_is_stopped_once_and_stopping_again_is_no_error(service: Emulator, task: Task) -> None:
    start(task)
    first, second = (stop(job=task.xcoms["job"]) for _ in range(2))
    assert (first["was_running"], second["was_running"]) == (True, False)
    assert running(service) == []
    assert stop(job={"kind": "ingest", "job_id": None})["job_id"] is None


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"stream_url": ""}, "stream_url is empty"),
        ({"stream_url": "lesson.mp4"}, "is no address"),
        ({"room_id_type": 1}, "mean the opposite"),
        ({"extra_params": {"RepeatNum": 0}}, "not 0"),
        ({"extra_params": {"StreamUrl": URL}}, "has no field 'StreamUrl'"),
        ({"user_sig": "x"}, "give that as user_id"),
    ],
)
def test_mistakes_are_found_when_the_dag_is_parsed(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        starting(**wrong)
    with pytest.raises(ValueError, match="Nothing is to change"):
        TrtcUpdateIngestOperator(task_id="u", job_id="x")
