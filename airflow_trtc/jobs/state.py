"""What looks and callbacks so far have told of one recording: it grows with each and forgets no file.

`JobState` is the state that survives: the journal and the trigger's arguments hold its JSON form. Times
come from outside, as aware datetimes; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from airflow_trtc.jobs.callback import Callback
from airflow_trtc.jobs.history import (
    NO_CALLBACKS,
    CallbackHistory,
    files_of,
    hear,
    history_from_json,
    history_to_json,
    merge_histories,
    time_from_json,
)
from airflow_trtc.jobs.observation import Absence, Observation, RecordedFile, Snapshot, Trouble

EXITED = "Exited"

_FILE_FIELDS = tuple(each.name for each in fields(RecordedFile))
_FILE_NUMBERS = {"begin_timestamp_ms", "end_timestamp_ms"}
_TIMES = ("first_seen_at", "last_seen_at", "exited_at", "absent_since", "absent_at")


@dataclass(frozen=True, slots=True)
class JobState:
    """Everything that is known of one recording.

    :param files: every file that any look listed or any callback named, in the order of first sight.
    :param status: the last status the service told; None when it never told one.
    :param first_seen_at: first answer that showed the recording; None when there was none.
    :param exited_at: first of the latest unbroken row of ``Exited`` answers.
    :param absent_since: first of the latest unbroken row of answers that the recording is not there.
    :param absent_at: last of them.
    :param looks: how often anybody asked, as far as it was noted.
    :param refusals: refused looks in a row.
    :param trouble: what went wrong with the last look; None when it was answered.
    :param history: what callbacks told, besides files.
    """

    recording_id: str
    files: tuple[RecordedFile, ...] = ()
    history: CallbackHistory = NO_CALLBACKS
    status: str | None = None
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    exited_at: datetime | None = None
    absent_since: datetime | None = None
    absent_at: datetime | None = None
    looks: int = 0
    refusals: int = 0
    trouble: Trouble | None = field(default=None, compare=False)

    @property
    def was_seen(self) -> bool:
        """Whether any look showed the recording."""
        return self.first_seen_at is not None

    @property
    def is_gone(self) -> bool:
        """Whether the last answered look said that the recording is not there."""
        return self.absent_since is not None


def learn(known: JobState, observation: Observation, at: datetime) -> JobState:
    """Add one look, made at `at`, or one callback, received at `at`.

    Total: whatever comes, no file that was known is lost. Callbacks may come in any order, any number of
    times; the result is the same.
    """
    if isinstance(observation, Callback):
        return _learn_callback(known, observation, at)
    known = replace(known, looks=known.looks + 1)
    match observation:
        case Snapshot() if observation.recording_id == known.recording_id:
            return _learn_snapshot(known, observation, at)
        case Snapshot():
            return replace(known, trouble=_answer_for_another(observation), refusals=0)
        case Absence():
            return replace(
                known, absent_since=known.absent_since or at, absent_at=at, trouble=None, refusals=0
            )
        case Trouble():
            refusals = known.refusals + 1 if observation.kind == "refused" else 0
            return replace(known, trouble=observation, refusals=refusals)


def _learn_snapshot(known: JobState, seen: Snapshot, at: datetime) -> JobState:
    return replace(
        known,
        files=merge_files(known.files, seen.files),
        status=seen.status,
        first_seen_at=known.first_seen_at or at,
        last_seen_at=at,
        exited_at=(known.exited_at or at) if seen.status == EXITED else None,
        absent_since=None,
        absent_at=None,
        refusals=0,
        trouble=None,
    )


def _learn_callback(known: JobState, callback: Callback, at: datetime) -> JobState:
    if callback.task_id != known.recording_id:
        return known
    files = merge_files(known.files, files_of(callback))
    return replace(known, files=files, history=hear(known.history, callback, at))


def _answer_for_another(seen: Snapshot) -> Trouble:
    message = f"the service answered for another recording, {seen.recording_id}"
    return Trouble("passing", "Client.AnswerForAnother", message, seen.request_id)


def merge_files(*lists: Iterable[RecordedFile]) -> tuple[RecordedFile, ...]:
    """All files of all lists, each name once; what a later list tells of a file fills or corrects it."""
    merged: dict[str, RecordedFile] = {}
    for file in (file for files in lists for file in files):
        before = merged.get(file.file_name)
        merged[file.file_name] = file if before is None else _merged(before, file)
    return tuple(merged.values())


def _merged(before: RecordedFile, file: RecordedFile) -> RecordedFile:
    if before == file:
        return before
    told = {name: value for name in _FILE_FIELDS if (value := getattr(file, name)) is not None}
    return replace(before, **told)


def combine(own: JobState, other: JobState) -> JobState:
    """Join what two waiters know of the same recording; the later answer decides where it stands."""
    earlier, later = sorted((own, other), key=_last_answer)
    # Status and exit are what the latest sight told, which need not be the latest answer.
    latest_sight = max((earlier, later), key=_last_sight)
    return replace(
        later,
        files=merge_files(earlier.files, later.files),
        history=merge_histories(earlier.history, later.history),
        status=latest_sight.status,
        first_seen_at=min(_present(own.first_seen_at, other.first_seen_at), default=None),
        last_seen_at=max(_present(own.last_seen_at, other.last_seen_at), default=None),
        exited_at=latest_sight.exited_at,
        looks=max(own.looks, other.looks),
        refusals=own.refusals,
        trouble=own.trouble,
    )


def _last_answer(known: JobState) -> float:
    times = _present(known.last_seen_at, known.absent_at)
    return max((time.timestamp() for time in times), default=0.0)


def _last_sight(known: JobState) -> float:
    return known.last_seen_at.timestamp() if known.last_seen_at else 0.0


def _present(*times: datetime | None) -> list[datetime]:
    return [time for time in times if time is not None]


def is_news(before: JobState, after: JobState) -> bool:
    """Is there anything worth writing down? The mere passing of time and counts of looks are not."""
    return _lasting(before) != _lasting(after)


def _lasting(known: JobState) -> JobState:
    return replace(known, looks=0, last_seen_at=None, absent_at=None)


def to_json(known: JobState) -> dict[str, Any]:
    """The plain JSON form, version 1."""
    return {
        "v": 1,
        "recording_id": known.recording_id,
        "status": known.status,
        "looks": known.looks,
        "refusals": known.refusals,
        "files": files_to_json(known.files),
        "history": history_to_json(known.history),
        **{name: time.isoformat() if (time := getattr(known, name)) else None for name in _TIMES},
    }


def files_to_json(files: Iterable[RecordedFile]) -> list[dict[str, Any]]:
    """One plain dict a file, with the fields of `RecordedFile` that are known."""
    return [{name: value for name, value in asdict(file).items() if value is not None} for file in files]


def from_json(value: object, recording_id: str) -> JobState:
    """Read the JSON form back. Total: what cannot be read, or is about another recording, is left out."""
    if not isinstance(value, Mapping) or value.get("v") != 1 or value.get("recording_id") != recording_id:
        return JobState(recording_id)
    times: dict[str, Any] = {name: time_from_json(value.get(name)) for name in _TIMES}
    return JobState(
        recording_id,
        files=files_from_json(value.get("files")),
        history=history_from_json(value.get("history")),
        status=_text(value.get("status")),
        looks=_count(value.get("looks")),
        refusals=_count(value.get("refusals")),
        **times,
    )


def files_from_json(value: object) -> tuple[RecordedFile, ...]:
    """Read files back; what cannot be read is left out."""
    items = value if isinstance(value, list | tuple) else ()
    return merge_files(file for item in items if (file := _file(item)) is not None)


def _file(item: object) -> RecordedFile | None:
    if not isinstance(item, Mapping) or _text(item.get("file_name")) is None:
        return None
    told = {name: _number(item.get(name)) for name in _FILE_NUMBERS}
    texts = {name: _text(item.get(name)) for name in _FILE_FIELDS if name not in _FILE_NUMBERS}
    return RecordedFile(**{**told, **texts})  # type: ignore[arg-type]


def _number(value: object) -> int | None:
    return value if type(value) is int else None


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
