"""Finds the facts of the page "TRTC health": SQL and what connections say in, `health` facts out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_trtc import bounds
from airflow_trtc._compat import conf, has_state_store
from airflow_trtc.journal.keys import KeyRange, connections_key, inbox_ms
from airflow_trtc.journal.reception import Refused, refused_from
from airflow_trtc.web.pages import checks, figures, queries
from airflow_trtc.web.pages.health import Checked, ConnectionFacts, Setup, SiteFacts, Triggerer
from airflow_trtc.web.pages.memory import LONGEST_SECONDS, Memory
from airflow_trtc.web.processing import database
from airflow_trtc.web.receiving import connections
from airflow_trtc.web.receiving.connection_cache import LookupUnavailable

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

CONNECTIONS = KeyRange("conns/", "conns/0", "conns/a")
REFUSED = KeyRange("refused/", "refused/0", "refused/g")
DEFAULT_CAPACITY = 1_000
DEFAULT_THRESHOLD_SECONDS = 30.0
MOST = 1_000  # accounts, applications, triggerers
SETUP_SECONDS = 15.0

# What the receiver makes of each connection; asking a key store costs a call.
_setups = Memory(SETUP_SECONDS, LONGEST_SECONDS)


@dataclass(frozen=True, slots=True)
class Journal:
    """What the journal says of connections.

    :param apps: the connections through which callbacks of each application come.
    :param stored: names of connections in Airflow's database.
    """

    accounts: tuple[figures.Account, ...]
    heard: tuple[figures.Heard, ...]
    apps: Mapping[int, frozenset[str]]
    refused: Mapping[str, Refused]
    checked: tuple[Checked, ...]
    stored: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """All connections that are known: those that can be listed, and those that rows name."""
        polled = (name for one in self.accounts for name in one.conn_ids)
        called = (name for names in self.apps.values() for name in names)
        refused = (one.conn_id for one in self.refused.values())
        known = {name.upper(): name for name in (*refused, *called, *polled, *self.stored)}
        return frozenset(known.values())  # one of several spellings: the environment tells none apart


def read_site(session: Session, now: datetime) -> tuple[SiteFacts, list[database.AssetConflict]]:
    """The facts of this Airflow, and the assets in conflict, which not everybody may know."""
    why = database.why_no_store()
    conflicts = database.asset_conflicts(session)
    alive, idle = read_triggerers(session, now)
    capacity = conf.getint("triggerer", "capacity", fallback=DEFAULT_CAPACITY)
    if why is not None:
        return SiteFacts(why, False, triggerers=alive, idle=idle, capacity=capacity), conflicts
    work = database.find_work(session, bounds.unix_ms(now))
    waits_since = None if work.oldest_callback is None else inbox_ms(work.oldest_callback)
    oldest = None if waits_since is None else bounds.moment(waits_since)
    is_active = work.asset_id is not None
    site = SiteFacts(None, is_active, (), oldest, alive, idle, capacity)
    return site, conflicts


def read_triggerers(session: Session, now: datetime) -> tuple[tuple[Triggerer, ...], int]:
    """The triggerers that are alive, and how many triggers none of them carries."""
    from airflow.jobs.job import Job, JobState
    from airflow.models.trigger import Trigger
    from sqlalchemy import func, select

    key = "triggerer_health_check_threshold"
    seconds = conf.getfloat("triggerer", key, fallback=DEFAULT_THRESHOLD_SECONDS)
    numbers = session.execute(
        select(Trigger.triggerer_id, func.count()).group_by(Trigger.triggerer_id).limit(MOST)
    )
    carried = {triggerer_id: number for triggerer_id, number in numbers}  # noqa: C416 - a Row is no pair
    running = Job.job_type == "TriggererJob", Job.state == JobState.RUNNING
    columns = select(Job.id, Job.hostname, Job.latest_heartbeat)
    rows = session.execute(
        columns.where(*running, Job.latest_heartbeat > now - timedelta(seconds=seconds)).limit(MOST)
    ).all()
    alive = [Triggerer(row.hostname or "", row.latest_heartbeat, carried.pop(row.id, 0)) for row in rows]
    return tuple(sorted(alive, key=lambda one: one.host)), sum(carried.values())


def read_journal(session: Session, now: datetime) -> Journal:
    """What the journal and the list of connections say."""
    ranges = queries.PULSES, queries.HEARD, CONNECTIONS, REFUSED, checks.CHECKED
    values = queries.select_journal(session, *ranges)

    def of(keys: KeyRange) -> Iterable[Any]:
        return (value for key, value in values.items() if key in keys)

    heard = tuple(figures.heard(of(queries.HEARD), now, MOST))
    refused = (refused_from(value) for value in of(REFUSED))
    opened = (checks.opened(value) for value in of(checks.CHECKED))
    return Journal(
        tuple(figures.accounts(of(queries.PULSES), now, MOST)),
        heard,
        {one.app: _names(values.get(connections_key(one.app))) for one in heard},
        {one.conn_id.upper(): one for one in refused if one is not None},
        tuple(one for one in opened if one is not None),
        frozenset(connections.stored_names(session)),
    )


def _names(row: object) -> frozenset[str]:
    names = bounds.items(bounds.mapping(row).get("conn_ids"), MOST)
    return frozenset(name for name in map(bounds.job_id, names) if name is not None)


def facts_of(
    conn_ids: Collection[str], journal: Journal, checked: Mapping[str, Checked]
) -> list[ConnectionFacts]:
    """What is known of each of these connections, in the order of their names."""
    return [
        ConnectionFacts(
            conn_id,
            tuple(one for one in journal.accounts if conn_id.upper() in map(str.upper, one.conn_ids)),
            tuple(one for one in journal.heard if conn_id.upper() in map(str.upper, journal.apps[one.app])),
            journal.refused.get(conn_id.upper()),
            _setups.get(conn_id, lambda name=conn_id: _setup(name)) if has_state_store() else None,  # type: ignore[misc]
            checked.get(conn_id),
        )
        for conn_id in sorted(conn_ids)
    ]


def _setup(conn_id: str) -> Setup:
    try:
        found = connections.look_up(conn_id)
    except LookupUnavailable:
        return Setup(problem="Airflow's database does not answer")
    return Setup(found.problem, found.advice, found.accepts_unsigned)
