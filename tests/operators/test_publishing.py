"""Relays: started once whatever happens, changed in order, and stopped."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException, AirflowSkipException
from airflow_trtc.bounds import HIGHEST
from airflow_trtc.errors import TrtcFailedError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import (
    TrtcStartRelayOperator,
    TrtcStopRelayOperator,
    TrtcUpdateRelayOperator,
    publishing,
    streams,
)
from airflow_trtc.publishing.sequence import FRESH_MS
from tests.operators.dags.relays import again, set_up, waited, whole
from tests.operators.running import DictStore, Task, sent
from tests.versions import HAS_STATE_STORE

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import TrtcAirflow

START, UPDATE, STOP = "StartPublishCdnStream", "UpdatePublishCdnStream", "StopPublishCdnStream"
URL = "rtmp://cdn.example/live/lesson"
KEY = "txSecret=0123456789abcdef"
LISTS = {"SubscribeAudioList": [{"UserInfo": {"UserId": "alice"}}]}
VIDEO = {"VideoEncode": {"Width": 1280, "Height": 720, "Fps": 15, "BitRate": 1200, "Gop": 2}}


def starting(**options: Any) -> TrtcStartRelayOperator:
    return TrtcStartRelayOperator(task_id="t", **{"room_id": 8001, "urls": URL, **options})


def start(task: Task, *, cleared: bool = False, **options: Any) -> str:
    return starting(**options).execute(task.context(cleared=cleared))


def update(task: Task, **options: Any) -> Any:
    given = {"audio": LISTS, **options}
    return TrtcUpdateRelayOperator(task_id="u", **given).execute(task.context())


def stop(**options: Any) -> Any:
    return TrtcStopRelayOperator(task_id="s", **options).execute(Task(None).context())


def relays(service: Emulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.bill()["jobs"]
    return found


def running(service: Emulator) -> list[str]:
    found: list[str] = service.bill()["running_jobs"]
    return found


def updates(service: Emulator, relay_id: str) -> list[int]:
    """The numbers that were taken."""
    return [each["sequence_number"] for each in service.truth(relay_id)["updates"]]


def parameters(service: Emulator, action: str) -> dict[str, Any]:
    """Of the last request for an action."""
    requests = service.state(requests=True)["requests"]
    found: dict[str, Any] = next(one["parameters"] for one in reversed(requests) if one["action"] == action)
    return found


def dies_before_handing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try is killed when it has its relay."""
    real: Any = vars(streams)["push_results"]

    def killed(*args: Any) -> Any:
        monkeypatch.setattr(streams, "push_results", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(streams, "push_results", killed)


def is_away_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next update does not reach the service."""
    real: Any = TrtcHook.update_relay

    def fails(*args: Any) -> Any:
        monkeypatch.setattr(TrtcHook, "update_relay", real)
        raise TrtcTransientError("an outage")

    monkeypatch.setattr(TrtcHook, "update_relay", fails)


# -- starting -----------------------------------------------------------------------------------------


def test_a_relay_is_started_and_handed_on_without_its_addresses(service: Emulator, task: Task) -> None:
    relay_id = start(task, urls=[f"{URL}?{KEY}"], video=VIDEO, max_idle_seconds="60")
    assert running(service) == [relay_id]
    given = task.xcoms["job"]
    assert (given["kind"], given["job_id"], given["room_type"]) == ("relay", relay_id, "numeric")
    assert (given["with_transcoding"], given["reattached"], given["attempts"]) == (1, False, 1)
    assert given["user_id"].startswith("airflow-cdn-")
    assert "cdn.example" not in str(given)
    request = parameters(service, START)
    assert request["AgentParams"]["MaxIdleTime"] == 60
    assert request["PublishCdnParams"] == [{"PublishCdnUrl": f"{URL}?{KEY}", "IsTencentCdn": 1}]
    assert request["AudioParams"]["AudioEncode"]["SampleRate"] == 48000


@pytest.mark.parametrize(
    "room_id, room_type, number",
    [(8001, None, 0), ("8001", "numeric", 0), ("8001", "string", 1), ("physics", None, 1)],
)
def test_room_types_are_numbered_as_relays_want_them(
    service: Emulator, task: Task, room_id: Any, room_type: Any, number: int
) -> None:
    relay_id = start(task, room_id=room_id, room_id_type=room_type)
    assert parameters(service, START)["RoomIdType"] == number
    assert service.truth(relay_id)["is_string_room"] == bool(number)


def test_one_users_stream_goes_as_it_is(service: Emulator, task: Task) -> None:
    start(task, single_user_id="alice", is_tencent_cdn=False)
    request = parameters(service, START)
    assert request["WithTranscoding"] == 0
    assert request["SingleSubscribeParams"] == {"UserMediaStream": {"UserInfo": {"UserId": "alice"}}}
    assert request["PublishCdnParams"][0]["IsTencentCdn"] == 0


def test_rooms_to_publish_to_are_signed(service: Emulator, task: Task) -> None:
    there = {"RoomId": "9", "RoomIdType": 0, "UserId": "mixer"}
    relay_id = start(task, urls=None, parameters={"FeedBackRoomParams": [there]})
    assert running(service) == [relay_id]


def test_a_try_that_follows_continues_with_what_runs(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    assert start(task) == running(service)[0]
    assert task.xcoms["job"]["reattached"]
    assert sent(service) == [START, UPDATE]
    assert len(relays(service)) == 1


def test_a_probe_does_not_stand_in_the_way_of_updates(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    relay_id = start(task)
    assert update(Task(DictStore()), job_id=relay_id, sequence_number=2)["was_applied"]
    start(task)  # the number of the probe is lower by now, which is an answer too
    assert running(service) == [relay_id]


def test_what_is_over_is_started_afresh(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    stop(job_id=running(service)[0])
    assert [start(task)] == running(service)
    assert [each["end_reason"] for each in relays(service)] == ["stopped", None]


def test_other_arguments_stop_the_earlier_relay(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    assert [start(task, urls="rtmp://other.example/live/lesson")] == running(service)
    assert sent(service) == [START, STOP, START]


def test_a_cleared_task_stops_its_relay_and_starts_anew(service: Emulator, task: Task) -> None:
    start(task)
    assert [start(task, cleared=True)] == running(service)
    assert [each["end_reason"] for each in relays(service)] == ["stopped", None]


@pytest.mark.parametrize("lost", [1, 3])
def test_a_lost_answer_leaves_one_relay(service: Emulator, task: Task, lost: int) -> None:
    service.fault("lost_answer", action=START, count=lost)
    assert [start(task)] == running(service)
    assert [each["end_reason"] for each in relays(service)] == ["removed"] * lost + [None]
    given = task.xcoms["job"]
    assert (given["attempts"], given["replaced_unknown"]) == (lost + 1, True)


def test_lost_answers_of_one_try_are_made_good_by_the_next(service: Emulator, task: Task) -> None:
    service.fault("lost_answer", action=START, count=4)
    with pytest.raises(TrtcTransientError) as caught:
        start(task)
    assert caught.value.outcome_unknown
    assert len(running(service)) == 1  # which no id names
    assert [start(task)] == running(service)
    assert task.xcoms["job"]["attempts"] == 5


def test_where_nothing_is_kept_each_try_ends_what_the_one_before_started(service: Emulator) -> None:
    task = Task(None)
    start(task)
    assert [start(task)] == running(service)
    assert sent(service) == [START, "RemoveUser", START]


def test_a_robot_that_cannot_be_sent_out_is_replaced_by_its_double(service: Emulator, task: Task) -> None:
    service.fault("lost_answer", action=START, count=1)
    service.fault("error", action="RemoveUser", code="AuthFailure.UnauthorizedOperation")
    assert [start(task)] == running(service)
    assert [each["end_reason"] for each in relays(service)] == ["replaced", None]


def test_when_the_service_cannot_be_asked_nothing_is_started(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)

    def fails(*args: Any) -> Any:
        raise TrtcTransientError("an outage")

    monkeypatch.setattr(TrtcHook, "update_relay", fails)
    with pytest.raises(TrtcTransientError):
        start(task)
    assert len(relays(service)) == 1


@pytest.mark.parametrize("code, asks_again", [("InvalidParameter", True), ("AuthFailure", False)])
def test_a_probe_that_is_refused_for_its_parameters_found_the_relay(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch, code: str, asks_again: bool
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    (relay_id,) = running(service)
    service.fault("error", action=UPDATE, code=code)
    if asks_again:
        assert start(task) == relay_id
    else:
        with pytest.raises(AirflowFailException):
            start(task)
    assert running(service) == [relay_id]


def test_nothing_is_started_when_the_store_fails(service: Emulator, task: Task, store: DictStore) -> None:
    for broken in ("get", "set"):
        store.broken = broken
        with pytest.raises(TrtcTransientError):
            start(task)
    assert relays(service) == []


def test_a_row_that_cannot_be_read_ends_what_may_run(service: Emulator, task: Task, store: DictStore) -> None:
    start(task)
    store.rows = dict.fromkeys(store.rows, '{"v": 0}')
    assert [start(task)] == running(service)
    assert [each["end_reason"] for each in relays(service)] == ["removed", None]


def test_a_refusal_is_forgotten_and_left_to_retries(service: Emulator, task: Task, store: DictStore) -> None:
    service.fault("error", action=START, code="FailedOperation.RestrictedConcurrency", count=1)
    with pytest.raises(TrtcFailedError):
        start(task)
    assert store.rows == {}
    assert [start(task)] == running(service)
    assert not task.xcoms["job"]["replaced_unknown"]


def test_a_start_that_fails_hands_on_no_id(service: Emulator, task: Task) -> None:
    service.fault("error", action=START, code="InvalidParameter.SdkAppId")
    with pytest.raises(AirflowFailException):
        start(task)
    assert task.xcoms["job"] == {"kind": "relay", "job_id": None}
    assert stop(job=task.xcoms["job"])["job_id"] is None


def test_a_teardown_stops_what_an_earlier_try_started_though_the_last_one_fails(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies_before_handing_on(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    connection = service.connection
    del connection["extra"]["sdk_secret_key"]
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(connection))
    with pytest.raises(AirflowFailException):  # before it comes to ask whether that runs
        start(task)
    assert task.xcoms["job"]["job_id"] == running(service)[0]
    assert stop(job=task.xcoms["job"])["was_running"]
    assert running(service) == []


@pytest.mark.parametrize("room_id", [8001, "lesson"])
def test_a_teardown_ends_what_a_lost_answer_may_have_started(
    service: Emulator, task: Task, room_id: int | str
) -> None:
    service.fault("lost_answer", action=START, count=4)
    with pytest.raises(TrtcTransientError):
        start(task, room_id=room_id)
    assert len(running(service)) == 1
    assert stop(job=task.xcoms["job"])["was_running"] is None
    assert running(service) == []


def test_a_teardown_knows_of_a_start_that_was_killed(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any) -> Any:
        real(*args)
        raise KeyboardInterrupt

    real: Any = TrtcHook.start
    monkeypatch.setattr(TrtcHook, "start", killed)
    with pytest.raises(KeyboardInterrupt):
        start(task)
    assert len(running(service)) == 1
    stop(job=task.xcoms["job"])
    assert running(service) == []


def test_a_robot_that_nobody_replaces_has_to_leave_before_another_starts(
    service: Emulator, task: Task
) -> None:
    service.fault("lost_answer", action=START, count=4)
    with pytest.raises(TrtcTransientError):
        start(task)
    service.fault("error", action="RemoveUser", code="AuthFailure.UnauthorizedOperation")
    with pytest.raises(AirflowFailException):
        start(task, user_id="another")
    assert len(running(service)) == 1
    service.clear_faults()
    assert [start(task, user_id="another")] == running(service)


def test_names_deep_inside_are_checked_before_anything_is_sent(service: Emulator, task: Task) -> None:
    with pytest.raises(AirflowFailException, match=r"LayoutParams\.MixMode"):
        start(task, video={**VIDEO, "LayoutParams": {"MixMode": 1}})
    assert sent(service) == []


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"urls": None}, "urls is missing"),
        ({"urls": "https://a.example/x"}, "must begin with rtmp://"),
        ({"urls": [URL] * 11}, "at most 10"),
        ({"room_id_type": 0}, "mean the opposite"),
        ({"room_id": "physics", "room_id_type": "numeric"}, "whole number"),
        ({"user_sig": "x"}, "give that as user_id"),
        ({"user_id": "x" * 33}, "user_id must be 1 to 32"),
        ({"max_idle_seconds": 4}, "from 5 to 86400"),
        ({"single_user_id": "alice", "transcode": True}, "transcode is for mixed"),
        ({"parameters": {"AgentParams": {}}}, "has no field 'AgentParams'"),
        ({"parameters": {"PublishCdnParams": []}}, "say the same"),
        ({"audio": {"AudioEncode": {"SampleRate": 1}}}, "lacks Channel"),
        ({"video": {"VideoEncode": {**VIDEO["VideoEncode"], "Gop": 6, "Fps": "{{ x }}"}}}, "Gop must be"),
        ({"is_tencent_cdn": "yes"}, "must be True or False"),
    ],
)
def test_mistakes_are_found_when_the_dag_is_parsed(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        starting(**wrong)


# -- changing -----------------------------------------------------------------------------------------


@pytest.fixture
def relay_id(service: Emulator) -> str:
    return start(Task(DictStore()))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of updates, in milliseconds, as the only element."""
    at = [1_796_000_000_000]
    monkeypatch.setattr(publishing, "_now_ms", lambda: at[0])
    return at


def test_an_update_is_numbered_by_the_clock(
    service: Emulator, task: Task, relay_id: str, clock: list[int]
) -> None:
    found = update(task, job_id=relay_id)
    assert found == {
        "kind": "relay",
        "job_id": relay_id,
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "with_transcoding": 1,
        "sequence_number": clock[0],
        "was_applied": True,
    }
    assert service.truth(relay_id)["content"]["AudioParams"] == LISTS
    assert updates(service, relay_id) == [clock[0]]


def test_all_tries_send_the_same_number(
    service: Emulator, task: Task, relay_id: str, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away_once(monkeypatch)
    with pytest.raises(TrtcTransientError):
        update(task, job_id=relay_id)
    first, clock[0] = clock[0], clock[0] + 300_000
    assert update(task, job_id=relay_id)["sequence_number"] == first


def test_a_late_try_does_not_undo_a_newer_update(
    service: Emulator, task: Task, relay_id: str, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_away_once(monkeypatch)
    with pytest.raises(TrtcTransientError):
        update(task, job_id=relay_id)
    clock[0] += FRESH_MS + 1
    newer: dict[str, Any] = {"SubscribeAudioList": []}
    update(Task(DictStore()), job_id=relay_id, audio=newer)
    with pytest.raises(AirflowFailException, match="was left out"):
        update(task, job_id=relay_id, if_outdated="fail")
    with pytest.raises(AirflowSkipException, match="was left out"):
        update(task, job_id=relay_id, if_outdated="skip")
    assert update(task, job_id=relay_id)["was_applied"] is False
    assert service.truth(relay_id)["content"]["AudioParams"] == newer


def test_a_lost_answer_leaves_one_update(service: Emulator, task: Task, relay_id: str) -> None:
    service.fault("lost_answer", action=UPDATE, count=1)
    assert update(task, job_id=relay_id)["was_applied"]
    assert service.truth(relay_id)["content"]["AudioParams"] == LISTS


def test_updates_at_the_same_time_are_all_carried_out(
    service: Emulator, relay_id: str, clock: list[int]
) -> None:
    """They may be about different parameters, and nobody has said which is the newer."""
    update(Task(DictStore()), job_id=relay_id, video=VIDEO)
    assert update(Task(DictStore()), job_id=relay_id)["was_applied"]  # in the same millisecond
    clock[0] -= 2_000  # on a machine whose clock is behind
    found = update(Task(DictStore()), job_id=relay_id, audio={"SubscribeAudioList": []})
    assert found["was_applied"]
    content = service.truth(relay_id)["content"]
    assert (content["VideoParams"], content["AudioParams"]) == (VIDEO, {"SubscribeAudioList": []})


@pytest.mark.parametrize("is_finer", [False, True])
def test_parallel_updates(service: Emulator, relay_id: str, is_finer: bool) -> None:
    """Also where somebody numbers in microseconds, so that each of them has to climb."""
    if is_finer:
        update(Task(DictStore()), job_id=relay_id, sequence_number=time.time_ns() // 1000)
    found: list[Any] = []

    def run(number: int) -> None:
        users = {"SubscribeAudioList": [{"UserInfo": {"UserId": str(number)}}]}
        found.append(update(Task(DictStore()), job_id=relay_id, audio=users))

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each["was_applied"] for each in found] == [True] * 8
    numbers = updates(service, relay_id)
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 8 + is_finer


def test_updates_one_after_the_other_keep_their_order_though_clocks_differ(
    service: Emulator, relay_id: str, clock: list[int]
) -> None:
    clock[0] += 3_600_000
    first = update(Task(DictStore()), job_id=relay_id)
    clock[0] -= 3_600_000
    second = update(Task(DictStore()), job=first, audio={"SubscribeAudioList": []})
    assert second["sequence_number"] == first["sequence_number"] + 1
    assert updates(service, relay_id) == [first["sequence_number"], second["sequence_number"]]


def test_numbers_of_somebody_else_in_microseconds_are_overtaken(
    service: Emulator, task: Task, relay_id: str, clock: list[int]
) -> None:
    update(Task(DictStore()), job_id=relay_id, sequence_number=(clock[0] - 1000) * 1000)
    assert update(task, job_id=relay_id)["sequence_number"] == clock[0] * 1000


def test_an_update_that_no_number_carries_is_no_success(service: Emulator, task: Task, relay_id: str) -> None:
    update(Task(DictStore()), job_id=relay_id, sequence_number=HIGHEST)
    with pytest.raises(AirflowFailException, match="Give sequence_number"):
        update(task, job_id=relay_id)


def test_numbers_of_the_user_are_left_alone(service: Emulator, task: Task, relay_id: str) -> None:
    assert update(task, job_id=relay_id, sequence_number="7")["sequence_number"] == 7
    assert update(task, job_id=relay_id, sequence_number=6)["was_applied"] is False
    assert updates(service, relay_id) == [7]


def test_a_cleared_update_is_a_new_one(
    service: Emulator, task: Task, relay_id: str, clock: list[int]
) -> None:
    update(task, job_id=relay_id)
    clock[0] += 60_000
    operator = TrtcUpdateRelayOperator(task_id="u", audio=LISTS, job_id=relay_id)
    assert operator.execute(task.context(cleared=True))["sequence_number"] == clock[0]


def test_transcoding_is_repeated_as_the_start_had_it(service: Emulator, task: Task) -> None:
    start(task, single_user_id="alice")
    assert update(Task(DictStore()), job=task.xcoms["job"])["with_transcoding"] == 0
    assert update(Task(DictStore()), job=task.xcoms["job"], transcode=True)["with_transcoding"] == 1


@pytest.mark.parametrize("is_known", [True, False])
def test_a_relay_that_is_over_cannot_be_changed(
    service: Emulator, task: Task, relay_id: str, is_known: bool
) -> None:
    stop(job_id=relay_id)
    with pytest.raises(AirflowFailException, match="it is over, or the service never knew it"):
        update(task, job_id=relay_id if is_known else "unknown")


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"job_id": "x", "audio": None}, "Nothing is to change"),
        ({"job_id": "x", "job": {"job_id": "x"}}, "exclude each other"),
        ({"job": {"kind": "ingest", "job_id": "x"}}, "of kind 'ingest'"),
        ({"job_id": "x", "sequence_number": -1}, "sequence_number must be"),
        ({"job_id": "x", "if_outdated": "again"}, "if_outdated must be one of"),
        ({"job_id": "x", "parameters": {"RecordParams": {}}}, "has no field 'RecordParams'"),
    ],
)
def test_mistakes_of_an_update_are_found_when_the_dag_is_parsed(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrtcUpdateRelayOperator(task_id="u", **{"audio": LISTS, **wrong})


# -- stopping -----------------------------------------------------------------------------------------


def test_a_relay_is_stopped_once_and_stopping_again_is_no_error(service: Emulator, relay_id: str) -> None:
    first, second = (stop(job_id=relay_id, record_key="lesson") for _ in range(2))
    assert first == {
        "kind": "relay",
        "job_id": relay_id,
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "was_running": True,
    }
    assert second == {**first, "was_running": False}
    assert parameters(service, STOP)["RecordKey"] == "lesson"


def test_a_lost_answer_to_a_stop_does_not_say_that_it_was_over(service: Emulator, relay_id: str) -> None:
    service.fault("lost_answer", action=STOP, count=1)
    assert stop(job_id=relay_id)["was_running"]


def test_a_stop_without_an_id_is_a_mistake_but_in_a_teardown(service: Emulator) -> None:
    with pytest.raises(AirflowFailException, match="job_id is empty"):
        stop(job_id="None")
    operator = TrtcStopRelayOperator(task_id="s", job_id="None")
    found: Any = operator.as_teardown()
    assert found.execute(Task(None).context())["was_running"] is False


# -- whole DAGs ---------------------------------------------------------------------------------------


def test_a_relay_from_start_to_stop(service: Emulator, trtc_airflow: TrtcAirflow) -> None:
    run = trtc_airflow.run(whole, {"url": f"{URL}?{KEY}"})
    assert run.state == "success", run
    ((relay_id, _),) = [(each["job_id"], each) for each in relays(service)]
    assert run["start"].value == relay_id
    assert [each["was_applied"] for each in run["update"].value] == [True, True, True]
    assert run["stop"].value["was_running"]
    assert len(updates(service, relay_id)) == 3


def test_keys_of_addresses_are_stored_and_logged_nowhere(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:

    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import DAG
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with DAG("hides", schedule=None) as hides:
        TrtcStartRelayOperator(task_id="literal", room_id=1, urls=[f"{URL}?{KEY}", URL])
        TrtcStartRelayOperator(task_id="rendered", room_id=2, urls="{{ dag_run.conf['url'] }}")
        TrtcStartRelayOperator.partial(task_id="mapped", urls=f"{URL}?{KEY}").expand(room_id=[3])
    run = trtc_airflow.run(hides, {"url": f"{URL}?{KEY}"})
    assert run.state == "success", run
    with create_session() as session:
        dags = session.scalars(select(SerializedDagModel).where(SerializedDagModel.dag_id == "hides"))
        fields = session.scalars(
            select(RenderedTaskInstanceFields).where(RenderedTaskInstanceFields.run_id == run.run_id)
        )
        stored = json.dumps([[row.data for row in dags], [row.rendered_fields for row in fields]])
    assert "0123456789abcdef" not in stored
    assert URL in stored
    assert "0123456789abcdef" not in "".join(each.log for each in run.tasks.values())
    assert len(running(service)) == 3


@pytest.mark.parametrize("fails", [False, True])
def test_a_teardown_stops_the_relay_whatever_happens_to_the_work(
    service: Emulator, trtc_airflow: TrtcAirflow, fails: bool
) -> None:
    run = trtc_airflow.run(set_up, {"fails": fails})
    assert run["stop"].state == "success"
    assert running(service) == []
    assert run["stop"].value["was_running"]


@pytest.mark.skipif(not HAS_STATE_STORE, reason="nothing is kept between tries below Airflow 3.3")
def test_airflow_keeps_between_tries_what_was_sent(service: Emulator, trtc_airflow: TrtcAirflow) -> None:
    service.fault("lost_answer", action=START, count=4)
    service.fault("lost_answer", action=UPDATE, count=8)
    run = trtc_airflow.run(again)
    assert run.state == "success", run
    (relay_id,) = running(service)
    assert run["start"].xcoms["job"]["attempts"] == 5
    assert len(set(updates(service, relay_id))) == len(updates(service, relay_id))
    assert service.truth(relay_id)["content"]["AudioParams"] == LISTS


@pytest.mark.skipif(not HAS_STATE_STORE, reason="callbacks need Airflow 3.3")
@pytest.mark.parametrize("fails", [False, True])
def test_a_relay_is_waited_for_by_what_it_calls_back(
    receiving_emulator: Emulator, trtc_airflow: TrtcAirflow, fails: bool
) -> None:
    if fails:
        broken = {"status": 4, "error_code": -1, "error_msg": "refused"}
        receiving_emulator.relay(url=URL, statuses=[1, broken, 0])
    run = trtc_airflow.run(waited)
    assert run["stop"].value["was_running"]
    assert run["wait"].state == ("failed" if fails else "success"), run
    statuses = [
        (each["event_info"]["Payload"]["Url"] == URL, each["event_info"]["Payload"]["Status"])
        for each in receiving_emulator.truth(run["start"].value)["callbacks"]
    ]
    assert [status for is_first, status in statuses if is_first] == ([1, 4, 0] if fails else [1, 2, 5, 0])
    assert [status for is_first, status in statuses if not is_first] == [1, 2, 5, 0]
