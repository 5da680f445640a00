"""Checks a connection for real, when a user asks for it: one call that reads, and a look at the clock.

What was found is kept in this process and, sealed, in the journal, since another API worker may serve the
next page. Who knows the name of a connection may not make this Airflow send many requests: one check a
minute, of each connection and in each process.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_trtc import account, bounds, findings
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.findings import Finding
from airflow_trtc.journal.keys import KeyRange, make_key
from airflow_trtc.journal.pulse import digest
from airflow_trtc.web import accounts
from airflow_trtc.web.pages.health import Checked
from airflow_trtc.web.processing import database
from airflow_trtc.web.receiving.connections import CONNECTION_TYPE

if TYPE_CHECKING:
    from airflow.models.connection import Connection

    from airflow_trtc.cloud.settings import TrtcSettings

VERSION = 1
CHECKED = KeyRange("checked/", "checked/0", "checked/g")
PAUSE_SECONDS = 60.0
LIMIT_SECONDS = 5.0
WAIT_SECONDS = 2.0  # for each answer, of which there are two
MAX_AT_ONCE = 4
MAX_KEPT = 1_000
MAX_FINDINGS = 20
MAX_TEXT = 1_000
HIDDEN = "***"
SHORTEST_SECRET = 4  # characters; what is shorter stands in any text by chance
# Of the extra, what is nobody's secret; whatever else it holds is never repeated.
PUBLIC = {
    "advanced_permission_control",
    "callback_unsigned",
    "console_url",
    "credential_kind",
    "oidc_provider_id",
    "oidc_token_file",
    "profile_file",
    "profile_name",
    "region",
    "requests_per_second",
    "role_arn",
    "role_duration_seconds",
    "role_name",
    "role_session_name",
    "sdk_app_id",
    "sts_endpoint",
    "timeout_seconds",
}

log = logging.getLogger(__name__)


class TooSoon(Exception):
    """The connection was checked just now.

    :ivar seconds: after which it may be checked again.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"checked less than {PAUSE_SECONDS:.0f} s ago")
        self.seconds = seconds


class Checks:
    """The checks of one process. Safe for threads.

    :param look: looks at a connection; blocks, and raises nothing.
    :param clock: seconds that only ever grow.
    :param limit: seconds after which a check that is not over counts as failed.
    """

    def __init__(
        self,
        look: Callable[[str], Sequence[Finding]],
        clock: Callable[[], float] = time.monotonic,
        limit: float = LIMIT_SECONDS,
    ) -> None:
        self._look = look
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._begun: dict[str, float] = {}
        self._kept: dict[str, Checked] = {}
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, "trtc-check")

    def check(self, conn_id: str, now: datetime) -> Checked:
        """Check a connection; over within the limit.

        :raises TooSoon: it was checked less than a minute ago.
        """
        self._begin(conn_id)
        looking = self._threads.submit(self._look, conn_id)
        try:
            found = looking.result(self._limit)
        except Late:
            looking.cancel()
            text = f"the service did not answer within {self._limit:.0f} s"
            found = [Finding("service", "problem", text, "check the way there: host, proxy, firewall, DNS")]
        checked = Checked(conn_id, now, tuple(found))
        with self._lock:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[conn_id] = checked
        return checked

    def latest(self, stored: Iterable[Checked]) -> dict[str, Checked]:
        """The last check of each connection, by this process or by those whose checks are stored."""
        with self._lock:
            known = [*stored, *self._kept.values()]
        return {one.conn_id: one for one in sorted(known, key=lambda one: one.at)}

    def _begin(self, conn_id: str) -> None:
        with self._lock:
            now = self._clock()
            self._begun = {name: at for name, at in self._begun.items() if now - at < PAUSE_SECONDS}
            name = conn_id.upper()  # to the environment all spellings of a name are one
            if (at := self._begun.get(name)) is not None:
                raise TooSoon(at + PAUSE_SECONDS - now)
            self._begun[name] = now


