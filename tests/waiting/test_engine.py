"""The one loop behind all waits, as stories that need no time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, learn
from airflow_trtc.jobs.verdict import Failed, Failure, Finished
from airflow_trtc.journal.keys import LOG_KEY
from airflow_trtc.steps import drive
from airflow_trtc.waiting.engine import TimedOut
from airflow_trtc.waiting.pacing import Pace
from tests.waiting.simulation import GONE, JOB, REFUSED, START, THROTTLED, Scene, shown

MODES: dict[str, Callable[..., Any]] = {"worker": Scene.on_worker, "triggerer": Scene.deferred}
modes = pytest.mark.parametrize("wait", MODES.values(), ids=MODES)


def outcome(ending: Any) -> str:
    assert isinstance(ending, Finished), ending
    return ending.outcome


def failure(ending: Any) -> Failure:
    assert isinstance(ending, Failed), ending
    return ending.failure


def names(ending: Any) -> list[str]:
    assert isinstance(ending, Finished), ending
    return [file.file_name for file in ending.files]


def seen(*files: str) -> JobState:
    return learn(JobState(JOB.job_id), shown(*files), START)


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def pauses(scene: Scene) -> list[int]:
    return [
        round(after - before) for before, after in zip(scene.polled_at, scene.polled_at[1:], strict=False)
    ]


# -- both ways ----------------------------------------------------------------------------------------------


@modes
def test_files_that_came_one_by_one_are_all_handed_on(wait: Any) -> None:
    scene = Scene(shown("a"), shown("a", "b"), shown("b", "c"), GONE)
    ending = wait(scene)
    assert (outcome(ending), names(ending)) == ("gone", ["a", "b", "c"])


@modes
def test_a_job_that_says_it_exits_is_polled_until_it_settled(wait: Any) -> None:
    scene = Scene(shown("a"), shown("a", status="Exited"), shown("a", "b", status="Exited"))
    ending = wait(scene, settle_seconds=10.0, interval=5.0)
    assert (outcome(ending), names(ending)) == ("exited", ["a", "b"])


@modes
def test_throttling_never_ends_a_wait(wait: Any) -> None:
    assert outcome(wait(Scene(THROTTLED, THROTTLED, THROTTLED, shown(), THROTTLED, GONE))) == "gone"


@modes
def test_three_refusals_in_a_row_fail_it_and_two_do_not(wait: Any) -> None:
    assert failure(wait(Scene(shown(), REFUSED))) is Failure.REFUSED
    assert outcome(wait(Scene(shown(), REFUSED, REFUSED, shown(), REFUSED, REFUSED, GONE))) == "gone"


@modes
def test_a_job_never_seen_fails_after_the_grace_and_not_before(wait: Any) -> None:
    scene = Scene(GONE)
    assert failure(wait(scene, grace_seconds=30.0, interval=1.0)) is Failure.NEVER_SEEN
    assert scene.polled_at[-1] - scene.polled_at[0] >= 30.0


@modes
def test_a_job_never_seen_may_count_as_finished(wait: Any) -> None:
    scene = Scene(GONE)
    ending = wait(scene, finish_if_never_seen=True)
    assert (outcome(ending), names(ending)) == ("never_seen", [])
    assert scene.store.due() == []  # other DAGs did not ask for that


@modes
def test_a_callback_ends_the_wait(wait: Any) -> None:
    scene = Scene(shown())
    scene.at(10.0, lambda: scene.reported(302, {"LeaveCode": 0}))
    assert outcome(wait(scene)) == "callback"


@modes
def test_files_named_by_callbacks_are_handed_on(wait: Any) -> None:
    scene = Scene(shown("a"))

    def end() -> None:
        scene.reported(307, {"FileName": "late.m3u8", "UserId": "u", "TrackType": "audio"})
        scene.reported(302, {"LeaveCode": 0})

    scene.at(100.0, end)
    assert sorted(names(wait(scene))) == ["a", "late.m3u8"]


@modes
def test_a_start_that_failed_fails_the_wait_though_a_poll_was_quicker(wait: Any) -> None:
    scene = Scene(shown(), GONE)
    scene.at(59.0, lambda: scene.reported(301, {"Status": 1}, fed=False))
    scene.is_behind = True
    assert failure(wait(scene)) is Failure.RECORDING


@modes
def test_what_only_polls_found_is_saved_and_then_announced(wait: Any) -> None:
    scene = Scene(shown("a"), GONE)
    assert outcome(wait(scene)) == "gone"
    (due,) = scene.store.due()
    assert due["outcome"] == "gone"
    stored = scene.stored(scene.rows.polls)
    assert stored.is_gone
    assert [file.file_name for file in stored.files] == ["a"]


@modes
def test_an_end_that_callbacks_reported_is_announced_by_nobody_else(wait: Any) -> None:
    scene = Scene(shown())
    scene.at(10.0, lambda: scene.reported(302, {"LeaveCode": 0}))
    wait(scene)
    assert scene.store.due() == []


@modes
def test_an_end_is_announced_before_the_rest_is_there(wait: Any) -> None:
    """A DAG that waits for the end only must not wait for the upload."""
    scene = Scene(shown("a"), GONE)
    due: list[int] = []

    def upload() -> None:
        due.append(len(scene.store.due()))
        scene.reported(305, {"Status": 0})

    scene.at(900.0, upload)
    assert outcome(wait(scene, wait_for="upload")) in ("gone", "callback")
    assert due == [1]
    assert len(scene.store.due()) == 1


@modes
def test_after_the_end_it_polls_no_more(wait: Any) -> None:
    scene = Scene(shown("a"), GONE)
    polls: list[int] = []
    scene.at(200.0, lambda: polls.append(len(scene.polled_at)))

    def upload() -> None:
        polls.append(len(scene.polled_at))
        scene.reported(305, {"Status": 0})

    scene.at(1900.0, upload)
    ending = wait(scene, wait_for="upload")
    assert names(ending) == ["a"]
    assert polls[0] == polls[1] == len(scene.polled_at)


@modes
def test_a_callback_that_only_its_row_has_is_read_before_the_wait_fails(wait: Any) -> None:
    scene = Scene(shown(), GONE)
    scene.at(130.0, lambda: scene.reported(305, {"Status": 0}, fed=False))
    assert isinstance(wait(scene, wait_for="upload", callback_timeout_seconds=300.0), Finished)


@modes
@pytest.mark.parametrize("finishes", [False, True])
def test_a_callback_that_never_comes(wait: Any, finishes: bool) -> None:
    scene = Scene(shown(), GONE)
    ending = wait(scene, wait_for="vod", callback_timeout_seconds=300.0, finish_if_no_callback=finishes)
    if finishes:
        assert [problem.kind for problem in ending.problems] == ["no_callback"]
    else:
        assert failure(ending) is Failure.NO_CALLBACK


@modes
def test_an_empty_room_is_told_apart_from_lost_callbacks(wait: Any) -> None:
    def scene(*callbacks: tuple[int, dict[str, Any]]) -> Scene:
        found = Scene(shown(status="Idle"), GONE)
        for kind, payload in ((301, {"Status": 0}), (302, {"LeaveCode": 99}), *callbacks):
            found.at(100.0, partial(found.reported, kind, payload))
        return found

    rules = {"wait_for": "mp4", "callback_timeout_seconds": 300.0}
    assert failure(wait(scene(), **rules)) is Failure.EMPTY
    ending = wait(scene(), finish_if_empty=True, **rules)
    assert (outcome(ending), names(ending)) == ("callback", [])
    uploaded = scene((305, {"Status": 0}))
    assert failure(wait(uploaded, finish_if_empty=True, **rules)) is Failure.NO_CALLBACK


@modes
@pytest.mark.parametrize("finishes", [False, True])
def test_a_journal_that_cannot_be_read_lacks_no_callback(wait: Any, finishes: bool) -> None:
    scene = Scene(shown(), GONE)
    scene.at(200.0, lambda: setattr(scene.store, "is_broken", True))

    def mend() -> None:
        scene.store.is_broken = False
        scene.reported(305, {"Status": 0}, fed=False)

    scene.at(2000.0, mend)
    ending = wait(scene, wait_for="upload", callback_timeout_seconds=300.0, finish_if_no_callback=finishes)
    assert isinstance(ending, Finished)
    assert ending.problems == ()
    assert max(scene.polled_at) < 200.0  # polls could show nothing more


@modes
def test_a_bad_end_fails_the_wait_or_is_listed(wait: Any) -> None:
    for fail_on, is_bad in ((frozenset({"interrupted"}), True), (frozenset(), False)):
        scene = Scene(shown())
        scene.at(10.0, partial(scene.reported, 302, {"LeaveCode": 100}))
        ending = wait(scene, fail_on=fail_on)
        assert isinstance(ending, Failed) is is_bad
        if not is_bad:
            assert [problem.kind for problem in ending.problems] == ["interrupted"]


@modes
def test_a_store_that_fails_leaves_the_wait_to_polls(wait: Any) -> None:
    scene = Scene(shown("a"), GONE)
    scene.store.is_broken = scene.is_unavailable = True
    assert outcome(wait(scene)) == "gone"


@modes
def test_a_job_that_was_seen_ends_though_the_journal_cannot_be_read(wait: Any) -> None:
    """Also in a later try: only "never seen" needs the journal."""
    scene = Scene(shown("a"), GONE)
    scene.store.is_broken = True
    assert outcome(wait(scene, has_past=True)) == "gone"
    scene = Scene(REFUSED)
    scene.store.is_broken = True
    assert failure(wait(scene, has_past=True)) is Failure.REFUSED


@modes
def test_the_end_is_saved_with_the_time_of_the_poll_that_made_it_certain(wait: Any) -> None:
    """The API server judges what is saved; a poll that only repeats another counts there, too."""
    scene = Scene(shown("a"), GONE)
    assert outcome(wait(scene, interval=10.0)) == "gone"
    stored = scene.stored(scene.rows.polls)
    assert stored.absent_at == later(scene.polled_at[-1])
    assert stored.absent_since == later(scene.polled_at[-2])


@modes
def test_a_stored_never_seen_counts_only_after_a_poll(wait: Any) -> None:
    """The task was cleared because its connection was wrong: the region is another one now."""
    never = learn(learn(JobState(JOB.job_id), GONE, later(-100)), GONE, later(-50))
    scene = Scene(shown("a"), GONE)
    scene.save(never)
    assert names(wait(scene, never, has_past=True)) == ["a"]


@modes
def test_a_stored_failure_of_the_job_needs_no_poll(wait: Any) -> None:
    scene = Scene(shown())
    scene.reported(301, {"Status": 1}, ago=100.0)
    assert failure(wait(scene, scene.stored(scene.rows.callbacks))) is Failure.RECORDING
    assert scene.polled_at == []


@modes
def test_without_a_journal_it_polls_to_the_end(wait: Any) -> None:
    scene = Scene(shown("a"), shown("b"), GONE)
    scene.is_unavailable = True
    assert names(wait(scene, has_store=False)) == ["a", "b"]
    assert scene.store.rows == {}


@modes
def test_the_log_says_what_is_new_and_repeats_no_id(wait: Any) -> None:
    scene = Scene(shown("a"), GONE)
    wait(scene)
    assert scene.lines
    assert not [line for line in scene.lines if JOB.job_id in line]


@modes
def test_what_another_wait_saw_is_handed_on_too(wait: Any) -> None:
    scene = Scene(shown("b"), GONE)
    scene.save(seen("a"))
    assert sorted(names(wait(scene))) == ["a", "b"]


# -- a worker -----------------------------------------------------------------------------------------------


def test_a_cleared_task_needs_no_poll_when_the_journal_says_that_it_ended() -> None:
    scene = Scene(shown("a"), GONE)
    scene.on_worker()
    polls = len(scene.polled_at)
    assert names(scene.on_worker(has_past=True)) == ["a"]
    assert len(scene.polled_at) == polls


def test_a_stored_never_seen_is_not_believed_before_a_poll() -> None:
    scene = Scene(GONE)
    assert failure(scene.on_worker()) is Failure.NEVER_SEEN
    scene._answers = [shown("a"), GONE]
    assert names(scene.on_worker(has_past=True)) == ["a"]


@pytest.mark.parametrize("finishes", [False, True])
def test_a_later_try_that_cannot_read_the_journal_does_not_call_a_job_never_seen(finishes: bool) -> None:
    scene = Scene(GONE)
    scene.save(seen("a"))
    scene.store.is_broken = True
    assert scene.on_worker(has_past=True, turns=20, finish_if_never_seen=finishes) is None
    scene.store.is_broken = False
    assert names(scene.on_worker(has_past=True, finish_if_never_seen=finishes)) == ["a"]


def test_a_first_try_that_cannot_read_the_journal_may() -> None:
    scene = Scene(GONE)
    scene.store.is_broken = True
    assert failure(scene.on_worker()) is Failure.NEVER_SEEN


def test_a_worker_stays_for_short_pauses_only() -> None:
    scene = Scene(GONE)
    assert failure(scene.on_worker(turns=1, stays=60.0)) is Failure.NEVER_SEEN
    scene = Scene(GONE)
    assert scene.on_worker(turns=1, stays=5.0) is None


def test_a_rescheduled_try_goes_on_counting_refusals_and_another_begins_anew() -> None:
    for is_same_try, ends in ((True, True), (False, False)):
        scene = Scene(shown(), REFUSED, REFUSED, REFUSED)
        assert scene.on_worker(turns=3) is None
        ending = scene.on_worker(turns=1, is_same_try=is_same_try, has_past=True)
        assert (ending is not None) is ends


def test_a_wait_that_failed_may_go_on_and_polls_again() -> None:
    """A sensor with `silent_fail` does."""
    scene = Scene(shown("a"), REFUSED, REFUSED, REFUSED, REFUSED, shown("b"), GONE)
    assert failure(scene.on_worker()) is Failure.REFUSED
    assert failure(scene.go_on()) is Failure.REFUSED
    assert names(scene.go_on()) == ["a", "b"]


@pytest.mark.parametrize("found", [seen("a"), seen(), replace(JobState(JOB.job_id), files=seen("a").files)])
def test_what_the_trigger_found_is_saved_shown_and_not_announced_again(found: JobState) -> None:
    scene = Scene(GONE)
    state = learn(found, GONE, later(60))
    scene.on_worker(state, turns=0)
    assert scene.wait is not None
    drive(scene.wait.take_over(Finished("gone", state.files, later(60))), scene._carry_out)
    assert scene.stored(scene.rows.polls) == replace(state, trouble=None)
    assert scene.finals == [True]
    assert scene.store.due() == []


def test_a_worker_polls_whenever_airflow_calls_also_in_trouble() -> None:
    scene = Scene(*[THROTTLED] * 5, shown())
    scene.on_worker(turns=6)
    assert scene.polled_at == [0.0, 60.0, 120.0, 180.0, 240.0, 300.0]


def test_a_worker_stays_for_callbacks_that_were_overtaken() -> None:
    scene = Scene(shown())
    scene.reported(302, {"LeaveCode": 0}, fed=False)
    scene.at(1.0, lambda: scene.reported(307, {"FileName": "late.m3u8"}, fed=False))
    assert names(scene.on_worker(turns=1, wait_for="recording")) == ["late.m3u8"]


def test_a_worker_reads_callbacks_in_each_turn_and_all_only_once() -> None:
    scene = Scene(shown("a"))
    scene.on_worker(turns=10)
    reads = [scene.store.reads.count(key) for key in (scene.rows.callbacks, scene.rows.polls)]
    assert reads == [10, 2]  # polls at the beginning, and when the file was saved


def test_a_callback_that_came_while_the_worker_polled_is_read_before_the_end() -> None:
    scene = Scene(shown("a"))

    def end() -> Any:
        scene.reported(301, {"Status": 1}, fed=False)
        return GONE

    scene._answers.append(end)
    assert failure(scene.on_worker()) is Failure.RECORDING


def test_a_worker_notes_where_the_feed_ended_for_its_trigger() -> None:
    """What is stored in between is in the feed, or in the rows that are read afterwards."""
    scene = Scene(shown())
    scene.store.set(LOG_KEY, {"seq": 7})
    scene.on_worker(turns=1)
    assert scene.wait is not None
    assert scene.wait.feed_position == 7
    assert scene.wait.is_recalled
    assert scene.store.reads.index(LOG_KEY) < scene.store.reads.index(scene.rows.callbacks)


@pytest.mark.parametrize(
    "has_store, broken_after, is_kept",
    [(True, None, True), (False, None, False), (True, 0.0, False), (True, 1.0, False)],
    ids=["all is well", "no store", "never read", "not written"],
)
def test_a_wait_is_kept_once_its_journal_knows_all(
    has_store: bool, broken_after: float | None, is_kept: bool
) -> None:
    """Else a sensor defers instead of rescheduling, since another process would know nothing."""
    scene = Scene(shown("a"), shown("a", "b"))
    if broken_after is not None:
        scene.at(broken_after, lambda: setattr(scene.store, "is_broken", True))
        scene._move(0.0)
    scene.on_worker(turns=2, has_store=has_store)
    assert scene.wait is not None
    assert scene.wait.is_kept is is_kept


def test_a_sensor_that_goes_on_after_an_error_counts_refusals_anew() -> None:
    scene = Scene(shown(), REFUSED)
    scene.on_worker(turns=3)
    assert scene.wait is not None
    assert scene.wait.state.refusals == 2
    scene.wait.reset_refusals()
    assert scene.wait.state.refusals == 0


# -- the triggerer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [None, seen("a"), seen()])
def test_a_wait_that_callbacks_end_reads_and_writes_nothing_for_itself(state: JobState | None) -> None:
    """The supervisor answers one question at a time; with a thousand waits each of them counts."""
    scene = Scene(shown())

    def end() -> None:
        scene.reported(302, {"LeaveCode": 0})
        scene.store.reads.clear()

    scene.at(10.0, end)
    assert outcome(scene.deferred(state)) == "callback"
    assert scene.store.reads == []
    assert scene.polled_at == []


def test_a_restarted_trigger_reads_nothing_before_the_end() -> None:
    scene = Scene(shown())
    reads: list[int] = []
    scene.at(9.0, lambda: reads.append(len(scene.store.reads)))
    scene.at(10.0, lambda: scene.reported(302, {"LeaveCode": 0}))
    assert outcome(scene.deferred(is_recalled=False)) == "callback"
    assert reads == [0]


@pytest.mark.parametrize("is_reported, is_unavailable", [(True, False), (False, True)])
def test_the_first_turn_stays_unless_reported_jobs_lose_their_callbacks(
    is_reported: bool, is_unavailable: bool
) -> None:
    scene = Scene(shown())
    if is_reported:
        scene.reported(301, {"Status": 0}, fed=False)
    scene.is_unavailable = is_unavailable
    state = scene.stored(scene.rows.callbacks)
    scene.deferred(state, interval=60.0, first_turn_in=700.0, limits={"timeout": 701.0})
    assert scene.polled_at[0] == 700.0


def test_during_an_outage_it_waits_for_the_shared_answer_and_is_not_late_afterwards() -> None:
    scene = Scene(*[THROTTLED] * 4, shown("a"))
    scene.at(160.0, lambda: setattr(scene, "is_outage", True))
    for seconds in (200.0, 950.0):
        scene.at(seconds, partial(scene.overheard, THROTTLED))
    scene.at(1000.0, lambda: setattr(scene, "is_outage", False))
    scene.deferred(interval=10.0, limits={"timeout": 1021.0})
    assert scene.polled_at[4:] == [1000.0, 1010.0, 1020.0, 1021.0]


def test_the_last_that_is_shown_is_marked_as_such() -> None:
    scene = Scene(shown("a"), shown("a", "b"), GONE)
    scene.deferred(interval=100.0)
    assert scene.finals == [False, False, True]
    scene = Scene(shown("a"))
    scene.deferred(interval=100.0, limits={"timeout": 50.0})
    assert scene.finals == [True]


def test_a_worker_shows_the_end_also_when_nothing_else_is_new() -> None:
    scene = Scene(shown("a", status="Exited"), shown("a", status="Exited"))
    scene.on_worker(interval=60.0)
    assert scene.finals == [False, True]
    assert scene.shown[0].files == scene.shown[1].files


@pytest.mark.parametrize(
    "happens, is_urgent",
    [
        (lambda scene: None, False),
        (lambda scene: scene.overheard(shown(status="Exited")), True),
        (lambda scene: scene.reported(302, {"LeaveCode": 0}), True),
        (lambda scene: scene.reported(301, {"Status": 0}), False),
    ],
    ids=["nothing", "exited", "left", "started"],
)
def test_polls_are_urgent_once_an_end_is_near(happens: Callable[[Scene], None], is_urgent: bool) -> None:
    scene = Scene(shown())
    scene.at(10.0, lambda: happens(scene))
    scene.deferred(limits={"timeout": 11.0})
    assert scene.urgent[0] is False
    assert scene.urgent[-1] is is_urgent


def test_a_trigger_that_only_reads_begins_with_its_first_turn() -> None:
    scene = Scene(GONE)
    scene.at(10.0, lambda: scene.reported(305, {"Status": 0}, fed=False))
    scene.deferred(learn(seen("a"), GONE, later(-60)), wait_for="upload")
    assert scene.clock.seconds < 70.0


@pytest.mark.parametrize("comes", [True, False])
def test_a_callback_that_was_due_before_the_trigger_started_may_still_come(comes: bool) -> None:
    """No triggerer ran for hours; what was kept for it comes first of all."""
    scene = Scene(shown())
    scene.reported(302, {"LeaveCode": 0}, ago=7200, fed=False)
    state = scene.stored(scene.rows.callbacks)
    if comes:
        scene.at(10.0, lambda: scene.reported(305, {"Status": 0}))
    ending = scene.deferred(state, wait_for="upload")
    assert isinstance(ending, Finished if comes else Failed)
    assert scene.clock.seconds <= 70.0
    assert scene.polled_at == []


def test_a_gap_in_the_feed_is_filled_from_the_jobs_own_row() -> None:
    scene = Scene(shown())

    def end() -> None:
        scene.reported(302, {"LeaveCode": 0}, fed=False)
        scene.has_gap = True

    scene.at(10.0, end)
    assert outcome(scene.deferred(interval=600.0)) == "callback"
    assert scene.clock.seconds < 20.0


def test_once_callbacks_arrive_it_polls_rarely() -> None:
    scene = Scene(shown())
    scene.at(30.0, lambda: scene.reported(301, {"Status": 0}))
    scene.at(3000.0, lambda: scene.reported(302, {"LeaveCode": 0}))
    scene.deferred(interval=60.0)
    gaps = [after - before for before, after in zip(scene.polled_at[1:], scene.polled_at[2:], strict=False)]
    assert gaps
    assert min(gaps) >= 600.0


def test_when_the_feed_becomes_unavailable_it_polls_as_before() -> None:
    scene = Scene(*[shown()] * 12, GONE)
    scene.at(30.0, lambda: scene.reported(301, {"Status": 0}))
    scene.at(70.0, lambda: setattr(scene, "is_unavailable", True))
    scene.at(71.0, lambda: setattr(scene, "has_gap", True))
    scene.deferred(interval=60.0)
    assert scene.clock.seconds < 1000.0


def test_time_is_over_after_a_last_poll_and_the_earlier_limit_is_named() -> None:
    scene = Scene(shown("a"))
    assert scene.deferred(interval=600.0, limits={"timeout": 50.0}) == TimedOut("timeout")
    assert scene.polled_at == [50.0]
    assert scene.stored(scene.rows.polls).files
    limits = {"timeout": 50.0, "execution_timeout": 40.0}
    scene = Scene(shown())
    assert scene.deferred(interval=600.0, limits=limits) == TimedOut("execution_timeout")
    assert scene.polled_at == [40.0]


def test_limits_that_were_over_before_the_trigger_started_leave_one_poll() -> None:
    scene = Scene(shown())
    limits = {"timeout": -5.0, "execution_timeout": -10.0}
    assert scene.deferred(limits=limits) == TimedOut("execution_timeout")
    assert scene.polled_at == [0.0]


def test_the_last_poll_may_still_end_the_wait_well() -> None:
    scene = Scene(shown("a"), GONE)
    scene.deferred(interval=30.0, limits={"timeout": 55.0})
    assert outcome(scene.deferred(seen("a"), interval=600.0, limits={"timeout": 60.0})) == "gone"


def test_time_is_over_also_while_only_callbacks_are_waited_for() -> None:
    scene = Scene(shown(), GONE)
    assert scene.deferred(wait_for="vod", limits={"timeout": 1000.0}) == TimedOut("timeout")


def test_a_restarted_trigger_remembers_what_the_one_before_saw() -> None:
    scene = Scene(shown("b"))
    scene.save(seen("early"))
    scene.at(10.0, lambda: scene.reported(302, {"LeaveCode": 0}))
    assert names(scene.deferred(is_recalled=False)) == ["early"]


def test_a_restarted_trigger_that_cannot_read_the_journal_calls_nothing_never_seen() -> None:
    scene = Scene(GONE)
    scene.save(seen("a"))
    scene.store.is_broken = True
    scene.at(500.0, lambda: setattr(scene.store, "is_broken", False))
    assert outcome(scene.deferred(is_recalled=False, has_past=True)) == "gone"


def test_below_airflow_33_the_progress_is_the_memory() -> None:
    scene = Scene(GONE)
    scene.progress = seen("a")
    scene.is_unavailable = True
    assert names(scene.deferred(has_store=False, is_recalled=False)) == ["a"]


def test_what_callbacks_reported_while_no_triggerer_ran_counts() -> None:
    """The trigger starts after the time for the callback is over; it came in time."""
    scene = Scene(shown())
    scene.reported(302, {"LeaveCode": 0}, ago=7200, fed=False)
    state = scene.stored(scene.rows.callbacks)
    scene.reported(305, {"Status": 0}, ago=7190, fed=False)
    ending = scene.deferred(state, wait_for="upload", finish_if_no_callback=True, is_recalled=False)
    assert isinstance(ending, Finished)
    assert ending.problems == ()


def test_a_wait_that_only_reads_does_so_now_and_then() -> None:
    """However short the interval is."""
    scene = Scene(shown(), GONE)
    scene.deferred(interval=0.1, wait_for="vod", limits={"timeout": 120.0}, grace_seconds=1.0)
    assert len([key for key in scene.store.reads if key == scene.rows.callbacks]) <= 150


def test_an_exponential_pace_counts_the_polls_of_this_wait_only() -> None:
    scene = Scene(*[shown()] * 6, GONE)
    state = JobState(JOB.job_id, polls=20)
    scene.deferred(state, pace=Pace(10.0, is_exponential=True), first_turn_in=10.0)
    assert [round(at) for at in scene.polled_at[:5]] == [10, 20, 30, 50, 90]


def test_polls_of_other_waits_do_not_slow_this_one_down() -> None:
    scene = Scene(*[shown()] * 4, GONE)
    for seconds in range(1, 10):
        scene.at(seconds, partial(scene.overheard, shown()))
    scene.deferred(pace=Pace(10.0, is_exponential=True), first_turn_in=10.0)
    assert pauses(scene)[0] == 10


def test_trouble_alone_does_not_touch_the_journal() -> None:
    """Thousands of waits meet it at once, and Airflow may be what is in trouble."""
    scene = Scene(*[THROTTLED] * 3, shown("a"), GONE)
    read: list[list[str]] = []
    scene.at(150, lambda: read.append(list(scene.store.reads)))
    scene.deferred(interval=60.0)
    assert len(scene.polled_at) > 4
    assert read == [[]]


def test_trouble_makes_pauses_longer_and_an_answer_ends_that() -> None:
    scene = Scene(*[THROTTLED] * 4, shown(), shown(), GONE)
    scene.deferred(interval=10.0)
    assert pauses(scene)[:6] == [10, 20, 40, 80, 10, 10]
    scene = Scene(shown(), THROTTLED, THROTTLED, shown(), GONE)
    scene.deferred(interval=10.0)
    assert pauses(scene)[:4] == [10, 10, 20, 10]


def test_progress_is_asked_for_when_something_is_new_only() -> None:
    scene = Scene(*[shown("a")] * 30, GONE)
    scene.deferred()
    assert 1 <= len(scene.shown) <= 3


# -- another kind of job -----------------------------------------------------------------------------------

MADE_UP = JobKind(
    name="made_up",
    describe_action="DescribeMadeUpTask",
    ends_well=frozenset({"Done"}),
    ends_badly=frozenset({"Broken"}),
)
OTHER = JobRef("made_up", 1400000001, "ap-guangzhou", "job-1")


def status(word: str) -> Snapshot:
    return Snapshot(OTHER.job_id, word, ())


@modes
@pytest.mark.parametrize(
    "polls, expected",
    [
        ([status("Running"), status("Done")], Finished),
        ([status("Running"), status("Broken")], Failed),
        ([status("Running"), status("Paused"), status("Done")], Finished),
        ([status("Running"), GONE], Finished),
        ([GONE], Failed),
        ([THROTTLED, status("Running"), THROTTLED, status("Done")], Finished),
    ],
    ids=["ends well", "ends badly", "unknown status", "gone", "never seen", "throttled"],
)
def test_a_wait_for_another_kind_of_job_is_one_row(wait: Any, polls: Any, expected: Any) -> None:
    assert isinstance(wait(Scene(*polls, job=OTHER, kind=MADE_UP)), expected)
