from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.emulator import names

STEM = "20032332_1038631851__UserId_s_YWJj__UserId_e_main"


def test_the_documented_encoding():
    assert names.encode("1686119") == "MTY4NjExOQ.."


@given(st.text())
def test_encoding_is_reversible_and_safe_in_a_key(text):
    assert names.decode(names.encode(text)) == text
    assert re.fullmatch(r"[A-Za-z0-9+.-]*", names.encode(text))


def test_recording_ids_look_real():
    ids = [names.recording_id(random.Random(number)) for number in range(300)]
    assert all(re.fullmatch(r"[A-Za-z0-9+-]+\.{0,2}", each) and 76 <= len(each) <= 84 for each in ids)
    assert len(set(ids)) == 300
    assert {"+", "-", "."} <= set("".join(ids))


def test_the_stamp_of_a_real_segment():
    assert names.utc_stamp(1768908637408) == "20260120113037408"


@pytest.mark.parametrize(
    "name, expected",
    [
        (names.single_stem(20032332, "1038631851", "abc", "main"), STEM),
        (names.index_name(STEM, track="audio"), f"{STEM}_audio.m3u8"),
        (names.index_name(STEM, track="video", recovery=1), f"ha1_{STEM}_video.m3u8"),
        (names.segment_name(STEM, 1768908637408, track="audio"), f"{STEM}_audio_20260120113037408.ts"),
        (names.media_name(STEM, "mp4"), f"{STEM}.mp4"),
        (names.media_name(STEM, "mp4", part=2), f"{STEM}_2.mp4"),
        (names.index_name(names.mixed_stem(1, "55")), "1_55.m3u8"),
        (names.room_part("55", is_string_room=False), "55"),
        (names.room_part("55", is_string_room=True), "NTU."),
        (names.user_defined_name("mine", "1_55.mp4"), "mine__UserDefine_u_1_55.mp4"),
    ],
)
def test_names(name, expected):
    assert name == expected
