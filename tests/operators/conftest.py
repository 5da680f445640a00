"""A connection that signs, a store in memory, and a context that holds both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_trtc.operators import starting
from tests.operators.running import DictStore, Task

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator

KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"


@pytest.fixture
def service(
    request: pytest.FixtureRequest, trtc_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Emulator:
    """The emulator, with `trtc_default` pointing at it and able to sign."""
    if "trtc_airflow" in request.fixturenames:
        request.getfixturevalue("trtc_airflow")  # sets the same connection
    fields = json.loads(trtc_emulator.connection_json)
    fields["extra"].setdefault("sdk_secret_key", KEY)
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(fields))
    return trtc_emulator


@pytest.fixture
def store() -> DictStore:
    return DictStore()


@pytest.fixture
def task(store: DictStore) -> Task:
    return Task(store)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "PAUSES_SECONDS", (0.0, 0.0, 0.0))
