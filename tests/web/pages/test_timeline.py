from __future__ import annotations

import json
import random
import re
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_trtc.jobs.events import EVENTS
from airflow_trtc.jobs.observation import Absence, RecordedFile
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import from_json, to_json
from airflow_trtc.kinds import KINDS
from airflow_trtc.web.pages import shell
from airflow_trtc.web.pages.drawing import NARROW, WIDE, draw, draw_all, legend, title_of_bar
from airflow_trtc.web.pages.job_view import read_job, read_view, view_of
from airflow_trtc.web.pages.lanes import fail_overs_of, words_for
from airflow_trtc.web.pages.life import Attempt, JobLife, StateChange, TaskLife, read_facts, shown
from airflow_trtc.web.pages.timeline import (
    EVERYTHING,
    MAX_FOLDED,
    MAX_ROWS,
    SPANS,
    Timeline,
    View,
    run_timeline,
    timeline_of,
)
from tests.web.pages.lives import APP, ID, at, file, life, ms, seen, task, told

GONE = Absence("ResourceNotFound")


def lane_of(timeline: Timeline, name: str):
    return next(lane for lane in timeline.lanes if lane.name == name)


def looks(timeline: Timeline, name: str) -> list[tuple[str, str]]:
    return [(bar.look, bar.ending) for bar in lane_of(timeline, name).bars]


def converted(user: str, begin: float, end: float) -> dict[str, object]:
    times = {"StartTimeStamp": ms(begin), "EndTimeStamp": ms(end)}
    return {"FileName": f"{user}-{begin}.mp4", "UserId": user, "MediaId": "main", **times}


def rendered(timeline: Timeline) -> str:
    template = shell.environment().from_string(
        '{% import "timeline.html" as tl %}<div>{{ tl.picture(t, d, legend_items=l) }}{{ tl.table(t) }}</div>'
    )
    return template.render(t=timeline, d=draw_all(timeline), l=legend(timeline))


def test_the_recorder_is_what_polls_and_callbacks_say():
    known = life(
        told(301, 0, Status=0),
        seen("Idle", 1),
        seen("InProgress", 2),
        told(302, 10, LeaveCode=0),
        seen("Exited", 10.2),
        (GONE, at(11)),
    )

    lane = lane_of(timeline_of(known, at(20)), "Recorder")

    assert [(bar.look, bar.begin) for bar in lane.bars] == [
        ("idle", at(0)),  # it started, and nobody was there yet
        ("running", at(2)),
        ("ended", at(10)),
        ("gone", at(11)),
    ]
    assert [(mark.look, mark.at) for mark in lane.marks] == [("ended-cap", at(10))]
    assert "stopped by the API" in lane.marks[0].text


def test_the_picture_of_what_is_over_ends_with_it_and_of_what_goes_on_now():
    over = life(
        seen("InProgress", 0), (GONE, at(10)), tasks=[task((0, "running", 1), state="success", ended=11)]
    )
    going = life(seen("InProgress", 0), tasks=[task((0, "deferred", 1), state="deferred")])

    assert timeline_of(over, at(600)).end < at(12)
    assert timeline_of(over, at(600)).now is None
    assert timeline_of(going, at(600)).now == at(600)


def test_what_no_task_waits_for_any_more_is_not_said_to_go_on():
    known = life(
        seen("InProgress", 0, file("alice", "audio", 0)),
        seen("InProgress", 5),
        tasks=[task((0, "running", 1), (5, "failed", 1), state="failed", ended=5)],
    )

    timeline = timeline_of(known, at(600))

    assert looks(timeline, "Recorder") == [("running", "unknown")]
    assert looks(timeline, "alice · audio") == [("audio", "unknown")]
    assert timeline.end < at(6)


