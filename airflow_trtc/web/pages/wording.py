"""Times, ages and numbers as pages write them. Pure: no Airflow, no I/O.

``trtc.js`` counts ages on by the same steps.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from markupsafe import Markup

from airflow_trtc.journal.pulse import JOBS_SECONDS

MAX_TEXT = 200
# From how many seconds on, and the unit that is written.
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def age(seconds: float) -> str:
    """A length of time in one unit, such as ``5 min``; the largest that fits twice, or once for seconds."""
    whole = max(0, int(seconds))
    for size, unit in _STEPS:
        if whole >= 2 * size or size == 1:
            return f"{whole // size} {unit}"
    raise AssertionError("the last unit always fits")


def duration(seconds: float) -> str:
    """A length of time in two units, such as ``1 h 05 min``."""
    whole = max(0, int(seconds))
    days, hours, minutes, rest = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{days} d {hours:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def ago(at: datetime | None, now: datetime) -> Markup:
    """An instant as a ``time`` element: how long ago, or in how long; exact in its title; "" for none."""
    if at is None:
        return Markup("")
    seconds = (now - at).total_seconds()
    return _element("data-age", at, f"{age(seconds)} ago" if seconds >= 0 else f"in {age(-seconds)}")


def since(at: datetime | None, now: datetime) -> Markup:
    """An instant as a ``time`` element: how much time has passed since then; "" for none."""
    return Markup("") if at is None else _element("data-since", at, duration((now - at).total_seconds()))


def due(at: datetime | None, now: datetime) -> Markup:
    """When the next poll is due, as a ``time`` element: in how long, or how late it is; "" for none.

    What is known of it may be as old as `JOBS_SECONDS`: until then it may have been done, and is due now.
    """
    if at is None:
        return Markup("")
    late = (now - at).total_seconds()
    if late < 0:
        return _element("data-due", at, f"next in {age(-late)}")
    return _element("data-due", at, f"{age(late)} late" if late > JOBS_SECONDS else "due now")


def _element(kind: str, at: datetime, text: str) -> Markup:
    # Nothing in it comes from outside; to escape and join it would take as long as the rest of a line.
    return Markup(f'<time {kind} datetime="{iso(at)}" title="{exact(at)}">{text}</time>')


def iso(at: datetime) -> str:
    """ISO 8601, UTC, for scripts."""
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(at: datetime | None) -> str:
    """An instant to the second, UTC, for people; "" for none."""
    return "" if at is None else f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def cut(text: object, longest: int = MAX_TEXT) -> str:
    """A text of the outside world, shortened."""
    whole = str(text)
    return whole if len(whole) <= longest else f"{whole[: longest - 1]}…"


def middle(text: object, longest: int = 24) -> str:
    """An id, shortened in its middle: what differs is mostly at its ends."""
    whole = str(text)
    if len(whole) <= longest:
        return whole
    tail = (longest - 1) // 2
    return f"{whole[: longest - 1 - tail]}…{whole[-tail:]}"


def spaced(number: float) -> str:
    """A number with its thousands set apart."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def plural(number: int, noun: str) -> str:
    """A number and what is counted, such as ``1 file`` and ``2 files``."""
    return f"{spaced(number)} {noun}{'' if number == 1 else 's'}"


FILTERS: dict[str, Callable[..., object]] = {
    "age": age,
    "ago": ago,
    "cut": cut,
    "due": due,
    "duration": duration,
    "exact": exact,
    "iso": iso,
    "middle": middle,
    "plural": plural,
    "since": since,
    "spaced": spaced,
}
