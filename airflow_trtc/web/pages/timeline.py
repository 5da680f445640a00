"""The picture of one job's life, and of all jobs of a run: lanes, the time they span, a sentence, a table.

Pure: what is stored comes in as `JobLife`, the present as an argument. `drawing` gives it coordinates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain

from airflow_trtc.jobs.problems import problems_of
from airflow_trtc.web.pages.lanes import (
    OVER,
    Bar,
    FailOver,
    Lane,
    Mark,
    callback_lane,
    fail_overs_of,
    file_lanes,
    poll_lane,
    record_lanes,
    recorder_lane,
    task_lane,
    thing_lanes,
    words_for,
)
from airflow_trtc.web.pages.life import JobLife, shown

MAX_USER_LANES = 12  # more fold, each user's into one
MAX_FOLDED = 24
MAX_LANES = 200  # when all are asked for
MAX_TASK_LANES = 6
MAX_ROWS = 300  # of the table
EVERYTHING = "*"
MANY = 40  # bars of a lane above which short ones are joined
SHORT = 6  # of these parts: a bar that is joined with others as short as itself
DETAIL = 400  # parts of the picture below which two things are one
# Events carry the clock of the service: what lies farther from our own times is no part of the picture.
BEFORE, AFTER = timedelta(days=31), timedelta(days=1)
_PADDING = 0.02
_SHORTEST = timedelta(seconds=20)
_AROUND = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class View:
    """What of it the reader wants to see.

    :param span: a word of `SPANS`.
    :param unfolded: the user whose lanes are shown one by one; `EVERYTHING` for all; empty for none.
    """

    span: str = "all"
    unfolded: str = ""


SPANS = {"all": "All", "hour": "Last hour", "start": "Around the start", "end": "Around the end"}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of the picture as a row of its table; `end` is None for a mark, and where it is not known."""

    at: datetime
    end: datetime | None
    lane: str
    text: str
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture.

    :param begin: its left edge.
    :param end: its right edge.
    :param now: the present, where it still goes on; None where all of it is over.
    :param spans: those of `SPANS` that show something else than all of it.
    :param rows_left_out: how many rows the table has no place for.
    """

    title: str
    description: str
    begin: datetime
    end: datetime
    now: datetime | None
    lanes: tuple[Lane, ...]
    spans: tuple[str, ...] = ("all",)
    rows: tuple[Row, ...] = ()
    rows_left_out: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show yet."""
        return all(lane.is_empty for lane in self.lanes)


def timeline_of(life: JobLife, now: datetime, view: View | None = None) -> Timeline:
    """The picture of one job."""
    view = view or View()
    fail_overs = fail_overs_of(life)
    lanes = [lane for lane in _lanes(life, fail_overs, now) if not lane.is_empty]
    lanes = list(_plausible(lanes, life.own_times, now))
    is_live = life.is_watched
    begin, end = _extent(lanes, life.last_sign(now) if is_live or not life.is_over else None, now)
    folded = list(_fold(lanes, view.unfolded))
    rows = sorted(chain.from_iterable(_rows(lane) for lane in lanes), key=lambda row: (row.at, row.lane))
    window = _window(view.span, begin, end, life)
    return Timeline(
        title=shown(f"{life.kind.label[:1].upper()}{life.kind.label[1:]} {life.job.job_id}"),
        description=describe(life, lanes, fail_overs, now),
        begin=window[0],
        end=window[1],
        now=now if is_live else None,
        lanes=tuple(_in_window(lane, *window) for lane in folded),
        spans=tuple(
            span for span in SPANS if span == "all" or _window(span, begin, end, life) != (begin, end)
        ),
        rows=tuple(rows[:MAX_ROWS]),
        rows_left_out=max(0, len(rows) - MAX_ROWS),
    )


def _own_lanes(life: JobLife, fail_overs: Sequence[FailOver], now: datetime) -> list[Lane]:
    """What the job itself was, or each thing of it."""
    last = life.last_sign(now)
    return thing_lanes(life, last) or [recorder_lane(life, fail_overs, last)]


def _lanes(life: JobLife, fail_overs: Sequence[FailOver], now: datetime) -> Iterator[Lane]:
    last = life.last_sign(now)
    yield from _own_lanes(life, fail_overs, now)
    yield from file_lanes(life, fail_overs, last)
    yield from record_lanes(life)
    for lane in (poll_lane(life, now), callback_lane(life)):
        if lane is not None:
            yield lane
    for task in life.tasks[:MAX_TASK_LANES]:
        yield task_lane(task, now)


def _plausible(lanes: Iterable[Lane], own: Sequence[datetime], now: datetime) -> Iterator[Lane]:
    first, last = min([*own, now]) - BEFORE, max([*own, now]) + AFTER
    for lane in lanes:
        bars = [bar for bar in lane.bars if first <= bar.begin <= bar.end <= last]
        marks = [mark for mark in lane.marks if first <= mark.at <= last]
        yield replace(lane, bars=tuple(bars), marks=tuple(marks))


