"""Sends callbacks to their receiver: when they are due, many at once, again and again until one arrives.

Lives in the server's event loop. What is due and what became of it is kept by
:class:`~airflow_trtc.emulator.callbacks.Callbacks`; the times between attempts are real seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from airflow_trtc.emulator import messages
from airflow_trtc.emulator.ledger import Attempt, Delivery
from airflow_trtc.emulator.sending import Connection, Reply, SendingError
from airflow_trtc.emulator.state import State, ignore_news

MAX_ANSWER_BYTES = 2000
"""Documented for room and media events: headers and body of an answer must stay within it."""

_RECORDINGS_AT_ONCE = 32
"""Between two batches of recordings that are due, the API gets its turn."""

_SHORTEST_PAUSE_SECONDS = 0.002

log = logging.getLogger("airflow_trtc.emulator")


class Dispatcher:
    """Sends everything that comes into the outbox of a state, until it is cancelled."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._settings = state.settings
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._ready: deque[Delivery] = deque()
        self._idle = [Connection() for _ in range(self._settings.callback_connections)]
        self._runs: set[asyncio.Task[None]] = set()
        self._is_woken = False

    async def run(self) -> None:
        """Send until cancelled."""
        with self._state.lock:
            self._state.callbacks.resume()
            self._state.on_news = self._wake
        try:
            while True:
                self._news.clear()
                await self._sleep(self._take())
        finally:
            with self._state.lock:
                self._state.on_news = ignore_news
            for each in self._runs:
                each.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)
            for connection in self._idle:
                connection.close()

    def _wake(self) -> None:
        """Make :meth:`run` check the outbox again. Called under the state's lock, from any thread."""
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._news.set)

    def _take(self) -> float | None:
        """Take what is due, and return the real seconds until there is more, None if that is unknown."""
        with self._state.lock:
            self._is_woken = False
            callbacks, clock = self._state.callbacks, self._state.clock
            callbacks.collect(clock.now(), _RECORDINGS_AT_ONCE)
            taken, callbacks.outbox = callbacks.outbox, deque()
            instant = callbacks.next_at()
            pause = None if instant is None else clock.real_seconds_until(instant)
        for delivery in taken:
            delay = delivery.record.fate.delays[delivery.copy - 1]
            self._enqueue(delivery, delay if not delivery.attempts else 0.0)
        return pause

    async def _sleep(self, pause: float | None) -> None:
        if pause is None:
            await self._news.wait()
            return
        if pause <= 0:
            await asyncio.sleep(0)
            return
        alarm = self._loop.call_later(max(pause, _SHORTEST_PAUSE_SECONDS), self._news.set)
        try:
            await self._news.wait()
        finally:
            alarm.cancel()

    def _enqueue(self, delivery: Delivery, delay: float = 0.0) -> None:
        if delay:
            self._loop.call_later(delay, self._enqueue, delivery)
            return
        self._ready.append(delivery)
        if self._idle:
            run = self._loop.create_task(self._send_all(self._idle.pop()))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)

    async def _send_all(self, connection: Connection) -> None:
        """Send over one connection as long as there is something to send."""
        try:
            while self._ready:
                await self._deliver(connection, self._ready.popleft())
        finally:
            self._idle.append(connection)

    async def _deliver(self, connection: Connection, delivery: Delivery) -> None:
        with self._state.lock:
            callbacks = self._state.callbacks
            if delivery not in callbacks.ledger.on_their_way:
                return
            url, key = callbacks.url, callbacks.key
            if url is None:
                callbacks.ledger.drop(delivery)
                return
            sent_at = self._state.clock.now() + self._state.clock_skew_seconds
        record = delivery.record
        # A repeated event may be written differently: only its content shows that it is the same.
        is_indented = record.fate.is_indented[(delivery.copy + delivery.attempts) % 2]
        body = messages.body_of(messages.envelope(record.event, sent_at), is_indented=is_indented)
        headers = messages.headers(body, record.sdk_app_id, key)
        begun_at, began = self._state.wall(), self._loop.time()
        delivery.first_attempt_at = delivery.first_attempt_at or began
        attempt = Attempt(delivery.copy, begun_at, 0.0)
        try:
            reply = await connection.post(
                url, headers, body, timeout_seconds=self._settings.callback_timeout_seconds
            )
            attempt.status, attempt.error = reply.status, _objection(reply)
        except SendingError as error:
            attempt.error = str(error)
        attempt.seconds = round(self._loop.time() - began, 6)
        self._conclude(delivery, attempt)

    def _conclude(self, delivery: Delivery, attempt: Attempt) -> None:
        record = delivery.record
        log.info("callback %s %s %s", record.event.type, record.recording_id or "-", attempt.error or "OK")
        with self._state.lock:
            ledger = self._state.callbacks.ledger
            if delivery not in ledger.on_their_way:
                return
            ledger.note(delivery, attempt)
            if attempt.error is None:
                return
            wait = 0.0 if delivery.attempts == 1 else self._settings.callback_retry_seconds
            age = self._loop.time() - delivery.first_attempt_at
            if age + wait > self._settings.callback_lifetime_seconds:
                ledger.drop(delivery)
                return
        self._enqueue(delivery, wait)


def _objection(reply: Reply) -> str | None:
    if reply.status != 200:
        return f"status {reply.status}"
    if reply.size > MAX_ANSWER_BYTES:
        return f"an answer of {reply.size} bytes, at most {MAX_ANSWER_BYTES} are allowed"
    return None
