"""The table of metrics, and the way to Airflow's client."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from airflow_trtc import metrics
from airflow_trtc.jobs.verdict import Failure, Outcome
from airflow_trtc.metrics import METRICS, Found, Metric
from tests.metering import Meter, metered, sending_to

PACKAGE = Path(metrics.__file__).parent
SOURCES = [path for path in PACKAGE.rglob("*.py") if path != Path(metrics.__file__)]
ROWS = {name: value for name, value in vars(metrics).items() if isinstance(value, Metric)}


# -- the table ------------------------------------------------------------------------------------------


def test_the_table_has_every_row_once() -> None:
    assert list(METRICS) == list(ROWS.values())
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_suit_every_client(metric: Metric) -> None:
    assert re.fullmatch(r"trtc\.[a-z]+(_[a-z]+)*", metric.name)
    values = [value for one in metric.tags.values() if not isinstance(one, str) for value in one]
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", value) for value in (*metric.tags, *values))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_no_tag_is_an_id(metric: Metric) -> None:
    """What grows with use would cost whoever keeps the metrics a series each."""
    assert set(metric.tags) <= {
        "action",
        "answer",
        "event",
        "fate",
        "hostname",
        "kind",
        "mode",
        "outcome",
        "state",
    }


def test_outcomes_of_waits_are_those_of_the_judge() -> None:
    outcomes = {*get_args(Outcome), *(failure.value for failure in Failure), "timeout", "execution_timeout"}
    assert set(metrics.WAITS_ENDED.tags["outcome"]) == outcomes
    assert metrics.WAIT_LAG.tags["outcome"] == get_args(Outcome)


def test_answers_are_those_of_the_receiver() -> None:
    from airflow_trtc.web.receiving import answers

    said = [one for one in vars(answers).values() if isinstance(one, answers.Answer)]
    words = {one.word for one in (*said, answers.not_an_event("reason"))}
    assert words == set(metrics.CALLBACK_REQUESTS.tags["answer"])


def calls() -> Iterator[tuple[str, str, set[str | None]]]:
    """Where something is counted: the function, the row, and the tags, None for what is handed on."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if ast.unparse(node.func).startswith("metrics.") and node.args:
                first = ast.unparse(node.args[0])
                if first.startswith("metrics."):
                    yield node.func.attr, first.removeprefix("metrics."), {each.arg for each in node.keywords}


def test_every_metric_is_counted_somewhere_with_its_tags() -> None:
    functions = {"counter": {"count"}, "timer": {"timing", "timed"}, "gauge": {"gauge", "presence"}}
    counted = set()
    for function, row, tags in calls():
        metric = ROWS[row]
        counted.add(row)
        assert function in functions[metric.type], row
        if function == "presence":
            assert tags < set(metric.tags), row
        elif None not in tags:
            assert tags == set(metric.tags) - {"hostname"}, row  # which comes by itself
    assert counted == set(ROWS)


# -- the way --------------------------------------------------------------------------------------------


def test_a_task_sends_by_itself(meter: Meter) -> None:
    metrics.count(metrics.JOBS_STARTED, kind="recording")
    metrics.timing(metrics.API_CALL_TIME, 0.25, action="DescribeCloudRecording")
    assert meter.sent == [
        ("counter", "trtc.jobs_started", 1, {"kind": "recording"}),
        ("timer", "trtc.api_call_time", timedelta(seconds=0.25), {"action": "DescribeCloudRecording"}),
    ]


def test_a_clock_that_was_set_back_counts_as_no_time(meter: Meter) -> None:
    metrics.timing(metrics.CALLBACK_LAG, -5.0)
    assert meter.sent == [("timer", "trtc.callback_lag", timedelta(0), {})]


def test_a_client_without_tags_gets_them_in_the_name() -> None:
    with metered(has_tags=False) as meter:
        metrics.count(metrics.API_CALLS, outcome="ok", action="DescribeCloudRecording")
        metrics.count(metrics.PROCESSING_FAILURES)
    assert [one.name for one in meter.sent] == [
        "trtc.api_calls.DescribeCloudRecording.ok",
        "trtc.processing_failures",
    ]
    assert all(one.tags is None for one in meter.sent)


@pytest.mark.parametrize(
    "value, sent",
    [
        ("a.b", "a_b"),
        ("a,b=c|d:e@f#g\nh", "a_b_c_d_e_f_g_h"),
        ("", "none"),
        ("x" * 500, "x" * 80),
        ("课", "_"),
    ],
)
def test_whatever_a_tag_says_cannot_break_a_line(meter: Meter, value: str, sent: str) -> None:
    metrics.count(metrics.JOBS_STARTED, kind=value)
    assert meter.sent[0].tags == {"kind": sent}


def test_an_event_loop_never_waits_for_the_client() -> None:
    free = threading.Event()

    class Slow(Meter):
        def incr(self, stat: str, count: int = 1, *, tags: dict[str, str] | None = None) -> None:
            assert free.wait(10)
            super().incr(stat, count, tags=tags)

    slow = Slow()

    async def main() -> None:
        metrics.count(metrics.FEED_OUTAGES)
        assert not slow.sent  # the loop goes on, although the client does not
        free.set()

    with sending_to(lambda: Found(slow, True)):
        asyncio.run(main())
        assert slow.total(metrics.FEED_OUTAGES) == 1


