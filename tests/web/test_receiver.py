"""Requests in, answers out: what is stored, and what is refused with which words."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from airflow_trtc.jobs.callback import sign
from airflow_trtc.journal.reception import Reason
from airflow_trtc.web.receiving import answers
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.connection_cache import ConnectionCache, ReceiverConfig
from airflow_trtc.web.receiving.connections import callback_keys, receiver_config
from airflow_trtc.web.receiving.receiver import MAX_BODY, Receiver, Row
from tests.web.conftest import APP, START_MS, event

BODY = json.dumps(event(302, LeaveCode=0)).encode()


class Desk:
    """A receiver with connections of its own; keeps what it stores."""

    def __init__(
        self,
        refused: Callable[[str, Reason], object] = lambda conn_id, reason: None,
        **connections: ReceiverConfig,
    ) -> None:
        self.connections = connections
        self.stored: list[Row] = []
        self.failure: Answer | None = None
        self.lookups = 0
        self.now = 0.0
        self.now_ms = START_MS
        self.cache = ConnectionCache(self._look_up, lambda: self.now)
        receiver = Receiver(
            self.cache,
            self._store,
            refused=refused,
            clock=lambda: self.now_ms,
            body_seconds=0.05,
            refuse_seconds=0,
        )
        self.app = Starlette(routes=[Route("/callbacks/{conn_id}", receiver)])

    def _look_up(self, conn_id: str) -> ReceiverConfig:
        self.lookups += 1
        return self.connections.get(conn_id, ReceiverConfig(problem="there is no such connection"))

    async def _store(self, row: Row) -> Answer | None:
        if self.failure is None:
            self.stored.append(row)
        return self.failure

    async def send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return await client.request(method, path, **arguments)

    def post(
        self,
        body: Any = BODY,
        key: str | None = "key",
        conn_id: str = "signed",
        query: str = "",
        **headers: str,
    ) -> httpx.Response:
        if key is not None and isinstance(body, bytes):
            headers = {"Sign": sign(key, body), **headers}
        return asyncio.run(self.send("POST", f"/callbacks/{conn_id}{query}", content=body, headers=headers))


@pytest.fixture
def desk() -> Desk:
    return Desk(
        signed=ReceiverConfig(keys=("key",), sdk_app_id=APP, region="ap-guangzhou"),
        rotating=ReceiverConfig(keys=("old", "new"), sdk_app_id=APP),
        anyones=ReceiverConfig(keys=("key",)),
        unsigned=ReceiverConfig(accepts_unsigned=True, sdk_app_id=APP),
        both=receiver_config(
            "trtc", None, '{"callback_secret": "key", "callback_unsigned": true, "sdk_app_id": 14}'
        ),
        keyless=receiver_config("trtc", None, "{}"),
        http=receiver_config("http", None, '{"callback_secret": "key"}'),
    )


def test_a_signed_event_is_stored_as_it_came(desk: Desk) -> None:
    answer = desk.post()
    assert (answer.status_code, answer.json()) == (200, {"code": 0})
    (row,) = desk.stored
    value = json.loads(row.value)
    assert value.pop("received_at_ms") == int(row.key.split("/")[1])
    assert value == {
        "v": 1,
        "sdk_app_id": APP,
        "conn_id": "signed",
        "region": "ap-guangzhou",
        "event": event(302, LeaveCode=0),
        "wrapper": None,
    }


def test_either_key_of_a_rotation_is_right(desk: Desk) -> None:
    assert desk.post(key="old", conn_id="rotating").status_code == 200
    assert desk.post(key="new", conn_id="rotating").status_code == 200
    assert desk.post(key="key", conn_id="rotating").status_code == 401


@pytest.mark.parametrize(
    "request_",
    [
        {"key": None},
        {"key": "wrong"},
        {"key": None, "Sign": ""},
        {"key": "key", "conn_id": "nobody"},
        {"key": "key", "conn_id": "http"},
        {"key": "key", "conn_id": "keyless"},
        {"key": "", "conn_id": "keyless"},
        {"key": None, "conn_id": "keyless"},
        {"key": None, "conn_id": "both"},
        {"key": "key", "conn_id": "%00"},
        {"key": "key", "conn_id": "x" * 300},
        {"key": None, "body": b"no event at all"},
    ],
)
def test_without_a_right_signature_the_answer_shows_nothing(desk: Desk, request_: dict[str, Any]) -> None:
    answer = desk.post(**request_)
    assert (answer.status_code, answer.content) == (401, answers.REFUSED.body)
    assert set(answer.headers) == {"content-type", "content-length"}
    assert not desk.stored


def test_unsigned_events_are_taken_only_where_that_is_set(desk: Desk) -> None:
    assert desk.post(key=None, conn_id="unsigned").status_code == 200
    assert desk.post(key="key", conn_id="both", SdkAppId="14").status_code == 200


def test_a_changed_key_is_right_at_once(desk: Desk) -> None:
    desk.post()
    desk.connections["signed"] = ReceiverConfig(keys=("changed",), sdk_app_id=APP)
    desk.now += 1.5
    assert desk.post(key="changed").status_code == 200
    assert desk.post(key="key").status_code == 401


def test_a_removed_key_is_wrong_within_seconds(desk: Desk) -> None:
    desk.post()
    del desk.connections["signed"]
    desk.now += 60
    assert desk.post().status_code == 401


def test_a_removed_key_is_wrong_at_the_second_callback_after_some_seconds(desk: Desk) -> None:
    async def main() -> list[int]:
        statuses = []
        for _ in range(3):
            headers = {"Sign": sign("key", BODY)}
            answer = await desk.send("POST", "/callbacks/signed", content=BODY, headers=headers)
            statuses.append(answer.status_code)
            await asyncio.sleep(0.1)
            desk.connections.pop("signed", None)
            desk.now += 5 if len(statuses) == 1 else 0
        return statuses

    assert asyncio.run(main()) == [200, 200, 401]


def test_wrong_signatures_cost_one_lookup_a_second(desk: Desk) -> None:
    for _ in range(20):
        desk.post(key="wrong")
        desk.post(conn_id="nobody")
    assert desk.lookups == 2


def test_many_unknown_names_do_not_wash_out_the_real_ones(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_trtc.web.receiving.connection_cache.MAX_NAMES", 5)
    desk.post()
    for number in range(20):
        desk.post(conn_id=f"nobody{number}")
    lookups = desk.lookups
    desk.post()
    assert desk.lookups == lookups


def test_too_many_unknown_names_at_once_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_trtc.web.receiving.connection_cache.MAX_UNKNOWN_WAITING", 0)
    answer = desk.post(conn_id="nobody")
    assert (answer.status_code, answer.content) == (503, answers.RETRY_LATER.body)


def test_the_log_says_why_and_keeps_quiet_for_a_minute(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            desk.post(key="wrong")
            desk.post(key=None, conn_id="anyones")
            desk.post(conn_id="keyless")
            desk.post(conn_id="nobody")
            desk.post(conn_id="nobody2")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    assert any("'signed'" in line and "matches no key" in line for line in lines)
    assert any("'anyones'" in line and "not signed" in line for line in lines)
    assert any("callback_secret is empty" in line for line in lines)
    assert "wrong" not in caplog.text


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"EventGroupId": 3}'])
def test_a_signed_body_that_is_no_event_is_refused_with_the_reason(desk: Desk, body: bytes) -> None:
    answer = desk.post(body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Not an event: ")


@pytest.mark.parametrize(
    "conn_id, header, status",
    [
        ("signed", None, 200),
        ("signed", str(APP), 200),
        ("signed", "1400000002", 403),
        ("signed", "x", 400),
        ("signed", "0", 400),
        ("signed", "9" * 30, 400),
        ("anyones", str(APP), 200),
        ("anyones", None, 400),
    ],
)
def test_the_application_has_to_be_known_and_right(
    desk: Desk, conn_id: str, header: str | None, status: int
) -> None:
    headers = {} if header is None else {"SdkAppId": header}
    assert desk.post(conn_id=conn_id, **headers).status_code == status
    assert [json.loads(row.value)["sdk_app_id"] for row in desk.stored] == ([APP] if status == 200 else [])


def signed_address(key: str = "key", seconds_ago: int = 0) -> str:
    time = START_MS // 1000 - seconds_ago
    return f"?SdkAppId={APP}&RequestTime={time}&Sign={hashlib.sha256(f'{key}{time}'.encode()).hexdigest()}"


WRAPPED = json.dumps({"CallbackCommand": "Call.X", "Callback": event(302, LeaveCode=0)}).encode()


@pytest.mark.parametrize("conn_id", ["signed", "anyones"])
def test_a_wrapped_event_may_be_signed_in_its_address(desk: Desk, conn_id: str) -> None:
    assert desk.post(WRAPPED, key=None, conn_id=conn_id, query=signed_address()).status_code == 200
    (row,) = desk.stored
    assert json.loads(row.value)["sdk_app_id"] == APP
    assert "Sign" not in row.value


@pytest.mark.parametrize(
    "query, conn_id",
    [
        (signed_address("other"), "anyones"),
        (signed_address(seconds_ago=75), "anyones"),
        (signed_address(seconds_ago=-75), "anyones"),
        (signed_address(""), "keyless"),
        (signed_address(), "nobody"),
    ],
)
def test_no_other_address_is_accepted(desk: Desk, query: str, conn_id: str) -> None:
    assert desk.post(WRAPPED, key=None, conn_id=conn_id, query=query).status_code == 401
    assert not desk.stored


def test_a_signed_address_speaks_for_wrapped_events_only(desk: Desk) -> None:
    """It does not cover the body, and plain events are signed."""
    assert desk.post(key=None, conn_id="signed", query=signed_address()).status_code == 401
    assert not desk.stored


def test_a_wrapped_event_is_answered_as_its_sender_expects(desk: Desk) -> None:
    body = json.dumps({"CallbackCommand": "Call.X", "Callback": event(302, LeaveCode=0)}).encode()
    answer = desk.post(body, conn_id="anyones", query=f"?CallbackCommand=Call.X&SdkAppid={APP}")
    assert answer.json() == {"code": 0, "ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}
    value = json.loads(desk.stored[0].value)
    assert (value["sdk_app_id"], value["event"], value["wrapper"]) == (
        APP,
        event(302, LeaveCode=0),
        {"CallbackCommand": "Call.X"},
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_get_a_hint(desk: Desk, method: str) -> None:
    answer = asyncio.run(desk.send(method, "/callbacks/signed"))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_largest_body_is_read_and_a_larger_one_is_not(desk: Desk) -> None:
    padded = event(302, LeaveCode=0)
    padded["x"] = "x" * (MAX_BODY - len(json.dumps({**padded, "x": ""})))
    body = json.dumps(padded).encode()
    assert len(body) == MAX_BODY
    assert desk.post(body).status_code == 200
    assert desk.post(body + b" ").status_code == 413


def test_a_body_without_a_length_is_limited_too(desk: Desk) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 65536
            yield b" " * 65536

    assert desk.post(endless()).status_code == 413
    assert read < 2 * MAX_BODY


@pytest.mark.parametrize("length", ["9" * 30, str(MAX_BODY + 1)])
def test_a_length_that_is_too_large_is_enough(desk: Desk, length: str) -> None:
    assert desk.post(b"x", **{"Content-Length": length}).status_code == 413


def asgi(desk: Desk, receive: Callable[[], Any], *headers: tuple[bytes, bytes]) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/callbacks/signed",
        "headers": list(headers),
        "query_string": b"",
    }
    asyncio.run(desk.app({**scope, "root_path": ""}, receive, send))
    return sent


def test_a_body_that_does_not_come_is_not_waited_for(desk: Desk) -> None:

    async def never() -> Any:
        await asyncio.Event().wait()

    assert asgi(desk, never)[0]["status"] == 408


def test_a_client_that_leaves_gets_no_answer(desk: Desk) -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    assert asgi(desk, gone) == []


def test_what_the_store_says_is_answered(desk: Desk) -> None:
    desk.failure = answers.RETRY_LATER
    assert desk.post().status_code == 503


def test_whatever_fails_the_service_is_asked_to_repeat(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.connections["odd"] = receiver_config(
        "trtc", None, '{"callback_secret": "a\\ud800b", "sdk_app_id": 1}'
    )
    assert desk.post(conn_id="odd").status_code == 503  # a key that has no bytes
    desk.cache.close()  # the server is shutting down
    assert desk.post(conn_id="anyones").status_code == 503
    assert not desk.stored
    assert "UnicodeEncodeError" in caplog.text
    assert "ud800" not in caplog.text


def test_a_length_of_odd_digits_is_no_length(desk: Desk) -> None:
    async def whole() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    assert asgi(desk, whole, (b"content-length", b"\xb2"))[0]["status"] == 401


def test_equal_rooms_of_two_applications_are_two_rows(desk: Desk) -> None:
    for app in ("1", "2"):
        assert desk.post(conn_id="anyones", SdkAppId=app).status_code == 200
    assert len({row.key for row in desk.stored}) == 2


def test_no_signed_address_is_stored(desk: Desk) -> None:
    """Every author of a DAG may read the rows, and the address of a stream is enough to send into it."""
    relay = event(401, "relay", group=4, Url="rtmp://push.example.com/live/s?txSecret=hunter2&txTime=1")
    assert desk.post(json.dumps(relay).encode()).status_code == 200
    vod = event(311, Status=0, TencentVod={"VideoUrl": "https://u:hunter2@vod.example.com/a.mp4?t=hunter2"})
    wrapped = {"CallbackCommand": "Call.X", "Callback": vod, "Url": "https://x.example.com/?k=hunter2"}
    assert desk.post(json.dumps(wrapped).encode()).status_code == 200
    text = "".join(row.value for row in desk.stored)
    assert "hunter2" not in text
    assert "rtmp://push.example.com#" in text  # the path of some holds the key
    assert "/live/s" not in text
    assert "https://vod.example.com/a.mp4" in text


def test_all_answers_are_short() -> None:
    every = [value for value in vars(answers).values() if isinstance(value, Answer)]
    for answer in [*every, answers.not_an_event("x" * 5000)]:
        size = len(answer.body) + sum(len(name) + len(value) + 4 for name, value in answer.headers)
        assert size < 1000
        json.loads(answer.body)


@pytest.mark.parametrize(
    "value, keys",
    [
        (None, ()),
        ("", ()),
        ("  ", ()),
        ("one", ("one",)),
        ("one two", ("one", "two")),
        ("one,two", ("one", "two")),
        (" one , two ", ("one", "two")),
        (["one", "two"], ("one", "two")),
        ([" one ", "two three"], ("one", "two", "three")),
    ],
)
def test_keys_are_separated_by_blanks_or_commas(value: Any, keys: tuple[str, ...]) -> None:
    assert callback_keys(value) == keys


@pytest.mark.parametrize(
    "secret", [[], ["", None], [""], ["one", " "], ["one", 2], 0, 123654, True, False, {}]
)
def test_a_callback_secret_that_is_neither_text_nor_list_of_texts_accepts_nothing(secret: Any) -> None:
    """Its text form would be a key that anyone can guess."""
    extra = json.dumps({"callback_secret": secret, "callback_unsigned": True, "sdk_app_id": APP})
    odd = receiver_config("trtc", None, extra)
    assert "must be a text or a list of non-empty texts" in odd.problem
    desk = Desk(odd=odd)
    for key in (None, str(secret), json.dumps(secret), "'',", "0", ""):
        assert desk.post(key=key, conn_id="odd").status_code == 401
    assert not desk.stored


def test_a_short_key_is_accepted_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(
        short=receiver_config("trtc", None, json.dumps({"callback_secret": "x" * 15, "sdk_app_id": APP})),
        long=receiver_config("trtc", None, json.dumps({"callback_secret": "x" * 16, "sdk_app_id": APP})),
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert desk.post(key="x" * 15, conn_id="short").status_code == 200
            assert desk.post(key="x" * 16, conn_id="long").status_code == 200
            desk.now += 100
    (line,) = [record.getMessage() for record in caplog.records]
    assert "'short'" in line
    assert "fewer than 16 characters" in line
    assert "xxx" not in line


def test_what_other_processes_cannot_carry_is_bounded_before_it_is_stored(desk: Desk) -> None:
    """Airflow's processes talk msgpack: numbers of 64 bits, valid texts."""
    large = event(307, BeginTimeStamp=2**64, FileName="a.m3u8", Depth=-(10**30), Smallest=-(2**63))
    assert desk.post(json.dumps(large).encode()).status_code == 200
    payload = json.loads(desk.stored[0].value)["event"]["EventInfo"]["Payload"]
    assert (payload["BeginTimeStamp"], payload["Depth"]) == (str(2**64), str(-(10**30)))
    assert payload["Smallest"] == -(2**63)


