"""What polls and callbacks so far have shown of one job: it grows with each and forgets no file.

`JobState` is the state that survives: the journal and the trigger's arguments hold its JSON form. Times
come from outside, as aware datetimes; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from airflow_trtc import bounds
from airflow_trtc.jobs.callback import Callback
from airflow_trtc.jobs.history import (
    NO_CALLBACKS,
    CallbackHistory,
    add_callback,
    files_of,
    history_from_json,
    history_to_json,
    merge_histories,
)
from airflow_trtc.jobs.observation import Absence, Observation, RecordedFile, Snapshot, Trouble
from airflow_trtc.jobs.records import (
    NO_RECORDS,
    Records,
    add_record,
    counts_from_json,
    counts_to_json,
    merge_records,
    record_of,
    records_from_json,
    records_to_json,
)
from airflow_trtc.jobs.ref import JobRef

VERSION = 1
EXITED = "Exited"
MAX_DETAIL_BYTES = 16_384
MAX_FILES = 100_000
MAX_CHANGES = 50
MAX_STATUS = 100  # characters of a status in them
MAX_ROOM = 128  # characters; the service allows 64 bytes

_FILE_FIELDS = tuple(each.name for each in fields(RecordedFile))
_FILE_READERS: dict[str, Callable[[object], object]] = {
    "file_name": bounds.job_id,
    "vod_file_id": bounds.job_id,
    "begin_timestamp_ms": bounds.instant_ms,
    "end_timestamp_ms": bounds.instant_ms,
}
_TIMES = ("first_seen_at", "last_seen_at", "exited_at", "absent_since", "absent_at")
_MAX_STOP_ERROR = 500


class Change(NamedTuple):
    """From when on polls showed a status, as far as they tell."""

    at: datetime
    status: str


@dataclass(frozen=True, slots=True)
class JobState:
    """Everything that is known of one job.

    :param files: every file that any poll listed or any callback named, in the order of first sight.
    :param history: what callbacks reported, besides files and records.
    :param status: the last status that the service answered; None when it never answered one.
    :param first_seen_at: first answer that showed the job; None when there was none.
    :param last_seen_at: last answer that showed the job.
    :param exited_at: first of the latest unbroken row of ``Exited`` answers.
    :param absent_since: first of the latest unbroken row of answers that the job is not there.
    :param absent_at: last of them.
    :param polls: how often it was polled, as far as that was noted.
    :param refusals: refused polls in a row.
    :param detail: what else the last answer that showed the job held, see `Snapshot`; none for recordings.
    :param trouble: what went wrong with the last poll; None when it was answered.
    :param stopped_at: when a wait stopped the job, as it was told to; None when none did.
    :param stop_error: why the last try to stop it failed; None when none failed, or one succeeded since.
    :param records: the sentences or moderation hits that callbacks brought.
    :param changes: when polls first showed another status than before, and which; the latest of them, in
        order, in whole milliseconds.
    :param room_id: the room, as callbacks name it; None when none did.
    :param waiting_since: when this wait began; None where nothing waits. Never stored.
    """

    job_id: str
    files: tuple[RecordedFile, ...] = ()
    history: CallbackHistory = NO_CALLBACKS
    status: str | None = None
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    exited_at: datetime | None = None
    absent_since: datetime | None = None
    absent_at: datetime | None = None
    polls: int = 0
    refusals: int = 0
    detail: Mapping[str, Any] | None = None
    trouble: Trouble | None = field(default=None, compare=False)
    stopped_at: datetime | None = None
    stop_error: str | None = None
    records: Records = NO_RECORDS
    changes: tuple[Change, ...] = ()
    room_id: str | None = None
    waiting_since: datetime | None = field(default=None, compare=False)

    @property
    def was_seen(self) -> bool:
        """Whether any poll showed the job."""
        return self.first_seen_at is not None

    @property
    def is_gone(self) -> bool:
        """Whether the last answered poll said that the job is not there."""
        return self.absent_since is not None

    @property
    def is_over(self) -> bool:
        """Whether a callback reported the job's end, or polls showed it and then showed it no more."""
        return self.history.end is not None or (self.was_seen and self.is_gone)


def state_word(state: JobState) -> str:
    """``ended``, ``started``, ``never seen``, or what the service says."""
    if state.is_over:
        return "ended"
    return state.status or ("started" if state.history.facts else "never seen")


