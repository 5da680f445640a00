"""How a call is run, twice: for threads and for an event loop. Nothing else is decided here."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, TypeVar

from airflow_trtc import metrics
from airflow_trtc.aio import start_apart, take_error
from airflow_trtc.cloud import failures, outcomes
from airflow_trtc.cloud.budget import Budget, BudgetKey, shared_budget
from airflow_trtc.cloud.calls import Call
from airflow_trtc.cloud.identities import account_of
from airflow_trtc.cloud.key_source import Keys, KeySource
from airflow_trtc.cloud.rates import ceiling
from airflow_trtc.cloud.retries import aretrying, retrying
from airflow_trtc.cloud.sdk import AsyncSdkTransport, AsyncTransport, SdkTransport, Transport
from airflow_trtc.cloud.settings import TrtcSettings
from airflow_trtc.errors import TrtcSetupError, TrtcThrottledError
from airflow_trtc.jobs.verdict import WRONG_CLOCK

_Value = TypeVar("_Value")


class _Client:
    """What both clients share: settings, keys and budgets."""

    def __init__(self, settings: TrtcSettings, attempts: int | None, keys: KeySource | None) -> None:
        self.settings = settings
        self._attempts = attempts
        self._keys = keys or KeySource(settings.identity.fetch)
        self._budgets: dict[str, Budget] = {}

    def budget(self, action: str) -> Budget:
        """What the machine's requests for an action keep to."""
        if action not in self._budgets:
            settings = self.settings
            key = BudgetKey(
                settings.endpoint,
                settings.region,
                account_of(settings.identity),
                action,
                ceiling(action, settings.requests_per_second),
                settings.pace_directory,
            )
            self._budgets[action] = shared_budget(key)
        return self._budgets[action]

    def _pauses(self, action: str) -> Generator[float, None, None]:
        """The seconds to wait, one after the other, until it is a request's turn. Always to be closed."""
        waited = 0.0
        with closing(self.budget(action).turn()) as turn:
            for seconds in turn:
                waited += seconds
                yield seconds
        metrics.timing(metrics.PACE_TIME, waited, action=action)

    @contextmanager
    def _sending(self, call: Call[Any]) -> Iterator[None]:
        """Errors become ours, and refusals lower the pace."""
        try:
            with outcomes.counted(call), failures.translated(call, self.settings.endpoint):
                yield
        except TrtcThrottledError:
            self.budget(call.action).refused()
            raise


class TrtcClient(_Client):
    """Runs calls. Safe for several threads; connections stay open between calls.

    :param attempts: how often one call is tried at most; 1 never repeats, None is four times, and for ten
        minutes while it is throttled. What may be repeated is decided by
        :func:`airflow_trtc.cloud.retries.may_repeat`.
    :param transport: sends the requests; for tests.
    :param sleep: waits between attempts and for the request budget; for tests.
    :param keys: instead of the keys of the settings' identity; for tests.
    """

    def __init__(
        self,
        settings: TrtcSettings,
        *,
        attempts: int | None = None,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        keys: KeySource | None = None,
    ) -> None:
        super().__init__(settings, attempts, keys)
        self._transport = transport or SdkTransport(settings.route)
        self._sleep = sleep
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def run(self, call: Call[_Value], attempts: int | None = None) -> _Value:
        """Run a call and return its value.

        :param attempts: instead of the client's.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        value: _Value = retrying(call.effect, attempts or self._attempts, self._sleep)(self._once, call)
        return value

    def _once(self, call: Call[_Value]) -> _Value:
        self._keys.current()
        with failures.translated(call, self.settings.endpoint):
            self._transport.prepare()  # what comes late after its turn meets the next one's
        # Who has much to send takes one place in the machine's line.
        with self._turns[call.action], closing(self._pauses(call.action)) as pauses:
            for seconds in pauses:
                self._sleep(seconds)
        keys = self._keys.current()
        try:
            return self._send(call, keys)
        except TrtcSetupError as error:
            newer = self._keys.instead_of(keys) if _refuses_keys(error) else None
            if newer is None:
                raise
        return self._send(call, newer)

    def _send(self, call: Call[_Value], keys: Keys) -> _Value:
        with self._sending(call):
            return failures.value_of(call, self._transport.send(call, keys))


class AsyncTrtcClient(_Client):
    """Runs calls from one event loop, without ever blocking it.

    To be closed with :meth:`aclose` or ``async with``. Parameters as for :class:`TrtcClient`.
    """

    def __init__(
        self,
        settings: TrtcSettings,
        *,
        attempts: int | None = None,
        transport: AsyncTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        keys: KeySource | None = None,
    ) -> None:
        super().__init__(settings, attempts, keys)
        self._transport = transport
        self._sleep = sleep
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._preparing = asyncio.Lock()
        self._comparing = asyncio.Lock()
        self._fetching: asyncio.Task[Keys] | None = None

    async def run(self, call: Call[_Value], attempts: int | None = None) -> _Value:
        """See :meth:`TrtcClient.run`."""
        attempts = attempts or self._attempts
        value: _Value = await aretrying(call.effect, attempts, self._sleep)(self._once, call)
        return value

    async def poll(self, call: Call[_Value]) -> _Value:
        """Run a call at once and once: for callers that keep to :meth:`budget` already.

        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        keys = await self._current_keys()
        try:
            return await self._send(call, keys)
        except TrtcSetupError as error:
            newer = await self._keys_instead_of(keys) if _refuses_keys(error) else None
            if newer is None:
                raise
        return await self._send(call, newer)

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

    async def _once(self, call: Call[_Value]) -> _Value:
        await self._current_keys()
        with failures.translated(call, self.settings.endpoint):
            await self._ready()
        async with self._turns[call.action]:  # see TrtcClient
            with closing(self._pauses(call.action)) as pauses:
                for seconds in pauses:
                    await self._sleep(seconds)
        return await self.poll(call)

    async def _send(self, call: Call[_Value], keys: Keys) -> _Value:
        with self._sending(call):
            transport = await self._ready()
            return failures.value_of(call, await transport.send(call, keys))

    async def _ready(self) -> AsyncTransport:
        if self._transport is not None:
            return self._transport
        async with self._preparing:
            if self._transport is None:
                transport = AsyncSdkTransport(self.settings.route)
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
        take_error(fetching)  # callers that await it get it; the others continue with the old keys


def _refuses_keys(error: TrtcSetupError) -> bool:
    code = error.code or ""
    return code.startswith("AuthFailure") and code != WRONG_CLOCK
