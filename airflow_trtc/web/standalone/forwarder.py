"""Forwards spooled callbacks to Airflow's public REST API, the oldest first, and never deletes one too early.

A row goes from the spool only after Airflow said that it has it. Should that answer be lost, the row is sent
again; Airflow's side notices that it knows the event. A row that Airflow refuses holds no other up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from airflow_trtc import bounds
from airflow_trtc.aio import WakeUp, within
from airflow_trtc.journal.keys import INBOX, JOURNAL_NAME, JOURNAL_URI
from airflow_trtc.web.receiving.writer import describe
from airflow_trtc.web.standalone.fates import Fates
from airflow_trtc.web.standalone.spool import Spool, Spooled

IN_FLIGHT = 16
TICK_SECONDS = 1.0
MAX_BACK_OFF_SECONDS = 30.0
TIMEOUT_SECONDS = 10.0
MAX_ASSETS = 100  # of similar names
RETRY_SECONDS = 60.0
MAX_DELETED = 1000  # in one transaction
TOO_LARGE = (413, 422)
_DISK_ERRORS = (sqlite3.Error, OSError)
_ADVICE = "; to store larger rows, raise [state_store] max_value_storage_bytes in Airflow"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Airflow's REST API.

    :param url: Airflow's base URL, with its path if it has one.
    :param token: a token that is renewed elsewhere; empty to get one with user and password.
    """

    url: str
    token: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


class AirflowUnavailable(Exception):
    """Airflow cannot take callbacks now; the message says why, for the log."""


