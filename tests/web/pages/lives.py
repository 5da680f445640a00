"""Lives of jobs for tests of pictures, told as polls and callbacks."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_trtc.jobs.callback import Callback, parse
from airflow_trtc.jobs.history import NO_CALLBACKS, CallbackFact, add_callback
from airflow_trtc.jobs.observation import Observation, RecordedFile, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.web.pages.life import Attempt, JobLife, StateChange, TaskLife

APP = 1400000001
START = datetime(2026, 11, 30, 14, tzinfo=timezone.utc)
ID = "rec-1"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def ms(minutes: float) -> int:
    return round(at(minutes).timestamp() * 1000)


def told(
    kind: int, minutes: float, *, group: int = 3, late: float = 1.0, **payload: Any
) -> tuple[Callback, datetime]:
    """A callback, and when it was received."""
    info = {"RoomId": "77", "EventMsTs": ms(minutes), "UserId": "robot", "TaskId": ID, "Payload": payload}
    body = {"EventGroupId": group, "EventType": kind, "CallbackTs": ms(minutes), "EventInfo": info}
    return parse(json.dumps(body).encode()), at(minutes) + timedelta(seconds=late)


def file(user: str, track: str, minutes: float, *, media: str = "main", recovery: int = 0) -> RecordedFile:
    """An index file, as the service lists it."""
    name = b64encode(user.encode()).decode().replace("/", "-").replace("=", ".")
    head = f"ha{recovery}_" if recovery else ""
    name = f"{head}{APP}_77__UserId_s_{name}__UserId_e_{media}_{track}_{round(minutes * 10) % 1000}.m3u8"
    return RecordedFile(name, user, track, ms(minutes))


def seen(status: str, minutes: float, *files: RecordedFile) -> tuple[Snapshot, datetime]:
    """A poll that showed the job."""
    return Snapshot(ID, status, files), at(minutes)


def life(
    *story: tuple[Observation, datetime], kind: str = "recording", tasks: Iterable[TaskLife] = ()
) -> JobLife:
    """What is known after all that."""
    state, facts = JobState(ID), list[CallbackFact]()
    for observation, when in story:
        state = learn(state, observation, when)
        if isinstance(observation, Callback):
            facts += add_callback(NO_CALLBACKS, observation, when).facts
    return JobLife(JobRef(kind, APP, "ap-guangzhou", ID), state, tuple(facts), tasks=tuple(tasks))


def task(*states: tuple[float, str, int], state: str, ended: float | None = None) -> TaskLife:
    """A task instance with its states: minutes, state, try."""
    changes = tuple(StateChange(at(minutes), word, number) for minutes, word, number in states)
    number = states[-1][2]
    begin = min(minutes for minutes, _, attempt in states if attempt == number)
    times = at(begin - 0.2), at(begin - 0.1), at(begin), None if ended is None else at(ended)
    last = Attempt(number, state, *times)
    return TaskLife("lessons", "run-1", "wait", -1, "", (last,), changes)
