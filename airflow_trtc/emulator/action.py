"""What one call of the API is to the emulator: its parameters, where it is offered, what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_trtc.emulator.parameters import Schema, Values
from airflow_trtc.emulator.recordings import Origin
from airflow_trtc.emulator.state import State

REGIONS = frozenset({"ap-beijing", "ap-guangzhou", "ap-mumbai", "ap-shanghai", "ap-singapore"})
"""Where the recording calls are offered."""


@dataclass
class Call:
    """One accepted request: its parameters, the instant, whose it is, and what shall happen to its answer.

    ``events`` are what the answer streams, for a call that answers so.
    """

    values: Values
    now: float
    origin: Origin
    fault: str | None = None
    events: list[Values] | None = None


@dataclass(frozen=True)
class Action:
    """One call: what it takes, where it is offered (None: in every region), and what it does."""

    run: Callable[[State, Call], Values]
    schema: Schema
    regions: frozenset[str] | None = REGIONS
    id_param: str = "TaskId"
    takes_more: bool = False
    """Whether parameters that the schema does not name pass unchecked."""
    limit: int | None = None
    """Requests a second where the vendor allows fewer than usual; None as the settings say."""
