"""Durations as dots on a logarithmic axis, one row for each way of measuring, as SVG. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, ROW_HEIGHT, BOTTOM = 860, 210, 30, 56, 54, 48
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
COLOURS = ("#1f6fb4", "#c2571a")
INK, FAINT = "#24292f", "#d0d7de"


@dataclass(frozen=True)
class Row:
    """A name and the durations, in seconds."""

    name: str
    seconds: Sequence[float]


def plot(title: str, rows: Sequence[Row]) -> str:
    """The picture: every duration a dot, the median a line with its number."""
    everything = [value for row in rows for value in row.seconds]
    ticks = _ticks(min(everything), max(everything))
    axis = _Axis(ticks[0], ticks[-1])
    bottom = TOP + ROW_HEIGHT * len(rows)
    height = bottom + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    for tick in ticks:
        x = axis.x(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="{FAINT}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g} s</text>')
    for number, row in enumerate(rows):
        parts += _row(row, axis, TOP + ROW_HEIGHT * number, COLOURS[number % len(COLOURS)])
    parts.append(
        f'<text x="16" y="{height - 10}" fill="#57606a">a dot is a task; the line is the median</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


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


def _row(row: Row, axis: _Axis, top: float, colour: str) -> list[str]:
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
    parts.append(f'<text x="{x + 5:.1f}" y="{middle - 13}" font-weight="bold">{median:.1f} s</text>')
    return parts
