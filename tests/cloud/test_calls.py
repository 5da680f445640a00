"""Any answer to a question about a recording ends in a value or in one of our errors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_trtc.cloud.calls import describe_params, to_snapshot
from airflow_trtc.errors import TrtcSetupError, TrtcTransientError
from airflow_trtc.jobs.observation import RecordedFile, Snapshot

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
ENTRIES = st.dictionaries(st.sampled_from(["FileName", "UserId", "TrackType", "BeginTimeStamp", "New"]), JSON)
ANSWERS = st.dictionaries(st.text(), JSON) | st.fixed_dictionaries(
    {},
    optional={
        "Status": st.sampled_from(["Idle", "InProgress"]) | JSON,
        "TaskId": st.just("rec") | JSON,
        "RequestId": JSON,
        "StorageFileList": st.lists(ENTRIES | JSON) | JSON,
    },
)


@settings(deadline=None, max_examples=60)
@given(ANSWERS)
def test_every_answer_is_a_snapshot_or_a_broken_answer(answer):
    try:
        found = to_snapshot(answer, "rec")
    except TrtcTransientError as error:
        found = error
    if isinstance(found, TrtcTransientError):
        assert found.code in ("Client.BrokenAnswer", "Client.OtherRecording")
    else:
        assert found.status == answer["Status"]
        assert all(isinstance(file.file_name, str) and file.file_name for file in found.files)


def test_a_full_answer_is_read():
    answer = {
        "TaskId": "rec",
        "Status": "InProgress",
        "RequestId": "req",
        "Later": 1,
        "StorageFileList": [
            {"FileName": "a.m3u8", "UserId": "jeff", "TrackType": "audio", "BeginTimeStamp": 1730087526709},
            {
                "FileName": "b.m3u8",
                "UserId": "",
                "TrackType": None,
                "BeginTimeStamp": "1730087526710",
                "X": 1,
            },
        ],
    }
    files = (
        RecordedFile("a.m3u8", "jeff", "audio", 1730087526709),
        RecordedFile("b.m3u8", None, None, 1730087526710),
    )
    assert to_snapshot(answer, "rec") == Snapshot("rec", "InProgress", files, "req")


@pytest.mark.parametrize("listed", [{"StorageFileList": []}, {"StorageFileList": None}, {}])
def test_no_files_look_alike_however_they_are_sent(listed):
    assert to_snapshot({"Status": "Idle", **listed}, "rec").files == ()


@pytest.mark.parametrize("entry", [{}, {"FileName": None}, {"FileName": ""}, {"FileName": 5}, None, "x"])
def test_a_file_without_a_name_is_left_out_and_the_others_stay(entry):
    answer = {"Status": "Idle", "StorageFileList": [entry, {"FileName": "a.m3u8"}]}
    assert to_snapshot(answer, "rec").files == (RecordedFile("a.m3u8"),)


@pytest.mark.parametrize("begin", [None, "", "soon", True, 1.5, 0, []])
def test_an_unreadable_begin_is_unknown(begin):
    answer = {"Status": "Idle", "StorageFileList": [{"FileName": "a", "BeginTimeStamp": begin}]}
    assert to_snapshot(answer, "rec").files[0].begin_timestamp_ms is None


@pytest.mark.parametrize("status", [None, "", " ", 1, []])
def test_an_answer_without_a_status_is_broken(status):
    with pytest.raises(TrtcTransientError) as caught:
        to_snapshot({"Status": status, "RequestId": "req"}, "rec")
    assert (caught.value.code, caught.value.recording_id, caught.value.request_id) == (
        "Client.BrokenAnswer",
        "rec",
        "req",
    )


def test_an_answer_about_another_recording_is_broken():
    with pytest.raises(TrtcTransientError, match="another") as caught:
        to_snapshot({"Status": "Idle", "TaskId": "other"}, "rec")
    assert caught.value.code == "Client.OtherRecording"


def test_a_status_that_nobody_knows_is_kept():
    assert to_snapshot({"Status": "Paused", "TaskId": ""}, "rec").status == "Paused"


def test_parameters_name_the_recording_and_its_application():
    assert describe_params(5, "+a-b..") == {"SdkAppId": 5, "TaskId": "+a-b.."}


@pytest.mark.parametrize("recording_id", ["", " ", None])
def test_an_empty_recording_id_is_not_asked_about(recording_id):
    with pytest.raises(TrtcSetupError, match="recording id is empty"):
        describe_params(5, recording_id)
