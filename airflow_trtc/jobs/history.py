"""What callbacks told of a recording, besides its files: one sign for each thing said.

Callbacks come in any order, several times, or never. So signs are a set that only grows; what they mean is
found by the times at which things happened, never by the order in which they came.

Vendor facts: Cloud Recording Webhooks, trtc.io/document/54914, as of 2026.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_trtc.jobs.callback import Callback, without_signature
from airflow_trtc.jobs.observation import RecordedFile

RECORDING_GROUP = 3
WEB_RECORDING_GROUP = 8

STARTED = 301
LEFT = 302
UPLOAD_STARTED = 303
FILE_UPLOADED = 304
UPLOADED = 305
MOVED = 306
FILE_BEGUN = 307
UPLOAD_ERROR = 308
IMAGE_ERROR = 309
CONVERTED = 310
IN_VOD = 311
VOD_ENDED = 312
WEB_STARTED = 801
WEB_ENDED = 802

# What ends with these codes has ended; with others nobody knows. A relay (306) may follow, and undo it.
_ENDS: Mapping[int, Collection[int | None]] = {
    LEFT: {0, 1, 2, 3, 4, 99, 100, 101},
    UPLOADED: {0, 1, 2},
    CONVERTED: {0, 1, 2},
    VOD_ENDED: {0, 1},
    WEB_STARTED: {5},
    WEB_ENDED: {1},
}
INTERRUPTED_CODES = {
    100: "the room timed out or the recorder lost it",
    101: "the recorder's id entered again",
}

_LONGEST_TEXT = 300
_MOST_DETAILED_SIGNS = 200  # texts can make any number; the first ones say what happened
_LATEST_MS = 10**14  # the year 5138; what is beyond is no time


@dataclass(frozen=True, slots=True)
class CallbackFact:
    """One thing that callbacks said, however often.

    :param type: the event's type, e.g. 302.
    :param code: its ``Status`` or ``LeaveCode``; None where it has none.
    :param detail: what it is about, where that matters: a file's name, the code of an upload error.
    :param happened_at_ms: Unix milliseconds by the service's clock; the latest, if it was said repeatedly.
    :param received_at: when that one was received, by the receiver's clock.
    :param message: the service's words, if any.
    """

    type: int
    code: int | None
    detail: str
    happened_at_ms: int
    received_at: datetime
    message: str = ""

    @property
    def happened_at(self) -> datetime:
        """The same as an aware datetime."""
        seconds, milliseconds = divmod(self.happened_at_ms, 1000)
        return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=milliseconds * 1000)


@dataclass(frozen=True, slots=True)
class CallbackHistory:
    """All signs of a recording, in the order in which they happened."""

    facts: tuple[CallbackFact, ...] = ()

    def of(self, *types: int) -> list[CallbackFact]:
        """The signs of these types, the latest last."""
        return [sign for sign in self.facts if sign.type in types]

    def latest(self, event_type: int) -> CallbackFact | None:
        """The latest sign of a type."""
        return max(self.of(event_type), key=_order, default=None)

    @property
    def first_received_at(self) -> datetime | None:
        """When anything was heard first."""
        return min((sign.received_at for sign in self.facts), default=None)

    @property
    def last_received_at(self) -> datetime | None:
        """When anything new was heard last."""
        return max((sign.received_at for sign in self.facts), default=None)

    @property
    def end(self) -> CallbackFact | None:
        """What proves that recording has ended: that the recorder left, else what only follows an end.

        A later start, or a later move to another machine, takes an earlier proof back.
        """
        restart = max((sign.happened_at_ms for sign in self._starts), default=0)
        proofs = [
            sign
            for sign in self.facts
            if sign.code in _ENDS.get(sign.type, ()) and sign.happened_at_ms >= restart
        ]
        left = [sign for sign in proofs if sign.type == LEFT]
        return max(left, key=_order) if left else min(proofs, key=_order, default=None)

    @property
    def _starts(self) -> list[CallbackFact]:
        # With a code that nobody has documented too: it may mean that the recording goes on.
        return [sign for sign in self.of(STARTED, MOVED) if (sign.type, sign.code) != (STARTED, 1)]

    @property
    def failed_start(self) -> CallbackFact | None:
        """The sign that the recorder did not start, unless it started later, also on another machine."""
        failed = max((sign for sign in self.of(STARTED) if sign.code == 1), key=_order, default=None)
        if failed is None or self.end is not None or any(_order(s) > _order(failed) for s in self._starts):
            return None
        return failed


NO_CALLBACKS = CallbackHistory()


def hear(told: CallbackHistory, callback: Callback, received_at: datetime) -> CallbackHistory:
    """Add what a callback says."""
    sign = _sign(callback, received_at)
    return told if sign is None else merge_histories(told, CallbackHistory((sign,)))


def merge_histories(*all_told: CallbackHistory) -> CallbackHistory:
    """Everything that any of them holds."""
    signs: dict[tuple[int, int | None, str], CallbackFact] = {}
    for sign in (sign for told in all_told for sign in told.facts):
        key = (sign.type, sign.code, sign.detail)
        signs[key] = max(signs.get(key, sign), sign, key=_later)
    plain = [sign for sign in signs.values() if not sign.detail]
    detailed = sorted((sign for sign in signs.values() if sign.detail), key=_order)
    return CallbackHistory(tuple(sorted([*plain, *detailed[:_MOST_DETAILED_SIGNS]], key=_order)))


def _later(sign: CallbackFact) -> tuple[int, float]:
    """Of the same thing said twice the later one counts, as it was first received."""
    return sign.happened_at_ms, -sign.received_at.timestamp()


def _order(sign: CallbackFact) -> tuple[int, int, int, str]:
    return sign.happened_at_ms, sign.type, -1 if sign.code is None else sign.code, sign.detail


def files_of(callback: Callback) -> tuple[RecordedFile, ...]:
    """The files that a callback names and that exist: in the bucket, on their way to it, or in VOD."""
    payload = callback.payload
    if callback.group != RECORDING_GROUP:
        return ()
    match callback.type:
        case 307:
            return _files([payload], name="FileName", begin="BeginTimeStamp")
        case 304:
            return _named(payload.get("FileList"))
        case 310 if _number(payload.get("Status")) in (0, 1):  # with 2 these names are what failed
            told = _files(payload.get("FileMessage"), name="FileName", begin="StartTimeStamp")
            names = {file.file_name for file in told}
            named = _named(payload.get("FileList"))
            return (*told, *(file for file in named if file.file_name not in names))
        case 311 if _number(payload.get("Status")) == 0:
            # An older form of the event has these fields in the payload itself.
            return _files([payload.get("TencentVod") or payload], name="CacheFile", begin="StartTimeStamp")
    return ()


def _files(items: object, *, name: str, begin: str) -> tuple[RecordedFile, ...]:
    listed = items if isinstance(items, list | tuple) else ()
    return tuple(file for item in listed if (file := _file(item, name, begin)) is not None)


def _file(item: object, name: str, begin: str) -> RecordedFile | None:
    if not isinstance(item, Mapping):
        return None
    vod_file_id = _text(item.get("FileId"))
    file_name = _text(item.get(name)) or vod_file_id
    if file_name is None:
        return None
    return RecordedFile(
        file_name,
        user_id=_text(item.get("UserId")),
        track_type=_text(item.get("TrackType")),
        begin_timestamp_ms=_number(item.get(begin)),
        end_timestamp_ms=_number(item.get("EndTimeStamp")),
        media_id=_text(item.get("MediaId")),
        vod_file_id=vod_file_id,
        vod_url=_unsigned(item.get("VideoUrl")),
    )


def _named(names: object) -> tuple[RecordedFile, ...]:
    """``FileList`` is one name in some events, and a list of names in others."""
    listed = names if isinstance(names, list | tuple) else [names]
    return tuple(RecordedFile(name) for each in listed if (name := _text(each)) is not None)


def _unsigned(url: object) -> str | None:
    return None if (text := _text(url)) is None else without_signature(text)


def _sign(callback: Callback, received_at: datetime) -> CallbackFact | None:
    if callback.group not in (RECORDING_GROUP, WEB_RECORDING_GROUP):
        return None
    payload = callback.payload
    code = _number(payload.get("Status"))
    detail = message = ""
    match callback.type:
        case 302 | 305:
            code = _number(payload.get("LeaveCode")) if code is None else code
        case 308:
            detail = _text(payload.get("Code")) or ""
            message = _text(payload.get("Message")) or ""
        case 309:
            detail = _unsigned(payload.get("Url")) or ""
        case 311:
            in_vod = payload.get("TencentVod")
            in_vod = in_vod if isinstance(in_vod, Mapping) else payload
            # Files that arrived speak for themselves; there may be hundreds.
            detail = "" if code == 0 else _text(in_vod.get("CacheFile")) or ""
            message = _text(payload.get("Errmsg")) or ""
    happened_at_ms = callback.happened_at_ms
    if happened_at_ms is None or not 0 <= happened_at_ms < _LATEST_MS:
        happened_at_ms = round(received_at.timestamp() * 1000)
    detail, message = detail[:_LONGEST_TEXT], message[:_LONGEST_TEXT]
    return CallbackFact(callback.type, code, detail, happened_at_ms, received_at, message)


def history_to_json(told: CallbackHistory) -> list[dict[str, Any]]:
    """One plain dict a sign."""
    return [
        {
            "type": sign.type,
            "code": sign.code,
            "detail": sign.detail,
            "happened_at_ms": sign.happened_at_ms,
            "received_at": sign.received_at.isoformat(),
            "message": sign.message,
        }
        for sign in told.facts
    ]


def history_from_json(value: object) -> CallbackHistory:
    """Read signs back; what cannot be read is left out."""
    items = value if isinstance(value, list | tuple) else ()
    return merge_histories(CallbackHistory(tuple(_signs(items))))


def _signs(items: Iterable[object]) -> Iterable[CallbackFact]:
    for item in items:
        if not isinstance(item, Mapping):
            continue
        event_type, happened_at_ms = _number(item.get("type")), _number(item.get("happened_at_ms"))
        received_at = time_from_json(item.get("received_at"))
        if event_type is None or happened_at_ms is None or received_at is None:
            continue
        if not 0 <= happened_at_ms < _LATEST_MS:
            continue
        detail, message = _text(item.get("detail")) or "", _text(item.get("message")) or ""
        yield CallbackFact(
            event_type, _number(item.get("code")), detail, happened_at_ms, received_at, message
        )


def time_from_json(value: object) -> datetime | None:
    """Read an ISO 8601 time; None for what is none, or has no zone."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int | None:
    """A whole number, also where the service writes it as text."""
    if isinstance(value, str):
        try:
            return int(value) if len(value) <= 20 else None
        except ValueError:
            return None
    return value if type(value) is int else None
