"""From what is stored about a job to lanes with bars and marks: what a timeline says, not how it is drawn.

Only what is known is drawn. A bar whose end is not known says so, a gap is shown only between files of one
user and track, and a poll that was not noted is no mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise, zip_longest
from typing import Literal, TypeAlias

from airflow_trtc import bounds
from airflow_trtc.jobs.events import MOVED, SLICED, row
from airflow_trtc.jobs.history import CallbackFact
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.records import Record
from airflow_trtc.jobs.state import EXITED, JobState
from airflow_trtc.journal.owners import FINAL_STATES
from airflow_trtc.recording.files import NameParts, read_name
from airflow_trtc.web.pages.life import JobLife, TaskLife, shown

GAP_SECONDS = 2.0  # what is shorter lies between any two files
JOINED_SECONDS = 120.0  # what a move to another machine says comes within that of leaving and starting
LATE_SECONDS = 5.0  # a callback that took longer says so

OVER = frozenset({"ended", "failed"})  # looks of what is over
Ending: TypeAlias = Literal["known", "unknown", "open"]

# What a status or a state of a task looks like; any other is running.
_IDLE = frozenset({"Idle", "Preparing", "Waiting"})
_MOVES = frozenset({(MOVED, 0), (801, 3), (801, 4)})
_TASK_LOOKS = {
    "scheduled": "queued",
    "queued": "queued",
    "restarting": "queued",
    "up_for_retry": "queued",
    "deferred": "resting",
    "up_for_reschedule": "resting",
}
_TASK_FAILURES = frozenset({"failed", "upstream_failed", "up_for_retry"})


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasted.

    :param end: where it is drawn to.
    :param look: a word of the drawing's table.
    :param ending: ``known``; ``unknown``: it ended by then at the latest; ``open``: it goes on.
    """

    begin: datetime
    end: datetime
    look: str
    text: str
    ending: Ending = "known"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened; `count` of them so close together that they are one on the picture."""

    at: datetime
    look: str
    text: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the picture.

    :param key: names it as long as the page is open.
    :param label: what it shows, besides whose it is.
    :param note: a word beside its label.
    :param user: whose lane it is, so that those of one user fold into one; empty where it is of users
        together, None for what is no user's.
    :param folds: how many lanes it stands for.
    """

    key: str
    label: str
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()
    note: str = ""
    user: str | None = None
    folds: int = 1

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.bars or self.marks)

    @property
    def name(self) -> str:
        """Whose it is, and what it shows."""
        return " · ".join(part for part in (self.user, self.label) if part)


@dataclass(frozen=True, slots=True)
class FailOver:
    """The job went over to another machine.

    :param begin: when it was lost; None where nothing says so.
    :param at: when it ran again.
    """

    begin: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class _Point:
    """From here on something is so."""

    at: datetime
    look: str
    text: str


# --- the job itself


def recorder_lane(life: JobLife, fail_overs: Sequence[FailOver], end: datetime) -> Lane:
    """What the job's own state was: by the polls, and by callbacks where these know it better."""
    points = sorted([*_polled(life.state, life.kind), *_reported(life)], key=lambda point: point.at)
    for number, (one, next_) in enumerate(pairwise(points)):
        if (one.look, next_.look) == ("running", "idle"):  # it started, and nobody was there yet
            points[number] = replace(one, look="idle")
    bars = _bars_between(points, end, life)
    lost = [_lost(each) for each in fail_overs if each.begin is not None]
    marks = [Mark(each.at, "fail-over", "Went over to another machine") for each in fail_overs]
    ends = [bar for bar in bars if bar.look in OVER]
    marks += [Mark(bar.begin, f"{bar.look}-cap", bar.text) for bar in ends if not _is_within(bar, lost)]
    bars = [bar for bar in bars if not _is_within(bar, lost)]
    label = "Recorder" if life.job.family == "recording" else _capital(shown(life.kind.label, 60))
    return Lane("job", label, (*bars, *lost), tuple(sorted(marks, key=_at)))


def _polled(state: JobState, kind: JobKind) -> Iterator[_Point]:
    changes = [(at, status) for at, status in state.changes if status]
    if not changes:
        # Of an older row only the first sight and the end are known.
        seen = [(state.first_seen_at, state.status if state.exited_at is None else None)]
        changes = [(at, status or "Seen") for at, status in seen if at is not None]
        changes += [(state.exited_at, EXITED)] if state.exited_at is not None else []
    for at, status in changes:
        yield _Point(at, _look_of_status(status, kind), f"{_capital(shown(status, 40))}, by the polls")
    if state.absent_since is not None:
        words = "Not there any more" if state.was_seen else "The service does not know it"
        yield _Point(state.absent_since, "gone", f"{words}, by the polls")


