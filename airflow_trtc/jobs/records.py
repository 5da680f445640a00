"""What callbacks bring besides files: sentences of a conversation or transcription, and moderation hits.

A job may have any number of them. The first ones are kept, as many as the bounds allow; the others are
counted. A record that comes twice, by the journal and the change feed, has the identity of its event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

from airflow_trtc import bounds
from airflow_trtc.jobs.callback import Callback, without_signature, without_signatures
from airflow_trtc.jobs.events import RecordKind, is_of, row

MAX_RECORDS = 5_000  # of one job
MAX_CHARACTERS = 1_500_000  # of all of them, as JSON
LONGEST_TEXT = 2_000
LONGEST_NAME = 300
MAX_RECENT = 200  # more than may come twice
SHORT = 8  # characters of an identity
_OVERHEAD = 200  # characters of the JSON of one record, besides its texts
MEDIA = {1: "speech", 2: "image"}
PASS = 0  # Suggest of 1104
SUGGESTIONS = {PASS: "pass", 1: "review", 2: "block"}


@dataclass(frozen=True, slots=True)
class Record:
    """One sentence, or one moderation hit. What the event does not say is None.

    :param identity: that of its event.
    :param kind: ``sentence`` or ``moderation``.
    :param at_ms: when the event happened, Unix milliseconds.
    :param user_id: who speaks or is seen.
    :param text: what was said, or read in the image.
    :param start_ms: begin of the sentence, in milliseconds, as the service counts them.
    :param end_ms: end of the sentence.
    :param round_id: of a conversation, the round it belongs to.
    :param media: of a moderation hit ``speech`` or ``image``.
    :param suggestion: ``review`` or ``block``; the service's number where that is not documented.
    :param label: the service's word for what it found, e.g. ``Porn``.
    :param score: how certain it is, 0 to 100.
    :param url: the file, without any signature.
    :param data_id: the service's id of what was moderated.
    """

    identity: str
    kind: str
    at_ms: int
    user_id: str | None = None
    text: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    round_id: str | None = None
    media: str | None = None
    suggestion: str | None = None
    label: str | None = None
    score: int | None = None
    url: str | None = None
    data_id: str | None = None

    @property
    def size(self) -> int:
        """About how many characters its JSON takes."""
        texts = (self.user_id, self.text, self.round_id, self.label, self.url, self.data_id)
        return _OVERHEAD + sum(len(text) for text in texts if text)


_TEXT_FIELDS = ("user_id", "text", "round_id", "media", "suggestion", "label", "url", "data_id")
_NUMBER_FIELDS = ("start_ms", "end_ms", "score")


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one job.

    :param kept: within the bounds, in the order of first sight.
    :param left_out: how many there were beyond them.
    :param recent: identities of the last of those, shortened: an event that comes twice counts once.
    :param size: that of all that are kept.
    """

    kept: tuple[Record, ...] = ()
    left_out: int = 0
    recent: tuple[str, ...] = ()
    size: int = field(default=0, compare=False)


NO_RECORDS = Records()


def record_of(callback: Callback, at_ms: int) -> Record | None:
    """The record that a callback brings; None for none, and for what passed the moderation.

    :param at_ms: when it was received, Unix milliseconds: for an event that has no time.
    """
    event = row(callback.type)
    if event.record is None or not is_of(event, callback.group):
        return None
    blank = Record(callback.identity, event.record, callback.happened_at_ms or at_ms)
    return _sentence(blank, callback) if event.record == "sentence" else _hit(blank, callback)


def _sentence(blank: Record, callback: Callback) -> Record | None:
    said = callback.payload
    text = _text(said.get("Text"))
    if text is None:
        return None
    return replace(
        blank,
        user_id=bounds.label(said.get("UserId"), LONGEST_NAME),
        text=text,
        start_ms=bounds.number(said.get("StartTimeMs"), 0),
        end_ms=bounds.number(said.get("EndTimeMs"), 0),
        round_id=bounds.label(said.get("RoundId"), LONGEST_NAME),
    )


