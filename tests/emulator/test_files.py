from __future__ import annotations

import pytest

from airflow_trtc.emulator.files import Recipe, checked_file, media_files, plan_index_files

U1 = "1_55__UserId_s_dTE.__UserId_e"


def recipe(**options):
    return Recipe(sdk_app_id=1, room_id="55", **options)


def listed(files):
    return [each["FileName"] for each in files]


@pytest.mark.parametrize(
    "options, users, more, expected",
    [
        ({}, ["u1"], {}, [f"{U1}_main_audio.m3u8", f"{U1}_main_video.m3u8"]),
        ({"stream_type": 1}, ["u1"], {}, [f"{U1}_main_audio.m3u8"]),
        ({"stream_type": 2, "media_id": 2}, ["u1"], {}, [f"{U1}_aux_video.m3u8"]),
        (
            {"screens": True},
            ["u1"],
            {},
            [f"{U1}_main_audio.m3u8", f"{U1}_main_video.m3u8", f"{U1}_aux_video.m3u8"],
        ),
        ({"screens": True, "media_id": 1, "stream_type": 2}, ["u1"], {}, [f"{U1}_main_video.m3u8"]),
        ({"screens": True, "stream_type": 1}, ["u1"], {}, [f"{U1}_main_audio.m3u8"]),
        ({"av_merge": 1}, ["u1"], {}, [f"{U1}_main_audio_video.m3u8"]),
        ({"mixed": True}, ["u1", "u2"], {}, ["1_55.m3u8"]),
        ({"mixed": True, "is_string_room": True}, ["u1"], {}, ["1_NTU..m3u8"]),
        ({"mixed": True}, ["u1"], {"how_many": 3}, ["1_55.m3u8", "ha1_1_55.m3u8", "ha2_1_55.m3u8"]),
        (
            {"stream_type": 1},
            ["u1"],
            {"recoveries": 1},
            [f"{U1}_main_audio.m3u8", f"ha1_{U1}_main_audio.m3u8"],
        ),
        ({}, ["u1"], {"how_many": 1}, [f"{U1}_main_audio.m3u8"]),
        ({}, [], {"how_many": 2}, []),
    ],
)
def test_which_index_files(options, users, more, expected):
    assert listed(plan_index_files(recipe(**options), users, **more)) == expected


def test_more_files_need_more_users():
    files = plan_index_files(recipe(), ["anchor_2"], how_many=5)
    assert [each["UserId"] for each in files] == ["anchor_2"] * 2 + ["anchor_1"] * 2 + ["anchor_3"]
    assert len(set(listed(files))) == 5


def test_a_mixed_recording_has_at_most_three_recoveries():
    with pytest.raises(ValueError, match="at most 4"):
        plan_index_files(recipe(mixed=True), ["u1"], how_many=5)


def test_one_mp4_per_user_begins_with_its_first_track():
    index = plan_index_files(recipe(), ["u1", "u2"])
    for begin, each in zip([100, 99, 5, 8], index, strict=True):
        each["BeginTimeStamp"] = begin
    made = media_files(recipe(), index, "mp4")
    assert listed(made) == [f"{U1}_main.mp4", "1_55__UserId_s_dTI.__UserId_e_main.mp4"]
    assert [each["BeginTimeStamp"] for each in made] == [99, 5]
    assert {each["TrackType"] for each in made} == {"audio_video"}
    assert {each["TrackType"] for each in media_files(recipe(), index, "aac")} == {"audio"}


def test_a_screen_has_an_mp4_and_no_aac_of_its_own():
    both = recipe(screens=True)
    index = plan_index_files(both, ["u1"])
    assert listed(media_files(both, index, "mp4")) == [f"{U1}_main.mp4", f"{U1}_aux.mp4"]
    assert listed(media_files(both, index, "aac")) == [f"{U1}_main.aac"]


def test_vod_names_carry_the_users_prefix():
    vod = recipe(storage="vod", user_define_record_id="mine", vod_media_type=3)
    index = plan_index_files(vod, ["u1"])
    assert vod.media_extensions == ("m3u8", "mp4")
    assert listed(media_files(vod, index, "mp4")) == [f"mine__UserDefine_u_{U1}_main.mp4"]


def test_explicit_files_are_checked():
    assert checked_file({"FileName": "a", "UserId": None}) == {
        "UserId": None,
        "FileName": "a",
        "TrackType": None,
        "BeginTimeStamp": None,
    }
    with pytest.raises(ValueError, match="Filename"):
        checked_file({"Filename": "a"})
