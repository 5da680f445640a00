"""One callback of the service: signature, bytes in, a typed event out. Reads no clock, knows no web server.

The service repeats a message until it is answered, so the same event may come several times, and events
may overtake each other; an event carries no id, so :attr:`Callback.identity` makes one. Types are loose:
numbers come as texts and the other way round, fields are added, and other products of the vendor wrap the
event into a message of their own. All of that is read; what is no event is a :class:`CallbackError`.

Vendor facts: Cloud Recording and Web Page Recording Webhooks, trtc.io/document/54914, and for wrapped events
cloud.tencent.com/document/product/647/118333 and trtc.io/document/64412, as of 2026.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit, urlunsplit

from airflow_trtc import bounds
from airflow_trtc.bounds import DEEPEST
from airflow_trtc.jobs.events import FAMILIES, row

LONGEST_NUMBER = 400  # digits; PostgreSQL and Python read longer ones only with an effort
HIGHEST_TYPE = 999_999_999
ADDRESS_SECONDS = 60
LONGEST_HOST = 200
DIGEST_DIGITS = 12  # of the name of a stream's address
SHORTEST_KEY = 12  # characters from which any part of a stream's address may be its key
LONGEST_WORD = 3  # characters up to which the last part of its path is none

# What `Callback` has as attributes of its own; the rest of EventInfo distinguishes events as well.
_NAMED = frozenset({"TaskId", "RoomId", "UserId", "EventTs", "EventMsTs", "EventTsMs"})
_IDS = frozenset({"TaskId", "RoomId", "UserId"})  # no addresses, and exact: rows are found by them
_END = r"[^\s\"'<>\\]"  # what an address may consist of, also within a sentence or JSON text
_ADDRESS = re.compile(rf"\b[A-Za-z][A-Za-z0-9+.-]{{0,20}}://{_END}+")
_STREAM_NAME = re.compile(rf"(?:[A-Za-z][A-Za-z0-9+.-]{{0,20}}://[^/?#@\s]*)?#[0-9a-f]{{{DIGEST_DIGITS}}}")
_SEPARATORS = re.compile(r"[/?#&=,:@]+")
_USER = re.compile(r"(:\\/\\/)[^\s/\"'<>\\@]{1,300}@")  # of an address within JSON text
# Of an address without a scheme, or with blanks in it.
_QUERY = re.compile(rf"[?#][\w.~%\[\]-]{{1,100}}(?:=|%3[Dd]){_END}*")
_SECRET = re.compile(
    r"(?i)(?<![\w.~-])[\w.~-]{0,100}?(?:sign|secret|token|credential|passw|auth|accesskey|[_-]ak\b|[_-]key\b)[\w.~-]{0,50}"
    r"(?:=|%3d)[^\s\"'<>\\&]*"
)


class CallbackError(ValueError):
    """The bytes are no event; the message says why, and repeats nothing of what was sent."""


@dataclass(frozen=True, slots=True)
class Callback:
    """One event, as the service sent it.

    :param group: family of events (``EventGroupId``), e.g. 3 for on-cloud recording.
    :param type: what happened (``EventType``), e.g. 310; may be an undocumented one.
    :param task_id: the job; None when it names none, or one too long to be an id.
    :param room_id: the room, as a text also when its id is a number.
    :param user_id: a user, or a job's robot.
    :param happened_at_ms: Unix milliseconds; None when the event has no time.
    :param sent_at_ms: when this delivery was sent; differs between deliveries of one event.
    :param payload: the event's ``Payload``; empty when there is none.
    :param event: the whole event without its wrapper, as plain JSON.
    :param wrapper: what another product put around it; None when the event came as it is.
    :param identity: 32 hex digits, equal for each delivery of one event.
    """

    group: int
    type: int
    task_id: str | None
    room_id: str | None
    user_id: str | None
    happened_at_ms: int | None
    sent_at_ms: int | None
    payload: Mapping[str, Any]
    event: Mapping[str, Any]
    wrapper: Mapping[str, Any] | None
    identity: str

    @property
    def family(self) -> str | None:
        """The family of the job it is about, see `JobRef.family`; None when it is about none."""
        return FAMILIES.get(self.group) if self.task_id is not None else None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What it says: its payload, or of events that have none all of ``EventInfo``."""
        return bounds.mapping(self.event.get("EventInfo")) if row(self.type).is_flat else self.payload

    @property
    def subject(self) -> str:
        """What it is about: ``task:<id>``, ``room:<id>``, or ``-``."""
        if self.task_id:
            return f"task:{self.task_id}"
        return f"room:{self.room_id}" if self.room_id else "-"


