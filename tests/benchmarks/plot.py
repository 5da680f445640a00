"""Pictures as SVG: durations as dots on a logarithmic axis, and rates over time as lines. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, ROW_HEIGHT, BOTTOM = 860, 270, 30, 56, 54, 48
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
COLOURS = ("#1f6fb4", "#c2571a", "#2f8f4e", "#8250b4", "#9a6b00", "#57606a")
MARGIN, LINES_HEIGHT = 70, 260  # of pictures with lines
INK, FAINT = "#24292f", "#d0d7de"


@dataclass(frozen=True)
class Row:
    """A name and the durations, in seconds."""

    name: str
    seconds: Sequence[float]


@dataclass(frozen=True)
class Line:
    """A name and points, times from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


def plot(
    title: str, rows: Sequence[Row], *, unit: str = " s", dot: str = "a dot is a task; the line is the median"
) -> str:
    """Every duration a dot, the median a line with its number; nothing at all gives an empty picture.

    :param unit: follows each number.
    :param dot: says below what the picture shows.
    """
    rows = [row for row in rows if row.seconds] or [Row("nothing", [1.0])]
    everything = [value for row in rows for value in row.seconds]
    ticks = _ticks(min(everything), max(everything))
    axis = _Axis(ticks[0], ticks[-1])
    bottom = TOP + ROW_HEIGHT * len(rows)
    height = bottom + BOTTOM
    parts = _frame(title, height)
    for tick in ticks:
        x = axis.x(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}{unit}</text>')
    for number, row in enumerate(rows):
        parts += _row(row, axis, TOP + ROW_HEIGHT * number, COLOURS[number % len(COLOURS)], unit)
    parts.append(f'<text x="16" y="{height - 10}" fill="#57606a">{escape(dot)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def lines(title: str, series: Sequence[Line], *, note: str = "", unit: str = " s") -> str:
    """Rates over time: one line for each name, in its colour, from zero upwards."""
    points = [point for line in series for point in line.points] or [(0.0, 1.0)]
    last, most = max(at for at, _ in points) or 1.0, max(value for _, value in points) or 1.0
    height = TOP + LINES_HEIGHT + BOTTOM + 20 * len(series)
    bottom = TOP + LINES_HEIGHT
    parts = _frame(title, height)
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _place(last * part, most * part, last, most)
        parts.append(f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{MARGIN - 8}" y="{y + 4:.1f}" text-anchor="end">{most * part:.3g}</text>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{last * part:.0f}{unit}</text>'
        )
    for number, line in enumerate(series):
        colour, y = COLOURS[number % len(COLOURS)], bottom + 42 + 20 * number
        places = " ".join("{:.1f},{:.1f}".format(*_place(*point, last, most)) for point in line.points)
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<rect x="{MARGIN}" y="{y - 9}" width="18" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{MARGIN + 26}" y="{y}">{escape(line.name)}</text>')
    parts.append(f'<text x="16" y="{height - 10}" fill="#57606a">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _place(at: float, value: float, last: float, most: float) -> tuple[float, float]:
    return MARGIN + at / last * (WIDTH - RIGHT - MARGIN), TOP + LINES_HEIGHT * (1 - value / most)


def _frame(title: str, height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]


class _Axis:
    def __init__(self, least: float, most: float) -> None:
        self._least = math.log10(least)
        self._span = math.log10(most) - self._least

    def x(self, seconds: float) -> float:
        """Where a duration is drawn; one beyond the axis at its end."""
        share = (math.log10(max(seconds, 1e-3)) - self._least) / self._span
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _ticks(least: float, most: float) -> list[float]:
    first = max((i for i, tick in enumerate(TICKS) if tick <= least), default=0)
    last = min((i for i, tick in enumerate(TICKS) if tick >= most), default=len(TICKS) - 1)
    return list(TICKS[first : max(last, first + 1) + 1])


def _row(row: Row, axis: _Axis, top: float, colour: str, unit: str) -> list[str]:
    middle = top + ROW_HEIGHT / 2
    parts = [f'<text x="{LEFT - 14}" y="{middle + 4:.1f}" text-anchor="end">{escape(row.name)}</text>']
    for number, seconds in enumerate(row.seconds):
        # Dots side by side: those of one duration would hide one another.
        y = middle + (number * 7 % 13 - 6) * 1.5
        x = axis.x(seconds)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}" fill-opacity="0.35"/>')
    median = statistics.median(row.seconds)
    x = axis.x(median)
    parts.append(
        f'<line x1="{x:.1f}" y1="{middle - 18}" x2="{x:.1f}" y2="{middle + 18}" stroke="{INK}" '
        'stroke-width="2"/>'
    )
    parts.append(f'<text x="{x + 5:.1f}" y="{middle - 13}" font-weight="bold">{median:.3g}{unit}</text>')
    return parts
