"""The calls of no other family: pictures, hot words, voices, speech; and the models of all calls."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import wave
from typing import Any

import pytest
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.trtc.v20190722 import models as sdk_models

from airflow_trtc.emulator import DEFAULT_SDK_APP_ID
from airflow_trtc.emulator.actions import ACTIONS
from airflow_trtc.emulator.families import others
from airflow_trtc.emulator.families.models import Member, models
from airflow_trtc.emulator.gateway import respond
from airflow_trtc.emulator.parameters import check, coerce, unflatten
from tests.emulator.conftest import signed

APP = DEFAULT_SDK_APP_ID
SOUND = base64.b64encode(b"sound").decode()
KINDS = {"text": "str", "int": "int", "uint": "int", "number": "float", "flag": "bool"}


@pytest.fixture
def ask(caller, emulator):
    """Call with the synchronous client."""
    made = caller(emulator, "sync")

    def run(action: str, **values: Any) -> Any:
        return made(action, {"SdkAppId": APP, **values})

    return run


def refused(ask, action: str, **values: Any) -> str:
    with pytest.raises(TencentCloudSDKException) as caught:
        ask(action, **values)
    return str(caught.value.get_code())


# -- the models ---------------------------------------------------------------------------------------------


def written(member: Member) -> str:
    kind = KINDS.get(member.type, member.type)
    return f"list of {kind}" if member.is_list else kind


def in_sdk(model: Any) -> dict[str, str]:
    """The SDK's own words for the types, from its docstrings."""
    lines = (line.strip() for line in model.__init__.__doc__.splitlines())
    pairs = (line.removeprefix(":type ").split(": ", 1) for line in lines if line.startswith(":type "))
    plain = {name: kind.replace(":class:`tencentcloud.trtc.v20190722.models.", "") for name, kind in pairs}
    return {name: kind.rstrip("`").removesuffix(" non-negative") for name, kind in plain.items()}


def test_the_models_are_those_of_the_sdk() -> None:
    known = models()
    of_sdk = {name.removesuffix("Request") for name in vars(sdk_models) if name.endswith("Request")}
    assert set(known.calls) == of_sdk | {"SetUserBlocked", "SetUserBlockedByStrRoomId"}
    for name in of_sdk:
        taken = {one.name: written(one) for one in known.calls[name]}
        assert taken == in_sdk(getattr(sdk_models, f"{name}Request")), name
        answered = {one.name: written(one) for one in known.answers[name]}
        assert {**answered, "RequestId": "str"} == in_sdk(getattr(sdk_models, f"{name}Response")), name
    for name, members in known.objects.items():
        assert {one.name: written(one) for one in members} == in_sdk(getattr(sdk_models, name)), name


def test_every_call_is_answered() -> None:
    assert set(ACTIONS) == set(models().calls)


def test_the_models_come_along_without_the_sdk() -> None:
    program = "import sys; from airflow_trtc.emulator.families import models; models.models()"
    program += "; assert not {'tencentcloud', 'airflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "action, values, code",
    [
        ("DescribePicture", {}, "MissingParameter"),
        ("DescribePicture", {"SdkAppId": APP, "Page": 1}, "UnknownParameter"),
        ("DescribePicture", {"SdkAppId": APP, "PageNo": "1"}, "InvalidParameter"),
        ("DescribePicture", {"SdkAppId": APP, "PageNo": -1}, "InvalidParameter.OutOfRange"),
        ("TextToSpeech", {"SdkAppId": APP, "Text": "x", "Voice": {}}, "MissingParameter"),
        (
            "TextToSpeech",
            {"SdkAppId": APP, "Text": "x", "Voice": {"VoiceId": "v", "Speed": "1"}},
            "InvalidParameter",
        ),
        ("TextToSpeech", {"SdkAppId": APP, "Text": "x", "Voice": {"VoiceId": "v", "Speed": 1}}, None),
        ("TextToSpeech", {"SdkAppId": APP, "Text": "x", "Voice": {"VoiceId": "v", "Speed": 0.5}}, None),
        ("DescribePicture", {"SdkAppId": 7}, "InvalidParameter.SdkAppId"),
    ],
)
def test_parameters_are_checked_by_the_models(state, action: str, values: Any, code: str | None) -> None:
    answer = json.loads(respond(state, signed(values, action=action)).body)["Response"]
    assert answer.get("Error", {}).get("Code") == code


