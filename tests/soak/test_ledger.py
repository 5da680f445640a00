"""The ledger finds what it is there to find, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from tests.soak import ledger
from tests.soak.ledger import Case, Leftovers, Risks, Run, Task

T = 1_800_000_000.0
NO_RISKS = Risks()
FILES = [f"part_{number}.m3u8" for number in range(3)]


def iso(at):
    return datetime.fromtimestamp(at, timezone.utc).isoformat()


def poll(at, file_count, **more):
    return {
        "at": T + at, "code": "OK", "status": "InProgress", "file_count": file_count, "fault": None,
        "delay_seconds": 0.0, **more,
    }  # fmt: skip


def event(event_type, at, delivered=True, **payload):
    attempt = {"copy": 1, "at": T + at, "seconds": 0.01, "status": 200, "error": None}
    if not delivered:
        attempt |= {"status": None, "error": "refused"}
    return {"event_type": event_type, "payload": payload, "attempts": [attempt]}


def lost(event_type, **payload):
    return {"event_type": event_type, "payload": payload, "attempts": []}


def truth(files=FILES, ended_at=100.0, polls=None, callbacks=(), **more):
    return {
        "files": [{"FileName": name} for name in files],
        "mp4_files": [], "aac_files": [], "vod_files": [],
        "ended_at": T + ended_at, "end_reason": "ended", "clock_skew_seconds": 0.0,
        "polls": [poll(10, 1), poll(50, 3)] if polls is None else polls,
        "callbacks": list(callbacks),
        **more,
    }  # fmt: skip


def run(names=FILES, finished_at=102.0, outcome="gone", mapped=None, wait_for="recording", **more):
    tasks = [
        Task("wait", -1, "success", ended_at=T + finished_at + 3, returned=[{"file_name": n} for n in names])
    ]
    got = names if mapped is None else mapped
    tasks += [Task("process", index, "success", returned=[name]) for index, name in enumerate(got)]
    tasks += [] if got else [Task("process", -1, "skipped")]
    summary = {
        "recording_id": "rid",
        "file_count": len(names),
        "finished_at": iso(T + finished_at),
        "ended_at": None,
        "outcome": outcome,
    }
    return Run("dag", "run", "success", wait_for, tasks, summary, **more)


def failed(log, wait_for="recording", ended_at=400.0, tries=1):
    return Run("dag", "run", "failed", wait_for, [Task("wait", -1, "failed", tries, T + ended_at)], None, log)


def findings(case, risks=NO_RISKS):
    return [(each.kind, each.grade) for each in ledger.check([case], risks, Leftovers())]


def case(run=None, truth=None, **more):
    return Case(1, "plain", "rid", truth, run, **more)


def test_all_is_well():
    assert findings(case(run(), truth())) == []
    assert findings(case(run([], mapped=[]), truth([], polls=[poll(10, 0)]))) == []


# -- files ------------------------------------------------------------------------------------------


def test_a_file_that_an_answer_listed_and_nobody_hands_on_is_lost():
    assert findings(case(run(FILES[:2]), truth())) == [("lost", "wrong")]


def test_a_lost_file_is_told_with_the_time_at_which_it_was_last_shown():
    (lost,) = ledger.check([case(run(FILES[:2]), truth())], NO_RISKS, Leftovers())
    assert f"1 files, 2 were handed on; {FILES[2]} was last shown at {T + 50:.3f}" in lost.text
    assert (lost.recording_id, lost.run_id) == ("rid", "run")


def test_a_file_that_a_callback_named_is_owed_as_well():
    told = truth([], polls=[poll(10, 0)], callbacks=[event(307, 20, FileName="late.m3u8")])
    told["files"] = [{"FileName": "late.m3u8"}]
    assert findings(case(run([]), told)) == [("lost", "wrong")]
    assert findings(case(run(["late.m3u8"]), told)) == []


@pytest.mark.parametrize(
    "told",
    [
        event(304, 20, FileList="a"),
        event(310, 20, Status=0, FileList=["a"]),
        event(310, 20, Status=1, FileList=["a"]),
        event(311, 20, Status=0, TencentVod={"CacheFile": "a"}),
    ],
)
def test_every_kind_of_callback_that_names_a_file_counts(told):
    assert ledger.named_files(told) == ["a"]
    shown = ledger.shown_files(truth(callbacks=[told], polls=[]), T + 100, NO_RISKS)
    assert shown.surely == {"a"}


def test_callbacks_of_files_that_are_not_there_name_none():
    assert ledger.named_files(event(310, 1, Status=2, FileList=["a"])) == []
    assert ledger.named_files(event(311, 1, Status=2, TencentVod={"CacheFile": "a"})) == []


def test_a_file_that_no_answer_showed_is_promised_by_nobody():
    unseen = truth(
        polls=[poll(10, 2)],
        callbacks=[lost(307, FileName=FILES[2]), event(304, 20, False, FileList=FILES[2])],
    )
    assert findings(case(run(FILES[:2]), unseen)) == []


@pytest.mark.parametrize(
    "spoilt", [{"fault": "broken_json"}, {"delay_seconds": 12.0}, {"code": "RequestLimitExceeded"}]
)
def test_an_answer_that_arrived_spoilt_or_late_shows_nothing(spoilt):
    assert findings(case(run(FILES[:1]), truth(polls=[poll(10, 1), poll(50, 3, **spoilt)]))) == []


def test_what_was_shown_after_the_end_was_noticed_came_too_late():
    late = truth(callbacks=[event(304, 103, FileList="late.m3u8")])
    assert findings(case(run(), late)) == []


def test_a_callback_just_before_the_end_is_doubtful():
    close = truth([*FILES, "close.m3u8"], callbacks=[event(304, 99, FileList="close.m3u8")])
    assert findings(case(run(), close)) == [("lost in a crash", "doubtful")]


def test_a_file_that_only_a_killed_reader_saw_is_doubtful():
    risks = Risks(polls=[(T + 45, T + 51)])
    assert findings(case(run(FILES[:1]), truth()), risks) == [("lost in a crash", "doubtful")]
    seen_again = truth(polls=[poll(10, 1), poll(50, 3), poll(60, 3)])
    assert findings(case(run(FILES[:1]), seen_again), risks) == [("lost", "wrong")]


def test_a_callback_that_could_not_be_worked_through_is_doubtful():
    told = truth([*FILES, "a"], callbacks=[event(304, 50, FileList="a")])
    assert findings(case(run(), told)) == [("lost", "wrong")]
    assert findings(case(run(), told), Risks(outages=[(T + 60, T + 80)])) == [("lost in a crash", "doubtful")]


def test_a_file_that_was_never_made_is_invented():
    assert findings(case(run([*FILES, "x.m3u8"]), truth())) == [("invented", "wrong")]


def test_a_file_handed_on_twice():
    assert findings(case(run([*FILES, FILES[0]]), truth())) == [("doubled", "wrong")]


@pytest.mark.parametrize("mapped", [FILES[:2], [*FILES, FILES[0]], [FILES[0], FILES[1], "y"]])
def test_mapped_tasks_get_each_file_once(mapped):
    assert findings(case(run(mapped=mapped), truth())) == [("downstream", "wrong")]


# -- ends -------------------------------------------------------------------------------------------


def test_a_wait_that_ends_early():
    assert findings(case(run(finished_at=99), truth())) == [("early", "wrong")]
    assert findings(case(run(), truth() | {"ended_at": None, "end_reason": None})) != []


def test_a_wait_for_the_upload_that_ends_before_it_was_told():
    told = truth(callbacks=[event(305, 110, Status=0)])
    assert findings(case(run(finished_at=111, wait_for="upload"), told)) == []
    assert findings(case(run(finished_at=109, wait_for="upload"), told)) == [("early", "wrong")]
    assert findings(case(run(finished_at=111, wait_for="upload"), truth())) == [("early", "wrong")]


def test_a_summary_that_is_about_something_else():
    odd = run()
    assert findings(case(replace(odd, summary=odd.summary | {"file_count": 2}), truth())) == [
        ("wrong summary", "wrong")
    ]
    told = replace(odd, summary=odd.summary | {"ended_at": iso(T + 160)})
    assert findings(case(told, truth())) == [("wrong summary", "wrong")]
    assert findings(case(told, truth(clock_skew_seconds=60.0))) == []


# -- failures ---------------------------------------------------------------------------------------

NEVER = "the service has not known this recording for 30 s, and no poll ever showed it."
MISSED = 'waited for "upload", and no callback completed it within 240 s'
BAD = "the service reports that the recording did not end well: ..."


def test_an_id_that_never_existed_fails():
    assert findings(case(failed(NEVER), None)) == []
    assert findings(case(run([]), None)) == [("wrong success", "wrong")]
    assert findings(case(failed("OSError"), None)) == [("wrong failure", "wrong")]


def test_a_recording_that_was_seen_may_not_fail_as_never_seen():
    assert findings(case(failed(NEVER), truth())) == [("wrong failure", "wrong")]
    assert findings(case(failed(NEVER), truth(polls=[]))) == []
    spoilt = [poll(10, 1, fault="html"), poll(20, 1)]
    assert findings(case(failed(NEVER), truth(polls=spoilt)), Risks(polls=[(T + 18, T + 21)])) == []


def test_a_failure_of_something_else():
    assert findings(case(failed("psycopg2.OperationalError: server closed", tries=7), truth())) == [
        ("wrong failure", "wrong")
    ]


def test_a_missing_callback_fails_only_if_it_is_missing():
    upload = {"wait_for": "upload"}
    assert findings(case(failed(MISSED, **upload), truth(callbacks=[lost(305, Status=0)]))) == []
    told = truth(callbacks=[event(305, 101, Status=0)])
    assert findings(case(failed(MISSED, **upload), told)) == [("wrong failure", "wrong")]
    assert findings(case(failed(MISSED, **upload), told), Risks(outages=[(T + 101, T + 120)])) == []


def test_mp4_needs_all_conversions():
    both = [event(310, 101, Status=0, FileList=["a"]), lost(310, Status=0, FileList=["b"])]
    assert findings(case(failed(MISSED, "mp4"), truth(callbacks=both))) == []
    assert findings(case(failed(MISSED, "mp4"), truth(callbacks=both[:1]))) == [("wrong failure", "wrong")]


@pytest.mark.parametrize(
    "told", [event(302, 100, LeaveCode=100), event(301, 1, Status=1), event(312, 100, Status=1)]
)
def test_a_recording_that_ended_badly_fails_and_no_other(told):
    bad = truth(callbacks=[told])
    assert findings(case(failed(BAD), bad)) == []
    assert findings(case(run(finished_at=110), bad)) == [("wrong success", "wrong")]
    assert findings(case(failed(BAD), truth())) == [("wrong failure", "wrong")]


def test_files_that_linger_fail_only_if_they_go_on():
    lingering = event(305, 101, Status=1)
    assert findings(case(failed(BAD, "upload"), truth(callbacks=[lingering, lost(305, Status=2)]))) == []
    mended = truth(callbacks=[lingering, event(305, 120, Status=2)])
    assert findings(case(failed(BAD, "upload"), mended)) == [("wrong failure", "wrong")]


def test_a_task_downstream_that_failed():
    good = run()
    tasks = [*good.tasks[:-1], replace(good.tasks[-1], state="failed")]
    assert findings(case(replace(good, state="failed", tasks=tasks), truth())) == [("downstream", "wrong")]


@pytest.mark.parametrize("state", ["deferred", "running", None])
def test_what_never_ends_is_stuck(state):
    tasks = [Task("wait", -1, state)]
    assert findings(case(Run("dag", "run", "running", tasks=tasks), truth())) == [("stuck", "wrong")]


def test_what_is_left_over():
    left = Leftovers(triggers=1, open_tasks=["wait"])
    assert [each.kind for each in ledger.check([], NO_RISKS, left)] == ["left over", "stuck"]


# -- runs that a recording starts -------------------------------------------------------------------

ENDED = truth(callbacks=[event(302, 100, LeaveCode=0), event(307, 10, FileName=FILES[0])])


def test_exactly_one_run_for_a_recording_that_starts_them():
    one = run(FILES[:1])
    assert findings(case(None, ENDED, starts="recording", started=[one])) == []
    assert findings(case(None, ENDED, starts="recording")) == [("missing run", "wrong")]
    assert findings(case(None, ENDED, starts="recording", started=[one, one])) == [("doubled run", "wrong")]


def test_no_run_without_a_callback_unless_somebody_polled():
    silent = truth(callbacks=[lost(302, LeaveCode=0)])
    assert findings(case(None, silent, starts="recording")) == []
    assert findings(case(None, silent, starts="recording", started=[run()])) == [("invented run", "wrong")]
    assert findings(case(run(), silent, starts="recording")) == [("missing run", "wrong")]
    assert findings(case(run(), silent, starts="recording", started=[run([], mapped=[])])) == []
    assert findings(case(run(), silent, starts="upload")) == []


def test_the_upload_starts_a_run_only_if_its_callback_was_delivered():
    assert findings(case(None, ENDED, starts="upload")) == []
    assert findings(case(None, ENDED, starts="upload", started=[run(FILES[:1])])) == [
        ("invented run", "wrong")
    ]


def test_a_recording_that_starts_nothing():
    assert findings(case(None, ENDED, started=[run(FILES[:1])])) == [("invented run", "wrong")]


def test_an_answer_that_was_lost_on_its_way_proves_nothing_but_may_be_true():
    maybe = truth(polls=[], callbacks=[event(302, 100, False, LeaveCode=0)])
    assert findings(case(None, maybe, starts="recording")) == []
    assert findings(case(None, maybe, starts="recording", started=[run([])])) == []


def test_a_run_that_a_recording_started_owes_what_callbacks_told():
    assert findings(case(None, ENDED, starts="recording", started=[run([])])) == [("lost", "wrong")]
