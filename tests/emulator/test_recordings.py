"""The life of a recording as tables: what is seen at which second, or by which read."""

from __future__ import annotations

import pytest

from airflow_trtc.emulator.recordings import GONE, advance, end, play, produced_files, read
from airflow_trtc.emulator.seeding import Seed, recording_of, step_of
from airflow_trtc.emulator.settings import Settings

START = 1_700_000_000.123


def new(**options):
    return recording_of(Seed(**options), Settings(), "rid", START)


def seen(recording, second):
    """What a query at this second sees: status and number of files, or the error."""
    view = read(recording, START + second)
    return view.error or ("Gone" if view.is_gone else (view.status, len(view.files)))


def story(recording, seconds):
    return [seen(recording, second) for second in seconds]


RUNNING_3 = ("InProgress", 3)


@pytest.mark.parametrize(
    "options, seconds, expected",
    [
        ({"files": 3}, [0, 0, 9999], [RUNNING_3] * 3),
        ({}, [0], [("InProgress", 2)]),
        ({"mixed": True}, [0], [("InProgress", 1)]),
        (
            {"files": 3, "file_every_seconds": 10},
            [0, 9.9, 10, 19, 20, 99],
            [
                ("InProgress", 1),
                ("InProgress", 1),
                ("InProgress", 2),
                ("InProgress", 2),
                RUNNING_3,
                RUNNING_3,
            ],
        ),
        (
            {"files": 3, "file_every_reads": 2},
            [0] * 6,
            [("InProgress", 1)] * 2 + [("InProgress", 2)] * 2 + [RUNNING_3] * 2,
        ),
        ({"files": 3, "ends_after_seconds": 10}, [0, 9, 10], [RUNNING_3, RUNNING_3, "Gone"]),
        ({"files": 3, "ends_after_reads": 2}, [0, 0, 0], [RUNNING_3, RUNNING_3, "Gone"]),
        (
            {"files": 3, "ends_after_reads": 1, "ends_after_seconds": 5},
            [0, 1, 5],
            [RUNNING_3, RUNNING_3, "Gone"],
        ),
        (
            {"files": 3, "ends_after_seconds": 10, "exited_seconds": 2},
            [9, 10, 11, 12],
            [RUNNING_3, ("Exited", 3), ("Exited", 3), "Gone"],
        ),
        (
            {"files": 3, "ends_after_reads": 1, "exited_reads": 2},
            [0, 0, 50, 50],
            [RUNNING_3, ("Exited", 3), ("Exited", 3), "Gone"],
        ),
        ({"files": 3, "idle_seconds": 5}, [0, 4, 5], [("Idle", 0), ("Idle", 0), RUNNING_3]),
        ({"files": 3, "idle_reads": 2}, [0, 0, 0], [("Idle", 0), ("Idle", 0), RUNNING_3]),
        ({"participants": 0}, [0, 29, 30], [("Idle", 0), ("Idle", 0), "Gone"]),
        ({"files": 3, "room_empty_after_seconds": 10}, [39, 40], [RUNNING_3, "Gone"]),
        ({"files": 3, "room_empty_after_seconds": 10, "max_idle_seconds": 5}, [14, 15], [RUNNING_3, "Gone"]),
        ({"files": 3, "started_seconds_ago": 8, "ends_after_seconds": 10}, [1, 2], [RUNNING_3, "Gone"]),
        ({"files": 3, "storage": "vod"}, [0], [("InProgress", 0)]),
        ({"files": 3, "output_format": 3}, [0], [("InProgress", 0)]),
        ({"files": 3, "output_format": 3, "list_without_hls": "index"}, [0], [RUNNING_3]),
        ({"files": 3, "output_format": 3, "list_without_hls": "media"}, [0], [("InProgress", 2)]),
        ({"files": 3, "expires_after_hours": 6}, [21599, 21600], [RUNNING_3, "Gone"]),
    ],
)
def test_own_life(options, seconds, expected):
    assert story(new(**options), seconds) == expected


@pytest.mark.parametrize(
    "options, steps, seconds, expected",
    [
        (
            {"files": 2},
            [{"files": 0}, {"files": 1}, {"files": 2}, {"gone": True}],
            [0] * 5,
            [("InProgress", 0), ("InProgress", 1), ("InProgress", 2), "Gone", "Gone"],
        ),
        ({"files": 3}, [{"error": "X.Y", "reads": 2}], [0] * 3, ["X.Y", "X.Y", RUNNING_3]),
        ({"files": 3}, [{"error": "X.Y", "seconds": 60}], [0, 59, 60], ["X.Y", "X.Y", RUNNING_3]),
        ({"files": 3}, [{"gone": True, "reads": 1}], [0, 0], ["Gone", RUNNING_3]),
        ({"files": 3}, [{"status": "Paused"}], [0, 0, 99], [("Paused", 3)] * 3),
        (
            {"files": 3},
            [{"status": "Exited", "reads": 2}, {"gone": True}],
            [0] * 3,
            [("Exited", 3), ("Exited", 3), "Gone"],
        ),
        (
            {"files": 3},
            [{"status": "Exited", "seconds": 5}, {"gone": True}],
            [0, 4, 5],
            [("Exited", 3), ("Exited", 3), "Gone"],
        ),
        (
            {"files": 3, "ends_after_seconds": 5},
            [{"files": 1}],
            [0, 4, 5],
            [("InProgress", 1)] * 2 + ["Gone"],
        ),
        (
            {"files": 3},
            [{"files": [{"FileName": "x"}], "reads": 1}],
            [0, 0],
            [("InProgress", 1), ("InProgress", 4)],
        ),
    ],
)
def test_scripts_cover_the_own_life(options, steps, seconds, expected):
    recording = new(**options)
    play(recording, [step_of(step) for step in steps], START)
    assert story(recording, seconds) == expected