def look(conn_id: str) -> list[Finding]:
    """Look at a connection as Airflow has it now; nothing secret of it is repeated."""
    hidden: set[str] = set()

    def read() -> TrtcSettings:
        connection = accounts.find_connection(conn_id)
        hidden.update(secrets_of(connection))
        if connection.conn_type != CONNECTION_TYPE:  # its keys are for another service, at its own address
            raise TrtcSetupError(f"it is of type {connection.conn_type!r}, not {CONNECTION_TYPE!r}")
        return accounts.settings_of(connection)

    found = account.check(conn_id, read, WAIT_SECONDS)
    return [without(hidden, one) for one in found]


def secrets_of(connection: Connection) -> set[str]:
    """All texts of a connection that nobody may see."""
    fields = bounds.mapping(bounds.json_value(connection.extra))
    hidden = {name: value for name, value in fields.items() if name not in PUBLIC}
    found = {connection.login, connection.password, *_texts(hidden)}
    for text in [text for text in found if text and "://" in text]:
        try:
            found |= {urlsplit(text).username, urlsplit(text).password}
        except ValueError:
            continue
    return {text for text in found if text is not None and len(text) >= SHORTEST_SECRET}


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
        yield from value.replace(",", " ").split()
    elif isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(one)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def without(hidden: Iterable[str], finding: Finding) -> Finding:
    """A finding in which none of these texts stands."""
    longest_first = sorted(hidden, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in longest_first:
            text = text.replace(secret, HIDDEN)
        return text

    return Finding(finding.subject, finding.level, clean(finding.text), clean(finding.todo))


def store(checked: Checked) -> None:
    """Keep a check in the journal, where there is one, for other API workers. Never raises.

    Whoever may read assets may read the journal, but not what is said of connections. So it is encrypted as
    connections are, and not stored where Airflow has no key for that.
    """
    from airflow.models.crypto import get_fernet

    try:
        if database.why_no_store() is not None or not get_fernet().is_encrypted:
            return
        with database.transaction() as session:
            if (asset_id := database.journal_asset_id(session)) is not None:
                database.write(session, asset_id, {key_of(checked.conn_id): database.encode(sealed(checked))})
    except Exception as error:  # this process knows it, at least
        log.warning("Cannot store what the check of a connection found (%s)", type(error).__name__)


def key_of(conn_id: str) -> str:
    """Key of its row."""
    return make_key("checked", digest(conn_id))


def sealed(checked: Checked) -> dict[str, Any]:
    """Value of its row: what was found is encrypted as connections are."""
    from airflow.models.crypto import get_fernet

    found = json.dumps([one.as_dict() for one in checked.findings]).encode()
    plain = {"v": VERSION, "conn_id": checked.conn_id, "at_ms": bounds.unix_ms(checked.at)}
    return {**plain, "found": get_fernet().encrypt(found).decode()}


def opened(value: object) -> Checked | None:
    """Read a row. Total: None for whatever is none of this version, or was sealed with another key."""
    from airflow.models.crypto import get_fernet

    row = bounds.mapping(value)
    conn_id, at_ms = bounds.job_id(row.get("conn_id")), bounds.instant_ms(row.get("at_ms"))
    found = row.get("found")
    if row.get("v") != VERSION or conn_id is None or at_ms is None or not isinstance(found, str):
        return None
    try:
        plain = get_fernet().decrypt(found.encode()).decode()
    except Exception:  # of several classes, and about a text that anybody may have written
        return None
    read = (_finding(one) for one in bounds.items(bounds.json_value(plain), MAX_FINDINGS))
    return Checked(conn_id, bounds.moment(at_ms), tuple(one for one in read if one is not None))


def _finding(value: object) -> Finding | None:
    fields = bounds.mapping(value)
    level = next((each for each in findings.LEVELS if each == fields.get("level")), None)
    texts = [bounds.text(fields.get(name), MAX_TEXT) for name in ("subject", "text")]
    if level is None or None in texts:
        return None
    subject, text = map(str, texts)
    return Finding(subject, level, text, bounds.text(fields.get("todo"), MAX_TEXT) or "")
