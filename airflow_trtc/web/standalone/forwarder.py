"""Forwards spooled callbacks to Airflow's public REST API, the oldest first, and never deletes one too early.

A row goes from the spool only after Airflow said that it has it. Should that answer be lost, the row is sent
again; Airflow's side notices that it knows the event.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from airflow_trtc.journal.keys import JOURNAL_NAME, JOURNAL_URI
from airflow_trtc.web.receiving.receiver import Row
from airflow_trtc.web.standalone.spool import Spool

IN_FLIGHT = 16
TICK_SECONDS = 1.0
MAX_BACK_OFF_SECONDS = 30.0
TIMEOUT_SECONDS = 10.0
MAX_ASSETS = 100  # of similar names
TOO_LARGE = (413, 422)

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


class Forwarder:
    """Empties a spool into one Airflow.

    :param transport: instead of the network, for tests.
    :param sleep: how to wait between two tries, in seconds.
    :ivar trouble: why nothing goes through at the moment; empty when it does.
    :ivar forwarded: how many rows Airflow took since the start.
    """

    def __init__(
        self,
        spool: Spool,
        access: Access,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._spool = spool
        self._access = access
        self._sleep = sleep
        self._client = httpx.AsyncClient(
            base_url=access.url.rstrip("/"), timeout=TIMEOUT_SECONDS, transport=transport
        )
        self._token = access.token
        self._is_renewed = False
        self._asset_id: int | None = None
        self._wake = asyncio.Event()
        self.trouble = ""
        self.forwarded = 0

    def wake(self) -> None:
        """There is something in the spool."""
        self._wake.set()

    async def run(self) -> None:
        """Forward until cancelled."""
        count = await asyncio.to_thread(self._spool.retry_refused)
        if count:
            log.info("Retrying %d callbacks that Airflow refused", count)
        failures = 0
        while True:
            try:
                count = await self.forward()
            except _RetryAtOnce:
                continue
            except Exception as error:  # whatever it is, the rows are safe, and forwarding must continue
                failures += 1
                self._report(
                    str(error)
                    if isinstance(error, AirflowUnavailable)
                    else f"{type(error).__name__}: {error}"
                )
                await self._sleep(min(MAX_BACK_OFF_SECONDS, 0.5 * 2 ** min(failures, 8)))
                continue
            failures = 0
            if count:
                self._report("")
            else:
                await self._pause()

    async def forward(self) -> int:
        """Forward some rows; return how many left the spool.

        :raises AirflowUnavailable: Airflow took none, or not all.
        """
        rows = await asyncio.to_thread(self._spool.oldest, IN_FLIGHT)
        if not rows:
            return 0
        if not self._token:
            await self._log_in()
        if self._asset_id is None:
            self._asset_id = await self._find_asset()
        asset_id = self._asset_id
        answers = await asyncio.gather(*(self._put(asset_id, row) for row in rows))
        await self._check_asset(asset_id)
        taken = [row.key for row, answer in zip(rows, answers, strict=True) if answer.is_success]
        await asyncio.to_thread(self._spool.delete, taken)
        self.forwarded += len(taken)
        left = []
        for row, answer in zip(rows, answers, strict=True):
            if answer.status_code in TOO_LARGE:
                await self._set_aside(row, answer)
            elif not answer.is_success:
                left.append(answer)
        if left:
            self._forget(left[0])
        self._is_renewed = False
        return len(rows)

    def _forget(self, answer: httpx.Response) -> None:
        """Forget what the answer says is wrong; once a token has expired, that is no trouble."""
        if answer.status_code == 404:
            self._asset_id = None
        if answer.status_code == 401 and not self._access.token:
            self._token = ""
            if not self._is_renewed:
                self._is_renewed = True
                raise _RetryAtOnce
        raise AirflowUnavailable(f"Airflow answered {answer.status_code}")

    async def _put(self, asset_id: int, row: Row) -> httpx.Response:
        path = f"/api/v2/assets/{asset_id}/state-store/{quote(row.key, safe='/')}"
        return await self._send("PUT", path, json={"value": json.loads(row.value)})

    async def _check_asset(self, asset_id: int) -> None:
        """Check that the rows just written are there to stay.

        Airflow takes rows of an asset that no DAG refers to any more, and deletes them within a minute.
        """
        self._asset_id = None
        self._asset_id = await self._find_asset()
        if self._asset_id != asset_id:
            raise AirflowUnavailable("the journal of recordings is another asset now")

    async def _set_aside(self, row: Row, answer: httpx.Response) -> None:
        why = f"{answer.status_code}: the row has {len(row.value)} bytes"
        await asyncio.to_thread(self._spool.set_aside, row, why)
        log.error(
            "Airflow refused callback %s (%s). It stays in the spool until this server starts again; to store"
            " larger rows, raise [state_store] max_value_storage_bytes in Airflow",
            row.key,
            why,
        )

    async def _find_asset(self) -> int:
        answer = await self._send(
            "GET", "/api/v2/assets", params={"name_pattern": JOURNAL_NAME, "limit": MAX_ASSETS}
        )
        if not answer.is_success:
            self._forget(answer)
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
            return await self._client.request(method, path, headers=headers, **arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AirflowUnavailable(f"Airflow does not answer ({type(error).__name__})") from error

    def _report(self, trouble: str) -> None:
        """Log the beginning and the end of trouble, not each failure."""
        if trouble and trouble != self.trouble:
            log.warning("Cannot forward callbacks; keeping them in the spool: %s", trouble)
        if self.trouble and not trouble:
            log.info("Forwarding callbacks to Airflow again")
        self.trouble = trouble

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), TICK_SECONDS)
        except (TimeoutError, asyncio.TimeoutError):
            return
        finally:
            self._wake.clear()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


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
