"""Calls that create something, over the tries and clears of a task: none is sent a second time blindly."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.cloud.actions import ACTIONS
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import MAX_ANSWER_BYTES, Attempt, Deed, Fact, Target, facts_of, read_attempt
from airflow_trtc.operators.attempt_store import kept_store, tries_of
from airflow_trtc.operators.creating import (
    CALLS,
    Creator,
    digest_of,
    key_of,
)
from tests.operators.running import DictStore, Task

LOST = TrtcTransientError("The answer was lost.", outcome_unknown=True)
REFUSED = TrtcFailedError("no", code="FailedOperation.NotAllowed")
EXISTS = TrtcFailedError("it runs", code="FailedOperation.TaskExist")
GONE = TrtcFailedError("gone", code="FailedOperation.TaskNotExist")
TARGET = Target("X", 1, "ap-guangzhou", "d")
IDENTITY = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}


class Service:
    """The calls that it was asked for, and what it answers to each in turn: an answer or an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.settings = SimpleNamespace(sdk_app_id=1, region="ap-guangzhou")

    def call(self, action: str, params: dict[str, Any]) -> Any:
        self.calls.append((action, params))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def sent(self) -> list[str]:
        """What was called since the last time."""
        names = [name for name, _ in self.calls]
        self.calls.clear()
        return names


def started(job_id: str) -> dict[str, Any]:
    return {"TaskId": job_id, "RequestId": "r"}


def create(
    task: Task,
    service: Service,
    action: str = "CreateCloudSliceTask",
    *,
    cleared: bool = False,
    hands_on: bool = False,
    sleep: Callable[[float], None] = lambda seconds: None,
    replaces: bool = False,
    **params: Any,
) -> Any:
    """One try of a task."""
    context = task.context(cleared=cleared)
    store = kept_store(CALLS, context, logging.getLogger("test"))
    creator = Creator(
        hook=cast("TrtcHook", service),
        row=ACTIONS[action],
        params={"RoomId": "1", "UserSig": f"sig {task.try_number}", **params},
        identity=IDENTITY,
        store=store,
        tries=tries_of(context),
        log=logging.getLogger("test"),
        replaces=replaces,
        sleep=sleep,
    )
    answer = creator.start()
    if hands_on:
        store.hand_on(tries_of(context))
    return answer


def test_an_answer_is_returned_again_to_a_retry_whatever_its_templates_render_to(task: Task) -> None:
    service = Service(started("a"))
    assert create(task, service) == started("a")
    assert create(task, service, RoomId="2") == started("a")
    assert service.sent == ["CreateCloudSliceTask"]


def test_a_cleared_task_that_had_succeeded_starts_anew(task: Task) -> None:
    service = Service(started("a"), started("b"))
    create(task, service, hands_on=True)
    assert create(task, service) == started("a")  # a retry, for the XCom could not be written
    assert create(task, service, cleared=True) == started("b")


def test_a_cleared_task_that_had_failed_goes_on_with_what_it_created_unless_its_arguments_changed(
    task: Task,
) -> None:
    service = Service(started("a"), started("b"))
    create(task, service)
    assert create(task, service, cleared=True) == started("a")
    assert create(task, service, cleared=True, RoomId="2") == started("b")


def test_without_a_key_a_lost_answer_fails_for_good_until_somebody_clears_the_task(task: Task) -> None:
    service = Service(LOST, started("b"))
    with pytest.raises(
        AirflowFailException, match=r"not known whether CreateCloudSliceTask .* The answer was lost"
    ):
        create(task, service)
    with pytest.raises(
        AirflowFailException, match=r"not sent again\. Try 1 sent it at .* then clear this task"
    ):
        create(task, service, RoomId="2")
    assert service.sent == ["CreateCloudSliceTask"]
    assert create(task, service, cleared=True) == started("b")


def test_a_try_that_was_killed_while_it_waited_for_the_answer_is_known_to_the_next_one(task: Task) -> None:
    with pytest.raises(KeyboardInterrupt):
        create(task, Service(KeyboardInterrupt()))
    service = Service()
    with pytest.raises(AirflowFailException, match="Try 1 sent it"):
        create(task, service)
    assert service.sent == []


@pytest.mark.parametrize("error", [REFUSED, TrtcThrottledError("slow"), TrtcTransientError("not sent")])
def test_what_was_certainly_not_carried_out_is_sent_again_by_a_retry(task: Task, error: TrtcError) -> None:
    service = Service(error, started("a"))
    with pytest.raises(type(error)):
        create(task, service)
    assert task.store is not None
    assert task.store.rows == {}
    assert create(task, service) == started("a")


