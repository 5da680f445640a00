"""The operator of event-driven DAGs: from the event that started the run, or by hand."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import airflow.sdk
import msgspec
import pytest
from airflow.sdk import Context
from hypothesis import given
from hypothesis import strategies as st

from airflow_trtc._compat import AirflowFailException
from airflow_trtc.assets import events, finished_recordings
from airflow_trtc.errors import TrtcSetupError, TrtcThrottledError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.callback import Callback, parse_event
from airflow_trtc.jobs.observation import Absence, RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.plans import drive, save_plan
from airflow_trtc.journal.store import JOURNAL
from airflow_trtc.operators import TrtcTriggeringRecordingOperator
from airflow_trtc.results import file_results
from airflow_trtc.triggering import triggering, with_prefix

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
    "wait_for": "recording",
    "file_count": 2,
    "first_seen_at": None,
    "ended_at": "2026-01-01T00:00:00+00:00",
    "finished_at": "2026-01-01T00:00:01+00:00",
    "problems": [],
    "polls": 0,
}
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
START_MS = round(START.timestamp() * 1000)
NAMED = {"recording_id": "rid", "sdk_app_id": " 1400000001 ", "region": "ap-guangzhou"}
FILES = (RecordedFile("a.m3u8", "u", "audio", 1730087526709), RecordedFile("b.mp4", vod_file_id="5"))


FIELDS = [
    *("recording", "recording_id", "sdk_app_id", "region", "files", "file_count", "problems", "kind"),
    *("message", "file_name", "vod_file_id", "object_key", "finished_at", "wait_for"),
]
names_of_fields = st.sampled_from(FIELDS)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**30, "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names_of_fields, inner, max_size=6),
)


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


# -- several events -----------------------------------------------------------------------------------


def of_milestone(wait_for: str, *files: RecordedFile, **summary: Any) -> tuple[Any, dict[str, Any]]:
    recording = {**SUMMARY, "wait_for": wait_for, **summary}
    return finished_recordings(wait_for), {"recording": recording, "files": file_results(files, "rid")}


@pytest.mark.parametrize(
    "events_of_run, chosen",
    [
        ([of_milestone("upload", FILES[0]), of_milestone("mp4", *FILES)], "mp4"),
        ([of_milestone("vod", *FILES), of_milestone("upload", FILES[0])], "vod"),
        ([of_milestone("upload", *FILES), of_milestone("recording", *FILES)], "upload"),
    ],
)
def test_of_several_events_the_one_that_tells_most_counts(
    events_of_run: list[tuple[Any, dict[str, Any]]], chosen: str
) -> None:
    for each in (events_of_run, events_of_run[::-1]):
        given = context()
        given["triggering_asset_events"] = {asset: [SimpleNamespace(extra=extra)] for asset, extra in each}
        files = operator().execute(given)
        assert cast("Pushed", given["ti"]).xcoms["recording"]["wait_for"] == chosen
        assert len(files) == max(len(extra["files"]) for _, extra in events_of_run)


def test_of_two_events_of_one_milestone_the_later_one_counts() -> None:
    asset, early = of_milestone("upload", *FILES, finished_at="2026-01-01T00:00:05Z", polls=1)
    late = of_milestone("upload", *FILES, finished_at="2026-01-01T08:00:04+08:00", polls=2)[1]
    given = context()
    for extras in ([early, late], [late, early]):
        given["triggering_asset_events"] = {asset: [SimpleNamespace(extra=extra) for extra in extras]}
        operator().execute(given)
        assert cast("Pushed", given["ti"]).xcoms["recording"]["polls"] == 1


def test_no_recording_of_a_run_is_left_out_in_silence() -> None:
    asset, one = of_milestone("upload", *FILES)
    other = of_milestone("upload", recording_id="other")[1]
    given = context()
    given["triggering_asset_events"] = {asset: [SimpleNamespace(extra=extra) for extra in (one, other)]}
    with pytest.raises(AirflowFailException, match=r"Several recordings started this run \(other, rid\)"):
        operator().execute(given)


# -- runs that are started by hand --------------------------------------------------------------------


class Service:
    """Answers in place of the service, and notes what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Any = None) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer = answer

        def describe(hook: TrtcHook, kind: str, job_id: str) -> Any:
            self.asked.append((hook.trtc_conn_id, hook.region, hook.sdk_app_id, kind, job_id))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        settings = property(lambda hook: SimpleNamespace(region="ap-guangzhou"))
        monkeypatch.setattr(TrtcHook, "describe", describe)
        monkeypatch.setattr(TrtcHook, "settings", settings)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service(monkeypatch, Absence("ResourceNotFound"))


