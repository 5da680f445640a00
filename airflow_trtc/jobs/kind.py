"""What differs between kinds of jobs: one row of data each, see :mod:`airflow_trtc.kinds`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, TypeAlias

from airflow_trtc.jobs.observation import Snapshot
from airflow_trtc.jobs.state import JobState
from airflow_trtc.jobs.verdict import ABSENT_CODES, Rules, Verdict

Judge: TypeAlias = Callable[[JobState, Rules, datetime], Verdict]
Reader: TypeAlias = "Callable[[Mapping[str, Any], str], Snapshot]"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartForm:
    """Where the parameters of a start have what is filled in for the user.

    :param robot: the parameter with the robot's ``UserId`` and ``UserSig``; empty where these are parameters
        themselves. None: no robot enters a room.
    :param numeric_room: the ``RoomIdType`` of numeric rooms, which is 1 in some calls and 0 in others; None:
        it is about no room.
    :param storage: the parameter for a bucket, and the object in it that names one; None: there is none.
    :param needs_storage: whether it must be given.
    :param takes_vod: whether that may be VOD instead.
    :param takes_map_key: whether there is a ``PrivateMapKey``.
    :param publishes: whether the robot sends into the room, instead of receiving what is there.
    :param replaces: whether a second start by the same robot in the same room ends the first job.
    """

    robot: str | None = None
    numeric_room: int | None = None
    storage: tuple[str, str] | None = None
    needs_storage: bool = False
    takes_vod: bool = False
    takes_map_key: bool = False
    publishes: bool = False
    replaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One kind of job.

    :param name: as users write it, e.g. ``recording``.
    :param label: what messages call it; the name unless given.
    :param describe_action: the API action that returns its status; empty when there is none, so that only
        callbacks report.
    :param id_param: that action's parameter for the job's id; also where its answer repeats it.
    :param start_action: the API action that starts one and answers its id; empty when nobody starts it so.
    :param starts: what that start takes; None for what has operators of its own.
    :param stop_action: the API action that stops one, by the same parameters; empty when nothing does.
    :param app_param: the parameter for the application of those that describe and stop; empty when they have
        none. The one that starts always has ``SdkAppId``.
    :param key_param: the parameter by which a start may name its job, and by which, with the application, the
        describe action finds it too: the service starts no second job of one name. Empty for none.
    :param key_needs_id: whether that question needs the id's parameter too, empty.
    :param status_param: where its answer has the status.
    :param ends_well: statuses after which the job is over and all is well.
    :param ends_badly: statuses after which it is over and failed. Any status in neither only waits.
    :param ends_by_absence: whether a job that was seen, and then is not there, has ended; else only a status
        ends it well, and one that disappears has failed.
    :param absent_statuses: statuses that mean "not there", where the service says so without an error; what
        reads the answer makes an absence of them.
    :param absent_codes: error codes that mean "not there", each also with anything after a further dot.
    :param groups: the groups of callbacks (``EventGroupId``) that report on it.
    :param details: fields of an answer that are results, kept as they came; see `Snapshot`.
    :param id_source: where its id comes from, for messages.
    :param forgotten_after: when the service forgets it though it may go on, for messages; empty: not known.
    :param read: reads an answer about the job with the given id; None reads status and id only.
    :param judge: decides; None is the judge that the simple kinds share.
    :raises ValueError: one status means two things.
    """

    name: str
    describe_action: str
    label: str = ""
    start_action: str = ""
    starts: StartForm | None = None
    stop_action: str = ""
    id_param: str = "TaskId"
    app_param: str = "SdkAppId"
    key_param: str = ""
    key_needs_id: bool = False
    status_param: str = "Status"
    ends_well: frozenset[str] = frozenset()
    ends_badly: frozenset[str] = frozenset()
    ends_by_absence: bool = True
    absent_statuses: frozenset[str] = frozenset()
    absent_codes: tuple[str, ...] = ABSENT_CODES
    groups: frozenset[int] = frozenset()
    details: tuple[str, ...] = ()
    id_source: str = "the id that the call which started the job answered"
    forgotten_after: str = ""
    read: Reader | None = None
    judge: Judge | None = None

    def __post_init__(self) -> None:
        sets = (self.ends_well, self.ends_badly, self.absent_statuses)
        unclear = frozenset().union(*(one & other for one, other in combinations(sets, 2)))
        if unclear:
            raise ValueError(f"of {self.name} these statuses mean two things: {', '.join(sorted(unclear))}")
        if not self.label:
            object.__setattr__(self, "label", self.name)

    @property
    def can_start(self) -> bool:
        """Whether an API call starts one."""
        return bool(self.start_action)

    @property
    def can_stop(self) -> bool:
        """Whether an API call stops one."""
        return bool(self.stop_action)

    def key_of(self, job_id: str) -> str | None:
        """The job's own name, where an id is written as ``RecordId=lesson-7``; None for an id of the service.

        Ids of the service hold no ``=``: it writes a dot instead.
        """
        name, sign, key = str(job_id).partition("=")
        return key if key and sign and self.key_param and name == self.key_param else None