def _hit(blank: Record, callback: Callback) -> Record | None:
    found, info = callback.payload, bounds.mapping(callback.event.get("EventInfo"))
    suggestion, media = bounds.number(found.get("Suggest")), bounds.number(found.get("MediaType"))
    if suggestion == PASS:
        return None
    score = bounds.number(found.get("Score"))
    texts = (_text(found.get(name)) for name in ("AudioText", "ImageOcr"))
    addresses = (bounds.text(found.get(name)) for name in ("Audio", "Image"))
    url = next((address for address in addresses if address is not None), None)
    user_id = bounds.label(info.get("StreamerUserId"), LONGEST_NAME)
    return replace(
        blank,
        user_id=user_id or bounds.label(info.get("StreamUserId"), LONGEST_NAME),
        text=next((text for text in texts if text is not None), None),
        media=None if media is None else MEDIA.get(media, str(media)),
        suggestion=None if suggestion is None else SUGGESTIONS.get(suggestion, str(suggestion)),
        label=bounds.label(found.get("Label"), LONGEST_NAME),
        score=bounds.number(found.get("Rate")) if score is None else score,
        url=url and bounds.text(without_signature(url), bounds.LONGEST_ID),
        data_id=bounds.label(found.get("DataId"), LONGEST_NAME),
    )


def _text(value: object) -> str | None:
    return bounds.text(without_signatures(value), LONGEST_TEXT) if isinstance(value, str) else None


def add_record(records: Records, record: Record) -> Records:
    """Add a record, unless it is there; count it, if there is no room."""
    return merge_records(records, Records((record,)))


def merge_records(own: Records, other: Records) -> Records:
    """Everything that either of them holds, as far as the bounds allow, the own ones first."""
    known = {record.identity for record in own.kept}
    added: list[Record] = []
    beyond: list[str] = []
    size = own.size
    for record in other.kept:
        if record.identity in known:
            continue
        if len(own.kept) + len(added) < MAX_RECORDS and size + record.size <= MAX_CHARACTERS:
            added.append(record)
            size += record.size
        else:
            beyond.append(record.identity[:SHORT])
    counted = max(own, other, key=lambda records: records.left_out)
    new = [short for short in beyond if short not in counted.recent]
    return Records(
        (*own.kept, *added) if added else own.kept,
        counted.left_out + len(new),
        (*counted.recent, *new)[-MAX_RECENT:] if new else counted.recent,
        size,
    )


def records_to_json(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One plain dict a record, with the fields that are known."""
    return [{name: value for name, value in asdict(one).items() if value is not None} for one in records]


def records_from_json(value: object) -> tuple[Record, ...]:
    """Read records back; what cannot be read is left out."""
    found: dict[str, Record] = {}
    for item in map(bounds.mapping, bounds.items(value, MAX_RECORDS)):
        if (record := _from_json(item)) is not None:
            found.setdefault(record.identity, record)
    return tuple(found.values())


def _from_json(item: Mapping[str, Any]) -> Record | None:
    identity, at_ms = bounds.text(item.get("identity"), LONGEST_NAME), bounds.instant_ms(item.get("at_ms"))
    kind = next((one for one in get_args(RecordKind) if one == item.get("kind")), None)
    if identity is None or kind is None or at_ms is None:
        return None
    given: dict[str, Any] = {name: bounds.text(item.get(name), LONGEST_TEXT) for name in _TEXT_FIELDS}
    given |= {name: bounds.number(item.get(name)) for name in _NUMBER_FIELDS}
    return Record(identity, kind, at_ms, **given)


def counts_to_json(records: Records) -> dict[str, Any]:
    """What is known of those that are not kept; nothing when there are none."""
    return {"left_out": records.left_out, "recent": list(records.recent)} if records.left_out else {}


def counts_from_json(value: object, kept: tuple[Record, ...]) -> Records:
    """Put both together again."""
    counts = bounds.mapping(value)
    recent = (bounds.text(each, SHORT) for each in bounds.items(counts.get("recent"), MAX_RECENT))
    size = sum(record.size for record in kept)
    return Records(kept, bounds.count(counts.get("left_out")), tuple(each for each in recent if each), size)