def event(kind: int, **payload: Any) -> Callback:
    info = {"TaskId": "rid", "EventMsTs": START_MS, "Payload": payload}
    return parse_event({"EventGroupId": 3, "EventType": kind, "EventInfo": info})


def known(*observations: Any, every: float = 60.0) -> JobState:
    state = JobState("rid", FILES)
    for number, each in enumerate(observations):
        state = learn(state, each, START + timedelta(seconds=number * every))
    return state


RUNNING = Snapshot("rid", "InProgress")
GONE = Absence("ResourceNotFound")


def test_a_recording_named_by_hand_is_judged_from_the_journal(service: Service) -> None:
    given = context(conf=NAMED, stored=known(RUNNING, GONE))
    assert names(operator().execute(given)) == ["b.mp4", "a.m3u8"]
    summary = cast("Pushed", given["ti"]).xcoms["recording"]
    assert list(summary) == list(SUMMARY)
    assert (summary["outcome"], summary["sdk_app_id"], summary["file_count"]) == ("gone", 1400000001, 2)
    assert summary["first_seen_at"] == "2026-01-01T00:00:00+00:00"
    assert service.asked == []


def test_a_recording_named_by_hand_that_ended_badly_fails_unless_the_user_allows_it(service: Service) -> None:
    stored = known(event(302, LeaveCode=100))
    with pytest.raises(AirflowFailException, match=r"did not end well: .*room timed out"):
        operator().execute(context(conf=NAMED, stored=stored))
    given = context(conf=NAMED, stored=stored)
    assert len(operator(fail_on=["start"]).execute(given)) == 2
    (problem,) = cast("Pushed", given["ti"]).xcoms["recording"]["problems"]
    assert problem["kind"] == "interrupted"
    assert service.asked == []


def test_the_service_is_asked_for_what_the_journal_leaves_open(service: Service) -> None:
    """The wait that polled it was killed, say."""
    given = context(conf=NAMED, stored=known(RUNNING))
    assert len(operator(trtc_conn_id="mine").execute(given)) == 2
    assert service.asked == [("mine", "ap-guangzhou", 1400000001, "recording", "rid")]
    assert cast("Pushed", given["ti"]).xcoms["recording"]["outcome"] == "gone"
    named = {"recording_id": "rid", "sdk_app_id": 1400000001}  # the region is that of the connection
    assert len(operator().execute(context(conf=named, stored=known(RUNNING)))) == 2


def test_a_recording_that_nobody_knows_fails(service: Service) -> None:
    with pytest.raises(AirflowFailException, match="Neither the journal nor the service knows recording rid"):
        operator().execute(context(conf=NAMED))
    assert len(service.asked) == 1


def test_a_recording_that_only_callbacks_know_has_ended_once_they_are_silent(service: Service) -> None:
    given = context(conf=NAMED, stored=known(event(304, FileList="c.m3u8")))
    assert len(operator().execute(given)) == 3
    assert cast("Pushed", given["ti"]).xcoms["recording"]["outcome"] == "never_seen"


@pytest.mark.parametrize(
    "answer", [RUNNING, TrtcTransientError("the network is away"), TrtcThrottledError("too fast")]
)
def test_a_recording_that_may_still_run_may_be_retried(service: Service, answer: Any) -> None:
    service.answer = answer
    with pytest.raises(RuntimeError, match=r"recording rid .* has not ended yet"):
        operator().execute(context(conf=NAMED, stored=known(RUNNING)))


def test_a_wrong_set_up_fails_a_run_started_by_hand(service: Service) -> None:
    service.answer = TrtcSetupError("the key is wrong", code="AuthFailure.SignatureFailure")
    with pytest.raises(AirflowFailException, match="the key is wrong"):
        operator().execute(context(conf=NAMED))


