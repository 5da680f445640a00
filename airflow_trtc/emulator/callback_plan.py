"""What a recording's callbacks report: the options of ``add_recording`` that concern events only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_trtc.emulator.options import MAX_SECONDS, check_count, check_seconds

Statuses = int | Sequence[int | Sequence[int]]
"""One status for all, or one for each in turn; a list in the list is reported one after the other."""

LOST = "lost"
DOUBLED = "doubled"
FAILED = 2
"""The status of a conversion or VOD file that will never be there."""

MAX_SAMPLES = 10_000
"""Events of one kind in one recording."""

_MOST = {
    "leave_code": 101,
    "upload_start_status": 1,
    "upload_status": 2,
    "mp4_status": 2,
    "vod_status": 2,
    "vod_end_status": 1,
}
_SINGLE = ("leave_code", "upload_start_status", "vod_end_status")


@dataclass(frozen=True, kw_only=True)
class CallbackPlan:
    """What a recording's events say and when they come; seconds are those of the emulator's clock.

    The defaults of the times were seen in one recording of the real service: its HLS files were there
    33 ms after the recorder left, its mp4 file 2.6 s after. For VOD nothing is known; it is taken as alike.
    """

    callbacks: Mapping[str, str | float] = field(default_factory=dict)
    room_events: bool | None = None
    """None: as the emulator's settings say."""
    leave_code: int | None = None
    upload_start_status: int = 0
    upload_status: int | Sequence[int] = 0
    mp4_status: Statuses = 0
    vod_status: Statuses = 0
    vod_end_status: int = 0
    failovers: int | Sequence[float] = 0
    upload_errors: int | Sequence[Mapping[str, Any]] = 0
    image_errors: int | Sequence[str] = 0
    files_per_310: int = 1
    index_after_seconds: float = 0.2
    upload_after_seconds: float = 0.033
    mp4_after_seconds: float = 2.6
    vod_after_seconds: float = 2.6
    media_every_seconds: float = 0.5
    vod_end_after_seconds: float = 0.1
    recovered_after_seconds: float = 5.0

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            _check_status(name, getattr(self, name), most)
        _check_list("failovers", self.failovers, (int, float))
        if not isinstance(self.failovers, int):
            for seconds in self.failovers:
                check_seconds("failovers", seconds)
        _check_list("upload_errors", self.upload_errors, Mapping)
        _check_list("image_errors", self.image_errors, str)
        check_troubles(self.callbacks)
        check_count("files_per_310", self.files_per_310)

    def with_refused_storage(self) -> CallbackPlan:
        """Return the same for a bucket whose keys are refused: nothing is written to it or read from it.

        The recorder starts and records; what it cannot upload lingers on its server.
        """
        return replace(self, upload_start_status=1, upload_status=1, upload_errors=1, mp4_status=FAILED)

    def trouble_of(self, event_type: int) -> str | float | None:
        """Return what shall happen to events of this type: lost, doubled, seconds of delay, or nothing."""
        return trouble_of(self.callbacks, event_type)

    def upload_statuses(self) -> list[int]:
        """Return the statuses of the 305 events in order."""
        return _stages(self.upload_status)

    def mp4_statuses(self, number: int) -> list[int]:
        """Return the statuses reported one after the other for the 310 of this number, from 0."""
        return _stages(_of_number(self.mp4_status, number))

    def vod_statuses(self, number: int) -> list[int]:
        """Return the statuses reported one after the other for the VOD file of this number, from 0."""
        return _stages(_of_number(self.vod_status, number))


def check_troubles(callbacks: Mapping[str, str | float]) -> None:
    """Raise ``ValueError`` unless this says of types of events what shall happen to them."""
    for event_type, trouble in callbacks.items():
        _check_trouble(str(event_type), trouble)


def trouble_of(callbacks: Mapping[str, str | float], event_type: int) -> str | float | None:
    """Return what shall happen to events of this type: lost, doubled, seconds of delay, or nothing."""
    wanted = str(event_type)
    return next((given for name, given in callbacks.items() if str(name) == wanted), None)


def _stages(status: int | Sequence[int]) -> list[int]:
    return [status] if isinstance(status, int) else list(status)


def _of_number(statuses: Statuses, number: int) -> int | Sequence[int]:
    return statuses if isinstance(statuses, int) else statuses[min(number, len(statuses) - 1)]


def _check_status(name: str, value: object, most: int) -> None:
    if value is None or (type(value) is int and 0 <= value <= most):
        return
    if not isinstance(value, (list, tuple)) or not value or name in _SINGLE:
        raise ValueError(f"{name} must be a whole number from 0 to {most}")
    for each in value:
        _check_status(name, each, most)


def _check_list(name: str, value: object, kind: type | tuple[type, ...]) -> None:
    if type(value) is int:
        check_count(name, value, MAX_SAMPLES)
    elif not (isinstance(value, (list, tuple)) and all(isinstance(e, kind) for e in value)):
        raise ValueError(f"{name} must be a number of events, or a list of what they report")


def _check_trouble(event_type: str, trouble: object) -> None:
    is_delay = type(trouble) in (int, float) and 0 <= trouble <= MAX_SECONDS  # type: ignore[operator]
    if not event_type.isdigit() or not (is_delay or trouble in (LOST, DOUBLED)):
        raise ValueError(
            f"callbacks: {event_type!r} must be the number of an event type, and what happens to it "
            f"one of {LOST}, {DOUBLED} or seconds of delay"
        )
