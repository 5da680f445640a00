"""Airflows of their own: they start when the shared one, and the machine with it, has little left to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.stage import Stage
from tests.stack.doubles import DOUBLES
from tests.stack.local_airflow import HOMES, LocalAirflow
from tests.versions import HAS_STATE_STORE

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 600.0

pytestmark = pytest.mark.e2e


def test_airflow_runs_a_dag_and_survives_a_killed_triggerer(stage: Stage) -> None:
    with (
        stage.beside(),
        tempfile.TemporaryDirectory() as folder,
    ):
        (Path(folder) / "doubles.py").write_text(DOUBLES)
        with LocalAirflow(folder) as airflow:
            home = airflow.home
            run_and_kill(airflow)
        assert not home.exists()


def run_and_kill(airflow: LocalAirflow) -> None:
    airflow.unpause("doubles")
    run_id = airflow.trigger("doubles", run_id="first")
    assert airflow.wait_for_run("doubles", run_id) == "success"
    assert airflow.xcom("doubles", run_id, "double", map_index=2) == 6
    assert airflow.xcom("doubles", run_id, "double", key="none", map_index=2) is None
    assert "these are the numbers" in airflow.task_log("doubles", run_id, "numbers")
    airflow.kill("triggerer")
    airflow.start("triggerer")
    airflow.clear("doubles", run_id, ["numbers"], include_downstream=True)
    assert airflow.wait_for_run("doubles", run_id) == "success"
    assert airflow.task_instance("doubles", run_id, "numbers")["try_number"] == 2
    with pytest.raises(TimeoutError, match="does not know the DAG 'unknown'"):
        airflow.wait_for_dag("unknown", timeout=0.1)
    airflow.kill("scheduler")


def test_the_demonstration_hands_every_file_to_a_task(stage: Stage) -> None:
    # Two more where a callback starts the DAG for them.
    count = 15 if HAS_STATE_STORE else 13
    with stage.beside():
        folder = Path(tempfile.mkdtemp(prefix="airflow-trtc-demonstration-"))
        done = subprocess.run(
            [sys.executable, "-m", "tests.stack"],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        HOMES.extend(folder.iterdir())
    assert done.returncode == 0, done.stdout
    assert f"OK: {count} files were recorded" in done.stdout
    assert list(folder.iterdir()) == []
    folder.rmdir()