def _look_of_status(status: str, kind: JobKind) -> str:
    if status in kind.ends_badly:
        return "failed"
    if status == EXITED or status in kind.ends_well:
        return "ended"
    return "idle" if status in _IDLE else "running"


def _reported(life: JobLife) -> Iterator[_Point]:
    simple = [fact for fact in life.facts if not row(fact.type).is_state]
    exits = [fact for fact in simple if row(fact.type).is_exit and fact.code in row(fact.type).ends]
    if not exits and (end := life.state.history.end) is not None and not row(end.type).is_state:
        exits = [end]  # what only follows an end
    for fact in _starts(simple):
        yield _Point(fact.happened_at, "running", words_of(fact))
    for fact in exits:
        look = "failed" if fact.code in row(fact.type).faults else "ended"
        yield _Point(fact.happened_at, look, words_of(fact))
    if (failed := life.state.history.failed_start) is not None:
        yield _Point(failed.happened_at, "failed", words_of(failed))


def _bars_between(points: Sequence[_Point], end: datetime, life: JobLife) -> list[Bar]:
    """A bar from each point where something changes to the next one, the last one as far as it is known."""
    kept: list[_Point] = []
    for point in points:
        if not kept or kept[-1].look != point.look:
            kept.append(point)
    bars = [Bar(one.at, next_.at, one.look, one.text) for one, next_ in pairwise(kept)]
    if kept:
        last = kept[-1]
        ending = _ending(life) if last.look in ("running", "idle") else "known"
        bars.append(Bar(last.at, max(end, last.at), last.look, last.text, ending))
    return bars


def _ending(life: JobLife) -> Ending:
    """How something ends whose end nothing tells."""
    return "open" if life.is_watched and not life.is_over else "unknown"


def _lost(each: FailOver) -> Bar:
    assert each.begin is not None
    words = f"Fail-over: not recording for {words_for(each.at - each.begin)}"
    return Bar(each.begin, each.at, "gap", words)


def _is_within(bar: Bar, lost: Iterable[Bar]) -> bool:
    return any(each.begin <= bar.begin and bar.end <= each.end for each in lost)


def fail_overs_of(life: JobLife) -> list[FailOver]:
    """Each time the job went over to another machine, as far as callbacks and names of files say so."""
    found = _left_and_started(life.facts)
    slack = timedelta(seconds=JOINED_SECONDS)
    for fact in life.facts:
        if _is_move(fact) and not any(
            (each.begin or each.at) - slack <= fact.happened_at <= each.at + slack for each in found
        ):
            found.append(FailOver(None, fact.happened_at))
    # The third recovery is the third fail-over: what callbacks did not report, the files' names do.
    begins: dict[int, datetime] = {}
    for file in life.state.files:
        number, begin = read_name(file.file_name).recovery, moment_of(file.begin_timestamp_ms)
        if number and begin is not None:
            begins[number] = min(begin, begins.get(number, begin))
    found += [FailOver(None, at) for number, at in sorted(begins.items()) if number > len(found)]
    return sorted(found, key=lambda each: each.at)


def _starts(facts: Iterable[CallbackFact]) -> list[CallbackFact]:
    """What says that the job runs; of a move to another machine and the start there, the start."""
    found: list[CallbackFact] = []
    for fact in facts:
        if row(fact.type).is_state or not row(fact.type).is_start(fact.code):
            continue
        if found and _is_start_of_move(found[-1], fact):
            found.pop()
        found.append(fact)
    return found


def _is_start_of_move(move: CallbackFact, start: CallbackFact) -> bool:
    seconds = (start.happened_at - move.happened_at).total_seconds()
    return _is_move(move) and not _is_move(start) and seconds <= JOINED_SECONDS


def _is_move(fact: CallbackFact) -> bool:
    return (fact.type, fact.code) in _MOVES


def _left_and_started(facts: Sequence[CallbackFact]) -> list[FailOver]:
    found: list[FailOver] = []
    left: CallbackFact | None = None
    ran_again = _starts(facts)
    for fact in facts:
        event = row(fact.type)
        if event.is_exit and not event.is_state and fact.code in event.ends:
            left = fact
        elif left is not None and fact in ran_again:
            found.append(FailOver(left.happened_at, fact.happened_at))
            left = None
    return found


