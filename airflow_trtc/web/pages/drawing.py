"""Gives a timeline coordinates: what the template writes as SVG, by classes and attributes alone. Pure.

Across, everything is in per cent, and down in pixels: one drawing fits any width, and its texts keep their
size. A narrow page gets another layout, with the labels above the bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_trtc.web.pages.lanes import OVER, Bar, Lane, Mark, words_for
from airflow_trtc.web.pages.life import shown
from airflow_trtc.web.pages.timeline import Timeline

AXIS = 34
FOOT = 18


@dataclass(frozen=True, slots=True)
class Layout:
    """How a drawing is laid out, in pixels.

    :param name: a class, and the beginning of ids within it: a page has several drawings.
    :param row: height of a lane.
    :param middle: where in it bars and marks have their middle.
    :param label: height of its label's base line.
    :param left: where labels begin; the bars begin at 0.
    :param longest: characters of a label.
    :param note_below: how much higher a label is when its note stands below it; 0: it stands beside it.
    :param ticks: how many labels of time there is room for.
    """

    name: str
    row: int
    middle: int
    label: int
    left: int
    longest: int
    note_below: int
    ticks: int


WIDE = Layout("wide", row=32, middle=16, label=20, left=-194, longest=27, note_below=6, ticks=8)
NARROW = Layout("narrow", row=42, middle=29, label=13, left=0, longest=38, note_below=0, ticks=4)

# Height of a bar by its look; what is not there is 10 pixels high. Colours are the style sheet's.
_HEIGHTS = {
    "running": 14,
    "idle": 12,
    "ended": 4,
    "failed": 4,
    "gone": 10,
    "gap": 12,
    "audio": 6,
    "video": 14,
    "screen": 12,
    "polls": 3,
    "queued": 3,
    "resting": 8,
    "working": 14,
}
_PATTERNED = {"gap": "hatch", "gone": "faint", "screen": "stripe"}
# What stands for a mark; the template has the shape of each.
_SHAPES = {
    "fail-over": "diamond",
    "ended-cap": "square",
    "failed-cap": "cross",
    "poll": "tick",
    "trouble": "trouble",
    "callback": "triangle",
    "problem": "warning",
    "picture": "dot",
    "record": "dot",
    "finding": "warning",
}
_STEPS = (
    *(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 15, 30)),
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28)),
)
_EPOCH = datetime(1970, 1, 5, tzinfo=timezone.utc)  # a Monday
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DrawnBar:
    """A bar: its left edge and width in per cent, its top and height in pixels."""

    x: str
    width: str
    right: str
    y: float
    height: int
    look: str
    ending: str
    pattern: str | None
    title: str


@dataclass(frozen=True, slots=True)
class DrawnMark:
    """A mark: its middle."""

    x: str
    y: int
    look: str
    shape: str
    count: int
    title: str


@dataclass(frozen=True, slots=True)
class DrawnLane:
    """A lane: its top and middle, its label, whole and as far as there is room."""

    key: str
    y: int
    middle: int
    user: str
    label: str
    whole_label: str
    label_y: int
    note: str
    folds: int
    bars: tuple[DrawnBar, ...]
    marks: tuple[DrawnMark, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of time."""

    x: str
    day: str
    time: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The picture in one layout."""

    name: str
    height: int
    top: int
    row: int
    left: int
    lanes: tuple[DrawnLane, ...]
    ticks: tuple[Tick, ...]
    now: str | None


def draw(timeline: Timeline, layout: Layout) -> Drawing:
    """The picture in this layout."""
    scale = _Scale(timeline.begin, timeline.end)
    lanes = tuple(
        _lane(lane, AXIS + number * layout.row, layout, scale) for number, lane in enumerate(timeline.lanes)
    )
    now = scale.x(timeline.now) if timeline.now is not None and scale.has(timeline.now) else None
    height = AXIS + len(lanes) * layout.row + FOOT
    ticks = tuple(_ticks(scale, layout.ticks))
    return Drawing(layout.name, height, AXIS, layout.row, layout.left, lanes, ticks, now)


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime

    def share(self, at: datetime) -> float:
        share = (at - self.begin) / (self.end - self.begin) if self.end > self.begin else 0.0
        return min(1.0, max(0.0, share)) * 100

    def x(self, at: datetime) -> str:
        return _percent(self.share(at))

    def has(self, at: datetime) -> bool:
        return self.begin <= at <= self.end


def _percent(share: float) -> str:
    return f"{share:.3f}".rstrip("0").rstrip(".") + "%"


def _lane(lane: Lane, top: int, layout: Layout, scale: _Scale) -> DrawnLane:
    middle = top + layout.middle
    is_high = lane.note and layout.note_below
    return DrawnLane(
        lane.key,
        top,
        middle,
        shown(lane.user or "", max(6, layout.longest - len(lane.label))),
        shown(lane.label, layout.longest),
        lane.name,
        top + layout.label - (layout.note_below if is_high else 0),
        lane.note,
        lane.folds,
        tuple(_bar(bar, middle, scale) for bar in lane.bars),
        tuple(_mark(mark, middle, scale) for mark in lane.marks),
    )


def _bar(bar: Bar, middle: int, scale: _Scale) -> DrawnBar:
    left, right = scale.share(bar.begin), scale.share(bar.end)
    height = _HEIGHTS.get(bar.look, 10)
    return DrawnBar(
        _percent(left),
        _percent(right - left),
        _percent(right),
        middle - height / 2,
        height,
        bar.look,
        bar.ending,
        _PATTERNED.get(bar.look),
        title_of_bar(bar),
    )


def _mark(mark: Mark, middle: int, scale: _Scale) -> DrawnMark:
    shape = _SHAPES.get(mark.look, "dot")
    return DrawnMark(scale.x(mark.at), middle, mark.look, shape, mark.count, title_of_mark(mark))


def title_of_bar(bar: Bar) -> str:
    """What it says when it is pointed at."""
    if bar.look in OVER | {"gone"}:
        return f"{bar.text}. Since {_moment(bar.begin)} UTC"
    begin, end = _moment(bar.begin), _moment(bar.end, beside=bar.begin)
    if bar.ending == "open":
        return f"{bar.text}. Since {begin} UTC, {words_for(bar.end - bar.begin)} now"
    if bar.ending == "unknown":
        return f"{bar.text}. From {begin} UTC, until {end} at the latest"
    return f"{bar.text}. {begin} to {end} UTC, {words_for(bar.end - bar.begin)}"


def title_of_mark(mark: Mark) -> str:
    """What it says when it is pointed at."""
    more = f", and {mark.count - 1:,} more beside it" if mark.count > 1 else ""
    return f"{mark.text}. {_moment(mark.at)} UTC{more}"


def _moment(at: datetime, beside: datetime | None = None) -> str:
    is_same_day = beside is not None and at.date() == beside.date()
    return f"{at:%H:%M:%S}" if is_same_day else f"{at.day} {at:%b %H:%M:%S}"


def _ticks(scale: _Scale, most: int) -> Iterator[Tick]:
    length = scale.end - scale.begin
    step = next((step for step in _STEPS if length / step <= most), _DAY * (length.days // most + 1))
    at = _EPOCH + step * ((scale.begin - _EPOCH) // step + 1)
    days: list[object] = []
    while at <= scale.end:
        is_new = at.date() not in days
        days.append(at.date())
        time = "" if step >= _DAY else f"{at:%H:%M:%S}" if step < timedelta(minutes=1) else f"{at:%H:%M}"
        share = scale.share(at)
        anchor = "start" if share < 3 else "end" if share > 97 else "middle"
        yield Tick(_percent(share), f"{at.day} {at:%b}" if is_new else "", time, anchor)
        at += step


# What is explained below a picture, where it is there to be seen.
_LEGEND = {
    "gap": "gap",
    "fail-over": "fail-over",
    "ended-cap": "end",
    "failed-cap": "failure",
    "gone": "not there",
    "callback": "callback",
    "problem": "problem",
    "resting": "task waits without a worker",
    "working": "task runs on a worker",
}


def legend(timeline: Timeline) -> list[tuple[str, str, str]]:
    """What the less obvious looks in a picture mean: look, shape (empty for a bar) and words."""
    looks = {bar.look for lane in timeline.lanes for bar in lane.bars}
    looks |= {mark.look for lane in timeline.lanes for mark in lane.marks}
    return [(look, _SHAPES.get(look, ""), words) for look, words in _LEGEND.items() if look in looks]


def draw_all(timeline: Timeline, layouts: Sequence[Layout] = (WIDE, NARROW)) -> tuple[Drawing, ...]:
    """The picture in each layout."""
    return tuple(draw(timeline, layout) for layout in layouts)
