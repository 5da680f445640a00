"""Judges, by the emulator's bill, the recordings that Airflow started itself. Pure.

What the operators promise, and so what is checked of each room that Airflow records:

* **No room is recorded twice at the same time**, whatever was killed between a request and its answer.
* **No recording outlives its owner.** That of a teardown is over when the teardown has succeeded. That of a
  task which owns it is over when the task has ended, or ``WATCH_SECONDS`` later: where no process of the task
  was left to stop it, the API server's watch does so. It compares owners with tasks every 15 seconds, acts at
  the second look, and one of the two API servers may just have been killed: 45 seconds, and 15 for a machine
  that is busy. Trouble in that time (a fault of the service, or an API server, the balancer or the database
  away) delays it until ``AFTER_TROUBLE_SECONDS`` after the trouble: the pause after a failed stop doubles
  from 15 seconds, no fault of the plan outlasts two of them, and a look may just have passed.
* **None is stopped early**: not before its time was over, unless a person cleared or marked the task. That
  of a try which was told to end, since Airflow had lost it, and after which the next try recorded anew, is
  *doubtful*: it is counted and listed, but no discrepancy.
* **None is stopped that Airflow did not start**, and none is started that no run asked for.
* **The id that is handed on is that of the recording that ran last**, by the start, the sensor, the summary
  and the stop alike.

Whether every file of it is handed on, ``ledger`` says, as for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.soak.ledger import CLOCK_SECONDS, Case, Finding, Grade, Run, Task, Window
from tests.soak.lives import Meddling

WATCH_SECONDS = 60.0
AFTER_TROUBLE_SECONDS = 75.0
REPORT_SECONDS = 2.0
"""Airflow's times of a task's end are those of the process that reports it, not of what it reports."""

Line = Mapping[str, Any]
"""One recording on the bill."""


@dataclass(frozen=True)
class Meddled:
    """What a person did to the task that owned a recording, in Unix seconds.

    :ivar asked_at: when Airflow was asked to do so.
    :ivar done_at: when Airflow had answered.
    """

    what: Meddling
    asked_at: float
    done_at: float


@dataclass(frozen=True)
class RecordedRoom:
    """A room that a run recorded, and all that came of it.

    :ivar lines: its recordings on the bill.
    :ivar stop_after: for how long the task is to record it; None if it is not to stop it at all.
    """

    number: int
    kind: str
    room_id: str
    lines: Sequence[Line]
    run: Run
    stop_after: float | None = None
    meddled: Meddled | None = None

    @property
    def in_order(self) -> list[Line]:
        """The lines, the oldest first."""
        return sorted(self.lines, key=lambda line: line["created_at"])

    @property
    def last_id(self) -> str:
        """The id of the recording that was started last; empty for none."""
        return str(self.in_order[-1]["recording_id"]) if self.lines else ""

    @property
    def is_marked(self) -> bool:
        """Whether a person took the result out of the task's hands."""
        return self.meddled is not None and self.meddled.what != "clear"

    def task(self, task_id: str) -> Task | None:
        """One task of the run that is not mapped."""
        return next((task for task in self.run.tasks if task.task_id == task_id), None)


def check(
    rooms: Iterable[RecordedRoom], others: Iterable[Case], bill: Sequence[Line], troubles: Sequence[Window]
) -> list[Finding]:
    """Everything that is wrong or doubtful.

    :param others: recordings that Airflow only waited for.
    :param bill: all lines of the bill.
    :param troubles: when a stop may have failed, in Unix seconds.
    """
    rooms = list(rooms)
    found = [finding for room in rooms for finding in check_room(room, troubles)]
    return [*found, *_check_strangers(others), *_check_unasked(rooms, bill)]


def check_room(room: RecordedRoom, troubles: Sequence[Window]) -> Iterator[Finding]:
    """Everything that is wrong or doubtful about one room."""
    lines = room.in_order
    yield from _check_doubled(room, lines)
    for index, line in enumerate(lines):
        yield from _check_end(room, line, troubles)
        yield from _check_early(room, line, is_last=index == len(lines) - 1)
    if not room.is_marked:
        yield from _check_ids(room)


def stop_deadline(owner_ended_at: float, troubles: Iterable[Window]) -> float:
    """Until when the recording of an owner that ended then has to be stopped, in Unix seconds."""
    deadline = owner_ended_at + WATCH_SECONDS
    for begin, end in sorted(troubles):
        if begin <= deadline and end >= owner_ended_at:
            deadline = max(deadline, end + AFTER_TROUBLE_SECONDS)
    return deadline


