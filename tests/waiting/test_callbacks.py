"""The trigger with callbacks: a store in memory, written as the API server writes it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

import pytest

from airflow_trtc.cloud.poller import Answer
from airflow_trtc.emulator import Emulator
from airflow_trtc.jobs.callback import parse_event
from airflow_trtc.jobs.observation import RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn, to_json
from airflow_trtc.jobs.verdict import Finished, Rules
from airflow_trtc.journal import feed
from airflow_trtc.journal import store as journal_store
from airflow_trtc.journal.feed import FeedReader
from airflow_trtc.journal.keys import (
    ENTRIES_PER_PAGE,
    LOG_KEY,
    Rows,
    job_fields,
    job_from,
    log_page,
    log_page_key,
)
from airflow_trtc.journal.plans import drive, load_plan, save_plan
from airflow_trtc.journal.store import AsyncJournal
from airflow_trtc.recording.judge import judge
from airflow_trtc.triggers import TrtcRecordingTrigger
from airflow_trtc.waiting.polls import PollSubscription

Story: TypeAlias = "Callable[[Scene], Awaitable[None]]"


START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class ToldStore:
    """A journal in memory; `tell` does what the API server does with a callback."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.is_broken = False

    def get(self, key: str, default: Any = None) -> Any:
        if self.is_broken:
            raise RuntimeError("database is away")
        return json.loads(self.rows[key]) if key in self.rows else default

    def set(self, key: str, value: Any) -> None:
        self.rows[key] = json.dumps(value)

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.set(key, value)

    def tell(
        self,
        recording: Rows,
        event_type: int,
        payload: dict[str, Any] | None = None,
        *,
        is_logged: bool = True,
        ago_seconds: float = 0.0,
    ) -> None:
        at = datetime.now(timezone.utc) - timedelta(seconds=ago_seconds)
        at_ms = round(at.timestamp() * 1000)
        info = {"TaskId": recording.job.job_id, "EventMsTs": at_ms, "Payload": payload or {}}
        event = {"EventGroupId": 3, "EventType": event_type, "EventInfo": info}
        known = drive(load_plan(recording.callbacks, recording.job.job_id), self)
        drive(save_plan(recording.callbacks, learn(known, parse_event(event), at)), self)
        if is_logged:
            self._log(recording, at_ms, event)

    def _log(self, recording: Rows, at_ms: int, event: dict[str, Any]) -> None:
        seq = self.get(LOG_KEY, {"seq": 0})["seq"] + 1
        key = log_page_key(log_page(seq))
        page = self.get(key) if (seq - 1) % ENTRIES_PER_PAGE else {"v": 1, "entries": []}
        page["entries"].append(
            {"seq": seq, **job_fields(recording.job), "received_at_ms": at_ms, "event": event}
        )
        self.set(key, page)
        self.set(LOG_KEY, {"v": 1, "seq": seq})

    def due(self) -> list[dict[str, Any]]:
        return [json.loads(value) for key, value in self.rows.items() if key.startswith("due/")]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ToldStore:
    told = ToldStore()
    monkeypatch.setattr(journal_store, "trigger_store", lambda: told)
    monkeypatch.setattr(feed, "trigger_store", lambda: told)
    monkeypatch.setattr(feed, "READ_SECONDS", 0.02)
    return told


