"""Many thousands of requests that nobody would send, through everything that reads them.

``FUZZ_EXAMPLES=100000 FUZZ_SEED=1 pytest tests/fuzz`` for many; an ordinary run takes a few.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.routing import Route

from airflow_trtc import bounds
from airflow_trtc.jobs.callback import sign
from airflow_trtc.jobs.events import EVENTS
from airflow_trtc.jobs.judge import verdict_of
from airflow_trtc.jobs.state import JobState, from_json, learn, to_json
from airflow_trtc.jobs.verdict import MILESTONES, Finished, Rules
from airflow_trtc.journal.plans import drive, load_plan
from airflow_trtc.kinds import KINDS
from airflow_trtc.recording.judge import judge
from airflow_trtc.results import job_result
from airflow_trtc.web.processing import emitting, folding, judging
from airflow_trtc.web.receiving.connection_cache import ConnectionCache, ReceiverConfig
from airflow_trtc.web.receiving.connections import receiver_config
from airflow_trtc.web.receiving.receiver import Receiver, Row

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
APP = 1400000001
NOW_MS = 1_800_000_000_000

CONNECTIONS = {
    "signed": receiver_config("trtc", None, json.dumps({"callback_secret": "key", "sdk_app_id": APP})),
    "anyones": receiver_config("trtc", None, json.dumps({"callback_secret": "old,key"})),
    "keyless": receiver_config("trtc", None, json.dumps({"callback_unsigned": False})),
    "other": receiver_config("http", None, None),
}
CONN_IDS = ["signed"] * 10 + ["anyones"] * 5 + ["keyless", "other", "nobody", "\0", "x" * 300]
TRICKS = [
    b"\\u0000", b"\\ud800", b"\\udfff\\ud83d", b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 500, b"[", b"{",
    b'"', b"-", b"\xff", b"\x00", b"null", b"true", b"\xef\xbb\xbf", b"[" * 70, b'{"a":' * 70,
    b"\xed\xa0\x80", b'"TaskId":""', b'"EventType":1e3,', b'"CallbackCommand":"x",', b'"Callback":{},',
]  # fmt: skip
LEAVES: list[Any] = [
    None, True, False, 0, -1, 301, 1.5, 1e300, 10**30, 1622186275757, "", "x", "301", "1622186275", "\0",
    "\ud800", "ü😀" * 30, "x" * 600, "a/b", "%", [], {}, [[]], {"": ""}, ["a.mp4"], "a.m3u8",
    {"FileName": "a.mp4"}, -(10**18), 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, str(2**64), "1" * 19,
    "9" * 400, 10**13 - 1, 253402300799999, 1, "0001-01-01T00:00:00+00:00", "\ud800\ufffe",
]  # fmt: skip
NAMES = [
    "EventGroupId", "EventType", "CallbackTs", "EventInfo", "RoomId", "EventTs", "EventMsTs", "UserId",
    "TaskId", "Payload", "Status", "LeaveCode", "FileList", "FileName", "FileMessage", "StartTimeStamp",
    "EndTimeStamp", "BeginTimeStamp", "MediaId", "TrackType", "TencentVod", "FileId", "VideoUrl", "CacheFile",
    "Errmsg", "Code", "Message", "CallbackCommand", "Callback", "Url", "EventMessage", "ErrorMsg", "Text",
    "StartTimeMs", "EndTimeMs", "RoundId", "Suggest", "MediaType", "Rate", "Score", "Audio", "Image", "Label",
    "StreamUserId", "StreamerUserId", "Reason", "Role",
]  # fmt: skip
PAYLOADS: dict[int, dict[str, Any]] = {
    301: {"Status": 0},
    302: {"LeaveCode": 0},
    303: {"Status": 0},
    304: {"FileList": "xx.m3u8"},
    305: {"Status": 0},
    306: {"Status": 0},
    307: {"FileName": "xx.m3u8", "UserId": "xx", "TrackType": "audio", "BeginTimeStamp": 1622186279144},
    308: {"Code": "InvalidParameter", "Message": "AccessKey invalid"},
    309: {"Url": "http://xx"},
    310: {
        "Status": 0,
        "FileList": ["xxxx1.mp4"],
        "FileMessage": [{"FileName": "xxxx1.mp4", "UserId": "x", "TrackType": "audio", "MediaId": "main"}],
    },
    311: {
        "Status": 0,
        "TencentVod": {"UserId": "x", "FileId": "1", "VideoUrl": "http://x", "CacheFile": "x.mp4"},
    },
    312: {"Status": 0},
    801: {"Status": 5, "EventMessage": "Success"},
    103: {"UserId": "u", "Role": 20, "Reason": 1},
    206: {"UserId": "u", "Reason": 0},
    401: {"Url": "rtmp://h/live/key?txSecret=x", "Status": 2, "ErrorCode": 0, "ErrorMsg": "x"},
    701: {"Status": 2},
    702: {"Status": 0},
    802: {"Status": 1},
    803: {"Status": 2},
    804: {"Status": 1},
    901: {"Status": 0},
    902: {"LeaveCode": 98},
    903: {"UserId": "u", "Text": "x", "StartTimeMs": 1, "EndTimeMs": 2, "RoundId": "r"},
    904: {"UserId": "u", "RoundId": "r"},
    905: {"UserId": "u", "RoundId": "r", "Text": "x"},
    906: {"Metric": "llm_first_token", "Value": 218, "Tag": {"RoundId": "r"}},
    908: {"Metric": "llm_error", "Tag": {"Code": 0, "Message": ""}},
    909: {"Status": "session_ready"},
    1001: {"Status": 0},
    1002: {"LeaveCode": 0},
    1003: {"Status": 1},
    1004: {"FileName": "1_2_u_20260121020226.ogg", "StreamUserId": "u"},
    1005: {"Status": 0},
    1006: {"Code": 403, "Message": "x"},
    1101: {"Status": 1},
    1102: {"LeaveCode": 100},
    1103: {"Status": 0},
    1104: {"DataId": "1", "MediaType": 2, "Suggest": 2, "Label": "Ad", "Rate": 90, "Image": "http://x/a.png"},
    1105: {"Status": 0},
    1106: {"Code": 10002, "Message": "BadRequest"},
    1401: {"Status": 0},
    1402: {"LeaveCode": 0},
    1403: {"UserId": "u", "Text": "x"},
}


def an_event(chance: random.Random) -> Any:
    """A real event, or something near it."""
    kind = chance.choice([*PAYLOADS])
    info: dict[str, Any] = {"RoomId": "1", "EventTs": "1622186275", "EventMsTs": 1622186275757, "UserId": "r"}
    info |= {"TaskId": f"task{chance.randrange(5)}"}
    said = json.loads(json.dumps(PAYLOADS[kind]))
    info |= said if kind // 100 in (1, 2, 7) else {"Payload": said}
    event: Any = {
        "EventGroupId": kind // 100,
        "EventType": kind,
        "CallbackTs": 1622186275913,
        "EventInfo": info,
    }
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        place: Any = event
        while isinstance(place, dict) and place and chance.random() < 0.6:
            inner = place[chance.choice(list(place))]
            if not isinstance(inner, dict):
                break
            place = inner
        place[chance.choice([*NAMES, *place])] = anything(chance, 0)
    if chance.random() < 0.1:
        event = {"CallbackCommand": "Call.X", "Callback": event}
    return event if chance.random() < 0.98 else anything(chance, 0)


def anything(chance: random.Random, depth: int) -> Any:
    if depth > 3 or chance.random() < 0.7:
        return copy.deepcopy(chance.choice(LEAVES))
    if chance.random() < 0.5:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(NAMES): anything(chance, depth + 1) for _ in range(chance.randrange(4))}


def a_body(chance: random.Random) -> bytes:
    if chance.random() < 0.02:
        return chance.randbytes(chance.randrange(300))
    indent = chance.choice([None, "\t"])
    data = bytearray(json.dumps(an_event(chance), indent=indent).encode())
    for _ in range(chance.choice([0, 0, 0, 0, 0, 0, 1, 2, 6])):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randint(1, 20)]
            case 2:
                data[at:at] = data[at : at + chance.randint(1, 40)]
            case _:
                data[at:at] = chance.choice(TRICKS)
    if chance.random() < 0.001:
        data += b" " * 300_000
    return bytes(data)


def some_headers(chance: random.Random, body: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Headers, and whether they sign the body."""
    headers: list[tuple[bytes, bytes]] = []
    is_signed = chance.random() < 0.7
    if is_signed:
        headers.append((b"sign", sign("key", body).encode()))
    elif chance.random() < 0.8:
        wrong = [b"", b"x", chance.randbytes(44), sign("", body).encode(), sign("key", body + b" ").encode()]
        headers.append((b"sign", chance.choice(wrong)))
    if chance.random() < 0.7:
        app = chance.choice([str(APP).encode()] * 8 + [b"1", b"-1", b"", b"x", b"9" * 40, b"\xff", b"\xb2"])
        headers.append((b"sdkappid", app))
    if chance.random() < 0.1:
        headers.append((b"content-length", chance.choice([b"x", b"-1", b"9" * 20, str(len(body)).encode()])))
    return headers, is_signed


