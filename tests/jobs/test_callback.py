"""Reading callbacks: signatures, loose types, wrappers, and whatever else may come."""

from __future__ import annotations

import hashlib
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_trtc.bounds import DEEPEST
from airflow_trtc.jobs.callback import (
    Callback,
    CallbackError,
    is_address_signed,
    is_signed,
    kept_event,
    parse,
    parse_event,
    sign,
    stream_name,
    without_signatures,
)

ROOM = (
    b'{\n\t"EventGroupId":\t2,\n\t"EventType":\t204,\n\t"CallbackTs":\t1664209748188,\n\t"EventInfo":\t{\n'
    b'\t\t"RoomId":\t8489,\n\t\t"EventTs":\t1664209748,\n\t\t"EventMsTs":\t1664209748180,\n'
    b'\t\t"UserId":\t"user_85034614",\n\t\t"Reason":\t0\n\t}\n}'
)
ENTER = (
    b'{\n\t"EventGroupId":\t1,\n\t"EventType":\t101,\n\t"CallbackTs":\t1608086882372,\n\t"EventInfo":\t{\n'
    b'\t\t"RoomId":\t20222,\n\t\t"EventTs":\t1608086882,\n\t\t"UserId":\t"222222_phone"\n\t}\n}'
)
RECORDING = "D0e6x89Rsp-esui8b4iOs3gqSzfJsasfAt5ItrFuFf1CadUFnZT7EsBMcwRCGY6m5ECaEoW4PboiqfSZBAA."
LEFT: dict[str, Any] = {
    "EventGroupId": 3,
    "EventType": 302,
    "CallbackTs": 1768960945393,
    "EventInfo": {
        "RoomId": "3369810761",
        "EventTs": "1768960945",
        "EventMsTs": 1768960945351,
        "UserId": "recorder_1",
        "TaskId": RECORDING,
        "Payload": {"LeaveCode": 0},
    },
}


def body(event: Any) -> bytes:
    return json.dumps(event).encode()


def changed(event: dict[str, Any], **info: Any) -> dict[str, Any]:
    return {**event, "EventInfo": {**event["EventInfo"], **info}}


def test_the_documented_signature_is_made_and_accepted() -> None:
    assert sign("123654", ROOM) == "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA="
    assert sign("789", ENTER) == "t2Yq1R4wilV/RIMRyygkgdhxWO8dgTdXXrfNVtz7V3k="
    assert is_signed(ROOM, sign("123654", ROOM), ["new", "123654"])


@pytest.mark.parametrize("signature", [None, "", "x", "é", "\udcff", sign("other", ROOM), sign("", ROOM)])
def test_no_other_signature_is_accepted(signature: str | None) -> None:
    assert not is_signed(ROOM, signature, ["123654"])
    assert not is_signed(ROOM, signature, [""])
    assert not is_signed(ROOM, signature, [])


def test_one_changed_byte_makes_the_signature_wrong() -> None:
    assert not is_signed(ROOM.replace(b"204", b"203"), sign("123654", ROOM), ["123654"])


ADDRESS = {
    "requesttime": "1669872112",
    "sign": "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061",
}
AT_MS = 1669872112_000


@pytest.mark.parametrize(
    "change, keys, now_ms, is_right",
    [
        ({}, ["xxxxyyyy"], AT_MS, True),
        ({}, ["new", "xxxxyyyy"], AT_MS + 60_000, True),
        ({"sign": ADDRESS["sign"].upper()}, ["xxxxyyyy"], AT_MS - 60_000, True),
        ({}, ["xxxxyyyy"], AT_MS + 60_001, False),
        ({}, ["xxxxyyyy"], AT_MS - 60_001, False),
        ({}, ["xxxxyyyz"], AT_MS, False),
        ({}, [""], AT_MS, False),
        ({}, [], AT_MS, False),
        ({"sign": ""}, ["xxxxyyyy"], AT_MS, False),
        ({"sign": "\udcff"}, ["xxxxyyyy"], AT_MS, False),
        ({"requesttime": "1669872113"}, ["xxxxyyyy"], AT_MS, False),
        ({"requesttime": "1" * 30}, ["xxxxyyyy"], AT_MS, False),
        ({"requesttime": "\u0661669872112"}, ["xxxxyyyy"], AT_MS, False),
        ({"requesttime": ""}, ["xxxxyyyy"], AT_MS, False),
        ({"requesttime": "yyyy1669872112"}, ["xxxx"], AT_MS, False),  # the same bytes, split elsewhere
    ],
)
def test_a_signed_address_is_right_for_a_minute(
    change: dict[str, str], keys: list[str], now_ms: int, is_right: bool
) -> None:
    assert is_address_signed({**ADDRESS, **change}, keys, now_ms) is is_right
    assert not is_address_signed({}, keys, now_ms)