def thing_lanes(life: JobLife, end: datetime) -> list[Lane]:
    """A lane for each thing of the job that has states of its own, such as the addresses of a relay."""
    things: dict[tuple[int, str], list[CallbackFact]] = {}
    for fact in life.facts:
        if row(fact.type).is_state and fact.code is not None:
            things.setdefault((fact.type, fact.detail), []).append(fact)
    lanes = []
    for (number, name), facts in things.items():
        ordered = sorted(facts, key=lambda fact: (fact.happened_at_ms, not fact.code))
        points = [_Point(fact.happened_at, look, words_of(fact)) for fact, look in _looks_of_states(ordered)]
        bars = _bars_between(points, end, life)
        caps = [Mark(bar.begin, f"{bar.look}-cap", bar.text) for bar in bars if bar.look in OVER]
        label = shown(name, 60) or _capital(row(number).name)
        lanes.append(Lane(f"thing/{number}/{name}", label, tuple(bars), tuple(caps)))
    return lanes


def _looks_of_states(facts: Sequence[CallbackFact]) -> Iterator[tuple[CallbackFact, str]]:
    was_bad = False
    for fact in facts:
        event = row(fact.type)
        if fact.code in event.ends:
            # Code 0 says only that it is over; how, its state before says.
            is_bad = fact.code in event.faults if fact.code else was_bad
            yield fact, "failed" if is_bad else "ended"
        else:
            yield fact, "idle" if fact.code in event.passing else "running"
        was_bad = fact.code in event.faults


# --- users: files and records


def file_lanes(life: JobLife, fail_overs: Sequence[FailOver], end: datetime) -> list[Lane]:
    """One lane for each user and track."""
    tracks: dict[tuple[str, str], list[_Piece]] = {}
    pieces = [piece for file in life.state.files if (piece := _piece(file)) is not None]
    for piece in sorted(pieces, key=lambda piece: (piece.begin, piece.name)):
        tracks.setdefault((piece.user, piece.track), []).append(piece)
    conversions = [piece for piece in pieces if piece.track == "mp4" and piece.end is not None]
    lanes = []
    for (user, track), of_track in sorted(tracks.items(), key=lambda item: _track_order(item[0])):
        is_images = track == "pictures"
        bars = [] if is_images else list(_file_bars(of_track, conversions, fail_overs, life, end))
        marks = [Mark(piece.begin, "picture", piece.name) for piece in of_track if is_images]
        note = "still written" if any(bar.ending == "open" for bar in bars) else ""
        label = track if user else f"All users, {track}"
        lanes.append(Lane(f"user/{user}/{track}", label, tuple(bars), tuple(marks), note, user))
    return lanes


_TRACKS = ("audio", "video", "audio + video", "screen", "mp4", "pictures")


def _track_order(key: tuple[str, str]) -> tuple[str, int]:
    return key[0], _TRACKS.index(key[1])


@dataclass(frozen=True, slots=True)
class _Piece:
    """A file with a begin."""

    name: str
    user: str
    media: str | None
    track: str
    begin: datetime
    end: datetime | None
    recovery: int


def _piece(file: RecordedFile) -> _Piece | None:
    begin = moment_of(file.begin_timestamp_ms)
    if begin is None:
        return None
    named = read_name(file.file_name)
    media = file.media_id or named.media_id
    end = moment_of(file.end_timestamp_ms)
    end = end if end is not None and end >= begin else None
    user = shown(file.user_id or named.user_id or "", 60)
    return _Piece(shown(file.file_name), user, media, _track_of(file, named), begin, end, named.recovery)


def _track_of(file: RecordedFile, named: NameParts) -> str:
    if file.format in ("mp4", "aac"):
        return "mp4"
    if file.format == "png":
        return "pictures"
    if (file.media_id or named.media_id) == "aux":
        return "screen"
    track = (file.track_type or named.track or "").lower()
    return {"audio": "audio", "video": "video"}.get(track, "audio + video")


_FILE_LOOKS = {"audio + video": "mixed", "mp4": "mixed"}