def test_a_fail_over_is_a_gap_of_recorder_and_users():
    known = life(
        told(301, 0, Status=0),
        seen("InProgress", 0.5, file("alice", "audio", 1)),
        told(302, 10, LeaveCode=100),
        told(306, 11, Status=0),
        told(301, 12, Status=0),
        seen("InProgress", 13, file("alice", "audio", 12.5, recovery=1)),
    )

    timeline = timeline_of(known, at(20))

    assert [(each.begin, each.at) for each in fail_overs_of(known)] == [(at(10), at(12))]
    assert looks(timeline, "Recorder")[:2] == [("running", "known"), ("running", "open")]
    assert [bar.look for bar in lane_of(timeline, "Recorder").bars] == ["running", "running", "gap"]
    gap = lane_of(timeline, "alice · audio").bars[1]
    assert (gap.look, gap.begin, gap.end) == ("gap", at(10), at(12.5))
    assert "1 fail-over" in timeline.description
    assert "The longest gap is from 14:10:00 to 14:12:30." in timeline.description


def test_names_of_files_show_a_fail_over_that_no_callback_reported():
    known = life(seen("InProgress", 0.5, file("alice", "audio", 1), file("alice", "audio", 9, recovery=1)))

    timeline = timeline_of(known, at(20))

    assert [(each.begin, each.at) for each in fail_overs_of(known)] == [(None, at(9))]
    # Nothing says when the first file ended, so nothing says that there is a gap.
    assert looks(timeline, "alice · audio") == [("audio", "unknown"), ("audio", "open")]


def test_a_gap_is_between_files_of_one_user_and_track_only():
    known = life(
        seen("InProgress", 1),
        told(
            310,
            30,
            Status=0,
            FileMessage=[
                converted("alice", 0, 5),
                converted("alice", 8, 10),
                converted("bob", 20, 21),
                converted("bob", 21.01, 22),
            ],
        ),
    )

    timeline = timeline_of(known, at(31))

    assert looks(timeline, "alice · mp4") == [("mixed", "known"), ("gap", "known"), ("mixed", "known")]
    assert looks(timeline, "bob · mp4") == [("mixed", "known"), ("mixed", "known")]


def test_a_conversion_says_where_its_index_file_ended():
    known = life(
        seen("InProgress", 1, file("alice", "audio", 1)),
        told(302, 20, LeaveCode=0),
        told(310, 21, Status=0, FileMessage=[converted("alice", 1, 15)]),
    )

    bar = lane_of(timeline_of(known, at(30)), "alice · audio").bars[0]

    assert (bar.end, bar.ending) == (at(15), "known")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_job_has_a_picture(kind):
    row = KINDS[kind]
    group = min(row.groups, default=0)
    story = [
        told(number, 1 + number / 10_000, group=group, Status=0, LeaveCode=0) for number in sorted(EVENTS)
    ]
    status = min(row.ends_well | row.ends_badly, default="InProgress")
    known = life(seen("InProgress", 0.5), *story, seen(status, 3), kind=kind)

    timeline = timeline_of(known, at(5))

    assert not timeline.is_empty
    assert timeline.description
    ElementTree.fromstring(rendered(timeline))


def test_addresses_of_a_relay_are_lanes_with_their_states():
    story = [
        told(401, minutes, group=4, Url="rtmp://push.example.com/live/secret", Status=code)
        for minutes, code in ((0, 1), (1, 2), (5, 3), (6, 2), (9, 4), (9.1, 0))
    ]

    timeline = timeline_of(life(*story, kind="relay"), at(10))
    lane = timeline.lanes[0]

    assert lane.label.startswith("rtmp://push.example.com#")
    assert "secret" not in rendered(timeline)
    # It failed, and the state after that says only that it is over.
    assert [bar.look for bar in lane.bars] == ["idle", "running", "idle", "running", "failed"]


def test_sentences_are_lanes_of_their_speakers_and_no_callbacks():
    story = [
        told(1403, minute, group=14, UserId=user, Text=f"text {minute}")
        for minute, user in ((1, "alice"), (2, "bob"), (3, "alice"))
    ]

    timeline = timeline_of(life(told(1401, 0, group=14, Status=0), *story, kind="transcription"), at(5))

    assert [mark.text for mark in lane_of(timeline, "alice · sentences").marks] == ["“text 1”", "“text 3”"]
    assert len(lane_of(timeline, "Callbacks").marks) == 1


