"""A relay or an ingest that was started: what is handed on to other tasks, and read by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.jobs.attempts import Target

WHERE_FROM = 'pass the XCom "job" of the task that started it, such as start.output["job"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedStream:
    """A relay or an ingest that a task started. It holds no address, since those have keys in them.

    :param kind: ``relay`` or ``ingest``.
    :param job_id: the service's ``TaskId``.
    :param room_type: ``numeric`` or ``string``.
    :param user_id: the robot that relays, or plays.
    :param with_transcoding: ``WithTranscoding`` of a relay, which each update repeats; None for an ingest.
    :param started_at: when the service confirmed it.
    :param reattached: an earlier try of the task had started it.
    :param replaced_unknown: an earlier request got no answer; what it may have started was ended.
    :param attempts: how many requests were sent that may have started it.
    """

    kind: str
    job_id: str
    sdk_app_id: int
    region: str
    room_id: str
    room_type: str
    user_id: str
    with_transcoding: int | None = None
    started_at: datetime
    reattached: bool = False
    replaced_unknown: bool = False
    attempts: int = 1

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, times in ISO 8601, UTC."""
        return {**asdict(self), "started_at": self.started_at.isoformat()}


def read_started(value: Any) -> StartedStream:
    """Read what `StartedStream.to_json` wrote.

    :raises ValueError: it was not written by this version.
    """
    row = bounds.mapping(value)
    names = ("kind", "job_id", "region", "room_id", "room_type", "user_id")
    given: dict[str, Any] = {name: bounds.text(row.get(name)) for name in names}
    given["sdk_app_id"] = bounds.number(row.get("sdk_app_id"), 1)
    given["started_at"] = bounds.time(row.get("started_at"))
    if None in given.values():
        raise ValueError("it is no started job")
    return StartedStream(
        **given,
        with_transcoding=bounds.number(row.get("with_transcoding"), 0, 1),
        reattached=row.get("reattached") is True,
        replaced_unknown=row.get("replaced_unknown") is True,
        attempts=bounds.count(row.get("attempts")) or 1,
    )


def so_far(kind: str, target: Target | None, job_id: str | None) -> dict[str, Any]:
    """What is handed on while a start is under way, for a teardown that runs although the start fails.

    :param target: what may run; None when nothing can.
    :param job_id: its id; None when that is not known.
    """
    names = ("sdk_app_id", "region", "room_id", "room_type", "user_id")
    more = {} if target is None else {name: getattr(target, name) for name in names}
    return {"kind": kind, "job_id": job_id, **more}


@dataclass(frozen=True, slots=True)
class Robot:
    """Who relays or plays, where the answer to the start was lost, so that no id names the job."""

    user_id: str
    room: int | str
    sdk_app_id: int | None
    region: str | None


def read_robot(value: Any) -> Robot | None:
    """Read the robot from the XCom ``job`` of a start that got no id; None if it started nothing."""
    row = bounds.mapping(value)
    user_id, room_id = bounds.text(row.get("user_id")), bounds.text(row.get("room_id"))
    if user_id is None or room_id is None:
        return None
    room = bounds.number(room_id, 1) if row.get("room_type") == "numeric" else room_id
    if room is None:
        return None
    return Robot(user_id, room, bounds.number(row.get("sdk_app_id"), 1), bounds.text(row.get("region")))


@dataclass(frozen=True, slots=True)
class NamedStream:
    """What another task needs to know of a relay or an ingest; what is not known is None.

    :param job_id: None when the task that should have started it did not.
    :param sequence_number: of the last update that is known; 0 for none.
    """

    job_id: str | None = None
    sdk_app_id: int | None = None
    region: str | None = None
    with_transcoding: int | None = None
    sequence_number: int = 0


def read_named(path: str, value: Any, kind: str) -> NamedStream:
    """Read the XCom ``job``, that of a start or of an update.

    :raises ValueError: it is something else, or about a job of another kind.
    """
    if not isinstance(value, Mapping) or "job_id" not in value:
        shown = "an object without job_id" if isinstance(value, Mapping) else f"{value!r:.60}"
        raise ValueError(f"{path} is {shown}; {WHERE_FROM}")
    job_id, given_kind = value["job_id"], value.get("kind", kind)
    if given_kind != kind:
        raise ValueError(f"{path} is about a job of kind {given_kind!r:.60}, not {kind}; {WHERE_FROM}")
    if job_id is not None and bounds.job_id(job_id) is None:
        raise ValueError(f"{path}.job_id must be the id of a job, not {job_id!r:.60}; {WHERE_FROM}")
    return NamedStream(
        job_id,
        bounds.number(value.get("sdk_app_id"), 1),
        bounds.text(value.get("region")),
        bounds.number(value.get("with_transcoding"), 0, 1),
        bounds.count(value.get("sequence_number")),
    )