class _RetryAtOnce(Exception):
    """Try again at once."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What Airflow said about one row.

    :param status: of its answer; 0 when there is none.
    :param is_final: whether the row cannot be taken as it is.
    """

    status: int
    why: str
    is_final: bool = False

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Forwarder:
    """Empties a spool into one Airflow.

    :param transport: instead of the network, for tests.
    :param sleep: how to wait between two tries, in seconds.
    :param clock: seconds of any clock that only goes forward.
    :ivar trouble: why nothing goes through at the moment; empty when it does.
    :ivar forwarded: how many rows Airflow took since the start.
    :ivar beat_at: when the loop last came round, by that clock.
    :ivar fates: what has become of the rows.
    """

    def __init__(
        self,
        spool: Spool,
        access: Access,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._access = access
        self._sleep = sleep
        self._client = httpx.AsyncClient(
            base_url=access.url.rstrip("/"), timeout=TIMEOUT_SECONDS, transport=transport
        )
        self._token = access.token
        self._clock = clock
        self._is_renewed = False
        self._retry_refused_at = -math.inf
        self._cannot_delete = False
        self._asset_id: int | None = None
        self._wake = WakeUp()
        self.trouble = ""
        self.forwarded = 0
        self.beat_at = clock()
        self.fates = Fates()

    def wake(self) -> None:
        """There is something in the spool."""
        self._wake.wake()

    async def run(self) -> None:
        """Forward until cancelled. Every step is inside the loop, so that no failure ends it."""
        failures = 0
        while True:
            self.beat_at = self._clock()
            try:
                count = await self.forward()
            except _RetryAtOnce:
                continue
            except Exception as error:  # whatever it is, the rows are safe, and forwarding must continue
                failures += 1
                self._report(_words(error))
                await self._sleep(min(MAX_BACK_OFF_SECONDS, 0.5 * 2 ** min(failures, 8)))
                continue
            failures = 0
            if count:
                self._report("")
            else:
                await self._wake.wait(TICK_SECONDS)

    async def forward(self) -> int:
        """Forward some rows; return for how many Airflow has spoken.

        :raises AirflowUnavailable: Airflow took none.
        :raises sqlite3.Error: the spool cannot be read.
        :raises OSError: its folder is away.
        """
        if self._clock() >= self._retry_refused_at:
            await self._retry_refused()
        await self._delete_delivered()
        rows = await self._next_rows()
        if not rows:
            return 0
        if not self._token:
            await self._log_in()
        if self._asset_id is None:
            self._asset_id = await self._find_asset()
        asset_id = self._asset_id
        answers = await asyncio.gather(*(self._put(asset_id, row) for row in rows))
        await self._check_asset(asset_id)
        await self._settle(list(zip(rows, answers, strict=True)))
        return len(rows)

    async def _retry_refused(self) -> None:
        try:
            count = await asyncio.to_thread(self._spool.retry_refused)
        except _DISK_ERRORS:  # a full disk, for one, must not hold up those that wait
            self._retry_refused_at = self._clock() + RETRY_SECONDS
            return
        self._retry_refused_at = math.inf  # once a start
        if count:
            log.info("Retrying %d callbacks that Airflow refused", count)

    async def _next_rows(self) -> list[Spooled]:
        """The oldest rows that were never taken, and some that are due again."""
        fates = self.fates
        fresh = await asyncio.to_thread(self._spool.after, fates.last_id, IN_FLIGHT)
        due = fates.due(self._clock())[: max(IN_FLIGHT - len(fresh), IN_FLIGHT // 4)]
        again = await asyncio.to_thread(self._spool.get, due) if due else []
        for gone in {*due} - {row.id for row in again}:
            fates.drop(gone)
        return fresh[: IN_FLIGHT - len(again)] + again

    async def _settle(self, answered: Sequence[tuple[Spooled, _Said]]) -> None:
        fates, now = self.fates, self._clock()
        left = [(row, said) for row, said in answered if not said.is_success]
        is_taking = len(left) < len(answered)
        if left and not is_taking:
            self._check_token(left[0][1])
        fates.took(row.id for row, _ in answered)
        for row, said in answered:
            if said.is_success:
                fates.deliver(row.id)
                self.forwarded += 1
        for row, said in left:
            is_enough = fates.refuse(row.id, now, is_alone=is_taking)
            if said.is_final or is_enough:
                await self._set_aside(row, said)
        await self._delete_delivered()
        refused = [said for row, said in left if row.id in fates.again]
        if any(said.status == 401 for said in refused) and not self._access.token:
            self._token = ""
        self._is_renewed = self._is_renewed and not is_taking
        if refused and not is_taking:
            raise AirflowUnavailable(refused[0].why)

    def _check_token(self, said: _Said) -> None:
        """Forget a token that has expired; once, that is no trouble."""
        if said.status == 401 and not self._access.token:
            self._token = ""
            if not self._is_renewed:
                self._is_renewed = True
                raise _RetryAtOnce

    async def _put(self, asset_id: int, row: Spooled) -> _Said:
        value = _value(row)
        if value is None:
            return _Said(0, "the row is damaged", is_final=True)
        path = f"/api/v2/assets/{asset_id}/state-store/{quote(row.key, safe='/')}"
        try:
            answer = await self._send("PUT", path, json={"value": value})
        except AirflowUnavailable as error:
            return _Said(0, str(error))
        status = answer.status_code
        if status in TOO_LARGE:
            return _Said(status, f"{status}: the row has {len(row.value)} bytes", is_final=True)
        return _Said(status, f"Airflow answered {status}")

    async def _check_asset(self, asset_id: int) -> None:
        """Check that the rows just written are there to stay.

        Airflow takes rows of an asset that no DAG refers to any more, and deletes them within a minute.
        """
        self._asset_id = None
        self._asset_id = await self._find_asset()
        if self._asset_id != asset_id:
            raise AirflowUnavailable("the journal of recordings is another asset now")

    async def _set_aside(self, row: Spooled, said: _Said) -> None:
        try:
            await asyncio.to_thread(self._spool.set_aside, row, said.why)
        except _DISK_ERRORS:  # it comes again
            return
        self.fates.drop(row.id)
        log.error(
            "Airflow refused callback %r (%s). It stays in the spool until this server starts again%s",
            row.key,
            said.why,
            _ADVICE if said.status in TOO_LARGE else "",
        )

    async def _delete_delivered(self) -> None:
        """Forget what Airflow has; what the disk refuses to forget is remembered, and not sent again."""
        ids = sorted(self.fates.delivered)[:MAX_DELETED]
        if not ids:
            return
        try:
            await asyncio.to_thread(self._spool.delete, ids)
        except _DISK_ERRORS as error:
            if not self._cannot_delete:
                log.warning("Cannot delete callbacks that Airflow has from the spool: %s", error)
            self._cannot_delete = True
            return
        self._cannot_delete = False
        self.fates.delivered.difference_update(ids)

    async def _find_asset(self) -> int:
        answer = await self._send(
            "GET", "/api/v2/assets", params={"name_pattern": JOURNAL_NAME, "limit": MAX_ASSETS}
        )
        if not answer.is_success:
            self._check_token(_Said(answer.status_code, ""))
            raise AirflowUnavailable(f"Airflow answered {answer.status_code}")
        for asset in _items(answer):
            if asset.get("name") == JOURNAL_NAME and asset.get("uri") == JOURNAL_URI:
                return asset["id"]  # type: ignore[no-any-return]
        raise AirflowUnavailable("no DAG in Airflow refers to the journal of recordings yet")

    async def _log_in(self) -> None:
        body = {"username": self._access.user, "password": self._access.password}
        answer = await self._send("POST", "/auth/token", json=body)
        token = _object(answer).get("access_token") if answer.is_success else None
        if not isinstance(token, str):
            raise AirflowUnavailable(f"Airflow answered {answer.status_code} to the log-in")
        self._token = token

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        try:
            request = self._client.request(method, path, headers=headers, **arguments)
            # httpx limits each step only; an answer that trickles in would take any time.
            return await within(2 * TIMEOUT_SECONDS, request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, asyncio.TimeoutError) as error:
            raise AirflowUnavailable(f"Airflow does not answer ({type(error).__name__})") from error

    def _report(self, trouble: str) -> None:
        """Log the beginning and the end of trouble, not each failure."""
        if trouble and trouble != self.trouble:
            log.warning("Cannot forward callbacks; keeping them in the spool: %s", trouble)
        if self.trouble and not trouble:
            log.info("Forwarding callbacks to Airflow again")
        self.trouble = trouble

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _words(error: Exception) -> str:
    """Why forwarding failed; texts of other errors may hold a part of a token."""
    if isinstance(error, AirflowUnavailable):
        return str(error)
    return f"the spool failed ({error})" if isinstance(error, _DISK_ERRORS) else describe(error)


def _value(row: Spooled) -> dict[str, Any] | None:
    """What the row holds; None when the disk did not keep it as it was written."""
    parts: tuple[Any, ...] = (row.key, row.value)  # SQLite gives back whatever type the bytes say
    if not all(isinstance(part, str) and part.isascii() for part in parts):
        return None
    if row.key not in INBOX:  # Airflow would take it, and nobody would ever read it
        return None
    try:
        value = bounds.plain(json.loads(row.value))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = json.loads(answer.content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AirflowUnavailable("the server at Airflow's address is not Airflow")
    return value


def _items(answer: httpx.Response) -> list[dict[str, Any]]:
    assets = _object(answer).get("assets")
    return [asset for asset in assets if isinstance(asset, dict)] if isinstance(assets, list) else []