class Scene:
    """One recording that runs, and a trigger that has seen it."""

    def __init__(self, emulator: Emulator, store: ToldStore) -> None:
        self.emulator, self.store = emulator, store
        self.recording_id = emulator.add_recording(files=1)
        self.rows = Rows(JobRef("recording", emulator.sdk_app_id, emulator.region, self.recording_id))

    def tell(self, event_type: int, payload: dict[str, Any] | None = None, **options: Any) -> None:
        self.store.tell(self.rows, event_type, payload, **options)

    @property
    def looks(self) -> int:
        return int(self.emulator.truth(self.recording_id)["reads"])

    def watch(
        self, story: Callable[[Scene], Awaitable[None]] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Let the trigger run beside the story; return its only event."""
        place = {"sdk_app_id": self.rows.job.sdk_app_id, "region": self.rows.job.region, "since": 0}
        pace = {
            "poke_interval": 600.0,
            "settle_seconds": 0.1,
            "grace_seconds": 0.2,
            "deferred_at": time.time(),
        }
        trigger = TrtcRecordingTrigger(recording_id=self.recording_id, **{**place, **pace, **options})

        async def play() -> list[dict[str, Any]]:
            async def events() -> list[dict[str, Any]]:
                return [event.payload async for event in trigger.run()]

            running = asyncio.create_task(events())
            await asyncio.sleep(0.1)
            if story is not None:
                await story(self)
            return await asyncio.wait_for(running, 20)

        (payload,) = asyncio.run(play())
        return payload


@pytest.fixture
def scene(trtc_connection: Emulator, store: ToldStore) -> Scene:
    return Scene(trtc_connection, store)


def names(payload: dict[str, Any]) -> list[str]:
    return [file["file_name"] for file in payload["known"]["files"]]


def test_a_callback_ends_the_wait_without_any_look(scene: Scene) -> None:
    async def story(scene: Scene) -> None:
        scene.tell(302, {"LeaveCode": 0})

    payload = scene.watch(story)
    assert (payload["status"], payload["outcome"], payload["problems"]) == ("finished", "callback", [])
    assert scene.looks == 0
    assert scene.store.due() == []


def test_a_callback_between_the_workers_look_and_the_start_is_heard(scene: Scene) -> None:
    scene.tell(302, {"LeaveCode": 0})
    assert scene.watch()["outcome"] == "callback"


def test_a_callback_that_the_log_no_longer_has_is_read_from_its_row(scene: Scene) -> None:
    scene.tell(302, {"LeaveCode": 0}, is_logged=False)
    assert scene.watch(since=None)["outcome"] == "callback"


def test_an_end_that_only_looks_found_is_announced(scene: Scene) -> None:
    scene.emulator.script(scene.recording_id, [{"files": 1}, {"gone": True}])
    payload = scene.watch(poke_interval=0.05, grace_seconds=20.0)
    assert payload["outcome"] == "gone"
    (due,) = scene.store.due()
    assert (due["job_id"], due["region"]) == (scene.recording_id, scene.emulator.region)
    # Who judges there has only the row; the second look, which made sure, told nothing new.
    job = job_from(due)
    assert job is not None
    known = drive(load_plan(Rows(job).polls, scene.recording_id), scene.store)
    assert isinstance(judge(known, Rules(), datetime.now(timezone.utc)), Finished)


def test_an_end_that_looks_found_is_announced_before_the_rest_is_there(scene: Scene) -> None:
    """Whoever waits for the end only must not wait for the upload."""
    scene.emulator.script(scene.recording_id, [{"files": 1}, {"gone": True}])

    async def story(scene: Scene) -> None:
        await asyncio.sleep(1.0)
        (due,) = scene.store.due()
        assert due["outcome"] == "gone"
        scene.tell(305, {"Status": 0})

    scene.watch(story, poke_interval=0.05, wait_for="upload")
    assert len(scene.store.due()) == 1


@pytest.mark.parametrize("deferred_seconds", [0.0, 3600.0], ids=["first start", "restart"])
def test_a_look_that_is_quicker_than_the_reader_ends_nothing_before_callbacks_were_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, deferred_seconds: float
) -> None:
    """Thousands of triggers that start keep the reader from reading, while the answer comes at once."""

    async def never(self: FeedReader) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FeedReader, "_read", never)
    scene.emulator.script(scene.recording_id, [{"gone": True}])
    scene.tell(301, {"Status": 1})
    known = to_json(JobState(scene.recording_id, first_seen_at=datetime(2026, 1, 1, tzinfo=timezone.utc)))
    payload = scene.watch(poke_interval=0.5, known=known, deferred_at=time.time() - deferred_seconds)
    assert (payload["status"], payload["failure"]) == ("failed", "recording")
    assert "did not start" in payload["reason"]


def test_what_is_heard_while_the_journal_is_read_at_the_end_counts(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart the first reading may end just then, and nobody is late any more."""
    begun = asyncio.Event()
    read, load = FeedReader._read, AsyncJournal.load

    async def read_then(self: FeedReader) -> None:
        await begun.wait()
        await read(self)

    async def load_slowly(self: AsyncJournal, known: JobState) -> JobState:
        begun.set()
        await asyncio.sleep(0.5)
        return await load(self, known)

    monkeypatch.setattr(FeedReader, "_read", read_then)
    monkeypatch.setattr(AsyncJournal, "load", load_slowly)
    scene.emulator.script(scene.recording_id, [{"gone": True}])
    scene.tell(301, {"Status": 1})
    known = to_json(JobState(scene.recording_id, first_seen_at=datetime(2026, 1, 1, tzinfo=timezone.utc)))
    payload = scene.watch(poke_interval=0.5, known=known, deferred_at=time.time() - 3600)
    assert (payload["status"], payload["failure"]) == ("failed", "recording")


def test_what_is_heard_during_the_last_look_counts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def last(self: PollSubscription) -> list[Answer]:
        scene.tell(302, {"LeaveCode": 0})
        await asyncio.sleep(2.5)  # the service is away, and the callback is heard
        return []

    monkeypatch.setattr(PollSubscription, "last", last)
    payload = scene.watch(timeout_at=time.time() + 0.5, poke_interval=600.0)
    assert (payload["status"], payload.get("outcome")) == ("finished", "callback")


def test_files_named_by_callbacks_are_handed_on(scene: Scene) -> None:
    async def story(scene: Scene) -> None:
        scene.tell(307, {"FileName": "late.m3u8", "UserId": "a", "TrackType": "audio"})
        scene.tell(302, {"LeaveCode": 0})

    assert names(scene.watch(story)) == ["late.m3u8"]


def test_after_the_end_it_asks_no_more_and_waits_for_the_upload(scene: Scene) -> None:
    scene.emulator.script(scene.recording_id, [{"files": 1}, {"gone": True}])

    async def story(scene: Scene) -> None:
        await asyncio.sleep(1.0)
        assert scene.emulator.truth(scene.recording_id)["ended_at"]
        looks = scene.looks
        await asyncio.sleep(0.3)
        assert scene.looks == looks
        scene.tell(305, {"Status": 0})

    payload = scene.watch(story, poke_interval=0.05, wait_for="upload")
    assert payload["status"] == "finished"
    assert len(names(payload)) == 1


def test_a_missing_callback_is_looked_for_in_the_journal_before_the_wait_fails(scene: Scene) -> None:
    """The row has it, although nobody could hear it."""
    scene.tell(302, {"LeaveCode": 0}, ago_seconds=60)

    async def story(scene: Scene) -> None:
        scene.tell(305, {"Status": 0}, is_logged=False)

    assert scene.watch(story, wait_for="upload", callback_timeout_seconds=61.5)["status"] == "finished"


def test_a_missing_callback_is_looked_for_before_the_wait_ends_without_it(scene: Scene) -> None:
    scene.tell(302, {"LeaveCode": 0}, ago_seconds=60)

    async def story(scene: Scene) -> None:
        scene.tell(305, {"Status": 0}, is_logged=False)

    options = {"wait_for": "upload", "callback_timeout_seconds": 61.5, "finish_if_no_callback": True}
    assert scene.watch(story, **options)["problems"] == []


def test_what_was_told_while_no_triggerer_ran_counts(scene: Scene) -> None:
    """The trigger starts after the time for the callback is over; it came in time."""
    scene.tell(302, {"LeaveCode": 0}, ago_seconds=7200)
    known = to_json(drive(load_plan(scene.rows.callbacks, scene.recording_id), scene.store))
    scene.tell(305, {"Status": 0}, ago_seconds=7190, is_logged=False)
    payload = scene.watch(known=known, wait_for="upload", finish_if_no_callback=True)
    assert (payload["status"], payload["problems"]) == ("finished", [])


@pytest.mark.parametrize("finishes", [False, True])
def test_a_journal_that_cannot_be_read_lacks_no_callback(scene: Scene, finishes: bool) -> None:
    scene.tell(302, {"LeaveCode": 0}, ago_seconds=60)

    async def story(scene: Scene) -> None:
        await asyncio.sleep(0.3)
        scene.store.is_broken = True
        await asyncio.sleep(1.5)  # the time for the callback is over meanwhile
        scene.store.is_broken = False
        scene.tell(305, {"Status": 0}, is_logged=False)

    options = {"wait_for": "upload", "callback_timeout_seconds": 61.0, "finish_if_no_callback": finishes}
    payload = scene.watch(story, poke_interval=0.1, **options)
    assert (payload["status"], payload["problems"]) == ("finished", [])


def test_who_only_listens_reads_the_journal_now_and_then(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the interval of looks is."""
    scene.tell(302, {"LeaveCode": 0}, ago_seconds=60)
    reads: list[str] = []
    monkeypatch.setattr(scene.store, "aget", _counting(scene.store.aget, scene.rows.callbacks, reads))
    scene.watch(poke_interval=0.0, wait_for="vod", timeout_at=time.time() + 2.5)
    assert 1 <= len(reads) <= 6


def _counting(aget: Any, key: str, reads: list[str]) -> Any:
    async def count(asked: str, default: Any = None) -> Any:
        reads.extend([asked] * (asked == key))
        return await aget(asked, default)

    return count


def test_a_callback_that_never_comes_is_told_as_such(scene: Scene) -> None:
    scene.tell(302, {"LeaveCode": 0}, ago_seconds=60)
    payload = scene.watch(wait_for="vod", callback_timeout_seconds=60.5)
    assert (payload["status"], payload["failure"]) == ("failed", "no_callback")
    payload = scene.watch(wait_for="vod", callback_timeout_seconds=60.5, finish_if_no_callback=True)
    assert [problem["kind"] for problem in payload["problems"]] == ["no_callback"]


def test_a_bad_end_is_told_as_such(scene: Scene) -> None:
    scene.tell(302, {"LeaveCode": 100}, ago_seconds=5)
    assert scene.watch()["failure"] == "recording"
    payload = scene.watch(fail_on=[])
    assert [problem["kind"] for problem in payload["problems"]] == ["interrupted"]


def test_a_restarted_trigger_remembers_what_the_one_before_saw(scene: Scene) -> None:
    file = RecordedFile("early.m3u8", "a", "audio", 1)
    seen = learn(JobState(scene.recording_id), Snapshot(scene.recording_id, "InProgress", (file,)), START)
    drive(save_plan(scene.rows.polls, seen), scene.store)

    async def story(scene: Scene) -> None:
        scene.tell(302, {"LeaveCode": 0})

    assert names(scene.watch(story, deferred_at=time.time() - 400)) == ["early.m3u8"]


def test_a_wait_that_callbacks_end_reads_and_writes_nothing_for_itself(scene: Scene) -> None:
    """The supervisor answers one question at a time; with a thousand waits each of them counts."""
    keys: list[str] = []
    read = scene.store.get

    def noted(key: str, default: Any = None) -> Any:
        keys.append(key)
        return read(key, default)

    async def story(scene: Scene) -> None:
        scene.tell(302, {"LeaveCode": 0})
        scene.store.get = noted  # type: ignore[method-assign]

    assert scene.watch(story)["outcome"] == "callback"
    assert {key.partition("/")[0] for key in keys} == {"log"}


def test_a_store_that_fails_leaves_the_wait_to_looks(scene: Scene) -> None:
    scene.store.is_broken = True
    scene.emulator.script(scene.recording_id, [{"files": 1}, {"gone": True}])
    assert scene.watch(poke_interval=0.05)["outcome"] == "gone"


def test_time_over_is_told_also_while_it_only_listens(scene: Scene) -> None:
    scene.tell(302, {"LeaveCode": 0}, ago_seconds=60)
    payload = scene.watch(wait_for="vod", timeout_at=time.time() + 0.5)
    assert (payload["status"], payload["limit"]) == ("timed_out", "timeout")
