"""The fixtures that run DAGs. Importing this module imports nothing that costs time, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_trtc.testing.home import home, places

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator
    from airflow_trtc.testing.airflow import TrtcAirflow

# pytest loads this plugin before any conftest.py.
_LAUNCHED_WITH = places(os.environ)

CALLBACK_KEY = "k" * 32


@pytest.fixture(scope="session")
def trtc_airflow_home() -> Iterator[Path]:
    """Airflow's home for the tests that run DAGs, with a database; removed after the last test.

    Where a ``conftest.py`` sets ``AIRFLOW_HOME`` or the database, that is used instead; an ``AIRFLOW_HOME``
    of the shell is not, so that no test ever touches a real one.
    """
    with home(_LAUNCHED_WITH) as folder:
        yield folder


@pytest.fixture
def trtc_airflow(
    trtc_airflow_home: Path, trtc_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> TrtcAirflow:
    """An Airflow that runs DAGs in this process; its connection ``trtc_default`` is the emulator's."""
    from airflow_trtc.testing.airflow import TrtcAirflow

    airflow = TrtcAirflow(trtc_airflow_home, trtc_emulator, monkeypatch.setenv)
    airflow.connect()
    return airflow


@pytest.fixture
def trtc_callbacks(trtc_airflow: TrtcAirflow) -> Iterator[Emulator]:
    """The emulator, which calls back to a receiver in this process. Needs Airflow 3.3 or later."""
    from airflow_trtc.testing.receiving import receiver

    with receiver() as url:
        trtc_airflow.emulator.set_callback(url, CALLBACK_KEY)
        trtc_airflow.connect()
        yield trtc_airflow.emulator
        trtc_airflow.emulator.set_callback(None)
