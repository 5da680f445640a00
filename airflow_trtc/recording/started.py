"""A recording that was started: what is handed on to other tasks, and read by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from airflow_trtc import bounds

WHERE_FROM = 'pass the XCom "recording" of the task that started it, such as start.output["recording"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRecording:
    """A recording that a task started.

    :param recording_id: the service's ``TaskId``.
    :param room_id_type: 0 for a string room, 1 for a numeric one.
    :param user_id: the robot that records.
    :param storage: ``StorageParams`` without keys.
    :param file_name_prefix: the ``FileNamePrefix`` as text with ``/``; None without one, and for VOD.
    :param started_at: when the service confirmed it.
    :param expires_at: from when on the service answers as if it were gone, whether or not it goes on.
    :param reattached: an earlier try of the task had started it.
    :param replaced_unknown: an earlier request got no answer; what it may have started is ended by this one.
    :param attempts: how many requests were sent that may have started it.
    """

    recording_id: str
    sdk_app_id: int
    region: str
    room_id: str
    room_id_type: int
    user_id: str
    storage: Mapping[str, Any] = field(default_factory=dict)
    file_name_prefix: str | None = None
    started_at: datetime
    expires_at: datetime
    reattached: bool = False
    replaced_unknown: bool = False
    attempts: int = 1

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, times in ISO 8601, UTC."""
        times = {"started_at": self.started_at.isoformat(), "expires_at": self.expires_at.isoformat()}
        return {**asdict(self), **times}


def read_started(value: Any) -> StartedRecording:
    """Read what `StartedRecording.to_json` wrote.

    :raises ValueError: it was not written by this version.
    """
    row = bounds.mapping(value)
    times = [bounds.time(row.get(name)) for name in ("started_at", "expires_at")]
    texts = {name: bounds.text(row.get(name)) for name in ("recording_id", "region", "room_id", "user_id")}
    numbers = {name: bounds.number(row.get(name), 0) for name in ("sdk_app_id", "room_id_type")}
    if None in (*times, *texts.values(), *numbers.values()):
        raise ValueError("it is no started recording")
    given: dict[str, Any] = {**texts, **numbers}
    return StartedRecording(
        **given,
        storage=bounds.mapping(row.get("storage")),
        file_name_prefix=bounds.text(row.get("file_name_prefix")),
        started_at=times[0],  # type: ignore[arg-type]
        expires_at=times[1],  # type: ignore[arg-type]
        reattached=row.get("reattached") is True,
        replaced_unknown=row.get("replaced_unknown") is True,
        attempts=bounds.count(row.get("attempts")) or 1,
    )


@dataclass(frozen=True, slots=True)
class NamedRecording:
    """What another task needs to know of a recording; what is not known is None.

    :param recording_id: None when the task that should have started it did not.
    """

    recording_id: str | None = None
    sdk_app_id: int | None = None
    region: str | None = None
    file_name_prefix: str | None = None
    expires_at: datetime | None = None


def read_named(path: str, value: Any) -> NamedRecording:
    """Read the XCom ``recording``, that of a start or of a wait.

    :raises ValueError: it is something else.
    """
    if not isinstance(value, Mapping) or "recording_id" not in value:
        shown = "an object without recording_id" if isinstance(value, Mapping) else f"{value!r:.60}"
        raise ValueError(f"{path} is {shown}; {WHERE_FROM}")
    given = value["recording_id"]
    if given is not None and bounds.job_id(given) is None:
        raise ValueError(
            f"{path}.recording_id must be the id of a recording, not {given!r:.60}; {WHERE_FROM}"
        )
    return NamedRecording(
        given,
        bounds.number(value.get("sdk_app_id"), 1),
        bounds.text(value.get("region")),
        bounds.text(value.get("file_name_prefix")),
        bounds.time(value.get("expires_at")),
    )
