"""The judgement by the bill finds what it is there to find, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak import ownership
from tests.soak.ledger import Case, Run, Task
from tests.soak.ownership import AFTER_TROUBLE_SECONDS, WATCH_SECONDS, Meddled, RecordedRoom

T = 1_800_000_000.0


def line(recording_id="rid", begin=0.0, end=60.0, reason="deleted", **more):
    ended_at = None if end is None else T + end
    return {
        "recording_id": recording_id, "room_id": "8001", "is_string_room": False,
        "created_at": T + begin, "ended_at": ended_at, "end_reason": None if end is None else reason,
        **more,
    }  # fmt: skip


def owner(state="success", ended_at=63.0, recording_id="rid"):
    """The run of a task that owns its recording."""
    summary = {"recording_id": recording_id} if state == "success" else None
    at = None if ended_at is None else T + ended_at
    return Run("deferrable_room", "run", state, tasks=[Task("wait", -1, state, ended_at=at)], summary=summary)


def between(start="rid", stop="rid", stop_state="success", lesson_ended_at=58.0, stopped_at=61.0):
    """The run of a start and a stop."""
    tasks = [
        Task("wait", -1, "success", ended_at=T + 66),
        Task("start", -1, "success", ended_at=T + 1, returned=start),
        Task("lesson", -1, "success", ended_at=T + lesson_ended_at),
        Task("stop", -1, stop_state, ended_at=T + stopped_at, returned={"recording_id": stop}),
    ]
    return Run("start_and_stop", "run", "success", tasks=tasks, summary={"recording_id": "rid"})


def room(lines=None, run=None, stop_after=60.0, meddled=None):
    given = [line()] if lines is None else lines
    return RecordedRoom(1, "room", "8001", given, run or owner(), stop_after, meddled)


def findings(room, troubles=(), others=(), bill=None):
    found = ownership.check([room], others, room.lines if bill is None else bill, troubles)
    return [(each.kind, each.grade) for each in found]


def test_all_is_well():
    assert findings(room()) == []
    assert findings(room(run=between())) == []
    assert findings(room([line(end=45.0, reason="idle")], stop_after=None)) == []


# -- twice at the same time -----------------------------------------------------------------------------


def test_two_recordings_of_a_room_at_the_same_time():
    twice = [line("old", 0, 30), line(begin=20)]
    assert ("recorded twice", "wrong") in findings(room(twice, stop_after=20.0))
    assert ("recorded twice", "wrong") in findings(room([*reversed(twice)], stop_after=20.0))


def test_a_short_one_does_not_hide_a_long_one():
    last = owner(recording_id="c")
    long, short = line("a", 0, 55, "ended"), line("b", 50, 52, "ended")
    assert findings(room([long, short, line("c", 53, 60, "ended")], last)) == [
        ("recorded twice", "wrong"),
        ("recorded twice", "wrong"),
    ]
    assert findings(room([long, line("c", 55, 60, "ended")], last)) == []


def test_a_robot_that_replaces_its_older_recording_records_once():
    lines = [line("old", 0, 3, "replaced"), line(begin=3, end=63)]
    assert findings(room(lines)) == []
    assert findings(room([*reversed(lines)])) == []


# -- running on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [owner(), between(), owner("failed")])
def test_a_recording_that_never_ends_runs_on(run):
    assert findings(room([line(end=None)], run)) == [("runs on", "wrong")]


def test_a_recording_without_an_id_runs_on_as_documented():
    tasks = [Task("wait", -1, "upstream_failed"), Task("start", -1, "failed")]
    run = Run("start_and_stop", "run", "failed", tasks=tasks)
    assert findings(room([line(end=None)], run)) == [("runs on", "doubtful")]


def test_an_owner_that_is_gone_leaves_its_recording_to_the_watch_for_so_long():
    gone = owner("failed", ended_at=20.0)
    in_time, too_late = 20 + WATCH_SECONDS - 1, 20 + WATCH_SECONDS + 1
    assert findings(room([line(end=in_time)], gone)) == []
    assert findings(room([line(end=too_late)], gone)) == [("runs on", "wrong")]


def test_trouble_delays_the_watch():
    gone = owner("failed", ended_at=20.0)
    late = room([line(end=20 + WATCH_SECONDS + 10)], gone)
    assert findings(late, [(T + 30, T + 50)]) == []
    assert findings(late, [(T + 5, T + 15)]) == [("runs on", "wrong")]
    assert findings(late, [(T + 90, T + 100)]) == [("runs on", "wrong")]


def test_troubles_that_follow_one_another_add_up():
    troubles = [(T + 100, T + 110), (T + 10, T + 40)]
    assert ownership.stop_deadline(T, troubles) == T + 110 + AFTER_TROUBLE_SECONDS
    assert ownership.stop_deadline(T, []) == T + WATCH_SECONDS


def test_a_teardown_that_succeeded_has_stopped_its_recording():
    late = room([line(end=64.0)], between(stopped_at=61.0))
    assert findings(late) == [("runs on", "wrong")]
    assert findings(late, [(T, T + 100)]) == [("runs on", "wrong")]


@pytest.mark.parametrize("what", ["failed", "success"])
def test_the_recording_of_a_marked_task_ends(what):
    # Airflow may show another end of the task, such as that of its process.
    run, meddled = owner(what, ended_at=300.0), Meddled(what, T + 20, T + 21)
    assert findings(room([line(end=23)], run, meddled=meddled)) == []
    assert findings(room([line(end=22 + WATCH_SECONDS)], run, meddled=meddled)) == [("runs on", "wrong")]


def test_the_recording_of_a_cleared_task_ends_and_the_new_one_lasts():
    run, meddled = owner(ended_at=203.0), Meddled("clear", T + 20, T + 21)
    new = line(begin=140, end=200)
    assert findings(room([line("old", 0, 22), new], run, meddled=meddled)) == []
    late = line("old", 0, 22 + WATCH_SECONDS)
    assert findings(room([late, new], run, meddled=meddled)) == [("runs on", "wrong")]


def test_an_owner_that_has_not_ended_is_for_the_ledger_to_find():
    assert findings(room([line(end=500)], owner("running", ended_at=None))) == []


# -- stopped though nobody may -----------------------------------------------------------------------------


def test_a_recording_that_is_stopped_before_its_time():
    assert findings(room([line(end=50.0)])) == [("stopped early", "wrong")]
    assert findings(room([line(end=50.0)], stop_after=None)) == [("stopped early", "wrong")]
    assert findings(room([line(end=50.0)], between(lesson_ended_at=58))) == [("stopped early", "wrong")]
    assert findings(room([line(end=50.0, reason="ended")])) == []


def test_one_that_the_next_try_records_anew_is_doubtful():
    lines = [line("old", 0, 20), line(begin=25, end=85)]
    assert findings(room(lines, owner(ended_at=90))) == [("stopped early", "doubtful")]


def test_a_person_may_end_it_early_but_only_what_ran_then():
    meddled = Meddled("clear", T + 20, T + 21)
    lines = [line("old", 0, 22), line(begin=30, end=90)]
    assert findings(room(lines, owner(ended_at=93), meddled=meddled)) == []
    too_soon = [line("old", 0, 15), line(begin=30, end=50)]
    assert findings(room(too_soon, owner(ended_at=53), meddled=meddled)) == [
        ("stopped early", "doubtful"),
        ("stopped early", "wrong"),
    ]


def test_a_recording_that_airflow_did_not_start_may_not_be_stopped_by_it():
    left = Case(2, "plain", "other", {"stopped_by": None})
    stopped = replace(left, truth={"stopped_by": {"secret_id": "AKID", "request_id": "r"}})
    nothing = Case(3, "unknown", "no id", None)
    assert findings(room(), others=[left, nothing]) == []
    assert findings(room(), others=[stopped]) == [("stopped a stranger's", "wrong")]


@pytest.mark.parametrize("odd", [{"room_id": "8002"}, {"is_string_room": True}])
def test_a_recording_that_no_run_asked_for(odd):
    assert findings(room(), bill=[line(), line("more", **odd)]) == [("unasked", "wrong")]


# -- the id that is handed on -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "run", [owner(recording_id="old"), between(start="old"), between(stop="old"), between(start=None)]
)
def test_another_recording_is_handed_on(run):
    lines = [line("old", 0, 1, "replaced"), line(begin=1, end=61)]
    assert findings(room(lines, replace(run))) == [("wrong recording", "wrong")]


def test_nothing_was_recorded_but_an_id_is_handed_on():
    assert findings(room([])) == [("wrong recording", "wrong")]


def test_a_task_that_a_person_marked_owes_no_id():
    meddled = Meddled("success", T + 20, T + 21)
    assert findings(room([line(end=23)], owner(recording_id="old", ended_at=21), meddled=meddled)) == []