class Witness:
    """Keeps nothing, and checks that all that would be kept can be read and worked through."""

    def __init__(self) -> None:
        self.row: Row | None = None
        self.states: dict[str, JobState] = {}

    async def store(self, row: Row) -> None:
        self.row = row

    def check(self, row: Row) -> None:
        row.key.encode("ascii")
        row.value.encode("ascii")
        assert "\\u0000" not in row.value
        stored = json.loads(row.value)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(stored)) == stored
        assert stored == bounds.plain(stored)
        received = folding.read_row(row.key, row.value, 0)
        assert len(received.event_key) <= 512
        received.event_key.encode("ascii")
        assert len(emitting.single_key(received)) <= 250
        if received.job is not None:
            self._learn(received)
            self._fold(row)

    def _fold(self, row: Row) -> None:
        """As the callback processor does, with nothing else in the database."""
        batch = folding.read_inbox({row.key: row.value}, 0)
        overlay = folding.Overlay(lambda keys: {})
        in_time, out_of_time = folding.by_time(batch.received, NOW_MS, 20_000)
        assert len(in_time) + len(out_of_time) == len(batch.received)
        added = folding.add_all(overlay, batch, batch.received)
        folding.append_log(overlay, "{}", added)
        assert not batch.bad
        due, bad = judging.read_due(folding.due_rows(added, 0))
        assert (len(due), bad) == (1, {})
        for key, text in overlay.changed.items():
            value = json.loads(text)
            assert len(key) <= 512
            # What the database gives back goes to workers and triggerers as msgpack.
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(value)) == value
        for one in due:
            self._judge_stored(one, overlay)

    def _judge_stored(self, due: judging.Due, stored: folding.Overlay) -> None:
        """Read back what was stored, as the callback processor does, judge it, and make the event of it."""
        now = datetime.now(timezone.utc)
        for head in due.heads:
            state = drive(load_plan(head, due.job.job_id), stored)
            ending = verdict_of(KINDS[due.job.kind], state, Rules(fail_on=frozenset()), now)
            if isinstance(ending, Finished):
                result = job_result(state, ending, due.job)
                assert msgspec.msgpack.decode(msgspec.msgpack.encode(result)) == json.loads(
                    json.dumps(result)
                )
            for milestone in MILESTONES if due.job.family == "recording" else ():
                verdict = judge(state, Rules(wait_for=milestone, fail_on=frozenset()), now)
                if isinstance(verdict, Finished):
                    extra = emitting.finished_extra(state, verdict, due.job, milestone)
                    assert msgspec.msgpack.decode(msgspec.msgpack.encode(extra)) == json.loads(
                        json.dumps(extra)
                    )
        assert emitting.finished_key(due.job.job_id).isprintable()

    def _learn(self, received: folding.Received) -> None:
        assert received.job is not None
        recording_id = received.job.job_id
        before = self.states.get(recording_id, JobState(recording_id))
        state = learn(before, received.callback, received.received_at)
        # Begin anew now and then: a state only grows, and so does the time that a check takes.
        self.states[recording_id] = state if len(state.history.facts) < 40 else JobState(recording_id)
        stored = json.loads(json.dumps(to_json(state), allow_nan=False))
        assert from_json(stored, recording_id).history == state.history
        assert from_json(stored, recording_id).records == state.records
        for milestone in MILESTONES:
            verdict = judge(state, Rules(wait_for=milestone, fail_on=frozenset()), datetime.now(timezone.utc))
            assert verdict is not None
        for kind in KINDS.values():
            assert verdict_of(kind, state, Rules(), datetime.now(timezone.utc)) is not None


