"""The XCom ``progress``: a job's state while a task waits for it, for users to read."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from airflow_trtc import bounds
from airflow_trtc.aio import loop_time
from airflow_trtc.jobs.observation import RecordedFile
from airflow_trtc.jobs.problems import problems_of
from airflow_trtc.jobs.records import NO_RECORDS
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, from_json, state_word, to_json
from airflow_trtc.jobs.verdict import Failed, Finished
from airflow_trtc.recording.files import NameParts, read_name
from airflow_trtc.waiting import xcoms
from airflow_trtc.waiting.engine import Ending, outcome_word

PROGRESS_XCOM = "progress"


MAX_PROBLEMS = 10
MAX_SENTENCE = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownWait:
    """What users see of a wait, besides the job's state.

    :param console_url: a page about the job; None for none.
    :param try_number: the try that waits.
    :param wait_for: what of a recording is waited for; None for another job.
    :param poke_interval: seconds between polls, as the user wants them.
    :param started_at: when the wait began, Unix seconds.
    :param limits: name of each limit to the Unix seconds at which it is reached.
    """

    console_url: str | None = None
    try_number: int | None = None
    wait_for: str | None = None
    poke_interval: float | None = None
    started_at: float | None = None
    limits: Mapping[str, float] = field(default_factory=dict)


def progress(state: JobState, job: JobRef, wait: ShownWait, ending: Ending | None = None) -> dict[str, Any]:
    """The value of the XCom.

    ``state`` is one word for users, ``outcome`` how the wait ended, None before. ``file_count`` and
    ``record_count`` are the numbers of files and records so far, ``tracks`` the numbers of files by track
    (``audio``, ``video``, ``audio_video``; ``screen``, video of a shared screen; ``other``), ``user_count``
    how many users have any, ``callback_count`` how many different things callbacks reported,
    ``problem_count`` and ``problems`` what went wrong, a sentence each, with what failed the wait in front.
    ``room_id`` is what callbacks or names of files say, ``last_polled_at`` the last poll that was answered;
    `ShownWait` has the rest. All other keys are the whole state but for ``detail``: results may be addresses
    that open a file to whoever reads them; and but for the records, which may be many: the journal has them.

    :param ending: how the wait ended; None while it goes on.
    """
    names = [read_name(file.file_name) for file in state.files]
    users = {file.user_id or name.user_id for file, name in zip(state.files, names, strict=True)}
    problems = _problems(state, ending)
    return {
        **to_json(replace(state, detail=None, records=NO_RECORDS), job),
        "state": "ended" if _shows_an_end(ending) else state_word(state),
        "outcome": None if ending is None else outcome_word(ending),
        "file_count": len(state.files),
        "record_count": len(state.records.kept) + state.records.left_out,
        "tracks": dict(Counter(map(_track, state.files, names))),
        "user_count": len(users - {None}),
        "room_id": state.room_id or next((name.room_id for name in names if name.room_id), None),
        "callback_count": len(state.history.facts),
        "problem_count": len(problems),
        "problems": [problem[:MAX_SENTENCE] for problem in problems[:MAX_PROBLEMS]],
        "last_polled_at": _iso(max(filter(None, (state.last_seen_at, state.absent_at)), default=None)),
        "console_url": wait.console_url,
        "try_number": wait.try_number,
        "wait_for": wait.wait_for,
        "poke_interval": wait.poke_interval,
        "started_at": _iso(_time(wait.started_at)),
        "limits": {name: _iso(_time(at)) for name, at in wait.limits.items()},
    }


def _shows_an_end(ending: Ending | None) -> bool:
    return isinstance(ending, Finished) and ending.outcome != "never_seen"


def _problems(state: JobState, ending: Ending | None) -> list[str]:
    found = [f"{problem.kind}: {problem.message}" for problem in problems_of(state)]
    if state.stop_error is not None:
        found.insert(0, f"stop: {state.stop_error}")
    return [ending.reason, *found] if isinstance(ending, Failed) else found


def _track(file: RecordedFile, name: NameParts) -> str:
    track = file.track_type or name.track or "other"
    is_screen = track == "video" and (file.media_id or name.media_id) == "aux"
    return "screen" if is_screen else track


def _time(unix_seconds: float | None) -> datetime | None:
    seconds = bounds.unix_seconds(unix_seconds)
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


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
        wait: ShownWait,
        log: Any,
    ) -> None:
        self.due_at = math.inf
        self._job = job
        self._ids = ids
        self._wait = wait
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
        try:
            is_written = await xcoms.write_in_turn(
                PROGRESS_XCOM, lambda: progress(state, self._job, self._wait), **self._ids
            )
        except Exception as error:
            self._log.warning("Cannot show the progress (%s: %s)", type(error).__name__, error)
            is_written = False
        if is_written:
            self._not_before = loop_time() + xcoms.pause_seconds()
        elif self.due_at == math.inf:  # otherwise a newer state waits for its turn already
            self.request(state)

    async def read(self) -> JobState | None:
        """What this try showed before a restart; the only memory below Airflow 3.3."""
        if self._ids is None:
            return None
        with contextlib.suppress(Exception):
            value = await xcoms.read(PROGRESS_XCOM, **self._ids)
            if isinstance(value, Mapping) and value.get("try_number") == self._wait.try_number:
                return from_json(value, self._job.job_id)
        return None
