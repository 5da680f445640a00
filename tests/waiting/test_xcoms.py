"""What a trigger writes as XCom: by the user's backend, beside the event loop, and not too often."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.comms import GetXCom, SetXCom, XComResult

from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.waiting import xcoms
from airflow_trtc.waiting.progress import PROGRESS_XCOM, SharedProgress, ShownWait

JOB = JobRef("recording", 1400000001, "ap-guangzhou", "rid")
IDS = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1}


class ObjectStore(BaseXCom):
    """A backend that keeps values elsewhere and hands on where."""

    kept: list[Any] = []  # noqa: RUF012 - one for all, as a bucket is
    threads: set[str] = set()  # noqa: RUF012

    @staticmethod
    def serialize_value(value: Any, **_: Any) -> str:
        ObjectStore.threads.add(threading.current_thread().name)
        ObjectStore.kept.append(value)
        return f"store://{len(ObjectStore.kept) - 1}"

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        return ObjectStore.kept[int(result.value.removeprefix("store://"))]


class Supervisor:
    """Answers what triggers ask for."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    async def asend(self, message: Any) -> Any:
        if isinstance(message, SetXCom):
            self.rows.append(message.value)
        if isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.rows[-1] if self.rows else None)
        return None


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    fake = Supervisor()
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", fake, raising=False)
    return fake


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> type[ObjectStore]:
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom", ObjectStore)
    ObjectStore.kept, ObjectStore.threads = [], set()
    return ObjectStore


async def write_and_read() -> Any:
    await xcoms.write("key", {"a": 1}, **IDS)
    return await xcoms.read("key", **IDS)


def test_airflows_own_backend_keeps_values_in_the_database(supervisor: Supervisor) -> None:
    assert asyncio.run(write_and_read()) == {"a": 1}
    assert json.loads(json.dumps(supervisor.rows)) == [{"a": 1}]


def test_another_backend_is_used_and_never_in_the_event_loop(
    supervisor: Supervisor, object_store: type[ObjectStore]
) -> None:
    assert asyncio.run(write_and_read()) == {"a": 1}
    assert supervisor.rows == ["store://0"]
    assert threading.current_thread().name not in object_store.threads


def test_there_may_be_no_value(supervisor: Supervisor) -> None:
    assert asyncio.run(xcoms.read("key", **IDS)) is None


def written(states: int) -> int:
    """How many values a progress writes that is asked for each of so many states at once."""

    async def scene() -> int:
        progress = SharedProgress(JOB, IDS, ShownWait(try_number=1), logging.getLogger(PROGRESS_XCOM))
        count = 0
        for number in range(states):
            progress.request(JobState("rid", polls=number))
            await asyncio.sleep(0.12)  # its turn is due after at most a twentieth of a second
            before = progress.due_at
            await progress.write_if_due()
            count += progress.due_at != before
        return count

    return asyncio.run(scene())


def test_an_object_store_gets_progress_rarely(
    supervisor: Supervisor, object_store: type[ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written(3) == len(object_store.kept) == 1
    monkeypatch.setattr(xcoms, "OBJECT_STORE_PAUSE_SECONDS", 0.0)
    assert written(3) == 3


def test_what_is_shown_takes_half_of_the_time_at_most() -> None:
    turns = xcoms.Turns()
    assert [turns.take(100.0) for _ in range(3)] == pytest.approx([100.0, 100.05, 100.1])
    turns.end(100.3, 0.3)  # Airflow is slow
    late = turns.take(100.3)
    assert late == pytest.approx(100.6)
    assert turns.take(100.3) - late == pytest.approx(0.6)
    turns.end(200.0, 60.0)  # it hung
    later = turns.take(200.0)
    assert turns.take(200.0) - later == xcoms.MAX_SPACING_SECONDS
    turns.end(300.0, 0.001)
    quick = turns.take(300.0)
    assert turns.take(300.0) - quick == pytest.approx(1 / xcoms.WRITES_PER_SECOND)


def test_nobody_waits_for_what_another_one_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that did would notice no end meanwhile."""
    shown: list[str] = []

    async def scene() -> None:
        gate = asyncio.Event()

        async def write(key: str, value: Any, **ids: Any) -> None:
            shown.append(ids["run_id"])
            await gate.wait()

        monkeypatch.setattr(xcoms, "write", write)
        log = logging.getLogger(PROGRESS_XCOM)
        one, other = (
            SharedProgress(JOB, {**IDS, "run_id": name}, ShownWait(), log) for name in ("one", "other")
        )
        for each in (one, other):
            each.request(JobState("rid"))
            each.due_at = 0.0
        writing = asyncio.create_task(one.write_if_due())
        await asyncio.sleep(0)
        await other.write_if_due()  # returns, though nobody answers
        assert shown == ["one"]
        assert other.due_at > 0.0
        gate.set()
        await writing
        other.due_at = 0.0
        await other.write_if_due()

    asyncio.run(scene())
    assert shown == ["one", "other"]