def test_numbers_in_a_query_become_numbers() -> None:
    schema = models().schema("StartStreamIngest")
    given = coerce(schema, unflatten("Volume=5&Tempo=0.5&AutoPush=true&SourceUrl.0=1&RoomId=7"))
    assert given == {"Volume": 5, "Tempo": 0.5, "AutoPush": True, "SourceUrl": ["1"], "RoomId": "7"}
    voice = coerce(models().schema("TextToSpeech"), unflatten("PronunciationDict.0.Word=1&Voice.Pitch=-2"))
    assert voice == {"PronunciationDict": [{"Word": "1"}], "Voice": {"Pitch": -2}}
    alone = models().schema("CreateLiveStreamModeration")
    agora = coerce(alone, unflatten("Input.AgoraParam.TrustedUserIdList.0=7&Input.Url=1"))
    assert agora["Input"] == {"AgoraParam": {"TrustedUserIdList": [7]}, "Url": "1"}
    assert check({"Input": alone["Input"]}, agora) == agora


# -- what calls leave behind --------------------------------------------------------------------------------


def test_pictures_are_kept_until_they_are_deleted(ask) -> None:
    place = {"Height": 1, "Width": 2, "XPosition": 3, "YPosition": 4}
    one, other = (ask("CreatePicture", Content=SOUND, Suffix="png", **place)["PictureId"] for _ in range(2))
    ask("ModifyPicture", PictureId=other, Width=20)
    seen = ask("DescribePicture")
    assert seen["Total"] == 2
    assert {each["PictureId"]: each["Width"] for each in seen["PictureInfo"]} == {one: 2, other: 20}
    assert ask("DescribePicture", PageSize=1, PageNo=2)["PictureInfo"][0]["PictureId"] == other
    ask("DeletePicture", PictureId=one)
    assert ask("DescribePicture", PictureId=one)["Total"] == 0
    assert refused(ask, "ModifyPicture", PictureId=one) == "ResourceNotFound"
    assert refused(ask, "DeletePicture", PictureId=one) == "ResourceNotFound"


def test_tables_of_hot_words_are_kept_until_they_are_deleted(ask) -> None:
    words = [{"Word": "Airflow", "Weight": 11}, {"Word": "DAG", "Weight": 100}]
    vocab = ask("CreateRecognizeVocabV3", Name="words", WordWeights=words)["VocabId"]
    assert ask("GetRecognizeVocabV3", VocabId=vocab)["WordWeights"] == words
    file = ask("DownloadRecognizeVocabV3", VocabId=vocab)["WordWeightStr"]
    assert base64.b64decode(file).decode() == "Airflow|11\nDAG|100"
    ask("SetVocabStateV3", VocabId=vocab, State=1)
    ask("UpdateRecognizeVocabV3", VocabId=vocab, Description="new")
    (listed,) = ask("GetRecognizeVocabListV3")["VocabList"]
    assert (listed["State"], listed["Description"], listed["WordWeights"]) == (1, "new", words)
    copied = ask("CreateRecognizeVocabV3", Name="copy", WordWeightStr=file)["VocabId"]
    assert ask("GetRecognizeVocabV3", VocabId=copied)["WordWeights"] == words
    ask("DeleteRecognizeVocabV3", VocabId=vocab)
    assert refused(ask, "GetRecognizeVocabV3", VocabId=vocab) == "ResourceNotFound"
    assert ask("GetRecognizeVocabListV3")["TotalCount"] == 1


@pytest.mark.parametrize(
    "words",
    [
        {"WordWeights": [{"Word": "x", "Weight": 12}]},
        {"WordWeights": [{"Word": "x", "Weight": 1}] * 1001},
        {"WordWeightStr": "not base64"},
        {"WordWeightStr": base64.b64encode(b"no weight").decode()},
    ],
)
def test_hot_words_beyond_the_limits_are_refused(ask, words: Any) -> None:
    assert refused(ask, "CreateRecognizeVocabV3", Name="x", **words) == "InvalidParameterValue"


