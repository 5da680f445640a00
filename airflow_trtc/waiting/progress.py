"""The XCom ``progress``: a job's state while a task waits for it, for users to read."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_trtc.aio import loop_time
from airflow_trtc.jobs.records import NO_RECORDS
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, from_json, state_word, to_json
from airflow_trtc.waiting import xcoms

PROGRESS_XCOM = "progress"


def progress(
    state: JobState, job: JobRef, *, console_url: str | None, try_number: int | None
) -> dict[str, Any]:
    """The value of the XCom.

    ``state`` is one word for users, ``file_count`` and ``record_count`` are the numbers of files and records
    so far; the rest is the whole state but for ``detail``: results may be addresses that open a file to
    whoever reads them; and but for the records, which may be many: the journal has them.
    """
    return {
        **to_json(replace(state, detail=None, records=NO_RECORDS), job),
        "state": state_word(state),
        "file_count": len(state.files),
        "record_count": len(state.records.kept) + state.records.left_out,
        "console_url": console_url,
        "try_number": try_number,
    }


class SharedProgress:
    """Writes the XCom from the triggerer, in turn with all others that do so.

    :param ids: ``dag_id``, ``task_id``, ``run_id``, ``map_index`` of the task instance; None when nothing is
        to be written, as in ``dag.test()``.
    :ivar due_at: when it is this wait's turn to write, by the event loop's clock; infinite when it has
        nothing to.
    """

    def __init__(
        self,
        job: JobRef,
        ids: Mapping[str, Any] | None,
        *,
        console_url: str | None,
        try_number: int | None,
        log: Any,
    ) -> None:
        self.due_at = math.inf
        self._job = job
        self._ids = ids
        self._console_url = console_url
        self._try_number = try_number
        self._log = log
        self._state: JobState | None = None
        self._not_before = -math.inf

    def request(self, state: JobState) -> bool:
        """Write this state when it is this wait's turn; of several, the last."""
        if self._ids is not None:
            self._state = state
            if self.due_at == math.inf:
                self.due_at = max(loop_time() + xcoms.turn_seconds(), self._not_before)
        return True

    async def write_if_due(self) -> None:
        """Write, if it is time; what cannot be written is tried again in the next turn."""
        if self._state is None or self._ids is None or loop_time() < self.due_at:
            return
        state, self._state, self.due_at = self._state, None, math.inf
        value = progress(state, self._job, console_url=self._console_url, try_number=self._try_number)
        try:
            await xcoms.write(PROGRESS_XCOM, value, **self._ids)
            self._not_before = loop_time() + xcoms.pause_seconds()
        except Exception as error:
            self._log.warning("Cannot show the progress (%s: %s)", type(error).__name__, error)
            if self.due_at == math.inf:  # otherwise a newer state waits for its turn already
                self.request(state)

    async def read(self) -> JobState | None:
        """What this try showed before a restart; the only memory below Airflow 3.3."""
        if self._ids is None:
            return None
        with contextlib.suppress(Exception):
            value = await xcoms.read(PROGRESS_XCOM, **self._ids)
            if isinstance(value, Mapping) and value.get("try_number") == self._try_number:
                return from_json(value, self._job.job_id)
        return None
