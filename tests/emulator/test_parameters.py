"""Every documented limit of the four calls, one row each."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from airflow_trtc.emulator.parameters import coerce, unflatten
from airflow_trtc.emulator.schemas import CREATE

OUT = "InvalidParameter.OutOfRange"
CS = "StorageParams.CloudStorage"
VOD: dict[str, Any] = {"StorageParams": {"CloudVod": {"TencentVod": {}}}}
VIDEO = {"Width": 1280, "Height": 720, "Fps": 15, "BitRate": 550000, "Gop": 10}
AUDIO = {"SampleRate": 1, "Channel": 2, "BitRate": 64000}
BOX = {"Top": 0, "Left": 0, "Width": 10, "Height": 10}
MIXED = {"RecordParams.RecordMode": 2}
REMOVED = object()


def changed(values, changes):
    values = copy.deepcopy(values)
    for path, value in copy.deepcopy(changes, {id(REMOVED): REMOVED}).items():
        *parents, last = path.split(".")
        node = values
        for name in parents:
            node = node.setdefault(name, {})
        if value is REMOVED:
            del node[last]
        else:
            node[last] = value
    return values


def missing(path, code=None):
    return ({path: REMOVED}, code or f"MissingParameter.{path.split('.')[-1]}")


@pytest.mark.parametrize(
    "changes,code",
    [
        missing("SdkAppId"),
        missing("RoomId"),
        missing("UserId"),
        missing("UserSig"),
        missing("RecordParams"),
        missing("RecordParams.RecordMode"),
        missing("StorageParams"),
        missing(f"{CS}", "MissingParameter.CloudStorage"),
        missing(f"{CS}.Vendor"),
        missing(f"{CS}.Region"),
        missing(f"{CS}.Bucket"),
        missing(f"{CS}.AccessKey"),
        missing(f"{CS}.SecretKey"),
        ({"RoomId": ""}, "MissingParameter.RoomId"),
        ({"UserSig": None}, "MissingParameter.UserSig"),
        ({"Sdkappid": 1}, "UnknownParameter"),
        ({"RecordParams.MaxIdletime": 30}, "UnknownParameter"),
        ({f"{CS}.Prefix": "x"}, "UnknownParameter"),
        ({"SdkAppId": "1400000001"}, "InvalidParameter"),
        ({"SdkAppId": True}, "InvalidParameter"),
        ({"RoomId": 8001}, "InvalidParameter"),
        ({"RecordParams": []}, "InvalidParameter"),
        ({f"{CS}.FileNamePrefix": "a"}, "InvalidParameter"),
        ({f"{CS}.FileNamePrefix": [1]}, "InvalidParameter"),
        ({"SdkAppId": 1}, "InvalidParameter.SdkAppId"),
        ({"SdkAppId": 1400000002}, "UnauthorizedOperation.SdkAppId"),
        ({"RecordParams.RecordMode": 0}, OUT),
        ({"RecordParams.RecordMode": 3}, OUT),
        ({"RecordParams.MaxIdleTime": 4}, OUT),
        ({"RecordParams.MaxIdleTime": 86401}, OUT),
        ({"RecordParams.StreamType": 3}, OUT),
        ({"RecordParams.OutputFormat": 5}, OUT),
        ({"RecordParams.AvMerge": 2}, OUT),
        ({"RecordParams.MaxMediaFileDuration": 0}, OUT),
        ({"RecordParams.MaxMediaFileDuration": 1441}, OUT),
        ({"RecordParams.MediaId": 3}, OUT),
        ({"RecordParams.FillType": 2}, OUT),
        ({"RecordParams.SubscribeAbility": 2}, OUT),
        ({"RecordParams.SubscribeStreamUserIds": {"SubscribeAudioUserIds": ["u"] * 33}}, OUT),
        (
            {
                "RecordParams.SubscribeStreamUserIds": {
                    "SubscribeAudioUserIds": ["a"],
                    "UnSubscribeAudioUserIds": ["b"],
                }
            },
            OUT,
        ),
        ({"ResourceExpiredHour": 5}, OUT),
        ({"ResourceExpiredHour": 721}, OUT),
        ({"RoomIdType": 2}, OUT),
        ({"RoomId": "lobby"}, OUT),
        ({"RoomId": "0"}, OUT),
        ({"RoomId": "4294967295"}, OUT),
        ({"RoomId": "9" * 30}, OUT),
        ({f"{CS}.Vendor": 2}, OUT),
        ({f"{CS}.FileNamePrefix": ["good", "not/good"]}, OUT),
        ({f"{CS}.FileNamePrefix": [""]}, OUT),
        ({"StorageParams.CloudVod": {"TencentVod": {}}}, OUT),
        ({**VOD, "StorageParams.CloudVod.TencentVod.MediaType": 5}, OUT),
        ({**VOD, "StorageParams.CloudVod.TencentVod.MediaType": 2}, OUT),
        ({**VOD, "StorageParams.CloudVod.TencentVod.MediaType": 4, "RecordParams.StreamType": 2}, OUT),
        ({**VOD, "StorageParams.CloudVod.TencentVod.UserDefineRecordId": "x" * 65}, OUT),
        ({**VOD, "StorageParams.CloudVod.TencentVod.UserDefineRecordId": "a.b"}, OUT),
        ({"MixTranscodeParams": {}}, OUT),
        ({"MixLayoutParams": {"MixLayoutMode": 3}}, OUT),
        ({**MIXED, "MixTranscodeParams.VideoParams": {**VIDEO, "Width": 1921}}, OUT),
        ({**MIXED, "MixTranscodeParams.VideoParams": {**VIDEO, "Width": 1920, "Height": 1081}}, OUT),
        ({**MIXED, "MixTranscodeParams.VideoParams": {**VIDEO, "Fps": 61}}, OUT),
        ({**MIXED, "MixTranscodeParams.VideoParams": {**VIDEO, "BitRate": 63999}}, OUT),
        ({**MIXED, "MixTranscodeParams.VideoParams": {"Width": 640}}, "MissingParameter"),
        ({**MIXED, "MixTranscodeParams.AudioParams": {**AUDIO, "SampleRate": 4}}, OUT),
        ({**MIXED, "MixTranscodeParams.AudioParams": {**AUDIO, "BitRate": 128001}}, OUT),
        ({**MIXED, "MixTranscodeParams.AudioParams": {"Channel": 1}}, "MissingParameter"),
        ({**MIXED, "MixLayoutParams": {}}, "MissingParameter"),
        ({**MIXED, "MixLayoutParams": {"MixLayoutMode": 5}}, OUT),
        ({**MIXED, "MixLayoutParams": {"MixLayoutMode": 4, "MixLayoutList": [BOX] * 26}}, OUT),
        ({**MIXED, "MixLayoutParams": {"MixLayoutMode": 4, "MixLayoutList": [{}]}}, "MissingParameter"),
        ({**MIXED, "MixLayoutParams": {"MixLayoutMode": 1, "BackGroundColor": "red"}}, OUT),
        (
            {**MIXED, "MixLayoutParams": {"MixLayoutMode": 1, "WaterMarkList": [{"WaterMarkType": 2}]}},
            "MissingParameter",
        ),
    ],
)
def test_create_refuses(ask, create_values, changes, code):
    answer = ask(changed(create_values, changes), action="CreateCloudRecording")
    assert answer["Error"]["Code"] == code


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"RoomId": "lobby", "RoomIdType": 0},
        {"RoomId": "4294967294"},
        {"RecordParams.MaxIdleTime": 5, "ResourceExpiredHour": 6},
        {"RecordParams.MaxIdleTime": 86400, "ResourceExpiredHour": 720},
        {f"{CS}.FileNamePrefix": ["a-B", "c_9"]},
        {"RecordParams.SubscribeStreamUserIds": {"SubscribeAudioUserIds": ["1.*$"] * 32}},
        {"RecordParams.AvMerge": None},
        VOD,
        {"StorageParams": {"CloudVod": {}}},
        {**VOD, "StorageParams.CloudVod.TencentVod.MediaType": 2, "RecordParams.StreamType": 1},
        {**VOD, "StorageParams.CloudVod.TencentVod.UserDefineRecordId": "x" * 64},
        {
            **MIXED,
            "MixTranscodeParams": {
                "VideoParams": {**VIDEO, "Width": 1920, "Height": 1080},
                "AudioParams": AUDIO,
            },
            "MixLayoutParams": {
                "MixLayoutMode": 4,
                "MixLayoutList": [BOX] * 25,
                "BackGroundColor": "#FFA500",
                "PureAudioDisableLayout": True,
                "WaterMarkList": [{"WaterMarkType": 2, "WaterMarkTimestamp": {"Pos": 6}}],
            },
        },
    ],
)
def test_create_accepts(ask, create_values, changes):
    assert "TaskId" in ask(changed(create_values, changes), action="CreateCloudRecording")


@pytest.mark.parametrize("action", ["DescribeCloudRecording", "ModifyCloudRecording", "DeleteCloudRecording"])
@pytest.mark.parametrize(
    "values,code",
    [
        ({"SdkAppId": 1400000001}, "MissingParameter.TaskId"),
        ({"SdkAppId": 1400000001, "TaskId": ""}, "MissingParameter.TaskId"),
        ({"TaskId": "x"}, "MissingParameter.SdkAppId"),
        ({"SdkAppId": 1400000001, "TaskId": 5}, "InvalidParameter"),
        ({"SdkAppId": 7, "TaskId": "x"}, "InvalidParameter.SdkAppId"),
        ({"SdkAppId": 1400000001, "TaskId": "x", "Extra": 1}, "UnknownParameter"),
        ({"SdkAppId": 1400000001, "TaskId": "x"}, "ResourceNotFound"),
    ],
)
def test_the_other_calls_refuse(ask, action, values, code):
    assert ask(values, action=action)["Error"]["Code"] == code


def test_a_query_is_unflattened_and_its_strings_get_their_types():
    query = "SdkAppId=14&RecordParams.RecordMode=1&StorageParams.CloudStorage.FileNamePrefix.0=a&RoomId=5"
    assert coerce(CREATE, unflatten(query)) == {
        "SdkAppId": 14,
        "RecordParams": {"RecordMode": 1},
        "StorageParams": {"CloudStorage": {"FileNamePrefix": ["a"]}},
        "RoomId": "5",
    }
