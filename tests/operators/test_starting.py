"""A start happens once: tries, lost answers, clears, and a store that fails."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.errors import (
    TrtcError,
    TrtcFailedError,
    TrtcSetupError,
    TrtcThrottledError,
    TrtcTransientError,
)
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import TrtcStartRecordingOperator, start
from airflow_trtc.operators.attempt_store import KeptStore, Tries
from airflow_trtc.operators.recording_starting import RecordingStarter, StartRequest
from airflow_trtc.recording.attempts import RECORDING_STARTS
from airflow_trtc.recording.rooms import Room
from airflow_trtc.recording.storage import read_storage
from tests.operators.running import DictStore, Task, recordings, sent

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator

CREATE, DESCRIBE = "CreateCloudRecording", "DescribeCloudRecording"
KEY = RECORDING_STARTS.key
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def operator(**options: Any) -> TrtcStartRecordingOperator:
    return TrtcStartRecordingOperator(task_id="t", **{"room_id": 5, "storage": "vod", **options})


def ends(emulator: Emulator) -> list[str | None]:
    return [one["end_reason"] for one in recordings(emulator)]


def die_before_handing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try is killed when it has its recording."""

    def killed(*args: Any) -> Any:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "push_results", killed)


def test_nothing_is_kept_so_it_starts_and_hands_on(service: Emulator, task: Task) -> None:
    recording_id = operator().execute(task.context())
    (made,) = recordings(service)
    assert made["recording_id"] == recording_id
    assert (made["room_id"], made["mixed"]) == ("5", True)
    given = task.xcoms["recording"]
    assert given["recording_id"] == recording_id
    assert given["user_id"] == made["robot_id"]
    assert (given["attempts"], given["reattached"], given["replaced_unknown"]) == (1, False, False)
    assert sent(service) == [CREATE]


def test_what_is_about_to_be_sent_is_kept_before_and_the_id_after(
    service: Emulator, task: Task, store: DictStore
) -> None:
    recording_id = operator().execute(task.context())
    steps = [(one["answer"] and one["answer"]["recording_id"], one["handed_on"]) for one in store.written]
    assert steps == [(None, False), (recording_id, False), (recording_id, True)]


