"""Jobs of all kinds but recordings: their calls, and the lives of what these start."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tencentcloud.common.exception import TencentCloudSDKException

from airflow_trtc.emulator import DEFAULT_SDK_APP_ID, DEFAULT_SECRET_ID, ControlError, Emulator
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.jobs import life_of
from airflow_trtc.emulator.life_events import LifeTimeline
from airflow_trtc.emulator.lives import LifeSeed
from airflow_trtc.emulator.natures import BY_DESCRIBE, NATURES
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State
from tests.emulator.conftest import COS, robot_named

APP = DEFAULT_SDK_APP_ID
ROOM: dict[str, Any] = {"SdkAppId": APP, "RoomId": "8001"}


def least(kind: str, robot: str = "robot") -> dict[str, Any]:
    """The least that the start of this kind takes."""
    given = robot_named(robot)
    storage = dict(COS)
    return {
        "slicing": {
            **ROOM, **given, "SliceParams": {}, "SliceStorageParams": {"CloudSliceStorage": storage}
        },
        "moderation": {**ROOM, **given, "ModerationParams": {}},
        "live_moderation": {
            "SdkAppId": APP, "Input": {"Url": "rtmp://live.example/a"}, "LiveModerationParams": {}
        },
        "transcription": {
            **ROOM, "RoomIdType": 0, "TranscriptionParam": given, "AsrParam": {"Lang": "zh"}
        },
        "ai_transcription": {**ROOM, "TranscriptionParams": given, "SessionId": "lesson-7"},
        "ai_conversation": {
            **ROOM, "AgentConfig": {**given, "TargetUserId": "pupil"}, "LLMConfig": "{}", "TTSConfig": "{}",
            "SessionId": "lesson-7",
        },
        "ingest": {**ROOM, "RoomIdType": 1, **given, "StreamUrl": "https://media.example/a.mp4"},
        "web_recording": {
            "SdkAppId": APP, "RecordUrl": "https://page.example/", "RecordId": "lesson-7",
            "StorageParams": {"CloudStorage": storage},
        },
        "speech": {"SdkAppId": APP, "Text": "Hello.", "Voice": {"VoiceId": "v-1"}},
    }[kind]  # fmt: skip


kinds = pytest.mark.parametrize("kind", NATURES)
stoppable = pytest.mark.parametrize("kind", [kind for kind, nature in NATURES.items() if nature.stop])

# What a fresh job shows, its status a moment later, and what the service says once it is gone.
SHOWN = {
    "slicing": ("InProgress", "ResourceNotFound"),
    "moderation": ("InProgress", "ResourceNotFound"),
    "live_moderation": ("InProgress", "ResourceNotFound"),
    "transcription": ("InProgress", "ResourceNotFound"),
    "ai_transcription": ("InProgress", "FailedOperation.TaskNotExist"),
    "ai_conversation": ("InProgress", "FailedOperation.TaskNotExist"),
    "ingest": ("InProgress", "NotExist"),
    "web_recording": (1, "FailedOperation.TaskNotExist"),
    "speech": ("Processing", "FailedOperation.TaskNotExist"),
}


class Service:
    """Calls the gateway without a socket; a refusal is its code."""

    def __init__(self, state: State, ask: Any) -> None:
        self.state, self._ask = state, ask

    def __call__(self, action: str, values: dict[str, Any], **options: Any) -> Any:
        answer = self._ask(values, action=action, of=self.state, **options)
        return answer["Error"]["Code"] if "Error" in answer else answer

    def start(self, kind: str, robot: str = "robot", **changes: Any) -> Any:
        answer = self(NATURES[kind].start, {**least(kind, robot), **changes})
        return answer if isinstance(answer, str) else answer["TaskId"]

    def status(self, kind: str, job_id: str) -> Any:
        app = (
            {}
            if kind in ("ai_transcription", "ai_conversation", "web_recording", "speech")
            else {"SdkAppId": APP}
        )
        answer = self(NATURES[kind].describe, {**app, "TaskId": job_id})
        return answer if isinstance(answer, str) else answer["Status"]

    def stop(self, kind: str, job_id: str) -> Any:
        takes_app = kind not in ("ai_transcription", "ai_conversation", "web_recording")
        app = {"SdkAppId": APP} if takes_app else {}
        return self(NATURES[kind].stop, {**app, "TaskId": job_id})

    def truth(self, job_id: str) -> dict[str, Any]:
        return run(self.state, "GET", "truth", {"job_id": job_id})


@pytest.fixture
def service(state, ask):
    return Service(state, ask)


@pytest.fixture
def make(ask):
    """A service with settings of its own."""
    return lambda **settings: Service(State(Settings(time_scale=0, rate_limit=0, **settings)), ask)


# -- a life -----------------------------------------------------------------------------------------------


@kinds
def test_it_is_started_runs_ends_and_is_gone(kind, make):
    service = make(new_jobs={kind: {"ends_after_seconds": 60, "idle_seconds": 5, "ending_seconds": 3}})
    status, gone = SHOWN[kind]
    job_id = service.start(kind)
    if "Idle" in NATURES[kind].statuses:
        assert service.status(kind, job_id) == "Idle"
        service.state.clock.advance(5)
    assert service.status(kind, job_id) == status
    service.state.clock.advance(60)
    if kind == "speech":
        assert service.status(kind, job_id) == "Success"
        service.state.clock.advance(24 * 3600)
    elif "Ending" in NATURES[kind].statuses:
        assert service.status(kind, job_id) == NATURES[kind].statuses["Ending"]
        service.state.clock.advance(3)
    assert service.status(kind, job_id) == gone
    assert service.truth(job_id)["end_reason"] == "ended"
    assert service.truth(job_id)["started_by"]["secret_id"] == DEFAULT_SECRET_ID


@stoppable
def test_a_stop_ends_it_and_a_second_stop_says_that_it_is_over(kind, service):
    job_id = service.start(kind)
    service.state.clock.advance(10)
    assert not isinstance(service.stop(kind, job_id), str)
    truth = service.truth(job_id)
    assert (truth["end_reason"], truth["ended_at"] - truth["created_at"]) == ("deleted", pytest.approx(10))
    expected = {"ingest": "FailedOperation.TaskFinished"}.get(kind, SHOWN[kind][1])
    assert service.stop(kind, job_id) == expected
    assert service.stop(kind, "no-such-job") == expected
    assert service.status(kind, job_id) == SHOWN[kind][1]


@kinds
def test_an_id_that_never_was_is_not_there(kind, service):
    assert service.status(kind, "no-such-job") == SHOWN[kind][1]


@kinds
def test_jobs_of_another_kind_or_application_are_not_there(kind, make):
    service = make(more_sdk_app_ids=(7,))
    other = next(each for each in NATURES if each != kind)
    assert service.status(kind, service.start(other)) == SHOWN[kind][1]
    job_id = service.start(kind, SdkAppId=APP)
    if "SdkAppId" in least(kind) and kind not in ("web_recording", "speech"):
        answer = service(NATURES[kind].describe, {"SdkAppId": 7, "TaskId": job_id})
        assert (answer if isinstance(answer, str) else answer["Status"]) == SHOWN[kind][1]


@pytest.mark.parametrize("kind", ["ai_transcription", "ai_conversation"])
def test_ai_prepares_first(kind, make):
    service = make(new_jobs={kind: {"preparing_seconds": 2}})
    job_id = service.start(kind)
    assert service.status(kind, job_id) == "Preparing"
    service.state.clock.advance(2)
    answer = service(NATURES[kind].describe, {"TaskId": job_id})
    assert (answer["Status"], answer["SessionId"], answer["TaskId"]) == ("InProgress", "lesson-7", job_id)
    assert answer["StartTime"].startswith("20")
    assert job_id.startswith("v2_")


def test_ends_by_reads(service):
    job_id = run(service.state, "POST", "jobs", {"kind": "slicing", "ends_after_reads": 2})["job_id"]
    assert [service.status("slicing", job_id) for _ in range(3)] == ["InProgress"] * 2 + ["ResourceNotFound"]


@pytest.mark.parametrize(
    "kind", [kind for kind, nature in NATURES.items() if nature.idle_path and nature.robot_path is not None]
)
def test_an_empty_room_ends_it_after_its_idle_time(kind, service):
    path = NATURES[kind].idle_path
    job_id = service.start(kind, **{path: {**least(kind)[path], "MaxIdleTime": 40}})
    run(service.state, "POST", "room", {"room_id": "8001", "leave": ["anchor_1"]})
    service.state.clock.advance(39)
    assert service.status(kind, job_id) == "InProgress"
    service.state.clock.advance(2)
    assert service.status(kind, job_id) == SHOWN[kind][1]
    assert service.truth(job_id)["end_reason"] == "idle"


def test_who_comes_back_keeps_it_running(service):
    job_id = service.start("ai_transcription")
    run(service.state, "POST", "room", {"room_id": "8001", "leave": ["anchor_1"]})
    service.state.clock.advance(50)
    run(service.state, "POST", "room", {"room_id": "8001", "enter": ["anchor_2"]})
    service.state.clock.advance(500)
    assert service.status("ai_transcription", job_id) == "InProgress"


def test_a_job_in_a_room_that_was_left_is_idle_at_once(service):
    first = service.start("slicing")
    run(service.state, "POST", "room", {"room_id": "8001", "leave": ["anchor_1"]})
    second = service.start("moderation")
    service.state.clock.advance(31)
    assert service.status("slicing", first) == service.status("moderation", second) == "ResourceNotFound"


@pytest.mark.parametrize(
    "kind, changes, seconds",
    [
        ("web_recording", {"MaxDurationLimit": 1800}, 1800),
        ("live_moderation", {"ResourceExpiredHour": 1}, 3600),
        ("live_moderation", {}, 48 * 3600),
        ("ingest", {"RepeatNum": -1, "MaxDuration": 2}, 120),
    ],
)
def test_a_limit_of_the_request_ends_it(kind, changes, seconds, service):
    job_id = service.start(kind, **changes)
    service.state.clock.advance(seconds - 1)
    assert service.status(kind, job_id) == SHOWN[kind][0]
    service.state.clock.advance(2)
    assert service.status(kind, job_id) == SHOWN[kind][1]
    assert service.truth(job_id)["end_reason"] == "limit"


def test_a_stream_that_is_not_repeated_for_ever_has_no_limit(service):
    job_id = service.start("ingest", RepeatNum=3, MaxDuration=2)
    service.state.clock.advance(500)
    assert service.status("ingest", job_id) == "InProgress"


def test_an_expired_one_runs_on_without_being_known(service):
    job_id = service.start("moderation", ResourceExpiredHour=6)
    service.state.clock.advance(6 * 3600 + 1)
    assert service.status("moderation", job_id) == "ResourceNotFound"
    assert service.stop("moderation", job_id) == "ResourceNotFound"
    assert service.truth(job_id)["end_reason"] is None


def test_speech_hands_out_addresses_or_fails(make):
    service = make(new_jobs={"speech": {"ends_after_seconds": 3}})
    job_id = service.start("speech")
    assert service("DescribeAsyncTextToSpeech", {"TaskId": job_id})["Status"] == "Processing"
    service.state.clock.advance(3)
    answer = service("DescribeAsyncTextToSpeech", {"TaskId": job_id})
    assert answer["AudioDownloadUrl"].startswith("https://")
    assert answer["TotalDurationMs"] > 0
    failing = make(new_jobs={"speech": {"ends_after_seconds": 3, "fails": True}})
    job_id = failing.start("speech")
    failing.state.clock.advance(3)
    answer = failing("DescribeAsyncTextToSpeech", {"TaskId": job_id})
    assert answer["Status"] == "Failed"
    assert "AudioDownloadUrl" not in answer


# -- starting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["slicing", "moderation", "transcription"])
def test_the_same_robot_replaces_its_earlier_job(kind, service):
    first = service.start(kind)
    service.state.clock.advance(10)
    second = service.start(kind)
    assert service.truth(first)["end_reason"] == "replaced"
    assert service.status(kind, second) == "InProgress"
    assert service.truth(service.start(kind, "robot2"))["end_reason"] is None
    assert service.truth(second)["end_reason"] is None


@pytest.mark.parametrize(
    "kind, changes",
    [
        ("ai_transcription", {}),
        ("ai_transcription", {"SessionId": "other"}),
        ("ai_transcription", {"RoomId": "8002"}),
        ("ai_conversation", {}),
        ("ingest", {}),
        ("web_recording", {}),
        ("web_recording", {"RecordUrl": "https://other.example/"}),
    ],
)
def test_a_second_start_is_refused(kind, changes, service):
    first = service.start(kind)
    assert service.start(kind, **changes) == "FailedOperation.TaskExist"
    service.stop(kind, first)
    assert service.start(kind, **changes) != "FailedOperation.TaskExist"


def test_a_conversation_needs_somebody_to_talk_to(service):
    agent = least("ai_conversation")["AgentConfig"]
    alone = {name: value for name, value in agent.items() if name != "TargetUserId"}
    assert service.start("ai_conversation", AgentConfig=alone) == "MissingParameter"
    assert not service.state.jobs


@pytest.mark.parametrize("kind", ["live_moderation", "speech"])
def test_a_second_start_adds_another_one(kind, service):
    assert service.start(kind) != service.start(kind)


@pytest.mark.parametrize(
    "kind, query",
    [
        ("web_recording", {"SdkAppId": APP, "RecordId": "lesson-7"}),
        ("ai_transcription", {"TaskId": "", "SdkAppId": APP, "SessionId": "lesson-7"}),
        ("ai_conversation", {"SdkAppId": APP, "SessionId": "lesson-7"}),
    ],
)
def test_it_is_found_by_the_name_it_was_given(kind, query, service):
    job_id = service.start(kind)
    answer = service(NATURES[kind].describe, query)
    assert answer["TaskId"] == job_id
    key = NATURES[kind].key_param
    assert service(NATURES[kind].describe, {**query, key: "other"}) == "FailedOperation.TaskNotExist"
    assert service(NATURES[kind].describe, {key: "lesson-7"}) == "InvalidParameter.TaskId"


def test_a_web_recording_asked_for_by_its_id_names_its_record_id(service):
    answer = service("DescribeWebRecord", {"TaskId": service.start("web_recording")})
    assert (answer["Status"], answer["RecordId"]) == (1, "lesson-7")
    assert "TaskId" not in answer


@pytest.mark.parametrize("kind", [kind for kind, nature in NATURES.items() if nature.robot_path is not None])
def test_the_robot_needs_a_user_sig_of_its_own(kind, service):
    path = NATURES[kind].robot_path
    bad = {"UserSig": robot_named("another")["UserSig"]}
    changes = {path: {**least(kind)[path], **bad}} if path else bad
    assert service.start(kind, **changes) == "InvalidParameter.UserSig"
    assert not service.state.jobs


@pytest.mark.parametrize("kind, needs", [("slicing", True), ("ingest", True), ("moderation", False)])
def test_a_private_map_key_is_asked_for_where_the_call_takes_one(kind, needs, make):
    service = make(advanced_permission_control=True)
    assert (service.start(kind) == "FailedOperation") is needs


@pytest.mark.parametrize("kind", [kind for kind, nature in NATURES.items() if nature.storage])
def test_the_bucket_is_checked(kind, make):
    param, bucket = NATURES[kind].storage or ("", "")
    storage = {param: {bucket: dict(COS)}}
    keys = {"storage_access_key": "AK", "storage_secret_key": "SK"}
    assert make(**keys, refuse_storage="at_create").start(kind, **storage) == "FailedOperation"
    service = make(**keys)
    truth = service.truth(service.start(kind, **storage))
    assert truth["storage_refused"] is True
    assert truth["destination"] == {"Vendor": 0, "Region": "ap-guangzhou", "Bucket": "b-1"}
    assert "SKstorage" not in json.dumps(run(service.state, "GET", "state", {"requests": "1"}))


@pytest.mark.parametrize(
    "kind, changes, code",
    [
        ("slicing", {"RoomIdType": 1, "RoomId": "lesson"}, "InvalidParameter.OutOfRange"),
        ("transcription", {"RoomIdType": 0, "RoomId": "lesson"}, "InvalidParameter.OutOfRange"),
        ("transcription", {"AsrParam": {}}, "MissingParameter.ASRLang"),
        ("slicing", {"SliceParams": {"MaxIdleTime": 4}}, "InvalidParameter.OutOfRange"),
        ("slicing", {"SliceStorageParams": {}}, "MissingParameter.CloudSliceStorage"),
        ("web_recording", {"RecordId": "x" * 32}, "InvalidParameter.OutOfRange"),
        ("ingest", {"StreamUrl": None}, "MissingParameter"),
        ("speech", {"Voice": {"VoiceID": "v"}}, "UnknownParameter"),
        ("speech", {"Voice": {"VoiceId": "v", "Speed": "fast"}}, "InvalidParameter"),
    ],
)
def test_parameters_are_checked(kind, changes, code, service):
    assert service.start(kind, **changes) == code


@pytest.mark.parametrize(
    "kind, room_type, is_string",
    [("slicing", 0, True), ("slicing", 1, False), ("transcription", 1, True), ("transcription", 0, False)],
)
def test_room_types_are_numbered_as_each_call_has_it(kind, room_type, is_string, service):
    truth = service.truth(service.start(kind, RoomIdType=room_type))
    assert truth["is_string_room"] is is_string


# -- changing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, action", [("slicing", "ModifyCloudSliceTask"), ("moderation", "ModifyCloudModeration")]
)
def test_subscriptions_are_replaced(kind, action, service):
    job_id = service.start(kind)
    lists = {"SubscribeAudioUserIds": ["a"]}
    values = {"SdkAppId": APP, "TaskId": job_id, "SubscribeStreamUserIds": lists}
    assert service(action, values)["TaskId"] == job_id
    assert service.truth(job_id)["settings"] == {"SubscribeStreamUserIds": lists}
    assert service(action, {**values, "TaskId": "other"}) == "ResourceNotFound"


def test_a_stream_is_updated_while_it_runs(service):
    job_id = service.start("ingest")
    values = {"SdkAppId": APP, "TaskId": job_id, "Volume": 5, "Tempo": 1.5}
    assert service("UpdateStreamIngest", values)["Status"] == "InProgress"
    service.stop("ingest", job_id)
    assert service("UpdateStreamIngest", values) == "FailedOperation.TaskNotExist"


def test_a_conversation_is_updated_and_told_what_to_say(service):
    job_id = service.start("ai_conversation")
    assert "RequestId" in service("UpdateAIConversation", {"TaskId": job_id, "WelcomeMessage": "Hi"})
    say = {"TaskId": job_id, "Command": "ServerPushText", "ServerPushText": {"Text": "Time is up"}}
    assert "RequestId" in service("ControlAIConversation", say)
    assert service.truth(job_id)["settings"]["Commands"] == [{"ServerPushText": {"Text": "Time is up"}}]
    assert service("ControlAIConversation", {"TaskId": job_id, "Command": "Sing"}) == "InvalidParameter"
    assert service("ControlAIConversation", {"TaskId": job_id, "Command": "InvokeLLM"}) == "MissingParameter"
    service.stop("ai_conversation", job_id)
    assert service("ControlAIConversation", say) == "FailedOperation.TaskNotExist"


# -- scripts and control ----------------------------------------------------------------------------------


def test_a_script_covers_the_life_for_a_while(service):
    state = service.state
    steps = [{"Status": "Paused"}, {"error": "InternalError"}]
    job_id = run(state, "POST", "jobs", {"kind": "transcription", "steps": steps, "ends_after_seconds": 9})[
        "job_id"
    ]
    shown = [service.status("transcription", job_id) for _ in range(3)]
    assert shown == ["Paused", "InternalError", "InternalError"]
    run(state, "POST", "script", {"job_id": job_id, "steps": []})
    assert service.status("transcription", job_id) == "InProgress"
    run(state, "POST", "script", {"job_id": job_id, "steps": [{"gone": True}]})
    assert service.status("transcription", job_id) == "ResourceNotFound"
    assert service.truth(job_id)["end_reason"] == "script"


def test_the_controls_know_it_as_any_other_job(emulator):
    job_id = emulator.add_job(kind="ai_transcription", room_id="lesson", key="k", outputs=["Good morning."])
    truth = emulator.truth(job_id)
    assert (truth["kind"], truth["room_id"], truth["is_string_room"]) == ("ai_transcription", "lesson", True)
    assert [each["value"] for each in truth["outputs"]] == ["Good morning."]
    emulator.end(job_id)
    assert emulator.truth(job_id)["end_reason"] == "ended"
    assert emulator.bill()["jobs"] == []  # nobody pays for what was not started over the API
    assert set(emulator.state()["jobs"]) == {job_id}


def test_what_runs_is_billed(service):
    first = service.start("transcription")
    service.state.clock.advance(30)
    second = service.start("speech")
    service.stop("transcription", first)
    bill = run(service.state, "GET", "bill", {})
    assert [(each["job_id"], each["kind"], round(each["seconds"])) for each in bill["jobs"]] == [
        (first, "transcription", 30),
        (second, "speech", 0),
    ]
    assert bill["running_jobs"] == [second]
    assert {each["kind"]: each["jobs"] for each in bill["by_kind"]} == {"transcription": 1, "speech": 1}
    assert [each["job_id"] for each in run(service.state, "GET", "bill", {"room_id": "8001"})["jobs"]] == [
        first
    ]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"kind": "dancing"}, "kind must be one of"),
        ({"kind": "slicing", "outputs": "x"}, "outputs"),
        ({"kind": "slicing", "ends_after_seconds": -1}, "ends_after_seconds"),
        ({"kind": "slicing", "fails": 1}, "fails must be"),
        ({"kind": "slicing", "callbacks": {"1001": "eaten"}}, "callbacks"),
        ({"kind": "slicing", "participants": [1]}, "participants"),
        ({"kind": "slicing", "wings": 2}, "unknown option wings"),
    ],
)
def test_wrong_options_say_why(options, text):
    state = State(Settings(time_scale=0))
    with pytest.raises(ControlError, match=text):
        run(state, "POST", "jobs", options)


@pytest.mark.parametrize("options", [{"dancing": {}}, {"slicing": {"room_id": "1"}}])
def test_new_jobs_take_progress_options_only(options):
    with pytest.raises(ValueError, match="new_jobs"):
        State(Settings(new_jobs=options))


# -- callbacks --------------------------------------------------------------------------------------------


def story(kind: str, **options: Any) -> list[tuple[int, Any]]:
    """Type and code of each event of a whole life, in order."""
    seed = LifeSeed(kind=kind, ends_after_seconds=options.pop("ends_after_seconds", 30), **options)
    life = life_of(seed, Settings(), "jid", 1_700_000_000.0)
    timeline = LifeTimeline(life)
    events = timeline.due(1_700_009_000.0, 1_700_009_000.0)
    assert {event.group for event in events} <= {NATURES[kind].group}
    assert all(event.info["TaskId"] == "jid" for event in events)
    assert [event.at for event in events] == sorted(event.at for event in events)

    def code(info: Any) -> Any:
        payload = info.get("Payload", info)
        return next((payload[name] for name in ("Status", "LeaveCode", "Text") if name in payload), None)

    return [(event.type, code(event.info)) for event in events]


@pytest.mark.parametrize(
    "kind, options, events",
    [
        ("slicing", {"outputs": 2}, [(1001, 0), (1003, 0), (1004, None), (1004, None), (1002, 0), (1005, 0)]),
        ("slicing", {"start_fails": True}, [(1001, 1)]),
        ("moderation", {"outputs": 1}, [(1101, 0), (1103, 0), (1104, None), (1105, 0), (1102, 0)]),
        ("live_moderation", {}, [(1101, 0), (1103, 0), (1105, 0), (1102, 0)]),
        ("transcription", {"outputs": ["Hi"]}, [(1401, 0), (1403, "Hi"), (1402, 0)]),
        ("ai_transcription", {"outputs": ["Hi", "Bye"]}, [(901, 0), (903, "Hi"), (903, "Bye"), (902, 0)]),
        ("ai_conversation", {"start_fails": True}, [(901, 1)]),
        ("ai_conversation", {"fails": True}, [(901, 0), (902, 98)]),
        ("ingest", {}, [(701, 0), (702, 0)]),
        ("ingest", {"start_fails": True}, [(701, 1), (701, 2), (701, 2), (701, 2), (702, 0)]),
        ("web_recording", {"outputs": 1}, [(801, 1), (802, 1), (311, 0), (312, 0)]),
        ("web_recording", {"max_seconds": 20}, [(801, 1), (804, 1), (802, 1), (312, 0)]),
        ("web_recording", {"start_fails": True}, [(801, 2)]),
        ("ai_transcription", {"participants": 0}, [(901, 0), (902, 99)]),
        ("speech", {}, []),
    ],
)  # fmt: skip
def test_the_events_of_a_life(kind, options, events):
    assert story(kind, **options) == events


def test_events_have_the_types_that_the_service_uses():
    life = life_of(LifeSeed(kind="ingest", ends_after_seconds=1), Settings(), "jid", 1_700_000_000.0)
    (start, *_) = LifeTimeline(life).due(1_700_000_100.0, 1_700_000_100.0)
    assert start.info == {"EventMsTs": 1_700_000_000_000, "TaskId": "jid", "Status": 0}
    seed = LifeSeed(kind="ai_transcription", room_id="lesson", outputs=["Hi"], participants=["alice"])
    _, sentence = LifeTimeline(life_of(seed, Settings(), "jid", 1_700_000_000.0)).due(
        1_700_000_100.0, 1_700_000_100.0
    )
    assert (sentence.info["RoomId"], sentence.info["RoomIdType"]) == ("lesson", 1)
    assert sentence.info["Payload"]["UserId"] == "alice"


def test_callbacks_are_sent_and_signed(receiver):
    with Emulator(time_scale=0, callback_url=receiver.url, callback_key="key1") as emulator:
        job_id = emulator.add_job(kind="transcription", outputs=["Hi"], callbacks={"1401": "doubled"})
        emulator.advance(1)
        emulator.end(job_id)
        emulator.wait_for_callbacks()
        sent = emulator.truth(job_id)["callbacks"]
        assert [each["event_type"] for each in sent] == [1401, 1403, 1402]
        assert [each["copies"] for each in sent] == [2, 1, 1]
        assert {each["status"] for each in sent} == {"delivered"}


def test_callbacks_come_when_they_are_due_without_a_poll(receiver):
    with Emulator(time_scale=100, callback_url=receiver.url) as emulator:
        job_id = emulator.add_job(kind="ingest", ends_after_seconds=5)
        deadline = time.monotonic() + 60
        while len(emulator.truth(job_id)["callbacks"]) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [each["event_type"] for each in emulator.truth(job_id)["callbacks"]] == [701, 702]


# -- the official SDK ---------------------------------------------------------------------------------------


@kinds
def test_the_official_sdk_starts_asks_and_stops(kind, emulator, caller):
    for client in ("sync", "async"):
        call, nature = caller(emulator, client), NATURES[kind]
        robot = f"robot_{client}"
        values = {**least(kind, robot), **({nature.key_param: client} if nature.key_param else {})}
        job_id = call(nature.start, values)["TaskId"]
        app = {} if nature.absent_code and kind != "ingest" else {"SdkAppId": APP}
        assert call(nature.describe, {**app, "TaskId": job_id})["Status"] == SHOWN[kind][0]
        if nature.stop:
            call(nature.stop, {**app, "TaskId": job_id})
            with pytest.raises(TencentCloudSDKException):
                call(nature.stop, {**app, "TaskId": job_id})


def test_each_describe_action_has_one_kind():
    assert len(BY_DESCRIBE) == len(NATURES)
