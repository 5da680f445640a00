"""Lessons with an Airflow that only notes what it is asked, and a real emulator."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_trtc.emulator import Emulator
from airflow_trtc.hooks import TrtcHook
from tests.soak.chaos import Diary
from tests.soak.ledger import Run
from tests.soak.lessons import SEEN_SECONDS, Lessons
from tests.soak.lives import ROOM, Lesson, Life


class Stage:
    """What lessons need: calls of Airflow are noted, and what is booked waits until it is done by hand."""

    def __init__(self, emulator: Emulator, diary: Diary) -> None:
        self.emulator = emulator
        self.calls: list[tuple[Any, ...]] = []
        self.booked: list[tuple[float, Any]] = []
        self.state: str | None = "running"
        self.lessons = Lessons(
            self,  # type: ignore[arg-type]
            emulator,
            self,
            diary,
            trigger=lambda life, conf: self.calls.append(("trigger", life.run_id, conf)),
            patiently=lambda call: call(),
            book=lambda at, action: self.booked.append((at, action)),
        )

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return [(self.state,)]

    def clear(self, *arguments: Any, **options: Any) -> None:
        self.calls.append(("clear", *arguments))

    def set_task_state(self, *arguments: Any) -> None:
        self.calls.append(("mark", *arguments))

    def begin(self, **lesson: Any) -> Life:
        life = Life(7, 0.0, "room", ROOM, options=None, lesson=Lesson(60.0, **lesson))
        self.lessons.begin(life)
        return life

    def do_next(self) -> None:
        self.booked.pop(0)[1]()

    def record(self, room_id: str = "8007") -> str:
        """Start a recording over the API, as a task would."""
        hook = TrtcHook("trtc_soak")
        params = {
            "RoomId": room_id,
            "RoomIdType": 1,
            "UserId": "robot",
            "UserSig": hook.user_sig("robot", seconds=60),
            "RecordParams": {"RecordMode": 2},
            "StorageParams": {"CloudVod": {"TencentVod": {}}},
        }
        return hook.start("recording", params)


@pytest.fixture
def stage(trtc_emulator, brisk_start, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_SOAK", trtc_emulator.connection_json)
    diary = Diary(tmp_path / "deeds.jsonl", time.time())
    yield Stage(trtc_emulator, diary)
    diary.close()


def seen(stage, recording_id):
    """Let a recording be polled, long enough ago."""
    TrtcHook("trtc_soak").describe_recording(recording_id)
    return time.time() + SEEN_SECONDS + 1


def test_a_lesson_begins_with_its_room_and_its_length(stage):
    stage.begin()
    assert stage.calls == [("trigger", "soak-0007", {"room_id": "8007", "stop_after": 60.0})]
    assert stage.booked == []


def test_a_room_is_left_when_it_is_recorded_and_not_before(stage):
    before = time.time()
    stage.begin(is_left_empty=True)
    assert stage.calls == [("trigger", "soak-0007", {"room_id": "8007"})]
    assert stage.booked[0][0] >= before + 60
    stage.do_next()
    assert len(stage.booked) == 1  # nothing is recorded yet: later
    stage.record()
    stage.do_next()
    assert stage.emulator.room("8007") == []
    assert stage.booked == []


@pytest.mark.parametrize("what, call", [("clear", "clear"), ("failed", "mark"), ("success", "mark")])
def test_a_person_meddles_only_with_a_task_that_has_seen_its_recording(stage, monkeypatch, what, call):
    stage.begin(meddling=what, meddles_after_seconds=20.0)
    stage.do_next()
    recording_id = stage.record()
    stage.do_next()
    assert [name for name, *_ in stage.calls] == ["trigger"]
    now = seen(stage, recording_id)
    monkeypatch.setattr("tests.soak.lessons.time.time", lambda: now)
    stage.do_next()
    name, dag_id, run_id, *more = stage.calls[-1]
    assert (name, dag_id, run_id) == (call, ROOM, "soak-0007")
    assert more == ([["wait"]] if what == "clear" else ["wait", what])
    meddled = stage.lessons.meddled[7]
    assert (meddled.what, meddled.asked_at) == (what, now)
    assert stage.booked == []


@pytest.mark.parametrize("state", ["queued", "up_for_retry"])
def test_a_person_waits_for_a_task_that_does_not_run(stage, monkeypatch, state):
    stage.state = state
    stage.begin(meddling="failed", meddles_after_seconds=20.0)
    now = seen(stage, stage.record())
    monkeypatch.setattr("tests.soak.lessons.time.time", lambda: now)
    stage.do_next()
    assert len(stage.booked) == 1
    stage.state = "success"
    TrtcHook("trtc_soak").stop("recording", stage.emulator.bill()["running"][0])
    stage.do_next()
    assert (stage.booked, stage.lessons.meddled) == ([], {})


def test_a_refused_request_is_no_meddling(stage, monkeypatch):
    def refuse(*_):
        raise ValueError("refused")

    stage.set_task_state = refuse
    stage.begin(meddling="failed", meddles_after_seconds=20.0)
    now = seen(stage, stage.record())
    monkeypatch.setattr("tests.soak.lessons.time.time", lambda: now)
    with pytest.raises(ValueError, match="refused"):
        stage.do_next()
    assert stage.lessons.meddled == {}


def test_what_came_of_a_room_is_its_part_of_the_bill_and_its_last_recording(stage):
    life = stage.begin()
    first, other, last = stage.record(), stage.record("8008"), stage.record()
    run = Run(ROOM, life.run_id, "success")
    (room,) = stage.lessons.rooms({(ROOM, life.run_id): run}, stage.emulator.bill()["recordings"])
    assert [line["recording_id"] for line in room.in_order] == [first, last]
    assert (room.last_id, room.run, room.stop_after) == (last, run, 60.0)
    (case,) = stage.lessons.cases([room])
    assert (case.recording_id, case.run, case.truth["robot_id"]) == (last, run, "robot")
    assert other not in {line["recording_id"] for line in room.lines}


def test_a_room_that_was_never_recorded_and_a_run_that_is_not_there(stage):
    life = stage.begin(is_left_empty=True)
    (room,) = stage.lessons.rooms({}, [])
    assert (room.run, room.stop_after) == (Run(ROOM, life.run_id, None), None)
    (case,) = stage.lessons.cases([room])
    assert (case.recording_id, case.truth) == ("", None)
