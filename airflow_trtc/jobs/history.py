"""What callbacks reported of a job, besides its files: one fact for each thing said.

Callbacks come in any order, several times, or never. So facts are a set that only grows; what they mean is
found by the times at which things happened, never by the order in which they came. What a type and its codes
mean stands in :mod:`airflow_trtc.jobs.events`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.jobs.callback import (
    HIGHEST_TYPE,
    Callback,
    stream_name,
    without_signature,
    without_signatures,
)
from airflow_trtc.jobs.events import EVENTS, IN_VOD, ITSELF, MOVED, SLICED, Event, is_of, row
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.slices import slices_of

LONGEST_DETAIL = 300
MAX_FILES = 1_000  # of one callback
MAX_FACTS = 10_000  # of one stored row, before they are merged
MAX_ODD_FACTS = 200  # texts and undocumented codes make any number; the first ones say what happened
MAX_STATES = 600  # of things with states of their own, such as relays; the last ones say where they are


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
        return bounds.moment(self.happened_at_ms)

    @property
    def is_documented(self) -> bool:
        """Whether the vendor says what its code means."""
        return self.code in row(self.type).codes


@dataclass(frozen=True, slots=True)
class CallbackHistory:
    """All facts of a job, in the order in which they happened."""

    facts: tuple[CallbackFact, ...] = ()

    def of(self, event_type: int) -> list[CallbackFact]:
        """The facts of this type, the latest last."""
        return [fact for fact in self.facts if fact.type == event_type]

    def latest(self, event_type: int) -> CallbackFact | None:
        """The latest fact of a type."""
        return max(self.of(event_type), key=_order, default=None)

    @property
    def first_received_at(self) -> datetime | None:
        """When the first callback was received."""
        return min((fact.received_at for fact in self.facts), default=None)

    @property
    def last_received_at(self) -> datetime | None:
        """When the last callback with anything new was received."""
        return max((fact.received_at for fact in self.facts), default=None)

    @property
    def end(self) -> CallbackFact | None:
        """What proves that the job has ended: that its robot left, else what only follows an end.

        A later start, or a later move to another machine, takes an earlier proof back. Some events tell
        whole seconds only: what ended in the second of a start came after it, which of a move is not said.
        """
        if not self.facts:  # as of most jobs that are polled, several times for each poll
            return None
        restart = max((fact.happened_at_ms for fact in self._starts), default=0)
        moved = max((fact.happened_at_ms for fact in self.of(MOVED)), default=0)
        proofs = [
            fact
            for fact in self._ends
            if fact.happened_at_ms >= moved
            and (fact.happened_at_ms >= restart or fact.happened_at_ms == _second_of(restart))
        ]
        # Only a robot's leaving, for one, says when and how the job ended; the others come after it.
        left = [fact for fact in proofs if row(fact.type).is_exit]
        return max(left, key=_order) if left else min(proofs, key=_order, default=None)

    @property
    def is_passing(self) -> bool:
        """Whether another callback must follow soon: something is in a state that does not last."""
        return any(fact.code in row(fact.type).passing for states in self.states() for fact in states[-1:])

    def states(self) -> list[list[CallbackFact]]:
        """The states of each thing that has states of its own, such as a relay; of each the latest last."""
        found: dict[tuple[int, str], list[CallbackFact]] = {}
        for fact in self.facts:
            if row(fact.type).is_state and fact.code is not None:
                found.setdefault((fact.type, fact.detail), []).append(fact)
        # Of two in one millisecond, the one that ends it came last.
        return [sorted(facts, key=_state_order) for facts in found.values()]

    @property
    def _ends(self) -> list[CallbackFact]:
        """What says that the job has ended, unless something later says otherwise."""
        simple = [
            fact for fact in self.facts if not row(fact.type).is_state and fact.code in row(fact.type).ends
        ]
        latest = [states[-1] for states in self.states()]
        is_over = all(fact.code in row(fact.type).ends for fact in latest)
        return [*simple, *(latest if is_over else [])]

    @property
    def failed_start(self) -> CallbackFact | None:
        """The fact that the job did not start, unless it started later, also on another machine."""
        failures = [
            fact for fact in self.facts if row(fact.type).starts and fact.code in row(fact.type).faults
        ]
        failed = max(failures, key=_order, default=None)
        if failed is None or self.end is not None or any(_order(s) > _order(failed) for s in self._starts):
            return None
        return failed

    @property
    def _starts(self) -> list[CallbackFact]:
        return [fact for fact in self.facts if row(fact.type).is_start(fact.code)]


NO_CALLBACKS = CallbackHistory()


def add_callback(history: CallbackHistory, callback: Callback, received_at: datetime) -> CallbackHistory:
    """Add what a callback says."""
    fact = _fact(callback, received_at)
    return history if fact is None else merge_histories(history, CallbackHistory((fact,)))


def merge_histories(*histories: CallbackHistory) -> CallbackHistory:
    """Everything that any of them holds."""
    facts: dict[tuple[int, int | None, str], CallbackFact] = {}
    for fact in (fact for history in histories for fact in history.facts):
        key = (fact.type, fact.code, fact.detail)
        facts[key] = max(facts.get(key, fact), fact, key=_later)
    common = [fact for fact in facts.values() if _is_common(fact)]
    states = sorted((fact for fact in facts.values() if _is_state(fact)), key=_order)
    odd = sorted((fact for fact in facts.values() if not (_is_common(fact) or _is_state(fact))), key=_order)
    kept = [*common, *states[-MAX_STATES:], *odd[:MAX_ODD_FACTS]]
    return CallbackHistory(tuple(sorted(kept, key=_order)))


def _is_state(fact: CallbackFact) -> bool:
    return row(fact.type).is_state and fact.is_documented and not _is_common(fact)


def _is_common(fact: CallbackFact) -> bool:
    """Whether it is one of the few facts that the table knows in advance."""
    return not fact.detail and (fact.is_documented or (fact.code is None and fact.type in EVENTS))


def _second_of(at_ms: int) -> int:
    """The beginning of its second, as an event that tells whole seconds has it."""
    return at_ms // 1000 * 1000


def _later(fact: CallbackFact) -> tuple[int, float]:
    """Of the same thing said twice the later one counts, as it was first received."""
    return fact.happened_at_ms, -fact.received_at.timestamp()


def _state_order(fact: CallbackFact) -> tuple[int, bool]:
    return fact.happened_at_ms, not fact.code


def _order(fact: CallbackFact) -> tuple[int, int, int, str]:
    return fact.happened_at_ms, fact.type, -1 if fact.code is None else fact.code, fact.detail


def _fact(callback: Callback, received_at: datetime) -> CallbackFact | None:
    event, payload = row(callback.type), callback.fields
    if not is_of(event, callback.group):
        return None
    code = _code(event, payload)
    # Files that arrived speak for themselves; there may be hundreds.
    has_files = event.file_codes is not None and code in event.file_codes
    detail = "" if has_files else _detail(event, payload)
    message = without_signatures(_words(payload, event.message))
    happened_at_ms = callback.happened_at_ms or round(received_at.timestamp() * 1000)
    return CallbackFact(callback.type, code, detail, happened_at_ms, received_at, message)


def _code(event: Event, payload: Mapping[str, Any]) -> int | None:
    codes = [code for name in event.code_fields if (code := bounds.number(payload.get(name))) is not None]
    if codes:
        return codes[0]
    is_old_form = event.implied_by is not None and bounds.label(payload.get(event.implied_by)) is not None
    return 0 if is_old_form and not any(name in payload for name in event.code_fields) else None


def _detail(event: Event, payload: Mapping[str, Any]) -> str:
    if event.detail_is_stream and event.detail is not None:
        address = bounds.text(payload.get(event.detail))
        return stream_name(address) if address is not None else ""
    places = [payload, *(bounds.mapping(payload.get(name)) for name in event.file_objects)]
    found = next((words for place in places if (words := _words(place, event.detail))), "")
    return (without_signature(found) or "") if event.detail_is_address else found


def _words(place: Mapping[str, Any], name: str | None) -> str:
    return (bounds.label(place.get(name), LONGEST_DETAIL) or "") if name is not None else ""


def files_of(callback: Callback) -> tuple[RecordedFile, ...]:
    """The files that a callback names and that exist: in the bucket, on their way to it, or in VOD."""
    event, payload = row(callback.type), callback.fields
    if callback.group not in event.groups:
        return ()
    if event.type == SLICED:  # their form is documented loosely
        return slices_of(callback)
    if event.file_codes is not None and _code(event, payload) not in event.file_codes:
        return ()
    files: dict[str, RecordedFile] = {}
    for name in event.file_objects:
        for item in _listed(payload if name == ITSELF else payload.get(name)):
            if (file := _file(bounds.mapping(item))) is not None:
                files.setdefault(file.file_name, file)
    for item in _listed(payload.get(event.file_names)) if event.file_names else ():
        if (file_name := bounds.job_id(item)) is not None:
            files.setdefault(file_name, RecordedFile(file_name))
    return tuple(files.values())


def _listed(value: object) -> list[Any]:
    """``FileList`` is one name in some events, and a list of names in others."""
    return bounds.items(value if isinstance(value, list | tuple) else [value], MAX_FILES)


def _file(item: Mapping[str, Any]) -> RecordedFile | None:
    # As ids: a name that is cut would be another file's.
    vod_file_id = bounds.job_id(bounds.label(item.get("FileId")))
    file_name = bounds.job_id(item.get("FileName")) or bounds.job_id(item.get("CacheFile")) or vod_file_id
    if file_name is None:
        return None
    url = bounds.text(item.get("VideoUrl"))
    return RecordedFile(
        file_name,
        user_id=bounds.label(item.get("UserId")),
        track_type=bounds.text(item.get("TrackType")),
        begin_timestamp_ms=_instant_ms(item.get("StartTimeStamp")) or _instant_ms(item.get("BeginTimeStamp")),
        end_timestamp_ms=_instant_ms(item.get("EndTimeStamp")),
        media_id=bounds.text(item.get("MediaId")),
        vod_file_id=vod_file_id,
        vod_url=url and bounds.text(without_signature(url)),
    )


def _instant_ms(value: object) -> int | None:
    """Milliseconds, or seconds as in the old form of 311: no number is a plausible instant in both."""
    return bounds.instant_ms(value) or bounds.instant_ms(value, 1000)


def missing_in_vod(history: CallbackHistory, files: Iterable[RecordedFile]) -> list[CallbackFact]:
    """The facts of transfers into VOD whose file is not there, as far as callbacks reported."""
    arrived = {file.file_name[:LONGEST_DETAIL] for file in files if file.is_in_vod}
    return [fact for fact in history.of(IN_VOD) if fact.detail not in arrived]


def history_to_json(history: CallbackHistory) -> list[dict[str, Any]]:
    """One plain dict a fact."""
    return [
        {
            "type": fact.type,
            "code": fact.code,
            "detail": fact.detail,
            "happened_at_ms": fact.happened_at_ms,
            "received_at": fact.received_at.isoformat(),
            "message": fact.message,
        }
        for fact in history.facts
    ]


def history_from_json(value: object) -> CallbackHistory:
    """Read facts back; what cannot be read is left out."""
    return merge_histories(CallbackHistory(tuple(_facts(bounds.items(value, MAX_FACTS)))))


def _facts(items: Iterable[object]) -> Iterator[CallbackFact]:
    for item in map(bounds.mapping, items):
        event_type = bounds.number(item.get("type"), 0, HIGHEST_TYPE)
        happened_at_ms = bounds.instant_ms(item.get("happened_at_ms"))
        received_at = bounds.time(item.get("received_at"))
        if event_type is None or happened_at_ms is None or received_at is None:
            continue
        detail, message = _words(item, "detail"), _words(item, "message")
        code = bounds.number(item.get("code"))
        yield CallbackFact(event_type, code, detail, happened_at_ms, received_at, message)