def test_an_application_that_no_row_can_hold_is_a_problem_of_the_connection() -> None:
    extra = json.dumps({"callback_secret": "k" * 16, "sdk_app_id": 10**18})
    assert "sdk_app_id" in receiver_config("trtc", None, extra).problem


@pytest.mark.parametrize(
    "extra", ["{", "[]", "[" * 100_000, '{"sdk_app_id": "x"}', '{"callback_secret": " "}', None]
)
def test_a_connection_that_cannot_receive_says_why(extra: str | None) -> None:
    found = receiver_config("trtc", None, extra)
    assert found.problem
    assert not found.keys


@pytest.mark.parametrize("flag", [True, "true", "True", "1", "on"])
def test_the_flag_may_be_a_text(flag: Any) -> None:
    assert receiver_config("trtc", None, json.dumps({"callback_unsigned": flag})).accepts_unsigned
    assert not receiver_config("trtc", None, json.dumps({"callback_unsigned": "false"})).accepts_unsigned


def test_keys_are_not_in_representations() -> None:
    assert "hunter2" not in repr(receiver_config("trtc", None, '{"callback_secret": "hunter2"}'))


def test_a_flood_of_unknown_names_does_not_keep_a_new_worker_from_the_real_one() -> None:
    may_end = threading.Event()

    def look_up(conn_id: str) -> ReceiverConfig:
        if conn_id == "real":
            return ReceiverConfig(keys=("key",), sdk_app_id=APP)
        may_end.wait(60)
        return ReceiverConfig(problem="there is no such connection")

    async def main() -> ReceiverConfig:
        cache = ConnectionCache(look_up, known_names=lambda: {"REAL"})
        flood = [asyncio.ensure_future(cache.find(f"stranger{number}")) for number in range(200)]
        await asyncio.sleep(0.01)
        found = await cache.find("real")
        assert not any(one.done() and not one.exception() for one in flood)
        may_end.set()
        cache.close()
        for one in flood:
            one.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        return found

    assert asyncio.run(main()).keys == ("key",)


