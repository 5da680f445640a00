"""What is counted, as a test looks at it: an Airflow client that remembers, and a statsd that listens."""

from __future__ import annotations

import fnmatch
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

from typing_extensions import Self

from airflow_trtc import metrics
from airflow_trtc.metrics import METRICS, Found, Metric

BY_NAME = {metric.name: metric for metric in METRICS}


class Sent(NamedTuple):
    """One thing that was sent."""

    type: str
    name: str
    value: Any
    tags: dict[str, str] | None


class Meter:
    """Airflow's client, which remembers; it refuses what the table does not have."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, str] | None = None) -> None:
        self._take("counter", stat, count, tags)

    def gauge(self, stat: str, value: float, *, tags: dict[str, str] | None = None) -> None:
        self._take("gauge", stat, value, tags)

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str] | None = None) -> None:
        self._take("timer", stat, dt, tags)

    def _take(self, kind: str, name: str, value: Any, tags: dict[str, str] | None) -> None:
        self.sent.append(Sent(kind, name, value, tags))

    def total(self, metric: Metric, **tags: str) -> int:
        """What a counter with these tags, and any others, was raised by; how often a timer was sent."""
        metrics.flush()
        found = [one for one in self.sent if one.name == metric.name and _has(one, tags)]
        return sum(one.value if one.type == "counter" else 1 for one in found)

    def last(self, metric: Metric, **tags: str) -> float | None:
        """The last value of a gauge; None when it was not sent."""
        metrics.flush()
        values = [one.value for one in self.sent if one.name == metric.name and _has(one, tags)]
        return values[-1] if values else None

    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        """All that is told apart."""
        metrics.flush()
        return {(one.name, tuple((one.tags or {}).items())) for one in self.sent}

    def check(self) -> None:
        """All that was sent stands in the table, tags and their values too."""
        metrics.flush()
        for one in self.sent:
            metric = BY_NAME[one.name]
            assert one.type == metric.type
            assert list(one.tags or {}) == list(metric.tags)
            for name, value in (one.tags or {}).items():
                values = metric.tags[name]
                assert isinstance(values, str) or value in values, one


def _has(one: Sent, tags: dict[str, str]) -> bool:
    return tags.items() <= (one.tags or {}).items()


@contextmanager
def sending_to(find: Callable[[], Found | None] | None) -> Iterator[None]:
    """Send there for a while, and then where it was sent before."""
    import airflow_trtc.hooks  # noqa: F401 - which sends to Airflow from its import on

    before, metrics._outlet = metrics._outlet, None
    metrics.send_through(find)
    try:
        yield
    finally:
        metrics._outlet = before


@contextmanager
def metered(*, has_tags: bool = True) -> Iterator[Meter]:
    """Count for a test."""
    meter = Meter()
    with sending_to(lambda: Found(meter, has_tags)):
        yield meter


class Statsd:
    """A statsd server on a free UDP port of the loopback address; use it as a context manager."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    @property
    def settings(self) -> dict[tuple[str, str], object]:
        """Settings with which Airflow sends there."""
        return {
            ("metrics", "statsd_on"): True,
            ("metrics", "statsd_host"): "127.0.0.1",
            ("metrics", "statsd_port"): self.port,
        }

    def _listen(self) -> None:
        while data := self._socket.recv(65_536):
            self.lines += data.decode().splitlines()

    def ours(self) -> dict[str, list[str]]:
        """Names, with influxdb's tags in them, to what was sent: ``1|c``, ``12.5|ms``, ``3|g``."""
        found: dict[str, list[str]] = {}
        for line in tuple(self.lines):
            name, _, value = line.removeprefix("airflow.").rpartition(":")
            if name.startswith("trtc."):
                found.setdefault(name, []).append(value)
        return found

    def total(self, name: str) -> int:
        """What a counter was raised by."""
        return sum(int(value.removesuffix("|c")) for value in self.ours().get(name, ()))

    def wait_for(self, *names: str, seconds: float = 60.0) -> dict[str, list[str]]:
        """Wait until all of these were heard, whatever follows a star; return all that was."""
        give_up_at = time.monotonic() + seconds
        while missing := [name for name in names if not fnmatch.filter(self.ours(), name)]:
            assert time.monotonic() < give_up_at, f"{missing} not among {sorted(self.ours())}"
            time.sleep(0.02)
        return self.ours()


class Point(NamedTuple):
    """One value that OpenTelemetry exported; of a histogram the number of what it holds."""

    name: str
    tags: dict[str, str]
    value: float


class OtlpCollector:
    """A collector of OpenTelemetry on a free port of the loopback address; use it as a context manager."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.points += _points(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _points(body: bytes) -> Iterator[Point]:
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

    request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
    for scope in (scope for resource in request.resource_metrics for scope in resource.scope_metrics):
        for metric in scope.metrics:
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                tags = {one.key: one.value.string_value for one in point.attributes}
                value = point.count if "histogram" in kind else point.as_double or point.as_int
                yield Point(metric.name, tags, float(value))