def test_an_event_of_a_recording_is_read() -> None:
    callback = parse(body(LEFT))
    assert (callback.group, callback.type, callback.task_id) == (3, 302, RECORDING)
    assert (callback.room_id, callback.user_id) == ("3369810761", "recorder_1")
    assert (callback.happened_at_ms, callback.sent_at_ms) == (1768960945351, 1768960945393)
    assert callback.payload == {"LeaveCode": 0}
    assert callback.event == LEFT
    assert callback.wrapper is None
    assert callback.family == "recording"
    assert callback.subject == f"task:{RECORDING}"


def test_an_event_of_a_room_tells_of_no_job() -> None:
    callback = parse(ROOM)
    assert (callback.room_id, callback.family, callback.subject) == ("8489", None, "room:8489")
    assert callback.payload == {}


@pytest.mark.parametrize(
    "info, expected",
    [
        ({"EventMsTs": 1622186275757}, 1622186275757),
        ({"EventTsMs": 1622186275757}, 1622186275757),
        ({"EventMsTs": "1622186275757"}, 1622186275757),
        ({"EventTs": "1622186275"}, 1622186275000),
        ({"EventTs": 1622186275}, 1622186275000),
        ({"EventTs": 1622186275.0}, 1622186275000),
        ({}, None),
        ({"EventMsTs": True, "EventTs": None}, None),
        ({"EventMsTs": 10**50, "EventTs": -5}, None),
        ({"EventTsMs": 1622186275757, "EventTs": 1622186275}, 1622186275757),
    ],
)
def test_the_time_is_found_in_every_spelling(info: dict[str, Any], expected: int | None) -> None:
    event = {"EventGroupId": 3, "EventType": 301, "EventInfo": info}
    assert parse(body(event)).happened_at_ms == expected


@pytest.mark.parametrize("name", ["CallbackTs", "CallbackMsTs"])
def test_the_time_of_sending_is_read_and_is_no_part_of_the_identity(name: str) -> None:
    event = {key: value for key, value in LEFT.items() if key != "CallbackTs"}
    first, again = parse(body({**event, name: 1768960945393})), parse(body({**event, name: 1768960955393}))
    assert (first.sent_at_ms, again.sent_at_ms) == (1768960945393, 1768960955393)
    assert first.identity == again.identity == parse(body(LEFT)).identity


def test_numbers_may_be_texts_and_the_other_way_round() -> None:
    loose = changed(LEFT, RoomId=3369810761, EventTs=1768960945, EventMsTs="1768960945351")
    loose |= {"EventGroupId": "3", "EventType": 302.0}
    assert parse(body(loose)).identity == parse(body(LEFT)).identity


def test_the_identity_stays_what_it_is() -> None:
    """Stored rows are found by it, also those that an older version stored."""
    assert parse(body(LEFT)).identity == "581f1cc3c18c3621e5045d5f7c746be0"


@pytest.mark.parametrize("name", ["TaskId", "RoomId", "UserId", "EventTs", "EventMsTs", "EventTsMs"])
def test_a_number_sent_as_text_makes_no_other_event(name: str) -> None:
    event = {**LEFT, "EventInfo": {"Payload": {"a": 1, "b": 2}}}
    number, text = changed(event, **{name: 1768960945}), changed(event, **{name: "1768960945"})
    assert parse(body(number)).identity == parse(body(text)).identity


