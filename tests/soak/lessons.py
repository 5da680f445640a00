"""Rooms that Airflow records: begins the runs, and does what people do in the rooms and to the tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from airflow_trtc.emulator import Emulator
from tests.soak.chaos import Diary
from tests.soak.ledger import Case, Run, whole_polls
from tests.soak.lives import Life
from tests.soak.ownership import Line, Meddled, RecordedRoom
from tests.stack.rest import AirflowApi

NEW_RECORDINGS: Mapping[str, Any] = {"files": 4, "file_every_seconds": 12}
"""What becomes of recordings that are started over the API."""

AGAIN_SECONDS = 2.0
SEEN_SECONDS = 3.0
"""A task is meddled with only this long after it saw its recording: before, it may not know the id yet."""
PATIENCE_SECONDS = 300.0

Book = Callable[[float, Callable[[], None]], None]


class Asks(Protocol):
    """What lessons know of Airflow's database."""

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows."""


class Lessons:
    """What is known of each room that Airflow is to record.

    :param trigger: begins a run with this configuration, however long Airflow takes to answer.
    :param patiently: calls until Airflow answers.
    :param book: does something at a time, in Unix seconds.
    """

    def __init__(
        self,
        airflow: AirflowApi,
        emulator: Emulator,
        database: Asks,
        diary: Diary,
        *,
        trigger: Callable[[Life, dict[str, Any]], None],
        patiently: Callable[[Callable[[], None]], None],
        book: Book,
    ) -> None:
        """Take what there is; nothing happens yet."""
        self.lives: dict[int, Life] = {}
        self.meddled: dict[int, Meddled] = {}
        self._airflow = airflow
        self._emulator = emulator
        self._database = database
        self._diary = diary
        self._trigger = trigger
        self._patiently = patiently
        self._book = book

    def begin(self, life: Life) -> None:
        """Begin the run that records the room, and book what is to happen meanwhile."""
        lesson = life.lesson
        assert lesson is not None
        self.lives[life.number] = life
        self._diary.note("lesson", number=life.number, kind=life.kind, dag_id=life.dag_id)
        conf: dict[str, Any] = {"room_id": life.room_id}
        if not lesson.is_left_empty:
            conf["stop_after"] = lesson.seconds
        self._trigger(life, conf)
        now = time.time()
        if lesson.is_left_empty:
            self._book(now + lesson.seconds, lambda: self._leave(life))
        if lesson.meddling is not None:
            give_up_at = now + PATIENCE_SECONDS
            self._book(now + lesson.meddles_after_seconds, lambda: self._meddle(life, give_up_at))

    def rooms(self, runs: Mapping[tuple[str, str], Run], bill: Iterable[Line]) -> list[RecordedRoom]:
        """What came of each room.

        :param bill: the lines of the emulator's bill.
        """
        lines = list(bill)
        return [
            RecordedRoom(
                life.number,
                life.kind,
                life.room_id,
                [line for line in lines if line["room_id"] == life.room_id],
                runs.get(_name(life)) or Run(*_name(life), None),
                None if life.lesson is None or life.lesson.is_left_empty else life.lesson.seconds,
                self.meddled.get(life.number),
            )
            for life in self.lives.values()
        ]

    def cases(self, rooms: Iterable[RecordedRoom]) -> list[Case]:
        """The last recording of each room, and the run whose files have to be those of it."""
        return [
            Case(
                room.number,
                room.kind,
                room.last_id,
                self._emulator.truth(room.last_id) if room.last_id else None,
                None if room.is_marked else room.run,
            )
            for room in rooms
        ]

    def _running(self, life: Life) -> str | None:
        """The id of the recording of the room that runs at present."""
        running: list[str] = self._emulator.bill(life.room_id)["running"]
        return running[-1] if running else None

    def _leave(self, life: Life) -> None:
        """Let everybody leave the room, once it is recorded; else it would be recorded for ever."""
        if self._running(life) is not None:
            self._diary.note("leave", number=life.number, room_id=life.room_id)
            self._emulator.room(life.room_id, leave=self._emulator.room(life.room_id))
        elif not self._is_over(life):
            self._book(time.time() + AGAIN_SECONDS, lambda: self._leave(life))

    def _meddle(self, life: Life, give_up_at: float) -> None:
        """Clear or mark the task, once it has seen its recording."""
        now, recording_id = time.time(), self._running(life)
        is_seen = recording_id is not None and whole_polls(
            self._emulator.truth(recording_id), now - SEEN_SECONDS
        )
        if is_seen and self._state(life) in ("running", "deferred"):
            self._do(life)
        elif now < give_up_at and not self._is_over(life):
            self._book(now + AGAIN_SECONDS, lambda: self._meddle(life, give_up_at))
        else:
            self._diary.note("nobody to meddle with", number=life.number)

    def _do(self, life: Life) -> None:
        assert life.lesson is not None
        assert life.lesson.meddling is not None
        (dag_id, run_id), what, asked_at = _name(life), life.lesson.meddling, time.time()
        self._diary.note("meddle", number=life.number, what=what, dag_id=dag_id, run_id=run_id)
        if what == "clear":
            self._patiently(lambda: self._airflow.clear(dag_id, run_id, ["wait"], include_downstream=True))
        else:
            self._patiently(lambda: self._airflow.set_task_state(dag_id, run_id, "wait", what))
        self.meddled[life.number] = Meddled(what, asked_at, time.time())

    def _state(self, life: Life) -> str | None:
        statement = "SELECT state FROM task_instance WHERE dag_id = %s AND run_id = %s AND task_id = 'wait'"
        rows = self._database.ask(statement, *_name(life))
        return rows[0][0] if rows else None

    def _is_over(self, life: Life) -> bool:
        return self._state(life) in ("success", "failed", "upstream_failed", "skipped", "removed")


def _name(life: Life) -> tuple[str, str]:
    assert life.dag_id is not None
    return life.dag_id, life.run_id