def test_a_configuration_may_carry_what_an_event_carries(service: Service) -> None:
    carried: dict[str, Any] = {"recording": SUMMARY, "files": file_results(FILES[:1], "rid")}
    assert operator().execute(context(conf=carried)) == file_results(FILES[:1], "rid")
    carried = {
        "recording": {"recording_id": " rid ", "sdk_app_id": "1400000001"},
        "files": [{"file_name": "a.m3u8"}, {"file_name": "b.mp4", "vod_file_id": "5", "mine": 1}],
    }
    given = context(conf=carried)
    first, second = operator(file_name_prefix="lessons").execute(given)
    assert first == {**file_results([RecordedFile("a.m3u8")], "rid", "lessons")[0]}
    assert (second["object_key"], second["vod_file_id"], second["mine"]) == (None, "5", 1)
    summary = cast("Pushed", given["ti"]).xcoms["recording"]
    assert summary == {
        **dict.fromkeys(SUMMARY),
        "recording_id": "rid",
        "sdk_app_id": 1400000001,
        "problems": [],
        "file_count": 2,
    }
    assert service.asked == []


def test_a_summary_without_files_is_judged_like_a_name(service: Service) -> None:
    carried = {"recording": {**SUMMARY, "problems": []}, "files": None, "file_count": 2}
    with pytest.raises(AirflowFailException, match="room timed out"):
        operator().execute(context(conf=carried, stored=known(event(302, LeaveCode=100))))


@pytest.mark.parametrize(
    "conf, words",
    [
        (None, "No recording started this run"),
        ({}, "No recording started this run"),
        ({"term": "2026"}, "No recording started this run"),
        ({"recording_id": "rid"}, "sdk_app_id must be the number of an application, not nothing"),
        ({"recording": "rid"}, "recording must be an object, as an event carries it, not 'rid'"),
        ({"recording": {}}, "recording_id must be the TaskId .* not nothing"),
        ({"recording_id": "", "sdk_app_id": 1}, "recording_id must be the TaskId .* not ''"),
        ({"recording_id": None, "sdk_app_id": 1}, "recording_id must be"),
        ({"recording_id": "rid", "sdk_app_id": "the first one"}, "not 'the first one'"),
        ({"recording_id": "rid", "sdk_app_id": True}, "sdk_app_id must be"),
        ({"recording_id": "rid", "sdk_app_id": -1}, "sdk_app_id must be"),
        ({"recording_id": 5, "sdk_app_id": 1400000001}, "recording_id must be the TaskId .* not 5"),
        ({**NAMED, "region": 3}, "region must be a text, not 3"),
        ({"recording": NAMED, "files": ["a.m3u8"]}, r"files\[0\] must be an object with file_name"),
        ({"recording": NAMED, "files": "a.m3u8"}, "files must be a list"),
        ({"recording": NAMED, "files": [{"file_name": "a"}, {"name": "b"}]}, r"files\[1\] must be"),
        ({"recording": {**NAMED, "problems": ["x"]}, "files": []}, r"problems\[0\] must be"),
        ({"recording": {**NAMED, "problems": "x"}, "files": []}, "problems must be a list"),
        ({"recording": {**NAMED, "problems": [{"kind": "mp4"}]}, "files": []}, "kind and message"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_read_says_what_is_wrong(
    conf: dict[str, Any] | None, words: str, service: Service
) -> None:
    with pytest.raises(AirflowFailException, match=words) as error:
        operator().execute(context(conf=conf))
    assert "PartitionedAssetTimetable" in str(error.value)
    assert service.asked == []


@given(anything, anything)
def test_any_configuration_and_any_event_is_read_or_refused(configuration: Any, extra: Any) -> None:
    event_of_run = SimpleNamespace(extra=extra)
    for events_of_run in ({}, {finished_recordings(): [event_of_run]}):
        with contextlib.suppress(TrtcSetupError):
            found = triggering(events_of_run, configuration)
            files = [with_prefix(file, "p") for file in found.files or []]
            sent = [found.summary, files]
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent)) == sent


def test_events_of_other_assets_are_no_recordings() -> None:
    with pytest.raises(AirflowFailException, match="No recording started this run"):
        operator().execute(context({"recording": SUMMARY, "files": []}, asset=events(102)))


def test_unknown_kinds_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="fail_on"):
        operator(fail_on=["mp5"])
    with pytest.raises(ValueError, match="fail_on"):
        operator(fail_on="mp4")
