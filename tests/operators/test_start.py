"""The start as DAG authors see it: arguments, secrets, XComs, and whole DAGs."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import TrtcStartRecordingOperator, TrtcStopRecordingOperator
from tests.operators.dags.starts import COS, WHOLE, again, many, set_up, signed, two_set_ups, whole
from tests.operators.running import Task, recordings, sent
from tests.versions import HAS_STATE_STORE

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import TrtcAirflow

CREATE = "CreateCloudRecording"


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"room_id": 0}, "room_id of a numeric room"),
        ({"room_id": ""}, "room_id is empty"),
        ({"room_id": "lesson", "room_id_type": 1}, "room_id of a numeric room"),
        ({"room_id_type": 2}, "room_id_type must be 0"),
        ({"storage": "cos://b"}, "storage names no region"),
        (
            {"storage": {"CloudStorage": {"Vendor": 9, "Bucket": "{{ x }}"}}},
            "storage.CloudStorage lacks Region",
        ),
        ({"record_params": {"MaxIdleTime": 5}}, "record_params lacks RecordMode"),
        ({"record_params": {"RecordMode": "{{ m }}", "MaxIdleTime": 1}}, "record_params.MaxIdleTime must be"),
        ({"record_params": {"RecordMode": 1}, "mix_layout": {"MixLayoutMode": 1}}, "mix_layout is for mixed"),
        ({"mix_transcode": {"VideoParams": {}}}, "mix_transcode.VideoParams lacks Width"),
        ({"mix_layout": {"MixLayoutMode": "{{ m }}", "RenderMode": 4}}, "mix_layout.RenderMode must be"),
        ({"storage": "vod://?MediaType=2"}, "needs record_params.StreamType 1"),
        ({"user_id": "x" * 33}, "user_id must be 1 to 32"),
        ({"user_sig": "{{ var.value.sig }}"}, "give that as user_id"),
        ({"resource_expired_hours": 5}, "resource_expired_hours must be a whole number from 6 to 720"),
        ({"advanced_permission_control": "True"}, "must be True or False"),
        ({"trtc_conn_id": ""}, "trtc_conn_id is empty"),
    ],
)
def test_arguments_are_checked_when_the_dag_is_parsed(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrtcStartRecordingOperator(**{**WHOLE, **wrong})


def test_mapped_arguments_are_checked_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match=r"record_params\.MaxIdleTime"):
        TrtcStartRecordingOperator.partial(
            task_id="start", storage="vod", record_params={"RecordMode": 1, "MaxIdleTime": 1}
        ).expand(room_id=[1, 2])


def test_templates_are_checked_once_they_are_rendered(service: Emulator, task: Task) -> None:
    operator = TrtcStartRecordingOperator(**{**WHOLE, "record_params": {"RecordMode": "{{ m }}"}})
    operator.record_params = {"RecordMode": "3"}  # rendered
    with pytest.raises(AirflowFailException, match=r"record_params.RecordMode must be .*Check the template"):
        operator.execute(task.context())
    assert sent(service) == []
    operator.record_params = {"RecordMode": "1"}
    operator.mix_layout = {"MixLayoutMode": "1"}
    with pytest.raises(AirflowFailException, match="mix_layout is for mixed recordings"):
        operator.execute(task.context())


def test_a_string_room_that_looks_like_a_number_is_pointed_out(
    service: Emulator, task: Task, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, is_said in (({}, True), ({"room_id_type": "string"}, False), ({"room_id_type": 1}, False)):
        capsys.readouterr()
        caplog.clear()
        TrtcStartRecordingOperator(**{**WHOLE, "room_id": "1234", **options}).execute(task.context())
        assert ("string room of that name is meant" in caplog.text + capsys.readouterr().out) == is_said


def test_the_service_is_sent_what_the_arguments_say(service: Emulator, task: Task) -> None:
    operator = TrtcStartRecordingOperator(
        task_id="start",
        room_id="lesson",
        storage=COS,
        record_params={"RecordMode": "2", "OutputFormat": 3},
        mix_layout={"MixLayoutMode": 3},
        mix_transcode={"AudioParams": {"SampleRate": 1, "Channel": 2, "BitRate": 64000}},
        user_id="my-robot",
        resource_expired_hours="6",
    )
    operator.execute(task.context())
    (made,) = recordings(service)
    assert (made["room_id"], made["robot_id"], made["mixed"]) == ("lesson", "my-robot", True)
    assert made["layout"] == {"MixLayoutMode": 3}
    assert round(made["expires_at"] - made["created_at"]) == 6 * 3600
    assert made["destination"]["FileNamePrefix"] == ["lessons", "math"]
    given = task.xcoms["recording"]
    assert given["file_name_prefix"] == "lessons/math"
    assert given["storage"]["CloudStorage"]["Bucket"] == "b-1250000000"
    assert operator.console_url == service.page_url(made["recording_id"])


def test_a_teardown_stops_what_an_earlier_try_started_though_the_last_one_fails(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("airflow_trtc.operators.start.push_results", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            TrtcStartRecordingOperator(**WHOLE).execute(task.context())
    service.fault("error", action="DescribeCloudRecording", code="AuthFailure.SecretIdNotFound")
    with pytest.raises(AirflowFailException):  # when it asks whether that runs
        TrtcStartRecordingOperator(**WHOLE).execute(task.context())
    (made,) = recordings(service)
    given = task.xcoms["recording"]
    assert given["recording_id"] == made["recording_id"]
    stop = TrtcStopRecordingOperator(task_id="stop", recording=given)
    assert stop.execute(task.context())["was_running"]


def test_without_xcoms_nothing_is_pushed(service: Emulator, task: Task) -> None:
    assert TrtcStartRecordingOperator(**WHOLE, do_xcom_push=False).execute(task.context())
    assert task.xcoms == {}


@pytest.mark.parametrize(
    "code, words",
    [
        ("InvalidParameter.UserSig", "Check sdk_secret_key"),
        ("UnsupportedOperation", "package includes this function"),
        ("FailedOperation.CRUnsupportMethod", "on-cloud recording is enabled"),
        ("InvalidParameter.OutOfRange", "its type must be that of the clients' room"),
        ("InvalidParameter.AccessKey", "storage_conn_id"),
        ("MissingParameter.StorageParams", "a bucket or VOD, not both"),
    ],
)
def test_a_wrong_set_up_fails_for_good_and_says_what_to_do(
    service: Emulator, task: Task, code: str, words: str
) -> None:
    service.fault("error", action=CREATE, code=code)
    with pytest.raises(AirflowFailException, match=words):
        TrtcStartRecordingOperator(**WHOLE).execute(task.context())
    assert sent(service) == [CREATE]


# -- secrets ------------------------------------------------------------------------------------------


def test_neither_keys_nor_signatures_reach_logs_xcoms_or_the_store(
    service: Emulator, task: Task, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    TrtcStartRecordingOperator(**{**WHOLE, "storage": COS, "advanced_permission_control": True}).execute(
        task.context()
    )
    assert task.store is not None
    shown = json.dumps([task.xcoms, task.store.rows]) + caplog.text + capsys.readouterr().out
    assert "lessons" in shown
    assert "GetResponse" in shown, "the SDK logs nothing at all"
    for secret in ("emulator-secret-key-EXAMPLE", "SecretKey", "AccessKey", "eJw", "eJx", "eJy"):
        assert secret not in shown


def test_keys_in_the_dag_are_refused() -> None:
    storage = {"CloudStorage": {"Vendor": 0, "AccessKey": "AKIDhidden", "SecretKey": "{{ conn.c.password }}"}}
    with pytest.raises(ValueError, match="storage_conn_id") as error:
        TrtcStartRecordingOperator(**{**WHOLE, "storage": storage})
    assert "hidden" not in str(error.value)


def test_a_signature_that_stands_in_the_dag_is_not_stored_with_it(trtc_airflow: TrtcAirflow) -> None:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import DAG
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with DAG("signs", schedule=None) as signs:
        options: dict[str, Any] = {"storage": "vod", "user_id": "robot", "user_sig": "eJw-hidden"}
        start = TrtcStartRecordingOperator(task_id="start", room_id=5, **options)
        TrtcStartRecordingOperator.partial(task_id="each", **options).expand(room_id=[1, 2])
    trtc_airflow.load(signs)
    with create_session() as session:
        rows = session.scalars(select(SerializedDagModel).where(SerializedDagModel.dag_id == "signs"))
        stored = json.dumps([row.data for row in rows])
    assert "robot" in stored
    assert "hidden" not in stored
    assert str(start.user_sig) == "***"


def test_a_signature_that_stands_in_the_dag_is_sent(service: Emulator, trtc_airflow: TrtcAirflow) -> None:
    from airflow.sdk import DAG

    given = TrtcHook().user_sig("robot")
    with DAG("sends", schedule=None) as sends:
        options: dict[str, Any] = {"storage": "vod", "user_id": "robot", "user_sig": given}
        TrtcStartRecordingOperator(task_id="start", room_id=5, **options)
        TrtcStartRecordingOperator.partial(task_id="each", **options).expand(room_id=[6, 7])
    run = trtc_airflow.run(sends)
    assert run.state == "success", run
    assert {made["room_id"] for made in recordings(service)} == {"5", "6", "7"}


def test_a_rendered_signature_is_masked_where_airflow_stores_it(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import select

    run = trtc_airflow.run(signed)
    rendered = RenderedTaskInstanceFields
    with create_session() as session:
        rows = list(session.scalars(select(rendered).where(rendered.run_id == run.run_id)))
        stored = {row.task_id: row.rendered_fields for row in rows}
    assert set(stored) == {"start", "each"}
    for fields in stored.values():
        assert fields["user_sig"] == "***"
    assert "eJwx-signature" not in "".join(one.log for one in run.tasks.values())


# -- whole DAGs ---------------------------------------------------------------------------------------


@pytest.mark.trtc_emulator(new_recordings={"files": 1, "ends_after_reads": 30})
def test_a_started_recording_is_waited_for_by_all_that_was_handed_on(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    run = trtc_airflow.run(whole)
    assert run.state == "success", run
    (made,) = recordings(service)
    assert run["start"].value == made["recording_id"]
    assert made["room_id"] == "1"
    assert "as if the recording were gone" not in run["wait"].log  # its timeout is short
    keys = [file["object_key"] for file in run["wait"].value]
    assert keys
    assert all(key.startswith(f"lessons/math/{made['recording_id']}/") for key in keys)
    assert run["wait_by_id"].xcoms["recording"]["recording_id"] == made["recording_id"]
    assert run["stop"].value == {
        "recording_id": made["recording_id"],
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "was_running": False,
    }


@pytest.mark.trtc_emulator(new_recordings={"files": 1, "ends_after_reads": 2})
def test_mapped_starts_and_mapped_waits(service: Emulator, trtc_airflow: TrtcAirflow) -> None:
    run = trtc_airflow.run(many, timeout=73 * 3600)
    assert run.state == "success", run
    assert run["wait"].log.count("on the service answers as if the recording were gone") == 2
    robots = {one["robot_id"] for one in recordings(service)}
    assert len(robots) == 2
    ids = [each["recording_id"] for each in run["wait"].xcoms["recording"]]
    assert ids == run["start"].value == [each["recording_id"] for each in run["stop"].value]


@pytest.mark.parametrize("fails", [False, True])
def test_a_teardown_stops_the_recording_whatever_happens_to_the_work(
    service: Emulator, trtc_airflow: TrtcAirflow, fails: bool
) -> None:
    run = trtc_airflow.run(set_up, {"fails": fails})
    assert run["stop"].state == "success"
    assert run["work"].state == ("failed" if fails else "success")
    assert [one["end_reason"] for one in recordings(service)] == ["deleted"]
    assert run["stop"].value["was_running"]


def test_a_teardown_succeeds_when_the_start_handed_on_no_id(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    run = trtc_airflow.run(two_set_ups)
    assert run["start"].state == "failed"
    for name in ("stop", "stop_id"):
        assert run[name].state == "success", run
        assert "handed on no id" in run[name].log
    assert sent(service) == []


@pytest.mark.skipif(not HAS_STATE_STORE, reason="nothing is kept between tries below Airflow 3.3")
def test_airflow_keeps_between_tries_what_was_sent(service: Emulator, trtc_airflow: TrtcAirflow) -> None:
    service.fault("lost_answer", action=CREATE, count=4)
    run = trtc_airflow.run(again)
    assert run.state == "success", run
    assert [one["end_reason"] for one in recordings(service)] == ["replaced"] * 4 + [None]
    given = run["start"].xcoms["recording"]
    assert (given["attempts"], given["replaced_unknown"]) == (5, True)


@pytest.mark.skipif(not HAS_STATE_STORE, reason="nothing is kept between tries below Airflow 3.3")
def test_airflow_keeps_between_tries_what_runs(
    service: Emulator, trtc_airflow: TrtcAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_trtc.operators import start

    real: Any = vars(start)["push_results"]
    calls: list[Any] = []

    def fails_once(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("the worker was killed")
        return real(*args)

    monkeypatch.setattr(start, "push_results", fails_once)
    run = trtc_airflow.run(again)
    assert run.state == "success", run
    assert [one["end_reason"] for one in recordings(service)] == [None]
    assert run["start"].xcoms["recording"]["reattached"]
    assert sent(service) == [CREATE, "DescribeCloudRecording"]


def test_airflow_raises_max_tries_of_a_task_that_is_cleared_and_not_between_tries(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    """By which a deliberate re-run is told from a retry."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from airflow.utils.session import create_session
    from sqlalchemy import select

    service.fault("error", action=CREATE, count=1, code="FailedOperation.RestrictedConcurrency")
    run = trtc_airflow.run(again)
    with create_session() as session:
        (instance,) = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run.run_id))
        assert (instance.try_number, instance.max_tries) == (2, 1)
        clear_task_instances([instance], session)
        assert instance.max_tries == 3


def test_a_string_room_may_be_any_number(service: Emulator, task: Task) -> None:
    TrtcStartRecordingOperator(**{**WHOLE, "room_id": 5_000_000_000, "room_id_type": "string"}).execute(
        task.context()
    )
    assert task.xcoms["recording"]["room_id"] == "5000000000"


def test_json_text_of_a_template_is_read(service: Emulator, task: Task) -> None:
    operator = TrtcStartRecordingOperator(**{**WHOLE, "record_params": "{{ params.it | tojson }}"})
    operator.record_params = '{"RecordMode": "1"}'  # type: ignore[assignment]  # rendered
    operator.execute(task.context())
    assert not recordings(service)[0]["mixed"]