def test_there_are_at_most_thirty_tables(ask, emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "MAX_TABLES", 2)
    for name in "ab":
        ask("CreateRecognizeVocabV3", Name=name)
    assert refused(ask, "CreateRecognizeVocabV3", Name="c") == "LimitExceeded"


def test_voices_are_kept_until_they_are_deleted(caller, emulator) -> None:
    ask = caller(emulator, "sync")
    sound = {"Audio": SOUND, "ReqTimestamp": 1, "AudioFormat": 0}
    first, second = (ask("RegisterVoicePrint", {**sound, "AudioName": name})["VoicePrintId"] for name in "ab")
    ask("UpdateVoicePrint", {"VoicePrintId": first, "ReqTimestamp": 2, "AudioMetaInfo": "more"})
    (seen,) = ask("DescribeVoicePrint", {"DescribeMode": 0, "VoicePrintIdList": [first, "x"]})["Data"]
    assert (seen["AudioName"], seen["VoicePrintMetaInfo"], seen["ReqTimestamp"]) == ("a", "more", 2)
    ask("DeleteVoicePrint", {"VoicePrintId": first})
    page = ask("DescribeVoicePrint", {"DescribeMode": 1, "PageIndex": 1, "PageSize": 20})
    assert (page["TotalCount"], page["Data"][0]["VoicePrintId"]) == (1, second)
    with pytest.raises(TencentCloudSDKException, match="ResourceNotFound"):
        ask("UpdateVoicePrint", {"VoicePrintId": first, "ReqTimestamp": 2})


def test_speech_is_sound_that_can_be_played(ask) -> None:
    spoken = ask("TextToSpeech", Text="hello", Voice={"VoiceId": "v"}, AlignmentMode=1)
    with wave.open(io.BytesIO(base64.b64decode(spoken["Audio"]))) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(spoken["TotalDurationMs"] / 1000)
    assert spoken["Alignments"][0]["Text"] == "hello"
    assert ask("VoiceClone", VoiceName="me", PromptAudio=SOUND)["VoiceId"].startswith("me_")
    assert refused(ask, "VoiceClone", VoiceName="me", PromptAudio="?") == "InvalidParameterValue"


def test_speech_is_streamed_to_the_sdk(emulator) -> None:
    from tencentcloud.common.credential import Credential
    from tencentcloud.trtc.v20190722.trtc_client import TrtcClient

    from tests.emulator.conftest import sdk_profile

    request = sdk_models.TextToSpeechSSERequest()
    request._deserialize({"SdkAppId": APP, "Text": "hello " * 10, "Voice": {"VoiceId": "v"}})
    keys = Credential(emulator.secret_id, emulator.secret_key)
    events = [
        json.loads(each["data"])
        for each in TrtcClient(keys, "ap-guangzhou", sdk_profile(emulator)).TextToSpeechSSE(request)
    ]
    assert [each["Seq"] for each in events] == list(range(len(events)))
    assert [each["IsEnd"] for each in events] == [False] * (len(events) - 1) + [True]
    assert base64.b64decode(events[0]["Audio"]).startswith(b"RIFF")


def test_a_file_is_moderated(state) -> None:
    values = {"Sdkappid": APP, "DataId": "mine", "FileUrl": "https://example.com/a.wav"}
    answer = json.loads(respond(state, signed(values, action="CreateAudioModerationSync")).body)["Response"]
    assert (answer["DataId"], answer["Label"]) == ("mine", "Normal")
    del values["FileUrl"]
    answer = json.loads(respond(state, signed(values, action="CreateAudioModerationSync")).body)["Response"]
    assert answer["Error"]["Code"] == "MissingParameter"


def test_secrets_of_all_families_are_hidden(emulator, ask) -> None:
    ask("TextToSpeech", Text="x", Voice={"VoiceId": "v"}, APIKey="hidden")
    assert "hidden" not in json.dumps(emulator.state(requests=True))
