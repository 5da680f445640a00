"""The same calls twice: for threads and for an event loop. Nothing else is decided here."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from airflow_trtc.aio import start_apart, take_error
from airflow_trtc.cloud import calls, failures, parameters
from airflow_trtc.cloud.budget import Budget, shared_budget
from airflow_trtc.cloud.credentials import Keys, key_source
from airflow_trtc.cloud.retries import aretrying, retrying
from airflow_trtc.cloud.sdk import AsyncSdkTransport, AsyncTransport, SdkTransport, Transport
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.errors import TrtcSetupError, TrtcThrottledError
from airflow_trtc.jobs.observation import Snapshot
from airflow_trtc.jobs.verdict import WRONG_CLOCK

_Value = TypeVar("_Value")


class TrtcClient:
    """Calls the service. Safe for several threads; connections stay open between calls.

    :param attempts: how often one call is tried at most; 1 never repeats, None is four times, and for ten
        minutes while it is throttled. What may be repeated is decided by
        :func:`airflow_trtc.cloud.retries.may_repeat`.
    :param transport: sends the requests; for tests.
    :param sleep: waits between attempts and for the request budget; for tests.
    """

    def __init__(
        self,
        settings: TrtcSettings,
        *,
        attempts: int | None = None,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self._attempts = attempts
        self._transport = transport or SdkTransport(settings)
        self._sleep = sleep
        self._keys = key_source(settings.identity)
        self._budgets: dict[str, Budget] = {}
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def describe_recording(
        self, recording_id: str, sdk_app_id: int | None = None, *, attempts: int | None = None
    ) -> Snapshot:
        """Look at one recording once.

        :param sdk_app_id: the recording's application when it is not the one of the settings.
        :raises TrtcFailedError: code ``ResourceNotFound`` when it ended or never existed.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        params = calls.describe_params(_app_id(self.settings, sdk_app_id), recording_id)
        return self._call(
            calls.DESCRIBE_RECORDING,
            params,
            attempts,
            recording_id,
            lambda answer: calls.to_snapshot(answer, recording_id),
        )

    def call(self, action: str, params: Mapping[str, Any], *, attempts: int | None = None) -> dict[str, Any]:
        """Call any action of the service with its own parameter names.

        :return: what is inside ``Response``, with its ``RequestId``.
        :raises TrtcSetupError: also for a parameter that the action does not have; nothing was sent.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        parameters.check(action, params)
        return self._call(action, dict(params), attempts, _recording_id(params), dict)

    def budget(self, action: str) -> Budget:
        """What the process's requests for an action keep to."""
        return _find_budget(self._budgets, self.settings, action)

    def _call(
        self,
        action: str,
        params: dict[str, Any],
        attempts: int | None,
        recording_id: str | None,
        read: Callable[[dict[str, Any]], _Value],
    ) -> _Value:
        def once() -> _Value:
            return read(self._once(action, params, recording_id))

        value: _Value = retrying(action, attempts or self._attempts, self._sleep)(once)
        return value

    def _once(self, action: str, params: dict[str, Any], recording_id: str | None) -> dict[str, Any]:
        with self._turns[action]:  # one after the other: who takes a moment early takes it at an early pace
            if wait_seconds := self.budget(action).reserve(self.settings.requests_per_second):
                self._sleep(wait_seconds)
        with failures.translated(action, recording_id, self.settings.endpoint):
            keys = self._keys.current()
            try:
                return self._send(action, params, recording_id, keys)
            except TrtcSetupError as error:
                newer = self._keys.instead_of(keys) if _refuses_keys(error) else None
                if newer is None:
                    raise
            return self._send(action, params, recording_id, newer)

    def _send(
        self, action: str, params: dict[str, Any], recording_id: str | None, keys: Keys
    ) -> dict[str, Any]:
        with (
            _noting_refusals(self.budget(action), self.settings),
            failures.translated(action, recording_id, self.settings.endpoint),
        ):
            answer = self._transport.send(action, params, keys)
            return failures.unwrap(answer, action=action, recording_id=recording_id)


