"""Operators that act on rooms: what they send, and what they make of a room that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException, AirflowSkipException
from airflow_trtc.errors import TrtcFailedError, TrtcThrottledError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import (
    TrtcBlockUserOperator,
    TrtcDismissRoomOperator,
    TrtcRemoveUsersOperator,
)
from tests.operators.dags.rooms import blocked, many_rooms, removed, templated
from tests.operators.running import DictStore, Task, sent

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import TrtcAirflow

MISSING = "FailedOperation.RoomNotExist"


def dismiss(task: Task | None = None, **options: Any) -> Any:
    operator = TrtcDismissRoomOperator(task_id="t", **{"room_id": 8001, **options})
    return operator.execute((task or Task(DictStore())).context())


def remove(**options: Any) -> Any:
    operator = TrtcRemoveUsersOperator(task_id="t", **{"room_id": 8001, **options})
    return operator.execute(Task(DictStore()).context())


@pytest.mark.parametrize(
    "room_id, room_type, action, is_string",
    [
        (8001, None, "DismissRoom", False),
        ("8001", None, "DismissRoomByStrRoomId", True),
        ("8001", "numeric", "DismissRoom", False),
        (8001, "string", "DismissRoomByStrRoomId", True),
    ],
)
def test_a_room_is_dismissed_by_its_type(
    service: Emulator, room_id: Any, room_type: Any, action: str, is_string: bool
) -> None:
    service.room("8001", enter=["alice"], is_string_room=is_string)
    assert dismiss(room_id=room_id, room_id_type=room_type) == {
        "room_id": "8001",
        "room_type": "string" if is_string else "numeric",
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "was_there": True,
    }
    assert service.room("8001", is_string_room=is_string) == []
    assert sent(service) == [action]


def test_the_log_warns_of_a_number_in_a_text(
    service: Emulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for room_type, is_said in ((None, True), ("string", False)):
        caplog.clear()
        capsys.readouterr()
        dismiss(room_id="8001", room_id_type=room_type, if_no_room="finish")
        assert ("Set room_id_type to 'numeric'" in caplog.text + capsys.readouterr().out) == is_said


@pytest.mark.parametrize(
    "operator, arguments, line",
    [
        (TrtcDismissRoomOperator, {}, "Dismissed numeric room 8001 (application"),
        (
            TrtcRemoveUsersOperator,
            {"user_ids": ["alice", "eve"]},
            "Removed users from numeric room 8001 (application",
        ),
        (
            TrtcBlockUserOperator,
            {"user_id": "alice", "block": "audio"},
            "Set what is blocked of user 'alice' to 'audio' in numeric room 8001 (application",
        ),
    ],
)
def test_the_log_says_what_was_done(
    operator: Any,
    arguments: dict[str, Any],
    line: str,
    service: Emulator,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    service.room("8001", enter=["alice", "bob"])
    operator(task_id="t", room_id=8001, **arguments).execute(Task(DictStore()).context())
    assert line in caplog.text + capsys.readouterr().out


def test_a_room_that_is_not_there_fails_unless_the_user_says_otherwise(service: Emulator) -> None:
    with pytest.raises(AirflowFailException, match=r"no numeric room 8001 .*if_no_room=\"finish\""):
        dismiss()
    assert dismiss(if_no_room="finish")["was_there"] is False
    with pytest.raises(AirflowSkipException, match="no numeric room 8001"):
        dismiss(if_no_room="skip")


def test_an_earlier_try_may_have_dismissed_it(service: Emulator, task: Task) -> None:
    task.context()  # the first try, of which nothing is known
    assert dismiss(task)["was_there"] is False
    with pytest.raises(AirflowSkipException):
        dismiss(task, if_no_room="skip")


def test_a_lost_answer_is_no_missing_room(service: Emulator) -> None:
    service.room("8001", enter=["alice"])
    service.fault("lost_answer", action="DismissRoom", count=1)
    assert dismiss()["was_there"] is True
    assert service.state()["counters"]["DismissRoom"] == {"OK": 1, MISSING: 1}


def test_users_are_removed_ten_at_a_time(service: Emulator) -> None:
    users = [f"user-{number}" for number in range(23)]
    service.room("8001", enter=[*users, "host"])
    found = remove(user_ids=[*users, users[0]])
    assert (found["users"], found["was_there"]) == (users, True)
    assert service.room("8001") == ["host"]
    assert sent(service) == ["RemoveUser"] * 3


def test_a_room_that_ends_with_its_last_user_is_no_missing_room(service: Emulator) -> None:
    users = [f"user-{number}" for number in range(12)]
    service.room("8001", enter=users[:3])
    assert remove(user_ids=users)["was_there"] is True
    assert service.state()["counters"]["RemoveUser"] == {"OK": 1, MISSING: 1}
    with pytest.raises(AirflowFailException, match="no numeric room"):
        remove(user_ids=users)


def test_nobody_to_remove_asks_nothing(service: Emulator, task: Task) -> None:
    operator = TrtcRemoveUsersOperator(task_id="t", room_id=8001, user_ids="{{ nobody }}")
    operator.user_ids = []
    assert operator.execute(task.context())["was_there"] is None
    assert sent(service) == []


@pytest.mark.parametrize("block, mode", [("audio", 2), ("video", 3), ("both", 1)])
def test_a_user_is_blocked_by_a_word(service: Emulator, block: str, mode: int) -> None:
    service.room("physics", enter=["alice"])

    def execute(block: str) -> Any:
        operator = TrtcBlockUserOperator(task_id="t", room_id="physics", user_id="alice", block=block)
        return operator.execute(Task(DictStore()).context())

    found = execute(block)
    assert (found["user"], found["block"], found["was_there"]) == ("alice", block, True)
    (blocked,) = service.rooms()["blocked"]
    assert (blocked["room_id"], blocked["users"]) == ("physics", {"alice": mode})
    execute("none")
    assert service.rooms()["blocked"] == []
    assert sent(service) == ["SetUserBlockedByStrRoomId"] * 2


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"room_id": 0}, "whole number from 1 to"),
        ({"room_id": None}, "room_id must be"),
        ({"room_id": "physics", "room_id_type": "numeric"}, "whole number from 1 to"),
        ({"room_id_type": 1}, "mean the opposite"),
        ({"if_no_room": "ignore"}, "if_no_room must be one of fail, finish, skip"),
        ({"trtc_conn_id": ""}, "trtc_conn_id is empty"),
    ],
)
def test_mistakes_are_found_when_the_dag_is_parsed(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrtcDismissRoomOperator(task_id="t", **{"room_id": 8001, **wrong})
    if "room_id" not in wrong:
        with pytest.raises(ValueError, match=words):
            TrtcDismissRoomOperator.partial(task_id="t", **wrong).expand(room_id=[1])


@pytest.mark.parametrize("wrong", [{"user_ids": []}, {"user_ids": [""]}, {"user_ids": None}])
def test_lists_of_users_are_checked_when_the_dag_is_parsed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="user_ids"):
        TrtcRemoveUsersOperator(task_id="t", room_id=8001, **wrong)
    with pytest.raises(ValueError, match="block must be one of"):
        TrtcBlockUserOperator(task_id="t", room_id=8001, user_id="alice", block="sound")


def test_templates_are_checked_once_rendered(service: Emulator, task: Task) -> None:
    operator = TrtcDismissRoomOperator(task_id="t", room_id="{{ room }}", room_id_type="numeric")
    for wrong in ("physics", "None", ""):
        operator.room_id = wrong
        with pytest.raises(AirflowFailException, match=r"room_id .*"):
            operator.execute(task.context())
    assert sent(service) == []


def test_what_retries_may_help_is_left_to_them_and_what_not_fails_for_good(
    service: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.fault("error", code="UnauthorizedOperation.SdkAppId", count=1)
    with pytest.raises(AirflowFailException, match="sdk_app_id"):
        dismiss()
    for error in (TrtcThrottledError("slow down"), TrtcFailedError("no", code="FailedOperation")):

        def fails(*args: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(TrtcHook, "dismiss_room", fails)
        with pytest.raises(type(error)):
            dismiss()


# -- whole DAGs ---------------------------------------------------------------------------------------


@pytest.mark.trtc_emulator(rate_limit=2)
def test_mapped_tasks_wait_for_their_turn_and_none_fails_of_throttling(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    for room_id in range(1, 31):
        service.room(str(room_id), enter=["alice"])
    run = trtc_airflow.run(many_rooms)
    assert run.state == "success", run
    assert [each["was_there"] for each in run["dismiss"].value] == [True] * 30
    assert all(not each["users"] for each in service.rooms()["rooms"])
    counted = service.state()["counters"]["DismissRoom"]
    assert counted["OK"] == 30


def test_rooms_and_users_may_come_from_templates_and_other_tasks(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    service.room("8001", enter=["alice", "bob", "carol"])
    service.room("physics", enter=["dave"])
    run = trtc_airflow.run(templated, {"room": "8001", "users": ["alice", "bob"]})
    assert run.state == "success", run
    assert run["from_conf"].value["users"] == ["alice", "bob"]
    assert service.room("8001") == ["carol"]
    assert run["from_task"].value["users"] == ["dave"]
    assert run["from_conf"].value["room_type"] == "numeric"


def test_each_user_is_blocked_by_a_task(service: Emulator, trtc_airflow: TrtcAirflow) -> None:
    service.room("8001", enter=["alice", "bob"])
    run = trtc_airflow.run(blocked)
    assert run.state == "success", run
    assert service.rooms()["blocked"][0]["users"] == {"alice": 2, "bob": 1}


def test_a_missing_room_skips_what_follows(service: Emulator, trtc_airflow: TrtcAirflow) -> None:
    run = trtc_airflow.run(removed)
    assert (run["remove"].state, run["after"].state) == ("skipped", "skipped")
