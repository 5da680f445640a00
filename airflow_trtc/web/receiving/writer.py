"""Stores callbacks in batches: one thread takes all that wait and writes them in one transaction.

One at a time would cost a commit each; together, as many as arrive during one commit share the next. They
are answered only after the commit.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_trtc.web.receiving import answers
from airflow_trtc.web.receiving.answers import Answer
from airflow_trtc.web.receiving.receiver import Row

ROWS_PER_TRANSACTION = 200
MAX_WAITING = 2000
WAIT_SECONDS = 4.0  # the service gives up after 5
WARNING_SECONDS = 60.0
MAX_CAUSES = 5

log = logging.getLogger(__name__)

Insert = Callable[[Sequence[Row]], "Answer | None"]  # None means: committed


@dataclass(slots=True)
class _Waiting:
    row: Row
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Answer | None]


class Writer:
    """The waiting callbacks of one process and the thread that stores them.

    :param insert: writes rows in one transaction; returns the answer for all of them when they cannot be
        stored and it is known why. May raise.
    :param stored: called after each commit, in the thread.
    :param wait_seconds: how long a callback waits for its commit, at most.
    :param max_waiting: how many callbacks may wait; what comes then is asked to come again.
    """

    def __init__(
        self,
        insert: Insert,
        stored: Callable[[], object] = lambda: None,
        *,
        wait_seconds: float = WAIT_SECONDS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._insert = insert
        self._stored = stored
        self._wait_seconds = wait_seconds
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self._warned_at = -WARNING_SECONDS

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None or not self._thread.is_alive():
            self._is_stopping = False
            self._thread = threading.Thread(target=self._run, name="trtc-writer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._is_stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(WAIT_SECONDS)

    async def store(self, row: Row) -> Answer | None:
        """Store it; None means: committed. What takes too long is written all the same, but not promised."""
        if len(self._waiting) >= self._max_waiting:
            return answers.RETRY_LATER
        if self._thread is None or not self._thread.is_alive():
            self.start()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(row, loop, loop.create_future())
        self._waiting.append(waiting)
        self._wake.set()
        try:
            return await asyncio.wait_for(waiting.answer, self._wait_seconds)
        except (TimeoutError, asyncio.TimeoutError):
            return answers.RETRY_LATER

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                count = min(len(self._waiting), ROWS_PER_TRANSACTION)
                batch = [self._waiting.popleft() for _ in range(count)]
                _answer_all(batch, self._write([waiting.row for waiting in batch]))
            if self._is_stopping:
                return

    def _write(self, rows: list[Row]) -> Answer | None:
        try:
            answer = self._insert(rows)
        except Exception as error:
            self._warn(error, len(rows))
            return answers.RETRY_LATER
        if answer is None:
            self._stored()
        return answer

    def _warn(self, error: Exception, count: int) -> None:
        # Not the message: it may repeat what was being written.
        now = time.monotonic()
        if now - self._warned_at >= WARNING_SECONDS:
            self._warned_at = now
            message = "Cannot store %d callbacks, error %s: %s (logged at most once a minute)"
            log.error(message, count, uuid.uuid4().hex[:8], describe(error))


def describe(error: BaseException) -> str:
    """Class names of an error and its causes; texts of databases quote the data."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < MAX_CAUSES:
        names.append(type(cause).__name__)
        cause = getattr(cause, "orig", None) or cause.__cause__
    return " <- ".join(names)


def _answer_all(batch: list[_Waiting], answer: Answer | None) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[Answer | None]]] = {}
    for waiting in batch:
        loops.setdefault(waiting.loop, []).append(waiting.answer)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, answer)
        except RuntimeError:  # the loop is closed, and nothing waits any more
            continue


def _resolve(futures: list[asyncio.Future[Answer | None]], answer: Answer | None) -> None:
    for future in futures:
        if not future.done():
            future.set_result(answer)
