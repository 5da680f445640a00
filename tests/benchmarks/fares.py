"""How waits for jobs of several kinds fare, each against the floor of its own kind's action. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks import schedule
from tests.benchmarks.emulation import Calls
from tests.benchmarks.report import percentile, ratio, table

HEAD = [
    "Jobs", "Waits", "End", "Lost", "Not noticed", "Throttled", "Lag, median, s", "of floor", "Lag, 95 %, s",
    "of floor",
]  # fmt: skip
ALL = "all"


@dataclass
class Fare:
    """How the waits for jobs of one kind fared.

    :param lags: from the end of each job to its being noticed, in seconds.
    :param lost: waits that ended by anything but the end of their job.
    :param late: ends that nobody noticed in time.
    """

    waits: int
    ended: int = 0
    lags: list[float] = field(default_factory=list)
    lost: int = 0
    late: int = 0
    calls: Calls = field(default_factory=lambda: Calls(()))


def by_kind(kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """The ids of each kind, of a mapping of ids to kinds."""
    found = defaultdict(list)
    for job_id, kind in kinds.items():
        found[kind].append(job_id)
    return dict(found)


def fares_of(
    kinds: Mapping[str, str],
    ended_at: Mapping[str, float],
    noticed_at: Mapping[str, float],
    lost: frozenset[str],
    calls: Calls,
) -> dict[str, Fare]:
    """A fare for each kind; times are of one clock, by id.

    :param lost: the ids of those that ended otherwise.
    """
    return {
        kind: Fare(
            len(ids),
            len(ended := [job_id for job_id in ids if job_id in ended_at]),
            [noticed_at[job_id] - ended_at[job_id] for job_id in ended if job_id in noticed_at],
            len(lost.intersection(ids)),
            len([job_id for job_id in ended if job_id not in noticed_at]),
            calls.of(ids),
        )
        for kind, ids in by_kind(kinds).items()
    }


def together(fares: Sequence[Fare]) -> Fare:
    """All of them as one."""
    return Fare(
        sum(fare.waits for fare in fares),
        sum(fare.ended for fare in fares),
        [lag for fare in fares for lag in fare.lags],
        sum(fare.lost for fare in fares),
        sum(fare.late for fare in fares),
        Calls([call for fare in fares for call in fare.calls.calls]),
    )


def fares_table(fares: Mapping[str, Fare], limit: float, poll_seconds: float) -> str:
    """A line for each kind; of several, one for all, against the floor of the kind that waits most."""
    rows = [_cells(name, fare, fare.waits, limit, poll_seconds) for name, fare in fares.items()]
    if len(fares) > 1:
        most = max(fare.waits for fare in fares.values())
        rows.append(_cells(ALL, together(list(fares.values())), most, limit, poll_seconds))
    return table(HEAD, rows)


def _cells(name: str, fare: Fare, waits: int, limit: float, poll_seconds: float) -> list[Any]:
    calls = fare.calls
    cells: list[Any] = [name, fare.waits, fare.ended, fare.lost, fare.late]
    cells.append(f"{calls.throttled} of {len(calls)} ({calls.throttled_share})")
    for floor, part in zip(schedule.floor(waits, limit, poll_seconds), (0.5, 0.95), strict=True):
        lag = percentile(fare.lags, part) if fare.lags else None
        cells += ["-" if lag is None else f"{lag:.2f}", ratio(lag, floor)]
    return cells
