"""What a wait hands on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc.jobs.history import CallbackFact, CallbackHistory
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.problem import Problem
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import Finished
from airflow_trtc.results import file_results, job_result, recording_result


def test_a_file_is_a_plain_dict_with_all_keys() -> None:
    [file] = file_results([RecordedFile("a.m3u8", "jeff", "audio", 1730087526709)], "t+x.", "lessons")
    assert file == {
        "file_name": "a.m3u8",
        "format": "hls",
        "user_id": "jeff",
        "track_type": "audio",
        "media_id": None,
        "begin_at": "2024-10-28T03:52:06.709000+00:00",
        "end_at": None,
        "begin_timestamp_ms": 1730087526709,
        "object_key": "lessons/t+x./a.m3u8",
        "vod_file_id": None,
        "vod_url": None,
        "recording_id": "t+x.",
    }


def test_a_file_in_vod_has_no_key_in_a_bucket() -> None:
    file = RecordedFile(
        "a.mp4",
        "jeff",
        end_timestamp_ms=1730087527000,
        media_id="main",
        vod_file_id="5",
        vod_url="http://v/a.mp4",
    )
    [result] = file_results([file], "t", "lessons")
    assert result["object_key"] is None
    told = ("mp4", "main", "2024-10-28T03:52:07+00:00", "5", "http://v/a.mp4")
    assert tuple(result[key] for key in ("format", "media_id", "end_at", "vod_file_id", "vod_url")) == told


JOB = JobRef("recording", 1, None, "t")


def test_what_the_service_does_not_say_is_null() -> None:
    [file] = file_results([RecordedFile("a.m3u8")], "t")
    assert (file["user_id"], file["track_type"], file["begin_at"], file["begin_timestamp_ms"]) == (None,) * 4


def test_files_come_in_the_order_in_which_they_began() -> None:
    files = [RecordedFile("b", None, None, 2), RecordedFile("c", None, None, 1), RecordedFile("a")]
    assert [file["file_name"] for file in file_results(files, "t")] == ["a", "c", "b"]


@given(st.none() | st.integers())
def test_any_timestamp_gives_json(timestamp: int | None) -> None:
    json.dumps(file_results([RecordedFile("a", begin_timestamp_ms=timestamp)], "t"))


def test_the_summary_has_times_in_utc() -> None:
    noon_in_berlin = datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    finished = Finished("gone", (), noon_in_berlin, (Problem("image", "no logo"),))
    summary = recording_result(JobState("t"), finished, JobRef("recording", 1400000001, "ap-guangzhou", "t"))
    assert summary["problems"] == [{"kind": "image", "message": "no logo"}]
    assert summary["ended_at"] is None
    assert summary["finished_at"] == "2026-06-01T10:00:00+00:00"
    assert summary["first_seen_at"] is None
    json.dumps(summary)


def test_implausible_stamps_have_no_time() -> None:
    for stamp in (0, 1, 2**63, -1):
        (file,) = file_results([RecordedFile("a", begin_timestamp_ms=stamp, end_timestamp_ms=stamp)], "t")
        assert (file["begin_at"], file["end_at"]) == (None, None)


def test_the_summary_says_how_and_when_it_ended() -> None:
    at = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    ms = round(at.timestamp() * 1000)
    left = CallbackFact(302, 2, "", ms + 500, at)
    finished = Finished("callback", (RecordedFile("a"), RecordedFile("b")), at)
    state = JobState("t", history=CallbackHistory((left,)), first_seen_at=at, polls=7)
    summary = recording_result(state, finished, JOB, wait_for="upload")
    assert summary == {
        "recording_id": "t",
        "sdk_app_id": 1,
        "region": None,
        "outcome": "callback",
        "wait_for": "upload",
        "file_count": 2,
        "first_seen_at": "2026-06-01T12:00:00+00:00",
        "ended_at": "2026-06-01T12:00:00.500000+00:00",
        "finished_at": "2026-06-01T12:00:00+00:00",
        "problems": [],
        "polls": 7,
    }
    assert recording_result(state, finished, JOB, polls=0)["polls"] == 0
    uploaded = JobState("t", history=CallbackHistory((CallbackFact(305, 0, "", ms, at),)))
    assert recording_result(uploaded, finished, JOB)["ended_at"] is None
    assert recording_result(uploaded, finished, JOB)["wait_for"] == "recording"


def test_the_summary_of_another_kind_of_job() -> None:
    at = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    state = JobState("t", status="Done", first_seen_at=at, polls=3, detail={"Url": "https://x.example/a"})
    summary = job_result(state, Finished("exited", (), at), JobRef("made_up", 1, "ap-guangzhou", "t"))
    assert summary == {
        "kind": "made_up",
        "sdk_app_id": 1,
        "region": "ap-guangzhou",
        "job_id": "t",
        "status": "Done",
        "outcome": "exited",
        "first_seen_at": "2026-06-01T12:00:00+00:00",
        "finished_at": "2026-06-01T12:00:00+00:00",
        "ended_at": None,
        "problems": [],
        "polls": 3,
        "detail": {"Url": "https://x.example/a"},
        "files": [],
        "records": [],
        "records_left_out": 0,
    }
    assert job_result(state, Finished("gone", (), at), JOB, polls=9)["polls"] == 9
