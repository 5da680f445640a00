"""People who enter and leave rooms while recordings run, and what recordings and callbacks make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from airflow_trtc.emulator import lives
from airflow_trtc.emulator.events import LEFT, Event, arrivals, departures
from airflow_trtc.emulator.history import History
from airflow_trtc.emulator.lives import Life
from airflow_trtc.emulator.recordings import Recording, anchors_of, follow_room
from airflow_trtc.emulator.rooms import Room
from airflow_trtc.emulator.state import State
from airflow_trtc.emulator.usage import Book


def move(
    state: State,
    room: Room,
    *,
    enter: Sequence[str] = (),
    leave: Sequence[str] = (),
    now: float,
    reason: int = LEFT,
) -> list[str]:
    """Let these anchors leave and those enter, and return who is in the room then.

    Who is there already does not enter again. Before the first move in a room, those are in it whom its
    running recordings and jobs have as participants.

    :param reason: why they leave, as the events say.
    :raises ValueError: one who shall leave is not in the room.
    """
    recordings = [each for each in state.running(now) if each.recipe.room == room]
    is_told = room in state.rooms or any(each.started_at is not None for each in recordings)
    there = _people(state, room, recordings, now)
    if absent := [each for each in leave if each not in there]:
        raise ValueError(f"{', '.join(absent)} not in {room}; there are: {', '.join(there) or 'none'}")
    if not (enter or leave):
        return there
    left = list(dict.fromkeys(leave))
    stayed = [each for each in there if each not in left]
    entered = [each for each in dict.fromkeys(enter) if each not in stayed]
    state.rooms[room] = [*stayed, *entered]
    state.part(Book).move(room, entered=state.rooms[room], left=left, now=now)
    state.part(History).move(room, there=state.rooms[room], now=now)
    for each in recordings:
        follow_room(each, state.rooms[room], now)
        state.follow(each, now)
    for life in [each for each in state.lives(now) if each.room == room]:
        lives.follow_room(life, state.rooms[room], now)
        state.follow_id(life.job_id, now)
    for follow in state.room_followers:
        follow(room, state.rooms[room], now)
    skew = state.clock_skew_seconds
    events = chain(
        arrivals(room, () if is_told else there, now, skew=skew, is_first=True),
        departures(room, left, now, skew=skew, is_last=not stayed, reason=reason),
        arrivals(room, entered, now, skew=skew, is_first=not stayed),
    )
    if state.settings.room_events or any(each.callback_plan.room_events for each in recordings):
        _report(state, room, events)
    return list(state.rooms[room])


def join_life(state: State, life: Life, now: float) -> None:
    """Let a new job see who is in its room, if anyone was ever moved there."""
    anchors = None if life.room is None else state.rooms.get(life.room)
    if anchors is not None:
        life.users.clear()
        lives.follow_room(life, anchors, now)


def join(state: State, recording: Recording, now: float) -> None:
    """Let a new recording see who is in its room, if anyone was ever moved there."""
    anchors = state.rooms.get(recording.recipe.room)
    if anchors is not None:
        follow_room(recording, anchors, now)


def _people(state: State, room: Room, recordings: Sequence[Recording], now: float) -> list[str]:
    if room in state.rooms:
        return list(state.rooms[room])
    recorded = [anchors_of(each, now) for each in recordings]
    others = [lives.anchors_of(each) for each in state.lives(now) if each.room == room]
    return list(dict.fromkeys(user for users in (*recorded, *others) for user in users))


def _report(state: State, room: Room, events: Iterator[Event]) -> None:
    if state.callbacks.url is None:
        return
    for event in events:
        state.callbacks.send(event, None, room.sdk_app_id)
    state.on_news()