def test_a_retry_continues_with_what_runs(
    service: Emulator, task: Task, store: DictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        die_before_handing_on(patch)
        with pytest.raises(KeyboardInterrupt):
            operator().execute(task.context())
    first = json.loads(store.rows[KEY])["answer"]
    assert operator().execute(task.context()) == first["recording_id"]
    assert sent(service) == [CREATE, DESCRIBE]
    assert ends(service) == [None]
    assert task.xcoms["recording"] == {**first, "reattached": True}


def test_a_retry_starts_afresh_when_the_first_one_has_ended(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        die_before_handing_on(patch)
        with pytest.raises(KeyboardInterrupt):
            operator().execute(task.context())
    (made,) = recordings(service)
    service.end(made["recording_id"])
    recording_id = operator().execute(task.context())
    assert recording_id != made["recording_id"]
    assert sent(service) == [CREATE, DESCRIBE, CREATE]
    assert not task.xcoms["recording"]["reattached"]


def test_a_crash_after_handing_on_continues_and_a_clear_starts_afresh(service: Emulator, task: Task) -> None:
    first = operator().execute(task.context())
    assert operator().execute(task.context()) == first  # the same max_tries: the task never succeeded
    second = operator().execute(task.context(cleared=True))
    assert second != first
    assert ends(service) == ["replaced", None]
    assert operator().execute(task.context()) == second


def test_a_failed_task_that_is_cleared_continues_and_is_handed_on_with_the_new_number(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        die_before_handing_on(patch)
        with pytest.raises(KeyboardInterrupt):
            operator().execute(task.context())
    first = operator().execute(task.context(cleared=True))
    assert operator().execute(task.context()) == first
    assert sent(service).count(CREATE) == 1


def test_a_try_killed_while_it_sent_is_replaced_by_the_same_robot(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrtcHook.start

    def killed(hook: TrtcHook, kind: str, params: Any) -> str:
        real(hook, kind, params)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrtcHook, "start", killed)
        with pytest.raises(KeyboardInterrupt):
            operator().execute(task.context())
    recording_id = operator().execute(task.context())
    assert ends(service) == ["replaced", None]
    assert recordings(service)[1]["recording_id"] == recording_id
    assert (task.xcoms["recording"]["replaced_unknown"], task.xcoms["recording"]["attempts"]) == (True, 2)


def test_a_lost_answer_is_sent_again_and_one_recording_runs(service: Emulator, task: Task) -> None:
    service.fault("lost_answer", action=CREATE, count=2)
    operator().execute(task.context())
    assert ends(service) == ["replaced", "replaced", None]
    assert (task.xcoms["recording"]["replaced_unknown"], task.xcoms["recording"]["attempts"]) == (True, 3)


def test_when_all_answers_are_lost_the_next_try_goes_on(service: Emulator, task: Task) -> None:
    service.fault("lost_answer", action=CREATE, count=4)
    with pytest.raises(TrtcTransientError) as error:
        operator().execute(task.context())
    assert error.value.outcome_unknown
    assert ends(service) == ["replaced"] * 3 + [None]
    operator().execute(task.context())
    assert ends(service) == ["replaced"] * 4 + [None]
    assert task.xcoms["recording"]["attempts"] == 5


def test_what_the_service_refuses_leaves_nothing_behind(
    service: Emulator, task: Task, store: DictStore
) -> None:
    service.fault("error", action=CREATE, count=1, code="FailedOperation.RestrictedConcurrency")
    with pytest.raises(TrtcFailedError, match="100 recordings unless raised"):
        operator().execute(task.context())
    assert store.rows == {}
    operator().execute(task.context())
    assert not task.xcoms["recording"]["replaced_unknown"]


@pytest.mark.parametrize(
    "error",
    [TrtcTransientError("an outage"), TrtcThrottledError("too fast"), TrtcFailedError("no", code="X")],
)
def test_when_the_service_cannot_be_asked_nothing_is_started(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch, error: TrtcError
) -> None:
    operator().execute(task.context())

    def fails(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(TrtcHook, "describe_recording", fails)
    with pytest.raises(type(error)):
        operator().execute(task.context())
    assert sent(service) == [CREATE]


def test_other_arguments_start_another_recording_and_the_log_names_the_first(
    service: Emulator, task: Task
) -> None:
    operator().execute(task.context())
    operator(room_id=6).execute(task.context())
    assert [one["room_id"] for one in recordings(service)] == ["5", "6"]
    assert sent(service) == [CREATE, CREATE]


def test_without_a_store_a_retry_replaces(service: Emulator) -> None:
    task = Task(None)
    operator().execute(task.context())
    operator().execute(task.context())
    assert ends(service) == ["replaced", None]


@pytest.mark.parametrize("broken, created", [("get", 0), ("set", 0), ("delete", 1)])
def test_a_store_that_fails_before_the_start_prevents_it(
    service: Emulator, task: Task, store: DictStore, broken: str, created: int
) -> None:
    store.broken = broken
    if created:
        operator().execute(task.context())
    else:
        with pytest.raises(TrtcTransientError, match=r"Retry the task"):
            operator().execute(task.context())
    assert sent(service).count(CREATE) == created


def test_a_store_that_fails_after_the_start_loses_no_recording(
    service: Emulator, task: Task, store: DictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrtcHook.start

    def then_break(hook: TrtcHook, kind: str, params: Any) -> str:
        store.broken = "get set"
        return real(hook, kind, params)

    monkeypatch.setattr(TrtcHook, "start", then_break)
    recording_id = operator().execute(task.context())
    assert task.xcoms["recording"]["recording_id"] == recording_id


def test_a_row_of_another_version_counts_as_unknown(service: Emulator, task: Task, store: DictStore) -> None:
    store.rows[KEY] = json.dumps({"v": 99})
    operator().execute(task.context())
    assert task.xcoms["recording"]["replaced_unknown"]


# -- the piece that others build on -------------------------------------------------------------------


class FakeHook:
    """Answers each start with the next of these."""

    def __init__(self, *answers: Any, advanced: bool = False) -> None:
        self.answers = list(answers)
        self.params: list[Any] = []
        self.required_app_id = 1400000001
        self.trtc_conn_id = "trtc_default"
        self.settings = type("S", (), {"region": "r", "advanced_permission_control": advanced})
        self.signed: list[Any] = []

    def start(self, kind: str, params: Any) -> str:
        self.params.append(params)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    def user_sig(self, user_id: str, *, seconds: int) -> str:
        self.signed.append((user_id, seconds))
        return "a-user-sig"

    def private_map_key(self, user_id: str, room_id: Any, *, seconds: int, privileges: int) -> str:
        self.signed.append((user_id, room_id, seconds, int(privileges)))
        return "a-map-key"


def starter(hook: FakeHook, slept: list[float], **options: Any) -> RecordingStarter:
    request = StartRequest(
        room=Room("5", 1),
        storage=read_storage("storage", "vod"),
        record_params={"RecordMode": 2},
        user_id="robot",
        **options,
    )
    log = logging.getLogger("test")
    given: Any = hook
    return RecordingStarter(
        hook=given,
        request=request,
        store=KeptStore(RECORDING_STARTS, None, log),
        tries=Tries(1, 0),
        log=log,
        clock=lambda: NOW,
        sleep=slept.append,
    )


LOST = TrtcTransientError("an internal error", outcome_unknown=True)


def test_the_vendor_advises_to_wait_3_6_and_12_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    slept: list[float] = []
    hook = FakeHook(LOST, LOST, LOST, "rid")
    started = starter(hook, slept).start()
    assert slept == [3, 6, 12]
    assert started.attempts == 4
    assert all(params == hook.params[0] for params in hook.params)
    with pytest.raises(TrtcTransientError):
        starter(FakeHook(LOST, LOST, LOST, LOST), slept).start()


@pytest.mark.parametrize(
    "error", [TrtcTransientError("never sent"), TrtcSetupError("wrong"), TrtcFailedError("no")]
)
def test_only_an_unknown_outcome_is_sent_again(error: TrtcError) -> None:
    slept: list[float] = []
    with pytest.raises(type(error)):
        starter(FakeHook(error), slept).start()
    assert slept == []


def test_a_refusal_after_a_lost_answer_keeps_the_doubt(store: DictStore) -> None:
    one = starter(FakeHook(LOST, TrtcFailedError("no"), "rid"), [])
    one.store = KeptStore(RECORDING_STARTS, store, one.log)
    with pytest.raises(TrtcFailedError):
        one.start()
    assert json.loads(store.rows[KEY])["answer"] is None
    started = one.start()
    assert (started.replaced_unknown, started.attempts) == (True, 3)


def test_a_user_sig_outlives_the_time_for_orders_by_a_day() -> None:
    hook = FakeHook("rid", "rid")
    started = starter(hook, []).start()
    assert hook.signed == [("robot", (72 + 24) * 3600)]
    assert started.expires_at == NOW + timedelta(hours=72)
    starter(hook, [], expired_hours=6).start()
    assert hook.signed[1] == ("robot", 30 * 3600)
    assert hook.params[1]["ResourceExpiredHour"] == 6
    assert "ResourceExpiredHour" not in hook.params[0]


@pytest.mark.parametrize(
    "by_connection, by_argument, signs",
    [(False, None, False), (True, None, True), (True, False, False), (False, True, True)],
)
def test_a_private_map_key_is_signed_where_rooms_ask_for_one(
    by_connection: bool, by_argument: bool | None, signs: bool
) -> None:
    hook = FakeHook("rid", advanced=by_connection)
    starter(hook, [], advanced_permission_control=by_argument).start()
    assert hook.params[0].get("PrivateMapKey") == ("a-map-key" if signs else None)
    if signs:  # enter, receive audio, video and the substream
        assert hook.signed[1] == ("robot", 5, 96 * 3600, 2 + 8 + 32 + 128)


def test_a_user_sig_of_ones_own_is_sent_and_shown_nowhere() -> None:
    hook = FakeHook("rid")
    made = starter(hook, [], user_sig="eJwsecret")
    assert "eJwsecret" not in repr(made)
    made.start()
    assert hook.params[0]["UserSig"] == "eJwsecret"
    assert hook.signed == []


def test_a_connection_without_the_key_of_the_application_fails_before_anything_is_sent(
    trtc_connection: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = json.loads(trtc_connection.connection_json)
    fields["extra"].pop("sdk_secret_key", None)
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(fields))
    with pytest.raises(AirflowFailException, match="sdk_secret_key is not set"):
        operator().execute(task.context())
    assert sent(trtc_connection) == []