def test_the_order_of_fields_makes_no_other_event() -> None:
    one, other = changed(LEFT, Payload={"a": 1, "b": 2}), changed(LEFT, Payload={"b": 2, "a": 1})
    assert parse(body(one)).identity == parse(body(other)).identity


@pytest.mark.parametrize("number", [0, 999_999_999])
def test_the_lowest_and_the_highest_type_are_events(number: int) -> None:
    event = {"EventGroupId": number, "EventType": number}
    assert (parse(body(event)).group, parse(body(event)).type) == (number, number)
    with pytest.raises(CallbackError, match="not a number from 0 to 999999999"):
        parse(body({**event, "EventType": 1_000_000_000}))


def test_a_number_has_so_many_digits_at_most() -> None:
    text = '{"EventGroupId":3,"EventType":301,"x":%s}'
    assert parse((text % ("9" * 400)).encode()).event["x"] == "9" * 400
    with pytest.raises(CallbackError, match="too large"):
        parse((text % ("9" * 401)).encode())


@pytest.mark.parametrize("escaped", [r"\u0000", r"\ud800", r"\uD800"])
def test_each_spelling_of_what_databases_refuse_is_replaced(escaped: str) -> None:
    text = '{"EventGroupId":3,"EventType":301,"x":"%s"}'
    assert parse((text % escaped).encode()).event["x"] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "other",
    [
        {**LEFT, "EventType": 303},
        {**LEFT, "EventGroupId": 8},
        changed(LEFT, TaskId="other"),
        changed(LEFT, RoomId="other"),
        changed(LEFT, UserId="other"),
        changed(LEFT, EventMsTs=1768960945352),
        changed(LEFT, Payload={"LeaveCode": 1}),
        changed(LEFT, Status=1),
    ],
)
def test_whatever_else_differs_makes_another_event(other: dict[str, Any]) -> None:
    assert parse(body(other)).identity != parse(body(LEFT)).identity


@pytest.mark.parametrize(
    "message, wrapper",
    [
        (
            {
                "CallbackCommand": "Call.CallbackAfterRecordChanged",
                "CallId": "c",
                "Callback": {**LEFT, "KitType": 2},
            },
            {"CallbackCommand": "Call.CallbackAfterRecordChanged", "CallId": "c"},
        ),
        (
            {"CallbackCommand": "Follow.X", **LEFT},
            {"CallbackCommand": "Follow.X"},
        ),
    ],
)
def test_a_wrapped_event_is_the_same_event(message: dict[str, Any], wrapper: dict[str, Any]) -> None:
    callback = parse(body(message))
    assert callback.wrapper == wrapper
    assert callback.identity == parse(body(LEFT)).identity
    assert callback.event["EventType"] == 302


def test_unknown_types_and_fields_are_kept() -> None:
    event = {"EventGroupId": 99, "EventType": 9901, "New": [1], "EventInfo": {"Also": {"new": None}}}
    callback = parse(body(event))
    assert (callback.group, callback.type, callback.event) == (99, 9901, event)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse(b"\xef\xbb\xbf" + body(LEFT)) == parse(body(LEFT))


@pytest.mark.parametrize("info", [None, [], "x", 5])
def test_an_event_without_usable_information_is_an_event(info: Any) -> None:
    callback = parse(body({"EventGroupId": 3, "EventType": 301, "EventInfo": info}))
    assert (callback.task_id, callback.payload, callback.subject) == (None, {}, "-")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xfe{\x00}\x00",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b"null",
        b"NaN",
        b'{"EventGroupId":3}',
        b'{"EventType":301}',
        b'{"EventGroupId":true,"EventType":301}',
        b'{"EventGroupId":3,"EventType":-1}',
        b'{"EventGroupId":3,"EventType":1.5}',
        b'{"EventGroupId":3,"EventType":"x"}',
        b'{"EventGroupId":3,"EventType":301,"x":NaN}',
        b'{"EventGroupId":3,"EventType":301,"x":Infinity}',
        b'{"EventGroupId":3,"EventType":301,"x":1e999}',
        b'{"EventGroupId":3,"EventType":301,"x":-1e999}',
        b'{"EventGroupId":3,"EventType":301,"x":' + b'{"a":' * DEEPEST + b"1" + b"}" * (DEEPEST + 1),
        b'{"EventGroupId":3,"EventType":301,"x":' + b"9" * 5000 + b"}",
        b'{"EventGroupId":' + b"9" * 300 + b',"EventType":301}',
        b'{"CallbackCommand":"x"}',
        b'{"CallbackCommand":"x","Callback":{}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"EventGroupId":3,"EventType":301,"x":' + b"[" * DEEPEST + b"]" * DEEPEST + b"}",
    ],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(CallbackError):
        parse(data)


