"""``python -m airflow_trtc.emulator send-callback`` as a user starts it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from airflow_trtc.emulator import DEFAULT_CALLBACK_KEY
from airflow_trtc.emulator.__main__ import main
from airflow_trtc.emulator.events import NAMES
from airflow_trtc.emulator.messages import sign
from airflow_trtc.emulator.samples import sample


def send(*options):
    return main(["send-callback", *options])


def test_a_plausible_event_is_sent_signed(receiver, capsys):
    assert send("--url", receiver.url, "--type", "310", "--recording-id", "a+b.", "--app-id", "5") == 0
    (received,) = receiver.received
    assert received.headers["Sign"] == sign(DEFAULT_CALLBACK_KEY, received.body)
    assert received.headers["SdkAppId"] == "5"
    info = received.message["EventInfo"]
    assert (info["TaskId"], info["RoomId"]) == ("a+b.", "8001")
    assert info["Payload"]["FileList"][0].endswith("_main.mp4")
    out, err = capsys.readouterr()
    assert f"event 310 of recording a+b. to {receiver.url}" in out
    assert "1: 200 in " in out
    assert out.endswith('answer {"code":0}\n')
    assert err == ""


def test_as_a_process(receiver):
    done = subprocess.run(
        [sys.executable, "-m", "airflow_trtc.emulator", "send-callback", "--url", receiver.url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.types() == [302]


def test_own_payload_repeated_and_indented(receiver):
    options = ["--payload", '{"LeaveCode": 99}', "--repeat", "3", "--indented", "--room-id", "a room"]
    assert send("--url", receiver.url, *options) == 0
    assert len(receiver.received) == 3
    assert receiver.connections == 1
    infos = [each.message["EventInfo"] for each in receiver.received]
    assert infos == infos[:1] * 3
    assert (infos[0]["Payload"], infos[0]["RoomId"]) == ({"LeaveCode": 99}, "a room")
    assert all(b"{\n\t" in each.body for each in receiver.received)


def test_the_bytes_of_a_file(receiver, tmp_path):
    body = b'{ "EventGroupId" : 3 , "EventType":301}\n'
    (tmp_path / "body.json").write_bytes(body)
    assert send("--url", receiver.url, "--file", str(tmp_path / "body.json"), "--key", "k") == 0
    assert receiver.received[0].body == body
    assert receiver.received[0].headers["Sign"] == sign("k", body)


def test_the_key_comes_from_the_environment(receiver, monkeypatch):
    """Every user of the machine may read a command line."""
    monkeypatch.setenv("AIRFLOW_TRTC_CALLBACK_KEY", "hunter2\n")
    assert send("--url", receiver.url) == 0
    assert send("--url", receiver.url, "--key", "another") == 0
    for key, received in zip(("hunter2", "another"), receiver.received, strict=True):
        assert received.headers["Sign"] == sign(key, received.body)


def test_unsigned_and_with_a_wrong_key(receiver):
    send("--url", receiver.url, "--unsigned")
    send("--url", receiver.url, "--wrong-key")
    unsigned, wrong = receiver.received
    assert "Sign" not in unsigned.headers
    assert wrong.headers["Sign"] not in (None, sign(DEFAULT_CALLBACK_KEY, wrong.body))


@pytest.mark.parametrize(
    "status, advice",
    [
        (401, "Compare the key with callback_secret"),
        (403, "Compare the key with callback_secret"),
        (404, "/trtc/callbacks/<connection id>"),
        (307, "redirects"),
        (503, "sends again for a minute"),
    ],
)
def test_other_answers_come_with_advice(receiver, capsys, status, advice):
    receiver.answers = [(status, b"because")]
    receiver.headers = {"X-Request-Id": "r-1"}
    assert send("--url", receiver.url, "--repeat", "2") == 1
    out, err = capsys.readouterr()
    assert f"1: {status} in " in out
    assert "request id r-1, answer because" in out
    assert advice in err


def test_a_port_without_a_listener_is_said_plainly(capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert send("--url", f"http://127.0.0.1:{port}/") == 1
    error = capsys.readouterr().err
    assert error.startswith("1: Connection refused\nNothing listens there: is Airflow's API")


@pytest.mark.parametrize(
    "options", [["--payload", "[]"], ["--payload", "{"], ["--file", "/no/such"], ["--url", "localhost"]]
)
def test_wrong_options_are_said_plainly(options, capsys):
    assert send(*options) == 2
    assert capsys.readouterr().err.startswith("wrong option: ")


@pytest.mark.parametrize("options", [["--repeat", "0"], ["--unsigned", "--wrong-key"]])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(SystemExit) as caught:
        send(*options)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "event_type, group",
    [(kind, kind // 100) for kind in NAMES],
)
def test_there_is_a_sample_of_every_type(event_type, group):
    event = sample(event_type, recording_id="rid", room_id="8001", sdk_app_id=1, now=1_700_000_000.5)
    assert (event.group, event.type) == (group, event_type)
    assert event.info["EventMsTs"] == 1_700_000_000_500
    assert ("TaskId" in event.info) == (group > 2)
    assert ("Payload" in event.info) == (group not in (1, 2, 7))
    assert ("RoomId" in event.info) == (group not in (7, 8))
    json.dumps(event.info)


def test_what_is_given_replaces_the_payload_or_the_fields_of_an_event_without_one():
    def info(event_type, payload):
        made = sample(
            event_type, recording_id="rid", room_id="8001", sdk_app_id=1, now=1_700_000_000.5, payload=payload
        )
        return made.info

    assert info(902, {"LeaveCode": 98})["Payload"] == {"LeaveCode": 98}
    ingest = info(701, {"Status": 1})
    assert (ingest["Status"], ingest["TaskId"], "Payload" in ingest) == (1, "rid", False)
    assert info(104, {"Reason": 3})["Reason"] == 3


def test_events_of_other_jobs_are_sent_too(receiver, capsys):
    assert send("--url", receiver.url, "--type", "1004", "--job-id", "a+b.") == 0
    (received,) = receiver.received
    assert (received.message["EventGroupId"], received.message["EventInfo"]["TaskId"]) == (10, "a+b.")
    assert "event 1004 of job a+b. to" in capsys.readouterr().out
    assert send("--url", receiver.url, "--type", "701") == 0
    assert "CallbackMsTs" in receiver.received[1].message