KEYED = {
    "StartWebRecord": "RecordId",
    "StartAIConversation": "SessionId",
    "StartAITranscription": "SessionId",
}


@pytest.mark.parametrize("action", KEYED)
def test_with_a_key_a_lost_answer_is_found(task: Task, action: str) -> None:
    param, find = KEYED[action], ACTIONS[action].find_action
    service = Service(LOST, started("a"))
    pauses: list[float] = []
    assert create(task, service, action, SdkAppId=1, sleep=pauses.append)["TaskId"] == "a"
    (_, first), (asked, second) = service.calls
    assert asked == find
    key = first[param]
    assert second == {**({"TaskId": ""} if "Transcription" in action else {}), "SdkAppId": 1, param: key}
    assert key == key_of(ACTIONS[action], IDENTITY, 0)
    assert len(key) < 32
    assert len(pauses) == 1
    assert create(task, service, action) == started("a")


def test_with_a_key_the_same_is_sent_again_when_nothing_was_started(task: Task) -> None:
    service = Service(LOST, GONE, LOST, GONE, started("a"))
    assert create(task, service, "StartWebRecord") == started("a")
    keys = {params["RecordId"] for _, params in service.calls}
    assert len(keys) == 1
    assert service.sent == ["StartWebRecord", "DescribeWebRecord"] * 2 + ["StartWebRecord"]


def test_a_try_finds_by_its_key_what_a_killed_one_started(task: Task) -> None:
    with pytest.raises(KeyboardInterrupt):
        create(task, Service(KeyboardInterrupt()), "StartAIConversation")
    service = Service(started("a"))
    assert create(task, service, "StartAIConversation")["TaskId"] == "a"
    assert service.sent == ["DescribeAIConversation"]


def test_below_airflow_3_3_the_key_still_finds_what_an_earlier_try_started() -> None:
    service = Service(EXISTS, started("a"))
    assert create(Task(None), service, "StartWebRecord")["TaskId"] == "a"
    assert service.sent == ["StartWebRecord", "DescribeWebRecord"]


def test_a_key_that_the_user_gave_and_somebody_else_used_is_an_error(task: Task) -> None:
    service = Service(EXISTS, LOST, started("a"))
    with pytest.raises(TrtcFailedError, match="it runs"):
        create(task, service, "StartWebRecord", RecordId="mine")
    assert create(task, service, "StartWebRecord", RecordId="mine")["TaskId"] == "a"
    assert {params["RecordId"] for _, params in service.calls} == {"mine"}


def test_a_refused_key_is_not_used_again(task: Task) -> None:
    service = Service(REFUSED, REFUSED, started("a"))
    for _ in range(2):
        with pytest.raises(TrtcFailedError):
            create(task, service, "StartWebRecord")
    create(task, service, "StartWebRecord")
    assert len({params["RecordId"] for _, params in service.calls}) == 3


def test_a_key_that_exists_and_cannot_be_found_is_not_tried_for_ever(task: Task) -> None:
    service = Service(EXISTS, *[GONE, EXISTS] * 9)
    told = r"refused with FailedOperation.TaskExist: .* DescribeWebRecord knows none with the key af-\w+ of"
    with pytest.raises(AirflowFailException, match=told):
        create(task, service, "StartWebRecord")
    assert len(service.sent) == 7


def test_trouble_that_goes_on_is_left_to_the_retries(task: Task) -> None:
    service = Service(LOST, GONE, LOST, GONE, LOST, GONE, LOST, started("a"))
    with pytest.raises(TrtcTransientError):
        create(task, service, "StartWebRecord")
    assert create(task, service, "StartWebRecord")["TaskId"] == "a"


def test_an_answer_that_is_too_big_to_keep_is_not_asked_for_twice(task: Task) -> None:
    service = Service({"Audio": "x" * MAX_ANSWER_BYTES}, started("b"))
    create(task, service, "TextToSpeech")
    with pytest.raises(AirflowFailException, match="the answer was too big to keep"):
        create(task, service, "TextToSpeech")
    assert service.sent == ["TextToSpeech"]


