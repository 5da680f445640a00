"""What this package counts, and how that reaches the metrics which Airflow is configured to send.

`METRICS` is the one table of them. Where something is to be counted stands `count`, `timing`, `gauge` or
`presence`, which never raise and never wait: in event loops and in threads a thread of ours sends, and only
a task on a worker sends by itself, as Airflow does there. Gauges are sent every `GAUGE_SECONDS`, the last
value of each.

Nothing is sent before `send_through` said where to find Airflow's client. So a part that must not load
Airflow can count all the same, and a process without Airflow sends nothing. Where Airflow sends no metrics, a
call costs no more than the call itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NamedTuple, Protocol

GAUGE_SECONDS = 10.0
MAX_WAITING = 10_000  # on their way to the thread; what comes then is not counted
MAX_VALUE = 80  # characters of a tag's value

log = logging.getLogger(__name__)

# -- the table --------------------------------------------------------------------------------------------

Place = Literal["worker", "triggerer", "API server"]
Values = tuple[str, ...] | str
"""What a tag can say; a text describes values that are too many to list, though few."""

ACTION = "an action of the service"
KIND = "a kind of job"
EVENT = "the number of a documented event, or `other`"
HOSTNAME = "the machine"
MODE = ("poke", "reschedule", "deferrable")
REFUSALS = ("absent", "throttled", "transient", "setup", "failed")
JUDGED = ("exited", "gone", "callback", "never_seen")


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One row of the table.

    :param name: without the prefix that Airflow's configuration sets.
    :param tags: name to what it can say; never an id, never a text from outside.
    :param places: the processes that send it.
    :param meaning: for users.
    """

    name: str
    type: Literal["counter", "gauge", "timer"]
    places: tuple[Place, ...]
    meaning: str
    tags: Mapping[str, Values] = field(default_factory=dict)


API_CALLS = Metric(
    "trtc.api_calls",
    "counter",
    ("worker", "triggerer", "API server"),
    "requests sent to the service; a repeated one counts again",
    {"action": ACTION, "outcome": ("ok", *REFUSALS, "cancelled")},
)
API_CALL_TIME = Metric(
    "trtc.api_call_time",
    "timer",
    ("worker", "triggerer", "API server"),
    "how long the service took to answer",
    {"action": ACTION},
)
PACE_TIME = Metric(
    "trtc.pace_time",
    "timer",
    ("worker", "triggerer", "API server"),
    "how long a request waited for its turn, to keep the account's limit; not of shared polls",
    {"action": ACTION},
)
POLLS = Metric(
    "trtc.polls",
    "counter",
    ("worker", "triggerer"),
    "polls of jobs that are waited for; a shared one counts once",
    {"kind": KIND, "outcome": ("found", *REFUSALS)},
)
POLL_DELAY = Metric(
    "trtc.poll_delay",
    "timer",
    ("triggerer",),
    "how much later than wanted a shared poll went out",
    {"kind": KIND},
)
OUTAGES = Metric(
    "trtc.outages",
    "counter",
    ("triggerer",),
    "the service stopped answering polls; counted when it begins",
    {"action": ACTION},
)
BUDGET_USED = Metric(
    "trtc.budget_used",
    "gauge",
    ("triggerer",),
    "requests of shared polls in the last minute, as a share of those that the ceiling allows; of several"
    " accounts the highest",
    {"action": ACTION, "hostname": HOSTNAME},
)
POLLS_DUE = Metric(
    "trtc.polls_due",
    "gauge",
    ("triggerer",),
    "jobs whose shared poll should have gone out by now",
    {"action": ACTION, "hostname": HOSTNAME},
)
WAITS = Metric(
    "trtc.waits",
    "gauge",
    ("triggerer",),
    "deferred waits at present",
    {"kind": KIND, "state": ("never_seen", "running", "ended", "unanswered"), "hostname": HOSTNAME},
)
WAITS_BEGUN = Metric(
    "trtc.waits_begun",
    "counter",
    ("worker",),
    "tries of tasks that began to wait",
    {"kind": KIND, "mode": MODE},
)
WAITS_ENDED = Metric(
    "trtc.waits_ended",
    "counter",
    ("worker",),
    "waits that came to an end of their own",
    {
        "kind": KIND,
        "mode": MODE,
        "outcome": (
            *JUDGED,
            "setup",
            "refused",
            "recording",
            "no_callback",
            "empty",
            "timeout",
            "execution_timeout",
        ),
    },
)
WAIT_LAG = Metric(
    "trtc.wait_lag",
    "timer",
    ("worker",),
    "from the poll or callback that showed the end until the task had its results",
    {"kind": KIND, "mode": MODE, "outcome": JUDGED},
)
JOBS_STARTED = Metric("trtc.jobs_started", "counter", ("worker",), "jobs that were started", {"kind": KIND})
JOBS_STOPPED = Metric(
    "trtc.jobs_stopped",
    "counter",
    ("worker", "triggerer"),
    "stops that the service answered; `over`: there was nothing to stop any more",
    {"kind": KIND, "outcome": ("stopped", "over")},
)
ORPHANS = Metric(
    "trtc.orphans",
    "counter",
    ("API server",),
    "tries to stop jobs whose task was gone",
    {"kind": KIND, "outcome": ("stopped", "failed", "given_up")},
)
CALLBACK_REQUESTS = Metric(
    "trtc.callback_requests",
    "counter",
    ("API server",),
    "requests to the receiver, by its answer",
    {
        "answer": (
            "stored",
            "signature",
            "too_large",
            "too_slow",
            "not_post",
            "not_an_event",
            "application",
            "later",
            "no_journal",
            "no_store",
        )
    },
)
CALLBACKS = Metric(
    "trtc.callbacks",
    "counter",
    ("API server",),
    "callbacks that were stored and are now processed",
    {"event": EVENT, "fate": ("new", "repeated", "out_of_time", "set_aside")},
)
CALLBACK_DELAY = Metric(
    "trtc.callback_delay",
    "timer",
    ("API server",),
    "from the event, by the service's clock, until its callback was received",
    {"event": EVENT},
)
CALLBACK_LAG = Metric(
    "trtc.callback_lag",
    "timer",
    ("API server",),
    "from receiving a callback until it is processed, and waits can hear of it",
)
CALLBACK_BACKLOG = Metric(
    "trtc.callback_backlog",
    "gauge",
    ("API server",),
    "seconds that the oldest callback has waited to be processed",
)
PROCESSING_FAILURES = Metric(
    "trtc.processing_failures",
    "counter",
    ("API server",),
    "tries to process callbacks that failed as a whole; each is repeated",
)
FEED_OUTAGES = Metric(
    "trtc.feed_outages",
    "counter",
    ("triggerer",),
    "waits stopped hearing of callbacks; counted when it begins",
)

