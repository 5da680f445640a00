"""``python -m airflow_trtc.emulator`` as a user starts it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys

import pytest

from airflow_trtc.emulator import (
    DEFAULT_CALLBACK_KEY,
    DEFAULT_SDK_SECRET_KEY,
    Emulator,
    EmulatorClient,
    __main__,
)


@pytest.fixture
def start():
    started = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_trtc.emulator", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def greeting_of(process):
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Stop with"):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        lines.append(line)
    return "".join(lines)


def found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    assert match, text
    return match


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_greets_serves_and_stops_cleanly(start, number):
    options = (
        "--time-scale",
        "60",
        "--sdk-app-id",
        "1400000077",
        "--token",
        "t",
        "--control-host",
        "x.example",
    )
    process = start("--port", "0", *options)
    text = greeting_of(process)
    url = found(r"http://127\.0\.0\.1:\d+", text)[0]
    client = EmulatorClient(url)
    assert client.health()["time_scale"] == 60
    assert client.truth(client.add_recording())["sdk_app_id"] == 1400000077
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "stopped\n", "")


def test_the_lines_it_offers_can_be_pasted(start):
    text = greeting_of(start("--port", "0"))
    name, _, value = shlex.split(found(r"export (.*)", text)[1])[0].partition("=")
    connection = json.loads(value)
    assert name == "AIRFLOW_CONN_TRTC_DEFAULT"
    assert connection["conn_type"] == "trtc"
    assert connection["extra"]["sdk_secret_key"] == DEFAULT_SDK_SECRET_KEY
    url, flag, body = shlex.split(found(r"curl -s (\S+/seed.*)", text)[1])
    assert (url, flag) == (connection["host"] + "/_control/seed", "-d")
    client = EmulatorClient(connection["host"])
    rid = client.add_recording(**json.loads(body))
    assert len(client.truth(rid)["files"]) == 1
    url, flag, body = shlex.split(found(r"curl -s (\S+/jobs \\\n.*)", text)[1].replace("\\\n", ""))
    assert (url, flag) == (connection["host"] + "/_control/jobs", "-d")
    truth = client.truth(client.add_job(**json.loads(body)))
    assert (truth["action"], truth["step"]["answer"]) == ("DescribeMadeUp", {"Status": "Running"})


def test_what_decides_a_start_can_be_set(monkeypatch):
    served: list[Emulator] = []
    monkeypatch.setattr(__main__, "_serve", served.append)
    wanted = {
        "sdk_secret_key": "k",
        "user_sig_code": "A.B",
        "private_map_key_code": "C.D",
        "storage_access_key": "AK",
        "storage_secret_key": "SK",
        "refuse_storage": "at_create",
        "storage_code": "E.F",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in wanted.items()]
    __main__.main(["--no-check-user-sig", "--advanced-permission-control", *options])
    (emulator,) = served
    assert {name: getattr(emulator.settings, name) for name in wanted} == wanted
    assert (emulator.settings.check_user_sig, emulator.settings.advanced_permission_control) == (False, True)
    __main__.main([])
    assert served[1].settings.check_user_sig


def test_a_port_in_use_is_said_plainly(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_wrong_options_are_said_plainly(start):
    process = start("--time-scale", "-1")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "time_scale" in err


def test_callbacks_are_sent_when_a_url_is_given(start, receiver):
    options = ["--callback-url", receiver.url, "--callback-loss", "0.0", "--room-events"]
    text = greeting_of(start("serve", "--port", "0", *options))
    assert f"Callbacks: to {receiver.url}, signed with the key {DEFAULT_CALLBACK_KEY}" in text
    client = EmulatorClient(found(r"http://127\.0\.0\.1:\d+", text)[0])
    client.add_recording(participants=1)
    client.wait_for_callbacks()
    assert {101, 301} <= set(receiver.types())
    assert f'"callback_secret": "{DEFAULT_CALLBACK_KEY}"' in text


def test_without_a_url_it_says_how_to_get_callbacks(start):
    assert "Callbacks: none; --callback-url" in greeting_of(start("--port", "0", "--callback-key", ""))