def learn(state: JobState, observation: Observation, at: datetime) -> JobState:
    """Add one poll, made at `at`, or one callback, received at `at`.

    Total: whatever comes, no file that was known is lost. Callbacks may come in any order, any number of
    times; the result is the same.
    """
    if isinstance(observation, Callback):
        return _learn_callback(state, observation, at)
    polls = state.polls + 1
    match observation:
        case Snapshot() if observation.job_id == state.job_id:
            return _learn_snapshot(state, observation, at)
        case Snapshot():
            return replace(state, polls=polls, trouble=_answer_for_another(observation), refusals=0)
        case Absence():
            since = state.absent_since or at
            return replace(state, polls=polls, absent_since=since, absent_at=at, trouble=None, refusals=0)
        case Trouble():
            refusals = state.refusals + 1 if observation.kind == "refused" else 0
            return replace(state, polls=polls, trouble=observation, refusals=refusals)


def _learn_snapshot(state: JobState, seen: Snapshot, at: datetime) -> JobState:
    return replace(
        state,
        polls=state.polls + 1,
        files=merge_files(state.files, seen.files),
        status=seen.status,
        changes=_changed(state, seen.status, at),
        first_seen_at=state.first_seen_at or at,
        last_seen_at=at,
        exited_at=(state.exited_at or at) if seen.status == EXITED else None,
        absent_since=None,
        absent_at=None,
        refusals=0,
        detail=bounds.document(seen.detail, MAX_DETAIL_BYTES),
        trouble=None,
    )


def _changed(state: JobState, status: str, at: datetime) -> tuple[Change, ...]:
    if status == state.status:
        return state.changes
    # As it is stored: a state that was read back is no other one.
    return merge_changes(state.changes, [Change(bounds.moment(bounds.unix_ms(at)), status[:MAX_STATUS])])


def merge_changes(*lists: Iterable[Change]) -> tuple[Change, ...]:
    """All changes of all lists by time, without those to a status that was there already."""
    kept: list[Change] = []
    for change in sorted(change for changes in lists for change in changes):
        if not kept or kept[-1].status != change.status:
            kept.append(change)
    return tuple(kept[-MAX_CHANGES:])


def _learn_callback(state: JobState, callback: Callback, at: datetime) -> JobState:
    if callback.task_id != state.job_id:
        return state
    files, history = files_of(callback), add_callback(state.history, callback, at)
    record = record_of(callback, round(at.timestamp() * 1000))
    return replace(
        state,
        files=merge_files(state.files, files) if files else state.files,
        history=history,
        records=state.records if record is None else add_record(state.records, record),
        room_id=_one_room(state.room_id, bounds.text(callback.room_id, MAX_ROOM)),
    )


def _answer_for_another(seen: Snapshot) -> Trouble:
    message = f"the service answered about another job, {seen.job_id}"
    return Trouble("passing", "Client.AnswerForAnother", message, seen.request_id)


def _one_room(*room_ids: str | None) -> str | None:
    """A job has one room; should callbacks disagree, the same one whatever their order."""
    return min((room_id for room_id in room_ids if room_id is not None), default=None)


def merge_files(*lists: Iterable[RecordedFile]) -> tuple[RecordedFile, ...]:
    """All files of all lists, each name once; what a later list says of a file fills or corrects it."""
    merged: dict[str, RecordedFile] = {}
    for file in (file for files in lists for file in files):
        before = merged.get(file.file_name)
        merged[file.file_name] = file if before is None else _merged(before, file)
    return tuple(merged.values())


def _merged(before: RecordedFile, file: RecordedFile) -> RecordedFile:
    if before == file:
        return before
    given = {name: value for name in _FILE_FIELDS if (value := getattr(file, name)) is not None}
    return replace(before, **given)


def combine(own: JobState, other: JobState) -> JobState:
    """Join what two waiters know of the same job; the later answer decides where it stands."""
    earlier, later = sorted((own, other), key=_last_answer)
    # Status, exit and detail are of the latest sight, which need not be the latest answer.
    latest_sight = max((earlier, later), key=_last_sight)
    stopped_at = min(_present(own.stopped_at, other.stopped_at), default=None)
    return replace(
        later,
        files=merge_files(earlier.files, later.files),
        history=merge_histories(earlier.history, later.history),
        records=merge_records(earlier.records, later.records),
        status=latest_sight.status,
        changes=merge_changes(earlier.changes, later.changes),
        room_id=_one_room(own.room_id, other.room_id),
        first_seen_at=min(_present(own.first_seen_at, other.first_seen_at), default=None),
        last_seen_at=max(_present(own.last_seen_at, other.last_seen_at), default=None),
        exited_at=latest_sight.exited_at,
        polls=max(own.polls, other.polls),
        refusals=own.refusals,
        detail=latest_sight.detail,
        trouble=own.trouble,
        stopped_at=stopped_at,
        stop_error=own.stop_error if stopped_at is None else None,
        waiting_since=own.waiting_since,
    )


