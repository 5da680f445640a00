"""Whatever comes in at a control route or as a parameter of a call is taken or refused; nothing breaks."""

from __future__ import annotations

import json
import math
import urllib.request
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_trtc.emulator import ControlError, Emulator
from airflow_trtc.emulator.actions import ACTIONS
from airflow_trtc.emulator.callback_plan import CallbackPlan
from airflow_trtc.emulator.control import OPERATIONS, run
from airflow_trtc.emulator.faults import Fault
from airflow_trtc.emulator.gateway import respond
from airflow_trtc.emulator.jobs import JobSeed, JobStep
from airflow_trtc.emulator.ledger import Trouble
from airflow_trtc.emulator.messages import body_of, envelope
from airflow_trtc.emulator.pages import overview_page, recording_page
from airflow_trtc.emulator.recordings import Step
from airflow_trtc.emulator.seeding import Seed
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.signature import Request
from airflow_trtc.emulator.state import State
from tests.emulator.conftest import signed

NAN, INF = float("nan"), float("inf")
ODD: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    3,
    10**30,
    -(10**30),
    1e308,
    NAN,
    INF,
    -INF,
    "",
    "x",
    "\ud800",
    "\x00\n",
    "<b>",
    [],
    {},
]
KINDS = (Seed, Step, JobSeed, JobStep, Fault, Trouble, CallbackPlan)
OPTIONS = sorted(
    {name for kind in KINDS for name in kind.__dataclass_fields__}
    | {"event_group", "event_type", "event_info", "url", "key", "recordings", "jobs", "Status", "kind"}
    | {"enter", "leave"}
)  # fmt: skip
FILES = ["FileName", "UserId", "TrackType", "BeginTimeStamp", "Code", "Message", "TaskId", "Payload"]
VALUES = st.recursive(
    st.sampled_from(ODD) | st.integers(-5, 5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FILES, *OPTIONS]), inner, max_size=4)
    ),
    max_leaves=8,
)
GIVEN = st.dictionaries(st.sampled_from([*OPTIONS, "seconds", "steps", "job_id"]), VALUES, max_size=4)
ROUTES = [(method, path) for path, methods in OPERATIONS.items() for method in methods]


def a_state():
    state = State(Settings(time_scale=0, rate_limit=0, seed=7, callback_url="http://127.0.0.1:9/"))
    run(state, "POST", "seed", {"recording_id": "rid", "files": 2, "output_format": 1})
    run(state, "POST", "jobs", {"job_id": "jid", "action": "DescribeMadeUpTask", "steps": [{"Status": "On"}]})
    return state


def check_all_is_well(state):
    """Everything that shows or sends what came in still works, now and later."""
    for seconds in (0, 100, 10_000):
        state.clock.advance(seconds)
        json.dumps(run(state, "GET", "state", {"requests": "1"}), allow_nan=False)
        state.collect_callbacks()
        for each in state.callbacks.outbox:
            body_of(envelope(each.record.event, state.clock.now()), is_indented=True)
        overview_page(state).encode()
        json.dumps(run(state, "GET", "bill", {}), allow_nan=False)
        for recording_id in state.recordings:
            json.dumps(run(state, "GET", "truth", {"job_id": recording_id}), allow_nan=False).encode()
            recording_page(state, recording_id).encode()


@pytest.mark.parametrize("method, path", ROUTES)
@settings(max_examples=20)
@given(options=GIVEN, is_known=st.booleans())
def test_every_control_route_takes_or_refuses_all_values(method, path, options, is_known):
    state = a_state()
    if is_known:
        options = {**options, "job_id": "rid"}
    try:
        answer = run(state, method, path, options)
    except ControlError:
        answer = {}
    json.dumps(answer, allow_nan=False)
    check_all_is_well(state)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("path", ["seed", "jobs", "faults", "callbacks", "event", "script", "room"])
def test_every_option_takes_or_refuses_odd_values(path, name):
    bases: dict[str, dict[str, Any]] = {
        "jobs": {"action": "DescribeOther", "steps": [{"Status": "x"}]},
        "faults": {"kind": "slow"},
        "event": {"event_group": 3, "event_type": 302},
        "script": {"job_id": "rid", "steps": []},
        "room": {"room_id": "8001", "enter": ["bob"]},
    }
    base = bases.get(path, {})
    state = a_state()
    for value in ODD:
        options = {**base, "steps": [{name: value}]} if path == "script" else {**base, name: value}
        try:
            run(state, "POST", path, options)
        except ControlError:
            continue
    check_all_is_well(state)