METRICS = (
    API_CALLS,
    API_CALL_TIME,
    PACE_TIME,
    POLLS,
    POLL_DELAY,
    OUTAGES,
    BUDGET_USED,
    POLLS_DUE,
    WAITS,
    WAITS_BEGUN,
    WAITS_ENDED,
    WAIT_LAG,
    JOBS_STARTED,
    JOBS_STOPPED,
    ORPHANS,
    CALLBACK_REQUESTS,
    CALLBACKS,
    CALLBACK_DELAY,
    CALLBACK_LAG,
    CALLBACK_BACKLOG,
    PROCESSING_FAILURES,
    FEED_OUTAGES,
)

# -- for what is counted ----------------------------------------------------------------------------------


def count(metric: Metric, number: int = 1, /, **tags: str) -> None:
    """Add to a counter."""
    if _outlet is not None:
        _outlet.send(metric, number, tags)


def timing(metric: Metric, seconds: float, /, **tags: str) -> None:
    """Note how long something took; a clock that was set back counts as no time."""
    if _outlet is not None:
        _outlet.send(metric, timedelta(seconds=max(seconds, 0.0)), tags)


def gauge(metric: Metric, value: float, /, **tags: str) -> None:
    """Set a gauge. For processes that live long: a thread sends it within `GAUGE_SECONDS`."""
    if _outlet is not None:
        _outlet.set_gauge(metric, value, tags)


@contextlib.contextmanager
def timed(metric: Metric, /, **tags: str) -> Iterator[None]:
    """Note how long the block takes, however it ends."""
    began_at = time.monotonic()
    try:
        yield
    finally:
        timing(metric, time.monotonic() - began_at, **tags)


class Presence:
    """One of those that a gauge counts; see `presence`."""

    __slots__ = ("_metric", "_outlet", "_shared", "_tags")

    def __init__(self, metric: Metric, outlet: _Outlet | None, shared: dict[str, str]) -> None:
        self._metric = metric
        self._outlet = outlet
        self._shared = shared
        self._tags: dict[str, str] | None = None

    def move(self, **tags: str) -> None:
        """Count with these tags, and no more with those of before."""
        if self._outlet is not None and (tags := {**self._shared, **tags}) != self._tags:
            self.leave()
            self._tags = tags
            self._outlet.change_gauge(self._metric, 1, tags)

    def leave(self) -> None:
        """Count no more."""
        if self._outlet is not None and self._tags is not None:
            self._outlet.change_gauge(self._metric, -1, self._tags)
            self._tags = None


@contextlib.contextmanager
def presence(metric: Metric, /, **shared: str) -> Iterator[Presence]:
    """Be one of those that a gauge counts, from the first `move` to the end of the block.

    :param shared: tags that stay the same.
    """
    one = Presence(metric, _outlet, shared)
    try:
        yield one
    finally:
        one.leave()


# -- the way to Airflow -----------------------------------------------------------------------------------


class Client(Protocol):
    """What is used of Airflow's client."""

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, str] | None = None) -> None:
        """Add to a counter."""

    def gauge(self, stat: str, value: float, *, tags: dict[str, str] | None = None) -> None:
        """Set a gauge."""

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str] | None = None) -> None:
        """Note a time."""


