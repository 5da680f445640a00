"""What the API server counts: requests to the receiver, callbacks by their fate, orphans."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from airflow_trtc import metrics
from airflow_trtc.jobs.callback import sign
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.journal.keys import inbox_key, inbox_ms
from airflow_trtc.journal.owners import Owner, TaskId
from airflow_trtc.web.processing import counting, database, folding
from airflow_trtc.web.processing.orphans import OrphanWatch
from airflow_trtc.web.processing.processor import CallbackProcessor
from airflow_trtc.web.receiving import answers
from airflow_trtc.web.receiving.connection_cache import ConnectionCache, ReceiverConfig
from airflow_trtc.web.receiving.receiver import Receiver, Row
from tests.metering import Meter
from tests.web.conftest import APP, START_MS, Store, event, in_row, story

NOW = datetime.fromtimestamp(START_MS / 1000 + 4, timezone.utc)


# -- receiving ------------------------------------------------------------------------------------------


def post(body: Any, key: str = "key", *, method: str = "POST", is_full: bool = False) -> int:
    async def store(_: Row) -> answers.Answer | None:
        return answers.RETRY_LATER if is_full else None

    cache = ConnectionCache(lambda _: ReceiverConfig(keys=("key",), sdk_app_id=APP))
    receiver = Receiver(cache, store, refuse_seconds=0)
    app = Starlette(routes=[Route("/callbacks/{conn_id}", receiver)])

    async def send() -> int:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            signed = {"Sign": sign(key, content), "SdkAppId": str(APP)}
            answer = await client.request(method, "/callbacks/one", content=content, headers=signed)
            return answer.status_code

    return asyncio.run(send())


def test_requests_count_by_their_answer(meter: Meter) -> None:
    assert post(event(301)) == 200
    assert [post(event(301), "wrong") for _ in range(2)] == [401, 401]
    assert post(b"[]") == 400
    assert post(b"x" * 300_000) == 413
    assert post(event(301), method="GET") == 405
    assert post(event(301), is_full=True) == 503
    words = {word: meter.total(metrics.CALLBACK_REQUESTS, answer=word) for word in ANSWERS}
    expected = {"stored": 1, "signature": 2, "not_an_event": 1, "too_large": 1, "not_post": 1, "later": 1}
    assert {word: number for word, number in words.items() if number} == expected


ANSWERS = metrics.CALLBACK_REQUESTS.tags["answer"]


# -- processing -----------------------------------------------------------------------------------------


def batch(*events: dict[str, Any]) -> folding.Batch:
    rows = dict(in_row(one, START_MS + number) for number, one in enumerate(events))
    return folding.read_inbox(rows, START_MS)


def test_callbacks_count_by_their_fate(meter: Meter) -> None:
    one = batch(event(301), event(301), event(302), event(303), event(305))
    started, left, _, uploaded = one.received
    one.bad[uploaded.key] = "{}"
    with counting.counting(NOW) as tally:
        tally.note(one, [started, left, uploaded], [started])

    def fates(**tags: str) -> int:
        return meter.total(metrics.CALLBACKS, **tags)

    assert (fates(fate="new"), fates(fate="new", event="301")) == (1, 1)
    assert (fates(fate="out_of_time"), fates(event="302")) == (1, 1)
    assert (fates(fate="repeated", event="301"), fates(fate="repeated", event="303")) == (1, 1)
    assert (fates(fate="set_aside", event="other"), fates()) == (1, 5)


def test_times_are_those_of_new_callbacks(meter: Meter) -> None:
    rows = dict([in_row(event(301, at_ms=START_MS - 2000), START_MS)])
    one = folding.read_inbox(rows, START_MS)
    for number in range(2):  # the second time it is a repetition
        with counting.counting(NOW) as tally:
            new = [] if number else one.received
            tally.note(one, new, new)
    metrics.flush()
    times = {sent.name: (sent.value, sent.tags) for sent in meter.sent if sent.type == "timer"}
    assert times == {
        "trtc.callback_lag": (timedelta(seconds=4), {}),
        "trtc.callback_delay": (timedelta(seconds=2), {"event": "301"}),
    }


def test_nothing_counts_that_was_not_committed(meter: Meter) -> None:
    one = batch(event(301))

    def transaction() -> None:
        with counting.counting(NOW) as tally:
            tally.note(one, one.received, one.received)
            raise OSError("the database is away")

    with pytest.raises(OSError, match="away"):
        transaction()
    assert meter.series() == set()


def test_events_that_nobody_documents_make_one_series(meter: Meter) -> None:
    """Whoever holds the key, or may write rows, could make up millions."""
    for number in range(100_000, 101_000):
        one = batch(event(number, task=f"job-{number}"))
        with counting.counting(NOW) as tally:
            tally.note(one, one.received, one.received)
    assert len(meter.series()) == 3
    assert meter.total(metrics.CALLBACKS, event="other", fate="new") == 1000


@pytest.mark.parametrize("key", ["", "in/", "in/abc", "in/12", "ev/1768960945000/x"])
def test_a_key_that_holds_no_time(key: str) -> None:
    assert inbox_ms(key) is None


def test_the_backlog_is_the_age_of_the_oldest(meter: Meter) -> None:
    assert inbox_ms(inbox_key(START_MS, APP, "identity")) == START_MS
    counting.count_backlog(inbox_key(START_MS, APP, "identity"), NOW)
    assert meter.last(metrics.CALLBACK_BACKLOG) == 4.0
    counting.count_backlog(None, NOW)
    assert meter.last(metrics.CALLBACK_BACKLOG) == 0.0


def test_what_is_processed_counts(store: Store, meter: Meter) -> None:
    store.put(*story("rec"), event(555, "rec"))
    assert CallbackProcessor(clock=lambda: NOW).work()
    store.put(*story("rec"), received_at_ms=START_MS + 100)
    store.write({inbox_key(START_MS, APP, "broken"): "{}"})
    assert CallbackProcessor(clock=lambda: NOW).work()
    fates = {fate: meter.total(metrics.CALLBACKS, fate=fate) for fate in metrics.CALLBACKS.tags["fate"]}
    assert fates == {"new": 6, "repeated": 5, "out_of_time": 0, "set_aside": 1}
    assert meter.total(metrics.CALLBACKS, event="other", fate="new") == 1
    assert meter.total(metrics.CALLBACK_LAG) == 6
    assert meter.last(metrics.CALLBACK_BACKLOG) == 0.0


def test_a_database_that_fails_counts(store: Store, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise OSError("away")

    monkeypatch.setattr(database, "find_work", fails)
    one = CallbackProcessor(tick_seconds=0.001)
    one._work_once()
    assert meter.total(metrics.PROCESSING_FAILURES) == 1


def test_orphans_count(store: Store, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {"one": None, "two": "it does not answer"}
    watch = OrphanWatch(stop_job=lambda owner: errors[owner.job.job_id])
    for job_id in errors:
        task = TaskId("dag", "run", "task", -1)
        owner = Owner(task, JobRef("recording", APP, "ap-guangzhou", job_id), 1, 0, "trtc_default")
        store.write({owner.key: json.dumps(owner.value)})
        watch._stop_one(owner.key, json.dumps(owner.value), owner)
    assert meter.total(metrics.ORPHANS, kind="recording", outcome="stopped") == 1
    assert meter.total(metrics.ORPHANS, kind="recording", outcome="failed") == 1
