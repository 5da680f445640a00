"""A connection that signs, a store in memory, and a context that holds both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from airflow_trtc.operators import starting
from tests.operators.running import DictStore, Task

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator


@pytest.fixture
def service(
    request: pytest.FixtureRequest,
    trtc_emulator: Emulator,
    brisk_start: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Emulator:
    """The emulator, with `trtc_default` pointing at it."""
    if "trtc_airflow" in request.fixturenames:
        request.getfixturevalue("trtc_airflow")  # sets the same connection
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", trtc_emulator.connection_json)
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


@pytest.fixture(autouse=True)
def masked_here_only() -> Iterator[None]:
    """What a test masks is forgotten after it: Airflow compiles all that was masked again for each more."""
    yield
    reset_secrets_masker()
