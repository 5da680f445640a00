"""Which control requests are accepted, as a table, and over real HTTP."""

from __future__ import annotations

import http.client
import json

import pytest

from airflow_trtc.emulator import Emulator
from airflow_trtc.emulator.guard import refusal

HOST = "127.0.0.1:8765"


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, None),
        ({"content-type": "application/json; charset=utf-8"}, None),
        ({"content-type": "application/x-www-form-urlencoded"}, None),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"origin": f"http://{HOST}"}, None),
        ({"origin": "http://127.0.0.1:8766"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://[evil"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "null", "host": ""}, 403),
        ({"origin": ""}, 403),
        ({"host": "evil.example:8765", "origin": "http://evil.example:8765"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "localhost:8765"}, None),
        ({"host": "trtc.localhost"}, None),
        ({"host": "emulator:8765"}, None),
        ({"host": "[::1]:8765"}, None),
        ({"host": "10.0.0.7"}, None),
        ({"host": "[evil"}, None),
        ({"host": "Allowed.example:8765"}, None),
    ],
)
def test_what_may_change_something(headers, status):
    given = {"host": HOST, **headers}
    for method in ("POST", "DELETE"):
        refused = refusal(method, given, ["allowed.example"])
        assert (refused[0] if refused else None) == status
    assert refusal("GET", given) is None


def ask(emulator, method, path, headers, body=b"{}"):
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Content-Type": "application/json"},
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Host": "evil.example", "Content-Type": "application/json"},
    ],
)
@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "reset", b"{}"),
        ("POST", "receiver", b'{"url": "http://127.0.0.1:1/"}'),
        ("DELETE", "faults", b""),
    ],
)
def test_a_web_page_cannot_control_it(emulator, headers, method, path, body):
    rid = emulator.add_recording()
    emulator.fault("slow", delay_seconds=0)
    status, text = ask(emulator, method, f"/_control/{path}", headers, body)
    assert status == 403
    assert json.loads(text)["error"]
    assert list(emulator.state()["recordings"]) == [rid]
    assert len(emulator.faults()) == 1
    assert emulator.callbacks()["url"] is None


def test_curl_may(emulator):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, text = ask(emulator, "POST", "/_control/seed", form, b'{"files": 1}')
    assert (status, list(emulator.state()["recordings"])) == (200, [json.loads(text)["recording_id"]])


def test_more_names_can_be_allowed():
    with Emulator(control_hosts=("trtc.example",)) as emulator:
        assert ask(emulator, "POST", "/_control/reset", {"Host": "trtc.example"})[0] == 200
        assert ask(emulator, "POST", "/_control/reset", {"Host": "other.example"})[0] == 403
