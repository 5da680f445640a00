"""What the receiver of callbacks says about itself: rows for pages that people read. Pure.

``heard/<application>`` says when callbacks of an application came last and how many came in each of the last
minutes; ``refused/<connection>`` how many were refused, and why. No row repeats anything that was sent: a
reason is one word of `REASONS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from airflow_trtc import bounds
from airflow_trtc.journal.keys import MAX_APP, make_key
from airflow_trtc.journal.pulse import digest

VERSION = 1
MINUTE_MS = 60_000
MINUTES = 10  # whole ones, for which numbers are kept; the one that goes on is kept too
LONGEST_COUNT = timedelta(hours=1)  # without a refusal; then it begins anew

Reason: TypeAlias = Literal[
    "unsigned",
    "wrong_signature",
    "no_key",
    "unusable",
    "no_event",
    "no_application",
    "wrong_application",
]
REASONS: Mapping[Reason, str] = {
    "unsigned": "it is not signed",
    "wrong_signature": "its signature matches no key of the connection",
    "no_key": "the connection has no key: its field callback_secret is empty",
    "unusable": "the connection's fields cannot be read; the API server's log says which",
    "no_event": "it is signed, but it is no event",
    "no_application": "neither the callback nor the connection names an application (SdkAppId)",
    "wrong_application": "it is of another application than the connection (SdkAppId)",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """Callbacks of one application, as they were received, repeated ones too.

    :param last_at: when the last one came.
    :param minutes: how many came in each minute, by its number since 1970.
    """

    sdk_app_id: int
    last_at: datetime | None = None
    minutes: Mapping[int, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Key of its row."""
        return heard_key(self.sdk_app_id)

    @property
    def value(self) -> dict[str, Any]:
        """Value of its row."""
        return {
            "v": VERSION,
            "sdk_app_id": self.sdk_app_id,
            "last_ms": None if self.last_at is None else bounds.unix_ms(self.last_at),
            "minutes": {str(minute): count for minute, count in sorted(self.minutes.items())},
        }

    def added(self, received_ms: Iterable[int], now_ms: int) -> Heard:
        """With callbacks that were received then; what a clock that is ahead says counts as now."""
        times = [min(at_ms, now_ms) for at_ms in received_ms]
        minutes = dict(self.minutes)
        for at_ms in times:
            minutes[at_ms // MINUTE_MS] = minutes.get(at_ms // MINUTE_MS, 0) + 1
        newest = now_ms // MINUTE_MS
        kept = {minute: count for minute, count in minutes.items() if newest - MINUTES <= minute <= newest}
        known = [] if self.last_at is None else [min(self.last_at, bounds.moment(now_ms))]
        return Heard(self.sdk_app_id, max([*known, *map(bounds.moment, times)], default=None), kept)

    def a_minute(self, now: datetime) -> float:
        """How many came a minute, on average, in the last ten whole minutes."""
        newest = bounds.unix_ms(now) // MINUTE_MS
        return sum(self.minutes.get(newest - ago, 0) for ago in range(1, MINUTES + 1)) / MINUTES


def heard_key(sdk_app_id: int) -> str:
    """Key of the row about an application's callbacks."""
    return make_key("heard", sdk_app_id)


def heard_from(value: object) -> Heard | None:
    """Read a row. Total: None for whatever is none of this version."""
    row = bounds.mapping(value)
    sdk_app_id, last_ms = (
        bounds.number(row.get("sdk_app_id"), 1, MAX_APP),
        bounds.instant_ms(row.get("last_ms")),
    )
    if row.get("v") != VERSION or sdk_app_id is None:
        return None
    pairs = list(bounds.mapping(row.get("minutes")).items())[-MINUTES - 1 :]
    minutes = {
        minute: bounds.count(count) for name, count in pairs if (minute := bounds.number(name, 0)) is not None
    }
    return Heard(sdk_app_id, None if last_ms is None else bounds.moment(last_ms), minutes)


@dataclass(frozen=True, slots=True)
class Refused:
    """Callbacks for one connection that were refused.

    :param count: how many since `since`.
    :param reason: of the last one, a word of `REASONS`.
    """

    conn_id: str
    count: int
    since: datetime
    last_at: datetime
    reason: Reason

    @property
    def key(self) -> str:
        """Key of its row."""
        return refused_key(self.conn_id)

    @property
    def value(self) -> dict[str, Any]:
        """Value of its row."""
        return {
            "v": VERSION,
            "conn_id": self.conn_id,
            "count": self.count,
            "since_ms": bounds.unix_ms(self.since),
            "last_ms": bounds.unix_ms(self.last_at),
            "reason": self.reason,
        }

    def after(self, before: Refused | None) -> Refused:
        """Together with those of before; after an hour without any, these count alone."""
        if before is None or self.since - before.last_at > LONGEST_COUNT:
            return self
        last = max(self, before, key=lambda each: each.last_at)
        return replace(last, count=before.count + self.count, since=min(before.since, self.since))


def refused_key(conn_id: str) -> str:
    """Key of the row about a connection; to the environment all spellings of a name are one.

    By a digest, so that there is a range of such keys that every database orders alike.
    """
    return make_key("refused", digest(conn_id.lower()))


def refused_from(value: object) -> Refused | None:
    """Read a row. Total: None for whatever is none of this version."""
    row = bounds.mapping(value)
    conn_id, reason = bounds.job_id(row.get("conn_id")), row.get("reason")
    since_ms, last_ms = (bounds.instant_ms(row.get(name)) for name in ("since_ms", "last_ms"))
    known = next((each for each in REASONS if each == reason), None)
    if row.get("v") != VERSION or conn_id is None or since_ms is None or last_ms is None or known is None:
        return None
    since, last_at = bounds.moment(since_ms), bounds.moment(last_ms)
    return Refused(conn_id, bounds.count(row.get("count")), since, last_at, known)
