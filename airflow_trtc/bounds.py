"""The one door: readers for whatever comes from outside, each of which returns a bounded value or None.

Other programs and users write callbacks, answers of the API, stored rows, XComs, trigger events, run
configurations and connections. Airflow's processes send these as msgpack, databases keep them as JSON text,
and Python makes times of them; the narrowest of these decides. So a number fits 64 bits, a text is valid
Unicode and has a length, an instant lies in this century, and nothing nests deeply. Nothing here raises,
whatever comes in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

LOWEST, HIGHEST = -(2**63), 2**63 - 1  # what msgpack, PostgreSQL and SQLite carry
LONGEST_NUMBER = 20  # characters; the longest 64-bit number has as many
LONGEST_TEXT = 4_000
LONGEST_ID = 1_024
DEEPEST = 64
EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
LATEST = datetime(2100, 1, 1, tzinfo=timezone.utc)  # a day on either side of it still fits every time zone
_EARLIEST_MS, _LATEST_MS = (round(each.timestamp() * 1000) for each in (EARLIEST, LATEST))
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def number(value: object, lowest: int = LOWEST, highest: int = HIGHEST) -> int | None:
    """A whole number within bounds, also one written as text or with a fraction of zero."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER and value.isascii() and "_" not in value:
        try:
            value = int(value)
        except ValueError:
            return None
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and lowest <= value <= highest else None


def count(value: object) -> int:
    """A number from 0 on that leaves room to count on; 0 for anything else."""
    return number(value, 0, HIGHEST // 2) or 0


def text(value: object, longest: int = LONGEST_TEXT) -> str | None:
    """A text with something in it, as valid Unicode without zero characters, cut to `longest` characters."""
    if not isinstance(value, str) or not value.strip():
        return None
    return valid(value[:longest])


def label(value: object, longest: int = LONGEST_TEXT) -> str | None:
    """As `text`; a number becomes its digits."""
    if isinstance(value, str):
        return text(value, longest)
    whole = number(value)
    return None if whole is None else str(whole)


def job_id(value: object) -> str | None:
    """An id as the service gives them; None for what is none, or too long to be one."""
    found = text(value, LONGEST_ID + 1)
    return found if found is not None and len(found) <= LONGEST_ID else None


def valid(value: str) -> str:
    """The text with zero characters and halves of surrogate pairs replaced by U+FFFD."""
    if "\0" not in value and value.isascii():
        return value
    sound = value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-16", "surrogatepass")
    return sound.decode("utf-16", "replace")


def instant_ms(value: object, unit_ms: int = 1) -> int | None:
    """Unix milliseconds of a plausible instant, from 2000 to 2100; None for anything else, 0 included.

    :param unit_ms: milliseconds in the value's unit.
    """
    whole = number(value)
    return whole * unit_ms if whole is not None and _EARLIEST_MS <= whole * unit_ms < _LATEST_MS else None


def moment(at_ms: int) -> datetime:
    """The aware time of an instant from `instant_ms`; exact, unlike a float of seconds."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def unix_ms(at: datetime) -> int:
    """Unix milliseconds of an aware time; what `moment` makes of them is at most one earlier."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def iso_time(text: str) -> datetime:
    """A time or a date from ISO 8601.

    :raises ValueError: it is none.
    """
    is_utc = text.endswith(("Z", "z"))  # which Python 3.10 does not read
    return datetime.fromisoformat(f"{text[:-1]}+00:00" if is_utc else text)


def time(value: object) -> datetime | None:
    """A plausible time from ISO 8601 with a zone, in UTC."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        found = iso_time(value)
    except ValueError:
        return None
    if found.tzinfo is None or not EARLIEST.year <= found.year <= LATEST.year:
        return None
    found = found.astimezone(timezone.utc)
    return found if EARLIEST <= found < LATEST else None


def unix_seconds(value: object) -> float | None:
    """Seconds since 1970, within the years that `time` takes; None for whatever else it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < LATEST.timestamp() else None


def mapping(value: object) -> Mapping[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: object, most: int) -> list[Any]:
    """The first items of a JSON list; none for anything else."""
    return list(value[:most]) if isinstance(value, list | tuple) else []


def plain(value: Any, deepest: int = DEEPEST) -> Any:
    """The same JSON, such that every process and database of Airflow carries it.

    Numbers beyond 64 bits and beyond floats become text, texts valid Unicode, what nests deeper than
    `deepest` and what is no JSON becomes None.
    """
    if isinstance(value, str):
        return valid(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if LOWEST <= value <= HIGHEST else _digits(value)
    if isinstance(value, float):
        return value if -float("inf") < value < float("inf") else None
    if deepest <= 0:
        return None
    if isinstance(value, Mapping):
        return {valid(str(name)): plain(inner, deepest - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, deepest - 1) for inner in value]
    return None


def json_value(value: object) -> Any:
    """What a JSON text says, None for a text that is no JSON; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def document(value: object, longest: int) -> dict[str, Any] | None:
    """A JSON object made `plain`; None for anything else, and for more than `longest` bytes of JSON."""
    if not isinstance(value, Mapping):
        return None
    found: dict[str, Any] = plain(value)
    return found if len(json.dumps(found, ensure_ascii=False).encode()) <= longest else None


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
