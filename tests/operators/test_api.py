"""Any action as a task: each one passes, and fails clearly without what it requires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.cloud.actions import ACTIONS
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators import TrtcApiOperator, api
from tests.cloud.requests import least
from tests.operators.running import DictStore, Task, sent

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing import TrtcAirflow

STREAMS = [name for name, row in ACTIONS.items() if row.is_stream]
CALLS = [name for name in ACTIONS if name not in STREAMS]


def run(task: Task, action: str, parameters: Any = None, **options: Any) -> Any:
    operator = TrtcApiOperator(task_id="call", action=action, parameters=parameters, **options)
    return operator.execute(task.context())


# -- all actions ------------------------------------------------------------------------------------------


def test_every_action_passes_to_the_service_and_answers(service: Emulator) -> None:
    """In the order of the table, in which what is started stands before what is asked about it."""
    ids: dict[str, Any] = {}
    user_sig = TrtcHook().user_sig("robot")
    for name in CALLS:
        row = ACTIONS[name]
        params = least(row, user_sig)
        params |= {each: ids[each] for each in params if each in ids}
        if row.family == "rooms":
            people = ["robot", *params.get("UserIds", ())]
            service.room(str(params["RoomId"]), enter=people, is_string_room="ByStr" in name)
        answer = run(Task(DictStore()), name, params)
        assert answer["RequestId"], name
        if row.id_field:
            ids[row.id_field] = answer[row.id_field]
            assert ids[row.id_field], name
    assert [each for each in sent(service) if each in CALLS] == CALLS


@pytest.mark.parametrize("name", CALLS)
def test_every_action_fails_in_the_dag_file_without_what_it_requires(name: str) -> None:
    row = ACTIONS[name]
    params = least(row)
    TrtcApiOperator(task_id="call", action=name, parameters=params)
    required = [each for each in row.required if each != row.app_param]
    for absent in [*required, *(each[0] for each in row.alternatives[:1])]:
        left = {each: value for each, value in params.items() if each != absent}
        with pytest.raises(ValueError, match=rf"^Task call: {name} lacks {absent}.* It requires "):
            TrtcApiOperator(task_id="call", action=name, parameters=left)


def test_every_action_fails_before_it_is_sent_without_what_templates_should_have_brought(
    service: Emulator,
) -> None:
    for name in CALLS:
        row = ACTIONS[name]
        params = least(row)
        required = [each for each in row.required if each != row.app_param]
        for absent in [*required, *(each[0] for each in row.alternatives[:1])]:
            operator = TrtcApiOperator(task_id="call", action=name, parameters=params)
            operator.parameters = {**params, absent: None}  # as a template that is rendered to nothing
            with pytest.raises(AirflowFailException, match=f"{name} lacks {absent}"):
                operator.execute(Task(None).context())
    assert sent(service) == []


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_refused_in_the_dag_file(name: str) -> None:
    with pytest.raises(ValueError, match="answers with a stream, which is not supported; use TextToSpeech"):
        TrtcApiOperator(task_id="call", action=name, parameters=least(ACTIONS[name]))


def test_the_application_of_the_connection_is_needed_where_the_action_needs_one(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    connection = json.loads(service.connection_json)
    del connection["extra"]["sdk_app_id"]
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(connection))
    with pytest.raises(AirflowFailException, match=r"DescribePicture lacks SdkAppId\. .*sdk_app_id"):
        run(task, "DescribePicture")
    assert run(task, "DescribePicture", sdk_app_id=service.sdk_app_id)["Total"] == 0
    assert run(task, "DescribePicture", {"SdkAppId": service.sdk_app_id})["Total"] == 0


# -- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, words",
    [
        ({"action": "DescribeRoomInf"}, r"action: There is no action .*did you mean 'DescribeRoomInfo'\?"),
        ({"action": ""}, "action: There is no action"),
        ({"action": None}, "action: There is no action None"),
        ({"parameters": [1]}, "parameters must be a dictionary with the service's own names, not list"),
        ({"parameters": {"RoomId": 1, "UserIds": ["u"] * 11}}, "'UserIds' .* at most 10 user ids"),
        ({"parameters": {"RoomId": 0, "UserIds": ["u"]}}, "'RoomId' .* must be 1 to 4"),
        ({"parameters": {"RoomId": 1}}, "RemoveUser lacks UserIds"),
        ({"result": "RoomList[x]"}, r"result must be a path .* not 'RoomList\[x\]'"),
        ({"trtc_conn_id": ""}, "trtc_conn_id is empty"),
        ({"sdk_app_id": "abc"}, "The sdk_app_id must be a whole number such as 1400000001, not 'abc'"),
        (
            {"action": "DismissRoomByStrRoomId", "parameters": {"RoomId": "\u623f" * 22}},
            "must be at most 64 bytes",
        ),
        ({"parameters": {"RoomId": 10**5000, "UserIds": ["u"]}}, "must be 1 to 4294967294, not a number of"),
        ({"parameters": None, "params": {"RoomId": 1}}, "RoomId are in params, which are Airflow's own"),
    ],
)
def test_mistakes_are_found_in_the_dag_file(options: dict[str, Any], words: str) -> None:
    given = {"action": "RemoveUser", "parameters": {"RoomId": 1, "UserIds": ["u"]}, **options}
    with pytest.raises(ValueError, match=words):
        TrtcApiOperator(task_id="call", **given)


def test_what_stays_the_same_for_mapped_tasks_is_checked_in_the_dag_file() -> None:
    with pytest.raises(ValueError, match="There is no action"):
        TrtcApiOperator.partial(task_id="call", action="Nothing")
    TrtcApiOperator.partial(task_id="call", action="DismissRoom").expand(parameters=[{"RoomId": 1}])


@pytest.mark.parametrize(
    "params, words",
    [
        ({"RoomId": 1, "UserIds": "u"}, "'UserIds' of RemoveUser must be a list of texts, not a text"),
        ({"RoomId": "one", "UserIds": ["u"]}, r"'RoomId' .* must be a whole number, not a text \('one'\)"),
        ({"RoomId": 1, "UserIds": ["u", 2]}, r"'UserIds\[1\]' of RemoveUser must be a text"),
        ({"RoomId": 1, "UserIds": ["u"], "Userid": "u"}, r"no parameter 'Userid' \(did you mean 'UserIds'"),
        ({"RoomId": 1, "UserIds": ["u"], 7: "u"}, "no parameter '7'"),
        (
            {"RoomId": 1, "UserIds": ["u\ud800"]},
            r"'UserIds\[0\]' of RemoveUser holds half of a surrogate pair",
        ),
        ({"RoomId": 1, "UserIds": {"u"}}, "must be a list of texts, not set"),
    ],
)
def test_names_and_types_are_checked_before_anything_is_sent(
    service: Emulator, task: Task, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        run(task, "RemoveUser", params)
    assert sent(service) == []


# -- answers ------------------------------------------------------------------------------------------------


def test_a_part_of_the_answer_is_returned(service: Emulator, task: Task) -> None:
    picture = {**least(ACTIONS["CreatePicture"]), "Width": 120}
    made = [run(Task(None), "CreatePicture", picture, result="PictureId") for _ in range(2)]
    assert run(task, "DescribePicture", result="Total") == 2
    assert run(task, "DescribePicture", result="PictureInfo[*].PictureId") == made
    assert run(task, "DescribePicture", result="PictureInfo[-1].Width") == 120
    with pytest.raises(
        AirflowFailException, match=r"was carried out, and .* has 2 items, so there is no \[2\]"
    ):
        run(task, "DescribePicture", result="PictureInfo[2]")


@pytest.mark.parametrize(
    "action, path, words",
    [
        ("DescribePicture", "Totl", r"the answer has no Totl \(did you mean 'Total'\?\)"),
        (
            "DescribePicture",
            "PictureInfo.Width",
            r"is a list; write PictureInfo\[0\].Width, or PictureInfo\[\*\]",
        ),
        ("DescribePicture", "PictureInfo[*].Widht", "PictureInfo has no Widht"),
        ("DescribePicture", "Total[0]", r"Total is not a list, so there is no \[0\]"),
        ("CreatePicture", "TaskId", "the answer has no TaskId"),
        ("CreatePicture", "PictureId.Id", "PictureId is a plain value, which has no Id"),
    ],
)
def test_what_cannot_be_in_the_answer_is_found_before_anything_is_sent(
    service: Emulator, task: Task, action: str, path: str, words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        run(task, action, least(ACTIONS[action]), result=path)
    assert sent(service) == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({7: 1}, "CreatePicture has no parameter '7'"),
        ({"Width": 2**64}, "'Width' of CreatePicture must be a number of 64 bits"),
        ({"Width": 10.5}, r"'Width' .* must be a whole number, not a number with a fraction \(10\.5\)"),
    ],
)
def test_what_would_create_is_checked_as_well(
    service: Emulator, task: Task, store: DictStore, change: dict[Any, Any], words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        run(task, "CreatePicture", {**least(ACTIONS["CreatePicture"]), **change})
    assert sent(service) == []
    assert store.rows == {}


def test_lists_of_mapped_tasks_are_lists(service: Emulator, task: Task) -> None:
    from collections import UserList  # as Airflow's own, a sequence that is no list

    service.room("1", enter=["a", "b"])
    run(task, "RemoveUser", {"RoomId": 1, "UserIds": UserList(["a", "b"])})
    assert service.state(requests=True)["requests"][-1]["parameters"]["UserIds"] == ["a", "b"]


def test_a_refused_parameter_is_told_with_its_documented_limits(service: Emulator, task: Task) -> None:
    service.fault("error", code="InvalidParameter.QueryScaleOversize", message="Too long.")
    span = {"StartTime": "2026-01-01", "EndTime": "2026-03-01"}
    told = (
        r"Too long\. Documented limits of DescribeTrtcUsage: EndTime at most 31 days .*, given 2026-03-01\."
    )
    with pytest.raises(AirflowFailException, match=told):
        run(task, "DescribeTrtcUsage", span)


def test_an_answer_that_is_too_big_for_an_xcom_fails_unless_it_becomes_none(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MAX_RESULT_BYTES", 1000)
    spoken = {**least(ACTIONS["TextToSpeech"]), "Text": "words " * 20}
    with pytest.raises(
        AirflowFailException, match=r"answer of \d+ bytes is too big .*\(at most 1000\)\. Take"
    ):
        run(Task(None), "TextToSpeech", spoken)
    assert run(Task(None), "TextToSpeech", spoken, result="TotalDurationMs") == 2000
    assert run(Task(None), "TextToSpeech", spoken, do_xcom_push=False)["Audio"]


def test_a_cleared_task_sends_again_what_it_could_not_keep(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MAX_RESULT_BYTES", 1000)
    spoken = {**least(ACTIONS["TextToSpeech"]), "Text": "words " * 20}
    for words in ("is too big for an XCom", "was too big to keep, .* Clear this task to call it again"):
        with pytest.raises(AirflowFailException, match=words):
            run(task, "TextToSpeech", spoken)
    assert sent(service) == ["TextToSpeech"]
    operator = TrtcApiOperator(
        task_id="call", action="TextToSpeech", parameters=spoken, result="TotalDurationMs"
    )
    assert operator.execute(task.context(cleared=True)) == 2000
    assert sent(service) == ["TextToSpeech"] * 2


def test_the_answer_of_a_refusal_is_an_error_with_its_code(service: Emulator, task: Task) -> None:
    from airflow_trtc.errors import TrtcFailedError

    with pytest.raises(TrtcFailedError, match=r"The picture does not exist.*ResourceNotFound"):
        run(task, "DeletePicture", {"PictureId": 1})


# -- creating, with answers that are lost on the way ---------------------------------------------------


@pytest.mark.parametrize("name", [name for name, row in ACTIONS.items() if row.key_param])
def test_what_a_lost_answer_started_is_found_by_its_key(service: Emulator, task: Task, name: str) -> None:
    params = least(ACTIONS[name], TrtcHook().user_sig("robot"))
    service.fault("lost_answer", action=name, count=1)
    job_id = run(task, name, params, result="TaskId")
    assert sent(service) == [name, ACTIONS[name].find_action]
    assert run(task, name, params, result="TaskId") == job_id
    assert len(sent(service)) == 2
    again = run(Task(None), name, params, result="TaskId")  # below Airflow 3.3, the same run
    assert again == job_id


def test_what_a_lost_answer_started_without_a_key_is_not_started_twice(service: Emulator, task: Task) -> None:
    params = least(ACTIONS["CreateCloudSliceTask"], TrtcHook().user_sig("robot"))
    service.fault("lost_answer", action="CreateCloudSliceTask")
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="It is not known whether CreateCloudSliceTask"):
            run(task, "CreateCloudSliceTask", params)
    assert sent(service) == ["CreateCloudSliceTask"]


@pytest.mark.parametrize("answered", [None, "", ["x"], "x" * 2000])
def test_an_answer_without_the_id_is_no_answer(
    service: Emulator, task: Task, monkeypatch: pytest.MonkeyPatch, answered: Any
) -> None:
    from airflow_trtc.cloud.sdk import SdkTransport

    send = SdkTransport.send

    def without_id(self: SdkTransport, call: Any, keys: Any) -> Any:
        answer = send(self, call, keys)
        if ACTIONS[call.action].effect == "create":
            answer["Response"]["TaskId"] = answered
        return answer

    monkeypatch.setattr(SdkTransport, "send", without_id)
    slicing = least(ACTIONS["CreateCloudSliceTask"], TrtcHook().user_sig("robot"))
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="It is not known whether CreateCloudSliceTask"):
            run(task, "CreateCloudSliceTask", slicing)
    assert sent(service) == ["CreateCloudSliceTask"]
    page = least(ACTIONS["StartWebRecord"], TrtcHook().user_sig("robot"))
    found = run(Task(DictStore()), "StartWebRecord", page, result="TaskId")  # asked for by its key
    assert found in service.state()["jobs"]


# -- secrets and templates ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters, secrets",
    [
        ({"TTSConfig": '{"TTSType": "azure", "SubscriptionKey": "sub-key"}'}, ["sub-key"]),
        ({"LLMConfig": '{"api_key": "key-1"}'}, ["key-1"]),
        ({"LLMConfig": '[{"APIKey": "key-1"}]'}, ["key-1"]),
        ({"LLMConfig": '{"APIKey": "a\\u0026\\"b"}'}, ['a&"b', 'a\\u0026\\"b']),
        ({"LLMConfig": '{"APIKey": "key-1",}'}, ["key-1", '{"APIKey": "key-1",}']),  # no JSON
        ({"LLMConfig": "{'APIKey': 'key-1'}"}, ["{'APIKey': 'key-1'}"]),
        ({"STTConfig": {"CustomParam": '{"deep": "{\\"Token\\": \\"key-1\\"}"}'}}, ["key-1"]),
        ({"StreamUrl": "rtmp://a.example/live/room?txSecret=abc"}, ["txSecret=abc"]),
        ({"Params": [{"PublishCdnUrl": "rtmp://a.example/live2/abcd-efgh-ijkl"}]}, ["abcd-efgh-ijkl"]),
        ({"Token": 12345678}, ["12345678"]),
        ({"Text": "[Intro] token: none", "BackgroundImageUrl": "https://a.example/background.png"}, []),
    ],
)
def test_secrets_are_found_wherever_they_stand(
    parameters: dict[str, Any], secrets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_trtc.operators import leaves

    masked: list[str] = []
    monkeypatch.setattr(leaves, "mask_secret", masked.append)
    leaves.mask(parameters)
    assert masked == secrets
    if not isinstance(parameters.get("Token"), int):
        assert all(secret not in str(leaves.hidden(parameters)) for secret in secrets)
    assert leaves.shown(leaves.hidden(parameters)) == parameters


def test_a_secret_that_stands_in_the_dag_is_hidden_where_airflow_stores_it_and_is_sent(
    service: Emulator, trtc_airflow: TrtcAirflow
) -> None:
    import json

    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import DAG
    from airflow.utils.session import create_session
    from sqlalchemy import select

    model = '{"LLMType": "openai", "APIKey": "hidden-key"}'
    agent = {"UserId": "robot", "UserSig": TrtcHook().user_sig("robot"), "TargetUserId": "pupil"}
    parameters = {
        "RoomId": "{{ params.room }}{{ ti.map_index }}",  # a robot can be in a room once
        "RoomIdType": "{{ 1 }}",
        "AgentConfig": agent,
        "LLMConfig": model,
        "TTSConfig": '{"TTSType": "flow"}',
    }
    with DAG("talks", schedule=None, params={"room": "5b"}) as talks:
        options: dict[str, Any] = {"action": "StartAIConversation"}
        TrtcApiOperator(task_id="call", parameters=parameters, result="TaskId", **options)
        TrtcApiOperator.partial(task_id="each", parameters=parameters, **options).expand(
            region=["ap-guangzhou"]
        )
    trtc_airflow.load(talks)
    done = trtc_airflow.run(talks)
    asked = [one["parameters"] for one in service.state(requests=True)["requests"]]
    assert done.state == "success", done
    assert {one["RoomId"] for one in asked} == {"5b-1", "5b0"}
    assert [one["RoomIdType"] for one in asked] == [1, 1]
    with create_session() as session:
        dags = session.scalars(select(SerializedDagModel).where(SerializedDagModel.dag_id == "talks"))
        stored = json.dumps([row.data for row in dags])
        fields = session.scalars(
            select(RenderedTaskInstanceFields).where(RenderedTaskInstanceFields.run_id == done.run_id)
        )
        stored += json.dumps([row.rendered_fields for row in fields])
    stored += "".join(one.log for one in done.tasks.values())
    assert "TargetUserId" in stored
    assert "hidden-key" not in stored
    assert agent["UserSig"] not in stored
    assert "***" in stored
