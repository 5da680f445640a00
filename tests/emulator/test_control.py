"""The control methods in process and over HTTP: both must do the same."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from airflow_trtc.emulator import ControlError, EmulatorClient

APP = 1400000001


@pytest.fixture(params=["in process", "over HTTP"])
def controls(request, emulator):
    return emulator if request.param == "in process" else EmulatorClient(emulator.url + "/")


def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as response:
        return response.status, response.headers["Content-Type"], response.read().decode()


def post(url, body):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data=body.encode(), method="POST"), timeout=60) as response:
        return json.load(response)


def test_seed_script_end_and_truth(controls, emulator, caller):
    describe = caller(emulator, "sync").describe
    rid = controls.add_recording(files=2, room_id="77", destination={"Bucket": "b", "FileNamePrefix": ["x"]})
    controls.script(rid, [{"status": "Idle", "files": 0}])
    assert describe(rid)["Status"] == "Idle"
    controls.script(rid, [])
    assert len(describe(rid)["StorageFileList"]) == 2
    controls.end(rid)
    truth = controls.truth(rid)
    assert (truth["status"], truth["end_reason"], truth["reads"]) == ("Gone", "ended", 2)
    assert [file["FileName"] for file in truth["files"]] == [
        f"{APP}_77__UserId_s_YW5jaG9yXzE.__UserId_e_main_{track}.m3u8" for track in ("audio", "video")
    ]


def test_explicit_files_and_id(controls):
    file = {"FileName": "a.m3u8", "UserId": "u", "TrackType": "audio", "BeginTimeStamp": 5}
    rid = controls.add_recording(files=[file], recording_id="a+b-c..")
    assert rid == "a+b-c.."
    assert controls.truth(rid)["files"] == [file]


def test_a_recording_that_is_over_already(controls, emulator, caller):
    rid = controls.add_recording(files=2, started_seconds_ago=100, ended=True, exited_reads=5)
    truth = controls.truth(rid)
    assert (truth["status"], len(truth["files"])) == ("Gone", 2)
    assert truth["ended_at"] - truth["started_at"] == pytest.approx(100)


def test_new_ids_belong_to_nothing(controls):
    assert controls.new_recording_id() not in controls.state()["recordings"]


def test_the_clock_moves_on_demand(controls):
    before = controls.health()["now"]
    assert controls.advance(90) == pytest.approx(before + 90)
    with pytest.raises(ControlError, match="go back"):
        controls.advance(-1)


def test_the_service_has_a_clock_of_its_own(controls):
    before = controls.health()["now"]
    controls.skew_clock(-120)
    rid = controls.add_recording(files=1)
    truth = controls.truth(rid)
    assert controls.state()["clock_skew_seconds"] == truth["clock_skew_seconds"] == -120
    assert truth["created_at"] == pytest.approx(before)
    assert truth["files"][0]["BeginTimeStamp"] == pytest.approx((before - 120) * 1000)


def test_faults_are_listed_and_cleared(controls):
    controls.fault("throttle", count=5, action="DescribeCloudRecording")
    controls.fault("outage", seconds=60)
    listed = controls.faults()
    assert [(fault["kind"], fault["count"], fault["seconds"]) for fault in listed] == [
        ("throttle", 5, None),
        ("outage", None, 60),
    ]
    assert listed[0]["code"] == "RequestLimitExceeded"
    controls.clear_faults()
    assert controls.faults() == []


def test_a_fault_ends_with_its_seconds(controls, emulator):
    now = emulator._state.ticks()
    controls.fault("outage", seconds=60)
    (fault,) = emulator._state.faults.active(now)
    assert fault.meets("DescribeCloudRecording", "x", now + 59)
    assert not fault.meets("DescribeCloudRecording", "x", now + 61)


@pytest.mark.parametrize(
    "attempt, text, status",
    [
        (lambda c: c.truth("unknown"), "unknown", 404),
        (lambda c: c.end("unknown"), "unknown", 404),
        (lambda c: c.add_recording(fils=3), "fils", 400),
        (lambda c: c.add_recording(files=5, mixed=True), "at most 4", 400),
        (lambda c: c.add_recording(files=[{"Name": "x"}]), "FileName", 400),
        (lambda c: c.add_recording(idle_seconds="soon"), "idle_seconds", 400),
        (lambda c: c.fault("gremlins"), "there are: throttle", 400),
        (lambda c: c.fault("slow", second=3), "second", 400),
        (lambda c: c.fault("slow", count="many"), "count", 400),
        (lambda c: c.fault("slow", delay_seconds=-1), "delay_seconds", 400),
        (lambda c: c.fault("http", status=99), "status", 400),
        (lambda c: c.script(c.add_recording(), [{"fault": "slow"}]), "fault", 400),
        (lambda c: c.script(c.add_recording(), [{"state": "Idle"}]), "state", 400),
        (lambda c: c.script(c.add_recording(), [{"fault": "gremlins"}]), "fault must be", 400),
    ],
)
def test_wrong_requests_say_why(controls, attempt, text, status):
    with pytest.raises(ControlError, match=text) as caught:
        attempt(controls)
    assert caught.value.status == status


def test_an_id_is_used_once(controls):
    rid = controls.add_recording()
    with pytest.raises(ControlError, match="already"):
        controls.add_recording(recording_id=rid)


def test_several_recordings_in_one_request(emulator):
    body = json.dumps({"recordings": [{"files": 1}, {"mixed": True}]})
    ids = post(f"{emulator.url}/_control/seed", body)["recording_ids"]
    assert list(emulator.state()["recordings"]) == ids


def test_counters_and_requests(controls, emulator, caller):
    rid = controls.add_recording()
    describe = caller(emulator, "sync").describe
    describe(rid)
    controls.fault("reset", count=1)
    with pytest.raises(Exception, match="ClientNetworkError"):
        describe(rid)
    state = controls.state(requests=True)
    assert state["counters"] == {"DescribeCloudRecording": {"OK": 1, "fault:reset": 1}}
    assert [(request["job_id"], request["code"]) for request in state["requests"]] == [
        (rid, "OK"),
        (rid, "fault:reset"),
    ]
    assert "requests" not in controls.state()


def test_reset_forgets_everything(controls):
    controls.add_recording()
    controls.fault("outage")
    controls.reset()
    state = controls.state(requests=True)
    assert (state["recordings"], state["faults"], state["counters"], state["requests"]) == ({}, [], {}, [])


def test_no_secret_is_ever_shown(emulator, caller, create_values, caplog):
    caplog.set_level("DEBUG", logger="airflow_trtc.emulator")
    sync = caller(emulator, "sync")
    rid = sync("CreateCloudRecording", {**create_values, "PrivateMapKey": "private-map"})["TaskId"]
    emulator.end(rid)
    shown = json.dumps(emulator.state(requests=True)) + json.dumps(emulator.truth(rid)) + caplog.text
    shown += get(emulator.page_url(rid))[2] + repr(emulator._state.settings)
    shown += json.dumps(emulator.bill())
    user_sig = create_values["UserSig"]
    keys = (emulator.secret_key, emulator.sdk_secret_key)
    for secret in ("AKstorage", "SKstorage", user_sig, "private-map", *keys):
        assert secret not in shown
    assert '"Bucket": "b-1"' in shown


def test_secrets_that_were_sent_are_told_in_this_process_only(emulator, caller, create_values):
    assert emulator.secrets_sent == frozenset()
    caller(emulator, "sync")("CreateCloudRecording", {**create_values, "PrivateMapKey": "private-map"})
    assert emulator.secrets_sent == {"AKstorage", "SKstorage", create_values["UserSig"], "private-map"}
    assert not hasattr(EmulatorClient(emulator.url), "secrets_sent")
    emulator.reset()
    assert emulator.secrets_sent == frozenset()


def test_the_page_of_a_recording(emulator):
    rid = emulator.add_recording(recording_id="a+b-<i>..", room_id="<room>", output_format=1)
    emulator.end(rid)
    status, content_type, html = get(emulator.page_url(rid))
    assert (status, content_type) == (200, "text/html; charset=utf-8")
    assert "a+b-&lt;i&gt;.." in html
    assert "<room>" not in html
    assert "main_audio.m3u8" in html
    assert "main.mp4" in html
    overview = get(f"{emulator.url}/_control/recordings/")[2]
    assert f'href="{quote(rid, safe="")}"' in overview


def test_pages_say_which_robot_records_and_who_started_it(emulator, caller, create_values):
    made = caller(emulator, "sync")("CreateCloudRecording", create_values)
    for url in (emulator.page_url(made["TaskId"]), f"{emulator.url}/_control/recordings/"):
        html = get(url)[2]
        assert f"<td>{emulator.secret_id}, request {made['RequestId']}</td>" in html
        assert "<td>robot</td>" in html


def test_pages_tell_the_two_rooms_of_one_name_apart_and_say_who_is_there(emulator, caller, create_values):
    emulator.room("8001", enter=["alice", "<bob>"])
    emulator.room("8001", leave=["alice"])
    for kind in (0, 1):
        room = {"RoomId": "8001", "RoomIdType": kind}
        caller(emulator, "sync")("CreateCloudRecording", {**create_values, **room})
    overview = get(f"{emulator.url}/_control/recordings/")[2]
    numeric, string = (row for row in overview.split("<h2>Rooms</h2>")[1].split("<tr>")[2:4])
    app = emulator.sdk_app_id
    assert f"<td>8001 (numeric)</td><td>{app}</td>" in numeric
    assert "&lt;bob&gt;</td><td>" in numeric
    assert "alice" not in numeric
    assert (
        f"<td>8001 (string)</td><td>{app}</td><td>as each recording plans</td><td>1</td><td>1</td>" in string
    )


def test_only_long_words_are_broken_anywhere(emulator):
    rid = emulator.add_recording()
    html = get(emulator.page_url(rid))[2]
    assert "<td>Application</td>" in html
    assert f'<td class="long">cos/{rid}/</td>' in html


def test_opening_a_page_or_the_state_is_not_a_poll(emulator):
    rid = emulator.add_recording(ends_after_reads=1)
    get(emulator.page_url(rid))
    emulator.state()
    assert (emulator.truth(rid)["reads"], emulator.truth(rid)["status"]) == (0, "InProgress")


@pytest.mark.parametrize(
    "path, status",
    [("/nothing", 404), ("/_control/nothing", 404), ("/_control/seed", 405), ("/_control/recordings/x", 404)],
)
def test_paths_that_lead_nowhere(emulator, path, status):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(emulator.url + path)
    with caught.value as error:
        assert error.code == status
        assert "error" in json.load(error)


@pytest.mark.parametrize("body", ["{", "[]"])
def test_control_bodies_must_be_objects(emulator, body):
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(f"{emulator.url}/_control/seed", body)
    with caught.value as error:
        assert error.code == 400


def test_the_client_goes_past_proxies(emulator, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert EmulatorClient(emulator.url).health()["status"] == "ok"


def test_the_controls_stay_reachable_in_an_outage(emulator):
    emulator.fault("outage")
    client = EmulatorClient(emulator.url)
    assert client.health()["status"] == "ok"
    client.clear_faults()
    assert emulator.faults() == []
