"""A task that owns a job of any kind, run in this process by `dag.test()` against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_trtc.emulator import Emulator
from airflow_trtc.kinds import KINDS
from airflow_trtc.operators import TrtcRunJobOperator
from airflow_trtc.testing import DagResult, TrtcAirflow
from tests.versions import HAS_STATE_STORE

MODES: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke"},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}
modes = pytest.mark.parametrize("mode", MODES)
STORAGE = "cos://lessons-1250000000/math?region=ap-guangzhou"

# What each kind is started with, besides a room for those that have one.
OPTIONS: dict[str, dict[str, Any]] = {
    "slicing": {"room_id": 77, "storage": STORAGE, "parameters": {"SliceParams": {"SliceType": 3}}},
    "moderation": {"room_id": 77, "parameters": {"ModerationParams": {"ModerationType": 3}}},
    "live_moderation": {
        "parameters": {"Input": {"Url": "rtmp://live.example/a"}, "LiveModerationParams": {}}
    },
    "transcription": {"room_id": 77, "parameters": {"AsrParam": {"Lang": "zh"}}},
    "ai_transcription": {"room_id": "lesson", "parameters": {"RecognizeConfig": {"Language": "zh"}}},
    "ai_conversation": {
        "room_id": 77,
        "parameters": {"AgentConfig": {"TargetUserId": "pupil"}, "LLMConfig": "{}", "TTSConfig": "{}"},
    },
    "ingest": {"room_id": 77, "parameters": {"StreamUrl": "https://media.example/a.mp4"}},
    "web_recording": {"storage": STORAGE, "parameters": {"RecordUrl": "https://page.example/"}},
    "speech": {"parameters": {"Text": "Good morning.", "Voice": {"VoiceId": "v-1"}}},
}
kinds = pytest.mark.parametrize("kind", OPTIONS)
STOPPABLE = [kind for kind in OPTIONS if KINDS[kind].can_stop]
# One kind for each way in which a lost answer is dealt with, and each way in which a job is shown.
SAMPLE = "ai_transcription"

Run = Callable[..., DagResult]


@pytest.fixture
def emulator(trtc_airflow: TrtcAirflow) -> Emulator:
    return trtc_airflow.emulator


@pytest.fixture
def run_job(trtc_airflow: TrtcAirflow) -> Run:
    """Run one owner: ``run_job("slicing", "poke", stop_after=1)``."""

    def run(kind: str, mode: str, *, conf: dict[str, Any] | None = None, **options: Any) -> DagResult:
        with DAG(f"run_{kind}_{mode}", schedule=None) as dag:
            TrtcRunJobOperator(task_id="run", kind=kind, **{**OPTIONS[kind], **MODES[mode], **options})
        return trtc_airflow.run(dag, conf)

    return run


def jobs(emulator: Emulator) -> list[dict[str, Any]]:
    """The truth about all jobs, the oldest first."""
    found: list[dict[str, Any]] = list(emulator.state()["jobs"].values())
    return sorted(found, key=lambda truth: truth["created_at"])


def the_job(emulator: Emulator) -> dict[str, Any]:
    (truth,) = jobs(emulator)
    return truth


def sent(emulator: Emulator, action: str) -> list[dict[str, Any]]:
    """The parameters of the requests for an action, secrets left out."""
    requests = emulator.state(requests=True)["requests"]
    return [each["parameters"] for each in requests if each["action"] == action]


def refuse(emulator: Emulator, kind: str) -> None:
    """Let the first polls after the start be refused, with a code that a retry may not meet."""
    emulator.fault("error", count=3, action=KINDS[kind].describe_action, code="FailedOperation")


# -- every kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STOPPABLE)
def test_each_kind_is_started_stopped_by_the_clock_and_summed_up(
    kind: str, emulator: Emulator, run_job: Run
) -> None:
    task = run_job(kind, "poke", stop_after=timedelta(seconds=1))["run"]
    assert task.state == "success"
    truth = the_job(emulator)
    assert truth["kind"] == kind
    assert truth["end_reason"] == "deleted"
    assert task.value == task.xcoms["job"]
    assert (task.value["kind"], task.value["job_id"]) == (kind, truth["job_id"])
    assert task.value["outcome"] in ("gone", "exited")
    assert task.xcoms["progress"]["stopped_at"]
    assert emulator.bill()["running_jobs"] == []


@modes
def test_a_transcription_in_all_modes(mode: str, emulator: Emulator, run_job: Run) -> None:
    task = run_job(SAMPLE, mode, stop_after=1.5)["run"]
    assert task.state == "success"
    truth = the_job(emulator)
    assert 1.5 <= truth["ended_at"] - truth["created_at"] < 6.0
    assert (truth["room_id"], truth["is_string_room"]) == ("lesson", True)
    assert truth["end_reason"] == "deleted"
    assert emulator.state()["counters"]["StopAITranscription"] == {"OK": 1}


@modes
@pytest.mark.trtc_emulator(new_jobs={"speech": {"ends_after_seconds": 1.0}})
def test_speech_hands_out_its_addresses_and_shows_them_nowhere_else(
    mode: str, emulator: Emulator, run_job: Run
) -> None:
    task = run_job("speech", mode, poke_interval=0.3)["run"]
    assert task.state == "success"
    detail = task.value["detail"]
    assert detail["AudioDownloadUrl"].startswith("https://speech.example/")
    assert detail["TotalDurationMs"] == 4200
    assert "emulated-signature" not in task.log
    assert "emulated-signature" not in str(task.xcoms["progress"])


@pytest.mark.trtc_emulator(new_jobs={"speech": {"ends_after_seconds": 0.5, "fails": True}})
def test_speech_that_fails_fails_the_task(emulator: Emulator, run_job: Run) -> None:
    task = run_job("speech", "poke", poke_interval=0.2)["run"]
    assert task.state == "failed"
    assert "the text to speech failed: its status is Failed" in task.log


def test_speech_is_not_stopped_and_says_so(emulator: Emulator, run_job: Run) -> None:
    emulator.fault("error", action=KINDS["speech"].describe_action, code="FailedOperation")
    task = run_job("speech", "poke", poke_interval=0.2)["run"]
    assert task.state == "failed"
    assert "the service has no call that stops it" in task.log


@pytest.mark.parametrize(
    "kind, numeric",
    [("slicing", 1), ("ingest", 1), ("transcription", 0), ("ai_transcription", 0), ("moderation", 1)],
)
@pytest.mark.parametrize("room_id, room_type", [(77, None), ("77", "numeric"), ("77", "string"), ("x", None)])
def test_the_type_of_the_room_is_numbered_as_the_call_wants(
    kind: str, numeric: int, room_id: Any, room_type: str | None, service: Emulator
) -> None:
    from airflow_trtc.operators.job_request import JobRequest
    from airflow_trtc.recording.rooms import read_room

    room = read_room("room_id", room_id, room_type)
    request = JobRequest(kind=KINDS[kind], parameters={}, room=room, user_id=None)
    is_numeric = room_id == 77 or room_type == "numeric"
    params = request.params(TrtcHookStub(), None)  # type: ignore[arg-type]
    assert params == {"RoomId": str(room_id), "RoomIdType": numeric if is_numeric else 1 - numeric}


@pytest.mark.parametrize(
    "kind, parameters, words",
    [
        ("slicing", {"ResourceExpiredHour": "soon"}, "'ResourceExpiredHour' .* must be a whole number"),
        (
            "slicing",
            {"ResourceExpiredHour": [24]},
            "'ResourceExpiredHour' .* must be a whole number, not a list",
        ),
        ("slicing", {"ResourceExpiredHour": "9000"}, "'ResourceExpiredHour' .* must be 6 to 720 hours.*9000"),
        ("ai_conversation", {"AgentConfig": "x"}, "'AgentConfig' of StartAIConversation must be an object"),
        ("ai_conversation", {"AgentConfig": ["x"]}, "'AgentConfig' of StartAIConversation must be an object"),
    ],
)
def test_what_templates_deliver_is_checked_before_it_is_used(
    kind: str, parameters: dict[str, Any], words: str
) -> None:
    from airflow_trtc.errors import TrtcSetupError
    from airflow_trtc.operators.job_request import JobRequest

    request = JobRequest(
        kind=KINDS[kind],
        parameters=parameters,
        rendered_paths=frozenset(parameters),
        user_id="robot",
        user_sig="signed",
    )
    with pytest.raises(TrtcSetupError, match=words):
        request.params(TrtcHookStub(), None)  # type: ignore[arg-type]


class TrtcHookStub:
    """No connection."""

    class settings:
        advanced_permission_control = False


# -- other ends -----------------------------------------------------------------------------------------


@pytest.mark.trtc_emulator(new_jobs={SAMPLE: {"ends_after_reads": 3}})
def test_a_job_that_ends_by_itself_is_not_stopped(emulator: Emulator, run_job: Run) -> None:
    task = run_job(SAMPLE, "poke", stop_after=600)["run"]
    assert task.state == "success"
    assert "StopAITranscription" not in emulator.state()["counters"]


@modes
def test_a_timeout_stops_it(mode: str, emulator: Emulator, run_job: Run) -> None:
    assert run_job(SAMPLE, mode, timeout=1)["run"].state == "failed"
    assert the_job(emulator)["end_reason"] == "deleted"


def test_an_error_without_retries_stops_it(emulator: Emulator, run_job: Run) -> None:
    refuse(emulator, SAMPLE)
    assert run_job(SAMPLE, "poke")["run"].state == "failed"
    assert the_job(emulator)["end_reason"] == "deleted"


@pytest.mark.skipif(not HAS_STATE_STORE, reason="below Airflow 3.3 nothing outlives a try")
@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_retry_takes_it_over(mode: str, emulator: Emulator, run_job: Run) -> None:
    refuse(emulator, SAMPLE)
    task = run_job(SAMPLE, mode, retries=1, stop_after=4)["run"]
    assert task.state == "success"
    truth = the_job(emulator)  # there is only one
    assert truth["end_reason"] == "deleted"
    assert f"Continuing with {SAMPLE} {truth['job_id']} of try 1" in task.log


def test_it_maps_over_rooms(emulator: Emulator, trtc_airflow: TrtcAirflow) -> None:
    with DAG("rooms", schedule=None) as dag:
        TrtcRunJobOperator.partial(
            task_id="run", kind="transcription", parameters={"AsrParam": {"Lang": "zh"}}, stop_after=1
        ).expand(room_id=[77, 78])
    tasks = trtc_airflow.run(dag)["run"].mapped
    assert [task.state for task in tasks] == ["success", "success"]
    assert [truth["end_reason"] for truth in jobs(emulator)] == ["deleted", "deleted"]
    assert len({truth["robot_id"] for truth in jobs(emulator)}) == 2


# -- lost answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["slicing", "transcription"])
def test_the_same_robot_replaces_what_a_lost_answer_started(
    kind: str, emulator: Emulator, run_job: Run
) -> None:
    emulator.fault("lost_answer", action=KINDS[kind].start_action, count=1)
    assert run_job(kind, "poke", stop_after=1)["run"].state == "success"
    assert [truth["end_reason"] for truth in jobs(emulator)] == ["replaced", "deleted"]


@pytest.mark.parametrize("kind", ["ai_transcription", "ai_conversation", "web_recording"])
def test_what_a_lost_answer_started_is_found_by_its_name(kind: str, emulator: Emulator, run_job: Run) -> None:
    emulator.fault("lost_answer", action=KINDS[kind].start_action, count=1)
    task = run_job(kind, "poke", stop_after=1)["run"]
    assert task.state == "success"
    truth = the_job(emulator)  # nothing was started twice
    assert task.value["job_id"] == truth["job_id"]
    assert truth["key"].startswith("af-")
    assert len(sent(emulator, KINDS[kind].start_action)) == 1


@pytest.mark.parametrize("kind", ["live_moderation", "ingest", "speech"])
def test_what_may_run_unknown_is_not_started_again(kind: str, emulator: Emulator, run_job: Run) -> None:
    emulator.fault("lost_answer", action=KINDS[kind].start_action, count=1)
    task = run_job(kind, "poke", retries=1)["run"]
    assert task.state == "failed"
    assert "It is not known whether" in task.log
    assert len(sent(emulator, KINDS[kind].start_action)) == 1


# -- what is sent ---------------------------------------------------------------------------------------


def test_a_bucket_gets_its_keys_from_a_connection(
    emulator: Emulator, run_job: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BUCKET", '{"conn_type": "generic", "login": "AKx", "password": "SKxyz"}')
    task = run_job("slicing", "poke", stop_after=1, storage_conn_id="bucket")["run"]
    assert task.state == "success"
    (params,) = sent(emulator, "CreateCloudSliceTask")
    assert params["SliceStorageParams"] == {
        "CloudSliceStorage": {
            "Vendor": 0, "Bucket": "lessons-1250000000", "Region": "ap-guangzhou", "FileNamePrefix": ["math"],
            "AccessKey": "***", "SecretKey": "***",
        }
    }  # fmt: skip
    assert "SKxyz" not in task.log


def test_templates_become_what_the_action_wants(emulator: Emulator, run_job: Run) -> None:
    parameters = {"AsrParam": {"Lang": "{{ dag_run.conf['lang'] }}", "VadLevel": "{{ dag_run.conf['vad'] }}"}}
    conf = {"room": 5, "lang": "en", "vad": 2}
    options = {"room_id": "{{ dag_run.conf['room'] }}", "room_id_type": "numeric", "parameters": parameters}
    assert run_job("transcription", "poke", conf=conf, stop_after=1, **options)["run"].state == "success"
    (params,) = sent(emulator, "CreateCloudTranscription")
    assert params["AsrParam"] == {"Lang": "en", "VadLevel": 2}
    assert (params["RoomId"], params["RoomIdType"]) == ("5", 0)


def test_a_wrong_parameter_starts_nothing(emulator: Emulator, run_job: Run) -> None:
    parameters = {"AsrParam": {"Lang": "zh", "Vad": 1}}
    task = run_job("transcription", "poke", parameters=parameters)["run"]
    assert task.state == "failed"
    assert "'AsrParam.Vad'" in task.log
    assert jobs(emulator) == []


# -- arguments ------------------------------------------------------------------------------------------


def made(kind: str = "transcription", **options: Any) -> TrtcRunJobOperator:
    return TrtcRunJobOperator(task_id="t", kind=kind, **{**OPTIONS.get(kind, {}), **options})


@pytest.mark.parametrize(
    "kind, options, text",
    [
        ("recording", {}, "TrtcRecordRoomOperator"),
        ("dancing", {}, "kind must be one of slicing, moderation"),
        ("transcription", {"room_id": None}, "room_id is missing"),
        ("transcription", {"room_id": -1}, "room_id"),
        ("transcription", {"room_id_type": 0}, '"string" or "numeric"'),
        ("transcription", {"parameters": {}}, "lacks AsrParam"),
        ("transcription", {"parameters": {"AsrParam": {"Lang": "zh"}, "RoomId": "5"}}, "argument room_id"),
        (
            "transcription",
            {"parameters": {"AsrParam": {}, "TranscriptionParam": {"UserSig": "x"}}},
            r"TranscriptionParam.UserSig .* argument user_sig",
        ),
        ("transcription", {"storage": STORAGE}, "storage is not for the kind transcription"),
        ("transcription", {"user_sig": "eJx"}, "user_sig is signed for one user id"),
        ("transcription", {"user_id": "a b"}, "user_id"),
        ("speech", {"room_id": 5}, "room_id is not for the kind speech"),
        ("speech", {"stop_after": 5}, "which nothing stops"),
        ("speech", {"parameters": {"Text": "x"}}, "lacks Voice"),
        ("slicing", {"storage": None}, "storage is missing"),
        ("slicing", {"storage": "vod"}, "buckets only"),
        ("slicing", {"parameters": {"SliceParams": {}, "SliceStorageParams": {}}}, "argument storage"),
        ("moderation", {"advanced_permission_control": True}, "advanced_permission_control"),
        ("live_moderation", {"user_id": "robot"}, "user_id is not for the kind"),
        ("ingest", {"parameters": {"StreamUrl": "x", "RepeatNum": 2000}}, "RepeatNum"),
        ("web_recording", {"parameters": ["x"]}, "parameters must be a dictionary"),
        ("web_recording", {"job_id": "x"}, "job_id"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(
    kind: str, options: dict[str, Any], text: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        made(kind, **options)


@kinds
def test_each_kind_can_be_made(kind: str) -> None:
    operator = made(kind)
    assert operator.owns is KINDS[kind].can_stop
    assert "job_id" not in operator.template_fields


def test_secrets_that_stand_in_the_dag_are_hidden() -> None:
    operator = made("ai_conversation", user_id="robot", user_sig="eJsecret",
                    parameters={"LLMConfig": '{"APIKey": "sk-hidden"}', "TTSConfig": "{}"})  # fmt: skip
    assert "eJsecret" not in str(vars(operator)["user_sig"])
    assert "sk-hidden" not in str(operator.parameters)