def _file_bars(
    pieces: Sequence[_Piece],
    conversions: Sequence[_Piece],
    fail_overs: Sequence[FailOver],
    life: JobLife,
    end: datetime,
) -> Iterator[Bar]:
    last_end = _end_of(life, end)
    for piece, next_ in zip_longest(pieces, pieces[1:]):
        look = _FILE_LOOKS.get(piece.track, piece.track)
        limit = next_.begin if next_ is not None else max(last_end, piece.begin)
        known = piece.end or _end_by_conversion(piece, conversions, limit if next_ is not None else None)
        lost = next(
            (each.begin for each in fail_overs if each.begin and piece.begin < each.begin < limit), None
        )
        is_lost = next_ is not None and next_.recovery > piece.recovery and lost is not None
        if known is None and is_lost:
            known = lost
        if known is not None:
            yield Bar(piece.begin, known, look, piece.name)
            if next_ is not None and (next_.begin - known).total_seconds() > GAP_SECONDS:
                why = "by the fail-over" if is_lost else "of this user and track"
                yield Bar(known, next_.begin, "gap", f"A gap of {words_for(next_.begin - known)} {why}")
        else:
            ending = _ending(life) if next_ is None else "unknown"
            yield Bar(piece.begin, limit, look, piece.name, ending)


def _end_by_conversion(piece: _Piece, made: Iterable[_Piece], limit: datetime | None) -> datetime | None:
    """Where a conversion of the same stream ends: an index file that began within it lasts no longer."""
    for each in made:
        is_same = (each.user, each.media) == (piece.user, piece.media)
        if is_same and each is not piece and each.end is not None and each.begin <= piece.begin < each.end:
            return each.end if limit is None else None
    return None


def _end_of(life: JobLife, now: datetime) -> datetime:
    """When the job's media ended at the latest; `now` while it goes on, and where nothing says so."""
    if not life.is_over:
        return now
    end = life.state.history.end
    told = [] if end is None else [end.happened_at]
    seen = [each for each in (life.state.exited_at, life.state.absent_since) if each is not None]
    return min([*told, *seen], default=now)


def record_lanes(life: JobLife) -> list[Lane]:
    """One lane for the sentences or findings of each user."""
    users: dict[tuple[str, str], list[Mark]] = {}
    for record in life.state.records.kept:
        what = "sentences" if record.kind == "sentence" else "findings"
        look = "finding" if record.suggestion == "block" else "record"
        at = bounds.moment(record.at_ms)
        users.setdefault((shown(record.user_id or "", 60), what), []).append(Mark(at, look, _said(record)))
    lanes = []
    for (user, what), marks in sorted(users.items()):
        label = what if user else _capital(what)
        lanes.append(Lane(f"record/{user}/{what}", label, (), tuple(sorted(marks, key=_at)), user=user))
    return lanes


def _said(record: Record) -> str:
    if record.kind == "sentence":
        return f"“{shown(record.text)}”"
    words = (record.suggestion, record.label, record.media, record.text)
    return ": ".join(shown(word) for word in words if word) or "A finding"


# --- polls, callbacks, tasks


def poll_lane(life: JobLife, now: datetime) -> Lane | None:
    """The polls: how many and from when to when; marks only where something changed. None for no polls."""
    state = life.state
    noted = [state.first_seen_at, state.last_seen_at, state.absent_since, state.absent_at, life.polled_at]
    times = [each for each in (*noted, *(at for at, _ in state.changes)) if each is not None]
    if not times:
        return None
    begin, end = min(times), min(max(times), max(now, min(times)))
    number = f"{state.polls:,} polls" if state.polls != 1 else "1 poll"
    pace = (end - begin).total_seconds() / (state.polls - 1) if state.polls > 1 else 0.0
    rate = f", one in {words_for(timedelta(seconds=pace))}" if pace >= 1 else ""
    marks = [Mark(at, "poll", f"Showed {shown(status, 40)}") for at, status in state.changes]
    if not marks and state.first_seen_at is not None:
        marks.append(Mark(state.first_seen_at, "poll", "Showed it for the first time"))
    if state.absent_since is not None:
        marks.append(Mark(state.absent_since, "poll", "Showed that it is not there"))
    if state.refusals:
        times_ = "time" if state.refusals == 1 else "times in a row"
        marks.append(Mark(end, "trouble", f"Refused, {state.refusals:,} {times_}"))
    bars = [Bar(begin, end, "polls", f"{number}{rate}")] if state.polls else []
    return Lane("polls", "Polls", tuple(bars), tuple(sorted(marks, key=_at)))


