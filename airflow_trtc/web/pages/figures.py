"""The key figures above the list. Pure: no Airflow, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_trtc.journal import reception
from airflow_trtc.journal.pulse import AccountPulse, account_pulse_from, is_fresh
from airflow_trtc.journal.reception import heard_from
from airflow_trtc.web.pages.listing import SHOW_LABELS, ListQuery, Show
from airflow_trtc.web.pages.wording import cut

QUIET = timedelta(minutes=10)  # without any callback, though jobs are waited for
MOST_ACCOUNTS = 20


@dataclass(frozen=True, slots=True)
class Counts:
    """How many waits there are.

    :param waiting: now.
    :param ended: in a day, whatever came of them.
    :param failed: those of them that failed.
    :param with_problems: of all, those that something went wrong with on the way.
    """

    waiting: int = 0
    ended: int = 0
    failed: int = 0
    with_problems: int = 0


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure, and the address of the waits that it counts.

    :param number: None: there are too many to count in time.
    :param tone: as of a `Badge`.
    """

    label: str
    number: int | None
    address: Mapping[str, object]
    is_current: bool
    tone: str


TILES = (
    (Show.WAITING, "waiting", "going"),
    (Show.ENDED, "ended", "ended"),
    (Show.FAILED, "failed", "trouble"),
    (Show.PROBLEMS, "with_problems", "trouble"),
)


def tiles(counts: Counts | None, query: ListQuery) -> tuple[Tile, ...]:
    """The figures of the DAGs that a user may read; a click filters, and another takes that back."""
    return tuple(
        Tile(
            SHOW_LABELS[show],
            number := None if counts is None else int(getattr(counts, name)),
            query.address(show=Show.ALL if query.show is show else show),
            query.show is show,
            tone if number else "idle",
        )
        for show, name, tone in TILES
    )


@dataclass(frozen=True, slots=True)
class Account:
    """How requests of one account get on, by all processes that ask for it.

    The vendor limits each action for itself; rate, ceiling and share are those of the busiest one.

    :param name: its connections.
    :param conn_ids: the same, one by one.
    :param rate: requests a second that were sent in the last minute.
    :param ceiling: requests a second that may be sent at most.
    :param used: the share of that, from 0 to 1.
    :param throttled: requests of the last minute that the service refused because there were too many.
    :param due: jobs that should have been polled by now.
    :param outage: why polls are not answered; empty when they are.
    """

    key: str
    name: str
    endpoint: str
    waiting: int
    due: int
    rate: float
    ceiling: float
    used: float
    throttled: int
    slowest_seconds: float
    outage: str
    conn_ids: tuple[str, ...] = ()

    @property
    def tone(self) -> str:
        """Whether to worry."""
        return "trouble" if self.outage or self.throttled else "going"


def accounts(values: Iterable[object], now: datetime, most: int = MOST_ACCOUNTS) -> list[Account]:
    """The accounts that fresh rows speak of, the busiest first. Total."""
    found: dict[tuple[str, str, str | None], list[AccountPulse]] = {}
    for pulse in map(account_pulse_from, values):
        if pulse is not None and is_fresh(pulse.at, now):
            found.setdefault((pulse.account, pulse.endpoint, pulse.region), []).append(pulse)
    joined = (_account(pulses) for pulses in found.values())
    return sorted(joined, key=lambda one: (-one.rate, one.key))[:most]


def named_by(found: Iterable[Account], conn_ids: Collection[str]) -> list[Account]:
    """Those of the accounts that one of these connections leads to, by the names of these alone.

    Of an account that no connection is known of, nothing tells whose it is; it has no name but a digest.
    """
    pairs = ((one, tuple(name for name in one.conn_ids if name in conn_ids)) for one in found)
    return [
        replace(one, name=cut(", ".join(names)) or one.name, conn_ids=names)
        for one, names in pairs
        if names or not one.conn_ids
    ]


def _account(pulses: list[AccountPulse]) -> Account:
    first = pulses[0]
    names = sorted({conn_id for pulse in pulses for conn_id in pulse.conn_ids})
    used, rate, ceiling = max(
        _use([pulse for pulse in pulses if pulse.action == action])
        for action in {pulse.action for pulse in pulses}
    )
    return Account(
        "/".join((first.account, first.endpoint, str(first.region))),
        cut(", ".join(names) or first.account),
        cut(f"{first.endpoint}, {first.region}" if first.region else first.endpoint),
        sum(pulse.waiting for pulse in pulses),
        sum(pulse.due for pulse in pulses),
        rate,
        ceiling,
        used,
        sum(pulse.throttled for pulse in pulses),
        max(pulse.slowest_seconds for pulse in pulses),
        cut(next((pulse.outage for pulse in pulses if pulse.outage), "")),
        tuple(names),
    )


def _use(pulses: Sequence[AccountPulse]) -> tuple[float, float, float]:
    """Share, rate and ceiling of one action.

    Processes of one machine share the pace, those of several each have it whole: the vendor counts all.
    """
    rate, ceiling = sum(pulse.sent for pulse in pulses) / 60, max(pulse.ceiling for pulse in pulses)
    return min(1.0, rate / ceiling) if ceiling else 0.0, rate, ceiling


@dataclass(frozen=True, slots=True)
class Heard:
    """Callbacks about one application.

    :param a_minute: of the last ten whole minutes, on average.
    """

    app: int
    last_at: datetime
    a_minute: float
    is_quiet: bool


def heard(values: Iterable[object], now: datetime, most: int = MOST_ACCOUNTS) -> list[Heard]:
    """The applications that callbacks came for, by their numbers. Total."""
    found = (_heard(heard_from(value), now) for value in values)
    return sorted((one for one in found if one is not None), key=lambda one: one.app)[:most]


def _heard(row: reception.Heard | None, now: datetime) -> Heard | None:
    if row is None or row.last_at is None:
        return None
    return Heard(row.sdk_app_id, row.last_at, row.a_minute(now), now - row.last_at > QUIET)