def test_names_that_cannot_be_listed_only_share_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> list[str]:
        raise RuntimeError("hunter2")

    async def main() -> ReceiverConfig:
        cache = ConnectionCache(lambda conn_id: ReceiverConfig(keys=("key",)), known_names=fail)
        return await cache.find("real")

    assert asyncio.run(main()).keys == ("key",)
    assert "Cannot list connections: RuntimeError" in caplog.text
    assert "hunter2" not in caplog.text


def test_what_is_remembered_answers_while_it_is_looked_up_anew() -> None:
    now, keys, may_answer = 0.0, ("old",), threading.Event()
    may_answer.set()

    def look_up(conn_id: str) -> ReceiverConfig:
        may_answer.wait(30)
        return ReceiverConfig(keys=keys)

    async def main() -> None:
        nonlocal now, keys
        cache = ConnectionCache(look_up, lambda: now)
        assert (await cache.find("real")).keys == ("old",)
        now, keys = 30.0, ("new",)
        may_answer.clear()
        assert (await cache.find("real")).keys == ("old",)  # at once, though the key store does not answer
        may_answer.set()
        while (await cache.find("real")).keys == ("old",):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)  # what looked it up ends a turn after it has remembered it
        now, keys = 100.0, ("newest",)
        assert (await cache.find("real")).keys == ("newest",)  # that long ago counts no more
        cache.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_spellings_of_one_connection_write_no_more_lines(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    one = ReceiverConfig(keys=("key",), advice="its key is short")
    for number in range(200):
        spelling = "".join(c.upper() if number >> at & 1 else c for at, c in enumerate("trtc_default"))
        desk.cache.warn_refused(spelling, one, "x")
        desk.cache._remember(spelling, one)
        desk.cache.warn_refused(f"other{number}", one, "x")
    assert caplog.text.count("trtc_default") + caplog.text.count("TRTC") <= 3
    assert len(caplog.records) <= 21
    desk.now = 61
    desk.cache.warn_refused("trtc_default", one, "x")
    assert "trtc_default" in caplog.records[-1].getMessage()


def test_the_time_of_a_refusal_tells_nothing() -> None:
    def look_up(conn_id: str) -> ReceiverConfig:
        time.sleep({"fast": 0, "slow": 0.1}[conn_id])
        return ReceiverConfig(keys=("key",) * 50)

    desk = Desk()

    async def main() -> None:
        cache = ConnectionCache(look_up)
        receiver = Receiver(cache, desk._store, refuse_seconds=0.4)
        desk.app = Starlette(routes=[Route("/callbacks/{conn_id}", receiver)])
        for conn_id in ("fast", "slow", "fast"):
            began_at = time.monotonic()
            answer = await desk.send("POST", f"/callbacks/{conn_id}", content=BODY, headers={"Sign": "x"})
            assert answer.status_code == 401
            assert time.monotonic() - began_at >= 0.39
        cache.close()

    asyncio.run(main())