def test_what_another_version_kept_fails_once(task: Task) -> None:
    assert task.store is not None
    task.store.set("trtc_api_create", {"v": 99}, retention=timedelta(days=31))
    service = Service(started("a"))
    with pytest.raises(
        AirflowFailException, match="cannot be read; another version of airflow-trtc wrote it"
    ):
        create(task, service)
    assert service.sent == []
    assert create(task, service, cleared=True) == started("a")


@pytest.mark.parametrize("broken, is_sent", [("get", False), ("set", False), ("delete", True)])
def test_a_store_that_is_away_before_anything_is_sent_stops_it(
    task: Task, broken: str, is_sent: bool
) -> None:
    assert task.store is not None
    task.store.broken = broken
    service = Service(REFUSED)
    with pytest.raises(TrtcFailedError if is_sent else TrtcTransientError):
        create(task, service)
    assert bool(service.sent) is is_sent


def test_no_secret_is_kept_or_changes_what_is_asked_for() -> None:
    one, other = (digest_of({"UserSig": sig, "Deep": [{"SecretKey": sig}], "RoomId": 1}) for sig in "ab")
    assert one == other
    assert one != digest_of({"RoomId": 2})


def test_rows_are_read_as_they_were_written_and_others_refused() -> None:
    attempt = Attempt(
        target=TARGET,
        max_tries=1,
        try_number=2,
        sent_at="t",
        generation=3,
        answer={"TaskId": "a"},
        is_answered=True,
        handed_on=True,
    )
    assert read_attempt(attempt.to_json()) == attempt
    written = attempt.to_json()
    others: list[Any] = [None, [], {}, {**written, "v": 1}, {**written, "target": {"kind": "X"}}]
    for row in others:
        with pytest.raises(ValueError, match="no attempt of this version"):
            read_attempt(row)


@pytest.mark.parametrize("cleared", [False, True])
@pytest.mark.parametrize("handed_on", [False, True])
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("has_remedy", [False, True])
def test_nothing_is_ever_sent_twice_without_a_clear(
    cleared: bool, handed_on: bool, changed: bool, has_remedy: bool
) -> None:
    common: dict[str, Any] = {"target": TARGET, "max_tries": 1, "try_number": 1}
    target, max_tries = replace(TARGET, content="e" if changed else "d"), 2 if cleared else 1
    repeatable = Fact.REPEATABLE if has_remedy else Fact(0)

    def deed(kept: Attempt) -> Deed:
        return CALLS.rule(facts_of(kept, target, max_tries) | repeatable).deed

    answered = deed(Attempt(**common, is_answered=True, handed_on=handed_on, answer={}))
    assert answered is (Deed.START if cleared and (handed_on or changed) else Deed.RETURN)
    silent = deed(Attempt(**common))
    assert silent is (Deed.RESOLVE if has_remedy else Deed.START if cleared else Deed.FAIL)
    assert deed(Attempt(**common, is_void=True)) is Deed.START
    assert CALLS.rule(Fact(0)).deed is Deed.START


def test_keys_differ_by_task_action_and_generation_and_are_short() -> None:
    rows = [ACTIONS[name] for name in KEYED]
    others = [IDENTITY, {**IDENTITY, "map_index": 1}, {**IDENTITY, "run_id": "s"}]
    keys = {key_of(row, identity, n) for row in rows for identity in others for n in range(2)}
    assert len(keys) == 18
    assert all(len(key.encode()) <= 31 for key in keys)


def test_the_store_of_the_tests_is_that_of_airflow(store: DictStore, task: Task) -> None:
    create(task, Service(started("a")))
    assert list(store.rows) == ["trtc_api_create"]


# -- what a second request ends -------------------------------------------------------------------------


def test_a_start_that_replaces_is_sent_again_after_a_lost_answer(task: Task) -> None:
    service, slept = Service(LOST, LOST, started("c")), list[float]()
    assert create(task, service, replaces=True, sleep=slept.append) == started("c")
    assert service.sent == ["CreateCloudSliceTask"] * 3
    assert len(slept) == 2


def test_a_try_killed_while_it_sent_what_replaces_sends_it_again(task: Task) -> None:
    service = Service(KeyboardInterrupt(), started("b"))
    with pytest.raises(KeyboardInterrupt):
        create(task, service, replaces=True)
    assert create(task, service, replaces=True) == started("b")


def test_what_is_renounced_is_wanted_anew(task: Task) -> None:
    service = Service(started("a"), started("b"))
    create(task, service, replaces=True)
    kept_store(CALLS, task.context(), logging.getLogger("test")).change(is_void=True)
    assert create(task, service, replaces=True) == started("b")