def test_scripted_answers_do_not_use_up_the_own_life():
    recording = new(files=3, ends_after_reads=2)
    play(recording, [step_of({"error": "X", "reads": 5})], START)
    assert story(recording, [0] * 8) == ["X"] * 5 + [RUNNING_3] * 2 + ["Gone"]
    assert recording.reads == 8


def test_a_script_with_files_decides_which_are_made():
    recording = new(files=3)
    play(recording, [step_of({"files": 1}), step_of({"files": 2}), step_of({"gone": True})], START)
    story(recording, [1, 2, 3])
    assert len(produced_files(recording)["files"]) == 2
    assert (recording.ended_at, recording.end_reason) == (START + 2, "script")


def test_another_recordings_id_can_be_answered():
    recording = new()
    play(recording, [step_of({"task_id": "other"})], START)
    assert read(recording, START).task_id == "other"


def test_stages_end_when_due_however_late_the_poll_is():
    recording = new(files=9, file_every_seconds=10, idle_seconds=5, ends_after_seconds=30, exited_seconds=1)
    advance(recording, START + 10_000)
    stages = [(round(at - START, 6), stage) for at, stage in recording.history]
    assert stages == [(0, "Idle"), (5, "InProgress"), (35, "Exited"), (36, GONE)]
    begins = [each["BeginTimeStamp"] - round(START * 1000) for each in recording.files]
    assert begins == [5000, 15000, 25000, 35000]


def test_an_instant_is_not_missed_by_the_rounding_of_floats():
    for tenth in range(1, 100):
        recording = new(files=2, idle_seconds=0.2, file_every_seconds=tenth / 10)
        assert seen(recording, (tenth + 2) / 10) == ("InProgress", 2)


@pytest.mark.parametrize(
    "options, reason",
    [
        ({"participants": 0}, "idle"),
        ({"room_empty_after_seconds": 1}, "idle"),
        ({"ends_after_seconds": 1}, "ended"),
        ({"ends_after_seconds": 99, "room_empty_after_seconds": 1}, "idle"),
    ],
)
def test_why_it_ended(options, reason):
    recording = new(**options)
    advance(recording, START + 1000)
    assert recording.end_reason == reason


def test_files_that_appear_together_begin_a_few_milliseconds_apart():
    recording = new(files=3)
    advance(recording, START)
    assert [each["BeginTimeStamp"] - round(START * 1000) for each in recording.files] == [0, 7, 14]


def test_ending_an_idle_recording_makes_no_files():
    recording = new(files=3, idle_seconds=60)
    end(recording, START + 1, "deleted")
    assert (recording.stage, recording.files, recording.end_reason) == (GONE, [], "deleted")


def test_a_file_made_after_the_last_query_is_true_but_was_never_listed():
    recording = new(files=3, file_every_seconds=10)
    seen(recording, 0)
    end(recording, START + 25, "ended")
    assert len(recording.listed_files) == 1
    assert len(produced_files(recording)["files"]) == 3


def test_reads_decide_what_was_made_when_reads_end_it():
    recording = new(files=5, file_every_reads=1, ends_after_reads=2)
    assert story(recording, [0, 0, 0]) == [("InProgress", 1), ("InProgress", 2), "Gone"]
    assert len(recording.files) == 2


@pytest.mark.parametrize(
    "options, kinds",
    [
        ({}, {"files": 2}),
        ({"output_format": 1}, {"files": 2, "mp4_files": 1}),
        ({"output_format": 2}, {"files": 2, "aac_files": 1}),
        ({"output_format": 3}, {"mp4_files": 1}),
        ({"output_format": 4}, {"aac_files": 1}),
        ({"storage": "vod"}, {"vod_files": 1}),
        ({"storage": "vod", "vod_media_type": 3}, {"vod_files": 2}),
    ],
)
def test_what_is_made_by_the_end(options, kinds):
    recording = new(**options)
    end(recording, START + 1, "ended")
    made = {kind: len(files) for kind, files in produced_files(recording).items() if files}
    assert made == kinds


def test_conversions_are_made_only_at_the_end():
    recording = new(output_format=1)
    advance(recording, START + 5)
    assert produced_files(recording)["mp4_files"] == []


def test_an_end_drops_the_script():
    recording = new()
    play(recording, [step_of({"status": "InProgress"})], START)
    end(recording, START, "deleted")
    assert seen(recording, 1) == "Gone"


@pytest.mark.parametrize(
    "options",
    [
        {"idle_seconds": -1},
        {"ends_after_reads": 1.5},
        {"ends_after_seconds": "10"},
        {"storage": "s3"},
        {"recoveries": 4},
        {"empty_file_list": "nil"},
        {"list_without_hls": "mp4"},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Seed(**options)


@pytest.mark.parametrize(
    "step", [{"statsu": "Idle"}, {"reads": -1}, {"file_list": "x"}, {"files": [{"Name": "a"}]}]
)
def test_wrong_steps_are_refused(step):
    with pytest.raises(ValueError, match=r"option|reads|file_list|FileName"):
        step_of(step)
