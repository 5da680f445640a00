"""Keys and addresses of files in the bucket."""

from __future__ import annotations

import pytest

from airflow_trtc.recording.files import object_key, object_url


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
