"""The page "TRTC health", the same for monitoring, and the check of a connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from airflow_trtc import bounds
from airflow_trtc._compat import conf
from airflow_trtc.findings import Finding, worst
from airflow_trtc.journal.reception import Refused
from airflow_trtc.web.pages import access, checks, facts, health, queries, shell
from airflow_trtc.web.pages.access import Reader, ReaderDep, ReaderIfAnyDep
from airflow_trtc.web.pages.health import ConnectionFacts, SiteFacts
from airflow_trtc.web.pages.memory import LONGEST_SECONDS, Memory
from airflow_trtc.web.pages.wording import iso

TITLE = "TRTC health"
REFRESH_SECONDS = 15
READ_SECONDS = 5.0
MOST_CARDS = 100
NO_STORE = {"cache-control": "private, no-store"}

log = logging.getLogger(__name__)

_checks = checks.Checks(checks.look)
# What all users share; who may see what of it is decided for each.
_read = Memory(READ_SECONDS, LONGEST_SECONDS)


@dataclass(frozen=True, slots=True)
class Card:
    """What is said of one connection.

    :param address: where the service sends callbacks for it; "" where that is not known.
    """

    facts: ConnectionFacts
    findings: list[Finding]
    address: str

    @property
    def name(self) -> str:
        """The connection's id."""
        return self.facts.conn_id


@dataclass(frozen=True, slots=True)
class Health:
    """What one user may know.

    :param site: what is said of this Airflow.
    :param cards: of the connections that the user may read.
    :param more: how many of those have no card, since there are too many.
    :param reads_connections: whether the user may read connections in general.
    """

    facts: SiteFacts
    site: list[Finding]
    cards: list[Card]
    more: int
    reads_connections: bool

    @property
    def findings(self) -> list[Finding]:
        """All of them."""
        return [*self.site, *(one for card in self.cards for one in card.findings)]


def show(request: Request, reader: ReaderDep) -> Response:
    """Answer with the page."""
    began_at, now = time.thread_time(), datetime.now(timezone.utc)
    found = read(reader, now)
    return shell.page(
        request,
        "health.html",
        title=TITLE,
        refresh_seconds=REFRESH_SECONDS,
        began_at=began_at,
        now=now,
        health=found,
        level=worst(found.findings),
        worst=worst,
        levels=health.LEVEL_WORDS,
        read=health.READ,
        summary=health.summary(found.findings),
    )


def report(reader: ReaderIfAnyDep) -> Response:
    """Tell a monitor how things are: 200, or 503 when there is a problem.

    Without a login it learns that the API server serves our pages, and no more.
    """
    if reader is None:
        return JSONResponse({"status": "ok"}, headers=NO_STORE)
    now = datetime.now(timezone.utc)
    found = read(reader, now)
    told = {
        "status": worst(found.findings),
        "at": iso(now),
        "findings": [one.as_dict() for one in found.site],
        "connections": {card.name: _as_json(card) for card in found.cards},
    }
    return JSONResponse(told, health.status_code(found.findings), headers=NO_STORE)


def check(request: Request, reader: ReaderDep) -> Response:
    """Check one connection for real: `POST`, with its id in the query as ``conn_id``."""
    access.require_own_page(request)
    conn_id = bounds.job_id(request.query_params.get("conn_id"))
    if conn_id is None or not reader.may_read_connection(conn_id):
        raise HTTPException(404, "There is no such connection, or you may not read it")
    try:
        checked = _checks.check(conn_id, datetime.now(timezone.utc))
    except checks.TooSoon as error:
        seconds = max(1, round(error.seconds))
        said = f"{conn_id} was checked just now; it can be checked again in {seconds} s"
        headers = {**NO_STORE, "retry-after": str(seconds)}
        return JSONResponse({"summary": said, "findings": []}, 429, headers=headers)
    checks.store(checked)
    log.info("Checked the connection %r for a user: %s", conn_id, worst(checked.findings))
    said = f"{conn_id}: {health.summary(checked.findings)}"
    return JSONResponse(
        {"summary": said, "findings": [one.as_dict() for one in checked.findings]}, headers=NO_STORE
    )


def read(reader: Reader, now: datetime) -> Health:
    """Read what this user may know."""
    site, conflicts, journal = _read.get("facts", lambda: _facts(now))
    shown = [
        str(one) if reader.may_read_assets and reader.readable(one.dag_ids) >= set(one.dag_ids) else ""
        for one in conflicts
    ]
    site = replace(site, conflicts=tuple(dict.fromkeys(shown)))
    names = reader.readable_connections(journal.names)
    latest = _checks.latest(journal.checked)
    some = facts.facts_of(sorted(names)[:MOST_CARDS], journal, latest)
    cards = [Card(one, health.connection_findings(one, now), _address(one.conn_id)) for one in some]
    return Health(
        site,
        health.site_findings(site, now),
        cards,
        len(names) - len(cards),
        reader.may_read_connections,
    )


def _facts(now: datetime) -> tuple[SiteFacts, Any, facts.Journal]:
    with queries.reading() as session:
        return (*facts.read_site(session, now), facts.read_journal(session, now))


def _address(conn_id: str) -> str:
    """Where the service sends callbacks, as far as Airflow knows its own address."""
    parts = urlsplit(conf.get("api", "base_url", fallback="") or "")
    if not parts.hostname or "/" in conn_id:
        return ""
    base = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl().rstrip("/")
    return f"{base}/trtc/callbacks/{conn_id}"


def _as_json(card: Card) -> dict[str, Any]:
    known = card.facts
    # Not the names: another connection of the account may be none of this user's business.
    accounts = [
        {name: value for name, value in asdict(one).items() if name not in ("key", "name", "conn_ids")}
        for one in known.accounts
    ]
    heard = [
        {"sdk_app_id": one.app, "last_at": iso(one.last_at), "a_minute": one.a_minute} for one in known.heard
    ]
    return {
        "status": worst(card.findings),
        "findings": [one.as_dict() for one in card.findings],
        "accounts": accounts,
        "callbacks": heard,
        "refused": _refused(known.refused),
        "checked_at": None if known.checked is None else iso(known.checked.at),
    }


def _refused(refused: Refused | None) -> Mapping[str, Any] | None:
    if refused is None:
        return None
    return {"count": refused.count, "last_at": iso(refused.last_at), "reason": refused.reason}