def sign(key: str, body: bytes) -> str:
    """The signature that the service puts into the header ``Sign``, over the exact bytes of the body."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def is_signed(body: bytes, signature: str | None, keys: Collection[str]) -> bool:
    """Whether the body was signed with one of the keys. An empty key signs nothing."""
    given = (signature or "").encode("utf-8", "backslashreplace")
    is_right = False
    for key in keys:  # all of them: the time taken must not reveal which one fits
        is_right |= bool(key) and hmac.compare_digest(sign(key, body).encode(), given)
    return is_right


def is_address_signed(query: Mapping[str, str], keys: Collection[str], now_ms: int) -> bool:
    """Whether the address was signed with one of the keys, as products that wrap events do it.

    ``Sign`` is the SHA-256 of the key and ``RequestTime``, Unix seconds, and is valid for a minute. It does
    not cover the body, so it proves only that the sender knows the key.

    :param query: the address's parameters, their names in lower case.
    :param now_ms: the present time, Unix milliseconds.
    """
    time, given = query.get("requesttime", ""), query.get("sign", "").lower()
    if not (time.isascii() and time.isdigit()):  # whoever knows one signature can append, but no digits
        return False
    seconds = bounds.number(time)
    if seconds is None or abs(now_ms - seconds * 1000) > ADDRESS_SECONDS * 1000:
        return False
    is_right = False
    for key in keys:  # all of them, as above
        expected = hashlib.sha256(f"{key}{time}".encode()).hexdigest()
        is_right |= bool(key) and hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
    return is_right


def parse(body: bytes) -> Callback:
    """Read the body of a request.

    Zero characters and halves of surrogate pairs, which databases refuse, become U+FFFD, and whole numbers
    beyond 64 bits, which msgpack refuses, become text.

    :raises CallbackError: it is no event. Nothing else is raised, whatever the bytes are.
    """
    message = _json_object(body)
    if "CallbackCommand" not in message:
        return _read(message, None)
    inner = message.get("Callback")
    if isinstance(inner, dict):
        return _read(inner, {name: value for name, value in message.items() if name != "Callback"})
    command = message.pop("CallbackCommand")
    return _read(message, {"CallbackCommand": command})


def parse_event(event: Mapping[str, Any], wrapper: Mapping[str, Any] | None = None) -> Callback:
    """Read a stored event. Other programs may have written the row, so it is bounded as a request is.

    :raises CallbackError: it is no event. Nothing else is raised, whatever the row holds.
    """
    if not isinstance(event, Mapping):
        raise CallbackError("the event is not a JSON object")
    return _read(bounds.plain(event), bounds.plain(wrapper) if isinstance(wrapper, Mapping) else None)


def without_signature(address: str) -> str | None:
    """An address without user, query and fragment: a signature there gives access to every reader.

    None for what is no address.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def stream_name(address: str) -> str:
    """A name for an address that a stream is pushed to: scheme, host and a digest of all of it.

    Such addresses have a key in their path or query, with which anyone could push. The name of a name is
    the name itself.
    """
    if _STREAM_NAME.fullmatch(address):
        return address
    digest = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_DIGITS]
    try:
        parts = urlsplit(address)
    except ValueError:
        return f"#{digest}"
    host = parts.netloc.rpartition("@")[2][:LONGEST_HOST]
    name = f"{parts.scheme}://{host}#{digest}"
    return name if host and _STREAM_NAME.fullmatch(name) else f"#{digest}"


def kept_event(callback: Callback) -> dict[str, Any]:
    """The event as it is stored, where every author of a DAG may read it: without signatures and keys."""
    event: dict[str, Any] = bounds.plain(without_signatures(callback.event))
    documented = row(callback.type)
    if documented.detail_is_stream and documented.detail is not None:
        address = bounds.text(callback.payload.get(documented.detail))
        payload = bounds.mapping(bounds.mapping(event.get("EventInfo")).get("Payload"))
        if address is not None and isinstance(payload, dict):
            for name, value in payload.items():
                payload[name] = _without_stream(value, address) if isinstance(value, str) else value
            payload[documented.detail] = stream_name(address)
    return event


