"""The operator of event-driven DAGs: from the event that started the run, or by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import airflow.sdk
import pytest
from airflow.sdk import Context

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.assets import events, finished_recordings
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.plans import drive, save_plan
from airflow_trtc.journal.store import JOURNAL
from airflow_trtc.operators import TrtcTriggeringRecordingOperator
from airflow_trtc.results import file_results

pytestmark = pytest.mark.skipif(
    not hasattr(airflow.sdk, "PartitionedAssetTimetable"),
    reason="events with partition keys, which start these DAGs, begin with Airflow 3.2",
)

ROWS = Rows(JobRef("recording", 1400000001, "ap-guangzhou", "rid"))
SUMMARY: dict[str, Any] = {
    "recording_id": "rid",
    "sdk_app_id": 1400000001,
    "region": "ap-guangzhou",
    "outcome": "callback",
    "problems": [],
}
FILES = (RecordedFile("a.m3u8", "u", "audio", 1730087526709), RecordedFile("b.mp4", vod_file_id="5"))


class DictStore(dict[str, str]):
    """The journal in memory."""

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self[key]) if key in self else default

    def set(self, key: str, value: Any) -> None:
        self[key] = json.dumps(value)


class Pushed:
    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def context(
    extra: Mapping[str, Any] | None = None,
    *,
    conf: Mapping[str, Any] | None = None,
    asset: Any = None,
    stored: JobState | None = None,
    store: Any = None,
) -> Context:
    store = DictStore() if store is None else store
    if stored is not None:
        drive(save_plan(ROWS.polls, ROWS.job, stored), store)
    started_by = {} if extra is None else {asset or finished_recordings(): [SimpleNamespace(extra=extra)]}
    fake = {
        "ti": Pushed(),
        "triggering_asset_events": started_by,
        "dag_run": SimpleNamespace(conf=conf),
        "asset_state_store": {JOURNAL: store},
    }
    return cast("Context", fake)


def operator(**options: Any) -> TrtcTriggeringRecordingOperator:
    return TrtcTriggeringRecordingOperator(task_id="recording", **options)


def names(files: list[dict[str, Any]]) -> list[str]:
    return [file["file_name"] for file in files]


def test_the_event_holds_everything() -> None:
    extra = {"v": 1, "recording": SUMMARY, "files": file_results(FILES, "rid"), "file_count": 2}
    given = context(extra)
    assert operator().execute(given) == file_results(FILES, "rid")
    assert cast("Pushed", given["ti"]).xcoms["recording"] == {**SUMMARY, "file_count": 2}


def test_a_prefix_goes_in_front_of_keys_in_a_bucket_only() -> None:
    extra = {"recording": SUMMARY, "files": file_results(FILES, "rid"), "file_count": 2}
    files = operator(file_name_prefix="lessons").execute(context(extra))
    assert {file["object_key"] for file in files} == {"lessons/rid/a.m3u8", None}


def test_long_lists_are_read_from_the_journal() -> None:
    extra = {"recording": SUMMARY, "files": None, "file_count": 2}
    assert names(operator().execute(context(extra, stored=JobState("rid", FILES)))) == ["b.mp4", "a.m3u8"]


def test_a_pruned_journal_is_an_error_and_no_empty_list() -> None:
    extra = {"recording": SUMMARY, "files": None, "file_count": 2}
    with pytest.raises(AirflowFailException, match="0 files of the recording, not 2"):
        operator().execute(context(extra))


def test_a_journal_that_fails_may_be_retried() -> None:
    extra = {"recording": SUMMARY, "files": None, "file_count": 2}
    with pytest.raises(RuntimeError, match="retry"):
        operator().execute(context(extra, store=SimpleNamespace()))


def test_a_bad_end_fails_unless_the_user_allows_it() -> None:
    problem = {"kind": "interrupted", "message": "the room timed out"}
    extra = {"recording": {**SUMMARY, "problems": [problem]}, "files": [], "file_count": 0}
    with pytest.raises(AirflowFailException, match=r"interrupted: the room timed out(?s:.*)rid"):
        operator().execute(context(extra))
    assert operator(fail_on=["start"]).execute(context(extra)) == []


def test_a_run_started_by_hand_names_its_recording() -> None:
    named = {"recording_id": "rid", "sdk_app_id": "1400000001", "region": "ap-guangzhou"}
    given = context(conf=named, stored=JobState("rid", FILES))
    assert names(operator().execute(given)) == ["b.mp4", "a.m3u8"]
    carried = {"recording": SUMMARY, "files": file_results(FILES[:1], "rid")}
    assert names(operator().execute(context(conf=carried))) == ["a.m3u8"]
    carried["recording"] = {"recording_id": "rid", "sdk_app_id": 1400000001}
    assert names(operator().execute(context(conf=carried))) == ["a.m3u8"]


@pytest.mark.parametrize(
    "conf",
    [
        None,
        {},
        {"recording_id": "rid"},
        {"recording": "rid"},
        {"recording": {}},
        {"recording_id": "rid", "sdk_app_id": "the first one"},
        {"recording_id": 5, "sdk_app_id": 1400000001},
    ],
)
def test_a_run_without_a_recording_says_what_to_do(conf: dict[str, Any] | None) -> None:
    with pytest.raises(AirflowFailException, match="PartitionedAssetTimetable"):
        operator().execute(context(conf=conf))


def test_events_of_other_assets_are_no_recordings() -> None:
    with pytest.raises(AirflowFailException, match="no recording started this run"):
        operator().execute(context({"recording": SUMMARY, "files": []}, asset=events(102)))


def test_unknown_kinds_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="fail_on"):
        operator(fail_on=["mp5"])
    with pytest.raises(ValueError, match="fail_on"):
        operator(fail_on="mp4")
