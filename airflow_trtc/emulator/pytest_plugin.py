"""The pytest fixture ``trtc_emulator``, and where those that run DAGs are. Loads nothing that costs time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator

# The fixtures that run DAGs. Only named, since the emulator shares no code with the rest of the package.
pytest_plugins = ["airflow_trtc.testing.plugin"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "trtc_emulator(**settings): options of the Emulator behind the fixture trtc_emulator"
    )


@pytest.fixture
def trtc_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Serve a fresh emulator on a free port; ``@pytest.mark.trtc_emulator(rate_limit=0)`` sets options."""
    from airflow_trtc.emulator import Emulator

    marker = request.node.get_closest_marker("trtc_emulator")
    with Emulator(**(marker.kwargs if marker else {})) as emulator:
        yield emulator
