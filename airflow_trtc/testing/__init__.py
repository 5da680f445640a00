"""Runs DAGs in a test: an Airflow of its own in this process, the emulator, callbacks, results by task.

The pytest plugin of this package brings the fixtures, see :mod:`airflow_trtc.testing.plugin`::

    def test_every_file_is_processed(trtc_airflow, trtc_emulator):
        recording_id = trtc_emulator.add_recording(files=3, file_every_reads=1, ends_after_reads=4)
        run = trtc_airflow.run("dags/lessons.py", {"recording_id": recording_id})
        assert run.state == "success", run
        assert len(run["process"].mapped) == 3

Importing this package imports neither Airflow nor anything else that costs time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_trtc.testing.airflow import TrtcAirflow
    from airflow_trtc.testing.results import DagResult, TaskResult

__all__ = ["DagResult", "TaskResult", "TrtcAirflow"]

_PLACES = {"DagResult": "results", "TaskResult": "results", "TrtcAirflow": "airflow"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