def _extent(lanes: Iterable[Lane], until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    times = [at for lane in lanes for at in _times(lane)] or [now]
    begin, end = min(times), max([*times, *([until] if until is not None else [])])
    length = max(end - begin, _SHORTEST)
    return begin - length * _PADDING, begin + length * (1 + _PADDING)


def _times(lane: Lane) -> Iterator[datetime]:
    for bar in lane.bars:
        yield bar.begin
        # What is over stays over: that says nothing about how long the picture is.
        if bar.look not in OVER | {"gone"}:
            yield bar.end
    yield from (mark.at for mark in lane.marks)


def _window(span: str, begin: datetime, end: datetime, life: JobLife) -> tuple[datetime, datetime]:
    told = life.state.history.end
    over = told.happened_at if told is not None else life.state.exited_at or life.state.absent_since
    around = over if span == "end" and life.is_over else None
    first, last = {
        "hour": (end - timedelta(hours=1), end),
        "start": (begin, begin + 2 * _AROUND),
        "end": (around - _AROUND, around + _AROUND) if around is not None else (begin, end),
    }.get(span, (begin, end))
    first, last = max(first, begin), min(last, end)
    is_part = first < last and (last - first) < (end - begin) * 0.8
    return (first, last) if is_part else (begin, end)


# --- what is too much to show


def _fold(lanes: Sequence[Lane], unfolded: str) -> Iterator[Lane]:
    of_users = [lane for lane in lanes if lane.user is not None]
    if len(of_users) <= MAX_USER_LANES or unfolded == EVERYTHING:
        folded = list(lanes)
    else:
        folded = list(_by_user(lanes, unfolded))
    users = [lane for lane in folded if lane.user is not None]
    beyond = {lane.key for lane in users[MAX_LANES if unfolded == EVERYTHING else MAX_FOLDED :]}
    rest = _merged("rest", f"{len(beyond):,} more", [lane for lane in users if lane.key in beyond])
    for number, lane in enumerate(folded):
        if lane.key not in beyond:
            yield lane
        elif folded[number - 1].key not in beyond:
            yield rest


def _by_user(lanes: Iterable[Lane], unfolded: str) -> Iterator[Lane]:
    users: dict[str, list[Lane]] = {}
    for lane in lanes:
        if lane.user is not None:
            users.setdefault(lane.user, []).append(lane)
    done: set[str] = set()
    for lane in lanes:
        if lane.user is None or lane.user == unfolded or len(users[lane.user]) == 1:
            yield lane
        elif lane.user not in done:
            done.add(lane.user)
            label = "" if lane.user else "All users"
            yield _merged(f"user/{lane.user}", label, users[lane.user])


def _merged(key: str, label: str, lanes: Sequence[Lane]) -> Lane:
    """Several lanes as one: a bar wherever any of them has one, gaps where none has."""
    bars = _union(bar for lane in lanes for bar in lane.bars if bar.look != "gap")
    marks = sorted((mark for lane in lanes for mark in lane.marks), key=lambda mark: mark.at)
    note = next((lane.note for lane in lanes if lane.note), "")
    owners = {lane.user for lane in lanes}
    user = owners.pop() if len(owners) == 1 else ""
    return Lane(key, label, tuple(bars), tuple(marks), note, user, len(lanes))


def _union(bars: Iterable[Bar]) -> list[Bar]:
    joined: list[Bar] = []
    counts: list[int] = []
    for bar in sorted(bars, key=lambda bar: (bar.begin, bar.end)):
        if joined and bar.begin <= joined[-1].end:
            last = max(joined[-1], bar, key=lambda each: each.end)
            joined[-1] = replace(joined[-1], end=last.end, ending=last.ending, look="mixed")
            counts[-1] += 1
        else:
            joined.append(bar)
            counts.append(1)
    return [
        bar if count == 1 else replace(bar, text=f"{count:,} files")
        for bar, count in zip(joined, counts, strict=True)
    ]


def _in_window(lane: Lane, begin: datetime, end: datetime) -> Lane:
    least = (end - begin) / DETAIL
    bars = [bar for bar in lane.bars if bar.end >= begin and bar.begin <= end]
    bars = _joined_bars(bars, least) if len(bars) > MANY else bars
    marks = _joined_marks([mark for mark in lane.marks if begin <= mark.at <= end], least)
    return replace(lane, bars=tuple(bars), marks=tuple(marks))


def _joined_bars(bars: Sequence[Bar], least: timedelta) -> list[Bar]:
    """Bars of one look that are too short, and too close to each other, to be told apart become one."""
    joined: list[Bar] = []
    counts: list[int] = []
    for bar in bars:
        last = joined[-1] if joined else None
        is_short = bar.end - bar.begin < SHORT * least
        if last is not None and last.look == bar.look and is_short and bar.begin - last.end < least / 2:
            joined[-1] = replace(last, end=max(bar.end, last.end), ending=bar.ending)
            counts[-1] += 1
        else:
            joined.append(bar)
            counts.append(1)
    return [
        bar if count == 1 else replace(bar, text=f"{count:,} one after the other, the first: {bar.text}")
        for bar, count in zip(joined, counts, strict=True)
    ]


def _joined_marks(marks: Iterable[Mark], least: timedelta) -> list[Mark]:
    last_of: dict[str, int] = {}
    joined: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        number = last_of.get(mark.look)
        if number is not None and mark.at - joined[number].at < least:
            joined[number] = replace(joined[number], count=joined[number].count + mark.count)
        else:
            last_of[mark.look] = len(joined)
            joined.append(mark)
    return joined


# --- words


def _rows(lane: Lane) -> Iterator[Row]:
    for bar in lane.bars:
        end = bar.end if bar.ending == "known" and bar.look not in OVER | {"gone"} else None
        yield Row(bar.begin, end, lane.name, bar.text, bar.ending == "open")
    caps = {(bar.begin, bar.text) for bar in lane.bars}
    for mark in lane.marks:
        if (mark.at, mark.text) not in caps:  # the cap of a bar says the same
            yield Row(mark.at, None, lane.name, mark.text)


def describe(life: JobLife, lanes: Sequence[Lane], fail_overs: Sequence[FailOver], now: datetime) -> str:
    """What the picture shows, in sentences, for whoever does not see it."""
    gaps = [bar for lane in lanes if lane.user is not None for bar in lane.bars if bar.look == "gap"]
    users = {lane.user for lane in lanes if lane.user}
    kinds = Counter(problem.kind for problem in problems_of(life.state))
    counted = (
        (len(life.state.files), "file", "files"),
        (len(life.state.records.kept) + life.state.records.left_out, "record", "records"),
        (len(users), "user", "users"),
        (len(fail_overs), "fail-over", "fail-overs"),
        (len(gaps), "gap between files", "gaps between files"),
        (life.state.polls, "poll", "polls"),
        (len(life.facts) + life.facts_left_out, "callback", "callbacks"),
        (sum(kinds.values()), "problem", "problems"),
    )
    numbers = [f"{number:,} {one if number == 1 else many}" for number, one, many in counted if number]
    sentences = [_course(lanes, now), f"{', '.join(numbers)}." if numbers else "Nothing is known of it yet."]
    if gaps:
        longest = max(gaps, key=lambda bar: bar.end - bar.begin)
        sentences.append(f"The longest gap is from {_clock(longest.begin)} to {_clock(longest.end)}.")
    sentences += [f"A fail-over at {_clock(each.at)}." for each in fail_overs[:3]]
    return " ".join(sentence for sentence in sentences if sentence)


def _course(lanes: Sequence[Lane], now: datetime) -> str:
    own = next((lane for lane in lanes if lane.key == "job" or lane.key.startswith("thing/")), None)
    if own is None or not own.bars:
        return ""
    runs = [bar for bar in own.bars if bar.look == "running"]
    if not runs:
        return f"{own.bars[-1].text} since {_clock(own.bars[-1].begin)}, UTC."
    first, last = runs[0], runs[-1]
    if last.ending == "open":
        length = words_for(now - first.begin)
        return f"In progress since {_clock(first.begin)}, UTC, for {length} now."
    length = words_for(last.end - first.begin)
    return f"In progress from {_clock(first.begin)} to {_clock(last.end)}, UTC ({length})."


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


# --- a run


def run_timeline(lives: Sequence[tuple[str, str, JobLife]], now: datetime) -> Timeline:
    """One line for each job of a run, the first to begin on top.

    :param lives: with each job a key, and the label of its line.
    """
    lanes = [lane for lane in (_line(*each, now) for each in lives) if not lane.is_empty]
    lanes.sort(key=lambda lane: min(_times(lane)))
    is_live = any(life.is_watched for _, _, life in lives)
    begin, end = _extent(lanes, now if is_live else None, now)
    over = sum(life.is_over for _, _, life in lives)
    jobs = "1 job" if len(lives) == 1 else f"{len(lives):,} jobs"
    return Timeline(
        title="Jobs of this run",
        description=f"{jobs}, {over:,} of them over.",
        begin=begin,
        end=end,
        now=now if is_live else None,
        lanes=tuple(_in_window(lane, begin, end) for lane in lanes),
    )


def _line(key: str, label: str, life: JobLife, now: datetime) -> Lane:
    own = _own_lanes(life, fail_overs_of(life), now)
    reported = callback_lane(life)
    problems = [mark for mark in reported.marks if mark.look == "problem"] if reported is not None else []
    # Of several addresses of a relay the first stands for all; how they ended, the marks of all say.
    marks = sorted([*(mark for lane in own for mark in lane.marks), *problems], key=lambda mark: mark.at)
    note = "" if life.is_over else shown(life.state.status or "", 40)
    line = Lane(f"job/{key}", shown(label, 60), own[0].bars, tuple(marks), note)
    return next(_plausible([line], life.own_times, now))
