"""Which events a recording tells, when, and in which form. No sockets, no clock."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from airflow_trtc.emulator.events import Timeline, due_events, next_event_at, with_times
from airflow_trtc.emulator.recordings import advance, end, next_change_at, produced_files
from airflow_trtc.emulator.seeding import Seed, recording_of
from airflow_trtc.emulator.settings import Settings

START = 1_700_000_000.125
TYPES_WITH_TIME_AS_TEXT = {301, 302, 307}


def new(**options):
    return recording_of(Seed(**options), Settings(), "rid", START)


def life(recording, seconds=10_000.0):
    """All events up to that second, each taken at the instant the emulator would be woken for it."""
    timeline, events = Timeline(recording), []
    now: float | None = START
    while now is not None and now <= START + seconds:
        advance(recording, now)
        events += due_events(timeline, now)
        instants = (next_change_at(recording, now), next_event_at(timeline))
        now = min((each for each in instants if each is not None), default=None)
    return events


def story(events):
    return [event.type for event in events]


def payloads(events, event_type):
    return [event.info["Payload"] for event in events if event.type == event_type]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"files": 2}, [301, 303, 307, 307, 304, 304, 302, 305]),
        ({"files": 1, "output_format": 1}, [301, 303, 307, 304, 302, 305, 310]),
        ({"files": 2, "output_format": 3}, [301, 303, 302, 305, 310]),
        ({"files": 2, "output_format": 4}, [301, 303, 302, 305, 310]),
        ({"files": 2, "output_format": 3, "list_without_hls": "index"},
         [301, 303, 307, 307, 304, 304, 302, 305, 310]),
        ({"files": 4, "output_format": 3}, [301, 303, 302, 305, 310, 310]),
        ({"files": 4, "output_format": 3, "files_per_310": 0}, [301, 303, 302, 305, 310]),
        ({"files": 4, "storage": "vod"}, [301, 302, 311, 311, 312]),
        ({"files": 2, "storage": "vod", "vod_media_type": 3}, [301, 302, 311, 311, 312]),
        ({"participants": 0}, [301, 302]),
        ({"participants": 0, "storage": "vod"}, [301, 302]),
        ({"output_format": 3, "screens": True}, [301, 303, 302, 305, 310, 310]),
        ({"output_format": 3, "max_media_seconds": 25}, [301, 303, 302, 305, 310, 310, 310]),
        ({"files": 1, "failovers": 1, "upload_errors": 1, "image_errors": 1},
         [301, 303, 307, 304, 306, 308, 309, 302, 305]),
        ({"start_fails": True}, [301]),
    ],
)  # fmt: skip
def test_which_events_tell_a_life(options, expected):
    assert story(life(new(ends_after_seconds=60, **options))) == expected


def test_the_times_are_those_that_were_seen():
    events = life(new(files=4, output_format=3, ends_after_seconds=60))
    at = [(event.type, round(event.at - START - 60, 3)) for event in events if event.at >= START + 60]
    assert at == [(302, 0), (305, 0.033), (310, 2.6), (310, 3.1)]


def test_times_can_be_set():
    events = life(
        new(
            files=4,
            storage="vod",
            ends_after_seconds=60,
            vod_after_seconds=30,
            media_every_seconds=7,
            vod_end_after_seconds=2,
        )
    )
    assert [round(event.at - START - 60, 3) for event in events[1:]] == [0, 30, 37, 39]


def test_the_envelopes_inside_is_as_loose_as_the_services():
    events = life(new(files=1, output_format=1, ends_after_seconds=1, room_id="8001", robot_id="robot"))
    for event in events:
        info = event.info
        assert event.group == 3
        assert list(info) == ["RoomId", "EventTs", "EventMsTs", "UserId", "TaskId", "Payload"]
        assert (info["RoomId"], info["UserId"], info["TaskId"]) == ("8001", "robot", "rid")
        assert isinstance(info["EventTs"], str if event.type in TYPES_WITH_TIME_AS_TEXT else int)
        assert info["EventMsTs"] == round(event.at * 1000)
        assert int(info["EventTs"]) == info["EventMsTs"] // 1000


def test_each_part_of_a_long_file_is_reported_with_its_own_times():
    recording = new(mixed=True, output_format=1, ends_after_seconds=60, max_media_seconds=25, room_id="55")
    files = [each["FileMessage"][0] for each in payloads(life(recording), 310)]
    begin = round(START * 1000)
    assert [(each["FileName"].partition("_")[2], each["MediaId"]) for each in files] == [
        ("55_1.mp4", "mix"),
        ("55_2.mp4", "mix"),
        ("55_3.mp4", "mix"),
    ]
    assert [(each["StartTimeStamp"] - begin, each["EndTimeStamp"] - begin) for each in files] == [
        (0, 25_000),
        (25_000, 50_000),
        (50_000, 60_000),
    ]
    assert [each["FileName"] for each in produced_files(recording)["mp4_files"]] == [
        each["FileName"] for each in files
    ]


def test_a_shared_screen_is_a_stream_of_its_own():
    recording = new(output_format=1, ends_after_seconds=60, screens=True)
    files = [each["FileMessage"][0] for each in payloads(life(recording), 310)]
    assert [(each["UserId"], each["MediaId"]) for each in files] == [
        ("anchor_1", "main"),
        ("anchor_1", "aux"),
    ]


@pytest.mark.parametrize("skew", [-240.0, 90.0])
def test_a_recorder_whose_clock_is_wrong_tells_all_times_by_it(skew):
    options: dict[str, Any] = {
        "files": 2,
        "output_format": 1,
        "ends_after_seconds": 60,
        "room_events": True,
    }
    right, wrong = (
        recording_of(Seed(**options), Settings(), "rid", START, clock_skew_seconds=seconds)
        for seconds in (0.0, skew)
    )
    for a, b in zip(life(right), life(wrong), strict=True):
        assert (a.type, a.at) == (b.type, b.at)
        assert b.info["EventMsTs"] - a.info["EventMsTs"] == skew * 1000
        assert int(b.info["EventTs"]) - int(a.info["EventTs"]) == skew
    for kind, name in (("files", "BeginTimeStamp"), ("mp4_files", "EndTimeStamp")):
        one, other = produced_files(right)[kind], produced_files(wrong)[kind]
        assert {b[name] - a[name] for a, b in zip(one, other, strict=True)} == {skew * 1000}


def test_index_files_are_reported_by_the_names_that_are_true():
    recording = new(files=3, file_every_seconds=10, ends_after_seconds=60)
    events = life(recording)
    files = produced_files(recording)["files"]
    assert [each["FileList"] for each in payloads(events, 304)] == [each["FileName"] for each in files]
    assert payloads(events, 307) == [
        {name: each[name] for name in ("FileName", "UserId", "TrackType", "BeginTimeStamp")} for each in files
    ]
    assert [round(event.at - START, 3) for event in events if event.type == 304] == [0.202, 10.202, 20.202]


def test_media_files_are_reported_by_the_names_that_are_true():
    recording = new(files=4, output_format=1, ends_after_seconds=60)
    events = payloads(life(recording), 310)
    files = produced_files(recording)["mp4_files"]
    assert [each["FileList"] for each in events] == [[each["FileName"]] for each in files]
    assert events[0]["FileMessage"] == [
        {
            "FileName": files[0]["FileName"],
            "UserId": "anchor_1",
            "TrackType": "audio_video",
            "MediaId": "main",
            "StartTimeStamp": round(START * 1000),
            "EndTimeStamp": round((START + 60) * 1000),
        }
    ]


def test_vod_files_are_reported_by_the_names_that_are_true():
    recording = new(files=2, storage="vod", ends_after_seconds=60)
    (payload,) = payloads(life(recording), 311)
    (file,) = produced_files(recording)["vod_files"]
    assert payload == {
        "Status": 0,
        "TencentVod": {
            "UserId": "anchor_1",
            "TrackType": "audio_video",
            "MediaId": "main",
            "StartTimeStamp": file["BeginTimeStamp"],
            "EndTimeStamp": file["EndTimeStamp"],
            "FileId": file["FileId"],
            "VideoUrl": file["VideoUrl"],
            "CacheFile": file["FileName"],
        },
    }


def test_two_recordings_have_different_vod_files():
    ids = set()
    for recording_id in ("a", "b"):
        recording = recording_of(Seed(files=4, storage="vod"), Settings(), recording_id, START)
        end(recording, START + 5, "ended")
        ids |= {each["FileId"] for each in produced_files(recording)["vod_files"]}
    assert len(ids) == 4


@pytest.mark.parametrize("storage, output_format", [("cos", 3), ("vod", 0)])
def test_a_mixed_recordings_files_have_no_user(storage, output_format):
    events = life(new(mixed=True, storage=storage, output_format=output_format, ends_after_seconds=5))
    facts = next(
        payload["TencentVod"] if "TencentVod" in payload else payload["FileMessage"][0]
        for payload in payloads(events, 310) + payloads(events, 311)
    )
    assert (facts["UserId"], facts["MediaId"]) == ("", "mix")


@pytest.mark.parametrize(
    "options, reason, expected",
    [
        ({}, "deleted", 0),
        ({}, "ended", 0),
        ({}, "idle", 99),
        ({}, "replaced", 101),
        ({"leave_code": 4}, "deleted", 4),
    ],
)
def test_leave_codes(options, reason, expected):
    recording = new(**options)
    end(recording, START + 1, reason)
    assert payloads(life(recording), 302) == [{"LeaveCode": expected}]


def test_lingering_files_are_recovered_later():
    events = life(new(ends_after_seconds=1, upload_status=[1, 2]))
    assert payloads(events, 305) == [{"Status": 1}, {"Status": 2}]
    first, second = (event.at for event in events if event.type == 305)
    assert second - first == pytest.approx(5)


def test_a_status_for_each_conversion():
    recording = new(files=6, output_format=3, ends_after_seconds=1, mp4_status=[0, [1, 0], 2])
    events = payloads(life(recording), 310)
    names = [each["FileName"] for each in produced_files(recording)["mp4_files"]]
    assert [(each["Status"], each["FileList"]) for each in events] == [
        (0, names[:1]),
        (1, names[1:]),
        (2, []),
        (0, names[1:]),
    ]
    assert len(produced_files(recording)["failed_files"]) == 1


def test_a_status_for_each_vod_file():
    recording = new(files=6, storage="vod", ends_after_seconds=1, vod_status=[0, [1, 0], 2], vod_end_status=1)
    events = life(recording)
    files = produced_files(recording)
    names = [each["FileName"] for each in files["vod_files"]]
    (failed,) = files["failed_files"]
    assert [(each["Status"], each["TencentVod"]["CacheFile"]) for each in payloads(events, 311)] == [
        (0, names[0]),
        (1, names[1]),
        (2, failed["FileName"]),
        (0, names[1]),
    ]
    assert all("FileId" in each["TencentVod"] for each in payloads(events, 311) if not each["Status"])
    assert all(each["Errmsg"] for each in payloads(events, 311) if each["Status"])
    assert payloads(events, 312) == [{"Status": 1}]
    assert story(events)[-2:] == [312, 311]


def test_a_start_that_fails_is_all_there_is():
    recording = new(start_fails=True, idle_seconds=7)
    events = life(recording)
    assert [(event.type, event.info["Payload"], event.at) for event in events] == [
        (301, {"Status": 1}, START + 7)
    ]
    assert (recording.end_reason, recording.files, recording.started_at) == ("failed", [], None)


def test_errors_tell_what_was_given():
    events = life(
        new(
            ends_after_seconds=50,
            failovers=[3, 9],
            upload_errors=[{"Code": "X", "Message": "y"}],
            image_errors=["http://i/1"],
        )
    )
    assert [event.at - START for event in events if event.type == 306] == [3, 9]
    assert payloads(events, 308) == [{"Code": "X", "Message": "y"}]
    assert payloads(events, 309) == [{"Url": "http://i/1"}]


def test_nothing_comes_after_the_end_that_belongs_before():
    events = life(new(files=2, failovers=[0.01, 9], ends_after_seconds=0.1, upload_after_seconds=0))
    assert story(events) == [301, 303, 307, 307, 306, 304, 304, 302, 305]
    assert all(event.info["EventMsTs"] <= round((START + 0.1) * 1000) for event in events)


def test_no_two_events_are_alike():
    events = life(
        new(
            participants=3,
            output_format=1,
            room_events=True,
            failovers=3,
            upload_errors=3,
            image_errors=3,
            upload_status=[1, 1, 2],
            mp4_status=[2],
            ends_after_seconds=9,
        )
    )
    assert len({(event.type, str(event.info)) for event in events}) == len(events)


def test_people_come_and_go():
    events = life(new(participants=["u1", "u2"], room_id="77", ends_after_seconds=5, room_events=True))
    room = [event for event in events if event.group != 3]
    assert [(event.group, event.type, event.info.get("UserId")) for event in room] == [
        (1, 101, "u1"),
        (1, 103, "u1"),
        (2, 203, "u1"),
        (2, 201, "u1"),
        (1, 103, "u2"),
        (2, 203, "u2"),
        (2, 201, "u2"),
        (1, 104, "u1"),
        (1, 104, "u2"),
        (1, 102, None),
    ]
    assert [event.info["RoomId"] for event in room] == [77] * 9 + ["77"]
    assert story(events)[-3:] == [102, 302, 305]


def test_people_leave_before_the_recorder_notices():
    events = life(new(participants=1, room_empty_after_seconds=10, room_events=True, room_id="a room"))
    at = {event.type: event.at - START for event in events}
    assert (at[104], at[102], at[302]) == (10, 10, 40)
    assert {event.info["RoomId"] for event in events} == {"a room"}


def test_every_event_is_reported_once_however_often_it_is_asked_for():
    recording = new(files=3, file_every_seconds=1, output_format=1, ends_after_seconds=10)
    timeline = Timeline(recording)
    events = []
    for tenth in range(200):
        advance(recording, START + tenth / 10)
        events += due_events(timeline, START + tenth / 10)
    key = lambda event: (event.type, event.at, str(event.info))  # noqa: E731
    assert sorted(map(key, events)) == sorted(
        map(key, life(new(files=3, file_every_seconds=1, output_format=1, ends_after_seconds=10)))
    )


def test_events_come_in_the_order_of_their_times():
    events = life(
        new(files=3, file_every_seconds=1, output_format=1, ends_after_seconds=10, room_events=True)
    )
    assert all(one.at <= other.at for one, other in itertools.pairwise(events))


@pytest.mark.parametrize(
    "options",
    [
        {"upload_status": 3},
        {"upload_status": []},
        {"mp4_status": [0, [1, 5]]},
        {"vod_end_status": [0]},
        {"leave_code": "0"},
        {"files_per_310": -1},
        {"failovers": "1"},
        {"upload_errors": ["text"]},
        {"image_errors": [1]},
        {"callbacks": {"302": "eaten"}},
        {"callbacks": {"stop": "lost"}},
        {"callbacks": {"302": -1}},
        {"mp4_after_seconds": "2"},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Seed(**options)


def test_times_that_are_given_stay():
    assert with_times(1, 103, START, {"EventTs": "5", "UserId": "u"}) == {
        "EventMsTs": round(START * 1000),
        "EventTs": "5",
        "UserId": "u",
    }
    assert "EventTs" not in with_times(8, 801, START, {})