def _without_stream(text: str, address: str) -> str:
    """The text with a name where it repeats the address of a stream, or what may be the key in it."""
    address, name = address.strip(), stream_name(address)
    left = without_signature(address) or address  # in this form it is in texts without signatures
    _, _, rest = left.partition("://")
    host, _, path = rest.strip("/").partition("/")
    keys = {each for each in _SEPARATORS.split(address) if len(each) >= SHORTEST_KEY} - {host}
    user = address.partition("://")[2].partition("/")[0].rpartition("@")[0]
    said = {address, left, rest, user, user.partition(":")[2], path, path.rpartition("/")[2], *keys}
    ways = "|".join(
        re.escape(each) for each in sorted(said, key=len, reverse=True) if len(each) > LONGEST_WORD
    )
    return re.sub(rf"(?i)(?<![\w-])(?:{ways})(?![\w-])", lambda _: name, text) if ways else text


def without_signatures(value: Any) -> Any:
    """Plain JSON whose texts are the same, but for addresses, which lose what may be a signature.

    Wherever in a text they stand: alone, in a sentence, in JSON text, without a scheme.
    """
    if isinstance(value, str):
        return _without_signatures(value)
    if isinstance(value, dict):
        return {name: inner if name in _IDS else without_signatures(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_signatures(inner) for inner in value]
    return value


def _without_signatures(text: str) -> str:
    if "/" not in text and "=" not in text and "%3" not in text:
        return text
    text = _ADDRESS.sub(lambda found: without_signature(found[0]) or "", text)
    return _SECRET.sub("", _QUERY.sub("", _USER.sub(r"\1", text)))


def _read(event: Mapping[str, Any], wrapper: Mapping[str, Any] | None) -> Callback:
    group, kind = _kind(event, "EventGroupId"), _kind(event, "EventType")
    info = bounds.mapping(event.get("EventInfo"))
    task, room, user = (bounds.label(info.get(name)) for name in ("TaskId", "RoomId", "UserId"))
    happened_at_ms = _happened_at_ms(info)
    sent_at_ms = bounds.instant_ms(event.get("CallbackTs")) or bounds.instant_ms(event.get("CallbackMsTs"))
    return Callback(
        group=group,
        type=kind,
        task_id=bounds.job_id(task),
        room_id=room,
        user_id=user,
        happened_at_ms=happened_at_ms,
        sent_at_ms=sent_at_ms,
        payload=bounds.mapping(info.get("Payload")),
        event=event,
        wrapper=wrapper,
        identity=_identity([group, kind, task, room, user, happened_at_ms], info),
    )


def _identity(named: list[Any], info: Mapping[str, Any]) -> str:
    # Not over the bytes: a wrapper, white space or a number sent as text make no other event of it.
    rest = {name: value for name, value in info.items() if name not in _NAMED}
    text = json.dumps([*named, rest], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _happened_at_ms(info: Mapping[str, Any]) -> int | None:
    exact = bounds.instant_ms(info.get("EventMsTs")) or bounds.instant_ms(info.get("EventTsMs"))
    return exact or bounds.instant_ms(info.get("EventTs"), 1000)


def _kind(event: Mapping[str, Any], name: str) -> int:
    if name not in event:
        raise CallbackError(f"there is no {name} in it")
    number = bounds.number(event[name], 0, HIGHEST_TYPE)
    if number is None:
        raise CallbackError(f"its {name} is not a number from 0 to {HIGHEST_TYPE}")
    return number


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8-sig")
        message = json.loads(text, parse_constant=_no_number, parse_float=_float, parse_int=_int)
    except CallbackError:
        raise
    except UnicodeDecodeError:
        raise CallbackError("the body is not UTF-8") from None
    except RecursionError:
        raise CallbackError("the body is nested too deeply") from None
    except ValueError as error:
        raise CallbackError(f"the body is not JSON ({getattr(error, 'msg', 'invalid')})") from None
    if not isinstance(message, dict):
        raise CallbackError("the body is not a JSON object")
    # Counting is cheap; real events need no more.
    if text.count("{") + text.count("[") > DEEPEST:
        _check_depth(message)
    if "\\u0000" in text or "\\ud" in text or "\\uD" in text:
        message = bounds.plain(message)
    return cast("dict[str, Any]", message)


def _no_number(name: str) -> NoReturn:
    raise CallbackError(f"the body is not JSON ({name} is no number)")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise CallbackError("a number in it is too large")
    return number


def _int(digits: str) -> int | str:
    if len(digits) > LONGEST_NUMBER:
        raise CallbackError("a number in it is too large")
    number: int | str = bounds.plain(int(digits))
    return number


def _check_depth(message: dict[str, Any]) -> None:
    level: list[Any] = [message]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise CallbackError("the body is nested too deeply")


def _children(value: Any) -> Iterator[Any]:
    children = value.values() if isinstance(value, dict) else value
    return (child for child in children if isinstance(child, dict | list))