def test_wide_is_not_deep() -> None:
    assert parse(body({**LEFT, "x": [[]] * 1000})).type == 302


def test_a_reason_repeats_nothing_of_what_was_sent() -> None:
    with pytest.raises(CallbackError) as refused:
        parse(b'{"password": "hunter2" "EventGroupId"')
    assert "hunter2" not in str(refused.value)


def test_characters_that_databases_refuse_are_replaced() -> None:
    text = (
        r'{"EventGroupId":3,"EventType":301,"k\u0000":1,"EventInfo":{"TaskId":"a\u0000b\ud800c\uD83D\uDE00"}}'
    )
    callback = parse(text.encode())
    assert callback.task_id == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\N{GRINNING FACE}"
    assert "\\u0000" not in json.dumps(callback.event)
    json.dumps(callback.event, ensure_ascii=False).encode()


def test_a_stored_event_is_read_as_it_was() -> None:
    callback = parse(body(LEFT))
    assert parse_event(json.loads(json.dumps(callback.event))) == callback
    wrapper = {"CallId": "c"}
    assert parse_event(callback.event, wrapper).wrapper == wrapper
    odd: Any
    for odd in (5, "x", []):
        assert parse_event(callback.event, odd).wrapper is None
    for odd in ([], ["EventGroupId", "EventType"], "EventGroupId EventType", None):
        with pytest.raises(CallbackError, match="not a JSON object"):
            parse_event(odd)


def check(data: bytes) -> Callback | None:
    """Only one error may come out, and what is read can be stored and read again."""
    try:
        callback = parse(data)
    except CallbackError:
        return None
    stored = json.dumps(callback.event, allow_nan=False)
    assert parse_event(json.loads(stored)).identity == callback.identity
    for text in (stored, callback.task_id, callback.room_id, callback.user_id):
        assert "\0" not in (text or "")
        (text or "").encode()
    return callback


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(
    ["EventGroupId", "EventType", "EventInfo", "CallbackTs", "CallbackCommand", "Callback", "TaskId"]
)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    check(data)


@given(values)
def test_any_json_is_read_or_refused(value: Any) -> None:
    check(json.dumps(value).encode())


@given(st.dictionaries(names, values))
def test_any_values_of_known_fields_are_read_or_refused(value: dict[str, Any]) -> None:
    check(json.dumps({"EventGroupId": 3, "EventType": 301, **value}).encode())


@given(values, values, values, values)
def test_any_information_is_read(task: Any, room: Any, time: Any, payload: Any) -> None:
    info = {"TaskId": task, "RoomId": room, "EventMsTs": time, "Payload": payload}
    check(json.dumps({"EventGroupId": 3, "EventType": 301, "EventInfo": info}).encode())


@settings(max_examples=300)
@given(st.integers(), st.sampled_from([ROOM, ENTER, body(LEFT)]))
def test_damaged_events_are_read_or_refused(seed: int, event: bytes) -> None:
    check(damaged(event, random.Random(seed)))