class AsyncTrtcClient:
    """Calls the service from one event loop, without ever blocking it.

    To be closed with :meth:`aclose` or ``async with``. Parameters as for :class:`TrtcClient`.
    """

    def __init__(
        self,
        settings: TrtcSettings,
        *,
        attempts: int | None = None,
        transport: AsyncTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self._attempts = attempts
        self._transport = transport
        self._sleep = sleep
        self._keys = key_source(settings.identity)
        self._budgets: dict[str, Budget] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._preparing = asyncio.Lock()
        self._comparing = asyncio.Lock()
        self._fetching: asyncio.Task[Keys] | None = None

    async def describe_recording(
        self, recording_id: str, sdk_app_id: int | None = None, *, attempts: int | None = None
    ) -> Snapshot:
        """See :meth:`TrtcClient.describe_recording`."""
        params = calls.describe_params(_app_id(self.settings, sdk_app_id), recording_id)
        return await self._call(
            calls.DESCRIBE_RECORDING,
            params,
            attempts,
            recording_id,
            lambda answer: calls.to_snapshot(answer, recording_id),
        )

    async def look(self, recording_id: str, sdk_app_id: int) -> Snapshot:
        """As :meth:`describe_recording`, but at once and once: for who keeps to :meth:`budget` already."""
        params = calls.describe_params(sdk_app_id, recording_id)
        answer = await self._signed(calls.DESCRIBE_RECORDING, params, recording_id)
        return calls.to_snapshot(answer, recording_id)

    def budget(self, action: str) -> Budget:
        """See :meth:`TrtcClient.budget`."""
        return _find_budget(self._budgets, self.settings, action)

    async def call(
        self, action: str, params: Mapping[str, Any], *, attempts: int | None = None
    ) -> dict[str, Any]:
        """See :meth:`TrtcClient.call`."""
        await asyncio.to_thread(parameters.check, action, params)
        return await self._call(action, dict(params), attempts, _recording_id(params), dict)

    async def aclose(self) -> None:
        """Close all connections; calls after that open new ones."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def __aenter__(self) -> AsyncTrtcClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _call(
        self,
        action: str,
        params: dict[str, Any],
        attempts: int | None,
        recording_id: str | None,
        read: Callable[[dict[str, Any]], _Value],
    ) -> _Value:
        async def once() -> _Value:
            return read(await self._once(action, params, recording_id))

        value: _Value = await aretrying(action, attempts or self._attempts, self._sleep)(once)
        return value

    async def _once(self, action: str, params: dict[str, Any], recording_id: str | None) -> dict[str, Any]:
        async with self._turns[action]:  # see TrtcClient; and who is cancelled in line has taken nothing
            if wait_seconds := self.budget(action).reserve(self.settings.requests_per_second):
                await self._sleep(wait_seconds)
        return await self._signed(action, params, recording_id)

    async def _signed(self, action: str, params: dict[str, Any], recording_id: str | None) -> dict[str, Any]:
        with failures.translated(action, recording_id, self.settings.endpoint):
            transport, keys = await self._ready(), await self._current_keys()
            try:
                return await self._send(transport, action, params, recording_id, keys)
            except TrtcSetupError as error:
                newer = await self._keys_instead_of(keys) if _refuses_keys(error) else None
                if newer is None:
                    raise
            return await self._send(transport, action, params, recording_id, newer)

    async def _send(
        self,
        transport: AsyncTransport,
        action: str,
        params: dict[str, Any],
        recording_id: str | None,
        keys: Keys,
    ) -> dict[str, Any]:
        with (
            _noting_refusals(self.budget(action), self.settings),
            failures.translated(action, recording_id, self.settings.endpoint),
        ):
            answer = await transport.send(action, params, keys)
            return failures.unwrap(answer, action=action, recording_id=recording_id)

    async def _ready(self) -> AsyncTransport:
        async with self._preparing:
            if self._transport is None:
                transport = AsyncSdkTransport(self.settings)
                await asyncio.to_thread(transport.build)
                self._transport = transport
            return self._transport

    async def _keys_instead_of(self, refused: Keys) -> Keys | None:
        async with self._comparing:  # one thread is enough, and all threads are all there are in the process
            return await asyncio.to_thread(self._keys.instead_of, refused)

    async def _current_keys(self) -> Keys:
        if keys := self._keys.fresh():
            return keys
        if self._fetching is None:
            self._fetching = start_apart(asyncio.to_thread(self._keys.current))
            self._fetching.add_done_callback(self._fetched)
        if keys := self._keys.usable():  # they serve meanwhile, however long it takes to get new ones
            return keys
        return await asyncio.shield(self._fetching)

    def _fetched(self, fetching: asyncio.Task[Keys]) -> None:
        self._fetching = None
        take_error(fetching)  # it is told to those who wait for it; the others go on with the old keys


def _find_budget(held: dict[str, Budget], settings: TrtcSettings, action: str) -> Budget:
    """The process's budget for an action, found once and then held."""
    if action not in held:
        held[action] = shared_budget((settings.endpoint, settings.region, settings.identity, action))
    return held[action]


def _refuses_keys(error: TrtcSetupError) -> bool:
    code = error.code or ""
    return code.startswith("AuthFailure") and code != WRONG_CLOCK


@contextmanager
def _noting_refusals(budget: Budget, settings: TrtcSettings) -> Iterator[None]:
    try:
        yield
    except TrtcThrottledError:
        budget.refused(settings.requests_per_second)
        raise


def _app_id(settings: TrtcSettings, given: int | None) -> int:
    number = given if given is not None else settings.sdk_app_id
    if number is None:
        raise TrtcSetupError("No sdk_app_id is given, and the connection has none either.")
    return number


def _recording_id(params: Mapping[str, Any]) -> str | None:
    value = params.get("TaskId")
    return value if isinstance(value, str) else None