def test_slices_are_bars_and_pictures_are_marks():
    names = ["alice/audios/1_7_alice_20261130140100.ogg", "alice/images/1_7_alice_20261130140130.png"]
    story = [told(1004, 2, group=10, StreamUserId="alice", FileName=name) for name in names]

    timeline = timeline_of(life(*story, kind="slicing"), at(5))

    assert looks(timeline, "alice · audio") == [("audio", "open")]
    assert [mark.at for mark in lane_of(timeline, "alice · pictures").marks] == [at(1.5)]


def test_a_task_is_drawn_with_its_states_and_tries():
    waits = task(
        (0, "running", 1),
        (0.5, "deferred", 1),
        (5, "running", 1),
        (5.5, "up_for_retry", 1),
        (7, "running", 2),
        (7.5, "deferred", 2),
        (9, "success", 2),
        state="success",
        ended=9,
    )

    lane = lane_of(timeline_of(life(seen("InProgress", 1), tasks=[waits]), at(10)), "wait")

    assert [bar.look for bar in lane.bars] == [
        "working", "resting", "working", "queued", "queued", "queued", "working", "resting"
    ]  # fmt: skip
    assert [(mark.look, mark.text) for mark in lane.marks] == [
        ("failed-cap", "Up for retry, try 1"),
        ("ended-cap", "Success, try 2"),
    ]


def test_many_users_fold_into_a_lane_each_and_more_into_one():
    files = [file(f"user-{n:03d}", track, n / 10) for n in range(40) for track in ("audio", "video")]
    known = life(seen("InProgress", 5, *files))

    folded = timeline_of(known, at(10))
    one = timeline_of(known, at(10), View(unfolded="user-003"))
    everything = timeline_of(known, at(10), View(unfolded=EVERYTHING))

    users = [lane for lane in folded.lanes if lane.user is not None]
    assert len(users) == MAX_FOLDED + 1
    assert users[-1].label == "16 more"
    assert users[3].folds == 2
    assert {"user-003 · audio", "user-003 · video"} <= {lane.name for lane in one.lanes}
    assert len([lane for lane in everything.lanes if lane.user]) == 80
    assert len({lane.key for lane in everything.lanes}) == len(everything.lanes)


def test_the_table_has_everything_that_the_picture_has_and_a_bound():
    known = life(seen("Idle", 0), seen("InProgress", 1, file("alice", "audio", 1)), told(302, 9, LeaveCode=0))
    many = life(*(told(308, minute / 100, Code=str(minute)) for minute in range(2 * MAX_ROWS)))

    rows = timeline_of(known, at(10)).rows
    timeline = timeline_of(many, at(60))

    assert [(row.lane, row.at) for row in rows] == [
        ("Polls", at(0)), ("Polls", at(0)), ("Recorder", at(0)), ("Polls", at(1)), ("Recorder", at(1)),
        ("alice · audio", at(1)), ("Callbacks", at(9)), ("Recorder", at(9)),
    ]  # fmt: skip
    assert len(timeline.rows) == MAX_ROWS
    assert timeline.rows_left_out > 0


def test_zoom_offers_what_shows_something_else():
    short = timeline_of(life(seen("InProgress", 0)), at(5))
    long = life(seen("InProgress", 0, file("alice", "audio", 1)), told(302, 150, LeaveCode=0))

    zoomed = timeline_of(long, at(180), View("end"))

    assert short.spans == ("all",)
    assert timeline_of(long, at(180)).spans == tuple(SPANS)
    assert (zoomed.begin, zoomed.end) == (at(145), zoomed.end)
    assert zoomed.end - zoomed.begin <= timedelta(minutes=10)
    assert read_view({"span": "nonsense", "unfold": "x" * 999}) == View("all", "x" * 200)


def test_a_clock_of_the_service_that_is_wrong_by_years_does_not_stretch_the_picture():
    known = life(
        seen("InProgress", 0, RecordedFile("a.m3u8", "alice", "audio", ms(0) + 20 * 365 * 86_400_000))
    )

    timeline = timeline_of(known, at(10))

    assert timeline.end - timeline.begin < timedelta(hours=1)


