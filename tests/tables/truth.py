"""What tables must hold, from the spells that the emulator tells. In fractions: nothing is rounded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any


def sums(spells: Iterable[Mapping[str, Any]], usage: str, rows: Iterable[Mapping[str, Any]]) -> list[float]:
    """The amount of each row, worked out from spells alone."""
    every = list(spells)
    return [_amount(every, usage, row) for row in rows]


def _amount(spells: list[Mapping[str, Any]], usage: str, row: Mapping[str, Any]) -> float:
    counted = {
        "recording": f"recording_{row.get('mix_type')}",
        "slicing": str(row.get("business")),
        "room": "trtc",
    }.get(usage, usage)
    start, end = (Fraction(_at(row[name])) for name in ("from_at", "to_at"))
    chosen = [
        each
        for each in spells
        if each["usage"] == counted
        and each["key"].lower() == row["usage_key"]
        and each["sdk_app_id"] == row["sdk_app_id"]
        and each["room_id"] == row.get("room_id", each["room_id"])
    ]
    parts = [(each, *_clip(each, start, end)) for each in chosen]
    if usage == "relay":
        return _peak([(Fraction(each["amount"]), a, b) for each, a, b in parts if a < b])
    seconds = sum((b - a) * Fraction(each["amount"]) for each, a, b in parts if a < b)
    return float(seconds if usage == "room" else seconds / 60)


def _peak(parts: list[tuple[Fraction, Fraction, Fraction]]) -> float:
    """The highest level when amounts are added where they begin and taken away where they end."""
    steps = sorted([(a, 1, amount) for amount, a, _ in parts] + [(b, 0, -amount) for amount, _, b in parts])
    level = highest = Fraction(0)
    for _, _, change in steps:
        level += change
        highest = max(highest, level)
    return float(highest)


def _clip(spell: Mapping[str, Any], start: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
    began = Fraction(spell["began_at"])
    return max(began, start), min(began + Fraction(spell["seconds"]), end)


def _at(value: Any) -> int:
    at = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)
    return round(at.timestamp())