@pytest.mark.parametrize("action", [*ACTIONS, "DescribeMadeUpTask"])
@settings(max_examples=10)
@given(
    values=st.dictionaries(st.sampled_from(["SdkAppId", "RoomId", "UserId", "RecordParams", *FILES]), VALUES)
)
def test_every_call_is_answered(action, values):
    state = a_state()
    answer = respond(state, signed(values, action=action))
    assert json.loads(answer.body)["Response"]["RequestId"]
    check_all_is_well(state)


@pytest.mark.parametrize(
    "body",
    [
        b'{"SdkAppId": NaN}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"\xff",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_bodies_that_are_no_json_the_service_knows(state, body):
    answer = json.loads(respond(state, signed(None, body=body)).body)
    assert answer["Response"]["Error"]["Code"] == "InvalidParameter"


def test_a_query_with_endless_names(state):
    request = signed({})
    query = ".".join("a" * 20_000) + "=1"
    answer = respond(state, Request("GET", query, request.headers))
    assert json.loads(answer.body)["Response"]["Error"]


@pytest.mark.parametrize(
    "seconds", [NAN, INF, -INF, "60", True, None, 1e10, 10**400], ids=lambda x: f"{x!r:.9}"
)
def test_the_clock_moves_by_sensible_numbers_only(state, seconds):
    before = state.clock.now()
    for path in ("advance", "skew"):
        with pytest.raises(ControlError, match="seconds"):
            run(state, "POST", path, {"seconds": seconds})
    assert (state.clock.now(), state.clock_skew_seconds) == (before, 0)
    assert math.isfinite(before)


def test_the_clock_stays_within_what_datetime_holds(state):
    run(state, "POST", "advance", {"seconds": 9e8})
    with pytest.raises(ControlError, match="together"):
        run(state, "POST", "advance", {"seconds": 9e8})


@pytest.mark.parametrize(
    "options",
    [
        {"time_scale": NAN},
        {"time_scale": INF},
        {"exited_seconds": NAN},
        {"clock_skew_seconds": INF},
        {"callback_retry_seconds": INF},
        {"sdk_app_id": "<b>"},
    ],
)
def test_settings_are_sensible_numbers_too(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Settings(**options)


@pytest.mark.parametrize(
    "url",
    ["http://a b/", "http://x:99999/", "http://x:a/", "http://[x/", "http://\u00fc/", "http://x/\r\nA: b", 5],
)
def test_addresses_of_receivers(state, url):
    with pytest.raises(ControlError, match="callback_url"):
        run(state, "POST", "receiver", {"url": url})


def test_pages_escape_whatever_they_show():
    nasty = "<script>alert('&')</script>"
    state = a_state()
    file = {"FileName": nasty, "UserId": nasty, "TrackType": nasty, "BeginTimeStamp": 0}
    run(state, "POST", "receiver", {"url": f"http://127.0.0.1:9/{nasty}"})
    run(
        state,
        "POST",
        "seed",
        {
            "recording_id": nasty,
            "room_id": nasty,
            "robot_id": nasty,
            "participants": [nasty],
            "files": [file],
            "destination": {"Bucket": nasty, "FileNamePrefix": [nasty, 1]},
            "upload_errors": [{"Code": nasty}],
        },
    )
    run(state, "POST", "jobs", {"job_id": nasty + "2", "action": "DescribeX", "steps": [{"Status": nasty}]})
    state.clock.advance(10)
    for page in (recording_page(state, nasty), overview_page(state)):
        assert "&lt;script&gt;" in page
        assert "<script>" not in page


def test_a_page_over_http_is_escaped():
    with Emulator() as emulator:
        rid = emulator.add_recording(room_id="<b>x</b>")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(emulator.page_url(rid), timeout=60) as response:
            assert "<b>" not in response.read().decode()


def test_an_id_cannot_write_a_line_of_its_own_into_the_log(state, ask, caplog):
    caplog.set_level("INFO", logger="airflow_trtc.emulator")
    ask({"SdkAppId": 1400000001, "TaskId": "x\nDescribeCloudRecording y OK\x1b[31m"})
    (record,) = caplog.records
    assert record.getMessage() == (
        "DescribeCloudRecording x\\x0aDescribeCloudRecording\\x20y\\x20OK\\x1b[31m ResourceNotFound"
    )