def test_a_run_has_one_line_a_job_in_the_order_of_their_begin():
    lives = [
        (str(n), f"lesson {n}", life(seen("InProgress", 10 - n), told(308, 10, Code="x"))) for n in range(3)
    ]

    timeline = run_timeline(lives, at(20))

    assert [lane.label for lane in timeline.lanes] == ["lesson 2", "lesson 1", "lesson 0"]
    assert [mark.look for mark in timeline.lanes[0].marks] == ["problem"]
    ElementTree.fromstring(rendered(timeline))


def test_drawings_measure_across_in_per_cent_and_fit_both_layouts():
    timeline = timeline_of(life(seen("Idle", 0), seen("InProgress", 60), told(302, 90, LeaveCode=0)), at(120))

    for layout in (WIDE, NARROW):
        drawing = draw(timeline, layout)
        assert 2 <= len(drawing.ticks) <= layout.ticks + 1
        for bar in (bar for lane in drawing.lanes for bar in lane.bars):
            assert 0 <= float(bar.x.rstrip("%")) <= 100
            assert 0 <= float(bar.x.rstrip("%")) + float(bar.width.rstrip("%")) <= 100.001


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0, "less than a second"),
        (1, "1 second"),
        (125, "2 minutes 5 seconds"),
        (7200, "2 hours"),
        (90061, "1 day 1 hour"),
    ],
)
def test_lengths_of_time_are_words(seconds, words):
    assert words_for(timedelta(seconds=seconds)) == words


def test_what_a_bar_says_depends_on_what_is_known_of_its_end():
    known = life(
        seen("InProgress", 0, file("alice", "audio", 1), file("alice", "audio", 4)), told(302, 9, LeaveCode=0)
    )

    bars = lane_of(timeline_of(known, at(10)), "alice · audio").bars

    assert title_of_bar(bars[0]).endswith("From 30 Nov 14:01:00 UTC, until 14:04:00 at the latest")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"kind": "recording", "app": "1400000001"},
        {"kind": "nonsense", "app": "1400000001", "id": "x"},
        {"kind": "recording", "app": "-1", "id": "x"},
        {"kind": "recording", "app": "1e99", "id": "x"},
        {"kind": "recording", "app": "1400000001", "id": "x" * 2000},
    ],
)
def test_what_names_no_job_is_none(query):
    assert read_job(query) is None


def test_a_job_is_named_by_its_address():
    query = {"kind": "recording", "app": "1400000001", "region": "ap-guangzhou", "id": "a+b/c=."}

    assert read_job(query) == JobRef("recording", 1400000001, "ap-guangzhou", "a+b/c=.")


# --- whatever is stored

