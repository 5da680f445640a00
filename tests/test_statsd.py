"""Airflow's real clients, in processes of their own, and a real statsd that hears what they send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc import metrics
from airflow_trtc.emulator import Emulator
from tests.metering import OtlpCollector, Statsd
from tests.sending import MODES, tags_of
from tests.versions import HAS_STATE_STORE

pytestmark = pytest.mark.dags
TIMERS = {f"airflow.{one.name}" for one in metrics.METRICS if one.type == "timer"}
TYPES = {"counter": "1|c", "timer": "12.500000|ms", "gauge": "3|g"}


def send(*arguments: str, **options: Any) -> str:
    """Run `tests.sending` with options of Airflow's section ``[metrics]``; return what it prints."""
    section = {f"AIRFLOW__METRICS__{name.upper()}": str(value) for name, value in options.items()}
    run = subprocess.run(
        [sys.executable, "-m", "tests.sending", *arguments],
        env={**os.environ, **section},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1] if run.stdout else ""


def statsd_at(port: int, host: str = "127.0.0.1", **options: Any) -> dict[str, Any]:
    return {"statsd_on": True, "statsd_host": host, "statsd_port": port, **options}


def cleaned(metric: metrics.Metric) -> dict[str, str]:
    return {name: value.replace(".", "_").replace(" ", "_") for name, value in tags_of(metric).items()}


def test_plain_statsd_gets_tags_as_parts_of_the_name(airflow_db: Path) -> None:
    with Statsd() as statsd:
        send("table", **statsd_at(statsd.port))
        names = {".".join([one.name, *cleaned(one).values()]): one.type for one in metrics.METRICS}
        heard = statsd.wait_for(*names)
    assert set(heard) == set(names)
    assert {name: set(values) for name, values in heard.items()} == {
        name: {TYPES[kind]} for name, kind in names.items()
    }
    assert all(len(values) == 2 for name, values in heard.items() if names[name] != "gauge")


def test_influxdb_gets_tags(airflow_db: Path) -> None:
    with Statsd() as statsd:
        send("table", **statsd_at(statsd.port, statsd_influxdb_enabled=True))
        names = {
            one.name + "".join(f",{name}={value}" for name, value in cleaned(one).items())
            for one in metrics.METRICS
        }
        assert set(statsd.wait_for(*names)) == names


def test_the_list_of_allowed_metrics_is_kept_to(airflow_db: Path) -> None:
    with Statsd() as statsd:
        send("table", **statsd_at(statsd.port, metrics_allow_list="trtc.callback_lag,trtc.outages"))
        heard = statsd.wait_for("trtc.callback_lag")
    assert {name.split(".")[1] for name in heard} == {"callback_lag", "outages"}


def test_nothing_is_sent_where_metrics_are_off(airflow_db: Path) -> None:
    with Statsd() as statsd:
        send("table", **statsd_at(statsd.port) | {"statsd_on": False})
        assert not statsd.lines


def test_opentelemetry_gets_tags(airflow_db: Path) -> None:
    with OtlpCollector() as collector:
        send("table", otel_on=True, otel_host="127.0.0.1", otel_port=collector.port)
        heard = {(one.name, frozenset(one.tags.items())): one.value for one in collector.points}
    times = {"counter": 2.0, "timer": 2.0, "gauge": 3.0}
    ours = {
        (f"airflow.{one.name}", frozenset(cleaned(one).items())): times[one.type] for one in metrics.METRICS
    }
    if not HAS_STATE_STORE:  # before 3.3 a time is a gauge, in milliseconds
        ours |= {key: 12.5 for key in ours if key[0] in TIMERS}
    assert {key: value for key, value in heard.items() if key[0].startswith("airflow.trtc.")} == ours


def recordings(emulator: Emulator) -> list[str]:
    return [emulator.add_recording(files=2, ends_after_reads=2) for _ in MODES]


def test_whole_dags_are_heard_in_every_mode(trtc_connection: Emulator, airflow_db: Path) -> None:
    ids = recordings(trtc_connection)
    with Statsd() as statsd:
        results = json.loads(send("dag", *ids, **statsd_at(statsd.port)))
        assert results == ["success"] * 3
        heard = statsd.wait_for(*(f"trtc.waits_ended.recording.{mode}.gone" for mode in MODES))
        assert all(statsd.total(f"trtc.waits_begun.recording.{mode}") == 1 for mode in MODES)
        assert statsd.total("trtc.polls.recording.found") == 6
        assert statsd.total("trtc.api_calls.DescribeCloudRecording.ok") == 6
    assert not [name for name in heard if any(one in name for one in ids)]


@pytest.mark.parametrize("host, port", [("127.0.0.1", 9), ("statsd.invalid", 8125)])
def test_a_statsd_that_is_not_there_fails_no_wait(
    trtc_connection: Emulator, airflow_db: Path, host: str, port: int
) -> None:
    results = json.loads(send("dag", *recordings(trtc_connection), **statsd_at(port, host)))
    assert results == ["success"] * 3
