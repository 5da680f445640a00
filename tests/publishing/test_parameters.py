"""What relays and ingests may be started and changed with."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.publishing import parameters
from airflow_trtc.publishing.parameters import (
    cdn_params,
    check_relay,
    digest,
    read_audio,
    read_ingest_start_params,
    read_ingest_update_params,
    read_max_idle,
    read_relay_start_params,
    read_relay_update_params,
    read_stream_url,
    read_urls,
    read_video,
    secrets_of,
    single_stream,
    transcoding,
)

VIDEO = {"VideoEncode": {"Width": "1280", "Height": 720, "Fps": 15, "BitRate": 1200, "Gop": 2}}


def is_later(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


@pytest.mark.parametrize(
    "given, found",
    [
        ("rtmp://h/a/s", ["rtmp://h/a/s"]),
        (" rtmps://h/a/s ", ["rtmps://h/a/s"]),
        (["rtmp://h/1", "rtmp://h/2"], ["rtmp://h/1", "rtmp://h/2"]),
        ('["rtmp://h/1"]', ["rtmp://h/1"]),
        (None, None),
        ("", None),
    ],
)
def test_addresses(given: Any, found: Any) -> None:
    assert read_urls("urls", given) == found


@pytest.mark.parametrize(
    "wrong, words",
    [
        ("https://h/secret", "must begin with rtmp://, not https://"),
        ("secret", "is no address such as"),
        ("rtmp:///secret", "is no address such as"),
        ("rtmp://h/a secret", "is no address such as"),
        ("None", "a template rendered to nothing"),
        ([], "or a list of them"),
        ([""], r"urls\[0\] is no address"),
        (5, "or a list of them"),
        (["rtmp://h/secret"] * 11, "at most 10 addresses, not 11"),
        ("rtmp://[h/secret", "is no address such as"),
    ],
)
def test_no_addresses_and_the_error_shows_none(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        read_urls("urls", wrong)
    assert "secret" not in str(error.value)


def test_a_stream_may_come_from_anywhere() -> None:
    assert read_stream_url("url", "https://h/a.mp4") == "https://h/a.mp4"
    assert read_stream_url("url", None) is read_stream_url("url", "") is None
    with pytest.raises(ValueError, match="url is no address"):
        read_stream_url("url", "a.mp4")


@pytest.mark.parametrize(
    "url, found",
    [
        ("rtmp://h/live/s?txSecret=abc&txTime=1", ["txSecret=abc&txTime=1"]),
        ("rtmp://h/live2/abcd-efgh-ijkl", ["abcd-efgh-ijkl"]),
        ("rtmp://h/live/room1", []),
        ("rtmp://u:pass@h/live/room1", ["pass"]),
        ("rtmp://[h", []),
        (None, []),
    ],
)
def test_keys_in_addresses_are_found(url: Any, found: list[str]) -> None:
    assert secrets_of(url) == found


def test_audio_and_video_are_checked_and_what_templates_wrote_as_text_becomes_numbers() -> None:
    assert read_video("video", VIDEO) == {"VideoEncode": {**VIDEO["VideoEncode"], "Width": 1280}}
    assert read_audio("audio", {"SubscribeAudioList": []}) == {"SubscribeAudioList": []}
    assert read_audio("audio", None) is read_video("video", "") is None
    later = {"VideoEncode": {**VIDEO["VideoEncode"], "Fps": "{{ x }}"}}
    assert read_video("video", later, is_later) == {
        "VideoEncode": {**VIDEO["VideoEncode"], "Width": 1280, "Fps": "{{ x }}"}
    }


@pytest.mark.parametrize(
    "read, wrong, words",
    [
        (read_audio, {"AudioEncoding": {}}, "did you mean AudioEncode"),
        (read_audio, {"AudioEncode": {"SampleRate": 48000, "Channel": 3, "BitRate": 64}}, "Channel must be"),
        (read_audio, {"AudioEncode": {"SampleRate": 22050, "Channel": 1, "BitRate": 64}}, "one of 48000"),
        (read_audio, "x", "audio must be an object"),
        (read_video, {"VideoEncode": {"Width": 1}}, "lacks Height, Fps, BitRate, Gop"),
    ],
)
def test_what_breaks_a_limit(read: Any, wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read("audio", wrong)


def test_names_of_other_parameters() -> None:
    assert read_relay_start_params("p", {"RecordParams": {"UniRecord": 1}, "SeiParams": None}) == {
        "RecordParams": {"UniRecord": 1}
    }
    assert read_relay_start_params("p", None) == {}
    for read, wrong in (
        (read_relay_start_params, "AgentParams"),
        (read_relay_update_params, "RecordParams"),
        (read_ingest_start_params, "IsPause"),
        (read_ingest_update_params, "RepeatNum"),
    ):
        with pytest.raises(ValueError, match=f"p has no field '{wrong}'"):
            read("p", {wrong: {}})


def test_limits_of_an_ingest() -> None:
    given = {"RepeatNum": "-1", "MaxDuration": 60, "AutoPush": "true", "Tempo": "1.5", "Volume": 0}
    assert read_ingest_start_params("p", given) == {
        "RepeatNum": -1,
        "MaxDuration": 60,
        "AutoPush": True,
        "Tempo": 1.5,
        "Volume": 0,
    }
    assert read_ingest_start_params("p", {"Tempo": "{{ x }}"}, is_later) == {"Tempo": "{{ x }}"}
    assert read_ingest_update_params("p", {"IsPause": True}) == {"IsPause": True}
    for wrong, words in (
        ({"RepeatNum": 0}, "not 0"),
        ({"MaxDuration": 60}, "needs RepeatNum -1"),
        ({"Tempo": 3}, "must be one of 0.5"),
        ({"Tempo": True}, "must be one of 0.5"),
        ({"Volume": 201}, "Volume must be"),
        ({"IdleTimeout": 601}, "IdleTimeout must be"),
    ):
        with pytest.raises(ValueError, match=words):
            read_ingest_start_params("p", wrong)


def test_room_types_of_relays_are_the_opposite_of_those_of_recordings() -> None:
    from airflow_trtc.recording.rooms import NUMERIC, STRING

    assert (NUMERIC, STRING) == (1, 0)
    assert parameters.RELAY_ROOM_TYPES == {NUMERIC: 0, STRING: 1}


def test_one_stream_goes_as_it_is_and_several_are_mixed() -> None:
    assert transcoding(None, {}) == 1
    assert transcoding(None, single_stream("a")) == 0
    assert (transcoding(True, {}), transcoding(False, {})) == (1, 0)
    assert cdn_params(None, is_tencent_cdn=True) == single_stream(None) == {}
    assert cdn_params(["u"], is_tencent_cdn=False) == {
        "PublishCdnParams": [{"PublishCdnUrl": "u", "IsTencentCdn": 0}]
    }


def test_parameters_that_do_not_fit_together() -> None:
    check_relay({"FeedBackRoomParams": []}, with_transcoding=1)
    with pytest.raises(ValueError, match="urls is missing"):
        check_relay({}, with_transcoding=1)
    with pytest.raises(ValueError, match="transcode is for mixed streams"):
        check_relay({"PublishCdnParams": [], **single_stream("a")}, with_transcoding=1)


def test_how_long_a_room_may_be_empty() -> None:
    assert read_max_idle("m", "60") == 60
    assert read_max_idle("m", None) is None
    with pytest.raises(ValueError, match="from 5 to 86400"):
        read_max_idle("m", 4)


def test_a_digest_tells_parameters_apart_and_shows_none() -> None:
    one, two = {"a": 1, "b": ["secret"]}, {"b": ["secret"], "a": 1}
    assert digest(one) == digest(two) != digest({"a": 2})
    assert "secret" not in digest(one)
