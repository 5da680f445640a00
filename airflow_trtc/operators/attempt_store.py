"""How a task keeps what it started, so that its next try finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from airflow_trtc._compat import task_state_store
from airflow_trtc.errors import TrtcTransientError
from airflow_trtc.jobs.attempts import KeptRow
from airflow_trtc.recording.parameters import DEFAULT_EXPIRED_HOURS

# Beyond the time for which the service answers questions a row only says whether the task was cleared.
MARGIN = timedelta(days=30)
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Tries:
    """Airflow's numbers for a running task instance.

    :param number: which try this is.
    :param max_tries: raised whenever the task is cleared.
    """

    number: int
    max_tries: int


def tries_of(context: Mapping[str, Any]) -> Tries:
    """The numbers of the task instance that runs."""
    ti = context["ti"]
    return Tries(getattr(ti, "try_number", None) or 1, getattr(ti, "max_tries", None) or 0)


def unreadable(error: Exception) -> TrtcTransientError:
    """The error of a store that cannot be read, so that nothing may be started."""
    return TrtcTransientError(
        f"Cannot read what earlier tries of this task started ({type(error).__name__}), so nothing was"
        " started. Retry the task.",
        code="Client.NoStateStore",
    )


class Kept(Protocol):
    """What is kept of a start: a frozen dataclass with these fields, among others."""

    @property
    def max_tries(self) -> int:
        """Airflow's number for the task instance when the request was sent."""

    @property
    def handed_on(self) -> bool:
        """Whether the task was about to succeed with what it started."""

    def to_json(self) -> dict[str, Any]:
        """As a row of the store."""


_Kept = TypeVar("_Kept", bound=Kept)


class KeptStore(Generic[_Kept]):
    """One row of a task instance in Airflow's task state store, which outlives tries and clears.

    Below Airflow 3.3 there is none; then nothing is kept.

    :param row: which row.
    :param store: Airflow's accessor; None where there is none.
    :param expired_hours: for how long the service answers questions about what was started.
    """

    def __init__(self, row: KeptRow[_Kept], store: Any, log: Any, expired_hours: int | None = None) -> None:
        self._row = row
        self._store = store
        self._log = log
        self._retention = timedelta(hours=expired_hours or DEFAULT_EXPIRED_HOURS) + MARGIN

    @property
    def is_kept(self) -> bool:
        """Whether anything is kept between tries."""
        return self._store is not None

    def load(self) -> _Kept | str | None:
        """What is kept: None for nothing, `UNREADABLE` for what this version did not write.

        :raises TrtcTransientError: the store cannot be read, so nothing may be started.
        """
        if self._store is None:
            return None
        try:
            row = self._store.get(self._row.key)
        except Exception as error:
            raise unreadable(error) from error
        if row is None:
            return None
        try:
            return self._row.read(row)
        except ValueError:
            return UNREADABLE

    def save(self, kept: _Kept) -> None:
        """Keep an attempt.

        :raises TrtcTransientError: it cannot be kept.
        """
        if self._store is None:
            return
        try:
            self._store.set(self._row.key, kept.to_json(), retention=self._retention)
        except Exception as error:
            raise TrtcTransientError(
                f"Cannot keep what this task starts ({type(error).__name__}). Retry the task.",
                code="Client.NoStateStore",
            ) from error

    def save_if_possible(self, kept: _Kept) -> None:
        """Keep an attempt that is worth more than its row: if that fails, the log says so."""
        try:
            self.save(kept)
        except TrtcTransientError as error:
            self._log.warning("%s %s", error.message, self._row.loss)

    def forget(self) -> None:
        """Drop the row, since what was sent was refused."""
        if self._store is None:
            return
        try:
            self._store.delete(self._row.key)
        except Exception as error:  # then the next try believes that its outcome is unknown: no harm
            self._log.warning("Cannot drop the row of a refused start (%s)", type(error).__name__)

    def hand_on(self, tries: Tries) -> None:
        """Note that the task is about to succeed; to be called right before it does."""
        self.change(handed_on=True, max_tries=tries.max_tries, try_number=tries.number)

    def change(self, **fields: Any) -> None:
        """Keep other values of some fields, if anything is kept; if that fails, the log says so."""
        try:
            kept: Any = self.load()
        except TrtcTransientError as error:
            self._log.warning("%s", error.message)
            return
        if kept is not None and kept != UNREADABLE:
            self.save_if_possible(replace(kept, **fields))


def kept_store(
    row: KeptRow[_Kept], context: Mapping[str, Any], log: Any, expired_hours: int | None = None
) -> KeptStore[_Kept]:
    """The store of the task instance that runs."""
    return KeptStore(row, task_state_store(context), log, expired_hours)