class Found(NamedTuple):
    """Airflow's client.

    :param has_tags: it sends tags; otherwise their values become parts of the name.
    """

    client: Client
    has_tags: bool


Find = Callable[[], Found | None]  # None: Airflow sends no metrics


def send_through(find: Find | None, *, gauge_seconds: float = GAUGE_SECONDS) -> None:
    """Send through Airflow's client.

    :param find: finds it, when there is something to send; may block. None: send nothing any more.
    """
    global _outlet
    if _outlet is not None and _outlet.find is find:
        return
    _outlet = None if find is None else _Outlet(find, gauge_seconds)


def flush(seconds: float = 5.0) -> bool:
    """Wait until all that was counted so far is sent, gauges too; whether it was. For tests."""
    return _outlet is None or _outlet.flush(seconds)


class _Outlet:
    """The way of one process."""

    def __init__(self, find: Find, gauge_seconds: float) -> None:
        self.find = find
        self._found: Found | None = None
        self.gauge_seconds = gauge_seconds
        self._gauges: dict[tuple[Metric, tuple[tuple[str, str], ...]], float] = {}
        self._gauges_lock = threading.Lock()
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._has_warned = False

    def send(self, metric: Metric, value: Any, tags: dict[str, str]) -> None:
        if _may_block():
            self._deliver(metric, value, tags)
        elif self._queue.qsize() < MAX_WAITING:
            self._queue.put((metric, value, tags))
            self._start()

    def set_gauge(self, metric: Metric, value: float, tags: dict[str, str]) -> None:
        with self._gauges_lock:
            self._gauges[metric, tuple(tags.items())] = value
        self._start()

    def change_gauge(self, metric: Metric, by: int, tags: dict[str, str]) -> None:
        key = metric, tuple(tags.items())
        with self._gauges_lock:
            self._gauges[key] = self._gauges.get(key, 0) + by
        self._start()

    def flush(self, seconds: float) -> bool:
        done = threading.Event()
        self._queue.put(done)
        self._start()
        return done.wait(seconds)

    def _start(self) -> None:
        # A signal handler may have interrupted the thread that holds the lock, so this never waits for it.
        if self._thread is None and self._starting.acquire(blocking=False):
            try:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="trtc-metrics", daemon=True)
                    thread.start()
                    self._thread = thread
            except RuntimeError:  # there may be no more threads, or the process ends
                pass
            finally:
                self._starting.release()

    def _run(self) -> None:
        due_at = time.monotonic() + self.gauge_seconds
        while _outlet is self:
            try:
                item = self._queue.get(timeout=max(0.0, due_at - time.monotonic()))
            except queue.Empty:
                self._send_gauges()
                due_at = time.monotonic() + self.gauge_seconds
                continue
            if isinstance(item, threading.Event):
                self._send_gauges()
                item.set()
            else:
                self._deliver(*item)

    def _send_gauges(self) -> None:
        with self._gauges_lock:
            gauges = list(self._gauges.items())
        for (metric, tags), value in gauges:
            self._deliver(metric, value, dict(tags))

    def _deliver(self, metric: Metric, value: Any, tags: dict[str, str]) -> None:
        try:
            self._found = self._found or self.find()
            if self._found is None:
                send_through(None)
            else:
                _hand_over(self._found, metric, value, tags)
        except Exception as error:  # whatever it is, it is not worth a task
            if not self._has_warned:
                self._has_warned = True
                why = f"{type(error).__name__}: {error}"
                log.warning(
                    "Cannot send the metric %s (%s); such errors are not logged again", metric.name, why
                )


def _hand_over(found: Found, metric: Metric, value: Any, tags: dict[str, str]) -> None:
    given = {"hostname": _hostname(), **tags} if "hostname" in metric.tags else tags
    values = {name: _clean(str(given[name])) for name in metric.tags}
    name = metric.name if found.has_tags else ".".join([metric.name, *values.values()])
    send: dict[str, Callable[..., None]] = {
        "counter": found.client.incr,
        "gauge": found.client.gauge,
        "timer": found.client.timing,
    }
    send[metric.type](name, value, tags=values if found.has_tags else None)


def _may_block() -> bool:
    """Whether this is the main thread, and no event loop runs in it: a task on a worker."""
    if threading.current_thread() is not threading.main_thread():
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


@functools.lru_cache(maxsize=1024)
def _clean(value: str) -> str:
    """What all of Airflow's clients accept as a tag's value, and as one part of a name."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", value)[:MAX_VALUE] or "none"


@functools.lru_cache(maxsize=1)
def _hostname() -> str:
    return socket.gethostname()


def _after_fork() -> None:
    """The thread did not come along; what it had to send is the parent's."""
    global _outlet
    if _outlet is not None:
        _outlet = _Outlet(_outlet.find, _outlet.gauge_seconds)


_outlet: _Outlet | None = None
os.register_at_fork(after_in_child=_after_fork)