HOSTILE = "<script>alert(1)</script>\"'&\u202e\u0000\ud800 x" * 9
texts = st.one_of(st.text(max_size=40), st.just(HOSTILE))
numbers = st.one_of(
    st.integers(), st.floats(), st.integers(ms(-600), ms(600)), st.integers(ms(-(10**6)), ms(10**6))
)
times = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda minutes: at(minutes).isoformat()), st.text(max_size=9)
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, times),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
files = st.fixed_dictionaries(
    {"file_name": texts | st.sampled_from(["ha3_1_2_audio.m3u8", "a.png", "a.mp4", "b.mp4"])},
    optional={
        "user_id": texts,
        "track_type": texts | st.sampled_from(["audio", "video", "audio_video"]),
        "begin_timestamp_ms": numbers,
        "end_timestamp_ms": numbers,
        "media_id": st.sampled_from(["main", "aux", "mix", ""]),
    },
)
facts = st.fixed_dictionaries(
    {
        "type": st.sampled_from([*EVENTS, 999]),
        "code": st.one_of(st.none(), st.integers(0, 101)),
        "happened_at_ms": numbers,
        "received_at": times,
        "detail": texts,
        "message": texts,
    }
)
records = st.fixed_dictionaries(
    {"identity": texts, "kind": st.sampled_from(["sentence", "moderation"]), "at_ms": numbers},
    optional={"user_id": texts, "text": texts, "suggestion": texts, "label": texts},
)
stored_states = st.fixed_dictionaries(
    {},
    optional={
        "status": texts | st.sampled_from(["Idle", "InProgress", "Exited", "Stopped", "Success", "Failed"]),
        "files": st.lists(files, max_size=12) | anything,
        "history": st.lists(facts, max_size=12) | anything,
        "records": st.lists(records, max_size=6) | anything,
        "changes": st.lists(st.tuples(numbers, texts), max_size=6) | anything,
        "room_id": anything,
        "polls": anything,
        "refusals": anything,
        **dict.fromkeys(("first_seen_at", "last_seen_at", "exited_at", "absent_since", "absent_at"), times),
    },
)
moments = st.none() | st.integers(-(10**5), 10**5).map(at)
attempts = st.builds(
    Attempt, st.integers(0, 5), st.none() | texts | st.sampled_from(["deferred", "failed", "success"]),
    moments, moments, moments, moments,
)  # fmt: skip
changes = st.builds(
    StateChange,
    st.integers(-(10**5), 10**5).map(at),
    st.sampled_from(["running", "deferred", "up_for_retry", "failed"]) | texts,
    st.none() | st.integers(0, 5),
)
tasks = st.builds(
    TaskLife,
    texts,
    texts,
    texts,
    st.integers(-1, 9),
    texts,
    st.lists(attempts, max_size=4).map(tuple),
    st.lists(changes, max_size=8).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(
    stored_states,
    st.sampled_from(sorted(KINDS)) | texts,
    st.lists(tasks, max_size=3),
    st.sampled_from(list(SPANS)),
    st.just("") | st.just(EVERYTHING) | texts,
)
def test_whatever_is_stored_gives_a_picture_that_is_well_formed_and_escaped(
    stored, kind, waiting, span, user
):
    state = from_json({"v": 1, "job_id": ID, **stored}, ID)
    known = JobLife(JobRef(kind, APP, None, ID), state, tasks=tuple(waiting))

    view = view_of(known, at(60), View(span, user), console="javascript:alert(1)")
    html = rendered(view.timeline)

    assert view.console is None
    assert "<script" not in html
    assert not re.search(r"\sstyle=|\son\w+=", re.sub(r'"[^"]*"', '""', html))
    assert "\u202e" not in html
    ElementTree.fromstring(html)


@settings(max_examples=60, deadline=None)
@given(st.lists(anything, max_size=5))
def test_rows_of_events_are_read_whatever_they_hold(values):
    rows = {f"ev/{number}": json.dumps(value) for number, value in enumerate(values)}

    assert (
        read_facts(rows | {"ev/x": "{", "ev/y": "[" * 5000}, JobRef("recording", APP, None, ID), ms(0)) == ()
    )


def test_events_one_by_one_are_more_than_the_history_keeps():
    story = [
        told(302, 5, LeaveCode=100),
        told(301, 6, Status=0),
        told(302, 9, LeaveCode=100),
        told(301, 11, Status=0),
    ]
    body = [callback.event for callback, _ in story]
    rows = {
        f"ev/{number}": json.dumps({"v": 1, "sdk_app_id": APP, "received_at_ms": ms(20), "event": event})
        for number, event in enumerate(random.Random(1).sample(body, len(body)))
    }
    job = JobRef("recording", APP, None, ID)

    known = life(*story)
    kept = JobLife(job, from_json(to_json(known.state), ID), read_facts(rows, job, ms(20)))

    assert len(known.state.history.facts) == 2
    assert [each.begin for each in fail_overs_of(kept)] == [at(5), at(9)]


def test_a_text_of_the_outside_is_one_line_without_controls():
    assert shown("a\n\tb\u202e\x07c\ufffe") == "a bc"
    assert shown("x" * 300) == "x" * 199 + "…"
    assert shown(None) == ""
