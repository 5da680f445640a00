"""The trigger with a real service and a journal in memory, written as the API server writes it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from airflow_trtc import triggers
from airflow_trtc.emulator import Emulator
from airflow_trtc.jobs.callback import parse_event
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn, to_json
from airflow_trtc.jobs.verdict import Finished, Rules
from airflow_trtc.journal import feed
from airflow_trtc.journal.feed import FeedReader
from airflow_trtc.journal.keys import ENTRIES_PER_PAGE, LOG_KEY, Rows, log_page, log_page_key
from airflow_trtc.journal.plans import drive, load_plan, save_plan
from airflow_trtc.recording.judge import judge
from airflow_trtc.triggers import TrtcJobTrigger
from airflow_trtc.waiting.polls import SharedPolls


class ReportedStore:
    """A journal in memory; `report` does what the API server does with a callback."""

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

    def report(
        self,
        job: JobRef,
        event_type: int,
        payload: dict[str, Any] | None = None,
        *,
        is_logged: bool = True,
        ago_seconds: float = 0.0,
    ) -> None:
        at = datetime.now(timezone.utc) - timedelta(seconds=ago_seconds)
        at_ms = round(at.timestamp() * 1000)
        info = {"TaskId": job.job_id, "EventMsTs": at_ms, "Payload": payload or {}}
        event = {"EventGroupId": 3, "EventType": event_type, "EventInfo": info}
        key = Rows(job).callbacks
        state = drive(load_plan(key, job.job_id), self)
        drive(save_plan(key, job, learn(state, parse_event(event), at)), self)
        if is_logged:
            self._log(job, at_ms, event)

    def _log(self, job: JobRef, at_ms: int, event: dict[str, Any]) -> None:
        seq = self.get(LOG_KEY, {"seq": 0})["seq"] + 1
        key = log_page_key(log_page(seq))
        page: dict[str, Any] = self.get(key) if (seq - 1) % ENTRIES_PER_PAGE else {"v": 1, "entries": []}
        place = {"kind": job.kind, "sdk_app_id": job.sdk_app_id, "job_id": job.job_id}
        page["entries"].append({"seq": seq, **place, "received_at_ms": at_ms, "event": event})
        self.set(key, page)
        self.set(LOG_KEY, {"v": 1, "seq": seq})

    def due(self) -> list[dict[str, Any]]:
        return [json.loads(value) for key, value in self.rows.items() if key.startswith("due/")]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> ReportedStore:
    reported = ReportedStore()
    monkeypatch.setattr(triggers, "trigger_store", lambda: reported)
    monkeypatch.setattr(feed, "FeedReader", partial(FeedReader, read_seconds=0.02))
    return reported


class Scene:
    """One recording that runs, and a trigger that has seen it."""

    def __init__(self, emulator: Emulator, store: ReportedStore) -> None:
        self.emulator, self.store = emulator, store
        self.job = JobRef("recording", emulator.sdk_app_id, emulator.region, emulator.add_recording(files=1))

    def report(self, event_type: int, payload: dict[str, Any] | None = None, **options: Any) -> None:
        self.store.report(self.job, event_type, payload, **options)

    @property
    def polls(self) -> int:
        return int(self.emulator.truth(self.job.job_id)["reads"])

    def wait(
        self, story: Callable[[Scene], Awaitable[None]] | None = None, *, ago: float = 0.0, **options: Any
    ) -> dict[str, Any]:
        """Let the trigger run beside the story; return its only event.

        :param ago: seconds since the task deferred.
        """
        rules = {
            "settle_seconds": 0.1,
            "grace_seconds": 0.2,
            "order_seconds": 0.1,
            **options.pop("rules", {}),
        }
        given = {"feed_position": 0, "is_recalled": True, "poke_interval": 600.0, **options}
        trigger = TrtcJobTrigger(
            kind="recording",
            job_id=self.job.job_id,
            sdk_app_id=self.job.sdk_app_id,
            region=self.job.region,
            rules=rules,
            deferred_at=time.time() - ago,
            **given,
        )

        async def play() -> list[dict[str, Any]]:
            async def events() -> list[dict[str, Any]]:
                return [event.payload async for event in trigger.run()]

            running = asyncio.create_task(events())
            await asyncio.sleep(0.05)
            if story is not None:
                await story(self)
            return await asyncio.wait_for(running, 60)

        (payload,) = asyncio.run(play())
        return payload


@pytest.fixture
def scene(trtc_connection: Emulator, store: ReportedStore) -> Scene:
    return Scene(trtc_connection, store)


def seen_before(scene: Scene) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return to_json(JobState(scene.job.job_id, first_seen_at=at))


def test_a_callback_ends_the_wait_without_any_poll(scene: Scene) -> None:
    async def story(scene: Scene) -> None:
        scene.report(302, {"LeaveCode": 0})

    payload = scene.wait(story)
    assert (payload["status"], payload["outcome"], payload["problems"]) == ("finished", "callback", [])
    assert scene.polls == 0
    assert scene.store.due() == []


def test_a_callback_between_the_workers_poll_and_the_start_is_heard(scene: Scene) -> None:
    scene.report(302, {"LeaveCode": 0})
    assert scene.wait()["outcome"] == "callback"


def test_a_callback_that_the_feed_no_longer_has_is_read_from_its_row(scene: Scene) -> None:
    scene.report(302, {"LeaveCode": 0}, is_logged=False)
    assert scene.wait(feed_position=None)["outcome"] == "callback"


def test_an_end_that_only_polls_found_is_announced(scene: Scene) -> None:
    scene.emulator.script(scene.job.job_id, [{"files": 1}, {"gone": True}])
    payload = scene.wait(poke_interval=0.05, rules={"grace_seconds": 20.0})
    assert payload["outcome"] == "gone"
    (due,) = scene.store.due()
    assert (due["job_id"], due["region"]) == (scene.job.job_id, scene.job.region)
    # The judge in the API server has only the row; the second poll, which made sure, brought nothing new.
    state = drive(load_plan(Rows(scene.job).polls, scene.job.job_id), scene.store)
    assert isinstance(judge(state, Rules(), datetime.now(timezone.utc)), Finished)


@pytest.mark.parametrize("ago", [0.0, 3600.0], ids=["first start", "restart"])
def test_a_poll_that_is_quicker_than_the_reader_ends_nothing_before_callbacks_were_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, ago: float
) -> None:
    """Thousands of triggers that start keep the reader from reading, while the answer comes at once."""

    async def never(self: FeedReader) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FeedReader, "_read", never)
    scene.emulator.script(scene.job.job_id, [{"gone": True}])
    scene.report(301, {"Status": 1})
    payload = scene.wait(poke_interval=0.5, state=seen_before(scene), ago=ago)
    assert (payload["status"], payload["failure"]) == ("failed", "recording")
    assert "did not start" in payload["reason"]


def test_what_is_heard_during_the_last_poll_counts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def last(self: SharedPolls) -> list[Any]:
        scene.report(302, {"LeaveCode": 0})
        await asyncio.sleep(0.5)  # the service is away, and the callback is heard
        return []

    monkeypatch.setattr(SharedPolls, "last", last)
    payload = scene.wait(timeout_at=time.time() + 0.3)
    assert (payload["status"], payload.get("outcome")) == ("finished", "callback")


def test_a_store_that_fails_leaves_the_wait_to_polls(scene: Scene) -> None:
    scene.store.is_broken = True
    scene.emulator.script(scene.job.job_id, [{"files": 1}, {"gone": True}])
    assert scene.wait(poke_interval=0.05)["outcome"] == "gone"