TRICKS = [b"\\u0000", b"\\ud800", b"NaN", b"1e999", b"[", b"{", b'"', b"-", b"9" * 500]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A few bytes flipped, dropped, doubled or put in."""
    damage = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(damage) + 1)
        match chance.randrange(4):
            case 0:
                damage[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del damage[at : at + chance.randint(1, 9)]
            case 2:
                damage[at:at] = damage[at : at + chance.randint(1, 30)]
            case _:
                damage[at:at] = chance.choice(
                    [b"\\u0000", b"\\ud800", b"NaN", b"1e999", b"[", b"{", b'"', b"-", b"9" * 500]
                )
    return bytes(damage)


@pytest.mark.parametrize(
    "text, kept",
    [
        ("https://user:pass@h.example.com/a%20b.mp4?sign=x&t=1#f", "https://h.example.com/a%20b.mp4"),
        ("rtmp://h.example.com/live/s?txSecret=x", "rtmp://h.example.com/live/s"),
        (" srt://h.example.com:9000?streamid=x ", " srt://h.example.com:9000 "),
        ("https://[x?sign=x", ""),
        ("see https://h.example.com?x=1 for more", "see https://h.example.com for more"),
        ("1400000001_8001__UserId_s_x__UserId_e_main.mp4", "1400000001_8001__UserId_s_x__UserId_e_main.mp4"),
        ("", ""),
    ],
)
def test_addresses_lose_what_may_be_a_signature(text: str, kept: str) -> None:
    event = {"a": [text, 5, None, 0.5], "b": {"c": text}}
    assert without_signatures(event) == {"a": [kept, 5, None, 0.5], "b": {"c": kept}}
    assert event["b"] == {"c": text}


@pytest.mark.parametrize("text", ["a." * 130_000 + "://", " " * 260_000, "a" * 260_000 + "://"])
def test_long_texts_are_read_in_no_time(text: str) -> None:
    """More than linear would be minutes."""
    assert without_signatures(text) == text


@pytest.mark.parametrize(
    "text, left",
    [
        ("https://u:hunter2@x.com/a.mp4?sign=hunter2", "https://x.com/a.mp4"),
        (
            "cannot write https://x.com/a.mp4?sign=hunter2, retry",
            "cannot write https://x.com/a.mp4 retry",
        ),
        ('{"url": "https://x.com/a?sign=hunter2", "n": 1}', '{"url": "https://x.com/a", "n": 1}'),
        (r'{"url": "https:\/\/u:hunter2@x.com\/a?sign=hunter2"}', r'{"url": "https:\/\/x.com\/a"}'),
        ("https://x.com/a b.mp4?sign=hunter2", "https://x.com/a b.mp4"),
        ("https://x.com/a?b=c d&sign=hunter2", "https://x.com/a d&"),
        (
            "b-1.cos.x.com/a.m3u8?q-ak=hunter2&q-signature=hunter2",
            "b-1.cos.x.com/a.m3u8",
        ),
        ("x.com/a#token=hunter2", "x.com/a"),
        ("sent https%3A%2F%2Fx.com%2Fa%3Fsign%3Dhunter2", "sent https%3A%2F%2Fx.com%2Fa%"),
        ("q-sign-algorithm=hunter2&q-signature=hunter2", "&"),
        ("(see <https://x.com/?t=hunter2>)", "(see <https://x.com/>)"),
        ("https://[x?sign=hunter2", ""),
        ("a/b.m3u8", "a/b.m3u8"),
        ("what? yes = no, 1/2", "what? yes = no, 1/2"),
        ("AccessKey invalid", "AccessKey invalid"),
    ],
)
def test_addresses_lose_their_signatures_wherever_they_stand(text: str, left: str) -> None:
    found = without_signatures({"Message": text, "List": [text]})
    assert "hunter2" not in json.dumps(found)
    assert found == {"Message": left, "List": [left]}


def test_ids_stay_as_they_are() -> None:
    ids = {"TaskId": "https://x/?a=b", "RoomId": "a?sign=b", "UserId": "token=c"}
    assert without_signatures({"EventInfo": ids}) == {"EventInfo": ids}


# -- addresses that streams are pushed to -------------------------------------------------------------


@pytest.mark.parametrize(
    "address, host",
    [
        ("rtmp://a.rtmp.example/live2/the-key", "rtmp://a.rtmp.example"),
        ("rtmp://user:word@push.example:1935/live/s?txSecret=hunter2", "rtmp://push.example:1935"),
        ("srt://push.example:9000?streamid=hunter2", "srt://push.example:9000"),
        ("rtmp://[", ""),
        ("no address", ""),
        ("rtmp://" + "h" * 500 + "/key", "rtmp://" + "h" * 200),
        ("rtmp://\ud800/key", "rtmp://\ud800"),
    ],
)
def test_the_name_of_an_address_hides_its_key_and_tells_it_apart(address: str, host: str) -> None:
    name = stream_name(address)
    assert name.startswith(f"{host}#")
    assert len(name) == len(host) + 13
    assert stream_name(name) == name
    assert stream_name(address + "2") != name


def test_a_relay_is_kept_without_its_key_wherever_it_is_repeated() -> None:
    address = "rtmp://a.example/live/the-key?txSecret=hunter2"
    payload = {"Url": address, "Status": 4, "ErrorCode": -3, "ErrorMsg": f"cannot push to {address}: refused"}
    event = {"EventGroupId": 4, "EventType": 401, "EventInfo": {"TaskId": "t", "Payload": payload}}
    callback = parse(json.dumps(event).encode())
    kept = kept_event(callback)
    assert "the-key" not in json.dumps(kept)
    assert "hunter2" not in json.dumps(kept)
    assert kept["EventInfo"]["Payload"] == {
        "Url": stream_name(address),
        "Status": 4,
        "ErrorCode": -3,
        "ErrorMsg": f"cannot push to {stream_name(address)} refused",
    }
    assert callback.payload["Url"] == address


@pytest.mark.parametrize(
    "address",
    [
        "rtmp://a.example/live/SECRETKEY",
        "rtmp://a.example/live/SECRETKEY/",
        " rtmp://user:SECRETKEY1234@a.example/live/SECRETKEY ",
        "rtmp://a.example/live/s1?txSecret=SECRETKEY1234",
        "srt://a.example:9000?streamid=#!::h=b.example,r=live/SECRETKEY1234,m=publish",
    ],
)
@pytest.mark.parametrize("form", ["{0}", "{1}", "{2}", "{3}", "{4}", "({0})", "'{1}'.", "{0}: {3}: {0}"])
def test_no_part_of_a_streams_address_gives_its_key_away(address: str, form: str) -> None:
    plain = address.strip()
    rest = plain.partition("://")[2]
    path = rest.partition("/")[2]
    last = re.split("[/=]", plain.rstrip("/"))[-2 if "m=publish" in plain else -1].removesuffix(",m")
    words = "refused: " + form.format(address, rest, path, last, plain.upper())
    payload = {"Url": address, "Status": 4, "ErrorMsg": words}
    event = {"EventGroupId": 4, "EventType": 401, "EventInfo": {"TaskId": "t", "Payload": payload}}
    kept = kept_event(parse(json.dumps(event).encode()))
    assert "SECRETKEY" not in json.dumps(kept).upper()
    assert kept["EventInfo"]["Payload"]["ErrorMsg"].startswith("refused")


def test_two_addresses_of_one_host_are_two_events() -> None:
    """What is kept has lost what differs, but for the digest."""
    identities = set()
    for key in ("a", "b"):
        payload = {"Url": f"srt://h:9000?streamid={key}", "Status": 0}
        info = {"TaskId": "t", "EventMsTs": 1768960945351, "Payload": payload}
        event = parse_event({"EventGroupId": 4, "EventType": 401, "EventInfo": info})
        identities |= {event.identity, parse_event(kept_event(event)).identity}
    assert len(identities) == 4


def test_the_token_of_a_signed_address_may_have_128_characters() -> None:
    """More than a key of the console may have: products that wrap events have an API of their own for it."""
    token, at = "t" * 128, "1669872112"
    sign = hashlib.sha256(f"{token}{at}".encode()).hexdigest()
    assert is_address_signed({"requesttime": at, "sign": sign}, ["other", token], AT_MS)
