"""How a task keeps what it started, so that its next try finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

from airflow_trtc._compat import task_state_store
from airflow_trtc.errors import TrtcTransientError
from airflow_trtc.recording.attempts import Attempt, read_attempt
from airflow_trtc.recording.parameters import DEFAULT_EXPIRED_HOURS

KEY = "trtc_recording_start"
# Beyond the time for which the service answers questions a row only says whether the task was cleared.
MARGIN = timedelta(days=30)
UNREADABLE = "unreadable"


class Kept(Protocol):
    """What a row holds: a frozen dataclass with ``handed_on``, ``max_tries`` and ``try_number``."""

    def to_json(self) -> dict[str, Any]:
        """As a row of the store."""


_Row = TypeVar("_Row", bound=Kept)


@dataclass(frozen=True, slots=True)
class RowType(Generic[_Row]):
    """One kind of rows.

    :param key: under which the task keeps its row.
    :param read: reads a row; ValueError for what this version did not write.
    :param kind: what the rows are.
    :param retention: how long a row is worth keeping.
    :param if_lost: what follows when a row cannot be kept that is worth more than itself.
    """

    key: str
    read: Callable[[Any], _Row]
    kind: type[_Row]
    retention: timedelta
    if_lost: str


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


class AttemptStore(Generic[_Row]):
    """The row of one task instance in Airflow's task state store, which outlives tries and clears.

    Below Airflow 3.3 there is none; then nothing is kept.

    :param store: Airflow's accessor; None where there is none.
    """

    def __init__(self, store: Any, log: Any, row_type: RowType[_Row]) -> None:
        self._store = store
        self._log = log
        self._type = row_type

    @property
    def is_kept(self) -> bool:
        """Whether anything is kept between tries."""
        return self._store is not None

    def load(self) -> _Row | str | None:
        """What is kept: None for nothing, `UNREADABLE` for what this version did not write.

        :raises TrtcTransientError: the store cannot be read, so nothing may be started.
        """
        if self._store is None:
            return None
        try:
            row = self._store.get(self._type.key)
        except Exception as error:
            raise unreadable(error) from error
        if row is None:
            return None
        try:
            return self._type.read(row)
        except ValueError:
            return UNREADABLE

    def save(self, attempt: _Row) -> None:
        """Keep an attempt.

        :raises TrtcTransientError: it cannot be kept.
        """
        if self._store is None:
            return
        try:
            self._store.set(self._type.key, attempt.to_json(), retention=self._type.retention)
        except Exception as error:
            raise TrtcTransientError(
                f"Cannot keep what this task starts ({type(error).__name__}). Retry the task.",
                code="Client.NoStateStore",
            ) from error

    def save_if_possible(self, attempt: _Row) -> None:
        """Keep an attempt that is worth more than its row: if that fails, the log says so."""
        try:
            self.save(attempt)
        except TrtcTransientError as error:
            self._log.warning("%s %s", error.message, self._type.if_lost)

    def forget(self) -> None:
        """Drop the row, since what was sent was refused."""
        if self._store is None:
            return
        try:
            self._store.delete(self._type.key)
        except Exception as error:  # then the next try believes that its outcome is unknown: no harm
            self._log.warning("Cannot drop the row of a refused start (%s)", type(error).__name__)

    def hand_on(self, tries: Tries) -> None:
        """Note that the task is about to succeed; to be called right before it does."""
        try:
            kept = self.load()
        except TrtcTransientError as error:
            self._log.warning("%s", error.message)
            return
        if isinstance(kept, self._type.kind):
            row: Any = kept
            self.save_if_possible(
                replace(row, handed_on=True, max_tries=tries.max_tries, try_number=tries.number)
            )


def row_store(context: Mapping[str, Any], log: Any, row_type: RowType[_Row]) -> AttemptStore[_Row]:
    """The store of the task instance that runs, for rows of a kind."""
    return AttemptStore(task_state_store(context), log, row_type)


def recording_rows(expired_hours: int | None = None) -> RowType[Attempt]:
    """Rows about the start of a recording.

    :param expired_hours: for how long the service answers questions about the recording.
    """
    retention = timedelta(hours=expired_hours or DEFAULT_EXPIRED_HOURS) + MARGIN
    if_lost = "The recording runs; a later try of this task would replace it by another one."
    return RowType(KEY, read_attempt, Attempt, retention, if_lost)


def attempt_store(
    context: Mapping[str, Any], log: Any, expired_hours: int | None = None
) -> AttemptStore[Attempt]:
    """The store of the task instance that runs, for the recording that it starts; see `recording_rows`."""
    return row_store(context, log, recording_rows(expired_hours))
