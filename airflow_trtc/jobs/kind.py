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
class JobKind:
    """One kind of job.

    :param name: as users write it, e.g. ``recording``.
    :param describe_action: the API action that returns its status.
    :param id_param: that action's parameter for the job's id; also where its answer repeats it.
    :param start_action: the API action that starts one and answers its id; empty when nobody starts it so.
    :param stop_action: the API action that stops one, by the same parameters; empty when nothing does.
    :param app_param: that action's parameter for the application; empty when it has none.
    :param status_param: where its answer has the status.
    :param ends_well: statuses after which the job is over and all is well.
    :param ends_badly: statuses after which it is over and failed. Any status in neither only waits.
    :param absent_statuses: statuses that mean "not there", where the service says so without an error; what
        reads the answer makes an absence of them.
    :param absent_codes: error codes that mean "not there", each also with anything after a further dot.
    :param id_source: where its id comes from, for messages.
    :param forgotten_after: when the service forgets it though it may go on, for messages; empty: not known.
    :param read: reads an answer about the job with the given id; None reads status and id only.
    :param judge: decides; None is the judge that the simple kinds share.
    :raises ValueError: one status means two things.
    """

    name: str
    describe_action: str
    start_action: str = ""
    stop_action: str = ""
    id_param: str = "TaskId"
    app_param: str = "SdkAppId"
    status_param: str = "Status"
    ends_well: frozenset[str] = frozenset()
    ends_badly: frozenset[str] = frozenset()
    absent_statuses: frozenset[str] = frozenset()
    absent_codes: tuple[str, ...] = ABSENT_CODES
    id_source: str = "the id that the call which started the job answered"
    forgotten_after: str = ""
    read: Reader | None = None
    judge: Judge | None = None

    def __post_init__(self) -> None:
        sets = (self.ends_well, self.ends_badly, self.absent_statuses)
        unclear = frozenset().union(*(one & other for one, other in combinations(sets, 2)))
        if unclear:
            raise ValueError(f"of {self.name} these statuses mean two things: {', '.join(sorted(unclear))}")
