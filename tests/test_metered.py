"""What each part counts while it works: the same parts as everywhere, with a client that remembers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_trtc import metrics
from airflow_trtc.cloud import budget
from airflow_trtc.cloud import pace as pacing
from airflow_trtc.cloud.client import TrtcClient
from airflow_trtc.emulator import Emulator
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.hooks import KIND_STARTED_BY, TrtcHook
from airflow_trtc.kinds import KINDS
from airflow_trtc.triggers import TrtcJobTrigger
from tests.metering import Meter, sending_to

DAGS = Path(__file__).parent / "dags" / "waits.py"
MODES = ["poke", "reschedule", "deferrable"]
DESCRIBE, STOP = "DescribeCloudRecording", "DeleteCloudRecording"


@pytest.fixture(autouse=True)
def own_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of another test may be slow."""
    monkeypatch.setattr(budget, "_budgets", {})


# -- calls ----------------------------------------------------------------------------------------------


def test_every_request_counts_with_its_outcome(trtc_connection: Emulator, meter: Meter) -> None:
    running = trtc_connection.add_recording()
    gone = trtc_connection.add_recording(ended=True)
    trtc_connection.fault("throttle", count=2, recording_id=running)
    hook = TrtcHook()
    hook._client = TrtcClient(hook.settings, sleep=lambda _: None)
    hook.describe("recording", running)
    with pytest.raises(Exception, match="ResourceNotFound"):
        hook.describe("recording", gone)
    assert meter.total(metrics.API_CALLS, action=DESCRIBE, outcome="throttled") == 2
    assert meter.total(metrics.API_CALLS, action=DESCRIBE, outcome="ok") == 1
    assert meter.total(metrics.API_CALLS, action=DESCRIBE, outcome="absent") == 1
    assert meter.total(metrics.API_CALL_TIME, action=DESCRIBE) == 4
    assert meter.total(metrics.PACE_TIME, action=DESCRIBE) == 4