def look_up(conn_id: str) -> ReceiverConfig:
    return CONNECTIONS.get(conn_id, ReceiverConfig(problem="there is no such connection"))


async def request(
    app: Any, chance: random.Random, body: bytes, headers: Any, conn_id: str
) -> tuple[int, int]:
    chunks = [body]
    if chance.random() < 0.1:
        at = chance.randrange(len(body) + 1)
        chunks = [body[:at], body[at:]]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    query = chance.choice([b"", b"SdkAppid=1400000001", b"SdkAppid=x&&=%ff", b"&" * 3000])
    scope = {"type": "http", "method": "POST", "path": f"/callbacks/{conn_id}", "root_path": ""}
    await app({**scope, "headers": headers, "query_string": query}, receive, send)
    size = len(sent[1]["body"]) + sum(len(name) + len(value) + 4 for name, value in sent[0]["headers"])
    return sent[0]["status"], size


async def fuzz(chance: random.Random, examples: int) -> Counter[int]:
    witness = Witness()
    connections = ConnectionCache(look_up)
    app = Starlette(
        routes=[Route("/callbacks/{conn_id}", Receiver(connections, witness.store, refuse_seconds=0))]
    )
    statuses: Counter[int] = Counter()
    for number in range(examples):
        body = a_body(chance)
        headers, is_signed = some_headers(chance, body)
        conn_id = chance.choice(
            ["signed"] * 10 + ["anyones"] * 5 + ["keyless", "other", "nobody", "\0", "x" * 300]
        )
        witness.row = None
        status, size = await request(app, chance, body, headers, conn_id)
        statuses[status] += 1
        where = f"seed {SEED}, example {number}, {conn_id}, {headers}, {body[:2000]!r}"
        assert status in {200, 400, 401, 403, 413}, where
        assert size < 1500, where
        assert (witness.row is not None) == (status == 200), where
        if status not in (401, 413):
            assert is_signed, where
            assert conn_id in ("signed", "anyones"), where
        if witness.row is not None:
            try:
                witness.check(witness.row)
            except Exception as error:
                raise AssertionError(where) from error
    connections.close()
    return statuses


def test_no_request_breaks_anything_and_only_signed_events_are_stored() -> None:
    statuses = asyncio.run(fuzz(random.Random(SEED), EXAMPLES))
    print(f"{EXAMPLES} examples, seed {SEED}: {dict(sorted(statuses.items()))}")
    assert statuses[200] > EXAMPLES // 20
    assert min(statuses[400], statuses[401], statuses[403]) > 0


def test_every_documented_event_is_among_those_that_are_spoilt() -> None:
    assert set(PAYLOADS) >= {kind for kind in EVENTS if kind > 299}
