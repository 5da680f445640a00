"""Stored callbacks of all groups: the state of their jobs, the index, and the events of assets."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_trtc.assets import events, finished_recordings
from airflow_trtc.emulator.messages import envelope
from airflow_trtc.emulator.samples import sample
from airflow_trtc.jobs.events import EVENTS, FAMILIES, NAMED
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.index import IndexEntry, Phase, index_plan
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.plans import drive, load_plan
from airflow_trtc.web.processing import database, folding
from airflow_trtc.web.processing.processor import CallbackProcessor
from tests.web.conftest import APP, START_MS, Store, event

FLAT = {"TaskId": "j", "EventMsTs": START_MS, "Status": 0}
NOW = datetime(2026, 1, 21, 2, 2, 26, tzinfo=timezone.utc)


def job(kind: str, job_id: str = "j") -> JobRef:
    return JobRef(kind, APP, None, job_id)


def state_of(store: Store, kind: str, job_id: str = "j") -> JobState:
    with database.transaction() as session:
        overlay = folding.Overlay(lambda keys: database.select_keys(session, store.asset_id, keys))
        return drive(load_plan(Rows(job(kind, job_id)).callbacks, job_id), overlay)


def work() -> None:
    assert CallbackProcessor().work()


def indexed(store: Store) -> list[tuple[int, str, str]]:
    """Phase, kind and id of each job in the index."""
    return sorted(
        (int(key.split("/")[1]), row["kind"], row["job_id"]) for key, row in store.rows("job/").items()
    )


def test_every_event_is_emitted_by_its_name_and_reaches_its_job(store: Store) -> None:
    """The emulator's samples, one of each type, each about a job of its own."""
    store.activate(*(events(name) for name in NAMED))
    for kind in EVENTS:
        made = sample(kind, recording_id=f"j{kind}", room_id="8001", sdk_app_id=APP, now=START_MS / 1000)
        store.put(envelope(made, START_MS / 1000))
    work()
    emitted = {name: (key, extra) for name, key, extra in store.emitted()}
    assert set(emitted) == {f"trtc_events_{kind}" for kind in EVENTS}
    for kind in EVENTS:
        key, extra = emitted[f"trtc_events_{kind}"]
        assert key is not None
        assert key.startswith(f"{kind}-")
        assert extra["event"]["EventType"] == kind
    about_jobs = {
        f"j{kind}": FAMILIES[min(row.groups)] for kind, row in EVENTS.items() if min(row.groups) > 2
    }
    heads = {key for key in store.rows("cb/") if "/files/" not in key and "/records/" not in key}
    assert heads == {f"cb/{family}/{APP}/{job_id}" for job_id, family in about_jobs.items()}
    assert not store.rows("bad/")
    assert {job_id for _, _, job_id in indexed(store)} == set(about_jobs)


@pytest.mark.parametrize(
    "kind, end",
    [
        ("relay", event(401, "j", group=4, Url="rtmp://h/k", Status=0)),
        (
            "ingest",
            {**event(702, "j", group=7), "EventInfo": {"TaskId": "j", "EventMsTs": START_MS, "Status": 0}},
        ),
        ("web_recording", event(802, "j", group=8, Status=1)),
        ("ai_transcription", event(902, "j", group=9, LeaveCode=0)),
        ("slicing", event(1002, "j", group=10, LeaveCode=0)),
        ("moderation", event(1102, "j", group=11, LeaveCode=0)),
        ("transcription", event(1402, "j", group=14, LeaveCode=0)),
    ],
)
def test_the_index_knows_that_jobs_of_each_kind_have_ended(
    store: Store, kind: str, end: dict[str, Any]
) -> None:
    store.put(end)
    work()
    assert state_of(store, kind).history.end is not None
    work()
    phases = {(phase, found) for phase, found, _ in indexed(store)}
    assert phases in ({(Phase.ENDED, kind)}, {(Phase.FAILED, kind)})  # only 0 of a relay says too little
    assert ((Phase.FAILED, kind) in phases) == (kind == "relay")


def test_sentences_are_kept_in_pages_once_each(store: Store) -> None:
    said = [
        event(903, "j", START_MS + number, group=9, UserId="anna", Text=f"sentence {number}")
        for number in range(250)
    ]
    store.put(*said[:120])
    work()
    store.put(*said[60:])
    work()
    head = store.rows("cb/")[f"cb/ai/{APP}/j"]
    assert (head["record_pages"], head["pages"]) == (3, 0)
    assert "records" not in head
    pages = [store.rows("cb/")[f"cb/ai/{APP}/j/records/{page}"] for page in range(3)]
    assert [len(page) for page in pages] == [100, 100, 50]
    records = state_of(store, "ai_conversation").records
    assert [record.text for record in records.kept] == [f"sentence {number}" for number in range(250)]
    assert records.left_out == 0


def test_a_wait_says_of_which_kind_a_job_is_where_callbacks_do_not(store: Store) -> None:
    store.put(event(901, "j", group=9, Status=0))
    work()
    assert indexed(store) == [(Phase.RUNNING, "ai_transcription", "j")]
    with database.transaction() as session:
        overlay = folding.Overlay(lambda keys: database.select_keys(session, store.asset_id, keys))
        assert not drive(index_plan(IndexEntry(job("ai_conversation"), Phase.RUNNING, NOW)), overlay)
        database.write(session, store.asset_id, overlay.changed)
    store.put(event(903, "j", START_MS + 1, group=9, Text="x"))
    work()
    assert indexed(store) == [(Phase.RUNNING, "ai_conversation", "j")]
    store.put(event(902, "j", START_MS + 2, group=9, LeaveCode=0))
    work()
    assert indexed(store)[-1][1:] == ("ai_conversation", "j")


@pytest.mark.parametrize("group", [3, 8])
def test_files_of_a_web_page_join_its_recording_in_either_group(store: Store, group: int) -> None:
    done = finished_recordings()
    store.activate(done)
    vod = {"Status": 0, "TencentVod": {"CacheFile": "a.mp4", "FileId": "5"}}
    store.put(
        event(801, "j", START_MS, group=8, Status=1),
        event(802, "j", START_MS + 1, group=8, Status=1),
        event(311, "j", START_MS + 2, group=group, **vod),
        event(312, "j", START_MS + 3, group=group, Status=0),
    )
    work()
    state = state_of(store, "web_recording")
    assert [file.file_name for file in state.files] == ["a.mp4"]
    assert [fact.type for fact in state.history.facts] == [801, 802, 311, 312]
    assert [name for name, _, _ in store.emitted()] == [done.name]


def test_one_id_in_two_families_is_two_jobs(store: Store) -> None:
    """A relay may record, too."""
    store.put(event(401, "j", group=4, Url="rtmp://h/k", Status=2), event(302, "j", LeaveCode=0))
    work()
    assert state_of(store, "relay").history.end is None
    assert state_of(store, "recording").history.end is not None
    assert {(kind, job_id) for _, kind, job_id in indexed(store)} == {("relay", "j"), ("recording", "j")}