def test_a_wrong_key_counts_as_wrong_set_up(
    trtc_connection: Emulator, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = json.dumps({**trtc_connection.connection, "password": "wrong"})
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", wrong)
    with pytest.raises(TrtcSetupError):
        TrtcHook().describe("recording", "some")
    assert meter.total(metrics.API_CALLS, outcome="setup") == 1


def test_a_request_that_nobody_waits_for_any_more_counts_as_cancelled(
    trtc_connection: Emulator, meter: Meter
) -> None:
    trtc_connection.fault("hang", action=DESCRIBE)

    async def main() -> None:
        async with TrtcHook() as hook:
            asking = asyncio.create_task(hook.adescribe("recording", "some"))
            while hook._aclient is None or hook._aclient._transport is None:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.wait([asking])

    asyncio.run(main())
    assert meter.total(metrics.API_CALLS, action=DESCRIBE, outcome="cancelled") == 1
    assert meter.total(metrics.API_CALLS) == 1


def test_jobs_count_when_they_start_and_when_they_are_stopped(
    trtc_connection: Emulator, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = TrtcHook()
    running = trtc_connection.add_recording()
    assert hook.stop("recording", running)
    assert not hook.stop("recording", running)
    assert meter.total(metrics.JOBS_STOPPED, kind="recording", outcome="stopped") == 1
    assert meter.total(metrics.JOBS_STOPPED, kind="recording", outcome="over") == 1
    client = SimpleNamespace(run=lambda call, attempts: "made-up-id")
    monkeypatch.setattr(hook, "get_conn", lambda: client)
    hook.start("recording", {})
    assert meter.total(metrics.JOBS_STARTED, kind="recording") == 1
    assert meter.total(metrics.JOBS_STARTED) == 1


def test_every_kind_that_can_be_started_is_known_by_its_start() -> None:
    """However it is started: by an operator of its own, or as any action."""
    startable = [kind.name for kind in KINDS.values() if kind.start_action]
    assert list(KIND_STARTED_BY.values()) == startable


# -- waits ----------------------------------------------------------------------------------------------


def trigger(emulator: Emulator, recording_id: str, **options: Any) -> TrtcJobTrigger:
    rules = {"grace_seconds": options.pop("grace_seconds", 0.2), "settle_seconds": 0.1}
    place = {"kind": "recording", "sdk_app_id": emulator.sdk_app_id, "region": emulator.region}
    pace = {"poke_interval": 0.05, "deferred_at": time.time(), "is_recalled": True}
    return TrtcJobTrigger(job_id=recording_id, rules=rules, **{**place, **pace, **options})


def run(*waits: TrtcJobTrigger, seconds: float = 240.0) -> None:
    async def fired(one: TrtcJobTrigger) -> None:
        assert [event async for event in one.run()]

    async def main() -> None:
        await asyncio.wait_for(asyncio.gather(*map(fired, waits)), seconds)

    asyncio.run(main())


def test_deferred_waits_are_told_apart_by_their_state(trtc_connection: Emulator, meter: Meter) -> None:
    async def main() -> None:
        waits = [
            trigger(trtc_connection, trtc_connection.add_recording()),
            trigger(trtc_connection, trtc_connection.add_recording()),
            trigger(trtc_connection, "never-known", grace_seconds=60.0),
        ]
        tasks = [asyncio.create_task(anext(one.run())) for one in waits]  # type: ignore[arg-type, var-annotated]
        give_up_at = time.monotonic() + 60
        while (states := seen()) != {"running": 2.0, "never_seen": 1.0}:
            assert time.monotonic() < give_up_at, states
            await asyncio.sleep(0.05)
        trtc_connection.fault("outage")
        while seen().get("unanswered") != 2.0:
            assert time.monotonic() < give_up_at, seen()
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def seen() -> dict[str, float]:
        states = metrics.WAITS.tags["state"]
        values = {state: meter.last(metrics.WAITS, kind="recording", state=state) for state in states}
        return {state: value for state, value in values.items() if value}

    asyncio.run(main())
    assert seen() == {}
    assert meter.total(metrics.OUTAGES, action=DESCRIBE) == 1


def test_polls_that_waits_share_count_once(trtc_connection: Emulator, meter: Meter) -> None:
    recording_id = trtc_connection.add_recording(ends_after_reads=3)
    run(*(trigger(trtc_connection, recording_id) for _ in range(5)))
    found = meter.total(metrics.POLLS, kind="recording", outcome="found")
    assert found == meter.total(metrics.API_CALLS, action=DESCRIBE, outcome="ok") == 3
    polls = meter.total(metrics.POLLS)
    assert polls == meter.total(metrics.API_CALLS) == meter.total(metrics.POLL_DELAY, kind="recording")


@pytest.mark.trtc_emulator(rate_limit=0)
def test_a_thousand_waits_make_no_more_series_than_ten(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "START_SHARE", 1.0)
    connection = trtc_connection.connection
    connection["extra"]["requests_per_second"] = 1000
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(connection))

    def series(number: int) -> set[Any]:
        meter = Meter()
        with sending_to(lambda: metrics.Found(meter, True)):
            ids = [trtc_connection.add_recording(ends_after_reads=1) for _ in range(number)]
            run(*(trigger(trtc_connection, one, poke_interval=0.5) for one in ids))
            meter.check()
            assert meter.total(metrics.POLLS, outcome="found") == number
            # What a pulse sends comes only where waits last that long.
            by_pulses = {metrics.BUDGET_USED.name, metrics.POLLS_DUE.name}
            return {one for one in meter.series() if one[0] not in by_pulses}

    few = series(10)
    assert len(few) > 5
    assert series(1000) == few


@pytest.fixture
def wait(trtc_connection: Emulator, run_dag: Callable[..., Any]) -> Callable[..., Any]:
    def run(mode: str, recording_id: str, variant: str = "plain") -> Any:
        return run_dag(DAGS, f"wait_{mode}_{variant}", {"recording_id": recording_id})

    return run


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_counts_when_it_begins_and_when_it_ends(
    wait: Callable[..., Any], trtc_connection: Emulator, meter: Meter, mode: str
) -> None:
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=2)
    assert wait(mode, recording_id).state == "success"
    assert (
        meter.total(metrics.WAITS_BEGUN) == meter.total(metrics.WAITS_BEGUN, kind="recording", mode=mode) == 1
    )
    assert meter.total(metrics.WAITS_ENDED) == 1
    assert meter.total(metrics.WAITS_ENDED, kind="recording", mode=mode, outcome="gone") == 1
    assert meter.total(metrics.WAIT_LAG, mode=mode, outcome="gone") == 1
    assert meter.total(metrics.POLLS, outcome="found") == 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "variant, outcome", [("short", "timeout"), ("wrong_key", "setup"), ("plain", "never_seen")]
)
def test_a_wait_that_fails_says_how(
    wait: Callable[..., Any],
    trtc_connection: Emulator,
    meter: Meter,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    variant: str,
    outcome: str,
) -> None:
    wrong = json.dumps({**trtc_connection.connection, "password": "wrong"})
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_WRONG_KEY", wrong)
    recording_id = "unknown" if variant == "plain" else trtc_connection.add_recording()
    assert wait(mode, recording_id, variant).state == "failed"
    assert meter.total(metrics.WAITS_ENDED) == 1
    assert meter.total(metrics.WAITS_ENDED, kind="recording", mode=mode, outcome=outcome) == 1
    assert meter.total(metrics.WAIT_LAG) == 0