def test_neither_does_a_thread() -> None:
    senders = set()

    class Watched(Meter):
        def incr(self, stat: str, count: int = 1, *, tags: dict[str, str] | None = None) -> None:
            senders.add(threading.current_thread().name)

    with sending_to(lambda: Found(Watched(), True)):
        thread = threading.Thread(target=metrics.count, args=(metrics.FEED_OUTAGES,))
        thread.start()
        thread.join()
        metrics.flush()
    assert senders == {"trtc-metrics"}


def test_what_the_client_raises_is_said_once_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Meter):
        def _take(self, *arguments: Any) -> None:
            raise OSError("network is unreachable")

    with sending_to(lambda: Found(Broken(), True)):
        for _ in range(3):
            metrics.count(metrics.FEED_OUTAGES)
    [record] = caplog.records
    assert "Cannot send the metric trtc.feed_outages (OSError: network is unreachable)" in record.message


def test_a_client_that_cannot_be_made_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def find() -> Found | None:
        raise ImportError("no module named statsd")

    with sending_to(find):
        metrics.count(metrics.FEED_OUTAGES)
        metrics.count(metrics.FEED_OUTAGES)
    assert len(caplog.records) == 1


def test_where_airflow_sends_nothing_nothing_is_done_any_more() -> None:
    asked = []

    def find() -> Found | None:
        asked.append(1)
        return None

    with sending_to(find):
        metrics.count(metrics.FEED_OUTAGES)
        metrics.count(metrics.FEED_OUTAGES)
        assert metrics._outlet is None
        with metrics.presence(metrics.WAITS, kind="recording") as presence:
            presence.move(state="running")
        metrics.gauge(metrics.CALLBACK_BACKLOG, 1.0)
    assert len(asked) == 1


def test_a_client_that_is_stuck_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_WAITING", 5)
    free = threading.Event()

    class Stuck(Meter):
        def incr(self, stat: str, count: int = 1, *, tags: dict[str, str] | None = None) -> None:
            free.wait(5)
            super().incr(stat, count, tags=tags)

    async def main() -> None:
        for _ in range(100):
            metrics.count(metrics.FEED_OUTAGES)

    stuck = Stuck()
    with sending_to(lambda: Found(stuck, True)):
        asyncio.run(main())
        free.set()
        assert 5 <= stuck.total(metrics.FEED_OUTAGES) <= 6


def test_a_process_that_can_start_no_thread_goes_on(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        metrics.count(metrics.FEED_OUTAGES)
        metrics.gauge(metrics.CALLBACK_BACKLOG, 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        asyncio.run(main())
    assert meter.total(metrics.FEED_OUTAGES) == 1  # later, when there are threads again


def test_a_forked_process_sends_too() -> None:
    """Its parent's thread did not come along."""
    reading, writing = os.pipe()

    class Writing(Meter):
        def incr(self, stat: str, count: int = 1, *, tags: dict[str, str] | None = None) -> None:
            os.write(writing, f"{os.getpid()}\n".encode())

    async def main() -> None:
        metrics.count(metrics.FEED_OUTAGES)
        metrics.flush()

    with sending_to(lambda: Found(Writing(), True)):
        asyncio.run(main())
        if not (child := os.fork()):
            asyncio.run(main())
            os._exit(0)
        os.waitpid(child, 0)
    assert os.read(reading, 100).decode().split() == [str(os.getpid()), str(child)]
    os.close(reading)
    os.close(writing)


# -- gauges ---------------------------------------------------------------------------------------------


def test_a_gauge_sends_its_last_value(meter: Meter) -> None:
    for value in (3.0, 2.0, 7.0):
        metrics.gauge(metrics.CALLBACK_BACKLOG, value)
    metrics.flush()
    assert meter.sent == [("gauge", "trtc.callback_backlog", 7.0, {})]


def test_a_gauge_is_sent_again_and_again() -> None:
    meter = Meter()
    with sending_to(None):
        metrics.send_through(lambda: Found(meter, True), gauge_seconds=0.01)
        metrics.gauge(metrics.CALLBACK_BACKLOG, 1.0)
        give_up_at = time.monotonic() + 60
        while len(meter.sent) < 3:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)


def test_waits_are_counted_by_what_they_are(meter: Meter) -> None:
    def waiting(state: str) -> float | None:
        return meter.last(metrics.WAITS, kind="recording", state=state)

    with metrics.presence(metrics.WAITS, kind="recording") as one:
        one.move(state="never_seen")
        with metrics.presence(metrics.WAITS, kind="recording") as other:
            other.move(state="never_seen")
            other.move(state="running")
            other.move(state="running")
            assert (waiting("never_seen"), waiting("running")) == (1, 1)
        assert (waiting("never_seen"), waiting("running")) == (1, 0)
    assert (waiting("never_seen"), waiting("running")) == (0, 0)
    meter.check()


def test_a_wait_that_never_listened_counts_nowhere(meter: Meter) -> None:
    with metrics.presence(metrics.WAITS, kind="recording"):
        pass
    assert meter.last(metrics.WAITS) is None
