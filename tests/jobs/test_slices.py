"""The files that events of cloud slicing name, in whatever form they do."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_trtc.jobs.callback import parse_event
from airflow_trtc.jobs.history import files_of
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.results import file_results

JOB = "-m9lm+lU7tOlL2mF..GQE."
NAME = "1400000001_8001_anna_20260121020226"
BEGIN_MS = round(datetime(2026, 1, 21, 2, 2, 26, tzinfo=timezone.utc).timestamp() * 1000)
SOUND = RecordedFile(f"anna/audios/{NAME}.ogg", "anna", "audio", BEGIN_MS)
IMAGE = RecordedFile(f"anna/images/{NAME}.png", "anna", "video", BEGIN_MS)


def files(payload: Any, **info: Any) -> list[RecordedFile]:
    about = {"TaskId": JOB, "EventMsTs": BEGIN_MS, "UserId": "robot", "Payload": payload, **info}
    return list(files_of(parse_event({"EventGroupId": 10, "EventType": 1004, "EventInfo": about})))


@pytest.mark.parametrize(
    "payload",
    [
        {"FileName": f"{NAME}.ogg", "StreamUserId": "anna"},
        {"FileName": f"anna/audios/{NAME}.ogg"},
        {"Audio": f"prefix/{JOB}/anna/audios/{NAME}.ogg"},
        {"Url": f"https://b.example/prefix/{JOB}/anna/audios/{NAME}.ogg?sign=hunter2#x"},
        {"Url": f"https://b.example/{JOB.replace('+', '%2B')}/anna/audios/{NAME}.ogg"},
        {"Payload": {"Audio": f"{NAME}.ogg"}, "StreamUserId": "anna"},
        {"Payload": [{"Name": f"{NAME}.ogg"}], "StreamUserId": "anna"},
        {"FileList": [f"anna/audios/{NAME}.ogg", f"anna/audios/{NAME}.ogg"]},
    ],
)
def test_a_slice_is_found_in_every_form(payload: dict[str, Any]) -> None:
    assert files(payload) == [SOUND]


def test_the_user_may_stand_beside_the_payload() -> None:
    assert files({"Image": f"{NAME}.png"}, StreamUserId="anna") == [IMAGE]
    assert files({"Image": f"{NAME}.PNG"}, StreamerUserId="anna")[0].file_name == f"anna/images/{NAME}.PNG"


def test_a_slice_of_nobody_keeps_its_bare_name() -> None:
    assert files({"Image": "a.png"}) == [RecordedFile("a.png", None, "video")]
    assert files({"Image": "a_20261399000000.png"})[0].begin_timestamp_ms is None


def test_several_are_found_and_no_other_texts() -> None:
    both = {"Audio": f"anna/audios/{NAME}.ogg", "Image": f"anna/images/{NAME}.png", "Text": "see a.png here"}
    assert files(both) == [SOUND, IMAGE]
    assert files({"Url": "https://[/a.png", "Name": "x.txt", "Number": 5, "Nothing": None}) == []
    assert files({"Name": "a" * 2000 + ".ogg"}) == []
    assert files([f"{NAME}.ogg"]) == []
    assert len(files({"Names": [f"{number}.png" for number in range(5000)]})) == 1000


def test_a_slice_lies_in_the_folder_of_its_job() -> None:
    (result,) = file_results([SOUND], JOB)
    assert result["object_key"] == f"{JOB}/anna/audios/{NAME}.ogg"
    assert (result["format"], result["begin_at"]) == ("ogg", "2026-01-21T02:02:26+00:00")
