"""The limits of the service, broken one by one."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.arguments import is_template
from airflow_trtc.recording import parameters
from airflow_trtc.recording.parameters import (
    check_together,
    read_expired_hours,
    read_mix_layout,
    read_mix_transcode,
    read_record_params,
    read_subscriptions,
)

VIDEO = {"Width": 640, "Height": 360, "Fps": 15, "BitRate": 550_000, "Gop": 10}
AUDIO = {"SampleRate": 1, "Channel": 2, "BitRate": 64_000}
BOX = {"Top": 0, "Left": 0, "Width": 10, "Height": 10}
IMAGE = {"WaterMarkUrl": "https://a.example/b.png", **BOX}


@pytest.mark.parametrize(
    "field, low, high",
    [
        ("RecordMode", 1, 2),
        ("MaxIdleTime", 5, 86_400),
        ("StreamType", 0, 2),
        ("OutputFormat", 0, 4),
        ("AvMerge", 0, 1),
        ("MaxMediaFileDuration", 1, 1440),
        ("MediaId", 0, 2),
        ("FillType", 0, 1),
        ("SubscribeAbility", 0, 1),
    ],
)
def test_numbers_of_record_params_keep_to_their_limits(field: str, low: int, high: int) -> None:
    for number in (low, high, str(high), f" {low} ", float(high)):
        found = read_record_params("record_params", {"RecordMode": 1, field: number})[field]
        assert found == int(float(number))
        assert type(found) is int
    wrongs: list[Any] = [low - 1, high + 1, True, "x", 1.5, [1], {}, ""]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=rf"^record_params.{field} must be .* from {low} to {high}, not"):
            read_record_params("record_params", {"RecordMode": 1, field: wrong})


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, "record_params lacks RecordMode"),
        ({"RecordMode": None}, "lacks RecordMode"),
        ([], "record_params must be an object with RecordMode, .* not a list"),
        ("RecordMode", "must be an object"),
        ({"RecordMode": 1, "MaxIdletime": 5}, "has no field 'MaxIdletime'; did you mean MaxIdleTime"),
        ({"RecordMode": 1, "Nonsense": 5}, "has no field 'Nonsense'; there are RecordMode, "),
        ({"RecordMode": 1, "SubscribeStreamUserIds": []}, "SubscribeStreamUserIds must be an object"),
    ],
)
def test_other_faults_of_record_params_are_named(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_record_params("record_params", given)


def test_what_is_none_is_left_out_and_json_text_is_read() -> None:
    assert read_record_params("p", {"RecordMode": 2, "AvMerge": None}) == {"RecordMode": 2}
    assert read_record_params("p", '{"RecordMode": "2"}') == {"RecordMode": 2}


@pytest.mark.parametrize("kind", ["Audio", "Video"])
def test_subscriptions(kind: str) -> None:
    allow, deny = f"Subscribe{kind}UserIds", f"UnSubscribe{kind}UserIds"
    assert read_subscriptions("s", {allow: ["a_-1", "1.*$"] * 16}) == {allow: ["a_-1", "1.*$"] * 16}
    assert read_subscriptions("s", {allow: ["a"], deny: []}) == {allow: ["a"], deny: []}
    for given, words in [
        ({allow: ["a"] * 33}, f"s.{allow} takes at most 32 entries, not 33"),
        ({allow: ["1.*"]}, rf"s.{allow}\[0\] must be a user id .*1\.\*\$"),
        ({allow: ["a", "x" * 33]}, rf"s.{allow}\[1\] must be a user id"),
        ({allow: "a"}, f"s.{allow} must be a list of texts, not 'a'"),
        ({allow: ["a"], deny: ["b"]}, f"s: {allow} and {deny} exclude each other"),
    ]:
        with pytest.raises(ValueError, match=words):
            read_subscriptions("s", given)
        with pytest.raises(ValueError, match=r"^p\.SubscribeStreamUserIds"):
            read_record_params("p", {"RecordMode": 1, "SubscribeStreamUserIds": given})


@pytest.mark.parametrize("name, whole", [("VideoParams", VIDEO), ("AudioParams", AUDIO)])
def test_if_either_object_is_given_every_field_in_it_is_required(name: str, whole: dict[str, int]) -> None:
    assert read_mix_transcode("t", {name: whole}) == {name: whole}
    for field in whole:
        part = {other: value for other, value in whole.items() if other != field}
        with pytest.raises(ValueError, match=rf"^t.{name} lacks {field}; it needs {', '.join(whole)}"):
            read_mix_transcode("t", {name: part})


@pytest.mark.parametrize(
    "name, field, wrong",
    [
        ("VideoParams", "Width", 1921),
        ("VideoParams", "Height", 0),
        ("VideoParams", "Fps", 61),
        ("VideoParams", "BitRate", 63_999),
        ("VideoParams", "BitRate", 8_192_001),
        ("VideoParams", "Gop", 0),
        ("AudioParams", "SampleRate", 4),
        ("AudioParams", "Channel", 3),
        ("AudioParams", "BitRate", 31_999),
        ("AudioParams", "BitRate", 128_001),
    ],
)
def test_limits_of_transcoding(name: str, field: str, wrong: int) -> None:
    whole = {"VideoParams": VIDEO, "AudioParams": AUDIO}[name]
    with pytest.raises(ValueError, match=rf"t.{name}.{field} must be a whole number from \d+ .*not {wrong}"):
        read_mix_transcode("t", {name: {**whole, field: wrong}})


def test_a_picture_has_at_most_1920_times_1080() -> None:
    read_mix_transcode("t", {"VideoParams": {**VIDEO, "Width": 1080, "Height": 1920}})
    with pytest.raises(ValueError, match="at most 1920 times 1080, not 1920 times 1081"):
        read_mix_transcode("t", {"VideoParams": {**VIDEO, "Width": 1920, "Height": 1081}})


@pytest.mark.parametrize(
    "layout, words",
    [
        ({}, "l lacks MixLayoutMode"),
        ({"MixLayoutMode": 5}, "from 1 to 4"),
        ({"MixLayoutMode": 4}, "MixLayoutList is missing"),
        ({"MixLayoutMode": 4, "MixLayoutList": [BOX] * 26}, "MixLayoutList takes at most 25 entries, not 26"),
        ({"MixLayoutMode": 4, "MixLayoutList": [{"Top": 0}]}, r"List\[0\] lacks Left, Width, Height"),
        ({"MixLayoutMode": 4, "MixLayoutList": [{**BOX, "Top": 1921}]}, r"\[0\].Top must be .* to 1920"),
        ({"MixLayoutMode": 4, "MixLayoutList": BOX}, "l.MixLayoutList must be a list of objects"),
        ({"MixLayoutMode": 4, "MixLayoutList": ["a"]}, r"l.MixLayoutList\[0\] must be an object"),
        ({"MixLayoutMode": 1, "BackGroundColor": "red"}, "l.BackGroundColor must be a colour such as"),
        ({"MixLayoutMode": 1, "PureAudioDisableLayout": "maybe"}, "must be true or false"),
        ({"MixLayoutMode": 1, "WaterMarkList": [{}] * 26}, "l.WaterMarkList takes at most 25"),
        ({"MixLayoutMode": 1, "WaterMarkList": [{}]}, r"\[0\] lacks WaterMarkImage, which WaterMarkType 0"),
        ({"MixLayoutMode": 1, "WaterMarkList": [{"WaterMarkType": 1}]}, "lacks WaterMarkChar, which"),
        ({"MixLayoutMode": 1, "WaterMarkList": [{"WaterMarkType": 2}]}, "lacks WaterMarkTimestamp"),
        ({"MixLayoutMode": 1, "WaterMarkList": [{"WaterMarkImage": {**IMAGE, "Top": 2561}}]}, "to 2560"),
        ({"MixLayoutMode": 1, "BackgroundImageUrl": "https://a.example/ü"}, "must be an address"),
    ],
)  # fmt: skip
def test_limits_of_layouts(layout: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_mix_layout("l", layout)


def test_a_whole_layout_is_read() -> None:
    layout = {
        "MixLayoutMode": "4",
        "MixLayoutList": [{**BOX, "UserId": 5, "Alpha": "255"}],
        "WaterMarkList": [{"WaterMarkImage": IMAGE}, {"WaterMarkType": 2, "WaterMarkTimestamp": {"Pos": 0}}],
        "PureAudioDisableLayout": "True",
        "BackGroundColor": "",
    }
    assert read_mix_layout("l", layout) == {
        **layout,
        "MixLayoutMode": 4,
        "MixLayoutList": [{**BOX, "UserId": "5", "Alpha": 255}],
        "PureAudioDisableLayout": True,
    }


def test_templates_are_left_alone_and_what_stands_beside_them_is_checked() -> None:
    given = {
        "RecordMode": "{{ params.mode }}",
        "SubscribeStreamUserIds": {"SubscribeAudioUserIds": ["{{ x }}"]},
    }
    assert read_record_params("p", given, is_template) == given
    with pytest.raises(ValueError, match=r"p.MaxIdleTime"):
        read_record_params("p", {**given, "MaxIdleTime": 1}, is_template)
    layout = {"MixLayoutMode": "{{ m }}", "MixLayoutList": "{{ l }}", "WaterMarkList": ["{{ w }}"]}
    assert read_mix_layout("l", layout, is_template) == layout
    video = {"VideoParams": {**VIDEO, "Width": "{{ w }}"}}
    assert read_mix_transcode("t", video, is_template) == video


@pytest.mark.parametrize("given, hours", [(None, None), ("", None), (6, 6), ("720", 720), (72.0, 72)])
def test_hours(given: Any, hours: int | None) -> None:
    assert read_expired_hours("h", given) == hours


@pytest.mark.parametrize("wrong", [5, 721, True, "a day", [72]])
def test_wrong_hours(wrong: Any) -> None:
    with pytest.raises(ValueError, match="h must be a whole number from 6 to 720"):
        read_expired_hours("h", wrong)


def test_layout_and_transcoding_are_for_mixed_recordings() -> None:
    for name in ("mix_layout", "mix_transcode"):
        check_together({"RecordMode": 2}, {}, **{name: {}})
        check_together({"RecordMode": "{{ m }}"}, {}, **{name: {}})
        with pytest.raises(ValueError, match=f"{name} is for mixed recordings; set record_params.RecordMode"):
            check_together({"RecordMode": 1}, {}, **{name: {}})


@pytest.mark.parametrize("media_type", [2, 4])
def test_audio_in_vod_needs_an_audio_recording(media_type: int) -> None:
    storage = {"CloudVod": {"TencentVod": {"MediaType": media_type}}}
    check_together({"RecordMode": 2, "StreamType": 1}, storage)
    check_together({"RecordMode": 2, "StreamType": "{{ s }}"}, storage)
    check_together("{{ params }}", storage)
    for params in ({"RecordMode": 2}, {"RecordMode": 2, "StreamType": 2}):
        with pytest.raises(ValueError, match=f"MediaType {media_type} .* needs record_params.StreamType 1"):
            check_together(params, storage)


def test_the_tables_name_what_the_models_of_the_sdk_name() -> None:
    from tencentcloud.trtc.v20190722 import models

    def names(model: type) -> set[str]:
        return {name for name, value in vars(model).items() if isinstance(value, property)}

    assert set(parameters.RECORD_PARAMS) == names(models.RecordParams)
    assert set(parameters.SUBSCRIPTIONS) == names(models.SubscribeStreamUserIds)
    assert set(parameters.CLOUD_STORAGE) == names(models.CloudStorage) - {"AccessKey", "SecretKey"}
    assert set(parameters.TENCENT_VOD) == names(models.TencentVod)
    assert set(parameters.MIX_TRANSCODE) == names(models.MixTranscodeParams)
    assert set(parameters.MIX_TRANSCODE["VideoParams"].fields) == names(models.VideoParams)
    assert set(parameters.MIX_TRANSCODE["AudioParams"].fields) == names(models.AudioParams)
    assert set(parameters.MIX_LAYOUT) == names(models.MixLayoutParams)
    assert set(parameters.MIX_LAYOUT["MixLayoutList"].fields) == names(models.MixLayout)
    marks = parameters.MIX_LAYOUT["WaterMarkList"].fields
    assert set(marks) == names(models.WaterMark)
    assert set(marks["WaterMarkImage"].fields) == names(models.WaterMarkImage)
    assert set(marks["WaterMarkChar"].fields) == names(models.WaterMarkChar)
    assert set(marks["WaterMarkTimestamp"].fields) == names(models.WaterMarkTimestamp)


def limits(table: Any, path: str = "") -> dict[str, tuple[int, int | None]]:
    """The limits of all numbers of a table, and of all lists and texts that have some."""
    found: dict[str, tuple[int, int | None]] = {}
    for name, field in table.items():
        if field.kind == "number":
            found[path + name] = (field.low, field.high)
        elif field.most is not None:
            found[path + name] = (0, field.most)
        found |= limits(field.fields, f"{path}{name}.")
    return found


def test_limits_of_layouts_and_places_are_the_documented_ones() -> None:
    picture, mark = "MixLayoutList.", "WaterMarkList."
    boxes: dict[str, tuple[int, int | None]] = {f"{picture}{side}": (0, 1920) for side in BOX}
    boxes |= {f"{mark}WaterMarkImage.{side}": (0, 2560) for side in BOX}
    boxes |= {f"{mark}WaterMarkChar.{side}": (0, None) for side in BOX}
    assert limits(parameters.MIX_LAYOUT) == boxes | {
        "MixLayoutMode": (1, 4),
        "MixLayoutList": (0, 25),
        f"{picture}Alpha": (0, 255),
        f"{picture}RenderMode": (0, 3),
        f"{picture}MediaId": (0, 1),
        f"{picture}ImageLayer": (0, None),
        "MediaId": (0, 1),
        "PlaceHolderMode": (0, 1),
        "BackgroundImageRenderMode": (0, 3),
        "WaterMarkList": (0, 25),
        f"{mark}WaterMarkType": (0, 2),
        f"{mark}WaterMarkChar.FontSize": (1, None),
        f"{mark}WaterMarkTimestamp.Pos": (0, 6),
        f"{mark}WaterMarkTimestamp.TimeZone": (-12, 14),
        "RenderMode": (0, 3),
        "MaxResolutionUserAlign": (0, 1),
    }
    place = "CloudVod.TencentVod."
    assert limits(parameters.STORAGE) == {
        "CloudStorage.Vendor": (0, 1),
        f"{place}ExpireTime": (0, None),
        f"{place}ClassId": (0, None),
        f"{place}SubAppId": (0, None),
        f"{place}MediaType": (0, 4),
        f"{place}UserDefineRecordId": (0, 64),
    }


def test_a_watermark_that_is_a_template_hides_no_fault_of_the_next_one() -> None:
    with pytest.raises(ValueError, match=r"WaterMarkList\[1\] lacks WaterMarkImage"):
        read_mix_layout("l", {"MixLayoutMode": 1, "WaterMarkList": ["{{ w }}", {}]}, is_template)