def _last_answer(state: JobState) -> float:
    times = _present(state.last_seen_at, state.absent_at)
    return max((time.timestamp() for time in times), default=0.0)


def _last_sight(state: JobState) -> float:
    return state.last_seen_at.timestamp() if state.last_seen_at else 0.0


def _present(*times: datetime | None) -> list[datetime]:
    return [time for time in times if time is not None]


def is_news(before: JobState, after: JobState) -> bool:
    """Is there anything worth writing down? Times, counts of polls and details alone are not."""
    return bool(_lasting(before) != _lasting(after))


_PASSING = ("polls", "last_seen_at", "absent_at", "detail")
_lasting = attrgetter(*(each.name for each in fields(JobState) if each.compare and each.name not in _PASSING))


def to_json(state: JobState, job: JobRef | None = None) -> dict[str, Any]:
    """The plain JSON form, with ``v``, the version, and ``job_id``.

    :param job: adds ``kind``, ``sdk_app_id`` and ``region``, so that a row can be read on its own.
    """
    return {
        "v": VERSION,
        **(asdict(job) if job is not None else {}),
        "job_id": state.job_id,
        "status": state.status,
        "polls": state.polls,
        "refusals": state.refusals,
        "files": files_to_json(state.files),
        "history": history_to_json(state.history),
        **({"records": records_to_json(state.records.kept)} if state.records.kept else {}),
        **({"records_beyond": beyond} if (beyond := counts_to_json(state.records)) else {}),
        **{name: time.isoformat() if (time := getattr(state, name)) else None for name in _TIMES},
        **({"changes": changes_to_json(state.changes)} if state.changes else {}),
        **({"room_id": state.room_id} if state.room_id is not None else {}),
        **({"detail": dict(state.detail)} if state.detail is not None else {}),
        **({"stopped_at": state.stopped_at.isoformat()} if state.stopped_at is not None else {}),
        **({"stop_error": state.stop_error[:_MAX_STOP_ERROR]} if state.stop_error is not None else {}),
    }


def changes_to_json(changes: Iterable[Change]) -> list[list[Any]]:
    """One pair of Unix milliseconds and a status for each."""
    return [[bounds.unix_ms(change.at), change.status] for change in changes]


def files_to_json(files: Iterable[RecordedFile]) -> list[dict[str, Any]]:
    """One plain dict a file, with the fields of `RecordedFile` that are known."""
    return [{name: value for name, value in asdict(file).items() if value is not None} for file in files]


def from_json(value: object, job_id: str) -> JobState:
    """Read the JSON form back. Total: what cannot be read, or is about another job, is left out."""
    form = bounds.mapping(value)
    if form.get("v") != VERSION or form.get("job_id") != job_id:
        return JobState(job_id)
    times: dict[str, Any] = {name: bounds.time(form.get(name)) for name in _TIMES}
    return JobState(
        job_id,
        files=files_from_json(form.get("files")),
        history=history_from_json(form.get("history")),
        records=counts_from_json(form.get("records_beyond"), records_from_json(form.get("records"))),
        status=bounds.text(form.get("status")),
        polls=bounds.count(form.get("polls")),
        refusals=bounds.count(form.get("refusals")),
        detail=bounds.document(form.get("detail"), MAX_DETAIL_BYTES),
        stopped_at=bounds.time(form.get("stopped_at")),
        stop_error=bounds.text(form.get("stop_error")),
        changes=changes_from_json(form.get("changes")),
        room_id=bounds.text(form.get("room_id"), MAX_ROOM),
        **times,
    )


def changes_from_json(value: object) -> tuple[Change, ...]:
    """Read changes back; what cannot be read is left out."""
    pairs = (bounds.items(item, 2) for item in bounds.items(value, MAX_CHANGES))
    read = (
        (bounds.instant_ms(pair[0]), bounds.text(pair[1], MAX_STATUS)) for pair in pairs if len(pair) == 2
    )
    return merge_changes(
        Change(bounds.moment(at_ms), status)
        for at_ms, status in read
        if at_ms is not None and status is not None
    )


def files_from_json(value: object) -> tuple[RecordedFile, ...]:
    """Read files back; what cannot be read is left out."""
    items = bounds.items(value, MAX_FILES)
    return merge_files(file for item in items if (file := _file(bounds.mapping(item))) is not None)


def _file(item: Mapping[str, Any]) -> RecordedFile | None:
    read: dict[str, Any] = {
        name: _FILE_READERS.get(name, bounds.text)(item.get(name)) for name in _FILE_FIELDS
    }
    return RecordedFile(**read) if read["file_name"] is not None else None