def _finding(room: RecordedRoom, kind: str, text: str, recording_id: str, grade: Grade = "wrong") -> Finding:
    return Finding(kind, f"{room.kind}, room {room.room_id}: {text}", recording_id, room.run.run_id, grade)


def _check_doubled(room: RecordedRoom, lines: Sequence[Line]) -> Iterator[Finding]:
    runs_until = float("-inf")
    for line in lines:
        if (over := runs_until - line["created_at"]) > CLOCK_SECONDS:
            text = f"started while another one went on for {over:.1f} s"
            yield _finding(room, "recorded twice", text, line["recording_id"])
        ended_at = float("inf") if line["ended_at"] is None else line["ended_at"]
        runs_until = max(runs_until, ended_at)


def _check_end(room: RecordedRoom, line: Line, troubles: Sequence[Window]) -> Iterator[Finding]:
    ended_at, recording_id = line["ended_at"], line["recording_id"]
    if ended_at is None:
        # No id was handed on, so Airflow has nothing to stop: a limit that the documentation states.
        start = room.task("start")
        grade: Grade = "doubtful" if start is not None and start.state == "failed" else "wrong"
        yield _finding(room, "runs on", "it has not ended", recording_id, grade)
    elif (until := _latest_end(room, line, troubles)) is not None and ended_at > until:
        yield _finding(room, "runs on", f"it ended {ended_at - until:.1f} s too late", recording_id)


def _latest_end(room: RecordedRoom, line: Line, troubles: Sequence[Window]) -> float | None:
    """When a recording has to be over; None when its owner has not ended, which the ledger finds."""
    if (stop := room.task("stop")) is not None:
        is_stopped = stop.state == "success" and stop.ended_at is not None
        return stop.ended_at + REPORT_SECONDS if is_stopped and stop.ended_at is not None else None
    owner, meddled = room.run.wait, room.meddled
    ended_at = owner.ended_at if owner is not None else None
    if meddled is not None and line["created_at"] < meddled.asked_at:
        ended_at = meddled.done_at if ended_at is None else min(ended_at, meddled.done_at)
    return None if ended_at is None else stop_deadline(ended_at, troubles)


def _check_early(room: RecordedRoom, line: Line, *, is_last: bool) -> Iterator[Finding]:
    if line["end_reason"] != "deleted" or line["ended_at"] is None:
        return
    early = _stopped_early_by(room, line)
    if early > REPORT_SECONDS:
        text = f"it was stopped {early:.1f} s before its time"
        grade: Grade = "wrong" if is_last else "doubtful"
        yield _finding(room, "stopped early", text, line["recording_id"], grade)


def _stopped_early_by(room: RecordedRoom, line: Line) -> float:
    """How long before its time a recording was stopped, in seconds; nothing or less if it was not."""
    ended_at: float = line["ended_at"]
    if (lesson := room.task("lesson")) is not None:
        return 0.0 if lesson.ended_at is None else lesson.ended_at - ended_at
    meddled, owner = room.meddled, room.run.wait
    if meddled is not None and line["created_at"] < meddled.asked_at <= ended_at + CLOCK_SECONDS:
        return 0.0
    if owner is not None and owner.state == "failed":
        return 0.0  # the ledger finds that
    if room.stop_after is None:
        return float("inf")
    due_at: float = line["created_at"] + room.stop_after
    return due_at - ended_at


def _check_ids(room: RecordedRoom) -> Iterator[Finding]:
    wait = room.run.wait
    if wait is None or wait.state != "success" or room.run.summary is None:
        return  # the ledger finds that
    handed_on = {"the summary": room.run.summary["recording_id"]}
    if (start := room.task("start")) is not None:
        handed_on["the start"] = start.returned
    if (stop := room.task("stop")) is not None and stop.state == "success":
        handed_on["the stop"] = (stop.returned or {}).get("recording_id")
    for name, recording_id in handed_on.items():
        if recording_id != room.last_id:
            yield _finding(room, "wrong recording", f"{name} names {recording_id}", room.last_id)


def _check_strangers(others: Iterable[Case]) -> Iterator[Finding]:
    for case in others:
        if case.truth is not None and case.truth["stopped_by"] is not None:
            text = f"{case.kind}: nobody asked Airflow to stop it"
            yield Finding("stopped a stranger's", text, case.recording_id)


def _check_unasked(rooms: Sequence[RecordedRoom], bill: Sequence[Line]) -> Iterator[Finding]:
    asked = {room.room_id for room in rooms}
    for line in bill:
        if line["room_id"] not in asked or line["is_string_room"]:
            name = f"{'string' if line['is_string_room'] else 'numeric'} room {line['room_id']}"
            yield Finding("unasked", f"no run was to record {name}", line["recording_id"])
