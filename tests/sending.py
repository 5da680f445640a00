"""Counts in a process of its own, through the Airflow client that its environment configures.

python -m tests.sending table      # each metric once as a task does, and once in an event loop
python -m tests.sending dag ID...  # a wait for each recording, in one mode each; prints how they ended
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from airflow_trtc import metrics
from airflow_trtc.metrics import METRICS, Metric

MODES = ("poke", "reschedule", "deferrable")
DAGS = Path(__file__).parent / "dags" / "waits.py"


def tags_of(metric: Metric) -> dict[str, str]:
    """Some value for each tag; what is described instead of listed may have odd ones."""
    return {name: "a.b c" if isinstance(values, str) else values[0] for name, values in metric.tags.items()}


def count_all() -> None:
    """Count each once."""
    for metric in METRICS:
        tags = tags_of(metric)
        if metric.type == "counter":
            metrics.count(metric, **tags)
        elif metric.type == "timer":
            metrics.timing(metric, 0.0125, **tags)
        else:
            metrics.gauge(metric, 3, **tags)


def send_table() -> None:
    """See the module."""
    import airflow_trtc.hooks  # noqa: F401 - from its import on it is sent to Airflow's client

    async def count_in_a_loop() -> None:
        count_all()

    count_all()
    asyncio.run(count_in_a_loop())
    metrics.flush(60)


def run_dags(recording_ids: list[str]) -> None:
    """See the module."""
    from typing import Any, cast

    from airflow_trtc.testing import TrtcAirflow

    airflow = TrtcAirflow(Path(os.environ["AIRFLOW_HOME"]), cast("Any", None), os.environ.__setitem__)
    found = []
    for mode, recording_id in zip(MODES, recording_ids, strict=True):
        run = airflow.run(DAGS, {"recording_id": recording_id}, dag_id=f"wait_{mode}_plain")
        found.append(run.state)
    metrics.flush(60)
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "table":
        send_table()
    else:
        run_dags(sys.argv[2:])