def callback_lane(life: JobLife) -> Lane | None:
    """The callbacks, at the times at which they happened; None where there were none.

    What brings records and slices has lanes of its own.
    """
    has_lanes = bool(life.state.records.kept or life.state.files)
    facts = [fact for fact in life.facts if not (has_lanes and _is_in_lanes(fact))]
    marks = [
        Mark(fact.happened_at, "problem" if _is_problem(fact) else "callback", words_of(fact))
        for fact in facts
    ]
    return Lane("callbacks", "Callbacks", (), tuple(marks)) if marks else None


def _is_in_lanes(fact: CallbackFact) -> bool:
    return fact.type == SLICED or row(fact.type).record is not None


def _is_problem(fact: CallbackFact) -> bool:
    event = row(fact.type)
    if event.is_state:  # on its way to a state, code 0 says only that it is over
        return bool(fact.code) and fact.code in event.ends
    return fact.code in event.faults


def words_of(fact: CallbackFact) -> str:
    """What a callback said, e.g. ``Recorder exit: stopped by the API (302, LeaveCode 0)``."""
    event = row(fact.type)
    code = event.codes.get(fact.code, "") if fact.code is not None else ""
    said = ": ".join(each for each in (code, shown(fact.detail, 80), shown(fact.message, 120)) if each)
    words = f"{_capital(event.name) or 'Callback'}{': ' if said else ''}{said} ({event.label(fact.code)})"
    late = (fact.received_at - fact.happened_at).total_seconds()
    if late > LATE_SECONDS:
        words += f", received {words_for(timedelta(seconds=late))} later"
    return words


def task_lane(task: TaskLife, now: datetime) -> Lane:
    """The states of a task instance, one try after the other."""
    points = sorted(_task_points(task), key=lambda point: (point[0], point[2]))
    kept: list[tuple[datetime, str, int]] = []
    for point in points:
        if not kept or kept[-1][1:] != point[1:]:
            kept.append(point)
    has_tries = len({attempt for _, _, attempt in kept if attempt}) > 1
    bars, marks = [], []
    for (at, state, attempt), next_ in zip_longest(kept, kept[1:]):
        words = _capital(shown(state.replace("_", " "), 40)) + (
            f", try {attempt}" if has_tries and attempt else ""
        )
        if state in FINAL_STATES or state in _TASK_FAILURES:
            marks.append(Mark(at, "failed-cap" if state in _TASK_FAILURES else "ended-cap", words))
        if state in FINAL_STATES:
            continue
        look = _TASK_LOOKS.get(state, "working")
        end = next_[0] if next_ is not None else max(now, at)
        if next_ is None or end > at:
            bars.append(Bar(at, end, look, words, "known" if next_ is not None else "open"))
    key = f"task/{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}"
    note = shown((task.state or "").replace("_", " "), 40)
    return Lane(key, shown(task.name, 60), tuple(bars), tuple(marks), note)


def _task_points(task: TaskLife) -> Iterator[tuple[datetime, str, int]]:
    has_changes = {change.attempt for change in task.changes}
    for attempt in task.attempts:
        known = [
            (attempt.scheduled_at, "scheduled"),
            (attempt.queued_at, "queued"),
            (attempt.started_at, "running"),
        ]
        if attempt.state and attempt.ended_at is not None:
            known.append((attempt.ended_at, attempt.state))
        elif attempt.state in _TASK_LOOKS and attempt.number not in has_changes and attempt.started_at:
            known.append((attempt.started_at, attempt.state))
        yield from ((at, state, attempt.number) for at, state in known if at is not None)
    yield from ((change.at, change.state, change.attempt or 0) for change in task.changes)


# --- small words


def moment_of(at_ms: int | None) -> datetime | None:
    """The time of an instant that is plausible."""
    instant_ms = bounds.instant_ms(at_ms)
    return None if instant_ms is None else bounds.moment(instant_ms)


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def words_for(length: timedelta) -> str:
    """A length of time, to its two greatest units: ``2 minutes 5 seconds``."""
    seconds = max(0, round(length.total_seconds()))
    parts = []
    for unit, name in _UNITS:
        number, seconds = divmod(seconds, unit)
        if number:
            parts.append(f"{number} {name}{'' if number == 1 else 's'}")
    return " ".join(parts[:2]) or "less than a second"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _at(mark: Mark) -> datetime:
    return mark.at
