"""What has become of each row of the spool. Pure: time is passed in, and nothing is read or written.

Each row has a fate of its own: what Airflow took is remembered until it is deleted, also when the disk
refuses that; what Airflow refused comes again later, behind the others. It is kept in memory: after a start
all rows are tried anew, and Airflow's side notices what it knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_TRIES = 20
MAX_DELAY_SECONDS = 60.0


@dataclass(slots=True)
class Fates:
    """The rows that were taken from the spool, by their ids.

    :param last_id: rows behind it were never taken.
    :param delivered: Airflow has them; still to be deleted.
    :param again: how often each was refused, and when it is due again, in seconds of any clock.
    """

    last_id: int = 0
    delivered: set[int] = field(default_factory=set)
    again: dict[int, tuple[int, float]] = field(default_factory=dict)

    def due(self, now: float) -> list[int]:
        """Rows that are due again, the one that waited longest first."""
        due = ((at, row_id) for row_id, (_, at) in self.again.items() if at <= now)
        return [row_id for _, row_id in sorted(due)]

    def took(self, ids: Iterable[int]) -> None:
        """These were taken from the spool."""
        self.last_id = max(self.last_id, *ids)

    def deliver(self, row_id: int) -> None:
        """Airflow has it."""
        self.again.pop(row_id, None)
        self.delivered.add(row_id)

    def refuse(self, row_id: int, now: float, *, is_alone: bool) -> bool:
        """Airflow refused it; true when it was tried often enough.

        :param is_alone: whether Airflow took others meanwhile. Otherwise Airflow is at fault, not the row.
        """
        tries, _ = self.again.get(row_id, (0, now))
        tries += is_alone
        self.again[row_id] = tries, now + min(MAX_DELAY_SECONDS, 2.0**tries)
        return tries >= MAX_TRIES

    def drop(self, row_id: int) -> None:
        """It is no longer in the spool."""
        self.again.pop(row_id, None)
        self.delivered.discard(row_id)
