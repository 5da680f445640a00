"""Any answer about a job ends in a value or in one of our errors; which call has which effect."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_trtc import bounds
from airflow_trtc.cloud.calls import Call, any_action, describe
from airflow_trtc.cloud.failures import value_of
from airflow_trtc.errors import TrtcSetupError, TrtcTransientError
from airflow_trtc.jobs.answers import UnreadableAnswer, read_answer, read_found, read_id
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import KINDS
from tests.cloud.asking import recording

SLICES = JobKind(
    name="slice",
    describe_action="DescribeCloudSliceTask",
    id_param="SliceId",
    status_param="State",
    absent_statuses=frozenset({"4"}),
)


def to_snapshot(answer, recording_id):
    """What the client makes of it."""
    return value_of(recording(recording_id), {"Response": answer})


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


@settings(max_examples=60)
@given(ANSWERS)
def test_every_answer_is_a_snapshot_or_a_broken_answer(answer):
    answer.pop("Error", None)
    try:
        found = to_snapshot(answer, "rec")
    except TrtcTransientError as error:
        found = error
    if isinstance(found, TrtcTransientError):
        assert found.code in ("Client.BrokenAnswer", "Client.OtherJob")
    else:
        assert found.status == bounds.text(answer["Status"], 100)
        assert all(isinstance(file.file_name, str) and file.file_name for file in found.files)
        bounded = [file.begin_timestamp_ms or 0 for file in found.files]
        assert all(abs(number) < 2**63 for number in bounded)


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
    assert (caught.value.code, caught.value.job_id, caught.value.request_id) == (
        "Client.BrokenAnswer",
        "rec",
        "req",
    )


def test_an_answer_about_another_recording_is_broken():
    with pytest.raises(TrtcTransientError, match="another") as caught:
        to_snapshot({"Status": "Idle", "TaskId": "other"}, "rec")
    assert caught.value.code == "Client.OtherJob"


def test_a_status_that_nobody_knows_is_kept():
    assert to_snapshot({"Status": "Paused", "TaskId": ""}, "rec").status == "Paused"


def test_parameters_name_the_job_and_its_application():
    call = recording("+a-b..", 5)
    assert (call.action, call.params) == ("DescribeCloudRecording", {"SdkAppId": 5, "TaskId": "+a-b.."})
    assert (call.effect, call.job_id) == ("read", "+a-b..")
    other = describe(SLICES, JobRef("slice", 5, "ap-guangzhou", "s"))
    assert (other.action, other.params) == ("DescribeCloudSliceTask", {"SdkAppId": 5, "SliceId": "s"})
    without = replace(SLICES, app_param="")
    assert describe(without, JobRef("slice", 5, "ap-guangzhou", "s")).params == {"SliceId": "s"}


@pytest.mark.parametrize("recording_id", ["", " ", None, "x" * 2000])
def test_an_empty_id_is_not_asked_about(recording_id):
    with pytest.raises(TrtcSetupError, match="recording id is empty"):
        recording(recording_id, 5)


@pytest.mark.parametrize(
    "answer, found",
    [
        ({"State": "Running", "RequestId": "r"}, Snapshot("s", "Running", (), "r")),
        ({"State": 2, "SliceId": "s"}, Snapshot("s", "2", (), None)),
        ({"State": 4, "RequestId": "r"}, Absence("4", "r")),
        ({"State": True}, "no status"),
        ({"Status": "Running"}, "no status"),
        ({"State": "Running", "SliceId": "other"}, "another job"),
    ],
)
def test_a_kind_without_a_reader_is_read_by_its_row(answer, found):
    if isinstance(found, str):
        with pytest.raises(UnreadableAnswer) as caught:
            read_answer(SLICES, answer, "s")
        assert str(caught.value).endswith(f" {found}.")
    else:
        assert read_answer(SLICES, answer, "s") == found


def test_what_else_a_kind_answers_is_kept_where_there_is_any():
    kind = replace(SLICES, details=("Url", "Size"))
    answer = {"State": "Running", "Url": "", "Size": 7, "Other": 1}
    assert read_answer(kind, answer, "s") == Snapshot("s", "Running", (), None, {"Size": 7})
    assert read_answer(kind, {"State": "Running", "Url": None}, "s") == Snapshot("s", "Running", (), None)


def test_the_id_of_a_job_that_was_started_is_read_or_its_lack_is_told():
    assert read_id("j-1") == "j-1"
    for value in (None, "", 5, "x" * 5000):
        with pytest.raises(UnreadableAnswer, match="names no job"):
            read_id(value)


@pytest.mark.parametrize("named", [{}, {"RecordId": "lesson-7"}])
def test_a_job_that_was_given_a_name_is_found(named):
    assert read_found(KINDS["web_recording"], {"TaskId": "j-1", **named}, "lesson-7") == "j-1"


@pytest.mark.parametrize(
    "answer, why",
    [({"TaskId": "j-1", "RecordId": "lesson-8"}, "another job"), ({"RecordId": "lesson-7"}, "names no job")],
)
def test_a_job_of_another_name_is_not_found(answer, why):
    with pytest.raises(UnreadableAnswer, match=why):
        read_found(KINDS["web_recording"], answer, "lesson-7")


def test_what_is_too_long_for_airflow_is_cut_or_left_out():
    files = [{"FileName": "x" * 2000}, {"FileName": "a\0b", "BeginTimeStamp": 2**70, "UserId": "\ud800"}]
    seen = to_snapshot({"Status": "S" * 1000, "StorageFileList": files}, "rec")
    assert len(seen.status) == 100
    assert seen.files == (RecordedFile("a\ufffdb", "\ufffd", None, None),)
    many = [{"FileName": f"{number}.m3u8"} for number in range(10_005)]
    assert len(to_snapshot({"Status": "Idle", "StorageFileList": many}, "rec").files) == 10_000


def test_any_action_is_a_call_that_shows_no_secrets():
    call = any_action("StopWebRecord", {"TaskId": "hidden"})
    assert (call.effect, call.job_id, call.read({"a": 1})) == ("idempotent", "hidden", {"a": 1})
    assert "hidden" not in repr(Call("X", {"SecretKey": "hidden"}, dict, "create"))
    with pytest.raises(TrtcSetupError, match="Taskid"):
        any_action("StopWebRecord", {"Taskid": "x"})
