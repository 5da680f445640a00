"""Keys and addresses of files in the bucket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_trtc.recording.files import NameParts, object_key, object_url, read_name


@pytest.mark.parametrize(
    "prefix, key",
    [
        (None, "t+x../f.m3u8"),
        ("", "t+x../f.m3u8"),
        ([], "t+x../f.m3u8"),
        ("lessons", "lessons/t+x../f.m3u8"),
        ("/lessons/2026/", "lessons/2026/t+x../f.m3u8"),
        (["lessons", "2026"], "lessons/2026/t+x../f.m3u8"),
    ],
)
def test_object_key_is_prefix_recording_and_file(prefix: object, key: str) -> None:
    assert object_key("t+x..", "f.m3u8", prefix) == key  # type: ignore[arg-type]


def test_object_url_escapes_what_ids_and_names_may_hold() -> None:
    url = object_url("https://b.example/", "p/D0e+p2Ry-./a b=ü.m3u8")
    assert url == "https://b.example/p/D0e%2Bp2Ry-./a%20b%3D%C3%BC.m3u8"


@pytest.mark.parametrize(
    "name, room, parts",
    [
        (
            "20032332_1038631851__UserId_s_MTY4NjExOQ..__UserId_e_main_audio.m3u8",
            "1038631851",
            ("1686119", "main", "audio"),
        ),
        ("1_55__UserId_s_dTE.__UserId_e_aux_video_2.m3u8", "55", ("u1", "aux", "video", 2)),
        ("ha2_1_NTU.__UserId_s_dTE.__UserId_e_main_audio_video.m3u8", "55", ("u1", "main", "audio_video")),
        ("1_55__UserId_s_dTE.__UserId_e_main.mp4", "55", ("u1", "main")),
        ("1_55__UserId_s_dTE.__UserId_e_main_12.mp4", "55", ("u1", "main", None, 12)),
        ("1_55__UserId_s_5LiA-w..__UserId_e_main.aac", "55", (None, "main")),
        ("1_55__UserId_s_*__UserId_e_main.aac", "55", (None, "main")),
        ("1_bGVzc29uIDE.__UserId_s_dTE.__UserId_e_main.mp4", "lesson 1", ("u1", "main")),
        ("1_*__UserId_s_dTE.__UserId_e_main.mp4", None, ("u1", "main")),
        ("1_8001.mp4", "8001", ()),
        ("1_8001_3.mp4", "8001", (None, None, None, 3)),
        ("1_NTU..m3u8", "55", ()),
        ("1_8001_1234.mp4", None, ()),
        ("5285890784", None, ()),
        ("a.mp4", None, ()),
        ("", None, ()),
    ],
)
def test_what_a_name_says(name: str, room: str | None, parts: tuple[Any, ...]) -> None:
    recovery = 2 if name.startswith("ha2_") else 0
    assert read_name(name) == replace(NameParts(*parts), room_id=room, recovery=recovery)
